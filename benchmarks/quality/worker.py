"""One image from making to figures, in a process of its own; results are kept on disk."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.io.images import iter_volumes, open_scan
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.records import Phantom
from benchmarks.common import one_thread, write_json
from benchmarks.quality.cases import Case
from benchmarks.quality.truth import Truth

NEW_FACES = 5_000_000
"""Seeds of new faces; no digital person of a benchmark has one of these."""


GALLERY_VISIT = 2
"""Of this visit the originals are known to the attacker; nothing of it is released."""


@dataclass(frozen=True)
class Task:
    """A case, the methods to try on it, where the label heads lie, and the folder for results."""

    case: Case
    heads: Path
    folder: Path
    recognise: bool
    true_pose: bool
    methods: tuple[str, ...]

    def result(self, method: str) -> Path:
        """Where the figures of one method are kept."""
        return self.folder / f"{self.case.key}_{method}.json"

    def features(self, name: str) -> Path:
        """Where the features of the original (``before``) or after a method are kept."""
        return self.folder / f"{self.case.key}_{name}.npz"

    def missing(self) -> tuple[str, ...]:
        """Methods that were not tried yet."""
        return tuple(method for method in self.methods if not self.result(method).exists())

    def done(self) -> bool:
        """Whether nothing is left to do."""
        gallery = not self.recognise or self.features("before").exists()
        return gallery and not self.missing()


def methods_for(case: Case, methods: tuple[str, ...]) -> tuple[str, ...]:
    """Methods to try on a case; none on what only serves as gallery."""
    return () if case.visit == GALLERY_VISIT else methods


def run_task(task: Task) -> str:
    """Make one image, de-identify it by every method, measure; returns one line about it."""
    one_thread()
    from anonymi_bids.head.atlas import load_atlas
    from benchmarks.quality import cases, measure, truth

    clock = time.process_time()
    phantom = cases.make(task.case, task.heads)
    true = truth.truth_of(phantom)
    made = time.process_time() - clock
    task.folder.mkdir(parents=True, exist_ok=True)
    said = []
    with tempfile.TemporaryDirectory(prefix="anonymi-bench-") as name:
        path = Path(name) / "before.nii.gz"
        measure.store(phantom, path)
        if task.recognise and not task.features("before").exists():
            before = next(iter_volumes(open_scan(path)))
            _keep_features(task, phantom, true, before, "before")
        if not task.missing():
            return f"{task.case.key}: gallery only"
        known = measure.true_fit(phantom, load_atlas().landmarks) if task.true_pose else None
        fit, found_s = measure.find(path, seed=task.case.seed, known=known)
        for method in task.missing():
            outcome, spent = measure.deidentify(
                path,
                Path(name),
                fit,
                method,
                seed=task.case.seed,
                person=NEW_FACES + task.case.number,
            )
            figures = {
                **_about(task, phantom, true, fit),
                "times": {"make_s": made, "find_s": found_s, **spent},
                **measure.measure(outcome, true, phantom.image.affine),
            }
            if task.recognise:
                score = _keep_features(task, phantom, true, outcome.after, method)
                figures["detector_after"] = score
            write_json(task.result(method), figures)
            said.append(
                f"{method}: brain {figures['brain_changed']}, skin {figures['skin_left']:.4f}, "
                f"vault {figures['vault_changed']:.4f}"
            )
    return f"{task.case.key}: {fit.status}; " + "; ".join(said)


def _about(task: Task, phantom: Phantom, true: Truth, fit: HeadFit) -> dict[str, Any]:
    """What was scanned, and how its head was found."""
    from anonymi_bids.head.atlas import load_atlas
    from benchmarks.quality import measure

    return {
        "case": asdict(task.case),
        "status": fit.status,
        "confidence": float(fit.confidence),
        "sentence": fit.sentence,
        "fit_figures": dict(fit.figures),
        "placed_mm": measure.placement(fit, phantom, load_atlas().landmarks, true.head_to_image),
    }


def _keep_features(
    task: Task, phantom: Phantom, true: Truth, data: npt.NDArray[Any], name: str
) -> float:
    """Write depth maps and embeddings of one volume; returns the detector's score."""
    from benchmarks.quality import recognise

    image = Image(data.astype(np.float32), phantom.image.affine)
    depth = recognise.frontal_depth(image, true.head_to_image)
    seen = recognise.look(depth, true.head_to_image, phantom.landmarks68)
    np.savez_compressed(
        task.features(name),
        face=recognise.window(depth, recognise.FACE_MM).astype(np.float32),
        whole=recognise.window(depth, recognise.WHOLE_MM).astype(np.float32),
        **seen,
    )
    return float(seen["score"])
