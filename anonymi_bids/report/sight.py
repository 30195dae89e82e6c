"""What a person looks at to judge one image: slices, renders, and a small volume to turn.

Everything is drawn in an upright frame: the head's own where the head was found, else the
scanner's axes round the middle of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine, centre_mm, resample
from anonymi_bids.core.mask import is_ct
from anonymi_bids.core.register import inverse
from anonymi_bids.core.render import picture_axes, shade, view_direction
from anonymi_bids.model import Image

Affine = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

VOLUME_MM = 1.6
"""Voxels of the volume to turn: nose, lips and lids are seen, and a head packs to 1 to 2 MB."""

SLICE_MM = 1.0
RENDER_MM = 1.6
WIDE_MM = (-130.0, 130.0)
DEEP_MM = (-20.0, 150.0)
"""Renders: how wide a head may be, and between which depths its surface is sought."""

HEAD_BOX = ((-104.0, 104.0), (-130.0, 140.0), (-118.0, 146.0))
"""Head frame, mm: what is drawn of a head whose place is known."""

FREE_BOX_MM = 264.0
"""Edge of what is drawn of an image whose head was not found, round its middle."""

VIEWS = {"from the front": 0.0, "three quarters": 45.0, "from the side": 90.0}
"""Renders: degrees round the head."""

SLICES: dict[str, tuple[int, str]] = {
    "side, midline": (0, "nasion"),
    "side, through an eye": (0, "eye_left"),
    "front, through the eyes": (1, "eye_left"),
    "from below, through the nose": (2, "nose"),
    "front, through the brain": (1, "brain"),
    "from below, through the brain": (2, "brain"),
}
"""Planes: axis they are perpendicular to, and the point they go through."""

FREE_SLICES = {"side": 0, "front": 1, "from below": 2}
"""Planes through the middle of an image whose head was not found."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where pictures are drawn.

    Attributes
    ----------
    to_image : (4, 4) ndarray
        Upright mm → mm of the image; rigid.
    box : three pairs of float
        From–to along right, forward and up, mm.
    planes : mapping
        Name of a slice → (axis, place along it in mm).
    has_head : bool
        Whether this is the frame of a head that was found.
    """

    to_image: Affine
    box: tuple[tuple[float, float], ...]
    planes: Mapping[str, tuple[int, float]]
    has_head: bool


def frame_of_head(to_image: Affine, landmarks: Mapping[str, Any], brain: npt.ArrayLike) -> Frame:
    """Give the frame of a head whose place is known.

    Parameters
    ----------
    to_image : (4, 4) ndarray
        Head frame → image, rigid.
    landmarks : mapping of str to (3,) array
        Of the atlas, mm.
    brain : (3,) array_like
        Centre of the atlas' brain, mm.
    """
    points = {name: np.asarray(place, dtype=float) for name, place in landmarks.items()}
    points["brain"] = np.asarray(brain, dtype=float)
    points["nose"] = (points["nasion"] + 2 * points["nose_tip"]) / 3
    planes = {name: (axis, float(points[at][axis])) for name, (axis, at) in SLICES.items()}
    return Frame(np.asarray(to_image, dtype=float), HEAD_BOX, planes, True)


def frame_of_image(image: Image) -> Frame:
    """Give a frame along the scanner's axes round the middle of an image."""
    to_image = np.eye(4)
    to_image[:3, 3] = centre_mm(image.data.shape, image.affine)
    half = FREE_BOX_MM / 2
    planes = {name: (axis, 0.0) for name, axis in FREE_SLICES.items()}
    return Frame(to_image, ((-half, half),) * 3, planes, False)


@dataclass(frozen=True, slots=True)
class Window:
    """Grey values that become black and white; the same before and after."""

    low: float
    high: float

    def apply(self, values: npt.NDArray[Any]) -> Picture:
        """Turn values into greys, uint8."""
        scaled = (np.nan_to_num(values) - self.low) * (255 / (self.high - self.low))
        return np.asarray(np.clip(np.round(scaled), 0, 255), dtype=np.uint8)


