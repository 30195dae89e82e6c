"""``python -m benchmarks.head.evaluate SUBJECTS OUT``: the head model on heads it never saw.

SUBJECTS is the ``test`` part of a folder made by `benchmarks.head.prepare`; each head is painted
as T1w, T2w, FLAIR and CT at 1 mm and as T1w with slices of 5 mm, tilted at random, and the
network's answer is held against the labels at the image's own resolution.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine, grid_around, resample
from anonymi_bids.core.mask import distance_mm
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.find import SURE_SIGHT
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.network import CLASSES, LANDMARKS, HeadMap, load_model
from anonymi_bids.head.refine import Tissues, tissues_of
from anonymi_bids.head.sight import apart_mm, see_head
from anonymi_bids.head.training.subjects import Subject, load_subject
from anonymi_bids.model import Image
from anonymi_bids.phantoms.paint import add_noise, signals
from benchmarks.common import markdown_table, one_thread, write_json
from benchmarks.head.command import measured, parser_of, published, unscanned
from benchmarks.quality.cases import tilt

KINDS = {
    "T1w": ("T1w", (1.0, 1.0, 1.0)),
    "T2w": ("T2w", (1.0, 1.0, 1.0)),
    "FLAIR": ("FLAIR", (1.0, 1.0, 1.0)),
    "CT": ("CT", (1.0, 1.0, 1.0)),
    "T1w 5 mm": ("T1w", (1.0, 1.0, 5.0)),
}
PARTS = {"brain": ("brain", "csf"), "bone": ("bone",), "eyes": ("eyes",)}
MARGIN_MM = 3.0
REGION_BITS = {"face": 1, "ear_left": 2, "ear_right": 4}


@dataclass(frozen=True)
class Task:
    """One head painted one way."""

    path: Path
    kind: str
    model: Path | None
    out: Path

    @property
    def result(self) -> Path:
        """Where the figures are kept."""
        return self.out / f"{self.path.stem}_{self.kind.replace(' ', '')}.json"


def main(argv: list[str] | None = None) -> int:
    """Measure what has not been measured, then print a table."""
    parser = parser_of("evaluate", __doc__)
    parser.add_argument("subjects", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="names of subjects")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--about", default="as packaged.", help="what the table says of it")
    args = parser.parse_args(argv)
    tasks = [
        Task(path, kind, args.model, args.out)
        for path in unscanned(args.subjects)
        if not args.only or path.stem in args.only
        for kind in args.kinds
    ]
    results, failures = measured(tasks, run, args.nprocs)
    figures = {"network": args.about, "images": results}
    return published(page(results, args.about), figures, args.docs, "head", failures)


def run(task: Task) -> str:
    """Paint, look, measure."""
    one_thread()
    subject = load_subject(task.path)
    image, labels, regions = painted(subject, task.kind)
    model, atlas = load_model(task.model), load_atlas()
    see_head(image, atlas, model)
    began = time.process_time()
    sight = see_head(image, atlas, model)
    seen_after = time.process_time()
    tissues = tissues_of(image, sight.seen)
    figures: dict[str, Any] = {
        "name": subject.name,
        "kind": task.kind,
        "seconds": round(seen_after - began, 2),
        "seconds_tissues": round(time.process_time() - seen_after, 2),
        "confidence": sight.confidence,
        "figures": sight.figures,
        "dice": dice_of(sight.seen, tissues, subject, image, labels, regions),
        "brain_outside": brain_outside(tissues, subject, image, labels),
        "registration": by_registration(image, subject),
        "affine_mm": apart_mm(sight.atlas_to_image, subject.atlas_to_head, atlas),
        "landmark_mm": {
            name: float(np.linalg.norm(sight.seen.landmarks[name] - point))
            for name, point in zip(LANDMARKS, subject.landmarks, strict=True)
            if np.isfinite(point).all()
        },
    }
    write_json(task.result, figures)
    dice = " ".join(f"{name} {value:.3f}" for name, value in figures["dice"].items())
    marks = np.mean(list(figures["landmark_mm"].values()) or [np.nan])
    return (
        f"{subject.name} {task.kind}: sure {sight.confidence:.2f}, {dice}, landmarks {marks:.1f} "
        f"mm, affine {figures['affine_mm']:.1f} mm, {figures['seconds']:.1f} s"
    )


def painted(subject: Subject, kind: str) -> tuple[Image, np.ndarray, np.ndarray]:
    """Paint a subject in a tilted grid; returns image, tissue codes and region bits on it."""
    contrast, sizes = KINDS[kind]
    rng = np.random.default_rng([17, len(subject.name), len(kind)])
    grid, shape = grid_around(subject.tissue.shape, subject.affine, 1.0)
    turn = tilt(rng)
    middle = apply_affine(grid, (np.array(shape) - 1) / 2)
    about = np.eye(4)
    about[:3, :3] = turn[:3, :3]
    about[:3, 3] = middle - turn[:3, :3] @ middle
    grid = about @ grid
    tissue = resample(subject.tissue, subject.affine, grid, shape, order=0)
    bits = resample(subject.regions, subject.affine, grid, shape, order=0)
    table = np.zeros(16, np.float32)
    table[: len(signals(contrast))] = signals(contrast)
    step = int(sizes[2])
    signal = table[tissue]
    if step > 1:
        count = shape[2] // step
        signal = signal[:, :, : count * step].reshape(*shape[:2], count, step).mean(axis=3)
        tissue, bits = tissue[:, :, step // 2 :: step], bits[:, :, step // 2 :: step]
        tissue, bits = tissue[:, :, :count], bits[:, :, :count]
        start = apply_affine(grid, (0, 0, (step - 1) / 2))
        grid = grid @ np.diag([1, 1, step, 1.0])
        grid[:3, 3] = start
    return Image(add_noise(signal, contrast, rng), grid), tissue, bits


def dice_of(
    seen: HeadMap,
    tissues: Tissues,
    subject: Subject,
    image: Image,
    tissue: np.ndarray,
    bits: np.ndarray,
) -> dict[str, float]:
    """Dice of classes and regions on the image's grid, over voxels whose class is known."""
    shape = image.data.shape
    allowed = subject.allowed[tissue]
    head = tissues.mask_on(image.affine, shape, *CLASSES[1:])
    found = {}
    for name, classes in PARTS.items():
        mask = sum(1 << CLASSES.index(c) for c in classes)
        true = (allowed & ~np.uint8(mask)) == 0
        unsure = ~true & ((allowed & mask) > 0)
        if int(true.sum()) < 200 or (name != "brain" and unsure.sum() > 0.2 * (allowed > 1).sum()):
            continue
        tissue_found = tissues.mask_on(image.affine, shape, *classes)
        found[name] = dice(tissue_found & ~unsure, true)
    for number, (name, bit) in enumerate(REGION_BITS.items()):
        true = (bits & bit) > 0
        if int(true.sum()) < 200:
            continue
        share = resample(seen.regions[number], seen.affine, image.affine, shape)
        found[name] = dice((share > 0.5) & head, true)
    return found


