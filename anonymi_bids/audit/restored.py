"""Attacks that restore a face first, or that learn from other de-identified heads.

Each is tried on the originals too (the positive control), where nothing is missing, and on the
air round the head (a negative control). One image of each person is searched, among one of
another visit of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import learn, restore
from anonymi_bids.audit.features import open_features
from anonymi_bids.audit.restore import Head, Pixels, Rows
from anonymi_bids.audit.trials import Items, Outcome, outcome_of
from anonymi_bids.audit.visits import Duel, Item, make_duel

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

MOST_PEOPLE = 300
"""More are not attacked: what is learnt grows with the square of their number."""

FEWEST_PIXELS = 200
"""Fewer left, or changed, show nothing to learn from."""

Scores = npt.NDArray[np.float64]
Attack = Callable[["Cohort", Sequence[Head], bool], Scores]


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """One probe and one known head of each person.

    Attributes
    ----------
    duel : Duel
    before, after : list of Head
        The same acquisitions, untouched and released.
    known : list of Head
        Of another visit, untouched.
    face, changed : Pixels
        Where an average head has its face; what the method changes.
    air_after, air_known : (n, k) ndarray
    fold : (n,) int ndarray
    drawn : sequence of Head
        Heads of nobody (`anonymi_bids.audit.modelheads`).
    blur_mm : float
        What the attacker takes the low-pass to have been.
    """

    duel: Duel
    before: list[Head]
    after: list[Head]
    known: list[Head]
    face: Pixels
    changed: Pixels
    air_after: Rows
    air_known: Rows
    fold: npt.NDArray[np.int64]
    drawn: Sequence[Head]
    blur_mm: float

    @property
    def n(self) -> int:
        """Number of people."""
        return self.duel.n


def gather_cohort(
    items: Items, rng: np.random.Generator, atlas: Atlas | None, blur_mm: float
) -> Cohort | None:
    """Read one pair of visits of each person; None if nobody can be attacked.

    Parameters
    ----------
    items : dict of list of Item
    rng : numpy Generator
        Chooses people, if there are too many, and folds.
    atlas : Atlas or None
        None: no heads are drawn from the shape model.
    blur_mm : float
    """
    seen = {kind: [item for item in items[kind] if item.face] for kind in ("original", "second")}
    stems = {item.meta.stem: item for item in seen["original"]}
    probes = [item for item in items["released"] if item.meta.stem in stems]
    duel = make_duel(probes, seen["original"], seen["second"])
    if duel.n > MOST_PEOPLE:
        chosen = sorted(rng.choice(duel.n, MOST_PEOPLE, replace=False).tolist())
        wanted = [duel.people[index] for index in chosen]
        duel = make_duel(probes, seen["original"], seen["second"], wanted=wanted)
    if duel.n < 2:
        return None
    pairs = [(duel.probes.items[p[0, 0]], duel.gallery.items[p[0, 1]]) for p in duel.own]
    after, air_after, _ = _read([probe for probe, _ in pairs])
    before, _, faces = _read([stems[probe.meta.stem] for probe, _ in pairs])
    known, air_known, more = _read([entry for _, entry in pairs])
    return Cohort(
        duel=duel,
        before=before,
        after=after,
        known=known,
        face=restore.union(faces + more),
        changed=restore.changed_pixels(before, after),
        air_after=air_after,
        air_known=air_known,
        fold=learn.people_folds(duel.n, rng),
        drawn=_drawn(atlas, known[0]),
        blur_mm=blur_mm,
    )


def _read(items: Sequence[Item]) -> tuple[list[Head], Rows, list[Pixels]]:
    heads, air, faces = [], [], []
    for item in items:
        with open_features(item.path) as (_, features):
            heads.append(restore.read_head(features))
            air.append(np.asarray(features["air"], dtype=np.float32))
            faces.append(restore.face_of(features))
    return heads, np.stack(air), faces


def _drawn(atlas: Atlas | None, like: Head) -> Sequence[Head]:
    """Heads of nobody, if they can be seen as the features see heads."""
    from anonymi_bids.audit.faces import view_shapes

    if atlas is None or view_shapes(atlas) != [view.shape for view in like]:
        return ()
    from anonymi_bids.audit.modelheads import draw_heads

    return draw_heads()


def head_refilled(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Put the average in what was changed, and compare all that is seen."""
    average = restore.average_head(cohort.known)
    nothing = [np.zeros(view.shape, dtype=bool) for view in average]
    gone = cohort.changed if released else nothing
    filled = [restore.refill(head, gone, average) for head in heads]
    pixels = restore.everything(average)
    return _plain(restore.flat_rows(filled, pixels), restore.flat_rows(cohort.known, pixels))


