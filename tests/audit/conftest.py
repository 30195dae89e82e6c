"""Small heads of nobody: a smooth face and a brain that belong to a number."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.model import Image

SPACING = 3.0
SHAPE = (64, 78, 84)
AFFINE = np.diag([SPACING, SPACING, SPACING, 1.0])
AFFINE[:3, 3] = -96, -115, -130
BRAIN_CENTRE, BRAIN_AXES = np.array([0.0, -5.0, 45.0]), np.array([62.0, 78.0, 55.0])


def inside_brain(points: np.ndarray) -> np.ndarray:
    return (((points - BRAIN_CENTRE) / BRAIN_AXES) ** 2).sum(axis=-1) < 1


def head_height(points: np.ndarray, bumps: np.ndarray | None) -> np.ndarray:
    """Positive inside the head, about in mm."""
    x, y, z = np.moveaxis(points, -1, 0)
    vault = 10 - 75 * (
        np.sqrt((((points - BRAIN_CENTRE) / (BRAIN_AXES + 10)) ** 2).sum(axis=-1)) - 1
    )
    front = 70 + 14 * np.exp(-(x**2 + (z + 25) ** 2) / 400)
    if bumps is not None:
        for height, u, v, width in bumps:
            front = front + height * np.exp(-((x - u) ** 2 + (z - v) ** 2) / (2 * width**2))
    face = np.minimum(front - 0.012 * x**2 - y, np.minimum(60 - np.abs(x), z + 75))
    return np.maximum(vault, np.where(z < 20, face, -50) * (y > -40) + -50 * (y <= -40))


def person(identity: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([identity, 1])
    bumps = np.column_stack(
        [
            rng.normal(0, 4, 14),
            rng.uniform(-50, 50, 14),
            rng.uniform(-70, 15, 14),
            rng.uniform(8, 16, 14),
        ]
    )
    shared = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 2)
    own = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5)
    return bumps, shared / shared.std() + own / own.std()


def scan(identity: int, visit: int, *, face: bool = True) -> tuple[Image, np.ndarray]:
    """Image of a visit, and atlas_to_image."""
    rng = np.random.default_rng([identity, visit, 2])
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-6, 6, 3), degrees=True).as_matrix()
    pose[:3, 3] = rng.uniform(-5, 5, 3)
    bumps, texture = person(identity)
    points = apply_affine(np.linalg.inv(pose) @ AFFINE, np.moveaxis(np.indices(SHAPE), 0, -1))
    height = head_height(points, bumps)
    if not face:
        height = np.where((points[..., 1] > 45) & (points[..., 2] < 8), -50, height)
    share = np.clip(height / SPACING + 0.5, 0, 1)
    voxels = apply_affine(np.linalg.inv(AFFINE), points)
    brain = 90 + 12 * ndimage.map_coordinates(
        texture, np.moveaxis(voxels, -1, 0), order=1, mode="nearest"
    )
    signal = share * np.where(inside_brain(points), brain, 60)
    noisy = np.hypot(signal + rng.normal(0, 2, SHAPE), rng.normal(0, 2, SHAPE))
    return Image(noisy.astype(np.float32), AFFINE.copy()), pose


@pytest.fixture(scope="session")
def atlas() -> Any:
    points = apply_affine(AFFINE, np.moveaxis(np.indices(SHAPE), 0, -1))
    return SimpleNamespace(
        brain=Image(inside_brain(points), AFFINE),
        head=Image(head_height(points, None) > 0, AFFINE),
        face=Image((points[..., 1] > 0) & (points[..., 2] < 15), AFFINE),
        landmarks={
            "chin": np.array([0.0, 65, -70]),
            "brow": np.array([0.0, 75, 12]),
            "vertex": np.array([0.0, -5, 108]),
        },
    )


@pytest.fixture(scope="session")
def visit_of() -> Callable[..., tuple[Image, np.ndarray]]:
    return scan
