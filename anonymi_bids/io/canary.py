"""Search outputs for texts of the input: every byte, several encodings, packed files too."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.io.packed import contents_of

MIN_VOXEL_BYTES = 6
"""Shorter needles turn up in the voxels of an innocent scan by chance (4 letters in any case: once
in some 250 MB), so they are searched in texts and headers only."""

MANY_NEEDLES = 2000
"""With more needles than this a table is searched for plain texts only, not for disguises."""

MIN_LETTERS = 3
MIN_DIGITS = 5
"""Needles shorter than these are no identifiers and are not searched at all."""

_SUSPICIOUS = (
    ("a unique identifier (UID)", re.compile(r"(?<![\d.])\d+(?:\.\d+){5,}")),
    ("an e-mail address", re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}")),
    ("a path of a person's folder", re.compile(r"(?:/home/|/Users/|[A-Z]:\\)\w", re.IGNORECASE)),
    ("a network address", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\d)")),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """A needle was found.

    Attributes
    ----------
    path : Path
        File, or file whose name it was found in.
    needle : int
        Index of the needle (never its text, so that a hit may be logged).
    where : str
        ``name``, ``text``, ``header`` or ``voxels``, and the encoding.
    """

    path: Path
    needle: int
    where: str


@dataclass(frozen=True, slots=True)
class TableClearance:
    """What the canary search said of one table.

    Attributes
    ----------
    path : str
        Path below ``release/``.
    digest : str
        sha256 of the text that was searched.
    n_needles : int
        How many needles were searched.
    faults : tuple of str
        What was found, in sentences without the finding itself.
    """

    path: str
    digest: str
    n_needles: int
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True if nothing was found."""
        return not self.faults

    def speaks_of(self, path: str, text: str) -> bool:
        """Whether this is the clearance of this path and this text."""
        return self.path == path and self.digest == _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def usable(needle: str) -> bool:
    """Whether a needle is long enough to mean something if it is found."""
    letters = needle.strip()
    return len(letters) >= (MIN_DIGITS if letters.isdigit() else MIN_LETTERS)


def clear_text(path: str, text: str, needles: Iterable[str]) -> TableClearance:
    """Search the text of a table for needles and for what looks like an identifier.

    Parameters
    ----------
    path : str
        Path below ``release/``.
    text : str
        The whole file.
    needles : iterable of str
        Texts of the input that must not be there.

    Returns
    -------
    TableClearance
    """
    wanted = tuple(dict.fromkeys(needle for needle in needles if usable(needle)))
    near = wanted
    if len(wanted) > MANY_NEEDLES:
        folded = text.casefold()
        near = tuple(needle for needle in wanted if _longest_word(needle) in folded)
    found = {index for index, _ in _search_bytes(text.encode("utf-8"), near, "text")}
    faults = (
        [f"{len(found)} of {len(wanted)} texts of the input were found in it."] if found else []
    )
    faults += [f"It holds {what}." for what, pattern in _SUSPICIOUS if pattern.search(text)]
    return TableClearance(path, _digest(text), len(wanted), tuple(faults))


def _longest_word(needle: str) -> str:
    return max(re.findall(r"\w+", needle.casefold()) or [needle.casefold()], key=len)


def holds(text: str, needles: Iterable[str]) -> bool:
    """Whether a text holds a needle in any of the encodings of `search`."""
    wanted = tuple(dict.fromkeys(needle for needle in needles if usable(needle)))
    return any(_search_bytes(text.encode("utf-8"), wanted, "text"))


def search(paths: Iterable[Path], needles: Iterable[str]) -> tuple[Hit, ...]:
    """Search files and folders, names included, for needles.

    Parameters
    ----------
    paths : iterable of Path
        Folders are searched with all below them.
    needles : iterable of str
        Those too short to mean anything are left out (`usable`).

    Returns
    -------
    tuple of Hit
        In the order of the paths; each needle at most once a file and place.

    Notes
    -----
    Encodings: UTF-8, Latin-1, UTF-16 (both orders), base64 (three alignments, of UTF-8 and
    UTF-16), URL, JSON and HTML escapes; case is ignored. gzip, zip and npz files are searched
    packed and unpacked. In the voxels of a NIfTI file only needles of `MIN_VOXEL_BYTES` or more
    count; elsewhere needles shorter than six characters must stand as words of their own.
    """
    wanted = tuple(dict.fromkeys(needle for needle in needles if usable(needle)))
    hits: list[Hit] = []
    for root in paths:
        files = sorted(p for p in root.rglob("*") if not p.is_dir()) if root.is_dir() else [root]
        for path in files:
            name = path.relative_to(root).as_posix() if path != root else path.name
            found = {(i, f"name, {e}") for i, e in _search_bytes(name.encode(), wanted, "name")}
            if path.is_file() and not path.is_symlink():
                found |= _search_file(path, wanted)
            hits += [Hit(path, index, where) for index, where in sorted(found)]
    return tuple(hits)


