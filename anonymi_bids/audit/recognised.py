"""Recognise released heads by a face recogniser that is shown portraits of them.

What is compared are vectors of faces (`anonymi_bids.audit.portraits`), each portrait aligned by
force, so that a detector's failure hides nobody. Known people are searched in the release: by
portraits of another visit, or by photographs (`anonymi_bids.audit.photos`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import learn
from anonymi_bids.audit.features import open_features
from anonymi_bids.audit.match import Matches
from anonymi_bids.audit.rates import Rate
from anonymi_bids.audit.recogniser import EXTRA, unit
from anonymi_bids.audit.trials import Items, Outcome, outcome_of, people_rate, strongest
from anonymi_bids.audit.visits import Duel, Item, make_duel

NAME, PHOTO = "face_recogniser", "face_photo"

MOST_PEOPLE = 300
"""More are not attacked: portraits are compared one by one."""

_MIN_FOR_MEAN = 4
_MOST_ROWS = 6000
"""Portraits that the classifier learns from; of more, each person gives some, evenly chosen."""

Vectors = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a recogniser made of one image, or of one person's photographs.

    Attributes
    ----------
    vectors : (v, d) float32 ndarray
        One a portrait.
    view : (v,) int ndarray
        Which camera, light and threshold; negative for photographs.
    air : (1, d) float32 ndarray
        Of nothing but the air round the head.
    detector : float
        Surest score of the detector on the portraits from in front; NaN if it did not fire.
    """

    vectors: Vectors
    view: npt.NDArray[np.int64]
    air: Vectors
    detector: float

    @property
    def fired(self) -> bool:
        """Whether a detector saw a face."""
        return bool(np.isfinite(self.detector))


def read_look(item: Item) -> tuple[Look, str] | None:
    """Read what the recogniser made of an image, and the recogniser's name; None if nothing."""
    with open_features(item.path) as (_, features):
        if "embedding" not in features:
            return None
        look = Look(
            np.asarray(features["embedding"], dtype=np.float32),
            np.asarray(features["view"], dtype=np.int64),
            np.asarray(features["embedding_air"], dtype=np.float32),
            float(features["detector"][0]),
        )
        return look, bytes(features["recogniser"]).decode(errors="replace")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """All images that were shown to one recogniser.

    Attributes
    ----------
    items : dict of list of Item
        By kind; only those that were shown, originals only where they show skin.
    looks : dict
        Path of the features → `Look`.
    recogniser : str
    missing : str
        Why nothing can be attacked; empty if it can.
    """

    items: Items
    looks: dict[str, Look]
    recogniser: str
    missing: str

    def look(self, item: Item) -> Look:
        """Look of an image."""
        return self.looks[str(item.path)]


def gather_looks(items: Items) -> Shown:
    """Read all looks, and say why there are none or why they cannot be compared."""
    kept: Items = {kind: [] for kind in items}
    looks: dict[str, Look] = {}
    names = set()
    for kind, entries in items.items():
        for item in entries:
            read = read_look(item) if item.face or kind == "released" else None
            if read is not None:
                kept[kind].append(item)
                looks[str(item.path)] = read[0]
                names.add(read[1])
    if not looks:
        missing = (
            "Portraits shown to a recogniser of faces: none was installed when the images were "
            f"de-identified ({EXTRA}, then a run into a new OUTPUT)."
        )
    elif len(names) > 1:
        missing = (
            "Portraits shown to a recogniser of faces: images were shown to different ones, so "
            "they cannot be compared (one --recogniser for all, and a new OUTPUT)."
        )
    else:
        missing = ""
    return Shown(kept, looks, min(names, default=""), missing)


def attack_recogniser(shown: Shown, rng: np.random.Generator) -> Outcome | None:
    """Search released heads among originals of other visits; None if nobody can be attacked.

    Every released image counts, whether a detector sees a face on it or not.

    Parameters
    ----------
    shown : Shown
    rng : numpy Generator
        Chooses people if there are more than `MOST_PEOPLE`, and shuffles names.
    """
    known = shown.items["original"], shown.items["second"]
    before = make_duel(known[0], *known)
    after = make_duel(shown.items["released"], *known, wanted=before.people)
    if after.n > MOST_PEOPLE:
        chosen = sorted(rng.choice(after.n, MOST_PEOPLE, replace=False).tolist())
        wanted = [after.people[index] for index in chosen]
        after = make_duel(shown.items["released"], *known, wanted=wanted)
    before = make_duel(known[0], *known, wanted=after.people)
    if after.n == 0:
        return None
    released = {item.meta.subject for item in shown.items["released"]}
    lost = released - {item.meta.subject for item in shown.items["original"]}
    sides = [
        ([shown.look(item) for item in duel.probes.items], _known_looks(duel, shown))
        for duel in (before, after)
    ]
    counts = {"original": len(lost), "released": 0}
    found = compare_looks(NAME, (before, after), sides, rng, counts)
    return replace(found, recogniser=shown.recogniser)


def _known_looks(duel: Duel, shown: Shown) -> list[Look]:
    return [shown.look(item) for item in duel.gallery.items]


