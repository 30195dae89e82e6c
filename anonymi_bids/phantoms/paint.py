"""Paint tissue labels as T1w, T2w, FLAIR, PD or CT.

Signals are plausible relative values (white matter near 110 in T1w), not physics; CT is in
Hounsfield units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

from anonymi_bids.core.grid import Affine, voxel_sizes

Volume = npt.NDArray[np.float32]

AIR, WHITE, GREY, CSF, BONE, MUSCLE, VITREOUS, CAVITY, SKIN, BRAIN = range(10)
MARROW, FAT, LENS, COAT = range(10, 14)
"""Tissues 0–9 are the label heads' scheme (5 is soft tissue there); 10–13 are split from them."""

_SIGNALS: dict[str, tuple[float, ...]] = {
    # air, white, grey, csf, bone, muscle, vitreous, cavity, skin, brain, marrow, fat, lens, coat
    "T1w": (0, 110, 78, 24, 10, 55, 22, 0, 74, 94, 62, 118, 60, 58),
    "T2w": (0, 62, 86, 185, 8, 32, 180, 0, 56, 76, 66, 112, 30, 36),
    "FLAIR": (0, 72, 96, 13, 8, 42, 14, 0, 54, 84, 54, 92, 40, 44),
    "PD": (0, 88, 106, 112, 14, 78, 112, 0, 82, 97, 82, 118, 72, 74),
    "CT": (-1000, 28, 38, 8, 1050, 55, 10, -990, 45, 33, 480, -95, 70, 45),
}

CONTRASTS = tuple(_SIGNALS)
"""Contrasts that can be painted; ``PDw`` and ``ct`` are understood too."""

_SIGMA = {"T1w": 2.2, "T2w": 2.4, "FLAIR": 2.2, "PD": 2.2, "CT": 14.0}


def contrast_name(contrast: str) -> str:
    """Return the name in `CONTRASTS` that a BIDS suffix or another spelling means.

    Raises
    ------
    ValueError
        If the contrast cannot be painted.
    """
    name = {"PDW": "PD", "CT": "CT", "T1W": "T1w", "T2W": "T2w"}.get(
        contrast.upper(), contrast.upper()
    )
    if name not in _SIGNALS:
        raise ValueError(
            f"The contrast {contrast!r} cannot be painted; choose one of {', '.join(CONTRASTS)}."
        )
    return name


def signals(contrast: str) -> Volume:
    """Signal of each tissue, (14,) float32, by tissue number."""
    return np.array(_SIGNALS[contrast_name(contrast)], dtype=np.float32)


def depth_below(share: Volume, affine: Affine, *, sigma_mm: float = 2.5) -> Volume:
    """Depth below a surface, from the blurred share of each voxel that lies inside it.

    Exact under a plane (the blurred edge is the normal distribution's integral), smooth elsewhere,
    and about ten times as fast as a distance transform. Ends at about 2.4 · `sigma_mm`.

    Parameters
    ----------
    share : (I, J, K) float32 ndarray
        0 outside, 1 inside, between where the surface cuts a voxel.
    affine : (4, 4) ndarray
    sigma_mm : float

    Returns
    -------
    (I, J, K) float32 ndarray
        mm; negative outside.
    """
    sizes = voxel_sizes(affine)
    blurred = ndimage.gaussian_filter(
        share.astype(np.float32, copy=False), sigma_mm / sizes, truncate=3.0, mode="nearest"
    )
    return _depth_table(sigma_mm)[np.clip(blurred * 2048, 0, 2048).astype(np.int16)]


def _depth_table(sigma_mm: float) -> Volume:
    shares = np.clip(np.arange(2049) / 2048, 0.008, 0.992)
    return (sigma_mm * special.ndtri(shares)).astype(np.float32)


