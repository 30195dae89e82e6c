"""``python -m benchmarks.eeg``: geometry and EEG forward models before and after.

Digital people are scanned once as T1w and de-identified by `newface`, `blur`, `mask` and `ml`.
Scalp, skull and fiducials are held against the truth; a three-shell boundary element model of
MNE-Python (extra ``[eeg]``) is made of the original scalp and of each new one, inside the same
skull, and the lead fields of the same electrodes are compared. Label heads are used for fiducials
only. Results of single heads are kept in ``benchmarks/out/eeg``, so that a stopped run goes on
where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common import (
    DOCS,
    OUT,
    SHARED,
    in_processes,
    one_thread,
    read_json,
    write_json,
    write_text,
)


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, then write JSON and page."""
    args = parse(argv)
    one_thread()
    from benchmarks.eeg.person import Task, run_task
    from benchmarks.eeg.table import page, summarise
    from benchmarks.quality.cases import all_cases

    folder = OUT / "eeg" / f"{args.digest}_seed-{args.seed}"
    tasks = []
    for part, spacing in (("fiducials", args.spacing), ("models", args.model_spacing)):
        n_heads = args.n_heads if args.heads.is_dir() and part == "fiducials" else 0
        for case in all_cases(args.n, n_heads, args.seed, spacing):
            if case.contrast == "T1w" and case.visit == 1:
                twice = case.number < args.other_mesh
                sizes = (args.skull_vertices, args.scalp_vertices, twice)
                tasks.append(Task(case, part, args.heads, folder, *sizes))
    todo = [task for task in tasks if not task.result.exists()]
    print(f"{len(tasks)} parts, {len(tasks) - len(todo)} of them done; results: {folder}")
    failures = [] if args.score_only else in_processes(run_task, todo, args.nprocs)
    results = [read_json(task.result) for task in tasks if task.result.exists()]
    figures = summarise(results, vars(args), failures)
    text = page(figures)
    print(text)
    write_json(args.docs / "eeg.json", figures)
    write_text(args.docs / "eeg.md", text)
    return 0 if figures["aims_met"] and not failures else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eeg", description=__doc__)
    parser.add_argument("--n", type=int, default=10, help="digital people")
    parser.add_argument("--n-heads", type=int, default=9, help="label heads, for fiducials")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--spacing", type=float, default=1.3, help="voxel edge for fiducials, mm")
    parser.add_argument("--model-spacing", type=float, default=2.0, help="for forward models, mm")
    parser.add_argument("--nprocs", type=int, default=1)
    parser.add_argument("--skull-vertices", type=int, default=482)
    parser.add_argument("--scalp-vertices", type=int, default=642)
    parser.add_argument("--other-mesh", type=int, default=3, help="people meshed twice")
    parser.add_argument("--heads", type=Path, default=SHARED / "heads", help="label heads")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    parser.add_argument("--digest", default="v2", help="name of the folder of results")
    parser.add_argument("--score-only", action="store_true", help="use what was measured")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
