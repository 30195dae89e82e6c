"""``python -m benchmarks.quality``: the methods side by side against the truth of digital people.

40 digital people and nine label heads (of real people) are scanned twice as T1w and once as
T2w or FLAIR. In each image the head is found once; then each method builds its region and writes,
and is held against the truth. The second T1w is the attacker's gallery and is not de-identified.
Results of single images are kept in ``benchmarks/out/quality``, by a digest of the sources they
depend on, so that a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    SHARED,
    code_digest,
    in_processes,
    one_thread,
    read_json,
    write_json,
    write_text,
)

METHODS = ("mask", "ml", "newface", "blur")
CONTRASTS = ("T1w", "T2w", "FLAIR")
ROOMS = ("core", "io", "phantoms", "head", "deface")


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, then score and write."""
    args = parse(argv)
    one_thread()
    from benchmarks.quality.cases import all_cases
    from benchmarks.quality.worker import Task, methods_for, run_task

    own = sorted((ROOT / "benchmarks" / "quality").glob("*.py"))
    used = [path for path in own if path.stem not in ("__init__", "__main__", "score", "table")]
    digest = args.digest or code_digest(ROOMS, used)
    pose = "_true-pose" if args.true_pose else ""
    folder = OUT / "quality" / f"{digest}_seed-{args.seed}_{args.spacing}mm{pose}"
    cases = all_cases(args.n, args.n_heads if args.heads.is_dir() else 0, args.seed, args.spacing)
    cases = [case for case in cases if case.contrast in args.contrasts]
    if not args.heads.is_dir():
        print("The label heads are not here; only digital people are measured.")
    tasks = [
        Task(
            case,
            args.heads,
            folder,
            not args.no_faces,
            args.true_pose,
            methods_for(case, tuple(args.methods)),
        )
        for case in cases
    ]
    todo = [task for task in tasks if not task.done()]
    print(f"{len(cases)} images, {len(cases) - len(todo)} of them done; results: {folder}")
    began = time.monotonic()
    failures = [] if args.score_only else in_processes(run_task, todo, args.nprocs)
    figures = collect(args, folder, {case.key for case in cases}, digest)
    figures["failures"] = failures
    figures["wall_s"] = time.monotonic() - began
    from benchmarks.quality.table import page

    text = page(figures)
    print(text)
    for line in failures:
        print("FAILED", line)
    args.docs.mkdir(parents=True, exist_ok=True)
    write_json(args.docs / f"{args.name}.json", figures)
    write_text(args.docs / f"{args.name}.md", text)
    print(f"Written: {args.docs / args.name}.json and .md")
    met = [aim["met"] for entry in figures["methods"].values() for aim in entry["aims"].values()]
    return 0 if all(met) and not failures else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--n", type=int, default=40, help="digital people")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=METHODS, help="what is measured"
    )
    parser.add_argument(
        "--contrasts", nargs="+", choices=CONTRASTS, default=CONTRASTS, help="what is scanned"
    )
    parser.add_argument("--n-heads", type=int, default=9, help="label heads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--spacing", type=float, default=1.3, help="voxel edge, mm")
    parser.add_argument("--heads", type=Path, default=SHARED / "heads", help="label heads")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    parser.add_argument("--name", default="quality", help="of the files of figures")
    parser.add_argument("--digest", help="go on with the results of this digest of the sources")
    parser.add_argument("--no-faces", action="store_true", help="leave recognition out")
    parser.add_argument(
        "--true-pose", action="store_true", help="place the atlas by true landmarks, not by search"
    )
    parser.add_argument("--score-only", action="store_true", help="use what was measured")
    return parser.parse_args(argv)


def collect(args: argparse.Namespace, folder: Path, keys: set[str], digest: str) -> dict:
    """Score all results that lie in a folder and belong to this run."""
    from benchmarks.quality import score

    recognition = {} if args.no_faces else score.recognition(folder, args.n, args.methods)
    before = next(iter(recognition.values()), {}).get("before", {})
    methods = {}
    for method in args.methods:
        paths = [folder / f"{key}_{method}.json" for key in sorted(keys)]
        results = [read_json(path) for path in paths if path.exists()]
        groups = {name: score.describe(part) for name, part in score.groups(results).items()}
        methods[method] = {
            "images": len(results),
            "groups": groups,
            "aims": score.judge(groups, before),
            "worst": worst(results),
        }
    return {
        "settings": {
            "n": args.n,
            "n_heads": args.n_heads,
            "seed": args.seed,
            "spacing_mm": args.spacing,
            "sources": digest,
            "true_pose": args.true_pose,
            "methods": list(args.methods),
            "contrasts": list(args.contrasts),
            "name": args.name,
        },
        "methods": methods,
        "recognition": recognition,
    }


def worst(results: list[dict], count: int = 4) -> list[dict]:
    """Images with brain changed, then those with most skin left."""
    ranked = sorted(results, key=lambda r: (r["brain_changed"], r["skin_left"]), reverse=True)
    names = ("status", "brain_changed", "skin_left", "vault_changed", "left_where", "vault_where")
    return [
        {
            "name": f"{r['case']['name']} visit {r['case']['visit']} {r['case']['contrast']}",
            **{name: r[name] for name in names},
        }
        for r in ranked[:count]
    ]


if __name__ == "__main__":
    sys.exit(main())
