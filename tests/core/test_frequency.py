"""Shares as natural frequencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.core.frequency import per_hundred


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0"),
        (0.0005, "0.05"),
        (0.0123, "1.2"),
        (0.09, "9"),
        (0.0996, "10"),
        (0.126, "13"),
        (0.995, "99.5"),
        (0.9999, "99.9"),
        (1, "100"),
    ],
)
def test_known(share: float, text: str) -> None:
    assert per_hundred(share) == text


@given(st.floats(1e-9, 1 - 1e-9))
def test_never_rounded_to_certainty(share: float) -> None:
    assert 0 < float(per_hundred(share)) < 100
    assert float(per_hundred(share)) == pytest.approx(100 * share, rel=0.051)
