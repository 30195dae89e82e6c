"""The figures of the real scans as a page."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table
from benchmarks.real import peers

Result = dict[str, Any]


def totals(results: list[Result]) -> dict[str, Any]:
    """Yield over the scenarios; the dump of everything at once is counted apart."""
    parts: dict[str, Any] = {}
    for name, chosen in (
        ("one by one", [r for r in results if r["scenario"] != "all_at_once"]),
        ("all at once", [r for r in results if r["scenario"] == "all_at_once"]),
    ):
        known = [entry for result in chosen for entry in result["known"]]
        released = [entry for result in chosen for entry in result["released"]]
        parts[name] = {
            "heads_with_a_face": len(known),
            "released": sum(entry["released"] for entry in known),
            "whole_faces": sum(entry["face"] == "whole" for entry in known),
            "whole_faces_released": sum(
                entry["released"] for entry in known if entry["face"] == "whole"
            ),
            "images_released": len(released),
            "images_with_brain_changed": sum(
                entry["brain_changed_voxels"] > 0 for entry in released
            ),
            "brain_changed_voxels": sum(entry["brain_changed_voxels"] for entry in released),
            "tracebacks": sum(result["traceback"] for result in chosen),
            "validator_errors": sum(
                sum(result["validator"].get("errors", {}).values()) for result in chosen
            ),
        }
    return parts


def page(figures: dict[str, Any]) -> str:
    """The whole page, Markdown; holds no name of a file of the input."""
    results = figures["scenarios"]
    parts = [
        "# The command on real scans\n",
        "Written by `python -m benchmarks.real`; every number stands in `real.json`. Each cell is "
        "one run on one scan. Brain: mask of deepbet on the original, any stored value that "
        "differs counts. Skin: front skin columns left bitwise to 3 mm, in a window of cheeks and "
        "jaw too (no tool reaches 0); thirds from the brow down.\n",
        "## Yield\n",
        _yield(figures["totals"]),
        _runs(results),
        "## Released heads\n",
        _released(results),
        "## Heads with a face that were not released, and everything withheld\n",
        _withheld(results),
        "## Beside other tools, on the same scans\n",
        "Quoted from this project's own trial of 2026-11-21; one run each. " + _peers_note(),
        _peers(results),
    ]
    return "\n".join(parts)


def _yield(parts: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{part['released']} of {part['heads_with_a_face']}",
            f"{part['whole_faces_released']} of {part['whole_faces']}",
            f"{part['brain_changed_voxels']} ({part['images_with_brain_changed']} of "
            f"{part['images_released']} images)",
            part["validator_errors"],
            part["tracebacks"],
        )
        for name, part in parts.items()
    ]
    header = (
        "runs",
        "heads with (part of) a face released",
        "whole faces released",
        "brain voxels changed",
        "validator errors",
        "tracebacks",
    )
    return markdown_table(header, rows)


def _runs(results: list[Result]) -> str:
    rows = [
        (
            r["scenario"],
            r["exit_code"],
            f"{r['wall_s']:.0f} / {r['cpu_s']:.0f}",
            f"{sum(k['released'] for k in r['known'])} of {len(r['known'])}",
            len(r["withheld"]),
            "not run" if not r["validator"]["ran"] else r["validator"]["errors"] or "none",
        )
        for r in results
    ]
    header = (
        "scenario",
        "exit",
        "wall / CPU s",
        "faces released",
        "files withheld",
        "validator errors",
    )
    return markdown_table(header, rows)


def _released(results: list[Result]) -> str:
    rows = []
    for result in results:
        for entry in result["released"]:
            thirds = entry.get("skin_left_thirds", [])
            rows.append(
                (
                    result["scenario"],
                    _short(entry["original"]),
                    f"{entry['brain_changed_voxels']} ({entry['brain_changed_mm3']:.0f} mm³)",
                    _percent(entry.get("skin_left_percent")),
                    " / ".join(_percent(third) for third in thirds),
                )
            )
    header = ("scenario", "image", "brain changed", "front skin left, %", "thirds, %")
    return markdown_table(header, rows)


def _withheld(results: list[Result]) -> str:
    missed = [
        (r["scenario"], k["original"], k["what"], k["face"])
        for r in results
        for k in r["known"]
        if not k["released"]
    ]
    sentences: dict[tuple[str, str], int] = {}
    for r in results:
        for entry in r["withheld"]:
            key = (r["scenario"], entry["sentence"])
            sentences[key] = sentences.get(key, 0) + 1
    rows = [(scenario, count, text) for (scenario, text), count in sorted(sentences.items())]
    return (
        markdown_table(("scenario", "face not released", "what", "face in view"), missed)
        + "\n"
        + markdown_table(("scenario", "files", "sentence"), rows)
    )


def _peers_note() -> str:
    text = (peers.__doc__ or "").split("\n\n", 1)[1]
    return " ".join(text.split()) + "\n"


def _peers(results: list[Result]) -> str:
    measured = {
        known["original"]
        for result in results
        if result["scenario"] != "all_at_once"
        for known in result["known"]
    }
    ours = {
        entry["original"]: entry
        for result in results
        if result["scenario"] != "all_at_once"
        for entry in result["released"]
    }
    rows = []
    for where, brain in peers.BRAIN_CHANGED_MM3.items():
        own = next((entry for name, entry in ours.items() if where in name), None)
        skin = peers.SKIN_LEFT_PERCENT[where]
        mine = (
            ("withheld" if where in measured else "not run")
            if own is None
            else f"{own['brain_noticed_mm3']:.0f}; {_percent(own.get('skin_left_percent'))}"
        )
        others = (
            "not run" if b is None or s is None else f"{b:,.0f}; {s:.0f}"
            for b, s in zip(brain, skin, strict=True)
        )
        rows.append((where.strip("/"), mine, *others))
    header = ("brain changed, mm³; front skin left, %", "anonymi-bids mask", *peers.TOOLS)
    return markdown_table(header, rows)


def _short(name: str) -> str:
    return name.rsplit("/", 2)[-2] + "/" + name.rsplit("/", 1)[-1] if "/" in name else name


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
