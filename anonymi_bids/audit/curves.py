"""What the charts and the page of one attack need, without any person's own score."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import gallery, rates, scores
from anonymi_bids.audit.match import BINS, Matches
from anonymi_bids.audit.resampling import bootstrap_people

FEWEST = 11
"""Below so many people a curve over scores would show single people's, and no model fits."""

BOOTSTRAP_ROUNDS = 2000

PEOPLE_SEARCHED = (100, 1000, 1_000_000)
"""Sizes of crowds for which a named pair is weighed, beside the people at hand."""


def rounded(value: float, digits: int = 6) -> float | None:
    """Round for JSON; None for what is not a number."""
    return round(float(value), digits) if np.isfinite(value) else None


def curves(found: Matches, rng: np.random.Generator) -> dict[str, Any]:
    """Write the curves of one stage.

    Returns
    -------
    dict
        ``cmc``, ``cmc_band`` (Wilson) up to rank 50, ``gallery_sizes`` with ``rank1`` (exact),
        ``beyond`` (models, dashed in the charts), ``separation`` (AUC, d', EER), ``det``,
        ``histogram``.
    """
    n = len(found.rank)
    top = min(n, 50)
    shares = rates.cmc(found.rank, top)
    band = [rates.wilson(int(round(share * n)), n) for share in shares]
    sizes = sorted({int(size) for size in np.geomspace(1, n, 12).round()})
    rank1 = gallery.rank1_curve(np.minimum(found.rank, n), n, sizes)
    own = found.own[np.isfinite(found.own)]
    separation: dict[str, float | None] = {"auc": None, "d_prime": None, "eer": None}
    if len(own) >= 2 and len(found.impostors) >= 2:
        separation = {
            "auc": rounded(scores.auc(own, found.impostors)),
            "d_prime": rounded(scores.d_prime(own, found.impostors)),
            "eer": rounded(scores.equal_error_rate(own, found.impostors)),
        }
    enough = len(own) >= FEWEST and len(found.impostors) > 0
    return {
        "cmc": [rounded(share) for share in shares],
        "cmc_band": _pairs(band),
        "gallery_sizes": sizes,
        "rank1": [rounded(value) for value in rank1],
        "beyond": _beyond(found, rng),
        "separation": separation,
        "det": _pairs(scores.thinned_errors(own, found.impostors)) if enough else [],
        "histogram": _histogram(found.histogram),
    }


def _pairs(values: Any) -> list[list[float | None]]:
    return [[rounded(first), rounded(second)] for first, second in values]


def _beyond(found: Matches, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Continue the curve by two named models, at most ten times as far."""
    n = len(found.rank)
    if found.scores is None or n < FEWEST:
        return []
    rounds = 200 if n <= 300 else 20
    return [
        {
            "model": model,
            "sizes": gallery.sizes_beyond(n),
            "rank1": [rounded(value) for value in rank1],
            "band": _pairs(band),
        }
        for model, rank1, band in gallery.beyond(found.scores, found.rank, rng, rounds=rounds)
    ]


def _histogram(counts: npt.NDArray[Any]) -> dict[str, Any]:
    """Count in bins of five, or give nothing where a bin could be read as one person's score."""
    merged = counts.reshape(2, 20, 5).sum(axis=2)
    return {
        "edges": [rounded(edge) for edge in BINS[::5]],
        "same": [int(count) for count in merged[0]] if merged[0].sum() >= FEWEST else [],
        "different": [int(count) for count in merged[1]],
    }


def statistics(before: Matches, after: Matches, rng: np.random.Generator) -> dict[str, Any]:
    """Write what else is asked of an attack.

    Returns
    -------
    dict
        ``reciprocal_rank`` and that of guessing; ``bootstrap`` of the rate (null at no hit and
        all hits, of which it can say nothing); ``paired``: McNemar of before against after;
        ``open_set``: found at few false alarms; ``named_pair``: what one match is worth.
    """
    n = len(after.rank)
    ranks = np.minimum(after.rank, n)
    return {
        "reciprocal_rank": rounded(rates.mean_reciprocal_rank(ranks)),
        "reciprocal_rank_by_guessing": rounded(rates.chance_reciprocal_rank(n)),
        "bootstrap": _bootstrap(after, rng),
        "paired": _paired(before, after),
        "open_set": _open_set(after),
        "named_pair": _named_pair(after),
    }


def _bootstrap(found: Matches, rng: np.random.Generator) -> list[float | None] | None:
    hits = found.hits.sum()
    if found.scores is None or not 0 < hits < len(found.rank):
        return None
    # Columns are the people searched for; the function takes them as rows.
    drawn = bootstrap_people(found.scores.T, BOOTSTRAP_ROUNDS, rng)
    return [rounded(bound) for bound in np.percentile(drawn, (2.5, 97.5))]


def _paired(before: Matches, after: Matches) -> dict[str, Any] | None:
    """McNemar on the same people: found before only, against found after only."""
    if len(before.rank) != len(after.rank):
        return None
    first, then = before.hits > 0.5, after.hits > 0.5
    only_before, only_after = int((first & ~then).sum()), int((then & ~first).sum())
    test = rates.mcnemar(only_before, only_after)
    return {
        "only_before": only_before,
        "only_after": only_after,
        "p_value": rounded(test.exact),
        "mid_p": rounded(test.mid_p),
    }


def _open_set(found: Matches) -> list[dict[str, Any]]:
    """Rates at no false alarm among the n strangers, and at those that n can resolve (3 / n)."""
    n = len(found.rank)
    if found.scores is None or n < 3:
        return []
    levels = [0.0, *(level for level in scores.FALSE_ALARMS if level * n >= 3)]
    rows = []
    for level in levels:
        reached = scores.open_set_left_out(found.scores, level)
        rows.append(
            {
                "false_alarms_allowed": level,
                "false_alarms": rounded(reached.fpir),
                "false_alarms_upper95": rounded(rates.upper_bound(round(reached.fpir * n), n)),
                "found": rounded(reached.tpir),
                "n": n,
            }
        )
    return rows


def _named_pair(found: Matches) -> dict[str, Any] | None:
    """Say what the median match of a person with their own is worth as evidence."""
    own = found.own[np.isfinite(found.own)]
    n = len(found.rank)
    distinct = min(len(np.unique(own)), len(np.unique(found.impostors)))
    if len(own) < FEWEST or distinct < FEWEST:
        return None
    ratio = scores.likelihood_ratio(float(np.median(own)), own, found.impostors, cap=n)
    return {
        "likelihood_ratio": rounded(ratio),
        "capped": bool(ratio >= n),
        "posterior": [
            {"people": size, "probability": rounded(scores.posterior(ratio, size), 9)}
            for size in sorted({n, *PEOPLE_SEARCHED})
        ],
        "ratio_for_95": rounded(scores.ratio_for_posterior(0.95, n)),
    }
