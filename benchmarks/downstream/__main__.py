"""``python -m benchmarks.downstream``: do brain masks and registration stay what they were?

Digital people are scanned once as T1w and de-identified by each method. On original and output the
same independent tools run: deepbet marks the brain, antspyx brings the head to the atlas, and that
brain to the atlas' brain. The nearer the results, the less a user's pipeline notices. As a
yardstick stands the original with as much noise again: what differs there is the tools' own.
Results of single people are kept in ``benchmarks/out/downstream``, by a digest of the sources.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    code_digest,
    in_processes,
    markdown_table,
    one_thread,
    read_json,
    summary,
    write_json,
    write_text,
)
from benchmarks.downstream import NOISIER

METHODS = ("mask", "ml", "newface", "blur")
MIN_DICE, MAX_MOVED_MM = 0.998, 0.5
MOVED = ("moved_mean_mm", "moved_worst_mm", "brain_moved_mean_mm", "brain_moved_worst_mm")
ROOMS = ("core", "io", "phantoms", "head", "deface")


def main(argv: list[str] | None = None) -> int:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.downstream", description=__doc__)
    parser.add_argument("--n", type=int, default=10, help="digital people")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spacing", type=float, default=1.3, help="voxel edge, mm")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args(argv)
    one_thread()
    digest = code_digest(ROOMS, [ROOT / "benchmarks" / "downstream" / "person.py"])
    folder = OUT / "downstream" / f"{digest}_seed-{args.seed}_{args.spacing}mm"
    folder.mkdir(parents=True, exist_ok=True)
    from benchmarks.downstream.person import Task, run

    tasks = [
        Task(number, args.seed, args.spacing, tuple(args.methods), folder)
        for number in range(args.n)
    ]
    failures = in_processes(run, [task for task in tasks if not task.result.exists()], args.nprocs)
    results = [read_json(task.result) for task in tasks if task.result.exists()]
    found = figures(results, args.methods)
    command = f"python -m benchmarks.downstream --n {args.n} --seed {args.seed}"
    command += f" --methods {' '.join(args.methods)}"
    text = page(found, command)
    print(text)
    write_json(args.docs / "downstream.json", {"command": command, **found, "people": results})
    write_text(args.docs / "downstream.md", text)
    for line in failures:
        print("FAILED", line)
    return 1 if failures else 0


def figures(results: list[dict[str, Any]], methods: tuple[str, ...]) -> dict[str, Any]:
    """Summaries over people, by method."""
    names = ("brain_dice", "carried_dice", *MOVED)
    return {
        "n": len(results),
        "methods": {
            method: {
                name: summary(
                    r["methods"][method][name] for r in results if method in r["methods"]
                )
                for name in names
            }
            for method in (NOISIER, *methods)
        },
    }


def page(found: dict[str, Any], command: str) -> str:
    """Table of the figures."""
    rows = []
    for method, entry in found["methods"].items():
        if entry["brain_dice"]["n"]:
            rows.append(
                (
                    "original, noise added" if method == NOISIER else f"`{method}`",
                    entry["brain_dice"]["n"],
                    *(_text(entry[name], 4) for name in ("brain_dice", "carried_dice")),
                    *(_text(entry[name], 2) for name in MOVED),
                )
            )
    header = (
        "output of",
        "people",
        f"brain of deepbet, Dice with the original's (aim {MIN_DICE} or more)",
        "brain carried from the atlas by antspyx, Dice",
        "affine of the whole head to the atlas moves the brain by, mean mm "
        f"(aim {MAX_MOVED_MM} or less)",
        "worst point, mm",
        "the same, deepbet's brain alone to the atlas' brain",
        "worst point, mm",
    )
    return "\n".join(
        (
            "# What comes after: brain masks and registration\n",
            f"Written by `{command}`; every number stands in `downstream.json`. Digital people, "
            "T1w. Median (least to greatest) over people. The noisier original has as much "
            "noise again: it shows what the tools change by themselves.\n",
            markdown_table(header, rows),
        )
    )


def _text(entry: dict[str, float], digits: int) -> str:
    return f"{entry['median']:.{digits}f} ({entry['min']:.{digits}f}–{entry['max']:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
