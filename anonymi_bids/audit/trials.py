"""One attack tried before and after: recognise a face by its shape, link a brain."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import scores
from anonymi_bids.audit.describe import SHAPE_SCORES, Describe, brain_ways
from anonymi_bids.audit.faces import acquired
from anonymi_bids.audit.features import KINDS, list_features, open_features
from anonymi_bids.audit.match import Matches, compare
from anonymi_bids.audit.rates import Rate, rate
from anonymi_bids.audit.resampling import permutation_p
from anonymi_bids.audit.rows import rows_of
from anonymi_bids.audit.visits import Duel, Item, make_duel
from anonymi_bids.errors import ImageError

ROUNDS = 1999
"""Permutations of the negative control."""

_MIN_FOR_MEAN = 4

Items = dict[str, list[Item]]


@dataclass(frozen=True, slots=True)
class Control:
    """Negative control: the same attack with names shuffled."""

    mean_hits: float
    rounds: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attack, before and after.

    Attributes
    ----------
    name, score : str
        What was attacked and which way of comparing was the strongest on the originals.
    contrast : str
        Contrast compared; empty if any.
    duel : Duel
        After: released probes.
    before, after : Matches
    rate_before, rate_after : Rate
        Known people found first in the release (or among the originals); ties count by lot.
    rate_back : Rate
        After, the other direction: released images given the right name.
    shuffled : Control
    wrong_region : Rate
        The same attack on the air round the head of the released images.
    not_acquired : mapping
        People left out because their original shows no skin (``original``), and people whose
        released images show none (``released``; counted as not identified).
    detector : mapping
        People on whose portraits a face detector fired, ``before`` and ``after``; empty if none
        was asked.
    recogniser : str
        Name and version of the face recogniser that was used; empty if none was.
    """

    name: str
    score: str
    contrast: str
    duel: Duel
    before: Matches
    after: Matches
    rate_before: Rate
    rate_after: Rate
    rate_back: Rate
    shuffled: Control
    wrong_region: Rate
    not_acquired: dict[str, int] = field(default_factory=dict)
    detector: dict[str, Rate] = field(default_factory=dict)
    recogniser: str = ""


def gather(features_dir: Path) -> tuple[Items, list[str]]:
    """Read whose features there are.

    Returns
    -------
    items : dict of list of Item
        By kind.
    damaged : list of str
        One sentence for each file that could not be read.
    """
    items: Items = {kind: [] for kind in KINDS}
    damaged = []
    for kind in KINDS:
        for path in list_features(features_dir, kind):
            try:
                with open_features(path) as (meta, features):
                    face = acquired(features["head"], float(features["skin_gap"][0]))
                    bridge = "brain_contrast" in features
            except ImageError as error:
                damaged.append(str(error))
                continue
            items[kind].append(Item(path, meta, face, bridge))
    return items, damaged


SHAPES = {"face_shape": "depth", "head_shape": "head"}
"""Attacks on surfaces and the views they compare: the face, or all that is seen from in front."""


def attack_shape(
    name: str, items: Items, rng: np.random.Generator, folder: Path
) -> Outcome | None:
    """Recognise released faces or heads by their shape among originals of other visits.

    Any contrast may be compared with any other. People whose originals show no skin cannot be
    attacked and are counted apart; a released image that shows none counts as not identified.

    Parameters
    ----------
    name : {"face_shape", "head_shape"}
    """
    seen = {kind: [item for item in items[kind] if item.face] for kind in ("original", "second")}
    before = make_duel(seen["original"], seen["original"], seen["second"])
    after = make_duel(items["released"], seen["original"], seen["second"], wanted=before.people)
    before = make_duel(seen["original"], seen["original"], seen["second"], wanted=after.people)
    if after.n == 0:
        return None
    released = {item.meta.subject for item in items["released"]}
    with_skin = {item.meta.subject for item in items["released"] if item.face}
    counts = {
        "original": len(released - {item.meta.subject for item in seen["original"]}),
        "released": len(set(after.people) - with_skin),
    }
    ways = {way: describe(SHAPES[name]) for way, describe in SHAPE_SCORES.items()}
    return attack(name, "", before, after, ways, rng, folder, counts)


def attack_brains(items: Items, rng: np.random.Generator, folder: Path) -> Outcome | None:
    """Link released brains with originals of other visits, within the commonest contrast."""
    people_by_contrast: Counter[str] = Counter()
    for contrast in sorted({item.meta.contrast for item in items["released"]}):
        duel = make_duel(*(_of(items, kind, contrast) for kind in ("released", *KINDS[:2])))
        people_by_contrast[contrast] = duel.n
    if not people_by_contrast or max(people_by_contrast.values()) == 0:
        return None
    contrast = min(people_by_contrast, key=lambda name: (-people_by_contrast[name], name))
    original, second = (_of(items, kind, contrast) for kind in KINDS[:2])
    after = make_duel(_of(items, "released", contrast), original, second)
    before = make_duel(original, original, second, wanted=after.people)
    ways = brain_ways(after.n**2)
    return attack(
        "brain_linkage", contrast, before, after, ways, rng, folder, {"original": 0, "released": 0}
    )


