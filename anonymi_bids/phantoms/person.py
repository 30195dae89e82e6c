"""Digital people: a skin that belongs to nobody, and who they are said to be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.shape import LEFT_EYE, RIGHT_EYE, ShapeModel, affinity
from anonymi_bids.phantoms.library import HEADS, load_model

Floats = npt.NDArray[np.float64]

GLOBE_MM = 12.2
"""Radius of an eyeball."""

BROW_MM = 58.0
"""Height of the brow in the mean head."""

_FACE_TOP_MM, _FACE_BACK_MM = 72.0, 26.0

BLEND_MM = 18.0
"""Width of the border where an uncoupled face passes into another one's vault."""

_SIZE = {"M": (0.99, 0.02), "F": (0.96, 0.02)}
"""Mean and standard deviation of the size against the model's mean head."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A digital person.

    Attributes
    ----------
    seed : int
    head : str
        Label head that gives the inside.
    vertices : (n, 3) float64 ndarray
        Skin in the person's own mm: x right, y forward, z up.
    eyes : (2, 3) float64 ndarray
        Centres of left and right eyeball, same mm.
    sex : {"M", "F"}
    age : int
        Years.
    uncoupled : bool
        Whether face and vault come from two identities.
    """

    seed: int
    head: str
    vertices: Floats = field(repr=False)
    eyes: Floats = field(repr=False)
    sex: str
    age: int
    uncoupled: bool = False

    @property
    def name(self) -> str:
        """Name without meaning, from the seed."""
        return f"person{self.seed}"


def make_person(seed: int = 0, *, head: str | None = None, uncoupled: bool = False) -> Person:
    """Draw a digital person.

    Parameters
    ----------
    seed : int
        The same seed gives the same person.
    head : str, optional
        Label head for the inside, one of `anonymi_bids.phantoms.library.HEADS`; drawn if left out.
    uncoupled : bool
        Draw face and vault from two identities, blended over 18 mm, with a smooth residual that
        the shape model does not know. A lower bound for attacks that complete a face from the
        rest of the head; the default is the upper bound.

    Returns
    -------
    Person
    """
    rng = np.random.default_rng([77, seed])
    model = load_model()
    drawn = str(rng.choice(HEADS))
    sex = "F" if rng.random() < 0.5 else "M"
    age = int(np.clip(rng.normal(45, 16), 19, 84))
    mean, spread = _SIZE[sex]
    size = float(np.clip(rng.normal(mean, spread), mean - 2 * spread, mean + 2 * spread))
    vertices = model.vertices(model.sample(rng)).astype(np.float64)
    if uncoupled:
        other = model.vertices(model.sample(rng)).astype(np.float64)
        vertices = blend_identities(model, face=vertices, vault=other)
        vertices += smooth_shift(vertices, 35.0, 1.2, rng)
    vertices, eyes = shrink_eyes(model, vertices * size * _towards_mean_vault(model, vertices))
    return Person(seed, head or drawn, vertices, eyes, sex, age, uncoupled)


def _towards_mean_vault(model: ShapeModel, vertices: Floats) -> float:
    """Scale that halves the difference of a vault's size to the mean head's, in logarithms.

    The model's identities differ in size more than brains do.
    """
    vault = (model.mean[:, 2] > BROW_MM) & (model.part < LEFT_EYE)
    own, mean = (np.ptp(points[vault], axis=0).prod() for points in (vertices, model.mean))
    return float((mean / own) ** (1 / 6))


def face_weight(model: ShapeModel) -> Floats:
    """Share of the face in each vertex of an uncoupled person, (n,): 1 face, 0 vault, ears, back.

    The border lies just above the brow and just in front of the ears.
    """
    inside = np.minimum(model.mean[:, 1] - _FACE_BACK_MM, _FACE_TOP_MM - model.mean[:, 2])
    part = np.clip((inside + BLEND_MM / 2) / BLEND_MM, 0, 1).astype(np.float64)
    weight = part * part * (3 - 2 * part)
    weight[model.part >= LEFT_EYE] = 1
    return weight


def blend_identities(model: ShapeModel, *, face: Floats, vault: Floats) -> Floats:
    """Put the face of one identity on the vault of another.

    The face is first laid on the other's border by an affine map, so that no step is left: of the
    vault's own shape no more than these 12 numbers enters the face.

    Returns
    -------
    (n, 3) float64 ndarray
    """
    weight = face_weight(model)
    border = (weight > 0.02) & (weight < 0.98)
    placed = apply_affine(affinity(face[border], vault[border]), face)
    return weight[:, None] * placed + (1 - weight[:, None]) * vault


def smooth_shift(
    points: Floats, scale_mm: float, size_mm: float, rng: np.random.Generator
) -> Floats:
    """Random displacement that changes smoothly in space, (n, 3) mm."""
    low = points.min(axis=0) - scale_mm
    counts = np.ceil((points.max(axis=0) + scale_mm - low) / scale_mm).astype(int) + 1
    lattice = rng.standard_normal((3, *counts))
    where = ((points - low) / scale_mm).T
    moved = [ndimage.map_coordinates(part, where, order=3, mode="nearest") for part in lattice]
    return size_mm * np.stack(moved, axis=1)


def shrink_eyes(model: ShapeModel, vertices: Floats) -> tuple[Floats, Floats]:
    """Give the eyeballs their true size, keeping their front pole.

    Returns
    -------
    vertices : (n, 3) ndarray
    eyes : (2, 3) ndarray
        Centres of left and right eyeball.
    """
    vertices = vertices.copy()
    eyes = []
    for part in (LEFT_EYE, RIGHT_EYE):
        ball = np.flatnonzero(model.part == part)
        centre = (vertices[ball].max(axis=0) + vertices[ball].min(axis=0)) / 2
        width = np.ptp(vertices[ball][:, [0, 2]], axis=0).mean()
        pole = np.array([centre[0], vertices[ball, 1].max(), centre[2]])
        factor = 2 * GLOBE_MM / width
        vertices[ball] = pole + factor * (vertices[ball] - pole)
        eyes.append(pole - [0, GLOBE_MM, 0])
    return vertices, np.array(eyes)
