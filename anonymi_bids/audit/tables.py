"""Risk that lies in the table of participants: classes of people who look alike in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prosecutor:
    """Risk of people who are known to be in the release.

    Attributes
    ----------
    k : int
        Size of the smallest class.
    maximum, mean : float
        Highest and mean 1/class size over records.
    unique : float
        Share of records alone in their class.
    """

    k: int
    maximum: float
    mean: float
    unique: float
    sizes: tuple[int, ...]

    def share_above(self, limit: float) -> float:
        """Share of records whose 1/class size is above a limit."""
        sizes = np.array(self.sizes)
        return float(sizes[1 / sizes > limit].sum() / sizes.sum())


def class_sizes(rows: Sequence[Hashable]) -> tuple[int, ...]:
    """Sizes of the classes of equal rows, largest first."""
    return tuple(sorted(Counter(rows).values(), reverse=True))


def prosecutor(sizes: Sequence[int]) -> Prosecutor:
    """Risk from class sizes in the release, the target known to be in it."""
    values = np.asarray(sizes)
    n = values.sum()
    return Prosecutor(
        k=int(values.min()),
        maximum=float(1 / values.min()),
        mean=float(len(values) / n),
        unique=float(values[values == 1].sum() / n),
        sizes=tuple(int(size) for size in values),
    )


def journalist(population_sizes: Sequence[int]) -> tuple[float, float]:
    """Maximum and mean risk, the target only known to be in the population."""
    values = np.asarray(population_sizes)
    return float(1 / values.min()), float(len(values) / values.sum())


def marketer(sizes: Sequence[int], population_sizes: Sequence[int]) -> float:
    """Give the expected share of records an attacker of the whole release gets right."""
    release, population = np.asarray(sizes), np.asarray(population_sizes)
    return float((release / population).sum() / release.sum())


def table_risk(sizes: Sequence[int], population_sizes: Sequence[int]) -> dict[str, float]:
    """Give all three views of a table's risk.

    Parameters
    ----------
    sizes, population_sizes : sequence of int
        People of each class in the release and in the population; the latter are never smaller.

    Returns
    -------
    dict of float
        ``prosecutor_max``, ``prosecutor_mean``: the target is known to be in the release.
        ``journalist_max``, ``journalist_mean``: known to be in the population only. ``marketer``:
        share of the whole release that is matched rightly.
    """
    if any(inside > outside for inside, outside in zip(sizes, population_sizes, strict=True)):
        raise ValueError("A class of the population cannot be smaller than that of the release.")
    found = prosecutor(sizes)
    highest, mean = journalist(population_sizes)
    return {
        "prosecutor_max": found.maximum,
        "prosecutor_mean": found.mean,
        "journalist_max": highest,
        "journalist_mean": mean,
        "marketer": marketer(sizes, population_sizes),
    }


def uniqueness(p: float, population: float) -> float:
    """Probability that a record of frequency `p` is alone (doi:10.1038/s41467-019-10933-3)."""
    return math.exp((population - 1) * math.log1p(-p))


def correctness(p: float, population: float) -> float:
    """Probability that a match of a record of frequency `p` is right."""
    return -math.expm1(population * math.log1p(-p)) / (population * p)


def weighted_risk(size: int, p: float) -> float:
    """Individual risk of a record in a class of 1 or 2, sampling fraction `p` of the class."""
    if size not in (1, 2):
        raise ValueError("The closed form holds for classes of 1 or 2 records only.")
    odds = p / (1 - p)
    single = odds * math.log(1 / p)
    return single if size == 1 else odds - odds * single


def entropy_diversity(counts: Sequence[int]) -> float:
    """Effective number of sensitive values in a class, exp of their entropy."""
    shares = np.asarray(counts, dtype=np.float64)
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
