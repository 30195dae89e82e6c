"""Many images' features as one matrix, in memory or on disk, ready for one matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.features import Features, load_features
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
    """

    def __init__(
        self,
        items: Sequence[Item],
        describe: Callable[[Features], Row],
        folder: Path,
        *,
        centred: bool,
    ) -> None:
        self.n = len(items)
        self._store: npt.NDArray[np.float16] = np.zeros((0, 0), dtype=np.float16)
        total = count = None
        for index, item in enumerate(items):
            row = describe(load_features(item.path)[1])
            if total is None or count is None:
                self._store = _make_store(self.n, row.size, folder)
                total, count = np.zeros(row.size), np.zeros(row.size)
            seen = np.isfinite(row)
            total[seen] += row[seen]
            count += seen
            self._store[index] = row
        self.width = self._store.shape[1]
        mean = np.zeros(self.width)
        if centred and total is not None and count is not None:
            mean = total / np.maximum(count, 1)
        self._mean = mean.astype(np.float32)
        self._norms = np.ones(self.n, dtype=np.float32)
        norms = [np.linalg.norm(block, axis=1) for _, block in self._blocks()]
        if norms:
            self._norms = np.maximum(np.concatenate(norms), 1e-6).astype(np.float32)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Give blocks of rows of unit length, with the index of each block's first row."""
        yield from self._blocks()

    def take(self, indices: npt.ArrayLike) -> Block:
        """Give some rows of unit length."""
        wanted = np.asarray(indices, dtype=np.int64)
        return self._prepared(self._store[wanted], self._norms[wanted])

    def between(self, start: int, stop: int) -> Block:
        """Give rows ``start`` to ``stop`` of unit length."""
        return self._prepared(self._store[start:stop], self._norms[start:stop])

    def _blocks(self) -> Iterator[tuple[int, Block]]:
        step = max(1, BLOCK_BYTES // max(1, 4 * self.width))
        for start in range(0, self.n, step):
            yield start, self.between(start, min(self.n, start + step))

    def _prepared(self, raw: npt.NDArray[np.float16], norms: npt.NDArray[np.float32]) -> Block:
        block = raw.astype(np.float32)
        block -= self._mean
        np.nan_to_num(block, copy=False, nan=0.0)
        block /= norms[:, None]
        return block


def _make_store(n: int, width: int, folder: Path) -> npt.NDArray[np.float16]:
    if 2 * n * width <= IN_MEMORY_BYTES:
        return np.zeros((n, width), dtype=np.float16)
    number = len(list(folder.glob("rows-*.dat")))
    return np.memmap(folder / f"rows-{number}.dat", dtype=np.float16, mode="w+", shape=(n, width))
