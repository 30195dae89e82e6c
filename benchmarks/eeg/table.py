"""Summaries and the page of the EEG benchmark."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table, summary

RDM_AIM, FIDUCIAL_AIM_MM = 0.01, 5.0
CALIBRATED = 7
"""The first people of seed 3, on whom the two offsets of the preauricular points were set."""


def summarise(
    results: list[dict[str, Any]], settings: dict[str, Any], failures: list[str]
) -> dict[str, Any]:
    """Gather all results."""
    models = [entry for entry in results if "eeg" in entry]
    found = [entry for entry in results if "fiducials" in entry]
    kept = {k: v for k, v in settings.items() if isinstance(v, (int, float)) and k != "nprocs"}
    figures: dict[str, Any] = {
        "settings": kept,
        "failures": len(failures),
        "people_asked": settings["n"],
        "geometry": {},
        "eeg": {},
        "fiducials": {},
        "electrodes_in_changed_region": {},
    }
    for name in dict.fromkeys(n for e in models for n in e["eeg"]["against_original"]):
        rows = [e["eeg"]["against_original"].get(name) for e in models]
        figures["eeg"][name] = _columns([row for row in rows if row])
    for name in dict.fromkeys(n for e in models for n in e["geometry"]):
        figures["geometry"][name] = _columns([e["geometry"][name] for e in models])
        seen: dict[str, int] = {}
        for entry in models:
            for electrode in entry["eeg"]["electrodes_in_changed_region"][name]:
                seen[electrode] = seen.get(electrode, 0) + 1
        figures["electrodes_in_changed_region"][name] = seen
    figures["lifted"] = _columns([e["eeg"]["lifted_off_the_skull"] for e in models])
    for group, part in _groups(found).items():
        figures["fiducials"][group] = {
            name: {
                "missing": sum(e["fiducials"][name]["found_mm"] is None for e in part),
                **_columns([e["fiducials"][name] for e in part]),
            }
            for name in ("NAS", "LPA", "RPA")
        }
    figures["aims"] = _aims(figures)
    figures["aims_met"] = all(aim["met"] for aim in figures["aims"].values())
    return figures


def _groups(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    people = [e for e in found if e["kind"] == "person"]
    groups = {
        "people whose ears set the offsets": [e for e in people if e["number"] < CALIBRATED],
        "other people": [e for e in people if e["number"] >= CALIBRATED],
        "label heads": [e for e in found if e["kind"] == "head"],
    }
    return {name: part for name, part in groups.items() if part}


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: summary(row.get(name) for row in rows) for name in names}


def _aims(figures: dict[str, Any]) -> dict[str, Any]:
    aims = {}
    for name in ("newface", "blur"):
        if name in figures["eeg"]:
            value = figures["eeg"][name]["rdm_median"]["median"]
            aims[f"RDM, median, {name}"] = (RDM_AIM, value)
        if name in figures["geometry"]:
            columns = figures["geometry"][name]
            value = columns["scalp_outside_moved_max_mm"]["max"]
            aims[f"scalp outside the regions moved, worst, mm, {name}"] = (0.0, value)
            value = columns["inside_voxels_changed"]["max"]
            aims[f"voxels changed inside the skull, worst, {name}"] = (0, value)
            value = columns["braincase_voxels_changed"]["max"]
            aims[f"voxels changed of the braincase's bone, worst, {name}"] = (0, value)
    for name in ("NAS", "LPA", "RPA"):
        parts = [g[name]["found_mm"] for g in figures["fiducials"].values()]
        worst = [part["max"] for part in parts if part["n"]]
        if worst:
            aims[f"{name} off the truth, worst, mm"] = (FIDUCIAL_AIM_MM, max(worst))
    return {
        name: {"limit": limit, "found": found, "met": found <= limit}
        for name, (limit, found) in aims.items()
    }


def page(figures: dict[str, Any]) -> str:
    """The page in Markdown."""
    n = max((c["rdm_median"]["n"] for c in figures["eeg"].values()), default=0)
    settings = figures["settings"]
    lines = [
        "# Geometry and EEG forward models before and after\n",
        f"Written by `python -m benchmarks.eeg`; every number stands in `eeg.json`. {n} digital "
        f"people of {figures['people_asked']} asked for were modelled, at "
        f"{settings['model_spacing']} mm voxels; {figures['failures']} failed.\n",
        "## Aims\n",
        markdown_table(
            ("aim", "limit", "found", "met"),
            [
                (name, aim["limit"], f"{aim['found']:.4g}", "yes" if aim["met"] else "**no**")
                for name, aim in figures["aims"].items()
            ],
        ),
        "## EEG lead field against the original's\n",
        markdown_table(
            (
                "scalp",
                "people",
                "RDM median",
                "RDM 95 %",
                "RDM worst",
                "\\|lnMAG\\| median",
                "worst",
            ),
            [_eeg_row(name, columns) for name, columns in figures["eeg"].items()],
        ),
        _eeg_text(settings),
        "## Scalp and skull\n",
        markdown_table(
            (
                "method",
                "scalp outside moved, worst mm",
                "its voxels changed, worst",
                "voxels changed inside the skull, worst",
                "of the braincase's bone, median (worst), %",
                "skin in the regions moved, mean mm",
                "95 % mm",
            ),
            [_geometry_row(name, columns) for name, columns in figures["geometry"].items()],
        ),
        _geometry_text(figures),
        "## Fiducials of the original\n",
        markdown_table(
            (
                "heads",
                "landmark",
                "n",
                "not found",
                "mean mm",
                "worst mm",
                "atlas' alone, mean mm",
            ),
            [row for group in figures["fiducials"].items() for row in _fiducial_rows(*group)],
        ),
        "Truth: the shape model's vertex on digital people; on label heads the same vertex of the "
        "model fitted to them, which is itself off by some mm. The head is searched for as in a "
        f"run, at {settings['spacing']} mm voxels (label heads: 1 mm).\n",
    ]
    return "\n".join(lines)


def _eeg_row(name: str, c: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        str(c["rdm_median"]["n"]),
        f"{c['rdm_median']['median']:.4f}",
        f"{c['rdm_p95']['median']:.4f}",
        f"{c['rdm_max']['max']:.4f}",
        f"{c['lnmag_median']['median']:.4f}",
        f"{c['lnmag_max']['max']:.4f}",
    )


def _eeg_text(settings: dict[str, Any]) -> str:
    return (
        "RDM: 0 same topography, 2 opposite; lnMAG: logarithm of the ratio of strengths. Medians "
        "over people of each person's median (95 %) over dipoles; *worst* is the worst dipole of "
        "all people. Three shells by MNE-Python "
        f"({settings['skull_vertices']}, {settings['skull_vertices']} and "
        f"{settings['scalp_vertices']} vertices, 0.3, 0.006, 0.3 S/m), dipoles on a lattice in "
        "the brain in three directions, 19 electrodes of the 10-20 system, average reference. "
        "Skulls are the truth's for all, so only the scalp differs; meshes are star-shaped and "
        "without ears. *Original, other mesh*: the same head with other vertices, what the "
        "numbers of such a model are good for. The atlas is placed by the true landmarks.\n"
    )


def _geometry_row(name: str, c: dict[str, Any]) -> tuple[str, ...]:
    bone = c["braincase_share_changed"]
    return (
        name,
        f"{c['scalp_outside_moved_max_mm']['max']:.2f}",
        f"{c['scalp_outside_voxels_changed']['max']:.0f}",
        f"{c['inside_voxels_changed']['max']:.0f}",
        f"{100 * bone['median']:.2f} ({100 * bone['max']:.2f})",
        f"{c['skin_moved_mean_mm']['mean']:.1f}",
        f"{c['skin_moved_p95_mm']['mean']:.1f}",
    )


def _geometry_text(figures: dict[str, Any]) -> str:
    if not figures["geometry"]:
        return ""
    inside = {
        name: ", ".join(f"{electrode} ({count})" for electrode, count in seen.items()) or "none"
        for name, seen in figures["electrodes_in_changed_region"].items()
    }
    lifted = figures["lifted"]["mask"]["max"]
    return (
        "Outside: farther than 3 mm from a voxel that may have been changed; skin in the "
        "regions: face and ears, to the nearest new skin. One threshold of air, the original's, "
        "draws all heads; a tool that sets its own for each image may see the whole scalp move "
        "by a part of a voxel. Bone: true bone within 14 mm of brain and CSF; what changes of it "
        "is the outer table of the brow. How far the skull that is written lies from the true one "
        "stands in [head_skull.md](head_skull.md).\n\n"
        "Electrodes that stand on a changed region (in how many people): "
        + "; ".join(f"{name}: {text}" for name, text in inside.items())
        + f". After `mask` up to {lifted:.1%} of the scalp's vertices would have lain within the "
        f"skull and were lifted off it, or no model could be made.\n"
    )


def _fiducial_rows(group: str, marks: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for name, c in marks.items():
        found = c["found_mm"]
        figures = (f"{found['mean']:.1f}", f"{found['max']:.1f}") if found["n"] else ("-", "-")
        rows.append(
            (
                group,
                name,
                str(found["n"]),
                str(c["missing"]),
                *figures,
                f"{c['atlas_mm']['mean']:.1f}",
            )
        )
    return rows
