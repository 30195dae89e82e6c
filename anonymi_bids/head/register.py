"""Rigid, affine and deformable registration: a thin wrapper round antspyx.

Registration runs on isotropic coarse copies of the images, on one ITK thread and without random
sampling, so that the same input gives the same bytes. ITK works in LPS and its transforms map
points of the fixed image into the moving one; everything that leaves this module is RAS and says
in its name which way it maps.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, resample, voxel_sizes
from anonymi_bids.core.register import coarse_grid, coarsen, information, to_bins
from anonymi_bids.errors import RegistrationFailed
from anonymi_bids.model import Image

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAMPLED = {"rigid": 1.0, "affine": 0.25}
"""Share of the coarse voxels that are compared, at regular places. An affine map of atlas to head
is no better for all of them and takes twice the time; the runs of a session must fit to less than
a voxel."""
_SHARE_TOO_LITTLE = (
    "Two images could not be registered because they share too little; check that both show the "
    "same head."
)
_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"


@dataclass(frozen=True, slots=True)
class Registration:
    """Result of `register`.

    Attributes
    ----------
    moving_to_fixed : (4, 4) float64 ndarray
        Moving mm → fixed mm.
    metric : float
        Information coefficient of correlation of the two images on the coarse grid, 0 … 1.
    """

    moving_to_fixed: npt.NDArray[np.float64]
    metric: float


def load_ants(seed: int = 0) -> Any:
    """Import antspyx late, hold ITK to one thread and seed its sampling."""
    os.environ[_THREADS] = "1"
    import ants

    ants.config.set_ants_deterministic(on=True, seed_value=seed + 1)
    return ants


def coarse_image(image: Image, spacing_mm: float) -> Image:
    """Isotropic, right-handed copy of an image; NaN becomes the lowest value."""
    data = np.asarray(image.data, dtype=np.float32)
    finite = np.isfinite(data)
    if not finite.all():
        data = np.where(finite, data, data[finite].min() if finite.any() else np.float32(0))
    affine, shape = coarse_grid(data.shape, image.affine, spacing_mm)
    if shape == data.shape and np.allclose(affine, image.affine, atol=1e-4):
        return Image(data, image.affine)
    return Image(coarsen(data, image.affine, affine, shape, cval=float(data.min())), affine)


def register(
    fixed: Image,
    moving: Image,
    *,
    kind: Literal["rigid", "affine"],
    start: Affine | None = None,
    spacing_mm: float = 3.0,
    fixed_mask: npt.NDArray[np.bool_] | None = None,
    moving_mask: npt.NDArray[np.bool_] | None = None,
    seed: int = 0,
    iterations: tuple[int, ...] = (60, 30),
) -> Registration:
    """Bring one image onto another by Mattes mutual information.

    Parameters
    ----------
    fixed, moving : Image
        Any grids, any contrasts. Only the field of view of `fixed` is compared.
    kind : {"rigid", "affine"}
    start : (4, 4) ndarray, optional
        First guess of moving mm → fixed mm; identity if left out.
    spacing_mm : float
        Voxel size of the coarse copies.
    fixed_mask, moving_mask : bool ndarray, optional
        Where to compare, on the grid of `fixed` and of `moving`.
    seed : int
        Given to ITK, which jitters its regular samples.
    iterations : tuple of int
        Most iterations a level; the last level is the coarse copy itself.

    Returns
    -------
    Registration

    Raises
    ------
    RegistrationFailed
        If ITK gives up, e.g. because the images do not overlap.
    """
    ants = load_ants(seed)
    first = np.eye(4) if start is None else np.asarray(start, np.float64)
    still, mover = coarse_image(fixed, spacing_mm), coarse_image(moving, spacing_mm)
    masks: dict[str, Any] = {}
    inside = None
    if fixed_mask is not None:
        inside = _coarse_mask(fixed_mask, fixed.affine, still)
        masks["mask"] = _to_ants(ants, Image(inside.astype(np.float32), still.affine))
    if moving_mask is not None:
        drawn = _coarse_mask(moving_mask, moving.affine, mover).astype(np.float32)
        masks["moving_mask"] = _to_ants(ants, Image(drawn, mover.affine))
    matrix = _run(ants, kind, still, mover, first, iterations, masks)
    moving_to_fixed = LPS @ np.linalg.inv(matrix) @ LPS
    metric = similarity(still, mover, moving_to_fixed, inside)
    if metric == 0:
        raise RegistrationFailed(_SHARE_TOO_LITTLE)
    return Registration(moving_to_fixed, metric)


def _run(
    ants: Any,
    kind: str,
    fixed: Image,
    moving: Image,
    start: Affine,
    iterations: tuple[int, ...],
    masks: dict[str, Any],
) -> Affine:
    """Call ITK; returns its matrix, which maps points of `fixed` into `moving` in LPS."""
    levels = len(iterations)
    with tempfile.TemporaryDirectory(prefix="anonymi-") as folder:
        guess = str(Path(folder) / "start.mat")
        _write_start(ants, start, guess)
        try:
            result = ants.registration(
                _to_ants(ants, fixed),
                _to_ants(ants, moving),
                type_of_transform="Rigid" if kind == "rigid" else "Affine",
                initial_transform=[guess],
                outprefix=str(Path(folder) / "out"),
                mask_all_stages=True,
                aff_metric="mattes",
                aff_sampling=32,
                aff_random_sampling_rate=SAMPLED[kind],
                aff_iterations=iterations,
                aff_shrink_factors=tuple(2 ** (levels - 1 - i) for i in range(levels)),
                aff_smoothing_sigmas=tuple(float(levels - 1 - i) for i in range(levels)),
                singleprecision=False,
                **masks,
            )
            return _read_matrix(ants, result["fwdtransforms"][0])
        except (RuntimeError, ValueError, OSError, IndexError) as error:
            raise RegistrationFailed(_SHARE_TOO_LITTLE) from error


def similarity(
    fixed: Image,
    moving: Image,
    moving_to_fixed: Affine,
    fixed_mask: npt.NDArray[np.bool_] | None = None,
    *,
    n_bins: int = 32,
) -> float:
    """Information coefficient of correlation of two images under a motion, 0 … 1.

    Parameters
    ----------
    fixed, moving : Image
    moving_to_fixed : (4, 4) ndarray
    fixed_mask : bool ndarray, optional
        Where to compare, on the grid of `fixed`.
    n_bins : int
    """
    shape = (fixed.data.shape[0], fixed.data.shape[1], fixed.data.shape[2])
    moved = resample(
        np.asarray(moving.data, np.float32),
        moving.affine,
        fixed.affine,
        shape,
        source_to_target=moving_to_fixed,
        cval=np.nan,
    )
    where = np.isfinite(moved) & np.isfinite(fixed.data)
    if fixed_mask is not None:
        where &= fixed_mask
    if where.sum() < 64:
        return 0.0
    a, b = np.asarray(fixed.data[where], np.float64), moved[where]
    ranges = [np.percentile(v, (0.5, 99.5)) for v in (a, b)]
    return information(to_bins(a, n_bins, *ranges[0]), to_bins(b, n_bins, *ranges[1]), n_bins)


def deform(
    fixed: list[Image], moving: list[Image], *, iterations: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Symmetric normalisation (SyN) of images that are affinely aligned already.

    Parameters
    ----------
    fixed, moving : list of Image
        Channels of the two heads, all `fixed` on one grid and all `moving` on one grid; compared
        by mean squares with equal weights.
    iterations : tuple of int
        For each level, the last at full resolution.

    Returns
    -------
    (I, J, K, 3) float32 ndarray
        For each voxel of `fixed`, the displacement in RAS mm to the place in `moving`.
    """
    ants = load_ants()
    pairs = [(_to_ants(ants, a), _to_ants(ants, b)) for a, b in zip(fixed, moving, strict=True)]
    with tempfile.TemporaryDirectory(prefix="anonymi-") as folder:
        result = ants.registration(
            pairs[0][0],
            pairs[0][1],
            type_of_transform="SyNOnly",
            initial_transform="Identity",
            outprefix=str(Path(folder) / "out"),
            syn_metric="meansquares",
            syn_sampling=1,
            reg_iterations=iterations,
            flow_sigma=3,
            multivariate_extras=[("meansquares", a, b, 1.0, 1) for a, b in pairs[1:]],
        )
        field = ants.image_read(
            next(name for name in result["fwdtransforms"] if name.endswith(".nii.gz"))
        ).numpy()
    return (field * np.array([-1, -1, 1])).astype(np.float32)


