"""``python -m benchmarks.head.robust SUBJECTS OUT``: random poses, contrasts, crops, faults.

Heads that were never trained on are drawn as in training, but turned by up to 45° and stored along
axes of any order. What counts is what the network says of an answer that is wrong: an answer with
a brain Dice below 0.9 or a landmark more than 10 mm off must have been flagged as unsure.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.register import axis_rotations
from anonymi_bids.errors import NotAHead
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.find import SURE_SIGHT, fit_of
from anonymi_bids.head.network import CLASSES, GRID_SHAPE, LANDMARKS, SPACING_MM, load_model
from anonymi_bids.head.refine import tissues_of
from anonymi_bids.head.sight import SURE, see_head
from anonymi_bids.model import Image
from benchmarks.common import markdown_table, one_thread, write_json
from benchmarks.head.command import measured, parser_of, published, unscanned
from benchmarks.head.evaluate import dice

MIN_DICE, MAX_LANDMARK_MM, MIN_BRAIN_ML = 0.9, 10.0, 100.0
BITS = (1 << CLASSES.index("brain")) | (1 << CLASSES.index("csf"))
CHUNK = 10
TUNED_ON = 100
"""The limits of `anonymi_bids.head.sight.RAMPS` were set on this many draws, the first ones."""


@dataclass(frozen=True)
class Task:
    """Some draws of one head."""

    path: Path
    first: int
    model: Path | None
    out: Path

    @property
    def result(self) -> Path:
        """Where the figures are kept."""
        return self.out / f"{self.path.stem}_{self.first:04d}.json"


def main(argv: list[str] | None = None) -> int:
    """Draw what has not been drawn, then count."""
    parser = parser_of("robust", __doc__)
    parser.add_argument("subjects", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--first", type=int, default=TUNED_ON, help="number of the first draw")
    args = parser.parse_args(argv)
    paths = unscanned(args.subjects)
    tasks = [
        Task(paths[number % len(paths)], args.first + number * CHUNK, args.model, args.out)
        for number in range(-(-args.n // CHUNK))
    ]
    parts, failures = measured(tasks, run, args.nprocs)
    found = counts([result for part in parts for result in part])
    return published(page(found), found, args.docs, "head_robust", failures)


def run(task: Task) -> str:
    """Draw, look, measure."""
    one_thread()
    results = [one(task, number) for number in range(task.first, task.first + CHUNK)]
    write_json(task.result, results)
    return f"{task.path.stem} {task.first}: " + ", ".join(
        f"{r['brain']:.2f}/{r['landmark_mm']:.0f}/{r['confidence']:.1f}" for r in results
    )


def one(task: Task, number: int) -> dict[str, Any]:
    """Draw one scan and hold the network's answer against its truth."""
    import torch

    from anonymi_bids.head.training.draw import Draw
    from anonymi_bids.head.training.randomise import load, random_scan
    from anonymi_bids.head.training.subjects import load_subject

    torch.set_num_threads(1)
    device = torch.device("cpu")
    sample = random_scan(
        load(load_subject(task.path), device), Draw(77_000_000 + number, device), GRID_SHAPE
    )
    data = sample.scan[0, 0].numpy()
    affine = np.diag([SPACING_MM] * 3 + [1.0])
    rng = np.random.default_rng([7, number])
    order = axis_rotations()[int(rng.integers(24))]
    image = reordered(Image(data, affine), order)
    allowed = sample.allowed.numpy()
    truth = (allowed & ~np.uint8(BITS)) == 0
    points = sample.landmarks.numpy() * 2 + 0.5
    result: dict[str, Any] = {"head": task.path.stem, "number": number}
    try:
        sight = see_head(image, load_atlas(), load_model(task.model))
    except NotAHead:
        return result | {
            "brain": 1.0,
            "landmark_mm": 0.0,
            "confidence": 0.0,
            "status": "no_head",
            "true_ml": 0.0,
        }
    brain = tissues_of(image, sight.seen).mask_on(affine, GRID_SHAPE, "brain", "csf")
    apart = [
        float(np.linalg.norm(sight.seen.landmarks[name] - apply_affine(affine, point)))
        for name, point, present in zip(LANDMARKS, points, sample.present.tolist(), strict=True)
        if present and sight.seen.sureness[name] >= SURE
    ]
    return result | {
        "brain": dice(brain, truth),
        "landmark_mm": max(apart, default=0.0),
        "landmark_mean_mm": float(np.mean(apart)) if apart else 0.0,
        "confidence": sight.confidence,
        "status": fit_of(sight).status if sight.confidence else "no_head",
        "figures": sight.figures,
        "true_ml": float(truth.sum()) * SPACING_MM**3 / 1000,
    }


def reordered(image: Image, order: np.ndarray) -> Image:
    """Store an image along other axes; its header says so, so that nothing moves."""
    axes = [int(np.abs(order[:, n]).argmax()) for n in range(3)]
    signs = [int(order[axis, n]) for n, axis in enumerate(axes)]
    data = np.transpose(image.data, axes)
    affine = np.eye(4)
    corner = np.zeros(3)
    for n, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        affine[:3, n] = image.affine[:3, axis] * sign
        if sign < 0:
            data = np.flip(data, n)
            corner[axis] = image.data.shape[axis] - 1
    affine[:3, 3] = apply_affine(image.affine, corner)
    return Image(np.ascontiguousarray(data), affine)


def counts(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Count wrong answers, flagged or not."""
    heads = [r for r in results if r["true_ml"] > MIN_BRAIN_ML]
    wrong = [r for r in heads if r["brain"] < MIN_DICE or r["landmark_mm"] > MAX_LANDMARK_MM]
    missed = [r for r in wrong if r["confidence"] >= SURE_SIGHT]
    none = [r for r in results if r["true_ml"] <= MIN_BRAIN_ML]
    return {
        "first_draw": min((r["number"] for r in results), default=0),
        "draws": len(results),
        "with_brain": len(heads),
        "wrong": len(wrong),
        "flagged": sum(r["confidence"] < SURE_SIGHT for r in heads),
        "wrong_not_flagged": len(missed),
        "without_brain": len(none),
        "without_brain_not_flagged": sum(r["confidence"] >= SURE_SIGHT for r in none),
        "missed": [
            {name: r[name] for name in ("head", "number", "brain", "landmark_mm", "confidence")}
            for r in missed
        ],
    }


def page(found: dict[str, Any]) -> str:
    """Table of the counts."""
    rows = [(name.replace("_", " "), found[name]) for name in found if name != "missed"]
    return "\n".join(
        (
            "# The head model under random poses, contrasts, crops and faults\n",
            "Written by `python -m benchmarks.head.robust SUBJECTS OUT`; every number stands in "
            "`head_robust.json`. Wrong: Dice of brain and CSF below "
            f"{MIN_DICE}, or a sure landmark more than {MAX_LANDMARK_MM:.0f} mm off. Flagged: "
            f"confidence below {SURE_SIGHT}, where registration takes over. Without brain: less "
            f"than {MIN_BRAIN_ML:.0f} ml of it in view. The limits of what is flagged were set on "
            f"draws 0 to {TUNED_ON - 1}.\n",
            markdown_table(("draws", "number"), rows),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
