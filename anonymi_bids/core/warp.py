"""Smooth maps of space through matched points."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import distance

Floats = npt.NDArray[np.float64]

_CHUNK = 1024


class BiharmonicMap:
    """Biharmonic spline in space with an affine part, through (or near) matched points.

    The kernel -r is the Green's function of the biharmonic equation in three dimensions, so the
    map bends as little as it can (Duchon 1977, doi:10.1007/BFb0086566). The affine part carries
    size and shear, so the map stays sensible far from the points.

    Parameters
    ----------
    source, target : (n, 3) ndarray
        Matched points, mm.
    smoothing : float
        0 passes through the points; larger values bend less.
    """

    def __init__(self, source: Floats, target: Floats, *, smoothing: float = 0.0):
        self._centre, self._scale = source.mean(axis=0), float(source.std())
        self._nodes = (source - self._centre) / self._scale
        n = len(source)
        system = np.zeros((n + 4, n + 4))
        system[:n, :n] = -distance.cdist(self._nodes, self._nodes)
        system[np.arange(n), np.arange(n)] += smoothing / self._scale
        system[:n, n] = system[n, :n] = 1
        system[:n, n + 1 :] = self._nodes
        system[n + 1 :, :n] = self._nodes.T
        solved = np.linalg.solve(system, np.concatenate([target, np.zeros((4, 3))]))
        self._weights, self._affine = solved[:n], solved[n:]
        self._squares = (self._nodes**2).sum(axis=1)

    def __call__(self, points: Floats) -> Floats:
        """Map points, (m, 3) mm."""
        scaled = (points - self._centre) / self._scale
        moved = self._affine[0] + scaled @ self._affine[1:]
        for start in range(0, len(points), _CHUNK):
            part = scaled[start : start + _CHUNK]
            apart = part @ (-2 * self._nodes.T)
            apart += (part**2).sum(axis=1)[:, None]
            apart += self._squares
            np.maximum(apart, 0, out=apart)
            np.sqrt(apart, out=apart)
            moved[start : start + _CHUNK] -= apart @ self._weights
        return moved
