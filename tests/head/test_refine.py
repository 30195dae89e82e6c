"""Tissues at the image's own resolution: the image decides where the network only sketches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.head.network import CLASSES, GRID_SHAPE, LANDMARKS, HeadMap, grid_at
from anonymi_bids.head.refine import tissues_of
from anonymi_bids.model import Image

AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])
SHAPE = (80, 90, 70)
SIGNALS = {"air": 5.0, "brain": 100.0, "csf": 40.0, "bone": 20.0, "eyes": 60.0, "soft": 140.0}


def truth(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Balls in balls: brain with a hollow of CSF, bone, soft tissue, air."""
    mm = apply_affine(affine, np.indices(shape).reshape(3, -1).T)
    radius = np.linalg.norm(mm - (58, 64, 52), axis=1).reshape(shape)
    # A fold that no grid of 2 mm can show.
    radius += 2.5 * np.sin(mm[:, 0] / 3).reshape(shape)
    labels = np.zeros(shape, np.uint8)
    for limit, name in ((46, "soft"), (40, "bone"), (35, "brain"), (12, "csf")):
        labels[radius < limit] = CLASSES.index(name)
    return labels


def sketched() -> HeadMap:
    """What a network would say that sees the truth blurred."""
    grid = grid_at((58, 64, 52))
    labels = truth(grid, GRID_SHAPE)
    shares = np.stack(
        [ndimage.gaussian_filter((labels == n).astype(np.float32), 2.5) for n in range(7)]
    )
    shares /= shares.sum(axis=0)
    to_voxel = np.linalg.inv(AFFINE) @ grid
    voxel = apply_affine(to_voxel, np.indices(GRID_SHAPE).reshape(3, -1).T)
    in_view = ((voxel > -0.5) & (voxel < np.array(SHAPE) - 0.5)).all(axis=1).reshape(GRID_SHAPE)
    nothing = {name: np.zeros(3) for name in LANDMARKS}
    none = dict.fromkeys(LANDMARKS, 0.0)
    regions = np.zeros((3, *GRID_SHAPE), np.float32)
    coarse = np.zeros((3, 56, 64, 64), np.float32)
    return HeadMap(grid, shares, regions, in_view, grid, coarse, nothing, none)


SEEN = sketched()
LABELS = truth(AFFINE, SHAPE)


def scan(signals: dict[str, float], noise: float = 4.0) -> Image:
    table = np.array([signals.get(name, 0.0) for name in CLASSES], np.float32)
    rng = np.random.default_rng(3)
    data = table[LABELS] + noise * rng.standard_normal(SHAPE)
    return Image(data.astype(np.float32), AFFINE)


def dice(one: np.ndarray, two: np.ndarray) -> float:
    return float(2 * (one & two).sum() / (one.sum() + two.sum()))


def test_the_image_draws_the_edges_that_the_network_blurs() -> None:
    from anonymi_bids.core.grid import resample

    found = tissues_of(scan(SIGNALS), SEEN)
    for name, least in (("brain", 0.98), ("bone", 0.95), ("soft", 0.97)):
        true = LABELS == CLASSES.index(name)
        drawn = resample(SEEN.share(name), SEEN.affine, AFFINE, SHAPE) > 0.5
        assert dice(found.mask(name), true) > least
        assert dice(found.mask(name), true) > dice(drawn, true)


@settings(max_examples=6, deadline=None)
@given(st.permutations(sorted(SIGNALS.values())), st.floats(0.001, 100))
def test_any_contrast_and_any_scale_will_do(values: list[float], scale: float) -> None:
    signals = {name: scale * v for name, v in zip(SIGNALS, values, strict=True)}
    found = tissues_of(scan(signals, noise=3.0 * scale), SEEN)
    assert dice(found.mask("brain", "csf"), np.isin(LABELS, (1, 2))) > 0.97


def test_an_image_without_contrast_leaves_the_network_its_say() -> None:
    flat = Image(np.random.default_rng(1).random(SHAPE).astype(np.float32), AFFINE)
    found = tissues_of(flat, SEEN)
    assert dice(found.mask("brain", "csf"), np.isin(LABELS, (1, 2))) > 0.85


def test_where_the_network_did_not_look_there_is_air() -> None:
    wide = np.zeros((140, 90, 70), np.float32)
    wide[:80] = scan(SIGNALS).data
    found = tissues_of(Image(wide, AFFINE), SEEN)
    assert not found.labels[120:].any()
    far = AFFINE.copy()
    far[:3, 3] = 900
    assert not tissues_of(Image(wide, far), SEEN).labels.any()


@pytest.mark.parametrize("spacing", [0.3, 0.75])
def test_fine_voxels_are_averaged_and_come_back(spacing: float) -> None:
    thin = Image(np.repeat(scan(SIGNALS).data[30:50], 2, axis=0), AFFINE @ np.diag([0.5, 1, 1, 1]))
    thin.affine[:3, 3] += AFFINE[:3, :3] @ (30, 0, 0)
    finer = Image(thin.data, thin.affine @ np.diag([spacing / 0.75, 1, 1, 1]))
    found = tissues_of(finer, SEEN)
    assert found.labels.shape[0] == (20 if spacing < 0.4 else 40)
    shape = (finer.data.shape[0], finer.data.shape[1], finer.data.shape[2])
    assert found.mask_on(finer.affine, shape, "brain").shape == shape
