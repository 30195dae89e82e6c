"""Studies: BIDS and DICOM trees, and DICOM that lands on the same mm."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from anonymi_bids.cli import phantoms as command
from anonymi_bids.core.grid import apply_affine
from anonymi_bids.errors import UsageError
from anonymi_bids.phantoms.patient import make_patient
from anonymi_bids.phantoms.person import make_person
from anonymi_bids.phantoms.physics import SCANNERS
from anonymi_bids.phantoms.study import make_study, plan_study
from anonymi_bids.phantoms.visit import Protocol, make_visit
from anonymi_bids.phantoms.write_dicom import stored_values, write_series


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_plan_gives_each_person_their_visits_and_contrasts():
    plan = plan_study(3, contrasts=("T1w",), visits_per_person=(2, 1, 1), once=("T2w",))
    told = [(scan.subject, scan.session, scan.contrast) for scan in plan]
    assert told == [
        ("01", "1", "T1w"),
        ("01", "1", "T2w"),
        ("01", "2", "T1w"),
        ("02", "1", "T1w"),
        ("03", "1", "T1w"),
    ]
    assert len({scan.person_seed for scan in plan}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"n": 2, "visits_per_person": (1,)},
        {"n": 1, "contrasts": ("bold",)},
        {"n": 1, "contrasts": ()},
        {"n": 1, "contrasts": ("PD", "PDw")},
        {"n": 1, "visits": 0},
    ],
)
def test_a_plan_without_sense_is_refused(wrong):
    with pytest.raises(UsageError):
        plan_study(**wrong)


def test_bids_study_is_complete_reproducible_and_keeps_truth_outside(tmp_path):
    for name in ("one", "two"):
        make_study(
            tmp_path / name,
            1,
            contrasts=("T1w",),
            once=("CT",),
            seed=5,
            spacing_mm=6,
            truth=tmp_path / f"{name}-truth",
        )
    files = digests(tmp_path / "one")
    assert files == digests(tmp_path / "two")
    assert "sub-01/anat/sub-01_T1w.nii.gz" in files
    assert "sub-01/ct/sub-01_ct.nii.gz" in files
    assert "sub-01/sub-01_scans.tsv" in files
    assert not [path for path in files if "dseg" in path or "skin" in path]
    truth = json.loads((tmp_path / "one-truth" / "sub-01_T1w.json").read_text())
    image = nib.load(tmp_path / "one" / "sub-01/anat/sub-01_T1w.nii.gz")
    labels = nib.load(tmp_path / "one-truth" / "sub-01_T1w_dseg.nii.gz")
    assert image.shape == labels.shape
    assert np.allclose(image.affine, labels.affine)
    assert len(truth["landmarks68"]) == 68
    assert truth["brain_ml"] > 500
    sidecar = json.loads((tmp_path / "one" / "sub-01/anat/sub-01_T1w.json").read_text())
    assert 0 < sidecar["EchoTime"] < sidecar["RepetitionTime"]


def test_another_seed_gives_other_people():
    assert plan_study(1, seed=1)[0].person_seed != plan_study(1, seed=2)[0].person_seed


def test_dicom_study_looks_like_a_hospitals(tmp_path):
    make_study(tmp_path, 1, contrasts=("T1w",), once=("CT",), as_="dicom", spacing_mm=6)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) > 40
    first = pydicom.dcmread(files[0])
    for keyword in (
        "PatientName",
        "PatientBirthDate",
        "InstitutionName",
        "ReferringPhysicianName",
        "AccessionNumber",
        "PatientComments",
    ):
        assert getattr(first, keyword)
    assert first[0x0009, 0x0010].value == "NIRGENDHEIM HIS 1.0"
    series = {pydicom.dcmread(path).SeriesInstanceUID for path in files}
    assert len(series) == 2
    uids = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in files]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize(
    ("code", "spacing", "contrast"),
    [
        ("PIR", 5.0, "T1w"),
        ("LPS", (3.0, 4.0, 6.0), "T1w"),
        ("LIP", 5.0, "CT"),
        ("RAS", 5.0, "T1w"),
    ],
)
def test_converted_dicom_lands_on_the_same_mm(tmp_path, code, spacing, contrast):
    tool = shutil.which("dcm2niix") or str(Path(sys.executable).parent / "dcm2niix")
    if not Path(tool).is_file():
        pytest.skip("dcm2niix is not installed")
    person = make_person(11)
    protocol = Protocol(spacing_mm=spacing, orientation=code, oblique_deg=10.0)
    phantom = make_visit(person, contrast, 0, protocol=protocol)
    scanner = SCANNERS[len(code) % 2]
    write_series(
        tmp_path / "in", phantom, person, make_patient(person, 0), scanner, visit=0, number=2
    )
    (tmp_path / "out").mkdir()
    subprocess.run(
        [tool, "-z", "n", "-f", "x", "-o", str(tmp_path / "out"), str(tmp_path / "in")],
        check=True,
        capture_output=True,
    )
    converted = nib.load(tmp_path / "out" / "x.nii")
    data = np.asarray(converted.dataobj)
    own = np.argwhere(np.ones(phantom.image.data.shape, dtype=bool))[::97]
    there = apply_affine(np.linalg.inv(converted.affine), apply_affine(phantom.image.affine, own))
    assert np.abs(there - np.rint(there)).max() < 0.01
    values = data[tuple(np.rint(there).astype(int).T)]
    expected = stored_values(phantom)[tuple(own.T)].astype(int)
    assert np.array_equal(values, expected - (1024 if contrast == "CT" else 0))


def test_invented_patients_are_seeded_and_do_not_share_names():
    people = [make_person(seed) for seed in range(6)]
    names = {make_patient(person, k).name.split("^")[0] for k, person in enumerate(people)}
    assert len(names) == 6
    assert make_patient(people[0], 0) == make_patient(make_person(0), 0)
    patient = make_patient(people[0], 0)
    assert all(len(needle) > 3 for needle in patient.needles)


def test_command_makes_a_study_and_refuses_a_full_folder(tmp_path, capsys):
    out = tmp_path / "study"
    assert command.main([str(out), "--n", "1", "--spacing", "6"]) == 0
    assert (out / "dataset_description.json").is_file()
    assert command.main([str(out), "--n", "1", "--spacing", "6"]) == 2
    assert "not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--n", "0"], ["--spacing", "99"], ["--contrasts", "bold"], ["--truth", "OUT/t"]]
)
def test_command_reports_wrong_use_in_a_sentence(tmp_path, capsys, wrong):
    out = tmp_path / "study"
    options = [option.replace("OUT", str(out)) for option in wrong]
    assert command.main([str(out), *options]) == 2
    told = capsys.readouterr().err
    assert told.startswith("anonymi-bids-phantoms: ")
    assert told.count("\n") == 1
