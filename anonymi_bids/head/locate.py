"""Find the head in a scan of any contrast, orientation, resolution and field of view.

Three stages, from coarse to fine: brute force on a few thousand points
(`anonymi_bids.head.search`), an affine registration at 5 mm and one at 3 mm
(`anonymi_bids.head.register`). What was found is then measured and judged
(`anonymi_bids.head.judge`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import Affine, resample, voxel_sizes
from anonymi_bids.core.mask import air_threshold, dilate_mm, head_mask, is_ct
from anonymi_bids.core.register import inverse, take_apart
from anonymi_bids.errors import RegistrationFailed
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.head.judge import judge, measure
from anonymi_bids.head.register import coarse_image, register, similarity
from anonymi_bids.head.search import (
    Guess,
    Probe,
    lying_starts,
    make_probe,
    make_target,
    polish,
    search,
    tilted_starts,
)
from anonymi_bids.head.signal import finite_range
from anonymi_bids.model import HeadFit, Image

WORK_MM = 2.5
STAGES = ((5.0, (50, 40)), (3.0, (12,)))
"""Voxel size in mm and iterations of each fine registration."""
CT_WINDOW_HU = (-200.0, 300.0)
SURE_SCORE = 0.88
"""A search score below this also tries headers that name the axes wrongly."""
HEADER_LEAD = 0.02
"""A header is distrusted only if another naming of its axes scores better by this."""
ROUND_MM = 12.0
"""Registration looks at the head and this much of the air round it."""
MIN_VOXELS = 150
"""A tissue seen in fewer voxels of 3 mm is painted like soft tissue."""
STRETCH = (0.72, 1.35)
"""An affine map with stretches (atlas → image) beyond this is no head; the search's is kept."""
STRIPPED_LEAD = 0.004
"""The painting without skull must score better by this to be taken for what the scan shows."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scan made ready: finite, windowed, isotropic.

    Attributes
    ----------
    scan : Image
        float32, 2.5 mm, right-handed.
    mask : (I, J, K) bool ndarray
        Head of `scan`.
    """

    scan: Image
    mask: npt.NDArray[np.bool_]


def find_head(
    image: Image, atlas: Atlas, *, seed: int = 0, start: Affine | None = None
) -> HeadFit:
    """Place the atlas on a scan and say what the scan shows.

    Parameters
    ----------
    image : Image
        3-D (or the mean of a series), any contrast.
    atlas : Atlas
    seed : int
        The same seed gives the same result.
    start : (4, 4) ndarray, optional
        Atlas mm → mm of the image, about; by default it is searched.

    Returns
    -------
    HeadFit
        ``figures``: ``score`` (coarse search), ``information`` (fine), ``dice`` (head masks),
        ``stretch_low``, ``stretch_high``, ``angle_deg``, ``brain_only`` (coarse search with a
        stripped atlas), and those of `anonymi_bids.head.judge.measure`.

    Raises
    ------
    NotAHead
        If the image is empty or constant.
    """
    prepared = prepare(image)
    probe = make_probe(prepared.scan, prepared.mask)
    if start is None:
        guess = _best_guess(probe, atlas)
    else:
        guess = polish(probe, make_target(atlas), inverse(start))
    stripped_target = make_target(atlas, brain_only=True)
    stripped = polish(probe, stripped_target, inverse(guess.atlas_to_image))
    without_skull = stripped.score > guess.score + STRIPPED_LEAD
    first = stripped if without_skull else guess
    matrix, metric = refine(prepared, atlas, first.atlas_to_image, seed, brain_only=without_skull)
    stretches, angle = take_apart(matrix)[1:]
    figures = {
        "score": guess.score,
        "brain_only": stripped.score,
        "information": metric,
        "stretch_low": float(stretches[0]),
        "stretch_high": float(stretches[-1]),
        "angle_deg": angle,
    }
    figures |= measure(prepared.scan, prepared.mask, atlas, matrix)
    confidence, status, sentence = judge(figures)
    return HeadFit(matrix, confidence, status, sentence, figures)


