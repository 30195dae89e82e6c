"""One image from making to figures, in a process of its own; results are kept on disk."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import one_thread, write_json
from benchmarks.quality.cases import Case

NEW_FACES = 5_000_000
"""Seeds of new faces; no digital person of a benchmark has one of these."""


@dataclass(frozen=True)
class Task:
    """A case, where the label heads lie, and the folder for its results."""

    case: Case
    heads: Path
    folder: Path
    recognise: bool
    true_pose: bool = False
    method: str = "mask"


def run_task(task: Task) -> str:
    """Make, de-identify and measure one image; returns one line about it."""
    one_thread()
    from anonymi_bids.head.atlas import load_atlas
    from benchmarks.quality import cases, measure, truth

    clock = time.process_time()
    phantom = cases.make(task.case, task.heads)
    true = truth.truth_of(phantom)
    made = time.process_time() - clock
    affine = phantom.image.affine
    with tempfile.TemporaryDirectory(prefix="anonymi-bench-") as name:
        folder = Path(name)
        path = folder / "before.nii.gz"
        measure.store(phantom, path)
        known = measure.true_fit(phantom, load_atlas().landmarks) if task.true_pose else None
        outcome, fit, spent = measure.deidentify(
            path,
            folder,
            seed=task.case.seed,
            known=known,
            method=task.method,
            person=NEW_FACES + task.case.number,
        )
    figures: dict[str, Any] = {
        "case": asdict(task.case),
        "status": fit.status,
        "confidence": float(fit.confidence),
        "sentence": fit.sentence,
        "fit_figures": dict(fit.figures),
        "placed_mm": measure.placement(fit, phantom, load_atlas().landmarks, true.head_to_image),
        "times": {"make_s": made, **spent},
        "voxels": int(np.prod(outcome.before.shape)),
        **measure.measure(outcome, true, affine),
    }
    clock = time.process_time()
    arrays = _features(task, phantom, true, outcome) if task.recognise else {}
    figures["times"]["recognise_s"] = time.process_time() - clock
    task.folder.mkdir(parents=True, exist_ok=True)
    if arrays:
        for when in ("before", "after"):
            figures[f"detector_{when}"] = float(arrays[f"score_{when}"])
        np.savez_compressed(task.folder / f"{task.case.key}.npz", **arrays)
    write_json(task.folder / f"{task.case.key}.json", figures)
    return (
        f"{task.case.key}: {fit.status}, brain {figures['brain_changed']}, skin left "
        f"{figures['skin_left']:.4f}, vault {figures['vault_changed']:.4f}, ears "
        + "/".join(f"{share:.3f}" for share in figures["ears_left"])
        + f", {sum(figures['times'].values()):.0f} s"
    )


def _features(task: Task, phantom: Any, true: Any, outcome: Any) -> dict[str, Any]:
    """Depth maps and embeddings of the original and of what would be released."""
    from benchmarks.quality import measure, recognise

    affine = phantom.image.affine
    after = measure.after_image(outcome, affine)
    before = type(after)(outcome.before.astype(np.float32), affine)
    arrays: dict[str, Any] = {}
    for when, image in (("before", before), ("after", after)):
        depth = recognise.frontal_depth(image, true.head_to_image)
        arrays[f"face_{when}"] = recognise.window(depth, recognise.FACE_MM).astype(np.float32)
        arrays[f"whole_{when}"] = recognise.window(depth, recognise.WHOLE_MM).astype(np.float32)
        seen = recognise.look(depth, true.head_to_image, phantom.landmarks68)
        arrays.update({f"{key}_{when}": value for key, value in seen.items()})
    return arrays
