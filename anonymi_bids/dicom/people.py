"""Who is who: subjects and sessions from DICOM headers, under new labels."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass

from anonymi_bids.core.pseudonym import label_for
from anonymi_bids.dicom.header import DicomFile, identity
from anonymi_bids.dicom.sort import Series


@dataclass(frozen=True, slots=True)
class SessionKey:
    """One study of a subject; a part of ``private/key.tsv``.

    Attributes
    ----------
    study : str
        StudyInstanceUID.
    date : str
        Study date as YYYY-MM-DD, empty if unknown.
    session : str or None
        New label; None for the only study of a subject.
    """

    study: str
    date: str
    session: str | None


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """One subject; a part of ``private/key.tsv``.

    Attributes
    ----------
    original : str
        PatientID, or the StudyInstanceUID where the number names nobody.
    label : str
        New label.
    sessions : tuple of SessionKey
        In the order of time.
    age : int or None
        Whole years at the first study.
    sex : str
        ``M``, ``F``, ``O`` or empty.
    """

    original: str
    label: str
    sessions: tuple[SessionKey, ...]
    age: int | None
    sex: str


def find_people(seed: int, series: Sequence[Series]) -> tuple[list[SubjectKey], dict[str, str]]:
    """Group series by subject and study, and give labels.

    Parameters
    ----------
    seed : int
        Labels are keyed hashes under it.
    series : sequence of Series
        All of the input, so that labels never depend on which participant is run.

    Returns
    -------
    subjects : list of SubjectKey
        Sorted by label, so that their order tells nothing.
    subject_of : dict
        Identity key → label.
    """
    studies: dict[str, dict[str, DicomFile]] = {}
    originals: dict[str, str] = {}
    for entry in series:
        key, original = identity(entry.first)
        originals[key] = original
        by_study = studies.setdefault(key, {})
        known = by_study.get(entry.study)
        if known is None or _time(entry.first) < _time(known):
            by_study[entry.study] = entry.first
    labels = _labels(seed, sorted(studies))
    subjects = [
        _subject(originals[key], labels[key], by_study) for key, by_study in studies.items()
    ]
    return sorted(subjects, key=lambda subject: subject.label), labels


def _labels(seed: int, keys: Sequence[str]) -> dict[str, str]:
    """Labels without collisions: all grow where two would agree."""
    length = 8
    while True:
        labels = {key: label_for(seed, key, length) for key in keys}
        if len(set(labels.values())) == len(labels):
            return labels
        length += 2


def _time(file: DicomFile) -> tuple[str, str]:
    date = file.text("StudyDate") or file.text("SeriesDate") or file.text("AcquisitionDate")
    return (date, file.text("StudyTime"))


def _subject(original: str, label: str, by_study: dict[str, DicomFile]) -> SubjectKey:
    ordered = sorted(by_study.items(), key=lambda item: (_time(item[1]), item[0]))
    width = max(2, len(str(len(ordered))))
    sessions = tuple(
        SessionKey(
            study=study,
            date=_iso(_date(_time(file)[0])),
            session=f"{number:0{width}d}" if len(ordered) > 1 else None,
        )
        for number, (study, file) in enumerate(ordered, start=1)
    )
    files = [file for _, file in ordered]
    ages = [age for age in map(age_in_years, files) if age is not None]
    sexes = {file.text("PatientSex").upper() for file in files} & {"M", "F", "O"}
    return SubjectKey(
        original=original,
        label=label,
        sessions=sessions,
        age=ages[0] if ages else None,
        sex=sexes.pop() if len(sexes) == 1 else "",
    )


def age_in_years(file: DicomFile) -> int | None:
    """Age at the study in whole years, from PatientAge or else the dates; None if unknown."""
    match = re.fullmatch(r"(\d{1,3})([DWMY])", file.text("PatientAge").upper())
    if match and int(match.group(1)):
        per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}[match.group(2)]
        return int(int(match.group(1)) / per_year)
    birth, study = _date(file.text("PatientBirthDate")), _date(_time(file)[0])
    if birth is None or study is None or study < birth:
        return None
    before_birthday = (study.month, study.day) < (birth.month, birth.day)
    return study.year - birth.year - before_birthday


def _date(text: str) -> datetime.date | None:
    digits = text.replace(".", "").replace("-", "")
    try:
        return datetime.datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def _iso(date: datetime.date | None) -> str:
    return "" if date is None else date.isoformat()
