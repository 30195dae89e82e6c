"""Packaged material of the digital people: the shape model and the label heads."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.shape import ShapeModel
from anonymi_bids.io.images import open_scan, read_image
from anonymi_bids.io.packaged import packaged_path
from anonymi_bids.model import Image

HEADS = ("mghangel001", "mghdca")
"""Label heads that ship with the package."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A label head and the shape model fitted to its skin.

    Attributes
    ----------
    name : str
    labels : Image
        uint8, label heads' scheme 0–9, template mm.
    vertices : (n, 3) float64 ndarray
        The shape model's vertices on this head's skin, template mm.
    """

    name: str
    labels: Image
    vertices: npt.NDArray[np.float64] = field(repr=False)


@functools.cache
def load_model() -> ShapeModel:
    """Load the packaged shape model (60 modes).

    Raises
    ------
    ToolError
        If the packaged file is missing or damaged.
    """
    with np.load(packaged_path("face_shape_model.npz")) as arrays:
        return ShapeModel.from_arrays(arrays)


@functools.lru_cache(maxsize=len(HEADS))
def load_template(name: str = HEADS[0]) -> Template:
    """Load a packaged label head with its fit.

    Raises
    ------
    ToolError
        If a packaged file is missing or damaged.
    """
    path = packaged_path(f"head-{name}_dseg.nii.gz")
    with np.load(packaged_path(f"head-{name}_fit.npz")) as arrays:
        vertices = arrays["vertices"].astype(np.float64) * float(arrays["step_mm"])
    labels = read_image(path).data.astype(np.uint8)
    return Template(name, Image(labels, open_scan(path).affine), vertices)
