"""Recognisers of faces as plugs: one that ships as an extra, others by name.

A recogniser turns a grey picture of a face into a vector; vectors of one person lie near each
other. Where eyes, nose and mouth are is told to it, so that no failure of a detector hides
anybody.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from anonymi_bids.errors import ToolError

Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float32]

DEFAULT = "dlib"
EXTRA = "pip install 'anonymi-bids[faces]'"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face that a detector found.

    Attributes
    ----------
    score : float
        The detector's own; higher is surer.
    landmarks : (68, 2) float64 ndarray
        Column and row of the Multi-PIE landmarks, pixels.
    """

    score: float
    landmarks: Points


@runtime_checkable
class Recogniser(Protocol):
    """What the audit asks of a recogniser; a class of this shape may be given by name.

    It is made without arguments and must give the same vectors for the same pictures.
    """

    name: str
    """Name and version, as the report shows them."""

    def find(self, picture: Picture) -> Found | None:
        """Find the surest face of a grey picture (rows, columns); None if there is none."""

    def embed(self, picture: Picture, landmarks: Points) -> Vector:
        """Turn a face into a vector of length 1.

        Parameters
        ----------
        picture : (rows, columns) uint8 ndarray
        landmarks : (68, 2) float64 ndarray
            Column and row, pixels; to be trusted, even where the picture shows no face.
        """


class DlibRecogniser:
    """The HOG detector, 68-point predictor and ResNet-29 of dlib (King 2017; LFW 0.9938)."""

    def __init__(self) -> None:
        try:
            import dlib
            import face_recognition_models as models
        except ImportError as error:
            raise ToolError(
                "The face recogniser is not installed, so no face was shown to one; install it "
                f"with: {EXTRA}"
            ) from error
        self.name = f"dlib {dlib.__version__}, ResNet-29"
        self._dlib: Any = dlib
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(models.pose_predictor_model_location())
        self._network = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def find(self, picture: Picture) -> Found | None:
        """Find the surest face; the picture is doubled, so faces from 40 pixels on are found."""
        colour = _colour(picture)
        boxes, scores, _ = self._detector.run(colour, 1, 0.0)
        if not boxes:
            return None
        best = int(np.argmax(scores))
        shape = self._predictor(colour, boxes[best])
        points = [(shape.part(i).x, shape.part(i).y) for i in range(shape.num_parts)]
        return Found(float(scores[best]), np.array(points, dtype=np.float64))

    def embed(self, picture: Picture, landmarks: Points) -> Vector:
        """Turn a face at these landmarks into a vector of length 1, (128,)."""
        columns, rows = np.rint(landmarks).astype(int).T
        box = self._dlib.rectangle(
            int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())
        )
        points = [self._dlib.point(int(c), int(r)) for c, r in zip(columns, rows, strict=True)]
        shape = self._dlib.full_object_detection(box, points)
        vector = np.array(
            self._network.compute_face_descriptor(_colour(picture), shape, 0), dtype=np.float32
        )
        return unit(vector)


def unit(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Scale vectors along the last axis to length 1; zero stays zero."""
    values = np.asarray(vectors, dtype=np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), np.float32(1e-9))


def _colour(picture: Picture) -> Picture:
    return np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=2))


@functools.cache
def load_recogniser(name: str = DEFAULT) -> Recogniser:
    """Make a recogniser.

    Parameters
    ----------
    name : str
        ``dlib``, or ``package.module:Class`` of anything importable that is a `Recogniser`.

    Raises
    ------
    ToolError
        If it is not installed or is no recogniser.
    """
    if name == DEFAULT:
        return DlibRecogniser()
    module, separator, attribute = name.partition(":")
    if not (module and separator and attribute):
        raise ToolError(
            "The name of a recogniser must be package.module:Class, or dlib; correct --recogniser."
        )
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ToolError(
            "The recogniser that was named cannot be imported and made; install its package, or "
            "correct --recogniser."
        ) from error
    if not isinstance(made, Recogniser):
        raise ToolError(
            "The recogniser that was named lacks name, find or embed (anonymi_bids.audit."
            "recogniser.Recogniser); correct --recogniser."
        )
    return made


def recogniser_if_any(name: str) -> Recogniser | None:
    """Make a recogniser, or give None where the default's extra is not installed.

    Raises
    ------
    ToolError
        If another one was named and cannot be made.
    """
    try:
        return load_recogniser(name)
    except ToolError:
        if name == DEFAULT:
            return None
        raise
