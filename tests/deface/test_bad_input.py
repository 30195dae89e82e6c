"""Scans that are cut, coarse, saturated, shifted or touched by a holder: all are handled.

Each is one digital person in one place, so the head is looked for once. What the methods make of
it goes through the gates; a case is handled only if every one of them passes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from anonymi_bids.core.grid import apply_affine
from anonymi_bids.core.mask import head_mask
from anonymi_bids.deface.apply import deface_scan
from anonymi_bids.deface.mask import DefaceRegion, build_region
from anonymi_bids.deface.refill import Plan
from anonymi_bids.deface.surface import plan_surface
from anonymi_bids.gates import run_gates
from anonymi_bids.gates.context import GateContext
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.locate import find_head
from anonymi_bids.io.images import iter_volumes, open_scan, read_image, write_image
from anonymi_bids.model import Carry, HeadFit
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom
from anonymi_bids.settings import GateSettings

SPACING_MM = 4.0
Data = npt.NDArray[np.generic]
Scan = tuple[Data, npt.NDArray[np.float64]]


@pytest.fixture(scope="module")
def person() -> Phantom:
    return quick_head(SPACING_MM, "T1w", 5)


@pytest.fixture(scope="module")
def placed(person: Phantom) -> HeadFit:
    return find_head(person.image, load_atlas(), seed=1)


def stored(values: npt.NDArray[np.float32]) -> Data:
    return np.rint(np.clip(values, 0, 4000) * 8).astype(np.int16)


def cut(person: Phantom, *box: slice) -> Scan:
    """Field of view that ends within the head."""
    affine = person.image.affine.copy()
    affine[:3, 3] = apply_affine(affine, [part.start or 0 for part in box])
    return stored(person.image.data)[box], affine


def voxel(person: Phantom, place: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(apply_affine(np.linalg.inv(person.image.affine), place)).astype(np.int64)


def extent(person: Phantom) -> list[tuple[int, int]]:
    head = person.labels.data > 0
    lines = [np.flatnonzero(head.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    return [(int(line[0]), int(line[-1]) + 1) for line in lines]


def without_face(person: Phantom) -> Scan:
    brow = person.landmarks68[17:27].mean(axis=0)
    return cut(person, slice(None), slice(None), slice(int(voxel(person, brow)[2]) + 3, None))


def half_a_face(person: Phantom) -> Scan:
    middle = int(voxel(person, person.nasion)[0])
    return cut(person, slice(0, middle + 2), slice(None), slice(None))


def touching_three_sides(person: Phantom) -> Scan:
    (left, _), (_, front), (_, top) = extent(person)
    return cut(person, slice(left + 1, None), slice(0, front - 1), slice(0, top - 1))


def ten_thick_slices(person: Phantom) -> Scan:
    thick = round(15 / SPACING_MM)
    top = extent(person)[2][1]
    first = top - 10 * thick
    data = person.image.data[:, :, first:top]
    blocks = data.reshape(*data.shape[:2], 10, thick).mean(axis=3)
    affine = person.image.affine.copy()
    affine[:3, 2] *= thick
    affine[:3, 3] = apply_affine(person.image.affine, (0, 0, first + (thick - 1) / 2))
    return stored(blocks), affine


def with_pillow(person: Phantom) -> Scan:
    """Foam as bright as fat behind the head and against both ears."""
    (left, right), (back, _), _ = extent(person)
    i, j, k = np.ogrid[tuple(slice(0, n) for n in person.image.data.shape)]
    ear, nasion = voxel(person, person.lpa), voxel(person, person.nasion)
    n = 1 / SPACING_MM
    pillow = (j < back + 15 * n) & (abs(i - nasion[0]) < 70 * n) & (abs(k - nasion[2]) < 60 * n)
    pads = (abs(j - ear[1]) < 25 * n) & (abs(k - ear[2]) < 25 * n)
    pads = pads & ((i < left + 6 * n) | (i > right - 6 * n))
    data = person.image.data.copy()
    foam = (pillow | pads) & (person.labels.data == 0)
    data[foam] = 55 + np.random.default_rng(0).normal(0, 4, int(foam.sum()))
    return stored(data), person.image.affine


def saturated(person: Phantom, kind: str) -> Scan:
    high = np.iinfo(np.dtype(kind)).max
    bright = np.percentile(person.image.data[person.labels.data > 0], 70)
    values = np.clip(np.rint(person.image.data / bright * high), 0, high)
    return values.astype(kind), person.image.affine


def in_numbers(person: Phantom, kind: str) -> Scan:
    data = np.clip(person.image.data, 0, None)
    values = {
        "shifted": np.rint(data * 8 - 1000).astype(np.int16),
        "unit": (data / data.max()).astype(np.float32),
    }
    return values[kind], person.image.affine


def hounsfield(_person: Phantom) -> Scan:
    ct = quick_head(SPACING_MM, "CT", 5).image
    return np.rint(ct.data).astype(np.int16), ct.affine


SCANS = {
    "no face": without_face,
    "half a face": half_a_face,
    "three sides": touching_three_sides,
    "ten slices": ten_thick_slices,
    "pillow": with_pillow,
    "CT": hounsfield,
    "shifted": lambda person: in_numbers(person, "shifted"),
    "unit": lambda person: in_numbers(person, "unit"),
    "int8": lambda person: saturated(person, "int8"),
}


def defaced(
    method: str, folder: Path, scan: Scan, fit: HeadFit
) -> tuple[DefaceRegion, Plan | None]:
    """Write the scan, and what a method makes of it."""
    write_image(folder / "before.nii.gz", *scan)
    image, atlas = read_image(folder / "before.nii.gz"), load_atlas()
    plan: Plan | None = None
    if method == "mask":
        region = build_region(image, atlas, fit.atlas_to_image, brain_margin_mm=5.0, ears=True)
    else:
        region, plan = plan_surface(
            image,
            atlas,
            fit.atlas_to_image,
            brain_margin_mm=5.0,
            ears=True,
            style="newface",
            smooth_mm=16.0,
            seed=4,
        )
    paths = (folder / name for name in ("before.nii.gz", "after.nii.gz", "mask.nii.gz"))
    deface_scan(*paths, region, seed=1, plan=plan)
    return region, plan


def faults(method: str, folder: Path, fit: HeadFit) -> dict[str, str]:
    """Gates that do not pass → their sentences.

    An ear is a few voxels of this size, too few to tell a new one from the old by its depth: that
    is held against finer scans in ``tests/gates``.
    """
    beside = {"metadata_clean"} | ({"ears_gone"} if method == "surface" else set())
    context = GateContext(
        before_file=folder / "before.nii.gz",
        after_file=folder / "after.nii.gz",
        mask_file=folder / "mask.nii.gz",
        sidecar={},
        release_path="sub-01/anat/sub-01_T1w.nii.gz",
        fit=fit,
        carry=Carry(np.eye(4), 1.0, True, "This is the reference of its session."),
        atlas_to_image=fit.atlas_to_image,
        needles=(),
        settings=GateSettings(),
        ears=True,
        rebuilt=method == "surface",
        allowed_keys=frozenset(),
    )
    return {
        found.gate: found.sentence
        for found in run_gates(context)
        if found.status != "passed" and found.gate not in beside
    }


CASES = [*(("surface", scan) for scan in SCANS), ("mask", "pillow")]


@pytest.mark.parametrize(("method", "scan"), CASES)
def test_bad_input_is_handled(
    method: str, scan: str, person: Phantom, placed: HeadFit, tmp_path: Path
) -> None:
    before = SCANS[scan](person)
    region, plan = defaced(method, tmp_path, before, placed)
    assert not faults(method, tmp_path, placed)
    after = list(iter_volumes(open_scan(tmp_path / "after.nii.gz")))
    volumes = before[0] if before[0].ndim == 4 else before[0][..., None]
    for number, volume in enumerate(after):
        assert volume.dtype == before[0].dtype
        original = volumes[..., number]
        np.testing.assert_array_equal(volume[~region.removed], original[~region.removed])
        assert original.min() <= volume.min()
        assert volume.max() <= original.max()
    if plan is not None:
        looks_like_a_head(region, plan, after[0], before[1])


def looks_like_a_head(
    region: DefaceRegion, plan: Plan, after: Data, affine: npt.NDArray[np.float64]
) -> None:
    """Below the new skin stands tissue and above it air, and it lies near the old skin."""
    head = head_mask(after.astype(np.float32), affine)
    deep, high = (region.removed & where for where in (plan.depth > 6, plan.depth < -6))
    if deep.any():
        assert head[deep].mean() > 0.9
    if high.any():
        assert head[high].mean() < 0.05
    assert region.figures["moved_mean_mm"] < 8
