from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from anonymi_bids.bids.dataset import assemble, write_piece
from anonymi_bids.bids.index import index_dataset
from anonymi_bids.bids.outcomes import ITS_IMAGE, read_outcome
from anonymi_bids.bids.stage import stage_companions, stage_sidecar
from anonymi_bids.bids.tables import Participant
from anonymi_bids.errors import ImageError
from anonymi_bids.io.canary import search
from anonymi_bids.model import Entities
from tests.bids.study import Study, listing, run

SCANNER = {
    "MagneticFieldStrength": 3,
    "Manufacturer": "SIEMENS",
    "ManufacturersModelName": "Prisma_fit",
    "EchoTime": 0.003,
    "FlipAngle": 8,
    "MRAcquisitionType": "3D",
}
PET = {
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Biograph mMR",
    "Units": "Bq/mL",
    "TracerName": "FDG",
    "TracerRadionuclide": "F18",
    "InjectedRadioactivity": 200,
    "InjectedRadioactivityUnits": "MBq",
    "InjectedMass": "n/a",
    "InjectedMassUnits": "n/a",
    "SpecificRadioactivity": "n/a",
    "SpecificRadioactivityUnits": "n/a",
    "ModeOfAdministration": "bolus",
    "TimeZero": "13:45:17",
    "ScanStart": 0,
    "InjectionStart": 0,
    "FrameTimesStart": [0, 60, 120],
    "FrameDuration": [60, 60, 60],
    "AcquisitionMode": "list mode",
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
    "ReconMethodName": "3D-OSEM",
    "ReconMethodParameterLabels": ["subsets", "iterations"],
    "ReconMethodParameterUnits": ["none", "none"],
    "ReconMethodParameterValues": [21, 3],
    "ReconFilterType": "Gaussian",
    "ReconFilterSize": 4,
    "AttenuationCorrection": "transmission scan of Jane",
}
ASL = {
    "MagneticFieldStrength": 3,
    "MRAcquisitionType": "3D",
    "RepetitionTimePreparation": 4.0,
    "ArterialSpinLabelingType": "PCASL",
    "PostLabelingDelay": 1.8,
    "BackgroundSuppression": False,
    "M0Type": "Included",
    "EchoTime": 0.01,
    "LabelingDuration": 1.8,
    "TotalAcquiredPairs": 1,
}
SERIES = (4, 5, 6, 3)
CANARY = "Canary7Qx"


def session_of_all_kinds(study: Study, label: str, session: str) -> None:
    """Write one image of each datatype, with a canary wherever text fits."""
    top, name = f"sub-{label}/ses-{session}", f"sub-{label}_ses-{session}"
    text = {"ProtocolName": CANARY, "PatientName": CANARY, "DeviceSerialNumber": CANARY}

    def image(path: str, shape: tuple[int, ...] = (4, 5, 6), **sidecar: object) -> None:
        study.image(f"{top}/{path}.nii.gz", shape, seed=len(path))
        study.json(f"{top}/{path}.json", **text, **sidecar)

    image(f"anat/{name}_T1w", **SCANNER)
    image(f"anat/{name}_run-2_T1w", **SCANNER)
    study.image(f"{top}/anat/{name}_T2w.nii")
    image(f"anat/{name}_echo-1_MEGRE", **SCANNER)
    image(f"func/{name}_task-rest_bold", SERIES, RepetitionTime=2.0, TaskName=CANARY)
    image(f"func/{name}_task-rest_sbref")
    study.text(
        f"{top}/func/{name}_task-rest_events.tsv",
        f"onset\tduration\ttrial_type\tanswer\n0\t1\tgo\t{CANARY}\n1\t1\tstop\tx\n",
    )
    image(f"dwi/{name}_dwi", SERIES, PhaseEncodingDirection="j", TotalReadoutTime=0.05)
    study.text(f"{top}/dwi/{name}_dwi.bval", "0 1000 1000\n")
    study.text(f"{top}/dwi/{name}_dwi.bvec", "0 1 0\n0 0 1\n0 0 0\n")
    image(
        f"fmap/{name}_dir-AP_epi",
        PhaseEncodingDirection="j-",
        TotalReadoutTime=0.05,
        B0FieldIdentifier=CANARY + " 1",
        IntendedFor=[f"ses-{session}/func/{name}_task-rest_bold.nii.gz", f"bids::{top}/{CANARY}"],
    )
    image(f"fmap/{name}_magnitude1")
    image(f"fmap/{name}_phasediff", EchoTime1=0.004, EchoTime2=0.006)
    image(f"fmap/{name}_acq-b_magnitude")
    image(f"fmap/{name}_acq-b_fieldmap", Units="Hz")
    image(f"perf/{name}_asl", SERIES, **ASL)
    study.text(f"{top}/perf/{name}_aslcontext.tsv", "volume_type\ncontrol\nlabel\nm0scan\n")
    image(f"perf/{name}_m0scan", **ASL, IntendedFor=f"bids::{top}/perf/{name}_asl.nii.gz")
    image(f"pet/{name}_trc-FDG_pet", SERIES, **PET)
    study.text(
        f"{top}/{name}_scans.tsv",
        f"filename\tacq_time\toperator\nanat/{name}_T1w.nii.gz\t2024-05-01T10:11:12\t{CANARY}\n",
    )


