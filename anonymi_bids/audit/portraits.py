"""Portraits of a head for a recogniser of faces: camera × light × threshold of the skin.

The skin is drawn grey and matt, without hair, as an attacker renders it. Where eyes, nose and
mouth should be comes from the atlas: an attacker can see where a head is, whatever was done to its
face.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.faces import head_frame, skin_share
from anonymi_bids.audit.modelheads import model_to_atlas
from anonymi_bids.audit.recogniser import Picture, Points, Recogniser
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.render import depth_map, picture_axes, shade, view_direction
from anonymi_bids.model import Image

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

Affine = npt.NDArray[np.float64]

AZIMUTHS = (-15.0, 0.0, 15.0)
ELEVATIONS = (-10.0, 0.0, 10.0)
LIGHTS = ((0.0, 0.5, 1.0), (-0.7, 0.4, 1.0), (0.7, 0.4, 1.0))
"""From where: viewer's right, up, towards the viewer."""

THRESHOLDS = (1.0, 0.7, 1.7)
"""Of the skin's surface, against the one between air and skin."""

PIXEL_MM = 1.0
_EXTENT = ((-85.0, 85.0), (-115.0, 85.0), (-10.0, 160.0))
_STEP_MM = 4.0

N_FULL = len(AZIMUTHS) * len(ELEVATIONS) * len(LIGHTS) * len(THRESHOLDS)
N_QUICK = len(AZIMUTHS) * len(THRESHOLDS)
"""Number of portraits of ``--audit full`` and ``quick``."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One picture of a head.

    Attributes
    ----------
    view : int
        The same number is the same camera, light and threshold.
    picture : (rows, columns) uint8 ndarray
    landmarks : (68, 2) float64 ndarray
        Column and row where they should be, pixels.
    front : bool
        Seen straight from in front, in the first light: what a detector is shown.
    """

    view: int
    picture: Picture
    landmarks: Points
    front: bool


@functools.cache
def _atlas_landmarks() -> Points:
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.phantoms.library import load_model

    model = load_model()
    points = model.mean[model.landmarks68].astype(np.float64)
    return apply_affine(model_to_atlas(load_atlas()), points)


def landmarks_in_head(atlas: Atlas, atlas_to_image: Affine) -> Points:
    """Give where the 68 landmarks of a face should be, (68, 3) mm of the audit's head frame.

    The shape model's mean face, laid on the atlas by root of the nose, ears and chin, and brought
    to the head by its affine, so that sizes are the person's.
    """
    to_head = np.linalg.inv(head_frame(atlas, atlas_to_image)) @ atlas_to_image
    return apply_affine(to_head, _atlas_landmarks())


def portraits(
    image: Image, atlas: Atlas, atlas_to_image: Affine, *, full: bool
) -> Iterator[Portrait]:
    """Draw a head.

    Parameters
    ----------
    image : Image
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
    full : bool
        All `N_FULL` portraits, or `N_QUICK`: eyes' level and one light.
    """
    share = skin_share(image)
    head_to_image = head_frame(atlas, atlas_to_image)
    landmarks = landmarks_in_head(atlas, atlas_to_image)
    number = 0
    for threshold, azimuth, elevation in itertools.product(THRESHOLDS, AZIMUTHS, ELEVATIONS):
        if full or elevation == 0:
            direction = view_direction(azimuth, elevation)
            depth = depth_map(
                share / np.float32(threshold),
                image.affine,
                head_to_image,
                direction,
                PIXEL_MM,
                _EXTENT,
                step_mm=_STEP_MM,
            )
            points = to_pixels(landmarks, direction)
            for place, light in enumerate(LIGHTS if full else LIGHTS[:1]):
                picture = shade(depth, PIXEL_MM, light=light)
                front = azimuth == elevation == place == 0
                yield Portrait(number + place, picture, points, front)
        number += len(LIGHTS)


def to_pixels(points: npt.NDArray[np.float64], direction: npt.ArrayLike) -> Points:
    """Column and row of points of the head frame in a portrait, (n, 2)."""
    right, up, _ = picture_axes(direction)
    (left, _), (_, high), _ = _EXTENT
    return np.stack(
        [(points @ right - left) / PIXEL_MM - 0.5, (high - points @ up) / PIXEL_MM - 0.5], axis=1
    )


def face_features(
    image: Image,
    atlas: Atlas,
    atlas_to_image: Affine,
    air: npt.NDArray[np.floating],
    recogniser: Recogniser,
    *,
    full: bool,
) -> dict[str, npt.NDArray[np.generic]]:
    """Show a head to a recogniser.

    Parameters
    ----------
    image : Image
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
    air : (m,) ndarray
        Signal of the air round the head: the control is shown nothing else.
    recogniser : Recogniser
    full : bool

    Returns
    -------
    dict of ndarray
        ``embedding`` (views, d) float16, at the landmarks of the atlas; ``view`` (views,) int16;
        ``embedding_air`` (1, d) float16; ``detector`` (1,) float16, the surest score of a
        detector on the portraits from in front, NaN if it did not fire; ``recogniser`` uint8,
        its name. No picture is kept.
    """
    rows, views, scores = [], [], [np.nan]
    seen = None
    for portrait in portraits(image, atlas, atlas_to_image, full=full):
        rows.append(recogniser.embed(portrait.picture, portrait.landmarks))
        views.append(portrait.view)
        if portrait.front:
            found = recogniser.find(portrait.picture)
            scores.append(np.nan if found is None else found.score)
            seen = portrait
    if seen is None:
        raise ValueError("No portrait was drawn from in front.")
    nothing = recogniser.embed(air_picture(air, seen.picture.shape), seen.landmarks)
    fired = np.array(scores)
    best = np.nanmax(fired) if np.isfinite(fired).any() else np.nan
    return {
        "embedding": np.stack(rows).astype(np.float16),
        "view": np.array(views, dtype=np.int16),
        "embedding_air": nothing[None].astype(np.float16),
        "detector": np.array([best], dtype=np.float16),
        "recogniser": np.frombuffer(recogniser.name.encode(), dtype=np.uint8),
    }


def air_picture(air: npt.NDArray[np.floating], shape: tuple[int, ...]) -> Picture:
    """Fill a picture with the signal of the air, patch by patch, (rows, columns) uint8."""
    values = np.nan_to_num(np.asarray(air, dtype=np.float32))
    low, high = np.percentile(values, [1, 99])
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    patch = int(np.ceil(np.sqrt(shape[0] * shape[1] / len(grey))))
    across = int(np.ceil(shape[1] / patch))
    down = int(np.ceil(shape[0] / patch))
    tiles = np.resize(grey, (down, across))
    wide = np.repeat(np.repeat(tiles, patch, axis=0), patch, axis=1)
    return np.round(255 * wide[: shape[0], : shape[1]]).astype(np.uint8)
