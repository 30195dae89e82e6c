from __future__ import annotations

import os
from pathlib import Path

import pytest

from anonymi_bids.bids import fates
from anonymi_bids.bids.index import index_dataset
from anonymi_bids.bids.inherit import BROKEN, DISAGREE
from anonymi_bids.bids.plan import DatasetPlan
from anonymi_bids.errors import InputError, SettingsError
from tests.bids.study import Study, listing


def images(plan: DatasetPlan) -> list[str]:
    return [image.entities.path for session in plan.sessions for image in session.images]


def reasons(plan: DatasetPlan) -> dict[str, str]:
    """Path → reason of every file that is withheld at once."""
    everything = [fate for session in plan.sessions for fate in session.other_files]
    return {f.path: f.reason for f in (*everything, *plan.files) if f.fate == "withheld"}


def every_path(plan: DatasetPlan) -> list[str]:
    """All paths of the input that the plan knows, those of images included."""
    listed = [fate.path for session in plan.sessions for fate in session.other_files]
    return sorted([*listed, *(fate.path for fate in plan.files), *plan.inputs.values()])


@pytest.mark.parametrize(
    "paths",
    [
        ["sub-1/anat/sub-1_T1w.nii.gz"],
        ["sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_T2w.nii.gz"],
        ["sub-1/anat/sub-1_run-1_T1w.nii.gz", "sub-1/anat/sub-1_run-2_T1w.nii.gz"],
        ["sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz", "sub-1/ses-b/anat/sub-1_ses-b_T1w.nii.gz"],
        ["sub-1/anat/sub-1_acq-a_T1w.nii.gz", "sub-1/anat/sub-1_acq-b_T1w.nii.gz"],
        ["sub-1/anat/sub-1_inplaneT2.nii.gz", "sub-1/fmap/sub-1_magnitude1.nii.gz"],
        ["sub-1/func/sub-1_task-x_sbref.nii.gz", "sub-1/pet/sub-1_pet.nii.gz"],
        ["sub-1/anat/sub-1_T1w.nii", "sub-2/anat/sub-2_T1w.nii.gz"],
    ],
)
def test_no_image_is_left_behind(study: Study, paths: list[str]) -> None:
    """A second T1w, a T2w beside a T1w, no session: where a peer leaves a face behind."""
    for path in paths:
        study.image(path)
    plan = index_dataset(study.root)
    assert sorted(images(plan)) == sorted(paths)
    assert not reasons(plan)


def test_image_of_any_length_and_datatype(study: Study) -> None:
    study.image("sub-1/func/sub-1_task-x_bold.nii.gz", (4, 4, 4, 4))
    study.image("sub-1/dwi/sub-1_dwi.nii.gz", (4, 4, 4, 2))
    study.text("sub-1/dwi/sub-1_dwi.bval", "0 1000\n")
    study.text("dwi.bvec", "0 1\n0 0\n0 0\n")
    plan = index_dataset(study.root)
    assert len(images(plan)) == 2
    dwi = next(i for i in plan.sessions[0].images if i.entities.suffix == "dwi")
    assert set(dwi.companions) == {".bval", ".bvec"}
    assert {f.path for f in plan.files if f.fate == "changed"} == {"dwi.bvec"}


def crowded(study: Study) -> None:
    """One of everything that is no plain image."""
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    for path in (
        ".bidsignore",
        ".heudiconv/1/info.txt",
        "CHANGES",
        "README.md",
        "code/run.py",
        "derivatives/prep/sub-1/anat/sub-1_T1w.nii.gz",
        "phenotype/mood.tsv",
        "sourcedata/sub-1/scan.dcm",
        "stimuli/face.jpg",
        "sub-1/.DS_Store",
        "sub-1/anat/sub-1_T1w copy.nii.gz",
        "sub-1/anat/sub-1_T1w.nii.gz.bak",
        "sub-1/anat/sub-1_mod-T1w_defacemask.nii.gz",
        "sub-1/anat/sub-1_ct.nii.gz",
        "sub-1/anat/sub-1_acq-20240131_T1w.nii.gz",
        "sub-1/anat/sub-1_photo.jpg",
        "sub-1/beh/sub-1_task-x_beh.tsv",
        "sub-1/dwi/sub-1_dwi.nii.gz",
        "sub-1/eeg/sub-1_task-x_eeg.edf",
        "sub-1/func/sub-1_task-x_physio.tsv.gz",
        "sub-1/func/sub-1_task-x_events.tsv",
        "sub-1/notes about Jane.txt",
        "sub-1/anat/sub-1_T2w.json",
        "task-x_bold.json",
        "unknown.bin",
    ):
        study.text(path, "{}" if path.endswith("json") else "x\n")


