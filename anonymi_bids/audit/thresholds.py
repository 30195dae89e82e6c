"""From which score on two scans look like one person, and how often strangers get there.

Two ways, because each fails where the other holds: the crossing of the densities of same-person
and different-person scores needs true repeats; the tail of the different-person scores needs many
different people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from anonymi_bids.audit.scores import auc

Array = npt.NDArray[np.float64]

FEWEST_GENUINE = 3
"""Same-person scores from which on their density is estimated."""

FEWEST_EXCESSES = 10
"""Scores of different people beyond the tail's start that a fit needs."""

TAIL_SHARE, WIDEST_TAIL, WANTED_EXCESSES = 0.05, 0.2, 20
"""The upper 5 % are the tail; up to 20 % where that would be fewer than 20 scores."""

FALSE_PAIRS = 0.05
"""The tail's threshold lets so many false pairs through among all pairs compared."""

WELL_APART = 0.95
"""Area under the curve from which on same-person and different-person scores are two heaps."""

MOST_MIXED_UP = 0.25

_GRID = 2000
_BINS = 1000
FEWEST_PAIRS = 20
"""Pairs between two datasets from which on their spread is believed."""

_FLAT = 1e-3
_MAD_OF_NORMAL = 0.6745


@dataclass(frozen=True, slots=True)
class Tail:
    """Upper tail of different-person scores: a generalised Pareto law beyond `start`.

    Attributes
    ----------
    start : float
    share : float
        Share of scores beyond `start`.
    scale, shape : float
        ``shape`` is never below 0: the tail is never taken to end.
    n : int
        Scores beyond `start` that were fitted.
    """

    start: float
    share: float
    scale: float
    shape: float
    n: int

    def false_match(self, threshold: float) -> float:
        """Share of different-person scores at or above a threshold that lies in the tail."""
        beyond = max(0.0, threshold - self.start) / self.scale
        if self.shape < _FLAT:
            return self.share * float(np.exp(-beyond))
        return self.share * float((1 + self.shape * beyond) ** (-1 / self.shape))

    def threshold(self, false_match: float) -> float:
        """Score that a share `false_match` of different-person scores reaches."""
        odds = self.share / false_match
        if odds <= 1:
            return self.start
        if self.shape < _FLAT:
            return self.start + self.scale * float(np.log(odds))
        return self.start + self.scale / self.shape * float(odds**self.shape - 1)


def fit_tail(impostors: npt.ArrayLike) -> Tail | None:
    """Fit the upper tail of different-person scores.

    Probability-weighted moments (Hosking and Wallis 1987, doi:10.1080/00401706.1987.10488243) of
    the excesses over the 95th percentile (`TAIL_SHARE`). Correlations cannot exceed 1, so their
    tail ends somewhere; where, nobody knows, so an end that the fit finds is not believed
    (shape ≥ 0).

    Parameters
    ----------
    impostors : (k,) array_like

    Returns
    -------
    Tail or None
        None for too few scores, or if they do not differ.
    """
    values = np.sort(np.asarray(impostors, dtype=np.float64))
    if values.size == 0:
        return None
    share = min(WIDEST_TAIL, max(TAIL_SHARE, WANTED_EXCESSES / values.size))
    start = float(np.quantile(values, 1 - share))
    excess = values[values > start] - start
    n = len(excess)
    if n < FEWEST_EXCESSES:
        return None
    mean = float(excess.mean())
    # First probability-weighted moment, E[Y (1 − F(Y))], the unbiased estimator.
    weighted = float((excess * (np.arange(n)[::-1] / (n - 1))).mean())
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else 0.0
    if shape <= 0:
        return Tail(start, n / len(values), mean, 0.0, n)
    shape = min(shape, 0.9)
    return Tail(start, n / len(values), mean * (1 - shape), shape, n)


def crossing(genuine: npt.ArrayLike, impostors: npt.ArrayLike, gallery: int = 2) -> float | None:
    """Score at which a pair is as likely one person as two, by kernel density estimates.

    Solves g(t) = (N − 1) f(t): of N people in a gallery one at most is the right one, so the plain
    crossing g = f is right for N = 2 only. The first crossing above the middle of the impostors is
    taken: a person hidden twice among the "different" ones lifts f far above it, and must not lift
    the threshold. Nor may a few mixed-up labels lower it (`MOST_MIXED_UP`).

    Parameters
    ----------
    genuine, impostors : (g,), (k,) array_like
        Scores of one person, and of different people.
    gallery : int
        N ≥ 2.

    Returns
    -------
    float or None
        None for too few scores, or if the two do not separate.
    """
    same = _without_mix_ups(np.asarray(genuine, dtype=np.float64), impostors)
    other = np.asarray(impostors, dtype=np.float64)
    if len(same) < FEWEST_GENUINE or len(other) < FEWEST_GENUINE:
        return None
    low, high = float(np.median(other)), float(same.max())
    if float(np.median(same)) <= low:
        return None
    grid = np.linspace(low, high, _GRID)
    lead = _log_density(same, grid) - _log_density(other, grid) - np.log(max(1, gallery - 1))
    above = np.flatnonzero(lead > 0)
    return float(grid[above[0]]) if above.size else None


