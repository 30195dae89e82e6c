"""``python -m benchmarks.contrasts``: does a T1w find the T2w or FLAIR of the same brain?

Two cohorts. *Real*: skull-stripped scans of a public multiple sclerosis database, two visits, if
they are at hand (``--real``, a folder of ``<person>_visit-<n>_<contrast>.nii.gz``). Their brain
masks are one per person, so only places are compared that every scan shows, 9 mm or more off any
mask's border. *Digital*: people of `anonymi_bids.phantoms`, another contrast at another visit;
their brains are few label heads, bent. Rows are kept in ``benchmarks/out/contrasts``, so that a
stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.common import (
    DOCS,
    OUT,
    SHARED,
    code_digest,
    counted,
    in_processes,
    markdown_table,
    one_thread,
    read_json,
    write_json,
    write_text,
)

Rows = dict[str, npt.NDArray[np.float32]]
NAME = re.compile(r"(?P<person>.+)_visit-(?P<visit>\d)_(?P<contrast>T1W|T2W|FLAIR)\.nii\.gz")
PLAN = (("1", "T1W"), ("2", "T2W"), ("2", "FLAIR"), ("2", "T1W"))
"""Visits and contrasts of a digital person."""

WAYS = ("brain_contrast", "brain_edges", "brain_high", "brain")
BORDER_VOXELS = 3


@dataclass(frozen=True)
class Task:
    """One scan to be turned into rows: a real file, or a digital person's number."""

    cohort: str
    person: str
    visit: str
    contrast: str
    path: Path
    source: Path | None = None


def main(argv: list[str] | None = None) -> int:
    """Make rows that are missing, compare, write."""
    args = parse(argv)
    one_thread()
    folder = OUT / "contrasts" / code_digest(("core", "phantoms"), own_sources())
    tasks = [*real_tasks(args.real, folder), *digital_tasks(args.n, folder)]
    todo = [] if args.score_only else [task for task in tasks if not task.path.exists()]
    failures = in_processes(run_task, todo, args.nprocs) if todo else []
    figures: dict[str, Any] = {"n_digital": args.n, "failures": failures}
    for cohort in ("real", "digital"):
        mine = [task for task in tasks if task.cohort == cohort]
        done = [task for task in mine if task.path.exists()]
        figures[cohort] = cohort_figures(done)
        if figures[cohort]:
            figures[cohort]["not_made"] = len(mine) - len(done)
    write_json(args.docs / "contrasts.json", figures)
    write_text(args.docs / "contrasts.md", page(figures))
    print(page(figures))
    return 1 if failures else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contrasts", description=__doc__)
    parser.add_argument("--n", type=int, default=12, help="digital people")
    parser.add_argument("--real", type=Path, default=SHARED / "brains", help="real scans, if any")
    parser.add_argument("--nprocs", type=int, default=1)
    parser.add_argument("--score-only", action="store_true", help="use what was made")
    parser.add_argument("--docs", type=Path, default=DOCS)
    return parser.parse_args(argv)


def own_sources() -> list[Path]:
    """Code that makes the rows."""
    import anonymi_bids.audit

    room = Path(anonymi_bids.audit.__path__[0])
    return [room / "brains.py", room / "selfsimilar.py"]


def real_tasks(folder: Path, out: Path) -> list[Task]:
    """Real scans that are at hand."""
    found = [(NAME.fullmatch(path.name), path) for path in sorted(folder.glob("*.nii.gz"))]
    return [
        Task("real", m["person"], m["visit"], m["contrast"], out / f"{path.name[:-7]}.npz", path)
        for m, path in found
        if m is not None
    ]


def digital_tasks(n: int, out: Path) -> list[Task]:
    """Scans of digital people."""
    return [
        Task("digital", str(k), visit, contrast, out / f"digital-{k}-{visit}-{contrast}.npz")
        for k, (visit, contrast) in product(range(n), PLAN)
    ]


def run_task(task: Task) -> str:
    """Make the rows of one scan."""
    from anonymi_bids.audit.brains import brain_rows
    from anonymi_bids.head.atlas import load_atlas

    image, place, inside = real_scan(task) if task.source else digital_scan(task)
    rows = {} if place is None else brain_rows(image, load_atlas(), place)
    task.path.parent.mkdir(parents=True, exist_ok=True)
    temporary = task.path.with_suffix(".tmp.npz")
    np.savez_compressed(temporary, inside=inside, **rows)
    temporary.replace(task.path)
    return task.path.stem


