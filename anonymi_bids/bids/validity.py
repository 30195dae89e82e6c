"""What a BIDS validator asks of an image and its sidecar, checked before either is released.

Rules: BIDS schema 1.2, ``rules/sidecars`` and ``rules/checks``
(https://bids-specification.readthedocs.io), as far as they are errors for raw images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anonymi_bids.errors import ImageError
from anonymi_bids.io.images import Scan
from anonymi_bids.model import Entities

Sidecar = Mapping[str, Any]

_PET = (
    "Manufacturer ManufacturersModelName Units TracerName TracerRadionuclide "
    "InjectedRadioactivity InjectedRadioactivityUnits InjectedMass InjectedMassUnits "
    "SpecificRadioactivity SpecificRadioactivityUnits ModeOfAdministration TimeZero ScanStart "
    "InjectionStart FrameTimesStart FrameDuration AcquisitionMode ImageDecayCorrected "
    "ImageDecayCorrectionTime ReconMethodName ReconMethodParameterLabels ReconFilterType "
    "AttenuationCorrection"
)
_MP2RAGE = "FlipAngle InversionTime RepetitionTimeExcitation RepetitionTimePreparation NumberShots"
_OF_SUFFIX: Mapping[tuple[str, str], str] = {
    ("func", "bold"): "TaskName RepetitionTime|VolumeTiming",
    ("func", "phase"): "Units",
    ("fmap", "phasediff"): "EchoTime1 EchoTime2",
    ("fmap", "phase1"): "EchoTime",
    ("fmap", "phase2"): "EchoTime",
    ("fmap", "fieldmap"): "Units",
    ("fmap", "epi"): "PhaseEncodingDirection TotalReadoutTime|EffectiveEchoSpacing",
    ("fmap", "TB1EPI"): "EchoTime FlipAngle TotalReadoutTime MixingTime",
    ("fmap", "TB1DAM"): "FlipAngle",
    ("fmap", "TB1AFI"): "RepetitionTimeExcitation",
    ("fmap", "TB1SRGE"): _MP2RAGE,
    ("perf", "asl"): (
        "EchoTime MagneticFieldStrength MRAcquisitionType RepetitionTimePreparation "
        "ArterialSpinLabelingType PostLabelingDelay BackgroundSuppression M0Type "
        "TotalAcquiredPairs"
    ),
    ("perf", "m0scan"): "EchoTime RepetitionTimePreparation IntendedFor",
    ("pet", "pet"): _PET,
    ("anat", "VFA"): "FlipAngle PulseSequenceType RepetitionTimeExcitation",
    ("anat", "IRT1"): "InversionTime",
    ("anat", "MP2RAGE"): _MP2RAGE + " MagneticFieldStrength",
    ("anat", "MESE"): "EchoTime",
    ("anat", "MEGRE"): "EchoTime",
    ("anat", "MTR"): "MTState",
    ("anat", "MTS"): "FlipAngle MTState RepetitionTimeExcitation",
    ("anat", "MPM"): "FlipAngle MTState RepetitionTimeExcitation",
}
_OF_ENTITY: Mapping[str, str] = {
    "echo": "EchoTime",
    "flip": "FlipAngle",
    "inv": "InversionTime",
    "mt": "MTState",
}
_CONDITIONS: tuple[tuple[tuple[str, str], Callable[[Sidecar], bool], str], ...] = (
    (("perf", "asl"), lambda s: s.get("M0Type") == "Estimate", "M0Estimate"),
    (
        ("perf", "asl"),
        lambda s: s.get("ArterialSpinLabelingType") in ("CASL", "PCASL"),
        "LabelingDuration",
    ),
    (("perf", "asl"), lambda s: s.get("ArterialSpinLabelingType") == "PASL", "BolusCutOffFlag"),
    (
        ("perf", "asl"),
        lambda s: s.get("ArterialSpinLabelingType") == "PASL" and s.get("BolusCutOffFlag") is True,
        "BolusCutOffDelayTime BolusCutOffTechnique",
    ),
    (("perf", "asl"), lambda s: s.get("LookLocker") is True, "FlipAngle"),
    (("perf", "asl"), lambda s: s.get("MRAcquisitionType") == "2D", "SliceTiming"),
    (("perf", "m0scan"), lambda s: s.get("MRAcquisitionType") == "2D", "SliceTiming"),
    (
        ("pet", "pet"),
        lambda s: s.get("ModeOfAdministration") == "bolus-infusion",
        "InfusionRadioactivity InfusionStart InfusionSpeed InfusionSpeedUnits InjectedVolume",
    ),
    (
        ("pet", "pet"),
        lambda s: "none" not in (s.get("ReconMethodParameterLabels") or ()),
        "ReconMethodParameterValues ReconMethodParameterUnits",
    ),
    (
        ("pet", "pet"),
        lambda s: "none" not in _as_list(s.get("ReconFilterType")),
        "ReconFilterSize",
    ),
)


def missing_fields(cleaned: Sidecar, entities: Entities) -> tuple[str, ...]:
    """List the fields that BIDS requires of such an image and a cleaned sidecar lacks.

    Returns
    -------
    tuple of str
        Names of fields; ``A or B`` where either would do.
    """
    kind = (entities.datatype, entities.suffix)
    wanted = _OF_SUFFIX.get(kind, "").split()
    for key, value in entities.others:
        wanted += _OF_ENTITY.get(key, "").split()
        wanted += ["Units"] if (key, value) == ("part", "phase") else []
    for of_kind, condition, fields in _CONDITIONS:
        wanted += fields.split() if of_kind == kind and condition(cleaned) else []
    missing = [field for field in wanted if not set(field.split("|")) & set(cleaned)]
    return tuple(dict.fromkeys(field.replace("|", " or ") for field in missing))


def drop_contradictions(cleaned: dict[str, Any], entities: Entities) -> dict[str, Any]:
    """Leave out optional fields that a validator takes for contradicting another field."""
    kept = dict(cleaned)
    repetition, spacing = kept.get("RepetitionTime"), kept.get("EffectiveEchoSpacing")
    timing, readout = kept.get("SliceTiming"), kept.get("TotalReadoutTime")
    if timing and repetition is not None and max(timing) > repetition:
        kept.pop("SliceTiming")
    if spacing is not None and (spacing == 0 or (readout is not None and spacing >= readout)):
        kept.pop("EffectiveEchoSpacing")
    if entities.suffix in ("bold", "asl") and repetition is not None:
        for field in ("VolumeTiming", "FrameAcquisitionDuration"):
            kept.pop(field, None)
    volumes = kept.get("VolumeTiming")
    if volumes is not None and list(volumes) != sorted(volumes):
        kept.pop("VolumeTiming")
    phase = dict(entities.others).get("part") == "phase"
    if phase and kept.get("Units") not in (None, "rad", "arbitrary"):
        kept.pop("Units")
    return kept


def check_image(
    scan: Scan, entities: Entities, sidecar: Sidecar, n_rows: Mapping[str, int]
) -> None:
    """Check that header, sidecar and companions speak of the same number and time of volumes.

    Parameters
    ----------
    scan : Scan
        Of the source; the released image has the same grid.
    entities : Entities
    sidecar : mapping
        Cleaned.
    n_rows : mapping
        Extension or suffix of a companion → how many volumes it describes.

    Raises
    ------
    ImageError
        If a validator would refuse the image for it.
    """
    n_volumes = scan.n_volumes
    suffix = entities.suffix
    if suffix in ("T1w", "magnitude1", "magnitude2") and n_volumes > 1:
        raise ImageError(
            f"BIDS asks for one volume in such an image, but it has {n_volumes}; split it, or "
            "name it after what it is."
        )
    if suffix == "bold" and n_volumes == 1:
        raise ImageError("BIDS asks for several volumes in a bold image; is it an sbref?")
    for name, count in sorted(n_rows.items()):
        if count != n_volumes:
            raise ImageError(
                f"Its {name} file describes {count} volumes, but the image has {n_volumes}; "
                "repair the file."
            )
    for field in _PER_VOLUME.get(suffix, ()):
        value = sidecar.get(field)
        if isinstance(value, list) and len(value) != n_volumes:
            raise ImageError(
                f"Its sidecar gives {len(value)} values of {field} for {n_volumes} volumes; "
                "repair the sidecar."
            )
    repetition = sidecar.get("RepetitionTime")
    if suffix == "bold" and isinstance(repetition, (int, float)):
        if abs(_repetition_s(scan) - repetition) >= 0.001:
            raise ImageError(
                "Its header and its sidecar give different repetition times; correct the wrong "
                "one."
            )
    first, second = sidecar.get("EchoTime1"), sidecar.get("EchoTime2")
    if suffix == "phasediff" and isinstance(first, (int, float)):
        if isinstance(second, (int, float)) and not 0.0001 <= second - first <= 0.01:
            raise ImageError(
                "Its two echo times lie less than 0.1 or more than 10 ms apart; are they in "
                "seconds and in order?"
            )


_PER_VOLUME: Mapping[str, tuple[str, ...]] = {
    "asl": ("LabelingDuration", "FlipAngle", "PostLabelingDelay", "RepetitionTimePreparation"),
    "dwi": ("BigDelta", "SmallDelta"),
    "m0scan": ("RepetitionTimePreparation",),
    "pet": ("FrameDuration", "FrameTimesStart"),
}


def _repetition_s(scan: Scan) -> float:
    """Time between volumes by the header, in seconds (unknown units are taken for seconds)."""
    unit = scan.header.get_xyzt_units()[1]
    return float(scan.header["pixdim"][4]) * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
