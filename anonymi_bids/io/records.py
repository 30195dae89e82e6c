"""Records of `anonymi_bids.model` as plain JSON and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.io.atomic import write_json
from anonymi_bids.model import (
    Carry,
    Entities,
    FileFate,
    Finding,
    HeadFit,
    InputImage,
    SessionPlan,
    Verdict,
)


def plain(record: Any) -> Any:
    """Turn a record (nested ones too) into what JSON can hold."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {
            entry.name: plain(getattr(record, entry.name)) for entry in dataclasses.fields(record)
        }
    if isinstance(record, np.ndarray):
        return record.tolist()
    if isinstance(record, np.generic):
        return record.item()
    if isinstance(record, Mapping):
        return {str(key): plain(value) for key, value in record.items()}
    if isinstance(record, (list, tuple)):
        return [plain(value) for value in record]
    return record


def read_json(path: str | Path) -> Any:
    """Read a JSON file of our own."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_record(path: str | Path, record: Any) -> None:
    """Write a record as JSON, atomically."""
    write_json(Path(path), plain(record))


def entities_from(values: Mapping[str, Any]) -> Entities:
    """`plain` undone."""
    others = tuple((str(key), str(value)) for key, value in values["others"])
    return Entities(**{**values, "others": others})


def image_from(values: Mapping[str, Any]) -> InputImage:
    """`plain` undone."""
    return InputImage(**{**values, "entities": entities_from(values["entities"])})


def session_from(values: Mapping[str, Any]) -> SessionPlan:
    """`plain` undone."""
    return SessionPlan(
        **{
            **values,
            "images": tuple(image_from(entry) for entry in values["images"]),
            "other_files": tuple(FileFate(**entry) for entry in values["other_files"]),
        }
    )


def fit_from(values: Mapping[str, Any]) -> HeadFit:
    """`plain` undone."""
    return HeadFit(**{**values, "atlas_to_image": np.asarray(values["atlas_to_image"], float)})


def carry_from(values: Mapping[str, Any]) -> Carry:
    """`plain` undone."""
    matrix = np.asarray(values["reference_to_image"], float)
    return Carry(**{**values, "reference_to_image": matrix})


def verdict_from(values: Mapping[str, Any]) -> Verdict:
    """`plain` undone."""
    findings = tuple(Finding(**entry) for entry in values["findings"])
    return Verdict(values["image"], findings, dict(values["overruled"]))
