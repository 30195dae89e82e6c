"""Digital people as meshes: the methods' ideas on the shape model's own vertices.

A stand-in for the methods that costs half a second for a person, so that many can be attacked.
`mask`: what was changed is not seen at all. `newface`: another identity, laid on the own vault by
size and pose, meeting the own skin along the border as in `anonymi_bids.deface.newskin` (the same
distances). `blur`: the own depth maps
low-passed. Whether it stands for the methods is checked by
`benchmarks.restoration.people` and by the quality benchmark's whole images.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, spatial

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import LEFT_EYE, similarity

Floats = npt.NDArray[np.float64]

TURN_DEG, SHIFT_MM = 0.7, 0.7
"""By how much the attacker's frame is off at each visit, standard deviation."""
TOP_MM, BACK_MM, BELOW_CHIN_MM = 66.0, -4.0, 10.0
"""The changed region in the mean head: below the brow's upper edge, in front of the ears."""


def mesh_level(number: int, cohort: str) -> dict[str, npt.NDArray[Any]]:
    """Views of both visits, and of the second one after each method (as `surface_level`)."""
    from anonymi_bids.audit.faces import REST_SPACING_MM, SPACING_MM
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.phantoms.library import load_model
    from anonymi_bids.phantoms.visit import visit_skin
    from benchmarks.restoration.people import COHORTS, FIRST_FACE, frame_of, named, person_of

    model, atlas = load_model(), load_atlas()
    person = person_of(number, cohort)
    rng = np.random.default_rng([95, number, COHORTS.index(cohort)])
    found: dict[str, npt.NDArray[Any]] = {}
    for visit in (1, 2):
        skin = visit_skin(person, rng)
        frame = np.linalg.inv(frame_of(rng, TURN_DEG, SHIFT_MM))
        found |= named(f"original{visit}", _views(apply_affine(frame, skin), atlas))
    other = model.vertices(model.sample(np.random.default_rng(FIRST_FACE + number))).astype(float)
    found |= named("newface", _views(apply_affine(frame, new_face(skin, other)), atlas))
    # Where new face and own skin differ, `mask` shows nothing.
    region = region_of()[0]
    hidden = skin.copy()
    hidden[region] += [0.0, 0.0, 1e4]
    placed = apply_affine(frame, skin)
    away = apply_affine(frame, hidden)
    for name, views in _masked(placed, away, atlas).items():
        found[f"mask_{name}"] = views
        spacing = SPACING_MM if name == "head" else REST_SPACING_MM
        found[f"blur_{name}"] = smoothed(found[f"original2_{name}"], views, spacing)
    return found


@functools.cache
def region_of() -> tuple[npt.NDArray[np.bool_], Floats]:
    """Vertices that are changed, and each vertex' distance to the border of what stays."""
    from anonymi_bids.phantoms.library import load_model

    model = load_model()
    x, y, z = model.mean.astype(float).T
    chin = float(model.mean[model.landmarks68[8], 2])
    region = (y > BACK_MM) & (z < TOP_MM) & (z > chin - BELOW_CHIN_MM)
    region |= (model.ear > 0) | (model.part >= LEFT_EYE)
    steady = ~region & (model.ear == 0)
    apart, _ = spatial.cKDTree(model.mean[steady]).query(model.mean)
    return region, np.where(region, apart, 0.0)


def new_face(skin: Floats, other: Floats) -> Floats:
    """Put the face of another identity on a head.

    Parameters
    ----------
    skin, other : (n, 3) ndarray
        Own head, and another one; the model's vertices.

    Returns
    -------
    (n, 3) ndarray
    """
    from anonymi_bids.deface.newskin import BLEND_MM, BORDER_MM, FADE_MM, REACH_MM, VAULT_UP_MM
    from anonymi_bids.phantoms.library import load_model

    model = load_model()
    region, apart = region_of()
    vault = (model.mean[:, 2] > VAULT_UP_MM) & (model.part < LEFT_EYE)
    placed = apply_affine(similarity(other[vault], skin[vault]), other)
    near = ~region & (model.ear == 0)
    border = np.flatnonzero(near)
    tree = spatial.cKDTree(model.mean[region])
    border = border[tree.query(model.mean[border])[0] < BORDER_MM]
    step = placed[border] - skin[border]
    inside = np.flatnonzero(region)
    squares = spatial.distance.cdist(model.mean[inside], model.mean[border], "sqeuclidean")
    weights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * REACH_MM**2))
    offset = weights @ step / weights.sum(axis=1, keepdims=True)
    part = np.clip(apart[inside] / BLEND_MM, 0, 1)[:, None]
    share = part * part * (3 - 2 * part)
    target = placed[inside] - offset * np.exp(-apart[inside] / FADE_MM)[:, None]
    new = skin.copy()
    new[inside] += share * (target - skin[inside])
    return new


def smoothed(
    views: npt.NDArray[Any], kept: npt.NDArray[Any], spacing_mm: float
) -> npt.NDArray[np.float16]:
    """Smooth the depth of what was changed, passing into the rest along the border.

    Parameters
    ----------
    views, kept : (v, rows, columns) ndarray
        Of the original, and with the changed region missing.
    spacing_mm : float
    """
    from anonymi_bids.deface.newskin import BLEND_MM
    from anonymi_bids.settings import DefaceSettings

    found = []
    for view, left in zip(views.astype(np.float32), kept, strict=True):
        seen = np.isfinite(view)
        nearest = ndimage.distance_transform_edt(
            ~seen, return_distances=False, return_indices=True
        )
        soft = ndimage.gaussian_filter(view[tuple(nearest)], DefaceSettings().blur_mm / spacing_mm)
        gone = seen & ~np.isfinite(left)
        kept_near = np.isfinite(left)
        if kept_near.any():
            apart = ndimage.distance_transform_edt(~kept_near) * spacing_mm
        else:
            apart = np.full(view.shape, BLEND_MM)
        apart = np.where(gone, np.minimum(apart, BLEND_MM), 0)
        part = apart / BLEND_MM
        share = part * part * (3 - 2 * part)
        found.append(np.where(seen, share * soft + (1 - share) * view, np.nan))
    return np.stack(found).astype(np.float16)


def _views(skin: Floats, atlas: Any) -> dict[str, npt.NDArray[Any]]:
    from anonymi_bids.audit.modelheads import look
    from anonymi_bids.phantoms.library import load_model

    views = look(skin.astype(np.float32), load_model().triangles, atlas)
    return {
        "head": np.stack(views[:3]).astype(np.float16),
        "rest": np.stack(views[3:]).astype(np.float16),
    }


def _masked(skin: Floats, without: Floats, atlas: Any) -> dict[str, npt.NDArray[Any]]:
    """Views in which the changed region is not seen, nor what lies behind it."""
    whole, rest = _views(skin, atlas), _views(without, atlas)
    return {
        name: np.where(np.abs(whole[name] - rest[name]) < 0.5, whole[name], np.nan).astype(
            np.float16
        )
        for name in whole
    }
