"""``python -m benchmarks.restoration``: can a face that was taken away be brought back?

Digital people are seen at two visits; the second is de-identified by `mask`, `newface` and `blur`.
Most people are meshes (`benchmarks.restoration.meshes`), some go through the methods' own code
(`benchmarks.restoration.people`). The audit's attacks that restore and learn search everybody's
de-identified second visit for the person known from the first. Two cohorts bracket the truth:
*coupled*, in which face and vault are one draw of the shape model that the attacker has too, and
*uncoupled*, in which they are drawn apart. Each person's views are kept in
``benchmarks/out/restoration``, by a digest of the sources, so that a stopped run goes on where it
was. What ``python -m benchmarks.quality`` left in ``benchmarks/out/quality`` is attacked the same
way with ``--quality``: whole images.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    code_digest,
    in_processes,
    one_thread,
    read_json,
    write_json,
    write_text,
)

FEWEST_IMAGES = 12
"""Attackers who learn want at least so many people."""
ROOMS = ("core", "io", "phantoms", "head", "deface")


def main(argv: list[str] | None = None) -> int:
    """Make what is missing, attack, write."""
    args = parse(argv)
    one_thread()
    from benchmarks.restoration.people import COHORTS, LEVELS, Task, run_task

    own = ROOT / "benchmarks" / "restoration"
    used = [own / "people.py", own / "meshes.py", ROOT / "anonymi_bids" / "audit" / "faces.py"]
    digest = args.digest or code_digest(ROOMS, used)
    folder = OUT / "restoration" / digest
    tasks = [
        Task(level, cohort, number, folder)
        for level, n in (("mesh", args.n), ("surface", args.n_surface))
        for number in range(n)
        for cohort in COHORTS
    ]
    todo = [task for task in tasks if not task.path.exists()]
    print(f"{len(tasks)} people, {len(tasks) - len(todo)} of them done; results: {folder}")
    failures = [] if args.score_only else in_processes(run_task, todo, args.nprocs)
    figures: dict[str, Any] = {
        "settings": {
            "n": args.n,
            "n_surface": args.n_surface,
            "quality": args.quality is not None,
            "seed": args.seed,
            "sources": digest,
        },
        **{level: level_figures(level, tasks, args.seed) for level in LEVELS},
        "voxel": voxel_figures(args.quality, args.seed),
        "failures": failures,
    }
    from benchmarks.restoration.table import page, without_people

    text = page(figures)
    print(text)
    write_json(args.docs / "restoration.json", without_people(figures))
    write_text(args.docs / "restoration.md", text)
    print(f"Written: {args.docs / 'restoration'}.json and .md")
    return 1 if failures else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restoration", description=__doc__)
    parser.add_argument("--n", type=int, default=60, help="digital people of each cohort, meshes")
    parser.add_argument("--n-surface", type=int, default=16, help="the same, by the methods' code")
    parser.add_argument("--seed", type=int, default=1, help="folds, shuffles")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    parser.add_argument("--digest", help="go on with the results of this digest of the sources")
    parser.add_argument("--score-only", action="store_true", help="use what was made")
    parser.add_argument(
        "--quality",
        type=Path,
        help="results of benchmarks.quality, a folder of benchmarks/out/quality",
    )
    return parser.parse_args(argv)


def level_figures(level: str, tasks: list[Any], seed: int) -> dict[str, Any]:
    """Attack every cohort and method at one level."""
    from anonymi_bids.audit.faces import face_pixels
    from anonymi_bids.head.atlas import load_atlas
    from benchmarks.restoration.attack import PLANTED, score_method
    from benchmarks.restoration.people import COHORTS, METHODS

    face = face_pixels(load_atlas())
    done = [task for task in tasks if task.level == level and task.path.exists()]
    numbers = [{task.number for task in done if task.cohort == cohort} for cohort in COHORTS]
    both = set.intersection(*numbers)
    names = (*METHODS, *PLANTED) if level == "mesh" else METHODS
    figures: dict[str, Any] = {}
    for cohort in COHORTS:
        people = [_read(t.path) for t in done if t.cohort == cohort and t.number in both]
        if len(people) < 2:
            continue
        figures[cohort] = {}
        for name in names:
            kept = (
                done[0].folder / "scores" / f"{level}_{cohort}_{_short(name)}_{len(people)}_{seed}"
            )
            if not kept.with_suffix(".json").exists():
                scored = score_method(people, name, face, seed)
                write_json(kept.with_suffix(".json"), scored)
            figures[cohort][name] = read_json(kept.with_suffix(".json"))
        print(f"Attacked: {level}, {cohort}, {len(people)} people", flush=True)
    return figures


def voxel_figures(folder: Path | None, seed: int) -> dict[str, Any]:
    """Attack what the quality benchmark made: coupled people, one frontal view, whole images."""
    from benchmarks.quality.__main__ import METHODS
    from benchmarks.restoration.attack import score_method

    figures: dict[str, Any] = {}
    for method in METHODS if folder is not None else ():
        people = []
        for after in sorted(Path(str(folder)).glob(f"person-*_visit-1_T1w_{method}.npz")):
            second = after.with_name(after.name.replace(f"_{method}.", "_before."))
            first = second.with_name(second.name.replace("visit-1", "visit-2"))
            if first.exists() and second.exists():
                people.append(
                    {
                        "original1_head": _read(first)["whole"][None],
                        "original2_head": _read(second)["whole"][None],
                        f"{method}_head": _read(after)["whole"][None],
                    }
                )
        if len(people) >= FEWEST_IMAGES:
            figures[method] = score_method(people, method, _face_window(people[0]), seed)
    return figures


def _short(name: str) -> str:
    return name.replace(" ", "").replace("%", "")


def _face_window(person: dict[str, Any]) -> Any:
    """Pixels of the quality benchmark's whole window that lie below the brow."""
    from benchmarks.quality.recognise import COARSE_MM, FACE_MM, WHOLE_MM

    face = np.zeros(person["original1_head"].shape, dtype=bool)
    face[:, round((WHOLE_MM[2] - FACE_MM[2]) / COARSE_MM) :] = True
    return face


def _read(path: Path) -> dict[str, Any]:
    with np.load(path) as arrays:
        return dict(arrays)


if __name__ == "__main__":
    sys.exit(main())
