"""Many images' features as one matrix, in memory or on disk, ready for one matrix product."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.audit.features import open_features
from anonymi_bids.audit.visits import Item

Row = npt.NDArray[np.float32]
Block = npt.NDArray[np.float32]

IN_MEMORY_BYTES = 400_000_000
BLOCK_BYTES = 64_000_000


class Rows:
    """Rows of unit length around their own mean, stored as float16.

    Parameters
    ----------
    items : sequence of Item
    describe : callable
        Features of an image → (V,) float32 row; NaN where unknown.
    folder : Path
        Where a matrix too large for memory is kept; the caller removes it.
    centred : bool
        Subtract the mean of all rows, which is what all people share.
    mean : (V,) ndarray, optional
        Mean of other rows, subtracted instead.

    Attributes
    ----------
    mean : (V,) float32 ndarray
        What was subtracted.
    """

    def __init__(
        self,
        items: Sequence[Item],
        describe: Callable[[Mapping[str, Any]], Row],
        folder: Path,
        *,
        centred: bool,
        mean: Row | None = None,
    ) -> None:
        self.n = len(items)
        self.mean: Row = np.zeros(0, dtype=np.float32)
        self._store: npt.NDArray[np.float16] = np.zeros((0, 0), dtype=np.float16)
        total = count = None
        for index, item in enumerate(items):
            with open_features(item.path) as (_, features):
                row = describe(features)
            if total is None or count is None:
                self._store = _make_store(self.n, row.size, folder)
                total, count = np.zeros(row.size), np.zeros(row.size)
            seen = np.isfinite(row)
            total[seen] += row[seen]
            count += seen
            self._store[index] = row
        self.width = self._store.shape[1]
        if total is not None and count is not None:
            own = total / np.maximum(count, 1) if centred else np.zeros(self.width)
            self.mean = own.astype(np.float32) if mean is None else mean
            self._normalise(self.mean)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Give blocks of rows of unit length, with the index of each block's first row."""
        for start, stop in self._ranges():
            yield start, self.between(start, stop)

    def scores(self, block: Block) -> Iterator[tuple[int, Block]]:
        """Compare other rows of unit length with all of these.

        Parameters
        ----------
        block : (p, V) ndarray
            From `between` or `take`.

        Yields
        ------
        first : int
            Index of the first of these rows.
        found : (p, k) ndarray
        """
        for start, entries in self.blocks():
            yield start, block @ entries.T

    def paired(self, block: Block, indices: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Compare each of some other rows with one of these, (p,)."""
        return np.asarray((block * self.take(indices)).sum(axis=1))

    def take(self, indices: npt.ArrayLike) -> Block:
        """Give some rows of unit length."""
        return self._scaled(self._store[np.asarray(indices, dtype=np.int64)])

    def between(self, start: int, stop: int) -> Block:
        """Give rows ``start`` to ``stop`` of unit length."""
        return self._scaled(self._store[start:stop])

    def _scaled(self, stored: npt.NDArray[np.float16]) -> Block:
        block = stored.astype(np.float32)
        block *= np.float32(1 / np.sqrt(max(1, self.width)))
        return block

    def _ranges(self) -> Iterator[tuple[int, int]]:
        step = max(1, BLOCK_BYTES // max(1, 4 * self.width))
        for start in range(0, self.n, step):
            yield start, min(self.n, start + step)

    def _normalise(self, mean: npt.NDArray[np.float32]) -> None:
        """Subtract the mean and give each row the length √V, so that float16 keeps its digits."""
        for start, stop in self._ranges():
            block = self._store[start:stop].astype(np.float32)
            block -= mean
            block[np.isnan(block)] = 0
            norms = np.sqrt(np.einsum("ij,ij->i", block, block))
            block *= (np.sqrt(self.width) / np.maximum(norms, 1e-6))[:, None]
            self._store[start:stop] = block


def rows_of(
    items: Sequence[Item],
    describe: Callable[[Mapping[str, Any]], Row],
    folder: Path,
    *,
    centred: bool,
    mean: Row | None = None,
) -> Rows:
    """Make rows of the kind that a way of comparing asks for.

    A way with a ``mask`` (`describe.ShiftedBrain`) asks for `ShiftedRows`; rows that do not lie on
    its grid are compared as they are.
    """
    mask = getattr(describe, "mask", None)
    if mask is not None and items:
        with open_features(items[0].path) as (_, features):
            if describe(features).size == int(mask.sum()):
                return ShiftedRows(mask, items, describe, folder, centred=centred, mean=mean)
    return Rows(items, describe, folder, centred=centred, mean=mean)


class ShiftedRows(Rows):
    """Maps on a grid, compared at the best of 27 shifts by one voxel along each axis.

    Two registrations to the atlas differ by some mm, and fine structure is lost on that. What is
    compared is the inner part of the map, which stays in the map at every shift.

    Parameters
    ----------
    mask : (I, J, K) bool ndarray
        Where the V values of a row lie on the grid, in array order.
    items, describe, folder, centred, mean
        As in `Rows`.
    """

    def __init__(
        self,
        mask: npt.NDArray[np.bool_],
        items: Sequence[Item],
        describe: Callable[[Mapping[str, Any]], Row],
        folder: Path,
        *,
        centred: bool,
        mean: Row | None = None,
    ) -> None:
        super().__init__(items, describe, folder, centred=centred, mean=mean)
        self._places = shifted_places(mask)

    def between(self, start: int, stop: int) -> Block:
        """Give rows ``start`` to ``stop`` where they are, inner part, unit length."""
        return self._inner(super().between(start, stop), UNSHIFTED)

    def take(self, indices: npt.ArrayLike) -> Block:
        """Give some rows where they are, inner part, unit length."""
        return self._inner(super().take(indices), UNSHIFTED)

    def scores(self, block: Block) -> Iterator[tuple[int, Block]]:
        """Compare as `Rows.scores`, each pair at its best shift."""
        for start, stop in self._ranges():
            whole = super().between(start, stop)
            found = np.full((len(block), stop - start), -1, dtype=np.float32)
            for number in range(len(self._places)):
                np.maximum(found, block @ self._inner(whole, number).T, out=found)
            yield start, found

    def paired(self, block: Block, indices: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Compare as `Rows.paired`, each pair at its best shift."""
        whole = super().take(indices)
        shifts = range(len(self._places))
        found = [(block * self._inner(whole, number)).sum(axis=1) for number in shifts]
        return np.asarray(np.max(found, axis=0))

    def _inner(self, whole: Block, number: int) -> Block:
        part = whole[:, self._places[number]]
        part -= part.mean(axis=1, keepdims=True)
        return part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), np.float32(1e-6))


UNSHIFTED = 13


def shifted_places(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """For each shift, tell where in a row the values lie that come to the inner part, (27, v)."""
    index = np.full(mask.shape, -1, dtype=np.int64)
    index[mask] = np.arange(int(mask.sum()))
    inner = np.argwhere(ndimage.binary_erosion(mask, np.ones((3, 3, 3), bool)))
    steps = itertools.product((-1, 0, 1), repeat=3)
    return np.stack([index[tuple((inner + step).T)] for step in steps])


def _make_store(n: int, width: int, folder: Path) -> npt.NDArray[np.float16]:
    if 2 * n * width <= IN_MEMORY_BYTES:
        return np.zeros((n, width), dtype=np.float16)
    number = len(list(folder.glob("rows-*.dat")))
    return np.memmap(folder / f"rows-{number}.dat", dtype=np.float16, mode="w+", shape=(n, width))
