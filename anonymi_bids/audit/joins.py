"""Can the release be joined with a second dataset? Pairs of scans that look like one person.

Nothing is known about who is in both, and labels of two datasets are not believed, so nobody is
counted as found. What is counted is pairs above a threshold that comes from the release's own
repeats and strangers, beside the number that chance would give and beside how many of the
release's own second visits the same comparison recognises.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import scores
from anonymi_bids.audit.describe import SHAPE_SCORES, Describe, brain_row
from anonymi_bids.audit.match import BINS, Matches, compare
from anonymi_bids.audit.rows import Rows
from anonymi_bids.audit.thresholds import Threshold, choose_threshold
from anonymi_bids.audit.trials import BRAIN_WAYS, SHAPES, Items
from anonymi_bids.audit.visits import Duel, Item, Side, make_duel, make_side

Array = npt.NDArray[np.float64]

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


@dataclass(frozen=True, slots=True)
class Join:
    """One comparison of the release with the other dataset.

    Attributes
    ----------
    name : str
        ``brain_linkage``, ``face_shape`` or ``head_shape``: as the attack inside the release.
    contrast : str
        ``T1w``; empty if any may meet any.
    way : Way
        The strongest on the release's own originals.
    control : Matches or None
        Inside the release: originals against other visits. None if nobody can be compared.
    simulated : int
        People of the control whose other visit is simulated.
    threshold : Threshold or None
        From the released images against other visits.
    between : Between
    tried : mapping of str to float
        Separation d' of each way on the originals.
    """

    name: str
    contrast: str
    way: Way
    control: Matches | None
    simulated: int
    threshold: Threshold | None
    between: Between
    tried: Mapping[str, float] = field(default_factory=dict)


def join_datasets(items: Items, gallery: Sequence[Item], folder: Path) -> list[Join]:
    """Compare a release with a second dataset: brains within each contrast, faces, heads.

    Parameters
    ----------
    items : dict of list of Item
        Of this run (`trials.gather`).
    gallery : sequence of Item
        Of the second dataset.
    folder : Path
        Where matrices too large for memory are kept meanwhile.

    Returns
    -------
    list of Join
    """
    found = []
    contrasts = {item.meta.contrast for item in items["released"]}
    for contrast in sorted(contrasts & {item.meta.contrast for item in gallery}):
        mine = {kind: _of(entries, contrast) for kind, entries in items.items()}
        ways = both_ways({name: brain_row(name) for name in BRAIN_WAYS})
        found.append(_join("brain_linkage", contrast, mine, _of(gallery, contrast), ways, folder))
    for name, view in SHAPES.items():
        mine = {kind: [item for item in entries if item.face] for kind, entries in items.items()}
        ways = both_ways({way: describe(view) for way, describe in SHAPE_SCORES.items()})
        theirs = [item for item in gallery if item.face]
        found.append(_join(name, "", mine, theirs, ways, folder))
    return [join for join in found if join is not None]


def _of(items: Sequence[Item], contrast: str) -> list[Item]:
    return [item for item in items if item.meta.contrast == contrast]


def both_ways(describes: Mapping[str, Describe]) -> list[Way]:
    """Each way with what all share taken out, and without."""
    return [
        Way(n, describe, centred) for centred in (True, False) for n, describe in describes.items()
    ]


def _join(
    name: str,
    contrast: str,
    items: Items,
    gallery: Sequence[Item],
    ways: Sequence[Way],
    folder: Path,
) -> Join | None:
    if not items["released"] or not gallery:
        return None
    after = make_duel(items["released"], items["original"], items["second"])
    before = make_duel(items["original"], items["original"], items["second"], wanted=after.people)
    way, control, tried = strongest(before, ways, folder)
    own = inside(after, way, folder)
    people, side = make_side(items["released"])
    others, other_side = make_side(gallery)
    threshold = choose_threshold(
        own.own[np.isfinite(own.own)],
        own.impostors,
        gallery=len(others),
        n_pairs=len(people) * len(others),
    )
    limit = threshold.value if threshold is not None else np.inf
    between = compare_between((people, side), (others, other_side), way, limit, folder)
    simulated = int(before.simulated.sum())
    return Join(name, contrast, way, control, simulated, threshold, between, tried)


def strongest(
    before: Duel, ways: Sequence[Way], folder: Path
) -> tuple[Way, Matches | None, dict[str, float]]:
    """Choose the way that tells people apart best on the originals.

    Returns
    -------
    way : Way
    found : Matches or None
        By that way; None where there is nobody to tell apart, and the first way is taken.
    tried : dict of str to float
        Separation d' of each way.
    """
    if before.n < 2:
        return ways[0], None, {}
    results = [(way, inside(before, way, folder)) for way in ways]
    strengths = [_strength(found) for _, found in results]
    best = max(range(len(ways)), key=lambda index: (strengths[index], -index))
    tried = {way.title: strength[1] for way, strength in zip(ways, strengths, strict=True)}
    return *results[best], tried


def _strength(found: Matches) -> tuple[float, float]:
    """Area under the curve, and separation d'."""
    same = found.own[np.isfinite(found.own)]
    if len(same) < 2 or len(found.impostors) < 2:
        return 0.0, 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = scores.d_prime(same, found.impostors)
    return scores.auc(same, found.impostors), float(np.nan_to_num(apart, posinf=1e6))


