"""Run the installed command on one scenario and read what came out."""

from __future__ import annotations

import csv
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import read_json
from benchmarks.real import brains, match
from benchmarks.real.scenarios import Original, Scenario, lay_out

SEED = 1
LIMIT_S = 3600


def run_scenario(
    scenario: Scenario, data: Path, folder: Path, cache: Path, nprocs: int, levels: list[str]
) -> dict[str, Any]:
    """Lay out INPUT, run the command, and measure its release.

    Parameters
    ----------
    folder : Path
        Scratch of this scenario, outside the repository; emptied first.
    cache : Path
        Where brain masks are kept, outside the repository.
    """
    images = lay_out(scenario, data, folder)
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("anonymi-bids"))]
    command += [str(folder / "input"), str(output), *levels]
    command += ["--seed", str(SEED), "--nprocs", str(nprocs)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LIMIT_S)
    wall = time.monotonic() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    (folder / "stdout.txt").write_text(done.stdout, encoding="utf-8")
    (folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")
    result: dict[str, Any] = {
        "scenario": scenario.name,
        "exit_code": done.returncode,
        "traceback": "Traceback" in done.stdout + done.stderr,
        "wall_s": wall,
        "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "nprocs": nprocs,
        "images_of_the_input": len(images),
    }
    release = output / "release"
    pairs, unmatched = match.pair_up(release, images) if release.is_dir() else ([], [])
    result["released"] = [_released(pair, cache) for pair in pairs]
    result["released_without_known_original"] = unmatched
    result["withheld"] = withheld(output / "private")
    result["known"] = [
        _known(original, pairs) for original in scenario.originals if original.face != "none"
    ]
    result["validator"] = validate(release)
    return result


def _released(pair: match.Pair, cache: Path) -> dict[str, Any]:
    mask = brains.brain_mask(pair.before, cache)
    return {
        "image": pair.released,
        "original": pair.original,
        "equal_outside_mask": pair.equal_outside,
        **brains.brain_figures(pair.before, pair.after, mask),
        **brains.front_skin(pair.before, pair.after, mask),
    }


def _known(original: Original, pairs: list[match.Pair]) -> dict[str, Any]:
    found = [pair.released for pair in pairs if original.where in pair.original]
    return {
        "original": original.where,
        "what": original.what,
        "face": original.face,
        "released": bool(found),
    }


def withheld(private: Path) -> list[dict[str, str]]:
    """Every withheld file with its sentence, as the run lists them."""
    path = private / "withheld.tsv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [{"path": row["path"], "sentence": row["reason"]} for row in rows]


def record_of(output: Path, image: str) -> dict[str, Any] | None:
    """What the run recorded of one released image, for the pictures."""
    path = output / "private" / "evidence" / f"{image}.json"
    return read_json(path) if path.is_file() else None


def validate(release: Path) -> dict[str, Any]:
    """Errors that bids-validator-deno finds in the release, by code."""
    program = Path(sys.executable).with_name("bids-validator-deno")
    if not program.exists() or not any(release.glob("sub-*")):
        return {"ran": False}
    done = subprocess.run(
        [str(program), str(release), "--format", "json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    try:
        issues = json.loads(done.stdout)["issues"]["issues"]
    except (ValueError, KeyError):
        return {"ran": False}
    errors: dict[str, int] = {}
    for issue in issues:
        if issue.get("severity") == "error":
            errors[issue["code"]] = errors.get(issue["code"], 0) + 1
    return {"ran": True, "errors": errors}
