"""Read and write what is recorded of each released image or table, in ``private/evidence/``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.images import sha256_of
from anonymi_bids.model import Verdict

FOLDER = Path("private") / "evidence"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one evidence file says.

    Attributes
    ----------
    main : str
        Path of the image or table below ``release/``.
    files : mapping
        Path below ``release/`` of the image and of each file that came with it → sha256.
    content : mapping
        The whole record.
    """

    main: str
    files: Mapping[str, str]
    content: Mapping[str, Any]


def evidence_path(output: Path, main: str) -> Path:
    """Path of the evidence on one image or table."""
    return output / FOLDER / f"{main}.json"


def write_evidence(
    output: Path, main: str, files: Mapping[str, str], more: Mapping[str, Any]
) -> None:
    """Record what is about to enter the release."""
    write_json(evidence_path(output, main), {**more, "image": main, "files": dict(files)})


def read_evidence(output: Path, main: str) -> Evidence | None:
    """Read the evidence on one image or table; None if there is none, or it cannot be read."""
    return _read(evidence_path(output, main))


def all_evidence(output: Path, subject: str | None = None) -> Iterator[Evidence]:
    """Read all evidence, or that of one subject (label without ``sub-``), sorted by path."""
    folder = output / FOLDER
    if subject is not None:
        folder = folder / f"sub-{subject}"
    for path in sorted(folder.rglob("*.json")):
        evidence = _read(path)
        if evidence is not None:
            yield evidence


def _read(path: Path) -> Evidence | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        return Evidence(str(content["image"]), files, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # absent or damaged evidence is none: what it spoke of is done again


def holds(output: Path, evidence: Evidence) -> bool:
    """Whether each file of the evidence lies in the release with the very bytes recorded."""
    release = output / "release"
    return all(
        (release / name).is_file() and sha256_of(release / name) == digest
        for name, digest in evidence.files.items()
    )


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """Put a verdict as it is recorded."""
    return {
        "overruled": dict(verdict.overruled),
        "findings": [
            {
                "gate": finding.gate,
                "status": finding.status,
                "figure": finding.figure,
                "limit": finding.limit,
                "sentence": finding.sentence,
            }
            for finding in verdict.findings
        ],
    }
