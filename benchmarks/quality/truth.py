"""The truth about a painted head: its frame, its skin, its face window, its ears.

Everything is derived from labels and landmarks of the phantom alone; nothing of the atlas, of the
methods or of the gates is used.

The *head frame* is rigid: origin midway between the preauricular points, turned as the 68 face
landmarks, nasion and preauricular points lie in the shape model's mean head (x right, y forward,
z up, near the Frankfurt plane). *Skin* is every voxel of the head, cavities left out, whose
centre lies within 2 mm of a voxel of air that is connected with the border of the image. The
*face window* holds the skin in front of both preauricular points (y > 0), below the mean height
of the eyebrows' ten landmarks, and above 10 mm below the chin's landmark. The *vault* is the
skin above the eyebrows' mean height, in front and behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine, voxel_sizes
from anonymi_bids.core.shape import similarity
from anonymi_bids.phantoms.library import load_model
from anonymi_bids.phantoms.records import Phantom

Mask = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]

CAVITY = 7
SKIN_MM = 2.0
BELOW_CHIN_MM = 10.0
BALL_MM = 9.0
EAR_Y_MM, EAR_Z_MM = (-45.0, 12.0), (-45.0, 45.0)
EAR_LATERAL_MM = 45.0


@dataclass(frozen=True)
class Truth:
    """Regions of a phantom, bool on its grid, and its rigid head frame.

    Attributes
    ----------
    head_to_image : (4, 4) ndarray
        Head frame mm → image mm.
    brow_mm, chin_mm : float
        Heights in the head frame.
    face : Mask
        Skin in the face window.
    thirds : tuple of Mask
        The same, cut at equal heights between brow and chin: eyes, nose, mouth and chin (the
        last goes on below the chin).
    vault : Mask
        Skin above the brow.
    ears : tuple of Mask
        Skin of the left and right pinna.
    brain : Mask
        Brain and CSF.
    """

    head_to_image: Affine
    brow_mm: float
    chin_mm: float
    face: Mask
    thirds: tuple[Mask, Mask, Mask]
    vault: Mask
    ears: tuple[Mask, Mask]
    brain: Mask


def truth_of(phantom: Phantom) -> Truth:
    """Work out the truth of a phantom."""
    frame = head_frame(phantom.landmarks68, phantom.nasion, phantom.lpa, phantom.rpa)
    to_head = np.linalg.inv(frame)
    places = apply_affine(to_head, phantom.landmarks68)
    brow, chin = float(places[17:27, 2].mean()), float(places[8, 2])
    labels, affine = phantom.labels.data, phantom.labels.affine
    skin = outer_skin(labels, affine)
    y, z = (coordinate(labels.shape, to_head @ affine, axis) for axis in (1, 2))
    face = skin & (y > 0) & (z < brow) & (z > chin - BELOW_CHIN_MM)
    upper, lower = brow - (brow - chin) / 3, chin + (brow - chin) / 3
    thirds = (face & (z >= upper), face & (z < upper) & (z >= lower), face & (z < lower))
    ears = pinna_skin(skin, labels, affine, to_head)
    return Truth(frame, brow, chin, face, thirds, skin & (z > brow), ears, phantom.brain_and_csf)


def head_frame(
    landmarks68: npt.NDArray[np.float64],
    nasion: npt.NDArray[np.float64],
    lpa: npt.NDArray[np.float64],
    rpa: npt.NDArray[np.float64],
) -> Affine:
    """Rigid head frame → the mm of the landmarks."""
    model = load_model()
    own = [model.points[name] for name in ("nasion", "lpa", "rpa")]
    source = model.mean[np.concatenate([model.landmarks68, own])].astype(np.float64)
    target = np.concatenate([landmarks68, [nasion, lpa, rpa]])
    found = similarity(source, target)
    frame = np.eye(4)
    frame[:3, :3] = found[:3, :3] / np.cbrt(np.linalg.det(found[:3, :3]))
    frame[:3, 3] = (np.asarray(lpa) + np.asarray(rpa)) / 2
    return frame


def coordinate(shape: tuple[int, ...], to_head: Affine, axis: int) -> npt.NDArray[np.float32]:
    """One coordinate of the head frame (mm) of every voxel; `to_head` maps voxels to it."""
    row = to_head[axis].astype(np.float32)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return (row[0] * i + row[1] * j + row[2] * k + row[3]).astype(np.float32)


def outer_skin(
    labels: npt.NDArray[np.integer], affine: Affine, *, depth_mm: float = SKIN_MM
) -> Mask:
    """Voxels of the head within a distance of the air that surrounds it, (I, J, K) bool.

    Air inside the head does not count, nor what lies beyond the border of the image.
    """
    air, count = ndimage.label(labels == 0)
    if count == 0:
        return np.zeros(labels.shape, bool)
    touching = np.zeros(count + 1, bool)
    for axis in range(3):
        for side in (0, -1):
            touching[np.unique(np.take(air, side, axis=axis))] = True
    touching[0] = False
    outside = touching[air]
    apart = ndimage.distance_transform_edt(~outside, sampling=voxel_sizes(affine))
    return (labels > 0) & (labels != CAVITY) & (apart <= depth_mm)


def pinna_skin(
    skin: Mask, labels: npt.NDArray[np.integer], affine: Affine, to_head: Affine
) -> tuple[Mask, Mask]:
    """Skin of the left and right pinna: what an opening by a ball of 9 mm takes off the head.

    Only looked for round the preauricular points, which lie just in front of the pinna.
    """
    x, y, z = (coordinate(skin.shape, to_head @ affine, axis) for axis in range(3))
    near = (y > EAR_Y_MM[0]) & (y < EAR_Y_MM[1]) & (z > EAR_Z_MM[0]) & (z < EAR_Z_MM[1])
    near &= np.abs(x) > EAR_LATERAL_MM
    ears = []
    for side in (x < 0, x > 0):
        result = np.zeros(skin.shape, bool)
        box = _box(near & side, int(np.ceil(2.5 * BALL_MM / voxel_sizes(affine).min())))
        result[box] = (
            _sticking_out(labels[box] > 0, voxel_sizes(affine)) & (near & side & skin)[box]
        )
        ears.append(result)
    return ears[0], ears[1]


def _sticking_out(head: Mask, sizes: npt.NDArray[np.float64]) -> Mask:
    """Part of a mask that a ball of 9 mm, moved inside it, does not reach."""
    core = ndimage.distance_transform_edt(np.pad(head, 1, mode="edge"), sampling=sizes) > BALL_MM
    if not core.any():
        return np.zeros(head.shape, bool)
    reached = ndimage.distance_transform_edt(~core, sampling=sizes) <= BALL_MM + sizes.max()
    return head & ~reached[1:-1, 1:-1, 1:-1]


def _box(mask: Mask, margin: int) -> tuple[slice, ...]:
    lines = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not lines[0].size:
        return (slice(0, 0),) * mask.ndim
    return tuple(
        slice(max(0, int(line[0]) - margin), int(line[-1]) + 1 + margin) for line in lines
    )
