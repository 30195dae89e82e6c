"""Who is who."""

from __future__ import annotations

from pathlib import Path

import pytest

from anonymi_bids.dicom.header import DicomFile
from anonymi_bids.dicom.needles import date_forms, needles_from_dicom
from anonymi_bids.dicom.people import SubjectKey, age_in_years, find_people
from anonymi_bids.dicom.scan import scan_tree
from anonymi_bids.dicom.sort import sort_series

from .conftest import make_slice, write_series


def people_of(root: Path, seed: int = 1) -> list[SubjectKey]:
    return find_people(seed, sort_series(scan_tree(root)[0]))[0]


def test_studies_of_a_subject_become_sessions_in_the_order_of_time(tmp_path: Path) -> None:
    for study, date, time in (
        ("late", "20210101", "080000"),
        ("early", "20190101", "235900"),
        ("middle", "20210101", "070000"),
    ):
        write_series(tmp_path, "a", study=study, numbers=(1,), StudyDate=date, StudyTime=time)
    (subject,) = people_of(tmp_path)
    assert [key.session for key in subject.sessions] == ["01", "02", "03"]
    assert [key.date for key in subject.sessions] == ["2019-01-01", "2021-01-01", "2021-01-01"]
    assert subject.age == 38
    assert subject.sex == "F"


def test_one_study_has_no_session(tmp_path: Path) -> None:
    write_series(tmp_path, "a", numbers=(1,))
    write_series(tmp_path, "b", numbers=(1,))
    (subject,) = people_of(tmp_path)
    assert [key.session for key in subject.sessions] == [None]
    assert subject.original == "MRN-1"
    assert "MRN" not in subject.label.upper()


@pytest.mark.parametrize(
    "number", ["", "   ", "anonymous", "ANON", "***", "Anonymized", "0000", "n/a", "xxx"]
)
def test_numbers_that_name_nobody_do_not_merge_people(tmp_path: Path, number: str) -> None:
    for study in ("one", "two"):
        write_series(tmp_path, "a", study=study, numbers=(1,), PatientID=number)
    subjects = people_of(tmp_path)
    assert len(subjects) == 2
    assert all(subject.original.startswith("1.2.826") for subject in subjects)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientBirthDate", "19700101"), ("IssuerOfPatientID", "Other"), ("PatientID", "MRN-2")],
)
def test_equal_numbers_of_two_hospitals_are_two_people(
    tmp_path: Path, keyword: str, value: str
) -> None:
    write_series(tmp_path, "a", study="one", numbers=(1,))
    write_series(tmp_path, "a", study="two", numbers=(1,), **{keyword: value})
    assert len(people_of(tmp_path)) == 2


def test_labels_follow_the_seed(tmp_path: Path) -> None:
    write_series(tmp_path, "a", numbers=(1,))
    assert people_of(tmp_path, 1)[0].label == people_of(tmp_path, 1)[0].label
    assert people_of(tmp_path, 1)[0].label != people_of(tmp_path, 2)[0].label


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ({"PatientAge": "031Y"}, 31),
        ({"PatientAge": "018M"}, 1),
        ({"PatientAge": "003W"}, 0),
        ({"PatientAge": "000Y", "PatientBirthDate": "20000301", "StudyDate": "20200229"}, 19),
        ({"PatientBirthDate": "20000301", "StudyDate": "20200301"}, 20),
        ({"PatientBirthDate": "20300301", "StudyDate": "20200301"}, None),
        ({"PatientAge": "***", "PatientBirthDate": "***", "StudyDate": "***"}, None),
        ({}, None),
    ],
)
def test_ages(header: dict[str, str], age: int | None) -> None:
    assert age_in_years(DicomFile(Path("x"), header, 1)) == age


def test_needles_hold_who_where_and_when_but_no_common_words(tmp_path: Path) -> None:
    dataset = make_slice("study1", "a", 1)
    dataset.PatientName = "Ångström^Zoë Marie"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientID = "MRN-77812"
    dataset.AccessionNumber = "ACC4711"
    dataset.ReferringPhysicianName = "Strangelove^Peter"
    dataset.InstitutionName = "St Elsewhere"
    dataset.StationName = "BRAIN"
    dataset.ImageComments = "call her on 555-0199"
    dataset.PatientComments = "abc"
    dataset.DerivationDescription = "seen by Dr Quux\nover the phone " + "x" * 500
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    needles = needles_from_dicom([tmp_path / "x"])
    for expected in (
        "Ångström^Zoë Marie",
        "Ångström",
        "Marie",
        "MRN-77812",
        "ACC4711",
        "Strangelove",
        "St Elsewhere",
        "call her on 555-0199",
        "seen by Dr Quux",
        ("over the phone " + "x" * 500)[:200],
        "19800229",
        "1980-02-29",
        "29.02.1980",
        "2/29/1980",
        "2020-03-01",
        dataset.StudyInstanceUID,
        dataset.SeriesInstanceUID,
    ):
        assert expected in needles
    assert not {"BRAIN", "abc", "Zoë"} & set(needles)
    assert all(len(needle) >= 4 for needle in needles)
    assert list(needles) == sorted(set(needles))


def test_needles_of_damaged_files_do_not_raise(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    content = path.read_bytes()
    path.write_bytes(content[:400])
    (tmp_path / "y").write_bytes(b"nothing")
    assert isinstance(needles_from_dicom([path, tmp_path / "y", tmp_path / "absent"]), tuple)


def test_impossible_dates_give_no_needles() -> None:
    assert date_forms("20201345") == ()
    assert date_forms("***") == ()
    assert "1/2/2020" in date_forms("20200102")
