"""Many images' features as one matrix, in memory or on disk, ready for one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

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


def _make_store(n: int, width: int, folder: Path) -> npt.NDArray[np.float16]:
    if 2 * n * width <= IN_MEMORY_BYTES:
        return np.zeros((n, width), dtype=np.float16)
    number = len(list(folder.glob("rows-*.dat")))
    return np.memmap(folder / f"rows-{number}.dat", dtype=np.float16, mode="w+", shape=(n, width))
