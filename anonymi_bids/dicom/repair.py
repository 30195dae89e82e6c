"""Fill missing slices of a stack by interpolation between their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.dicom.sort import Series, slice_places
from anonymi_bids.io.images import clean_header, iter_volumes, open_scan, write_volumes

TOLERANCE = 0.02
"""Each step must be a multiple of the usual one within this share of it."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Where slices are missing.

    Attributes
    ----------
    missing : tuple of int
        Slices missing behind slice k, for every k but the last.
    spacing : float
        Usual distance of slices, mm.
    """

    missing: tuple[int, ...]
    spacing: float


def find_gaps(series: Series, path: Path) -> Gaps | None:
    """Hold the places of the slices against the converted image.

    Parameters
    ----------
    series : Series
    path : Path
        What dcm2niix made of it: a 3-D image whose third axis runs through the slices.

    Returns
    -------
    Gaps or None
        None if no slice is missing, or if image and headers do not agree well enough to fill.
    """
    found = slice_places(series)
    if found is None or len(found[0]) < 4:
        return None
    places, normal_lps = found
    scan = open_scan(path)
    if len(scan.shape) != 3 or scan.shape[2] != len(places):
        return None
    normal = np.array([-normal_lps[0], -normal_lps[1], normal_lps[2]])
    axis = scan.affine[:3, 2] / np.linalg.norm(scan.affine[:3, 2])
    agreement = float(axis @ normal)
    if abs(agreement) < 0.999:
        return None
    if agreement < 0:
        places = sorted(-place for place in places)
    if abs(float(axis @ scan.affine[:3, 3]) - places[0]) > 0.1:
        return None
    steps = np.array([after - before for before, after in pairwise(places)])
    usual = float(np.median(steps))
    multiples = steps / usual
    missing = np.round(multiples).astype(int) - 1
    if np.any(np.abs(multiples - np.round(multiples)) > TOLERANCE) or missing.sum() == 0:
        return None
    return Gaps(tuple(int(count) for count in missing), float(np.mean(steps[missing == 0])))


def write_filled(source: Path, target: Path, gaps: Gaps) -> tuple[int, ...]:
    """Write a copy of an image in which the gaps are filled.

    Parameters
    ----------
    source, target : Path
    gaps : Gaps
        Of `source`.

    Returns
    -------
    tuple of int
        Shape of the new image. Slices that were there keep their stored values.
    """
    scan = open_scan(source)
    filled = _filled(next(iter_volumes(scan)), gaps.missing)
    affine = scan.affine.copy()
    affine[:3, 2] *= gaps.spacing / np.linalg.norm(affine[:3, 2])
    header = clean_header(scan.header)
    header.set_data_shape(filled.shape)
    zooms = list(header.get_zooms())
    zooms[2] = gaps.spacing
    header.set_zooms(zooms)
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    write_volumes(target, header, scan.dtype, [filled])
    return tuple(filled.shape)


def _filled(volume: npt.NDArray[Any], missing: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.stack(list(_slices(volume, missing)), axis=2)


def _slices(volume: npt.NDArray[Any], missing: tuple[int, ...]) -> Iterator[npt.NDArray[Any]]:
    """Give the slices of a volume with interpolated ones between them."""
    for place, count in enumerate(missing):
        yield volume[:, :, place]
        before = volume[:, :, place].astype(np.float64)
        after = volume[:, :, place + 1].astype(np.float64)
        for number in range(1, count + 1):
            share = number / (count + 1)
            between = before * (1 - share) + after * share
            if volume.dtype.kind in "iu":
                between = np.round(between)
            yield between.astype(volume.dtype)
    yield volume[:, :, -1]
