"""Read and write tab-separated tables as BIDS defines them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonymi_bids.errors import ImageError

MAX_BYTES = 1 << 28
"""A larger table is not read (a file of events has some kilobytes)."""


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in rows and named columns.

    Attributes
    ----------
    columns : tuple of str
        Names, as in the first line.
    rows : tuple of mapping
        Column → text, one mapping a line.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def read_tsv(path: str | Path) -> Table:
    """Read a table.

    Raises
    ------
    ImageError
        If it cannot be read, is not UTF-8, or its lines are not of equal length: then a value
        could slip into another column.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImageError("The table is larger than any table of a BIDS dataset should be.")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError("The table cannot be read as UTF-8 text; save it again.") from error
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    if not lines:
        raise ImageError("The table is empty.")
    columns = tuple(name.strip() for name in lines[0])
    if len(set(columns)) != len(columns) or any(len(line) != len(columns) for line in lines):
        raise ImageError(
            "The table has lines of unequal length or two columns of one name; repair it."
        )
    rows = tuple(dict(zip(columns, map(str.strip, line), strict=True)) for line in lines[1:])
    return Table(columns, rows)


def format_tsv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Format rows as a table; missing and empty values become ``n/a``, tabs and breaks spaces."""
    lines = ["\t".join(columns)]
    for row in rows:
        texts = ("" if row.get(name) is None else str(row.get(name)) for name in columns)
        lines.append("\t".join(" ".join(text.split()) or "n/a" for text in texts))
    return "\n".join(lines) + "\n"
