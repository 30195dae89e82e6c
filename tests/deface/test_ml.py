"""The region of the method `ml`, from an answer that is known to be right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import resample
from anonymi_bids.core.register import rigid_matrix
from anonymi_bids.deface import ml
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.network import grid_at
from anonymi_bids.model import Image
from tests.head.maps import perfect_map, scan_of

POSE = rigid_matrix((5, -8, 10), (3.0, -6.0, 9.0))


@pytest.fixture(scope="module")
def image() -> Image:
    return scan_of(load_atlas(), POSE)


def on_image(part: Image, image: Image) -> np.ndarray:
    return resample(part.data, part.affine, image.affine, image.data.shape, source_to_target=POSE)


def region(image: Image, *, ears: bool) -> ml.DefaceRegion:
    seen = perfect_map(load_atlas(), POSE, grid_at(POSE[:3, 3]), image)
    return ml.build_region(image, seen, load_atlas(), POSE, brain_margin_mm=3.0, ears=ears)


def test_face_and_ears_go_and_the_brain_stays(image: Image) -> None:
    atlas = load_atlas()
    found = region(image, ears=True)
    brain, head = on_image(atlas.brain, image), on_image(atlas.head, image)
    assert not (found.removed & brain).any()
    assert not (found.removed & found.protected).any()
    assert (found.protected & brain).sum() > 0.97 * brain.sum()
    far = found.protected | (on_image(atlas.brain, image))
    for part in (atlas.face, atlas.ear_left, atlas.ear_right):
        there = on_image(part, image) & head & ~far
        assert (found.removed & there).sum() > 0.97 * there.sum()
    assert not (found.air & found.removed).any()
    assert found.figures["removed_ml"] > 300


def test_ears_stay_where_they_were_not_asked_for(image: Image) -> None:
    atlas = load_atlas()
    head, face = on_image(atlas.head, image), on_image(atlas.face, image)
    ear = on_image(atlas.ear_left, image) & head & ~face
    assert (region(image, ears=False).removed & ear).mean() < 0.3 * ear.mean()


def test_air_before_the_face_goes_and_air_behind_the_head_stays(image: Image) -> None:
    found = region(image, ears=True)
    head = on_image(load_atlas().head, image)
    places = np.moveaxis(np.indices(image.data.shape), 0, -1) @ image.affine[:3, :3].T
    places = places + image.affine[:3, 3] - POSE[:3, 3]
    forward = places @ POSE[:3, 1]
    up = places @ POSE[:3, 2]
    right = places @ POSE[:3, 0]
    before = ~head & (np.abs(right) < 15) & (np.abs(up) < 15) & (forward > 118) & (forward < 130)
    behind = ~head & (forward < -105)
    assert found.removed[before].mean() > 0.9
    assert not found.removed[behind].any()


def test_no_region_means_nothing_is_removed(image: Image) -> None:
    seen = perfect_map(load_atlas(), POSE, grid_at(POSE[:3, 3]), image)
    seen.regions[:] = 0
    found = ml.build_region(image, seen, load_atlas(), POSE, brain_margin_mm=3.0, ears=True)
    assert not found.removed.any()


def test_the_cut_reaches_the_core_whatever_the_network_calls_face(image: Image) -> None:
    atlas = load_atlas()
    seen = perfect_map(atlas, POSE, grid_at(POSE[:3, 3]), image)
    # A region that is a thin shell of the skin would leave a cut that follows the skin.
    seen.regions[0] *= ndimage.distance_transform_edt(seen.shares[0] < 0.5) <= 3
    shell = ml.build_region(image, seen, atlas, POSE, brain_margin_mm=3.0, ears=False)
    whole = region(image, ears=False)
    head = on_image(atlas.head, image)
    depth = ndimage.distance_transform_edt(head, sampling=image.voxel_sizes)
    # Behind the preauricular points the window ends; the core begins at 24 mm.
    there = whole.removed & on_image(atlas.face, image) & (depth > 10) & (depth < 20)
    assert there.sum() > 1000
    assert (shell.removed & there).sum() > 0.95 * there.sum()
