"""Attackers that learn from other people's heads, judged on people they never saw.

For each pair of people that is compared, both are left out of what the attacker learns from: were
only the searched person left out, all others would be favoured, since the attacker knows them.
People are cut into folds; for each pair of folds the attacker learns from all others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.match import BINS, Matches
from anonymi_bids.audit.restore import row_mean

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Learner = Callable[[Array, Array, Indices, Indices], Array]

FOLDS = 10
FEWEST = 12
"""With fewer people there is nothing to learn from."""

_RIDGES = tuple(10.0**power for power in range(-4, 3))
_SHRINK = 0.3
_PEOPLE_PER_COMPONENT = 4
_MOST_COMPONENTS = 40


def gram(rows: npt.NDArray[np.floating]) -> Array:
    """Inner products of rows; what is missing counts as average, (n, n)."""
    whole = np.nan_to_num(rows - row_mean(rows)).astype(np.float32)
    return (whole @ whole.T).astype(np.float64)


def people_folds(n: int, rng: np.random.Generator, folds: int = FOLDS) -> Indices:
    """Cut n people into folds of about the same size, (n,)."""
    return rng.permutation(np.arange(n) % min(n, folds)).astype(np.int64)


def pair_scores(released: Array, known: Array, fold: Indices, learner: Learner) -> Array:
    """Learn and score, never on a person who is scored.

    Every score, of the same person or of two, comes from one attacker who learnt from all folds
    but two. (Were the own score compared with the others' by many attackers, it would have to win
    each time, and guessing would find fewer than one of n.)

    Parameters
    ----------
    released, known : (n, n) ndarray
        Inner products (`gram`) of what the release shows and of known faces, same people.
    fold : (n,) int ndarray
        At least three folds.
    learner : callable
        (released, known, learnt from, scored) → (scored, scored) scores.

    Returns
    -------
    (n, n) ndarray
        Released head of person i with known face of person j.
    """
    scores = np.full((len(fold), len(fold)), -np.inf)
    n_folds = int(fold.max()) + 1
    for a in range(n_folds):
        for b in range(a + 1, n_folds):
            out = np.flatnonzero((fold == a) | (fold == b))
            learnt = np.flatnonzero((fold != a) & (fold != b))
            block = learner(released, known, learnt, out)
            pairs = [(a, b), (b, a)]
            # Pairs within a fold are scored once, together with the fold that follows.
            pairs += [(one, one) for one, next_ in pairs if next_ == (one + 1) % n_folds]
            for one, other in pairs:
                i, j = np.flatnonzero(fold[out] == one), np.flatnonzero(fold[out] == other)
                scores[np.ix_(out[i], out[j])] = block[np.ix_(i, j)]
    return scores


def ridge(released: Array, known: Array, learnt: Indices, scored: Indices) -> Array:
    """Predict known faces from released heads by ridge regression; correlate with known faces.

    The ridge is the one that predicts best when each person learnt from is left out in turn
    (PRESS), so it may differ between calls.
    """
    x, x_out, _ = _about_mean(released, learnt, scored)
    y, y_out, y_self = _about_mean(known, learnt, scored)
    values, vectors = np.linalg.eigh(x)
    best: tuple[float, Array] | None = None
    for ridge_ in _RIDGES:
        weight = 1 / (np.maximum(values, 0) + ridge_ * max(np.trace(x), 1e-12) / len(x))
        inverse = (vectors * weight) @ vectors.T
        # Left-out residuals of kernel ridge regression: rows of inverse @ Y over its diagonal.
        errors = ((inverse @ y) * inverse).sum(axis=1) / np.diag(inverse) ** 2
        if best is None or errors.sum() < best[0]:
            best = float(errors.sum()), inverse
    if best is None:
        raise ValueError("No ridge to choose from.")
    weights = x_out @ best[1]
    length = ((weights @ y) * weights).sum(axis=1)
    return _cosine(weights @ y_out.T, length, y_self)


def canonical(released: Array, known: Array, learnt: Indices, scored: Indices) -> Array:
    """Score in the directions in which released heads and known faces vary together.

    Shrunken canonical correlation analysis on the first principal components of both sides.
    """
    n_components = min(_MOST_COMPONENTS, max(2, len(learnt) // _PEOPLE_PER_COMPONENT))
    sides = []
    for products in (released, known):
        inner, outer, _ = _about_mean(products, learnt, scored)
        values, vectors = np.linalg.eigh(inner)
        values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
        values = np.maximum(values, 1e-9 * max(values[0], 1e-12))
        spread = np.sqrt(values + _SHRINK * values.mean())
        sides.append(
            (vectors * np.sqrt(values) / spread, outer @ vectors / np.sqrt(values) / spread)
        )
    (x, x_out), (y, y_out) = sides
    left, strength, right = np.linalg.svd(x.T @ y, full_matrices=False)
    a, b = x_out @ left * np.sqrt(strength), y_out @ right.T * np.sqrt(strength)
    return _cosine(a @ b.T, np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b))


def _about_mean(products: Array, learnt: Indices, scored: Indices) -> tuple[Array, Array, Array]:
    """Inner products about the mean of the people learnt from.

    Returns
    -------
    inner : (t, t) ndarray
    outer : (s, t) ndarray
        People scored with people learnt from.
    lengths : (s,) ndarray
        Squared lengths of the people scored.
    """
    inner, outer = products[np.ix_(learnt, learnt)], products[np.ix_(scored, learnt)]
    row, all_ = inner.mean(axis=0), inner.mean()
    lengths = np.diag(products)[scored] - 2 * outer.mean(axis=1) + all_
    outer = outer - outer.mean(axis=1)[:, None] - row[None, :] + all_
    return inner - row[None, :] - row[:, None] + all_, outer, lengths


def _cosine(products: Array, left: Array, right: Array) -> Array:
    norms = np.sqrt(np.maximum(np.outer(np.maximum(left, 0), np.maximum(right, 0)), 1e-24))
    return np.clip(products / norms, -1, 1)


def to_matches(scores: Array, usable: npt.NDArray[np.bool_]) -> Matches:
    """Rank everybody; whoever is not usable is found by nobody.

    Parameters
    ----------
    scores : (n, n) ndarray
        Released head of person i with known face of person j.
    usable : (n,) bool ndarray
        Whose released head shows what is compared.
    """
    n = len(usable)
    apart = ~np.eye(n, dtype=bool)
    kept = np.where(usable[:, None], scores, -np.inf).round(9)
    own = np.diag(kept)
    lost = n + 1 + (n - 1) / 2
    ranks, ties = [], []
    for axis, beside in ((0, own[None, :]), (1, own[:, None])):
        higher = ((kept > beside) & apart).sum(axis=axis)
        equal = ((kept == beside) & apart).sum(axis=axis)
        ranks.append(np.where(usable, 1 + higher + equal / 2, lost))
        ties.append(np.where(usable, equal, n - 1).astype(np.float64))
    impostors = kept[apart & usable[:, None]]
    counts = [
        np.histogram(np.clip(part[np.isfinite(part)], -1, 1), BINS)[0] for part in (own, impostors)
    ]
    return Matches(
        own=own,
        rank=ranks[0],
        ties=ties[0],
        rank_back=ranks[1],
        ties_back=ties[1],
        first=kept.argmax(axis=0).astype(np.int64),
        impostors=impostors,
        histogram=np.stack(counts).astype(np.float64),
        scores=kept.astype(np.float32),
    )
