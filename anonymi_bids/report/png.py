"""Small pictures as PNG, with nothing but zlib: the same bytes each time, no text inside."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt


def grey_png(picture: npt.NDArray[Any]) -> bytes:
    """Encode a grey picture.

    Parameters
    ----------
    picture : (rows, columns) uint8 ndarray

    Returns
    -------
    bytes
        A PNG file.
    """
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise ValueError("A grey picture must be a two-dimensional array of bytes.")
    # Differences of rows ("up" filter) pack better than the greys of a scan themselves.
    above = np.vstack([np.zeros_like(picture[:1]), picture[:-1]])
    lines = np.column_stack([np.full(len(picture), 2, np.uint8), picture - above])
    return _file(picture.shape, depth=8, colour=0, content=lines.tobytes())


def overlay_png(mask: npt.NDArray[np.bool_], colour: tuple[int, int, int]) -> bytes:
    """Encode a mask as a picture that is of one colour inside and see-through outside.

    Parameters
    ----------
    mask : (rows, columns) bool ndarray
    colour : three int
        Red, green, blue, 0 … 255.

    Returns
    -------
    bytes
        A PNG file, one bit a pixel.
    """
    bits = np.packbits(mask, axis=1)
    lines = np.column_stack([np.zeros(len(mask), np.uint8), bits])
    palette = _chunk(b"PLTE", bytes((0, 0, 0, *colour))) + _chunk(b"tRNS", bytes((0, 255)))
    return _file(mask.shape, depth=1, colour=3, content=lines.tobytes(), extra=palette)


def as_text(content: bytes) -> str:
    """Write bytes as base64 text, ready for a page."""
    return base64.b64encode(content).decode("ascii")


def _file(
    shape: tuple[int, ...], *, depth: int, colour: int, content: bytes, extra: bytes = b""
) -> bytes:
    rows, columns = shape
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(content, 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