def dice(one: np.ndarray, two: np.ndarray) -> float:
    """Overlap of two masks, 0 … 1."""
    return float(2 * (one & two).sum() / max(int(one.sum()) + int(two.sum()), 1))


def brain_outside(
    tissues: Tissues, subject: Subject, image: Image, tissue: np.ndarray
) -> dict[str, float]:
    """Voxels of true brain and CSF more than `MARGIN_MM` outside the predicted ones.

    ``outside_skull`` are those of them below the atlas' brain: label maps count the cord and its
    CSF, down to where the head ends, as brain.
    """
    bits = sum(1 << CLASSES.index(name) for name in PARTS["brain"])
    true = (subject.allowed[tissue] & ~np.uint8(bits)) == 0
    found = tissues.mask_on(image.affine, image.data.shape, *PARTS["brain"])
    missed = np.argwhere(true & (distance_mm(~found, image.voxel_sizes) > MARGIN_MM))
    brain = load_atlas().brain
    lowest = apply_affine(brain.affine, np.argwhere(brain.data))[:, 2].min()
    to_atlas = np.linalg.inv(subject.atlas_to_head) @ image.affine
    below = apply_affine(to_atlas, missed)[:, 2] < lowest
    return {
        "voxels": int(true.sum()),
        "outside": len(missed),
        "outside_skull": int(below.sum()),
    }


