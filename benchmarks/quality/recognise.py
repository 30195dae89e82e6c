"""Recognise people from scans: by the shape of the face, and by an open face recogniser.

The attacker knows the true pose. The surface is where the image, slightly smoothed, passes the
threshold between air and skin, as an attacker would render it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.mask import air_threshold, head_mask
from anonymi_bids.core.render import depth_map, shade, view_direction
from anonymi_bids.model import Image

Depth = npt.NDArray[np.float32]

PIXEL_MM = 0.8
HALF_WIDTH_MM, LOW_MM, HIGH_MM = 88.0, -112.0, 96.0
FAR_MM, NEAR_MM = -10.0, 150.0
FACE_MM = (70.0, -88.0, 46.0)
"""Half width, lowest and highest point of the face window, head frame: chin to brow."""
WHOLE_MM = (70.0, -70.0, 70.0)
"""A window that takes in the forehead: what is left there may give people away too."""
COARSE_MM = 1.6
MIN_SHARED = 0.3
"""Share of the window in which both maps must show a surface to be compared at all."""


def frontal_depth(image: Image, head_to_image: npt.NDArray[np.float64]) -> Depth:
    """See a head from the front, (rows, columns) mm towards the viewer, NaN for misses."""
    extent = ((-HALF_WIDTH_MM, HALF_WIDTH_MM), (LOW_MM, HIGH_MM), (FAR_MM, NEAR_MM))
    return depth_map(
        surface_share(image),
        image.affine,
        head_to_image,
        view_direction(0),
        PIXEL_MM,
        extent,
    )


def surface_share(image: Image) -> npt.NDArray[np.float32]:
    """Share of tissue: 0.5 where the smoothed image passes the threshold of air against skin."""
    data = np.asarray(image.data, dtype=np.float32)
    limit = air_threshold(data)
    mask = head_mask(data, image.affine)
    smooth = ndimage.gaussian_filter(data, 0.7)
    low = float(np.median(data[~mask])) if (~mask).any() else 0.0
    share = np.clip(0.5 * (smooth - low) / max(limit - low, 1e-6), 0, 1)
    near = ndimage.binary_dilation(mask, iterations=1)
    deep = ndimage.binary_erosion(mask, iterations=2)
    return np.where(deep, 1, np.where(near, share, 0)).astype(np.float32)


def window(depth: Depth, box_mm: tuple[float, float, float]) -> Depth:
    """Cut a window out of a frontal depth map and average it to coarse pixels, (r, c)."""
    half, low, high = box_mm
    step = round(COARSE_MM / PIXEL_MM)
    rows = slice(round((HIGH_MM - high) / PIXEL_MM), round((HIGH_MM - low) / PIXEL_MM))
    middle, width = depth.shape[1] // 2, round(half / PIXEL_MM)
    part = depth[rows, middle - width : middle + width]
    part = part[: part.shape[0] // step * step, : part.shape[1] // step * step]
    blocks = part.reshape(part.shape[0] // step, step, part.shape[1] // step, step)
    return blocks.mean(axis=(1, 3))


def similarity(first: Depth, second: Depth) -> float:
    """Normalised correlation of two depth maps where both show a surface; −inf if hardly any."""
    both = np.isfinite(first) & np.isfinite(second)
    if both.mean() < MIN_SHARED:
        return -np.inf
    a, b = first[both] - first[both].mean(), second[both] - second[both].mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / norm) if norm > 0 else -np.inf


def shape_scores(probes: list[Depth], gallery: list[Depth], *, centred: bool) -> np.ndarray:
    """Similarity of each probe and gallery entry, (n, m).

    With `centred`, the mean map of the gallery and the mean map of the probes are subtracted
    first: what all faces, or all cuts, share does not help to tell them apart.
    """
    if centred:
        probes, gallery = _without_mean(probes), _without_mean(gallery)
    return np.array([[similarity(probe, entry) for entry in gallery] for probe in probes])


def _without_mean(maps: list[Depth]) -> list[Depth]:
    stack = np.stack(maps)
    seen = np.isfinite(stack)
    mean = np.where(seen, stack, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return [entry - mean for entry in maps]


def first_hits(scores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each probe's own entry (the diagonal) scores higher than all others, (n,).

    Parameters
    ----------
    scores : (n, m) array_like
        m ≥ n: the gallery may hold more people.
    """
    scores = np.asarray(scores, dtype=np.float64)
    own = np.diag(scores)
    others = np.where(np.eye(*scores.shape, dtype=bool), -np.inf, scores)
    best = others.max(axis=1)
    return np.isfinite(own) & (own > best)


@functools.cache
def _dlib() -> tuple[Any, Any, Any, Any]:
    import dlib
    import face_recognition_models as models

    return (
        dlib,
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(models.pose_predictor_model_location()),
        dlib.face_recognition_model_v1(models.face_recognition_model_location()),
    )


def look(
    depth: Depth, head_to_image: npt.NDArray[np.float64], landmarks68: npt.NDArray[np.float64]
) -> dict[str, Any]:
    """Show a head, rendered from the front, to dlib.

    Returns
    -------
    dict
        ``score`` of the HOG detector (NaN if it does not fire), ``found`` (128,) embedding at the
        detected face (NaN if none), ``forced`` (128,) embedding at the true landmarks.
    """
    dlib, detector, predictor, recogniser = _dlib()
    picture = np.repeat(shade(depth, PIXEL_MM)[..., None], 3, axis=2)
    boxes, scores, _ = detector.run(picture, 1, 0.0)
    found = np.full(128, np.nan)
    score = float("nan")
    if boxes:
        best = int(np.argmax(scores))
        score = float(scores[best])
        shape = predictor(picture, boxes[best])
        found = np.array(recogniser.compute_face_descriptor(picture, shape, 0))
    places = apply_affine(np.linalg.inv(head_to_image), landmarks68)
    columns = (-places[:, 0] + HALF_WIDTH_MM) / PIXEL_MM
    rows = (HIGH_MM - places[:, 2]) / PIXEL_MM
    points = [dlib.point(int(round(c)), int(round(r))) for c, r in zip(columns, rows, strict=True)]
    box = dlib.rectangle(int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max()))
    shape = dlib.full_object_detection(box, points)
    forced = np.array(recogniser.compute_face_descriptor(picture, shape, 0))
    return {"score": score, "found": found, "forced": forced}


def embedding_scores(probes: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Negative Euclidean distance of embeddings, (n, m); −inf where there is none."""
    apart = np.linalg.norm(probes[:, None] - gallery[None], axis=2)
    return np.where(np.isfinite(apart), -apart, -np.inf)
