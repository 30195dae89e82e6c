"""Rates of hits, their exact intervals, and what guessing would give.

The unit is the person, never the image or the pair. Decisions use Clopper–Pearson bounds; plots
may use Wilson's. Worked examples are in ``tests/audit/test_rates.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """Hits among people, with exact bounds.

    Attributes
    ----------
    hits, n : int
        People recognised, people attacked.
    value : float
        ``hits / n``; NaN for ``n`` = 0.
    low, high : float
        Two-sided 95 % Clopper–Pearson interval.
    upper95 : float
        One-sided 95 % Clopper–Pearson upper bound: the verdict rests on it.
    """

    hits: int
    n: int
    value: float
    low: float
    high: float
    upper95: float


def rate(hits: int, n: int) -> Rate:
    """Put hits among people together with their exact bounds.

    With ``n`` = 0 nothing is known: the interval is 0 to 1.
    """
    if n == 0:
        return Rate(0, 0, math.nan, 0.0, 1.0, 1.0)
    low, high = clopper_pearson(hits, n)
    return Rate(hits, n, hits / n, low, high, upper_bound(hits, n))


def _check_counts(hits: int, n: int) -> None:
    if n < 1 or not 0 <= hits <= n:
        raise ValueError(f"{hits} hits among {n} people cannot be; 0 ≤ hits ≤ n and n ≥ 1.")


def clopper_pearson(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval of a binomial rate (doi:10.1093/biomet/26.4.404).

    Returns
    -------
    low, high : float
    """
    _check_counts(hits, n)
    alpha = 1 - confidence
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, alpha / 2))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1 - alpha / 2))
    return low, high


def upper_bound(hits: int, n: int, *, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a binomial rate."""
    _check_counts(hits, n)
    return 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, confidence))


def wilson(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial rate (doi:10.1080/01621459.1927.10502953)."""
    _check_counts(hits, n)
    z = float(special.ndtri(0.5 + confidence / 2))
    p = hits / n
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def rule_of_three(n: int, *, confidence: float = 0.95) -> float:
    """Upper bound of a rate after no hit among `n` people, 1 − (1 − c)^(1/n), about 3/n."""
    _check_counts(0, n)
    return float(1 - (1 - confidence) ** (1 / n))


def excess_risk(attack: float, chance: float) -> float:
    """Share of the way from guessing to certainty that an attack covers.

    As in Anonymeter (doi:10.56553/popets-2023-0055): (attack − chance) / (1 − chance).
    """
    return 1.0 if chance >= 1 else (attack - chance) / (1 - chance)


def people_for_no_hit(limit: float, *, confidence: float = 0.95) -> int:
    """Fewest people among whom no hit shows that the rate is at most `limit`."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-limit) - 1e-12)


def people_for_hits(
    hits: int, limit: float, *, confidence: float = 0.95, two_sided: bool = False
) -> int:
    """Fewest people among whom `hits` hits still show that the rate is at most `limit`."""
    level = 0.5 + confidence / 2 if two_sided else confidence
    n = max(hits + 1, people_for_no_hit(limit, confidence=level))
    while upper_bound(hits, n, confidence=level) > limit:
        n += 1
    return n


def people_for_control(limit: float, *, confidence: float = 0.95) -> int:
    """Fewest people who, all found, show a rate of at least `limit` (two-sided bound)."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(limit) - 1e-12)


def ranks(scores: npt.ArrayLike, mates: npt.ArrayLike) -> tuple[Array, npt.NDArray[np.int64]]:
    """Rank of each probe's mate in a closed gallery.

    Parameters
    ----------
    scores : (n, m) array_like
        Similarity of probe i and gallery entry j; −inf for a pair that may not be compared.
    mates : (n,) array_like of int
        Gallery index of each probe's own person.

    Returns
    -------
    ranks : (n,) ndarray
        1 + number of others that score higher + half of those that score the same.
    ties : (n,) int ndarray
        Others that score the same as the mate.
    """
    scores = np.asarray(scores, dtype=np.float64)
    own = scores[np.arange(len(scores)), np.asarray(mates, dtype=int)][:, None]
    higher = (scores > own).sum(axis=1)
    ties = (scores == own).sum(axis=1) - 1
    return 1 + higher + ties / 2, ties.astype(np.int64)


def hit_probability(ranks_: npt.ArrayLike, ties: npt.ArrayLike) -> Array:
    """Chance that each probe's mate comes first when ties are broken by lot, (n,)."""
    higher = np.asarray(ranks_) - 1 - np.asarray(ties) / 2
    result: Array = np.where(higher == 0, 1 / (1 + np.asarray(ties, dtype=float)), 0.0)
    return result


def cmc(ranks_: npt.ArrayLike, size: int) -> Array:
    """Cumulative match characteristic: share of probes with rank ≤ k for k = 1 … size."""
    values = np.asarray(ranks_, dtype=np.float64)
    return np.array([(values <= k).mean() for k in range(1, size + 1)])


def mean_reciprocal_rank(ranks_: npt.ArrayLike) -> float:
    """Mean of 1/rank."""
    return float((1 / np.asarray(ranks_, dtype=np.float64)).mean())


def chance_reciprocal_rank(size: int) -> float:
    """Mean reciprocal rank of guessing in a gallery of `size`."""
    return float((1 / np.arange(1, size + 1)).mean())


def pairs(n: int) -> int:
    """Count the unordered pairs among `n` people."""
    return n * (n - 1) // 2


def guessed_hits_tail(n: int, at_least: int) -> float:
    """Probability of at least so many hits when each of `n` probes guesses on its own."""
    return float(stats.binom.sf(at_least - 1, n, 1 / n))


@dataclass(frozen=True, slots=True)
class McNemar:
    """Tests whether two methods differ on the same people."""

    exact: float
    mid_p: float
    chi2: float
    chi2_corrected: float


def mcnemar(only_a: int, only_b: int) -> McNemar:
    """Compare two methods by the people whom only one of them protects.

    Parameters
    ----------
    only_a, only_b : int
        Discordant counts; at least one person in all.
    """
    total = only_a + only_b
    if total == 0:
        return McNemar(1.0, 1.0, 0.0, 0.0)
    fewer = min(only_a, only_b)
    binomial = stats.binom(total, 0.5)
    exact = min(1.0, 2 * float(binomial.cdf(fewer)))
    mid = min(1.0, 2 * float(binomial.cdf(fewer)) - float(binomial.pmf(fewer)))
    apart = abs(only_a - only_b)
    return McNemar(exact, mid, apart**2 / total, max(0, apart - 1) ** 2 / total)
