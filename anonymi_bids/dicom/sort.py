"""Sort DICOM images into series by their headers.

A SeriesInstanceUID is the start. Some scanners put several images under one UID (echoes, magnitude
and phase, three directions of a localizer, a map beside its source), so each UID is split by
shape, image type, echo time and orientation where these are mixed; and by patient and study, since
UIDs are not always as unique as they ought to be.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from anonymi_bids.core.pseudonym import ALPHABET, keyed_digest
from anonymi_bids.dicom.header import DicomFile, identity

MAX_ECHOES = 16
"""More echo times than this under one UID are jitter or a calibration, not echoes."""

MAX_IMAGE_TYPES = 8
MAX_ORIENTATIONS = 3
"""More directions than this are a radial set (a rotating projection); it stays together."""


@dataclass(frozen=True, slots=True)
class Series:
    """Files that make one image (or one image a volume).

    Attributes
    ----------
    uid : str
        SeriesInstanceUID.
    split_key : str
        What sets this part apart from others of the same UID; empty if the UID was not split.
    files : tuple of DicomFile
        In the order of the instance numbers.
    n_orientations : int
        Directions in which the slices lie.
    echo : int or None
        Place of its echo time among those of the UID, from 1; None where there is one only.
    """

    uid: str
    split_key: str
    files: tuple[DicomFile, ...]
    n_orientations: int = 1
    echo: int | None = None

    @property
    def first(self) -> DicomFile:
        """File whose header speaks for the series."""
        return self.files[0]

    @property
    def study(self) -> str:
        """StudyInstanceUID, or the series' UID where it is missing."""
        return self.first.text("StudyInstanceUID") or self.uid

    @property
    def order(self) -> tuple[float, str, str, int, str]:
        """Place among other series: by number, time, then UID, echo and part."""
        number = self.first.number("SeriesNumber")
        time = self.first.text("SeriesTime")
        return (
            float("inf") if number is None else number,
            time,
            self.uid,
            self.echo or 0,
            self.split_key,
        )


def fingerprint(seed: int, series: Series) -> str:
    """Name of a series in the mapping file: a keyed hash of its UID and part, 12 characters."""
    number = int.from_bytes(
        keyed_digest(seed, "series", f"{series.uid}\x00{series.split_key}"), "big"
    )
    text = ""
    for _ in range(12):
        number, place = divmod(number, len(ALPHABET))
        text += ALPHABET[place]
    return text


def sort_series(files: Iterable[DicomFile]) -> list[Series]:
    """Group files into series.

    Parameters
    ----------
    files : iterable of DicomFile
        In any order; their paths play no part.

    Returns
    -------
    list of Series
        Sorted by study, then series number, time and UID.
    """
    by_uid: dict[str, list[DicomFile]] = {}
    for file in files:
        by_uid.setdefault(file.text("SeriesInstanceUID"), []).append(file)
    series = []
    for uid, members in by_uid.items():
        series += _split(uid, sorted(members, key=_instance_order))
    return sorted(series, key=lambda entry: (entry.study, entry.order))


def _instance_order(file: DicomFile) -> tuple[float, str]:
    number = file.number("InstanceNumber")
    return (float("inf") if number is None else number, file.text("SOPInstanceUID"))


def _split(uid: str, files: list[DicomFile]) -> list[Series]:
    """Split the files of one UID by shape, image type, echo and orientation."""
    orientations = _orientation_places(files)
    in_one_file = max(int(file.number("FrameDirections") or 1) for file in files)
    n_orientations = max(len(set(orientations.values())), in_one_file)
    echoes = sorted({_echo_time(file) for file in files})
    keys: list[tuple[str, Callable[[DicomFile], Hashable], int]] = [
        ("patient", lambda file: identity(file)[0], len(files)),
        ("study", lambda file: file.text("StudyInstanceUID"), len(files)),
        ("shape", _shape, 64),
        ("type", _image_type, MAX_IMAGE_TYPES),
        ("echo", _echo_time, MAX_ECHOES),
        ("direction", lambda file: orientations[id(file)], MAX_ORIENTATIONS),
    ]
    used = []
    for name, key, most in keys:
        n_values = len({key(file) for file in files})
        if 1 < n_values <= most:
            used.append((name, key))
    groups: dict[str, list[DicomFile]] = {}
    for file in files:
        text = "|".join(f"{name}={key(file)}" for name, key in used)
        groups.setdefault(text, []).append(file)
    many_echoes = 1 < len(echoes) <= MAX_ECHOES
    return [
        Series(
            uid=uid,
            split_key=text,
            files=tuple(members),
            n_orientations=n_orientations,
            echo=echoes.index(_echo_time(members[0])) + 1 if many_echoes else None,
        )
        for text, members in sorted(groups.items())
    ]


def _shape(file: DicomFile) -> tuple[float | None, float | None]:
    return (file.number("Rows"), file.number("Columns"))


def _image_type(file: DicomFile) -> str:
    return "\\".join(file.values("ImageType"))


def _echo_time(file: DicomFile) -> float:
    return round(file.number("EchoTime") or 0.0, 2)


def _orientation_places(files: list[DicomFile]) -> dict[int, int]:
    """Give each file the number of its direction; those within about a degree are one."""
    known: list[tuple[float, ...]] = []
    places: dict[int, int] = {}
    for file in files:
        cosines = _cosines(file)
        for place, other in enumerate(known):
            if len(other) == len(cosines) and all(
                abs(a - b) < 0.02 for a, b in zip(cosines, other, strict=True)
            ):
                places[id(file)] = place
                break
        else:
            places[id(file)] = len(known)
            known.append(cosines)
    return places


def _cosines(file: DicomFile) -> tuple[float, ...]:
    value = file.header.get("ImageOrientationPatient")
    if not isinstance(value, tuple) or len(value) != 6:
        return ()
    return tuple(entry for entry in value if isinstance(entry, float))


def slice_places(series: Series) -> tuple[list[float], tuple[float, float, float]] | None:
    """Tell where the slices of a stack lie along their normal.

    Returns
    -------
    places : list of float
        mm, rising, each place once.
    normal : tuple of float
        Unit normal in the patient's frame of DICOM (LPS).
        None instead of both if the headers give no place.
    """
    places = []
    normal = (0.0, 0.0, 0.0)
    for file in series.files:
        cosines = _cosines(file)
        position = file.header.get("ImagePositionPatient")
        if len(cosines) != 6 or not isinstance(position, tuple) or len(position) != 3:
            return None
        if not all(isinstance(entry, float) for entry in position):
            return None
        x, y = cosines[:3], cosines[3:]
        normal = (
            x[1] * y[2] - x[2] * y[1],
            x[2] * y[0] - x[0] * y[2],
            x[0] * y[1] - x[1] * y[0],
        )
        places.append(sum(a * b for a, b in zip(normal, position, strict=True)))
    return sorted({round(place, 2) for place in places}), normal


def slice_gaps(series: Series) -> tuple[int, int]:
    """Count the slices that are missing inside a stack.

    Returns
    -------
    missing : int
        Slices missing in all, judged by gaps that are a multiple of the usual spacing.
    largest : int
        Slices missing in the largest gap.
    """
    found = slice_places(series)
    if found is None:
        return (0, 0)
    steps = sorted(after - before for before, after in pairwise(found[0]))
    if len(steps) < 3 or steps[len(steps) // 2] <= 0:
        return (0, 0)
    usual = steps[len(steps) // 2]
    gaps = [round(step / usual) - 1 for step in steps]
    return (sum(gap for gap in gaps if gap > 0), max(*gaps, 0))
