"""Landmarks and drawn regions that a person gave: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.bids.byhand import digest_of, find_face_masks, read_landmarks
from anonymi_bids.errors import SettingsError
from anonymi_bids.io.images import write_image

NAMES = ("nasion", "lpa", "rpa", "vertex")


def table(folder: Path, *lines: str, head: str = "subject\tsession\tname\tx\ty\tz") -> Path:
    path = folder / "landmarks.tsv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def put_mask(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.ones((2, 2, 2), bool), np.eye(4))


def test_landmarks_are_read_by_subject_and_session(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "sub-01\tses-a\tnasion\t1\t-2.5\t3e1",
        "01\ta\tlpa\t0\t0\t0",
        "02\tn/a\tlpa\t1\t1\t1",
    )
    found = read_landmarks(path, NAMES)
    assert found == {
        ("01", "a"): {"nasion": (1.0, -2.5, 30.0), "lpa": (0.0, 0.0, 0.0)},
        ("02", None): {"lpa": (1.0, 1.0, 1.0)},
    }
    one = table(tmp_path, "01\tlpa\t1\t2\t3", head="subject\tname\tx\ty\tz")
    assert read_landmarks(one, NAMES) == {("01", None): {"lpa": (1.0, 2.0, 3.0)}}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("01\ta\tglabella\t1\t2\t3", "Line 2 .* no known landmark; known are lpa, nasion"),
        ("01\ta\tlpa\t1\t2\tx", "Line 2 .* no three plain numbers"),
        ("01\ta\tlpa\t1\t2\tnan", "Line 2 .* no three plain numbers"),
        ("01\ta\tlpa\t1\t2\t9999", "Line 2 .* no three plain numbers"),
        ("n/a\ta\tlpa\t1\t2\t3", "Line 2 .* names no subject"),
        ("01\ta\tlpa\t1\t2\t3\n01\ta\tlpa\t1\t2\t3", "Line 3 .* second time"),
        ("01\ta\tlpa\t1\t2", "unequal length"),
        ("", "no landmark"),
    ],
)
def test_a_wrong_line_is_named_and_never_repeated(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        read_landmarks(table(tmp_path, line), NAMES)
    assert "glabella" not in str(refused.value)
    assert "9999" not in str(refused.value)


def test_a_table_without_coordinates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lacks the columns z"):
        read_landmarks(table(tmp_path, head="subject\tname\tx\ty"), NAMES)
    with pytest.raises(SettingsError, match="not a file"):
        read_landmarks(tmp_path, NAMES)


def test_masks_are_found_by_their_names(tmp_path: Path) -> None:
    put_mask(tmp_path, "sub-01_desc-face_mask.nii.gz")
    put_mask(tmp_path, "sub-01/ses-b/anat/sub-01_ses-b_acq-x_mod-T2w_desc-face_mask.nii")
    (tmp_path / "notes.txt").write_text("drawn on Monday")
    inner, outer = sorted(find_face_masks(tmp_path), key=lambda found: found.of_reference)
    assert (outer.entities.subject, outer.entities.session, outer.mod) == ("01", None, None)
    assert (inner.entities.session, inner.entities.others, inner.mod) == (
        "b",
        (("acq", "x"),),
        "T2w",
    )
    assert outer.of_reference
    assert not inner.of_reference


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_T1w_mask.nii.gz",
        "sub-01_desc-fase_mask.nii.gz",
        "sub-01_desc-face_T1w.nii.gz",
        "face.nii.gz",
    ],
)
def test_an_image_that_is_named_otherwise_is_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(SettingsError, match="Image 1 .* is not named"):
        find_face_masks(tmp_path)


def test_two_masks_for_one_image_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no mask"):
        find_face_masks(tmp_path)
    put_mask(tmp_path, "sub-01_desc-face_mask.nii.gz")
    put_mask(tmp_path, "sub-01/sub-01_desc-face_mask.nii.gz")
    with pytest.raises(SettingsError, match="same image"):
        find_face_masks(tmp_path)


def test_the_digest_notices_names_and_bytes(tmp_path: Path) -> None:
    put_mask(tmp_path, "sub-01_desc-face_mask.nii.gz")
    first = digest_of(tmp_path, "--face-masks")
    assert digest_of(tmp_path, "--face-masks") == first
    (tmp_path / "sub-01_desc-face_mask.nii.gz").rename(tmp_path / "sub-02_desc-face_mask.nii.gz")
    second = digest_of(tmp_path, "--face-masks")
    (tmp_path / "sub-02_desc-face_mask.nii.gz").write_bytes(b"x")
    assert len({first, second, digest_of(tmp_path, "--face-masks")}) == 3
    with pytest.raises(SettingsError, match="--landmarks names does not exist"):
        digest_of(tmp_path / "no", "--landmarks")
