"""What a scan of a digital person comes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.model import Image

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A scan of a digital person and the truth about it, all in the scan's own mm (RAS+).

    Attributes
    ----------
    image : Image
        float32; white matter of T1w near 110 times a gain; CT in Hounsfield units.
    labels : Image
        uint8 on the same grid: 0 air, 1 white, 2 grey, 3 CSF, 4 bone, 5 soft tissue, 6 eyes,
        7 air cavity, 8 skin.
    contrast : str
        As in `anonymi_bids.phantoms.paint.CONTRASTS`.
    vertices, triangles : (n, 3) and (m, 3) ndarray
        Closed surface of the skin.
    landmarks68 : (68, 3) ndarray
        Multi-PIE face landmarks.
    nasion, lpa, rpa : (3,) ndarray
        EEG fiducials: root of the nose, left and right preauricular point.
    head_to_image : (4, 4) ndarray
        Rigid pose: the person's own mm to the image's mm.
    name : str
        Which person, or which label head.
    """

    image: Image
    labels: Image
    contrast: str
    vertices: Floats = field(repr=False)
    triangles: npt.NDArray[np.int64] = field(repr=False)
    landmarks68: Floats = field(repr=False)
    nasion: Floats
    lpa: Floats
    rpa: Floats
    head_to_image: Floats
    name: str

    @property
    def brain(self) -> npt.NDArray[np.bool_]:
        """White and grey matter, on the image's grid."""
        return np.isin(self.labels.data, (1, 2, 9))

    @property
    def brain_and_csf(self) -> npt.NDArray[np.bool_]:
        """White and grey matter and CSF, on the image's grid."""
        return np.isin(self.labels.data, (1, 2, 3, 9))

    def truth(self) -> dict[str, Any]:
        """Landmarks and pose as plain values for JSON, mm."""
        return {
            "name": self.name,
            "contrast": self.contrast,
            "nasion": self.nasion.round(3).tolist(),
            "lpa": self.lpa.round(3).tolist(),
            "rpa": self.rpa.round(3).tolist(),
            "landmarks68": self.landmarks68.round(3).tolist(),
            "head_to_image": self.head_to_image.round(6).tolist(),
            "brain_ml": round(float(self.brain.sum() * np.prod(self.image.voxel_sizes) / 1000), 3),
        }

    def moved(self, motion: Floats) -> Phantom:
        """Return the same scan placed elsewhere: `motion` (4, 4) maps old mm to new mm."""
        return Phantom(
            image=Image(self.image.data, motion @ self.image.affine),
            labels=Image(self.labels.data, motion @ self.labels.affine),
            contrast=self.contrast,
            vertices=apply_affine(motion, self.vertices),
            triangles=self.triangles,
            landmarks68=apply_affine(motion, self.landmarks68),
            nasion=apply_affine(motion, self.nasion),
            lpa=apply_affine(motion, self.lpa),
            rpa=apply_affine(motion, self.rpa),
            head_to_image=motion @ self.head_to_image,
            name=self.name,
        )
