"""The mapping file: one line an image, made by the rules, corrected by a human, honoured next.

A line is honoured if it is locked, or if its decision or entities differ from what the program had
proposed when it wrote the line. Lines of series that are not in the input are kept.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.dicom.decision import (
    DATATYPES,
    ENTITY_ORDER,
    Decision,
    sorted_entities,
    withhold,
)
from anonymi_bids.errors import InputError
from anonymi_bids.io.atomic import write_text

COLUMNS = (
    "fingerprint",
    "subject",
    "session",
    "series_number",
    "description",
    "modality",
    "n_files",
    "decision",
    "entities",
    "confidence",
    "locked",
    "reason",
    "proposed",
)

MAX_MAPPING_BYTES = 1 << 28

_YES = {"yes", "true", "1", "y"}
_NO = {"no", "false", "0", "n", "", "n/a"}


@dataclass(frozen=True, slots=True)
class MappingRow:
    """One line of the mapping file; the columns of `COLUMNS` as text.

    ``description`` holds text of the header, so the file is private.
    """

    fingerprint: str
    subject: str = ""
    session: str = ""
    series_number: str = ""
    description: str = ""
    modality: str = ""
    n_files: str = ""
    decision: str = ""
    entities: str = ""
    confidence: str = ""
    locked: str = "no"
    reason: str = ""
    proposed: str = ""

    @property
    def is_locked(self) -> bool:
        """Whether the human locked it."""
        return self.locked.strip().lower() in _YES

    @property
    def is_honoured(self) -> bool:
        """Whether the line overrules the rules."""
        return self.is_locked or proposal(self.decision, self.entities) != self.proposed


def proposal(decision: str, entities: str) -> str:
    """Decision and entities in one text, as kept in the column ``proposed``."""
    entities = "" if entities.strip() in ("", "n/a") else entities.strip()
    return f"{decision.strip()} {entities}".strip()


def entities_text(decision: Decision) -> str:
    """Entities as in a BIDS name, e.g. ``acq-swi_run-1``."""
    return "_".join(f"{key}-{value}" for key, value in decision.entities)


def decision_of(row: MappingRow, line: int) -> Decision:
    """Decision that a human wrote.

    Raises
    ------
    InputError
        If it is no name that BIDS knows; the line is told, not its text.
    """
    text = row.decision.strip()
    where = f"Line {line} of the mapping file"
    if text == "withhold":
        return withhold(1.0, "It is withheld by the mapping file.")
    datatype, _, suffix = text.partition("/")
    if suffix not in DATATYPES.get(datatype, ()):
        raise InputError(
            f"{where} has a decision that is not known; `withhold` or a name such as `anat/T1w` "
            "was expected."
        )
    entities: dict[str, str] = {}
    listed = "" if row.entities.strip() in ("", "n/a") else row.entities.strip()
    for part in filter(None, listed.split("_")):
        key, _, value = part.partition("-")
        if key not in ENTITY_ORDER or not re.fullmatch(r"[A-Za-z0-9]+", value) or key in entities:
            raise InputError(
                f"{where} has entities that are not valid; something like `acq-highres_run-1` "
                f"with {', '.join(ENTITY_ORDER)} was expected."
            )
        entities[key] = value
    if datatype == "func":
        entities.setdefault("task", "unknown")
    return Decision(
        datatype, suffix, sorted_entities(entities), 1.0, "It is named by the mapping file."
    )


def read_mapping(path: Path) -> dict[str, tuple[MappingRow, int]]:
    """Read a mapping file.

    Returns
    -------
    dict
        Fingerprint → (row, line number in the file).

    Raises
    ------
    InputError
        If it is no such table, or a line is not valid.
    """
    try:
        if path.stat().st_size > MAX_MAPPING_BYTES:
            raise InputError("The mapping file is too large; give the mapping.tsv of a run.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "The mapping file cannot be read as UTF-8 text; give the mapping.tsv of a run."
        ) from error
    reader = csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)
    if not {"fingerprint", "decision"} <= set(reader.fieldnames or ()):
        raise InputError(
            "The mapping file lacks the columns fingerprint and decision; a table separated by "
            "tabs was expected."
        )
    rows: dict[str, tuple[MappingRow, int]] = {}
    for number, fields in enumerate(reader, start=2):
        values = {key: (fields.get(key) or "").strip() for key in COLUMNS}
        row = MappingRow(**values)
        if not row.fingerprint:
            continue
        if row.fingerprint in rows:
            raise InputError(
                f"Line {number} of the mapping file repeats a fingerprint; remove it."
            )
        if row.locked.lower() not in _YES | _NO:
            raise InputError(f"Line {number} of the mapping file: locked must be yes or no.")
        if row.is_honoured:
            decision_of(row, number)
        rows[row.fingerprint] = (row, number)
    return rows


def write_mapping(
    path: Path, rows: Iterable[MappingRow], earlier: Mapping[str, tuple[MappingRow, int]]
) -> None:
    """Write a mapping file, atomically; lines of `earlier` that are not in `rows` are kept.

    Parameters
    ----------
    path : Path
    rows : iterable of MappingRow
        Of this run.
    earlier : mapping
        From `read_mapping`.
    """
    merged = {row.fingerprint: row for row, _ in earlier.values()}
    merged.update({row.fingerprint: row for row in rows})
    lines = ["\t".join(COLUMNS)]
    ordered = sorted(merged.values(), key=_order)
    for row in ordered:
        lines.append("\t".join(_cell(getattr(row, column)) for column in COLUMNS))
    write_text(path, "\n".join(lines) + "\n")


def _order(row: MappingRow) -> tuple[str, str, float, str]:
    try:
        number = float(row.series_number)
    except ValueError:
        number = float("inf")
    return (row.subject, row.session, number, row.fingerprint)


def _cell(text: str) -> str:
    """Text of one cell: no control characters, nothing a spreadsheet would run as a formula."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    if plain[:1] in ("=", "+", "-", "@"):
        plain = f"'{plain}"
    return plain or "n/a"
