"""What was given by hand, held against INPUT before anything is written."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anonymi_bids.errors import ImageError, SettingsError, UsageError
from anonymi_bids.model import InputImage, SessionPlan
from anonymi_bids.settings import Settings

if TYPE_CHECKING:
    from anonymi_bids.bids.byhand import DrawnRegion, Key, Point
    from anonymi_bids.bids.plan import DatasetPlan

Labels = Mapping[str, Collection[str | None]]
"""Subject → its sessions in INPUT; None where there are none."""

MOST_LIKELY = "nasion, lpa, rpa and vertex or chin would do"


@dataclass(frozen=True, slots=True)
class ByHand:
    """Landmarks and drawn regions of a run.

    Attributes
    ----------
    landmarks : mapping
        (subject, session) of INPUT → name → mm.
    regions : tuple of DrawnRegion
    """

    landmarks: Mapping[Key, Mapping[str, Point]] = field(default_factory=dict)
    regions: tuple[DrawnRegion, ...] = ()


def read_by_hand(settings: Settings, labels: Labels) -> ByHand:
    """Read what was given by hand and check that it speaks of INPUT.

    Parameters
    ----------
    settings : Settings
    labels : mapping
        Subjects and sessions of INPUT.

    Raises
    ------
    SettingsError, UsageError
    """
    manual = settings.manual
    landmarks: dict[Key, Mapping[str, Point]] = {}
    if manual.landmarks:
        landmarks = _landmarks(Path(manual.landmarks), labels)
    if not manual.face_masks:
        return ByHand(landmarks)
    from anonymi_bids.bids.byhand import find_face_masks

    if settings.deface.method == "ml":
        raise UsageError(
            "A region drawn by hand cannot be used by the method ml; use mask or surface, or "
            "leave --face-masks out."
        )
    regions = find_face_masks(Path(manual.face_masks))
    for region in regions:
        session = region.entities.session
        _check_labels(
            region.entities.subject, session, labels, f"Mask {region.number} of --face-masks"
        )
    return ByHand(landmarks, regions)


def _landmarks(path: Path, labels: Labels) -> dict[Key, Mapping[str, Point]]:
    """Read landmarks; those without a session get the only one that their subject has."""
    from anonymi_bids.bids.byhand import read_landmarks
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.byhand import MIN_LANDMARKS, well_spread

    atlas = load_atlas()
    found: dict[Key, Mapping[str, Point]] = {}
    for number, (key, points) in enumerate(read_landmarks(path, atlas.landmarks).items(), start=1):
        subject, session = key
        where = f"Subject or session {number} of the --landmarks file"
        _check_labels(subject, session, labels, where)
        (only, *more) = labels[subject]
        if session is None and more:
            raise SettingsError(
                f"{where} names no session, but the subject has several; add the column session, "
                "for each has its own scanner mm."
            )
        if len(points) < MIN_LANDMARKS or not well_spread(points, atlas):
            raise SettingsError(
                f"{where} has {len(points)} landmarks that do not place a head; at least "
                f"{MIN_LANDMARKS} that do not lie in one plane or close together are needed "
                f"({MOST_LIKELY})."
            )
        key = (subject, only if session is None else session)
        if key in found:
            raise SettingsError(
                f"{where} is the same as one before, once with and once without its session; "
                "mend it."
            )
        found[key] = points
    return found


def _check_labels(subject: str, session: str | None, labels: Labels, where: str) -> None:
    if subject not in labels:
        raise SettingsError(
            f"{where} is for a subject that INPUT does not hold; use the labels of INPUT (for "
            "DICOM those that --dry-run prints)."
        )
    if session is not None and session not in labels[subject]:
        raise SettingsError(
            f"{where} is for a session that its subject does not have; use the labels of INPUT."
        )


def labels_of(root: Path) -> dict[str, tuple[str | None, ...]]:
    """Subjects and sessions of a BIDS dataset, by its folders."""
    labels: dict[str, tuple[str | None, ...]] = {}
    for folder in sorted(root.glob("sub-*")):
        if folder.is_dir():
            sessions = sorted(
                path.name.removeprefix("ses-") for path in folder.glob("ses-*") if path.is_dir()
            )
            labels[folder.name.removeprefix("sub-")] = tuple(sessions) or (None,)
    return labels


def attach(dataset: DatasetPlan, hand: ByHand, *, whole: bool) -> DatasetPlan:
    """Give each session its landmarks and drawn regions.

    Parameters
    ----------
    dataset : DatasetPlan
    hand : ByHand
    whole : bool
        All images of the sessions are planned: a region for none of them is an error.

    Raises
    ------
    SettingsError
        If a region fits no image or more than one, or lies on another grid, or is empty.
    """
    if not hand.landmarks and not hand.regions:
        return dataset
    sessions = tuple(_with_hand(session, hand, whole=whole) for session in dataset.sessions)
    return dataclasses.replace(dataset, sessions=sessions)


def _with_hand(session: SessionPlan, hand: ByHand, *, whole: bool) -> SessionPlan:
    key = (session.source_subject, session.source_session)
    changes: dict[str, object] = {"landmarks": dict(hand.landmarks.get(key, {}))}
    images = list(session.images)
    for region in hand.regions:
        entities = region.entities
        if entities.subject != key[0] or entities.session not in (key[1], None):
            continue
        if entities.session is None and key[1] is not None:
            raise SettingsError(
                f"Mask {region.number} of --face-masks names no session, but its subject has "
                "them; add ses-<label> to its name."
            )
        if region.of_reference:
            from anonymi_bids.head.reference import first_reference

            _check_mask(region, first_reference(images), "the reference of its session")
            changes["drawn_file"] = os.fspath(region.path)
            continue
        index = _image_of(region, images)
        if index is not None:
            _check_mask(region, images[index], "its image")
            images[index] = dataclasses.replace(images[index], drawn_file=os.fspath(region.path))
        elif whole:
            raise SettingsError(
                f"Mask {region.number} of --face-masks (in the order of their paths) has the name "
                "of no image; it must have the image's entities, and mod-<suffix>."
            )
    return dataclasses.replace(session, images=tuple(images), **changes)  # type: ignore[arg-type]


def _image_of(region: DrawnRegion, images: Iterable[InputImage]) -> int | None:
    """Index of the image that a region is for; None if there is none."""
    fitting = [
        index
        for index, image in enumerate(images)
        if set(image.entities.others) == set(region.entities.others)
        and region.mod in (None, image.entities.suffix)
    ]
    if len(fitting) > 1:
        raise SettingsError(
            f"Mask {region.number} of --face-masks (in the order of their paths) fits several "
            "images; add mod-<suffix> to its name."
        )
    return fitting[0] if fitting else None


def _check_mask(region: DrawnRegion, image: InputImage | None, whose: str) -> None:
    """Raise unless a region lies on the grid of its image and holds a voxel."""
    from anonymi_bids.core.grid import same_grid
    from anonymi_bids.io.images import open_scan, read_mask

    which = f"Mask {region.number} of --face-masks (in the order of their paths)"
    try:
        mask = open_scan(region.path)
        empty = not read_mask(region.path).any()
    except ImageError as error:
        raise SettingsError(f"{which} cannot be read: {error}") from error
    if empty:
        raise SettingsError(f"{which} is empty; draw the region, or remove the file.")
    if image is None:
        return
    try:
        scan = open_scan(image.source)
    except ImageError:
        return  # the image is withheld for it
    same = same_grid(mask.shape, mask.affine, scan.shape, scan.affine, tolerance_mm=0.01)
    if len(mask.shape) != 3 or not same:
        raise SettingsError(
            f"{which} does not lie on the grid of {whose}; draw it on that image, in 3-D."
        )


def say_by_hand(session: SessionPlan) -> Iterable[str]:
    """Say for a dry run what a person gave for a session, and for which image."""
    if session.landmarks or session.drawn_file:
        from anonymi_bids.head.reference import first_reference

        reference = first_reference(session.images)
        name = "no image that can be read" if reference is None else reference.entities.path
        if session.landmarks:
            yield f"{name}: head placed by {len(session.landmarks)} landmarks given by hand"
        if session.drawn_file:
            yield f"{name}: region drawn by hand, carried to the other images of the session"
    for image in session.images:
        if image.drawn_file:
            yield f"{image.entities.path}: region drawn by hand"
