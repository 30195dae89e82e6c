"""Run the method on one image, through files as in a release, and hold it against the truth."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import apply_affine, voxel_volume_ml
from anonymi_bids.core.shape import similarity
from anonymi_bids.io.images import (
    iter_volumes,
    open_scan,
    read_image,
    read_mask,
    write_image,
)
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.records import Phantom
from anonymi_bids.settings import DefaceSettings
from benchmarks.quality.truth import Truth, coordinate

GAIN = 8.0
"""Painted signals times this are stored as int16."""

SETTINGS = DefaceSettings()


@dataclass(frozen=True)
class Outcome:
    """One image before and after.

    Attributes
    ----------
    before, after : (I, J, K) ndarray
        Stored values.
    removed : (I, J, K) bool ndarray
        The mask that the method wrote.
    """

    before: npt.NDArray[Any]
    after: npt.NDArray[Any]
    removed: npt.NDArray[np.bool_]


def store(phantom: Phantom, path: Path) -> None:
    """Write a painted image as int16, as scanners do."""
    data = np.clip(np.rint(phantom.image.data * GAIN), -32768, 32767).astype(np.int16)
    write_image(path, data, phantom.image.affine)


def true_fit(phantom: Phantom, landmarks: Any) -> HeadFit:
    """Place the atlas by the true nasion, preauricular points and chin (a similarity)."""
    names = ("nasion", "lpa", "rpa", "chin")
    target = [phantom.nasion, phantom.lpa, phantom.rpa, phantom.landmarks68[8]]
    matrix = similarity(np.stack([landmarks[name] for name in names]), np.stack(target))
    return HeadFit(matrix, 1.0, "head", "Placed by the true landmarks.")


def find(path: Path, *, seed: int, known: HeadFit | None = None) -> tuple[HeadFit, float]:
    """Find the head, unless its place is given; with CPU seconds."""
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.find import find_head_checked
    from anonymi_bids.head.network import load_model

    if known is not None:
        return known, 0.0
    clock = time.process_time()
    fit = find_head_checked(read_image(path), load_atlas(), load_model(), seed=seed)
    return fit, time.process_time() - clock


def deidentify(
    path: Path, folder: Path, fit: HeadFit, method: str, *, seed: int, person: int
) -> tuple[Outcome, dict[str, float]]:
    """Build the region of a method and write the image without it; with CPU seconds.

    Method ``newface`` or ``blur`` puts a new face there, drawn for `person`.
    """
    from anonymi_bids.deface.apply import deface_scan

    clock = [time.process_time()]
    region, plan = METHODS[method](read_image(path), fit, person)
    clock.append(time.process_time())
    after, mask = folder / f"after_{method}.nii.gz", folder / f"mask_{method}.nii.gz"
    deface_scan(path, after, mask, region, seed=seed, plan=plan)
    clock.append(time.process_time())
    outcome = Outcome(
        next(iter_volumes(open_scan(path))),
        next(iter_volumes(open_scan(after))),
        read_mask(mask),
    )
    return outcome, dict(zip(("region_s", "write_s"), np.diff(clock).tolist(), strict=True))


def _by_mask(image: Image, fit: HeadFit, person: int) -> tuple[Any, Any]:
    from anonymi_bids.deface.mask import build_region
    from anonymi_bids.head.atlas import load_atlas

    margin = SETTINGS.brain_margin_mm
    place = fit.atlas_to_image
    return build_region(image, load_atlas(), place, brain_margin_mm=margin, ears=True), None


def _by_network(image: Image, fit: HeadFit | None, person: int) -> tuple[Any, Any]:
    from anonymi_bids.deface.ml import build_region
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.head.network import load_model
    from anonymi_bids.head.sight import see_head

    start = None if fit is None else fit.atlas_to_image
    sight = see_head(image, load_atlas(), load_model(), start=start)
    margin = SETTINGS.ml_brain_margin_mm
    place = (load_atlas(), sight.atlas_to_image)
    return build_region(image, sight.seen, *place, brain_margin_mm=margin, ears=True), None


def _by_surface(image: Image, fit: HeadFit, person: int, *, style: str) -> tuple[Any, Any]:
    from anonymi_bids.deface.surface import plan_surface
    from anonymi_bids.head.atlas import load_atlas

    return plan_surface(
        image,
        load_atlas(),
        fit.atlas_to_image,
        brain_margin_mm=SETTINGS.brain_margin_mm,
        ears=True,
        style=style,
        smooth_mm=SETTINGS.blur_mm,
        seed=person,
    )


METHODS = {
    "mask": _by_mask,
    "ml": _by_network,
    "newface": functools.partial(_by_surface, style="newface"),
    "blur": functools.partial(_by_surface, style="blur"),
}
"""What the command's methods and styles do, by name."""


