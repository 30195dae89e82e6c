"""Real scans: what each series becomes, apart and as one hospital dump."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.dicom.build import DicomBuild, build_bids
from anonymi_bids.dicom.mapping import entities_text
from anonymi_bids.dicom.plan import plan_dicom, planned_images

from .test_build import mapped_equal

pytestmark = pytest.mark.shared

SEED = 11

# Folder → images of the BIDS tree: name → (shape, voxel sizes, axes), as dcm2niix 1.0.2026 makes
# them (../shared/data/README-dicom-brains.md), but for the Trio T1w: its missing slice is filled.
EXPECTED: dict[str, dict[str, tuple[tuple[int, ...], tuple[float, ...], str]]] = {
    "child_mprage_siemens_skyra": {"T1w": ((192, 256, 256), (0.9, 0.859, 0.859), "RAS")},
    "adult_mprage_t2_siemens_trio": {
        "T1w": ((192, 192, 176), (1.146, 1.146, 1.0), "PIR"),
        "T2w": ((384, 512, 28), (0.43, 0.43, 5.0), "LAS"),
    },
    "positions_siemens_prisma": {
        f"ses-0{number}_T1w": ((256, 256, 35), (1.016, 1.016, 4.8), "PSR")
        for number in (1, 2, 3, 4)
    },
    "adult_mprage_philips_elition": {"T1w": ((170, 256, 256), (1.0, 1.0, 1.0), "RAS")},
    "adult_mprage_enhanced_siemens_prisma_xa30": {
        "run-1_T1w": ((96, 128, 128), (2.0, 2.0, 2.0), "RAS"),
        "run-2_T1w": ((96, 128, 128), (2.0, 2.0, 2.0), "RAS"),
    },
    "adult_pd_2d_ge_signa": {"PDw": ((256, 256, 20), (0.859, 0.859, 7.071), "LAS")},
    "vendor_header_samples": {},
    "text": {},
}
N_WITHHELD = {
    "adult_mprage_t2_siemens_trio": 2,
    "vendor_header_samples": 5,
    "text": 10,
}


def described(root: Path) -> dict[str, tuple[tuple[int, ...], tuple[float, ...], str]]:
    found = {}
    for path in sorted(root.rglob("*.nii.gz")):
        image: Any = nib.load(path)
        sizes = tuple(round(float(size), 3) for size in image.header.get_zooms())
        axes = "".join(nib.aff2axcodes(image.affine))
        name = path.name.split("_", 1)[1].removesuffix(".nii.gz")
        found[name] = (image.shape, sizes, axes)
    return found


@pytest.fixture(scope="module")
def dump(real_dicom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of all archives in one folder, in random order, under names without meaning."""
    root = tmp_path_factory.mktemp("dump")
    files = sorted(path for path in real_dicom.rglob("*") if path.is_file())
    for number, path in zip(np.random.default_rng(5).permutation(len(files)), files, strict=True):
        os.link(path, root / f"{number:04d}")
    return root


@pytest.fixture(scope="module")
def dumped(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[DicomBuild, Path]:
    root = tmp_path_factory.mktemp("bids")
    return build_bids(dump, root, seed=SEED), root


@pytest.mark.parametrize("folder", sorted(EXPECTED))
def test_each_archive_apart_is_planned_as_in_the_dump(
    real_dicom: Path, folder: str, dumped: tuple[DicomBuild, Path]
) -> None:
    build, _ = dumped
    rows = {row.fingerprint: row for row in build.decisions}
    planned = planned_images(plan_dicom(real_dicom / folder, seed=SEED), 0.5)
    named = [image for image in planned if not image.decision.withheld]
    assert len(named) == len(EXPECTED[folder])
    assert len(planned) - len(named) == N_WITHHELD.get(folder, 0)
    for image in planned:
        row = rows[image.image_id]
        assert row.decision == image.decision.text
        assert row.entities == entities_text(image.decision)
        assert row.n_files == str(len(image.planned.series.files))
        if not image.decision.withheld:
            assert float(row.confidence) >= 0.8


@pytest.mark.parametrize(
    ("folder", "name", "off"),
    [
        ("adult_mprage_t2_siemens_trio/5_mocoMEMPRAGE_RMS", "T1w", 0.01),
        ("child_mprage_siemens_skyra", "T1w", 0.01),
        # Its positions are rounded to 0.1 mm and dcm2niix steps by the first two.
        ("adult_pd_2d_ge_signa", "PDw", 0.25),
        ("positions_siemens_prisma/HFDR", "ses-02_T1w", 0.01),
    ],
)
def test_every_pixel_lies_where_its_header_says(
    real_dicom: Path, folder: str, name: str, off: float, dumped: tuple[DicomBuild, Path]
) -> None:
    shape = EXPECTED[folder.split("/")[0]][name][0]
    (image,) = [
        path
        for path in dumped[1].rglob(f"*_{name}.nii.gz")
        if nib.load(path).shape == shape  # type: ignore[attr-defined]
    ]
    files = [path for path in sorted((real_dicom / folder).iterdir()) if path.suffix == ".dcm"]
    assert mapped_equal(image, files[::7], off)


def test_the_dump_gives_every_head_and_nothing_else(dumped: tuple[DicomBuild, Path]) -> None:
    build, root = dumped
    everything = [(name, *value) for folder in EXPECTED.values() for name, value in folder.items()]
    found = []
    for subject in sorted(root.glob("sub-*")):
        found += [(name, *value) for name, value in described(subject).items()]
    assert sorted(found) == sorted(everything)
    assert len(build.subjects) == 19
    assert build.n_files == 752
    assert len(build.skipped) == 7


def test_every_file_and_series_of_the_dump_has_a_fate(dumped: tuple[DicomBuild, Path]) -> None:
    build, root = dumped
    named = [row for row in build.decisions if row.decision != "withhold"]
    assert len(named) == len(list(root.rglob("*.nii.gz"))) == 11
    assert len(build.decisions) == 11 + 17 + 1  # and the resampled copy of the Trio T1w
    assert len(build.fates) == len(build.decisions) - len(named) + len(build.skipped)
    assert len({fate.path for fate in build.fates}) == len(build.fates)
    assert all(fate.reason.endswith(".") for fate in build.fates)


def test_no_needle_of_the_dump_stands_in_names_or_reasons(
    dumped: tuple[DicomBuild, Path],
) -> None:
    build, root = dumped
    shown = [fate.path + " " + fate.reason for fate in build.fates]
    shown += [path.relative_to(root).as_posix() for path in root.rglob("*")]
    needles = {needle.casefold() for found in build.needles.values() for needle in found}
    assert len(needles) > 300
    for text in shown:
        assert not [needle for needle in needles if needle in text.casefold()]
