"""Texts hidden in header, wrapper, sidecar and name turn the gate red."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.gates.metadata_clean import check, file_faults
from anonymi_bids.io.images import write_image
from tests.gates.conftest import Made

NAME = "Mustermann"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "a.nii.gz"
    write_image(path, np.zeros((6, 5, 4), np.int16), np.diag([2.0, 2, 2, 1]))
    return path


def repack(path: Path, change: Callable[[bytearray], None], **wrapper: Any) -> Path:
    """Change the unpacked bytes and pack them again."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    change(content)
    options = {"filename": "", "mtime": 0} | wrapper
    with path.open("wb") as plain, gzip.GzipFile(fileobj=plain, mode="wb", **options) as packed:
        packed.write(content)
    return path


def put(offset: int, text: bytes) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[offset : offset + len(text)] = text

    return change


def extension(content: bytearray) -> None:
    """Comment of 32 bytes between header and voxels, announced as the standard says."""
    content[348] = 1
    content[352:352] = (
        (32).to_bytes(4, "little") + (6).to_bytes(4, "little") + NAME.encode().ljust(24)
    )
    content[108:112] = np.float32(384).tobytes()


def test_clean_files_have_no_faults(made: Made, small: Path) -> None:
    assert check(made.context()).status == "passed"
    assert file_faults(small) == []
    assert file_faults(repack(small, lambda content: None)) == []


@pytest.mark.parametrize(
    "change",
    [
        put(148, NAME.encode()),
        put(228, b"x"),
        put(4, b"CT"),
        put(14, b"secret"),
        put(328, b"name"),
        put(140, b"\1\2\3\4"),
        extension,
        lambda content: content.extend(NAME.encode()),
        lambda content: content.extend(b"\0"),
    ],
    ids=["descrip", "aux", "type", "db", "intent", "glmax", "extension", "behind", "one behind"],
)
def test_header_and_layout(made: Made, small: Path, change: Callable[[bytearray], None]) -> None:
    repack(small, change)
    assert file_faults(small) != []
    assert check(made.context(after_file=small)).status == "failed"
    assert check(made.context(mask_file=small)).status == "failed"


@pytest.mark.parametrize("wrapper", [{"filename": "Mustermann.nii"}, {"mtime": 1_600_000_000}])
def test_gzip_wrapper(made: Made, small: Path, wrapper: dict[str, Any]) -> None:
    repack(small, lambda content: None, **wrapper)
    assert check(made.context(after_file=small)).status == "failed"


@pytest.mark.parametrize("tail", [b"Mustermann", gzip.compress(b"more", mtime=0)])
def test_bytes_behind_the_packed_member(made: Made, small: Path, tail: bytes) -> None:
    small.write_bytes(small.read_bytes() + tail)
    assert check(made.context(after_file=small)).status == "failed"


@pytest.mark.parametrize(
    "spelling",
    [
        NAME.encode(),
        NAME.upper().encode(),
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        base64.b64encode(NAME.encode()),
    ],
    ids=["plain", "upper", "utf-16-le", "utf-16-be", "base64"],
)
def test_name_in_the_voxels(made: Made, small: Path, spelling: bytes) -> None:
    repack(small, put(372, spelling))
    assert file_faults(small) == []
    found = check(made.context(after_file=small))
    assert found.status == "failed"
    assert NAME.lower() not in found.sentence.lower()


@pytest.mark.parametrize(
    "sidecar",
    [
        {"Manufacturer": NAME},
        {"Manufacturer": f"of {NAME.upper()}!"},
        {"PatientName": "x"},
        {"EchoTime": [0.1, NAME]},
        {"Manufacturer": base64.b64encode(NAME.encode()).decode()},
    ],
)
def test_sidecar(made: Made, sidecar: dict[str, Any]) -> None:
    assert check(made.context(sidecar=sidecar)).status == "failed"


def test_sidecar_without_an_allow_list_is_not_passed(made: Made) -> None:
    assert check(made.context(allowed_keys=None)).status == "failed"
    assert check(made.context(allowed_keys=None, sidecar={})).status == "passed"


@pytest.mark.parametrize(
    "path",
    [
        "sub-Mustermann/anat/sub-Mustermann_T1w.nii.gz",
        "sub-01/anat/../../x_T1w.nii.gz",
        "sub-01/anat/sub-01_T1w copy.nii.gz",
        "/sub-01/anat/sub-01_T1w.nii.gz",
    ],
)
def test_release_path(made: Made, path: str) -> None:
    assert check(made.context(release_path=path)).status == "failed"