def whole_study(study: Study) -> Study:
    for label in ("1", "2"):
        session_of_all_kinds(study, label, "1")
        study.text(
            f"sub-{label}/sub-{label}_sessions.tsv",
            f"session_id\tacq_time\tmood\nses-1\t2024-05-01\t{CANARY}\n",
        )
    study.text(
        "participants.tsv",
        "participant_id\tage\tsex\tgroup\tname\n"
        f"sub-1\t93\tF\tpatient\t{CANARY}\nsub-2\t45.5\tmale\tcontrol\tRoe\n",
    )
    study.json("dataset_description.json", Name=CANARY, BIDSVersion="1.8.0", Authors=[CANARY])
    study.text("README", CANARY)
    return study


def errors_of(release: Path) -> list[str]:
    """Let the BIDS validator list the errors it finds."""
    tool = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [tool, "--format", "json", str(release)], capture_output=True, text=True, timeout=120
    )
    found = json.loads(done.stdout)["issues"]["issues"]
    assert found, "a validator that finds nothing at all did not look"
    return [f"{i['code']} {i['location']}" for i in found if i["severity"] == "error"]


def test_release_of_all_kinds_is_valid_and_clean(study: Study, tmp_path: Path) -> None:
    plan = index_dataset(whole_study(study).root, seed=11)
    output = tmp_path / "out"
    inventory = run(plan, output, seed=11)
    assert errors_of(output / "release") == []
    assert search([output / "release"], [CANARY, "13:45:17", "2024-05-01", "10:11:12"]) == ()
    assert {fate.path for fate in inventory} == set(listing(study.root))
    assert not [fate for fate in inventory if fate.fate == "withheld"]
    for fate in inventory:
        assert fate.release_path is None or (output / "release" / fate.release_path).is_file()
    names = listing(output / "release")
    table = names["participants.tsv"].decode().splitlines()
    assert table[1].split("\t") == ["sub-1", "89", "patient", "F"]


def test_release_with_gaps_is_valid_too(study: Study, tmp_path: Path) -> None:
    """What only makes sense beside a withheld image is withheld with it."""
    plan = index_dataset(whole_study(study).root, pseudonyms=True, seed=5)
    output = tmp_path / "out"
    gone = ("bold", "_asl", "acq-b_magnitude")
    inventory = run(plan, output, withhold=lambda path: any(word in path for word in gone), seed=5)
    assert errors_of(output / "release") == []
    left = " ".join(listing(output / "release"))
    assert "fieldmap" not in left
    assert "m0scan" not in left
    assert "events" not in left
    assert "sub-1" not in left
    events = next(f for f in inventory if f.path.endswith("sub-1_ses-1_task-rest_events.tsv"))
    assert (events.fate, events.reason) == ("withheld", ITS_IMAGE)


def test_validator_sees_errors(study: Study, tmp_path: Path) -> None:
    """The check above can fail."""
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    output = tmp_path / "out"
    run(index_dataset(study.root), output)
    assert errors_of(output / "release") == []
    shutil.copy(
        output / "release/sub-1/anat/sub-1_T1w.nii.gz",
        output / "release/sub-1/anat/sub-1_notes.nii.gz",
    )
    assert errors_of(output / "release")


def one_participant(root: Path, output: Path, label: str) -> None:
    run(index_dataset(root, participant_labels=[label], seed=3), output, seed=3)


def test_participants_at_the_same_time_end_in_one_dataset(study: Study, tmp_path: Path) -> None:
    labels = [str(n) for n in range(1, 7)]
    lines = "".join(f"sub-{label}\t{label}0\n" for label in labels)
    study.text("participants.tsv", "participant_id\tage\n" + lines)
    study.text("sourcedata/a.dcm", "x")
    for label in labels:
        study.image(f"sub-{label}/anat/sub-{label}_T1w.nii.gz", seed=int(label))
    run(index_dataset(study.root, seed=3), tmp_path / "alone", seed=3)
    together = tmp_path / "together"
    fork = multiprocessing.get_context("fork")
    runs = [
        fork.Process(target=one_participant, args=(study.root, together, label))
        for label in labels
    ]
    for process in runs:
        process.start()
    for process in runs:
        process.join(120)
    assert [process.exitcode for process in runs] == [0] * len(runs)
    assert listing(together / "release") == listing(tmp_path / "alone/release")
    rows = (together / "private/inventory.tsv").read_text().splitlines()
    alone = (tmp_path / "alone/private/inventory.tsv").read_text().splitlines()
    shallow = [line for line in rows if not line.startswith("sourcedata/")]
    assert shallow == [line for line in alone if not line.startswith("sourcedata/")]
    assert any(line.startswith("sourcedata/\twithheld") for line in rows)


