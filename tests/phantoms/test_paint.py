"""Painting of label heads."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.phantoms.paint import (
    CONTRASTS,
    FAT,
    MUSCLE,
    SKIN,
    add_noise,
    contrast_name,
    depth_below,
    paint_labels,
    signals,
    smooth_noise,
    split_tissues,
    upsample,
)


def block() -> tuple[np.ndarray, np.ndarray]:
    """Soft tissue 40 mm thick below a plane, with a core of white and grey matter and CSF."""
    labels = np.zeros((40, 40, 40), dtype=np.uint8)
    labels[:, :, :36] = 5
    labels[10:30, 10:30, 2:10] = 1
    labels[10:30, 10:30, 10:18] = 2
    labels[10:30, 10:30, 18:26] = 3
    return labels, np.diag([1.5, 1.5, 1.5, 1.0])


def test_depth_below_a_plane_is_the_depth():
    share = np.zeros((20, 20, 40), dtype=np.float32)
    share[:, :, :20] = 1
    depth = depth_below(share, np.diag([1.0, 1.0, 1.0, 1.0]))[10, 10]
    assert depth[15:25] == pytest.approx(19.5 - np.arange(15, 25), abs=0.15)


@pytest.mark.parametrize("spelling", ["t1w", "T1w", "pdw", "ct", "flair"])
def test_contrasts_are_known_by_several_names(spelling):
    assert contrast_name(spelling) in CONTRASTS


def test_an_unknown_contrast_is_refused():
    with pytest.raises(ValueError, match="cannot be painted"):
        contrast_name("bold")


def test_soft_tissue_splits_into_layers(rng):
    labels, affine = block()
    tissues = split_tissues(labels, affine, rng)
    column = tissues[20, 5, ::-1]
    first = column[column > 0]
    assert first[0] == SKIN
    assert FAT in first[1:5]
    assert (tissues[:, :5, 5:25] == MUSCLE).mean() > 0.7
    assert np.array_equal(tissues == 1, labels == 1)


@pytest.mark.parametrize(
    ("contrast", "brighter", "darker"),
    [("T1w", 1, 2), ("T1w", 2, 3), ("T2w", 3, 2), ("FLAIR", 2, 3), ("CT", 2, 1)],
)
def test_tissues_have_the_contrast_of_the_sequence(contrast, brighter, darker, rng):
    labels, affine = block()
    painted = paint_labels(labels, contrast, rng, affine)
    assert painted[labels == brighter].mean() > painted[labels == darker].mean()
    assert painted.dtype == np.float32


def test_noise_in_air_is_rayleigh(rng):
    air = add_noise(np.zeros((60, 60, 60), dtype=np.float32), "T1w", rng, sigma=3.0)
    assert air.min() >= 0
    assert air.mean() == pytest.approx(3 * np.sqrt(np.pi / 2), rel=0.01)


def test_ct_is_in_hounsfield_units(rng):
    labels, affine = block()
    painted = paint_labels(labels, "CT", rng, affine)
    assert painted[:, :, 38:].mean() == pytest.approx(-1000, abs=5)
    assert painted[15:25, 15:25, 13:16].mean() == pytest.approx(signals("CT")[2], abs=3)


def test_painting_is_seeded():
    labels, affine = block()
    one, two = (paint_labels(labels, "T2w", np.random.default_rng(5), affine) for _ in range(2))
    assert np.array_equal(one, two)


def test_upsample_is_linear():
    coarse = np.array([[0.0, 10.0, 40.0]], dtype=np.float32)
    fine = upsample(coarse, 1, np.array([0, 0.5, 1, 1.5, 2, 9], dtype=np.float32))
    assert fine.tolist() == [[0, 5, 10, 25, 40, 40]]


def test_smooth_noise_is_smooth(rng):
    field = smooth_noise((40, 40, 40), np.eye(4), 20.0, rng)
    assert field.shape == (40, 40, 40)
    assert np.abs(np.diff(field, axis=0)).max() < 1.0
    assert field.std() > 0.3
