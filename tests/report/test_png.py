"""Pictures are files that any browser reads; they are read back here by hand."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.report.png import grey_png, overlay_png


def chunks(content: bytes) -> dict[bytes, bytes]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = {}, 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        found[kind] = body
        at += 12 + length
    return found


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_greys_come_back(rows: int, columns: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (rows, columns)).astype(np.uint8)
    found = chunks(grey_png(picture))
    assert struct.unpack(">IIBB", found[b"IHDR"][:10]) == (columns, rows, 8, 0)
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert set(lines[:, 0].tolist()) == {2}
    np.testing.assert_array_equal(lines[:, 1:].cumsum(axis=0, dtype=np.uint8), picture)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**31))
def test_masks_come_back(rows: int, columns: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, columns)) < 0.4
    found = chunks(overlay_png(mask, (255, 140, 0)))
    assert found[b"PLTE"][3:] == bytes((255, 140, 0))
    assert found[b"tRNS"] == bytes((0, 255))
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(rows, -1)
    np.testing.assert_array_equal(np.unpackbits(lines[:, 1:], axis=1)[:, :columns] > 0, mask)


def test_no_text_and_only_greys() -> None:
    assert set(chunks(grey_png(np.zeros((3, 4), np.uint8)))) == {b"IHDR", b"IDAT", b"IEND"}
    with pytest.raises(ValueError, match="two-dimensional"):
        grey_png(np.zeros((3, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="bytes"):
        grey_png(np.zeros((3, 4)))
