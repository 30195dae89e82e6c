"""``python -m benchmarks.audit_time``: how long the audit of a release takes.

Makes a study of digital people, de-identifies it with the installed command, and
audits it, once ``quick`` and once ``full``, each into an OUTPUT of its own. What counts as audit
is what the log says of its steps: features of each image (which run beside each other), and
whatever the level ``group`` does (which waits for all).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import DOCS, markdown_table, read_json, write_json, write_text
from benchmarks.speed import Cost, program, run, steps_of

LIMITS_MIN = {"quick": 3.0, "full": 15.0}
FEATURES = "extract_features"
GROUP = ("prepare_gallery", "run_audit", "write_report")
ALLOWED = (0, 3)


def main(argv: list[str] | None = None) -> int:
    """Make the study, audit it at both levels, write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_time", description=__doc__)
    parser.add_argument("--n", type=int, default=20, help="digital people")
    parser.add_argument("--visits", type=int, default=1)
    parser.add_argument("--spacing", type=float, default=2.0, help="voxel edge, mm")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", nargs="+", choices=tuple(LIMITS_MIN), default=list(LIMITS_MIN))
    parser.add_argument("--docs", type=Path, default=DOCS)
    args = parser.parse_args(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="anonymi-audit-") as name:
        folder = Path(name)
        study = make_study(folder / "study", args)
        results = {level: audited(study, folder / level, level, args) for level in args.levels}
    figures = {
        "n": args.n,
        "visits": args.visits,
        "spacing_mm": args.spacing,
        "nprocs": args.nprocs,
        "levels": results,
        "wall_s": round(time.monotonic() - began),
    }
    text = page(figures)
    print(text)
    write_json(args.docs / "audit_time.json", figures)
    write_text(args.docs / "audit_time.md", text)
    return 0


def make_study(folder: Path, args: argparse.Namespace) -> Path:
    """Write the people as a BIDS dataset."""
    command = [program("anonymi-bids-phantoms"), str(folder), "--n", str(args.n)]
    command += ["--visits", str(args.visits)]
    command += ["--contrasts", "T1w", "--as", "bids", "--spacing", str(args.spacing)]
    command += ["--seed", str(args.seed), "--nprocs", str(args.nprocs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def audited(study: Path, output: Path, level: str, args: argparse.Namespace) -> dict[str, Any]:
    """De-identify and audit; what of it the audit took."""
    command = [program("anonymi-bids"), str(study), str(output), "participant", "group", "-v"]
    command += ["--seed", "1", "--skip-bids-validation", "--nprocs", str(args.nprocs)]
    command += ["--audit", level]
    log = output.with_suffix(".log")
    cost: Cost = run(command, log)
    if cost.exit_code not in ALLOWED:
        sys.exit(f"The run ended with {cost.exit_code}:\n{log.read_text()[-2000:]}")
    steps = steps_of(output)
    audit = read_json(output / "report" / "audit.json")
    group = sum(steps.get(name, 0.0) for name in GROUP)
    return {
        "cost": asdict(cost),
        "features_s": steps.get(FEATURES, 0.0),
        "group_s": round(group, 2),
        "audit_min": round((steps.get(FEATURES, 0.0) / args.nprocs + group) / 60, 2),
        "images": audit["participants"]["images"],
        "people": audit["participants"]["attacked"],
        "attacks": [
            {
                "name": entry["title"],
                "n": entry["n"],
                "before": entry["positive_control"]["hits"],
                "after": entry["hits"],
                "interval": entry["interval"],
            }
            for entry in audit["attacks"]
        ],
        "verdict": audit["verdict"]["result"],
    }


def page(figures: dict[str, Any]) -> str:
    """Table of both levels."""
    rows = [
        (
            level,
            f"{LIMITS_MIN[level]:.0f}",
            f"{entry['audit_min']:.1f}",
            f"{entry['features_s']:.0f}",
            f"{entry['group_s']:.0f}",
            f"{entry['cost']['wall_s'] / 60:.1f}",
            f"{entry['cost']['peak_mib']:.0f}",
            f"{entry['people']} people, {entry['images']} images",
            len(entry["attacks"]),
        )
        for level, entry in figures["levels"].items()
    ]
    header = (
        "level",
        "aim, min",
        "audit, min",
        "features of all images, s in all",
        "group, s",
        "whole run, min",
        "peak MiB",
        "released",
        "attacks",
    )
    tried = [
        (level, one["name"], one["n"], one["before"], f"{one['after']} {one['interval']}")
        for level, entry in figures["levels"].items()
        for one in entry["attacks"]
    ]
    found = ("level", "attack", "people", "found before", "found after [95 %]")
    return "\n".join(
        (
            "# How long the audit takes\n",
            f"Written by `python -m benchmarks.audit_time --n {figures['n']} --visits "
            f"{figures['visits']} --spacing {figures['spacing_mm']:g} --nprocs "
            f"{figures['nprocs']}`; every number stands in `audit_time.json`. Digital people, "
            f"T1w, method `mask`. Audit: time of features divided by {figures['nprocs']} "
            "processes, and the level `group`; the whole run also makes the release.\n",
            markdown_table(header, rows),
            "What they found; guessing finds one. Second visits are simulated where there is one "
            "visit.\n",
            markdown_table(found, tried),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
