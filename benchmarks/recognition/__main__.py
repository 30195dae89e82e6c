"""``python -m benchmarks.recognition``: the audit's face recogniser on digital people.

The people, seeds and methods of ``benchmarks.quality`` are scanned at two visits, placed by their
true landmarks, and the first visit is de-identified by every method. Portraits of all scans, and a
photograph of each person, are shown to the recogniser; then the audit's attack is run with the
originals of the second visit, and with the photographs, as what the attacker holds. With
``--kept`` the single portraits that ``benchmarks.quality`` kept are attacked too. What is done is
kept in ``benchmarks/out/recognition``, so that a stopped run goes on where it was.
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
    code_digest,
    in_processes,
    markdown_table,
    one_thread,
    read_json,
    write_json,
    write_text,
)

ROOMS = ("core", "io", "phantoms", "head", "deface")


def main(argv: list[str] | None = None) -> int:
    """Make what is missing, attack, write."""
    args = parse(argv)
    one_thread()
    from benchmarks.recognition import looks
    from benchmarks.recognition.people import METHODS, Task, run_task

    folder = args.folder or OUT / "recognition" / f"{code_digest(ROOMS)}_seed-{args.seed}"
    scans = [
        Task(i, args.seed, args.spacing, METHODS, folder, not args.search) for i in range(args.n)
    ]
    shown = [looks.ShowTask(task, args.full) for task in scans]
    failures = []
    if not args.score_only:
        for task, show in zip(scans, shown, strict=True):
            if not show.path.exists():
                todo = [] if task.path.exists() else [task]
                failures += in_processes(run_task, todo, 1) if todo else []
                failures += in_processes(looks.show, [show], 1) if task.path.exists() else []
    figures: dict[str, Any] = {
        "settings": {
            "n": args.n,
            "seed": args.seed,
            "spacing_mm": args.spacing,
            "portraits": "full" if args.full else "quick",
            "true_pose": not args.search,
        },
        "failures": failures,
    }
    paths = [show.path for show in shown if show.path.exists()]
    people = [looks.read_looks(path) for path in paths]
    if len(people) > 1:
        figures["scan"] = looks.attack(people, "known")
        figures["photograph"] = looks.attack(people, "photo")
        seconds = [float(np.load(path)["seconds"]) for path in paths]
        figures["seconds_a_scan"] = float(np.mean(seconds))
        if args.clock:
            figures["seconds_81"] = looks.clock_full(scans[0])
    if args.kept is not None:
        kept = [looks.kept_looks(args.kept, i) for i in range(args.n)]
        figures["kept"] = looks.attack([one for one in kept if len(one) == 6], "known")
    elif (args.docs / "recognition.json").exists():
        before = read_json(args.docs / "recognition.json")
        figures |= {"kept": before["kept"]} if "kept" in before else {}
    text = page(figures)
    print(text)
    args.docs.mkdir(parents=True, exist_ok=True)
    write_json(args.docs / "recognition.json", figures)
    write_text(args.docs / "recognition.md", text)
    return 1 if failures else 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recognition", description=__doc__)
    parser.add_argument("--n", type=int, default=19, help="digital people")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spacing", type=float, default=1.3, help="voxel edge, mm")
    parser.add_argument("--full", action="store_true", help="81 portraits a scan, not 9")
    parser.add_argument("--search", action="store_true", help="find heads, as a run does")
    parser.add_argument("--clock", action="store_true", help="time 81 portraits of one scan")
    parser.add_argument("--kept", type=Path, help="results of benchmarks.quality")
    parser.add_argument("--folder", type=Path, help="where scans and vectors are kept")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    parser.add_argument("--score-only", action="store_true", help="use what was made")
    return parser.parse_args(argv)


def page(figures: dict[str, Any]) -> str:
    """The whole page, Markdown."""
    settings = figures["settings"]
    parts = [
        "# The face recogniser, before and after\n",
        "Written by `python -m benchmarks.recognition`; every number stands in "
        "`recognition.json`. Digital people have a skin of a shape model, no hair, and the same "
        "look at each visit: they are easier to recognise than people. dlib is weaker than "
        "commercial recognisers: all rates are lower bounds. Intervals: Clopper–Pearson, 95 %, "
        "by person. The strongest way of comparing on the originals is used on the release.\n",
    ]
    titles = {
        "kept": (
            "One portrait a scan",
            "The scans of `benchmarks.quality`, whose heads were found by search; of each it kept "
            "one portrait from in front, aligned at the true landmarks. The attacker holds the "
            "original T1w of another visit.",
        ),
        "scan": (
            f"{'81' if settings['portraits'] == 'full' else '9'} portraits a scan",
            "The same people made again, as the audit sees them"
            + (
                ", the head placed by true landmarks (no search). "
                if settings["true_pose"]
                else ". "
            )
            + "The attacker holds the original T1w of another visit.",
        ),
        "photograph": (
            "A simulated photograph",
            "The same scans; the attacker holds one photograph of each person, drawn in colour "
            "from the shape model.",
        ),
    }
    for key, (title, about) in titles.items():
        if figures.get(key, {}).get("methods"):
            parts += [f"## {title}\n", about + "\n", _table(figures[key])]
    if "seconds_a_scan" in figures:
        parts.append(
            f"Portraits and vectors took {figures['seconds_a_scan']:.1f} s of processor time a "
            "scan (one thread, other work on the same cores); 5 s were asked for.\n"
        )
    if "seconds_81" in figures:
        parts.append(f"All 81 portraits of one scan took {figures['seconds_81']:.1f} s.\n")
    return "\n".join(parts)


def _table(part: dict[str, Any]) -> str:
    rows = []
    for method, entry in part["methods"].items():
        control, wrong = entry["positive_control"], entry["negative_control"]
        rows.append(
            (
                method,
                _rate(entry),
                f"{entry['chance']:.3f}",
                _rate(control),
                f"{wrong['shuffled_mean_hits']:.1f} (p = {wrong['p_value']:.3f})",
                f"{entry['detector']['before']['hits']} → {entry['detector']['after']['hits']}",
                entry["score"],
                entry["result"],
            )
        )
    header = ("method", "after: found first", "by guessing", "before (control)")
    header += ("names shuffled", "detector fires", "compared by", "at a limit of 0.09")
    lost = f" {part['left_out']} more could not be compared." if part["left_out"] else ""
    return f"n = {part['people']} people.{lost}\n\n" + markdown_table(header, rows)


def _rate(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['hits']}/{entry['n']} = {entry['rate']:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
