"""The figures as pages for people."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table, rate_text

Figures = dict[str, Any]


def page(figures: Figures) -> str:
    """The whole page, Markdown."""
    settings = figures["settings"]
    parts = [
        "# Quality of the methods, side by side\n",
        f"Written by `python -m benchmarks.quality --n {settings['n']} --seed "
        f"{settings['seed']} --methods {' '.join(settings['methods'])} --contrasts "
        f"{' '.join(settings['contrasts'])} --n-heads {settings['n_heads']}`; every number stands "
        f"in `{settings['name']}.json`. "
        f"Digital people are painted at about {settings['spacing_mm']} mm, label "
        "heads at 1 mm. Truth: labels and landmarks of the phantoms (definitions in "
        "`benchmarks/quality/truth.py`). Ranges are least to greatest over images. The atlas was "
        "made from the label heads named so; digital people have the inside of two of them and a "
        "skin of the shape model: they are easier than people. `newface` and `blur` are the "
        "styles of the method `surface`.\n",
        "## Aims\n",
        _aims(figures),
        "## Faces and brains\n",
        _groups(figures),
        "Skin left: share of the skin in the face window (brow to 10 mm below the chin, in front "
        "of the preauricular points) whose stored value is unchanged. Vault: skin above the "
        "brow. Placed: distance of the atlas' landmarks, brought to the image, from the true "
        "ones; the head is found once for all methods. An image in which no head was found would "
        "be withheld; here it counts as it came out.\n",
        _thirds(figures),
        "## Recognition\n",
        _recognition(figures),
        "Intervals: Clopper–Pearson, 95 %, by person. Shape: correlation of depth maps seen from "
        "the front at the true pose; *centred*: mean of gallery and of probes subtracted first. "
        "Embedding: dlib's face recogniser on a shaded render, at the detected face, or at the "
        "true landmarks where the detector does not fire; *forced*: always at the true "
        "landmarks; *nearer*: share of people who are nearer to their own original than the "
        "median of others is (half by chance). A detector also fires on a flat cut, so detection "
        "alone proves nothing. Open recognisers are weaker than commercial ones: these rates are "
        "lower bounds.\n",
        _worst(figures),
    ]
    return "\n".join(parts)


def _aims(figures: Figures) -> str:
    entries = figures["methods"]
    rows = [
        (
            name.replace("_", " "),
            aim["aim"],
            *(
                f"{_number(entry['aims'][name]['found'], 4)} {_yes(entry['aims'][name])}"
                for entry in entries.values()
            ),
        )
        for name, aim in next(iter(entries.values()))["aims"].items()
    ]
    header = ("aim (found: worst group)", "limit", *(f"`{method}`" for method in entries))
    return markdown_table(header, rows)


def _by_group(figures: Figures) -> list[tuple[str, Figures]]:
    """Every group of images under every method, groups first."""
    names = next(iter(figures["methods"].values()))["groups"]
    return [
        (f"{name} (n = {entry['groups'][name]['images']}), `{method}`", entry["groups"][name])
        for name in names
        for method, entry in figures["methods"].items()
        if entry["groups"][name]["images"]
    ]


def _groups(figures: Figures) -> str:
    rows = [
        (
            name,
            ", ".join(f"{count} {status}" for status, count in entry["status"].items()),
            f"{entry['brain_changed_voxels']} of {entry['brain_voxels']:,} "
            f"({entry['images_with_brain_changed']} images)",
            _percent(entry["skin_left"]),
            _percent(entry["vault_changed"]),
            _percent(entry["ears_left"]),
            _range(entry["placed_mm"]["nasion"]["distance"], 1),
            _range(entry["time_s"], 1),
        )
        for name, entry in _by_group(figures)
    ]
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
        for name, entry in _by_group(figures)
    ]
    header = ("face skin left, mean (range) %", "brow and eyes", "nose", "mouth and chin")
    return markdown_table(header, rows)


ATTACKS = (
    ("detected", "dlib detects a face"),
    ("embedding", "rank 1 by embedding"),
    ("embedding_forced", "rank 1 by embedding, forced"),
    ("shape_face", "rank 1 by shape, chin to brow"),
    ("shape_face_centred", "rank 1 by shape, chin to brow, centred"),
    ("shape_with_forehead", "rank 1 by shape, with forehead"),
    ("shape_with_forehead_centred", "rank 1 by shape, with forehead, centred"),
)


def _recognition(figures: Figures) -> str:
    parts = []
    for duel, entry in figures["recognition"].items():
        if "before" not in entry:
            parts.append(f"{duel}: not measured.\n")
            continue
        rows = [
            (text, *(rate_text(rates[key]) for rates in entry.values())) for key, text in ATTACKS
        ]
        nearer = (rates["embedding"]["own_nearer_than_median_other"] for rates in entry.values())
        rows.append(("*nearer* by embedding", *(f"{share:.3f}" for share in nearer)))
        people = ", ".join(f"{when} {rates['people']}" for when, rates in entry.items())
        among = f"; among {entry['before'].get('gallery', entry['before']['people'])}"
        header = (f"{duel}; people: {people}{among}", *(_named(when) for when in entry))
        parts.append(markdown_table(header, rows))
    return "\n".join(parts)


def _named(when: str) -> str:
    return when if when == "before" else f"after `{when}`"


def _worst(figures: Figures) -> str:
    rows = [
        (
            f"{entry['name']}, `{method}`",
            entry["status"],
            entry["brain_changed"],
            f"{100 * entry['skin_left']:.2f}",
            f"{100 * entry['vault_changed']:.2f}",
            entry["left_where"],
            entry["vault_where"],
        )
        for method, figures_of in figures["methods"].items()
        for entry in figures_of["worst"]
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
