"""Bad input gets a sentence and an exit code; nothing is half-written, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from anonymi_bids.cli.run import main
from tests.e2e.study import command, describe, put, put_head, run, table


@pytest.fixture
def refused(capsys, tmp_path):
    """Run in this process and expect a refusal: code, one sentence, no OUTPUT."""

    def check(*args, code=2):
        assert main([str(arg) for arg in args]) == code
        said = capsys.readouterr().err.strip()
        assert said.startswith("anonymi-bids: ")
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1
        assert not (tmp_path / "out").exists()
        return said

    return check


def test_missing_folder(refused, tmp_path):
    assert "does not exist" in refused(tmp_path / "no", tmp_path / "out", "participant")


def test_empty_folder(refused, tmp_path):
    (tmp_path / "in").mkdir()
    assert "empty" in refused(tmp_path / "in", tmp_path / "out", "participant")


def test_a_folder_without_scans(refused, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "letter.txt").write_text("Dear doctor")
    assert "no DICOM" in refused(tmp_path / "in", tmp_path / "out", "participant")


def test_output_in_input(refused, tmp_path):
    source = describe(tmp_path / "in")
    assert "never written to" in refused(source, source / "out", "participant")


def test_unwritable_output(refused, tmp_path):
    source = describe(tmp_path / "in")
    (tmp_path / "file").write_text("")
    assert "cannot be made" in refused(source, tmp_path / "file" / "out", "participant")
    if os.path.isdir("/proc/1"):
        assert "cannot be" in refused(source, "/proc/anonymi", "participant")


def test_bids_folders_without_a_description(refused, tmp_path):
    put_head(tmp_path / "in", "sub-01/anat/sub-01_T1w")
    said = refused(tmp_path / "in", tmp_path / "out", "participant")
    assert "dataset_description.json" in said


def test_unknown_label(refused, tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w")
    args = (source, tmp_path / "out", "participant", "--participant-label", "77")
    assert "participant" in refused(*args)


def test_broken_filter_and_policy(refused, tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w")
    (tmp_path / "broken").write_text("{")
    args = (source, tmp_path / "out", "participant")
    assert "JSON" in refused(*args, "--bids-filter-file", tmp_path / "broken")
    assert "policy" in refused(*args, "--policy", tmp_path / "no.toml")


def test_wrong_usage_exits_with_2(tmp_path):
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path), str(tmp_path / "out"), "subject"])
    assert stop.value.code == 2


@pytest.fixture(scope="module")
def withheld(tmp_path_factory):
    """One person with images that are no heads at all."""
    top = tmp_path_factory.mktemp("withheld")
    source = describe(top / "in")
    grid = np.indices((60, 60, 60)) - 30
    ball = ((grid**2).sum(axis=0) < 24**2) * 500 + np.random.default_rng(0).normal(
        20, 4, (60,) * 3
    )
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    put(source, "sub-ball/anat/sub-ball_T1w", ball.astype(np.int16), affine)
    unplaced = put(source, "sub-unplaced/anat/sub-unplaced_T1w", ball.astype(np.int16), affine)
    _unplace(unplaced)
    put_head(source, "sub-twins/anat/sub-twins_T1w", EchoTime=0.003)
    (source / "T1w.json").write_text('{"EchoTime": 0.003}')
    (source / "acq-x_T1w.json").write_text('{"EchoTime": 0.004}')
    result = run(source, top / "out", "participant", "--participant-label", "ball", "unplaced")
    return top / "out", result


def _unplace(path):
    import gzip

    content = bytearray(gzip.decompress(path.read_bytes()))
    content[252:256] = bytes(4)  # qform_code, sform_code
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.mark.parametrize("subject", ["ball", "unplaced"])
def test_what_is_no_head_is_withheld_with_its_sentence(withheld, subject):
    out, result = withheld
    assert result.returncode == 3, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    row = table(out / "private/withheld.tsv")[f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz"]
    assert row["reason"].endswith(".")
    assert not list((out / "release").rglob("*.nii.gz"))


@pytest.mark.skipif(os.geteuid() != 0, reason="a small tmpfs can be mounted by root only")
def test_full_disk_exits_with_5_and_can_be_started_again(tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", EchoTime=0.003)
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        result = run(source, small / "out", "participant", "--seed", 1, "-w", tmp_path / "work")
        assert result.returncode == 5, result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        assert not list((small / "out/release").rglob("*.nii.gz"))
    finally:
        subprocess.run(["umount", str(small)], check=False)


def test_help_is_quick():
    """A second is allowed (design §16); what makes it slow are imports, so these are counted."""
    code = (
        "import sys; from anonymi_bids.cli.run import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'nipype', 'ants', 'nibabel', 'pandas', 'scipy', 'bids', 'pydicom', 'sklearn'}\n"
        "sys.exit(len(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (
        "--participant-label"
        in subprocess.run(command("--help"), capture_output=True, text=True, check=True).stdout
    )
