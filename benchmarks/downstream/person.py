"""One digital person: original and outputs, and what independent tools make of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.head.register import register
from anonymi_bids.io.images import read_image, write_image
from anonymi_bids.model import Image
from anonymi_bids.phantoms.paint import add_noise
from benchmarks.common import OUT, one_thread, write_json
from benchmarks.downstream import NOISIER
from benchmarks.head.evaluate import dice
from benchmarks.quality import cases, measure
from benchmarks.quality.worker import NEW_FACES
from benchmarks.real.brains import brain_mask


@dataclass(frozen=True)
class Task:
    """One person, and where the figures are kept."""

    number: int
    seed: int
    spacing_mm: float
    methods: tuple[str, ...]
    folder: Path

    @property
    def result(self) -> Path:
        """Where the figures are kept."""
        return self.folder / f"person-{self.number:03d}.json"


def run(task: Task) -> str:
    """Make a person, de-identify by every method, run the tools on all; returns one line."""
    one_thread()
    name = f"person-{task.number:03d}"
    case = cases.Case("person", task.number, name, "T1w", 1, task.seed, task.spacing_mm)
    phantom = cases.make(case, Path())
    atlas = load_atlas()
    with tempfile.TemporaryDirectory(prefix="anonymi-bench-") as folder:
        before = Path(folder) / "before.nii.gz"
        measure.store(phantom, before)
        fit, _ = measure.find(before, seed=task.seed)
        paths = {NOISIER: _with_noise(before, Path(folder), task)}
        for method in task.methods:
            measure.deidentify(
                before,
                Path(folder),
                fit,
                method,
                seed=task.seed,
                person=NEW_FACES + task.number,
            )
            paths[method] = Path(folder) / f"after_{method}.nii.gz"
        old = Seen(before, atlas, fit.atlas_to_image)
        found = {
            method: compared(old, Seen(path, atlas, fit.atlas_to_image), atlas)
            for method, path in paths.items()
        }
    write_json(task.result, {"number": task.number, "status": fit.status, "methods": found})
    return f"{name}: " + ", ".join(
        f"{method} {entry['brain_dice']:.4f} {entry['moved_mean_mm']:.2f} mm"
        for method, entry in found.items()
    )


class Seen:
    """What the tools make of one image.

    Attributes
    ----------
    brain, carried : (I, J, K) bool ndarray
        By deepbet; from the atlas by antspyx.
    atlas_to_image, brain_to_image : (4, 4) ndarray
        By antspyx (affine, mutual information, 2 mm): of the whole head onto the atlas' head, and
        of deepbet's brain onto the atlas' brain, as pipelines do that strip the skull first.
    """

    def __init__(self, path: Path, atlas: Atlas, start: npt.NDArray[np.float64]) -> None:
        image = read_image(path)
        self.brain = brain_mask(path, OUT / "deepbet")
        self.atlas_to_image = register(
            image, atlas.painted, kind="affine", start=start, spacing_mm=2.0
        ).moving_to_fixed
        stripped = Image(np.where(self.brain, image.data, 0).astype(np.float32), image.affine)
        self.brain_to_image = register(
            stripped, _brain_of(atlas), kind="affine", start=start, spacing_mm=2.0
        ).moving_to_fixed
        self.carried = resample(
            atlas.brain.data.astype(bool),
            atlas.brain.affine,
            image.affine,
            image.data.shape,
            source_to_target=self.atlas_to_image,
        )


def compared(old: Seen, new: Seen, atlas: Atlas) -> dict[str, float]:
    """Hold the tools' results on an output against those on the original."""
    points = apply_affine(atlas.brain.affine, np.argwhere(atlas.brain.data)[::50])
    head = _moved(old.atlas_to_image, new.atlas_to_image, points)
    brain = _moved(old.brain_to_image, new.brain_to_image, points)
    return {
        "brain_dice": dice(old.brain, new.brain),
        "carried_dice": dice(old.carried, new.carried),
        "moved_mean_mm": float(head.mean()),
        "moved_worst_mm": float(head.max()),
        "brain_moved_mean_mm": float(brain.mean()),
        "brain_moved_worst_mm": float(brain.max()),
    }


def _moved(
    old: npt.NDArray[np.float64], new: npt.NDArray[np.float64], points: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.linalg.norm(apply_affine(old, points) - apply_affine(new, points), axis=1)


def _brain_of(atlas: Atlas) -> Image:
    """The painted atlas without skull and scalp."""
    painted, brain = atlas.painted, atlas.brain
    shape = (painted.data.shape[0], painted.data.shape[1], painted.data.shape[2])
    inside = resample(brain.data.astype(bool), brain.affine, painted.affine, shape)
    return Image(np.where(inside, painted.data, 0).astype(np.float32), painted.affine)


def _with_noise(before: Path, folder: Path, task: Task) -> Path:
    """The original with as much noise again as it was painted with."""
    image = read_image(before)
    rng = np.random.default_rng([31, task.seed, task.number])
    noisy = add_noise(image.data / measure.GAIN, "T1w", rng) * measure.GAIN
    path = folder / "noisier.nii.gz"
    write_image(path, np.clip(np.rint(noisy), -32768, 32767).astype(np.int16), image.affine)
    return path
