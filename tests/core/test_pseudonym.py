"""Labels and date shifts."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.core.pseudonym import date_offset_days, keyed_digest, label_for


def test_labels_are_a_fixed_function_of_seed_and_original() -> None:
    assert label_for(7, "patient 1") == label_for(7, "patient 1")
    assert label_for(7, "patient 1") != label_for(8, "patient 1")
    assert label_for(7, "patient 1") != label_for(7, "patient 2")


@given(st.integers(0, 2**128 - 1), st.text())
def test_labels_are_valid_in_bids(seed: int, original: str) -> None:
    assert re.fullmatch(r"[a-z][0-9a-z]{7}", label_for(seed, original))


def test_labels_do_not_collide_and_have_the_asked_length() -> None:
    assert len({label_for(1, str(n)) for n in range(5000)}) == 5000
    assert len(label_for(1, "x", length=12)) == 12


def test_uses_of_the_seed_are_kept_apart() -> None:
    assert keyed_digest(1, "label", "x") != keyed_digest(1, "date", "x")


def test_a_known_answer_pins_the_labels_of_earlier_runs() -> None:
    assert label_for(0, "anna") == "dfx9qbwq"


@given(st.integers(0, 2**128 - 1), st.text())
def test_every_date_up_to_2065_lands_in_1925_or_earlier(seed: int, subject: str) -> None:
    offset = datetime.timedelta(days=date_offset_days(seed, subject))
    assert (datetime.date(2065, 12, 31) + offset).year <= 1925
    assert (datetime.date(1970, 1, 1) + offset).year >= 1800


def test_a_seed_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError):
        label_for(2**128, "x")