def test_every_file_has_one_fate(study: Study) -> None:
    crowded(study)
    plan = index_dataset(study.root)
    assert every_path(plan) == sorted(listing(study.root))
    assert images(plan) == ["sub-1/anat/sub-1_T1w.nii.gz"]
    assert all(reasons(plan).values())
    assert reasons(plan)["sub-1/func/sub-1_task-x_physio.tsv.gz"].startswith("Physiological")
    assert reasons(plan)["sub-1/anat/sub-1_acq-20240131_T1w.nii.gz"] == fates.DATE_IN_NAME
    assert reasons(plan)["sub-1/anat/sub-1_mod-T1w_defacemask.nii.gz"] == fates.OLD_MASK


def test_choice_of_participants_leaves_no_file_without_a_fate(study: Study) -> None:
    crowded(study)
    study.image("sub-2/ses-1/anat/sub-2_ses-1_T1w.nii.gz")
    study.image("sub-2/ses-2/anat/sub-2_ses-2_T1w.nii.gz")
    plan = index_dataset(study.root, participant_labels=["sub-2"], session_labels=["2"])
    assert images(plan) == ["sub-2/ses-2/anat/sub-2_ses-2_T1w.nii.gz"]
    listed = every_path(plan)
    for path in listing(study.root):
        assert path in listed or path.partition("/")[0] + "/" in listed
    assert reasons(plan)["sub-1/"] == fates.NOT_ASKED_PARTICIPANT
    other = "sub-2/ses-1/anat/sub-2_ses-1_T1w.nii.gz"
    assert reasons(plan)[other] == fates.NOT_ASKED_SESSION


def test_unknown_labels_are_refused_without_naming_anyone(study: Study) -> None:
    study.image("sub-Jane/anat/sub-Jane_T1w.nii.gz")
    with pytest.raises(InputError, match=r"1 of the 2 labels .* \(number 2\) .* 1 participants"):
        index_dataset(study.root, participant_labels=["Jane", "John"])
    with pytest.raises(InputError, match="--session-label"):
        index_dataset(study.root, session_labels=["1"])
    with pytest.raises(InputError) as raised:
        index_dataset(study.root, participant_labels=["John"])
    assert "Jane" not in str(raised.value)
    assert "John" not in str(raised.value)


