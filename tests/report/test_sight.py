"""What is drawn stands where it is, upright, with the head's right on the left."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from anonymi_bids.model import Image
from anonymi_bids.report import sight

LANDMARKS = {
    "nasion": np.array([0.0, 90, 38]),
    "nose_tip": np.array([0.0, 115, 4]),
    "eye_left": np.array([-30.0, 70, 36]),
}
SPOT = np.array([20.0, 60.0, 70.0])
"""Right of, before and above the middle of the head; head frame, mm."""


@pytest.fixture(params=[0, 25])
def placed(request: pytest.FixtureRequest) -> tuple[Image, sight.Frame]:
    """A bright spot in a scan that is turned against the head by some degrees."""
    to_image = np.eye(4)
    turn = Rotation.from_euler("xyz", (request.param, -request.param / 2, 10), degrees=True)
    to_image[:3, :3] = turn.as_matrix()
    to_image[:3, 3] = 4, -7, 12
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = 160, -160, -140
    shape = (160, 160, 150)
    centre = to_image[:3, :3] @ SPOT + to_image[:3, 3]
    i, j, k = np.round(np.linalg.inv(affine)[:3] @ [*centre, 1]).astype(int)
    data = np.zeros(shape, np.float32)
    data[i - 4 : i + 5, j - 4 : j + 5, k - 4 : k + 5] = 100
    planes = {"side": (0, SPOT[0]), "front": (1, SPOT[1]), "below": (2, SPOT[2])}
    return Image(data, affine), sight.Frame(to_image, sight.HEAD_BOX, planes, True)


def middle(picture: np.ndarray) -> tuple[float, float]:
    row, column = ndimage.center_of_mass(picture > 100)
    return row, column


def test_slices_show_the_spot_where_it_is(placed: tuple[Image, sight.Frame]) -> None:
    image, frame = placed
    pictures = sight.slice_pictures(image, frame, sight.Window(0, 100))
    (x0, x1), (y0, y1), (z0, z1) = frame.box
    expected = {
        "side": (z1 - SPOT[2], y1 - SPOT[1]),
        "front": (z1 - SPOT[2], x1 - SPOT[0]),
        "below": (y1 - SPOT[1], x1 - SPOT[0]),
    }
    assert pictures["side"].shape == (z1 - z0, y1 - y0)
    assert pictures["front"].shape == (z1 - z0, x1 - x0)
    for name, where in expected.items():
        assert middle(pictures[name]) == pytest.approx(where, abs=2.5)


def test_outlines_lie_round_what_changed(placed: tuple[Image, sight.Frame]) -> None:
    image, frame = placed
    lines = sight.slice_outlines(image.data > 0, image.affine, frame)
    pictures = sight.slice_pictures(image, frame, sight.Window(0, 100))
    for name, line in lines.items():
        assert line.any()
        assert middle(line * np.uint8(255)) == pytest.approx(middle(pictures[name]), abs=1.5)
        near = ndimage.binary_dilation(pictures[name] > 20, iterations=2)
        assert not (line & ~near).any()
        assert line.sum() < (pictures[name] > 100).sum()


def test_the_small_volume_is_upright(placed: tuple[Image, sight.Frame]) -> None:
    image, frame = placed
    small = sight.upright(image, frame, 0.0)
    where = np.array(ndimage.center_of_mass(small.data > 50))
    found = small.affine[:3, :3] @ where + small.affine[:3, 3]
    assert found == pytest.approx(SPOT, abs=1.5)


def test_a_head_that_was_not_found_is_cut_through_its_middle() -> None:
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = 500, -300, 100
    data = np.zeros((41, 41, 41), np.float32)
    data[20, 20, 20] = 1
    image = Image(data, affine)
    frame = sight.frame_of_image(image)
    assert not frame.has_head
    for picture in sight.slice_pictures(image, frame, sight.Window(0, 1)).values():
        assert middle(picture) == pytest.approx((131.5, 131.5), abs=1)


def test_frame_of_a_head_goes_through_its_landmarks() -> None:
    frame = sight.frame_of_head(np.eye(4), LANDMARKS, (0, -10, 60))
    assert frame.planes["side, midline"] == (0, 0.0)
    assert frame.planes["side, through an eye"] == (0, -30.0)
    assert frame.planes["front, through the brain"] == (1, -10.0)
    axis, height = frame.planes["from below, through the nose"]
    assert axis == 2
    assert LANDMARKS["nose_tip"][2] < height < LANDMARKS["nasion"][2]


def test_black_and_white_are_the_originals() -> None:
    data = np.linspace(0, 1000, 8000, dtype=np.float32).reshape(20, 20, 20)
    window = sight.window_of(data)
    assert 0 <= window.low < 30
    assert 970 < window.high <= 1000
    assert window.apply(np.array([-5.0, np.nan, 5000])).tolist() == [0, 0, 255]
    assert sight.window_of(np.zeros((4, 4, 4), np.float32)).high > 0
    assert sight.window_of(np.full((4, 4, 4), np.nan, np.float32)) == sight.Window(0.0, 1.0)


def test_air_is_cut_off_the_volume_to_turn() -> None:
    rng = np.random.default_rng(0)
    data = rng.uniform(1, 20, (30, 30, 30)).astype(np.float32)
    share = np.zeros(data.shape, np.float32)
    share[10:20, 10:20, 10:20] = 1
    packed = sight.packed_volume(Image(data, np.eye(4)), sight.Window(0, 20), share)
    assert packed.data.dtype == np.uint8
    assert packed.data[:7].max() == 0
    assert packed.data[12:18, 12:18, 12:18].max() > 200


def test_renders_show_a_ball_where_depth_maps_see_it() -> None:
    """The quick way agrees with following each ray."""
    from anonymi_bids.core.render import depth_map, shade, view_direction

    affine = np.diag([1.6, 1.6, 1.6, 1.0])
    affine[:3, 3] = -104, -130, -118
    points = np.moveaxis(np.indices((130, 168, 165)), 0, -1) * 1.6 + affine[:3, 3]
    nose, skull = points - (10, 100, 0), points - (0, 0, 20)
    away = np.minimum(np.sqrt((nose**2).sum(-1)) - 15, np.sqrt((skull**2).sum(-1)) - 90)
    share = np.clip(0.5 - away / 3.2, 0, 1).astype(np.float32)
    quick = sight.render_pictures(share, affine)
    extent = (sight.WIDE_MM, sight.HEAD_BOX[2], sight.DEEP_MM)
    for name, azimuth in sight.VIEWS.items():
        slow = shade(
            depth_map(share, affine, np.eye(4), view_direction(azimuth), 1.6, extent), 1.6
        )
        rows = min(len(slow), len(quick[name]))
        columns = min(slow.shape[1], quick[name].shape[1])
        apart = np.abs(
            slow[-rows:, :columns].astype(int) - quick[name][-rows:, :columns].astype(int)
        )
        assert np.median(apart[slow[-rows:, :columns] > 0]) < 6
        assert (apart > 60).mean() < 0.05
