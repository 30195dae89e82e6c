"""Find one person among very many, without reading all that is known about all of them.

Rows of a hundred thousand brains are gigabytes. Sketches of them, a thousand numbers each, keep
the correlations up to a known error, so a search reads the sketches of all and the rows of the few
that come first by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float32]

SKETCH = 1024
"""Numbers of a sketch; the error of a correlation is about 1/√1024 = 0.03."""

KEPT = 500
"""Rows that are read in full: those that come first by their sketches."""

_BLOCK_BYTES = 64_000_000


class Store(Protocol):
    """Rows of unit length, as `rows.Rows` gives them."""

    n: int
    width: int

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Give blocks of rows, with the index of each block's first row."""

    def take(self, indices: npt.ArrayLike) -> Block:
        """Give some rows."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """Short stand-ins of rows.

    Each value of a row is added to, or subtracted from, one number of the sketch drawn by lot
    (a count sketch; Charikar et al. 2004, doi:10.1016/S0304-3975(03)00400-6): products of two
    sketches are on average those of the rows, with a variance of about 1/`SKETCH`.

    Attributes
    ----------
    values : (n, SKETCH) float16 ndarray
    place : (V,) int64 ndarray
        Number of the sketch that each value of a row goes to.
    sign : (V,) float32 ndarray
        ±1.
    """

    values: npt.NDArray[np.float16]
    place: npt.NDArray[np.int64]
    sign: Block


def make_sketches(rows: Store, rng: np.random.Generator, path: Path | None = None) -> Sketches:
    """Sketch all rows, once; memory does not grow with their number.

    Parameters
    ----------
    rows : Store
    rng : numpy Generator
        Draws the places and signs.
    path : Path, optional
        Keep the sketches in this file, mapped into memory.
    """
    place = rng.integers(0, SKETCH, rows.width)
    sign = rng.choice(np.array([-1, 1], dtype=np.float32), rows.width)
    shape = (rows.n, SKETCH)
    values: npt.NDArray[np.float16] = (
        np.zeros(shape, dtype=np.float16)
        if path is None
        else np.memmap(path, dtype=np.float16, mode="w+", shape=shape)
    )
    made = Sketches(values, place, sign)
    folding = _folding(made)
    for start, block in rows.blocks():
        values[start : start + len(block)] = (folding @ block.T).T
    return made


def _folding(sketches: Sketches) -> npt.NDArray[np.float32]:
    """Sparse (SKETCH, V) matrix that makes a sketch of a row."""
    from scipy import sparse

    width = len(sketches.place)
    return sparse.csr_matrix(
        (sketches.sign, (sketches.place, np.arange(width))), shape=(SKETCH, width)
    )


def search(
    probe: npt.NDArray[np.floating], rows: Store, sketches: Sketches, *, kept: int = KEPT
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Find the rows most like a probe.

    Parameters
    ----------
    probe : (V,) ndarray
        Of unit length, as the rows.
    rows : Store
    sketches : Sketches
        Of the same rows.
    kept : int
        Rows that are compared in full.

    Returns
    -------
    indices : (kept,) int64 ndarray
        Best first.
    scores : (kept,) float32 ndarray
        Correlations, exact.
    """
    wanted = np.zeros(SKETCH, dtype=np.float32)
    np.add.at(wanted, sketches.place, sketches.sign * np.asarray(probe, dtype=np.float32))
    rough = np.empty(rows.n, dtype=np.float32)
    step = max(1, _BLOCK_BYTES // (4 * SKETCH))
    for start in range(0, rows.n, step):
        part = sketches.values[start : start + step]
        rough[start : start + len(part)] = part.astype(np.float32) @ wanted
    kept = min(kept, rows.n)
    first = np.sort(np.argpartition(-rough, kept - 1)[:kept])
    exact = rows.take(first) @ np.asarray(probe, dtype=np.float32)
    order = np.argsort(-exact, kind="stable")
    return first[order].astype(np.int64), exact[order].astype(np.float32)
