"""Run all attacks on a release and write down what came out: the content of ``audit.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.audit import judge, learn, restored
from anonymi_bids.audit.crosscontrast import attack_contrasts
from anonymi_bids.audit.linking import look_for_links, no_links, untested
from anonymi_bids.audit.metadata import metadata_entry, traits_of
from anonymi_bids.audit.open_ends import cannot_conclude, people_for_first_hits, people_needed
from anonymi_bids.audit.recipients import recipient_rows, traces_sentence
from anonymi_bids.audit.reference import reference_entry
from anonymi_bids.audit.subgroups import subgroups_entry
from anonymi_bids.audit.traces import look_for_traces
from anonymi_bids.audit.trials import (
    Items,
    Outcome,
    attack_brains,
    attack_shape,
    gather,
    people_annex,
)
from anonymi_bids.audit.union import union_rows
from anonymi_bids.audit.witnesses import recogniser_attacks
from anonymi_bids.io.atomic import write_json
from anonymi_bids.settings import Settings

SCHEMA_VERSION = "1"
EXPIRY_MONTHS = 24

NOT_RESTORED = (
    "A face restored before it is compared, and attackers who learnt from other de-identified "
    f"heads (--audit full does this from {learn.FEWEST} people on)."
)
"""Where none of `restored.LEARNT` was tried."""

NOT_TESTED = (
    "Brains compared by thickness and volumes.",
    "Voices, physiological recordings, questionnaires, and anything else that is not in the "
    "release.",
    "Whether anyone will try: only how far these attacks get if somebody does.",
)

WOULD_CHANGE = (
    "a new kind of attack",
    "another release about the same people",
    "a fault found in the program",
    "a wider circle of recipients",
)


def run_audit(
    features_dir: Path,
    *,
    settings: Settings,
    released: Sequence[Mapping[str, Any]],
    withheld: Mapping[str, int],
    participants: Sequence[Mapping[str, Any]] = (),
    population: Sequence[Mapping[str, Any]] = (),
    release: Path | None = None,
    originals: Sequence[str] = (),
    annex: Path | None = None,
    gallery: Path | None = None,
    gallery_unusable: int = 0,
    new_labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Attack a release.

    Parameters
    ----------
    features_dir : Path
        ``OUTPUT/private/features``, filled by `features.save_features`.
    settings : Settings
    released : sequence of mapping
        One for each released image: ``subject``, ``session``, ``suffix``; ``method`` and
        ``overruled`` (gate → reason) and ``by_hand`` (what a person gave) where there is such.
    withheld : mapping of str to int
        Reason → number of images.
    participants : sequence of mapping
        Rows of the release's ``participants.tsv``.
    population : sequence of mapping
        How many people outside look alike (`metadata.metadata_entry`).
    release : Path, optional
        ``OUTPUT/release``: sidecars are compared, and all files searched for identifiers.
    originals : sequence of str
        Labels of the input that were replaced.
    annex : Path, optional
        Where to write what was found about each person, and beside it, as ``audit-links.json``,
        which scans look alike. It identifies people: ``private/`` only.
    gallery : Path, optional
        Features of a second dataset, to be compared with the release.
    gallery_unusable : int
        Images of it from which no features could be made.
    new_labels : mapping, optional
        Label of the input → label of the release, where labels were replaced; for photographs.

    Returns
    -------
    dict
        Content of ``audit.json``; schema in ``docs/audit.schema.json``.
    """
    rng = np.random.default_rng([settings.seed % 2**63, 11])
    items, damaged = gather(features_dir)
    outcomes, attacks, linkage, not_run = _tried(
        items, rng, features_dir, settings, new_labels or {}
    )
    links, named = no_links()
    if settings.audit.audit != "none" and features_dir.is_dir():
        links, named = look_for_links(
            items,
            features_dir,
            gallery=gallery,
            unusable=gallery_unusable,
            control_limits={
                "face": settings.audit.min_positive_control_face,
                "brain": settings.audit.min_positive_control_brain,
            },
        )
    if annex is not None:
        write_json(annex, people_annex(outcomes))
        write_json(annex.with_name("audit-links.json"), named)
    unions = _unions(outcomes, attacks, participants, rng, settings)
    traces = look_for_traces(release, originals) if release is not None else []
    methods = _methods(settings, released)
    return {
        "version": SCHEMA_VERSION,
        "policy": settings.policy,
        "recipient": settings.recipient,
        "seed": "recorded in private/settings.toml",
        "participants": _participants(released, outcomes, items),
        "attacks": attacks,
        "union": unions,
        "subgroups": subgroups_entry(outcomes, participants),
        "linkage": linkage | links,
        "metadata": metadata_entry(participants, release, population),
        "traces": traces,
        "withheld": _withheld(withheld, len(damaged)),
        "verdict": _verdict(
            [*attacks, *unions], traces, settings, [*not_run, *untested(links, attacks)]
        ),
        "methods": methods,
        "reference": reference_entry(methods["defacing"], settings.deface.surface_style),
    }


