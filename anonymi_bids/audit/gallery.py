"""How a rate depends on the number of people searched.

Up to the people at hand the curve is exact; beyond, a model is needed and is never shown as more
than a dashed band, at most ten times as far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import integrate, special, stats

Array = npt.NDArray[np.float64]

FURTHEST = 10
"""No model is shown further than so many times the people at hand."""

TAIL_SHARE = 0.1
"""Share of the different-person scores that count as the tail."""

BINOMIAL = "independent impostors, tail by a generalised Pareto law"
LOGARITHMIC = "straight line over the logarithm of the people searched"
MODELS = (BINOMIAL, LOGARITHMIC)
"""Grother & Phillips 2004 (doi:10.1109/CVPR.2004.1315146) with each person's own impostors;
Friedman et al. 2022 (arXiv:1906.06272)."""


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


@dataclass(frozen=True, slots=True)
class Tail:
    """How often impostors score above high thresholds: a generalised Pareto law.

    Attributes
    ----------
    start : float
        Score where the tail begins.
    share : float
        Share of impostors above it.
    scale, shape : float
    """

    start: float
    share: float
    scale: float
    shape: float

    def above(self, values: npt.ArrayLike) -> Array:
        """Share of impostors above each value; only for values at or above `start`."""
        over = np.maximum(np.asarray(values, dtype=np.float64) - self.start, 0)
        if abs(self.shape) < 1e-9:
            return self.share * np.exp(-over / self.scale)
        inside = np.maximum(1 + self.shape * over / self.scale, 0)
        with np.errstate(divide="ignore"):
            return np.asarray(self.share * inside ** (-1 / self.shape))


def fit_tail(impostors: npt.ArrayLike, *, share: float = TAIL_SHARE) -> Tail:
    """Fit a generalised Pareto law to the highest impostor scores.

    By probability-weighted moments (doi:10.1080/00401706.1987.10488243): in closed form, and
    steadier than maximum likelihood for some tens of scores.

    Parameters
    ----------
    impostors : (k,) array_like
        At least 20 finite scores.

    Raises
    ------
    ValueError
        If there are fewer.
    """
    values = np.sort(np.asarray(impostors, dtype=np.float64))
    if len(values) < 20:
        raise ValueError(f"{len(values)} impostor scores have no tail; at least 20 are needed.")
    count = max(2, round(share * len(values)))
    start = float(values[-count - 1])
    over = values[-count:] - start
    weights = (np.arange(count, 0, -1) - 0.65) / count
    mean, weighted = float(over.mean()), float((weights * over).mean())
    if mean - 2 * weighted <= 1e-12:  # all scores of the tail are the same
        return Tail(start, count / len(values), max(mean, 1e-12), 0.0)
    shape = 2 - mean / (mean - 2 * weighted)
    scale = 2 * mean * weighted / (mean - 2 * weighted)
    return Tail(start, count / len(values), scale, shape)


def share_above(values: npt.ArrayLike, impostors: npt.ArrayLike) -> Array:
    """Share of impostors above each value: counted up to the tail, by `fit_tail` within it.

    Parameters
    ----------
    values : (n,) array_like
    impostors : (k,) array_like

    Returns
    -------
    (n,) ndarray
    """
    values = np.asarray(values, dtype=np.float64)
    ordered = np.sort(np.asarray(impostors, dtype=np.float64))
    tail = fit_tail(ordered)
    counted = 1 - np.searchsorted(ordered, values, side="left") / len(ordered)
    return np.where(values > tail.start, tail.above(values), counted)


def standardised(scores: npt.ArrayLike) -> Array:
    """Scores in units of each known person's own impostors, so that they can be pooled.

    Parameters
    ----------
    scores : (n, n) array_like
        Released person i and known person j; mates on the diagonal.

    Returns
    -------
    (n, n) ndarray
        Each column less the mean, over the standard deviation, of its off-diagonal entries.
    """
    values = np.asarray(scores, dtype=np.float64)
    apart = ~np.eye(len(values), dtype=bool) & np.isfinite(values)
    count = np.maximum(apart.sum(axis=0), 1)
    mean = np.where(apart, values, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(apart, values - mean, 0) ** 2).sum(axis=0) / count)
    return np.asarray((values - mean) / np.maximum(spread, 1e-12))


def binomial_rank1(above: npt.ArrayLike, sizes: npt.ArrayLike) -> Array:
    """Rank-1 rate if all impostors are drawn independently of each other.

    Parameters
    ----------
    above : (n,) array_like
        Share of impostors that score above each person's mate.
    sizes : (k,) array_like of int

    Returns
    -------
    (k,) ndarray
        Mean over people of (1 − share)^(size − 1).
    """
    kept = 1 - np.clip(np.asarray(above, dtype=np.float64), 0, 1)
    powers = np.asarray(sizes, dtype=np.float64)[:, None] - 1
    return np.asarray((kept[None, :] ** powers).mean(axis=1))


def logarithmic_rank1(sizes: npt.ArrayLike, rates: npt.ArrayLike, wanted: npt.ArrayLike) -> Array:
    """Continue the exact curve as a + b log(size), kept between guessing and 1.

    Parameters
    ----------
    sizes, rates : (k,) array_like
        At least two gallery sizes, and the rank-1 rates there.
    wanted : (m,) array_like
        Sizes to continue to.
    """
    slope, base = np.polyfit(np.log(np.asarray(sizes, dtype=np.float64)), np.asarray(rates), 1)
    wanted = np.asarray(wanted, dtype=np.float64)
    return np.asarray(np.clip(base + slope * np.log(wanted), 1 / wanted, 1))


def sizes_beyond(n: int) -> list[int]:
    """Gallery sizes from `n` to ten times as many."""
    return sorted({int(size) for size in np.geomspace(n, FURTHEST * n, 6).round()})


def beyond(
    scores: npt.ArrayLike, ranks: npt.ArrayLike, rng: np.random.Generator, *, rounds: int = 200
) -> list[tuple[str, Array, Array]]:
    """Continue the rank-1 curve by two models, with 95 % bands by bootstrap over people.

    Neither model is the truth: the first takes impostors for independent, and its tail is learnt
    on the few scores at hand; the second has no reason but that curves tend to look like it, and
    is fitted to the upper part of the exact curve. With 20 to 150 people and impostors that *are*
    independent, both are off by up to 0.15 at ten times the people.

    Parameters
    ----------
    scores : (n, n) array_like
        Released person i and known person j, n ≥ 6.
    ranks : (n,) array_like
        Rank of each known person's mate among all n.

    Returns
    -------
    list of (model, rates, bands)
        ``rates`` (m,) and ``bands`` (m, 2) at `sizes_beyond`.
    """
    n = len(np.asarray(ranks))
    far, near = sizes_beyond(n), np.unique(np.geomspace(max(2, n / 8), n, 8).round().astype(int))
    values = standardised(scores)
    better = np.ceil(np.minimum(ranks, n)).astype(int) - 1
    exact = stats.hypergeom.cdf(0, n - 1, better[:, None], near[None, :] - 1)
    whole = np.arange(n)
    drawn = [whole, *(rng.integers(0, n, n) for _ in range(rounds))]
    binomial = np.array([_binomial_of(values, people, far) for people in drawn])
    line = np.array([logarithmic_rank1(near, exact[people].mean(axis=0), far) for people in drawn])
    return [
        (model, rates[0], np.nanpercentile(rates[1:], (2.5, 97.5), axis=0).T)
        for model, rates in zip(MODELS, (binomial, line), strict=True)
    ]


def _binomial_of(values: Array, people: npt.NDArray[np.int64], sizes: list[int]) -> Array:
    """Rank-1 of some people by the first model; doubles of a drawn person are no impostors."""
    chosen = np.unique(people)
    block = values[np.ix_(chosen, chosen)]
    apart = ~np.eye(len(chosen), dtype=bool) & np.isfinite(block)
    own = np.diag(values)[people]
    lost = ~np.isfinite(own)
    if apart.sum() < 20:
        return np.full(len(sizes), np.nan)
    above = share_above(np.where(lost, 0, own), block[apart])
    return binomial_rank1(np.where(lost, 1.0, above), sizes)
