"""The scanner's part: grid, slices, eyeballs on the grid, shading, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, apply_affine, voxel_sizes
from anonymi_bids.phantoms.paint import (
    COAT,
    LENS,
    VITREOUS,
    Volume,
    add_noise,
    signals,
    upsample,
)
from anonymi_bids.phantoms.person import GLOBE_MM

Floats = npt.NDArray[np.float64]

ORIENTATIONS = ("RAS", "LAS", "LPS", "PIR", "ASR", "PSR", "LIP")
"""Orientation codes that visits draw from: sagittal, axial and coronal, both handednesses."""

_FINEST_SLICE_MM = 1.8


@dataclass(frozen=True, slots=True)
class Grid:
    """Grid of a scan.

    Attributes
    ----------
    affine : (4, 4) float64 ndarray
        Voxel → scanner mm.
    shape : (3,) tuple of int
    parts : int
        Painted slices per slice, odd; thick slices are averages.
    """

    affine: Affine
    shape: tuple[int, int, int]
    parts: int

    def fine(self) -> tuple[Affine, tuple[int, int, int]]:
        """Grid on which the scan is painted: slices split into `parts`."""
        split = np.diag([1.0, 1.0, 1.0 / self.parts, 1.0])
        split[2, 3] = (1 / self.parts - 1) / 2
        return self.affine @ split, (self.shape[0], self.shape[1], self.shape[2] * self.parts)


def axes_of(code: str) -> Floats:
    """Directions of the array's axes for an orientation code, (3, 3), one per column.

    Raises
    ------
    ValueError
        If the code does not name each of the three axes once.
    """
    table = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    if len(code) != 3 or sorted(table.get(c, (-1, 0))[0] for c in code) != [0, 1, 2]:
        raise ValueError(f"{code!r} is no orientation code; three letters such as LAS are needed.")
    axes = np.zeros((3, 3))
    for column, letter in enumerate(code):
        row, sign = table[letter]
        axes[row, column] = sign
    return axes


def choose_grid(
    skin: Floats,
    *,
    chin_mm: Floats,
    code: str,
    spacing_mm: float | tuple[float, float, float],
    oblique_deg: float,
    air_mm: float,
    below_chin_mm: float,
    rng: np.random.Generator,
) -> Grid:
    """Lay a grid around the head, from above the crown to below the chin.

    Parameters
    ----------
    skin : (n, 3) ndarray
        Skin in scanner mm.
    chin_mm : (3,) ndarray
    code : str
        Orientation code of the array's axes.
    spacing_mm : float or (3,) tuple of float
        Along the array's axes.
    oblique_deg, air_mm, below_chin_mm : float
        See `anonymi_bids.phantoms.visit.Protocol`.
    rng : numpy Generator
        Draws tilt and margins.
    """
    sizes = np.ones(3) * np.asarray(spacing_mm, dtype=np.float64)
    tilt = np.eye(3)
    for axis in range(3):
        angle = np.radians(rng.uniform(-oblique_deg, oblique_deg))
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        tilt = turn @ tilt
    margins = air_mm + rng.uniform(0, 8, size=(2, 3))
    floor = chin_mm[2] - below_chin_mm - rng.uniform(0, 10)
    seen = skin[skin[:, 2] > floor] @ tilt
    low, high = seen.min(axis=0) - margins[0], seen.max(axis=0) + margins[1]
    low[2] = max(low[2], (np.append(chin_mm[:2], floor) @ tilt)[2])
    axes = tilt @ axes_of(code)
    order = np.abs(axes_of(code)).argmax(axis=0)
    counts = np.maximum(2, np.ceil((high - low)[order] / sizes)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * sizes
    affine[:3, 3] = tilt @ ((low + high) / 2) - affine[:3, :3] @ ((counts - 1) / 2)
    parts = max(1, int(np.ceil(sizes[2] / _FINEST_SLICE_MM)))
    parts += 1 - parts % 2
    return Grid(affine, (int(counts[0]), int(counts[1]), int(counts[2])), parts)


def merge_slices(
    signal: Volume, labels: npt.NDArray[np.uint8], parts: int
) -> tuple[Volume, npt.NDArray[np.uint8]]:
    """Average `parts` neighbouring slices into one; labels come from the middle one."""
    if parts == 1:
        return signal, labels
    i, j, k = signal.shape
    merged = signal.reshape(i, j, k // parts, parts).mean(axis=3, dtype=np.float32)
    return merged, np.ascontiguousarray(labels[:, :, parts // 2 :: parts])


def add_globes(
    signal: Volume,
    labels: npt.NDArray[np.uint8],
    share: Volume,
    affine: Affine,
    eyes: Floats,
    pose: Affine,
    contrast: str,
) -> None:
    """Paint both eyeballs, in place: coat, vitreous body, lens.

    Parameters
    ----------
    signal, labels, share : (I, J, K) ndarray
        As from `anonymi_bids.phantoms.inside.paint_inside`.
    affine : (4, 4) ndarray
        Voxel → image mm.
    eyes : (2, 3) ndarray
        Centres, image mm.
    pose : (4, 4) ndarray
        Person's mm → image mm; the eyes look along the person's y.
    contrast : str
    """
    table = signals(contrast)
    soft_mm = float(voxel_sizes(affine).mean())
    gaze = pose[:3, :3] @ (0.0, 1.0, 0.0)
    to_voxel = np.asarray(np.linalg.inv(affine), dtype=np.float64)
    for centre in eyes:
        corners = centre + (GLOBE_MM + 2) * np.array(np.meshgrid(*[(-1, 1)] * 3)).reshape(3, -1).T
        voxels = apply_affine(to_voxel, corners)
        low = np.maximum(np.floor(voxels.min(axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(voxels.max(axis=0)).astype(int) + 1, signal.shape)
        if np.any(high <= low):
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
        away = apply_affine(affine, np.stack(np.meshgrid(*ranges, indexing="ij"), -1)) - centre
        radius = np.linalg.norm(away, axis=-1)
        ahead = away @ gaze
        aside = np.sqrt(np.maximum(radius**2 - ahead**2, 0))
        in_globe = np.clip((GLOBE_MM - radius) / soft_mm + 0.5, 0, 1)
        in_body = np.clip((GLOBE_MM - 1.1 - radius) / soft_mm + 0.5, 0, 1)
        oval = np.sqrt(((ahead - 6.8) / 2.1) ** 2 + (aside / 4.7) ** 2)
        in_lens = np.clip((1 - oval) * 2.1 / soft_mm + 0.5, 0, 1)
        inner = table[VITREOUS] + in_lens * (table[LENS] - table[VITREOUS])
        value = table[COAT] + in_body * (inner - table[COAT])
        weight = in_globe * share[box]
        signal[box] += (weight * (value - signal[box])).astype(np.float32)
        labels[box][(weight > 0.5)] = 6


def finish_scan(
    signal: Volume,
    affine: Affine,
    contrast: str,
    rng: np.random.Generator,
    *,
    bias: float,
    noise: float | None,
) -> Volume:
    """Apply coil shading, noise and gain (CT: noise alone)."""
    if contrast == "CT":
        return add_noise(signal, contrast, rng, sigma=noise)
    sigma = float(rng.uniform(1.5, 3.2)) if noise is None else noise
    shaded = signal * coil_shading(signal.shape, affine, bias, rng) if bias > 0 else signal
    gain = np.float32(rng.uniform(2.0, 6.0))
    return add_noise(shaded, contrast, rng, sigma=sigma) * gain


def coil_shading(
    shape: tuple[int, ...], affine: Affine, strength: float, rng: np.random.Generator
) -> Volume:
    """Smooth positive shading: a random polynomial of degree 2 and a fall-off to the neck."""
    sizes = voxel_sizes(affine)
    steps = np.maximum(1.0, 8.0 / sizes)
    counts = [int(np.ceil((n - 1) / step)) + 1 for n, step in zip(shape, steps, strict=True)]
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in counts], indexing="ij"), -1) * steps
    centre = apply_affine(affine, (np.asarray(shape) - 1) / 2)
    x, y, z = np.moveaxis((apply_affine(affine, grid) - centre) / 100, -1, 0)
    terms = (x, y, z, x * x, y * y, z * z, x * y, y * z, x * z)
    exponent = np.zeros_like(x)
    for term, weight in zip(terms, rng.normal(0, strength / 2, size=len(terms)), strict=True):
        exponent += weight * term
    fall = 0.35 + 0.65 / (1 + np.exp(-(z + 0.95) / 0.18))
    field = (np.exp(exponent) * fall).astype(np.float32)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        field = upsample(field, axis, (np.arange(n) / step).astype(np.float32))
    return field
