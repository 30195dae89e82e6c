"""Make the packaged data of the digital people: shape model, label heads, fit of one to the other.

Run once by a developer::

    python -m anonymi_bids.phantoms.build FACES.npz HEADS_DIR OUT_DIR
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import ShapeFit, ShapeModel, fit_model, similarity
from anonymi_bids.io.images import read_image, write_image
from anonymi_bids.model import Image

HEADS = ("mghangel001", "mghdca")
N_MODES = 60
STEP_MM = 0.006
"""Rounding of the packaged modes: at most half of this per mode at one standard deviation."""


def reduce_model(arrays: Any, n_modes: int = N_MODES) -> dict[str, npt.NDArray[Any]]:
    """Keep the first modes, coarsely rounded, and name the ears and the fiducial vertices.

    Parameters
    ----------
    arrays : mapping
        Arrays of the full ``face_shape_model.npz``.
    n_modes : int

    Returns
    -------
    dict
        Arrays for `ShapeModel.from_arrays`.
    """
    mean = np.asarray(arrays["mean"], dtype=np.float32)
    scale = np.asarray(arrays["mode_scale"][:n_modes], dtype=np.float64)[:, None, None]
    modes = np.rint(arrays["modes"][:n_modes] * scale / STEP_MM).astype(np.int16)
    x, y, z = mean.T
    near_ear = (np.abs(x) > 62) & (y > -24) & (y < 20) & (z > -25) & (z < 42)
    near_ear &= np.asarray(arrays["part"]) <= 1
    skin = np.flatnonzero(np.asarray(arrays["part"]) <= 1)
    fiducials = {"nasion": (0.0, 106.0, 40.0), "rpa": (72.0, 20.0, 8.0), "lpa": (-72.0, 20.0, 8.0)}
    found = {
        name: np.array(skin[np.argmin(((mean[skin] - point) ** 2).sum(axis=1))])
        for name, point in fiducials.items()
    }
    return {
        "mean": mean,
        "modes": modes,
        "mode_scale": np.full(n_modes, STEP_MM, dtype=np.float32),
        "triangles": np.asarray(arrays["triangles"]),
        "part": np.asarray(arrays["part"]),
        "ear": np.where(near_ear, np.where(x < 0, 1, 2), 0).astype(np.uint8),
        "landmarks68": np.asarray(arrays["landmarks68"]),
        **found,
    }


def clean_labels(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Turn brain labels outside the skull (a tongue labelled as white matter) into soft tissue."""
    cleaned = labels.astype(np.uint8)
    brain = np.isin(cleaned, (1, 2, 3, 9))
    core = ndimage.binary_opening(brain, iterations=2)
    numbered, count = ndimage.label(core)
    if count > 1:
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        core = numbered == sizes.argmax()
    core = ndimage.binary_dilation(core, iterations=4, mask=brain)
    cleaned[brain & ~core] = 5
    return cleaned


def skin_points(
    labels: npt.NDArray[np.integer], affine: npt.NDArray[np.float64], *, cut_mm: float = 4.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Points on the skin of a label head.

    Parameters
    ----------
    labels : (I, J, K) int ndarray
    affine : (4, 4) ndarray
    cut_mm : float
        Thickness of the neck cut that is left out.

    Returns
    -------
    points, normals : (p, 3) ndarray
        mm, outward.
    lowest : float
        Height of the neck cut, mm.
    """
    soft = ndimage.gaussian_filter((labels > 0).astype(np.float32), 1.0)
    gradient = np.stack(np.gradient(ndimage.gaussian_filter(soft, 1.0)), axis=-1)
    found = []
    for axis in range(3):
        low = np.moveaxis(soft, axis, 0)[:-1]
        high = np.moveaxis(soft, axis, 0)[1:]
        places = np.argwhere((low > 0.5) != (high > 0.5))
        index = tuple(places.T)
        part = (0.5 - low[index]) / (high[index] - low[index])
        places = places.astype(np.float64)
        places[:, 0] += part
        back = np.empty_like(places)
        rest = [k for k in range(3) if k != axis]
        back[:, axis] = places[:, 0]
        back[:, rest] = places[:, 1:]
        found.append(back)
    voxels = np.concatenate(found)
    sampled = np.stack(
        [ndimage.map_coordinates(gradient[..., k], voxels.T, order=1) for k in range(3)], axis=1
    )
    normals = -sampled @ np.linalg.inv(affine[:3, :3])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    points = apply_affine(affine, voxels)
    lowest = float(points[:, 2].min() + cut_mm)
    keep = (points[:, 2] > lowest) & (lengths[:, 0] > 1e-4)
    return points[keep], normals[keep] / lengths[keep], lowest


def fit_head(model: ShapeModel, head: Image) -> ShapeFit:
    """Fit the model to a label head, starting from crown, nose tip and the head's middle."""
    points, normals, lowest = skin_points(head.data, head.affine)
    crown = points[:, 2].max()
    upper = points[points[:, 2] > crown - 230]
    nose = upper[upper[:, 1].argmax()]
    own_nose = model.mean[model.mean[:, 1].argmax()].astype(np.float64)
    own_crown = float(model.mean[:, 2].max())
    scale = (crown - nose[2]) / (own_crown - own_nose[2])
    middle = np.median(upper[:, 0])
    source = own_nose + np.array([[0, 0, 0], [0, -100, 0], [0, 0, 100], [50, 0, 0], [-50, 0, 0]])
    target = (source - own_nose) * scale + np.array([middle, nose[1], nose[2]])
    start = similarity(source, target)
    chosen = np.random.default_rng(0).permutation(len(points))[:60000]
    return fit_model(model, points[chosen], normals[chosen], start, lowest_mm=lowest)


def build_data(faces: Path, heads: Path, out: Path) -> dict[str, ShapeFit]:
    """Write model, label heads and fits into a folder; return the fits by head."""
    out.mkdir(parents=True, exist_ok=True)
    with np.load(faces) as arrays:
        reduced = reduce_model(arrays)
    np.savez_compressed(out / "face_shape_model.npz", **reduced)  # type: ignore[arg-type]
    model = ShapeModel.from_arrays(reduced)
    fits = {}
    for name in HEADS:
        raw = read_image(heads / f"{name}_dseg.nii.gz")
        head = Image(clean_labels(raw.data.astype(np.uint8)), raw.affine)
        write_image(out / f"head-{name}_dseg.nii.gz", head.data, head.affine)
        fits[name] = fit_head(model, head)
        np.savez_compressed(
            out / f"head-{name}_fit.npz",
            vertices=np.rint(fits[name].vertices * 100).astype(np.int16),
            step_mm=np.float32(0.01),
        )
    return fits


if __name__ == "__main__":
    build_data(*(Path(argument) for argument in sys.argv[1:4]))
