"""Photographs of digital people: the shape model's skin in colour, seen by a near camera.

Skin of one tone a person, lips, brows, irises and hair painted by landmarks, a lamp and a window,
a background, noise and JPEG. It stands for a passport photograph and is easier than a real one:
nobody smiles, wears glasses, or has aged.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.shape import LEFT_EYE, RIGHT_EYE
from anonymi_bids.core.surface import vertex_normals
from anonymi_bids.phantoms.library import load_model
from anonymi_bids.phantoms.person import Person

Colour = npt.NDArray[np.float32]

SIDE = 360
CAMERA_MM = 900.0
_SCALE = 1.45
"""Pixels a mm at the root of the nose."""

_CORNERS = np.array(
    [[a, b, 9 - a - b] for a in range(10) for b in range(10 - a)], dtype=np.float32
) / np.float32(9)


def photograph(person: Person, seed: int) -> bytes:
    """Take a photograph of a person.

    Parameters
    ----------
    person : Person
    seed : int
        Chooses pose, light, colours and noise.

    Returns
    -------
    bytes
        A JPEG file, 360 × 360 pixels.
    """
    from PIL import Image
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng([61, seed])
    model = load_model()
    turn = Rotation.from_euler("xz", [rng.normal(0, 4), rng.normal(0, 6)], degrees=True)
    points = turn.apply(person.vertices).astype(np.float32)
    normals = vertex_normals(points.astype(np.float64), model.triangles).astype(np.float32)
    colours = paint(person, rng)
    lamp, window = _unit([rng.uniform(-0.6, 0.6), 1, 0.6]), _unit([rng.choice([-1, 1]), 0.6, 0.2])
    light = 0.35 + 0.5 * np.clip(normals @ lamp, 0, 1) + 0.25 * np.clip(normals @ window, 0, 1)
    centre = points[model.points["nasion"]] - np.array([0, 0, 25], dtype=np.float32)
    picture = splat(points - centre, colours * light[:, None], model.triangles, rng)
    noisy = np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(noisy).save(packed, format="JPEG", quality=90)
    return packed.getvalue()


def paint(person: Person, rng: np.random.Generator) -> Colour:
    """Colour of each vertex, (n, 3), 0–255 under full light."""
    model = load_model()
    points = person.vertices
    marks = points[model.landmarks68]
    tone = rng.uniform(0.55, 1.0)
    colours = np.tile(np.float32([225, 180, 155]) * np.float32(tone), (len(points), 1))
    lips = _near(points, marks[48:60], 2.5) & (model.part < LEFT_EYE)
    colours[lips] *= np.float32([0.85, 0.6, 0.6])
    hair = np.float32(rng.uniform(0.1, 0.6)) * np.float32([110, 85, 60])
    for brow in (marks[17:22], marks[22:27]):
        colours[_near(points, brow, 2.5)] = hair
    vault = points[:, 2] > marks[17:27, 2].max() + 42
    back = (points[:, 1] < marks[[0, 16], 1].mean() - 5) & (points[:, 2] > marks[30, 2])
    colours[(vault | back) & (model.ear == 0) & (model.part < LEFT_EYE)] = hair
    iris = np.float32(rng.choice([[70, 45, 25], [80, 110, 130], [80, 100, 60]]))
    for part in (LEFT_EYE, RIGHT_EYE):
        ball = np.flatnonzero(model.part == part)
        pole = points[ball[np.argmax(points[ball, 1])]]
        apart = np.linalg.norm((points[ball] - pole)[:, [0, 2]], axis=1)
        white = np.float32([225, 220, 215])
        colours[ball] = np.where(apart[:, None] < 5.6, iris, white)
        colours[ball[apart < 2]] = 10
    return colours


def splat(
    points: npt.NDArray[np.float32],
    colours: Colour,
    triangles: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Colour:
    """Draw coloured triangles by points laid close on them, the nearest to the camera winning.

    Parameters
    ----------
    points : (n, 3) ndarray
        mm from the picture's middle; the camera is in front (+y).
    """
    places = np.einsum("pc,mcx->pmx", _CORNERS, points[triangles]).reshape(-1, 3)
    greys = np.einsum("pc,mcx->pmx", _CORNERS, colours[triangles]).reshape(-1, 3)
    zoom = _SCALE * CAMERA_MM / (CAMERA_MM - places[:, 1])
    # Seen from the front, the head's left is on the viewer's right.
    column = np.floor(SIDE / 2 - places[:, 0] * zoom).astype(np.int64)
    row = np.floor(SIDE / 2 - places[:, 2] * zoom).astype(np.int64)
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    order = np.argsort(places[inside, 1], kind="stable")
    picture = np.tile(rng.uniform(60, 230, 3).astype(np.float32), (SIDE * SIDE, 1))
    picture[(row[inside] * SIDE + column[inside])[order]] = greys[inside][order]
    return picture.reshape(SIDE, SIDE, 3)


def _near(points: npt.NDArray[np.float64], marks: npt.NDArray[np.float64], reach: float):
    from scipy.spatial import cKDTree

    return cKDTree(_dense(marks)).query(points)[0] < reach


def _dense(marks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Points along a line of landmarks."""
    shares = np.linspace(0, 1, 8)[:, None, None]
    return ((1 - shares) * marks[:-1] + shares * marks[1:]).reshape(-1, 3)


def _unit(direction: list[float]) -> npt.NDArray[np.float32]:
    vector = np.asarray(direction, dtype=np.float32)
    return vector / np.linalg.norm(vector)
