"""The packaged average head: labels, regions, landmarks, and a painting to register with."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.errors import ToolError
from anonymi_bids.io.images import read_image
from anonymi_bids.io.packaged import packaged_path
from anonymi_bids.model import Image

FILES = ("atlas_labels.nii.gz", "atlas_regions.nii.gz", "atlas_landmarks.tsv")
BITS = {"brain": 1, "head": 2, "face": 4, "ear_left": 8, "ear_right": 16}
"""Bits of ``atlas_regions.nii.gz``."""
SIGNAL = (0.0, 110.0, 80.0, 28.0, 18.0, 78.0, 30.0, 2.0, 74.0, 85.0)
"""T1w-like grey value of each label 0 … 9."""


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """Average head; all images on one RAS+ grid in atlas mm.

    The origin is the midpoint of the preauricular points, x to the right, y forward, z up. The
    head is left-right symmetric and upright as the heads it was made from.

    Attributes
    ----------
    labels : Image
        uint8: 0 air outside, 1 white matter, 2 grey matter, 3 CSF, 4 bone, 5 soft tissue, 6 eyes,
        7 air inside, 8 skin.
    brain : Image
        bool, brain and CSF inside the skull.
    head : Image
        bool.
    face : Image
        bool, from just above the brow to below the chin and back to the preauricular points, with
        all air in front and below.
    ear_left, ear_right : Image
        bool, ears and the air round them.
    painted : Image
        float32, T1w-like.
    landmarks : mapping of str to (3,) ndarray
        nasion, lpa, rpa, nose_tip, chin, brow, vertex, eye_left, eye_right; mm.
    """

    labels: Image
    brain: Image
    head: Image
    face: Image
    ear_left: Image
    ear_right: Image
    painted: Image
    landmarks: Mapping[str, npt.NDArray[np.float64]]


@functools.cache
def load_atlas() -> Atlas:
    """Load the packaged atlas; its bytes are checked against the manifest.

    Raises
    ------
    ToolError
        If a file is missing or damaged.
    """
    return read_atlas(*(packaged_path(name) for name in FILES))


def read_atlas(labels_file: Path, regions_file: Path, landmarks_file: Path) -> Atlas:
    """Read an atlas from its three files.

    Raises
    ------
    ToolError
        If the files do not belong together.
    """
    labels = read_image(labels_file)
    regions = read_image(regions_file)
    if labels.data.shape != regions.data.shape:
        raise ToolError("The files of the atlas do not fit together; install anonymi-bids again.")
    coded = regions.data.astype(np.uint8)
    masks = {name: Image((coded & bit) > 0, labels.affine) for name, bit in BITS.items()}
    whole = labels.data.astype(np.uint8)
    painted = ndimage.gaussian_filter(np.asarray(SIGNAL, np.float32)[whole], 0.6)
    landmarks = {}
    for line in landmarks_file.read_text(encoding="utf-8").splitlines()[1:]:
        name, *place = line.split("\t")
        landmarks[name] = np.array([float(value) for value in place])
    return Atlas(
        labels=Image(whole, labels.affine),
        painted=Image(painted, labels.affine),
        landmarks=landmarks,
        **masks,
    )