def _search_file(path: Path, needles: tuple[str, ...]) -> set[tuple[int, str]]:
    """Search all contents of one file, packed and unpacked."""
    found: set[tuple[int, str]] = set()
    longest = max((len(pattern.content) for pattern in _patterns(needles)), default=1)
    overlap = longest + longest // 32 + 2  # room for the line breaks within base64
    for place, pieces in contents_of(path):
        tail = b""
        for piece in pieces:
            block = tail + piece
            found |= {(i, f"{place}, {e}") for i, e in _search_bytes(block, needles, place)}
            if place == "text":
                joined = block.translate(None, b"\r\n")
                chosen = tuple(p for p in _patterns(needles) if p.encoding == "base64")
                found |= {(p.needle, "text, base64") for p in _present(joined, chosen)}
            tail = block[-overlap:]
    return found


@dataclass(frozen=True, slots=True)
class _Pattern:
    needle: int
    content: bytes
    encoding: str
    folded: bool  # compared with the lower-cased content
    word: bool  # must stand as a word of its own


@functools.lru_cache(maxsize=64)
def _patterns(needles: tuple[str, ...]) -> tuple[_Pattern, ...]:
    """All byte patterns in which a needle may be hidden."""
    found: dict[tuple[int, bytes, bool], _Pattern] = {}

    def add(index: int, content: bytes, encoding: str, folded: bool, word: bool = False) -> None:
        content = content.lower() if folded else content
        if len(content) >= MIN_LETTERS:
            found.setdefault(
                (index, content, folded), _Pattern(index, content, encoding, folded, word)
            )

    for index, needle in enumerate(needles):
        word = len(needle) < MIN_VOXEL_BYTES
        for text in {needle, needle.lower(), needle.upper()}:
            add(index, text.encode("utf-8"), "utf-8", True, word)
            add(index, text.encode("latin-1", "ignore"), "latin-1", True, word)
            add(index, text.encode("utf-16-le"), "utf-16-le", True)
            add(index, text.encode("utf-16-be"), "utf-16-be", True)
            add(index, json.dumps(text)[1:-1].encode(), "json", True, word)
            add(index, urllib.parse.quote(text).encode(), "url", True, word)
            add(index, _html(text).encode("utf-8"), "html", True, word)
            for encoding in ("utf-8", "utf-16-le"):
                for core in _base64_cores(text.encode(encoding)):
                    add(index, core, "base64", False)
                    add(index, core.translate(_URL_SAFE), "base64", False)
    return tuple(found.values())


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _html(text: str) -> str:
    for sign, escape in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
    ):
        text = text.replace(sign, escape)
    return text


def _base64_cores(content: bytes) -> Iterator[bytes]:
    """Yield the characters that do not depend on the neighbours, for the three alignments."""
    for shift in range(3):
        packed = base64.b64encode(b"\0" * shift + content)
        begin = (0, 2, 3)[shift]
        end = (len(content) + shift) // 3 * 4
        rest = (len(content) + shift) % 3
        core = packed[begin : end + (0, 1, 2)[rest]]
        if len(core) >= MIN_VOXEL_BYTES:
            yield core


def _search_bytes(
    content: bytes, needles: tuple[str, ...], place: str
) -> Iterator[tuple[int, str]]:
    """Yield (index of needle, encoding) for each pattern found in some bytes."""
    patterns = _patterns(needles)
    if place == "voxels":
        patterns = tuple(p for p in patterns if len(p.content) >= MIN_VOXEL_BYTES)
    folded = content.lower()
    for fold, block in ((True, folded), (False, content)):
        chosen = tuple(p for p in patterns if p.folded == fold)
        for pattern in _present(block, chosen):
            if not pattern.word or _stands_alone(block, pattern.content, place):
                yield pattern.needle, pattern.encoding


def _present(block: bytes, patterns: tuple[_Pattern, ...]) -> list[_Pattern]:
    """Patterns that occur in a block; a table of their first bytes spares most comparisons."""
    if len(block) < 4096 or len(patterns) < 8:
        return [pattern for pattern in patterns if pattern.content in block]
    first, keys = _tables(patterns)
    data = np.frombuffer(block, dtype=np.uint8)
    pairs = data[:-1].astype(np.uint16) | (data[1:].astype(np.uint16) << 8)
    places = np.flatnonzero(first[pairs[:-2]])
    fours = pairs[places].astype(np.uint32) | (pairs[places + 2].astype(np.uint32) << 16)
    seen = set(fours[np.isin(fours, keys)].tolist())
    return [
        pattern
        for pattern in patterns
        if (len(pattern.content) < 4 or _key(pattern) in seen) and pattern.content in block
    ]


def _key(pattern: _Pattern) -> int:
    return int.from_bytes(pattern.content[:4], "little")


@functools.lru_cache(maxsize=64)
def _tables(
    patterns: tuple[_Pattern, ...],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint32]]:
    """Which pairs of bytes begin a pattern, and which four bytes do."""
    first = np.zeros(1 << 16, dtype=bool)
    for pattern in patterns:
        first[int.from_bytes(pattern.content[:2], "little")] = True
    keys = sorted({_key(pattern) for pattern in patterns})
    return first, np.array(keys, dtype=np.uint32)


def _stands_alone(block: bytes, content: bytes, place: str) -> bool:
    """Whether a short pattern stands between signs that are neither letters nor digits."""
    if place == "voxels":
        return False
    if place == "header" and len(content) > MIN_LETTERS:
        return True  # a field of a header may stand beside any byte
    sign = rb"[0-9a-z\x80-\xff]"
    return (
        re.search(rb"(?<!" + sign + rb")" + re.escape(content) + rb"(?!" + sign + rb")", block)
        is not None
    )
