"""How long the whole participant level takes on one 1 mm T1w, and where the time goes.

``python benchmarks/speed.py`` makes one digital person, runs the installed command on it as a
user would, prints a table and writes ``docs/benchmarks/speed.json``. ``--input`` takes a BIDS
dataset of your own in place of the digital person; nothing of it is written into the results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "benchmarks" / "speed.json"
STEP = re.compile(r'Finished "(?:[\w.]*\.)?(\w+)", elapsed time ([\d.]+)s')
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Cost:
    """What one run of the command cost.

    ``peak_mib`` is the largest sum, over all processes of the run, of memory held at one moment
    (sampled ten times a second; pages shared by two processes count twice).
    """

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    steps_s: dict[str, float] = field(default_factory=dict)


def program(name: str) -> str:
    """Path of an installed command of the project."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"The command {name} is not installed; run 'make bench-speed'.")
    return found


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    try:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += tree(int(child))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def run(command: list[str], log: Path) -> Cost:
    """Run a command to its end and measure it."""
    peak = 0
    ended = threading.Event()
    started = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )

        def sample() -> None:
            nonlocal peak
            while not ended.wait(0.1):
                peak = max(peak, sum(resident(pid) for pid in tree(process.pid)))

        sampler = threading.Thread(target=sample)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        sampler.join()
    return Cost(
        exit_code=process.returncode,
        wall_s=round(time.monotonic() - started, 2),
        cpu_s=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mib=round(max(peak / 2**20, usage.ru_maxrss / 2**10), 0),
    )


def steps_of(output: Path) -> dict[str, float]:
    """Seconds of each step of the graph, from the run's own log, longest first."""
    totals: dict[str, float] = {}
    log = output / "private" / "log.txt"
    for name, seconds in STEP.findall(log.read_text(encoding="utf-8")) if log.exists() else []:
        totals[name] = totals.get(name, 0.0) + float(seconds)
    return {k: round(v, 2) for k, v in sorted(totals.items(), key=lambda item: -item[1])}


def make_person(folder: Path, seed: int) -> Path:
    """Write one digital person with one 1 mm T1w as a BIDS dataset."""
    command = [program("anonymi-bids-phantoms"), str(folder), "--n", "1", "--visits", "1"]
    command += ["--contrasts", "T1w", "--as", "bids", "--spacing", "1", "--seed", str(seed)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def measure(source: Path, folder: Path, args: argparse.Namespace) -> list[Cost]:
    """Run the participant level some times, each into an OUTPUT of its own."""
    costs = []
    for number in range(args.repeats):
        output = folder / f"out-{number}"
        command = [program("anonymi-bids"), str(source), str(output), "participant", "-v"]
        command += ["--seed", "1", "--skip-bids-validation", "--nprocs", str(args.nprocs)]
        log = folder / f"log-{number}.txt"
        cost = run(command, log)
        cost.steps_s = steps_of(output)
        if cost.exit_code not in (0, 3):
            sys.exit(f"The run ended with {cost.exit_code}:\n{log.read_text()[-2000:]}")
        costs.append(cost)
    costs.append(run(command, folder / "log-again.txt"))
    return costs


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--input", type=Path, help="BIDS dataset instead of a digital person")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--nprocs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the digital person")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anonymi-speed-") as name:
        folder = Path(name)
        source = args.input or make_person(folder / "study", args.seed)
        *costs, again = measure(source, folder, args)
    help_s = min(
        run([program("anonymi-bids"), "--help"], Path(os.devnull)).wall_s for _ in range(3)
    )
    first = costs[0]
    whole = statistics.median(cost.wall_s for cost in costs)
    print(f"{'participant level, one image':34} wall s    CPU s    peak MiB")
    for cost in costs:
        print(f"{'  run':34} {cost.wall_s:6.1f}   {cost.cpu_s:6.1f}   {cost.peak_mib:9.0f}")
    print(f"{'  the same command again':34} {again.wall_s:6.1f}   {again.cpu_s:6.1f}")
    print(f"{'  --help':34} {help_s:6.1f}")
    print(f"\n{'step':34} wall s    share")
    for step, seconds in first.steps_s.items():
        print(f"  {step:32} {seconds:6.1f}   {seconds / first.wall_s:6.0%}")
    rest = first.wall_s - sum(first.steps_s.values())
    print(f"  {'start, plan, bookkeeping':32} {rest:6.1f}   {rest / first.wall_s:6.0%}")
    result = {
        "what": "participant level on one BIDS image"
        + (" given by the user" if args.input else ", digital person, 1 mm T1w"),
        "nprocs": args.nprocs,
        "cores": os.cpu_count(),
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "median_wall_s": round(whole, 2),
        "runs": [asdict(cost) for cost in costs],
        "again": asdict(again),
        "help_s": help_s,
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"\nWritten: {args.json}")


if __name__ == "__main__":
    main()
