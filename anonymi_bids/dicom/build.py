"""From a DICOM tree to a private BIDS tree: plan, convert, place.

The BIDS tree is not de-identified yet: it lies in a private work area and is the input of the same
steps that any BIDS dataset goes through.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymi_bids.dicom.convert import Converted, convert_series
from anonymi_bids.dicom.decision import Decision, withhold
from anonymi_bids.dicom.facts import facts_with_sidecar
from anonymi_bids.dicom.mapping import MappingRow, write_mapping
from anonymi_bids.dicom.name import name_series
from anonymi_bids.dicom.needles import needles_from_dicom
from anonymi_bids.dicom.people import SubjectKey
from anonymi_bids.dicom.plan import (
    DicomPlan,
    NamedImage,
    PlannedSeries,
    decide,
    mapping_row,
    plan_dicom,
    skipped_fates,
)
from anonymi_bids.dicom.scan import Skipped
from anonymi_bids.dicom.sort import Series
from anonymi_bids.io.atomic import space_errors, write_json, write_text
from anonymi_bids.model import Entities, FileFate

BIDS_VERSION = "1.10.0"


@dataclass(frozen=True, slots=True)
class DicomBuild:
    """What was made of a DICOM tree. All of it is private.

    Attributes
    ----------
    subjects : tuple of SubjectKey
        Old ↔ new labels of the whole input.
    decisions : tuple of MappingRow
        One an image, of the chosen participants.
    fates : tuple of FileFate
        Withheld images and files, under names that hold nothing of the input.
    n_files : int
        Files looked at.
    skipped : tuple of Skipped
        Files that are no images, with their true paths.
    needles : mapping
        New label → strings of that subject's headers that must appear nowhere in a release.
    """

    subjects: tuple[SubjectKey, ...]
    decisions: tuple[MappingRow, ...]
    fates: tuple[FileFate, ...]
    n_files: int
    skipped: tuple[Skipped, ...]
    needles: Mapping[str, tuple[str, ...]]


def build_bids(
    input_root: Path,
    bids_root: Path,
    *,
    seed: int,
    mapping_file: Path | None = None,
    mapping_out: Path | None = None,
    min_confidence: float = 0.5,
    participant_labels: tuple[str, ...] | None = None,
    nprocs: int = 1,
) -> DicomBuild:
    """Sort, convert and name a DICOM tree.

    Parameters
    ----------
    input_root : Path
        Never written to.
    bids_root : Path
        Private; the chosen participants' folders in it are replaced.
    seed : int
    mapping_file, mapping_out : Path, optional
        Mapping to honour, and where to write the new one.
    min_confidence : float
        An image named with less is withheld.
    participant_labels : tuple of str, optional
        New labels or patient numbers; None: all.
    nprocs : int
        Conversions at a time.

    Returns
    -------
    DicomBuild

    Raises
    ------
    InputError
        If there is nothing to convert or the mapping file is not valid; nothing is written then.
    ToolError
        If dcm2niix is missing.
    SpaceError
        If the disk is full.
    """
    plan = plan_dicom(
        input_root, seed=seed, mapping_file=mapping_file, participant_labels=participant_labels
    )
    images = convert_and_place(plan, bids_root, min_confidence, nprocs)
    write_dataset_files(plan, bids_root)
    rows = tuple(mapping_row(image, plan.overrides) for image in images)
    if mapping_out is not None:
        write_mapping(mapping_out, rows, plan.overrides)
    withheld = tuple(
        FileFate(image.path, "withheld", image.decision.reason)
        for image in images
        if image.decision.withheld
    )
    return DicomBuild(
        subjects=plan.subjects,
        decisions=rows,
        fates=withheld + skipped_fates(seed, plan.skipped),
        n_files=plan.n_files,
        skipped=plan.skipped,
        needles=_needles(plan),
    )


def convert_and_place(
    plan: DicomPlan, bids_root: Path, min_confidence: float, nprocs: int
) -> list[NamedImage]:
    """Do what `build_bids` does with images; half-done work is removed on any error."""
    work = bids_root / f".dicom-{os.getpid()}"
    try:
        converted = convert_plan(plan, work, nprocs)
        images, files = name_images(plan, converted, min_confidence)
        with space_errors("the converted images"):
            place(plan, images, files, bids_root, work / "place")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return images


def convert_one(series: Series, folder: Path) -> list[Converted]:
    """Convert one series in a private folder; one node of a graph calls this for each."""
    return convert_series(series, folder)


def _convert_pair(pair: tuple[Series, Path]) -> list[Converted]:
    return convert_one(*pair)


def needs_conversion(entry: PlannedSeries, plan: DicomPlan) -> bool:
    """Whether a series is converted: the rules or a human see an image in it."""
    row, _ = plan.overrides.get(entry.fingerprint, (None, 0))
    if row is not None and row.is_honoured:
        return row.decision != "withhold"
    return entry.convert


def convert_plan(plan: DicomPlan, work: Path, nprocs: int = 1) -> dict[str, list[Converted]]:
    """Convert all series of a plan that need it.

    Returns
    -------
    dict
        Fingerprint → images.
    """
    chosen = [entry for entry in plan.series if needs_conversion(entry, plan)]
    pairs = [(entry.series, work / entry.fingerprint) for entry in chosen]
    if nprocs > 1 and len(pairs) > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(nprocs, len(pairs)), mp_context=context) as pool:
            results = list(pool.map(_convert_pair, pairs))
    else:
        results = [_convert_pair(pair) for pair in pairs]
    return {entry.fingerprint: result for entry, result in zip(chosen, results, strict=True)}


def name_images(
    plan: DicomPlan, converted: Mapping[str, Sequence[Converted]], min_confidence: float
) -> tuple[list[NamedImage], dict[str, Converted]]:
    """Decide on every image, converted or not.

    Parameters
    ----------
    plan : DicomPlan
    converted : mapping
        Fingerprint → images of the series that were converted.
    min_confidence : float

    Returns
    -------
    images : list of NamedImage
        In the order of subject, session and acquisition.
    files : dict
        Image id → converted image.
    """
    candidates: list[tuple[PlannedSeries, str, Decision]] = []
    files: dict[str, Converted] = {}
    for entry in plan.series:
        outputs = converted.get(entry.fingerprint)
        if outputs is None:
            candidates.append((entry, entry.fingerprint, entry.decision))
            continue
        for image_id, image, decision in _name_outputs(entry, outputs):
            candidates.append((entry, image_id, decision))
            if image is not None:
                files[image_id] = image
    images = decide(candidates, plan.overrides, min_confidence)
    return [_without_file(image, files) for image in images], files


def _without_file(image: NamedImage, files: Mapping[str, Converted]) -> NamedImage:
    """Withhold an image that a human named but that cannot be used."""
    file = files.get(image.image_id)
    if image.decision.withheld or (file is not None and not file.problem):
        return image
    problem = "The converter made no image of it." if file is None else file.problem
    return NamedImage(image.planned, image.image_id, image.automatic, withhold(1.0, problem))


_RESAMPLED = (
    "It is a copy that dcm2niix resampled because slices are missing; the acquired slices, with "
    "the missing ones filled from their neighbours, are used instead."
)
_UNEVEN = (
    "Its slices are not evenly spaced, which NIfTI cannot tell; the copy that dcm2niix resampled "
    "to even distances is used instead."
)


def _lost_slices(entry: PlannedSeries, outputs: Sequence[Converted]) -> int:
    """Count slices that went into the conversion but into no image."""
    if not all(image.shape for image in outputs):
        return 0
    counted = sum(
        image.n_slices - image.filled
        for image in outputs
        if not any(name in image.postfix for name in ("Eq_", "ROI", "Crop", "Tilt"))
    )
    return max(entry.facts.n_slices - counted, 0)


def _name_outputs(
    entry: PlannedSeries, outputs: Sequence[Converted]
) -> list[tuple[str, Converted | None, Decision]]:
    """Name all that dcm2niix made of one series; the image that stands for it comes first."""
    if not outputs:
        reason = "The converter made no image of it; the files are damaged or of an unknown kind."
        return [(entry.fingerprint, None, withhold(1.0, reason))]
    by_postfix = {image.postfix: image for image in outputs}
    even = {
        postfix.split("Eq_")[0].rstrip("_"): postfix for postfix in by_postfix if "Eq_" in postfix
    }
    lost = _lost_slices(entry, outputs)
    named: list[tuple[str, Converted | None, Decision]] = []
    for postfix in sorted(by_postfix):
        image = by_postfix[postfix]
        base = next((own for own, other in even.items() if other == postfix), None)
        image_id = f"{entry.fingerprint}.{postfix}" if postfix else entry.fingerprint
        if base is not None and base in by_postfix:
            if by_postfix[base].filled:
                named.append((image_id, image, withhold(1.0, _RESAMPLED)))
                continue
            image_id = f"{entry.fingerprint}.{base}" if base else entry.fingerprint
        elif postfix in even and not image.filled:
            named.append((f"{image_id}.uneven", image, withhold(1.0, _UNEVEN)))
            continue
        decision = name_series(facts_with_sidecar(entry.facts, image, lost))
        named.append((image_id, image, decision))
    if all(image_id != entry.fingerprint for image_id, _, _ in named):
        named[0] = (entry.fingerprint, *named[0][1:])
    return named


def place(
    plan: DicomPlan,
    images: Sequence[NamedImage],
    files: Mapping[str, Converted],
    bids_root: Path,
    work: Path,
) -> None:
    """Move named images into the BIDS tree; each participant's folder appears whole or not at all.

    Parameters
    ----------
    plan : DicomPlan
    images : sequence of NamedImage
    files : mapping
        Image id → converted image; moved away.
    bids_root : Path
    work : Path
        On the same file system.
    """
    work.mkdir(parents=True, exist_ok=True)
    for image in images:
        if not image.decision.withheld:
            _place_one(image, files[image.image_id], work)
    for label in sorted({entry.subject for entry in plan.series}):
        target, fresh = bids_root / f"sub-{label}", work / f"sub-{label}"
        if target.exists():
            target.rename(work / f".old-{label}")
        if fresh.exists():
            fresh.rename(target)


def _place_one(image: NamedImage, file: Converted, root: Path) -> None:
    planned, decision = image.planned, image.decision

    def target(extension: str) -> Path:
        entities = Entities(
            subject=planned.subject,
            session=planned.session,
            datatype=decision.datatype,
            suffix=decision.suffix,
            extension=extension,
            others=decision.entities,
        )
        return root / entities.path

    suffixes = "".join(file.path.suffixes[-2:]) if file.path.suffix == ".gz" else file.path.suffix
    target(suffixes).parent.mkdir(parents=True, exist_ok=True)
    os.replace(file.path, target(suffixes))
    for companion, extension in ((file.bval, ".bval"), (file.bvec, ".bvec")):
        if companion is not None and decision.datatype == "dwi":
            os.replace(companion, target(extension))
    write_json(target(".json"), _sidecar(file, decision))


def _sidecar(file: Converted, decision: Decision) -> dict[str, Any]:
    """Sidecar of an image: dcm2niix's, with what BIDS asks for beside it."""
    sidecar = {key: value for key, value in file.sidecar.items() if key != "BidsGuess"}
    if decision.datatype == "func":
        sidecar["TaskName"] = dict(decision.entities).get("task", "unknown")
    if ("part", "phase") in decision.entities:
        sidecar.setdefault("Units", "arbitrary")
    if file.filled or "Eq_" in file.postfix:
        sidecar.pop("SliceTiming", None)  # one time a slice no longer holds
        sidecar["ConversionNote"] = (
            f"{file.filled} missing slice(s) were filled from their neighbours."
            if file.filled
            else "Slices were unevenly spaced; dcm2niix resampled them to even distances."
        )
    return sidecar


def write_dataset_files(plan: DicomPlan, bids_root: Path) -> None:
    """Write dataset_description.json and participants.tsv (all participants of the input)."""
    write_json(
        bids_root / "dataset_description.json",
        {
            "Name": "Converted from DICOM, not de-identified",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "anonymi_bids"}, {"Name": "dcm2niix"}],
        },
    )
    lines = ["participant_id\tage\tsex"]
    for subject in plan.subjects:
        age = "n/a" if subject.age is None else str(subject.age)
        lines.append(f"sub-{subject.label}\t{age}\t{subject.sex or 'n/a'}")
    write_text(bids_root / "participants.tsv", "\n".join(lines) + "\n")


def _needles(plan: DicomPlan) -> dict[str, tuple[str, ...]]:
    firsts: dict[str, list[Path]] = {}
    for entry in plan.series:
        firsts.setdefault(entry.subject, []).append(entry.series.first.path)
    return {label: needles_from_dicom(paths) for label, paths in sorted(firsts.items())}
