"""``python -m benchmarks.audit``: attack the methods on digital people, for every report to quote.

Few studies have the people that a claim needs. So the package ships the audit of its own methods
on digital people; the report puts these numbers beside the local ones and says what they are.
Images are made, de-identified and looked at as in ``benchmarks.quality``, whose results are
reused (``--features``, ``--kept-only``) or added to: a stopped run goes on where it was, and
``--n 200`` only makes the people that are missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    code_digest,
    in_processes,
    one_thread,
    write_json,
    write_text,
)

METHODS = ("mask", "ml", "newface", "blur")
COHORT = ROOT / "anonymi_bids" / "data" / "reference_cohort.json"


def main(argv: list[str] | None = None) -> int:
    """Make what is missing, attack, write the cohort and its page."""
    args = parse(argv)
    one_thread()
    from benchmarks.audit.cohort import make_cohort
    from benchmarks.audit.manifest import enter
    from benchmarks.audit.table import page

    folders = list(args.features)
    failures: list[str] = []
    if not args.kept_only:
        folder, failures = complete(args)
        folders.append(folder)
    about = {"seed": args.seed, "spacing_mm": args.spacing, "sources": sources()}
    cohort = make_cohort(folders, args.n, args.methods, about)
    text = page(cohort)
    print(text)
    for line in failures:
        print("FAILED", line)
    write_json(args.cohort, cohort)
    if args.cohort == COHORT:
        enter(COHORT, cohort)
    write_text(args.docs / "audit.md", text)
    print(f"Written: {args.cohort} and {args.docs / 'audit.md'}")
    return 1 if failures else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="digital people, at most")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spacing", type=float, default=1.3, help="voxel edge, mm")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument(
        "--features",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders of benchmarks.quality whose results are used too; each method takes the "
        "one with the most people",
    )
    parser.add_argument("--kept-only", action="store_true", help="make nothing new")
    parser.add_argument("--cohort", type=Path, default=COHORT, help="where the cohort is written")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the page is written")
    return parser.parse_args(argv)


def sources() -> str:
    """Digest of the code that makes, de-identifies and looks at people, as it is now."""
    from benchmarks.quality.__main__ import ROOMS

    own = sorted((ROOT / "benchmarks" / "quality").glob("*.py"))
    used = [path for path in own if path.stem not in ("__init__", "__main__", "score", "table")]
    return code_digest(ROOMS, used)


def complete(args: argparse.Namespace) -> tuple[Path, list[str]]:
    """Make, de-identify and look at the people that are missing: T1w of two visits."""
    from benchmarks.quality.cases import all_cases
    from benchmarks.quality.worker import Task, methods_for, run_task

    folder = OUT / "quality" / f"{sources()}_seed-{args.seed}_{args.spacing}mm"
    tasks = [
        Task(case, Path(), folder, True, False, methods_for(case, tuple(args.methods)))
        for case in all_cases(args.n, 0, args.seed, args.spacing)
        if case.contrast == "T1w"
    ]
    todo = [task for task in tasks if not task.done()]
    print(f"{len(tasks)} images, {len(tasks) - len(todo)} of them done; results: {folder}")
    return folder, in_processes(run_task, todo, args.nprocs)


if __name__ == "__main__":
    sys.exit(main())
