"""Read what enhanced multi-frame images keep in functional groups, under its classic names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

ENHANCED_CLASSES = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.4.1",
        "1.2.840.10008.5.1.4.1.1.4.3",
        "1.2.840.10008.5.1.4.1.1.4.4",
    )
)
"""Enhanced MR, enhanced MR colour, legacy converted enhanced MR (PS3.6 annex A)."""

MAX_FRAMES = 20000

_GROUPS = (
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle", "FlipAngle"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
)
"""Functional group, element in it, classic keyword."""


def enhanced_values(stream: IO[bytes]) -> dict[str, Any]:
    """Read times, angles and directions of an enhanced image.

    Parameters
    ----------
    stream : binary file
        At its beginning.

    Returns
    -------
    dict
        Classic keyword → float or tuple of float; ``FrameDirections``: how many directions the
        frames lie in; ``ScanningSequence``: ``GR`` or ``SE``, with ``IR`` where magnetisation was
        inverted.
    """
    from pydicom import dcmread

    dataset = dcmread(
        stream,
        stop_before_pixels=True,
        force=True,
        specific_tags=[
            "EchoPulseSequence",
            "EchoPlanarPulseSequence",
            "SharedFunctionalGroupsSequence",
            "PerFrameFunctionalGroupsSequence",
        ],
    )
    shared = _items(dataset, "SharedFunctionalGroupsSequence")[:1]
    frames = _items(dataset, "PerFrameFunctionalGroupsSequence")[:MAX_FRAMES]
    values: dict[str, Any] = {}
    for group, element, keyword in _GROUPS:
        for item in (*shared, *(frames if keyword == "DiffusionBValue" else frames[:1])):
            number = _number(item, group, element)
            if number is not None:
                values[keyword] = max(number, values.get(keyword, number))
    values.update(_sequence(dataset, (*shared, *frames[:1])))
    directions = list(_directions((*shared, *frames)))
    if directions:
        values["ImageOrientationPatient"] = directions[0]
        values["FrameDirections"] = float(
            len({tuple(round(cosine, 1) for cosine in entry) for entry in directions})
        )
    return values


def _items(dataset: Any, keyword: str) -> list[Any]:
    value = dataset.get(keyword)
    return list(value) if value else []


def _number(item: Any, group: str, element: str) -> float | None:
    for inner in _items(item, group):
        value = inner.get(element)
        value = value[0] if isinstance(value, (list, tuple)) and value else value
        try:
            return float(value)
        except (TypeError, ValueError):
            return None
    return None


def _sequence(dataset: Any, items: tuple[Any, ...]) -> dict[str, Any]:
    names = {"GRADIENT": ("GR",), "SPIN": ("SE",), "BOTH": ("SE", "GR")}
    found = list(names.get(str(dataset.get("EchoPulseSequence", "")).upper(), ()))
    if str(dataset.get("EchoPlanarPulseSequence", "")).upper() == "YES":
        found.append("EP")
    for item in items:
        for modifier in _items(item, "MRModifierSequence"):
            if str(modifier.get("InversionRecovery", "")).upper() == "YES":
                found.append("IR")
    return {"ScanningSequence": tuple(dict.fromkeys(found))} if found else {}


def _directions(items: tuple[Any, ...]) -> Iterator[tuple[float, ...]]:
    for item in items:
        for plane in _items(item, "PlaneOrientationSequence"):
            value = plane.get("ImageOrientationPatient")
            try:
                cosines = tuple(float(entry) for entry in value or ())
            except (TypeError, ValueError):
                continue
            if len(cosines) == 6:
                yield cosines
