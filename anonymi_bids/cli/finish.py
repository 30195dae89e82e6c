"""What follows when every image has its outcome: fates, tables, the dataset's own files."""

from __future__ import annotations

import argparse
from pathlib import Path

from anonymi_bids.cli.places import Places
from anonymi_bids.cli.plan import Plan
from anonymi_bids.errors import ImageError
from anonymi_bids.io.atomic import write_text
from anonymi_bids.io.outcomes import read_outcome
from anonymi_bids.io.tsv import format_tsv, read_tsv
from anonymi_bids.model import FileFate, SessionPlan
from anonymi_bids.settings import Settings

FAULT = "A step failed by a fault of the program; see private/log.txt and start again."
CHANGED = "Face and ears were removed and the metadata cleaned."


def finish(plan: Plan, places: Places, settings: Settings, args: argparse.Namespace) -> bool:
    """Record all fates, release the tables, remove what does not belong.

    Returns
    -------
    bool
        False if an image has no outcome, by a fault of the program.
    """
    from anonymi_bids.bids.dataset import assemble, finish_subject
    from anonymi_bids.bids.outcomes import write_outcome, write_plan_outcomes
    from anonymi_bids.bids.writer import sweep
    from anonymi_bids.report.qc import write_index, write_subject_page

    complete = True
    is_dicom = plan.build is not None
    for session in plan.sessions:
        fates, faultless = _session_fates(plan, session, places)
        complete = complete and faultless
        write_outcome(places.output, session.name, fates)
    whole = not (args.session_label or args.bids_filter_file)
    for source_subject, subject in plan.dataset.labels.items():
        planned = {
            image.entities.path
            for session in plan.sessions
            if session.subject == subject
            for image in session.images
        }
        sweep(places.output, subject=subject, planned=planned if whole else None)
        _write_row(plan, source_subject, subject, places, settings, args)
        needles = plan.needles.get(subject, ())
        late = finish_subject(
            places.output, plan.dataset, source_subject, seed=settings.seed, needles=needles
        )
        if late:
            write_outcome(places.output, f"sub-{subject}_tables", late)
        write_subject_page(places.private, subject, planned=planned if whole else None)
    write_index(places.private)
    if is_dicom:
        _write_dicom_fates(plan, places)
    else:
        write_plan_outcomes(places.output, plan.dataset)
    _write_key(plan, places)
    every_needle = {needle for found in plan.needles.values() for needle in found}
    assemble(places.output, needles=sorted(every_needle))
    return complete


def _session_fates(
    plan: Plan, session: SessionPlan, places: Places
) -> tuple[list[FileFate], bool]:
    """Fates of a session's files, and whether each image has an outcome."""
    fates = list(session.other_files) if plan.build is None else []
    complete = True
    for image in session.images:
        name = image.entities.path
        path = plan.dataset.inputs[name]
        outcome = read_outcome(places.private, name)
        if outcome is None:
            complete = False
            fates.append(FileFate(path, "withheld", FAULT))
        elif outcome["reasons"]:
            fates.append(FileFate(path, "withheld", " ".join(outcome["reasons"])))
        else:
            fates.append(FileFate(path, "changed", CHANGED, name))
    return fates, complete


def _write_row(
    plan: Plan,
    source_subject: str,
    subject: str,
    places: Places,
    settings: Settings,
    args: argparse.Namespace,
) -> None:
    """Leave behind what a participant adds to ``participants.tsv``."""
    from anonymi_bids.bids.dataset import write_piece
    from anonymi_bids.bids.tables import Participant, participant

    given = args.participants_tsv or plan.dataset.sources.get("participants.tsv")
    row = Participant()
    if given is not None:
        try:
            row = participant(read_tsv(given), source_subject, settings.metadata)
        except ImageError:
            row = Participant()
    write_piece(places.output, subject, row)


def _write_dicom_fates(plan: Plan, places: Places) -> None:
    """Record series and files of a DICOM tree that never became an image."""
    from anonymi_bids.bids.outcomes import write_outcome

    of_subject: dict[str, list[FileFate]] = {}
    for fate in plan.fates:
        parts = Path(fate.path).parts
        owner = next((part for part in parts if part.startswith("sub-")), "dataset")
        of_subject.setdefault(owner, []).append(fate)
    for owner, fates in of_subject.items():
        write_outcome(places.output, f"{owner}_dicom", fates)


def _write_key(plan: Plan, places: Places) -> None:
    """Add to ``private/key.tsv``; runs at the same time may add too, so look again after it."""
    if plan.build is not None:
        new = {subject.label: subject.original for subject in plan.build.subjects}
    else:
        new = {
            label: original for original, label in plan.dataset.labels.items() if original != label
        }
    if not new:
        return
    path = places.private / "key.tsv"
    for _ in range(20):
        known = _read_key(path)
        if known.items() >= new.items():
            return
        rows = [
            {"label": f"sub-{label}", "original": original}
            for label, original in sorted((known | new).items())
        ]
        write_text(path, format_tsv(("label", "original"), rows))


def _read_key(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {row["label"].removeprefix("sub-"): row["original"] for row in read_tsv(path).rows}
