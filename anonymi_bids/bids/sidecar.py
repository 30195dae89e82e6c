"""Clean JSON sidecars by allow-list: physics stays, text goes or becomes a controlled term."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anonymi_bids.bids.entities import looks_like_date, name_fault, parse_path
from anonymi_bids.bids.physics import ALLOWED
from anonymi_bids.bids.rules import DROP
from anonymi_bids.bids.validity import drop_contradictions
from anonymi_bids.core.pseudonym import label_for
from anonymi_bids.model import Entities

CODES = {
    "113100": "Basic Application Confidentiality Profile",
    "113102": "Clean Recognizable Visual Features Option",
    "113105": "Clean Descriptors Option",
}
"""CID 7050 of DICOM PS3.16: what is written to ``DeidentificationMethodCodeSequence``."""

_EARLIER_CODES = {
    "113101": "Clean Pixel Data Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
}
"""Codes of the input that stay true after this project's own cleaning, and are kept."""

LANDMARKS = "AnatomicalLandmarkCoordinates"

_HANDLED = (
    LANDMARKS,
    "B0FieldIdentifier",
    "B0FieldSource",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "DeviceSerialNumber",
    "IntendedFor",
    "MultipartID",
    "TaskName",
)

ALLOWED_KEYS: frozenset[str] = frozenset(ALLOWED) | frozenset(_HANDLED)
"""Every field that a released sidecar may hold."""

_LINK = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,63}")


def clean_sidecar(
    sidecar: Mapping[str, Any],
    *,
    entities: Entities,
    seed: int,
    done: str = "mask",
    rename: Callable[[str], str | None] | None = None,
    landmarks: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, Any]:
    """Keep what is physics and within range; drop, map or replace all else.

    Parameters
    ----------
    sidecar : mapping
        Merged sidecar of the input (BIDS or dcm2niix). ``IntendedFor`` must name files of the
        release already (`index.index_dataset` sees to it); entries that do not are dropped.
    entities : Entities
        Name under which the image is released.
    seed : int
        Of the run: decides the pseudonyms of serial numbers and link names.
    done : {"mask", "surface", "ml", "metadata only"}
        What was done to the voxels; stated in ``DeidentificationMethod``.
    rename : callable, optional
        Gives the release path of an image of the input by its path in the dataset, or None.
    landmarks : mapping of str to (3,) sequence of float, optional
        ``NAS``, ``LPA``, ``RPA`` in voxels of the image, first voxel 0, where the policy lets them
        out. Those of the input are never taken over.

    Returns
    -------
    dict
        Keys are those of `sidecar` that are in `ALLOWED_KEYS`, plus the two fields on
        de-identification and, for images with a task, ``TaskName``. No value changes its type.
    """
    cleaned: dict[str, Any] = {}
    for key in sorted(k for k in sidecar if isinstance(k, str) and k in ALLOWED):
        value = ALLOWED[key](sidecar[key])
        if value is not DROP:
            cleaned[key] = value
    cleaned.update(_links(sidecar, seed))
    serial = sidecar.get("DeviceSerialNumber")
    if isinstance(serial, str) and serial.strip():
        cleaned["DeviceSerialNumber"] = "scanner" + label_for(seed, f"scanner:{serial.strip()}")
    task = dict(entities.others).get("task")
    if task is not None:
        cleaned["TaskName"] = _task_name(sidecar.get("TaskName"), task)
    intended = _intended_for(sidecar.get("IntendedFor"), entities, rename)
    if intended:
        cleaned["IntendedFor"] = intended
    cleaned = drop_contradictions(cleaned, entities)
    if landmarks:
        cleaned[LANDMARKS] = {name: [float(v) for v in landmarks[name]] for name in landmarks}
    cleaned["DeidentificationMethod"] = _methods(done)
    cleaned["DeidentificationMethodCodeSequence"] = _codes(sidecar, done)
    return cleaned


def dropped_keys(sidecar: Mapping[str, Any], cleaned: Mapping[str, Any]) -> tuple[str, ...]:
    """List the fields of known name that were left out, for ``private/`` only."""
    return tuple(sorted(str(key) for key in sidecar if key not in cleaned))


def _links(sidecar: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Names by which images refer to each other: kept if plain, else replaced consistently."""
    links: dict[str, Any] = {}
    for key in ("B0FieldIdentifier", "B0FieldSource", "MultipartID"):
        value = sidecar.get(key)
        if isinstance(value, str) and value:
            links[key] = _link(value, seed)
        elif isinstance(value, list) and value and all(isinstance(v, str) and v for v in value):
            links[key] = [_link(entry, seed) for entry in value]
    return links


def _link(name: str, seed: int) -> str:
    plain = _LINK.fullmatch(name) and not looks_like_date(name) and not re.search(r"\d{5}", name)
    return name if plain else "link" + label_for(seed, f"link:{name}")


def _task_name(name: Any, task: str) -> str:
    """Return the task's name if it is its entity with spaces or signs, else the entity itself."""
    if isinstance(name, str) and len(name) < 65 and re.sub(r"[ _-]", "", name) == task:
        return name
    return task


def _intended_for(
    value: Any, entities: Entities, rename: Callable[[str], str | None] | None
) -> Any:
    """Keep the entries of ``IntendedFor`` that are legal names of images of the same subject."""
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list):
        return None
    kept = []
    for entry in (entry for entry in entries if isinstance(entry, str)):
        uri = entry.startswith("bids::")
        path = entry.removeprefix("bids::") if uri else f"sub-{entities.subject}/{entry}"
        path = (rename(path) if rename is not None else None) or path
        parsed = parse_path(path)
        if parsed is not None and parsed.subject == entities.subject and not name_fault(parsed):
            kept.append(f"bids::{path}" if uri else path.split("/", 1)[1])
    if isinstance(value, str):
        return kept[0] if kept else None
    return kept


def _methods(done: str) -> list[str]:
    from anonymi_bids import __version__

    methods = [f"anonymi-bids {__version__}: metadata by allow-list"]
    if done != "metadata only":
        methods.append(f"anonymi-bids {__version__}: face and ears, method {done}")
    return methods


def _codes(sidecar: Mapping[str, Any], done: str) -> list[dict[str, str]]:
    """Code sequence of what was done here and, if the input says so in codes, before."""
    found = set(CODES) - ({"113102"} if done == "metadata only" else set())
    names = {**CODES, **_EARLIER_CODES}
    before = sidecar.get("DeidentificationMethodCodeSequence")
    for item in before if isinstance(before, list) else []:
        code = item.get("CodeValue") if isinstance(item, Mapping) else None
        if isinstance(code, str) and code in names:
            found.add(code)
    return [
        {"CodeMeaning": names[code], "CodeValue": code, "CodingSchemeDesignator": "DCM"}
        for code in sorted(found)
    ]
