"""Random scans from labelled heads: any pose, size, contrast, resolution, field of view, fault.

Domain randomisation after Billot et al. 2023 (doi:10.1016/j.media.2023.102789): intensities are
drawn for each tissue anew, so that the network cannot rely on a contrast. Everything is drawn
from one seeded generator, on the device of the subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonymi_bids.head.network import CENTRE_ATLAS_MM, HUNDRED_MM, LANDMARKS, SPACING_MM
from anonymi_bids.head.training import faults
from anonymi_bids.head.training.draw import Draw, smooth_field
from anonymi_bids.head.training.losses import Sample
from anonymi_bids.head.training.paint import paint
from anonymi_bids.head.training.subjects import MIRRORED, Subject


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A subject on the training's device."""

    name: str
    tissue: Tensor
    regions: Tensor
    allowed: Tensor
    signal: Tensor | None
    to_voxel: Tensor
    to_atlas: Tensor
    centre: Tensor
    landmarks: Tensor


def load(subject: Subject, device: torch.device) -> Loaded:
    """Bring a subject to the device."""
    centre = subject.atlas_to_head @ np.array([*CENTRE_ATLAS_MM, 1.0])
    signal = subject.signal

    def tensor(array: np.ndarray, kind: torch.dtype = torch.float32) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=kind, device=device)

    return Loaded(
        subject.name,
        tensor(subject.tissue, torch.uint8),
        tensor(subject.regions, torch.uint8),
        tensor(subject.allowed, torch.uint8),
        None if signal is None else tensor(signal),
        tensor(np.linalg.inv(subject.affine)),
        tensor(np.linalg.inv(subject.atlas_to_head)),
        tensor(centre[:3]),
        tensor(subject.landmarks),
    )


def random_scan(subject: Loaded, draw: Draw, shape: tuple[int, int, int]) -> Sample:
    """Draw one scan of a subject.

    Parameters
    ----------
    subject : Loaded
    draw : Draw
        Seeded source of random numbers.
    shape : (3,) tuple of int
        Grid of 2 mm voxels.

    Returns
    -------
    Sample
    """
    mirrored = draw.chance(0.5)
    linear = random_linear(draw, mirrored)
    shift = draw.uniform(-16.0, 16.0, 3)
    bend = smooth_field(draw, (3, *shape), draw.choice((60.0, 40.0, 25.0)) / SPACING_MM)
    bend = bend * draw.number(0.0, 4.0)
    head_mm = places(subject, linear, shift, bend, shape)
    tissue, regions, signal = sample_at(subject, head_mm)
    atlas_mm = moved(subject.to_atlas, head_mm)
    if mirrored:
        atlas_mm[0] = -atlas_mm[0]
        regions = swap_ears(regions)
    points, present = find_landmarks(subject, linear, shift, bend, shape, mirrored)
    scene = faults.Scene(tissue, regions, atlas_mm, points, present)
    image = paint(subject, scene, signal, draw)
    image, scene, view = faults.disturb(image, scene, draw)
    allowed = subject.allowed[scene.tissue.long()]
    allowed = torch.where(view, allowed, torch.ones_like(allowed))
    inside = ((scene.tissue > 0) & view).float()
    coarse = functional.avg_pool3d(atlas_mm[None], 2)[0] / HUNDRED_MM
    located = (functional.avg_pool3d(inside[None, None], 2)[0, 0] > 0.5).float()
    bits = torch.stack([(scene.regions & (1 << n) > 0) & view for n in range(3)]).float()
    return Sample(
        image[None, None],
        allowed,
        bits,
        coarse,
        located,
        (scene.points - 0.5) / 2,
        scene.present & faults.seen(scene.points, view),
    )


