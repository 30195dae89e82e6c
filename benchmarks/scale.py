"""``python -m benchmarks.scale``: what it costs to compare very many brains.

Features are simulated at the width of the real ones. Three questions: all pairs of a release of
1,000 people at two visits, from feature files to ranks; all pairs of a release and a second
dataset; one person searched among 100,000 scans that lie on disk. Each measurement runs in a
process of its own and is kept in ``benchmarks/out/scale``, so that a stopped run goes on where it
was.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    DOCS,
    OUT,
    markdown_table,
    one_thread,
    read_json,
    write_json,
    write_text,
)

LIMITS = {"pairs": (60.0, 4.0), "probe": (2.0, 4.0)}
"""Seconds and GB that a measurement may take."""

PEOPLE = (100, 300, 1000)
GALLERIES = (1_000, 10_000, 100_000)
PROBES = 10
"""Searches for each likeness."""

LIKENESSES = (0.5, 0.3, 0.2)
"""Correlations of a searched scan with the same person's scan in the gallery."""


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, write the page."""
    args = parse(argv)
    if args.measure:
        return measure(args.measure, args.size, args.folder, args.width)
    folder = OUT / "scale"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [("pairs", n) for n in args.people] + [("probe", n) for n in args.galleries]
    width = args.width or brain_width()
    for kind, size in tasks:
        target = folder / f"{kind}-{size}-{width}.json"
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=args.scratch, prefix="scale-") as place:
                command = [sys.executable, "-m", "benchmarks.scale", "--measure", kind]
                command += ["--size", str(size), "--folder", place, "--width", str(width)]
                subprocess.run(command, check=True)
                shutil.move(Path(place) / "result.json", target)
        print(kind, size, read_json(target), flush=True)
    results = [read_json(folder / f"{kind}-{size}-{width}.json") for kind, size in tasks]
    figures = {"machine": machine(), "width": width, "measured": results}
    write_json(args.docs / "scale.json", figures)
    write_text(args.docs / "scale.md", page(figures))
    print(page(figures))
    return 0 if all(within(entry) for entry in results) else 1


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--people", type=int, nargs="*", default=PEOPLE)
    parser.add_argument("--galleries", type=int, nargs="*", default=GALLERIES)
    parser.add_argument("--width", type=int, help="values of a row; default: that of the brain")
    parser.add_argument("--scratch", type=Path, help="folder with 12 GB of space")
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--measure", choices=("pairs", "bank", "probe"), help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def brain_width() -> int:
    """Values of one rendition of a brain."""
    from anonymi_bids.audit.brains import brain_grid
    from anonymi_bids.head.atlas import load_atlas

    return int(brain_grid(load_atlas())[0].sum())


def machine() -> dict[str, Any]:
    """Say what it ran on."""
    return {"cores": os.cpu_count(), "machine": platform.machine(), "python": sys.version[:6]}


def measure(kind: str, size: int, folder: Path, width: int) -> int:
    """Measure one thing and write ``result.json``."""
    one_thread()
    work: dict[str, Callable[[int, Path, int], dict[str, Any]]] = {
        "pairs": all_pairs,
        "bank": make_bank,
        "probe": one_probe,
    }
    result = work[kind](size, folder, width)
    result["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    # Pages of mapped files belong to the system's cache, which takes them back when it must.
    result["own_gb"] = result["peak_gb"] - result.pop("mapped_gb", 0.0)
    write_json(folder / "result.json", {"kind": kind, "size": size} | result)
    return 0


def mapped_gb() -> float:
    """Memory of this process that is pages of files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(status.split("RssFile:")[1].split()[0]) / 1e6


