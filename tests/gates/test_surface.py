"""What the gates take for air: by Hounsfield units only where the values are such."""

from __future__ import annotations

import numpy as np

from anonymi_bids.gates.surface import CT_LEVELS, air_levels


def head(*values: float) -> tuple[np.ndarray, np.ndarray]:
    """Ball of three tissues in air of 0, and where it is."""
    rng = np.random.default_rng(0)
    places = np.indices((40, 40, 40)) - 20
    ball = (places**2).sum(axis=0) < 15**2
    data = np.where(ball, rng.choice(values, ball.shape), 0) + rng.normal(0, 5, ball.shape)
    return data.astype(np.float32), ball


def test_a_shift_below_zero_moves_the_levels_and_does_no_more() -> None:
    data, ball = head(300, 600, 900)
    low, high = air_levels(data)
    shifted = air_levels(data - 1000)
    assert shifted != CT_LEVELS
    np.testing.assert_allclose(shifted, (low - 1000, high - 1000), atol=1)
    assert ((data - 1000 > shifted[0]) == ball).mean() > 0.99


def test_hounsfield_units_are_known() -> None:
    data, _ = head(910, 1040, 1060, 1900)
    assert air_levels(data - 1000) == CT_LEVELS
