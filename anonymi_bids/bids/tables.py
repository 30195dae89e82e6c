"""Clean the tables of a dataset by allow-lists of columns and of the forms their values have."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anonymi_bids.bids.entities import looks_like_date
from anonymi_bids.errors import ImageError
from anonymi_bids.io.tsv import Table, format_tsv
from anonymi_bids.settings import MetadataSettings

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,31}")
_NOTHING = ("", "n/a", "na", "nan", "none", "null", "unknown", "-")

_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F", "o": "O", "other": "O"}
_HANDS = {"r": "R", "right": "R", "l": "L", "left": "L", "a": "A", "ambidextrous": "A"}
_SPECIES = {"homo sapiens": "homo sapiens", "human": "homo sapiens", "h. sapiens": "homo sapiens"}

MAX_WORDS = 20
"""A column of words with more different values than this is taken for free text."""


@dataclass(frozen=True, slots=True)
class Participant:
    """What of one line of ``participants.tsv`` may be released.

    Attributes
    ----------
    row : mapping
        Column → text, without ``participant_id``.
    withheld : mapping
        Column → why it is withheld.
    needles : tuple of str
        Withheld texts, to be searched for in what is released.
    """

    row: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    needles: tuple[str, ...] = ()


def is_nothing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return text.strip().casefold() in _NOTHING


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    return bool(_NUMBER.fullmatch(text.strip())) and math.isfinite(float(text))


def clean_age(text: str, max_age: int) -> str:
    """Whole years, capped; ``045Y``, ``45.7`` and ``45 years`` give ``45``, months give years."""
    match = re.fullmatch(
        r"0*(\d{1,4}(?:\.\d*)?)\s*(\+|y|yr|yrs|years?|m|mo|months?|w|d)?", text.strip().casefold()
    )
    if match is None:
        return "n/a"
    per_year = {"m": 12.0, "w": 52.18, "d": 365.2425}.get((match[2] or "y")[:1], 1.0)
    years = float(match[1]) / per_year
    return "n/a" if years > 130 else str(min(int(years), max_age))


def participant(table: Table, subject: str, settings: MetadataSettings) -> Participant:
    """Choose what may be released of the line of one subject.

    Parameters
    ----------
    table : Table
        The whole ``participants.tsv``: whether a column is free text shows in all its lines.
    subject : str
        Label of the input, without ``sub-``.
    settings : MetadataSettings

    Returns
    -------
    Participant
        Empty if the table has no line of this subject.
    """
    key = table.columns[0]
    rows = [row for row in table.rows if row[key].removeprefix("sub-") == subject]
    if key != "participant_id" or len(rows) != 1:
        return Participant()
    return clean_row(rows[0], settings, table.rows)


def clean_row(
    row: Mapping[str, str],
    settings: MetadataSettings,
    rows: Sequence[Mapping[str, str]] = (),
) -> Participant:
    """Clean one line of ``participants.tsv`` (or values taken from DICOM headers).

    Parameters
    ----------
    row : mapping
        Column → text.
    settings : MetadataSettings
        Allowed columns, highest age.
    rows : sequence of mapping
        All lines, to judge columns by.
    """
    kept: dict[str, str] = {}
    withheld: dict[str, str] = {}
    needles: list[str] = []
    for column in sorted(set(row) - {"participant_id"}):
        reason = _column_fault(column, row, rows or (row,), settings)
        if reason:
            withheld[column] = reason
            needles += [] if is_nothing(row[column]) or is_number(row[column]) else [row[column]]
        else:
            kept[column] = _clean_value(column, row[column], settings)
    return Participant(kept, withheld, tuple(needles))


def _column_fault(
    column: str,
    row: Mapping[str, str],
    rows: Sequence[Mapping[str, str]],
    settings: MetadataSettings,
) -> str:
    """Say why a column is withheld; empty if it may be released."""
    if column not in settings.participants_columns:
        return "The policy does not name this column."
    if column in ("age", "sex", "handedness", "species"):
        return ""
    values = {other.get(column, "").strip() for other in rows}
    values = {value for value in values if not is_nothing(value)}
    if any(looks_like_date(value) for value in values):
        return "It holds what may be dates."
    if all(is_number(value) and len(re.sub(r"\D", "", value)) < 8 for value in values):
        return ""
    if not all(_WORD.fullmatch(value) and not re.search(r"\d{4}", value) for value in values):
        return "It holds free text."
    if len(values) > MAX_WORDS:
        return "It holds so many different words that it may be free text."
    return ""


def _clean_value(column: str, text: str, settings: MetadataSettings) -> str:
    folded = text.strip().casefold()
    if column == "age":
        return clean_age(text, settings.max_age)
    for name, terms in (("sex", _SEXES), ("handedness", _HANDS), ("species", _SPECIES)):
        if column == name:
            return terms.get(folded, "n/a")
    return "n/a" if is_nothing(text) else text.strip()


def participants_json(columns: Collection[str]) -> dict[str, dict[str, object]]:
    """Describe the columns of ``participants.tsv`` in words of this project."""
    known: dict[str, dict[str, object]] = {
        "age": {"Description": "Age in whole years, high ages capped.", "Units": "year"},
        "sex": {
            "Description": "Phenotypical sex.",
            "Levels": {"F": "female", "M": "male", "O": "other"},
        },
        "handedness": {
            "Description": "Handedness.",
            "Levels": {"A": "ambidextrous", "L": "left", "R": "right"},
        },
        "group": {"Description": "Group of the study."},
        "species": {"Description": "Species."},
    }
    return {name: known.get(name, {"Description": "As in the source."}) for name in columns}


def clean_scans(
    table: Table, names: Mapping[str, str], released: Collection[str], offset_days: int
) -> str | None:
    """Clean a ``scans.tsv``: files of the release and the shifted day they were made on.

    Parameters
    ----------
    table : Table
        Of the input.
    names : mapping
        ``filename`` of the input → path in the release, relative to the subject's folder.
    released : collection of str
        Those of the paths that were released.
    offset_days : int
        Added to each date.

    Returns
    -------
    str or None
        None if no released file is listed.

    Notes
    -----
    Dates move by whole days. The time of day becomes minutes since the first scan of the table:
    times of day can be looked up in a hospital's logs.
    """
    if "filename" not in table.columns:
        raise ImageError("The table of scans has no column filename; repair it.")
    times = {row["filename"]: _datetime(row.get("acq_time", "")) for row in table.rows}
    first = min((t for t in times.values() if t is not None), default=None)
    rows = []
    for source in sorted(times, key=lambda name: names.get(name, "")):
        name = names.get(source)
        if name is None or name not in released:
            continue
        rows.append({"filename": name, "acq_time": _shifted(times[source], first, offset_days)})
    if not rows:
        return None
    dated = any(row["acq_time"] != "n/a" for row in rows)
    return format_tsv(("filename", "acq_time") if dated else ("filename",), rows)


def clean_sessions(
    table: Table, names: Mapping[str, str], released: Collection[str], offset_days: int
) -> str | None:
    """Clean a ``sessions.tsv``: released sessions and the shifted day of each.

    Parameters are those of `clean_scans`, with session labels in place of file names.
    """
    if "session_id" not in table.columns:
        raise ImageError("The table of sessions has no column session_id; repair it.")
    rows = []
    for row in table.rows:
        name = names.get(row["session_id"].removeprefix("ses-"))
        if name is not None and name in released:
            day = _datetime(row.get("acq_time", ""))
            rows.append({"session_id": f"ses-{name}", "acq_time": _shifted(day, day, offset_days)})
    if not rows:
        return None
    rows.sort(key=lambda entry: entry["session_id"])
    dated = any(row["acq_time"] != "n/a" for row in rows)
    return format_tsv(("session_id", "acq_time") if dated else ("session_id",), rows)


def _datetime(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _shifted(
    time: datetime.datetime | None, first: datetime.datetime | None, offset_days: int
) -> str:
    """Move the day of the first scan and count minutes from it."""
    if time is None or first is None:
        return "n/a"
    minutes = int((time - first).total_seconds() // 60)
    try:
        day = datetime.datetime.combine(first.date(), datetime.time())
        moved = day + datetime.timedelta(days=offset_days, minutes=minutes)
    except OverflowError:
        return "n/a"
    return moved.isoformat(timespec="seconds")


_Check = Callable[[str], bool]


def _word(text: str) -> bool:
    return (
        bool(_WORD.fullmatch(text)) and not looks_like_date(text) and not re.search(r"\d{5}", text)
    )


_EVENTS: Mapping[str, _Check] = {
    "onset": is_number,
    "duration": is_number,
    "response_time": is_number,
    "sample": is_number,
    "trial_type": _word,
    "value": lambda text: is_number(text) or _word(text),
}
_VOLUME_TYPES = frozenset({"control", "label", "m0scan", "deltam", "cbf", "noRF", "n/a"})


def clean_events(table: Table) -> str:
    """Clean an ``events.tsv``: times, response times, and types of trials that are plain words.

    A column with a value of another form is left out as a whole; typed answers, file names and
    ratings in words do not pass.

    Raises
    ------
    ImageError
        If onset or duration is missing or no number.
    """
    kept = [name for name in table.columns if name in _EVENTS and _plain(table, name)]
    words = {row["trial_type"] for row in table.rows} if "trial_type" in kept else set()
    if len(words) > 4 * MAX_WORDS:
        kept.remove("trial_type")
    if "onset" not in kept or "duration" not in kept:
        raise ImageError("The table of events lacks onset or duration as numbers.")
    ordered = ["onset", "duration", *(n for n in kept if n not in ("onset", "duration"))]
    return format_tsv(ordered, table.rows)


def _plain(table: Table, name: str) -> bool:
    return all(is_nothing(row[name]) or _EVENTS[name](row[name]) for row in table.rows)


def clean_aslcontext(table: Table) -> str:
    """Clean an ``aslcontext.tsv``: the one column of BIDS with its few terms.

    Raises
    ------
    ImageError
        If the column is missing or holds anything else.
    """
    if "volume_type" not in table.columns:
        raise ImageError("The table of ASL volumes has no column volume_type; repair it.")
    if any(row["volume_type"] not in _VOLUME_TYPES for row in table.rows):
        raise ImageError("The table of ASL volumes holds a type that BIDS does not know.")
    return format_tsv(("volume_type",), table.rows)


def clean_gradients(path: str | Path, n_lines: int) -> str:
    """Clean a ``.bval`` (one line) or ``.bvec`` (three lines): numbers and nothing else.

    Raises
    ------
    ImageError
        If there is anything else, or the lines differ in length.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError("The table of gradients cannot be read as text.") from error
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if n_lines == 1 and len(lines) > 1 and all(len(line) == 1 for line in lines):
        lines = [[line[0] for line in lines]]  # one value a line: common, but not what BIDS says
    numeric = all(is_number(token) and abs(float(token)) < 1e6 for line in lines for token in line)
    if len(lines) != n_lines or len({len(line) for line in lines}) != 1 or not numeric:
        raise ImageError(
            f"The table of gradients does not hold {n_lines} line(s) of numbers of one length."
        )
    return "".join(" ".join(line) + "\n" for line in lines)
