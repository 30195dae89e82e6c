"""``python -m benchmarks.head.prepare OUT``: labelled heads to train the head model with.

Three sources: the label heads, digital people, and real whole-face scans (``--scans DIR`` of
NIfTI files) whose brain a published extractor marks. For each the atlas' affine is found the slow
way, by `find_head`, on a painted T1w or on the scan itself; the face and ear regions are those of
the method `mask` there. OUT must lie outside the repository: it holds real heads. What is there
already is not made again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine, grid_around, resample
from anonymi_bids.core.mask import head_mask, largest_component
from anonymi_bids.core.shape import LEFT_EYE, RIGHT_EYE
from anonymi_bids.deface.mask import build_region
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.training.subjects import (
    EAR_LEFT_BIT,
    EAR_RIGHT_BIT,
    FACE_BIT,
    TEACHER_BRAIN,
    TEACHER_HEAD,
    Subject,
    allowed_classes,
    save_subject,
)
from anonymi_bids.io.images import read_image
from anonymi_bids.model import Image
from anonymi_bids.phantoms.build import clean_labels
from anonymi_bids.phantoms.library import load_model
from anonymi_bids.phantoms.paint import paint_labels, split_tissues
from benchmarks.common import ROOT, SHARED, in_processes, one_thread
from benchmarks.quality.cases import fitted_vertices

SPACING_MM = 1.5
BRAIN_MARGIN_MM = 3.0
PEOPLE_SEED = 900_000
"""Digital people of the training: far from the seeds of tests and benchmarks."""
FIRST_TEST = 500
"""Number of the first digital person that must not be trained on."""

BRAIN_OR_CSF, SOFT_OR_BONE, SOFT_OR_EYES = ("brain", "csf"), ("soft", "bone"), ("soft", "eyes")
UNSURE: dict[str, dict[int, tuple[str, ...]]] = {
    "mghdca": {},
    "mghangel001": {5: SOFT_OR_EYES, 8: SOFT_OR_EYES, 11: SOFT_OR_EYES},
    "mghboma": dict.fromkeys((4, 5, 8, 10, 11), SOFT_OR_BONE) | {3: BRAIN_OR_CSF},
    "mghhs1": {9: BRAIN_OR_CSF},
    "mghhs3": {9: BRAIN_OR_CSF},
    "mghhs4a": {9: BRAIN_OR_CSF} | dict.fromkeys((5, 6, 8, 11), SOFT_OR_EYES),
    "mghhs6": {9: BRAIN_OR_CSF} | dict.fromkeys((5, 6, 8, 11), SOFT_OR_EYES),
    "tciacptac": {9: BRAIN_OR_CSF},
    "icbmny": {},
    "colin27": {5: SOFT_OR_EYES, 8: SOFT_OR_EYES, 11: SOFT_OR_EYES},
    "licence-unclear/usc19y": {5: SOFT_OR_EYES, 8: SOFT_OR_EYES, 11: SOFT_OR_EYES},
}
"""What each label map cannot tell apart (its README and participants.tsv)."""

TEST_ONLY = ("icbmny", "colin27", "licence-unclear/usc19y")
TEACHER_UNSURE = {
    TEACHER_BRAIN: BRAIN_OR_CSF,
    TEACHER_HEAD: ("csf", "bone", "eyes", "soft", "cavity"),
    0: ("air", "cavity"),
}
PERSON_OF_SCAN = {"positions": "positions", "xa30": "xa30", "trio": "trio"}


@dataclass(frozen=True)
class Task:
    """One subject to be made."""

    kind: str
    name: str
    source: str
    out: Path
    seed: int = 0


def main(argv: list[str] | None = None) -> int:
    """Make what is missing."""
    parser = argparse.ArgumentParser(prog="benchmarks.head.prepare", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=Path, default=SHARED / "heads")
    parser.add_argument("--scans", type=Path, help="folder of real whole-face scans, NIfTI")
    parser.add_argument("--n", type=int, default=40, help="digital people")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--n-test", type=int, default=6, help="digital people to test with")
    parser.add_argument("--nprocs", type=int, default=2)
    args = parser.parse_args(argv)
    out = args.out.resolve()
    if ROOT == out or ROOT in out.parents:
        print("OUT must lie outside the repository: it holds real people.")
        return 2
    one_thread()
    tasks = tasks_of(args, out)
    todo = [task for task in tasks if not (task.out / f"{task.name}.npz").exists()]
    failures = in_processes(make, todo, args.nprocs)
    for line in failures:
        print("FAILED", line)
    return 1 if failures else 0


def tasks_of(args: argparse.Namespace, out: Path) -> list[Task]:
    """List all subjects; label heads that must not be trained on go to ``test``."""
    tasks = []
    if args.heads.is_dir():
        for head in UNSURE:
            folder = out / ("test" if head in TEST_ONLY else "train")
            name = f"head-{Path(head).name}"
            tasks.append(Task("head", name, str(args.heads / f"{head}_dseg.nii.gz"), folder))
    for number in range(args.first, args.first + args.n):
        tasks.append(Task("person", f"person-{number:04d}", "", out / "train", number))
    for number in range(FIRST_TEST, FIRST_TEST + args.n_test):
        tasks.append(Task("person", f"person-{number:04d}", "", out / "test", number))
    if args.scans is not None:
        for path in sorted(args.scans.glob("*.nii.gz")):
            name = "scan-" + path.name.removesuffix(".nii.gz")
            tasks.append(Task("scan", name, str(path), out / "train"))
    return tasks


def make(task: Task) -> str:
    """Make one subject."""
    one_thread()
    task.out.mkdir(parents=True, exist_ok=True)
    subject, said = {"head": from_head, "person": from_person, "scan": from_scan}[task.kind](task)
    save_subject(task.out, subject)
    bits = [int((subject.regions & bit > 0).sum()) for bit in (1, 2, 4)]
    return f"{task.name}: {said}, {subject.tissue.shape}, face and ears {bits} voxels"


def from_head(task: Task) -> tuple[Subject, str]:
    """Take a label head as it is."""
    head = Path(task.source).name.removesuffix("_dseg.nii.gz")
    key = next(name for name in UNSURE if name.endswith(head))
    raw = read_image(task.source)
    labels = clean_labels(np.rint(raw.data).astype(np.uint8))
    vertices = fitted_vertices(task.name, Image(labels, raw.affine))
    model = load_model()
    air = 8
    padded = np.pad(labels, ((air, air), (air, air), (0, air)))
    affine = raw.affine.copy()
    affine[:3, 3] = apply_affine(affine, (-air, -air, 0))
    eyes = [
        (vertices[part].max(axis=0) + vertices[part].min(axis=0)) / 2
        for part in (model.part == LEFT_EYE, model.part == RIGHT_EYE)
    ]
    return finish(task, head, padded, affine, landmarks(vertices, model, eyes), UNSURE[key])


def from_person(task: Task) -> tuple[Subject, str]:
    """Take a digital person with a wide field of view."""
    from anonymi_bids.phantoms.person import make_person
    from anonymi_bids.phantoms.visit import Protocol, make_visit

    person = make_person(PEOPLE_SEED + task.seed)
    protocol = Protocol(spacing_mm=1.3, below_chin_mm=45.0, noise=1.0, bias=0.0)
    phantom = make_visit(person, "T1w", 1, protocol=protocol)
    eyes = apply_affine(phantom.head_to_image, person.eyes)
    points = np.stack(
        [
            phantom.nasion,
            phantom.lpa,
            phantom.rpa,
            *eyes,
            phantom.landmarks68[30],
            phantom.landmarks68[8],
        ]
    )
    data = phantom.labels.data.astype(np.uint8)
    return finish(task, task.name, data, phantom.labels.affine, points, {}, phantom.image)


def landmarks(vertices: Any, model: Any, eyes: Any) -> np.ndarray:
    """Landmarks in the order of `LANDMARKS`."""
    points = [vertices[model.points[name]] for name in ("nasion", "lpa", "rpa")]
    outer = [vertices[model.landmarks68[number]] for number in (30, 8)]
    return np.stack([*points, *eyes, *outer])


def finish(
    task: Task,
    person: str,
    labels: np.ndarray,
    affine: np.ndarray,
    points: np.ndarray,
    unsure: dict[int, tuple[str, ...]],
    image: Image | None = None,
) -> tuple[Subject, str]:
    """Find affine and regions on a painting; split tissues; thin to the training's grid."""
    rng = np.random.default_rng([5, len(task.name), task.seed])
    painted = image or Image(paint_labels(labels, "T1w", rng, affine), affine)
    fit = find_head(painted, load_atlas(), seed=0)
    grid, shape = grid_around(labels.shape, affine, SPACING_MM)
    thin = resample(labels, affine, grid, shape, order=0)
    scan = Image(resample(painted.data, affine, grid, shape), grid)
    regions = regions_of(scan, fit.atlas_to_image) * (thin > 0)
    tissue = split_tissues(thin, grid, rng)
    points = in_view(points, grid, shape)
    subject = Subject(
        task.name,
        person,
        tissue,
        regions,
        grid,
        fit.atlas_to_image,
        points,
        allowed_classes(unsure),
    )
    return subject, f"{fit.status} {fit.confidence:.2f}"


