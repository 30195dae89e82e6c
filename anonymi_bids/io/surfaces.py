"""Read and write surfaces as GIFTI, in scanner millimetres.

The coordinate system is written as ``NIFTI_XFORM_SCANNER_ANAT``: these are the mm that the
affine of the image leads to. FreeSurfer takes such a file for scanner coordinates ("real RAS"),
not for its own surface coordinates (``utils/gifti.cpp``: ``useRealRAS``).
GIFTI format: https://www.nitrc.org/projects/gifti
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.parsers.expat import ExpatError

import nibabel as nib
import numpy as np
from nibabel.gifti import GiftiCoordSystem, GiftiDataArray, GiftiImage, GiftiMetaData

from anonymi_bids.errors import ImageError
from anonymi_bids.io.atomic import atomic_path
from anonymi_bids.model import Surface

EXTENSION = ".surf.gii"
POINTS = "NIFTI_INTENT_POINTSET"
TRIANGLES = "NIFTI_INTENT_TRIANGLE"
SCANNER = "NIFTI_XFORM_SCANNER_ANAT"
_ENCODING = "GIFTI_ENCODING_B64GZ"
_DATA = re.compile(rb"<Data>[^<]*</Data>")


def write_surface(path: Path, surface: Surface) -> None:
    """Write a closed surface as ``.surf.gii``; the same surface gives the same bytes.

    Parameters
    ----------
    path : Path
    surface : Surface
        Stored as float32, so places are rounded by at most 0.00002 mm.
    """
    points = GiftiDataArray(
        np.asarray(surface.vertices, np.float32),
        intent=POINTS,
        encoding=_ENCODING,
        coordsys=GiftiCoordSystem(SCANNER, SCANNER, np.eye(4)),
        meta=GiftiMetaData({"GeometricType": "Anatomical"}),
    )
    triangles = GiftiDataArray(
        np.asarray(surface.triangles, np.int32),
        intent=TRIANGLES,
        encoding=_ENCODING,
        meta=GiftiMetaData({"TopologicalType": "Closed"}),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as waiting:
        waiting.write_bytes(GiftiImage(darrays=[points, triangles]).to_bytes())


def read_surface(path: str | os.PathLike[str]) -> Surface:
    """Read a surface.

    Raises
    ------
    ImageError
        If the file is no GIFTI surface in scanner mm.
    """
    try:
        content = GiftiImage.from_bytes(Path(path).read_bytes())
        points = content.get_arrays_from_intent(POINTS)[0]
        triangles = content.get_arrays_from_intent(TRIANGLES)[0]
        space = nib.nifti1.xform_codes.niistring[points.coordsys.dataspace]
    except (OSError, ValueError, IndexError, KeyError, TypeError, ExpatError) as error:
        raise ImageError("A surface file cannot be read as GIFTI; make it again.") from error
    if space != SCANNER:
        raise ImageError("A surface is not in scanner coordinates; give one that is.")
    return Surface(
        np.asarray(points.data, np.float64), np.asarray(triangles.data).astype(np.int64)
    )


def surface_text(path: Path) -> str:
    """Everything in a surface file but its numbers: what could hold words."""
    content = _DATA.sub(b"<Data/>", path.read_bytes())
    return content.decode("utf-8", "replace")
