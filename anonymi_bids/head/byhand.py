"""Place the head by landmarks that a person picked, where the automatic search fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, apply_affine
from anonymi_bids.core.register import take_apart
from anonymi_bids.core.shape import similarity
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.head.judge import judge_landmarks, measure
from anonymi_bids.head.locate import prepare, refine
from anonymi_bids.model import HeadFit, Image

Points = Mapping[str, Sequence[float]]
Floats = npt.NDArray[np.float64]

MIN_LANDMARKS = 4
SPREAD_MM = (30.0, 10.0)
"""Least second and third principal spread of the atlas' landmarks of these names: four points on
the midline, or near one eye, do not place a head."""

AGREE_MM = 8.0
"""A refinement by the image is kept if it misses the landmarks by no more than this more (root
mean square) than their own fit does. People differ from the atlas by that much where it is placed
well (five landmarks of a digital head: 7.5 mm by their own fit, 12.7 mm by the registration); a
registration gone astray is off by more."""


def well_spread(points: Points, atlas: Atlas) -> bool:
    """Whether landmarks of these names, as they lie on the atlas, place a head.

    Parameters
    ----------
    points : mapping
        Landmark → anything.
    atlas : Atlas
    """
    places = np.stack([atlas.landmarks[name] for name in points])
    spread = np.linalg.svd(places - places.mean(axis=0), compute_uv=False) / np.sqrt(len(places))
    return bool(spread[1] >= SPREAD_MM[0] and spread[2] >= SPREAD_MM[1])


def place_head(image: Image, atlas: Atlas, points: Points, *, seed: int = 0) -> HeadFit:
    """Place the atlas on a scan by landmarks picked by hand.

    Rotation, size and shift in closed form (least squares); then the usual affine registration,
    kept only where it leaves the landmarks as near as they were.

    Parameters
    ----------
    image : Image
        3-D (or the mean of a series), any contrast.
    atlas : Atlas
    points : mapping of str to (3,) sequence
        Landmark → mm of the image's scanner space, RAS+; at least `MIN_LANDMARKS`.
    seed : int
        Of the registration.

    Returns
    -------
    HeadFit
        ``figures``: ``landmarks_given``, ``landmark_rms_mm`` and ``landmark_worst_mm`` (how far
        the closed form misses them), ``refined`` (1 if the registration was kept),
        ``refined_rms_mm``, ``information``, ``stretch_low``, ``stretch_high``, ``angle_deg``, and
        those of `anonymi_bids.head.judge.measure`.

    Raises
    ------
    NotAHead
        If the image is empty or constant.
    """
    names = sorted(points)
    source = np.stack([atlas.landmarks[name] for name in names]).astype(np.float64)
    target = np.array([points[name] for name in names], np.float64)
    matrix = similarity(source, target)
    missed = _missed(matrix, source, target)
    rms = float(np.sqrt((missed**2).mean()))
    prepared = prepare(image)
    found, information = refine(prepared, atlas, matrix, seed, brain_only=False)
    refined_rms = float(np.sqrt((_missed(found, source, target) ** 2).mean()))
    refined = refined_rms <= rms + AGREE_MM
    matrix = found if refined else matrix
    stretches, angle = take_apart(matrix)[1:]
    figures = {
        "landmarks_given": float(len(names)),
        "landmark_rms_mm": rms,
        "landmark_worst_mm": float(missed.max()),
        "refined": float(refined),
        "refined_rms_mm": refined_rms,
        "information": information,
        "stretch_low": float(stretches[0]),
        "stretch_high": float(stretches[-1]),
        "angle_deg": angle,
    }
    figures |= measure(prepared.scan, prepared.mask, atlas, matrix)
    confidence, status, sentence = judge_landmarks(figures, names[int(missed.argmax())])
    return HeadFit(matrix, confidence, status, sentence, figures)


def _missed(matrix: Affine, source: Floats, target: Floats) -> Floats:
    """Distance of each landmark to where the matrix puts it, mm."""
    return np.asarray(np.linalg.norm(apply_affine(matrix, source) - target, axis=1), np.float64)