def in_view(points: np.ndarray, affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Give NaN for landmarks outside the labelled part."""
    voxels = apply_affine(np.linalg.inv(affine), points)
    seen = ((voxels >= 0) & (voxels <= np.array(shape) - 1)).all(axis=1)
    return np.where(seen[:, None], points, np.nan)


def regions_of(scan: Image, atlas_to_image: np.ndarray) -> np.ndarray:
    """Face and ears of the method `mask`, as bits."""
    atlas = load_atlas()
    face = build_region(
        scan, atlas, atlas_to_image, brain_margin_mm=BRAIN_MARGIN_MM, ears=False
    ).removed
    both = build_region(
        scan, atlas, atlas_to_image, brain_margin_mm=BRAIN_MARGIN_MM, ears=True
    ).removed
    ears = both & ~face
    bits = face * np.uint8(FACE_BIT)
    for bit in (EAR_LEFT_BIT, EAR_RIGHT_BIT):
        bits |= (ears & _side(scan, atlas_to_image, left=bit == EAR_LEFT_BIT)) * np.uint8(bit)
    return bits.astype(np.uint8)


def _side(scan: Image, atlas_to_image: np.ndarray, *, left: bool) -> np.ndarray:
    """Voxels on one side of the atlas' middle plane."""
    row = (np.linalg.inv(atlas_to_image) @ scan.affine)[0]
    i, j, k = np.ogrid[tuple(slice(0, n) for n in scan.data.shape)]
    x = row[0] * i + row[1] * j + row[2] * k + row[3]
    return x < 0 if left else x > 0


def from_scan(task: Task) -> tuple[Subject, str]:
    """Take a real scan: brain from deepbet, outline by threshold."""
    image = read_image(task.source)
    data = np.asarray(image.data, np.float32)
    fit = find_head(image, load_atlas(), seed=0)
    brain = teacher_brain(Path(task.source))
    grid, shape = grid_around(data.shape, image.affine, SPACING_MM)
    signal = resample(data, image.affine, grid, shape)
    scan = Image(signal, grid)
    head = resample(head_mask(data, image.affine), image.affine, grid, shape)
    inside = resample(brain, image.affine, grid, shape)
    tissue = np.zeros(shape, np.uint8)
    tissue[head] = TEACHER_HEAD
    tissue[largest_component(inside)] = TEACHER_BRAIN
    regions = regions_of(scan, fit.atlas_to_image) * head
    person = next((p for key, p in PERSON_OF_SCAN.items() if key in task.name), task.name)
    subject = Subject(
        task.name,
        person,
        tissue,
        regions.astype(np.uint8),
        grid,
        fit.atlas_to_image,
        np.full((7, 3), np.nan),
        allowed_classes(TEACHER_UNSURE),
        signal,
    )
    return subject, f"{fit.status} {fit.confidence:.2f}, brain {int(brain.sum())} voxels"


def teacher_brain(path: Path) -> np.ndarray:
    """Brain of a scan by deepbet (Fisch et al. 2024, doi:10.1016/j.compbiomed.2024.108845)."""
    from deepbet import run_bet

    with tempfile.TemporaryDirectory(prefix="anonymi-teach-") as name:
        mask = Path(name) / "mask.nii.gz"
        run_bet([str(path)], mask_paths=[str(mask)], no_gpu=True, skip_broken=False)
        return read_image(mask).data > 0.5


if __name__ == "__main__":
    sys.exit(main())
