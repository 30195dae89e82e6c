"""A clean release has no traces; each planted one is found, in its place."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.audit.traces import look_for_traces
from anonymi_bids.bids.sidecar import ALLOWED_KEYS
from anonymi_bids.io.images import write_image

ORIGINAL = "Zyxwvut"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release" / "sub-k3v9q2xd" / "anat"
    folder.mkdir(parents=True)
    image = folder / "sub-k3v9q2xd_T1w.nii.gz"
    write_image(image, np.arange(512, dtype=np.int16).reshape(8, 8, 8), np.eye(4))
    sidecar = {"EchoTime": 0.0020101231, "DeidentificationMethod": ["mask"]}
    image.with_name("sub-k3v9q2xd_T1w.json").write_text(json.dumps(sidecar))
    top = tmp_path / "release"
    (top / "participants.tsv").write_text("participant_id\tage\nsub-k3v9q2xd\t34\n")
    (top / "README").write_text("Made by anonymi-bids. Dates lie in or before 1925.\n")
    return top


def found(release: Path) -> dict[str, int]:
    places = look_for_traces(release, [ORIGINAL])
    assert all(entry["checked"] >= 1 for entry in places)
    return {entry["place"].split(" ")[0]: entry["found"] for entry in places if entry["found"]}


def test_a_clean_release_has_none(release: Path) -> None:
    assert found(release) == {}


def image_of(release: Path) -> Path:
    return next(release.rglob("*.nii.gz"))


def rewrite(release: Path, change: Callable[[bytearray], bytes]) -> None:
    path = image_of(release)
    content = bytearray(gzip.decompress(path.read_bytes()))
    path.write_bytes(gzip.compress(bytes(change(content)), mtime=0))


def descrip(content: bytearray) -> bytes:
    content[148:160] = b"10:11:12 TE3"
    return content


def behind_the_voxels(content: bytearray) -> bytes:
    return bytes(content) + b"Zyxwvut"


def extension(content: bytearray) -> bytes:
    content[108:112] = struct.pack("<f", 384)
    content[348:352] = b"\1\0\0\0"
    return (
        bytes(content[:352])
        + struct.pack("<ii", 32, 6)
        + b"a comment".ljust(24)
        + bytes(content[352:])
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [(descrip, "text"), (behind_the_voxels, "gzip"), (extension, "header")],
)
def test_traces_in_an_image(
    release: Path, change: Callable[[bytearray], bytes], place: str
) -> None:
    rewrite(release, change)
    assert place in found(release)


def test_name_and_time_in_the_wrapper(release: Path) -> None:
    path = image_of(release)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content, mtime=1_600_000_000))
    assert found(release) == {"gzip": 1}


def test_an_image_cut_short_is_no_clean_one(release: Path) -> None:
    image_of(release).write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\0")
    assert set(found(release)) == {"text", "header", "gzip"}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("sub-k3v9q2xd/anat/sub-k3v9q2xd_T1w.json", '{"PatientName": "x"}', "sidecar"),
        ("sub-k3v9q2xd/anat/sub-k3v9q2xd_T1w.json", '{"a": {"InstitutionName": 1}}', "sidecar"),
        ("sub-k3v9q2xd/anat/sub-k3v9q2xd_T1w.json", "{broken", "sidecar"),
        ("sub-k3v9q2xd/anat/sub-k3v9q2xd_T1w.json", '{"X": "2019-03-04"}', "texts"),
        ("participants.tsv", f"participant_id\tnote\nsub-1\t{ORIGINAL}\n", "texts"),
        ("participants.tsv", "participant_id\tnote\nsub-1\ta.b@c.org\n", "texts"),
        ("README", "made in /home/somebody/scans", "texts"),
        ("sub-20190304_T1w.json", "{}", "names"),
        (f"sub-{ORIGINAL}_T1w.json", "{}", "names"),
        ("sub-12345678_T1w.json", "{}", "names"),
        (".hidden", "x", "files"),
        ("photo.jpg", "x", "files"),
    ],
)
def test_traces_beside_images(release: Path, name: str, text: str, place: str) -> None:
    (release / name).write_text(text)
    assert place in found(release)


def test_no_field_that_cleaning_lets_through_is_an_alarm(release: Path) -> None:
    sidecar = release / "sub-k3v9q2xd" / "anat" / "sub-k3v9q2xd_T1w.json"
    sidecar.write_text(json.dumps(dict.fromkeys(sorted(ALLOWED_KEYS), 1)))
    assert found(release) == {}


@pytest.mark.parametrize("name", ["PatientPositionNote", "PatientID", "XImageOrientationPatient"])
def test_fields_named_almost_like_allowed_ones_are_seen(release: Path, name: str) -> None:
    sidecar = release / "sub-k3v9q2xd" / "anat" / "sub-k3v9q2xd_T1w.json"
    sidecar.write_text(json.dumps({name: 1}))
    assert found(release) == {"sidecar": 1}


def test_links_are_seen_and_not_followed(release: Path) -> None:
    (release / "sub-x_T1w.nii.gz").symlink_to("/etc/hostname")
    assert found(release) == {"files": 1}
