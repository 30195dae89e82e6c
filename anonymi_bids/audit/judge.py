"""Turn rates into results in plain words: meets, does not meet, or cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anonymi_bids.audit.curves import curves, rounded, statistics
from anonymi_bids.audit.rates import Rate, excess_risk, people_for_control, people_for_no_hit
from anonymi_bids.audit.trials import Outcome
from anonymi_bids.core.frequency import count_people, per_hundred

MEETS, DOES_NOT, CANNOT_TELL = "meets", "does not meet", "inconclusive"
SETS_ACCESS = "sets the access level"

CERTAIN = 0.999
"""Above this chance nothing is left to find, and an excess would mean nothing."""

PASSED, TOO_FEW, FAILED = "passed", "too few", "failed"
"""Of a positive control; see `control_status`."""

TITLES = {
    "face_shape": "Face recognised by its shape",
    "head_shape": "Head recognised by all that is left of it",
    "face_recogniser": "Face recognised by a face recogniser",
    "face_photo": "Photograph found by a face recogniser",
    "brain_linkage": "Brain linked with another scan",
    "brain_contrast": "Brain linked with a scan of another contrast",
    "head_refilled": "Head recognised after an average face was put in",
    "face_from_model": "Face completed from the rest by a model of heads",
    "face_from_others": "Face completed from the rest, learnt on the others",
    "face_regressed": "Face predicted from what stands in its place",
    "face_informed": "Face recognised in a measure learnt on the others",
    "face_deblurred": "Face recognised after the smoothing was undone",
}

SCORES = {
    "depth": "depth of the surface seen from three sides",
    "slope": "slopes of the surface seen from three sides",
    "embedding_mean": "mean vector of all portraits",
    "embedding_best": "likest portrait for each known picture",
    "embedding_svm": "support vector machine that learnt the portraits",
    "brain": "correlation of brains",
    "brain_shifted": "correlation of brains, fine structure only, at the best shift by up to 3 mm",
    "brain_high": "correlation of brains, fine structure only",
    "brain_edges": "correlation of the brains' edges",
    "brain_contrast": "correlation of where the brain resembles its own neighbourhood",
    "head_refilled": "depth of the surface seen from five sides",
    "face_from_model": "depth of the face, the most probable one by the shape model",
    "face_from_others": "depth of the face, by ridge regression on other people",
    "face_regressed": "depth of the face, by ridge regression on other people",
    "face_informed": "directions in which faces and what stands in their place vary together",
    "face_deblurred": "depth of the face, low-pass undone",
}


def rate_entry(found: Rate) -> dict[str, Any]:
    """Write a rate as it stands in ``audit.json``."""
    return {
        "n": found.n,
        "hits": found.hits,
        "rate": rounded(found.value),
        "interval": [rounded(found.low), rounded(found.high)],
        "upper95": rounded(found.upper95),
    }


def control_status(control: Rate, limit: float) -> str:
    """Tell a control that failed from one that found all people, of whom there were too few.

    Neither gives an all-clear.

    Parameters
    ----------
    control : Rate
        The attack on the originals.
    limit : float
        What its lower bound must reach.

    Returns
    -------
    {"passed", "too few", "failed"}
    """
    if control.low >= limit:
        return PASSED
    return TOO_FEW if 0 < control.hits == control.n else FAILED


def control_entry(control: Rate, limit: float) -> dict[str, Any]:
    """Write a positive control as it stands in ``audit.json``."""
    status = control_status(control, limit)
    return {
        **rate_entry(control),
        "limit": limit,
        "passed": status == PASSED,
        "status": status,
        "people_needed": people_for_control(limit) if 0 < limit < 1 else None,
    }


def face_result(after: Rate, control: Rate, *, limit: float, control_limit: float) -> str:
    """Judge a face attack.

    Parameters
    ----------
    after, control : Rate
        On the release, and the same attack on the originals.
    limit : float
        What the one-sided upper bound must not exceed.
    control_limit : float
        What the control's lower bound must reach, or the attack proves nothing.
    """
    if _surely_above(after, limit):
        return DOES_NOT
    if after.n == 0 or control.low < control_limit:
        return CANNOT_TELL
    if after.upper95 <= limit:
        return MEETS
    return CANNOT_TELL if after.n < people_for_no_hit(limit) else DOES_NOT


def _surely_above(after: Rate, limit: float) -> bool:
    """Tell whether even the lower bound is above the limit and above guessing among so few."""
    return after.n > 0 and after.low > max(limit, 1 / after.n)


def face_reason(
    result: str, after: Rate, control: Rate, limit: float, control_limit: float
) -> str:
    """Say why, in one sentence."""
    if after.n == 0:
        return "Nobody could be attacked, because no person has a face and a second visit."
    if result == MEETS:
        return (
            f"{after.hits} of {count_people(after.n)} were found; even the upper bound, "
            f"{in_hundred(after.upper95)}, does not exceed the limit, {in_hundred(limit)}."
        )
    if result == DOES_NOT and _surely_above(after, limit):
        return (
            f"{after.hits} of {count_people(after.n)} were found; even the lower bound, "
            f"{in_hundred(after.low)}, is above the limit, {in_hundred(limit)}."
        )
    status = control_status(control, control_limit)
    if status == TOO_FEW:
        return (
            f"The attack found all {count_people(control.n)} on the untouched originals, but so "
            f"few cannot show that it finds at least {in_hundred(control_limit)}: at least "
            f"{people_for_control(control_limit)} people are needed."
        )
    if status == FAILED:
        return (
            f"The attack found {control.hits} of {control.n} people on the untouched originals, "
            f"which does not show that it finds at least {in_hundred(control_limit)}; an attack "
            "that weak proves nothing."
        )
    if after.n < people_for_no_hit(limit):
        return (
            f"{count_people(after.n)} cannot show a risk as low as {in_hundred(limit)}: at least "
            f"{people_for_no_hit(limit)} people without a hit are needed."
        )
    return (
        f"The upper bound, {in_hundred(after.upper95)}, is above the limit, {in_hundred(limit)}."
    )


def in_hundred(share: float) -> str:
    """Say a share as a natural frequency."""
    return f"{per_hundred(share)} of 100"


def excess_entry(found: Rate, chance: float) -> float | None:
    """Excess of a rate over guessing; None where guessing finds everybody."""
    return None if chance > CERTAIN else rounded(excess_risk(found.value, chance))


def attack_entry(
    outcome: Outcome,
    *,
    limit: float | None,
    control_limit: float,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """Write one attack as it stands in ``audit.json``.

    Parameters
    ----------
    outcome : Outcome
    limit : float or None
        None for what no defacing can cure: it sets the access level.
    control_limit : float
    rng : Generator, optional
        For bootstrap bands; without one the same people are drawn each time.
    """
    rng = np.random.default_rng(29) if rng is None else rng
    after, control = outcome.rate_after, outcome.rate_before
    chance = 1 / after.n
    entry = {
        "name": outcome.name,
        "title": TITLES[outcome.name],
        "threat_model": "population to sample",
        "population": "local",
        "score": SCORES[outcome.score],
        "contrast": outcome.contrast or "any",
        **rate_entry(after),
        "chance": rounded(chance),
        "excess": excess_entry(after, chance),
        "positive_control": control_entry(control, control_limit),
        "negative_control": {
            "shuffled_mean_hits": rounded(outcome.shuffled.mean_hits),
            "shuffles": outcome.shuffled.rounds,
            "p_value": rounded(outcome.shuffled.p_value),
            "wrong_region": rate_entry(outcome.wrong_region),
        },
        "other_direction": rate_entry(outcome.rate_back),
        "second_visits": {
            "real": int((~outcome.duel.simulated).sum()),
            "simulated": int(outcome.duel.simulated.sum()),
        },
        "not_acquired": outcome.not_acquired,
        **_recogniser(outcome),
        "threshold": limit,
        "curves": {
            "before": curves(outcome.before, rng),
            "after": curves(outcome.after, rng),
        },
        "statistics": statistics(outcome.before, outcome.after, rng),
    }
    if limit is None:
        reason = _access_reason(outcome.name, after, control_status(control, control_limit))
        return entry | {"result": SETS_ACCESS, "reason": reason}
    result = face_result(after, control, limit=limit, control_limit=control_limit)
    reason = face_reason(result, after, control, limit, control_limit)
    return entry | {"result": result, "reason": reason}


def _recogniser(outcome: Outcome) -> dict[str, Any]:
    """Say which recogniser was used, and on whom its detector fired; nothing if none was."""
    if not outcome.recogniser:
        return {}
    fired = {when: rate_entry(found) for when, found in outcome.detector.items()}
    return {"recogniser": outcome.recogniser, "detector": fired}


_FROM_REST = (
    "The rest of the head stays, whatever is done to the face; only a change of forehead, temples "
    "and vault too would cure it"
)

_ACCESS = {
    "brain_linkage": (
        "linked with another scan of the same brain",
        "The brain itself must stay as it is, so no defacing cures this",
    ),
    "brain_contrast": (
        "linked with a scan of the same brain in another contrast",
        "The brain itself must stay as it is, so no defacing cures this",
    ),
    "head_shape": (
        "recognised by size and shape of forehead, temples and neck, which stay",
        "It needs a scan of the whole head, whose holder could use the brain as well, and no "
        "defacing cures it",
    ),
    "head_refilled": (
        "recognised by what stays of the head, an average face in the gap",
        "It needs a scan of the whole head, whose holder could use the brain as well, and no "
        "defacing cures it",
    ),
    "face_from_model": (
        "recognised by a face worked out from the rest of the head with a model of heads",
        _FROM_REST,
    ),
    "face_from_others": (
        "recognised by a face worked out from the rest of the head as learnt on the others",
        _FROM_REST,
    ),
}


def _access_reason(name: str, after: Rate, control: str) -> str:
    what, why = _ACCESS[name]
    found = f"{after.hits} of {count_people(after.n)} were {what}"
    if control == TOO_FEW:
        found += ", by an attack that found all of the originals, too few to show its strength"
    if control == FAILED:
        found += ", by an attack that was not shown to be strong on the originals"
    return f"{found}. {why}: it decides who may get the data."


def overall(attacks: Sequence[Mapping[str, Any]]) -> str:
    """Give the worst result of all attacks that have a limit."""
    results = [entry["result"] for entry in attacks if entry["threshold"] is not None]
    if DOES_NOT in results:
        return DOES_NOT
    return MEETS if results and set(results) == {MEETS} else CANNOT_TELL