def all_pairs(size: int, folder: Path, width: int) -> dict[str, Any]:
    """Compare all people of a release with all, from files to ranks."""
    from anonymi_bids.audit.describe import brain_row
    from anonymi_bids.audit.features import FeatureMeta, feature_path, save_features
    from anonymi_bids.audit.match import compare
    from anonymi_bids.audit.rows import Rows
    from anonymi_bids.audit.visits import Item, make_duel

    rng = np.random.default_rng(1)
    shared = rng.normal(size=width).astype(np.float32)
    items: dict[str, list[Item]] = {"released": [], "original": []}
    for person in range(size):
        own = shared + rng.normal(size=width, scale=0.7).astype(np.float32)
        for session, kind in (("1", "released"), ("2", "original")):
            seen = own + rng.normal(size=width, scale=0.7).astype(np.float32)
            meta = FeatureMeta(f"{person:06d}", session, "T1w", kind, f"sub-{person:06d}_T1w")
            save_features(folder, meta, {"brain": seen.astype(np.float16)})
            items[kind].append(Item(feature_path(folder, kind, meta.stem), meta))
    began, cpu = time.monotonic(), time.process_time()
    duel = make_duel(items["released"], items["original"], ())
    describe = brain_row("brain")
    probes = Rows(duel.probes.items, describe, folder, centred=True)
    gallery = Rows(duel.gallery.items, describe, folder, centred=True)
    read = time.monotonic() - began
    found = compare(duel, probes, gallery)
    return {
        "pairs": size * size,
        "wall_s": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
        "reading_s": read,
        "first": int(found.hits.sum()),
    }


class Bank:
    """A gallery on disk, made of shifted rows: different enough, and quick to make."""

    def __init__(self, n: int, width: int, folder: Path) -> None:
        self.n, self.width = n, width
        made = (folder / "rows.dat").exists()
        mode: Any = "r" if made else "w+"
        self._rows = np.memmap(folder / "rows.dat", np.float16, mode=mode, shape=(n, width))
        if not made:
            self._make(n, width)

    def _make(self, n: int, width: int) -> None:
        rng = np.random.default_rng(2)
        basis = rng.normal(size=(64, 2 * width)).astype(np.float16)
        for index in range(n):
            one, two = rng.integers(0, 64, 2)
            start, other = rng.integers(0, width, 2)
            row = basis[one, start : start + width] + basis[two, other : other + width]
            self._rows[index] = row
        self._rows.flush()

    def blocks(self) -> Any:
        """Give blocks of rows of unit length."""
        step = max(1, 64_000_000 // (4 * self.width))
        for start in range(0, self.n, step):
            yield start, self.take(np.arange(start, min(self.n, start + step)))

    def take(self, indices: Any) -> Any:
        """Give some rows of unit length."""
        rows = self._rows[np.asarray(indices)].astype(np.float32)
        return rows / np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]


def make_bank(size: int, folder: Path, width: int) -> dict[str, Any]:
    """Write a gallery and its sketches, once."""
    from anonymi_bids.audit.search import make_sketches

    bank = Bank(size, width, folder)
    began, cpu = time.monotonic(), time.process_time()
    made = make_sketches(bank, np.random.default_rng(3), folder / "sketches.dat")
    np.savez(folder / "folding.npz", place=made.place, sign=made.sign)
    return {"sketching_s": time.monotonic() - began, "sketching_cpu_s": time.process_time() - cpu}


def one_probe(size: int, folder: Path, width: int) -> dict[str, Any]:
    """Search people one by one among very many, whose rows lie on disk."""
    from anonymi_bids.audit.search import SKETCH, Sketches, search

    command = [sys.executable, "-m", "benchmarks.scale", "--measure", "bank"]
    command += ["--size", str(size), "--folder", str(folder), "--width", str(width)]
    subprocess.run(command, check=True)
    made = read_json(folder / "result.json")
    rng = np.random.default_rng(3)
    bank = Bank(size, width, folder)
    shape = (size, SKETCH)
    values = np.memmap(folder / "sketches.dat", np.float16, mode="r", shape=shape)
    with np.load(folder / "folding.npz") as folding:
        sketches = Sketches(values, folding["place"], folding["sign"])
    times, work, found = [], [], {}
    for likeness in LIKENESSES:
        chosen = rng.choice(size, PROBES, replace=False)
        hits = 0
        for index in chosen:
            row = bank.take([index])[0]
            noise = rng.normal(size=width).astype(np.float32)
            noise -= (noise @ row) * row
            probe = likeness * row + np.sqrt(1 - likeness**2) * noise / np.linalg.norm(noise)
            start, cpu = time.monotonic(), time.process_time()
            first = search(probe, bank, sketches)[0]
            times.append(time.monotonic() - start)
            work.append(time.process_time() - cpu)
            hits += int(first[0] == index)
        found[str(likeness)] = [hits, len(chosen)]
    return {
        "disk_gb": 2 * size * width / 1e9,
        "sketching_s": made["sketching_s"],
        "sketching_cpu_s": made["sketching_cpu_s"],
        "wall_s": float(np.median(times)),
        "slowest_s": max(times),
        "cpu_s": float(np.median(work)),
        "mapped_gb": mapped_gb(),
        "found": found,
    }


