"""Negative controls by permuted labels, and bootstrap over people."""

from __future__ import annotations

from math import factorial

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_BLOCK = 4_000_000


def fixed_points_tail(n: int, at_least: int) -> float:
    """Probability that a random permutation of `n` keeps at least so many in their place."""
    exactly = [
        sum((-1) ** j / factorial(j) for j in range(n - k + 1)) / factorial(k)
        for k in range(min(at_least, n + 1))
    ]
    return max(0.0, 1 - sum(exactly))


def permuted_hits(
    hits: npt.NDArray[np.bool_], rounds: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Hits of an attack when the people's names are shuffled.

    Parameters
    ----------
    hits : (n, m) bool ndarray
        ``hits[i, j]``: the attack on person i names gallery person j first.
    rounds : int
        Number of permutations (at least 1999 for a report).

    Returns
    -------
    (rounds,) int ndarray
        People "recognised" under each permutation of the gallery's names.
    """
    n, m = hits.shape
    rows = np.arange(n)
    return np.array(
        [int(hits[rows, rng.permutation(m)[:n]].sum()) for _ in range(rounds)], dtype=np.int64
    )


def permutation_p(observed: float, permuted: npt.ArrayLike) -> float:
    """Exact permutation p-value, (1 + #{T* ≥ T}) / (1 + B) (doi:10.2202/1544-6115.1585)."""
    permuted = np.asarray(permuted)
    return float((1 + (permuted >= observed).sum()) / (1 + len(permuted)))


def bootstrap_people(
    scores: npt.ArrayLike, rounds: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Rank-1 rate under resampling of people (row and column together).

    Pairs whose two copies are one person are dropped, or doubles would be perfect impostors. It
    says nothing at no hit or all hits: use Clopper–Pearson there.

    Parameters
    ----------
    scores : (n, n) array_like
        Mates on the diagonal.

    Returns
    -------
    (rounds,) float64 ndarray
    """
    scores = np.asarray(scores, dtype=np.float64)
    n = len(scores)
    own = np.diag(scores)
    better = (scores >= own[:, None]) & ~np.eye(n, dtype=bool)
    better |= ~np.isfinite(own)[:, None]
    result = np.empty(rounds)
    step = max(1, _BLOCK // n)
    for start in range(0, rounds, step):
        count = min(step, rounds - start)
        drawn = rng.integers(0, n, (count, n))
        weights = np.zeros((count, n), dtype=np.float32)
        np.add.at(weights, (np.arange(count)[:, None], drawn), 1)
        # A person is missed if anybody better was drawn too.
        missed = (weights > 0).astype(np.float32) @ better.T.astype(np.float32) > 0
        result[start : start + count] = (weights * ~missed).sum(axis=1) / n
    return result
