"""Atlas coordinates, windows and maps on the grid of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, voxel_sizes
from anonymi_bids.core.mask import bounding_box, distance_mm
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Image

Mask = npt.NDArray[np.bool_]
Field = npt.NDArray[np.float32]
Box = tuple[slice, slice, slice]

TILT_DEG = 6.0
"""The atlas looks up by this against the plane through brows and preauricular points."""

ABOVE_NASION_MM = 21.2
"""The window's top: upper edge of the brows, which lies about 20 mm above the nasion."""

BELOW_CHIN_MM = 35.0
BACK_OF_EARS_MM = -75.0
FAR_AWAY_MM = 1e3


def _upright() -> Affine:
    """Atlas mm → mm of the frame in which brows and preauricular points lie level."""
    turn = np.eye(4)
    c, s = np.cos(np.radians(TILT_DEG)), np.sin(np.radians(TILT_DEG))
    turn[1:3, 1:3] = [[c, s], [-s, c]]
    return turn


UPRIGHT = _upright()


class Places:
    """Atlas coordinates and maps on (a part of) the grid of one image."""

    def __init__(
        self, shape: tuple[int, ...], affine: Affine, atlas: Atlas, atlas_to_image: Affine
    ) -> None:
        self.shape = shape
        self.affine = affine
        self.atlas = atlas
        self.atlas_to_image = atlas_to_image
        self.to_atlas = np.linalg.inv(atlas_to_image) @ affine
        self.scale = float(np.linalg.svd(atlas_to_image[:3, :3], compute_uv=False).min())

    def inside(self, box: Box) -> Places:
        """Give the same for a box of the grid."""
        shift = np.eye(4)
        shift[:3, 3] = [part.start for part in box]
        shape = tuple(part.stop - part.start for part in box)
        return Places(shape, self.affine @ shift, self.atlas, self.atlas_to_image)

    def box(self, up_mm: float) -> Box:
        """Box of the grid that holds everything below the window's top and not far behind."""
        step = tuple(max(1, n // 48) for n in self.shape)
        axes = [
            np.unique(np.r_[np.arange(0, n, s), n - 1])
            for n, s in zip(self.shape, step, strict=True)
        ]
        ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        mm = apply_affine(UPRIGHT @ self.to_atlas, ijk)
        hit = (mm[..., 2] < self.top(up_mm) + 6) & (mm[..., 1] > BACK_OF_EARS_MM)
        box = []
        for axis, (places, size, s) in enumerate(zip(axes, self.shape, step, strict=True)):
            others = tuple(a for a in range(3) if a != axis)
            line = np.flatnonzero(hit.any(axis=others))
            low, high = (places[line[0]] - s, places[line[-1]] + s) if line.size else (0, 0)
            box.append(slice(max(0, int(low)), min(size, int(high) + 1)))
        return box[0], box[1], box[2]

    def coordinate(self, axis: int) -> Field:
        """Forward (1) or up (2) of each voxel in the upright frame, mm."""
        row = (UPRIGHT @ self.to_atlas)[axis]
        i, j, k = (
            (row[n] * np.arange(size)).astype(np.float32) for n, size in enumerate(self.shape)
        )
        return i[:, None, None] + j[None, :, None] + (k + np.float32(row[3]))[None, None, :]

    def bring(self, data: npt.NDArray[Any], affine: Affine, *, mode: str, cval: float) -> Field:
        """Interpolate a map of the atlas linearly on the image's grid."""
        matrix = np.linalg.inv(affine) @ self.to_atlas
        return ndimage.affine_transform(
            data.astype(np.float32, copy=False),
            matrix[:3, :3],
            offset=matrix[:3, 3],
            output_shape=self.shape,
            order=1,
            mode=mode,
            cval=cval,
        )

    def distance_to(self, region: Mask, affine: Affine, reach_mm: float) -> Field:
        """Distance to a region of the atlas in mm of the image, 0 inside, large beyond reach."""
        thin, thin_affine = _thinned(region, affine)
        distance = distance_mm(~thin, voxel_sizes(thin_affine))
        found = np.full(self.shape, FAR_AWAY_MM, np.float32)
        box = self._around(region, affine, reach_mm / self.scale)
        part = self.inside(box)
        if min(part.shape) > 0:
            near = part.bring(distance, thin_affine, mode="constant", cval=FAR_AWAY_MM)
            found[box] = near * self.scale
        return found

    def _around(self, region: Mask, affine: Affine, margin_mm: float) -> Box:
        """Box of the grid that holds a region of the atlas and what lies near it."""
        inner = bounding_box(region, 0)
        sides = [[part.start - 0.5, part.stop - 0.5] for part in inner]
        corners = apply_affine(affine, np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 3))
        low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
        ends = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
        ijk = apply_affine(np.asarray(np.linalg.inv(self.to_atlas), np.float64), ends)
        first = np.maximum(0, np.floor(ijk.min(axis=0))).astype(int)
        last = np.minimum(self.shape, np.ceil(ijk.max(axis=0)) + 1).astype(int)
        i, j, k = (slice(int(a), int(max(a, b))) for a, b in zip(first, last, strict=True))
        return i, j, k

    def depth_in(self, head: Image) -> Field:
        """Depth below the atlas' skin in mm; the neck goes on below the atlas."""
        thin, affine = _thinned(head.data, head.affine)
        depth = distance_mm(thin, voxel_sizes(affine))
        return self.bring(depth, affine, mode="nearest", cval=0.0) * self.scale

    def bring_far(self, distance: Image) -> Field:
        """Interpolate a signed distance map; mm of the image, large far away."""
        far = self.bring(distance.data, distance.affine, mode="constant", cval=FAR_AWAY_MM)
        return far * self.scale

    def top(self, up_mm: float) -> float:
        """Height of the window's top in the upright frame, mm."""
        return float(self.landmark("nasion")[2]) + ABOVE_NASION_MM + up_mm

    def landmark(self, name: str) -> npt.NDArray[np.float64]:
        """Landmark of the atlas in the upright frame, mm."""
        return apply_affine(UPRIGHT, self.atlas.landmarks[name])

    def window(self, up_mm: float, *, back_mm: float) -> Mask:
        """Brow to below the chin, in front of the preauricular points, air included."""
        bottom = float(self.landmark("chin")[2]) - BELOW_CHIN_MM
        z = self.coordinate(2)
        return (z < self.top(up_mm)) & (z > bottom) & (self.coordinate(1) > back_mm)

    def above_chin(self) -> Mask:
        """Voxels not lower than the chin."""
        return self.coordinate(2) > float(self.landmark("chin")[2])


def _thinned(mask: Mask, affine: Affine) -> tuple[Mask, Affine]:
    """Every second voxel."""
    return mask[::2, ::2, ::2], affine @ np.diag([2.0, 2.0, 2.0, 1.0])
