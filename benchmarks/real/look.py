"""Pictures of an image before and after, for the human eye; never kept in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine, centre_mm, resample
from anonymi_bids.core.mask import air_threshold, head_mask
from anonymi_bids.core.render import depth_map, shade, view_direction
from anonymi_bids.io.images import read_image
from anonymi_bids.model import Image
from benchmarks.common import ROOT

Picture = npt.NDArray[np.uint8]

SLICES = (("x", 0.0), ("x", 32.0), ("y", 70.0), ("z", 32.0), ("z", -25.0))
"""Through the middle, an eye, the face from the front, the eyes, the mouth; head frame, mm."""

VIEWS = ((0.0, 0.0), (40.0, 0.0), (-40.0, 0.0), (90.0, 0.0))
LOW, HIGH = np.array([-100.0, -125.0, -125.0]), np.array([100.0, 135.0, 135.0])
PIXEL_MM = 0.8
BRAIN, REMOVED = (0, 200, 255), (255, 80, 0)


def head_frame(record: dict[str, Any] | None, image: Image) -> npt.NDArray[np.float64]:
    """Rigid head frame → image: from the record of the run, else from the image's own axes."""
    from anonymi_bids.audit.faces import head_frame as rigid_frame
    from anonymi_bids.head.atlas import load_atlas

    if record and record.get("atlas_to_image"):
        return rigid_frame(load_atlas(), np.asarray(record["atlas_to_image"], dtype=float))
    frame = np.eye(4)
    mask = head_mask(image.data, image.affine)
    if mask.any():
        places = apply_affine(image.affine, np.argwhere(mask))
        top = float(np.percentile(places[:, 2], 99.5))
        upper = places[places[:, 2] > top - 150]
        frame[:3, 3] = [*np.median(upper, axis=0)[:2] - [0, 10], top - 125]
    else:
        frame[:3, 3] = centre_mm(image.data.shape, image.affine)
    return frame


def picture(
    before: Path,
    after: Path | None,
    title: str,
    target: Path,
    *,
    record: dict[str, Any] | None = None,
    removed: npt.NDArray[np.bool_] | None = None,
    brain: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Write one PNG: a row before, a row after; slices, then renders.

    The removed region is outlined in orange before, the brain mask in blue after.

    Raises
    ------
    ValueError
        If `target` lies in the repository.
    """
    if ROOT in target.resolve().parents:
        raise ValueError("Pictures of real people do not belong into the repository.")
    from PIL import Image as Canvas
    from PIL import ImageDraw

    first = read_image(before)
    frame = head_frame(record, first)
    limits = np.percentile(first.data[np.isfinite(first.data)], (1, 99.7))
    blocks = [_rows(first, frame, limits, removed, REMOVED)]
    if after is not None:
        blocks.append(_rows(read_image(after), frame, limits, brain, BRAIN))
    # Slices before and after below each other, then renders likewise.
    rows = [block[kind] for kind in (0, 1) for block in blocks]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    height = sum(row.shape[0] for row in rows) + 24
    canvas = Canvas.new("RGB", (rows[0].shape[1], height))
    ImageDraw.Draw(canvas).text((6, 6), title, fill=(255, 255, 255))
    top = 24
    for row in rows:
        canvas.paste(Canvas.fromarray(row), (0, top))
        top += row.shape[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(target)


def _rows(
    image: Image,
    frame: npt.NDArray[np.float64],
    limits: npt.NDArray[np.float64],
    outlined: npt.NDArray[np.bool_] | None,
    colour: tuple[int, int, int],
) -> tuple[Picture, Picture]:
    """Slices side by side, renders side by side."""
    tiles = [_slice(image, frame, limits, outlined, colour, *place) for place in SLICES]
    share = surface(image)
    extent = ((-115.0, 135.0), (LOW[2], HIGH[2]), (-60.0, 165.0))
    views = []
    for azimuth, elevation in VIEWS:
        direction = view_direction(azimuth, elevation)
        depth = depth_map(share, image.affine, frame, direction, PIXEL_MM, extent)
        grey = shade(depth, PIXEL_MM, background=20)
        views.append(np.repeat(grey[..., None], 3, axis=2))
    return _beside(tiles), _beside(views)


def _beside(tiles: list[Picture]) -> Picture:
    tall = max(tile.shape[0] for tile in tiles)
    tiles = [np.pad(tile, ((0, tall - len(tile)), (0, 4), (0, 0))) for tile in tiles]
    return np.concatenate(tiles, axis=1)


def _slice(
    image: Image,
    frame: npt.NDArray[np.float64],
    limits: npt.NDArray[np.float64],
    outlined: npt.NDArray[np.bool_] | None,
    colour: tuple[int, int, int],
    axis: str,
    place: float,
) -> Picture:
    """One slice in the head frame, front up or to the left, with a region's outline."""
    across = "xyz".index(axis)
    counts = np.round((HIGH - LOW) / PIXEL_MM).astype(int)
    grid = np.diag([PIXEL_MM, PIXEL_MM, PIXEL_MM, 1.0])
    grid[:3, 3] = LOW
    counts[across], grid[across, 3] = 1, place
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32))
    values = resample(data, image.affine, frame @ grid, shape).squeeze(across)
    grey = np.clip((values - limits[0]) / max(limits[1] - limits[0], 1e-9), 0, 1) ** 0.8
    tile = np.repeat((255 * grey)[..., None], 3, axis=2).astype(np.uint8)
    if outlined is not None:
        drawn = outlined.astype(np.float32)
        inside = resample(drawn, image.affine, frame @ grid, shape).squeeze(across) > 0.5
        tile[inside & ~ndimage.binary_erosion(inside)] = colour
    # First remaining axis to the right (front to the left in sagittal slices), second upwards.
    tile = tile[::-1] if axis == "x" else tile
    return np.ascontiguousarray(np.swapaxes(tile, 0, 1)[::-1])


def surface(image: Image) -> npt.NDArray[np.float32]:
    """Share of tissue for rendering, smooth across the skin; works for defaced images too."""
    data = np.nan_to_num(np.asarray(image.data, dtype=np.float32))
    limit = air_threshold(data)
    mask = head_mask(data, image.affine)
    smooth = ndimage.gaussian_filter(data, np.clip(0.8 / image.voxel_sizes, 0.2, 0.8))
    low = float(np.median(data[~mask])) if (~mask).any() else 0.0
    share = np.clip(0.5 * (smooth - low) / max(limit - low, 1e-6), 0, 1)
    near = ndimage.binary_dilation(mask, iterations=1)
    deep = ndimage.binary_erosion(mask, iterations=2)
    return np.where(deep, 1, np.where(near, share, 0)).astype(np.float32)
