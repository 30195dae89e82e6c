"""Build the atlas: an unbiased, left-right symmetric average of label heads.

Every head is brought to the current average by an affine and a deformable registration of four
pictures of its labels (outline of the head, outline of the brain, and two paintings). The average
of all maps, and of their mirror images, is the mean shape; the next average is made there. Each
tissue is voted for only by heads whose source tells it apart (`Head.knows`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, apply_affine, resample
from anonymi_bids.core.mask import fill_holes, largest_component
from anonymi_bids.core.register import inverse, rigid_matrix, take_apart
from anonymi_bids.errors import InputError
from anonymi_bids.head.register import deform, register
from anonymi_bids.io.images import read_image
from anonymi_bids.model import Image

Field = npt.NDArray[np.float32]

BRAIN = (1, 2, 3, 9)
TISSUES = frozenset({1, 2, 3})
"""White matter, grey matter and CSF: told apart by some sources only."""
SIGNAL = {0: 0.0, 1: 110.0, 2: 80.0, 3: 26.0, 4: 18.0, 5: 72.0, 6: 30.0, 7: 2.0, 8: 72.0, 9: 85.0}
"""T1w-like grey values of the labels (0 … 9)."""
OUTLINE_MM = 16.0
"""Signed distances to an outline are cut off here."""
NECK_MM = 45.0
"""Each head is prolonged below its neck cut by its last slice, so that the average has no gap."""

HEADS: dict[str, frozenset[int]] = {
    "mghangel001": frozenset({1, 2, 3, 4, 5, 7}),
    "mghdca": frozenset({1, 2, 3, 4, 5, 6, 7, 8}),
    "mghboma": frozenset({1, 2, 3, 6}),
    "mghhs1": frozenset({4, 5, 6, 7}),
    "mghhs3": frozenset({4, 5, 6, 7}),
    "mghhs4a": frozenset({4, 5, 7}),
    "mghhs6": frozenset({4, 5, 7}),
    "tciacptac": frozenset({4, 5, 6, 7}),
}
"""Label heads that the atlas is made from, and the labels each may vote for."""

DEFORM_MM = (4.0,)
"""Voxel sizes of the deformable rounds."""
ALIGN_MM = 2.0
"""Label heads are thinned to this voxel size for registration."""

WINDOW_MM = ((-126.0, 126.0), (-150.0, 150.0), (-190.0, 140.0))
"""Extent of the working grid around the centre of the brain."""


@dataclass(frozen=True, slots=True)
class Head:
    """One label head, in a frame whose origin is the centre of its brain.

    Attributes
    ----------
    name : str
    labels : Image
        uint8, 0 … 9.
    knows : frozenset of int
        Labels that its source tells apart.
    """

    name: str
    labels: Image
    knows: frozenset[int]


@dataclass(frozen=True, slots=True)
class Average:
    """Mean shape of the heads on one grid.

    Attributes
    ----------
    labels : Image
        uint8, 0 … 8.
    shares : (I, J, K) float32 ndarray
        Share of the heads that are not air-outside there.
    brain : (I, J, K) float32 ndarray
        Share of the heads with brain or CSF there.
    """

    labels: Image
    shares: npt.NDArray[np.float32]
    brain: npt.NDArray[np.float32]


def read_heads(folder: Path, names: tuple[str, ...] = tuple(HEADS)) -> list[Head]:
    """Read label heads and put the centre of each brain at the origin.

    Raises
    ------
    InputError
        If a head is missing.
    """
    heads = []
    for name in names:
        path = folder / f"{name}_dseg.nii.gz"
        if not path.is_file():
            raise InputError(
                f"The label head {path.name} is not in the given folder; give the folder that "
                "holds the label heads named in the documentation."
            )
        image = read_image(path)
        labels = np.round(image.data).astype(np.uint8)
        pad = round(NECK_MM / float(image.voxel_sizes[2]))
        labels = np.concatenate([np.repeat(labels[:, :, :1], pad, axis=2), labels], axis=2)
        affine = image.affine.copy()
        affine[:3, 3] -= affine[:3, 2] * pad
        centre = np.argwhere(np.isin(labels, BRAIN)).mean(axis=0)
        affine[:3, 3] -= apply_affine(affine, centre)
        heads.append(Head(name, Image(labels, affine), HEADS[name]))
    return heads


def working_grid(spacing_mm: float) -> tuple[Affine, tuple[int, int, int]]:
    """Grid of the averages: x symmetric about 0, RAS+."""
    counts = [round((high - low) / spacing_mm) + 1 for low, high in WINDOW_MM]
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [low for low, _ in WINDOW_MM]
    affine[0, 3] = -(counts[0] - 1) / 2 * spacing_mm
    return affine, (counts[0], counts[1], counts[2])


def channels(labels: Image, knows: frozenset[int]) -> list[Image]:
    """Pictures of a label map that are registered: outlines and paintings, each about 0 … 1."""
    data, affine = labels.data, labels.affine
    sizes = labels.voxel_sizes
    pictures = [_outline(data > 0, sizes), _outline(np.isin(data, BRAIN), sizes)]
    inside = np.isin(data, BRAIN)
    painted = np.select([data == 4, data == 7, data > 0], [0.35, 0.1, 0.8], 0.0)
    painted[inside] = 0.7
    if 4 not in knows:
        # No skull in this source: draw a plain shell, as wide as in the others.
        shell = (_distance(inside, sizes) < 8) & (data > 0) & ~inside
        painted[shell] = 0.35
    if knows >= TISSUES:
        painted[data == 1] = 0.85
        painted[data == 3] = 0.5
    pictures.append(ndimage.gaussian_filter(painted.astype(np.float32), 0.7))
    return [Image(picture, affine) for picture in pictures]


def average_heads(
    heads: list[Head],
    fields: list[Field],
    affine: Affine,
    *,
    mirrored: bool = True,
) -> Average:
    """Vote for labels at the places that the fields point to.

    Parameters
    ----------
    heads : list of Head
    fields : list of (I, J, K, 3) ndarray
        For each voxel of the average's grid, where it lies in that head, mm.
    affine : (4, 4) ndarray
        Of the average's grid.
    mirrored : bool
        Let the mirror image of every head vote too.
    """
    shape = fields[0].shape[:3]
    votes = np.zeros((10, *shape), np.float32)
    voters = np.zeros(10, np.float32)
    outside = np.zeros(shape, np.float32)
    brain = np.zeros(shape, np.float32)
    for head, field in zip(heads, fields, strict=True):
        index = np.moveaxis(apply_affine(inverse(head.labels.affine), field), -1, 0)
        outside += _sample(head.labels.data == 0, index, cval=1.0)
        brain += _sample(np.isin(head.labels.data, BRAIN), index)
        for label in sorted(head.knows):
            drawn = head.labels.data == label
            if label == 5:
                drawn |= head.labels.data == 8
            votes[label] += _sample(drawn, index)
            voters[label] += 1
    votes /= np.maximum(voters, 1).reshape(-1, 1, 1, 1)
    outside /= len(heads)
    brain /= len(heads)
    if mirrored:
        for values in (votes, outside, brain):
            values[...] = (values + values[..., ::-1, :, :]) / 2
    return Average(Image(_decide(votes, outside, brain), affine), 1 - outside, brain)


def build_average(
    folder: Path, *, deform_mm: tuple[float, ...] = DEFORM_MM, spacing_mm: float = 1.5
) -> Average:
    """Average the label heads of a folder.

    Parameters
    ----------
    folder : path
        Holds ``<name>_dseg.nii.gz`` of `HEADS`.
    deform_mm : tuple of float
        Voxel size of each deformable round; empty for an affine average.
    spacing_mm : float
        Voxel size of the result.
    """
    heads = read_heads(folder)
    thin = [_thinned(head) for head in heads]
    coarse = 3.0
    average = _first_average(thin, coarse)
    motions = [np.eye(4)] * len(heads)
    for spacing, rigid in ((6.0, True), (5.0, False)):
        motions = _align(thin, average, motions, spacing, rigid=rigid)
        average = average_heads(thin, _affine_fields(motions, coarse), working_grid(coarse)[0])
    fields = [] if deform_mm else _affine_fields(motions, spacing_mm)
    for step in deform_mm:
        fields = _deform_round(thin, average, motions, step)
        average = average_heads(thin, fields, working_grid(step)[0])
    if deform_mm:
        fields = [_finer(field, deform_mm[-1], spacing_mm) for field in fields]
    return average_heads(heads, fields, working_grid(spacing_mm)[0])


def _thinned(head: Head) -> Head:
    """Copy of a head with larger voxels, each with the label at its centre."""
    data, affine = head.labels.data, head.labels.affine
    counts = tuple(
        int(n * s / ALIGN_MM) for n, s in zip(data.shape, head.labels.voxel_sizes, strict=True)
    )
    thin = affine.copy()
    thin[:3, :3] *= ALIGN_MM / head.labels.voxel_sizes
    labels = resample(data, affine, thin, (counts[0], counts[1], counts[2]), order=0)
    return Head(head.name, Image(labels, thin), head.knows)


def _first_average(heads: list[Head], spacing_mm: float) -> Average:
    """Take the first head alone, turned so that its mirror image falls on itself."""
    head = heads[0]
    picture = channels(head.labels, head.knows)[2]
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    flipped = Image(picture.data, mirror @ picture.affine)
    turn = register(picture, flipped, kind="rigid", spacing_mm=4.0).moving_to_fixed
    # The reflection turn · mirror keeps a plane; its normal and offset give half the way.
    reflection = turn @ mirror
    values, vectors = np.linalg.eigh((reflection[:3, :3] + reflection[:3, :3].T) / 2)
    normal = vectors[:, int(values.argmin())]
    normal *= np.sign(normal[0])
    yaw = np.degrees(np.arctan2(-normal[1], normal[0]))
    roll = np.degrees(np.arctan2(normal[2], np.hypot(normal[0], normal[1])))
    upright = rigid_matrix((0, roll, yaw), (0, 0, 0))
    upright[0, 3] = -float(normal @ reflection[:3, 3]) / 2
    affine, shape = working_grid(spacing_mm)
    field = _points(affine, shape, inverse(upright))
    return average_heads([head], [field], affine)


def _align(
    heads: list[Head],
    average: Average,
    motions: list[Affine],
    spacing_mm: float,
    *,
    rigid: bool,
) -> list[Affine]:
    """Affine maps average → head, corrected so that their mean is a rigid motion."""
    fixed = channels(average.labels, TISSUES | {4})[2]
    found = []
    for head, start in zip(heads, motions, strict=True):
        moving = channels(head.labels, head.knows)[2]
        guess = inverse(start)
        if rigid:
            guess = register(
                fixed, moving, kind="rigid", start=guess, spacing_mm=spacing_mm
            ).moving_to_fixed
        motion = register(fixed, moving, kind="affine", start=guess, spacing_mm=spacing_mm)
        found.append(inverse(motion.moving_to_fixed))
    # Size and shape of the average: mean of what is left when each head's rotation is taken out.
    shapes = []
    for matrix in found:
        rotation = take_apart(matrix)[0]
        shapes.append(rotation.T @ matrix[:3, :3])
    mirror = np.diag([-1.0, 1.0, 1.0])
    mean = np.mean(shapes, axis=0)
    mean = (mean + mirror @ mean @ mirror) / 2
    correction = np.eye(4)
    correction[:3, :3] = np.linalg.inv(mean)
    return [matrix @ correction for matrix in found]


def _deform_round(
    heads: list[Head], average: Average, motions: list[Affine], spacing_mm: float
) -> list[Field]:
    """One groupwise round: places in each head, seen from the mean shape."""
    affine, shape = working_grid(spacing_mm)
    labels = resample(average.labels.data, average.labels.affine, affine, shape, order=0)
    fixed = channels(Image(labels, affine), TISSUES | {4})
    grid = _points(affine, shape, np.eye(4))
    warps = []
    for head, motion in zip(heads, motions, strict=True):
        moving = [
            Image(
                resample(
                    picture.data,
                    picture.affine,
                    affine,
                    shape,
                    source_to_target=inverse(motion),
                    cval=float(picture.data.min()),
                ),
                affine,
            )
            for picture in channels(head.labels, head.knows)
        ]
        warps.append(deform(fixed, moving, iterations=(30, 20, 8)))
    mean = np.mean(warps, axis=0)
    mean = (mean + mean[::-1] * np.array([-1, 1, 1], np.float32)) / 2
    back = _invert(mean, affine)
    fields = []
    for warp, motion in zip(warps, motions, strict=True):
        there = grid + back
        moved = there + _sample_field(warp, affine, there)
        fields.append(apply_affine(motion, moved).astype(np.float32))
    return fields


def _invert(field: Field, affine: Affine) -> Field:
    """Displacements that undo a displacement field (fixed-point iteration)."""
    grid = _points(affine, field.shape[:3], np.eye(4))
    back = np.zeros_like(field)
    for _ in range(12):
        back = -_sample_field(field, affine, grid + back)
    return back


def _affine_fields(motions: list[Affine], spacing_mm: float) -> list[Field]:
    affine, shape = working_grid(spacing_mm)
    return [_points(affine, shape, motion) for motion in motions]


def _points(affine: Affine, shape: tuple[int, ...], motion: Affine) -> Field:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    return apply_affine(motion @ affine, index).astype(np.float32)


def _sample(
    mask: npt.NDArray[np.bool_], index: npt.NDArray[np.float64], *, cval: float = 0.0
) -> npt.NDArray[np.float32]:
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 0.5, truncate=2.5)
    return ndimage.map_coordinates(smooth, index, order=1, cval=cval)


def _sample_field(field: Field, affine: Affine, places: Field) -> Field:
    index = np.moveaxis(apply_affine(inverse(affine), places), -1, 0)
    parts = [
        ndimage.map_coordinates(field[..., axis], index, order=1, mode="nearest")
        for axis in range(3)
    ]
    return np.stack(parts, -1).astype(np.float32)


def _finer(field: Field, from_mm: float, to_mm: float) -> Field:
    source, _ = working_grid(from_mm)
    target, shape = working_grid(to_mm)
    return _sample_field(field, source, _points(target, shape, np.eye(4)))


def _decide(
    votes: npt.NDArray[np.float32],
    outside: npt.NDArray[np.float32],
    brain: npt.NDArray[np.float32],
) -> npt.NDArray[np.uint8]:
    """Majority: first head or not, then brain or not, then the tissue; skin is the outer shell."""
    head = fill_holes(largest_component(outside < 0.5))
    inner = np.isin(np.arange(10), (1, 2, 3))
    inside = fill_holes(largest_component(brain > 0.5), slices=False) & head
    tissue = np.where(inner.reshape(-1, 1, 1, 1), votes, -1).argmax(axis=0)
    around = np.isin(np.arange(10), (4, 5, 6, 7)).reshape(-1, 1, 1, 1)
    rest = np.where(around, votes, -1).argmax(axis=0)
    labels = np.where(inside, tissue, rest).astype(np.uint8)
    labels[~head] = 0
    shell = head & ~ndimage.binary_erosion(head, iterations=1, border_value=1)
    labels[shell] = 8
    return labels


def _outline(mask: npt.NDArray[np.bool_], sizes: npt.NDArray[np.float64]) -> Field:
    signed = _distance(~mask, sizes) - _distance(mask, sizes)
    return (np.clip(signed / OUTLINE_MM, -1, 1) / 2 + 0.5).astype(np.float32)


def _distance(mask: npt.NDArray[np.bool_], sizes: npt.NDArray[np.float64]) -> Field:
    """Distance outside a mask, mm."""
    return ndimage.distance_transform_edt(~mask, sampling=sizes).astype(np.float32)
