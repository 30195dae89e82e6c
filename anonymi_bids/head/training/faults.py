"""What can be wrong with a scan: cut, defaced, stripped, ghosted, wrapped, noisy, no head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anonymi_bids.head.training.draw import Draw, blur, smooth_field
from anonymi_bids.head.training.paint import BRAIN_CODES, coarser, normalised

FACE_POINTS = (0, 3, 4, 5, 6)
EAR_POINTS = (1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What lies where in a random scan.

    Attributes
    ----------
    tissue, regions : (I, J, K) uint8 Tensor
    atlas_mm : (3, I, J, K) Tensor
    points : (7, 3) Tensor
        Landmarks, voxels.
    present : (7,) bool Tensor
    """

    tissue: Tensor
    regions: Tensor
    atlas_mm: Tensor
    points: Tensor
    present: Tensor


def disturb(image: Tensor, scene: Scene, draw: Draw) -> tuple[Tensor, Scene, Tensor]:
    """Spoil a scan in random ways; returns it scaled, what is left of the truth, and the view."""
    kind = draw.number(0.0, 1.0)
    if kind < 0.03:
        image, scene = no_head(image, scene, draw)
    elif kind < 0.09:
        image, scene = stripped(image, scene, draw)
    elif kind < 0.20:
        image, scene = defaced(image, scene, draw)
    if draw.chance(0.08):
        image = ghosted(image, draw)
    image = coarser(image, draw)
    image = noisy(image, draw)
    view = field_of_view(image, draw)
    if draw.chance(0.05):
        image = wrapped(image, view, draw)
    image = normalised(image, view)
    if draw.chance(0.5):
        image = image.clamp_min(0) ** draw.number(0.7, 1.4)
    return image, scene, view


def no_head(image: Tensor, scene: Scene, draw: Draw) -> tuple[Tensor, Scene]:
    """Blobs, balls, boxes: anything but a head."""
    shape = tuple(image.shape)
    solid = torch.zeros(shape, dtype=torch.bool, device=image.device)
    axes = [torch.linspace(-1, 1, n, device=image.device) for n in shape]
    for _ in range(int(draw.number(1, 4.99))):
        c, r = draw.uniform(-0.4, 0.4, 3), draw.uniform(0.15, 0.7, 3)
        parts = [((axis - c[d]) / r[d]) ** 2 for d, axis in enumerate(axes)]
        solid |= parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None] < 1
    field = smooth_field(draw, (1, *shape), draw.number(5.0, 25.0))[0]
    image = torch.where(solid, 0.5 + 0.25 * field, torch.zeros_like(field))
    return image, _emptied(scene, torch.zeros_like(solid))


def stripped(image: Tensor, scene: Scene, draw: Draw) -> tuple[Tensor, Scene]:
    """Leave only the brain."""
    brain = torch.isin(scene.tissue, torch.tensor(BRAIN_CODES, device=image.device))
    if draw.chance(0.5):
        brain = blur(brain.float(), 1.0) > draw.number(0.3, 0.6)
    return torch.where(brain, image, torch.zeros_like(image)), _emptied(scene, brain)


