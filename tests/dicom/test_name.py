"""Names follow from how an image was made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from anonymi_bids.dicom.decision import Decision, separate
from anonymi_bids.dicom.facts import Facts
from anonymi_bids.dicom.name import name_series

HEAD = Facts(modality="MR", image_type=("ORIGINAL", "PRIMARY", "M", "ND"), n_slices=60, n_files=60)


def facts(sequence: str = "", variant: str = "", **values: Any) -> Facts:
    return replace(
        HEAD,
        sequence=frozenset(filter(None, sequence.split())),
        variant=frozenset(filter(None, variant.split())),
        **values,
    )


NAMED = {
    "mprage": (
        facts("GR IR", "SP MP", acquisition="3D", tr=2000, te=2.5, ti=900, flip=9),
        "anat/T1w",
    ),
    "mprage without ti, philips": (
        facts("GR", "MP", acquisition="3D", tr=6.5, te=2.9, flip=9),
        "anat/T1w",
    ),
    "spgr": (facts("GR", "SS SP", acquisition="3D", tr=9, te=3.5, flip=15), "anat/T1w"),
    "flash 3d": (facts("GR", "SP", acquisition="3D", tr=20, te=4, flip=25), "anat/T1w"),
    "flash 2d": (facts("GR", "SP", acquisition="2D", tr=300, te=2.5, flip=80), "anat/T1w"),
    "pd flash": (facts("GR", "SP", acquisition="3D", tr=24, te=3, flip=5), "anat/PDw"),
    "t1 spin echo": (facts("SE", acquisition="2D", tr=550, te=12, flip=90), "anat/T1w"),
    "t1 flair": (facts("SE IR", acquisition="2D", tr=2000, te=9, ti=860), "anat/T1w"),
    "t2 tse": (facts("SE", "SK SP", acquisition="2D", tr=5000, te=95), "anat/T2w"),
    "t2 space": (facts("SE", "SK SP", acquisition="3D", tr=3200, te=400), "anat/T2w"),
    "pd tse": (facts("SE", acquisition="2D", tr=2300, te=22), "anat/PDw"),
    "flair": (facts("SE IR", acquisition="2D", tr=9000, te=90, ti=2500), "anat/FLAIR"),
    "flair 3d": (facts("SE IR", acquisition="3D", tr=5000, te=390, ti=1800), "anat/FLAIR"),
    "flair without ti": (
        facts("SE IR", acquisition="2D", tr=9000, te=120, words="t2 tirm dark fluid"),
        "anat/FLAIR",
    ),
    "t2 star": (facts("GR", "SP", acquisition="2D", tr=620, te=20, flip=20), "anat/T2starw"),
    "swi": (facts("GR", "SP", acquisition="3D", tr=28, te=20, words="swi"), "anat/T2starw"),
    "tof": (facts("GR", "SP", acquisition="3D", tr=21, te=3.4, words="tof 3d"), "anat/angio"),
    "uni": (
        facts("GR IR", "MP", image_type=("DERIVED", "PRIMARY", "M", "UNI"), words="mp2rage uni"),
        "anat/UNIT1",
    ),
    "bold": (facts("EP", tr=2000, te=30, n_volumes=200, words="bold rest"), "func/bold"),
    "bold in a functional localizer": (
        facts("EP", tr=2000, te=30, n_volumes=200, words="fmri localizer faces"),
        "func/bold",
    ),
    "sbref": (facts("EP", te=30, n_volumes=1, words="bold rest sbref"), "func/sbref"),
    "dwi": (facts("EP SE", te=80, n_volumes=65, diffusion=True, words="dti 64"), "dwi/dwi"),
    "phasediff": (
        facts(
            "GR",
            part="phase",
            te=7.4,
            n_volumes=1,
            two_echo_times=True,
            words="gre field mapping",
        ),
        "fmap/phasediff",
    ),
    "field map magnitude": (
        facts("GR", te=7.4, echo=2, n_volumes=1, words="gre field mapping"),
        "fmap/magnitude2",
    ),
    "reversed epi": (
        facts("EP SE", te=60, n_volumes=3, words="spinechofieldmap ap topup", has_readout=True),
        "fmap/epi",
    ),
    "asl": (facts("EP", te=12, n_volumes=90, words="pcasl 3d"), "perf/asl"),
}


@pytest.mark.parametrize("what", sorted(NAMED))
def test_images_are_named_by_their_physics(what: str) -> None:
    given, expected = NAMED[what]
    decision = name_series(given)
    assert decision.text == expected
    assert 0 < decision.confidence < 1
    if given.sequence != {"EP"} or "asl" not in what:
        assert decision.confidence >= 0.5
    assert decision.reason.endswith(".")


MPRAGE = NAMED["mprage"][0]
WITHHELD = {
    "localizer by type": (replace(MPRAGE, image_type=("ORIGINAL", "LOCALIZER")), "localizer"),
    "localizer by word": (replace(MPRAGE, words="aahead scout"), "localizer"),
    "survey": (replace(MPRAGE, words="survey 32ch head"), "localizer"),
    "three directions": (replace(MPRAGE, n_orientations=3, n_slices=15), "directions"),
    "adc": (replace(MPRAGE, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")), "map"),
    "fa": (replace(MPRAGE, image_type=("DERIVED", "PRIMARY", "DIFFUSION", "FA")), "map"),
    "relcbf": (replace(MPRAGE, image_type=("DERIVED", "PRIMARY", "ASL", "RELCBF")), "map"),
    "mip": (replace(MPRAGE, image_type=("DERIVED", "SECONDARY", "MIP")), "projection"),
    "mpr": (replace(MPRAGE, image_type=("DERIVED", "SECONDARY", "MPR")), "other images"),
    "map by word": (replace(MPRAGE, words="dti adc"), "map"),
    "screen save": (replace(MPRAGE, image_type=("DERIVED", "SCREEN SAVE")), "screen"),
    "secondary capture": (replace(MPRAGE, sop_class="1.2.840.10008.5.1.4.1.1.7"), "capture"),
    "burnt in": (replace(MPRAGE, burned_in=True), "burnt"),
    "colour": (replace(MPRAGE, colour=True), "colour"),
    "ct": (replace(MPRAGE, modality="CT"), "CT"),
    "pet": (replace(MPRAGE, modality="PT"), "PET"),
    "ultrasound": (replace(MPRAGE, modality="US"), "ultrasound"),
    "unknown modality": (replace(MPRAGE, modality=""), "magnetic resonance"),
    "phantom by name": (replace(MPRAGE, subject_words="acr phantom 7"), "phantom"),
    "phantom by study": (replace(MPRAGE, study_words="weekly qa"), "phantom"),
    "knee": (replace(MPRAGE, body_part="knee"), "part of the body"),
    "overlay": (replace(MPRAGE, postfix="ROI1"), "overlay"),
    "cropped": (replace(MPRAGE, postfix="Crop_1"), "cropped"),
    "lost slices": (replace(MPRAGE, lost_slices=4), "left out 4"),
    "many missing": (replace(MPRAGE, missing=10, largest_gap=1), "missing"),
    "wide gap": (replace(MPRAGE, n_files=300, missing=4, largest_gap=4), "in a row"),
    "gap not filled": (replace(MPRAGE, n_files=200, missing=1, n_volumes=1), "not be filled"),
    "one slice": (replace(MPRAGE, n_slices=1), "slices"),
    "unusable": (replace(MPRAGE, problem="It is broken."), "broken"),
    "stir": (facts("SE IR", tr=4000, te=60, ti=160, acquisition="2D"), "fat"),
    "nothing known": (facts(), "mapping file"),
    "phase of t1": (replace(MPRAGE, part="phase"), "phase"),
    "dsc perfusion": (facts("EP", te=30, n_volumes=50, words="ep2d perf"), "contrast agent"),
    "dwi without b-values": (
        facts("EP SE", te=80, n_volumes=65, words="dti"),
        "b-values",
    ),
    "trace image": (
        facts("EP SE", te=80, n_volumes=2, diffusion=True, gradients=False, words="dwi"),
        "directions",
    ),
    "unknown epi": (facts("EP", te=30, n_volumes=3), "few volumes"),
}


@pytest.mark.parametrize("what", sorted(WITHHELD))
def test_what_is_no_raw_image_of_a_head_is_withheld(what: str) -> None:
    given, word = WITHHELD[what]
    decision = name_series(given)
    assert decision.text == "withhold"
    assert word in decision.reason


def test_mpr_alone_in_an_original_image_is_no_reformat() -> None:
    # GE writes ORIGINAL\\PRIMARY\\MPR for plain acquisitions.
    given = replace(MPRAGE, image_type=("ORIGINAL", "PRIMARY", "MPR"))
    assert name_series(given).text == "anat/T1w"


def test_witnesses_move_the_confidence_not_the_name() -> None:
    plain = name_series(MPRAGE)
    agreed = name_series(replace(MPRAGE, words="t1 mprage", guess=("anat", "T1w")))
    contradicted = name_series(replace(MPRAGE, words="t2 flair", guess=("anat", "FLAIR")))
    assert contradicted.confidence < plain.confidence < agreed.confidence
    assert {plain.text, agreed.text, contradicted.text} == {"anat/T1w"}
    assert contradicted.confidence >= 0.5


def test_a_guess_to_discard_does_not_count() -> None:
    given = replace(NAMED["flash 2d"][0], guess=("discard", "localizer"))
    assert name_series(given) == name_series(NAMED["flash 2d"][0])


def test_no_text_of_the_header_enters_a_reason() -> None:
    marker = "zebedee"
    for given in [entry for entry, _ in (*NAMED.values(), *WITHHELD.values())]:
        marked = replace(
            given,
            words=f"{given.words} {marker}".strip(),
            subject_words=f"{given.subject_words} {marker}",
            study_words=f"{given.study_words} {marker}",
            body_part=f"{given.body_part} {marker}".strip(),
            sequence_name=marker,
        )
        decision = name_series(marked)
        assert marker not in decision.reason
        assert marker not in str(decision.entities)


def test_contrast_agent_and_task_become_entities() -> None:
    assert ("ce", "agent") in name_series(replace(MPRAGE, contrast_agent=True)).entities
    assert ("task", "rest") in name_series(NAMED["bold"][0]).entities
    odd = replace(NAMED["bold"][0], words="bold jane doe")
    assert ("task", "unknown") in name_series(odd).entities


def named(suffix: str, **entities: str) -> Decision:
    return Decision("anat", suffix, tuple(entities.items()), 0.9, "x.")


def entities_after(
    decisions: list[Decision], groups: str, fixed: str = ""
) -> list[tuple[str, dict[str, str]]]:
    flags = [flag == "f" for flag in fixed.ljust(len(decisions), "-")]
    return [(d.suffix, dict(d.entities)) for d in separate(decisions, list(groups), flags)]


def test_repeated_names_become_runs_in_order() -> None:
    assert entities_after([named("T1w"), named("T2w"), named("T1w")], "abc") == [
        ("T1w", {"run": "1"}),
        ("T2w", {}),
        ("T1w", {"run": "2"}),
    ]


def test_a_human_choice_keeps_its_name_and_others_give_way() -> None:
    assert entities_after([named("T1w"), named("T1w", run="1"), named("T1w")], "abc", "-f-") == [
        ("T1w", {"run": "2"}),
        ("T1w", {"run": "1"}),
        ("T1w", {"run": "3"}),
    ]


def test_images_of_one_series_are_echoes() -> None:
    assert entities_after([named("T2starw"), named("T2starw"), named("T2starw")], "aab") == [
        ("MEGRE", {"echo": "1"}),
        ("MEGRE", {"echo": "2"}),
        ("T2starw", {}),
    ]
