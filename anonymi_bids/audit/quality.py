"""Do the labels of a release fit its brains? One brain under two labels, two brains under one.

A finding about the data, not about an attacker: mixed-up labels also make every rate of the audit
too low. Who it is goes to ``private/`` only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.between import FEWEST_FOR_MEAN, both_ways, search_between
from anonymi_bids.audit.describe import brain_ways
from anonymi_bids.audit.joins import inside, strongest
from anonymi_bids.audit.match import Matches
from anonymi_bids.audit.rows import Rows, rows_of
from anonymi_bids.audit.thresholds import Threshold, choose_threshold, crossing
from anonymi_bids.audit.trials import Items
from anonymi_bids.audit.visits import Duel, Item, make_duel, make_side

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What the brains of one contrast say about the labels.

    Attributes
    ----------
    contrast : str
    people : int
        Labels with a scan of this contrast.
    double_limit : Threshold or None
        From which on two labels look like one person; None if that cannot be told.
    doubles : tuple of (str, str, float)
    repeats : int
        Labels with two sessions or more of this contrast.
    apart_limit : float or None
        Below it two sessions do not look like one person; None if that cannot be told.
    apart : tuple of (str, str, str, float)
        Label, session, session, score.
    """

    contrast: str
    people: int
    double_limit: Threshold | None
    doubles: tuple[tuple[str, str, float], ...]
    repeats: int
    apart_limit: float | None
    apart: tuple[tuple[str, str, str, float], ...]


def check_labels(items: Items, folder: Path) -> list[LabelCheck]:
    """Look for one brain under two labels and two brains under one, within each contrast.

    Parameters
    ----------
    items : dict of list of Item
    folder : Path
        Where matrices too large for memory are kept meanwhile.

    Returns
    -------
    list of LabelCheck
    """
    found = []
    for contrast in sorted({item.meta.contrast for item in items["released"]}):
        mine = {
            kind: [item for item in entries if item.meta.contrast == contrast]
            for kind, entries in items.items()
        }
        check = _check_contrast(contrast, mine, folder)
        if check is not None:
            found.append(check)
    return found


def _check_contrast(contrast: str, items: Items, folder: Path) -> LabelCheck | None:
    people, side = make_side(items["released"])
    after = make_duel(items["released"], items["original"], items["second"])
    if len(people) < 2 or after.n < 2:
        return None
    before = make_duel(items["original"], items["original"], items["second"], wanted=after.people)
    way, _, _ = strongest(before, both_ways(brain_ways(len(people) ** 2)), folder)
    own = inside(after, way, folder)
    limit = choose_threshold(
        own.own[np.isfinite(own.own)],
        own.impostors,
        gallery=len(people),
        n_pairs=len(people) * (len(people) - 1) // 2,
    )
    repeats = make_duel(items["released"], items["released"], ())
    with tempfile.TemporaryDirectory(dir=folder, prefix=".rows-") as place:
        centred = way.centred and len(people) >= FEWEST_FOR_MEAN
        rows = rows_of(side.items, way.describe, Path(place), centred=centred)
        doubles = _doubles(people, side, rows, limit)
        apart_limit, apart = _apart(repeats, side.items, rows, own)
    return LabelCheck(contrast, len(people), limit, doubles, repeats.n, apart_limit, apart)


def _doubles(
    people: tuple[str, ...], side: Any, rows: Rows, limit: Threshold | None
) -> tuple[tuple[str, str, float], ...]:
    if limit is None:
        return ()
    found = search_between(people, side, people, side, rows, rows, limit.value).alike
    return tuple((people[int(i)], people[int(j)], float(s)) for i, j, s in found if i < j)


def _apart(
    repeats: Duel, items: Sequence[Item], rows: Rows, own: Matches
) -> tuple[float | None, tuple[tuple[str, str, str, float], ...]]:
    """Sessions of one label that look like two people, judged by the other labels' sessions."""
    place = {item.path: index for index, item in enumerate(items)}
    scored: dict[tuple[str, str, str], float] = {}
    for name, pairs in zip(repeats.people, repeats.own, strict=True):
        for i, j in pairs.tolist():
            one, two = repeats.probes.items[i], repeats.gallery.items[j]
            score = rows.paired(rows.take([place[one.path]]), [place[two.path]])[0]
            low, high = sorted((one.meta.session, two.meta.session))
            key = name, low, high
            # The best pair of two sessions counts: one bad run makes no stranger.
            scored[key] = max(float(score), scored.get(key, -np.inf))
    best: dict[str, float] = {}
    for (name, _, _), score in scored.items():
        best[name] = max(score, best.get(name, -np.inf))
    limit = crossing(list(best.values()), own.impostors)
    if limit is None:
        return None, ()
    return limit, tuple((*key, score) for key, score in sorted(scored.items()) if score < limit)


def label_figures(checks: Sequence[LabelCheck]) -> dict[str, Any]:
    """Count for ``audit.json``; a pair or label found in several contrasts counts once."""
    return {
        "double_tested": any(check.double_limit is not None for check in checks),
        "double_pairs": len({frozenset(pair[:2]) for c in checks for pair in c.doubles}),
        "repeat_labels": max((check.repeats for check in checks), default=0),
        "apart_tested": any(check.apart_limit is not None for check in checks),
        "apart_labels": len({entry[0] for check in checks for entry in check.apart}),
        "limits": [
            {
                "contrast": check.contrast,
                "people": check.people,
                "double_limit": None if limit is None else _rounded(limit.value),
                "false_match_rate": None if limit is None else _rounded(limit.false_match),
                "apart_limit": _rounded(check.apart_limit),
            }
            for check in checks
            for limit in (check.double_limit,)
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def private_labels(checks: Sequence[LabelCheck]) -> dict[str, list[Mapping[str, Any]]]:
    """Name the labels to look at; for ``private/`` only."""
    return {
        "one_brain_two_labels": [
            {"contrast": c.contrast, "subjects": [a, b], "score": round(score, 6)}
            for c in checks
            for a, b, score in c.doubles
        ],
        "two_brains_one_label": [
            {"contrast": c.contrast, "subject": who, "sessions": [a, b], "score": round(score, 6)}
            for c in checks
            for who, a, b, score in c.apart
        ],
    }