def _tried(
    items: Items,
    rng: np.random.Generator,
    features_dir: Path,
    settings: Settings,
    new_labels: Mapping[str, str],
) -> tuple[list[Outcome], list[dict[str, Any]], dict[str, Any], list[str]]:
    """Try every attack that the settings ask for.

    Returns outcomes, entries of the report, linkage, and what was not run.
    """
    choice = settings.audit
    outcomes: list[Outcome] = []
    attacks: list[dict[str, Any]] = []

    def note(outcome: Outcome, limit: float | None, control: float) -> None:
        outcomes.append(outcome)
        attacks.append(judge.attack_entry(outcome, limit=limit, control_limit=control))

    if choice.audit == "none":
        return outcomes, attacks, _no_linkage("The settings asked for no audit."), []
    linkage = _no_linkage("No person has two scans of one contrast that could be compared.")
    if not features_dir.is_dir():
        return outcomes, attacks, linkage, []
    face = choice.min_positive_control_face
    for name, limit in (("face_shape", choice.max_upper95), ("head_shape", None)):
        shape = attack_shape(name, items, rng, features_dir)
        if shape is not None:
            note(shape, limit, face)
    shown, not_run = recogniser_attacks(items, settings, new_labels)
    for outcome in shown:
        note(outcome, choice.max_upper95, face)
    for found in _restored(items, settings) if choice.audit == "full" else ():
        from_rest = found.name in restored.FROM_REST
        note(found, None if from_rest else choice.max_upper95, face)
    brains = attack_brains(items, rng, features_dir)
    if brains is not None:
        note(brains, None, choice.min_positive_control_brain)
        linkage = _linkage(attacks[-1])
    contrasts = attack_contrasts(items, rng, features_dir)
    if contrasts is not None:
        note(contrasts, None, choice.min_positive_control_brain)
    return outcomes, attacks, linkage, not_run


def _restored(items: Items, settings: Settings) -> Iterator[Outcome]:
    """Try the attacks that restore a face or learn, as far as the people at hand allow."""
    from anonymi_bids.head.atlas import load_atlas

    rng = np.random.default_rng([settings.seed % 2**63, 13])
    cohort = restored.gather_cohort(items, rng, load_atlas(), settings.deface.blur_mm)
    if cohort is None:
        return
    blurred = settings.deface.method == "surface" and settings.deface.surface_style == "blur"
    for name in restored.possible(cohort, blurred=blurred):
        yield restored.attack_restored(name, cohort, rng)


def _unions(
    outcomes: Sequence[Outcome],
    attacks: Sequence[Mapping[str, Any]],
    participants: Sequence[Mapping[str, Any]],
    rng: np.random.Generator,
    settings: Settings,
) -> list[dict[str, Any]]:
    return union_rows(
        outcomes,
        traits_of(participants),
        rng,
        limits={entry["name"]: entry["threshold"] for entry in attacks},
        control_limit=settings.audit.min_positive_control_face,
    )


