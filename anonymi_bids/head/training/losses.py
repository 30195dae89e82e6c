"""What the network is told off for; unknown labels cost nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from anonymi_bids.head.network import CLASSES, LANDMARKS, REGIONS

N_CLASSES = len(CLASSES)
CLASS_WEIGHTS = (1.0, 1.0, 1.5, 2.0, 4.0, 1.0, 1.5)
"""Weight of each class in the cross-entropy."""
HEAT_VOXELS = 1.2
"""Width of a landmark's target on the coarse grid, voxels."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One random scan with its truth, on the network's grid.

    Attributes
    ----------
    scan : (1, 1, I, J, K) Tensor
    allowed : (I, J, K) uint8 Tensor
        Classes that a voxel may be, as bits.
    regions : (3, I, J, K) float Tensor
    coordinates : (3, I/2, J/2, K/2) Tensor
        Atlas coordinates, units of 100 mm.
    located : (I/2, J/2, K/2) float Tensor
        1 where they count.
    landmarks : (7, 3) Tensor
        Coarse voxels.
    present : (7,) bool Tensor
    """

    scan: Tensor
    allowed: Tensor
    regions: Tensor
    coordinates: Tensor
    located: Tensor
    landmarks: Tensor
    present: Tensor

    def cut(self, rows: slice) -> Sample:
        """Keep the fine truth of some coarse rows along x only."""
        fine = slice(2 * rows.start, 2 * rows.stop)
        return replace(self, allowed=self.allowed[fine], regions=self.regions[:, fine])


def total_loss(fine: Tensor, coarse: Tensor, sample: Sample) -> tuple[Tensor, dict[str, float]]:
    """Sum all parts of the loss; returns it and the parts."""
    log_classes = functional.log_softmax(fine[0, :N_CLASSES].float(), dim=0)
    parts = {
        "class": class_loss(log_classes, sample.allowed),
        "dice": class_dice(log_classes, sample.allowed),
        "region": region_loss(fine[0, N_CLASSES:].float(), sample.regions),
        "place": place_loss(coarse[0, :3].float(), sample),
        "landmark": landmark_loss(coarse[0, 3:].float(), sample),
    }
    weights = {"class": 1.0, "dice": 1.0, "region": 1.0, "place": 4.0, "landmark": 0.1}
    total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}


def class_loss(log_classes: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy against the sum of all allowed classes."""
    sums, weights = [], []
    for bits in torch.unique(allowed).tolist():
        numbers = [n for n in range(N_CLASSES) if bits >> n & 1]
        here = allowed == bits
        if not numbers or len(numbers) == N_CLASSES:
            continue
        found = torch.logsumexp(torch.stack([log_classes[n][here] for n in numbers]), dim=0)
        weight = sum(CLASS_WEIGHTS[n] for n in numbers) / len(numbers)
        sums.append(-weight * found.sum())
        weights.append(weight * found.numel())
    return torch.stack(sums).sum() / sum(weights)


def class_dice(log_classes: Tensor, allowed: Tensor) -> Tensor:
    """Soft Dice of each class that is known somewhere, over voxels where it is known."""
    losses = []
    for number in range(1, N_CLASSES):
        bit = 1 << number
        sure = allowed == bit
        if int(sure.sum()) < 40:
            continue
        known = sure | ((allowed & bit) == 0)
        share = log_classes[number].exp() * known
        overlap = (share * sure).sum()
        losses.append(1 - (2 * overlap + 1) / (share.sum() + sure.sum() + 1))
    return torch.stack(losses).mean() if losses else log_classes.sum() * 0


def region_loss(logits: Tensor, regions: Tensor) -> Tensor:
    """Binary cross-entropy, and soft Dice where a region is present."""
    loss = functional.binary_cross_entropy_with_logits(logits, regions) * 4
    for number in range(len(REGIONS)):
        if float(regions[number].sum()) > 40:
            share = torch.sigmoid(logits[number])
            overlap = (share * regions[number]).sum()
            dice = (2 * overlap + 1) / (share.sum() + regions[number].sum() + 1)
            loss = loss + (1 - dice) / len(REGIONS)
    return loss


def place_loss(coordinates: Tensor, sample: Sample) -> Tensor:
    """Mean absolute error of the atlas coordinates over located voxels, units of 100 mm."""
    apart = (coordinates - sample.coordinates).abs().sum(dim=0) * sample.located
    return apart.sum() / (sample.located.sum() + 1)


def landmark_loss(logits: Tensor, sample: Sample) -> Tensor:
    """Cross-entropy of each present landmark against a small blob, over all voxels."""
    losses = [logits.sum() * 0]
    shape = logits.shape[1:]
    axes = [torch.arange(n, device=logits.device, dtype=torch.float32) for n in shape]
    for number in range(len(LANDMARKS)):
        if not bool(sample.present[number]):
            continue
        lines = [
            torch.exp(-0.5 * ((axis - sample.landmarks[number, d]) / HEAT_VOXELS) ** 2)
            for d, axis in enumerate(axes)
        ]
        blob = lines[0][:, None, None] * lines[1][None, :, None] * lines[2][None, None, :]
        blob = blob / blob.sum().clamp_min(1e-6)
        shares = functional.log_softmax(logits[number].flatten(), 0).view(shape)
        losses.append(-(blob * shares).sum())
    return torch.stack(losses).sum() / len(LANDMARKS)
