"""Where the outcome of each image is recorded, so that a run can be taken up again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def outcome_path(private: Path, image: str) -> Path:
    """Path of the record that says whether an image was released, and if not why."""
    return private / "images" / f"{image}.json"


def read_outcome(private: Path, image: str) -> dict[str, Any] | None:
    """Read the outcome of one image; None if there is none or it is damaged."""
    try:
        outcome = json.loads(outcome_path(private, image).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return outcome if isinstance(outcome, dict) else None
