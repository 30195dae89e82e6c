"""Scores of the same and of different people: error rates, thresholds, posterior odds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[np.float64]

FALSE_ALARMS = (0.1, 0.01, 0.001)
"""Shares of strangers that may be taken for somebody, for open-set rates."""


def fmr(impostor: npt.ArrayLike, threshold: float) -> float:
    """Give the false match rate: share of different-person scores at or above a threshold."""
    return float((np.asarray(impostor, dtype=np.float64) >= threshold).mean())


def fnmr(genuine: npt.ArrayLike, threshold: float) -> float:
    """Give the false non-match rate: share of same-person scores below a threshold."""
    return float((np.asarray(genuine, dtype=np.float64) < threshold).mean())


def error_curve(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Both error rates at every score that occurs.

    Returns
    -------
    thresholds, fmr, fnmr : (t,) ndarray
        Sorted by rising threshold.
    """
    genuine = np.sort(np.asarray(genuine, dtype=np.float64))
    impostor = np.sort(np.asarray(impostor, dtype=np.float64))
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    false_match = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    false_miss = np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    return thresholds, false_match, false_miss


def equal_error_rate(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Mean of both error rates where they are closest (lowest such threshold)."""
    _, false_match, false_miss = error_curve(genuine, impostor)
    best = int(np.argmin(np.abs(false_match - false_miss)))
    return float((false_match[best] + false_miss[best]) / 2)


def auc(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> float:
    """Probability that a same-person score is above a different-person score, ties by half."""
    genuine = np.asarray(genuine, dtype=np.float64)
    impostor = np.sort(np.asarray(impostor, dtype=np.float64))
    below = np.searchsorted(impostor, genuine, side="left")
    up_to = np.searchsorted(impostor, genuine, side="right")
    return float(((below + up_to) / 2).mean() / len(impostor))


def d_prime(genuine: npt.ArrayLike, impostor: npt.ArrayLike, *, ddof: int = 1) -> float:
    """Distance of the two score distributions in units of their pooled standard deviation."""
    genuine = np.asarray(genuine, dtype=np.float64)
    impostor = np.asarray(impostor, dtype=np.float64)
    pooled = (genuine.var(ddof=ddof) + impostor.var(ddof=ddof)) / 2
    return float((genuine.mean() - impostor.mean()) / np.sqrt(pooled))


def gaussian_auc(separation: float) -> float:
    """AUC of two unit Gaussians `separation` apart."""
    return float(special.ndtr(separation / np.sqrt(2)))


def gaussian_eer(separation: float) -> float:
    """Equal error rate of two unit Gaussians `separation` apart."""
    return float(special.ndtr(-separation / 2))


def gaussian_threshold(separation: float, gallery: int) -> float:
    """Bayes threshold in a gallery: impostors N(0, 1), mates N(separation, 1).

    Solves g(t) = (N − 1) f(t); the crossing of the two densities is right for N = 2 only.
    """
    return separation / 2 + float(np.log(gallery - 1)) / separation


def fpir(false_match: float, gallery: int) -> float:
    """Share of searches of a stranger with some match, impostors taken as independent."""
    return float(-np.expm1(gallery * np.log1p(-false_match)))


@dataclass(frozen=True, slots=True)
class OpenSet:
    """Open-set rates at one threshold (FNIR is 1 − `tpir`)."""

    tpir: float
    fpir: float


def open_set(
    mated: npt.ArrayLike,
    mates: npt.ArrayLike,
    non_mated: npt.ArrayLike,
    threshold: float,
    *,
    rank: int = 1,
) -> OpenSet:
    """Open-set identification rates in the terms of NIST FRTE.

    Parameters
    ----------
    mated : (n, m) array_like
        Searches of people who are in the gallery; `mates` (n,) are their columns.
    non_mated : (k, m) array_like
        Searches of people who are not.
    """
    scores = np.asarray(mated, dtype=np.float64)
    own = scores[np.arange(len(scores)), np.asarray(mates, dtype=int)]
    better = (scores > own[:, None]).sum(axis=1)
    found = (better < rank) & (own >= threshold)
    false = (np.asarray(non_mated, dtype=np.float64) >= threshold).any(axis=1)
    return OpenSet(float(found.mean()), float(false.mean()))


def posterior(likelihood_ratio: float, gallery: int) -> float:
    """Probability that a named pair is one person, each of `gallery` people equally likely."""
    return likelihood_ratio / (likelihood_ratio + gallery - 1)


def ratio_for_posterior(probability: float, gallery: int) -> float:
    """Likelihood ratio that a named pair needs to be one person with this probability."""
    return probability / (1 - probability) * (gallery - 1)


def positive_predictive_value(true_match: float, false_match: float, prevalence: float) -> float:
    """Share of matches that are right."""
    right = true_match * prevalence
    return right / (right + false_match * (1 - prevalence))


def thinned_errors(genuine: npt.ArrayLike, impostor: npt.ArrayLike, points: int = 60) -> Array:
    """Both error rates at some thresholds, for a ROC or DET curve.

    Returns
    -------
    (k, 2) ndarray
        False match and false non-match rate, k ≤ 2 × `points`, from (1, 0) to (0, 1): evenly in
        the logarithm of the false match rate, and at each quantile of the false non-match rate.
    """
    _, false_match, false_miss = error_curve(genuine, impostor)
    curve = np.column_stack([np.append(false_match, 0.0), np.append(false_miss, 1.0)])
    positive = curve[curve[:, 0] > 0, 0]
    wanted = np.geomspace(positive.min(), 1, points)
    chosen = [int(np.abs(curve[:, 0] - rate).argmin()) for rate in wanted]
    chosen += [int(np.searchsorted(curve[:, 1], rate)) for rate in np.linspace(0, 1, points)]
    return np.asarray(curve[sorted({*chosen, 0, len(curve) - 1})])


def open_set_left_out(scores: npt.ArrayLike, allowed: float) -> OpenSet:
    """Open-set rates where each person is a stranger once: their own entry is left out.

    Parameters
    ----------
    scores : (n, n) array_like
        Entry i and searched person j; mates on the diagonal.
    allowed : float
        Share of strangers that may be taken for somebody: TPIR at this FPIR.

    Returns
    -------
    OpenSet
        At the lowest threshold that keeps to `allowed`; 0 means above every stranger. Rates
        finer than 3 / n cannot be resolved.
    """
    values = np.asarray(scores, dtype=np.float64)
    n = len(values)
    own = np.diag(values)
    strangers = np.where(np.eye(n, dtype=bool), -np.inf, values).max(axis=0)
    order = np.sort(strangers)[::-1]
    bar = order[int(np.floor(allowed * n + 1e-9))]
    found = (own > bar) & (own > strangers) & np.isfinite(own)
    return OpenSet(float(found.mean()), float((strangers > bar).mean()))


def likelihood_ratio(
    score: float, genuine: npt.ArrayLike, impostor: npt.ArrayLike, *, cap: float
) -> float:
    """Weigh how much more often same people than different people score like this.

    Densities by Gaussian kernels (Scott's rule); capped, because n people can show no more than
    that a score occurs less than about once among n.

    Parameters
    ----------
    score : float
    genuine, impostor : (k,), (m,) array_like
        At least two different values each.
    cap : float
        Number of people the impostors come from.
    """
    same, different = (stats.gaussian_kde(np.asarray(s, float)) for s in (genuine, impostor))
    above, below = float(same(score)[0]), float(different(score)[0])
    return float(min(cap, max(1 / cap, above / max(below, 1e-300))))
