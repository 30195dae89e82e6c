"""Count what was released and what was not."""

from __future__ import annotations

from pathlib import Path


def count_fates(private: Path) -> tuple[int, int]:
    """Count released and withheld files of ``private/inventory.tsv``.

    Files that the run was not asked for are neither.
    """
    from anonymi_bids.bids.fates import NOT_ASKED_PARTICIPANT, NOT_ASKED_SESSION, NOT_SELECTED
    from anonymi_bids.io.tsv import read_tsv

    path = private / "inventory.tsv"
    if not path.is_file():
        return 0, 0
    rows = [
        row
        for row in read_tsv(path).rows
        if row["reason"] not in (NOT_ASKED_PARTICIPANT, NOT_ASKED_SESSION, NOT_SELECTED)
    ]
    n_withheld = sum(row["fate"] == "withheld" for row in rows)
    return len(rows) - n_withheld, n_withheld
