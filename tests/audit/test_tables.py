"""Known answers for the risk that lies in tables."""

from __future__ import annotations

import pytest

from anonymi_bids.audit import tables

SIZES = [1, 1, 2, 3, 3, 4, 6]
POPULATION = [50, 200, 40, 30, 300, 80, 600]


def near(value: object) -> object:
    return pytest.approx(value, abs=6e-7)


def test_prosecutor() -> None:
    found = tables.prosecutor(SIZES)
    assert (found.k, found.maximum, found.mean, found.unique) == near((1, 1, 0.35, 0.10))
    assert found.share_above(0.09) == near(1)
    assert found.share_above(0.2) == near(0.70)


def test_journalist_and_marketer() -> None:
    assert tables.journalist(POPULATION)[0] == near(0.033333)
    assert tables.journalist(POPULATION)[1] == near(7 / 1300)
    assert tables.marketer(SIZES, POPULATION) == near(0.012250)
    mean = tables.prosecutor(SIZES).mean
    assert mean >= tables.journalist(POPULATION)[1]


def test_population_uniqueness() -> None:
    assert tables.uniqueness(1e-6, 1e6) == near(0.367880)
    assert tables.correctness(1e-6, 1e6) == near(0.632121)
    assert tables.uniqueness(1e-8, 3.3e8) == near(0.036883)
    assert tables.correctness(1e-8, 3.3e8) == near(0.291854)


def test_weighted_risk() -> None:
    assert tables.weighted_risk(1, 0.1) == near(0.255843)
    assert tables.weighted_risk(2, 0.1) == near(0.082684)
    assert tables.weighted_risk(1, 0.02) == near(0.079837)
    assert tables.weighted_risk(2, 0.02) == near(0.018779)
    with pytest.raises(ValueError, match="1 or 2"):
        tables.weighted_risk(3, 0.1)


def test_entropy_diversity() -> None:
    assert tables.entropy_diversity([4, 1, 1]) == near(2.381102)
    assert tables.entropy_diversity([5, 0]) == near(1)


def test_class_sizes() -> None:
    rows = [("30", "F"), ("31", "M"), ("30", "F")]
    assert tables.class_sizes(rows) == (2, 1)
