"""What the release tells about its people beside their images: traits, protocols, devices, times.

Nothing here looks at the original; it is what anybody with the release can count.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anonymi_bids.audit import tables
from anonymi_bids.core.frequency import count_people
from anonymi_bids.errors import ImageError
from anonymi_bids.io.images import open_scan
from anonymi_bids.io.tsv import read_tsv

LIMIT = 1 / 11
"""Cell size 11, the usual rule for tables that anyone may have (docs/audit.md)."""

IDENTIFYING = ("age", "sex", "handedness", "site", "weight", "height", "group", "diagnosis")
"""Columns that people who know a participant know too."""

LATEST_YEAR = 1925
"""Years up to this one are shifted dates, as BIDS recommends."""

_PSEUDONYM = re.compile(r"scanner[0-9A-Za-z]{6,}")
_CLOCK = re.compile(r"(Time|Date|DateTime)$")
_PHYSICS_TIMES = frozenset(
    {"EchoTime", "RepetitionTime", "InversionTime", "DwellTime", "TotalReadoutTime"}
    | {"AcquisitionTime1", "DelayTime", "PostLabelingDelay", "TriggerTime", "FrameTimesStart"}
)
_SAID_OF_THE_RELEASE = frozenset(
    {"DeidentificationMethod", "DeidentificationMethodCodeSequence", "IntendedFor", "TaskName"}
)

Row = Mapping[str, Any]


def traits_of(rows: Sequence[Row]) -> dict[str, Hashable]:
    """Person → what others may know of them; empty if the table tells nothing.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the release's ``participants.tsv``.
    """
    columns = identifying_columns(rows)
    if not columns:
        return {}
    return {
        str(row["participant_id"]).removeprefix("sub-"): tuple(
            str(row.get(name)) for name in columns
        )
        for row in rows
        if "participant_id" in row
    }


def identifying_columns(rows: Sequence[Row]) -> list[str]:
    """Columns that others may know of a person and in which anybody has a value, sorted."""
    return sorted(
        {
            name
            for row in rows
            for name, value in row.items()
            if name.lower() in IDENTIFYING and str(value) not in ("", "n/a", "None")
        }
    )


def metadata_entry(
    rows: Sequence[Row], release: Path | None = None, population: Sequence[Row] = ()
) -> dict[str, Any]:
    """Judge everything a release says in tables and sidecars.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the release's ``participants.tsv``.
    release : Path, optional
        The release itself; without it only the table is judged.
    population : sequence of mapping
        How many people outside look alike: the identifying columns and ``people``, one line a
        kind. Without it the population is taken to be the release itself, which is the worst case.

    Returns
    -------
    dict
        ``metadata`` of ``audit.json``.
    """
    return {
        **_table(rows, population),
        "protocol": _protocol(release),
        "joins": [] if release is None else _joins(release),
    }


def _table(rows: Sequence[Row], population: Sequence[Row]) -> dict[str, Any]:
    columns = identifying_columns(rows)
    entry: dict[str, Any] = {
        "columns": columns,
        "people": len(rows),
        "smallest_class": None,
        "alone": None,
        "mean_risk": None,
        "people_above_limit": None,
        "limit": round(LIMIT, 6),
        "risk": None,
        "sentence": "The release tells nothing about its people beside their images.",
    }
    if not rows or not columns:
        return entry
    kinds = [tuple(str(row.get(name)) for name in columns) for row in rows]
    counted = Counter(kinds)
    sizes = list(counted.values())
    outside = _population_sizes(list(counted), columns, population, counted)
    risk = tables.table_risk(sizes, outside)
    found = tables.prosecutor(sizes)
    above = round(found.share_above(LIMIT) * len(rows))
    alone = round(found.unique * len(rows))
    return entry | {
        "smallest_class": found.k,
        "alone": alone,
        "mean_risk": round(found.mean, 6),
        "people_above_limit": above,
        "risk": {name: round(value, 6) for name, value in risk.items()}
        | {"population_known": bool(population)},
        "sentence": (
            f"By {_listed(columns)}, {alone} of {count_people(len(rows))} "
            f"{'is' if alone == 1 else 'are'} the only one of their kind in the release, and "
            f"{above} share{'s' if above == 1 else ''} it with fewer than eleven."
        ),
    }


def _population_sizes(
    kinds: Sequence[tuple[str, ...]],
    columns: Sequence[str],
    population: Sequence[Row],
    counted: Mapping[tuple[str, ...], int],
) -> list[int]:
    """People of each kind in the population; never fewer than in the release."""
    known: Counter[tuple[str, ...]] = Counter()
    for row in population:
        kind = tuple(str(row.get(name)) for name in columns)
        known[kind] += int(float(str(row.get("people", 0)) or 0))
    return [max(known[kind], counted[kind]) for kind in kinds]


def _sidecars(release: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Person → contrast → fields of the first sidecar and of the image's grid."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for path in sorted(release.glob("sub-*/**/*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if not isinstance(content, dict):
            continue
        person = path.name.split("_")[0].removeprefix("sub-")
        contrast = path.stem.rpartition("_")[2]
        fields = {
            str(key): json.dumps(value, sort_keys=True)
            for key, value in content.items()
            if key not in _SAID_OF_THE_RELEASE
        }
        found.setdefault(person, {}).setdefault(contrast, fields | _grid(path))
    return found


def _grid(sidecar: Path) -> dict[str, str]:
    """Matrix and voxel size of the image beside a sidecar: headers alone tell sites apart."""
    for extension in (".nii.gz", ".nii"):
        path = sidecar.with_name(sidecar.stem + extension)
        if path.is_file():
            try:
                scan = open_scan(path)
            except ImageError:
                return {}
            sizes = (scan.affine[:3, :3] ** 2).sum(axis=0) ** 0.5
            return {
                "matrix size": str(tuple(scan.shape[:3])),
                "voxel size": str(tuple(round(float(size), 3) for size in sizes)),
            }
    return {}


def _protocol(release: Path | None) -> dict[str, Any] | None:
    """How far fields of sidecars and headers alone tell people apart."""
    people = {} if release is None else _sidecars(release)
    if not people:
        return None
    contrasts = sorted({contrast for mine in people.values() for contrast in mine})
    varying: set[str] = set()
    for contrast in contrasts:
        mine = [fields[contrast] for fields in people.values() if contrast in fields]
        for key in sorted({key for fields in mine for key in fields}):
            if len({fields.get(key) for fields in mine}) > 1:
                varying.add(key)
    kinds = [
        tuple(
            (contrast, key, fields[contrast].get(key))
            for contrast in contrasts
            if contrast in fields
            for key in sorted(varying)
        )
        for fields in people.values()
    ]
    alone = sum(size for size in tables.class_sizes(kinds) if size == 1)
    names = sorted(varying)
    sentence = (
        f"{alone} of {count_people(len(people))} {'has' if alone == 1 else 'have'} a combination "
        "of scanner settings and image sizes that nobody else in the release has."
        if names
        else "Scanner settings and image sizes are the same for everybody."
    )
    if alone:
        sentence += " Another copy of the same scans, under a name, could be matched by them."
    return {"people": len(people), "varying": names, "alone": alone, "sentence": sentence}


def _joins(release: Path) -> list[dict[str, Any]]:
    """Say what could join this release with another about the same people."""
    serials: dict[str, set[str]] = {}
    clocks: Counter[str] = Counter()
    for person, mine in _sidecars(release).items():
        for fields in mine.values():
            if "DeviceSerialNumber" in fields:
                serials.setdefault(json.loads(fields["DeviceSerialNumber"]), set()).add(person)
            clocks.update(
                key for key in fields if _CLOCK.search(key) and key not in _PHYSICS_TIMES
            )
    return [_device(serials), _clock(clocks), *_days(release)]


def _device(serials: Mapping[str, set[str]]) -> dict[str, Any]:
    raw = sum(not _PSEUDONYM.fullmatch(str(serial)) for serial in serials)
    if not serials:
        sentence = "No sidecar names a device."
    elif raw:
        sentence = f"{raw} serial number(s) do not look like pseudonyms: they join releases."
    else:
        sentence = (
            f"{len(serials)} device(s) stand under pseudonyms, which join releases only if both "
            "were made with the same seed."
        )
    return {"kind": "device", "found": raw, "sentence": sentence}


def _clock(clocks: Mapping[str, int]) -> dict[str, Any]:
    named = sum(clocks.values())
    sentence = (
        f"Sidecars hold {named} field(s) with a time of day or a date ({_listed(sorted(clocks))})."
        if clocks
        else "No sidecar holds a time of day or a date."
    )
    return {"kind": "clock", "found": named, "sentence": sentence}


def _days(release: Path) -> list[dict[str, Any]]:
    """Dates that were not shifted, and people whose intervals are unlike everybody else's."""
    unshifted, spans = 0, []
    for folder in sorted(path for path in release.glob("sub-*") if path.is_dir()):
        times = []
        for table in sorted(folder.rglob("*_s*s.tsv")):
            try:
                rows = read_tsv(table).rows
            except ImageError:
                continue
            times += [time for row in rows if (time := _time(row.get("acq_time", "")))]
        unshifted += sum(time.year > LATEST_YEAR for time in times)
        gaps = tuple(int((time - min(times)).total_seconds() // 60) for time in sorted(times))
        if any(gaps):
            spans.append(gaps)
    alone = sum(size for size in tables.class_sizes(spans) if size == 1)
    return [
        {
            "kind": "date",
            "found": unshifted,
            "sentence": f"{unshifted} date(s) lie after {LATEST_YEAR} and may be true ones."
            if unshifted
            else f"No date lies after {LATEST_YEAR}: none is a true one.",
        },
        {
            "kind": "interval",
            "found": 0,
            "alone": alone,
            "sentence": f"Times between scans and visits stay. {alone} of "
            f"{count_people(len(spans))} with such times have some that nobody else has; a "
            "scanner's log, or another release that keeps them too, could be matched by them."
            if spans
            else "The release tells no times between scans or visits.",
        },
    ]


def _time(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