def defaced(image: Tensor, scene: Scene, draw: Draw) -> tuple[Tensor, Scene]:
    """Take the face away as tools do: its region, all before a plane, or blur it."""
    face = (scene.regions & 1) > 0
    brain = torch.isin(scene.tissue, torch.tensor(BRAIN_CODES, device=image.device))
    _, y, z = scene.atlas_mm
    kind = draw.number(0.0, 1.0)
    if kind < 0.4:
        gone = face
        if draw.chance(0.5):
            gone = blur(gone.float(), 2.0) > 0.25
    elif kind < 0.85:
        slope = draw.number(0.3, 1.2)
        gone = y > draw.number(20.0, 55.0) + slope * (z + draw.number(-30.0, 10.0)).clamp_min(0)
        gone &= z < draw.number(25.0, 60.0)
    else:
        smooth = blur(image, draw.number(2.0, 4.0))
        near = blur(face.float(), 1.5) > 0.3
        image = torch.where(near, smooth, image)
        regions = scene.regions & ~torch.tensor(1, dtype=torch.uint8, device=image.device)
        return image, _without(replace(scene, regions=regions), FACE_POINTS)
    if draw.chance(0.4):
        gone = gone | ((scene.regions & 6) > 0)
        scene = _without(scene, EAR_POINTS)
    gone = gone & ~brain
    kept = ~gone
    image = torch.where(kept, image, torch.zeros_like(image))
    regions = torch.where(kept, scene.regions, torch.zeros_like(scene.regions))
    regions = regions & ~torch.tensor(1, dtype=torch.uint8, device=image.device)
    tissue = torch.where(kept, scene.tissue, torch.zeros_like(scene.tissue))
    return image, _without(replace(scene, tissue=tissue, regions=regions), FACE_POINTS)


def ghosted(image: Tensor, draw: Draw) -> Tensor:
    """Add a faint shifted copy, as motion does along the phase direction."""
    axis = int(draw.number(0, 2.999))
    step = image.shape[axis] // int(draw.choice((2, 3, 4)))
    return image + draw.number(0.05, 0.25) * torch.roll(image, step, dims=axis)


def noisy(image: Tensor, draw: Draw) -> Tensor:
    """Rician noise."""
    sigma = draw.number(0.003, 0.07) * draw.number(0.2, 1.0)
    shape = tuple(image.shape)
    return torch.hypot(image + sigma * draw.normal(shape), sigma * draw.normal(shape))


def field_of_view(image: Tensor, draw: Draw) -> Tensor:
    """Bool, False outside a random box: neck, nose, vertex, ears or all but a slab is cut."""
    view = torch.ones(image.shape, dtype=torch.bool, device=image.device)
    for axis in range(3):
        n = image.shape[axis]
        for side in (0, 1):
            if draw.chance(0.2):
                cut = int(n * draw.number(0.08, 0.4))
                part = slice(0, cut) if side == 0 else slice(n - cut, n)
                index = [slice(None)] * 3
                index[axis] = part
                view[tuple(index)] = False
    return view


def wrapped(image: Tensor, view: Tensor, draw: Draw) -> Tensor:
    """Fold what the field of view cuts off in again from the other side."""
    for axis in range(3):
        lines = torch.where(view.any(dim=[d for d in range(3) if d != axis]))[0]
        if not len(lines):
            continue
        extent = int(lines[-1] - lines[0]) + 1
        if extent < image.shape[axis]:
            cut = torch.where(view, torch.zeros_like(image), image)
            image = image + torch.roll(cut, extent, axis) + torch.roll(cut, -extent, axis)
    return image * (1 + 0 * draw.number(0, 1))


def seen(points: Tensor, view: Tensor) -> Tensor:
    """Tell which points (n, 3, in voxels) lie in the view."""
    index = points.round().long()
    inside = torch.ones(len(points), dtype=torch.bool, device=points.device)
    for d in range(3):
        inside &= (index[:, d] >= 0) & (index[:, d] < view.shape[d])
    index = torch.stack([index[:, d].clamp(0, view.shape[d] - 1) for d in range(3)], dim=1)
    return inside & view[index[:, 0], index[:, 1], index[:, 2]]


def _emptied(scene: Scene, kept: Tensor) -> Scene:
    """Nothing but what is kept, and no face."""
    tissue = torch.where(kept, scene.tissue, torch.zeros_like(scene.tissue))
    return replace(
        scene,
        tissue=tissue,
        regions=torch.zeros_like(scene.regions),
        present=torch.zeros_like(scene.present),
    )


def _without(scene: Scene, points: tuple[int, ...]) -> Scene:
    present = scene.present.clone()
    present[list(points)] = False
    return replace(scene, present=present)
