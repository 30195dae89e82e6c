"""What the benchmarks share: where results lie, tables, summaries, work in processes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.audit.rates import rate

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "out"
DOCS = ROOT / "docs" / "benchmarks"
SHARED = ROOT.parent / "shared" / "data"


def one_thread() -> None:
    """Hold numeric libraries to one thread; work runs in processes. Call before importing them."""
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    ):
        os.environ[name] = "1"


def code_digest(rooms: Sequence[str], extra: Sequence[Path] = ()) -> str:
    """Digest of the sources and data that results depend on, so that stale ones are not reused."""
    package = ROOT / "anonymi_bids"
    files = [
        path
        for room in rooms
        for path in sorted((package / room).rglob("*.py"))
        if path.parent.name != "training"  # makes the head model; no run imports it
    ]
    files += [package / "data" / "manifest.toml", package / "settings.py", *extra]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(ROOT).as_posix().encode())
        content = path.read_bytes()
        digest.update(without_cohort(content) if path.name == "manifest.toml" else content)
    return digest.hexdigest()[:12]


_COHORT = re.compile(rb'\n*\[files\."reference_cohort\.json"\]\n(?:[^\[\n].*\n)*')


def without_cohort(manifest: bytes) -> bytes:
    """Take the reference cohort, which is a result, out of the list of packaged files."""
    return _COHORT.sub(b"\n", manifest)


def summary(values: Iterable[float | None]) -> dict[str, float]:
    """Number, mean, median, least and greatest of the finite values."""
    kept = np.array([v for v in values if v is not None and math.isfinite(v)], dtype=float)
    if kept.size == 0:
        return {"n": 0}
    return {
        "n": int(kept.size),
        "mean": float(kept.mean()),
        "median": float(np.median(kept)),
        "min": float(kept.min()),
        "max": float(kept.max()),
    }


def counted(hits: int, n: int, chance: float | None = None) -> dict[str, float]:
    """Hits among people with their Clopper–Pearson interval, and what guessing gives."""
    found = rate(hits, n)
    result = {
        "hits": hits,
        "n": n,
        "rate": found.value if n else None,
        "low95": found.low,
        "high95": found.high,
        "upper95_one_sided": found.upper95,
    }
    if chance is not None:
        result["chance"] = chance
    return result


def rate_text(entry: dict[str, Any]) -> str:
    """``3/40 = 0.075 [0.016, 0.204]``, with the chance where it is known."""
    if not entry["n"]:
        return "not measured"
    text = (
        f"{entry['hits']}/{entry['n']} = {entry['rate']:.3f} "
        f"[{entry['low95']:.3f}, {entry['high95']:.3f}]"
    )
    return text + (f", chance {entry['chance']:.3f}" if "chance" in entry else "")


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def read_json(path: Path) -> Any:
    """Read JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON with stable order, by rename; figures that are not finite become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(content), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write text by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def in_processes(work: Callable[[Any], str], tasks: Sequence[Any], nprocs: int) -> list[str]:
    """Do tasks in fresh processes, telling how far it is; a task that fails is told and skipped.

    Returns
    -------
    list of str
        What went wrong, one line for each task that failed.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    failures: list[str] = []
    began = time.monotonic()
    with ProcessPoolExecutor(nprocs, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, task): task for task in tasks}
        for done, future in enumerate(as_completed(waiting), start=1):
            error = future.exception()
            if error is not None:
                failures.append(f"{waiting[future]}: {type(error).__name__}: {error}")
            told = failures[-1] if error is not None else future.result()
            left = (time.monotonic() - began) / done * (len(tasks) - done)
            print(f"[{done}/{len(tasks)}, {left / 60:.0f} min left] {told}", flush=True)
    return failures
