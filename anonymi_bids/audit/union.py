"""All attacks together: who is found by any of them, and by somebody who also knows age and sex.

Trying more attacks, and searching fewer people, raises guessing as well. So names are shuffled for
all attacks at once, within the groups that the attacker would search, and that is the chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit import judge
from anonymi_bids.audit.rates import Rate, hit_probability, rate
from anonymi_bids.audit.resampling import permutation_p
from anonymi_bids.audit.trials import Outcome

ROUNDS = 1999
Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def union_rows(
    outcomes: Sequence[Outcome],
    traits: Mapping[str, Hashable],
    rng: np.random.Generator,
    *,
    limits: Mapping[str, float | None],
    control_limit: float,
) -> list[dict[str, Any]]:
    """Write all unions as they stand in ``audit.json``.

    Parameters
    ----------
    outcomes : sequence of Outcome
    traits : mapping
        Person → what others may know of them (age, sex, …); empty if the release tells nothing.
    rng : Generator
    limits : mapping
        Attack → limit of its upper bound; None for what no defacing cures.
    control_limit : float
        What the lower bound on the originals must reach.

    Returns
    -------
    list of dict
        ``faces`` if at least two attacks have a limit, ``all`` if there are two attacks at all,
        and each again ``with_traits``.
    """
    faces = [outcome for outcome in outcomes if limits.get(outcome.name) is not None]
    found = []
    for name, chosen in (("faces", faces), ("all", list(outcomes))):
        if not chosen:
            continue
        limit = max((limits[o.name] or 0 for o in faces), default=0) if name == "faces" else None
        known = {person: traits.get(person) for o in chosen for person in o.duel.people}
        if len(chosen) > 1:
            nobody = dict.fromkeys(known)
            found.append(_row(name, chosen, nobody, rng, limit, control_limit))
        if traits and all(o.after.scores is not None for o in chosen):
            # What the table alone gives away is no fault of the faces, so no face's limit holds.
            row = _row(f"{name}_with_traits", chosen, known, rng, None, control_limit)
            found.append(row)
    return found


def _row(
    name: str,
    outcomes: Sequence[Outcome],
    groups: Mapping[str, Hashable],
    rng: np.random.Generator,
    limit: float | None,
    control_limit: float,
) -> dict[str, Any]:
    people = sorted(groups)
    group = _numbered([groups[person] for person in people])
    after = _together(outcomes, people, group, "after")
    before = _together(outcomes, people, group, "before")
    first = _firsts(outcomes, people, group)
    drawn = _shuffled(first, group, rng)
    chance = float(drawn.mean()) / len(people)
    found = _whole(after)
    control = _whole(before)
    entry: dict[str, Any] = {
        "name": name,
        "attacks": [outcome.name for outcome in outcomes],
        **judge.rate_entry(found),
        "chance": judge.rounded(chance),
        "excess": judge.excess_entry(found, chance),
        "p_value": judge.rounded(permutation_p(float(after.sum()), drawn)),
        "searched": judge.rounded(float(np.mean(np.bincount(group)[group])), 2),
        "positive_control": judge.control_entry(control, control_limit),
        "threshold": limit,
    }
    if limit is None:
        reason = _access_reason(found, chance, traits=name.endswith("_with_traits"))
        return entry | {"result": judge.SETS_ACCESS, "reason": reason}
    result = judge.face_result(found, control, limit=limit, control_limit=control_limit)
    reason = judge.face_reason(result, found, control, limit, control_limit)
    return entry | {"result": result, "reason": reason}


def _access_reason(found: Rate, chance: float, *, traits: bool) -> str:
    text = f"{found.hits} of {found.n} were found by at least one attack"
    if traits:
        return (
            f"{text} among the people alike in the table of participants, where guessing alone "
            f"finds {judge.in_hundred(chance)}. The table decides that, and so who may get it."
        )
    return f"{text}. It holds what no defacing cures, so it decides who may get the data."


def _numbered(values: Sequence[Hashable]) -> Indices:
    order = {value: index for index, value in enumerate(dict.fromkeys(values))}
    return np.array([order[value] for value in values], dtype=np.int64)


def _together(
    outcomes: Sequence[Outcome], people: Sequence[str], group: Indices, stage: str
) -> Array:
    """Chance of each person to be found by the attack that is best on them, (people,)."""
    place = {person: index for index, person in enumerate(people)}
    best = np.zeros(len(people))
    for outcome in outcomes:
        where = np.array([place[person] for person in outcome.duel.people], dtype=np.int64)
        hits = _hits(getattr(outcome, stage), group[where])
        best[where] = np.maximum(best[where], hits)
    return best


def _hits(matches: Any, group: Indices) -> Array:
    """Chance of each known person to come first among the people of their group."""
    if len(set(group.tolist())) <= 1:
        return np.asarray(matches.hits)
    scores = np.asarray(matches.scores, dtype=np.float64)  # released person × known person
    own = np.diagonal(scores)
    others = (group[:, None] == group[None, :]) & ~np.eye(len(group), dtype=bool)
    higher = ((scores > own[None, :]) & others).sum(axis=0)
    ties = ((scores == own[None, :]) & others).sum(axis=0)
    found = hit_probability(1 + higher + ties / 2, ties)
    # Whoever could not be compared is found only if the group holds nobody else.
    return np.where(np.isfinite(own), found, 1.0 * ~others.any(axis=0))


def _firsts(outcomes: Sequence[Outcome], people: Sequence[str], group: Indices) -> Indices:
    """Whom each attack points at for each person, (attacks, people); −1 for nobody."""
    place = {person: index for index, person in enumerate(people)}
    pointed = np.full((len(outcomes), len(people)), -1, dtype=np.int64)
    for row, outcome in enumerate(outcomes):
        where = np.array([place[person] for person in outcome.duel.people], dtype=np.int64)
        matches = outcome.after
        mine = group[where]
        if len(set(mine.tolist())) <= 1:
            first = matches.first
        else:
            scores = np.asarray(matches.scores, dtype=np.float64)
            scores = np.where(mine[:, None] == mine[None, :], scores, -np.inf)
            first = scores.argmax(axis=0)
        pointed[row, where] = where[first]
    return pointed


def _shuffled(first: Indices, group: Indices, rng: np.random.Generator) -> Array:
    """Hits by any attack with names shuffled within the groups, (rounds,)."""
    members = [np.flatnonzero(group == value) for value in np.unique(group)]
    drawn = np.zeros(ROUNDS)
    for turn in range(ROUNDS):
        names = np.arange(len(group))
        for who in members:
            names[who] = rng.permutation(who)
        drawn[turn] = (first == names[None, :]).any(axis=0).sum()
    return drawn


def _whole(hits: Array) -> Rate:
    return rate(int(np.floor(hits.sum() + 0.5)), len(hits))
