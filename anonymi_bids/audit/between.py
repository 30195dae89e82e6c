"""All pairs of a person of one dataset and a person of another, by one way to compare."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.describe import Describe
from anonymi_bids.audit.match import BINS
from anonymi_bids.audit.rows import Rows, rows_of
from anonymi_bids.audit.thresholds import Threshold, stricter
from anonymi_bids.audit.visits import Item, Side

Array = npt.NDArray[np.float64]

MOST_PAIRS = 4_000_000
"""Pairs between two datasets whose scores are looked at for a threshold."""

FEWEST_FOR_MEAN = 4
"""People from which on what they share can be told from what they are."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compare: how an image becomes a row, and whether what all share is taken out."""

    name: str
    describe: Describe
    centred: bool

    @property
    def title(self) -> str:
        """Name for the report's numbers."""
        return f"{self.name}, {'mean removed' if self.centred else 'as it is'}"


@dataclass(frozen=True, slots=True)
class Between:
    """All pairs of a person of the release and a person of the other dataset.

    Attributes
    ----------
    people, others : tuple of str
        Labels; for ``private/`` only.
    best, best_back : (n,), (m,) ndarray
        Highest score of each.
    first, first_back : (n,), (m,) int ndarray
        Whose.
    alike : (k, 3) ndarray
        Pairs at or above the threshold: index, index, score.
    histogram : (100,) ndarray
        Counts of all pairs over `match.BINS`.
    """

    people: tuple[str, ...]
    others: tuple[str, ...]
    best: Array
    best_back: Array
    first: npt.NDArray[np.int64]
    first_back: npt.NDArray[np.int64]
    alike: Array
    histogram: Array

    @property
    def mutual(self) -> int:
        """Pairs who are each other's best match."""
        return int((self.first_back[self.first] == np.arange(len(self.people))).sum())


def both_ways(describes: Mapping[str, Describe]) -> list[Way]:
    """Each way with what all share taken out, and without."""
    return [
        Way(n, describe, centred) for centred in (True, False) for n, describe in describes.items()
    ]


def paired_rows(
    one: Sequence[Item], two: Sequence[Item], way: Way, folder: Path
) -> tuple[Rows, Rows]:
    """Rows of two sets of images, each without its own mean: two scanners differ in theirs.

    A set of fewer than four people has no mean of its own worth the name, and takes the other's.
    """
    enough = [
        len({item.meta.subject for item in items}) >= FEWEST_FOR_MEAN for items in (one, two)
    ]
    make = functools.partial(rows_of, describe=way.describe, folder=folder)
    if not way.centred or not any(enough):
        return make(one, centred=False), make(two, centred=False)
    if enough[0]:
        left = make(one, centred=True)
        return left, make(two, centred=True, mean=None if enough[1] else left.mean)
    right = make(two, centred=True)
    return make(one, centred=True, mean=right.mean), right


def compare_between(
    one: tuple[tuple[str, ...], Side],
    two: tuple[tuple[str, ...], Side],
    way: Way,
    inside: Threshold | None,
    folder: Path,
) -> tuple[Between, Threshold | None]:
    """Score all pairs of people of two datasets, the best pair of images counting.

    Strangers of two datasets differ otherwise than strangers of one: by the scanner, and because a
    mean that is taken out of few scans takes a share of each with it. So pairs between the two
    who are nobody's best match raise the threshold where their tail asks for it.

    Parameters
    ----------
    one, two : (people, Side)
    way : Way
    inside : Threshold or None
        From the scores inside the release.
    folder : Path

    Returns
    -------
    between : Between
    threshold : Threshold or None
        The stricter one, from which on pairs are listed.
    """
    (people, side), (others, other_side) = one, two
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rows-") as place:
        left, right = paired_rows(side.items, other_side.items, way, Path(place))
        sides = (people, side, others, other_side, left, right)
        found = search_between(*sides, np.inf)
        between, strangers = scores_between(found, side, other_side, left, right)
        threshold = stricter(inside, between, strangers, n_pairs=len(people) * len(others))
        if threshold is not None:
            found = search_between(*sides, threshold.value)
        return found, threshold


