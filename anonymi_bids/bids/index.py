"""Read a BIDS dataset: which images there are, and what becomes of every other file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anonymi_bids.bids.entities import is_image
from anonymi_bids.bids.inherit import Inherited
from anonymi_bids.bids.plan import DatasetPlan
from anonymi_bids.bids.select import choose_labels, index_images
from anonymi_bids.bids.subject import PlanBuilder
from anonymi_bids.bids.walk import Found, list_folder, walk
from anonymi_bids.core.pseudonym import label_for
from anonymi_bids.errors import InputError
from anonymi_bids.settings import Settings

_LABEL = re.compile(r"sub-([0-9a-zA-Z+]+)")


def index_dataset(
    root: str | Path,
    *,
    participant_labels: Sequence[str] | None = None,
    session_labels: Sequence[str] | None = None,
    bids_filter: Mapping[str, Any] | None = None,
    pseudonyms: bool = False,
    seed: int = 0,
    settings: Settings | None = None,
) -> DatasetPlan:
    """Find the images of a BIDS dataset and the fate of every other file.

    Parameters
    ----------
    root : path
        Dataset; opened for reading only.
    participant_labels, session_labels : sequence of str, optional
        With or without ``sub-`` and ``ses-``. Only folders of these participants are entered.
    bids_filter : mapping, optional
        Named pybids queries, see `select.index_images`.
    pseudonyms : bool
        Give subjects new labels.
    seed : int
        Decides the new labels.
    settings : Settings, optional
        Its ``convert.pseudonyms`` asks for new labels too.

    Returns
    -------
    DatasetPlan

    Raises
    ------
    InputError
        If there is no such folder, it holds no participants, or a label is unknown.
    SettingsError
        If the filter is wrong.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise InputError("INPUT is not a folder; give the folder of a BIDS dataset.")
    top = list_folder(root)
    subjects = {
        match[1]: entry
        for entry in top
        if (match := _LABEL.fullmatch(entry.name)) and entry.is_folder and not entry.problem
    }
    if not subjects:
        raise InputError(
            "INPUT holds no participants of a BIDS dataset (folders named sub-<label>); give a "
            "BIDS dataset or a folder of DICOM files."
        )
    chosen = choose_labels(participant_labels, sorted(subjects), "participant")
    renew = pseudonyms or (settings is not None and settings.convert.pseudonyms)
    labels = {label: label_for(seed, label) if renew else label for label in chosen}
    everything = {label: walk(root, f"sub-{label}") for label in chosen}
    _check_sessions(session_labels, everything)
    links = [found.path for files in everything.values() for found in files if found.problem]
    images = [f.path for files in everything.values() for f in files if is_image(f.name)]
    indexed = index_images(root, chosen, images, links, bids_filter)
    inherited = _root_files(top)
    builder = PlanBuilder(root, labels, session_labels, indexed, inherited, renew)
    for label in chosen:
        builder.add_subject(label, everything[label])
    builder.add_top(top, chosen, in_full=not participant_labels)
    return builder.plan()


def _check_sessions(asked: Sequence[str] | None, everything: Mapping[str, list[Found]]) -> None:
    sessions = {
        parts[1].removeprefix("ses-")
        for files in everything.values()
        for parts in (found.path.split("/") for found in files)
        if len(parts) > 2 and parts[1].startswith("ses-")
    }
    choose_labels(asked, sorted(sessions), "session")


def _root_files(top: Iterable[Found]) -> Inherited:
    inherited = Inherited()
    for entry in top:
        if not entry.is_folder and not entry.name.startswith("."):
            inherited.add(entry)
    return inherited
