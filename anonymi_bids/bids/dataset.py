"""Assemble the files of the dataset as a whole from what each participant left behind.

Any number of participants may run at the same time: each writes its own pieces, and each assembles
all pieces that are there. After writing, the pieces are listed again; whoever finds more of them
than it wrote assembles again, so the last one to finish leaves a complete dataset.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from anonymi_bids.bids.entities import DERIVATIVES, parse_path
from anonymi_bids.bids.evidence import all_evidence
from anonymi_bids.bids.outcomes import write_inventory
from anonymi_bids.bids.plan import DatasetPlan
from anonymi_bids.bids.tables import (
    Participant,
    clean_scans,
    clean_sessions,
    participants_json,
)
from anonymi_bids.bids.writer import RELEASE, living_links, release_table, settle_links, withdraw
from anonymi_bids.core.pseudonym import date_offset_days
from anonymi_bids.errors import ImageError
from anonymi_bids.io.atomic import as_json, write_json
from anonymi_bids.io.canary import clear_text
from anonymi_bids.io.tsv import format_tsv, read_tsv
from anonymi_bids.model import FileFate, SessionPlan

PIECES = Path("private") / "pieces"
BIDS_VERSION = "1.10.0"
DERIVED = f"{DERIVATIVES}/dataset_description.json"
DATASET_FILES = (
    "README",
    "dataset_description.json",
    DERIVED,
    "participants.json",
    "participants.tsv",
)

README = """# De-identified head scans

This dataset was made by anonymi-bids. Faces and ears were removed from, or changed in, every
image that shows them; masks with the suffix `defacemask` are 1 where voxels were changed. All
other voxels are those of the source, bit for bit.

Sidecars hold fields of physics only: texts, dates, names of places and devices were left out or
replaced. Dates in `scans.tsv` and `sessions.tsv` are moved by one number of days per participant
and lie in or before 1925: they tell the time between visits and nothing else.

De-identified does not mean anonymous. Brains are as individual as fingerprints: do not try to
find out who the participants are, and do not match these images with others to that end.
"""


def write_piece(output: Path, subject: str, piece: Participant) -> None:
    """Leave behind what a participant adds to ``participants.tsv``.

    A value that holds one of the participant's withheld texts is left out.
    """
    row = {
        column: value
        for column, value in piece.row.items()
        if clear_text("participants.tsv", value, piece.needles).passed
    }
    record = {"participant_id": f"sub-{subject}", "row": row}
    target = output / PIECES / f"sub-{subject}.json"
    if _read(target) != record:
        write_json(target, record)


def finish_subject(
    output: Path,
    plan: DatasetPlan,
    source_subject: str,
    *,
    seed: int,
    needles: Iterable[str] = (),
) -> tuple[FileFate, ...]:
    """Release the tables of a subject whose images all have their verdict.

    Links between images are settled (`writer.settle_links`), ``scans.tsv`` and ``sessions.tsv``
    written for what was released.

    Parameters
    ----------
    output : Path
        OUTPUT folder.
    plan : DatasetPlan
    source_subject : str
        Label of the input.
    seed : int
        Decides the shift of the dates.
    needles : iterable of str
        Texts that must not be in the tables.

    Returns
    -------
    tuple of FileFate
        Of those tables that could not be released; to be recorded in place of the planned ones.
    """
    subject = plan.labels[source_subject]
    for orphan in _orphans(output, subject):
        withdraw(output, orphan)
    settle_links(output, subject)
    sessions = [s for s in plan.sessions if s.source_subject == source_subject]
    planned = [fate for s in sessions for fate in s.other_files] + list(plan.files)
    paths = {fate.release_path: fate.path for fate in planned if fate.release_path}
    offset = date_offset_days(seed, source_subject)
    withheld = []
    for name, source in plan.sources.items():
        if not name.startswith(f"sub-{subject}/"):
            continue
        try:
            text = _subject_table(output, plan, source_subject, name, source, offset)
            if text is None:
                raise ImageError("It lists nothing that was released.")
            clearance = clear_text(name, text, needles)
            if not clearance.passed:
                raise ImageError("Cleaned, it still holds texts of the input.")
            release_table(text, name, clearance, output)
        except ImageError as error:
            withdraw(output, name)
            withheld.append(FileFate(paths.get(name, name), "withheld", str(error)))
    return tuple(withheld)


def _orphans(output: Path, subject: str) -> list[str]:
    """Released images that BIDS accepts only beside others, which were withheld."""
    orphans = []
    for evidence in all_evidence(output, subject):
        entities = parse_path(evidence.main)
        if entities is None:
            continue
        if (entities.datatype, entities.suffix) == ("fmap", "fieldmap"):
            magnitude = dataclasses.replace(entities, suffix="magnitude").path
            if not (output / RELEASE / magnitude).is_file():
                orphans.append(evidence.main)
        links = dict(evidence.content.get("intended_for", {})).values()
        if (entities.datatype, entities.suffix) == ("perf", "m0scan"):
            if not any(living_links(intended, subject, output) for intended in links):
                orphans.append(evidence.main)
    return orphans


def _subject_table(
    output: Path, plan: DatasetPlan, source_subject: str, name: str, source: str, offset: int
) -> str | None:
    """Text of one ``scans.tsv`` or ``sessions.tsv``, or None if nothing is left of it."""
    table = read_tsv(source)
    subject = plan.labels[source_subject]
    folder = output / RELEASE
    if name.endswith("_sessions.tsv"):
        labels = {old: new for (s, old), new in plan.session_labels.items() if s == source_subject}
        there = {new for new in labels.values() if (folder / f"sub-{subject}/ses-{new}").is_dir()}
        return clean_sessions(table, labels, there, offset)
    top = name.rpartition("/")[0]
    names = {}
    for session in plan.sessions:
        if session.source_subject == source_subject:
            names.update(_scan_names(plan, session, top))
    released = {path for path in names.values() if (folder / top / path).is_file()}
    return clean_scans(table, names, released, offset)


def _scan_names(plan: DatasetPlan, session: SessionPlan, top: str) -> dict[str, str]:
    """Names of a session's images in the input's ``scans.tsv`` → names in the release's."""
    source_top = f"sub-{session.source_subject}"
    if session.source_session is not None:
        source_top += f"/ses-{session.source_session}"
    return {
        plan.inputs[path].removeprefix(source_top + "/"): path.removeprefix(top + "/")
        for path in (image.entities.path for image in session.images)
        if path.startswith(top + "/")
    }


