"""Who is found more often: the rate of each attack by sex, age and site.

A rate over everybody hides that some are easier to find. Each group is searched among all, as
before; only who is counted changes. Groups of fewer than `FEWEST` people are counted, not shown:
a rate about so few would tell of persons (the usual cell size 11 of public tables).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from anonymi_bids.audit import judge
from anonymi_bids.audit.open_ends import SMALL_GROUP
from anonymi_bids.audit.trials import Outcome, people_rate

FEWEST = SMALL_GROUP
TRAITS = ("sex", "age", "site")
AGES = ((18.0, "under 18"), (40.0, "18 to 39"), (65.0, "40 to 64"), (float("inf"), "65 or older"))

Row = Mapping[str, Any]


def subgroups_entry(outcomes: Sequence[Outcome], participants: Sequence[Row]) -> dict[str, Any]:
    """Write the rates by group as they stand in ``audit.json``.

    Parameters
    ----------
    outcomes : sequence of Outcome
    participants : sequence of mapping
        Rows of the release's ``participants.tsv``.

    Returns
    -------
    dict
        ``fewest``; ``rows``, one for each attack, trait and group that is large enough, with the
        rate of the group and the p-value (Fisher's exact test, two-sided, not corrected for the
        number of rows) of the group against everybody else; ``too_small``, the number of groups,
        over all attacks, that were not shown.
    """
    rows: list[dict[str, Any]] = []
    too_small = 0
    for outcome in outcomes:
        hits = np.asarray(outcome.after.hits)
        for trait in TRAITS:
            groups = _groups(outcome.duel.people, trait, participants)
            if len(set(groups) - {""}) < 2:
                continue
            for name in sorted(set(groups) - {""}):
                members = np.array([group == name for group in groups])
                if members.sum() < FEWEST:
                    too_small += 1
                    continue
                rows.append(_row(outcome.name, trait, name, hits, members))
    return {"fewest": FEWEST, "rows": rows, "too_small": too_small}


def _row(
    attack: str,
    trait: str,
    name: str,
    hits: npt.NDArray[np.float64],
    members: npt.NDArray[np.bool_],
) -> dict[str, Any]:
    inside, outside = people_rate(hits[members]), people_rate(hits[~members])
    table = [[rate.hits, rate.n - rate.hits] for rate in (inside, outside)]
    return {
        "attack": attack,
        "trait": trait,
        "group": name,
        **judge.rate_entry(inside),
        "p_value": judge.rounded(float(stats.fisher_exact(table).pvalue)),
    }


def _groups(people: Sequence[str], trait: str, participants: Sequence[Row]) -> list[str]:
    """Group of each person; empty where the table does not tell."""
    told: dict[str, str] = {}
    for row in participants:
        label = str(row.get("participant_id", "")).removeprefix("sub-")
        value = next((str(v).strip() for k, v in row.items() if k.lower() == trait), "")
        told[label] = age_group(value) if trait == "age" else _plain(value)
    return [told.get(person, "") for person in people]


def _plain(value: str) -> str:
    return "" if value in ("", "n/a", "None") else value


def age_group(value: str) -> str:
    """Age group of an age in years, or of a band (``60-64``, ``89+``); empty if it is none.

    Examples
    --------
    >>> age_group("34"), age_group("89+"), age_group("60-64"), age_group("n/a")
    ('18 to 39', '65 or older', '40 to 64', '')
    """
    parts = value.rstrip("+").split("-")
    try:
        years = [float(part) for part in parts]
    except ValueError:
        return ""
    if not all(0 <= year < 150 for year in years) or len(years) > 2:
        return ""
    names = {next(name for limit, name in AGES if year < limit) for year in years}
    return names.pop() if len(names) == 1 else ""
