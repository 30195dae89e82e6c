"""Seeded random numbers and smooth random fields on the training's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

T = TypeVar("T")


class Draw:
    """A seeded source of random numbers; small draws come from the CPU on every device."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._cpu = torch.Generator().manual_seed(seed)
        self._big = torch.Generator(device=device).manual_seed(seed)

    def number(self, low: float, high: float) -> float:
        """Draw one number, uniformly."""
        return low + (high - low) * float(torch.rand(1, generator=self._cpu))

    def chance(self, share: float) -> bool:
        """Tell whether something with this probability happens."""
        return float(torch.rand(1, generator=self._cpu)) < share

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of several."""
        return options[int(torch.randint(len(options), (1,), generator=self._cpu))]

    def uniform(self, low: float, high: float, shape: int | tuple[int, ...]) -> Tensor:
        """Draw a small tensor, uniformly."""
        size = (shape,) if isinstance(shape, int) else shape
        return (low + (high - low) * torch.rand(size, generator=self._cpu)).to(self.device)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Draw a large tensor from the standard normal distribution."""
        return torch.randn(shape, generator=self._big, device=self.device)


def smooth_field(draw: Draw, shape: tuple[int, ...], scale: float) -> Tensor:
    """Smooth random field, mean 0, standard deviation near 1.

    Parameters
    ----------
    draw : Draw
    shape : (C, I, J, K)
    scale : float
        Voxels over which it changes.
    """
    nodes = [max(2, round(n / scale) + 1) for n in shape[1:]]
    coarse = draw.normal((shape[0], *nodes)) * 1.5
    return functional.interpolate(
        coarse[None], size=shape[1:], mode="trilinear", align_corners=True
    )[0]


def blur(image: Tensor, sigma: float | Sequence[float]) -> Tensor:
    """Blur an (I, J, K) image by a Gaussian, in voxels."""
    sigmas = [sigma] * 3 if isinstance(sigma, float) else list(sigma)
    x = image[None, None]
    for axis, width in enumerate(sigmas):
        if width < 0.2:
            continue
        reach = max(1, int(2.5 * width + 0.5))
        taps = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (taps / width) ** 2)
        size = [1, 1, 1]
        size[axis] = 2 * reach + 1
        pad = [0, 0, 0]
        pad[axis] = reach
        kernel = (kernel / kernel.sum()).view(1, 1, *size)
        x = functional.conv3d(x, kernel, padding=tuple(pad))
    return x[0, 0]
