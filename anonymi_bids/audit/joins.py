"""Can the release be joined with a second dataset? Pairs of scans that look like one person.

Nothing is known about who is in both, and labels of two datasets are not believed, so nobody is
counted as found. What is counted is pairs above a threshold that comes from the release's own
repeats and strangers and from the pairs between the two, beside the number that chance would give
and beside how many of the release's own second visits the same comparison recognises.
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
from anonymi_bids.audit.between import Between, Way, both_ways, compare_between, paired_rows
from anonymi_bids.audit.describe import SHAPE_SCORES, brain_ways
from anonymi_bids.audit.match import Matches, compare
from anonymi_bids.audit.thresholds import Threshold, choose_threshold
from anonymi_bids.audit.trials import SHAPES, Items
from anonymi_bids.audit.visits import Duel, Item, make_duel, make_side

Array = npt.NDArray[np.float64]


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
        From the released images against other visits, and the pairs between the datasets.
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
        theirs = _of(gallery, contrast)
        counts = [len({i.meta.subject for i in side}) for side in (mine["released"], theirs)]
        ways = both_ways(brain_ways(max(counts) * counts[0]))
        found.append(_join("brain_linkage", contrast, mine, theirs, ways, folder))
    for name, view in SHAPES.items():
        mine = {kind: [item for item in entries if item.face] for kind, entries in items.items()}
        ways = both_ways({way: describe(view) for way, describe in SHAPE_SCORES.items()})
        theirs = [item for item in gallery if item.face]
        found.append(_join(name, "", mine, theirs, ways, folder))
    return [join for join in found if join is not None]


def _of(items: Sequence[Item], contrast: str) -> list[Item]:
    return [item for item in items if item.meta.contrast == contrast]


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
    between, threshold = compare_between(
        (people, side), (others, other_side), way, threshold, folder
    )
    simulated = int(before.simulated.sum())
    return Join(name, contrast, way, control, simulated, threshold, between, tried)


def strongest(
    before: Duel, ways: Sequence[Way], folder: Path
) -> tuple[Way, Matches | None, dict[str, float]]:
    """Choose the way that tells people apart best on the originals.

    Parameters
    ----------
    before : Duel
    ways : sequence of Way
        The most trusted first.
    folder : Path

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
    # A simulated visit is so like the first that separation from it says nothing: where all ways
    # tell everybody, the one that is best on true visits stands first.
    real = not before.simulated.all()
    best = max(
        range(len(ways)),
        key=lambda index: (strengths[index][0], strengths[index][1] if real else 0.0, -index),
    )
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