def test_deeper_list_of_the_dataset_is_not_replaced(study: Study, tmp_path: Path) -> None:
    study.text("sourcedata/a.dcm", "x")
    for label in "12":
        study.image(f"sub-{label}/anat/sub-{label}_T1w.nii.gz")
    run(index_dataset(study.root), tmp_path)
    first = (tmp_path / "private/inventory.tsv").read_text()
    assert "sourcedata/a.dcm" in first
    one_participant(study.root, tmp_path, "1")
    assert (tmp_path / "private/inventory.tsv").read_text() == first


def test_participants_that_were_not_asked_for_are_listed(study: Study, tmp_path: Path) -> None:
    for label in "12":
        study.image(f"sub-{label}/anat/sub-{label}_T1w.nii.gz")
    one_participant(study.root, tmp_path, "1")
    withheld = (tmp_path / "private/withheld.tsv").read_text()
    assert "sub-2/\twithheld" in withheld
    one_participant(study.root, tmp_path, "2")
    assert "sub-2" not in (tmp_path / "private/withheld.tsv").read_text()


def test_nothing_is_assembled_where_nothing_was_released(study: Study, tmp_path: Path) -> None:
    study.image("sub-1/anat/sub-1_T1w.nii.gz")
    plan = index_dataset(study.root)
    run(plan, tmp_path, withhold=lambda path: True)
    assert not listing(tmp_path / "release")
    assert assemble(tmp_path)[0].fate == "withheld"
    run(plan, tmp_path)
    assert "README" in listing(tmp_path / "release")
    run(plan, tmp_path, withhold=lambda path: True)
    assert not listing(tmp_path / "release")


def test_piece_leaves_out_what_repeats_a_withheld_text(tmp_path: Path) -> None:
    row = Participant({"age": "40", "group": "Doe"}, {"name": "no"}, ("Jane Doe", "Doe"))
    write_piece(tmp_path, "1", row)
    record = json.loads((tmp_path / "private/pieces/sub-1.json").read_text())
    assert record["row"] == {"age": "40"}


def test_damaged_record_counts_as_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("", "[]", '{"files": [{}]}', "{"):
        path.write_text(content)
        assert read_outcome(path) == ()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("dwi/sub-1_dwi.bval", "0 1000\n"), "bval"),
        (("dwi/sub-1_dwi.bvec", "0 x 0\n0 0 1\n0 0 0\n"), "gradients"),
        (("dwi/sub-1_dwi.bvec", "0 1\n0 0\n0 0\n"), "bvec"),
    ],
)
def test_required_companion_that_does_not_fit(
    study: Study, tmp_path: Path, change: tuple[str, str], word: str
) -> None:
    study.image("sub-1/dwi/sub-1_dwi.nii.gz", SERIES)
    study.text("sub-1/dwi/sub-1_dwi.bval", "0 1000 1000\n")
    study.text("sub-1/dwi/sub-1_dwi.bvec", "0 1 0\n0 0 1\n0 0 0\n")
    study.text(f"sub-1/{change[0]}", change[1])
    (image,) = index_dataset(study.root).sessions[0].images
    with pytest.raises(ImageError, match=word):
        stage_companions(image, tmp_path)


def test_events_that_cannot_be_cleaned_are_left_out(study: Study, tmp_path: Path) -> None:
    study.image("sub-1/func/sub-1_task-x_bold.nii.gz", SERIES)
    study.text("sub-1/func/sub-1_task-x_events.tsv", "onset\tduration\nJane\t1\n")
    (image,) = index_dataset(study.root).sessions[0].images
    files, faults = stage_companions(image, tmp_path)
    assert files == {}
    assert len(faults) == 1
    assert "Jane" not in faults[0]
    study.text("sub-1/func/sub-1_task-x_events.tsv", "onset\tduration\ttrial_type\n0\t1\tJane\n")
    assert stage_companions(image, tmp_path, needles=["jane"])[0] == {}


def test_header_and_sidecar_must_agree_on_time(study: Study, tmp_path: Path) -> None:
    study.image("sub-1/func/sub-1_task-x_bold.nii.gz", SERIES)
    study.json("sub-1/func/sub-1_task-x_bold.json", RepetitionTime=2.5)
    (image,) = index_dataset(study.root).sessions[0].images
    with pytest.raises(ImageError, match="repetition times"):
        stage_companions(image, tmp_path)
    bold = Entities("1", None, "func", "bold", ".nii.gz", (("task", "x"),))
    with pytest.raises(ImageError, match="RepetitionTime"):
        stage_sidecar({"TaskName": "x"}, bold, tmp_path)
