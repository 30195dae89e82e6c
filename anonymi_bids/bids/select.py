"""Choose participants, sessions and images: labels, filter file and the index of pybids."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymi_bids.errors import InputError, SettingsError

KINDS: Mapping[str, Mapping[str, str]] = {
    "asl": {"datatype": "perf", "suffix": "asl"},
    "bold": {"datatype": "func", "suffix": "bold"},
    "dwi": {"datatype": "dwi", "suffix": "dwi"},
    "flair": {"datatype": "anat", "suffix": "FLAIR"},
    "fmap": {"datatype": "fmap"},
    "pet": {"datatype": "pet", "suffix": "pet"},
    "sbref": {"suffix": "sbref"},
    "t1w": {"datatype": "anat", "suffix": "T1w"},
    "t2w": {"datatype": "anat", "suffix": "T2w"},
}
"""Kinds of images that a filter file names, as fMRIPrep and smriprep do."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What pybids says of one image."""

    subject: str | None
    session: str | None
    suffix: str | None
    selected: bool


def choose_labels(
    asked: Sequence[str] | None, present: Sequence[str], what: str
) -> tuple[str, ...]:
    """Return the labels that are both asked for and present, sorted; all if none was asked for.

    Parameters
    ----------
    asked : sequence of str or None
        With or without ``sub-`` or ``ses-``.
    present : sequence of str
        Labels of the dataset.
    what : {"participant", "session"}

    Raises
    ------
    InputError
        If a label that is asked for is not present.
    """
    prefix = {"participant": "sub-", "session": "ses-"}[what]
    if not asked:
        return tuple(sorted(present))
    wanted = [label.removeprefix(prefix) for label in asked]
    unknown = [n for n, label in enumerate(wanted, start=1) if label not in set(present)]
    if unknown:
        places = ", ".join(str(n) for n in unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise InputError(
            f"{len(unknown)} of the {len(wanted)} labels given to --{what}-label (number "
            f"{places}) are not among the {len(present)} {what}s of the dataset; look at the "
            f"names of its folders, {prefix}<label>."
        )
    return tuple(sorted(set(wanted)))


class _AllBut:
    """Looks like a pattern to pybids: matches every path that is not to be indexed.

    A set of names instead of an alternation of 10⁴ labels, which would make each match slow.
    """

    def __init__(self, subjects: Iterable[str]) -> None:
        self._folders = {f"sub-{label}" for label in subjects}

    def search(self, path: str) -> bool:
        top = path.lstrip("/").split("/", 1)[0]
        return top not in ("", ".") and top not in self._folders


def index_images(
    root: Path,
    subjects: Sequence[str],
    links: Iterable[str],
    bids_filter: Mapping[str, Any] | None,
) -> dict[str, Indexed]:
    """Let pybids index the images of some subjects.

    Parameters
    ----------
    root : Path
        Dataset.
    subjects : sequence of str
        Labels; no other folder is entered.
    links : iterable of str
        Relative paths that pybids must not follow.
    bids_filter : mapping, optional
        Named queries: ``{"t1w": {"acquisition": "mprage"}, …}``; ``null`` stands for "without this
        entity", ``*`` for "with any value of it". A query restricts images of its kind only.

    Returns
    -------
    dict
        Relative path → what pybids says.

    Raises
    ------
    SettingsError
        If the filter does not have that form or names an unknown entity.
    """
    from bids import BIDSLayout, BIDSLayoutIndexer

    ignore = [
        _AllBut(subjects),
        *(re.compile("^/" + re.escape(path) + "(?:/|$)") for path in links),
    ]
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")
        indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore)
        layout = BIDSLayout(root, validate=False, indexer=indexer)
    selected = _selection(layout, bids_filter or {})
    indexed = {}
    for file in layout.get(extension=[".nii", ".nii.gz"]):
        path = Path(file.path).relative_to(root).as_posix()
        entities = file.get_entities()
        indexed[path] = Indexed(
            entities.get("subject"),
            entities.get("session"),
            entities.get("suffix"),
            selected is None or selected(file),
        )
    return indexed


def _selection(layout: Any, bids_filter: Mapping[str, Any]) -> Any:
    """Make a function that says whether the filter leaves an image in; None without a filter."""
    if not bids_filter:
        return None
    if not isinstance(bids_filter, Mapping):
        raise SettingsError("The filter file must hold one JSON object of named queries.")
    rules = []
    for name, query in sorted(bids_filter.items()):
        if not isinstance(query, Mapping):
            raise SettingsError(
                f"The query {name!r} of the filter file is not a JSON object of entities."
            )
        kind = KINDS.get(name) or {k: query[k] for k in ("datatype", "suffix") if k in query}
        rules.append((_paths(layout, name, kind), _paths(layout, name, {**kind, **query})))

    def selected(file: Any) -> bool:
        path = str(file.path)
        return all(path in kept for of_kind, kept in rules if path in of_kind)

    return selected


def _paths(layout: Any, name: str, query: Mapping[str, Any]) -> set[str]:
    from bids.layout import Query

    values = {None: Query.NONE, "*": Query.ANY, "Query.NONE": Query.NONE, "Query.ANY": Query.ANY}
    asked = {k: values.get(v, v) if not isinstance(v, list) else v for k, v in query.items()}
    asked.setdefault("extension", [".nii", ".nii.gz"])
    try:
        return {str(path) for path in layout.get(return_type="filename", **asked)}
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"The query {name!r} of the filter file names an entity that BIDS does not know, or a "
            "value that is neither text, number, list nor null."
        ) from error
