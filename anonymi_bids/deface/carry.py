"""Carry the head found on a session's reference to another image of the session, and check it.

Images of one session mostly share scanner space, so what the headers say is tried first. It is
believed if moving the head by some mm or degrees in any direction makes the two images agree
less. Otherwise a rigid registration starts from there, and then from the centres of both heads
turned in steps. Nothing is accepted unless the outlines of the heads agree, the contents agree
(mutual information), and the agreement has its peak there: a wrong carry would leave a face or
cut a brain, so doubt means *not accepted*.

A search over a few thousand points finds most motions in seconds; the full registration is asked
only where that search saw a likeness but did not pass the check.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from anonymi_bids.core.grid import Affine, apply_affine, grid_around, resample
from anonymi_bids.core.mask import head_mask
from anonymi_bids.errors import RegistrationFailed
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import Carry, HeadFit, Image

MIN_OUTLINE = 0.80
"""Dice of the two head masks inside the shared field of view that is asked for."""

MIN_INFORMATION = 0.05
"""Symmetric uncertainty (0 … 1) of the two images inside the heads that is asked for."""

MIN_PEAK = 0.9
"""Share of the moves that must make agreement worse."""

MIN_SHARED_ML = 60.0
"""Less head than this inside both fields of view is too little to check anything on."""

SMALL_MOVE = 4.0
LARGE_MOVE = 8.0
"""Moves of the check, mm and degrees about the centre of the shared head."""

SPACING_MM = 3.0
BINS = 24
TURNS_DEG = (0.0, -25.0, 25.0)
MOST_STARTS = 2
SEARCH_POINTS = 12_000
SEARCH_STEPS = (8.0, 2.0)
OUTLINE_WEIGHT = 0.1
HOPELESS = 0.8
"""Share of the limits below which a full registration is not worth its time."""

EVERY = slice(None)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One motion and how well both images agree under it."""

    motion: Affine
    origin: str
    outline: float
    information: float
    peak: float
    shared_ml: float

    @property
    def good(self) -> bool:
        return (
            self.shared_ml >= MIN_SHARED_ML
            and self.outline >= MIN_OUTLINE
            and self.information >= MIN_INFORMATION
            and self.peak >= MIN_PEAK
        )

    @property
    def agreement(self) -> float:
        if self.shared_ml < MIN_SHARED_ML:
            return 0.0
        return float(self.outline * self.peak)


def carry(reference: Image, image: Image, fit: HeadFit, atlas: Atlas, *, seed: int) -> Carry:
    """Find the rigid motion from the reference to another image of its session.

    Parameters
    ----------
    reference : Image
        Image on which `fit` was found.
    image : Image
        Image to which the head is carried (of a series: its mean).
    fit : HeadFit
    atlas : Atlas
        Its brain, carried, says where the check looks.
    seed : int
        Seed of the registration's sampling.

    Returns
    -------
    Carry
        ``accepted`` is False, with the reason in ``sentence``, where the check failed.
    """
    if image is reference or _same(reference, image):
        return Carry(np.eye(4), 1.0, True, "This is the reference of the session.", {})
    pair = _Pair(reference, image, fit, atlas)
    if pair.empty:
        return Carry(
            np.eye(4),
            0.0,
            False,
            "No head stands out of the air in this image or in the session's reference, so the "
            "region could not be carried; look at both images.",
        )
    best = pair.judge(np.eye(4), "headers", SMALL_MOVE)
    if not best.good:
        for candidate in _searched(pair, reference, image, seed):
            if (candidate.good, candidate.information) > (best.good, best.information):
                best = candidate
            if best.good:
                break
    return _verdict(best)


