"""The verdict for each class of recipients: the more they are bound, the higher the limit.

The limits are this project's analogy to the smallest cells of tables that are released to anyone
(11 people), to bound recipients (5) and within controlled rooms (3); see docs/audit.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.audit import judge
from anonymi_bids.audit.rates import rate

CLASSES: tuple[tuple[str, str, float], ...] = (
    ("public", "Anyone, by download", 1 / 11),
    ("agreement", "Approved researchers, bound by an agreement", 1 / 5),
    ("enclave", "Named people in a controlled room, nothing leaves it", 1 / 3),
)
"""Key, who, and the smallest cell's share."""

Entry = Mapping[str, Any]


def recipient_rows(
    limited: Sequence[Entry], traces: Sequence[Entry], *, own_limit: float
) -> list[dict[str, Any]]:
    """Judge the release for each class of recipients.

    Parameters
    ----------
    limited : sequence of mapping
        Attacks, and unions of attacks, that have a threshold.
    traces : sequence of mapping
        From `traces.look_for_traces`.
    own_limit : float
        Limit of the policy; if it is stricter than 1 in 11 it holds for anyone.

    Returns
    -------
    list of dict
        ``class``, ``who``, ``limit``, ``result``, ``reason``.
    """
    rows = []
    for key, who, cell in CLASSES:
        # 0.09, the usual rounding of 1/11, is the default of policies for anyone.
        limit = round(min(own_limit, cell) if key == "public" else cell, 6)
        result, reason = _judge(limited, traces, limit)
        rows.append({"class": key, "who": who, "limit": limit, "result": result, "reason": reason})
    return rows


def _judge(limited: Sequence[Entry], traces: Sequence[Entry], limit: float) -> tuple[str, str]:
    left = traces_sentence(traces)
    if left:
        return judge.DOES_NOT, left
    if not limited:
        return judge.CANNOT_TELL, "No face could be attacked, so nothing is known."
    judged = []
    for entry in limited:
        after = rate(entry["hits"], entry["n"])
        control = entry["positive_control"]
        before = rate(control["hits"], control["n"])
        result = judge.face_result(after, before, limit=limit, control_limit=control["limit"])
        reason = judge.face_reason(result, after, before, limit, control["limit"])
        judged.append((result, reason))
    order = (judge.DOES_NOT, judge.CANNOT_TELL, judge.MEETS)
    return min(judged, key=lambda pair: order.index(pair[0]))


def traces_sentence(traces: Sequence[Entry]) -> str:
    """Say where identifiers were left; empty if nowhere."""
    places = [f"{entry['place']}: {entry['found']}" for entry in traces if entry["found"]]
    if not places:
        return ""
    return (
        f"What looks like an identifier was found in the release ({'; '.join(places)}); it must "
        "not leave before that is explained."
    )
