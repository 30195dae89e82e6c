"""From a DICOM tree to a private BIDS tree."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from anonymi_bids.bids.physics import ALLOWED
from anonymi_bids.dicom import convert
from anonymi_bids.dicom.build import DicomBuild, build_bids
from anonymi_bids.dicom.convert import collect, convert_series
from anonymi_bids.dicom.mapping import read_mapping
from anonymi_bids.dicom.plan import plan_dicom, planned_images
from anonymi_bids.dicom.scan import scan_tree
from anonymi_bids.dicom.sort import sort_series
from anonymi_bids.errors import InputError, SpaceError, ToolError

from .conftest import MPRAGE, TSE, write_series


def run(tmp_path: Path, **options: Any) -> DicomBuild:
    return build_bids(tmp_path / "in", tmp_path / "bids", seed=5, **options)


def images(tmp_path: Path) -> list[str]:
    """Images of the BIDS tree, without the labels."""
    found = sorted((tmp_path / "bids").rglob("*.nii.gz"))
    return [path.name.split("_", 1)[1].removesuffix(".nii.gz") for path in found]


def decisions(build: DicomBuild) -> dict[str, str]:
    return {row.description: f"{row.decision} {row.entities}".strip() for row in build.decisions}


def mapped_equal(path: Path, files: list[Path], off: float = 0.01) -> bool:
    """Whether each DICOM pixel is found at its place in the NIfTI image (research/dicom §4.4)."""
    image: Any = nib.load(path)
    stored, inverse = np.asarray(image.dataobj), np.linalg.inv(image.affine)
    for file in files:
        dataset = dcmread(file)
        position = np.array(dataset.ImagePositionPatient, float)
        cosines = np.array(dataset.ImageOrientationPatient, float)
        row_step, column_step = (float(step) for step in dataset.PixelSpacing)
        pixels = dataset.pixel_array
        rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]][..., None]
        lps = position + columns * column_step * cosines[:3] + rows * row_step * cosines[3:]
        places = (lps * [-1, -1, 1]) @ inverse[:3, :3].T + inverse[:3, 3]
        nearest = np.round(places).astype(int)
        if np.abs(places - nearest).max() > off:
            return False
        if not np.array_equal(stored[tuple(np.moveaxis(nearest, -1, 0))], pixels):
            return False
    return True


def test_a_mixed_tree_becomes_bids(tmp_path: Path) -> None:
    root = tmp_path / "in"
    paths = write_series(root, "a", **MPRAGE)
    write_series(root, "b", SeriesNumber=4, **TSE)
    write_series(root, "c", SeriesNumber=1, **{**TSE, "SeriesDescription": "localizer"})
    write_series(root, "d", study="study2", StudyDate="20210301", **MPRAGE)
    write_series(root, "e", study="study3", PatientID="MRN-2", **{**MPRAGE, "PatientSex": "M"})
    (root / "notes.txt").write_text("Jane Doe")
    build = run(tmp_path)
    assert sorted(images(tmp_path)) == ["T1w", "ses-01_T1w", "ses-01_T2w", "ses-02_T1w"]
    (first,) = (tmp_path / "bids").rglob("*ses-01_T1w.nii.gz")
    assert mapped_equal(first, paths)
    sidecar = json.loads(first.with_name(first.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["InversionTime"] == pytest.approx(0.9)
    assert build.n_files == 8 * 5 + 1
    assert len(build.subjects) == 2
    assert sorted(fate.reason for fate in build.fates) == [
        "It is a localizer (description).",
        "It is not a DICOM file.",
    ]
    table = (tmp_path / "bids" / "participants.tsv").read_text().split("\n")
    assert table[0] == "participant_id\tage\tsex"
    assert sorted(line.split("\t")[1:] for line in table[1:3]) == [["40", "F"], ["40", "M"]]


def test_nothing_private_outside_the_private_records(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "Doe_Jane", "a", **MPRAGE)
    build = run(tmp_path)
    for path in (tmp_path / "bids").rglob("*"):
        assert "Doe" not in str(path.relative_to(tmp_path))
        if path.is_file():
            content = path.read_bytes()
            assert b"Doe" not in content
            assert b"MRN" not in content
    assert not any("Doe" in fate.path + fate.reason for fate in build.fates)
    (needles,) = build.needles.values()
    assert "MRN-1" in needles


def test_input_is_not_touched(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "in", "a", **MPRAGE)
    before = {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in paths}
    run(tmp_path)
    assert {path: (path.stat().st_ctime_ns, path.stat().st_nlink) for path in paths} == before
    assert sorted((tmp_path / "in").iterdir()) == sorted(paths)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    write_series(tmp_path / "in", "b", SeriesNumber=9, **TSE)
    run(tmp_path, mapping_out=tmp_path / "one.tsv")
    first = {path.name: path.read_bytes() for path in (tmp_path / "bids").rglob("*.*")}
    run(tmp_path, mapping_out=tmp_path / "two.tsv", nprocs=2)
    second = {path.name: path.read_bytes() for path in (tmp_path / "bids").rglob("*.*")}
    assert first == second
    assert (tmp_path / "one.tsv").read_bytes() == (tmp_path / "two.tsv").read_bytes()
    assert not list((tmp_path / "bids").glob(".*"))


def test_a_missing_slice_is_filled_and_the_others_keep_their_place(tmp_path: Path) -> None:
    numbers = [*range(1, 30), *range(31, 61)]
    paths = write_series(tmp_path / "in", "a", numbers=numbers, **MPRAGE)
    build = run(tmp_path)
    (image,) = (tmp_path / "bids").rglob("*.nii.gz")
    assert mapped_equal(image, paths)
    loaded: Any = nib.load(image)
    assert loaded.shape[2] == 60
    sidecar = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
    assert "1 missing slice" in sidecar["ConversionNote"]
    assert ALLOWED["ConversionNote"](sidecar["ConversionNote"]) == sidecar["ConversionNote"]
    assert any("filled from the neighbours" in row.reason for row in build.decisions)
    assert [row.decision for row in build.decisions if row.fingerprint.endswith("Eq_1")] == [
        "withhold"
    ]


def test_too_many_missing_slices_are_not_made_up(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", numbers=[*range(1, 15), *range(25, 40)], **MPRAGE)
    build = run(tmp_path)
    assert images(tmp_path) == []
    assert "missing" in build.decisions[0].reason


def test_uneven_slices_use_the_resampled_copy_and_say_so(tmp_path: Path) -> None:
    def uneven(dataset: Dataset, number: int) -> None:
        dataset.ImagePositionPatient = [-10, -12, 2.0 * number + (0.7 if number > 20 else 0)]

    write_series(tmp_path / "in", "a", numbers=range(1, 41), change=uneven, **MPRAGE)
    build = run(tmp_path)
    by_id = {row.fingerprint.partition(".")[2]: row for row in build.decisions}
    assert by_id[""].decision == "anat/T1w"
    assert "resampled" in by_id[""].reason
    assert by_id["uneven"].decision == "withhold"
    assert images(tmp_path) == ["T1w"]


def test_two_reconstructions_become_runs_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "z", SeriesNumber=5, **MPRAGE)
    write_series(tmp_path / "in", "a", SeriesNumber=12, **MPRAGE)
    build = run(tmp_path)
    assert images(tmp_path) == ["run-1_T1w", "run-2_T1w"]
    assert [(row.series_number, row.entities) for row in build.decisions] == [
        ("5", "run-1"),
        ("12", "run-2"),
    ]


def test_dual_echo_gives_pd_and_t2(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.EchoTime = 12 if number % 2 else 95
        dataset.ImagePositionPatient = [-10, -12, 2.0 * (number // 2)]

    values = {**TSE, "SeriesDescription": "dual echo"}
    write_series(tmp_path / "in", "a", numbers=range(2, 18), change=change, **values)
    run(tmp_path)
    assert images(tmp_path) == ["PDw", "T2w"]


def test_diffusion_keeps_its_gradients(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        volume, place = divmod(number - 1, 8)
        dataset.ImagePositionPatient = [-10, -12, 2.0 * place]
        dataset.AcquisitionNumber = volume + 1
        dataset.AcquisitionTime = f"1015{volume:02d}"
        dataset.DiffusionBValue = 1000.0 if volume else 0.0
        directions = ([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0])
        dataset.DiffusionGradientOrientation = directions[volume]

    values = {**TSE, "SeriesDescription": "dti", "ScanningSequence": ["EP", "SE"]}
    write_series(tmp_path / "in", "a", numbers=range(1, 33), change=change, **values)
    run(tmp_path)
    assert images(tmp_path) == ["dwi"]
    (bval,) = (tmp_path / "bids").rglob("*.bval")
    assert bval.read_text().split() == ["0", "1000", "1000", "1000"]
    assert len(list((tmp_path / "bids").rglob("*.bvec"))) == 1


def test_low_confidence_is_withheld_with_the_proposal(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    build = run(tmp_path, min_confidence=0.995)
    assert images(tmp_path) == []
    assert "would be anat/T1w" in build.fates[0].reason


def test_the_mapping_file_overrules_and_is_remembered(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    write_series(tmp_path / "in", "b", SeriesNumber=4, **TSE)
    write_series(tmp_path / "in", "c", SeriesNumber=5, **{**TSE, "SeriesDescription": "scout"})
    mapping = tmp_path / "mapping.tsv"
    first = run(tmp_path, mapping_out=mapping)
    assert decisions(first)["scout"] == "withhold"
    text = mapping.read_text().split("\n")
    edited = []
    for line in text:
        cells = line.split("\t")
        if "scout" in cells:
            cells[7:9] = ["anat/T2w", "acq-low"]
        if "t1_mprage_sag" in cells:
            cells[7:9] = ["withhold", "n/a"]
        if "t2_tse_tra" in cells:
            cells[10] = "yes"
        edited.append("\t".join(cells))
    mapping.write_text("\n".join(edited))
    for _ in range(2):  # what a human wrote survives being written again
        second = run(tmp_path, mapping_file=mapping, mapping_out=mapping)
        assert decisions(second) == {
            "scout": "anat/T2w acq-low",
            "t1_mprage_sag": "withhold",
            "t2_tse_tra": "anat/T2w",
        }
        assert images(tmp_path) == ["T2w", "acq-low_T2w"]
    locked = [row.locked for row, _ in read_mapping(mapping).values()]
    assert sorted(locked) == ["no", "no", "yes"]


def test_accepting_a_doubtful_name_lasts(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    mapping = tmp_path / "mapping.tsv"
    run(tmp_path, mapping_out=mapping, min_confidence=0.995)
    mapping.write_text(mapping.read_text().replace("withhold\tn/a", "anat/T1w\tn/a", 1))
    for _ in range(2):
        run(tmp_path, mapping_file=mapping, mapping_out=mapping, min_confidence=0.995)
        assert images(tmp_path) == ["T1w"]


def test_two_lines_with_one_name_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    write_series(tmp_path / "in", "b", SeriesNumber=4, **MPRAGE)
    mapping = tmp_path / "mapping.tsv"
    build = run(tmp_path, mapping_out=mapping)
    lines = [f"{row.fingerprint}\tanat/T1w\trun-7" for row in build.decisions]
    mapping.write_text("\n".join(["fingerprint\tdecision\tentities", *lines]))
    with pytest.raises(InputError, match="Two lines"):
        run(tmp_path, mapping_file=mapping)


def test_participants_can_be_run_apart(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    write_series(tmp_path / "in", "b", study="study2", PatientID="MRN-2", **MPRAGE)
    whole = run(tmp_path)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "bids").rglob("*.*")}
    for path in sorted((tmp_path / "bids").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run(tmp_path, participant_labels=(whole.subjects[0].label,))
    assert len(images(tmp_path)) == 1
    run(tmp_path, participant_labels=(f"sub-{whole.subjects[1].label}",))
    assert {path.name: path.read_bytes() for path in (tmp_path / "bids").rglob("*.*")} == expected
    with pytest.raises(InputError, match="participant"):
        run(tmp_path, participant_labels=("nobody",))


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    build = run(tmp_path)
    (tmp_path / "m.tsv").write_text(
        f"fingerprint\tdecision\n{build.decisions[0].fingerprint}\twithhold\n"
    )
    run(tmp_path, mapping_file=tmp_path / "m.tsv")
    assert images(tmp_path) == []


def test_an_input_without_dicom_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_text("x")
    with pytest.raises(InputError, match="no DICOM image"):
        run(tmp_path)
    assert not (tmp_path / "bids").exists()


def test_a_plan_touches_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    monkeypatch.setattr(convert, "run_dcm2niix", None)
    plan = plan_dicom(tmp_path / "in", seed=5)
    (image,) = planned_images(plan, 0.5)
    assert image.decision.text == "anat/T1w"
    assert image.path.startswith("dicom/sub-")


def test_paths_with_blanks_and_signs_are_converted(tmp_path: Path) -> None:
    odd = tmp_path / "a b $(touch x) 'c'; d"
    write_series(odd / "in", "a", **MPRAGE)
    build_bids(odd / "in", odd / "bids", seed=5)
    assert len(list((odd / "bids").rglob("*T1w.nii.gz"))) == 1


def test_dcm2niix_is_found_without_path_and_its_absence_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert os.access(convert.find_dcm2niix(), os.X_OK)
    import dcm2niix

    monkeypatch.setattr(dcm2niix, "bin", str(tmp_path / "absent"))
    with pytest.raises(ToolError, match="pip install dcm2niix") as caught:
        convert.find_dcm2niix()
    assert caught.value.exit_code == 4


def test_a_failed_conversion_withholds_the_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dcm2niix

    write_series(tmp_path / "in", "a", **MPRAGE)
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\nexit 11\n")
    tool.chmod(0o755)
    monkeypatch.setattr(dcm2niix, "bin", str(tool))
    build = run(tmp_path)
    assert images(tmp_path) == []
    assert "made no image" in build.fates[0].reason


def test_everything_dcm2niix_writes_is_accounted_for(tmp_path: Path) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    (series,) = sort_series(scan_tree(tmp_path / "in")[0])
    convert_series(series, tmp_path / "one")
    folder = tmp_path / "one" / "out"
    (main,) = folder.glob("*.nii.gz")
    for name in ("image_ROI1", "image_Eq_1", "imagea", "image_e2_ph"):
        (folder / f"{name}.nii.gz").write_bytes(main.read_bytes())
    found = collect(folder)
    assert [image.postfix for image in found] == ["", "Eq_1", "ROI1", "a", "e2_ph"]
    assert all(image.sidecar for image in found)


def test_overlays_and_further_images_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    real = convert.run_dcm2niix

    def with_extras(source: Path, target: Path) -> bool:
        real(source, target)
        content = (target / "image.nii.gz").read_bytes()
        for name in ("image_ROI1", "image_ph"):
            (target / f"{name}.nii.gz").write_bytes(content)
        return True

    monkeypatch.setattr(convert, "run_dcm2niix", with_extras)
    build = run(tmp_path)
    by_id = {row.fingerprint.partition(".")[2]: row for row in build.decisions}
    assert by_id["ROI1"].decision == "withhold"
    assert by_id["ph"].decision == "withhold"
    assert images(tmp_path) == ["T1w"]
    assert len(build.fates) == 2


def test_a_series_whose_slices_get_lost_is_withheld(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "in", "a", numbers=range(1, 13), **MPRAGE)
    real = convert.run_dcm2niix

    def with_loss(source: Path, target: Path) -> bool:
        for path in sorted(source.iterdir())[-3:]:
            path.unlink()
        return real(source, target)

    monkeypatch.setattr(convert, "run_dcm2niix", with_loss)
    build = run(tmp_path)
    assert "left out 3 slices" in build.decisions[0].reason
    assert images(tmp_path) == []


def test_a_full_disk_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in", "a", **MPRAGE)
    monkeypatch.setattr(
        convert.shutil, "disk_usage", lambda _: SimpleNamespace(free=convert.MIN_FREE_BYTES - 1)
    )
    with pytest.raises(SpaceError) as caught:
        run(tmp_path)
    assert caught.value.exit_code == 5
    assert not list((tmp_path / "bids").rglob("*.nii.gz"))
