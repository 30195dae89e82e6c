"""Tiny DICOM series of nobody, made by pydicom."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR = "1.2.840.10008.5.1.4.1.1.4"
ROOT = "1.2.826.0.1.3680043.8.498."

MPRAGE: dict[str, Any] = {
    "SeriesDescription": "t1_mprage_sag",
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": ["SK", "SP", "MP"],
    "MRAcquisitionType": "3D",
    "RepetitionTime": 2000,
    "EchoTime": 2.5,
    "InversionTime": 900,
    "FlipAngle": 9,
}
TSE: dict[str, Any] = {
    "SeriesDescription": "t2_tse_tra",
    "ScanningSequence": "SE",
    "SequenceVariant": ["SK", "SP"],
    "MRAcquisitionType": "2D",
    "RepetitionTime": 5000,
    "EchoTime": 95,
    "FlipAngle": 150,
}


def uid(*parts: object) -> str:
    """UID that is a fixed function of its parts."""
    return str(generate_uid(prefix=ROOT, entropy_srcs=[str(part) for part in parts]))


def make_slice(study: str, series: str, number: int, **values: Any) -> Dataset:
    """One slice; values overrule the defaults."""
    dataset = Dataset()
    dataset.SOPClassUID = MR
    dataset.SOPInstanceUID = uid(study, series, number)
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(study, series)
    dataset.FrameOfReferenceUID = uid(study, "frame")
    dataset.Modality = "MR"
    dataset.Manufacturer = "SIEMENS"
    dataset.ManufacturerModelName = "Model"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "MRN-1"
    dataset.PatientBirthDate = "19800229"
    dataset.PatientSex = "F"
    dataset.StudyDate = "20200301"
    dataset.StudyTime = "101010"
    dataset.SeriesTime = "102000"
    dataset.AcquisitionTime = "101500"
    dataset.PatientPosition = "HFS"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.SeriesNumber = 3
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = 1
    dataset.MagneticFieldStrength = 3
    dataset.SliceThickness = 2
    dataset.SpacingBetweenSlices = 2
    dataset.PixelSpacing = [1.5, 1.25]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [-10, -12, 2.0 * number]
    dataset.Rows, dataset.Columns = 16, 20
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    shape = (int(dataset.Rows), int(dataset.Columns) * int(dataset.SamplesPerPixel))
    pixels = np.random.default_rng(number).integers(0, 1000, shape)
    dataset.PixelData = pixels.astype(np.uint16 if dataset.BitsAllocated == 16 else "u1").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def write_series(
    folder: Path,
    series: str,
    *,
    study: str = "study1",
    numbers: Sequence[int] = tuple(range(1, 9)),
    change: Callable[[Dataset, int], None] | None = None,
    **values: Any,
) -> list[Path]:
    """Write slices under names that tell nothing; `change` may alter each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in numbers:
        dataset = make_slice(study, series, number, **values)
        if change is not None:
            change(dataset, number)
        path = folder / f"{study}{series}{number:04d}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def real_dicom(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All archives of real scans, unpacked once, one folder each."""
    root = tmp_path_factory.mktemp("real")
    archives = sorted((shared_data / "dicom").glob("*.tar.xz"))
    for archive in [*archives, shared_data / "text" / "text_dicom.tar.xz"]:
        with tarfile.open(archive) as packed:
            packed.extractall(root, filter="data")
    return root
