"""What the numbers of an audit leave open, said before anyone reads more into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.audit import judge
from anonymi_bids.audit.rates import people_for_hits, people_for_no_hit, rule_of_three

SMALL_GROUP = 11
"""Parts of the release with fewer people are not looked at apart."""

Entry = Mapping[str, Any]


def cannot_conclude(attacks: Sequence[Entry]) -> list[str]:
    """List what cannot be concluded from these attacks.

    Parameters
    ----------
    attacks : sequence of mapping
        ``attacks`` of ``audit.json``.
    """
    limited = [entry for entry in attacks if entry["threshold"] is not None]
    if not limited:
        return ["Anything about faces: no face could be attacked."]
    said = []
    for entry in limited:
        limit, n = entry["threshold"], entry["n"]
        if n < people_for_no_hit(limit):
            said.append(
                f"Whether the risk is at most {judge.in_hundred(limit)}: if nobody among {n} is "
                f"found, it may still be {judge.in_hundred(rule_of_three(n))}. At least "
                f"{people_for_no_hit(limit)} people are needed."
            )
    weak = _titles(attacks, judge.FAILED)
    if weak:
        said.append(
            f"Whether {_quoted(weak)} would work on more people: on the untouched originals it "
            "was not shown to be strong enough, so its figures clear nothing."
        )
    few = _titles(attacks, judge.TOO_FEW)
    if few:
        said.append(
            f"How strong {_quoted(few)} is: all untouched originals were found, but there were "
            "too few of them, so its figures clear nothing."
        )
    drawn = [entry["title"] for entry in attacks if entry["second_visits"]["real"] == 0]
    if drawn:
        said.append(f"How {_quoted(drawn)} would do with true second visits: all were simulated.")
    smallest = min(entry["n"] for entry in attacks)
    if smallest < 2 * SMALL_GROUP:
        said.append(
            "Whether women, men, the old, the young or the people of one scanner are recognised "
            "more often: the groups are too small."
        )
    most = max(entry["n"] for entry in attacks)
    said.append(f"What happens when more than {most} people are searched.")
    return list(dict.fromkeys(said))


def people_needed(attacks: Sequence[Entry]) -> int | None:
    """Fewest people who, with as many hits, would meet the limit of every attack that has one."""
    numbers = [
        people_for_hits(entry["hits"], entry["threshold"])
        for entry in attacks
        if entry["threshold"] is not None and 0 < entry["threshold"] < 1
    ]
    return max(numbers, default=None)


def people_for_first_hits(limit: float) -> list[int]:
    """Fewest people among whom 0, 1, … 5 found still meet a limit; empty where none is set."""
    return [people_for_hits(hits, limit) for hits in range(6)] if 0 < limit < 1 else []


def _titles(attacks: Sequence[Entry], status: str) -> list[str]:
    return [e["title"] for e in attacks if e["positive_control"]["status"] == status]


def _quoted(titles: Sequence[str]) -> str:
    quoted = [f"\u201c{title}\u201d" for title in titles]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
