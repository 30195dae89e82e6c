"""Give the contents of a file in pieces: as it lies there, and unpacked where it is packed."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from isal import igzip, isal_zlib

PIECE = 1 << 22
"""Bytes read at a time."""

_DAMAGE: Any = (EOFError, OSError, zlib.error, isal_zlib.error, zipfile.BadZipFile)


def contents_of(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield (place, pieces of bytes) for a file.

    Parameters
    ----------
    path : Path

    Yields
    ------
    place : str
        ``text`` for a file as it is, ``packed`` for the bytes of a packed file, ``header`` and
        ``voxels`` for the two parts of a NIfTI image.
    pieces : iterable of bytes
        To be consumed before the next place is asked for.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
        stream.seek(0)
        if start[:2] == b"\x1f\x8b":
            # Packed bytes are as random as voxels; a name or comment lies in the first of them.
            yield "header", [stream.read(512)]
            stream.seek(0)
            yield "voxels", _pieces(stream)
            with igzip.open(path, "rb") as unpacked:
                yield from _parts(unpacked)
        elif start == b"PK\x03\x04":
            yield "voxels", _pieces(stream)
            yield from _members(path)
        else:
            yield from _parts(stream)


def _members(path: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                yield "text", [info.filename.encode() + b"\n" + info.comment + info.extra]
                with archive.open(info) as member:
                    yield from _parts(member)
    except _DAMAGE:
        return


def _parts(stream: Any) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Split a stream into header and voxels if it is NIfTI, else give it as text."""
    try:
        start = stream.read(544)
    except _DAMAGE:
        return
    offset = _voxel_offset(start)
    if offset is None:
        yield "text", _pieces(stream, start)
        return
    rest = b""
    try:
        rest = stream.read(max(0, min(offset, 1 << 26) - len(start)))
    except _DAMAGE:
        pass
    yield "header", _pieces(io.BytesIO(start + rest))
    yield "voxels", _pieces(stream)


def _voxel_offset(start: bytes) -> int | None:
    """First byte of the voxels if these are the first bytes of a NIfTI file."""
    for order in "<>":
        if len(start) >= 348 and struct.unpack(f"{order}i", start[:4])[0] == 348:
            if start[344:347] in (b"n+1", b"ni1"):
                offset = struct.unpack(f"{order}f", start[108:112])[0]
                return int(offset) if 348 <= offset < 1 << 31 else 348
        if len(start) >= 540 and struct.unpack(f"{order}i", start[:4])[0] == 540:
            return max(540, int(struct.unpack(f"{order}q", start[168:176])[0]))
    return None


def _pieces(stream: IO[bytes], first: bytes = b"") -> Iterator[bytes]:
    try:
        piece = first + stream.read(PIECE - len(first))
        while piece:
            yield piece
            piece = stream.read(PIECE)
    except _DAMAGE:
        return
