"""The plan of a dataset: what is to be done with each of its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anonymi_bids.bids.entities import split_extension
from anonymi_bids.model import Entities, FileFate, SessionPlan

COMPANIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("dwi", "dwi"): (".bval", ".bvec"),
    ("fmap", "epi"): (".bval", ".bvec"),
    ("func", "bold"): ("_events.tsv",),
    ("func", "cbv"): ("_events.tsv",),
    ("perf", "asl"): ("_aslcontext.tsv",),
}
"""Datatype and suffix of an image → files that may go with it."""

REQUIRED_COMPANIONS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("dwi", "dwi"): (".bval", ".bvec"),
    ("perf", "asl"): ("_aslcontext.tsv",),
}
"""Files without which a BIDS validator refuses the image."""


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """Everything that is to be done with a dataset.

    Attributes
    ----------
    root : Path
        Resolved INPUT.
    sessions : tuple of SessionPlan
        Sorted by source labels; each with all its files.
    files : tuple of FileFate
        Files of no planned session; folders that were not entered end with a slash.
    sources : mapping
        Release path of a table (``participants.tsv``, ``…_scans.tsv``, ``…_sessions.tsv``) →
        absolute path of the input to be cleaned.
    labels : mapping
        Source label of each chosen subject → its label in the release.
    session_labels : mapping
        (source subject, source session) → session label in the release.
    inputs : mapping
        Release path of each planned image → its path relative to INPUT.
    """

    root: Path
    sessions: tuple[SessionPlan, ...]
    files: tuple[FileFate, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    session_labels: Mapping[tuple[str, str], str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_images(self) -> int:
        """Number of images to be de-identified."""
        return sum(len(session.images) for session in self.sessions)


def companion_path(image: Entities, key: str) -> str:
    """Release path of a file that goes with an image.

    Parameters
    ----------
    image : Entities
        Release name of the image.
    key : str
        Extension (``.bval``), or suffix and extension (``_events.tsv``).
    """
    if not key.startswith("_"):
        return dataclasses.replace(image, extension=key).path
    suffix, extension = split_extension(key[1:])
    others = tuple(pair for pair in image.others if pair[0] not in ("echo", "part"))
    return dataclasses.replace(image, suffix=suffix, extension=extension, others=others).path
