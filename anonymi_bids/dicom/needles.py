"""Collect from DICOM headers the strings that must appear nowhere in a release."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from anonymi_bids.dicom.header import MAX_HEADER_VALUE, short_elements

MIN_LENGTH = 4
MAX_NEEDLES = 2000
MAX_NEEDLE_LENGTH = 200

KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "IssuerOfPatientID",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "MilitaryRank",
    "EthnicGroup",
    "Occupation",
    "MedicalRecordLocator",
    "AdditionalPatientHistory",
    "AccessionNumber",
    "StudyID",
    "AdmissionID",
    "ReferringPhysicianName",
    "ReferringPhysicianAddress",
    "PerformingPhysicianName",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "RequestingPhysician",
    "OperatorsName",
    "ResponsiblePerson",
    "InstitutionName",
    "InstitutionAddress",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "StudyDescription",
    "ImageComments",
    "StudyComments",
    "RequestedProcedureDescription",
    "RequestedProcedureID",
    "RequestedProcedureComments",
    "PerformedProcedureStepDescription",
    "PerformedProcedureStepID",
    "ScheduledProcedureStepDescription",
    "RequestAttributesSequence",
    "OtherPatientIDsSequence",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "DeviceUID",
    "PatientBirthDate",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "PerformedProcedureStepStartDate",
)
"""Elements whose values tell who, where or when (PS3.15 annex E, table E.1-1)."""

_NAMES = frozenset(("PN",))
_FREE_TEXTS = frozenset(("PN", "LT", "ST", "UT"))
"""Value representations of names and prose: needles wherever they stand."""

_DATES = frozenset(("DA", "DT"))

COMMON = frozenset(
    "adult aged anonymized anonymised anonymous axial brain child cerebrum contrast cranium "
    "department female hands head hospital human images institution male medical neck neuro "
    "normal original patient phantom protocol radiology research routine scan scanner skull "
    "standard study subject test unknown volunteer with without".split()
)
"""Words that identify nobody."""

CLEAN_TEXT = (
    "anonymi_bids dcm2niix Nipype nibabel NIfTI openneuro README participants.tsv sessions scans "
    "dataset_description.json defacemask "
    "Name BIDSVersion DatasetType raw GeneratedBy Version Description License Authors "
    "DeidentificationMethod DeidentificationMethodCodeSequence CodeValue CodeMeaning "
    "CodingSchemeDesignator CodingSchemeVersion TaskName participant_id session_id acq_time "
    "filename handedness species group Manufacturer ManufacturersModelName MagneticFieldStrength "
    "ImagingFrequency ImagedNucleus Modality ReceiveCoilName ReceiveCoilActiveElements "
    "MatrixCoilMode CoilCombinationMethod Adaptive Combine SoftwareVersions syngo "
    "ConversionSoftware ConversionSoftwareVersion ConversionNote BodyPartExamined PatientPosition "
    "TablePosition ImageOrientationPatientDICOM ImageOrientationText ImageTypeText ORIGINAL "
    "PRIMARY MAGNITUDE MOSAIC DERIVED SECONDARY PulseSequenceType PulseSequenceDetails "
    "ScanningSequence SequenceVariant ScanOptions SequenceName MRAcquisitionType MTState "
    "NonlinearGradientCorrection SpoilingState WaterSuppression SliceThickness "
    "SpacingBetweenSlices PhaseEncodingDirection SliceEncodingDirection PhaseEncodingAxis "
    "InPlanePhaseEncodingDirectionDICOM PhaseEncodingPolarityGE PartialFourier "
    "ParallelReductionFactorInPlane ParallelReductionFactorOutOfPlane "
    "ParallelAcquisitionTechnique GRAPPA SENSE MultibandAccelerationFactor AcquisitionMatrixPE "
    "ReconMatrixPE BaseResolution PhaseResolution PercentPhaseFOV PercentSampling "
    "PhaseEncodingStepsNoPartialFourier FrequencyEncodingSteps NumberOfAverages PixelBandwidth "
    "BandwidthPerPixelPhaseEncode EchoTime EchoNumber EchoTrainLength InversionTime "
    "RepetitionTime RepetitionTimeExcitation RepetitionTimePreparation FlipAngle DwellTime "
    "EffectiveEchoSpacing "
    "DerivedVendorReportedEchoSpacing TotalReadoutTime AcquisitionDuration SliceTiming Units "
    "arbitrary ArterialSpinLabelingType PostLabelingDelay BackgroundSuppression ShimSetting "
    "Siemens Philips General Electric Canon Toshiba Hitachi Bruker United Imaging Skyra TrioTim "
    "Prisma Verio Avanto Vida Ingenia Achieva Elition SIGNA Discovery MPRAGE FLASH FLAIR"
).casefold()
"""Text of a clean dataset; a short needle within it would be found in every release."""


def needles_from_dicom(files: Iterable[Path]) -> tuple[str, ...]:
    """Collect identifying strings of some files of one subject.

    Parameters
    ----------
    files : iterable of Path
        One file a series is enough: what identifies stands in all of them.

    Returns
    -------
    tuple of str
        Sorted, at least four characters each, without common words; at most `MAX_NEEDLES`, names
        and numbers first.
    """
    import pydicom.config
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    ranked: dict[str, int] = {}
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        for path in files:
            try:
                dataset = dcmread(
                    path,
                    stop_before_pixels=True,
                    defer_size=MAX_HEADER_VALUE,
                    force=True,
                )
                for rank, text in _texts(dataset, 0):
                    ranked[text] = min(rank, ranked.get(text, rank))
            except (InvalidDicomError, OSError, ValueError, KeyError, TypeError, struct.error):
                continue
    needles = [text for text in ranked if _is_needle(text)]
    needles.sort(key=lambda text: (ranked[text], text))
    return tuple(sorted(needles[:MAX_NEEDLES]))


def _is_needle(text: str) -> bool:
    plain = text.casefold()
    if not MIN_LENGTH <= len(text) <= MAX_NEEDLE_LENGTH or plain in COMMON or plain in CLEAN_TEXT:
        return False
    letters = {letter for letter in text.casefold() if letter.isalnum()}
    return len(letters) > 1


def _texts(dataset: Any, depth: int) -> Iterator[tuple[int, str]]:
    """Give (rank, text) of each element and of the parts of names."""
    if depth > 4:
        return
    ranks = {keyword: rank for rank, keyword in enumerate(KEYWORDS)}
    for keyword in sorted(short_elements(dataset) - {""}):
        try:
            element = dataset[keyword]
        except (ValueError, TypeError, KeyError, NotImplementedError, struct.error):
            continue
        if keyword not in ranks and element.VR not in _FREE_TEXTS:
            continue
        rank = ranks.get(keyword, len(ranks))
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _texts(item, depth + 1)
            continue
        for text in _split_values(element.value):
            yield from ((rank, form) for form in _forms(text, element.VR))


def _forms(text: str, representation: str) -> Iterator[str]:
    """Give the spellings in which a value might turn up."""
    if representation in _DATES:
        yield from date_forms(text)
        return
    yield from (line.strip()[:MAX_NEEDLE_LENGTH] for line in text.splitlines())
    if representation in _NAMES:
        parts = text.replace("=", " ").replace("^", " ").replace(",", " ").split()
        yield " ".join(parts)
        yield " ".join(reversed(parts))
        yield from parts


def _split_values(value: Any) -> list[str]:
    many = value if isinstance(value, (list, tuple)) or _is_multi(value) else [value]
    return [str(entry).replace("\0", "").strip() for entry in many if entry is not None]


def _is_multi(value: Any) -> bool:
    return type(value).__name__ == "MultiValue"


def date_forms(text: str) -> tuple[str, ...]:
    """Spellings of a DICOM date: 20130308 becomes 2013-03-08, 08.03.2013, 3/8/2013 … too."""
    digits = text[:8].replace("-", "").replace(".", "")
    if len(digits) != 8 or not digits.isdigit():
        return ()
    year, month, day = digits[:4], digits[4:6], digits[6:]
    if not ("1" <= year[0] <= "2" and "01" <= month <= "12" and "01" <= day <= "31"):
        return ()
    return (
        digits,
        f"{year}-{month}-{day}",
        f"{year}/{month}/{day}",
        f"{year}.{month}.{day}",
        f"{day}.{month}.{year}",
        f"{day}/{month}/{year}",
        f"{month}/{day}/{year}",
        f"{day}-{month}-{year}",
        f"{int(day)}.{int(month)}.{year}",
        f"{int(month)}/{int(day)}/{year}",
    )
