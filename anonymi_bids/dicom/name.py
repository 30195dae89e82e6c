"""Name series by rules over sequence physics, with the description and dcm2niix as witnesses.

Each rule looks at `Facts` and gives a BIDS name with a confidence, or passes. What decides is how
the image was made (sequence, TE, TR, TI, flip angle); the free-text description and dcm2niix's
`BidsGuess` only raise or lower the confidence, since both are often wrong.
"""

from __future__ import annotations

from dataclasses import replace

from anonymi_bids.dicom.decision import Decision, withhold
from anonymi_bids.dicom.facts import Facts
from anonymi_bids.dicom.function import diffusion, field_map, functional, perfusion
from anonymi_bids.dicom.reject import reject
from anonymi_bids.dicom.structure import SAYS, anatomy, special

_RULES = (field_map, perfusion, diffusion, functional, special, anatomy)

_CONTRADICTS = {
    "T1w": ("T2w", "FLAIR", "PDw"),
    "T2w": ("T1w", "FLAIR"),
    "FLAIR": (),
    "PDw": ("T1w", "T2w", "FLAIR"),
    "T2starw": ("T1w",),
}


def name_series(facts: Facts) -> Decision:
    """Name one image of a series, or say why not.

    Parameters
    ----------
    facts : Facts
        From the header alone (a plan), or completed by the sidecar.

    Returns
    -------
    Decision
    """
    objection = reject(facts)
    if objection is not None:
        return withhold(*objection)
    for rule in _RULES:
        decision = rule(facts)
        if decision is not None:
            return _with_witnesses(decision, facts)
    return withhold(
        0.5, "Nobody can tell from its header what it is; name it in the mapping file."
    )


def _with_witnesses(decision: Decision, facts: Facts) -> Decision:
    """Raise or lower the confidence by the description, dcm2niix's guess and derivation."""
    confidence, notes = decision.confidence, []
    if decision.suffix in SAYS:
        if facts.says(SAYS[decision.suffix]):
            confidence += 0.1
            notes.append("the description agrees")
        elif any(facts.says(SAYS[other]) for other in _CONTRADICTS[decision.suffix]):
            confidence -= 0.25
            notes.append("the description says otherwise")
    if facts.guess and facts.guess[0] not in ("discard", "derived"):
        if facts.guess == (decision.datatype, decision.suffix):
            confidence += 0.05
            notes.append("dcm2niix agrees")
        elif facts.guess[1]:
            confidence -= 0.1
            notes.append("dcm2niix names it otherwise")
    if facts.typed("DERIVED") and decision.suffix != "UNIT1":
        confidence -= 0.2
        notes.append("the image is marked as derived")
    if facts.filled:
        notes.append(f"{facts.missing} missing slice(s) filled from the neighbours")
    elif facts.missing:
        notes.append(f"{facts.missing} slice(s) missing")
    if "Eq" in facts.postfix:
        notes.append("resampled to even slice distances by dcm2niix")
    if "Tilt" in facts.postfix:
        notes.append("gantry tilt removed by dcm2niix")
    reason = decision.reason
    if notes:
        reason = f"{reason[:-1]}; {'; '.join(notes)}."
    return replace(decision, confidence=round(min(max(confidence, 0.0), 0.99), 2), reason=reason)
