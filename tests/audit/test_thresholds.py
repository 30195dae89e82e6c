"""From which score on two scans are one person: known answers, and what must not move it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from anonymi_bids.audit.scores import gaussian_threshold
from anonymi_bids.audit.thresholds import choose_threshold, crossing, fit_tail


def gaussian(n: int, mean: float, spread: float = 1.0) -> np.ndarray:
    """Quantiles of a Gaussian: a sample without luck."""
    return mean + spread * stats.norm.ppf((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("gallery", [2, 50, 1000])
def test_crossing_is_the_bayes_threshold(gallery: int) -> None:
    found = crossing(gaussian(4000, 6), gaussian(40000, 0), gallery)
    # A kernel of width h widens both densities; with so many scores by very little.
    assert found == pytest.approx(gaussian_threshold(6, gallery), abs=0.15)


def test_more_people_to_choose_from_ask_for_more() -> None:
    same, other = gaussian(30, 0.8, 0.05), gaussian(400, 0, 0.1)
    limits = [crossing(same, other, n) for n in (2, 20, 2000)]
    assert limits[0] < limits[1] < limits[2] < 0.8


def test_a_person_twice_among_strangers_does_not_lift_the_limit() -> None:
    same, other = gaussian(12, 0.6, 0.05), gaussian(132, 0, 0.1)
    clean = choose_threshold(same, other, gallery=12, n_pairs=66)
    doubled = choose_threshold(same, np.append(other, [0.97, 0.98]), gallery=12, n_pairs=66)
    assert clean is not None
    assert doubled is not None
    assert doubled.value == pytest.approx(clean.value, abs=0.03)
    assert doubled.value < 0.9


def test_a_mixed_up_label_does_not_lower_it_to_strangers() -> None:
    same, other = gaussian(9, 0.8, 0.05), gaussian(72, 0, 0.1)
    found = crossing(np.append(same, 0.01), other)
    assert found is not None
    assert found > 0.2


def test_tail_of_a_known_law() -> None:
    for shape in (0.0, 0.2):
        law = stats.genpareto(shape, scale=0.05)
        body = np.linspace(-1, 0, 95_000, endpoint=False)
        beyond = law.ppf((np.arange(5000) + 0.5) / 5000)
        tail = fit_tail(np.concatenate([body, beyond]))
        assert tail is not None
        assert tail.share == pytest.approx(0.05, rel=0.01)
        assert tail.shape == pytest.approx(shape, abs=0.03)
        for score in (0.1, 0.2):
            assert tail.false_match(score) == pytest.approx(0.05 * law.sf(score), rel=0.15)
            assert tail.threshold(tail.false_match(score)) == pytest.approx(score)


def test_a_tail_that_seems_to_end_is_not_believed() -> None:
    tail = fit_tail(np.random.default_rng(0).uniform(0, 0.5, 2000))
    assert tail is not None
    assert tail.shape == 0
    assert tail.false_match(0.51) > 0


def test_too_little_to_tell() -> None:
    assert fit_tail([]) is None
    assert fit_tail(np.linspace(0, 1, 40)) is None
    assert crossing([0.9, 0.9], np.zeros(50)) is None
    assert crossing([0.1, 0.1, 0.1], np.full(50, 0.5)) is None
    assert choose_threshold([], [], gallery=5, n_pairs=10) is None
    assert choose_threshold([0.9], [0.1, 0.2], gallery=2, n_pairs=1) is None


def test_without_repeats_the_tail_decides() -> None:
    rng = np.random.default_rng(3)
    found = choose_threshold([], rng.normal(0, 0.05, 2000), gallery=30, n_pairs=900)
    assert found is not None
    assert found.source == "tail"
    assert found.false_match == pytest.approx(0.05 / 900)
    assert 0.15 < found.value < 0.5


@given(seed=st.integers(0, 10**6), pairs=st.integers(1, 10**6))
@settings(max_examples=30, deadline=None)
def test_false_matches_fall_with_the_score(seed: int, pairs: int) -> None:
    tail = fit_tail(np.random.default_rng(seed).standard_t(6, 3000) / 20)
    assert tail is not None
    rates = [tail.false_match(score) for score in np.linspace(tail.start, 1.5, 30)]
    assert all(a >= b > 0 for a, b in zip(rates[:-1], rates[1:], strict=True))
    limit = tail.threshold(0.05 / pairs)
    assert limit >= tail.start
    if 0.05 / pairs < tail.share:
        assert tail.false_match(limit) == pytest.approx(0.05 / pairs)