def _coarse_mask(
    mask: npt.NDArray[np.bool_], affine: Affine, coarse: Image
) -> npt.NDArray[np.bool_]:
    shape = (coarse.data.shape[0], coarse.data.shape[1], coarse.data.shape[2])
    return coarsen(mask.astype(np.float32), affine, coarse.affine, shape) > 0.5


def _to_ants(ants: Any, image: Image) -> Any:
    lps = LPS @ image.affine
    sizes = voxel_sizes(image.affine)
    return ants.from_numpy(
        np.asarray(image.data, np.float32),
        origin=[float(v) for v in lps[:3, 3]],
        spacing=[float(v) for v in sizes],
        direction=lps[:3, :3] / sizes,
    )


def _write_start(ants: Any, moving_to_fixed: Affine, path: str) -> None:
    matrix = LPS @ np.linalg.inv(moving_to_fixed) @ LPS
    transform = ants.create_ants_transform(
        transform_type="AffineTransform",
        precision="double",
        dimension=3,
        matrix=matrix[:3, :3],
        offset=matrix[:3, 3],
    )
    ants.write_transform(transform, path)


def _read_matrix(ants: Any, path: str) -> Affine:
    transform = ants.read_transform(path, precision="double")
    parameters = np.asarray(transform.parameters, np.float64)
    centre = np.asarray(transform.fixed_parameters, np.float64)[:3]
    matrix = np.eye(4)
    matrix[:3, :3] = parameters[:9].reshape(3, 3)
    matrix[:3, 3] = parameters[9:12] + centre - matrix[:3, :3] @ centre
    return matrix
