"""A simulated second visit, for people who came only once.

It moves the head, shifts the grid, and draws new noise and a new bias field. Anatomy and contrast
are the same, which flatters the attack; results that rest on it say so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import apply_affine, centre_mm, resample
from anonymi_bids.core.mask import air_threshold, fill_holes, largest_component
from anonymi_bids.model import Image

MAX_TURN_DEGREES = 5.0
MAX_SHIFT_MM = 5.0
_BIAS = 0.15
_MIN_VOXEL_MM = 1.0


def second_visit(
    image: Image, atlas_to_image: npt.NDArray[np.float64], seed: int
) -> tuple[Image, npt.NDArray[np.float64]]:
    """Scan the same head again, as it were.

    Parameters
    ----------
    image : Image
        3-D.
    atlas_to_image : (4, 4) ndarray
        Where the head lies; the head turns about the atlas' origin.
    seed : int

    Returns
    -------
    second : Image
        float32, on a grid of its own.
    motion : (4, 4) ndarray
        Rigid; mm of the first image → mm of the second. ``motion @ atlas_to_image`` is where the
        head lies in the second.
    """
    rng = np.random.default_rng(seed)
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32), posinf=0, neginf=0)
    motion = _random_motion(apply_affine(atlas_to_image, np.zeros(3)), rng)
    affine, shape = _second_grid(image, motion, rng)
    padding = float(np.percentile(data, 1))
    moved = resample(
        data, image.affine, affine, shape, source_to_target=motion, cval=padding
    ).astype(np.float32)
    head = fill_holes(largest_component(moved > air_threshold(data)))
    air = moved[~head] if (~head).sum() > 100 else np.array([padding], dtype=np.float32)
    moved[~head] = rng.choice(air, size=int((~head).sum()))
    moved = moved * _bias_field(shape, rng)
    spread = float(np.std(air)) or 0.01 * float(np.std(moved))
    first = rng.normal(0, spread, shape)
    if data.min() < 0:
        return Image((moved + first).astype(np.float32), affine), motion
    noisy = np.hypot(moved + first, rng.normal(0, spread, shape))
    return Image(noisy.astype(np.float32), affine), motion


def _random_motion(
    centre: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    from scipy.spatial.transform import Rotation

    turn = rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES, 3)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    shift = rng.uniform(-MAX_SHIFT_MM, MAX_SHIFT_MM, 3)
    motion[:3, 3] = centre - motion[:3, :3] @ centre + shift
    return motion


def _second_grid(
    image: Image, motion: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Grid of the same field of view, moved with the head and by part of a voxel."""
    sizes = np.maximum(image.voxel_sizes, _MIN_VOXEL_MM)
    axes = image.affine[:3, :3] / image.voxel_sizes
    extent = image.voxel_sizes * np.array(image.data.shape)
    counts = [max(2, int(round(length))) for length in extent / sizes]
    affine = np.eye(4)
    affine[:3, :3] = axes * sizes
    centre = apply_affine(motion, centre_mm(image.data.shape, image.affine))
    offset = rng.uniform(-0.5, 0.5, 3)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(counts) - 1) / 2 + offset)
    return affine, (counts[0], counts[1], counts[2])


def _bias_field(shape: tuple[int, int, int], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Field that changes smoothly, about ±15 %."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    weights = rng.uniform(-1, 1, 6)
    terms = (x, y, z, x * y, y * z, x * z)
    field = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    return np.exp(_BIAS / 2 * field).astype(np.float32)
