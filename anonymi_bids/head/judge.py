"""Measure how well a placed atlas explains a scan, and say what the scan shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, resample
from anonymi_bids.core.mask import dilate_mm, erode_mm
from anonymi_bids.core.register import coarse_grid
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import HeadStatus, Image

GRID_MM = 3.0
SKIN_DEPTH_MM = 15.0
"""Skin of the face that lies further behind the atlas' skin than this is missing."""


def measure(
    scan: Image, mask: npt.NDArray[np.bool_], atlas: Atlas, atlas_to_image: Affine
) -> dict[str, float]:
    """Compare a scan's head mask with the placed atlas.

    Parameters
    ----------
    scan : Image
    mask : (I, J, K) bool ndarray
        Head of the scan.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    dict
        ``dice``: heads above the chin inside the field of view. ``vault_shell``: share of the
        space between brain and outer skin above the brow that holds signal. ``brain_in_view``,
        ``vault_in_view``, ``face_in_view``: shares of the atlas' parts in the field of view.
        ``face_kept``: share of viewed lines through the middle of the face that meet skin no
        deeper than `SKIN_DEPTH_MM` behind the atlas' skin. ``contrast``: difference of the means
        of brain and skull over their pooled sd. ``brain_filled``: share of the viewed atlas brain
        inside the head mask.
    """
    affine, shape = coarse_grid(atlas.head.data.shape, atlas.head.affine, GRID_MM)
    to_atlas = np.linalg.inv(atlas_to_image)
    seen = _bring(np.ones(scan.data.shape, np.float32), scan.affine, affine, shape, to_atlas) > 0.5
    head_scan = _bring(mask.astype(np.float32), scan.affine, affine, shape, to_atlas) > 0.5
    values = _bring(scan.data, scan.affine, affine, shape, to_atlas)
    head = _bring(atlas.head.data.astype(np.float32), atlas.head.affine, affine, shape) > 0.5
    brain = _bring(atlas.brain.data.astype(np.float32), atlas.brain.affine, affine, shape) > 0.5
    z = affine[2, 3] + GRID_MM * np.arange(shape[2])
    above_chin = (z > atlas.landmarks["chin"][2]).reshape(1, 1, -1) & seen
    vault = (z > atlas.landmarks["brow"][2] + 10).reshape(1, 1, -1)
    both = float((head & head_scan & above_chin).sum())
    either = float((head & above_chin).sum() + (head_scan & above_chin).sum())
    shell = erode_mm(head, affine, 3) & ~dilate_mm(brain, affine, 6) & vault & seen
    figures = {
        "dice": 2 * both / max(either, 1),
        "vault_shell": float(head_scan[shell].mean()) if shell.any() else float("nan"),
        "brain_in_view": _share(seen, brain),
        "vault_in_view": _share(seen, head & vault),
        "brain_filled": _share(head_scan, brain & seen),
        "contrast": _contrast(values, head, brain, seen & vault, affine),
    }
    figures |= _face_figures(head, head_scan, seen, atlas, affine)
    return figures


def judge(figures: Mapping[str, float]) -> tuple[float, HeadStatus, str]:
    """Turn figures into a confidence, a status and a sentence."""
    return min(1.0, figures["score"]), "head", "A head with its face was found."


def _face_figures(
    head: npt.NDArray[np.bool_],
    head_scan: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_],
    atlas: Atlas,
    affine: Affine,
) -> dict[str, float]:
    """Lines from front to back through the middle of the face."""
    x = affine[0, 3] + GRID_MM * np.arange(head.shape[0])
    z = affine[2, 3] + GRID_MM * np.arange(head.shape[2])
    marks = atlas.landmarks
    window = (np.abs(x) < 40).reshape(-1, 1) & (
        (z > marks["chin"][2]) & (z < marks["brow"][2])
    ).reshape(1, -1)
    skin_atlas = _first_from_front(head)
    window &= skin_atlas >= 0
    skin_scan = _first_from_front(head_scan)
    columns = np.clip(skin_atlas, 0, None)[:, None, :]
    seen_there = np.take_along_axis(seen, columns, axis=1)[:, 0, :]
    viewed = window & seen_there
    behind = (skin_atlas - skin_scan) * GRID_MM
    kept = (behind < SKIN_DEPTH_MM) & (skin_scan >= 0)
    return {
        "face_in_view": float(viewed.sum()) / max(1, int(window.sum())),
        "face_kept": float(kept[viewed].mean()) if viewed.any() else float("nan"),
    }


def _first_from_front(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    """Largest j of each (i, k) that is set; -1 where none is."""
    reverse = mask[:, ::-1].argmax(axis=1)
    return np.where(mask.any(axis=1), mask.shape[1] - 1 - reverse, -1)


def _contrast(
    values: npt.NDArray[np.float32],
    head: npt.NDArray[np.bool_],
    brain: npt.NDArray[np.bool_],
    where: npt.NDArray[np.bool_],
    affine: Affine,
) -> float:
    inner = erode_mm(brain, affine, 5) & where
    bone = dilate_mm(brain, affine, 7) & ~dilate_mm(brain, affine, 2) & head & where
    if inner.sum() < 50 or bone.sum() < 50:
        return float("nan")
    a, b = values[inner], values[bone]
    return float((a.mean() - b.mean()) / max(np.sqrt((a.var() + b.var()) / 2), 1e-6))


def _share(mask: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float:
    return float(mask[of].mean()) if of.any() else float("nan")


def _bring(
    data: npt.NDArray[np.float32],
    affine: Affine,
    target: Affine,
    shape: tuple[int, int, int],
    motion: Affine | None = None,
) -> npt.NDArray[np.float32]:
    return resample(data, affine, target, shape, source_to_target=motion)
