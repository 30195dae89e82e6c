"""What a perfect network would say: the atlas itself, seen in a known place."""

from __future__ import annotations

from typing import Any

import numpy as np

from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.head.network import CLASSES, GRID_SHAPE, LANDMARKS, HeadMap
from anonymi_bids.model import Image

CLASS_OF_LABEL = (0, 1, 1, 2, 3, 5, 4, 6, 5)


def perfect_map(
    atlas: Atlas, atlas_to_image: np.ndarray, grid: np.ndarray, image: Image
) -> HeadMap:
    """Give the answer of a network that makes no mistake."""
    labels = resample(
        atlas.labels.data,
        atlas.labels.affine,
        grid,
        GRID_SHAPE,
        order=0,
        source_to_target=atlas_to_image,
    )
    classes = np.array(CLASS_OF_LABEL)[labels.astype(int)]
    shares = np.stack([(classes == n) for n in range(len(CLASSES))]).astype(np.float32)
    regions = np.stack(
        [
            resample(
                part.data & atlas.head.data,
                part.affine,
                grid,
                GRID_SHAPE,
                source_to_target=atlas_to_image,
            )
            for part in (atlas.face, atlas.ear_left, atlas.ear_right)
        ]
    ).astype(np.float32)
    half = tuple(n // 2 for n in GRID_SHAPE)
    coarse_affine = grid @ np.diag([2, 2, 2, 1.0])
    coarse_affine[:3, 3] = apply_affine(grid, (0.5, 0.5, 0.5))
    mm = apply_affine(coarse_affine, np.indices(half).reshape(3, -1).T)
    coordinates = apply_affine(np.linalg.inv(atlas_to_image), mm).T.reshape(3, *half)
    voxels = apply_affine(
        np.linalg.inv(image.affine), apply_affine(grid, np.indices(GRID_SHAPE).reshape(3, -1).T)
    )
    inside = ((voxels > -0.5) & (voxels < np.array(image.data.shape) - 0.5)).all(axis=1)
    return HeadMap(
        grid,
        shares,
        regions,
        inside.reshape(GRID_SHAPE),
        coarse_affine,
        coordinates.astype(np.float32),
        {name: apply_affine(atlas_to_image, atlas.landmarks[name]) for name in LANDMARKS},
        dict.fromkeys(LANDMARKS, 1.0),
    )


def scan_of(atlas: Atlas, atlas_to_image: np.ndarray) -> Image:
    """Paint the atlas on a grid of 2 mm at this place."""
    shape = (120, 150, 140)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    middle = apply_affine(atlas_to_image, (0, 8, 20))
    affine[:3, 3] = middle - (np.array(shape) - 1)
    data = resample(
        atlas.painted.data,
        atlas.painted.affine,
        affine,
        shape,
        source_to_target=atlas_to_image,
    )
    noise = np.random.default_rng(0).random(shape)
    return Image((data + noise).astype(np.float32), affine)


def looker(atlas: Atlas, atlas_to_image: np.ndarray, **spoil: Any) -> Any:
    """Stand in for `network.look`, with an answer that may be spoilt."""

    def look(image: Image, model: Any, grid: np.ndarray, *, mirrored: bool = False) -> HeadMap:
        place = atlas_to_image
        if mirrored and "mirror_shift" in spoil:
            place = atlas_to_image.copy()
            place[:3, 3] += spoil["mirror_shift"]
        seen = perfect_map(atlas, place, grid, image)
        if "only_upright" in spoil and not np.allclose(grid[:3, :3] / 2, spoil["only_upright"]):
            seen.coordinates[:] = 0
        if "change" in spoil:
            seen = spoil["change"](seen)
        return seen

    return look
