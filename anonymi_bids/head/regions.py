"""Landmarks, face and ear regions of the average head, by geometry on its skin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, resample
from anonymi_bids.core.mask import dilate_mm, erode_mm, largest_component
from anonymi_bids.head.atlas import BITS
from anonymi_bids.head.build import Average
from anonymi_bids.io.atomic import atomic_path
from anonymi_bids.io.images import write_image

Mask = npt.NDArray[np.bool_]
Landmarks = dict[str, npt.NDArray[np.float64]]

SPACING_MM = 1.5
EXTENT_MM = ((-120.0, 120.0), (-130.5, 166.5), (-117.0, 160.5))
"""Extent of the atlas round the midpoint of the preauricular points: wide air in front and beside,
short neck below."""

PREAURICULAR_FROM_BRAIN_MM = (17.0, -54.0)
"""y and z of the preauricular points from the centre of the brain: mean of points picked by eye
on the ears of the eight heads (just in front of the tragus); x follows from the skin."""

BROW_MARGIN_MM = 6.0
"""The face region reaches this far above the brow."""
BEHIND_EAR_POINT_MM = 3.0
"""The face region reaches this far behind the preauricular points."""


def finish_atlas(average: Average, folder: Path) -> Landmarks:
    """Place landmarks and regions on an average and write the atlas.

    Writes ``atlas_labels.nii.gz``, ``atlas_regions.nii.gz`` and ``atlas_landmarks.tsv``.

    Parameters
    ----------
    average : Average
        Frame with its origin at the centre of the brain, symmetric in x.
    folder : path

    Returns
    -------
    dict
        Landmarks in the atlas frame, mm.
    """
    landmarks = place_landmarks(average)
    shift = (landmarks["lpa"] + landmarks["rpa"]) / 2
    landmarks = {name: point - shift for name, point in landmarks.items()}
    affine, shape = atlas_grid()
    source = average.labels.affine.copy()
    source[:3, 3] -= shift
    labels = resample(average.labels.data, source, affine, shape, order=0)
    head = labels > 0
    inside = np.isin(labels, (1, 2, 3))
    ear_right = ear_region(head, affine)
    masks = {
        "brain": inside,
        "head": head,
        "face": face_region(landmarks, affine, shape),
        "ear_right": ear_right,
        "ear_left": ear_right[::-1],
    }
    coded = np.zeros(shape, np.uint8)
    for name, bit in BITS.items():
        coded[masks[name]] |= bit
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / "atlas_labels.nii.gz", labels.astype(np.uint8), affine)
    write_image(folder / "atlas_regions.nii.gz", coded, affine)
    lines = ["name\tx\ty\tz"]
    lines += [f"{n}\t{p[0]:.1f}\t{p[1]:.1f}\t{p[2]:.1f}" for n, p in sorted(landmarks.items())]
    with atomic_path(folder / "atlas_landmarks.tsv") as path:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return landmarks


def atlas_grid() -> tuple[Affine, tuple[int, int, int]]:
    """Grid of the atlas, RAS+, x symmetric about 0."""
    counts = [round((high - low) / SPACING_MM) + 1 for low, high in EXTENT_MM]
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = [low for low, _ in EXTENT_MM]
    return affine, (counts[0], counts[1], counts[2])


def place_landmarks(average: Average) -> Landmarks:
    """Landmarks of the average, mm, in its own frame.

    Returns
    -------
    dict
        nasion, lpa, rpa, nose_tip, chin, brow, vertex, eye_left, eye_right.
    """
    affine = average.labels.affine
    spacing = float(affine[0, 0])
    z_of = affine[2, 3] + spacing * np.arange(average.shares.shape[2])
    front = _profile(average, spacing)
    valid = np.isfinite(front)

    def at(z: float) -> npt.NDArray[np.float64]:
        return np.array([0.0, float(np.interp(z, z_of[valid], front[valid])), z])

    def most_forward(low: float, high: float) -> npt.NDArray[np.float64]:
        heights = np.arange(low, high, 0.5)
        return at(float(heights[np.argmax([at(float(z))[1] for z in heights])]))

    nose_tip = most_forward(-90.0, 0.0)
    brow_search = at(float(nose_tip[2]) + 75.0)
    heights = np.arange(nose_tip[2] + 15, nose_tip[2] + 70, 0.5)
    chord = np.interp(heights, [nose_tip[2], brow_search[2]], [nose_tip[1], brow_search[1]])
    dents = chord - np.array([at(float(z))[1] for z in heights])
    nasion = at(float(heights[int(dents.argmax())]))
    brow = most_forward(nasion[2] + 8, nasion[2] + 24)
    chin = most_forward(nose_tip[2] - 82, nose_tip[2] - 55)
    top = np.flatnonzero(average.shares.max(axis=(0, 1)) > 0.5).max()
    middle = (average.shares.shape[0] - 1) // 2
    crown = np.flatnonzero(average.shares[middle, :, top] >= average.shares[middle, :, top].max())
    landmarks = {
        "nasion": nasion,
        "nose_tip": nose_tip,
        "brow": brow,
        "chin": chin,
        "vertex": np.array([0.0, affine[1, 3] + spacing * float(crown.mean()), float(z_of[top])]),
    }
    y, z = PREAURICULAR_FROM_BRAIN_MM
    j, k = (round((value - affine[axis, 3]) / spacing) for axis, value in ((1, y), (2, z)))
    half = average.shares[middle:, j, k]
    x = spacing * float(np.interp(0.5, half[::-1], np.arange(half.size)[::-1]))
    landmarks["rpa"] = np.array([x, y, z])
    landmarks["lpa"] = np.array([-x, y, z])
    eyes = average.labels.data == 6
    side = np.arange(eyes.shape[0]).reshape(-1, 1, 1) > middle
    if (eyes & side).any():
        globe = apply_affine(affine, np.argwhere(largest_component(eyes & side)).mean(axis=0))
    else:
        globe = nasion + (32.0, -16.0, -8.0)
    landmarks["eye_right"] = globe
    landmarks["eye_left"] = globe * (-1, 1, 1)
    return landmarks


def face_region(landmarks: Landmarks, affine: Affine, shape: tuple[int, int, int]) -> Mask:
    """Everything from just above the brow down, in front of the preauricular points, air included.

    Below the chin its back border runs forward and down, so that the neck stays.
    """
    y = affine[1, 3] + affine[1, 1] * np.arange(shape[1]).reshape(1, -1, 1)
    z = affine[2, 3] + affine[2, 2] * np.arange(shape[2]).reshape(1, 1, -1)
    back = landmarks["lpa"][1] - BEHIND_EAR_POINT_MM
    below = np.maximum(0.0, landmarks["chin"][2] - 12.0 - z)
    region = (z <= landmarks["brow"][2] + BROW_MARGIN_MM) & (y >= back + 1.5 * below)
    return np.broadcast_to(region, shape).copy()


def ear_region(head: Mask, affine: Affine) -> Mask:
    """Right ear of a head and the air round it, out to the border of the grid.

    The ear is what lies outside the smooth wall of the head (opened by a ball of 10 mm) in a
    window round the preauricular point; the wall's outer 3 mm belong to the region.
    """
    wall = dilate_mm(erode_mm(head, affine, 10.0), affine, 10.0)
    wall = erode_mm(wall, affine, 3.0)
    axes = [affine[i, 3] + affine[i, i] * np.arange(n) for i, n in enumerate(head.shape)]
    window = (
        (axes[0] > 50).reshape(-1, 1, 1)
        & ((axes[1] > -55) & (axes[1] < 8)).reshape(1, -1, 1)
        & ((axes[2] > -46) & (axes[2] < 48)).reshape(1, 1, -1)
    )
    inner = np.flip(np.maximum.accumulate(np.flip(wall, 0), axis=0), 0)
    return window & ~inner


def _profile(average: Average, spacing: float) -> npt.NDArray[np.float64]:
    """Front of the head in the middle plane for each height, mm; NaN where there is none."""
    middle = (average.shares.shape[0] - 1) // 2
    plane = ndimage.gaussian_filter1d(average.shares[middle], 1.0, axis=1)
    front = np.full(plane.shape[1], np.nan)
    for k in range(plane.shape[1]):
        filled = np.flatnonzero(plane[:, k] > 0.5)
        if filled.size and filled[-1] + 1 < plane.shape[0]:
            j = int(filled[-1])
            step = (plane[j, k] - 0.5) / max(float(plane[j, k] - plane[j + 1, k]), 1e-6)
            front[k] = average.labels.affine[1, 3] + spacing * (j + step)
    return front
