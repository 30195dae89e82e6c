"""What links scans to scans, as it stands in ``audit.json``: labels, and a second dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from anonymi_bids.audit import judge
from anonymi_bids.audit.joins import Join, join_datasets, private_rows
from anonymi_bids.audit.match import BINS, Matches
from anonymi_bids.audit.quality import check_labels, label_figures, private_labels
from anonymi_bids.audit.rates import rate
from anonymi_bids.audit.thresholds import FEWEST_GENUINE, choose_threshold
from anonymi_bids.audit.trials import SHAPES, Items, gather
from anonymi_bids.core.frequency import count_people

FOUND, NONE_FOUND, CANNOT_TELL = "pairs found", "none found", "cannot tell"

SURPRISE = 0.05
"""So improbable must the number of pairs be by chance alone before it is called a finding."""

FEWEST_SHOWN = 11
"""Same-person scores from which on their distribution is shown."""


def look_for_links(
    items: Items,
    folder: Path,
    *,
    gallery: Path | None,
    unusable: int,
    control_limits: Mapping[str, float],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check labels against brains, and compare the release with a second dataset.

    Parameters
    ----------
    items : dict of list of Item
    folder : Path
        Where matrices too large for memory are kept meanwhile.
    gallery : Path, optional
        Features of the second dataset.
    unusable : int
        Images of it from which no features could be made.
    control_limits : mapping of str to float
        ``face`` and ``brain``: what the lower bound of a control must reach.

    Returns
    -------
    entry : dict
        ``labels`` and ``second_dataset`` of ``linkage`` in ``audit.json``.
    private : dict
        The same by name; for ``private/`` only.
    """
    checks = check_labels(items, folder)
    private: dict[str, Any] = {"labels": private_labels(checks), "second_dataset": []}
    entry: dict[str, Any] = {"labels": label_figures(checks), "second_dataset": None}
    if gallery is not None:
        others, damaged = gather(gallery)
        kind = "released" if others["released"] else "original"
        joins = join_datasets(items, others[kind], folder)
        private["second_dataset"] = private_rows(joins)
        entry["second_dataset"] = {
            "images": len(others[kind]),
            "unusable": unusable + len(damaged),
            "people": len({item.meta.subject for item in others[kind]}),
            "kind": kind,
            **_joined([_entry(join, control_limits) for join in joins]),
        }
    return entry, private


def no_links() -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what `look_for_links` gives where nothing was looked for."""
    return {"labels": label_figures([]), "second_dataset": None}, {}


def untested(links: Mapping[str, Any], attacks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what of linking was not tried."""
    said = []
    if not any(entry["name"] == "brain_contrast" for entry in attacks):
        said.append("Brains compared across contrasts: nobody has scans of two.")
    if links["second_dataset"] is None:
        said.append("Any other dataset about the same people (--gallery compares with one).")
    else:
        said.append("Any other dataset than the one that was given.")
    return said


