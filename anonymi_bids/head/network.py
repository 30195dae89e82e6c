"""The head model at work: one small network that tells what lies where on a scan.

The network (`anonymi_bids.head.training.net`) looks at a grid of 2 mm voxels, upright in the
scanner's axes and centred on the head; what it says is brought back to mm of the image. Its
weights ship in the package; onnxruntime runs them on one thread, so that the same image gives the
same bytes on any machine of one kind.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, voxel_sizes
from anonymi_bids.core.mask import is_ct
from anonymi_bids.core.register import inverse
from anonymi_bids.io.packaged import packaged_path
from anonymi_bids.model import Image

Volume = npt.NDArray[np.float32]

GRID_SHAPE = (112, 128, 128)
"""Voxels of the network's grid along x, y, z."""
SPACING_MM = 2.0
CENTRE_ATLAS_MM = (0.0, 8.0, 20.0)
"""Middle of the head in atlas mm; the grid is centred there."""
CT_HU = (-300.0, -100.0, 0.0, 40.0, 80.0, 150.0, 300.0, 3000.0)
CT_SHOWN = (0.0, 0.35, 0.7, 0.8, 0.85, 0.6, 0.1, 0.05)
"""CT is shown to the network with dark bone, as MR shows it: Hounsfield units and what stands for
them. Shown with bright bone, as one contrast among many, it lost bone against skin and fat."""
PERCENTILES = (2.0, 99.5)
BRIGHTEST = 1.5
HUNDRED_MM = 100.0
MODEL_FILE = "head_model.onnx"

CLASSES = ("air", "brain", "csf", "bone", "eyes", "soft", "cavity")
"""Tissue classes of the head model; skin belongs to ``soft``."""
REGIONS = ("face", "ear_left", "ear_right")
LANDMARKS = ("nasion", "lpa", "rpa", "eye_left", "eye_right", "nose_tip", "chin")

TISSUE_SHARE = 0.3
"""From this probability on a voxel counts as a tissue: the best Dice lies at half the Dice that
can be reached (Lipton et al. 2014, doi:10.1007/978-3-662-44851-9_15), not at one half."""
PEAK_VOXELS = 3
"""A landmark is the centre of its map's mass within this many coarse voxels of the peak."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadMap:
    """What the network sees in one image.

    Attributes
    ----------
    affine : (4, 4) float64 ndarray
        Voxel of the network's grid → mm of the image.
    shares : (7, I, J, K) float32 ndarray
        Probability of each of `CLASSES`.
    regions : (3, I, J, K) float32 ndarray
        Probability of each of `REGIONS`.
    in_view : (I, J, K) bool ndarray
        Where the image has voxels.
    coarse_affine : (4, 4) float64 ndarray
        The same for the coarse grid of 4 mm.
    coordinates : (3, i, j, k) float32 ndarray
        Atlas coordinates, mm, on the coarse grid.
    landmarks : mapping of str to (3,) ndarray
        mm of the image.
    sureness : mapping of str to float
        Share of a landmark's map that lies round its peak, 0 … 1.
    """

    affine: Affine
    shares: Volume = field(repr=False)
    regions: Volume = field(repr=False)
    in_view: npt.NDArray[np.bool_] = field(repr=False)
    coarse_affine: Affine
    coordinates: Volume = field(repr=False)
    landmarks: Mapping[str, npt.NDArray[np.float64]]
    sureness: Mapping[str, float]

    def share(self, *names: str) -> Volume:
        """Probability of one of several classes."""
        return np.sum([self.shares[CLASSES.index(name)] for name in names], axis=0)

    def tissue(self, *names: str) -> npt.NDArray[np.bool_]:
        """Voxels of one of several classes, in view."""
        return np.asarray((self.share(*names) > TISSUE_SHARE) & self.in_view, bool)


@functools.cache
def load_model(path: Path | None = None) -> Any:
    """Open the packaged network, or another one, for one thread.

    Raises
    ------
    ToolError
        If the packaged weights are missing or damaged.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path or packaged_path(MODEL_FILE)), options, providers=["CPUExecutionProvider"]
    )