def prepare(image: Image) -> Prepared:
    """Window a scan, bring it to isotropic voxels and find its head against air.

    Raises
    ------
    NotAHead
        If there is no finite value or all are equal.
    """
    data = np.asarray(image.data, np.float32)
    finite, low, _high = finite_range(data)
    data = np.where(finite, data, np.float32(low))
    limit = air_threshold(data)
    if is_ct(data):
        data = np.clip(data, *CT_WINDOW_HU)
        limit = max(limit, CT_WINDOW_HU[0] + 20)
    else:
        sample = data[:: max(1, data.shape[0] // 96), :: max(1, data.shape[1] // 96)]
        data = np.minimum(data, np.float32(np.percentile(sample, 99.7)))
    scan = coarse_image(Image(data, image.affine), WORK_MM)
    return Prepared(scan, head_mask(scan.data, scan.affine, threshold=limit))


def _best_guess(probe: Probe, atlas: Atlas) -> Guess:
    target = make_target(atlas)
    best = search(probe, target, tilted_starts())[0]
    if best.score < SURE_SCORE:
        lying = search(probe, target, lying_starts(), scales=(1.0,))[0]
        best = lying if lying.score > best.score + HEADER_LEAD else best
    return best


def refine(
    prepared: Prepared, atlas: Atlas, start: Affine, seed: int, *, brain_only: bool
) -> tuple[Affine, float]:
    """Affine registration from coarse to fine; keeps the start where that does not help."""
    scan, mask = _cropped(prepared)
    near = dilate_mm(mask, scan.affine, ROUND_MM)
    best = start
    painted = repaint(atlas, scan, best, brain_only=brain_only)
    for spacing, iterations in STAGES:
        metric = similarity(scan, painted, best, near)
        try:
            found = register(
                scan,
                painted,
                kind="affine",
                start=best,
                spacing_mm=spacing,
                fixed_mask=near,
                seed=seed,
                iterations=iterations,
            )
        except RegistrationFailed:
            break
        stretches = take_apart(found.moving_to_fixed)[1]
        value = similarity(scan, painted, found.moving_to_fixed, near)
        if STRETCH[0] <= stretches[0] and stretches[-1] <= STRETCH[1] and value >= metric - 0.005:
            best = found.moving_to_fixed
            painted = repaint(atlas, scan, best, brain_only=brain_only)
    return best, similarity(scan, painted, best, near)


def repaint(atlas: Atlas, scan: Image, atlas_to_image: Affine, *, brain_only: bool) -> Image:
    """Paint the atlas with what the scan itself shows in each tissue, whatever its contrast.

    Parameters
    ----------
    atlas : Atlas
    scan : Image
    atlas_to_image : (4, 4) ndarray
        Where the atlas lies by now.
    brain_only : bool
        Leave out all beyond the brain.

    Returns
    -------
    Image
        float32, on the grid of the atlas.
    """
    labels = atlas.labels.data[::2, ::2, ::2]
    affine = atlas.labels.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    values = resample(
        scan.data,
        scan.affine,
        affine,
        shape,
        source_to_target=inverse(atlas_to_image),
        cval=np.nan,
    )
    seen = np.isfinite(values)
    air = float(np.percentile(scan.data, 2))
    signal = np.full(10, air, np.float32)
    soft = values[seen & (labels == 5)]
    for label in range(1, 8):
        found = values[seen & (labels == label)]
        if found.size >= MIN_VOXELS:
            signal[label] = np.median(found)
        elif label != 7 and soft.size:
            signal[label] = np.median(soft)
    signal[8] = signal[5]
    painted = signal[atlas.labels.data]
    if brain_only:
        painted = np.where(atlas.brain.data, painted, np.float32(air))
    return Image(ndimage.gaussian_filter(painted, 0.6), atlas.labels.affine)


def _cropped(prepared: Prepared) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Scan and mask, cut to the head and some air."""
    boxes = ndimage.find_objects(prepared.mask.astype(np.uint8))
    if not boxes or boxes[0] is None:
        return prepared.scan, prepared.mask
    pad = int(np.ceil(2 * ROUND_MM / float(voxel_sizes(prepared.scan.affine).mean())))
    box = tuple(slice(max(0, s.start - pad), s.stop + pad) for s in boxes[0])
    affine = prepared.scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    return Image(prepared.scan.data[box], affine), prepared.mask[box]
