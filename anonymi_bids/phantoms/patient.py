"""Invented patients: names, numbers and remarks such as hospital headers hold. Nobody is meant."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np

from anonymi_bids.phantoms.person import Person

_FAMILY = (
    "Quendelmeier Obstfelder Zwirnhagen Brackwasser Tannenzopf Underhollow Fennimoor Wexlebury "
    "Applestray Marshgather Koriandel Wolkenstedt Sandlerche Thistlewade Pemberlow Oakhurstle"
).split()
_GIVEN = {
    "F": "Annika Bertille Clodagh Dorte Edwige Franka Gunvor Hanneke Isaura Jorunn".split(),
    "M": "Albrecht Benno Caspar Diederik Emeric Fiete Gereon Hauke Ivor Jannik".split(),
}
_DOCTORS = "Sauerampfer^Ottokar^^Dr. Lavendula^Mirjam^^Prof. Birkwood^Thaddeus^^Dr.".split(". ")
_REMARKS = (
    "Pat. klagt seit dem Umzug über Kopfschmerz, Rückruf an die Ehefrau erbeten",
    "Works at the ferry office, sister is treated here too",
    "Kontrolle nach Sturz vom Fahrrad, siehe Brief vom Hausarzt",
    "Volunteer of the sleep study, room 114, claustrophobic",
)


@dataclass(frozen=True, slots=True)
class Patient:
    """What a hospital would write about a digital person.

    Attributes
    ----------
    name : str
        DICOM person name, family^given.
    number : str
        Patient ID.
    other_number, insurance, address, telephone : str
    birth : datetime.date
    weight_kg, height_m : float
    referring, performing, operator : str
        DICOM person names.
    remark : str
        Free text.
    """

    name: str
    number: str
    other_number: str
    insurance: str
    address: str
    telephone: str
    birth: datetime.date
    weight_kg: float
    height_m: float
    referring: str
    performing: str
    operator: str
    remark: str

    @property
    def needles(self) -> tuple[str, ...]:
        """Texts that must not be found in anything released."""
        family, given = self.name.split("^")
        return (
            family,
            given,
            self.number,
            self.other_number,
            self.insurance,
            self.address,
            self.telephone,
            self.birth.strftime("%Y%m%d"),
            self.remark,
        )


def make_patient(person: Person, number: int) -> Patient:
    """Invent a patient.

    Parameters
    ----------
    person : Person
    number : int
        Position in the study; family names do not repeat within 16 people.
    """
    rng = np.random.default_rng([82, person.seed])
    first = visit_time(person, 0).date()
    birth = first - datetime.timedelta(days=int(person.age * 365.25 + rng.integers(5, 350)))
    family = _FAMILY[(number * 7 + 3) % len(_FAMILY)]
    given = str(rng.choice(_GIVEN[person.sex]))
    doctors = [f"{name.rstrip('.')}." for name in rng.permutation(_DOCTORS)]
    tall = 1.79 if person.sex == "M" else 1.66
    height = float(np.round(rng.normal(tall, 0.06), 2))
    return Patient(
        name=f"{family}^{given}",
        number=f"{rng.integers(10**7, 10**8)}",
        other_number=f"KH-{rng.integers(10**5, 10**6)}",
        insurance=f"Q{rng.integers(10**8, 10**9)}",
        address=f"Heidekrautweg {rng.integers(1, 200)}, 99998 Nirgendheim",
        telephone=f"+49 9999 {rng.integers(10**5, 10**6)}",
        birth=birth,
        weight_kg=float(np.round(height**2 * rng.normal(25, 3), 1)),
        height_m=height,
        referring=doctors[0],
        performing=doctors[1],
        operator=f"{str(rng.choice(_FAMILY))}^{given[0]}",
        remark=str(rng.choice(_REMARKS)),
    )


def visit_time(person: Person, visit: int) -> datetime.datetime:
    """Begin of a visit: invented date and time, visits about half a year apart."""
    rng = np.random.default_rng([83, person.seed])
    start = datetime.datetime(2019, 1, 7, 8, 0) + datetime.timedelta(
        days=int(rng.integers(0, 1400)), minutes=int(rng.integers(0, 540))
    )
    gaps = rng.integers(120, 260, size=visit + 1)
    return start + datetime.timedelta(days=int(gaps[:visit].sum()), minutes=17 * visit)