def _joined(compared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the comparisons together and say whether the two can be joined."""
    results = {entry["result"] for entry in compared}
    brains = [entry for entry in compared if entry["compared"] not in SHAPES]
    if FOUND in results:
        result = FOUND
        sentence = (
            "Yes, as far as this can be told: some scans in the two look like the same person, "
            "more than chance explains. Who holds both can put together what each says."
        )
    elif brains and all(entry["result"] == NONE_FOUND for entry in brains):
        result = NONE_FOUND
        sentence = (
            "No sign of it: no more scans in the two look like the same person than chance "
            "explains. That is no proof that nobody is in both."
        )
    else:
        result = CANNOT_TELL
        sentence = (
            "This cannot be told: there were too few people or scans to compare, or the "
            "comparison was not shown to be strong on the release itself."
        )
    return {"result": result, "sentence": sentence, "compared": list(compared)}


def _entry(join: Join, control_limits: Mapping[str, float]) -> dict[str, Any]:
    """Write one comparison."""
    between, threshold = join.between, join.threshold
    n_pairs = len(between.people) * len(between.others)
    false = None if threshold is None else threshold.false_match
    expected = None if false is None else false * n_pairs
    limit = control_limits["face" if join.name in SHAPES else "brain"]
    control = _control(join, limit)
    entry = {
        "compared": join.name,
        "title": judge.TITLES[join.name],
        "contrast": join.contrast or "any",
        "score": judge.SCORES[join.way.name]
        + (", what all share taken out" if join.way.centred else ""),
        "people": len(between.people),
        "others": len(between.others),
        "pairs": n_pairs,
        "threshold": None if threshold is None else judge.rounded(threshold.value),
        "threshold_from": None if threshold is None else threshold.source,
        "false_match_rate": _short(false),
        "expected_by_chance": _short(expected),
        "pairs_alike": len(between.alike),
        "people_alike": len({int(i) for i, _, _ in between.alike}),
        "best_of_each_other": between.mutual,
        "control": control,
        "scores": _histogram(join),
        "separation_of_ways": {way: judge.rounded(v) for way, v in sorted(join.tried.items())},
    }
    entry["result"] = _result(entry, limit)
    entry["sentence"] = _sentence(entry, join)
    return entry


def _control(join: Join, limit: float) -> dict[str, Any]:
    """How many of the release's own people the same comparison recognises on the originals."""
    if join.control is None:
        return {**judge.rate_entry(rate(0, 0)), "limit": limit, "passed": False, "simulated": 0}
    own = join.control.own[np.isfinite(join.control.own)]
    threshold = choose_threshold(
        own,
        join.control.impostors,
        gallery=len(join.between.others),
        n_pairs=len(join.between.people) * len(join.between.others),
    )
    hits = 0
    if threshold is not None:
        # What counts between the datasets must be reached here too.
        needed = max(threshold.value, join.threshold.value if join.threshold else -np.inf)
        hits = int((own >= needed).sum())
    found = rate(hits, len(join.control.own))
    return {
        **judge.rate_entry(found),
        "limit": limit,
        "passed": found.low >= limit,
        "simulated": join.simulated,
    }


def _result(entry: Mapping[str, Any], limit: float) -> str:
    alike, expected = entry["pairs_alike"], entry["expected_by_chance"]
    if entry["threshold"] is None:
        return CANNOT_TELL
    if alike and expected is not None and stats.poisson.sf(alike - 1, expected) < SURPRISE:
        return FOUND
    if alike and expected is None:
        return CANNOT_TELL
    return NONE_FOUND if entry["control"]["passed"] else CANNOT_TELL


def _sentence(entry: Mapping[str, Any], join: Join) -> str:
    what = {"brain_linkage": "Brains", "face_shape": "Faces", "head_shape": "Heads"}.get(
        join.name, "Brains"
    )
    if entry["contrast"] != "any":
        what += f", {entry['contrast']}"
    if entry["threshold"] is None:
        why = (
            "the people here are too few to say"
            if entry["control"]["n"] < FEWEST_GENUINE
            else "the same person here scores no higher than others, so it cannot be said"
        )
        return (
            f"{what}: {count_people(entry['people'])} here and {count_people(entry['others'])} "
            f"there were compared, but {why} from which score on two scans look like one person."
        )
    control, chance = entry["control"], entry["expected_by_chance"]
    by_chance = (
        "how many chance would give is not known"
        if chance is None
        else (f"by chance about {chance:.2g} would" if chance >= 0.01 else "by chance none would")
    )
    text = (
        f"{what}: of {entry['pairs']} pairs of a person here and a person there "
        f"{entry['pairs_alike']} look like one person; {by_chance}. They concern "
        f"{entry['people_alike']} of the {entry['people']} people here."
    )
    if control["n"]:
        text += (
            f" The control, the originals of this release against another visit "
            f"({control['simulated']} of {control['n']} visits simulated): {control['hits']} of "
            f"{control['n']} people recognised."
        )
    return text


def _histogram(join: Join) -> dict[str, Any]:
    """Scores between the datasets, and inside the release, in bins of five."""
    own: Matches | None = join.control
    inside = np.zeros((2, len(BINS) - 1)) if own is None else own.histogram
    merged = inside.reshape(2, 20, 5).sum(axis=2)
    between = join.between.histogram.reshape(20, 5).sum(axis=1)
    return {
        "edges": [judge.rounded(edge) for edge in BINS[::5]],
        "between": [int(count) for count in between],
        "same": [int(n) for n in merged[0]] if merged[0].sum() >= FEWEST_SHOWN else [],
        "different": [int(count) for count in merged[1]],
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
