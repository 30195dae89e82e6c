"""Filling with the scan's own air."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymi_bids.core.fill import MIN_AIR_VOXELS, fill_air

SHAPE = (16, 15, 14)


def scan(dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A box of "head" in noisy air, the air's mask and a region that cuts the head."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(1, 9, SHAPE).astype(dtype)
    raw[4:12, 4:12, 4:12] = 100
    air = np.ones(SHAPE, bool)
    air[3:13, 3:13, 3:13] = False
    region = np.zeros(SHAPE, bool)
    region[2:14, 8:, 5:11] = True
    return raw, air, region


@settings(max_examples=25, deadline=None)
@given(
    dtype=st.sampled_from(["u1", "i2", ">i2", "u2", "i4", "f4", "f8", ">f4"]),
    seed=st.integers(0, 1000),
    order=st.sampled_from(["C", "F"]),
)
def test_only_the_region_changes_and_types_stay(dtype: str, seed: int, order: str) -> None:
    raw, air, region = scan(dtype, seed)
    raw = np.asarray(raw, order=order)
    kept = raw.copy()
    filled = fill_air(raw, region, air, np.random.default_rng(seed))
    assert filled.dtype == raw.dtype
    assert filled.flags.f_contiguous == raw.flags.f_contiguous
    np.testing.assert_array_equal(raw, kept)
    np.testing.assert_array_equal(filled[~region], raw[~region])
    assert set(np.unique(filled[region])) <= set(np.unique(raw[air & ~region]))


def test_fill_has_the_distribution_of_the_air() -> None:
    rng = np.random.default_rng(3)
    raw = np.abs(rng.normal(0, 20, (40, 40, 40))).astype(np.int16)
    region = np.zeros(raw.shape, bool)
    region[:, :, :20] = True
    raw[region] = 1000
    filled = fill_air(raw, region, ~region, rng)[region]
    air = raw[~region]
    assert filled.mean() == pytest.approx(air.mean(), rel=0.06)
    assert filled.std() == pytest.approx(air.std(), rel=0.12)


def test_bright_specks_in_the_air_are_not_drawn() -> None:
    raw, air, region = scan("i2")
    raw[0, 0, :5] = 3000
    assert fill_air(raw, region, air, np.random.default_rng(0))[region].max() < 10


def test_zero_background_stays_zero() -> None:
    raw, air, region = scan("u2")
    raw[raw < 10] = 0
    assert not fill_air(raw, region, air, np.random.default_rng(0))[region].any()


def test_too_little_air_gives_a_low_constant_of_the_scan() -> None:
    raw, _, region = scan("i2")
    few = np.zeros(SHAPE, bool)
    few.flat[: MIN_AIR_VOXELS - 1] = True
    filled = fill_air(raw, region, few, np.random.default_rng(0))[region]
    assert len(np.unique(filled)) == 1
    assert filled[0] in raw[raw < 9]


def test_ct_air_is_below_zero() -> None:
    raw, air, region = scan("i2")
    raw = (raw - 1000).astype(np.int16)
    assert fill_air(raw, region, air, np.random.default_rng(0))[region].max() < -980


def test_nan_is_never_drawn() -> None:
    raw, air, region = scan("f4")
    raw[0] = np.nan
    assert np.isfinite(fill_air(raw, region, air, np.random.default_rng(0))[region]).all()


def test_same_seed_same_values() -> None:
    raw, air, region = scan("f4")
    one, two = (fill_air(raw, region, air, np.random.default_rng(5)) for _ in range(2))
    other = fill_air(raw, region, air, np.random.default_rng(6))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_empty_region_gives_a_copy() -> None:
    raw, air, region = scan("i2")
    filled = fill_air(raw, np.zeros_like(region), air, np.random.default_rng(0))
    np.testing.assert_array_equal(filled, raw)
    assert filled is not raw