def assemble(output: Path, *, needles: Iterable[str] = ()) -> tuple[FileFate, ...]:
    """Write the files of the dataset as a whole, and the inventory.

    Parameters
    ----------
    output : Path
        OUTPUT folder.
    needles : iterable of str
        Texts that must not be in them.

    Returns
    -------
    tuple of FileFate
        The whole inventory.

    Notes
    -----
    While no image is in the release, none of these files is. Reads each piece once: seconds for
    10^4 participants, so a run on one of very many may leave it to the group level.
    """
    needles = tuple(needles)
    pieces: dict[str, dict[str, str]] | None = None
    while pieces != (found := _pieces(output)):
        pieces = found
        files = _dataset_files(pieces) if pieces else {}
        if files and any((output / RELEASE / DERIVATIVES).glob("sub-*")):
            files[DERIVED] = as_json(_description("Surfaces of the skin", "derivative"))
        for name, text in files.items():
            release_table(text, name, clear_text(name, text, needles), output)
        for name in DATASET_FILES:
            if name not in files and (output / RELEASE / name).is_file():
                withdraw(output, name)
    return write_inventory(output)


def _pieces(output: Path) -> dict[str, dict[str, str]]:
    """Rows of all participants that have something in the release, by release label."""
    pieces = {}
    for folder in sorted((output / RELEASE).glob("sub-*")):
        piece = _read(output / PIECES / f"{folder.name}.json") or {}
        if any(folder.rglob("*.nii*")):
            pieces[folder.name] = {str(k): str(v) for k, v in piece.get("row", {}).items()}
    return pieces


def _dataset_files(pieces: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Texts of the files of the dataset as a whole, by name."""
    columns = sorted({name for row in pieces.values() for name in row})
    columns = [c for c in columns if any(row.get(c, "n/a") != "n/a" for row in pieces.values())]
    rows = [{"participant_id": name, **row} for name, row in sorted(pieces.items())]
    files = {
        "README": README,
        "dataset_description.json": as_json(_description("De-identified head scans", "raw")),
        "participants.tsv": format_tsv(("participant_id", *columns), rows),
    }
    if columns:
        files["participants.json"] = as_json(participants_json(columns))
    return files


def _description(name: str, kind: str) -> dict[str, Any]:
    from anonymi_bids import __version__

    made_by = [{"Name": "anonymi-bids", "Version": __version__}]
    return {
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "GeneratedBy": made_by,
        "Name": name,
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