def _of(items: Items, kind: str, contrast: str) -> list[Item]:
    return [item for item in items[kind] if item.meta.contrast == contrast]


def attack(
    name: str,
    contrast: str,
    before: Duel,
    after: Duel,
    ways: dict[str, Describe],
    rng: np.random.Generator,
    folder: Path,
    counts: dict[str, int],
) -> Outcome:
    """Choose the strongest way on the originals, then use it on the release.

    Parameters
    ----------
    name, contrast : str
    before, after : Duel
        Of the same people, in the same order.
    ways : dict of str to callable
    rng : numpy Generator
        Shuffles names.
    folder : Path
        Where matrices too large for memory are kept meanwhile.
    counts : dict of str to int
        People who could not be acquired, see `Outcome`.
    """
    only_faces = name in SHAPES
    way, found_before = strongest(
        {
            way: functools.partial(_compare, before, describe, folder, only_faces)
            for way, describe in ways.items()
        }
    )
    found_after = _compare(after, ways[way], folder, only_faces)
    air = _compare(after, _air_row, folder, False)
    return outcome_of(
        name,
        after,
        (found_before, found_after, air),
        rng,
        score=way,
        contrast=contrast,
        not_acquired=counts,
    )


def strongest(ways: Mapping[str, Callable[[], Matches]]) -> tuple[str, Matches]:
    """Try ways of comparing on the originals; take what finds most people, then separates best.

    Raises
    ------
    ValueError
        If there is no way.
    """
    best: tuple[tuple[float, float], str, Matches] | None = None
    for way, compared in ways.items():
        found = compared()
        strength = float(found.hits.sum()), _separation(found)
        if best is None or strength > best[0]:
            best = strength, way, found
    if best is None:
        raise ValueError("An attack needs at least one way of comparing.")
    return best[1], best[2]


def outcome_of(
    name: str,
    duel: Duel,
    found: tuple[Matches, Matches, Matches],
    rng: np.random.Generator,
    *,
    score: str,
    contrast: str = "",
    not_acquired: dict[str, int] | None = None,
) -> Outcome:
    """Put what came out of an attack together.

    Parameters
    ----------
    name : str
    duel : Duel
        Of the release.
    found : three Matches
        Before, after, and after on nothing but air.
    rng : numpy Generator
        Shuffles names.
    score : str
        The way of comparing that was used.
    contrast : str
        Empty if any was compared with any.
    not_acquired : dict of str to int, optional
        By default everybody could be.
    """
    before, after, air = found
    return Outcome(
        name=name,
        score=score,
        contrast=contrast,
        duel=duel,
        before=before,
        after=after,
        rate_before=people_rate(before.hits),
        rate_after=people_rate(after.hits),
        rate_back=people_rate(after.hits_back),
        shuffled=shuffle_names(after, rng),
        wrong_region=people_rate(air.hits),
        not_acquired=not_acquired or {"original": 0, "released": 0},
    )


def _compare(duel: Duel, describe: Describe, folder: Path, only_faces: bool) -> Matches:
    centred = duel.n >= _MIN_FOR_MEAN
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rows-") as place:
        probes = rows_of(duel.probes.items, describe, Path(place), centred=centred)
        gallery = rows_of(duel.gallery.items, describe, Path(place), centred=centred)
        usable = np.array([item.face or not only_faces for item in duel.probes.items])
        return compare(duel, probes, gallery, usable)


def _air_row(features: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    return np.asarray(features["air"], dtype=np.float32)


def _separation(found: Matches) -> float:
    """AUC of same against different people; 0 where there is nobody else."""
    own = found.own[np.isfinite(found.own)]
    if len(own) == 0 or len(found.impostors) == 0:
        return 0.0
    return scores.auc(own, found.impostors)


def people_rate(hits: npt.NDArray[np.float64]) -> Rate:
    """Rate by person; ties broken by lot, the sum rounded to whole people."""
    return rate(int(np.floor(hits.sum() + 0.5)), len(hits))


def shuffle_names(found: Matches, rng: np.random.Generator) -> Control:
    """Shuffle the names of the released images and count the hits that are left."""
    n = len(found.first)
    drawn = np.array([float((found.first == rng.permutation(n)).sum()) for _ in range(ROUNDS)])
    p_value = permutation_p(float(found.hits.sum()), drawn)
    return Control(float(drawn.mean()), ROUNDS, p_value)


def people_annex(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Tell per person who was found; identifying, for ``private/`` only."""
    return [
        {
            "attack": outcome.name,
            "subject": person,
            "simulated_second_visit": bool(outcome.duel.simulated[index]),
            "rank_before": float(outcome.before.rank[index]),
            "rank_after": float(outcome.after.rank[index]),
            "score_after": _finite(outcome.after.own[index]),
        }
        for outcome in outcomes
        for index, person in enumerate(outcome.duel.people)
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