def random_linear(draw: Draw, mirrored: bool) -> Tensor:
    """Rotation, scale, shear and mirroring: grid mm to head mm, (3, 3)."""
    wide = 45.0 if draw.chance(0.25) else 22.0
    turn = torch.eye(3)
    for axis, degrees in enumerate(draw.uniform(-wide, wide, 3).tolist()):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one = torch.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        one[i, i] = one[j, j] = float(c)
        one[i, j], one[j, i] = -float(s), float(s)
        turn = one @ turn
    size = draw.number(0.72, 1.2)
    stretch = torch.diag(1.0 / (size * draw.uniform(0.92, 1.08, 3).cpu()))
    shear = torch.eye(3) + torch.triu(draw.uniform(-0.06, 0.06, (3, 3)).cpu(), 1)
    if mirrored:
        stretch[0] = -stretch[0]
    return (shear @ stretch @ turn).to(draw.device)


def places(
    subject: Loaded, linear: Tensor, shift: Tensor, bend: Tensor, shape: tuple[int, int, int]
) -> Tensor:
    """Head mm of every voxel, (3, I, J, K)."""
    axes = [
        (torch.arange(n, device=linear.device, dtype=torch.float32) - (n - 1) / 2) * SPACING_MM
        for n in shape
    ]
    mm = bend.clone()
    for d, axis in enumerate(axes):
        line = [1, 1, 1]
        line[d] = -1
        mm[d] += axis.view(line) + shift[d]
    flat = linear @ mm.reshape(3, -1) + subject.centre[:, None]
    return flat.reshape(3, *shape)


def sample_at(subject: Loaded, head_mm: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Tissue and regions (nearest) and signal (linear) at places in head mm."""
    voxel = moved(subject.to_voxel, head_mm)
    size = subject.tissue.shape
    index = [voxel[d].round().long() for d in range(3)]
    inside = torch.ones_like(index[0], dtype=torch.bool)
    for d in range(3):
        inside &= (index[d] >= 0) & (index[d] < size[d])
        index[d].clamp_(0, size[d] - 1)
    flat = (index[0] * size[1] + index[1]) * size[2] + index[2]
    tissue = torch.where(inside, subject.tissue.flatten()[flat], 0)
    regions = torch.where(inside, subject.regions.flatten()[flat], 0)
    if subject.signal is None:
        return tissue, regions, None
    scaled = [2 * voxel[d] / (size[d] - 1) - 1 for d in (2, 1, 0)]
    grid = torch.stack(scaled, dim=-1)[None]
    signal = functional.grid_sample(subject.signal[None, None], grid, align_corners=True)[0, 0]
    return tissue, regions, signal


def moved(matrix: Tensor, points: Tensor) -> Tensor:
    """Apply a (4, 4) matrix to points, (3, …)."""
    flat = matrix[:3, :3] @ points.reshape(3, -1) + matrix[:3, 3:4]
    return flat.reshape(points.shape)


def swap_ears(regions: Tensor) -> Tensor:
    """Exchange the bits of the left and the right ear."""
    return (regions & 1) | ((regions & 2) << 1) | ((regions & 4) >> 1)


def find_landmarks(
    subject: Loaded,
    linear: Tensor,
    shift: Tensor,
    bend: Tensor,
    shape: tuple[int, int, int],
    mirrored: bool,
) -> tuple[Tensor, Tensor]:
    """Give landmarks in voxels of the grid, (7, 3), and whether they are known and inside."""
    order = list(MIRRORED) if mirrored else list(range(len(LANDMARKS)))
    points = subject.landmarks[order]
    known = torch.isfinite(points).all(dim=1)
    points = torch.nan_to_num(points)
    undone = torch.linalg.inv(linear) @ (points - subject.centre).T
    middle = (torch.tensor(shape, device=linear.device, dtype=torch.float32)[:, None] - 1) / 2
    apart = torch.zeros_like(undone)
    limits = [n - 1 for n in shape]
    for _ in range(4):
        voxel = (undone - shift[:, None] - apart) / SPACING_MM + middle
        index = [voxel[d].round().long().clamp(0, limits[d]) for d in range(3)]
        apart = bend[:, index[0], index[1], index[2]]
    inside = torch.stack([(voxel[d] >= 1) & (voxel[d] <= limits[d] - 1) for d in range(3)]).all(0)
    return voxel.T, known & inside