def _participants(
    released: Sequence[Mapping[str, Any]],
    outcomes: Sequence[Outcome],
    items: Mapping[str, Sequence[Any]],
) -> dict[str, int]:
    people = {str(entry["subject"]) for entry in released}
    if not released:
        people = {item.meta.subject for item in items["released"]}
    attacked = {person for outcome in outcomes for person in outcome.duel.people}
    simulated = {
        person
        for outcome in outcomes
        for person, flag in zip(outcome.duel.people, outcome.duel.simulated, strict=True)
        if flag
    }
    return {
        "released": len(people),
        "images": len(released) or len(items["released"]),
        "attacked": len(attacked),
        "not_attacked": len(people - attacked),
        "second_visit_simulated": len(simulated),
    }


def _linkage(entry: Mapping[str, Any]) -> dict[str, Any]:
    sentence = (
        f"{entry['hits']} of {entry['n']} people were linked with another scan of their brain; by "
        f"guessing it would be {judge.in_hundred(entry['chance'])}. Whoever holds a second scan "
        "with a name can do the same. Defacing does not change that; only the choice of who may "
        "get the data does."
    )
    return {
        "tested": True,
        "sentence": sentence,
        "n": entry["n"],
        "hits": entry["hits"],
    }


def _no_linkage(sentence: str) -> dict[str, Any]:
    return {
        "tested": False,
        "sentence": sentence,
        "n": 0,
        "hits": 0,
    }


def _withheld(withheld: Mapping[str, int], damaged: int) -> dict[str, Any]:
    reasons = [
        {"reason": reason, "images": int(count)} for reason, count in sorted(withheld.items())
    ]
    return {
        "images": sum(entry["images"] for entry in reasons),
        "reasons": reasons,
        "features_damaged": damaged,
    }


def _verdict(
    attacks: Sequence[Mapping[str, Any]],
    traces: Sequence[Mapping[str, Any]],
    settings: Settings,
    not_run: Sequence[str],
) -> dict[str, Any]:
    judged = [entry for entry in attacks if entry["threshold"] is not None]
    left = traces_sentence(traces)
    result = judge.DOES_NOT if left else judge.overall(attacks)
    learnt = any(entry["name"] in restored.LEARNT for entry in attacks)
    if settings.audit.audit == "none":
        reasons = ["No attack was run, because the settings asked for none."]
    elif not judged:
        reasons = ["No face could be attacked: nobody has a usable face and a second visit."]
    else:
        reasons = list(dict.fromkeys(str(entry["reason"]) for entry in judged))
    return {
        "result": result,
        "recipient": settings.recipient,
        "reasons": [left, *reasons] if left else reasons,
        "recipients": recipient_rows(judged, traces, own_limit=settings.audit.max_upper95),
        "cannot_conclude": cannot_conclude([entry for entry in attacks if "title" in entry]),
        "people_needed": people_needed(judged),
        "people_for_hits": people_for_first_hits(settings.audit.max_upper95),
        "lower_bound": True,
        "not_tested": [*([] if learnt else [NOT_RESTORED]), *not_run, *NOT_TESTED],
        "expires_after_months": EXPIRY_MONTHS,
        "would_change": list(WOULD_CHANGE),
    }


def _methods(settings: Settings, released: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from anonymi_bids import __version__

    methods = sorted({str(entry.get("method") or settings.deface.method) for entry in released})
    overruled = sum(1 for entry in released if entry.get("overruled"))
    guided = sum(1 for entry in released if entry.get("by_hand"))
    contrasts: dict[str, int] = {}
    for entry in released:
        suffix = str(entry.get("suffix", "unknown"))
        contrasts[suffix] = contrasts.get(suffix, 0) + 1
    return {
        "program": f"anonymi-bids {__version__}",
        "settings_digest": settings.digest[:16],
        "audit": settings.audit.audit,
        "defacing": methods or [settings.deface.method],
        "ears": settings.deface.ears,
        "images_by_contrast": dict(sorted(contrasts.items())),
        "overruled_by_a_person": overruled,
        "guided_by_a_person": guided,
    }
