"""Attack released digital people with the audit's own code, from what the benchmarks keep."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids import __version__
from anonymi_bids.audit import judge
from anonymi_bids.audit.faces import MIN_SEEN
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.learn import to_matches
from anonymi_bids.audit.match import Matches
from anonymi_bids.audit.rates import mcnemar
from anonymi_bids.audit.trials import Items, attack_shape, people_rate, shuffle_names
from anonymi_bids.audit.visits import Item

Look = dict[str, npt.NDArray[Any]]
People = dict[str, dict[str, Look]]
"""Person → ``before``, ``known`` (another visit) and ``after``."""

CONTROL_LIMIT = 0.5
TITLES = {
    "face_shape": "Face recognised by its shape",
    "head_shape": "Head recognised by all that is left of it",
    "face_recogniser": "Face recognised on a render by a recogniser (dlib)",
}
ABOUT = (
    "Digital people: skin drawn from a statistical model of faces, the inside of the head from "
    "two label heads, scanned twice as T1w. They are easier than people: no hair, no disease, "
    "and the attacker knows how each head lay. Seen from the front only."
)


def make_cohort(
    folders: Sequence[Path], n: int, methods: Sequence[str], about: dict[str, Any]
) -> dict[str, Any]:
    """Attack each method on the folder that holds the most people for it.

    Parameters
    ----------
    folders : sequence of Path
        Kept results of ``benchmarks.quality``, each named by the digest of its sources.
    n : int
        People at most.
    methods : sequence of str
    about : dict
        ``seed``, ``spacing_mm``, and ``sources`` as they are now.

    Returns
    -------
    dict
        Content of ``reference_cohort.json``.
    """
    attacks: list[dict[str, Any]] = []
    seed = about["seed"]
    for method in methods:
        read = [(read_people(folder, method, n), folder) for folder in folders]
        people, folder = max(read, key=lambda pair: len(pair[0]), default=({}, Path()))
        if len(people) < 2:
            continue
        sources = folder.name.split("_", 1)[0]
        for name, before, after in tried(people, seed):
            written = entry(name, method, before, after, seed)
            current = sources == about["sources"]
            attacks.append({**written, "sources": sources, "current": current})
    return {
        "version": "1",
        "program": f"anonymi-bids {__version__}",
        "about": ABOUT,
        "people": max((attack["n"] for attack in attacks), default=0),
        **about,
        "attacks": attacks,
        "compared": compared(folders, n, methods, seed),
    }


def read_people(folder: Path, method: str, n: int) -> People:
    """Read the people for whom all three looks are kept; of an older layout, ``mask`` only."""
    people: People = {}
    for number in range(n):
        name = f"person-{number:03d}"
        stems = [folder / f"{name}_visit-{visit}_T1w" for visit in (1, 2)]
        split = [f"{stems[0]}_before.npz", f"{stems[1]}_before.npz", f"{stems[0]}_{method}.npz"]
        if all(Path(path).exists() for path in split):
            looks = [dict(np.load(path)) for path in split]
        elif method == "mask" and all(Path(f"{stem}.npz").exists() for stem in stems):
            first, second = (dict(np.load(f"{stem}.npz")) for stem in stems)
            looks = [_stage(first, "before"), _stage(second, "before"), _stage(first, "after")]
        else:
            continue
        people[name] = dict(zip(("before", "known", "after"), looks, strict=True))
    return people


def _stage(look: Look, stage: str) -> Look:
    ending = f"_{stage}"
    return {key.removesuffix(ending): look[key] for key in look if key.endswith(ending)}


def tried(people: People, seed: int) -> list[tuple[str, Matches, Matches]]:
    """Try all attacks; name, matches before, matches after."""
    found = []
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        items = kept_items(people, Path(place))
        for name in ("face_shape", "head_shape"):
            outcome = attack_shape(name, items, rng, Path(place))
            if outcome is not None and outcome.duel.n == len(people):
                found.append((name, outcome.before, outcome.after))
    stages = (recognised(people, stage) for stage in ("before", "after"))
    found.append(("face_recogniser", *stages))
    return found


def kept_items(people: People, folder: Path) -> Items:
    """Write what is kept as features of the audit; visit 1 is released, visit 2 is known."""
    items: Items = {"original": [], "second": [], "released": []}
    rng = np.random.default_rng(0)
    for name, looks in sorted(people.items()):
        for look, session, kind in (
            ("before", "1", "original"),
            ("known", "2", "original"),
            ("after", "1", "released"),
        ):
            whole, face = (looks[look][key][None].astype(np.float16) for key in ("whole", "face"))
            meta = FeatureMeta(name, session, "T1w", kind, f"{name}_ses-{session}_T1w")
            content = {"head": whole, "depth": face, "air": rng.normal(size=64)}
            path = save_features(folder, meta, content)
            seen = bool(np.isfinite(face).mean() >= MIN_SEEN)
            items[kind].append(Item(path, meta, seen))
    return items


def recognised(people: People, stage: str) -> Matches:
    """Compare embeddings of renders: one minus their distance."""
    order = sorted(people)
    shown, known = (
        np.stack([_embedding(people[name][which]) for name in order]) for which in (stage, "known")
    )
    apart = np.linalg.norm(shown[:, None] - known[None], axis=2)
    return to_matches(1 - apart, np.isfinite(shown).all(axis=1))


def _embedding(look: Look) -> npt.NDArray[Any]:
    """At the face that the detector found, else at the true landmarks."""
    found = look["found"]
    return found if np.isfinite(found).all() else look["forced"]


def entry(name: str, method: str, before: Matches, after: Matches, seed: int) -> dict[str, Any]:
    """Write one attack on one method."""
    found, control = people_rate(after.hits), people_rate(before.hits)
    shuffled = shuffle_names(after, np.random.default_rng(seed))
    return {
        "name": name,
        "title": TITLES[name],
        "method": method,
        **judge.rate_entry(found),
        "chance": judge.rounded(1 / found.n),
        "positive_control": judge.control_entry(control, CONTROL_LIMIT),
        "p_value": judge.rounded(shuffled.p_value),
    }


def compared(
    folders: Sequence[Path], n: int, methods: Sequence[str], seed: int
) -> list[dict[str, Any]]:
    """Compare methods on the same people, searched among the same people: McNemar, exact."""
    rows = []
    for first, second in combinations(methods, 2):
        one, two, sources = shared(folders, n, first, second)
        if len(one) < 2:
            continue
        pairs = zip(tried(one, seed), tried(two, seed), strict=True)
        for (name, _, mine), (_, _, other) in pairs:
            a, b = mine.hits > 0.5, other.hits > 0.5
            only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
            test = mcnemar(only_first, only_second)
            rows.append(
                {
                    "name": name,
                    "methods": [first, second],
                    "sources": sources,
                    "n": len(one),
                    "found_after_first_only": only_first,
                    "found_after_second_only": only_second,
                    "p_value": judge.rounded(test.exact),
                    "mid_p": judge.rounded(test.mid_p),
                }
            )
    return rows


def shared(folders: Sequence[Path], n: int, first: str, second: str) -> tuple[People, People, str]:
    """Give the people both methods were tried on, from the folder that holds the most of them."""
    best: tuple[People, People, str] = {}, {}, ""
    for folder in folders:
        one, two = (read_people(folder, method, n) for method in (first, second))
        both = sorted(set(one) & set(two))
        if len(both) > len(best[0]):
            sources = folder.name.split("_", 1)[0]
            best = {p: one[p] for p in both}, {p: two[p] for p in both}, sources
    return best
