from __future__ import annotations

import base64
import gzip
import json
import tempfile
import time
import urllib.parse
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymi_bids.io.canary import clear_text, search
from anonymi_bids.io.images import write_image

NEEDLE = "Jané^DOE-0815"


def forms(needle: str) -> dict[str, bytes]:
    """All disguises in which a needle must be found."""
    return {
        "utf-8": needle.encode(),
        "latin-1": needle.encode("latin-1"),
        "utf-16-le": needle.encode("utf-16-le"),
        "utf-16-be": needle.encode("utf-16-be"),
        "upper": needle.upper().encode(),
        "lower": needle.lower().encode(),
        "upper latin-1": needle.upper().encode("latin-1"),
        "json": json.dumps(needle).encode(),
        "url": urllib.parse.quote(needle).encode(),
        **{
            f"base64 {shift}": base64.b64encode(b"x" * shift + needle.encode() + b"yz")
            for shift in range(3)
        },
        "base64 utf-16": base64.b64encode(b"ab" + needle.encode("utf-16-le")),
        "base64 in lines": base64.encodebytes(b"filler " * 7 + needle.encode() + b" filler" * 9),
        "base64 url": base64.urlsafe_b64encode(b"??>" + needle.encode()),
    }


@pytest.mark.parametrize("form", sorted(forms(NEEDLE)))
@pytest.mark.parametrize("packing", ["plain", "gzip", "two gzips", "zip", "late"])
def test_needle_is_found_in_every_disguise(tmp_path: Path, form: str, packing: str) -> None:
    content = b"before " + forms(NEEDLE)[form] + b" after"
    path = tmp_path / "file"
    if packing == "gzip":
        path.write_bytes(gzip.compress(content))
    elif packing == "two gzips":
        path.write_bytes(gzip.compress(b"first") + gzip.compress(content))
    elif packing == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inside.txt", content)
    elif packing == "late":
        path.write_bytes(b"\0" * ((1 << 22) - 14) + content)
    else:
        path.write_bytes(content)
    hits = search([tmp_path], ["other needle", NEEDLE])
    assert {hit.needle for hit in hits} == {1}


letters = st.text("abcXYZ019äöüéçñÅØß", min_size=6, max_size=20)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=80), letters, st.sampled_from(sorted(forms("needle"))))
def test_any_needle_is_found_between_any_bytes(around: bytes, needle: str, form: str) -> None:
    content = around + b" " + forms(needle)[form] + b" " + around
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(b"." + content)
        assert search([path], [needle])


def test_needle_in_a_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "sub-JaneDoe").mkdir()
    (tmp_path / "sub-JaneDoe/x.txt").write_text("nothing")
    hits = search([tmp_path], ["janedoe"])
    assert [hit.where.split(",")[0] for hit in hits] == ["name"]


def test_places_of_an_image(tmp_path: Path) -> None:
    """Header text, bytes between header and voxels, bytes after the voxels, gzip's own name."""
    path = tmp_path / "image.nii.gz"
    write_image(path, np.zeros((8, 8, 8), np.int16), np.eye(4))
    assert search([path], [NEEDLE, "Jane", "DOE-0815"]) == ()
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[148:152] = b"Jane"
    path.write_bytes(gzip.compress(bytes(plain)))
    assert {hit.where.split(",")[0] for hit in search([path], ["Jane"])} == {"header"}
    path.write_bytes(gzip.compress(bytes(plain[:352]) + b"\0" * 1024 + b"DOE-0815"))
    assert {hit.where.split(",")[0] for hit in search([path], ["DOE-0815"])} == {"voxels"}
    with path.open("wb") as stream:
        with gzip.GzipFile("Jane.nii", "wb", fileobj=stream) as packed:
            packed.write(b"x")
    assert {hit.needle for hit in search([path], ["none", "Jane"])} == {1}


def test_short_needles_count_as_words_only(tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    path.write_text('{"a": "sleeping Leeds", "b": 0.51234567}')
    assert search([path], ["Lee", "12345", "ab", "1234"]) == ()
    path.write_text('{"a": "LEE^Ann", "b": "12345"}')
    assert {hit.needle for hit in search([path], ["Lee", "12345"])} == {0, 1}


def test_voxels_of_noise_raise_no_alarm(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "noise.nii.gz"
    write_image(path, rng.integers(-9999, 9999, (128, 128, 64)).astype(np.int16), np.eye(4))
    needles = ["Anna", "Smith", "12345", "19700131", "Lee", "1.2.840.10008.1.2.3.4"]
    assert search([path], needles) == ()


def test_search_is_fast_enough_for_a_release(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "big.bin"
    path.write_bytes(rng.bytes(1 << 24))
    needles = [f"needle number {n} of Jane" for n in range(60)]
    start = time.process_time()
    assert search([path], needles) == ()
    assert time.process_time() - start < 10  # 16 MB


@pytest.mark.parametrize(
    "text",
    [
        "uid 1.2.840.113619.2.5.1762583153",
        "write to jane.doe@hospital.org",
        "from /home/jane/data",
        "from C:\\Users\\jane",
        "host 10.12.13.14",
    ],
)
def test_texts_that_look_like_identifiers_are_not_cleared(text: str) -> None:
    clearance = clear_text("README", f"All good, but {text}.", [])
    assert not clearance.passed
    assert "jane" not in " ".join(clearance.faults)


def test_clearance_speaks_of_its_text_only() -> None:
    clearance = clear_text("README", "fine", ["Jane"])
    assert clearance.passed
    assert clearance.n_needles == 1
    assert clearance.speaks_of("README", "fine")
    assert not clearance.speaks_of("README", "fine ")
    assert not clearance.speaks_of("CHANGES", "fine")
    assert not clear_text("README", "my name is JANE", ["Jane"]).passed


def test_table_of_very_many_participants_is_searched_in_seconds() -> None:
    rows = "".join(f"sub-{n:05d}\t{n % 90}\n" for n in range(10_000))
    needles = [f"Patient Number{n}" for n in range(10_000)]
    start = time.process_time()
    assert clear_text("participants.tsv", rows, needles).passed
    assert time.process_time() - start < 10  # one needle costs some 50 µs
    assert not clear_text("participants.tsv", rows + "PATIENT NUMBER77", needles).passed