def face_from_model(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Complete the face from what is left, by the shape model."""
    pixels = _left(cohort, released)
    found = restore.Completion(
        restore.flat_rows(cohort.drawn, pixels), restore.flat_rows(cohort.drawn, cohort.face)
    )
    left = restore.flat_rows(heads, pixels)
    mean = restore.row_mean(left)
    completed = np.stack([found.complete(row, mean) for row in left])
    return _plain(completed, restore.flat_rows(cohort.known, cohort.face))


def face_from_others(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Complete the face from what is left, as learnt on other people of the cohort."""
    return learn_from(cohort, restore.flat_rows(heads, _left(cohort, released)), learn.ridge)


def face_regressed(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Predict the face from what stands in its place, as learnt on other people."""
    return learn_from(cohort, restore.flat_rows(heads, cohort.changed), learn.ridge)


def face_informed(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Compare in a metric learnt on other people's faces and what stands in their place."""
    return learn_from(cohort, restore.flat_rows(heads, cohort.changed), learn.canonical)


def face_deblurred(cohort: Cohort, heads: Sequence[Head], released: bool) -> Scores:
    """Undo the low-pass of the face."""
    sharp = [
        [restore.deblurred(view, cohort.blur_mm) for view in head[: restore.FACE_VIEWS]]
        for head in heads
    ]
    face = cohort.face[: restore.FACE_VIEWS]
    known = [head[: restore.FACE_VIEWS] for head in cohort.known]
    return _plain(restore.flat_rows(sharp, face), restore.flat_rows(known, face))


ATTACKS: dict[str, Attack] = {
    "head_refilled": head_refilled,
    "face_from_model": face_from_model,
    "face_from_others": face_from_others,
    "face_regressed": face_regressed,
    "face_informed": face_informed,
    "face_deblurred": face_deblurred,
}

LEARNT = frozenset({"face_from_others", "face_regressed", "face_informed"})
"""Attacks that learn from other people of the release."""

FROM_REST = frozenset({"head_refilled", "face_from_model", "face_from_others"})
"""Attacks on what a release keeps: no change of the face cures them."""


def possible(cohort: Cohort, *, blurred: bool) -> list[str]:
    """Names of the attacks that can be tried on a cohort."""
    left = sum(int(view.sum()) for view in _left(cohort, True))
    changed = sum(int(view.sum()) for view in cohort.changed)
    found = []
    for name in ATTACKS:
        lacking = (
            (name in LEARNT and cohort.n < learn.FEWEST)
            or (name in FROM_REST and left < FEWEST_PIXELS)
            or (name not in FROM_REST and changed < FEWEST_PIXELS)
            or (name == "face_from_model" and not cohort.drawn)
            or (name == "face_deblurred" and not blurred)
        )
        if not lacking:
            found.append(name)
    return found


def attack_restored(name: str, cohort: Cohort, rng: np.random.Generator) -> Outcome:
    """Try one attack before and after.

    Parameters
    ----------
    name : str
        One of `ATTACKS`, and `possible`.
    cohort : Cohort
    rng : numpy Generator
        Shuffles names.
    """
    attack = ATTACKS[name]
    # A face that is not seen hides nobody from somebody who restores it.
    sure = np.ones(cohort.n, dtype=bool)
    before = learn.to_matches(attack(cohort, cohort.before, False), sure)
    after = learn.to_matches(attack(cohort, cohort.after, True), sure)
    air = learn.to_matches(_on_air(name, cohort), sure)
    return outcome_of(name, cohort.duel, (before, after, air), rng, score=name)


def _left(cohort: Cohort, released: bool) -> Pixels:
    """Say what the attacker may use: all of an original; of a release what was not changed."""
    return restore.others(cohort.changed) if released else restore.everything(cohort.known[0])


def learn_from(cohort: Cohort, shown: Rows, learner: learn.Learner) -> Scores:
    """Learn on other people how known faces go with what is shown of them, and score.

    Parameters
    ----------
    cohort : Cohort
    shown : (n, p) ndarray
        Of each person; NaN for misses.
    learner : callable
        `learn.ridge` or `learn.canonical`.

    Returns
    -------
    (n, n) ndarray
    """
    faces = restore.flat_rows(cohort.known, cohort.face)
    return learn.pair_scores(learn.gram(shown), learn.gram(faces), cohort.fold, learner)


def _on_air(name: str, cohort: Cohort) -> Scores:
    if name in LEARNT:
        learner = learn.canonical if name == "face_informed" else learn.ridge
        return learn_from(cohort, cohort.air_after, learner)
    return _plain(cohort.air_after, cohort.air_known)


def _plain(released: Rows, known: Rows) -> Scores:
    """Correlate rows, what each side shares taken off (as `anonymi_bids.audit.rows`)."""
    sides = []
    for rows in (released, known):
        apart = np.nan_to_num(rows - restore.row_mean(rows))
        sides.append(apart / np.maximum(np.linalg.norm(apart, axis=1, keepdims=True), 1e-9))
    return np.asarray(sides[0] @ sides[1].T, dtype=np.float64).round(6)
