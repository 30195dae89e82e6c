"""Find the original of each released image by its voxels, whatever it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anonymi_bids.io.images import iter_volumes, open_scan, read_mask

MIN_EQUAL = 0.999
"""Share of the voxels outside the released mask that must be bit-identical."""


@dataclass(frozen=True)
class Pair:
    """A released image and its original.

    ``original`` is the name of the image in the scenario; ``before`` its file.
    """

    released: str
    original: str
    before: Path
    after: Path
    mask: Path
    equal_outside: float


def pair_up(release: Path, originals: Mapping[str, Path]) -> tuple[list[Pair], list[str]]:
    """Pair released images with originals.

    Returns
    -------
    pairs : list of Pair
    unmatched : list of str
        Released images without an original that equals them outside the mask.
    """
    pairs, unmatched = [], []
    for after in sorted(release.rglob("*.nii.gz")):
        if after.name.endswith("_defacemask.nii.gz"):
            continue
        name = after.relative_to(release).as_posix()
        found = _best(after, mask_of(after), originals)
        if found is None:
            unmatched.append(name)
        else:
            pairs.append(
                Pair(name, found[0], originals[found[0]], after, mask_of(after), found[1])
            )
    return pairs, unmatched


def mask_of(image: Path) -> Path:
    """Path of the mask that was released beside an image."""
    stem = image.name.removesuffix(".nii.gz")
    entities, _, suffix = stem.rpartition("_")
    return image.with_name(f"{entities}_mod-{suffix}_defacemask.nii.gz")


def _best(after: Path, mask: Path, originals: Mapping[str, Path]) -> tuple[str, float] | None:
    if not mask.is_file():
        return None
    scan, removed = open_scan(after), read_mask(mask)
    volume = next(iter_volumes(scan))
    best: tuple[str, float] | None = None
    for name, path in originals.items():
        other = open_scan(path)
        if other.shape != scan.shape or not np.allclose(other.affine, scan.affine, atol=1e-3):
            continue
        equal = float(np.mean((next(iter_volumes(other)) == volume)[~removed]))
        if equal >= MIN_EQUAL and (best is None or equal > best[1]):
            best = (name, equal)
    return best
