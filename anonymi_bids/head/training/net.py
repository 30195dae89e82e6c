"""The network: a small U-Net that sees 2 mm and thinks at 4 mm.

Eight neighbouring voxels of 2 mm become eight channels of one voxel of 4 mm, and the other way
round at the end (Shi et al. 2016, doi:10.1109/CVPR.2016.207), so that edges keep their place at an
eighth of the cost. The rest is a U-Net (Çiçek et al. 2016, doi:10.1007/978-3-319-46723-8_49) with
instance norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anonymi_bids.head.network import CLASSES, LANDMARKS, REGIONS

N_FINE = len(CLASSES) + len(REGIONS)
SUB = 8


class Block(nn.Sequential):
    """Two convolutions, each with instance norm and a leaky rectifier."""

    def __init__(self, before: int, after: int) -> None:
        layers: list[nn.Module] = []
        for channels in (before, after):
            layers += [
                nn.Conv3d(channels, after, 3, padding=1, bias=False),
                nn.InstanceNorm3d(after, affine=True),
                nn.LeakyReLU(0.01, inplace=True),
            ]
        super().__init__(*layers)


class HeadNet(nn.Module):
    """From a scan on the 2 mm grid to classes, regions, atlas coordinates and landmarks.

    What is fine and what is wide is read from its own layer: 80 fine answers per voxel of 4 mm
    from 16 shared channels left bone and ears blurred (measured: bone at Dice 0.27).

    Parameters
    ----------
    width : int
        Channels at 4 mm; they double with each of the `depth` steps down.
    depth : int
    """

    def __init__(self, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.width, self.depth = width, depth
        self.down = nn.ModuleList(
            Block(SUB if level == 0 else widths[level - 1], widths[level])
            for level in range(depth + 1)
        )
        self.up = nn.ModuleList(
            Block(widths[level] + widths[level + 1], widths[level]) for level in range(depth)
        )
        self.detail = nn.Conv3d(width + SUB, 4 * width, 3, padding=1)
        self.fine = nn.Conv3d(4 * width, N_FINE * SUB, 1)
        self.wide = Block(widths[1], widths[1])
        self.place = nn.Conv3d(widths[1], 3, 1)
        self.landmark = nn.Conv3d(width + widths[1], len(LANDMARKS), 1)

    def forward(self, scan: Tensor, rows: slice | None = None) -> tuple[Tensor, Tensor]:
        """Run the network.

        Parameters
        ----------
        scan : (N, 1, I, J, K) Tensor
            Edges divisible by ``2 · 2**depth``.
        rows : slice, optional
            Give the fine answer only for these voxels of 4 mm along x: a training step need not
            be told off for every voxel.

        Returns
        -------
        fine : (N, 10, I, J, K) Tensor
            Logits of 7 classes and 3 regions.
        coarse : (N, 10, I/2, J/2, K/2) Tensor
            Atlas coordinates in units of 100 mm, and logits of 7 landmarks.
        """
        seen = gather(scan)
        x = seen
        kept = []
        for level, block in enumerate(self.down):
            if level:
                x = nn.functional.max_pool3d(x, 2)
            x = block(x)
            kept.append(x)
        for level in reversed(range(1, self.depth)):
            x = self.up[level](torch.cat([kept[level], doubled(x)], dim=1))
        wide = self.wide(x)
        x = self.up[0](torch.cat([kept[0], doubled(x)], dim=1))
        place = nn.functional.interpolate(self.place(wide), scale_factor=2.0, mode="trilinear")
        landmark = self.landmark(torch.cat([x, doubled(wide)], dim=1))
        fine = self._fine(torch.cat([x, seen], dim=1), rows)
        return fine, torch.cat([place, landmark], dim=1)

    def _fine(self, x: Tensor, rows: slice | None) -> Tensor:
        """Fine answer, for some rows with their neighbours in sight."""
        if rows is None:
            return spread(self.fine(nn.functional.leaky_relu(self.detail(x), 0.01)))
        start = max(0, rows.start - 1)
        hidden = self.detail(x[:, :, start : rows.stop + 1])
        hidden = hidden[:, :, rows.start - start :][:, :, : rows.stop - rows.start]
        return spread(self.fine(nn.functional.leaky_relu(hidden, 0.01)))


def doubled(x: Tensor) -> Tensor:
    """Repeat every voxel along each axis."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")


def gather(scan: Tensor) -> Tensor:
    """Turn 2 × 2 × 2 voxels into channels: (N, 1, I, J, K) → (N, 8, I/2, J/2, K/2)."""
    n, _, i, j, k = scan.shape
    x = scan.reshape(n, i // 2, 2, j // 2, 2, k // 2, 2)
    return x.permute(0, 2, 4, 6, 1, 3, 5).reshape(n, SUB, i // 2, j // 2, k // 2)


def spread(x: Tensor) -> Tensor:
    """Turn channels into 2 × 2 × 2 voxels: (N, 8·C, I, J, K) → (N, C, 2I, 2J, 2K)."""
    n, channels, i, j, k = x.shape
    x = x.reshape(n, channels // SUB, 2, 2, 2, i, j, k)
    return x.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, channels // SUB, 2 * i, 2 * j, 2 * k)