def smooth_noise(
    shape: tuple[int, ...], affine: Affine, scale_mm: float, rng: np.random.Generator
) -> Volume:
    """Draw a smooth random field of mean 0 and standard deviation about 1.

    Parameters
    ----------
    shape : (3,) tuple of int
    affine : (4, 4) ndarray
    scale_mm : float
        Distance over which the field changes.
    rng : numpy Generator
    """
    steps = np.maximum(1.0, scale_mm / voxel_sizes(affine))
    counts = [int(np.ceil(n / step)) + 2 for n, step in zip(shape, steps, strict=True)]
    field = rng.standard_normal(counts, dtype=np.float32)
    for axis, (n, step) in enumerate(zip(shape, steps, strict=True)):
        field = upsample(field, axis, np.arange(n, dtype=np.float32) / np.float32(step))
    return field * np.float32(1.5)


def upsample(coarse: Volume, axis: int, positions: Volume) -> Volume:
    """Interpolate linearly along one axis at fractional positions (clipped to the array)."""
    below = np.clip(positions.astype(np.intp), 0, max(0, coarse.shape[axis] - 2))
    above = np.minimum(below + 1, coarse.shape[axis] - 1)
    weight_shape = [1] * coarse.ndim
    weight_shape[axis] = -1
    weight = np.clip(positions - below, 0, 1).astype(np.float32).reshape(weight_shape)
    low = np.take(coarse, below, axis=axis)
    high = np.take(coarse, above, axis=axis)
    high -= low
    high *= weight
    high += low
    return high


def split_tissues(
    labels: npt.NDArray[np.integer], affine: Affine, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Split soft tissue into skin, fat and muscle, and bone into compact bone and marrow.

    Parameters
    ----------
    labels : (I, J, K) int ndarray
        Label heads' scheme 0–9.
    affine : (4, 4) ndarray
    rng : numpy Generator
        Draws thickness of the fat and its septa.

    Returns
    -------
    (I, J, K) uint8 ndarray
        Tissues 0–13.
    """
    tissues = labels.astype(np.uint8)
    soft = (labels == MUSCLE) | (labels == SKIN)
    depth = depth_below((labels > 0).astype(np.float32), affine)
    thickness = np.exp(0.3 * smooth_noise(labels.shape, affine, 40.0, rng))
    septa = smooth_noise(labels.shape, affine, 5.0, rng)
    tissues[soft] = MUSCLE
    tissues[soft & ((depth < 1.8 + 3.0 * thickness) | (septa > 1.1))] = FAT
    tissues[soft & (depth < 1.8)] = SKIN
    bone = labels == BONE
    if voxel_sizes(affine).max() < 2.5:
        tissues[bone & (depth_below(bone.astype(np.float32), affine, sigma_mm=1.5) > 2.0)] = MARROW
    return tissues


def add_noise(
    signal: Volume, contrast: str, rng: np.random.Generator, *, sigma: float | None = None
) -> Volume:
    """Add Rician noise (CT: Gaussian noise, not below -1024).

    Parameters
    ----------
    signal : (I, J, K) float32 ndarray
    contrast : str
    rng : numpy Generator
    sigma : float, optional
        Standard deviation in the units of `signals`.
    """
    name = contrast_name(contrast)
    sigma32 = np.float32(_SIGMA[name] if sigma is None else sigma)
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    real *= sigma32
    real += signal
    if name == "CT":
        return np.maximum(real, np.float32(-1024))
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary *= sigma32
    return np.hypot(real, imaginary)


def paint_labels(
    labels: npt.NDArray[np.integer],
    contrast: str,
    rng: np.random.Generator,
    affine: Affine,
) -> Volume:
    """Paint a label head as a scan: tissues, partial volume, noise.

    Parameters
    ----------
    labels : (I, J, K) int ndarray
        Label heads' scheme: 0 air, 1 white, 2 grey, 3 CSF, 4 bone, 5 soft tissue, 6 eyes, 7 air
        cavity, 8 skin, 9 brain not split.
    contrast : str
        One of `CONTRASTS`.
    rng : numpy Generator
    affine : (4, 4) ndarray
        Voxel → mm.

    Returns
    -------
    (I, J, K) float32 ndarray
        White matter of T1w near 110; CT in Hounsfield units.
    """
    tissues = split_tissues(labels, affine, rng)
    painted = signals(contrast)[tissues]
    painted = ndimage.gaussian_filter(painted, 0.5, truncate=3.0, mode="nearest")
    return add_noise(painted, contrast, rng)