def _without_mix_ups(same: Array, impostors: npt.ArrayLike) -> Array:
    """Leave out a few same-person scores that are nearer to strangers: their labels may be wrong.

    Where they are many the two heaps overlap, and nothing is left out.
    """
    if not len(same) or not np.size(impostors):
        return same
    near = same > (np.median(same) + np.median(np.asarray(impostors))) / 2
    return same[near] if (~near).mean() <= MOST_MIXED_UP else same


def _log_density(scores: Array, grid: Array) -> Array:
    """Log of a Gaussian kernel density at each grid point, exact in the far tails too."""
    width = _bandwidth(scores)
    counts, edges = np.histogram(scores, _BINS)
    points, weights = (edges[:-1] + edges[1:]) / 2, counts.astype(np.float64)
    if len(scores) <= _BINS:
        points, weights = scores, np.ones(len(scores))
    used = weights > 0
    terms = -0.5 * ((grid[:, None] - points[None, used]) / width) ** 2 + np.log(weights[used])
    log_total: Array = special.logsumexp(terms, axis=1)
    return log_total - np.log(len(scores) * width * np.sqrt(2 * np.pi))


def _bandwidth(scores: Array) -> float:
    """Silverman's rule with the smaller of two spreads, so that outliers do not widen it."""
    quarters = np.quantile(scores, (0.25, 0.75))
    spreads = [float(scores.std(ddof=1)), float(quarters[1] - quarters[0]) / 1.349]
    positive = [spread for spread in spreads if spread > 0]
    return max(0.9 * min(positive, default=0.0) * len(scores) ** -0.2, 1e-3)


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which score on a pair looks like one person.

    Attributes
    ----------
    value : float
    source : {"densities", "tail", "between"}
        Which way gave it: the two inside the release, or `stricter`.
    false_match : float or None
        Share of pairs of different people that reach it; None if there are too few to tell.
    """

    value: float
    source: str
    false_match: float | None


def choose_threshold(
    genuine: npt.ArrayLike, impostors: npt.ArrayLike, *, gallery: int, n_pairs: int
) -> Threshold | None:
    """Take the lower of both thresholds, so that a pair is rather shown than overlooked.

    Above the densities' one a pair is likelier one person than two; above the tail's one, chance
    among all pairs compared does not explain it. The false-match rate at it says what that costs.

    Parameters
    ----------
    genuine, impostors : array_like
        Of the release itself.
    gallery : int
        People among whom each person is searched.
    n_pairs : int
        Pairs of people compared.

    Returns
    -------
    Threshold or None
        None if nothing can be said.
    """
    others = np.asarray(impostors, dtype=np.float64)
    crossed = crossing(genuine, others, gallery)
    # Where the two are well apart, who stands above the crossing may be a person who is in the
    # release twice, and no part of the tail.
    strangers = others
    same = _without_mix_ups(np.asarray(genuine, dtype=np.float64), others)
    if crossed is not None and auc(same, others) >= WELL_APART:
        strangers = others[others < crossed]
    tail = fit_tail(strangers)
    limit = None if tail is None else tail.threshold(FALSE_PAIRS / max(1, n_pairs))
    # No tail is believed up to where same-person scores end: it found nothing to say then.
    if limit is not None and limit >= 1:
        limit = None
    found = [(crossed, "densities"), (limit, "tail")]
    values = [(value, source) for value, source in found if value is not None]
    if not values:
        return None
    value, source = min(values)
    rate = None if tail is None or value <= tail.start else tail.false_match(value)
    if rate is None and tail is not None:
        rate = float((strangers >= value).mean())
    return Threshold(value, source, rate)


def stricter(
    inside: Threshold | None,
    between: npt.ArrayLike,
    strangers: npt.ArrayLike,
    *,
    n_pairs: int,
) -> Threshold | None:
    """Hold a threshold from inside a release against the pairs between two datasets.

    Two limits, each too low where the other holds: the tail of those who are nobody's best match
    (`fit_tail`), of whom the highest were left out as bests; and the quantile of a normal law
    through median and median absolute deviation of all pairs, which a few shared people do not
    move, but whose tail is thin.

    Parameters
    ----------
    inside : Threshold or None
    between : (k,) array_like
        Scores of all pairs between the two.
    strangers : (s,) array_like
        Of them, the pairs who are nobody's best match.
    n_pairs : int
        Pairs of people compared.

    Returns
    -------
    Threshold or None
        The highest of all; `inside` where the pairs are too few, or their tail says nothing.
    """
    tail = fit_tail(strangers)
    scores = np.asarray(between, dtype=np.float64)
    if len(scores) < FEWEST_PAIRS or (tail is None and inside is None):
        return inside
    share = FALSE_PAIRS / max(1, n_pairs)
    middle = float(np.median(scores))
    spread = float(np.median(np.abs(scores - middle))) / _MAD_OF_NORMAL
    normal = middle - spread * float(special.ndtri(share))
    limit = normal if tail is None else max(tail.threshold(share), normal)
    if limit >= 1 or (inside is not None and inside.value >= limit):
        return inside
    return Threshold(limit, "between", share)
