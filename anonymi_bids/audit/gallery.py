"""How a rate depends on the number of people searched.

Up to the people at hand the curve is exact; beyond, a model is needed and is never shown as more
than a dashed band, at most ten times as far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import integrate, special, stats

Array = npt.NDArray[np.float64]


def rank_k_at_size(ranks: npt.ArrayLike, n: int, size: int, *, k: int = 1) -> float:
    """Give the expected rank-k rate in a random gallery of `size` from the `n` people at hand.

    Parameters
    ----------
    ranks : (p,) array_like
        Rank of each probe's mate in the whole gallery of `n`.
    n, size : int
        1 ≤ size ≤ n. No assumption but that people are exchangeable.
    """
    if not 1 <= size <= n:
        raise ValueError(f"A gallery of {size} cannot be drawn from {n} people.")
    if size <= k:
        return 1.0
    better = np.ceil(np.asarray(ranks, dtype=np.float64)).astype(int) - 1
    return float(stats.hypergeom.cdf(k - 1, n - 1, better, size - 1).mean())


def rank1_curve(ranks: npt.ArrayLike, n: int, sizes: npt.ArrayLike) -> Array:
    """Rank-1 rate for several gallery sizes up to `n`."""
    return np.array([rank_k_at_size(ranks, n, int(size)) for size in np.asarray(sizes)])


def independent_rank1(false_match: float, size: int) -> float:
    """Chance that no one of ``size − 1`` independent impostors matches."""
    return float(np.exp((size - 1) * np.log1p(-false_match)))


def gaussian_rank1(separation: float, size: int) -> float:
    """Rank-1 rate when impostors are N(0, 1) and mates N(separation, 1), all independent."""

    def integrand(x: float) -> float:
        mate = np.exp(-0.5 * (x - separation) ** 2) / np.sqrt(2 * np.pi)
        return float(mate * np.exp((size - 1) * special.log_ndtr(x)))

    value, _ = integrate.quad(
        integrand, separation - 12, separation + 12, limit=400, points=[separation]
    )
    return float(value)
