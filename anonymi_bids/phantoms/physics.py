"""Plausible acquisition parameters of digital scans, as DICOM and BIDS know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anonymi_bids.phantoms.paint import contrast_name


@dataclass(frozen=True, slots=True)
class Sequence:
    """How one contrast is acquired on one make of scanner.

    Attributes
    ----------
    scanning_sequence, sequence_variant : tuple of str
        DICOM (0018,0020) and (0018,0021).
    name : str
        Sequence name, as the maker writes it.
    description : str
        Series description.
    repetition_ms, echo_ms : float
    inversion_ms : float or None
    flip_deg : float
    acquisition : {"2D", "3D"}
    """

    scanning_sequence: tuple[str, ...]
    sequence_variant: tuple[str, ...]
    name: str
    description: str
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None
    flip_deg: float
    acquisition: str


@dataclass(frozen=True, slots=True)
class Scanner:
    """A scanner that exists nowhere.

    Attributes
    ----------
    make : {"SIEMENS", "GE"}
    manufacturer, model, software : str
    field_t : float
    institution, address, station, serial : str
        Invented.
    """

    make: str
    manufacturer: str
    model: str
    software: str
    field_t: float
    institution: str
    address: str
    station: str
    serial: str


SCANNERS = (
    Scanner(
        "SIEMENS", "SIEMENS", "Prisma", "syngo MR E11", 3.0, "Klinikum Nirgendheim",
        "Lindenallee 12, 99999 Nirgendheim", "MRC40117", "40117",
    ),
    Scanner(
        "GE", "GE MEDICAL SYSTEMS", "Signa HDxt", "24LXMR", 1.5, "Noplace General Hospital",
        "1 Harbour Road, Noplace", "NGHMR2", "00731NGH",
    ),
)  # fmt: skip
"""Scanners of digital studies."""

_SIEMENS_3D = {
    "T1w": Sequence(("GR", "IR"), ("SP", "MP"), "*tfl3d1_16ns", "t1_mprage_sag_p2_iso",
                    2300.0, 2.98, 900.0, 9.0, "3D"),
    "T2w": Sequence(("SE",), ("SK", "SP"), "*spc_314ns", "t2_space_sag_p2_iso",
                    3200.0, 408.0, None, 120.0, "3D"),
    "FLAIR": Sequence(("SE", "IR"), ("SK", "SP", "MP"), "*spcir_278ns", "t2_space_dark-fluid_sag",
                      5000.0, 388.0, 1800.0, 120.0, "3D"),
    "PD": Sequence(("SE",), ("SK", "SP"), "*spc_314ns", "pd_space_sag_iso",
                   3000.0, 14.0, None, 120.0, "3D"),
}  # fmt: skip

_SIEMENS_2D = {
    "T1w": Sequence(("SE",), ("SK",), "*se2d1", "t1_se_tra", 550.0, 9.0, None, 90.0, "2D"),
    "T2w": Sequence(("SE",), ("SK", "SP", "OSP"), "*tse2d1_15", "t2_tse_tra_512",
                    6000.0, 99.0, None, 150.0, "2D"),
    "FLAIR": Sequence(("SE", "IR"), ("SK", "SP", "MP"), "*tir2d1_16", "t2_tirm_tra_dark-fluid",
                      9000.0, 94.0, 2500.0, 150.0, "2D"),
    "PD": Sequence(("SE",), ("SK", "SP"), "*tse2d1_7", "pd_tse_tra",
                   2800.0, 11.0, None, 150.0, "2D"),
}  # fmt: skip

_GE_3D = {
    "T1w": Sequence(("GR", "IR"), ("SS", "SP", "SK"), "3D BRAVO", "Sag 3D T1 BRAVO",
                    7.6, 3.0, 450.0, 12.0, "3D"),
    "T2w": Sequence(("SE",), ("SK",), "3D CUBE T2", "Sag CUBE T2", 2500.0, 87.0, None, 90.0, "3D"),
    "FLAIR": Sequence(("SE", "IR"), ("SK",), "3D CUBE FLAIR", "Sag CUBE T2 FLAIR",
                      6000.0, 120.0, 1850.0, 90.0, "3D"),
    "PD": Sequence(("SE",), ("SK",), "3D CUBE PD", "Sag CUBE PD", 2500.0, 16.0, None, 90.0, "3D"),
}  # fmt: skip

_GE_2D = {
    "T1w": Sequence(("SE",), ("SK",), "SE", "Ax T1 SE", 500.0, 10.0, None, 90.0, "2D"),
    "T2w": Sequence(("SE",), ("SK",), "FSE-XL", "Ax T2 FSE", 5200.0, 102.0, None, 111.0, "2D"),
    "FLAIR": Sequence(("SE", "IR"), ("SK",), "FLAIR", "Ax T2 FLAIR",
                      8800.0, 120.0, 2250.0, 111.0, "2D"),
    "PD": Sequence(("SE",), ("SK",), "FSE-XL", "Ax PD FSE", 2600.0, 14.0, None, 111.0, "2D"),
}  # fmt: skip

_CT = Sequence((), (), "", "Head 1.0 H31s", 0.0, 0.0, None, 0.0, "2D")


def sequence_for(contrast: str, make: str, *, thick: bool) -> Sequence:
    """Acquisition of a contrast.

    Parameters
    ----------
    contrast : str
    make : {"SIEMENS", "GE"}
    thick : bool
        2-D slices instead of a 3-D slab.
    """
    name = contrast_name(contrast)
    if name == "CT":
        return _CT
    tables = {
        ("SIEMENS", False): _SIEMENS_3D,
        ("SIEMENS", True): _SIEMENS_2D,
        ("GE", False): _GE_3D,
        ("GE", True): _GE_2D,
    }
    return tables[make, thick][name]


def sidecar(contrast: str, scanner: Scanner, *, slice_mm: float, thick: bool) -> dict[str, Any]:
    """BIDS sidecar of a digital scan, with what a converter leaves of place and device."""
    sequence = sequence_for(contrast, scanner.make, thick=thick)
    content: dict[str, Any] = {
        "Modality": "CT" if contrast_name(contrast) == "CT" else "MR",
        "Manufacturer": {"SIEMENS": "Siemens", "GE": "GE"}[scanner.make],
        "ManufacturersModelName": scanner.model,
        "SoftwareVersions": scanner.software,
        "InstitutionName": scanner.institution,
        "InstitutionAddress": scanner.address,
        "StationName": scanner.station,
        "DeviceSerialNumber": scanner.serial,
        "SeriesDescription": sequence.description,
        "ProtocolName": sequence.description,
        "SliceThickness": round(slice_mm, 4),
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if sequence is _CT else "M"],
        "ConversionSoftware": "anonymi-bids-phantoms",
    }
    if sequence is _CT:
        return content
    content |= {
        "MagneticFieldStrength": scanner.field_t,
        "BodyPartExamined": "HEAD",
        "PatientPosition": "HFS",
        "ScanningSequence": "_".join(sequence.scanning_sequence),
        "SequenceVariant": "_".join(sequence.sequence_variant),
        "SequenceName": sequence.name,
        "MRAcquisitionType": sequence.acquisition,
        "RepetitionTime": sequence.repetition_ms / 1000,
        "EchoTime": sequence.echo_ms / 1000,
        "FlipAngle": sequence.flip_deg,
    }
    if sequence.inversion_ms is not None:
        content["InversionTime"] = sequence.inversion_ms / 1000
    return content


def pick_scanner(seed: int) -> Scanner:
    """Scanner that a digital person is scanned on, drawn from the person's seed."""
    return SCANNERS[int(np.random.default_rng([81, seed]).integers(len(SCANNERS)))]