def real_scan(task: Task) -> tuple[Any, Any, str]:
    """Read a scan and find its head as the audit does; None where the program finds none."""
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.find import find_head_checked
    from anonymi_bids.head.network import load_model
    from anonymi_bids.io.images import read_image, sha256_of

    if task.source is None:
        raise ValueError("A real scan has a file.")
    kept = OUT / "contrasts" / "places" / f"{sha256_of(task.source)[:16]}.json"
    image = read_image(task.source)
    if not kept.exists():
        fit = find_head_checked(image, load_atlas(), load_model())
        write_json(kept, {"atlas_to_image": fit.atlas_to_image, "status": fit.status})
    found = read_json(kept)
    place = None if found["status"] == "no_head" else np.array(found["atlas_to_image"])
    return image, place, ""


def digital_scan(task: Task) -> tuple[Any, Any, str]:
    """Scan a digital person; the place of its head is the affine part of its skin's vertices."""
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.find import find_head_checked
    from anonymi_bids.head.network import load_model
    from anonymi_bids.phantoms.library import load_template
    from anonymi_bids.phantoms.person import make_person
    from anonymi_bids.phantoms.quick import quick_head
    from anonymi_bids.phantoms.visit import Protocol, make_visit

    person = make_person(int(task.person))
    kept = OUT / "contrasts" / "places" / f"template-{person.head}.json"
    if not kept.exists():
        fit = find_head_checked(
            quick_head(2.0, head=person.head).image, load_atlas(), load_model()
        )
        write_json(kept, {"atlas_to_template": fit.atlas_to_image, "status": fit.status})
    to_template = np.array(read_json(kept)["atlas_to_template"])
    contrast = {"T1W": "T1w", "T2W": "T2w"}.get(task.contrast, task.contrast)
    scan = make_visit(person, contrast, int(task.visit), protocol=Protocol(spacing_mm=2.0))
    template = load_template(person.head).vertices
    n = len(template)
    # Skull and vault only: the face and the neck are not what a brain is laid by.
    vault = template[:, 2] > np.quantile(template[:, 2], 0.6)
    known = np.column_stack([template, np.ones(n)])[vault]
    solved = np.linalg.lstsq(known, scan.vertices[:n][vault], rcond=None)[0]
    to_image = np.eye(4)
    to_image[:3] = solved.T
    return scan.image, to_image @ to_template, person.head


def cohort_figures(tasks: list[Task]) -> dict[str, Any]:
    """Compare all pairs of contrasts of one cohort."""
    if not tasks:
        return {}
    loaded = {task: dict(np.load(task.path)) for task in tasks}
    loaded = {task: rows for task, rows in loaded.items() if "brain" in rows}
    unplaced = len(tasks) - len(loaded)
    tasks = list(loaded)
    if not tasks:
        return {}
    places = common_places(loaded) if tasks[0].cohort == "real" else None
    figures: dict[str, Any] = {
        "people": len({task.person for task in tasks}),
        "scans": len(tasks),
        "unplaced": unplaced,
        "insides": len({str(loaded[task]["inside"]) for task in tasks}),
        "pairs": {},
    }
    for one, two in product(("T1W", "T2W", "FLAIR"), repeat=2):
        probes = [task for task in tasks if task.contrast == one]
        gallery = [task for task in tasks if task.contrast == two]
        for visits in ("other", "same"):
            entry = {
                f"{way}{', mean removed' if centred else ''}": linked(
                    chosen(probes, loaded, way, places),
                    chosen(gallery, loaded, way, places),
                    visits,
                    centred,
                )
                for way in WAYS
                for centred in (False, True)
            }
            if all(value is not None for value in entry.values()):
                figures["pairs"][f"{one} finds {two}, {visits} visit"] = entry
    return figures


def common_places(loaded: Mapping[Task, Rows]) -> npt.NDArray[np.bool_]:
    """Places that all scans show, 9 mm off the border of any: no outline is left to tell by."""
    from anonymi_bids.audit.brains import brain_grid
    from anonymi_bids.head.atlas import load_atlas

    mask = brain_grid(load_atlas())[0]
    seen = mask.copy()
    for rows in loaded.values():
        seen[mask] &= rows["brain"] != 0
    closed = ndimage.binary_closing(seen)
    return np.asarray(ndimage.binary_erosion(closed & mask, iterations=BORDER_VOXELS))