def compare_looks(
    name: str,
    duels: tuple[Duel, Duel],
    sides: Sequence[tuple[list[Look], list[Look]]],
    rng: np.random.Generator,
    counts: dict[str, int],
) -> Outcome:
    """Choose the strongest way of comparing on the originals, then use it on the release.

    Parameters
    ----------
    name : str
    duels : two Duel
        Before and after.
    sides : two pairs of list of Look
        Looks of each duel's probes and gallery, in the order of its images.
    rng : numpy Generator
    counts : dict
        People not acquired.
    """
    way, before = strongest(
        {
            way: functools.partial(_compared, score, duels[0], sides[0])
            for way, score in WAYS.items()
        }
    )
    after = _compared(WAYS[way], duels[1], sides[1])
    nothing = [_only_air(look) for look in sides[1][0]], [_only_air(look) for look in sides[1][1]]
    air = _compared(mean_scores, duels[1], nothing)
    found = outcome_of(name, duels[1], (before, after, air), rng, score=way, not_acquired=counts)
    return replace(
        found,
        detector={
            when: _fired(duel, side[0])
            for when, duel, side in zip(("before", "after"), duels, sides, strict=True)
        },
    )


def _fired(duel: Duel, looks: Sequence[Look]) -> Rate:
    """People on at least one of whose images a detector saw a face."""
    fired = np.array([look.fired for look in looks])
    return people_rate(np.maximum.reduceat(fired, duel.probes.starts).astype(np.float64))


def _only_air(look: Look) -> Look:
    return Look(look.air, np.zeros(len(look.air), dtype=np.int64), look.air, np.nan)


def mean_scores(duel: Duel, released: list[Look], known: list[Look]) -> Scores:
    """Compare the mean vectors of all portraits, (people, people)."""
    left, right = (
        unit(np.stack([vectors.mean(axis=0) for vectors in centred(looks)]))
        for looks in (released, known)
    )
    return by_person(duel, left @ right.T)


def best_scores(duel: Duel, released: list[Look], known: list[Look]) -> Scores:
    """Let each known picture find its likest portrait; mean over the better half of them."""
    left, right = centred(released), centred(known)
    starts = np.cumsum([0, *(len(vectors) for vectors in left[:-1])])
    every = np.concatenate(left)
    found = np.empty((len(left), len(right)), dtype=np.float32)
    for column, vectors in enumerate(right):
        likest = np.maximum.reduceat(vectors @ every.T, starts, axis=1)
        kept = max(1, (len(vectors) + 1) // 2)
        found[:, column] = np.sort(likest, axis=0)[-kept:].mean(axis=0)
    return by_person(duel, found)


def svm_scores(duel: Duel, released: list[Look], known: list[Look]) -> Scores:
    """Learn to tell the released people apart by their portraits, and classify known pictures.

    A linear support vector machine, one against all others (as Prakaashana et al. 2025 on
    renders, doi:10.1016/j.neuroimage.2025.121476). One image of each person on each side, of
    different visits.
    """
    from sklearn.svm import LinearSVC

    if duel.n < 2:
        return np.zeros((duel.n, duel.n))
    left, right = centred(released), centred(known)
    step = max(1, -(-sum(map(len, left)) // _MOST_ROWS))
    shown = [left[int(pairs[0, 0])][::step] for pairs in duel.own]
    names = np.repeat(np.arange(duel.n), [len(vectors) for vectors in shown])
    machine = LinearSVC(C=1.0, random_state=0, dual="auto").fit(np.concatenate(shown), names)
    found = np.empty((duel.n, duel.n))
    for column, pairs in enumerate(duel.own):
        decided = machine.decision_function(right[int(pairs[0, 1])]).mean(axis=0)
        found[:, column] = [-decided, decided] if duel.n == 2 else decided
    return np.tanh(found).round(6)


WAYS: dict[str, Callable[[Duel, list[Look], list[Look]], Scores]] = {
    "embedding_mean": mean_scores,
    "embedding_best": best_scores,
    "embedding_svm": svm_scores,
}
"""Ways to fuse the portraits; the attack takes the one that is strongest on the originals."""


def centred(looks: Sequence[Look]) -> list[Vectors]:
    """Take off what all people of one side share, view by view; vectors of length 1."""
    every = np.concatenate([look.vectors for look in looks])
    views = np.concatenate([look.view for look in looks])
    shared = np.zeros_like(every)
    if len(looks) >= _MIN_FOR_MEAN:
        shared += every.mean(axis=0)
        for view in np.unique(views):
            same = views == view
            if same.sum() >= _MIN_FOR_MEAN:
                shared[same] = every[same].mean(axis=0)
    ends = np.cumsum([len(look.vectors) for look in looks])[:-1]
    return np.split(unit(every - shared), ends)


def by_person(duel: Duel, images: npt.NDArray[np.float32]) -> Scores:
    """Best score of each released person with each known one, from scores of images.

    Parameters
    ----------
    images : (probes, gallery) ndarray

    Returns
    -------
    (people, people) ndarray
        Of one and the same person, only pairs of different visits count.
    """
    columns = np.maximum.reduceat(images, duel.gallery.starts, axis=1)
    people = np.maximum.reduceat(columns, duel.probes.starts, axis=0).astype(np.float64)
    for person, pairs in enumerate(duel.own):
        people[person, person] = images[pairs[:, 0], pairs[:, 1]].max()
    return people.round(6)


def _compared(
    score: Callable[..., Scores], duel: Duel, sides: tuple[list[Look], list[Look]]
) -> Matches:
    found = score(duel, *sides)
    matches = learn.to_matches(found, np.ones(duel.n, dtype=bool))
    return replace(matches, scores=found.astype(np.float32))