def look(image: Image, model: Any, grid: Affine, *, mirrored: bool = False) -> HeadMap:
    """Run the network once.

    Parameters
    ----------
    image : Image
        3-D, any contrast, any orientation.
    model : onnxruntime session
    grid : (4, 4) ndarray
        Voxel of the network's grid → mm of the image.
    mirrored : bool
        Show the network the mirror image and turn its answer back.
    """
    scan, in_view = resampled(image, grid)
    shown = normalise(scan, in_view)
    if mirrored:
        shown = shown[::-1]
    fine, coarse = model.run(None, {"scan": np.ascontiguousarray(shown)[None, None]})
    fine, coarse = fine[0], coarse[0]
    if mirrored:
        fine, coarse = _turned_back(fine, coarse)
    coarse_affine = grid @ np.diag([2.0, 2.0, 2.0, 1.0])
    coarse_affine[:3, 3] = apply_affine(grid, (0.5, 0.5, 0.5))
    landmarks, sureness = _peaks(coarse[3:], coarse_affine)
    return HeadMap(
        grid,
        _softmax(fine[: len(CLASSES)]),
        1 / (1 + np.exp(-fine[len(CLASSES) :])),
        in_view,
        coarse_affine,
        coarse[:3] * np.float32(HUNDRED_MM),
        landmarks,
        sureness,
    )


def grid_at(centre_mm: npt.ArrayLike, turn: npt.NDArray[np.float64] | None = None) -> Affine:
    """Grid of the network centred at a point of the image, its axes turned by a rotation."""
    grid = np.eye(4)
    grid[:3, :3] = (np.eye(3) if turn is None else turn) * SPACING_MM
    middle = (np.array(GRID_SHAPE) - 1) / 2
    grid[:3, 3] = np.asarray(centre_mm, float) - grid[:3, :3] @ middle
    return grid


def resampled(image: Image, grid: Affine) -> tuple[Volume, npt.NDArray[np.bool_]]:
    """Bring an image to the network's grid: averaged where its voxels are finer, linear else."""
    data = shown_volume(image)
    steps = np.maximum(1, np.floor(SPACING_MM / voxel_sizes(image.affine) + 0.25)).astype(int)
    data, affine = averaged(data, image.affine, steps)
    to_voxel = np.linalg.inv(affine) @ grid
    scan = ndimage.affine_transform(
        data, to_voxel[:3, :3], to_voxel[:3, 3], GRID_SHAPE, order=1, mode="nearest"
    )
    in_view = np.ones(GRID_SHAPE, bool)
    for axis, n in enumerate(data.shape):
        place = _linear(to_voxel[axis])
        in_view &= (place > -0.5) & (place < n - 0.5)
    return scan, in_view


def shown_volume(image: Image) -> Volume:
    """Finite values of an image; CT with dark bone, as the network is shown it."""
    data = np.nan_to_num(np.asarray(image.data, np.float32), posinf=0.0, neginf=0.0)
    if is_ct(data):
        data = np.interp(data, CT_HU, CT_SHOWN).astype(np.float32)
    return data


