"""Enter the cohort into the list of packaged files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from benchmarks.common import without_cohort, write_text


def enter(path: Path, cohort: dict[str, Any]) -> None:
    """Write sha256, origin and licence of the cohort into the manifest beside it."""
    manifest = path.with_name("manifest.toml")
    text = without_cohort(manifest.read_bytes()).decode("utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    origin = f"python -m benchmarks.audit, {cohort['people']} digital people, {cohort['program']}"
    entry = f'\n[files."reference_cohort.json"]\nsha256 = "{digest}"\norigin = "{origin}"\n'
    write_text(manifest, f'{text}{entry}licence = "Apache-2.0"\n')
