"""A visit of a digital person to a scanner: pose, grid, painting, bias, noise, truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from anonymi_bids.core.grid import Affine, apply_affine
from anonymi_bids.core.surface import vertex_normals, voxelise
from anonymi_bids.model import Image
from anonymi_bids.phantoms.inside import make_warp, paint_inside
from anonymi_bids.phantoms.library import load_model
from anonymi_bids.phantoms.paint import CONTRASTS, contrast_name
from anonymi_bids.phantoms.person import BROW_MM, Person, smooth_shift
from anonymi_bids.phantoms.records import Phantom
from anonymi_bids.phantoms.scan import (
    ORIENTATIONS,
    Grid,
    add_globes,
    choose_grid,
    finish_scan,
    merge_slices,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a scan is taken.

    Attributes
    ----------
    spacing_mm : float or (3,) tuple of float
        Voxel edges along the array's axes; one number for all.
    orientation : str or None
        Codes of the array's axes, such as ``"LAS"``; None draws one.
    oblique_deg : float
        Largest tilt of the grid against the scanner's axes.
    bias : float
        Strength of the smooth shading; 0 for none.
    noise : float or None
        Standard deviation in signal units (white matter of T1w 110); None draws one.
    air_mm : float
        Air around the head.
    below_chin_mm : float
        How far the field of view goes below the chin.
    """

    spacing_mm: float | tuple[float, float, float] = 1.3
    orientation: str | None = None
    oblique_deg: float = 3.0
    bias: float = 0.2
    noise: float | None = None
    air_mm: float = 12.0
    below_chin_mm: float = 25.0


def make_visit(
    person: Person, contrast: str = "T1w", seed: int = 0, *, protocol: Protocol | None = None
) -> Phantom:
    """Scan a digital person.

    Scans with the same `seed` belong to the same visit: same pose (but for a small motion between
    scans), same neck, same skin. Another seed is another visit.

    Parameters
    ----------
    person : Person
    contrast : str
        One of `anonymi_bids.phantoms.paint.CONTRASTS`.
    seed : int
        Number of the visit.
    protocol : Protocol, optional

    Returns
    -------
    Phantom
    """
    protocol = protocol or Protocol()
    contrast = contrast_name(contrast)
    visit_rng = np.random.default_rng([79, person.seed, seed])
    scan_rng = np.random.default_rng([80, person.seed, seed, CONTRASTS.index(contrast)])
    vertices = visit_skin(person, visit_rng)
    pose = _small_motion(scan_rng) @ _draw_pose(visit_rng)
    model = load_model()
    skin = apply_affine(pose, vertices)
    code = protocol.orientation or str(scan_rng.choice(ORIENTATIONS))
    grid = choose_grid(
        skin,
        chin_mm=skin[model.landmarks68[8]],
        code=code,
        spacing_mm=protocol.spacing_mm,
        oblique_deg=protocol.oblique_deg,
        air_mm=protocol.air_mm,
        below_chin_mm=protocol.below_chin_mm,
        rng=scan_rng,
    )
    # One thread: quicker at this size, and the same bytes whatever the machine's number of cores.
    with threadpool_limits(1):
        signal, labels = _paint(person, vertices, pose, grid, contrast)
    data = finish_scan(
        signal, grid.affine, contrast, scan_rng, bias=protocol.bias, noise=protocol.noise
    )
    return Phantom(
        image=Image(data, grid.affine),
        labels=Image(labels, grid.affine),
        contrast=contrast,
        vertices=model.close(skin),
        triangles=model.closed,
        landmarks68=skin[model.landmarks68],
        nasion=skin[model.points["nasion"]],
        lpa=skin[model.points["lpa"]],
        rpa=skin[model.points["rpa"]],
        head_to_image=pose,
        name=person.name,
    )


def _paint(
    person: Person, vertices: Floats, pose: Affine, grid: Grid, contrast: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Noise-free signal and labels on the image's grid."""
    model = load_model()
    fine_affine, fine_shape = grid.fine()
    share = voxelise(
        apply_affine(pose, model.close(vertices)), model.closed, fine_affine, fine_shape
    )
    warp = make_warp(person.head, vertices, person.seed)
    size = float(person.vertices[:, 2].max() / model.mean[:, 2].max())
    to_person = np.asarray(np.linalg.inv(pose), dtype=np.float64)
    signal, labels = paint_inside(warp, to_person, share, fine_affine, contrast, BROW_MM * size)
    add_globes(signal, labels, share, fine_affine, apply_affine(pose, person.eyes), pose, contrast)
    return merge_slices(signal, labels, grid.parts)


def visit_skin(person: Person, rng: np.random.Generator) -> Floats:
    """Skin of a person on one day: neck bent by a few degrees, and 0.3 mm of smooth change.

    Returns
    -------
    (n, 3) float64 ndarray
        The person's own mm.
    """
    model = load_model()
    skin = person.vertices
    normals = vertex_normals(skin, model.triangles)
    change = 0.3 * smooth_shift(skin, 30.0, 1.0, rng)[:, :1]
    change[model.part >= 2] = 0
    moved = skin + change * normals
    return _bend_neck(moved, rng.uniform(-5, 5, size=2))


def _bend_neck(points: Floats, angles_deg: Floats) -> Floats:
    """Turn what lies below the plane from skull base to chin about the skull base."""
    pivot = np.array([0.0, -15.0, -45.0])
    plane = -92.0 + 0.33 * (100.0 - points[:, 1])
    part = np.clip((plane - points[:, 2]) / 45.0, 0, 1)
    weight = part * part * (3 - 2 * part)
    pitch, roll = np.radians(angles_deg)[:, None] * weight
    x, y, z = (points - pivot).T
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, z = x * np.cos(roll) + z * np.sin(roll), z * np.cos(roll) - x * np.sin(roll)
    return np.stack([x, y, z], axis=1) + pivot


def _draw_pose(rng: np.random.Generator) -> Floats:
    """Head in the scanner: turned up to ± 8°, a few mm off the centre."""
    return _rigid(rng.uniform(-8, 8, size=3), rng.uniform(-12, 12, size=3))


def _small_motion(rng: np.random.Generator) -> Floats:
    """Draw what a head moves between two scans of a visit."""
    return _rigid(rng.normal(0, 0.4, size=3), rng.normal(0, 0.5, size=3))


def _rigid(degrees: Floats, shift: Floats) -> Floats:
    """Rotation about x, y, z (in this order), then a shift, (4, 4)."""
    matrix = np.eye(4)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix[:3, :3] = turn @ matrix[:3, :3]
    matrix[:3, 3] = shift
    return matrix
