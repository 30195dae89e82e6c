"""Write digital scans as DICOM slices with headers that look like a hospital's.

Classic MR Image Storage and CT Image Storage, explicit little endian; DICOM PS3.3 C.7.6.2.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import apply_affine, voxel_sizes
from anonymi_bids.io.atomic import space_errors
from anonymi_bids.phantoms.patient import Patient, visit_time
from anonymi_bids.phantoms.person import Person
from anonymi_bids.phantoms.physics import Scanner, sequence_for
from anonymi_bids.phantoms.records import Phantom

if TYPE_CHECKING:
    from pydicom import Dataset

_CT_INTERCEPT = -1024


def write_series(
    folder: Path,
    phantom: Phantom,
    person: Person,
    patient: Patient,
    scanner: Scanner,
    *,
    visit: int,
    number: int,
) -> list[Path]:
    """Write one scan as a series, one file a slice, without file name extensions.

    Parameters
    ----------
    folder : Path
        Is made; holds ``IM00001`` and so on.
    phantom : Phantom
        The third axis of its array becomes the slices.
    person, patient, scanner
        Who and where.
    visit : int
    number : int
        Series number.

    Returns
    -------
    list of Path
    """
    from pydicom import dcmwrite

    folder.mkdir(parents=True, exist_ok=True)
    header = series_header(phantom, person, patient, scanner, visit=visit, number=number)
    stored = stored_values(phantom)
    paths = []
    with space_errors("a DICOM series"):
        for k in range(stored.shape[2]):
            path = folder / f"IM{k + 1:05d}"
            dcmwrite(
                path,
                slice_dataset(header, stored, phantom.image.affine, k),
                enforce_file_format=True,
            )
            paths.append(path)
    return paths


def stored_values(phantom: Phantom) -> npt.NDArray[np.uint16]:
    """Values as stored in DICOM, (I, J, K) uint16 (CT: Hounsfield units + 1024)."""
    offset = _CT_INTERCEPT if phantom.contrast == "CT" else 0
    return np.clip(np.rint(phantom.image.data) - offset, 0, 4095).astype(np.uint16)


def series_header(
    phantom: Phantom,
    person: Person,
    patient: Patient,
    scanner: Scanner,
    *,
    visit: int,
    number: int,
) -> Dataset:
    """Everything that all slices of a series share."""
    from pydicom import Dataset
    from pydicom.uid import (
        UID,
        CTImageStorage,
        ExplicitVRLittleEndian,
        MRImageStorage,
        generate_uid,
    )

    def uid(*parts: object) -> UID:
        return generate_uid("2.25.", [str(part) for part in parts])

    head = Dataset()
    is_ct = phantom.contrast == "CT"
    begin = visit_time(person, visit) + datetime.timedelta(minutes=6 * number)
    head.SpecificCharacterSet = "ISO_IR 192"
    head.SOPClassUID = CTImageStorage if is_ct else MRImageStorage
    head.StudyInstanceUID = uid("study", patient.number, visit, is_ct)
    head.SeriesInstanceUID = uid("series", patient.number, visit, number)
    head.FrameOfReferenceUID = uid("frame", patient.number, visit, is_ct)
    head.Modality = "CT" if is_ct else "MR"
    head.SeriesNumber, head.AcquisitionNumber, head.StudyID = number, 1, f"{visit + 1}"
    for kind in ("Study", "Series", "Acquisition", "Content"):
        moment = visit_time(person, visit) if kind == "Study" else begin
        setattr(head, f"{kind}Date", moment.strftime("%Y%m%d"))
        setattr(head, f"{kind}Time", moment.strftime("%H%M%S.000000"))
    _add_patient(head, person, patient, begin.date())
    _add_place(head, scanner, patient, visit)
    slice_mm = float(phantom.image.voxel_sizes[2])
    if is_ct:
        _add_ct(head)
    else:
        _add_mr(head, phantom, scanner, thick=slice_mm > 2)
    head.SliceThickness = head.SpacingBetweenSlices = _decimal(slice_mm)
    head.file_meta = _file_meta(ExplicitVRLittleEndian, head.SOPClassUID)
    return head


def _file_meta(syntax: str, sop_class: str) -> Any:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.ImplementationVersionName = "DIGITALPEOPLE"
    meta.SourceApplicationEntityTitle = "NIRGENDPACS"
    return meta


def _add_patient(head: Dataset, person: Person, patient: Patient, day: datetime.date) -> None:
    from pydicom import Dataset

    head.PatientName, head.PatientID = patient.name, patient.number
    head.OtherPatientIDs = patient.other_number
    head.PatientBirthDate = patient.birth.strftime("%Y%m%d")
    head.PatientSex = person.sex
    head.PatientAge = f"{(day - patient.birth).days // 365.25:03.0f}Y"
    head.PatientWeight, head.PatientSize = str(patient.weight_kg), str(patient.height_m)
    head.PatientAddress, head.PatientTelephoneNumbers = patient.address, patient.telephone
    head.MedicalRecordLocator = patient.insurance
    head.AdditionalPatientHistory = patient.remark
    head.PatientComments = patient.remark
    head.ImageComments = f"siehe {patient.other_number}"
    head.ReferringPhysicianName = patient.referring
    head.PerformingPhysicianName = patient.performing
    head.OperatorsName = patient.operator
    head.RequestingPhysician = patient.referring
    request = Dataset()
    request.ScheduledProcedureStepDescription = f"MR Kopf {patient.name.replace('^', ', ')}"
    request.ScheduledProcedureStepID = patient.other_number
    head.RequestAttributesSequence = [request]


def _add_place(head: Dataset, scanner: Scanner, patient: Patient, visit: int) -> None:
    head.Manufacturer, head.ManufacturerModelName = scanner.manufacturer, scanner.model
    head.SoftwareVersions, head.DeviceSerialNumber = scanner.software, scanner.serial
    head.InstitutionName, head.InstitutionAddress = scanner.institution, scanner.address
    head.InstitutionalDepartmentName = "Neuroradiologie"
    head.StationName = scanner.station
    head.AccessionNumber = f"A{int(patient.number) % 10**6:06d}{visit}"
    head.StudyDescription = "Schaedel nativ"
    head.PatientPosition = "HFS"
    head.BodyPartExamined = "HEAD"
    block = head.private_block(0x0009, "NIRGENDHEIM HIS 1.0", create=True)
    block.add_new(0x01, "LO", f"{patient.name};{patient.insurance}")
    block.add_new(0x02, "UT", f"Fallakte {patient.other_number}: {patient.remark}")
    block.add_new(0x03, "OB", f"{patient.address}\0{patient.telephone}\0".encode())
    block = head.private_block(0x0019, "DIGITAL SCANNER 7", create=True)
    block.add_new(0x10, "DS", "1.25")
    block.add_new(0x11, "SH", patient.operator[:16])


def _add_mr(head: Dataset, phantom: Phantom, scanner: Scanner, *, thick: bool) -> None:
    sequence = sequence_for(phantom.contrast, scanner.make, thick=thick)
    siemens = scanner.make == "SIEMENS"
    head.ImageType = ["ORIGINAL", "PRIMARY"] + (["M", "ND", "NORM"] if siemens else ["OTHER"])
    head.ScanningSequence = list(sequence.scanning_sequence)
    head.SequenceVariant = list(sequence.sequence_variant)
    head.ScanOptions = "IR" if siemens and sequence.inversion_ms else ""
    head.MRAcquisitionType = sequence.acquisition
    head.SequenceName = sequence.name
    head.SeriesDescription = head.ProtocolName = sequence.description
    head.RepetitionTime = _decimal(sequence.repetition_ms)
    head.EchoTime = _decimal(sequence.echo_ms)
    if sequence.inversion_ms is not None:
        head.InversionTime = _decimal(sequence.inversion_ms)
    head.FlipAngle = _decimal(sequence.flip_deg)
    head.EchoNumbers, head.NumberOfAverages = 1, "1"
    head.EchoTrainLength = 1 if sequence.scanning_sequence[0] == "GR" else 16
    head.MagneticFieldStrength = _decimal(scanner.field_t)
    head.ImagingFrequency = _decimal(42.577 * scanner.field_t)
    head.ImagedNucleus = "1H"
    head.PixelBandwidth = "240"
    head.InPlanePhaseEncodingDirection = "ROW"
    head.TransmitCoilName = "Body"


def _add_ct(head: Dataset) -> None:
    head.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    head.ManufacturerModelName, head.SoftwareVersions = "Digital CT", "1.0"
    head.SeriesDescription = head.ProtocolName = "Head 1.0 H31s"
    head.KVP, head.XRayTubeCurrent, head.ConvolutionKernel = "120", 300, "H31s"
    head.RescaleIntercept, head.RescaleSlope, head.RescaleType = str(_CT_INTERCEPT), "1", "HU"


def slice_dataset(
    header: Dataset,
    stored: npt.NDArray[np.uint16],
    affine: npt.NDArray[np.float64],
    k: int,
) -> Dataset:
    """Build slice `k` of a series: the header, its place, its pixels.

    The array's first axis runs along the columns' index, its second along the rows'; DICOM's mm
    are LPS.
    """
    import copy

    from pydicom.uid import generate_uid

    slice_ = copy.copy(header)
    slice_._dict = dict(header._dict)
    to_lps = np.diag([-1.0, -1.0, 1.0])
    sizes = voxel_sizes(affine)
    axes = to_lps @ affine[:3, :3] / sizes
    place = to_lps @ apply_affine(affine, (0, 0, k))
    uid = generate_uid("2.25.", [str(header.SeriesInstanceUID), str(k)])
    slice_.SOPInstanceUID = uid
    slice_.InstanceNumber = k + 1
    slice_.ImagePositionPatient = [_decimal(v) for v in place]
    slice_.ImageOrientationPatient = [f"{v:.10f}" for v in axes[:, :2].T.ravel()]
    slice_.SliceLocation = _decimal(float(axes[:, 2] @ place))
    slice_.PixelSpacing = [_decimal(sizes[1]), _decimal(sizes[0])]
    slice_.Rows, slice_.Columns = stored.shape[1], stored.shape[0]
    slice_.SamplesPerPixel, slice_.PhotometricInterpretation = 1, "MONOCHROME2"
    slice_.BitsAllocated, slice_.BitsStored, slice_.HighBit = 16, 12, 11
    slice_.PixelRepresentation = 0
    slice_.WindowCenter, slice_.WindowWidth = "300", "600"
    slice_.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
    slice_["PixelData"].VR = "OW"
    slice_.file_meta = copy.deepcopy(header.file_meta)
    slice_.file_meta.MediaStorageSOPInstanceUID = uid
    return slice_


def _decimal(value: float) -> str:
    """Decimal string of at most 16 characters."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