def measure(outcome: Outcome, truth: Truth, affine: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Hold one image against the truth; shares are of voxels.

    Returns
    -------
    dict
        ``brain_changed`` (voxels of brain and CSF), ``skin_left`` and ``skin_left_thirds`` (share
        of the face window's skin whose stored value is unchanged), ``vault_changed``,
        ``ears_left`` (left, right), ``removed_ml``, ``left_where`` (where unchanged skin lies,
        5th and 95th percentile of x, y, z in the head frame), ``outside_changed`` (voxels
        changed although the method's own mask does not say so: must be 0).
    """
    changed = outcome.before != outcome.after
    touched = changed | outcome.removed
    left = truth.face & ~changed
    return {
        "brain_voxels": int(truth.brain.sum()),
        "brain_changed": int((touched & truth.brain).sum()),
        "skin_voxels": int(truth.face.sum()),
        "skin_left": _share(left, truth.face),
        "skin_left_thirds": [_share(left & third, third) for third in truth.thirds],
        "left_where": _where(left, truth, affine),
        "vault_voxels": int(truth.vault.sum()),
        "vault_changed": _share(touched & truth.vault, truth.vault),
        "vault_where": _where(touched & truth.vault, truth, affine),
        "ear_voxels": [int(ear.sum()) for ear in truth.ears],
        "ears_left": [_share(ear & ~changed, ear) for ear in truth.ears],
        "removed_ml": float(outcome.removed.sum() * voxel_volume_ml(affine)),
        "outside_changed": int((changed & ~outcome.removed).sum()),
    }


def placement(
    fit: HeadFit, phantom: Phantom, atlas_landmarks: Any, head_to_image: npt.NDArray[np.float64]
) -> dict[str, list[float]]:
    """From true landmarks to those of the atlas, brought to the image: x, y, z in the head frame.

    Part of it is that atlas and phantoms do not mean exactly the same point.
    """
    true = {
        "nasion": phantom.nasion,
        "lpa": phantom.lpa,
        "rpa": phantom.rpa,
        "chin": phantom.landmarks68[8],
    }
    to_head = np.linalg.inv(head_to_image)
    found = {}
    for name, point in true.items():
        if name in atlas_landmarks:
            brought = apply_affine(fit.atlas_to_image, atlas_landmarks[name])
            found[name] = (to_head[:3, :3] @ (brought - point)).round(2).tolist()
    return found


def after_image(outcome: Outcome, affine: npt.NDArray[np.float64]) -> Image:
    """Give the image that would be released, as read back from its file."""
    return Image(outcome.after.astype(np.float32), affine)


def _share(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    count = int(whole.sum())
    return float(part.sum() / count) if count else float("nan")


def _where(
    left: npt.NDArray[np.bool_], truth: Truth, affine: npt.NDArray[np.float64]
) -> list[list[float]]:
    if not left.any():
        return []
    to_head = np.linalg.inv(truth.head_to_image) @ affine
    places = [coordinate(left.shape, to_head, axis)[left] for axis in range(3)]
    return [[round(float(v), 1) for v in np.percentile(place, (5, 95))] for place in places]
