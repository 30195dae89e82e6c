"""Intensities of random scans: drawn anew for every tissue, or near those of a real contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from anonymi_bids.head.network import CT_HU, CT_SHOWN
from anonymi_bids.head.training.draw import Draw, blur, smooth_field
from anonymi_bids.head.training.subjects import N_CODES, TEACHER_BRAIN
from anonymi_bids.phantoms.paint import CONTRASTS, signals

if TYPE_CHECKING:
    from anonymi_bids.head.training.faults import Scene
    from anonymi_bids.head.training.randomise import Loaded

BRAIN_CODES = (1, 2, 3, 9, TEACHER_BRAIN)
CAVITY = 7


def paint(subject: Loaded, scene: Scene, signal: Tensor | None, draw: Draw) -> Tensor:
    """Give every voxel an intensity, air near 0, tissue up to about 1, (I, J, K)."""
    if signal is not None:
        return recoloured(signal, draw)
    ct = draw.chance(0.15)
    if ct:
        means, spreads = ct_signals(draw)
    elif draw.chance(0.55):
        means, spreads = contrast_signals(draw)
    else:
        means, spreads = free_signals(draw)
    index = scene.tissue.long()
    shape = tuple(scene.tissue.shape)
    image = means.to(draw.device)[index]
    texture = smooth_field(draw, (1, *shape), draw.number(2.0, 5.0))[0]
    image = image + texture * spreads.to(draw.device)[index]
    if draw.chance(0.25):
        image = with_lesions(image, scene, draw)
    if ct and draw.chance(0.6):
        image = with_table(image, scene, draw)
    image = blur(image, draw.number(0.25, 0.8))
    if not ct:
        strength = draw.number(0.0, 0.45)
        image = image * torch.exp(strength * smooth_field(draw, (1, *shape), 45.0)[0])
    return image


def contrast_signals(draw: Draw) -> tuple[Tensor, Tensor]:
    """Signals near those of T1w, T2w, FLAIR or PD."""
    contrast = draw.choice([name for name in CONTRASTS if name != "CT"])
    known = torch.as_tensor(signals(contrast))
    means = torch.zeros(N_CODES)
    means[: len(known)] = known / known.max()
    means = means * torch.exp(draw.uniform(-0.35, 0.35, N_CODES).cpu())
    means[0] = means[CAVITY] = 0.0
    return means, draw.uniform(0.0, 0.12, N_CODES).cpu() * means


def free_signals(draw: Draw) -> tuple[Tensor, Tensor]:
    """Draw any signal for any tissue; air is dark."""
    means = draw.uniform(0.02, 1.0, N_CODES).cpu()
    means[0] = 0.0
    means[CAVITY] = draw.number(0.0, 0.1)
    if draw.chance(0.7):
        means[4] = draw.number(0.0, 0.25)
    if draw.chance(0.5):
        means[9] = (means[1] + means[2]) / 2
    spreads = draw.uniform(0.0, 0.12, N_CODES).cpu()
    spreads[0] = 0.0
    return means, spreads


def ct_signals(draw: Draw) -> tuple[Tensor, Tensor]:
    """CT as `anonymi_bids.head.network.resampled` shows it: dark air, dark bone."""
    known = torch.as_tensor(signals("CT"))
    means = torch.zeros(N_CODES)
    means[: len(known)] = known + draw.uniform(-12.0, 12.0, len(known)).cpu()
    means[4] = draw.number(600.0, 1300.0)
    means = torch.as_tensor(np.interp(means.numpy(), CT_HU, CT_SHOWN), dtype=torch.float32)
    return means, torch.full((N_CODES,), 0.02)


def recoloured(signal: Tensor, draw: Draw) -> Tensor:
    """Pass a real scan through a random curve that keeps air dark."""
    high = torch.quantile(signal.flatten()[::37], 0.995).clamp_min(1e-6)
    image = (signal / high).clamp(0, 1.4)
    shape = tuple(image.shape)
    if draw.chance(0.35):
        knots = draw.uniform(0.05, 1.0, 7)
        knots[0] = 0.0
        place = (image.clamp(0, 0.999) * 6).clamp_min(0)
        low = place.long()
        part = place - low
        image = knots[low] * (1 - part) + knots[low + 1] * part
    elif draw.chance(0.5):
        image = image ** draw.number(0.6, 1.6)
    if draw.chance(0.5):
        image = image * torch.exp(draw.number(0, 0.4) * smooth_field(draw, (1, *shape), 45.0)[0])
    return image


def with_lesions(image: Tensor, scene: Scene, draw: Draw) -> Tensor:
    """Put blobs of another intensity into the brain: lesions, tumours, bleeding."""
    brain = torch.isin(scene.tissue, torch.tensor(BRAIN_CODES, device=image.device))
    shape = tuple(image.shape)
    field = smooth_field(draw, (1, *shape), draw.number(4.0, 14.0))[0]
    limit = draw.number(1.6, 2.6)
    return torch.where(brain & (field > limit), draw.number(0.0, 1.1), image)


def with_table(image: Tensor, scene: Scene, draw: Draw) -> Tensor:
    """Put a curved head holder behind the head."""
    x, y, _ = scene.atlas_mm
    distance = torch.sqrt(x**2 + (y - 20) ** 2) - draw.number(128.0, 150.0)
    thick = draw.number(3.0, 9.0)
    plate = (distance.abs() < thick / 2) & (y < draw.number(-60.0, -20.0)) & (scene.tissue == 0)
    return torch.where(plate, draw.number(0.1, 0.6), image)


def normalised(image: Tensor, view: Tensor) -> Tensor:
    """Scale as `anonymi_bids.head.network.normalise` does: 2nd to 99.5th percentile to 0 … 1."""
    inside = image[view].flatten()
    sample = inside[:: max(1, inside.numel() // 100_000)]
    low, high = torch.quantile(sample, torch.tensor([0.02, 0.995], device=image.device))
    scaled = ((image - low) / (high - low).clamp_min(1e-6)).clamp(0.0, 1.5)
    return torch.where(view, scaled, torch.zeros_like(scaled))


def coarser(image: Tensor, draw: Draw) -> Tensor:
    """Thick slices along one axis, or all axes coarse."""
    factors = [1, 1, 1]
    if draw.chance(0.35):
        factors[int(draw.number(0, 2.999))] = draw.choice((2, 2, 3, 3, 4))
    elif draw.chance(0.2):
        factors = [2, 2, 2]
    if factors == [1, 1, 1]:
        return image
    kernel = (factors[0], factors[1], factors[2])
    thick = functional.avg_pool3d(image[None, None], kernel, ceil_mode=True)
    mode = "nearest" if draw.chance(0.3) else "trilinear"
    options = {} if mode == "nearest" else {"align_corners": False}
    size = [n * f for n, f in zip(thick.shape[2:], factors, strict=True)]
    back = functional.interpolate(thick, size=size, mode=mode, **options)[0, 0]
    return back[: image.shape[0], : image.shape[1], : image.shape[2]]
