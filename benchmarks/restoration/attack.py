"""Attack simulated releases with the audit's own code, and count who is found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import learn, restore, restored
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.rates import mcnemar
from anonymi_bids.audit.restore import Head
from anonymi_bids.audit.trials import Outcome, attack_shape, gather, outcome_of
from benchmarks.common import counted

Person = Mapping[str, npt.NDArray[Any]]
Entry = dict[str, Any]

PLANTED = {"planted 25 %": 0.25, "planted 50 %": 0.5}
"""New faces with so much of the own depth mixed in: the test must find these people."""

FEWEST = learn.FEWEST


def score_method(people: Sequence[Person], method: str, face: Any, seed: int) -> dict[str, Entry]:
    """Try all attacks on one method.

    Parameters
    ----------
    people : sequence of mapping
        ``original1_head``, ``original2_head``, ``<method>_head`` and ``_rest`` where there is one.
    method : str
        Or one of `PLANTED`, which is made from ``newface``.
    face : (views, rows, columns) bool ndarray
        Pixels of the face in ``_head``.
    seed : int

    Returns
    -------
    dict
        By attack; ``hits`` tells for each person whether it was found.
    """
    from anonymi_bids.head.atlas import load_atlas

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _store(folder, people, method, face, seed)
        items, _ = gather(folder)
        rng = np.random.default_rng(seed)
        outcomes = [
            found
            for shape in ("face_shape", "head_shape")
            if (found := attack_shape(shape, items, rng, folder)) is not None
        ]
        cohort = restored.gather_cohort(items, rng, _atlas_of(people, load_atlas()), 16.0)
    if cohort is None:
        raise ValueError("Nobody can be attacked; two people at least are needed.")
    if method in PLANTED:
        cohort = replace(cohort, after=_planted(cohort, PLANTED[method]))
    if method in PLANTED:
        outcomes = []
    names = restored.possible(cohort, blurred=method == "blur")
    outcomes += [restored.attack_restored(name, cohort, rng) for name in names]
    if cohort.n >= FEWEST:
        outcomes += [
            _extra(name, attack, cohort, rng)
            for name, attack in EXTRA.items()
            if cohort.drawn or name != "model_subtracted"
        ]
    return {found.name: _entry(found) for found in outcomes}


def _atlas_of(people: Sequence[Person], atlas: Any) -> Any:
    return atlas if "original1_rest" in people[0] else None


def _store(folder: Path, people: Sequence[Person], method: str, face: Any, seed: int) -> None:
    """Write features as a run of the program would: two originals, the second one released."""
    rng = np.random.default_rng([seed, 17])
    method = "newface" if method in PLANTED else method
    sources = (
        ("original", "1", "original1"),
        ("original", "2", "original2"),
        ("released", "2", method),
    )
    for number, person in enumerate(people):
        for kind, session, source in sources:
            head = person[f"{source}_head"].astype(np.float32)
            content = {
                "head": head.astype(np.float16),
                "depth": np.where(face, head, np.nan).astype(np.float16),
                "skin_gap": np.array([15.0], np.float16),
                "air": rng.normal(size=500).astype(np.float16),
            }
            if f"{source}_rest" in person:
                content["rest"] = person[f"{source}_rest"].astype(np.float16)
            stem = f"sub-{number:04d}_ses-{session}_T1w"
            meta = FeatureMeta(f"{number:04d}", session, "T1w", kind, stem)
            save_features(folder, meta, content)


def _planted(cohort: restored.Cohort, share: float) -> list[Head]:
    """Mix own depth into what was changed."""
    return [
        [
            np.where(gone, share * old + (1 - share) * new, new).astype(np.float32)
            for old, new, gone in zip(before, after, cohort.changed, strict=True)
        ]
        for before, after in zip(cohort.before, cohort.after, strict=True)
    ]


def all_regressed(cohort: restored.Cohort, heads: Sequence[Head], released: bool) -> Any:
    """Predict the face from all that is seen."""
    shown = restore.flat_rows(heads, restore.everything(heads[0]))
    return restored.learn_from(cohort, shown, learn.ridge)


def all_informed(cohort: restored.Cohort, heads: Sequence[Head], released: bool) -> Any:
    """Compare in a metric learnt on all that is seen."""
    shown = restore.flat_rows(heads, restore.everything(heads[0]))
    return restored.learn_from(cohort, shown, learn.canonical)


def rest_informed(cohort: restored.Cohort, heads: Sequence[Head], released: bool) -> Any:
    """Compare in a metric learnt on what was not changed, which any method leaves."""
    left = restore.others(cohort.changed)
    return restored.learn_from(cohort, restore.flat_rows(heads, left), learn.canonical)


def model_subtracted(cohort: restored.Cohort, heads: Sequence[Head], released: bool) -> Any:
    """Take off what the shape model can explain, and predict the face from what remains."""
    drawn = restore.flat_rows(cohort.drawn, cohort.changed)
    explained = restore.Completion(drawn, drawn)
    rows = restore.flat_rows(heads, cohort.changed)
    mean = restore.row_mean(rows)
    remainder = np.stack([row - explained.complete(row, mean) for row in rows])
    return restored.learn_from(cohort, remainder, learn.ridge)


EXTRA: dict[str, Callable[..., Any]] = {
    "rest_informed": rest_informed,
    "all_regressed": all_regressed,
    "all_informed": all_informed,
    "model_subtracted": model_subtracted,
}
"""Attacks beyond those of the audit."""


def _extra(name: str, attack: Callable[..., Any], cohort: Any, rng: Any) -> Outcome:
    sure = np.ones(cohort.n, dtype=bool)
    before = learn.to_matches(attack(cohort, cohort.before, False), sure)
    after = learn.to_matches(attack(cohort, cohort.after, True), sure)
    learner = learn.canonical if "informed" in name else learn.ridge
    air = learn.to_matches(restored.learn_from(cohort, cohort.air_after, learner), sure)
    return outcome_of(name, cohort.duel, (before, after, air), rng, score=name)


def _entry(found: Outcome) -> Entry:
    n = found.rate_after.n
    return {
        "after": counted(found.rate_after.hits, n, 1 / n),
        "before": counted(found.rate_before.hits, n, 1 / n),
        "noise": counted(found.wrong_region.hits, n, 1 / n),
        "other_direction": counted(found.rate_back.hits, n, 1 / n),
        "shuffled_mean_hits": found.shuffled.mean_hits,
        "p_value": found.shuffled.p_value,
        "median_rank": float(np.median(found.after.rank)),
        "hits": [round(float(value)) for value in found.after.hits],
    }


def against(first: Entry, second: Entry) -> Entry:
    """Compare two methods on the same people (McNemar, exact)."""
    a, b = np.array(first["hits"]), np.array(second["hits"])
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    return {
        "only_first": only_a,
        "only_second": only_b,
        "p_value": mcnemar(only_a, only_b).exact,
        "excess": float(a.mean() - b.mean()),
    }