def inside(duel: Duel, way: Way, folder: Path) -> Matches:
    """Compare the people of one dataset with each other, by one way."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rows-") as place:
        probes, gallery = paired_rows(duel.probes.items, duel.gallery.items, way, Path(place))
        return compare(duel, probes, gallery)


def paired_rows(
    one: Sequence[Item], two: Sequence[Item], way: Way, folder: Path
) -> tuple[Rows, Rows]:
    """Rows of two sets of images, each without its own mean: two scanners differ in theirs.

    A set of fewer than four people has no mean of its own worth the name, and takes the other's.
    """
    enough = [
        len({item.meta.subject for item in items}) >= FEWEST_FOR_MEAN for items in (one, two)
    ]
    if not way.centred or not any(enough):
        left = Rows(one, way.describe, folder, centred=False)
        return left, Rows(two, way.describe, folder, centred=False)
    if enough[0]:
        left = Rows(one, way.describe, folder, centred=True)
        borrowed = None if enough[1] else left.mean
        return left, Rows(two, way.describe, folder, centred=True, mean=borrowed)
    right = Rows(two, way.describe, folder, centred=True)
    return Rows(one, way.describe, folder, centred=True, mean=right.mean), right


def compare_between(
    one: tuple[tuple[str, ...], Side],
    two: tuple[tuple[str, ...], Side],
    way: Way,
    limit: float,
    folder: Path,
) -> Between:
    """Score all pairs of people of two datasets, the best pair of images counting.

    Parameters
    ----------
    one, two : (people, Side)
    way : Way
    limit : float
        Pairs at or above it are listed.
    folder : Path
    """
    (people, side), (others, other_side) = one, two
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rows-") as place:
        left, right = paired_rows(side.items, other_side.items, way, Path(place))
        return search_between(people, side, others, other_side, left, right, limit)


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
        for other, entries in right.blocks():
            theirs = other_side.person[other : other + len(entries)]
            found = _by_person(rows @ entries.T, mine, theirs)
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


def private_rows(joins: Sequence[Join]) -> list[dict[str, Any]]:
    """Tell who looks like whom; identifying, for ``private/`` only."""
    rows = []
    for join in joins:
        between = join.between
        alike = {(int(i), int(j)) for i, j, _ in between.alike}
        pairs = alike | {(i, int(j)) for i, j in enumerate(between.first)}
        score = {(int(i), int(j)): float(s) for i, j, s in between.alike}
        for i, j in sorted(pairs):
            rows.append(
                {
                    "compared": join.name,
                    "contrast": join.contrast or "any",
                    "subject": between.people[i],
                    "other_dataset": between.others[j],
                    "score": round(score.get((i, j), float(between.best[i])), 6),
                    "looks_like_one_person": (i, j) in alike,
                    "best_match": int(between.first[i]) == j,
                    "best_match_of_each_other": int(between.first[i]) == j
                    and int(between.first_back[j]) == i,
                }
            )
    return rows