def by_registration(image: Image, subject: Subject) -> dict[str, Any]:
    """Find the same head without the network, for comparison."""
    atlas = load_atlas()
    began = time.process_time()
    fit = find_head(image, atlas)
    return {
        "affine_mm": apart_mm(fit.atlas_to_image, subject.atlas_to_head, atlas),
        "status": fit.status,
        "seconds": round(time.process_time() - began, 2),
    }


def grouped(results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Results by source and kind of image."""
    sources = {"head": "label heads never trained on", "person": "digital people of new seeds"}
    return {
        f"{text}, {kind}": part
        for start, text in sources.items()
        for kind in KINDS
        if (part := [r for r in results if r["name"].startswith(start) and r["kind"] == kind])
    }


def page(results: list[dict[str, Any]], steps: str) -> str:
    """Tables of means and ranges."""
    groups = grouped(results)
    names = (*PARTS, *REGION_BITS)
    rows = [
        (f"{group} (n = {len(part)})", *(_dices(part, name) for name in names))
        for group, part in groups.items()
    ]
    places = [
        (
            f"{group} (n = {len(part)})",
            _range([np.mean(list(r["landmark_mm"].values())) for r in part if r["landmark_mm"]]),
            _range([r["affine_mm"] for r in part]),
            _range([r["registration"]["affine_mm"] for r in part]),
            _range([r["seconds"] for r in part]),
            _range([r["seconds_tissues"] for r in part]),
            _range([r["registration"]["seconds"] for r in part]),
            _outside(part),
            f"{sum(r['confidence'] >= SURE_SIGHT for r in part)}",
        )
        for group, part in groups.items()
    ]
    header = (
        "images",
        "landmarks off by, mm",
        "affine off by, mm: network",
        "registration",
        "CPU s: network",
        "tissues",
        "registration",
        f"brain outside mask + {MARGIN_MM:.0f} mm, % (worst); without the cord",
        f"sure (confidence {SURE_SIGHT} or more)",
    )
    return "\n".join(
        (
            "# The head model on heads it never saw\n",
            "Written by `python -m benchmarks.head.evaluate SUBJECTS OUT`; every number stands in "
            "`head.json`. Each head is painted, tilted at random, and the answer is held against "
            "the labels on the image's own grid; mean (least to greatest). The label heads are "
            "colin27, icbmny and usc19y; digital people have new seeds, but their inside comes "
            "from two heads that were trained on. Dice is counted where the labels are known. A "
            "painted tissue has one intensity and noise, so that intensities tell more here than "
            "on a real scan; see `head_real.md` for those. "
            f"The network: {steps}\n",
            markdown_table(("Dice", *(name.replace("_", " ") for name in names)), rows),
            "Affine: largest distance at nasion, ears, chin and vertex between the atlas placed "
            "and the atlas placed by registration of the painted T1w (which is the truth here, "
            "and favours registration).\n",
            markdown_table(header, places),
        )
    )


def _dices(part: list[dict[str, Any]], name: str) -> str:
    values = [r["dice"][name] for r in part if name in r["dice"]]
    return f"{_range(values, 3)}" + ("" if len(values) == len(part) else f" n {len(values)}")


def _outside(part: list[dict[str, Any]]) -> str:
    counts = [r["brain_outside"] for r in part]
    whole = [100 * c["outside"] / c["voxels"] for c in counts]
    inside = [100 * (c["outside"] - c["outside_skull"]) / c["voxels"] for c in counts]
    return "; ".join(f"{np.mean(v):.2f} ({max(v):.2f})" for v in (whole, inside))


def _range(values: list[float], digits: int = 1) -> str:
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{np.mean(values):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