def within(entry: dict[str, Any]) -> bool:
    """Whether a measurement keeps to its limits."""
    seconds, memory = LIMITS[entry["kind"]]
    return bool(entry["wall_s"] < seconds and entry["own_gb"] < memory)


def page(figures: dict[str, Any]) -> str:
    """Write the tables."""
    entries = figures["measured"]
    pairs = markdown_table(
        (
            "people",
            "pairs",
            "wall s",
            "CPU s",
            "of it reading, wall s",
            "GB of its own at most",
            "limit kept",
        ),
        [
            (
                e["size"],
                f"{e['pairs']:,}",
                f"{e['wall_s']:.1f}",
                f"{e['cpu_s']:.1f}",
                f"{e['reading_s']:.1f}",
                f"{e['own_gb']:.2f}",
                "yes" if within(e) else "**no**",
            )
            for e in entries
            if e["kind"] == "pairs"
        ],
    )
    probes = markdown_table(
        (
            "scans",
            "GB on disk",
            "one search, median wall s (slowest)",
            "CPU s",
            "sketching once, wall s (CPU)",
            "GB of its own at most (with cached pages of the files)",
            *(f"right one first at r = {likeness}" for likeness in LIKENESSES),
            "limit kept",
        ),
        [
            (
                f"{e['size']:,}",
                f"{e['disk_gb']:.1f}",
                f"{e['wall_s']:.2f} ({e['slowest_s']:.2f})",
                f"{e['cpu_s']:.2f}",
                f"{e['sketching_s']:.0f} ({e['sketching_cpu_s']:.0f})",
                f"{e['own_gb']:.2f} ({e['peak_gb']:.2f})",
                *(f"{e['found'][str(x)][0]} of {e['found'][str(x)][1]}" for x in LIKENESSES),
                "yes" if within(e) else "**no**",
            )
            for e in entries
            if e["kind"] == "probe"
        ],
    )
    return (
        "# Scale: what it costs to compare very many brains\n\n"
        "Written by `python -m benchmarks.scale`; every number stands in `scale.json`. Simulated "
        f"features of the real width ({figures['width']:,} values a brain, float16), one thread, "
        f"{figures['machine']['cores']} cores shared with other work. The features themselves, "
        "and finding the head, are not in it.\n\n"
        "## All pairs: a release of n people, known people of another visit\n\n"
        "From feature files to everybody's rank, one rendition of the brain. The audit tries "
        f"three renditions on the originals and one on the release. Limit at 1,000 people: "
        f"{LIMITS['pairs'][0]:.0f} s, {LIMITS['pairs'][1]:.0f} GB.\n\n"
        f"{pairs}\n"
        "## One person among very many\n\n"
        "Rows on disk, mapped into memory; the sketches of all are read, and the rows of the 500 "
        "that come first by them (`anonymi_bids.audit.search`). r: correlation of the searched "
        "scan with the same person's scan in the gallery; everybody else's is 0 on average. "
        f"Limit at 100,000 scans: {LIMITS['probe'][0]:.0f} s, {LIMITS['probe'][1]:.0f} GB. Pages "
        "of the mapped files lie in the system's cache, which takes them back when it must.\n\n"
        f"{probes}"
    )


if __name__ == "__main__":
    sys.exit(main())