def test_input_without_participants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no participants"):
        index_dataset(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        index_dataset(tmp_path / "absent")


def test_filter_restricts_the_kinds_it_names(study: Study) -> None:
    for name in ("acq-a_T1w", "acq-b_T1w", "T2w", "FLAIR"):
        study.image(f"sub-1/anat/sub-1_{name}.nii.gz")
    chosen = {"t1w": {"acquisition": "a"}, "flair": {"acquisition": "*"}}
    plan = index_dataset(study.root, bids_filter=chosen)
    assert [path.rpartition("sub-1_")[2] for path in images(plan)] == [
        "T2w.nii.gz",
        "acq-a_T1w.nii.gz",
    ]
    assert set(reasons(plan).values()) == {fates.NOT_SELECTED}
    without = index_dataset(study.root, bids_filter={"t1w": {"acquisition": None}})
    assert len(images(without)) == 2


@pytest.mark.parametrize("wrong", [{"t1w": "a"}, {"t1w": {"nonsense": "a"}}])
def test_wrong_filter_is_said(study: Study, wrong: dict[str, object]) -> None:
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(SettingsError, match="t1w"):
        index_dataset(study.root, bids_filter=wrong)


def test_sidecars_are_inherited(study: Study) -> None:
    study.image("sub-1/ses-1/anat/sub-1_ses-1_run-1_T1w.nii.gz")
    study.json("T1w.json", EchoTime=1, FlipAngle=1, RepetitionTime=1)
    study.json("sub-1/sub-1_T1w.json", EchoTime=2, FlipAngle=2)
    study.json("sub-1/ses-1/anat/sub-1_ses-1_run-1_T1w.json", EchoTime=3)
    study.json("sub-1/ses-1/anat/sub-1_ses-1_run-2_T1w.json", EchoTime=4)
    plan = index_dataset(study.root)
    (image,) = plan.sessions[-1].images
    assert image.sidecar == {"EchoTime": 3, "FlipAngle": 2, "RepetitionTime": 1}
    unused = "sub-1/ses-1/anat/sub-1_ses-1_run-2_T1w.json"
    assert reasons(plan) == {unused: fates.SIDECAR_UNUSED}


def test_sidecars_that_disagree_withhold_the_image(study: Study) -> None:
    name = "sub-1/anat/sub-1_acq-a_run-1_T1w"
    study.image(f"{name}.nii.gz")
    study.json("sub-1/anat/sub-1_acq-a_T1w.json", EchoTime=1)
    study.json("sub-1/anat/sub-1_run-1_T1w.json", EchoTime=2)
    plan = index_dataset(study.root)
    assert images(plan) == []
    assert reasons(plan)[f"{name}.nii.gz"] == DISAGREE
    study.json("sub-1/anat/sub-1_run-1_T1w.json", EchoTime=1, FlipAngle=5)
    (image,) = index_dataset(study.root).sessions[0].images
    assert image.sidecar == {"EchoTime": 1, "FlipAngle": 5}


def test_sidecar_named_like_the_image_decides(study: Study) -> None:
    study.image("sub-1/anat/sub-1_acq-a_T1w.nii.gz")
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    study.json("sub-1/anat/sub-1_acq-a_T1w.json", EchoTime=1)
    study.json("sub-1/anat/sub-1_T1w.json", EchoTime=2)
    found = {i.entities.stem: i.sidecar for i in index_dataset(study.root).sessions[0].images}
    assert found == {"sub-1_acq-a_T1w": {"EchoTime": 1}, "sub-1_T1w": {"EchoTime": 2}}


def test_two_spellings_of_a_sidecar_that_disagree(study: Study) -> None:
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    study.json("sub-1/anat/sub-1_T1w.json", EchoTime=1)
    study.json("sub-1/anat/sub-1_T1w.JSON", EchoTime=2)
    assert reasons(index_dataset(study.root))["sub-1/anat/sub-1_T1w.nii.gz"] == DISAGREE


@pytest.mark.parametrize("content", ["{", "[1]", "", '{"a": 1', "\udcff", "[" * 100_000])
def test_broken_sidecar_withholds_the_image(study: Study, content: str) -> None:
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    sidecar = study.root / "sub-1/anat/sub-1_T1w.json"
    sidecar.write_bytes(content.encode("utf-8", "surrogateescape"))
    plan = index_dataset(study.root)
    assert images(plan) == []
    assert reasons(plan)["sub-1/anat/sub-1_T1w.nii.gz"] == BROKEN
    assert "sub-1/anat/sub-1_T1w.json" in reasons(plan)


def test_two_packings_of_one_image(study: Study) -> None:
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    study.image("sub-1/anat/sub-1_T1w.nii")
    plan = index_dataset(study.root)
    assert images(plan) == []
    assert set(reasons(plan).values()) == {fates.TWO_PACKINGS}


def test_links_are_followed_within_input_only(study: Study, tmp_path: Path) -> None:
    real = study.image("sub-1/anat/sub-1_T1w.nii.gz")
    annexed = study.image(".git/annex/objects/key.nii.gz")
    outside = tmp_path / "out"
    outside.mkdir()
    (outside / "sub-9_T1w.nii.gz").write_bytes(real.read_bytes())
    anat = real.parent
    (anat / "sub-1_T2w.nii.gz").symlink_to(os.path.relpath(annexed, anat))
    (anat / "sub-1_FLAIR.nii.gz").symlink_to(outside / "sub-9_T1w.nii.gz")
    (anat / "sub-1_PDw.nii.gz").symlink_to(anat / "absent")
    (anat / "sub-1_T1w.json").symlink_to(outside / "x.json")
    (study.root / "sub-1/func").symlink_to(outside)
    (study.root / "sub-1/fmap").symlink_to(anat)
    (study.root / "sub-1/loop").symlink_to(study.root)
    (study.root / "sub-2").symlink_to(outside)
    plan = index_dataset(study.root)
    assert [p.rpartition("_")[2] for p in images(plan)] == ["T1w.nii.gz", "T2w.nii.gz"]
    found = reasons(plan)
    assert "out of INPUT" in found["sub-1/anat/sub-1_FLAIR.nii.gz"]
    assert "not there" in found["sub-1/anat/sub-1_PDw.nii.gz"]
    assert "out of INPUT" in found["sub-1/anat/sub-1_T1w.json"]
    assert "out of INPUT" in found["sub-1/func"]
    assert "links to folders" in found["sub-1/fmap"]
    assert "links to folders" in found["sub-1/loop"]
    assert "out of INPUT" in found["sub-2"]


def test_new_labels_reach_every_name(study: Study) -> None:
    study.image("sub-Jane/ses-20240131/anat/sub-Jane_ses-20240131_T1w.nii.gz")
    study.image("sub-Jane/ses-20240201/fmap/sub-Jane_ses-20240201_dir-AP_epi.nii.gz")
    study.image("sub-Jane/ses-20240201/anat/sub-Jane_ses-20240201_acq-Jane2_T1w.nii.gz")
    study.json(
        "sub-Jane/ses-20240201/fmap/sub-Jane_ses-20240201_dir-AP_epi.json",
        IntendedFor=["ses-20240131/anat/sub-Jane_ses-20240131_T1w.nii.gz", "ses-1/absent.nii.gz"],
    )
    study.text("sub-Jane/ses-20240131/sub-Jane_ses-20240131_scans.tsv", "filename\n")
    plan = index_dataset(study.root, pseudonyms=True, seed=3)
    label = plan.labels["Jane"]
    assert label != "Jane"
    released = [*images(plan), *plan.sources]
    released += [str(i.sidecar) for s in plan.sessions for i in s.images]
    assert not any("Jane" in text or "2024" in text for text in released)
    epi = next(i for s in plan.sessions for i in s.images if i.entities.suffix == "epi")
    assert epi.sidecar["IntendedFor"] == [
        f"bids::sub-{label}/ses-01/anat/sub-{label}_ses-01_T1w.nii.gz"
    ]
    assert (
        "repeats"
        in reasons(plan)["sub-Jane/ses-20240201/anat/sub-Jane_ses-20240201_acq-Jane2_T1w.nii.gz"]
    )
    kept = index_dataset(study.root)
    assert kept.labels == {"Jane": "Jane"}


def test_index_reads_only(study: Study) -> None:
    crowded(study)
    before = listing(study.root)
    stats = {path: (study.root / path).stat().st_mtime_ns for path in before}
    index_dataset(study.root)
    assert listing(study.root) == before
    assert stats == {path: (study.root / path).stat().st_mtime_ns for path in before}


def test_diffusion_and_labelling_need_their_tables(study: Study) -> None:
    study.image("sub-1/dwi/sub-1_dwi.nii.gz", (4, 4, 4, 2))
    study.image("sub-1/perf/sub-1_asl.nii.gz", (4, 4, 4, 2))
    found = reasons(index_dataset(study.root))
    assert ".bval and a .bvec" in found["sub-1/dwi/sub-1_dwi.nii.gz"]
    assert "aslcontext" in found["sub-1/perf/sub-1_asl.nii.gz"]


def test_other_participants_are_not_entered(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of an array on one participant does not look into the folders of the others."""
    for label in "123":
        study.image(f"sub-{label}/anat/sub-{label}_T1w.nii.gz")
    entered: list[str] = []
    for name in ("scandir", "listdir"):
        original = getattr(os, name)

        def spy(path: object = ".", original: object = original) -> object:
            entered.append(os.fspath(path))  # type: ignore[call-overload]
            return original(path)  # type: ignore[operator]

        monkeypatch.setattr(os, name, spy)
    assert len(images(index_dataset(study.root, participant_labels=["1"]))) == 1
    assert any("sub-1" in path for path in entered)
    assert not any("sub-2" in path or "sub-3" in path for path in entered)