def _linear(row: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One coordinate of every voxel of the grid."""
    i, j, k = np.ogrid[tuple(slice(0, n) for n in GRID_SHAPE)]
    place: npt.NDArray[np.float64] = row[0] * i + row[1] * j + row[2] * k + row[3]
    return place


def averaged(data: Volume, affine: Affine, steps: npt.NDArray[np.int_]) -> tuple[Volume, Affine]:
    """Mean of blocks of voxels."""
    if (steps == 1).all():
        return data, affine
    shape = [n // s for n, s in zip(data.shape, steps, strict=True)]
    cut = data[tuple(slice(0, n * s) for n, s in zip(shape, steps, strict=True))]
    blocks = cut.reshape(shape[0], steps[0], shape[1], steps[1], shape[2], steps[2])
    coarse = affine @ np.diag([*steps.astype(float), 1.0])
    coarse[:3, 3] = apply_affine(affine, (steps - 1) / 2)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32), coarse


def normalise(scan: Volume, in_view: npt.NDArray[np.bool_]) -> Volume:
    """Scale the 2nd to the 99.5th percentile of what is in view to 0 … 1; 0 outside."""
    inside = scan[in_view]
    if not inside.size:
        return np.zeros_like(scan)
    low, high = window(inside)
    scaled = np.clip((scan - low) / max(high - low, 1e-6), 0.0, BRIGHTEST)
    return np.where(in_view, scaled, 0.0).astype(np.float32)


def window(values: Volume) -> tuple[float, float]:
    """2nd and 99.5th percentile."""
    low, high = np.percentile(values.ravel()[:: max(1, values.size // 100_000)], PERCENTILES)
    return float(low), float(high)


def fit_affine(
    seen: HeadMap, *, rounds: int = 3, keep: float = 2.5
) -> tuple[Affine, dict[str, float]]:
    """Fit the affine of the atlas to the predicted coordinates, by trimmed least squares.

    Returns
    -------
    atlas_to_image : (4, 4) ndarray
    figures : dict
        ``located_ml``: volume of head the fit rests on; ``residual_mm``: median distance of
        predicted coordinates to the affine map, in atlas mm.
    """
    head = 1 - seen.share("air")
    coarse = head.reshape(*(v for n in head.shape for v in (n // 2, 2))).mean(axis=(1, 3, 5))
    inside = coarse > 0.5
    voxels = np.argwhere(inside)
    found = seen.coordinates[:, inside].T.astype(np.float64)
    figures = {"located_ml": round(len(voxels) * 0.064, 1), "residual_mm": float("inf")}
    if len(voxels) < 200:
        return np.eye(4), figures
    source = np.c_[apply_affine(seen.coarse_affine, voxels), np.ones(len(voxels))]
    kept = np.ones(len(voxels), bool)
    for _ in range(rounds):
        solved, *_ = np.linalg.lstsq(source[kept], found[kept], rcond=None)
        apart = np.linalg.norm(source @ solved - found, axis=1)
        kept = apart <= keep * np.median(apart)
    figures["residual_mm"] = round(float(np.median(apart)), 3)
    matrix = np.eye(4)
    matrix[:3] = solved.T
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-3:
        return np.eye(4), figures | {"residual_mm": float("inf")}
    return inverse(matrix), figures


def _softmax(logits: Volume) -> Volume:
    powers = logits - logits.max(axis=0)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=0)
    return powers


def _turned_back(fine: Volume, coarse: Volume) -> tuple[Volume, Volume]:
    """Mirror an answer: left and right change places, atlas x its sign."""
    n = len(CLASSES)
    fine = fine[:, ::-1][[*range(n), n, n + 2, n + 1]]
    order = [0, 2, 1, 4, 3, 5, 6]
    coarse = coarse[:, ::-1][[0, 1, 2, *(3 + k for k in order)]].copy()
    coarse[0] *= -1
    return fine, coarse


def _peaks(
    logits: Volume, affine: Affine
) -> tuple[dict[str, npt.NDArray[np.float64]], dict[str, float]]:
    """Centre of mass of each landmark's map round its peak, mm, and the mass there."""
    points, sureness = {}, {}
    for name, plane in zip(LANDMARKS, logits, strict=True):
        mass = np.exp(plane - plane.max())
        mass /= mass.sum()
        peak = np.unravel_index(int(mass.argmax()), mass.shape)
        box = tuple(slice(max(0, int(p) - PEAK_VOXELS), int(p) + PEAK_VOXELS + 1) for p in peak)
        part = mass[box].astype(np.float64)
        index = np.stack(
            np.meshgrid(
                *[np.arange(b.start, b.start + n) for b, n in zip(box, part.shape, strict=True)],
                indexing="ij",
            ),
            -1,
        )
        centre = (index * part[..., None]).sum(axis=(0, 1, 2)) / part.sum()
        points[name] = apply_affine(affine, centre)
        sureness[name] = round(float(part.sum()), 4)
    return points, sureness
