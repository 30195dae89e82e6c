"""The participant level: which images are still to be done, the graph, and what came of it."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymi_bids.cli.finish import finish
from anonymi_bids.cli.graphrun import run_graph
from anonymi_bids.cli.places import Places
from anonymi_bids.cli.plan import Plan
from anonymi_bids.cli.progress import Steps
from anonymi_bids.errors import SettingsError
from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.images import sha256_of
from anonymi_bids.io.outcomes import read_outcome
from anonymi_bids.io.records import plain, write_record
from anonymi_bids.io.tsv import read_tsv
from anonymi_bids.model import REQUIRED_GATES, InputImage, SessionPlan
from anonymi_bids.settings import Settings

SESSIONS_PER_PROCESS = 2
"""Sessions in one graph, for each process: Nipype works breadth first, so a small graph has images
released early, and an interrupted run keeps them."""


@dataclass(frozen=True, slots=True)
class Todo:
    """A session with images that are still to be done."""

    session: SessionPlan
    images: tuple[tuple[InputImage, str], ...]


def run_participants(
    plan: Plan, places: Places, settings: Settings, args: argparse.Namespace, scratch: Path
) -> bool:
    """De-identify what an earlier run has not finished, and settle the release.

    Parameters
    ----------
    plan : Plan
    scratch : Path
        Folder of this run only.

    Returns
    -------
    bool
        False if a step failed by a fault of the program.
    """
    overrules = read_overrules(places.private)
    entries = (_todo(session, places, settings, overrules) for session in plan.sessions)
    todo = [entry for entry in entries if entry.images]
    clean = True
    n_steps = sum(1 + 8 * len(entry.images) for entry in todo)
    steps = Steps(n_steps, "participants")
    with steps.shown():
        for number, chunk in enumerate(_chunks(todo, SESSIONS_PER_PROCESS * max(1, args.nprocs))):
            folder = scratch / f"graph-{number:04d}"
            starts = _write_starts(chunk, plan.needles, overrules, folder)
            done = _run_chunk(starts, places, settings, args, folder, steps)
            clean = done and clean
    return finish(plan, places, settings, args) and clean


def input_digest(
    image: InputImage, overruled: Mapping[str, str], session: SessionPlan | None = None
) -> str:
    """Digest of an image and all that goes with it: what an outcome is an outcome of.

    What was given by hand, for the image or for the reference of its session, goes with it.
    """
    digest = hashlib.sha256(sha256_of(image.source).encode())
    described = {"sidecar": plain(image.sidecar), "entities": plain(image.entities)}
    described["overruled"] = dict(overruled)
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    for extension, path in sorted(image.companions.items()):
        digest.update(f"{extension}:{sha256_of(path)}".encode())
    if session is not None and session.landmarks:
        digest.update(json.dumps(plain(session.landmarks), sort_keys=True).encode())
    drawn = image.drawn_file or (None if session is None else session.drawn_file)
    if drawn:
        digest.update(f"drawn:{bool(image.drawn_file)}:{sha256_of(drawn)}".encode())
    return digest.hexdigest()


def read_overrules(private: Path) -> dict[str, dict[str, str]]:
    """Read which gates a human overruled for which image.

    ``private/overrule.tsv`` has the columns ``image`` (path below ``release/``), ``gate`` and
    ``reason``; the reason names who decided and why, and the report shows it.

    Returns
    -------
    dict
        Image → gate → reason.

    Raises
    ------
    SettingsError
        If a line names no known gate or gives no reason.
    """
    path = private / "overrule.tsv"
    found: dict[str, dict[str, str]] = {}
    if not path.is_file():
        return found
    table = read_tsv(path)
    if not {"image", "gate", "reason"} <= set(table.columns):
        raise SettingsError("private/overrule.tsv must have the columns image, gate and reason.")
    for row in table.rows:
        if row["gate"] not in REQUIRED_GATES or row["reason"] in ("", "n/a"):
            raise SettingsError(
                "A line of private/overrule.tsv names no known gate or gives no reason; mend it."
            )
        found.setdefault(row["image"], {})[row["gate"]] = row["reason"]
    return found


def _todo(
    session: SessionPlan,
    places: Places,
    settings: Settings,
    overrules: Mapping[str, Mapping[str, str]],
) -> Todo:
    """Images of a session whose outcome is not known for these settings and this input."""
    from anonymi_bids.bids.writer import already_released

    images = []
    for image in session.images:
        digest = input_digest(image, overrules.get(image.entities.path, {}), session)
        outcome = read_outcome(places.private, image.entities.path)
        same = (
            outcome is not None
            and outcome["input_digest"] == digest
            and outcome["settings_digest"] == settings.digest
        )
        withheld = same and outcome is not None and bool(outcome["reasons"])
        done = withheld or (
            same and already_released(places.output, image.entities.path, digest, settings.digest)
        )
        if not done:
            images.append((image, digest))
    return Todo(session, tuple(images))


def _chunks(entries: list[Todo], size: int) -> Iterator[list[Todo]]:
    for start in range(0, len(entries), size):
        yield entries[start : start + size]


def _write_starts(
    chunk: list[Todo],
    needles: Mapping[str, tuple[str, ...]],
    overrules: Mapping[str, Mapping[str, str]],
    folder: Path,
) -> list[tuple[str, str, list[str]]]:
    """Write each session's plan and the starting evidence of each of its images.

    Returns
    -------
    list of (session, session_file, evidence_files)
    """
    starts = []
    for entry in chunk:
        start = folder / "start" / entry.session.name
        session_file = start / "session.json"
        write_record(session_file, entry.session)
        needles_file = start / "needles.json"
        write_json(needles_file, list(needles.get(entry.session.subject, ())))
        renames = {_relative(image.source): image.entities.path for image in entry.session.images}
        evidence_files = []
        for number, (image, digest) in enumerate(entry.images):
            evidence: dict[str, Any] = {
                **plain(image),
                "image": image.entities.path,
                "input_digest": digest,
                "needles_file": os.fspath(needles_file),
                "overruled": dict(overrules.get(image.entities.path, {})),
                "renames": renames,
            }
            target = start / f"evidence-{number:03d}.json"
            write_json(target, evidence)
            evidence_files.append(os.fspath(target))
        starts.append((entry.session.name, os.fspath(session_file), evidence_files))
    return starts


def _run_chunk(
    starts: list[tuple[str, str, list[str]]],
    places: Places,
    settings: Settings,
    args: argparse.Namespace,
    folder: Path,
    steps: Steps,
) -> bool:
    """Build and run the graph of some sessions."""
    from anonymi_bids.graphs.session import init_participants_wf

    workflow = init_participants_wf(
        sessions=starts,
        settings=settings,
        output_dir=os.fspath(places.output),
        work_dir=os.fspath(folder),
    )
    return run_graph(
        workflow,
        crash_dir=folder / "crash",
        nprocs=args.nprocs,
        mem_gb=args.mem,
        status_callback=steps.status_callback,
    )


def _relative(source: str) -> str:
    """Path below its dataset: from the last ``sub-`` folder on."""
    parts = Path(source).parts
    first = max(number for number, part in enumerate(parts[:-1]) if part.startswith("sub-"))
    return "/".join(parts[first:])
