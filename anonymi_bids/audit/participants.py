"""How much the released table of participants tells apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.audit import tables

LIMIT = 1 / 11
"""Cell size 11, the usual rule for tables that anyone may have (docs/audit.md)."""

_IDENTIFYING = ("age", "sex", "handedness", "site", "weight", "height", "group", "diagnosis")


def metadata_entry(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Judge the columns that people who know a participant know too.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the release's ``participants.tsv``.

    Returns
    -------
    dict
        The target is taken to be known to be in the release (the prosecutor's view).
    """
    columns = sorted({name for row in rows for name in row if name.lower() in _IDENTIFYING})
    if not rows or not columns:
        return {
            "columns": columns,
            "people": len(rows),
            "smallest_class": None,
            "alone": None,
            "mean_risk": None,
            "people_above_limit": None,
            "limit": round(LIMIT, 6),
            "sentence": "The release tells nothing about its people beside their images.",
        }
    sizes = tables.class_sizes([tuple(str(row.get(name)) for name in columns) for row in rows])
    found = tables.prosecutor(sizes)
    above = round(found.share_above(LIMIT) * len(rows))
    alone = round(found.unique * len(rows))
    return {
        "columns": columns,
        "people": len(rows),
        "smallest_class": found.k,
        "alone": alone,
        "mean_risk": round(found.mean, 6),
        "people_above_limit": above,
        "limit": round(LIMIT, 6),
        "sentence": (
            f"By {_listed(columns)}, {alone} of {len(rows)} people are the only one of their kind "
            f"in the release, and {above} share it with fewer than eleven."
        ),
    }


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