def window_of(data: npt.NDArray[Any]) -> Window:
    """Choose black and white by the original: air to nearly the brightest, soft tissue for CT."""
    if is_ct(data):
        return Window(-200.0, 300.0)
    values = data[:: max(1, data.shape[0] // 64), ::2, ::2]
    values = values[np.isfinite(values)]
    low, high = (0.0, 1.0) if values.size == 0 else np.percentile(values, (1, 99.7))
    return Window(float(low), float(max(high, low + 1e-6)))


def slice_pictures(image: Image, frame: Frame, window: Window) -> dict[str, Picture]:
    """Cut an image along the frame's planes.

    Returns
    -------
    dict of (rows, columns) uint8 ndarray
        Up, or forward, is up; the head's right is left, as radiologists look at it; in slices
        from the side the face looks to the left.
    """
    data = image.data.astype(np.float32, copy=False)
    return {
        name: window.apply(_cut(data, image.affine, frame, plane, order=1, cval=window.low))
        for name, plane in frame.planes.items()
    }


def slice_outlines(
    mask: npt.NDArray[np.bool_], affine: Affine, frame: Frame
) -> dict[str, npt.NDArray[np.bool_]]:
    """Cut a mask along the frame's planes and keep its border."""
    found = {}
    for name, plane in frame.planes.items():
        inside = _cut(mask.astype(np.uint8), affine, frame, plane, order=0, cval=0.0) > 0
        found[name] = inside & ~ndimage.binary_erosion(inside, border_value=1)
    return found


def _cut(
    data: npt.NDArray[Any],
    affine: Affine,
    frame: Frame,
    plane: tuple[int, float],
    *,
    order: int,
    cval: float,
) -> npt.NDArray[Any]:
    axis, place = plane
    across, up = ((1, 2), (0, 2), (0, 1))[axis]
    columns, rows = (
        np.arange(frame.box[a][0] + SLICE_MM / 2, frame.box[a][1], SLICE_MM) for a in (across, up)
    )
    points = np.zeros((len(rows), len(columns), 3))
    points[..., axis] = place
    points[..., across] = columns[::-1]
    points[..., up] = rows[::-1, None]
    voxels = apply_affine(np.linalg.inv(affine) @ frame.to_image, points)
    return np.asarray(
        ndimage.map_coordinates(
            data, voxels.reshape(-1, 3).T, order=order, mode="constant", cval=cval
        ).reshape(points.shape[:2])
    )


def upright(image: Image, frame: Frame, cval: float) -> Image:
    """Bring an image to a coarse grid along the frame's axes.

    Returns
    -------
    Image
        ``data`` float32, voxels of `VOLUME_MM`; ``affine`` voxel → mm of the frame.
    """
    affine = np.diag([VOLUME_MM, VOLUME_MM, VOLUME_MM, 1.0])
    affine[:3, 3] = [low + VOLUME_MM / 2 for low, _ in frame.box]
    shape = tuple(int((high - low) / VOLUME_MM) for low, high in frame.box)
    data = resample(
        image.data,
        image.affine,
        affine,
        (shape[0], shape[1], shape[2]),
        source_to_target=inverse(frame.to_image),
        cval=cval,
    )
    return Image(np.asarray(data, dtype=np.float32), affine)


def render_pictures(share: npt.NDArray[np.float32], affine: Affine) -> dict[str, Picture]:
    """See a head from outside, from the sides of `VIEWS`.

    Parameters
    ----------
    share : (I, J, K) float32 ndarray
        Share of each voxel inside the head.
    affine : (4, 4) ndarray
        Voxel → upright mm.

    Returns
    -------
    dict of (rows, columns) uint8 ndarray
        The head is turned onto a grid along the line of sight, where the first surface is found
        by counting: some ten times faster than following each ray (`core.render.depth_map`).
    """
    return {name: shade(_depth(share, affine, side), RENDER_MM) for name, side in VIEWS.items()}


def _depth(
    share: npt.NDArray[np.float32], affine: Affine, azimuth: float
) -> npt.NDArray[np.float32]:
    """Distance of the first surface towards the viewer, mm; NaN where none is met."""
    right, up, towards = picture_axes(view_direction(azimuth))
    turned = np.eye(4)
    turned[:3, :3] = RENDER_MM * np.column_stack([right, up, towards])
    turned[:3, 3] = WIDE_MM[0] * right + HEAD_BOX[2][0] * up + DEEP_MM[0] * towards
    spans = (WIDE_MM, HEAD_BOX[2], DEEP_MM)
    across, high, deep = (int((to - start) / RENDER_MM) for start, to in spans)
    field = resample(share, affine, turned, (across, high, deep))[..., ::-1]
    inside = field >= 0.5
    first = inside.argmax(axis=2)[..., None]
    met = np.take_along_axis(inside, first, axis=2)[..., 0]
    # The surface lies between this voxel and the one before it, where the share is 0.5.
    here = np.take_along_axis(field, first, axis=2)[..., 0]
    before = np.take_along_axis(field, np.maximum(first - 1, 0), axis=2)[..., 0]
    part = np.clip((here - 0.5) / np.maximum(here - before, 1e-6), 0, 1)
    depth = DEEP_MM[1] - RENDER_MM * (first[..., 0] - part)
    return np.where(met, depth, np.nan).T[::-1].astype(np.float32)


def packed_volume(image: Image, window: Window, share: npt.NDArray[np.float32]) -> Image:
    """Make the volume a viewer turns: greys as bytes, air round the head as 0.

    Air is cut off because its noise would fill most of the file and hide the head.
    """
    near = ndimage.binary_dilation(share > 0, iterations=2)
    greys = np.maximum(window.apply(image.data), 1)
    return Image(np.where(near, greys & 0xFC, 0).astype(np.uint8), image.affine)
