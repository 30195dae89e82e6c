"""Heads of nobody, drawn from the shape model, as the audit's views would show them.

An attacker can draw as many as he likes: he needs neither the release nor anybody's scan.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.faces import rigid_part, view_grids
from anonymi_bids.audit.restore import Head
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.render import picture_axes
from anonymi_bids.core.shape import similarity

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

Floats = npt.NDArray[np.float64]

N_HEADS = 200
FIRST_SEED = 9_000_000
TURN_DEG, SHIFT_MM = 1.5, 1.5
"""Errors of the frame of a real scan, standard deviation."""

_POINTS = ("nasion", "lpa", "rpa")
_CHIN = 8
_CORNERS = np.array(
    [[a, b, 4 - a - b] for a in range(5) for b in range(5 - a)], dtype=np.float32
) / np.float32(4)
"""Where points are laid on each triangle, close enough that no pixel between them is missed."""


def model_to_atlas(atlas: Atlas) -> Floats:
    """Mean head of the shape model → atlas, by root of the nose, ears and chin, (4, 4)."""
    from anonymi_bids.phantoms.library import load_model

    model = load_model()
    source = [model.mean[model.points[name]] for name in _POINTS]
    source.append(model.mean[model.landmarks68[_CHIN]])
    target = [atlas.landmarks[name] for name in (*_POINTS, "chin")]
    return similarity(np.stack(source).astype(float), np.stack(target))


@functools.lru_cache(maxsize=1)
def draw_heads(n: int = N_HEADS) -> tuple[Head, ...]:
    """Draw heads and look at them.

    Parameters
    ----------
    n : int

    Returns
    -------
    tuple of Head
        The same at each call.
    """
    from scipy.spatial.transform import Rotation

    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.phantoms.library import load_model
    from anonymi_bids.phantoms.person import make_person

    model, atlas = load_model(), load_atlas()
    to_frame = rigid_part(model_to_atlas(atlas), np.zeros(3))
    heads = []
    for number in range(n):
        rng = np.random.default_rng([93, number])
        error = np.eye(4)
        turn = rng.normal(0, TURN_DEG, 3)
        error[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
        error[:3, 3] = rng.normal(0, SHIFT_MM, 3)
        skin = apply_affine(error @ to_frame, make_person(FIRST_SEED + number).vertices)
        heads.append(look(skin.astype(np.float32), model.triangles, atlas))
    return tuple(heads)


def look(skin: npt.NDArray[np.float32], triangles: npt.NDArray[np.int64], atlas: Atlas) -> Head:
    """See a mesh as `anonymi_bids.audit.faces.head_views` sees a scan.

    Parameters
    ----------
    skin : (n, 3) ndarray
        Audit's head frame, mm.
    triangles : (m, 3) int ndarray
    atlas : Atlas

    Returns
    -------
    Head
        Depth of the nearest point in each pixel, so up to a pixel's slope nearer than a ray's.
    """
    points = np.einsum("pc,mcx->pmx", _CORNERS, skin[triangles]).reshape(-1, 3)
    views = []
    for direction, spacing, extent in view_grids(atlas):
        right, up, towards = picture_axes(direction)
        (left, right_end), (low, high), (far, near) = extent
        shape = round((high - low) / spacing), round((right_end - left) / spacing)
        column = np.floor((points @ right.astype(np.float32) - left) / spacing).astype(np.int64)
        row = np.floor((high - points @ up.astype(np.float32)) / spacing).astype(np.int64)
        depth = points @ towards.astype(np.float32)
        inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
        inside &= (depth > far) & (depth < near)
        view = np.full(shape[0] * shape[1], -np.inf, dtype=np.float32)
        np.maximum.at(view, row[inside] * shape[1] + column[inside], depth[inside])
        views.append(np.where(np.isfinite(view), view, np.nan).reshape(shape))
    return views
