"""Rules for field maps, perfusion, diffusion and function."""

from __future__ import annotations

import re

from anonymi_bids.dicom.decision import TASKS, Decision, make, withhold
from anonymi_bids.dicom.facts import Facts

_DIRECTIONS = {
    "j": "PA",
    "j-": "AP",
    "i": "LR",
    "i-": "RL",
    "k": "IS",
    "k-": "SI",
}
_DIRECTION_WORD = re.compile(r"\b(ap|pa|lr|rl)\b")


def _direction(facts: Facts) -> dict[str, str]:
    """Entity for the phase-encoding direction, from the description or the sidecar."""
    word = _DIRECTION_WORD.search(facts.words)
    label = word.group(1).upper() if word else _DIRECTIONS.get(facts.phase_encoding, "")
    return {"dir": label} if label else {}


def field_map(facts: Facts) -> Decision | None:
    """Name field maps: phase differences, magnitudes, echo-planar pairs."""
    if facts.says(r"\b(gre )?field ?map(ping)?\b|\bb0 ?map\b|\bfmap\b|gre fm\b|fieldmapping") or (
        "fm2d" in facts.sequence_name
    ):
        if "EP" in facts.sequence or facts.says(r"\b(se|epi|spin ?echo|topup)\b"):
            return _epi_field_map(facts)
        if facts.part == "phase":
            known = facts.two_echo_times or facts.n_volumes == 0
            return make(
                facts,
                "fmap",
                "phasediff",
                0.8 if known else 0.4,
                "Phase difference of a field map"
                + ("" if known else ", whose two echo times are unknown"),
            )
        if facts.part == "mag":
            return make(
                facts, "fmap", f"magnitude{facts.echo or 1}", 0.75, "Magnitude of a field map"
            )
        return withhold(0.6, "It is the real or imaginary part of a field map; BIDS has no name.")
    epi = "EP" in facts.sequence and facts.n_volumes <= 10
    if epi and facts.says(r"topup|blip|distortion|dist ?corr|\bpolarity\b|spin ?echo ?field"):
        return _epi_field_map(facts)
    return None


def _epi_field_map(facts: Facts) -> Decision:
    entities = _direction(facts)
    known = bool(entities) and (facts.has_readout or facts.n_volumes == 0)
    why = "Echo-planar field map with reversed phase encoding"
    if not known:
        why += ", whose direction or readout time is unknown"
    return make(facts, "fmap", "epi", 0.75 if known else 0.4, why, **entities)


def perfusion(facts: Facts) -> Decision | None:
    """Name arterial spin labelling; know other perfusion."""
    if facts.says(r"\b(p?c?asl|pulsed asl|arterial spin|pasl|pcasl|3dasl)\b") or facts.typed(
        "ASL"
    ):
        if facts.says(r"\bm0\b|m ?0 ?scan|calib"):
            return make(facts, "perf", "m0scan", 0.4, "Calibration image of arterial spin labels")
        return make(
            facts,
            "perf",
            "asl",
            0.4,
            "Arterial spin labelling; BIDS asks for an aslcontext.tsv and labelling details that "
            "DICOM does not give, so name it in the mapping file and add them",
        )
    if facts.says(r"\b(dsc|dce|perf|perfusion|bolus)\b") and facts.part == "mag":
        return withhold(
            0.6, "It looks like perfusion with a contrast agent, for which BIDS has no name."
        )
    return None


_DIFFUSION_WORDS = r"\b(dwi|dti|diff|diffusion|hardi|noddi|dsi|dmri|ep2d diff\w*|b ?1000|dw)\b"


def diffusion(facts: Facts) -> Decision | None:
    """Name diffusion by b-values, description or sequence."""
    named = facts.says(_DIFFUSION_WORDS) or facts.typed("DIFFUSION")
    sequence = re.search(r"ep_b|\*ep_?b|epb|dwi|diff", facts.sequence_name) is not None
    if not (facts.diffusion or named or sequence):
        return None
    if facts.part != "mag":
        return withhold(0.7, "It is the phase of a diffusion scan.")
    if facts.says(r"sb ?ref|single ?band"):
        return make(
            facts, "dwi", "sbref", 0.8, "Single-band reference of diffusion", **_direction(facts)
        )
    if facts.diffusion and not facts.gradients:
        return withhold(
            0.8, "Its b-values have no directions (a trace image), so BIDS has no name."
        )
    if facts.diffusion:
        return make(facts, "dwi", "dwi", 0.9, "Diffusion: b-values are known", **_direction(facts))
    if facts.n_volumes == 0 and named:
        return make(facts, "dwi", "dwi", 0.6, "Diffusion by its description", **_direction(facts))
    if "EP" in facts.sequence and 0 < facts.n_volumes <= 10:
        return _epi_field_map(facts)
    return withhold(0.6, "It is called diffusion but holds no b-values, which BIDS asks for.")


def _task(facts: Facts) -> str:
    words = facts.words.replace(" ", "")
    return next((task for task in TASKS if task in words), "unknown")


def functional(facts: Facts) -> Decision | None:
    """Name echo-planar series and their single-band references."""
    named = facts.says(r"\b(bold|fmri|func|functional|resting|rest|rs|rsfmri|task)\b|\bbold")
    if "EP" not in facts.sequence and not (named and facts.n_volumes > 1):
        return None
    entities = {"task": _task(facts)}
    if facts.echo is not None:
        entities["echo"] = str(facts.echo)
    if facts.part == "phase":
        entities["part"] = "phase"
    elif facts.part != "mag":
        return withhold(0.6, "It is the real or imaginary part of a functional series.")
    if facts.says(r"sb ?ref|single ?band"):
        return make(facts, "func", "sbref", 0.75, "Single-band reference of function", **entities)
    if facts.n_volumes >= 20 or (facts.n_volumes == 0 and facts.n_slices >= 300):
        confidence = 0.9 if named else 0.7
        return make(
            facts, "func", "bold", confidence, "Echo-planar series of many volumes", **entities
        )
    if facts.n_volumes == 0 and named:
        return make(facts, "func", "bold", 0.6, "Function by its description", **entities)
    if "SE" in facts.sequence and facts.n_volumes <= 10 and _DIRECTION_WORD.search(facts.words):
        return _epi_field_map(facts)
    if facts.ti is not None or "SE" in facts.sequence:
        return None  # a structural image read out by an echo-planar train
    return withhold(0.5, "It is an echo-planar series of few volumes whose purpose is unknown.")
