"""Features of small made-up heads."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.audit import brains, faces, features
from anonymi_bids.audit.describe import depth_row, slope_row
from anonymi_bids.audit.simulate import MAX_SHIFT_MM, MAX_TURN_DEGREES, second_visit
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.errors import ImageError
from anonymi_bids.model import Image

Scan = Callable[..., tuple[Image, np.ndarray]]

META = features.FeatureMeta("01", "a", "T1w", "original", "sub-01_ses-a_T1w")


def alike(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    seen = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[seen], b[seen])[0, 1])


def test_brain_stays_and_people_differ(atlas: Any, visit_of: Scan) -> None:
    first, second, other = (
        brains.brain_rows(*with_atlas(visit_of(*who), atlas)) for who in ((1, 0), (1, 1), (2, 0))
    )
    for name in ("brain", "brain_high", "brain_edges"):
        assert first[name].dtype == np.float16
        assert first[name].shape == (int(brains.brain_grid(atlas)[0].sum()),)
        assert alike(first[name], second[name]) > alike(first[name], other[name]) + 0.2
    assert alike(first["brain_high"], second["brain_high"]) > 0.8


def with_atlas(visit: tuple[Image, np.ndarray], atlas: Any) -> tuple[Image, Any, np.ndarray]:
    return visit[0], atlas, visit[1]


def test_bias_field_does_not_matter(atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    ramp = np.linspace(0.7, 1.4, image.data.shape[1], dtype=np.float32)[None, :, None]
    plain = brains.brain_rows(image, atlas, pose)["brain"]
    biased = brains.brain_rows(Image(image.data * ramp, image.affine), atlas, pose)["brain"]
    assert alike(plain, biased) > 0.97


def test_brain_of_an_empty_image_is_silent(atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    far = np.eye(4)
    far[:3, 3] = 5000
    for row in brains.brain_rows(image, atlas, far @ pose).values():
        assert not row.any()
    zeros = Image(np.zeros_like(image.data), image.affine)
    assert not brains.brain_rows(zeros, atlas, pose)["brain"].any()


def test_face_stays_and_people_differ(atlas: Any, visit_of: Scan) -> None:
    first, second, other = (
        faces.face_maps(*with_atlas(visit_of(*who), atlas)) for who in ((1, 0), (1, 1), (2, 0))
    )
    assert first["depth"].shape[0] == 3
    assert faces.acquired(first["head"], float(first["skin_gap"][0]))
    both = np.isfinite(first["depth"]) & np.isfinite(second["depth"])
    apart = np.abs(first["depth"].astype(float) - second["depth"])[both]
    assert np.median(apart) < 0.5
    assert np.isfinite(first["depth"]).sum() < np.isfinite(first["head"]).sum()
    for describe in (depth_row("depth"), slope_row("depth"), depth_row("head")):
        assert alike(describe(first), describe(second)) > alike(describe(first), describe(other))


def test_offset_and_tilt_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    depth = rng.normal(60, 5, (3, 20, 30)).astype(np.float32)
    depth[0, :4] = np.nan
    rows, columns = np.indices((20, 30))
    tilted = depth + 4 + 0.2 * rows - 0.1 * columns
    assert np.allclose(
        depth_row("depth")({"depth": depth}),
        depth_row("depth")({"depth": tilted}),
        atol=1e-2,
        equal_nan=True,
    )


def test_brain_surface_is_not_a_face(atlas: Any, visit_of: Scan) -> None:
    # A skull-stripped head has a surface too, but it is no skin.
    image, pose = visit_of(1, 0)
    points = apply_affine(
        np.linalg.inv(pose) @ image.affine, np.moveaxis(np.indices(image.data.shape), 0, -1)
    )
    voxels = apply_affine(np.linalg.inv(atlas.brain.affine), points).round().astype(int)
    voxels = np.clip(voxels, 0, np.array(atlas.brain.data.shape) - 1)
    brain = atlas.brain.data[tuple(np.moveaxis(voxels, -1, 0))]
    stripped = Image(np.where(brain, image.data, 0.0).astype(np.float32), image.affine)
    found = faces.face_maps(stripped, atlas, pose)
    assert not faces.acquired(found["head"], float(found["skin_gap"][0]))
    nothing = faces.face_maps(Image(np.zeros_like(image.data), image.affine), atlas, pose)
    assert not faces.acquired(nothing["head"], float(nothing["skin_gap"][0]))


def test_rigid_part_keeps_size_and_centre() -> None:
    rng = np.random.default_rng(5)
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([1.1, 0.9, 1.2]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix[:3, :3] *= np.sign(np.linalg.det(matrix[:3, :3]))
    matrix[:3, 3] = 5, -3, 8
    rigid = faces.rigid_part(matrix, (1, 2, 3))
    assert np.allclose(rigid[:3, :3] @ rigid[:3, :3].T, np.eye(3))
    assert np.linalg.det(rigid[:3, :3]) == pytest.approx(1)
    assert np.allclose(apply_affine(rigid, (1, 2, 3)), apply_affine(matrix, (1, 2, 3)))


def test_air_is_outside_the_head(atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    one = brains.air_row(image, atlas, pose, seed=4)
    assert np.array_equal(one, brains.air_row(image, atlas, pose, seed=4))
    assert not np.array_equal(one, brains.air_row(image, atlas, pose, seed=5))
    # The signal inside the head does not reach the control.
    loud = Image(np.where(image.data > 30, 500, image.data).astype(np.float32), image.affine)
    assert alike(one, brains.air_row(loud, atlas, pose, seed=4)) > 0.99


def test_second_visit(atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    second, motion = second_visit(image, pose, 9)
    again, _ = second_visit(image, pose, 9)
    assert np.array_equal(second.data, again.data)
    assert second.data.dtype == np.float32
    assert not np.allclose(second.affine, image.affine)
    turn = np.rad2deg(np.arccos((np.trace(motion[:3, :3]) - 1) / 2))
    assert 0 < turn < 2 * MAX_TURN_DEGREES
    centre = apply_affine(pose, np.zeros(3))
    assert np.abs(apply_affine(motion, centre) - centre).max() <= MAX_SHIFT_MM
    first_rows = brains.brain_rows(image, atlas, pose)
    rows = brains.brain_rows(second, atlas, motion @ pose)
    other = brains.brain_rows(*with_atlas(visit_of(2, 0), atlas))
    assert alike(first_rows["brain_high"], rows["brain_high"]) > 0.6
    assert alike(first_rows["brain_high"], rows["brain_high"]) > alike(
        first_rows["brain_high"], other["brain_high"]
    )
    # The noise is new.
    air, new_air = (
        brains.air_row(each, atlas, placed, seed=1)
        for each, placed in ((image, pose), (second, motion @ pose))
    )
    assert abs(alike(air, new_air)) < 0.15


def test_features_file_has_no_clock(tmp_path: Path, atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    found = features.extract_features(image, atlas, pose, seed=1)
    assert all(array.dtype == np.float16 for array in found.values())
    first = features.save_features(tmp_path / "a", META, found)
    assert first == tmp_path / "a" / "original" / "sub-01_ses-a_T1w.npz"
    time.sleep(2.1)
    second = features.save_features(tmp_path / "b", META, found)
    assert first.read_bytes() == second.read_bytes()
    meta, loaded = features.load_features(first)
    assert meta == META
    assert set(loaded) == set(found)
    assert all(np.array_equal(loaded[k], found[k], equal_nan=True) for k in found)
    assert features.list_features(tmp_path / "a", "original") == [first]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_damaged_features_are_said(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(damage)
    with pytest.raises(ImageError, match="damaged"):
        features.load_features(path)
