"""Surfaces and fiducials of heads whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.isosurface import describe
from anonymi_bids.core.mask import head_mask
from anonymi_bids.core.shape import similarity
from anonymi_bids.core.surface import signed_volume
from anonymi_bids.errors import ImageError
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.geometry import FIDUCIALS, find_fiducials, skin_surface
from anonymi_bids.model import Image
from anonymi_bids.phantoms.person import make_person
from anonymi_bids.phantoms.records import Phantom
from anonymi_bids.phantoms.visit import Protocol, make_visit

MARKS = ("nasion", "lpa", "rpa", "chin")


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    protocol = Protocol(spacing_mm=2.0, orientation="LPS", oblique_deg=5.0)
    return make_visit(make_person(41), "T1w", 1, protocol=protocol)


@pytest.fixture(scope="module")
def placed(phantom: Phantom) -> np.ndarray:
    """The atlas in the scan, a few mm off as it may be found."""
    target = [phantom.nasion, phantom.lpa, phantom.rpa, phantom.landmarks68[8]]
    source = np.stack([load_atlas().landmarks[name] for name in MARKS])
    motion = similarity(source, np.stack(target))
    motion[:3, 3] += (1.0, 3.0, -4.0)
    return motion


def test_skin_is_one_closed_surface_without_handles(phantom: Phantom) -> None:
    surface = skin_surface(phantom.image)
    figures = describe(surface.vertices, surface.triangles)
    assert (figures["closed"], figures["pieces"], figures["genus"]) == (1, 1, 0)
    assert figures["edge_p95_mm"] <= 1.5
    head = head_mask(phantom.image.data, phantom.image.affine)
    volume = head.sum() * abs(np.linalg.det(phantom.image.affine[:3, :3]))
    assert signed_volume(surface.vertices, surface.triangles) == pytest.approx(volume, rel=0.01)


def test_skin_lies_on_the_true_skin(phantom: Phantom) -> None:
    surface = skin_surface(phantom.image)
    to_voxel = np.linalg.inv(phantom.labels.affine)
    from scipy import ndimage

    head = phantom.labels.data > 0
    sizes = phantom.labels.voxel_sizes
    apart = np.where(
        head,
        ndimage.distance_transform_edt(head, sampling=sizes),
        -ndimage.distance_transform_edt(~head, sampling=sizes),
    )
    depth = ndimage.map_coordinates(apart, apply_affine(to_voxel, surface.vertices).T, order=1)
    assert np.median(np.abs(depth)) < 1.0


def test_fiducials_are_found_within_5_mm(phantom: Phantom, placed: np.ndarray) -> None:
    found = find_fiducials(phantom.image, load_atlas(), placed)
    assert set(found) == set(FIDUCIALS)
    for name, point in found.items():
        assert np.linalg.norm(point - getattr(phantom, FIDUCIALS[name])) < 5.0, name


def test_no_ear_no_preauricular_point(phantom: Phantom, placed: np.ndarray) -> None:
    data = phantom.image.data.copy()
    to_head = np.linalg.inv(placed) @ phantom.image.affine
    places = apply_affine(to_head, np.argwhere(np.ones(data.shape, bool)))
    beside = (np.abs(places[:, 0]) > 66).reshape(data.shape)
    data[beside] = 0
    found = find_fiducials(Image(data, phantom.image.affine), load_atlas(), placed)
    assert set(found) == {"NAS"}


def test_no_head_no_fiducials_and_no_surface() -> None:
    empty = Image(np.zeros((20, 20, 20), np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    assert find_fiducials(empty, load_atlas(), np.eye(4)) == {}
    with pytest.raises(ImageError, match="No head"):
        skin_surface(empty)
