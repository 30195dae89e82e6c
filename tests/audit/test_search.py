"""A search by sketches finds what reading everything finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.audit.search import SKETCH, make_sketches, search

WIDTH = 6000


class Fixed:
    """Rows in memory."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        self.n, self.width = rows.shape

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, self.n, 700):
            yield start, self.rows[start : start + 700]

    def take(self, indices: object) -> np.ndarray:
        return self.rows[np.asarray(indices)]


@pytest.fixture(scope="module")
def many() -> Fixed:
    return Fixed(np.random.default_rng(0).normal(size=(2000, WIDTH)).astype(np.float32))


def probe_like(row: np.ndarray, likeness: float, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(size=len(row))
    noise -= (noise @ row) * row
    return likeness * row + np.sqrt(1 - likeness**2) * noise / np.linalg.norm(noise)


def test_the_right_one_comes_first_with_its_exact_score(many: Fixed, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sketches = make_sketches(many, rng, tmp_path / "sketches.dat")
    for index in range(0, 2000, 80):
        found, scores = search(probe_like(many.rows[index], 0.4, rng), many, sketches, kept=100)
        assert found[0] == index
        assert scores[0] == pytest.approx(0.4, abs=1e-4)
        assert (np.diff(scores) <= 0).all()


def test_all_kept_is_the_whole_search(many: Fixed) -> None:
    rng = np.random.default_rng(2)
    sketches = make_sketches(many, rng)
    probe = probe_like(many.rows[5], 0.1, rng)
    found, scores = search(probe, many, sketches, kept=5000)
    exact = many.rows @ probe.astype(np.float32)
    assert sorted(found.tolist()) == list(range(2000))
    assert scores == pytest.approx(exact[found], abs=1e-5)
    assert found[0] == exact.argmax()


def test_error_of_a_sketch_is_as_said(many: Fixed) -> None:
    rng = np.random.default_rng(3)
    sketches = make_sketches(many, rng)
    pairs = rng.integers(0, many.n, (1500, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    values = sketches.values.astype(np.float64)
    rough = (values[pairs[:, 0]] * values[pairs[:, 1]]).sum(axis=1)
    exact = (many.rows[pairs[:, 0]] * many.rows[pairs[:, 1]]).sum(axis=1)
    assert (rough - exact).std() == pytest.approx(1 / np.sqrt(SKETCH), rel=0.1)
    assert abs((rough - exact).mean()) < 0.003
