"""Record the fate of every file of the input, participant by participant, and list them all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from anonymi_bids.bids.plan import DatasetPlan
from anonymi_bids.io.atomic import write_json, write_text
from anonymi_bids.io.tsv import format_tsv
from anonymi_bids.model import FileFate

FOLDER = Path("private") / "outcomes"
COLUMNS = ("path", "fate", "release_path", "reason")
ITS_IMAGE = "The image it goes with was not released."


def write_outcome(output: Path, name: str, fates: Iterable[FileFate]) -> None:
    """Record fates; leaves the file alone if it says the same already.

    Parameters
    ----------
    output : Path
        OUTPUT folder.
    name : str
        ``sub-X_ses-Y`` of a session (`SessionPlan.name`), or one of this module's own.
    fates : iterable of FileFate
        With release labels in ``release_path``.
    """
    ordered = tuple(sorted(fates, key=lambda fate: fate.path))
    target = output / FOLDER / f"{name}.json"
    if not target.is_file() or read_outcome(target) != ordered:
        write_json(target, {"files": [_record(fate) for fate in ordered]})


def _record(fate: FileFate) -> dict[str, str | None]:
    return {
        "path": fate.path,
        "fate": fate.fate,
        "reason": fate.reason,
        "release_path": fate.release_path,
    }


def read_outcome(path: Path) -> tuple[FileFate, ...]:
    """Read the fates of one record; none if it is absent or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            FileFate(record["path"], record["fate"], record["reason"], record["release_path"])
            for record in content["files"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def write_plan_outcomes(output: Path, plan: DatasetPlan) -> None:
    """Record the fates of all files that belong to no planned session.

    What is said of the dataset as a whole does not depend on which participants were asked for,
    but for its depth: a run on all participants lists the files of ``sourcedata`` and the like one
    by one, and such a list is not replaced by a shorter one.
    """
    whole: list[FileFate] = []
    of_subject: dict[str, list[FileFate]] = {label: [] for label in plan.labels}
    for fate in plan.files:
        subject, _, rest = fate.path.partition("/")
        label = subject.removeprefix("sub-")
        if rest and label in of_subject and subject != label:
            of_subject[label].append(fate)
        else:
            whole.append(fate)
    for label, fates in of_subject.items():
        if fates:
            write_outcome(output, f"sub-{plan.labels[label]}_files", fates)
    before = read_outcome(output / FOLDER / "dataset.json")
    if _deeper(before, whole):
        whole = [fate for fate in before if not _is_participant(fate.path)]
        whole += [fate for fate in plan.files if _is_participant(fate.path)]
    write_outcome(output, "dataset", whole)


def _is_participant(path: str) -> bool:
    return path.startswith("sub-") and path.count("/") == 1 and path.endswith("/")


def _deeper(before: Iterable[FileFate], now: Iterable[FileFate]) -> bool:
    """Whether an earlier record lists files of folders that the new one gives as one line."""
    folders = {f.path for f in now if f.path.endswith("/") and not _is_participant(f.path)}
    return any(
        fate.path.partition("/")[0] + "/" in folders and not fate.path.endswith("/")
        for fate in before
    )


def all_fates(output: Path) -> tuple[FileFate, ...]:
    """Join all records: one fate a file, sorted by path.

    A participant that one run was not asked for may be another's: its line is left out if any of
    its files is listed. A file whose release path is not in the release is withheld.
    """
    found: dict[str, FileFate] = {}
    for record in sorted((output / FOLDER).glob("*.json")):
        for fate in read_outcome(record):
            known = found.get(fate.path)
            if known is None or known.fate == "withheld":
                found[fate.path] = fate
    entered = {
        path.partition("/")[0] + "/"
        for path in found
        if path.startswith("sub-") and not _is_participant(path)
    }
    settled = []
    for path, fate in sorted(found.items()):
        if path in entered:
            continue
        target = fate.release_path
        if fate.fate != "withheld" and target and not (output / "release" / target).is_file():
            fate = FileFate(path, "withheld", ITS_IMAGE if fate.reason else fate.reason)
        settled.append(fate)
    return tuple(settled)


def write_inventory(output: Path) -> tuple[FileFate, ...]:
    """Write ``private/inventory.tsv`` and ``private/withheld.tsv`` from all records.

    Returns
    -------
    tuple of FileFate
        What was written.
    """
    fates = all_fates(output)
    while True:
        withheld = [fate for fate in fates if fate.fate == "withheld"]
        for name, listed in (("inventory", fates), ("withheld", withheld)):
            text = format_tsv(COLUMNS, (_record(fate) for fate in listed))
            write_text(output / "private" / f"{name}.tsv", text)
        again = all_fates(output)
        if again == fates:
            return fates
        fates = again
