"""Compare everybody with everybody, in blocks, and keep what the rates need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.rates import hit_probability
from anonymi_bids.audit.rows import Rows
from anonymi_bids.audit.visits import Duel

Array = npt.NDArray[np.float64]

BINS = np.linspace(-1, 1, 101)
BLOCK_BYTES = 128_000_000
_KEPT_IMPOSTORS = 200_000

MATRIX_PEOPLE = 3000
"""Up to so many people all scores are kept, so that parts of the gallery can be searched."""


@dataclass(frozen=True, slots=True)
class Matches:
    """What came out of comparing n people with n people.

    Attributes
    ----------
    own : (n,) ndarray
        Best score of each person with another visit of the same person.
    rank : (n,) ndarray
        Rank of the right released image when a known person is searched in the release.
    ties : (n,) ndarray
    rank_back : (n,) ndarray
        Rank of the right person when a released image is searched among known people.
    ties_back : (n,) ndarray
    first : (n,) int ndarray
        Whose released image comes first for each known person.
    impostors : (k,) ndarray
        Scores of different people, thinned out evenly.
    histogram : (2, 100) ndarray
        Counts of same-person and different-person scores over `BINS`.
    scores : (n, n) float32 ndarray or None
        Of released person i and known person j; None for more than `MATRIX_PEOPLE`.
    """

    own: Array
    rank: Array
    ties: Array
    rank_back: Array
    ties_back: Array
    first: npt.NDArray[np.int64]
    impostors: Array
    histogram: Array
    scores: npt.NDArray[np.float32] | None = None

    @property
    def hits(self) -> npt.NDArray[np.float64]:
        """Chance of each known person to be found first in the release, (n,)."""
        return hit_probability(self.rank, self.ties)

    @property
    def hits_back(self) -> npt.NDArray[np.float64]:
        """Chance of each released image to be given the right name, (n,)."""
        return hit_probability(self.rank_back, self.ties_back)


def compare(
    duel: Duel, probes: Rows, gallery: Rows, acquired: npt.NDArray[np.bool_] | None = None
) -> Matches:
    """Score all pairs of people by one matrix product, the best pair of images counting.

    Parameters
    ----------
    duel : Duel
    probes, gallery : Rows
        In the order of the duel's images.
    acquired : (probes,) bool ndarray, optional
        Probe images that show what is compared; the others match nobody.

    Returns
    -------
    Matches
    """
    n = duel.n
    usable = np.ones(probes.n, dtype=bool) if acquired is None else acquired
    own = _own_scores(duel, probes, gallery, usable)
    higher, equal = np.zeros((2, n)), np.zeros((2, n))
    best, first = np.full(n, -np.inf), np.zeros(n, dtype=np.int64)
    kept, counts = [], np.zeros(len(BINS) - 1)
    stride = max(1, n * n // _KEPT_IMPOSTORS)
    matrix = np.empty((n, n), dtype=np.float32) if n <= MATRIX_PEOPLE else None
    for start, stop in _people_blocks(duel, probes):
        scores = _people_scores(duel, probes, gallery, usable, start, stop)
        rows = np.arange(start, stop)
        scores[rows - start, rows] = own[rows]
        if matrix is not None:
            matrix[rows] = scores
        others = np.ones(scores.shape, dtype=bool)
        others[rows - start, rows] = False
        above = (scores > own[None, :]) & others
        higher[0] += above.sum(axis=0)
        equal[0] += ((scores == own[None, :]) & others).sum(axis=0)
        higher[1, rows] = ((scores > own[rows, None]) & others).sum(axis=1)
        equal[1, rows] = ((scores == own[rows, None]) & others).sum(axis=1)
        top = scores.max(axis=0)
        first = np.where(top > best, start + scores.argmax(axis=0), first)
        best = np.maximum(best, top)
        apart = scores[others & np.isfinite(scores)]
        counts += np.histogram(np.clip(apart, -1, 1), BINS)[0]
        kept.append(apart[:: max(1, stride)])
    finite = own[np.isfinite(own)]
    mates = np.histogram(np.clip(finite, -1, 1), BINS)[0]
    return Matches(
        own=own,
        rank=_rank(own, higher[0], equal[0], n),
        ties=np.where(np.isfinite(own), equal[0], n - 1),
        rank_back=_rank(own, higher[1], equal[1], n),
        ties_back=np.where(np.isfinite(own), equal[1], n - 1),
        first=first,
        impostors=np.concatenate(kept) if kept else np.zeros(0),
        histogram=np.stack([mates, counts]).astype(np.float64),
        scores=matrix,
    )


def _rank(own: Array, higher: Array, equal: Array, n: int) -> Array:
    """Rank with half of the ties; who could not be compared comes last."""
    return np.where(np.isfinite(own), 1 + higher + equal / 2, n + 1 + (n - 1) / 2)


def _own_scores(duel: Duel, probes: Rows, gallery: Rows, usable: npt.NDArray[np.bool_]) -> Array:
    own = np.full(duel.n, -np.inf)
    for person, pairs in enumerate(duel.own):
        pairs = pairs[usable[pairs[:, 0]]]
        if len(pairs):
            scores = gallery.paired(probes.take(pairs[:, 0]), pairs[:, 1])
            own[person] = np.round(float(scores.max()), 6)
    return own


def _people_blocks(duel: Duel, probes: Rows) -> list[tuple[int, int]]:
    """Cut the people into runs that fit into memory."""
    per_row = 4 * (probes.width + len(duel.gallery.items))
    images = max(1, BLOCK_BYTES // max(1, per_row))
    ends = np.append(duel.probes.starts, len(duel.probes.items))
    blocks, start = [], 0
    while start < duel.n:
        stop = int(np.searchsorted(ends, ends[start] + images, side="right")) - 1
        stop = min(max(stop, start + 1), duel.n)
        blocks.append((start, stop))
        start = stop
    return blocks


def _people_scores(
    duel: Duel,
    probes: Rows,
    gallery: Rows,
    usable: npt.NDArray[np.bool_],
    start: int,
    stop: int,
) -> Array:
    """Scores of people ``start`` to ``stop`` against everybody, (stop − start, n)."""
    starts = np.append(duel.probes.starts, len(duel.probes.items))
    low, high = int(starts[start]), int(starts[stop])
    block = probes.between(low, high)
    images = np.empty((high - low, len(duel.gallery.items)), dtype=np.float32)
    for first, found in gallery.scores(block):
        images[:, first : first + found.shape[1]] = found
    images[~usable[low:high]] = -np.inf
    by_person = np.maximum.reduceat(images, duel.gallery.starts, axis=1)
    merged = np.maximum.reduceat(by_person, starts[start:stop] - low, axis=0)
    result: Array = merged.astype(np.float64)
    return result.round(6)
