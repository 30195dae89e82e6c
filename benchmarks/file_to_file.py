"""``python -m benchmarks.file_to_file``: one image by each method, from file to file, warm.

One digital person at 1 mm as ``.nii.gz``; the atlas and the network are loaded. Read, find the
head, build the region (and the new face), write image and mask with gzip: what the methods cost,
without gates, audit and the start of the command (``benchmarks/speed.py`` has those). One process
for each method, so that memory can be told apart; prints a table, writes ``file_to_file.json``.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import (
    DOCS,
    in_processes,
    markdown_table,
    one_thread,
    read_json,
    write_json,
    write_text,
)

METHODS = ("mask", "ml", "newface", "blur")
LIMITS_S = {"ml": 10.0, "newface": 15.0, "blur": 15.0}


@dataclass(frozen=True)
class Task:
    """One method on one image."""

    method: str
    image: Path
    repeats: int
    result: Path


def main(argv: list[str] | None = None) -> int:
    """Make the image, time the methods one after the other, write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.file_to_file", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--spacing", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args(argv)
    one_thread()
    from benchmarks.quality import cases, measure

    with tempfile.TemporaryDirectory(prefix="anonymi-bench-") as name:
        folder = Path(name)
        case = cases.Case("person", 0, "person-000", "T1w", 1, args.seed, args.spacing)
        measure.store(cases.make(case, folder), folder / "before.nii.gz")
        tasks = [
            Task(method, folder / "before.nii.gz", args.repeats, folder / f"{method}.json")
            for method in METHODS
        ]
        failures = in_processes(run, tasks, 1)
        results = {task.method: read_json(task.result) for task in tasks if task.result.exists()}
    text = page(results, args.repeats)
    print(text)
    write_json(args.docs / "file_to_file.json", {"repeats": args.repeats, "methods": results})
    write_text(args.docs / "file_to_file.md", text)
    for line in failures:
        print("FAILED", line)
    return 1 if failures else 0


def run(task: Task) -> str:
    """Time one method, the first time to warm up."""
    one_thread()
    once(task)
    results = [once(task) for _ in range(task.repeats)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write_json(task.result, {"runs": results, "peak_mib": round(peak)})
    return f"{task.method}: {min(r['wall_s'] for r in results):.1f} s"


def once(task: Task) -> dict[str, float]:
    """From file to file."""
    from anonymi_bids.deface.apply import deface_scan
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.find import find_head_checked
    from anonymi_bids.head.network import load_model
    from anonymi_bids.io.images import read_image
    from benchmarks.quality.measure import METHODS as BUILD

    atlas, model = load_atlas(), load_model()
    walls, cpus = [time.monotonic()], [time.process_time()]

    def lap() -> None:
        walls.append(time.monotonic())
        cpus.append(time.process_time())

    image = read_image(task.image)
    fit = None if task.method == "ml" else find_head_checked(image, atlas, model)
    lap()
    region, plan = BUILD[task.method](image, fit, 5_000_000)
    lap()
    target = task.image.with_name(f"after_{task.method}.nii.gz")
    mask = target.with_name(f"mask_{task.method}.nii.gz")
    deface_scan(task.image, target, mask, region, seed=1, plan=plan)
    lap()
    names = ("find", "region", "write")
    found: dict[str, Any] = {"wall_s": walls[-1] - walls[0], "cpu_s": cpus[-1] - cpus[0]}
    found |= {f"{n}_s": cpus[k + 1] - cpus[k] for k, n in enumerate(names)}
    return {name: round(value, 2) for name, value in found.items()}


def page(results: dict[str, Any], repeats: int) -> str:
    """Table of medians."""
    rows = []
    for method, entry in results.items():
        runs = sorted(entry["runs"], key=lambda r: r["cpu_s"])
        middle = runs[len(runs) // 2]
        limit = LIMITS_S.get(method)
        rows.append(
            (
                f"`{method}`",
                "–" if limit is None else f"{limit:.0f}",
                f"{middle['wall_s']:.1f}",
                f"{middle['cpu_s']:.1f} ({runs[0]['cpu_s']:.1f}–{runs[-1]['cpu_s']:.1f})",
                *(f"{middle[f'{name}_s']:.1f}" for name in ("find", "region", "write")),
                entry["peak_mib"],
            )
        )
    header = (
        "method",
        "aim, s",
        "wall s",
        "CPU s (range)",
        "of it: read and find",
        "region",
        "write",
        "peak MiB",
    )
    return "\n".join(
        (
            "# One image from file to file\n",
            f"Written by `python -m benchmarks.file_to_file --repeats {repeats}`; every number "
            "stands in `file_to_file.json`. One digital person, T1w, gzip, one thread, warm; the "
            "run of median CPU time. `ml` looks at the image itself and needs no registration; in "
            "a run of the whole command the session's registration comes on top.\n",
            markdown_table(header, rows),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
