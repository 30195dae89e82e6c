"""Make a whole study of digital people, as BIDS or as a hospital's DICOM."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from anonymi_bids.errors import UsageError
from anonymi_bids.phantoms.paint import contrast_name
from anonymi_bids.phantoms.patient import make_patient, visit_time
from anonymi_bids.phantoms.person import make_person
from anonymi_bids.phantoms.physics import pick_scanner, sequence_for, sidecar
from anonymi_bids.phantoms.visit import Protocol, make_visit
from anonymi_bids.phantoms.write_bids import (
    bids_stem,
    write_dataset_files,
    write_scan,
    write_truth,
)

KINDS = ("bids", "dicom")

_SLAB_CODES = ("PIR", "PIL", "LPS")
"""Orientations of 3-D scans as scanners store them: mostly sagittal."""


@dataclass(frozen=True, slots=True)
class StudyScan:
    """One scan of a study.

    Attributes
    ----------
    number : int
        Of the person within the study, from 0.
    person_seed : int
    visit : int
        From 0.
    order : int
        Series number within the visit, from 1.
    contrast : str
    thick : bool
        2-D slices of 4 mm.
    subject : str
        BIDS label.
    session : str or None
        BIDS label.
    """

    number: int
    person_seed: int
    visit: int
    order: int
    contrast: str
    thick: bool
    subject: str
    session: str | None


@dataclass(frozen=True, slots=True)
class _Job:
    scan: StudyScan
    out: Path
    truth: Path | None
    kind: str
    spacing_mm: float
    uncoupled: bool


def plan_study(
    n: int,
    visits: int = 1,
    contrasts: Sequence[str] = ("T1w",),
    *,
    seed: int = 0,
    visits_per_person: Sequence[int] | None = None,
    once: Sequence[str] = (),
    thick: Sequence[str] = (),
) -> list[StudyScan]:
    """List the scans of a study.

    Parameters
    ----------
    n : int
        People.
    visits : int
        Visits of each, unless `visits_per_person` gives one number per person.
    contrasts : sequence of str
        Taken at each visit.
    seed : int
        People of two studies with different seeds are different people.
    visits_per_person : sequence of int, optional
    once : sequence of str
        Contrasts taken only at the first visit of the first person.
    thick : sequence of str
        Contrasts taken as thick 2-D slices.

    Raises
    ------
    UsageError
        If a number or a contrast makes no sense.
    """
    counts = [visits] * n if visits_per_person is None else list(visits_per_person)
    if n < 1 or len(counts) != n or min(counts, default=0) < 1:
        raise UsageError(
            "A study needs at least one person with at least one visit, and one number of visits "
            "for each person; correct --n and --visits."
        )
    try:
        names = [contrast_name(contrast) for contrast in contrasts]
        extra = [contrast_name(contrast) for contrast in once]
        slabs = {contrast_name(contrast) for contrast in thick}
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not names or len({*names, *extra}) != len(names) + len(extra):
        raise UsageError("Each contrast of a study may be named once; correct --contrasts.")
    width = max(2, len(str(n)))
    seeds = np.random.default_rng([84, seed]).integers(1, 2**31, size=n)
    plan = []
    for number, count in enumerate(counts):
        for visit in range(count):
            taken = names + (extra if number == visit == 0 else [])
            for order, contrast in enumerate(taken, start=2):
                plan.append(
                    StudyScan(
                        number=number,
                        person_seed=int(seeds[number]),
                        visit=visit,
                        order=order,
                        contrast=contrast,
                        thick=contrast in slabs,
                        subject=f"{number + 1:0{width}d}",
                        session=f"{visit + 1}" if max(counts) > 1 else None,
                    )
                )
    return plan


def make_study(
    out: str | Path,
    n: int,
    visits: int = 1,
    contrasts: Sequence[str] = ("T1w",),
    as_: str = "bids",
    seed: int = 0,
    spacing_mm: float = 1.3,
    *,
    visits_per_person: Sequence[int] | None = None,
    once: Sequence[str] = (),
    thick: Sequence[str] = (),
    uncoupled: bool = False,
    truth: str | Path | None = None,
    nprocs: int = 1,
    done: Callable[[StudyScan], None] | None = None,
) -> list[StudyScan]:
    """Write a study of digital people.

    Parameters
    ----------
    out : path
        Folder of the dataset; is made.
    n, visits, contrasts, seed, visits_per_person, once, thick
        See `plan_study`.
    as_ : {"bids", "dicom"}
    spacing_mm : float
        Voxel edge of 3-D scans.
    uncoupled : bool
        Face and vault of each person from two identities.
    truth : path, optional
        Folder for labels, landmarks and skin of each scan; nothing of it enters `out`.
    nprocs : int
        Processes; each takes up to 1 GB.
    done : callable, optional
        Called with each scan that has been written.

    Returns
    -------
    list of StudyScan

    Raises
    ------
    UsageError
        If the study cannot be made as asked.
    SpaceError
        If the disk is full.
    """
    if as_ not in KINDS:
        raise UsageError(f"A study is written as {' or '.join(KINDS)}; correct --as.")
    if not 0.5 <= spacing_mm <= 8:
        raise UsageError("The voxel size must be from 0.5 to 8 mm; correct --spacing.")
    plan = plan_study(
        n,
        visits,
        contrasts,
        seed=seed,
        visits_per_person=visits_per_person,
        once=once,
        thick=thick,
    )
    root = Path(out)
    root.mkdir(parents=True, exist_ok=True)
    truth_root = None if truth is None else Path(truth)
    jobs = [_Job(scan, root, truth_root, as_, float(spacing_mm), uncoupled) for scan in plan]
    for scan in _run(jobs, nprocs):
        if done is not None:
            done(scan)
    if as_ == "bids":
        _write_tables(root, plan, uncoupled)
    return plan


def _run(jobs: list[_Job], nprocs: int) -> Iterator[StudyScan]:
    """Make all scans, in this process or in several, and yield each when it is written."""
    if nprocs <= 1 or len(jobs) == 1:
        yield from map(_make_scan, jobs)
        return
    with ProcessPoolExecutor(nprocs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_make_scan, jobs)


def _make_scan(job: _Job) -> StudyScan:
    """Make and write one scan."""
    from anonymi_bids.phantoms.write_dicom import write_series

    scan = job.scan
    person = make_person(scan.person_seed, uncoupled=job.uncoupled)
    scanner = pick_scanner(scan.person_seed)
    protocol = _protocol(scan, job.kind, job.spacing_mm)
    phantom = make_visit(person, scan.contrast, scan.visit, protocol=protocol)
    folder, stem = bids_stem(scan.subject, scan.session, scan.contrast)
    if job.kind == "bids":
        slice_mm = float(phantom.image.voxel_sizes[2])
        content = sidecar(scan.contrast, scanner, slice_mm=slice_mm, thick=scan.thick)
        begin = _scan_time(scan, job.uncoupled)
        content["AcquisitionTime"] = begin.strftime("%H:%M:%S.000000")
        content["SeriesNumber"] = scan.order
        write_scan(job.out, folder, stem, phantom, content)
    else:
        patient = make_patient(person, scan.number)
        sequence = sequence_for(scan.contrast, scanner.make, thick=scan.thick)
        series = f"{scan.order:04d}_{sequence.description.replace(' ', '_')}"
        day = visit_time(person, scan.visit).strftime("%Y%m%d")
        place = job.out / f"{patient.number}" / day / series
        write_series(place, phantom, person, patient, scanner, visit=scan.visit, number=scan.order)
    if job.truth is not None:
        origin = {
            "person_seed": scan.person_seed,
            "visit": scan.visit,
            "subject": scan.subject,
            "session": scan.session,
            "patient_id": make_patient(person, scan.number).number,
            "head": person.head,
            "sex": person.sex,
            "age": person.age,
            "uncoupled": person.uncoupled,
        }
        write_truth(job.truth, stem, phantom, origin)
    return scan


def _protocol(scan: StudyScan, kind: str, spacing_mm: float) -> Protocol:
    """Grid of a scan: thick axial slices, or a slab stored in one of the usual ways."""
    if scan.thick:
        return Protocol(
            spacing_mm=(0.9, 0.9, 4.0), orientation="LPS", oblique_deg=12.0, below_chin_mm=0.0
        )
    if kind == "dicom":
        rng = np.random.default_rng([85, scan.person_seed, scan.visit])
        return Protocol(spacing_mm=spacing_mm, orientation=str(rng.choice(_SLAB_CODES)))
    return Protocol(spacing_mm=spacing_mm)


def _scan_time(scan: StudyScan, uncoupled: bool) -> datetime.datetime:
    person = make_person(scan.person_seed, uncoupled=uncoupled)
    return visit_time(person, scan.visit) + datetime.timedelta(minutes=6 * scan.order)


def _write_tables(root: Path, plan: Sequence[StudyScan], uncoupled: bool) -> None:
    people, scans = {}, []
    for scan in plan:
        if scan.subject not in people:
            people[scan.subject] = make_person(scan.person_seed, uncoupled=uncoupled)
        folder, stem = bids_stem(scan.subject, scan.session, scan.contrast)
        moment = _scan_time(scan, uncoupled).strftime("%Y-%m-%dT%H:%M:%S")
        path = f"{folder.rsplit('/', 1)[1]}/{stem}.nii.gz"
        scans.append((scan.subject, scan.session, path, moment))
    write_dataset_files(root, people.items(), scans)
