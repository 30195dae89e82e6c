"""Find and merge the files that apply to an image: the inheritance principle of BIDS.

https://bids-specification.readthedocs.io/en/stable/common-principles.html#the-inheritance-principle
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonymi_bids.bids.entities import parse_path, split_extension
from anonymi_bids.bids.walk import Found
from anonymi_bids.errors import ImageError
from anonymi_bids.model import Entities

MAX_JSON_BYTES = 1 << 26
"""A larger JSON file is no sidecar."""

BROKEN = "Its JSON sidecar is broken (not a valid JSON object in UTF-8); repair the sidecar."
DISAGREE = (
    "Two JSON sidecars of the same folder both apply to it and disagree; keep one of them, or "
    "name one exactly like the image."
)


@dataclass(frozen=True, slots=True)
class Applicable:
    """A file that may apply to images in its folder and below.

    Attributes
    ----------
    found : Found
    folder : str
        Folder of the file, relative to the dataset's root; empty for the root.
    suffix, extension : str
        Of its name; the extension in lower case.
    keys : frozenset of (str, str)
        All entities of its name, subject and session included.
    """

    found: Found
    folder: str
    suffix: str
    extension: str
    keys: frozenset[tuple[str, str]]


@dataclass(slots=True)
class Inherited:
    """Files that may apply to images, by folder, suffix and extension."""

    files: dict[tuple[str, str, str], list[Applicable]] = field(default_factory=dict)
    _read: dict[str, Any] = field(default_factory=dict)

    def add(self, found: Found) -> None:
        """Take in a file whose name is built like that of a BIDS file."""
        stem, extension = split_extension(found.name)
        *pairs, suffix = stem.split("_")
        keys = [tuple(pair.split("-", 1)) for pair in pairs]
        if found.problem or any(len(key) != 2 for key in keys):
            return
        folder = found.path.rpartition("/")[0]
        entry = Applicable(found, folder, suffix, extension.lower(), frozenset(keys))  # type: ignore[arg-type]
        self.files.setdefault((folder, suffix, extension.lower()), []).append(entry)

    def levels(self, image: Entities, suffix: str, extension: str) -> list[list[Applicable]]:
        """Files that apply to an image, one list a folder, from the root down."""
        keys = set(image.others) | {("sub", image.subject)}
        if image.session is not None:
            keys.add(("ses", image.session))
        parts = image.folder.split("/")
        folders = ["", *("/".join(parts[: n + 1]) for n in range(len(parts)))]
        levels = []
        for folder in folders:
            here = [f for f in self.files.get((folder, suffix, extension), []) if f.keys <= keys]
            if here:
                levels.append(here)
        return levels

    def nearest(self, image: Entities, suffix: str, extension: str) -> Applicable | None:
        """Return the file that applies and is nearest, the best match of its folder."""
        levels = self.levels(image, suffix, extension)
        if not levels:
            return None
        return max(levels[-1], key=lambda entry: (len(entry.keys), entry.found.path))

    def sidecar(self, image: Entities) -> dict[str, Any]:
        """Merge the JSON sidecars that apply to an image; the nearer overrules the farther.

        Raises
        ------
        ImageError
            If one of them is broken, or two of the same folder disagree and neither is named
            exactly like the image.
        """
        merged: dict[str, Any] = {}
        for level in self.levels(image, image.suffix, ".json"):
            exact = [f for f in level if split_extension(f.found.name)[0] == image.stem]
            merged.update(self._merge_level(exact or level))
        return merged

    def _merge_level(self, files: Iterable[Applicable]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for entry in files:
            content = self._content(entry.found)
            if any(key in merged and merged[key] != content[key] for key in content):
                raise ImageError(DISAGREE)
            merged.update(content)
        return merged

    def _content(self, found: Found) -> Mapping[str, Any]:
        if found.path not in self._read:
            self._read[found.path] = read_json(found.source)
        content = self._read[found.path]
        if content is None:
            raise ImageError(BROKEN)
        return content


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file holds none."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return None
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def sidecar_images(path: str, images: Iterable[Entities]) -> list[Entities]:
    """Images below one participant to which a JSON file of that participant may apply."""
    parsed = parse_path(path)
    if parsed is None:
        return []
    return [
        image
        for image in images
        if image.suffix == parsed.suffix
        and image.subject == parsed.subject
        and parsed.session in (None, image.session)
        and set(parsed.others) <= set(image.others)
    ]
