"""What becomes of a series: a BIDS name with a confidence and a reason, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anonymi_bids.dicom.facts import Facts

ENTITY_ORDER = (
    "task",
    "acq",
    "ce",
    "rec",
    "dir",
    "run",
    "echo",
    "inv",
    "part",
)
"""Order of entities in a BIDS name, those used here (BIDS specification, appendix "Entities")."""

DATATYPES = {
    "anat": (
        "T1w",
        "T2w",
        "FLAIR",
        "PDw",
        "T2starw",
        "angio",
        "UNIT1",
        "MP2RAGE",
        "MEGRE",
        "MESE",
        "inplaneT1",
        "inplaneT2",
        "PDT2",
    ),
    "func": ("bold", "sbref"),
    "dwi": ("dwi", "sbref"),
    "perf": ("asl", "m0scan"),
    "fmap": ("phasediff", "phase1", "phase2", "magnitude", "magnitude1", "magnitude2", "epi"),
}
"""Names a series can get, by rule or by hand."""

TASKS = (
    "rest",
    "motor",
    "nback",
    "language",
    "emotion",
    "faces",
    "gambling",
    "social",
    "relational",
    "memory",
    "movie",
    "stroop",
    "flanker",
    "gonogo",
    "retinotopy",
    "localizer",
    "checkerboard",
    "fingertapping",
    "breathhold",
)
"""Controlled words a task label may be; anything else becomes ``unknown``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one image.

    Attributes
    ----------
    datatype, suffix : str
        Empty if it is withheld.
    entities : tuple of (str, str)
        All but subject and session, in BIDS order.
    confidence : float
        0 … 1.
    reason : str
        One sentence without text of the header.
    """

    datatype: str
    suffix: str
    entities: tuple[tuple[str, str], ...]
    confidence: float
    reason: str

    @property
    def withheld(self) -> bool:
        """Whether the image stays out of the release."""
        return not self.datatype

    @property
    def text(self) -> str:
        """``datatype/suffix`` or ``withhold``."""
        return "withhold" if self.withheld else f"{self.datatype}/{self.suffix}"


def withhold(confidence: float, reason: str) -> Decision:
    """Make a decision to withhold."""
    return Decision("", "", (), confidence, reason)


def sorted_entities(entities: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Entities in BIDS order."""
    return tuple((key, entities[key]) for key in ENTITY_ORDER if key in entities)


def figures(facts: Facts) -> str:
    """Tell the physics in a few words, for a reason."""
    parts = [facts.acquisition] if facts.acquisition in ("2D", "3D") else []
    for name, value in (("TR", facts.tr), ("TE", facts.te), ("TI", facts.ti)):
        if value is not None:
            parts.append(f"{name} {round(value, 2):.7g} ms")
    if facts.flip is not None:
        parts.append(f"{facts.flip:.0f} degrees")
    return ", ".join(parts)


def make(
    facts: Facts, datatype: str, suffix: str, confidence: float, why: str, **entities: str
) -> Decision:
    """Make a decision to name an image; the reason is `why` and the physics."""
    if facts.contrast_agent and datatype == "anat":
        entities.setdefault("ce", "agent")
    physics = figures(facts)
    reason = f"{why} ({physics})." if physics else f"{why}."
    return Decision(datatype, suffix, sorted_entities(entities), confidence, reason)


def separate(
    decisions: Sequence[Decision], groups: Sequence[str], fixed: Sequence[bool]
) -> list[Decision]:
    """Give echoes of one scan an echo entity and repeated names a run entity.

    Parameters
    ----------
    decisions : sequence of Decision
        All images of one session, in the order of acquisition.
    groups : sequence of str
        UID of the series each belongs to.
    fixed : sequence of bool
        True where a human chose the entities; these keep them.

    Returns
    -------
    list of Decision
        In the same order; named ones have distinct names unless two humans' choices collide.
    """
    result = list(decisions)
    for places in _same_name(result, fixed).values():
        _set_echoes(result, places, groups)
    taken = {
        _name(decision)
        for decision, is_fixed in zip(result, fixed, strict=True)
        if is_fixed and not decision.withheld
    }
    for name, places in _same_name(result, fixed).items():
        if len(places) == 1 and name not in taken:
            continue
        run = 0
        for place in places:
            run += 1
            while _name(renamed := _with_entity(result[place], "run", str(run))) in taken:
                run += 1
            taken.add(_name(renamed))
            result[place] = renamed
    return result


def _same_name(
    decisions: Sequence[Decision], fixed: Sequence[bool]
) -> dict[tuple[str, ...], list[int]]:
    """Places of the decisions that may be renamed, by name."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, (decision, is_fixed) in enumerate(zip(decisions, fixed, strict=True)):
        if not decision.withheld and not is_fixed:
            places.setdefault(_name(decision), []).append(place)
    return places


def _set_echoes(result: list[Decision], places: Sequence[int], groups: Sequence[str]) -> None:
    """Tell images of one series that got one name apart: they are its echoes."""
    by_group: dict[str, list[int]] = {}
    for place in places:
        by_group.setdefault(groups[place], []).append(place)
    for members in by_group.values():
        if len(members) < 2 or "echo" in dict(result[members[0]].entities):
            continue
        if result[members[0]].datatype != "anat":
            continue
        suffix = result[members[0]].suffix
        suffix = {"T2starw": "MEGRE", "T2w": "MESE", "PDw": "MESE"}.get(suffix, suffix)
        for number, place in enumerate(members, start=1):
            numbered = _with_entity(result[place], "echo", str(number))
            result[place] = replace(numbered, suffix=suffix)


def _with_entity(decision: Decision, key: str, value: str) -> Decision:
    return replace(decision, entities=sorted_entities({**dict(decision.entities), key: value}))


def _name(decision: Decision) -> tuple[str, ...]:
    entities = [f"{key}-{value}" for key, value in decision.entities]
    return (decision.datatype, decision.suffix, *entities)
