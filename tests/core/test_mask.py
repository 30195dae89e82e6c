"""Head against air, growing and shrinking in mm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.core.mask import (
    CT_AIR_HU,
    air_statistics,
    air_threshold,
    dilate_mm,
    erode_mm,
    fill_holes,
    head_mask,
    is_ct,
    largest_component,
)
from anonymi_bids.io.images import read_image

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])


def ball(shape: tuple[int, int, int], affine: np.ndarray, radius: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    apart = (grid - (np.array(shape) - 1) / 2) * np.diag(affine)[:3]
    return np.sqrt((apart**2).sum(-1)) <= radius


def scan(rng: np.random.Generator, *, noise: float, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Ball of skin and brain round a dark shell, Rician noise; returns values and truth."""
    shape = (96, 96, 48)
    truth = ball(shape, AFFINE, 75)
    signal = np.zeros(shape)
    signal[truth] = 70
    signal[ball(shape, AFFINE, 68)] = 0
    signal[ball(shape, AFFINE, 62)] = 100
    real = signal + rng.normal(0, noise, shape)
    return gain * np.hypot(real, rng.normal(0, noise, shape)), truth


@pytest.mark.parametrize(("noise", "gain"), [(0.0, 1.0), (2.0, 1.0), (2.0, 1e-3), (5.0, 40.0)])
def test_head_mask_finds_a_head_at_any_noise_and_gain(
    rng: np.random.Generator, noise: float, gain: float
) -> None:
    values, truth = scan(rng, noise=noise, gain=gain)
    mask = head_mask(values, AFFINE)
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert dice > 0.95
    assert mask[48, 48, 24]
    assert (mask & ~dilate_mm(truth, AFFINE, 4.5)).sum() == 0


def test_ct_is_cut_between_air_and_skin(rng: np.random.Generator) -> None:
    truth = ball((96, 96, 48), AFFINE, 75)
    values = np.where(truth, 40.0, -1000.0) + rng.normal(0, 10, truth.shape)
    values[2:94, 2:5, :] = 100  # the table
    assert air_threshold(values) == CT_AIR_HU
    mask = head_mask(values, AFFINE)
    assert (mask != truth).mean() < 0.01
    assert not mask[:, :6].any()


def test_air_is_measured_beside_padding_and_beside_the_neck(rng: np.random.Generator) -> None:
    values = rng.normal(10, 2, (40, 40, 40))
    values[10:30, 10:30, :30] = 500
    values[:, :, 36:] = 0
    mean, sd = air_statistics(values)
    assert mean == pytest.approx(10, abs=1.0)
    assert sd == pytest.approx(2, abs=0.5)


def test_mostly_padded_air_is_the_constant(rng: np.random.Generator) -> None:
    values = np.full((40, 40, 40), 5.0)
    values[12:28, 12:28, :] = 300
    assert air_statistics(values) == (5.0, 0.0)
    assert 5 < air_threshold(values) < 100


def test_nothing_is_found_in_nothing() -> None:
    assert not head_mask(np.full((8, 8, 8), np.nan), np.eye(4)).any()
    assert not head_mask(np.zeros((8, 8, 8)), np.eye(4)).any()


def test_growing_and_shrinking_are_in_mm() -> None:
    point = np.zeros((21, 21, 21), bool)
    point[10, 10, 10] = True
    grown = dilate_mm(point, AFFINE, 8)
    assert grown[14, 10, 10]
    assert not grown[15, 10, 10]
    assert grown[10, 10, 12]
    assert not grown[10, 10, 13]
    whole = ball((41, 41, 41), AFFINE, 30)
    assert (erode_mm(whole, AFFINE, 6) & ~whole).sum() == 0
    assert not erode_mm(whole, AFFINE, 6)[20 + 13, 20, 20]
    assert erode_mm(whole, AFFINE, 6)[20 + 11, 20, 20]


def test_shrinking_keeps_what_the_field_of_view_cuts() -> None:
    half = np.zeros((10, 10, 10), bool)
    half[:5] = True
    assert erode_mm(half, np.eye(4), 2)[0, 0, 0]
    assert not erode_mm(half, np.eye(4), 2)[4, 5, 5]


def test_largest_component_leaves_the_smaller_pieces() -> None:
    mask = np.zeros((10, 10, 10), bool)
    mask[0:2, 0:2, 0:2] = True
    mask[5:9, 5:9, 5:9] = True
    assert largest_component(mask).sum() == 64
    assert not largest_component(np.zeros((3, 3, 3), bool)).any()


def test_holes_cut_by_the_border_are_filled_slicewise() -> None:
    tube = np.zeros((11, 11, 5), bool)
    tube[2:9, 2:9] = True
    tube[4:7, 4:7] = False
    assert fill_holes(tube).sum() == 49 * 5
    assert fill_holes(tube, slices=False).sum() == tube.sum()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "litres"),
    [
        ("openms-patient12_ses-1_T1w", (2.4, 3.2)),
        ("openms-patient12_ses-2_FLAIR", (2.3, 3.2)),
        ("tcia-cptaclscc-C3N-04457_ct", (3.5, 4.3)),
    ],
)
def test_real_heads_have_a_plausible_volume(
    shared_data: Path, name: str, litres: tuple[float, float]
) -> None:
    image = read_image(shared_data / "nifti" / f"{name}.nii.gz")
    mask = head_mask(image.data, image.affine)
    volume = mask.sum() * float(np.prod(image.voxel_sizes)) / 1e6
    assert litres[0] < volume < litres[1]


def test_mr_that_was_shifted_below_zero_is_no_ct(rng: np.random.Generator) -> None:
    truth = ball((48, 48, 24), np.diag([3.0, 3.0, 3.0, 1.0]), 50)
    tissue = rng.choice((300.0, 600.0, 900.0), truth.shape)
    shifted = np.where(truth, tissue, 10) * 1.5 + rng.normal(0, 5, truth.shape) - 1000
    assert shifted.min() < -800
    assert not is_ct(shifted)
    hounsfield = np.where(
        truth, rng.choice((-90.0, 40.0, 900.0), truth.shape, p=(0.3, 0.5, 0.2)), -1000
    )
    assert is_ct(hounsfield)
