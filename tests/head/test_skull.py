"""Outer skull of digital heads, of the atlas, and when one stands in for the other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.isosurface import describe
from anonymi_bids.core.surface import signed_volume
from anonymi_bids.head import skull
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.network import load_model
from anonymi_bids.head.skull import outer_skull, skull_of_scan, skull_surface
from anonymi_bids.model import HeadFit, Image, Surface
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return quick_head(2.0, "T1w", seed=6)


@pytest.fixture(scope="module")
def placed(phantom: Phantom) -> HeadFit:
    return find_head(phantom.image, load_atlas())


def of(phantom: Phantom, placed: HeadFit, image: Image | None = None) -> tuple[Surface, str]:
    shown = phantom.image if image is None else image
    return skull_of_scan(shown, load_atlas(), placed.atlas_to_image, load_model())


def off_mm(surface: Surface, phantom: Phantom) -> float:
    """Mean distance of a surface's vertices from the true skull, above the nasion, mm."""
    labels = phantom.labels.data
    true = outer_skull(
        np.where(np.isin(labels, (1, 2, 3, 9)), 1, np.where(labels == 4, 4, 0)),
        phantom.labels.affine,
    )
    border = true & ~ndimage.binary_erosion(true)
    apart = ndimage.distance_transform_edt(~border, sampling=phantom.labels.voxel_sizes)
    up = surface.vertices[surface.vertices[:, 2] > phantom.nasion[2] + 10]
    voxel = apply_affine(np.linalg.inv(phantom.labels.affine), up)
    return float(ndimage.map_coordinates(apart, voxel.T, order=1, mode="nearest").mean())


def test_skull_of_a_scan_is_nearer_to_the_truth_than_the_atlas(
    phantom: Phantom, placed: HeadFit
) -> None:
    own, source = of(phantom, placed)
    assert source == "scan"
    assert off_mm(own, phantom) < phantom.image.voxel_sizes.max()
    assert off_mm(own, phantom) < off_mm(skull_surface(placed.atlas_to_image), phantom)
    figures = describe(own.vertices, own.triangles)
    assert (figures["closed"], figures["pieces"], figures["genus"]) == (1, 1, 0)
    assert signed_volume(own.vertices, own.triangles) > 0


def test_thick_slices_get_the_skull_of_the_atlas(phantom: Phantom, placed: HeadFit) -> None:
    thick = Image(phantom.image.data[:, :, ::2], phantom.image.affine @ np.diag([1, 1, 2, 1.0]))
    assert of(phantom, placed, thick)[1] == "atlas"


def test_a_braincase_unlike_the_atlas_is_not_believed(
    phantom: Phantom, placed: HeadFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = skull.braincase

    def cut(tissues: skull.Tissues) -> skull.Mask:
        case = half(tissues)
        case[:, :, : case.shape[2] // 2] = False
        return case

    monkeypatch.setattr(skull, "braincase", cut)
    assert of(phantom, placed)[1] == "atlas"


def test_skull_of_the_atlas_is_a_ball_round_the_brain_and_below_the_skin() -> None:
    atlas = load_atlas()
    labels, affine = atlas.labels.data, atlas.labels.affine
    mask = outer_skull(labels, affine)
    assert mask[atlas.brain.data].mean() > 0.999
    assert not mask[~atlas.head.data].any()
    chin = np.rint(apply_affine(np.linalg.inv(affine), atlas.landmarks["chin"])).astype(int)
    assert not mask[:, chin[1] - 20 :, : chin[2] + 10].any()
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0])
    for motion in (np.eye(4), mirrored):
        surface = skull_surface(motion)
        figures = describe(surface.vertices, surface.triangles)
        assert (figures["closed"], figures["pieces"], figures["genus"]) == (1, 1, 0)
        assert signed_volume(surface.vertices, surface.triangles) > 0


def test_an_image_without_tissue_has_no_braincase() -> None:
    nothing = skull.Tissues(np.diag([2.0, 2.0, 2.0, 1.0]), np.zeros((40, 40, 40), np.uint8))
    assert not skull.braincase(nothing).any()
