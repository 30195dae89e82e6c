"""The figures as pages for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table, rate_text

Figures = dict[str, Any]


def page(figures: Figures) -> str:
    """The whole page, Markdown."""
    settings = figures["settings"]
    method = settings.get("method", "mask")
    name, option = "quality", ""
    if method != "mask":
        name, option = f"quality_{method}", f" --method {method}"
    parts = [
        f"# Quality of the method `{method}`\n",
        f"Written by `python -m benchmarks.quality{option} --n {settings['n']} --seed "
        f"{settings['seed']}`; every number stands in `{name}.json`. Digital people are painted "
        f"at about {settings['spacing_mm']} mm, label heads at 1 mm. Truth: labels and landmarks "
        "of the phantoms (definitions in `benchmarks/quality/truth.py`). Ranges are least to "
        "greatest over images. The atlas was made from the label heads named so; digital people "
        "have the inside of two of them and a skin of the shape model: they are easier than "
        "people.\n",
        "## Aims\n",
        _aims(figures),
        "## Faces and brains\n",
        _groups(figures),
        "Skin left: share of the skin in the face window (brow to 10 mm below the chin, in front "
        "of the preauricular points) whose stored value is unchanged. Vault: skin above the "
        "brow. Placed: distance of the atlas' landmarks, brought to the image, from the true "
        "ones.\n",
        _thirds(figures),
        "## Recognition\n",
        _recognition(figures),
        "Intervals: Clopper–Pearson, 95 %, by person. Shape: correlation of depth maps seen from "
        "the front at the true pose; *centred*: mean of gallery and of probes subtracted first. "
        "Embedding: dlib's face recogniser on a shaded render, at the detected face, or at the "
        "true landmarks where the detector does not fire; *forced*: always at the true "
        "landmarks. A detector also fires on a flat cut, so detection alone proves nothing. Open "
        "recognisers are weaker than commercial ones: these rates are lower bounds.\n",
        _worst(figures),
    ]
    return "\n".join(parts)


def _aims(figures: Figures) -> str:
    rows = [
        (name.replace("_", " "), entry["aim"], _number(entry["found"], 4), _yes(entry))
        for name, entry in figures["aims"].items()
    ]
    return markdown_table(("aim", "limit", "found (worst group)", "met"), rows)


def _groups(figures: Figures) -> str:
    rows = []
    for name, entry in figures["groups"].items():
        if not entry["images"]:
            continue
        rows.append(
            (
                f"{name} (n = {entry['images']})",
                ", ".join(f"{count} {status}" for status, count in entry["status"].items()),
                f"{entry['brain_changed_voxels']} of {entry['brain_voxels']:,} "
                f"({entry['images_with_brain_changed']} images)",
                _percent(entry["skin_left"]),
                _percent(entry["vault_changed"]),
                _percent(entry["ears_left"]),
                _range(entry["placed_mm"]["nasion"]["distance"], 1),
                _range(entry["time_s"], 1),
            )
        )
    header = (
        "images",
        "found as",
        "brain and CSF voxels changed",
        "face skin left, mean (range) %",
        "vault skin changed, mean (range) %",
        "ear skin left, mean (range) %",
        "nasion placed off by, mm",
        "CPU s (find, region, write)",
    )
    return markdown_table(header, rows)


def _thirds(figures: Figures) -> str:
    rows = [
        (name, *(_percent(third) for third in entry["skin_left_thirds"].values()))
        for name, entry in figures["groups"].items()
        if entry["images"]
    ]
    header = ("face skin left, mean (range) %", "brow and eyes", "nose", "mouth and chin")
    return markdown_table(header, rows)


def _recognition(figures: Figures) -> str:
    names = (
        ("detected", "dlib detects a face"),
        ("embedding", "rank 1 by embedding"),
        ("embedding_forced", "rank 1 by embedding, forced"),
        ("shape_face", "rank 1 by shape, chin to brow"),
        ("shape_face_centred", "rank 1 by shape, chin to brow, centred"),
        ("shape_with_forehead", "rank 1 by shape, with forehead"),
        ("shape_with_forehead_centred", "rank 1 by shape, with forehead, centred"),
    )
    parts = []
    for duel, entry in figures["recognition"].items():
        if "before" not in entry:
            parts.append(f"{duel}: not measured ({entry['people']} people).\n")
            continue
        rows = [
            (text, rate_text(entry["before"][name]), rate_text(entry["after"][name]))
            for name, text in names
        ]
        header = (f"{duel}, {entry['people']} people", "before", "after")
        parts.append(markdown_table(header, rows))
    return "\n".join(parts)


def _worst(figures: Figures) -> str:
    rows = [
        (
            entry["name"],
            entry["status"],
            entry["brain_changed"],
            f"{100 * entry['skin_left']:.2f}",
            f"{100 * entry['vault_changed']:.2f}",
            entry["left_where"],
            entry["vault_where"],
        )
        for entry in figures["worst"]
    ]
    header = (
        "worst images",
        "found as",
        "brain voxels",
        "skin left %",
        "vault %",
        "where skin is left: x, y, z of 5–95 % (mm, head frame)",
        "where vault is changed",
    )
    return markdown_table(header, rows)


def _percent(entry: dict[str, float]) -> str:
    if not entry["n"]:
        return "–"
    return f"{100 * entry['mean']:.2f} ({100 * entry['min']:.2f}–{100 * entry['max']:.2f})"


def _range(entry: dict[str, float], digits: int) -> str:
    if not entry["n"]:
        return "–"
    return f"{entry['mean']:.{digits}f} ({entry['min']:.{digits}f}–{entry['max']:.{digits}f})"


def _number(value: float | None, digits: int) -> str:
    if value is None:
        return "not measured"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _yes(entry: dict[str, Any]) -> str:
    if entry["found"] is None:
        return "–"
    return "yes" if entry["met"] else "**no**"
