"""Heads are found in any pose, contrast and field of view; what is no head is said to be none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine, resample
from anonymi_bids.core.register import axis_rotations, rigid_matrix
from anonymi_bids.errors import NotAHead
from anonymi_bids.head import locate
from anonymi_bids.head.atlas import Atlas, load_atlas
from anonymi_bids.head.judge import judge
from anonymi_bids.io.images import read_image
from anonymi_bids.model import HeadFit, Image
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom

MARKS = ("nasion", "lpa", "rpa", "vertex", "chin")


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="module")
def person() -> Phantom:
    return quick_head(3.0, "T1w", 1)


@pytest.fixture(scope="module")
def straight(atlas: Atlas, person: Phantom) -> HeadFit:
    """Coarse fit of the person as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locate, "STAGES", ())
        return locate.find_head(person.image, atlas)


@pytest.fixture
def coarse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the fine registration, which takes most of the time."""
    monkeypatch.setattr(locate, "STAGES", ())


def errors_mm(fit: HeadFit, atlas: Atlas, truth: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        name: float(
            np.linalg.norm(apply_affine(fit.atlas_to_image, atlas.landmarks[name]) - point)
        )
        for name, point in truth.items()
    }


def test_landmarks_are_found_and_the_same_twice(atlas: Atlas, person: Phantom) -> None:
    fit = locate.find_head(person.image, atlas, seed=5)
    truth = {"nasion": person.nasion, "lpa": person.lpa, "rpa": person.rpa}
    assert fit.status == "head"
    assert fit.confidence > 0.7
    apart = errors_mm(fit, atlas, truth)
    assert apart["nasion"] < 8
    assert max(apart.values()) < 22  # where the ear stands differs by that much between people
    again = locate.find_head(person.image, atlas, seed=5)
    np.testing.assert_array_equal(fit.atlas_to_image, again.atlas_to_image)
    assert again.figures == fit.figures


@pytest.mark.usefixtures("coarse_only")
@pytest.mark.parametrize("contrast", ["T2w", "FLAIR", "CT"])
def test_any_contrast(atlas: Atlas, contrast: str) -> None:
    person = quick_head(4.0, contrast, 2)
    fit = locate.find_head(person.image, atlas)
    truth = {"nasion": person.nasion, "lpa": person.lpa, "rpa": person.rpa}
    assert fit.status == "head", fit
    assert max(errors_mm(fit, atlas, truth).values()) < 25


@pytest.mark.usefixtures("coarse_only")
@pytest.mark.parametrize(
    "motion",
    [
        rigid_matrix([30, 10, -25], [80, -40, 120]),
        np.block([[axis_rotations()[7], np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]),
        np.block([[axis_rotations()[19], np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]),
    ],
    ids=["tilted", "lying", "upside-down"],
)
def test_any_pose(atlas: Atlas, person: Phantom, straight: HeadFit, motion: np.ndarray) -> None:
    turned = locate.find_head(Image(person.image.data, motion @ person.image.affine), atlas)
    truth = {
        name: apply_affine(motion @ straight.atlas_to_image, atlas.landmarks[name])
        for name in MARKS
    }
    assert max(errors_mm(turned, atlas, truth).values()) < 12


@pytest.mark.usefixtures("coarse_only")
@pytest.mark.parametrize("flip", [(0,), (1, 2)])
def test_storage_order_does_not_matter(
    atlas: Atlas, person: Phantom, straight: HeadFit, flip: tuple[int, ...]
) -> None:
    data, affine = person.image.data, person.image.affine.copy()
    for axis in flip:
        data = np.flip(data, axis)
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
    fit = locate.find_head(Image(np.ascontiguousarray(data), affine), atlas)
    truth = {name: apply_affine(straight.atlas_to_image, atlas.landmarks[name]) for name in MARKS}
    assert max(errors_mm(fit, atlas, truth).values()) < 6


@pytest.mark.usefixtures("coarse_only")
def test_thick_slices_without_vertex_and_chin_are_partial(atlas: Atlas, person: Phantom) -> None:
    affine = person.image.affine @ np.diag([1, 1, 2, 1.0])
    low = (person.nasion[2] - person.image.affine[2, 3]) / 3 - 5
    affine[2, 3] += 3 * low
    shape = (*person.image.data.shape[:2], 17)
    scan = resample(person.image.data, person.image.affine, affine, shape)
    fit = locate.find_head(Image(scan, affine), atlas)
    assert fit.status == "partial"
    assert fit.confidence > 0.5
    assert max(errors_mm(fit, atlas, {"nasion": person.nasion, "lpa": person.lpa}).values()) < 25


@pytest.mark.usefixtures("coarse_only")
def test_a_brain_without_skull_is_stripped(atlas: Atlas, person: Phantom) -> None:
    brain = np.isin(person.labels.data, (1, 2, 3, 9))
    fit = locate.find_head(
        Image(np.where(brain, person.image.data, 0), person.image.affine), atlas
    )
    assert fit.status == "stripped"


@pytest.mark.usefixtures("coarse_only")
def test_a_cut_face_is_defaced(atlas: Atlas, person: Phantom, straight: HeadFit) -> None:
    face = resample(
        atlas.face.data,
        atlas.face.affine,
        person.image.affine,
        person.image.data.shape,
        source_to_target=straight.atlas_to_image,
    )
    brain = ndimage.binary_dilation(np.isin(person.labels.data, (1, 2, 3, 9)), iterations=3)
    rng = np.random.default_rng(0)
    noise = np.abs(rng.normal(0, 2, face.shape))
    cut = np.where(face & ~brain, noise, person.image.data)
    fit = locate.find_head(Image(cut.astype(np.float32), person.image.affine), atlas)
    assert fit.status == "defaced"
    assert max(errors_mm(fit, atlas, {"lpa": person.lpa, "rpa": person.rpa}).values()) < 25


def ball(kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    shape = (60, 66, 60)
    x, y, z = np.meshgrid(*[np.arange(n) - n / 2 for n in shape], indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2) * 3.3
    signal = {
        "ball": np.where(radius < 85, 100.0, 0),
        "cylinder": np.where(np.hypot(x, y) * 3.3 < 85, 100.0, 0),
        "knee": np.where(np.hypot(x, y) * 3.3 < 60, 60.0 + 40 * (np.hypot(x, y) * 3.3 < 30), 0),
        "noise": np.zeros(shape),
    }[kind]
    return np.abs(signal + rng.normal(0, 5, shape)).astype(np.float32)


@pytest.mark.usefixtures("coarse_only")
@pytest.mark.parametrize("kind", ["ball", "cylinder", "knee", "noise"])
def test_what_is_no_head_is_said_to_be_none(atlas: Atlas, kind: str) -> None:
    fit = locate.find_head(Image(ball(kind), np.diag([3.3, 3.3, 3.3, 1])), atlas)
    assert fit.confidence < 0.5
    if kind in ("ball", "noise"):
        assert fit.status == "no_head"
        assert "No head was found" in fit.sentence


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_an_image_of_nothing_is_refused(atlas: Atlas, value: float) -> None:
    with pytest.raises(NotAHead):
        locate.find_head(Image(np.full((20, 20, 20), value), np.eye(4)), atlas)


def test_nan_and_infinity_beside_a_head_do_no_harm(person: Phantom) -> None:
    data = person.image.data.copy()
    data[:4] = np.nan
    data[-1, 0, 0] = np.inf
    prepared = locate.prepare(Image(data, person.image.affine))
    assert np.isfinite(prepared.scan.data).all()
    assert 0.05 < prepared.mask.mean() < 0.8


GOOD = {
    "score": 0.9,
    "brain_only": 0.8,
    "stretch_low": 0.95,
    "stretch_high": 1.05,
    "dice": 0.95,
    "vault_shell": 1.0,
    "brain_in_view": 1.0,
    "vault_in_view": 1.0,
    "brain_filled": 1.0,
    "face_in_view": 1.0,
    "face_kept": 1.0,
}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "head"),
        ({"score": 0.6}, "no_head"),
        ({"dice": 0.7}, "no_head"),
        ({"stretch_high": 1.5}, "no_head"),
        ({"brain_in_view": 0.3}, "no_head"),
        ({"vault_shell": 0.05, "dice": 0.75, "face_kept": 0.0}, "stripped"),
        ({"brain_only": 0.93}, "stripped"),
        ({"face_kept": 0.2}, "defaced"),
        ({"face_in_view": 0.2, "face_kept": 0.2}, "partial"),
        ({"face_in_view": 0.0, "face_kept": float("nan")}, "partial"),
        ({"vault_in_view": 0.4}, "partial"),
    ],
)
def test_each_figure_moves_the_verdict(change: dict[str, float], status: str) -> None:
    confidence, found, sentence = judge(GOOD | change)
    assert found == status
    assert (confidence < 0.3) == (status == "no_head")
    assert sentence.endswith(".")


@pytest.mark.shared
@pytest.mark.usefixtures("coarse_only")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nifti/openms-patient12_ses-1_FLAIR.nii.gz", "partial"),
        ("nifti/tcia-tcgathca-E3-A3E5_part-neck_ct.nii.gz", "no_head"),
        ("brains/IXI012-HH-1211_head_2mm_T1W.nii.gz", "head"),
        ("brains/ms-long-01_visit-1_T1W.nii.gz", "stripped"),
    ],
)
def test_real_scans(shared_data: Path, atlas: Atlas, path: str, status: str) -> None:
    fit = locate.find_head(read_image(shared_data / path), atlas)
    assert fit.status == status, fit
    assert fit.confidence > 0.5 or status == "no_head"
