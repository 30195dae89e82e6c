"""The page of the restoration benchmark."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table
from benchmarks.restoration.attack import PLANTED, against

Figures = dict[str, Any]

LABELS = {
    "face_shape": "face as it stands (no restoration)",
    "face_deblurred": "low-pass undone",
    "face_regressed": "original face regressed from the changed region",
    "face_informed": "metric learnt on the changed region",
    "model_subtracted": "shape model's part taken off, then regressed",
    "face_from_model": "face completed from the rest by the shape model",
    "face_from_others": "face completed from the rest, learnt on the others",
    "rest_informed": "metric learnt on the rest",
    "all_regressed": "original face regressed from all that is seen",
    "all_informed": "metric learnt on all that is seen",
    "head_shape": "whole head as it stands",
    "head_refilled": "whole head, average face put in",
}
GROUPS = {
    "What the changed region gives away": (
        "face_shape",
        "face_deblurred",
        "face_regressed",
        "face_informed",
        "model_subtracted",
    ),
    "What the rest of the head gives away, whatever is done to the face": (
        "face_from_model",
        "face_from_others",
        "rest_informed",
    ),
    "Both together": ("all_regressed", "all_informed", "head_shape", "head_refilled"),
}
"""Known of the target: its face only, but for the last two, which compare whole heads."""

TITLES = {"mesh": "Meshes", "surface": "The methods' own code"}

PAIRS = {"all_regressed": "face_from_others", "all_informed": "rest_informed"}


def without_people(figures: Figures) -> Figures:
    """Leave out who was found; of digital people it says nothing, but it is long."""
    if isinstance(figures, dict):
        return {
            key: without_people(value)
            for key, value in figures.items()
            if key != "hits" or not isinstance(value, list)
        }
    return figures


def page(figures: Figures) -> str:
    """Write all tables in Markdown."""
    settings = figures["settings"]
    parts = [
        "# Restoration: can a face that was taken away be brought back?\n\n"
        f"Written by `python -m benchmarks.restoration --n {settings['n']} --n-surface "
        f"{settings['n_surface']} --seed {settings['seed']}"
        f"{' --quality DIR' if settings.get('quality') else ''}`; every number stands "
        "in `restoration.json`. Digital people at two "
        "visits; the second is de-identified, and everybody's is searched for the person known "
        "from the first. Rank 1, the person is the unit, Clopper–Pearson 95 %. Attackers who "
        "learn never see either person of a pair that they score. *Coupled*: face and vault are "
        "one draw of the shape model, which the attacker has too: an upper bound. *Uncoupled*: "
        "face and vault are drawn apart, with shape the model does not know: a lower bound. "
        "Real heads were not tried.\n"
    ]
    for level, title in TITLES.items():
        for cohort, methods in figures[level].items():
            parts += _cohort(f"{title}, {cohort}", methods)
    if figures["voxel"]:
        parts.append(
            "## Whole images, coupled\n\nFrom the quality benchmark: painted and noisy images, "
            "heads found by search, the methods' own filling; one frontal view at the true pose. "
            "The number of people differs between methods.\n"
        )
        for method, attacks in figures["voxel"].items():
            parts.append(_table({method: attacks}, (method,)))
    parts.append(_notes())
    return "\n".join(parts)


def _cohort(title: str, methods: Figures) -> list[str]:
    n = methods["mask"]["face_shape"]["after"]["n"]
    parts = [f"## {title}, n = {n}, by guessing {1 / n:.3f}\n"]
    parts.append(_table(methods, tuple(methods)))
    rows = []
    for method in ("newface", "blur", *PLANTED):
        for name, rest in PAIRS.items():
            if name not in methods.get(method, {}):
                continue
            own, mask = methods[method][name], methods["mask"][name]
            alone = methods["mask"][rest]
            found = against(own, mask)
            rows.append(
                [
                    method,
                    LABELS[name],
                    _short(own["after"]),
                    _short(mask["after"]),
                    f"{found['excess']:+.3f}",
                    f"{found['only_first']} / {found['only_second']}",
                    f"{found['p_value']:.3f}",
                    _short(alone["after"]),
                ]
            )
    header = ["method", "attack", "found", "`mask`, same people", "excess over `mask`"]
    header += ["only here / only `mask`", "McNemar p", "rest alone (`mask`)"]
    parts.append("What the new face adds to what the same vault gives after `mask`:\n")
    parts.append(markdown_table(header, rows))
    return parts


def _table(methods: Figures, names: tuple[str, ...]) -> str:
    first = methods[names[0]]
    header = ["attack", "originals (control)", *[f"`{m}`" if " " not in m else m for m in names]]
    header += ["on noise"]
    rows = []
    for group, attacks in GROUPS.items():
        rows.append([f"**{group}**", *[""] * (len(header) - 1)])
        for attack in attacks:
            entries = [methods[m].get(attack) for m in names]
            known = next((entry for entry in [first.get(attack), *entries] if entry), None)
            if known is None:
                continue
            cells = [_short(entry["after"]) + _stars(entry) if entry else "–" for entry in entries]
            rows.append([LABELS[attack], _short(known["before"]), *cells, _short(known["noise"])])
    return markdown_table(header, rows)


def _short(entry: Figures) -> str:
    return f"{entry['hits']}/{entry['n']} [{entry['low95']:.2f}, {entry['high95']:.2f}]"


def _stars(entry: Figures) -> str:
    """Mark what shuffled names hardly reach."""
    return " \\*" if entry["p_value"] < 0.01 else ""


def _notes() -> str:
    return (
        "\\* names shuffled 1999 times reach as many in fewer than 1 of 100. *Originals*: the "
        "same attack on untouched second visits, nothing missing (the metric learnt on the rest: "
        "the rest only). *On noise*: the same attack fed with noise; it must find no more than by "
        "guessing. *Planted*: the new face with 25 or 50 % of the own depth mixed in; a test that "
        "does not find these people would prove nothing. *Changed region*: pixels that change in "
        "at least a tenth of the heads, so that a strip of own skin along the border is among "
        "them. *Meshes*: another identity on the model's own vertices, with the distances of the "
        "method; `mask` shows nothing where the face was (too little skin for the audit to count "
        "a head as acquired, so as it stands it finds nobody); `blur` is a low-pass of the depth. "
        "Frames err by 0.7° and 0.7 mm. *The methods' own code*: skin filled with the atlas' "
        "tissues at 2.5 mm, no noise, region and new skin as the methods make them, on a 2.5 mm "
        "grid (images: 1.5 mm); frames err by 1.5° and 1.5 mm, and few people are there to learn "
        "from, so the controls of what learns are weak. Seen are forehead, temples, jaw, neck "
        "(2 mm), top and back of the head (4 mm). No real heads are among these.\n"
    )