def scores_between(
    found: Between, side: Side, other_side: Side, left: Rows, right: Rows
) -> tuple[Array, Array]:
    """Scores between two datasets: of all pairs, and of those who are neither's best match.

    The latter are strangers, whoever is in both.

    Returns
    -------
    all_pairs, strangers : (k,), (s,) ndarray
        Of at most about `MOST_PAIRS` pairs, those of every so-many-th person.
    """
    step = max(1, len(found.people) * len(found.others) // MOST_PAIRS)
    whole, apart = [np.zeros(0)], [np.zeros(0)]
    for start, rows in left.blocks():
        mine = side.person[start : start + len(rows)]
        for other, images in right.scores(rows):
            theirs = other_side.person[other : other + images.shape[1]]
            block = _by_person(images, mine, theirs).astype(np.float64)
            here = np.arange(int(mine[0]), int(mine[0]) + len(block))
            there = np.arange(int(theirs[0]), int(theirs[0]) + block.shape[1])
            nobodys = found.first[here][:, None] != there
            nobodys &= found.first_back[there][None] != here[:, None]
            taken = here % step == 0
            whole.append(block[taken].ravel())
            apart.append(block[taken][nobodys[taken]])
    return np.concatenate(whole), np.concatenate(apart)


def search_between(
    people: tuple[str, ...],
    side: Side,
    others: tuple[str, ...],
    other_side: Side,
    left: Rows,
    right: Rows,
    limit: float,
) -> Between:
    """As `compare_between`, from rows at hand; memory does not grow with the pairs."""
    best, first = np.full(len(people), -np.inf), np.zeros(len(people), dtype=np.int64)
    back, first_back = np.full(len(others), -np.inf), np.zeros(len(others), dtype=np.int64)
    counts = np.zeros(len(BINS) - 1)
    alike: dict[tuple[int, int], float] = {}
    for start, rows in left.blocks():
        mine = side.person[start : start + len(rows)]
        for other, images in right.scores(rows):
            theirs = other_side.person[other : other + images.shape[1]]
            found = _by_person(images, mine, theirs)
            low, far = int(mine[0]), int(theirs[0])
            _raise(best, first, found.max(axis=1), far + found.argmax(axis=1), low)
            _raise(back, first_back, found.max(axis=0), low + found.argmax(axis=0), far)
            counts += np.histogram(np.clip(found, -1, 1), BINS)[0]
            for i, j in np.argwhere(found >= limit).tolist():
                pair = low + i, far + j
                alike[pair] = max(float(found[i, j]), alike.get(pair, -np.inf))
    listed = [(i, j, score) for (i, j), score in sorted(alike.items())]
    return Between(
        people, others, best, back, first, first_back, np.array(listed).reshape(-1, 3), counts
    )


def _by_person(
    images: npt.NDArray[np.float32], mine: npt.NDArray[np.int64], theirs: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Best score of each pair of people in a block."""
    rows = np.flatnonzero(np.diff(mine, prepend=-1))
    columns = np.flatnonzero(np.diff(theirs, prepend=-1))
    merged = np.maximum.reduceat(np.maximum.reduceat(images, columns, axis=1), rows, axis=0)
    return np.asarray(merged.round(6))


def _raise(
    best: Array,
    first: npt.NDArray[np.int64],
    top: npt.NDArray[np.float32],
    whose: npt.NDArray[np.int64],
    start: int,
) -> None:
    """Keep the highest score of each person and whose it is."""
    part = slice(start, start + len(top))
    higher = top > best[part]
    first[part] = np.where(higher, whose, first[part])
    best[part] = np.where(higher, top, best[part])
