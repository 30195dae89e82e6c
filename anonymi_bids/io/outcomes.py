"""Where the outcome of each image is recorded, so that a run can be taken up again."""

from __future__ import annotations

import json
from collections import Counter
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


def all_outcomes(private: Path) -> list[dict[str, Any]]:
    """Read the outcomes of all images, sorted by path."""
    folder = private / "images"
    images = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.json")))
    found = (read_outcome(private, image.removesuffix(".json")) for image in images)
    return [outcome for outcome in found if outcome is not None]


def released_images(private: Path) -> list[dict[str, Any]]:
    """Outcomes of the released images, with ``subject``, ``session``, ``suffix``, ``method``."""
    return [outcome for outcome in all_outcomes(private) if not outcome["reasons"]]


def new_labels(private: Path) -> dict[str, str]:
    """Label of the input → label of the release, from ``key.tsv``; empty if none was replaced."""
    from anonymi_bids.io.tsv import read_tsv

    path = private / "key.tsv"
    rows = read_tsv(path).rows if path.is_file() else ()
    return {row["original"]: row["label"].removeprefix("sub-") for row in rows}


def withheld_reasons(private: Path) -> dict[str, int]:
    """First reason → number of images that were withheld for it."""
    return dict(
        Counter(outcome["reasons"][0] for outcome in all_outcomes(private) if outcome["reasons"])
    )
