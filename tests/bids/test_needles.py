from __future__ import annotations

from anonymi_bids.bids.needles import date_forms, name_parts, needles_from_sidecar
from anonymi_bids.bids.sidecar import clean_sidecar
from anonymi_bids.io.atomic import as_json
from anonymi_bids.io.canary import clear_text
from tests.bids.test_sidecar import DCM2NIIX, T1W


def test_names_identifiers_and_dates_become_needles() -> None:
    needles = needles_from_sidecar(DCM2NIIX | {"Nested": [{"OperatorsName": "Curie^Marie"}]})
    for needle in (
        "DOE^JANE",
        "JANE",
        "Secret Hospital",
        "166006",
        "02.01.1970",
        "19700102",
        "Jane Doe, pregnant",
        "Curie",
    ):
        assert needle in needles, needle
    assert "Siemens Healthineers" not in needles
    assert "BRAIN" not in needles


def test_cleaned_sidecar_holds_none_of_its_needles() -> None:
    cleaned = as_json(clean_sidecar(DCM2NIIX, entities=T1W, seed=1))
    needles = needles_from_sidecar(DCM2NIIX)
    assert clear_text("x", cleaned, needles).passed
    assert not clear_text("x", as_json(DCM2NIIX), needles).passed


def test_dates_are_written_in_six_ways() -> None:
    assert date_forms("2024-01-31T10:00:00") == {
        "20240131",
        "2024-01-31",
        "31.01.2024",
        "31/01/2024",
        "01/31/2024",
        "31012024",
    }
    assert date_forms("20241345") == set()
    assert date_forms("today") == set()


def test_short_parts_of_names_are_left_out() -> None:
    assert name_parts("Li^Maria") == {"Li^Maria", "Maria"}


def test_ordinary_terms_are_no_needles() -> None:
    ordinary = {
        "StationName": "PRISMA",
        "InstitutionalDepartmentName": "Radiology",
        "InstitutionName": "MRI",
        "PatientName": "sub-01",
    }
    assert needles_from_sidecar(ordinary, kept=["sub-01"]) == ()
    assert needles_from_sidecar(ordinary) == ("sub-01",)
