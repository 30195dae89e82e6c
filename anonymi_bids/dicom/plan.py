"""What would be made of a DICOM tree, told from the headers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.core.pseudonym import label_for
from anonymi_bids.dicom.decision import Decision, separate, withhold
from anonymi_bids.dicom.facts import Facts, facts_from_header
from anonymi_bids.dicom.header import identity
from anonymi_bids.dicom.mapping import (
    MappingRow,
    decision_of,
    entities_text,
    proposal,
    read_mapping,
)
from anonymi_bids.dicom.name import name_series
from anonymi_bids.dicom.people import SubjectKey, find_people
from anonymi_bids.dicom.reject import reject
from anonymi_bids.dicom.scan import Skipped, scan_tree
from anonymi_bids.dicom.sort import Series, fingerprint, sort_series
from anonymi_bids.errors import InputError
from anonymi_bids.model import FileFate

Overrides = Mapping[str, tuple[MappingRow, int]]


@dataclass(frozen=True, slots=True)
class PlannedSeries:
    """A series, whose it is, and what its header says it is.

    Attributes
    ----------
    series : Series
    fingerprint : str
    subject : str
        New label.
    session : str or None
    facts : Facts
        From the header.
    decision : Decision
        By the rules alone, before runs are numbered.
    convert : bool
        False if the header is enough to withhold it.
    """

    series: Series
    fingerprint: str
    subject: str
    session: str | None
    facts: Facts
    decision: Decision
    convert: bool

    @property
    def path(self) -> str:
        """Name of the series in lists, without text of the input."""
        return f"dicom/sub-{self.subject}/{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class DicomPlan:
    """What the headers of a tree say.

    Attributes
    ----------
    subjects : tuple of SubjectKey
        All of the input; for ``private/key.tsv``.
    series : tuple of PlannedSeries
        Sorted by subject, session and order of acquisition; of the chosen participants only.
    skipped : tuple of Skipped
        Files that are no images or cannot be read.
    overrides : mapping
        Lines of the mapping file.
    n_files : int
        Files looked at.
    """

    subjects: tuple[SubjectKey, ...]
    series: tuple[PlannedSeries, ...]
    skipped: tuple[Skipped, ...]
    overrides: Overrides
    n_files: int


@dataclass(frozen=True, slots=True)
class NamedImage:
    """One image and the decision on it.

    Attributes
    ----------
    planned : PlannedSeries
    image_id : str
        Fingerprint of the series; further images of it have a postfix after a full stop.
    automatic : Decision
        By the rules alone.
    decision : Decision
        With the mapping file, the least confidence and the numbering of runs.
    """

    planned: PlannedSeries
    image_id: str
    automatic: Decision
    decision: Decision

    @property
    def path(self) -> str:
        """Name of the image in lists, without text of the input."""
        return f"dicom/sub-{self.planned.subject}/{self.image_id}"


def plan_dicom(
    input_root: Path,
    *,
    seed: int,
    mapping_file: Path | None = None,
    participant_labels: tuple[str, ...] | None = None,
) -> DicomPlan:
    """Read the headers of a tree and say what each series is.

    Parameters
    ----------
    input_root : Path
        Never written to.
    seed : int
        Of labels and fingerprints.
    mapping_file : Path, optional
        Lines to be honoured.
    participant_labels : tuple of str, optional
        New labels (with or without ``sub-``) or original patient numbers; None: all.

    Returns
    -------
    DicomPlan

    Raises
    ------
    InputError
        If there is no DICOM image, the mapping file is not valid, or a participant is unknown.
    """
    overrides = {} if mapping_file is None else read_mapping(mapping_file)
    files, skipped = scan_tree(input_root)
    if not files:
        raise InputError(
            f"INPUT holds no DICOM image ({len(skipped)} other files); give the folder that holds "
            "the scans."
        )
    series = sort_series(files)
    subjects, label_of = find_people(seed, series)
    chosen = _chosen(subjects, participant_labels)
    sessions = {
        (subject.label, key.study): key.session for subject in subjects for key in subject.sessions
    }
    planned = []
    for entry in series:
        label = label_of[identity(entry.first)[0]]
        if label in chosen:
            planned.append(_planned(seed, entry, label, sessions[label, entry.study]))
    planned.sort(key=lambda entry: (entry.subject, entry.session or "", entry.series.order))
    return DicomPlan(
        subjects=tuple(subjects),
        series=tuple(planned),
        skipped=tuple(skipped),
        overrides=overrides,
        n_files=len(files) + len(skipped),
    )


def _chosen(subjects: list[SubjectKey], labels: tuple[str, ...] | None) -> set[str]:
    if labels is None:
        return {subject.label for subject in subjects}
    chosen: set[str] = set()
    for wanted in labels:
        plain = wanted.removeprefix("sub-")
        found = {entry.label for entry in subjects if plain in (entry.label, entry.original)}
        if not found:
            raise InputError(
                "A participant that was asked for is not in the input; use the labels that "
                "--dry-run lists."
            )
        chosen |= found
    return chosen


def _planned(seed: int, series: Series, label: str, session: str | None) -> PlannedSeries:
    facts = facts_from_header(series)
    return PlannedSeries(
        series=series,
        fingerprint=fingerprint(seed, series),
        subject=label,
        session=session,
        facts=facts,
        decision=name_series(facts),
        convert=reject(facts) is None,
    )


def decide(
    images: list[tuple[PlannedSeries, str, Decision]], overrides: Overrides, min_confidence: float
) -> list[NamedImage]:
    """Lay mapping file and least confidence over the rules' decisions; number runs and echoes.

    Parameters
    ----------
    images : list of (planned, image_id, decision)
        In the order of acquisition, all sessions.
    overrides : mapping
        Lines of the mapping file.
    min_confidence : float
        A named image with less is withheld.

    Returns
    -------
    list of NamedImage
        In the same order.

    Raises
    ------
    InputError
        If two lines of the mapping file give one name.
    """
    sessions: dict[tuple[str, str | None], list[int]] = {}
    for place, (planned, _, _) in enumerate(images):
        sessions.setdefault((planned.subject, planned.session), []).append(place)
    results: dict[int, NamedImage] = {}
    for places in sessions.values():
        members = [images[place] for place in places]
        chosen = [_choose(member, overrides, min_confidence) for member in members]
        fixed = [is_fixed for _, is_fixed in chosen]
        numbered = separate(
            [decision for decision, _ in chosen],
            [planned.series.uid for planned, _, _ in members],
            fixed,
        )
        _check_distinct(numbered)
        for place, (planned, image_id, automatic), decision in zip(
            places, members, numbered, strict=True
        ):
            results[place] = NamedImage(planned, image_id, automatic, decision)
    return [results[place] for place in range(len(images))]


def _choose(
    image: tuple[PlannedSeries, str, Decision], overrides: Overrides, min_confidence: float
) -> tuple[Decision, bool]:
    """Decision for one image, and whether a human made it."""
    planned, image_id, automatic = image
    row, line = overrides.get(image_id, (None, 0))
    if row is not None and row.is_honoured:
        return decision_of(row, line), True
    whole, line = overrides.get(planned.fingerprint, (None, 0))
    if whole is not None and whole.is_honoured and whole.decision == "withhold":
        return decision_of(whole, line), True
    if not automatic.withheld and automatic.confidence < min_confidence:
        return withhold(
            automatic.confidence,
            f"{automatic.reason[:-1]}; it would be {automatic.text}, but the confidence "
            f"{automatic.confidence:.2f} is below {min_confidence:.2f}: name it in the mapping "
            "file if that is right.",
        ), False
    return automatic, False


def _check_distinct(decisions: list[Decision]) -> None:
    names = [
        (entry.datatype, entry.suffix, entry.entities) for entry in decisions if not entry.withheld
    ]
    if len(set(names)) < len(names):
        raise InputError(
            "Two lines of the mapping file give one name to two images of a session; add a run, "
            "e.g. `run-2`, to one of them."
        )


def planned_images(plan: DicomPlan, min_confidence: float) -> list[NamedImage]:
    """Decisions as far as the headers tell, for ``--dry-run``; no image is touched."""
    return decide(
        [(entry, entry.fingerprint, entry.decision) for entry in plan.series],
        plan.overrides,
        min_confidence,
    )


def mapping_row(image: NamedImage, overrides: Overrides) -> MappingRow:
    """Line of the mapping file for one image."""
    planned, decision = image.planned, image.decision
    first = planned.series.first
    earlier, _ = overrides.get(image.image_id, (None, 0))
    proposed = proposal(decision.text, entities_text(decision))
    if earlier is not None and earlier.is_honoured:
        # What was first proposed stays, so that the human's line is known as such next time.
        proposed = earlier.proposed
    return MappingRow(
        fingerprint=image.image_id,
        subject=planned.subject,
        session=planned.session or "",
        series_number=first.text("SeriesNumber"),
        description=first.text("SeriesDescription") or first.text("ProtocolName"),
        modality=first.text("Modality"),
        n_files=str(len(planned.series.files)),
        decision=decision.text,
        entities=entities_text(decision),
        confidence=f"{decision.confidence:.2f}",
        locked="yes" if earlier is not None and earlier.is_locked else "no",
        reason=decision.reason,
        proposed=proposed,
    )


def skipped_fates(seed: int, skipped: tuple[Skipped, ...]) -> tuple[FileFate, ...]:
    """Fates of the files that are no images, under names that hold nothing of the input."""
    return tuple(
        FileFate(
            f"dicom/file-{label_for(seed, 'file:' + entry.path, 12)}", "withheld", entry.reason
        )
        for entry in skipped
    )