class _Pair:
    """Both images on coarse grids, and the scores of a motion between them."""

    def __init__(self, reference: Image, image: Image, fit: HeadFit, atlas: Atlas) -> None:
        self.fixed = _coarse(image)
        self.moving = _coarse(reference)
        self.fixed_head = head_mask(self.fixed.data, self.fixed.affine)
        self.moving_head = head_mask(self.moving.data, self.moving.affine)
        self.empty = not (self.fixed_head.any() and self.moving_head.any())
        if self.empty:
            return
        ijk = np.argwhere(np.ones(self.fixed.data.shape, bool))
        self.points = apply_affine(self.fixed.affine, ijk)
        self.inside = self.fixed_head.ravel()
        self.values = _ranks(self.fixed.data.ravel(), self.inside)
        self.levels = _ranks(self.moving.data, self.moving_head).astype(np.float32)
        self.voxel_ml = SPACING_MM**3 / 1000
        # Every n-th voxel of the box round the head, for the search.
        near = np.flatnonzero(ndimage.binary_dilation(self.fixed_head, iterations=4))
        self.few = near[:: max(1, near.size // SEARCH_POINTS)]
        brain = apply_affine(
            fit.atlas_to_image @ atlas.brain.affine, np.argwhere(atlas.brain.data).mean(axis=0)
        )
        self.centre = brain

    def scores(
        self, motion: Affine, some: npt.NDArray[np.intp] | slice = EVERY
    ) -> tuple[float, float, float]:
        """Dice of the heads and symmetric uncertainty, in the shared view; shared head in ml."""
        to_moving = np.linalg.inv(self.moving.affine) @ np.linalg.inv(motion)
        where = apply_affine(to_moving, self.points[some]).T
        shape = np.array(self.moving.data.shape)[:, None]
        shared = ((where >= -0.5) & (where <= shape - 0.5)).all(axis=0)
        where = where[:, shared]
        other = ndimage.map_coordinates(
            self.moving_head.astype(np.float32), where, order=1, mode="nearest"
        )
        own = self.inside[some][shared]
        both = own & (other > 0.5)
        total = float(own.sum() + (other > 0.5).sum())
        dice = 2 * float(both.sum()) / total if total else 0.0
        either = own | (other > 0.5)
        levels = ndimage.map_coordinates(self.levels, where[:, either], order=1, mode="nearest")
        information = _uncertainty(self.values[some][shared][either], levels)
        return dice, information, float(both.sum()) * self.voxel_ml

    def judge(self, motion: Affine, origin: str, move: float) -> _Candidate:
        """Score a motion, and count the moves away from it that score lower."""
        outline, information, shared_ml = self.scores(motion)
        moved = [self.scores(step @ motion)[1] for step in _moves(self._pivot(motion), move)]
        peak = float(np.mean([other < information for other in moved]))
        return _Candidate(motion, origin, outline, information, peak, shared_ml)

    def refined(self, start: Affine) -> Affine:
        """Climb from a motion to the nearest best one: shifts in mm, turns in degrees."""
        pivot = self._pivot(start)

        def step(values: npt.NDArray[np.float64]) -> Affine:
            turn = np.eye(4)
            turn[:3, :3] = Rotation.from_rotvec(values[3:], degrees=True).as_matrix()
            turn[:3, 3] = pivot - turn[:3, :3] @ pivot + values[:3]
            return np.asarray(turn @ start, dtype=np.float64)

        def worse(values: npt.NDArray[np.float64]) -> float:
            outline, information, _ = self.scores(step(values), self.few)
            return -information - OUTLINE_WEIGHT * outline

        found = np.zeros(6)
        for size in SEARCH_STEPS:
            simplex = np.vstack([found, found + size * np.eye(6)])
            options: dict[str, Any] = {
                "initial_simplex": simplex,
                "xatol": size / 20,
                "fatol": 1e-5,
            }
            result = minimize(
                worse, found, method="Nelder-Mead", options=options | {"maxfev": 220}
            )
            found = result.x
        return step(found)

    def _pivot(self, motion: Affine) -> npt.NDArray[np.float64]:
        return apply_affine(motion, self.centre)

    def starts(self) -> list[Affine]:
        """Motions that lay the centres of both heads together, turned in steps, best first."""
        target = _centre(self.fixed_head, self.fixed.affine)
        source = _centre(self.moving_head, self.moving.affine)
        motions = []
        for angles in np.stack(np.meshgrid(*[TURNS_DEG] * 3), axis=-1).reshape(-1, 3):
            motion = np.eye(4)
            motion[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
            motion[:3, 3] = target - motion[:3, :3] @ source
            motions.append(motion)
        scored = [(self.scores(motion, self.few)[1], -n) for n, motion in enumerate(motions)]
        return [motions[-n] for _, n in sorted(scored, reverse=True)]


def _searched(pair: _Pair, reference: Image, image: Image, seed: int) -> Iterator[_Candidate]:
    """Candidates from the headers and from turned starts: by search, then by registration."""
    tried = []
    for number, start in enumerate([np.eye(4), *pair.starts()[:MOST_STARTS]]):
        origin = "a search" if number == 0 else "a search from the heads' centres"
        tried.append(pair.judge(pair.refined(start), origin, LARGE_MOVE))
        yield tried[-1]
    best = max(tried, key=lambda candidate: candidate.information)
    if best.information < HOPELESS * MIN_INFORMATION or best.outline < HOPELESS * MIN_OUTLINE:
        return
    from anonymi_bids.head.register import register

    try:
        result = register(
            image, reference, kind="rigid", start=best.motion, spacing_mm=SPACING_MM, seed=seed
        )
    except RegistrationFailed:
        return
    yield pair.judge(np.asarray(result.moving_to_fixed), "registration", LARGE_MOVE)


def _verdict(best: _Candidate) -> Carry:
    figures = {
        "outline": round(best.outline, 4),
        "information": round(best.information, 4),
        "peak": round(best.peak, 4),
        "shared_ml": round(best.shared_ml, 1),
        "moved_mm": round(float(np.linalg.norm(best.motion[:3, 3])), 3),
    }
    if best.good:
        sentence = (
            f"Carried by {best.origin}: head outlines agree by {best.outline:.2f}, contents by "
            f"{best.information:.2f}."
        )
    elif best.shared_ml < MIN_SHARED_ML:
        sentence = (
            f"Only {best.shared_ml:.0f} ml of head lie in both this image and the session's "
            f"reference, too little to check the carried region ({MIN_SHARED_ML:.0f} ml are "
            "needed); treat the image alone."
        )
    else:
        sentence = (
            "The region could not be carried safely from the session's reference: head outlines "
            f"agree by {best.outline:.2f} ({MIN_OUTLINE:.2f} needed), contents by "
            f"{best.information:.2f} ({MIN_INFORMATION:.2f} needed), and {best.peak:.0%} of small "
            f"moves make it worse ({MIN_PEAK:.0%} needed); treat the image alone or look at it."
        )
    return Carry(best.motion, round(best.agreement, 4), best.good, sentence, figures)


def _same(reference: Image, image: Image) -> bool:
    return (
        reference.data.shape == image.data.shape
        and np.allclose(reference.affine, image.affine, atol=1e-6)
        and bool(np.array_equal(reference.data, image.data, equal_nan=True))
    )


def _coarse(image: Image) -> Image:
    """Bring the image to a grid of `SPACING_MM` along its axes, averaged before it is thinned."""
    affine, shape = grid_around(image.data.shape, image.affine, SPACING_MM)
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32), posinf=0.0, neginf=0.0)
    sigma = np.maximum(0.0, 0.4 * (SPACING_MM / image.voxel_sizes - 1))
    data = ndimage.gaussian_filter(data, sigma)
    counts = [max(1, n) for n in shape]
    return Image(
        resample(data, image.affine, affine, (counts[0], counts[1], counts[2]), order=1), affine
    )


def _ranks(data: npt.NDArray[Any], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Grey values as levels 1 … `BINS` by rank inside the head, 0 below all of them."""
    edges = np.unique(np.quantile(data[inside], np.linspace(0, 1, BINS + 1)[:-1]))
    return np.searchsorted(edges, data, side="right").astype(np.float64)


def _uncertainty(first: npt.NDArray[np.float64], second: npt.NDArray[np.floating[Any]]) -> float:
    """Symmetric uncertainty 2 I(a; b) / (H(a) + H(b)), 0 … 1."""
    if first.size < 50:
        return 0.0
    bins = BINS + 1
    low = np.clip(np.floor(second), 0, bins - 1).astype(np.int64)
    high = np.minimum(low + 1, bins - 1)
    weight = np.asarray(second, dtype=np.float64) - low
    base = first.astype(np.int64) * bins
    joint = np.bincount(base + low, weights=1 - weight, minlength=bins * bins)
    joint += np.bincount(base + high, weights=weight, minlength=bins * bins)
    table = joint.reshape(bins, bins) / first.size
    h_first, h_second = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    both = _entropy(table.ravel())
    return 2 * (h_first + h_second - both) / (h_first + h_second) if h_first + h_second else 0.0


def _entropy(share: npt.NDArray[np.float64]) -> float:
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def _moves(pivot: npt.NDArray[np.float64], size: float) -> list[Affine]:
    """Twelve small motions: a shift (mm) and a turn (degrees) each way along three axes."""
    moves = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            shift = np.eye(4)
            shift[axis, 3] = sign * size
            turn = np.eye(4)
            vector = np.zeros(3)
            vector[axis] = sign * size
            turn[:3, :3] = Rotation.from_rotvec(vector, degrees=True).as_matrix()
            turn[:3, 3] = pivot - turn[:3, :3] @ pivot
            moves += [shift, turn]
    return moves


def _centre(mask: npt.NDArray[np.bool_], affine: Affine) -> npt.NDArray[np.float64]:
    return apply_affine(affine, np.argwhere(mask).mean(axis=0))