def chosen(
    tasks: list[Task], loaded: Mapping[Task, Rows], way: str, places: Any
) -> dict[Task, npt.NDArray[np.float64]]:
    """Rows of some scans, at some places."""
    from anonymi_bids.audit.brains import brain_grid
    from anonymi_bids.head.atlas import load_atlas

    rows = {task: loaded[task][way].astype(np.float64) for task in tasks}
    if places is None:
        return rows
    mask = brain_grid(load_atlas())[0]
    kept = places[mask]
    if way == "brain_contrast":
        kept = np.tile(places[::2, ::2, ::2][mask[::2, ::2, ::2]], 6)
    return {task: row[kept] for task, row in rows.items()}


def linked(
    probes: Mapping[Task, Any], gallery: Mapping[Task, Any], visits: str, centred: bool
) -> dict[str, Any] | None:
    """Count people whose scan finds their own scan of the other contrast first.

    A person counts once: all its probes must come first. Each probe is searched among one score
    a person, the best of that person's scans.
    """
    if not probes or not gallery:
        return None
    left, right = unit(probes, centred), unit(gallery, centred)
    hits: dict[str, bool] = {}
    searched: list[int] = []
    same, other = [], []
    for one, row in left.items():
        best: dict[str, float] = {}
        for two, entry in right.items():
            if two.person == one.person and (two.visit == one.visit) != (visits == "same"):
                continue
            if two == one:
                continue
            best[two.person] = max(best.get(two.person, -np.inf), float(row @ entry))
        if one.person not in best or len(best) < 2:
            continue
        own = best.pop(one.person)
        hits[one.person] = hits.get(one.person, True) and own > max(best.values())
        searched.append(len(best) + 1)
        same.append(own)
        other += list(best.values())
    if not hits:
        return None
    spread = float(np.sqrt((np.var(same) + np.var(other)) / 2))
    return {
        **counted(sum(hits.values()), len(hits), 1 / float(np.mean(searched))),
        "searched": float(np.mean(searched)),
        "lowest_same": min(same),
        "highest_different": max(other),
        "separation": (float(np.mean(same)) - float(np.mean(other))) / max(spread, 1e-9),
    }


def unit(rows: Mapping[Task, Any], centred: bool) -> dict[Task, Any]:
    """Rows of unit length, round their own mean if asked."""
    mean = np.mean(list(rows.values()), axis=0) if centred else 0.0
    apart = {task: row - (mean if centred else row.mean()) for task, row in rows.items()}
    return {task: row / max(float(np.linalg.norm(row)), 1e-9) for task, row in apart.items()}


def page(figures: Mapping[str, Any]) -> str:
    """Write the tables."""
    parts = [
        "# Cross-contrast linkage: does a T1w find the T2w or FLAIR of the same brain?\n\n"
        f"Written by `python -m benchmarks.contrasts --n {figures['n_digital']}`; every number "
        "stands in `contrasts.json`. People found first, of people searched; a person counts if "
        "all its scans find it, and each scan is searched among one score a person. "
        "Clopper\u2013Pearson 95 %; then the lowest score of the same person, and the highest of "
        "different people. The mean of all probes, and of all gallery scans, is taken out; "
        "without that, and within one visit: `contrasts.json`. *brain_contrast* is free of "
        "contrast (self-similarity); the other three are the renditions of same-contrast "
        "linkage.\n"
    ]
    titles = {
        "real": "Real scans, skull-stripped, two visits; only places 9 mm off any mask's border",
        "digital": "Digital people, other contrast at another visit, heads placed by the truth",
    }
    for cohort, title in titles.items():
        found = figures[cohort]
        if not found:
            parts.append(f"## {title}\n\nNot at hand.\n")
            continue
        insides = f", {found['insides']} different insides" if cohort == "digital" else ""
        parts.append(
            f"## {title}\n\n{found['people']} people, {found['scans']} scans{insides}; scans in "
            f"which the program found no head, left out: {found['unplaced']}; scans not tried: "
            f"{found['not_made']}.\n\n" + table(found["pairs"])
        )
    return "\n".join(parts)


def table(pairs: Mapping[str, Any]) -> str:
    """One line a pair of contrasts at another visit, one column a way, mean removed."""
    lines = []
    for name, entry in pairs.items():
        if name.endswith("other visit"):
            found = [entry[f"{way}, mean removed"] for way in WAYS]
            chance = f"{found[0]['chance']:.2f}"
            lines.append([name.split(",")[0], chance, *(cell(one) for one in found)])
    return markdown_table(("at another visit", "chance", *WAYS), lines)


def cell(found: Mapping[str, Any]) -> str:
    """Hits of people, and how far the two kinds of scores are apart."""
    return (
        f"{found['hits']} of {found['n']} [{found['low95']:.2f}, {found['high95']:.2f}]; "
        f"{found['lowest_same']:.2f}, {found['highest_different']:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
