"""``python -m benchmarks.head.skull SUBJECTS OUT``: the outer skull, of the scan and of the atlas.

Heads that were never trained on, painted as in `benchmarks.head.evaluate`: how far the skull that
is written for EEG and MEG lies from the true one, above the nasion; beside the atlas' skull in the
place where registration puts it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.network import CLASSES, load_model
from anonymi_bids.head.skull import AS_LABELS, outer_skull, skull_of_scan, skull_surface
from anonymi_bids.head.training.subjects import Subject, load_subject
from anonymi_bids.model import Image, Surface
from benchmarks.common import markdown_table, one_thread, write_json
from benchmarks.head.command import measured, parser_of, published, unscanned
from benchmarks.head.evaluate import Task, painted

KINDS = ("T1w", "T2w", "CT")


def main(argv: list[str] | None = None) -> int:
    """Measure what has not been measured, then print a table."""
    parser = parser_of("skull", __doc__)
    parser.add_argument("subjects", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    tasks = [
        Task(path, kind, args.model, args.out)
        for path in unscanned(args.subjects)
        for kind in KINDS
    ]
    results, failures = measured(tasks, run, args.nprocs)
    return published(page(results), results, args.docs, "head_skull", failures)


def run(task: Task) -> str:
    """Paint, find, draw, measure."""
    one_thread()
    subject = load_subject(task.path)
    image, tissue, _ = painted(subject, task.kind)
    fit = find_head(image, load_atlas())
    own, source = skull_of_scan(image, load_atlas(), fit.atlas_to_image, load_model(task.model))
    true = true_skull(subject, image, tissue)
    low = float(subject.landmarks[0][2])
    figures = {
        "name": subject.name,
        "kind": task.kind,
        "from": source,
        "written": apart(own, true, image, low),
        "atlas": apart(skull_surface(fit.atlas_to_image), true, image, low),
    }
    write_json(task.result, figures)
    return f"{subject.name} {task.kind}: {source}, {figures['written']}, {figures['atlas']}"


def true_skull(subject: Subject, image: Image, tissue: np.ndarray) -> np.ndarray:
    """Border of the true braincase, (I, J, K) bool."""
    allowed = subject.allowed[tissue]
    labels = np.zeros(tissue.shape, np.uint8)
    inside = sum(1 << CLASSES.index(name) for name in ("brain", "csf"))
    labels[(allowed & ~np.uint8(inside)) == 0] = AS_LABELS["brain"]
    labels[allowed == 1 << CLASSES.index("bone")] = AS_LABELS["bone"]
    true = outer_skull(labels, image.affine)
    return true & ~ndimage.binary_erosion(true)


def apart(surface: Surface, border: np.ndarray, image: Image, low: float) -> dict[str, float]:
    """Distance of a surface's vertices above `low` from a border, mm."""
    distance = ndimage.distance_transform_edt(~border, sampling=image.voxel_sizes)
    up = surface.vertices[surface.vertices[:, 2] > low]
    voxel = apply_affine(np.linalg.inv(image.affine), up)
    found = ndimage.map_coordinates(distance, voxel.T, order=1, mode="nearest")
    return {"mean_mm": float(found.mean()), "p95_mm": float(np.percentile(found, 95))}


def page(results: list[dict[str, Any]]) -> str:
    """Table of both skulls by source and contrast."""
    rows = []
    for start, text in (("head", "label heads"), ("person", "digital people")):
        for kind in KINDS:
            part = [r for r in results if r["name"].startswith(start) and r["kind"] == kind]
            if part:
                scans = sum(r["from"] == "scan" for r in part)
                rows.append(
                    (
                        f"{text}, {kind} (n = {len(part)})",
                        scans,
                        *(
                            _range([r[what][name] for r in part])
                            for what in ("written", "atlas")
                            for name in ("mean_mm", "p95_mm")
                        ),
                    )
                )
    header = (
        "images",
        "from the scan",
        "skull written: mean, mm",
        "95th percentile, mm",
        "atlas' skull: mean, mm",
        "95th percentile, mm",
    )
    return "\n".join(
        (
            "# The outer skull\n",
            "Written by `python -m benchmarks.head.skull SUBJECTS OUT`; every number stands in "
            "`head_skull.json`. Heads never trained on, painted at 1 mm: distance of the "
            "surface's vertices above the nasion from the true outer skull; mean (least to "
            "greatest) over heads. A painted tissue has one intensity and noise: a real skull is "
            "harder.\n",
            markdown_table(header, rows),
        )
    )


def _range(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ({min(values):.1f}–{max(values):.1f})"


if __name__ == "__main__":
    sys.exit(main())
