"""Overruling a gate takes a known gate and a reason."""

import pytest

from anonymi_bids.cli.participants import input_digest, read_overrules
from anonymi_bids.errors import SettingsError
from anonymi_bids.model import Entities, InputImage

HEADER = "image\tgate\treason\n"


def test_no_file_overrules_nothing(tmp_path):
    assert read_overrules(tmp_path) == {}


def test_a_line_overrules_one_gate_of_one_image(tmp_path):
    (tmp_path / "overrule.tsv").write_text(HEADER + "sub-1/anat/x.nii.gz\tears_gone\tA. B.: hat\n")
    assert read_overrules(tmp_path) == {"sub-1/anat/x.nii.gz": {"ears_gone": "A. B.: hat"}}


@pytest.mark.parametrize("line", ["x\tears\twhy\n", "x\tears_gone\tn/a\n", "x\tears_gone\t \n"])
def test_unknown_gates_and_missing_reasons_are_refused(tmp_path, line):
    (tmp_path / "overrule.tsv").write_text(HEADER + line)
    with pytest.raises(SettingsError, match="no known gate or gives no reason"):
        read_overrules(tmp_path)


def test_missing_columns_are_refused(tmp_path):
    (tmp_path / "overrule.tsv").write_text("image\treason\nx\ty\n")
    with pytest.raises(SettingsError, match="columns"):
        read_overrules(tmp_path)


def test_an_outcome_holds_only_for_the_same_input_and_the_same_overrules(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"1")
    entities = Entities("1", None, "anat", "T1w", ".nii.gz")
    image = InputImage(str(path), entities, {"EchoTime": 1})
    digest = input_digest(image, {})
    assert input_digest(image, {}) == digest
    assert input_digest(image, {"ears_gone": "x"}) != digest
    assert input_digest(InputImage(str(path), entities, {"EchoTime": 2}), {}) != digest
    path.write_bytes(b"2")
    assert input_digest(image, {}) != digest
