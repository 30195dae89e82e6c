"""Gate: header, sidecar, file name and gzip wrapper carry nothing of the patient.

The bytes are read here by `struct` and `zlib`, not by the code that wrote them. Layout of the
header: NIfTI-1 and NIfTI-2 standards (https://nifti.nimh.nih.gov); of gzip: RFC 1952.
"""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.io.canary import holds, search
from anonymi_bids.model import Finding

GATE = "metadata_clean"

BLOCK = 1 << 20
RELEASE_PATH = re.compile(
    r"sub-[A-Za-z0-9+]+/(ses-[A-Za-z0-9+]+/)?[a-z]+/"
    r"sub-[A-Za-z0-9+]+(_[A-Za-z]+-[A-Za-z0-9+]+)*_[A-Za-z0-9]+\.nii(\.gz)?"
)

_TEXT_FIELDS = {
    348: (
        (4, 10, "data_type"),
        (14, 18, "db_name"),
        (32, 4, "extents"),
        (36, 2, "session_error"),
        (140, 8, "glmax"),
        (148, 80, "descrip"),
        (228, 24, "aux_file"),
        (328, 16, "intent_name"),
    ),
    540: (
        (240, 80, "descrip"),
        (320, 24, "aux_file"),
        (508, 16, "intent_name"),
        (525, 15, "unused_str"),
    ),
}
"""Offset, length and name of the fields that can hold text, by size of the header."""


def check(ctx: GateContext) -> Finding:
    """Look for text, extensions, gaps, trailing bytes, forbidden keys and known strings."""
    wrong = [*_name_faults(ctx.release_path), *_sidecar_faults(ctx)]
    for label, path in (("image", ctx.after_file), ("mask", ctx.mask_file)):
        wrong += [f"{fault} ({label})" for fault in file_faults(path)]
        if search([path], ctx.needles):
            wrong.append(f"a string of the input ({label})")
    text = json.dumps(dict(ctx.sidecar), ensure_ascii=False, default=str)
    if holds(text, ctx.needles):
        wrong.append("a string of the input (sidecar)")
    if holds(ctx.release_path, ctx.needles):
        wrong.append("a string of the input (file name)")
    if wrong:
        return finding(
            GATE,
            "failed",
            f"Found in what would be released: {', '.join(sorted(set(wrong)))}; nothing of it may "
            "leave, so the image is not released.",
            figure=len(set(wrong)),
            limit=0,
        )
    return finding(
        GATE,
        "passed",
        "Header, sidecar, file name and gzip wrapper hold no text of the input.",
        figure=0,
        limit=0,
    )


def _name_faults(release_path: str) -> list[str]:
    if RELEASE_PATH.fullmatch(release_path) is None:
        return ["a file name that is not a plain BIDS name"]
    return []


def _sidecar_faults(ctx: GateContext) -> list[str]:
    if not ctx.sidecar:
        return []
    if ctx.allowed_keys is None:
        return ["a sidecar without a list of the keys it may have"]
    extra = set(ctx.sidecar) - ctx.allowed_keys
    return [f"{len(extra)} sidecar keys that are not on the allow-list"] if extra else []


def file_faults(path: Path) -> list[str]:
    """Faults of one NIfTI file's wrapper and header, each in a few words.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    """
    faults: list[str] = []
    if path.name.endswith(".gz"):
        faults += _gzip_faults(path)
    start, total = _start_and_size(path)
    if len(start) < 352:
        return [*faults, "a file too short for a NIfTI header"]
    size = struct.unpack("<i", start[:4])[0]
    order = "<"
    if size not in _TEXT_FIELDS:
        size, order = struct.unpack(">i", start[:4])[0], ">"
    if size not in _TEXT_FIELDS:
        return [*faults, "a file that is not NIfTI"]
    for offset, length, name in _TEXT_FIELDS[size]:
        if any(start[offset : offset + length]):
            faults.append(f"header field {name} not empty")
    faults += _layout_faults(start, total, size, order)
    return faults


def _layout_faults(start: bytes, total: int, size: int, order: str) -> list[str]:
    """Extensions, a gap before the voxels, bytes behind them."""
    faults = []
    if any(start[size : size + 4]):
        faults.append("header extension")
    if size == 348:
        offset = int(struct.unpack(f"{order}f", start[108:112])[0])
        dim = struct.unpack(f"{order}8h", start[40:56])
        bits = struct.unpack(f"{order}h", start[72:74])[0]
    else:
        offset = struct.unpack(f"{order}q", start[168:176])[0]
        dim = struct.unpack(f"{order}8q", start[16:80])
        bits = struct.unpack(f"{order}h", start[14:16])[0]
    if offset != size + 4:
        faults.append("gap between header and voxels")
    voxels = int(np.prod([int(n) for n in dim[1 : dim[0] + 1]], dtype=object))
    if total != offset + voxels * bits // 8:
        faults.append("bytes behind the voxels")
    return faults


def _gzip_faults(path: Path) -> list[str]:
    """Name, comment, time or extra field in the wrapper; a second member; bytes behind it."""
    faults = []
    with path.open("rb") as stream:
        head = stream.read(10)
    if len(head) < 10 or head[:3] != b"\x1f\x8b\x08":
        return ["a damaged gzip wrapper"]
    if head[3]:
        faults.append("gzip wrapper with a name, comment or extra field")
    if any(head[4:8]):
        faults.append("gzip wrapper with a time")
    if _behind_member(path):
        faults.append("bytes behind the gzip member")
    return faults


def _behind_member(path: Path) -> bool:
    """Whether anything follows the first gzip member."""
    unpacker = zlib.decompressobj(wbits=31)
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            unpacker.decompress(block)
            if unpacker.eof:
                return bool(unpacker.unused_data) or bool(stream.read(1))
    return False


def _blocks(path: Path) -> Iterator[bytes]:
    """Decompressed content of a file, block by block; of a plain file, its bytes."""
    with path.open("rb") as stream:
        if not path.name.endswith(".gz"):
            while block := stream.read(BLOCK):
                yield block
            return
        unpacker = zlib.decompressobj(wbits=31)
        while block := stream.read(BLOCK):
            yield unpacker.decompress(block)
            if unpacker.eof:
                return


def _start_and_size(path: Path) -> tuple[bytes, int]:
    """First 1024 bytes and number of all bytes, decompressed."""
    start, total = b"", 0
    for block in _blocks(path):
        if len(start) < 1024:
            start += block[: 1024 - len(start)]
        total += len(block)
    return start, total
