"""Plan what becomes of the files of each participant."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from anonymi_bids.bids import fates
from anonymi_bids.bids.entities import (
    MASK_SUFFIX,
    is_image,
    looks_like_date,
    name_fault,
    parse_path,
    relabel,
    split_extension,
)
from anonymi_bids.bids.inherit import Inherited, read_json
from anonymi_bids.bids.plan import COMPANIONS, REQUIRED_COMPANIONS, DatasetPlan, companion_path
from anonymi_bids.bids.select import Indexed
from anonymi_bids.bids.walk import Found, walk
from anonymi_bids.errors import ImageError
from anonymi_bids.model import Entities, FileFate, InputImage, SessionPlan

_LABEL = re.compile(r"sub-([0-9a-zA-Z+]+)")


class PlanBuilder:
    """Gathers the plan subject by subject."""

    def __init__(
        self,
        root: Path,
        labels: Mapping[str, str],
        asked_sessions: Sequence[str] | None,
        indexed: Mapping[str, Indexed],
        inherited: Inherited,
        renewed: bool,
    ) -> None:
        self._root = root
        self._labels = labels
        self._asked = {label.removeprefix("ses-") for label in asked_sessions or ()}
        self._indexed = indexed
        self._root_files = inherited
        self._renewed = renewed
        self._sessions: list[SessionPlan] = []
        self._files: list[FileFate] = []
        self._sources: dict[str, str] = {}
        self._session_labels: dict[tuple[str, str], str] = {}
        self._inputs: dict[str, str] = {}
        self._used_root: set[str] = set()

    def plan(self) -> DatasetPlan:
        """Give the plan of all that was added."""
        return DatasetPlan(
            self._root,
            tuple(self._sessions),
            tuple(sorted(self._files, key=lambda fate: fate.path)),
            dict(sorted(self._sources.items())),
            dict(self._labels),
            dict(self._session_labels),
            dict(sorted(self._inputs.items())),
        )

    def add_subject(self, label: str, files: list[Found]) -> None:
        """Plan all files of one participant."""
        self._name_sessions(label, files)
        inherited = Inherited({key: list(value) for key, value in self._root_files.files.items()})
        for found in files:
            if not is_image(found.name):
                inherited.add(found)
        fate_of: dict[str, FileFate] = {}
        images: dict[str, InputImage] = {}
        packings = _packings(files)
        for found in files:
            if not is_image(found.name):
                continue
            entities = parse_path(found.path)
            reason = self._image_fault(found, entities, packings)
            if not reason and entities is not None:
                try:
                    images[found.path] = self._image(found, entities, inherited)
                except ImageError as error:
                    reason = str(error)
            if reason:
                fate_of[found.path] = FileFate(found.path, "withheld", reason)
        images = {path: _with_links(image, label, images) for path, image in images.items()}
        self._inputs.update({image.entities.path: path for path, image in images.items()})
        self._judge_others(label, files, images, inherited, fate_of)
        self._gather(label, files, images, fate_of)

    def add_top(self, top: Iterable[Found], chosen: Sequence[str], *, in_full: bool) -> None:
        """Give the files beside the participants their fates."""
        for entry in top:
            if entry.problem:
                self._files.append(FileFate(entry.path, "withheld", entry.problem))
            elif not entry.is_folder:
                self._files.append(self._top_file(entry))
            elif not _LABEL.fullmatch(entry.name):
                self._add_folder(entry, in_full)
            elif entry.name.removeprefix("sub-") not in chosen:
                self._files.append(
                    FileFate(entry.path + "/", "withheld", fates.NOT_ASKED_PARTICIPANT)
                )

    def _add_folder(self, entry: Found, in_full: bool) -> None:
        """List a folder that holds no participant: file by file, or as one line."""
        below = walk(self._root, entry.path) if in_full and entry.name != ".git" else []
        for found in below:
            reason = found.problem or fates.reason_withheld(found.path)
            self._files.append(FileFate(found.path, "withheld", reason))
        if not below:
            path = entry.path + "/"
            self._files.append(FileFate(path, "withheld", fates.reason_withheld(path)))

    def _top_file(self, entry: Found) -> FileFate:
        reason = fates.reason_withheld(entry.path)
        if entry.name == "participants.tsv":
            self._sources["participants.tsv"] = str(entry.source)
            return FileFate(entry.path, "changed", fates.TABLE, "participants.tsv")
        if reason == fates.REGENERATED:
            written = "README" if entry.name.lower().startswith("readme") else entry.name
            return FileFate(entry.path, "changed", reason, written)
        if entry.path in self._used_root:
            is_json = entry.name.lower().endswith(".json")
            used = fates.SIDECAR_USED if is_json else fates.COMPANION_USED
            return FileFate(entry.path, "changed", used)
        return FileFate(entry.path, "withheld", reason)

    def _name_sessions(self, label: str, files: Iterable[Found]) -> None:
        """Keep session labels, but number them all if one of them may be a date."""
        found = {
            parts[1].removeprefix("ses-")
            for parts in (file.path.split("/") for file in files)
            if len(parts) > 2 and parts[1].startswith("ses-")
        }
        dated = any(looks_like_date(session) for session in found)
        for number, session in enumerate(sorted(found), start=1):
            self._session_labels[label, session] = f"{number:02d}" if dated else session

    def _image_fault(
        self, found: Found, entities: Entities | None, packings: Mapping[str, int]
    ) -> str:
        """Say why an image cannot be taken; empty if it can."""
        if found.problem:
            return found.problem
        if entities is None:
            return fates.NOT_BIDS
        if self._asked and entities.session not in self._asked:
            return fates.NOT_ASKED_SESSION
        if entities.suffix == MASK_SUFFIX:
            return fates.OLD_MASK
        if fault := name_fault(entities):
            return fault
        if any(looks_like_date(value) for _, value in entities.others):
            return fates.DATE_IN_NAME
        source = entities.subject
        if self._renewed and len(source) > 3 and any(source in v for _, v in entities.others):
            return "Its name repeats the participant's label outside of sub-; rename the file."
        if packings[_unpacked(found.path)] > 1:
            return fates.TWO_PACKINGS
        indexed = self._indexed.get(found.path)
        read = None if indexed is None else (indexed.subject, indexed.session, indexed.suffix)
        if indexed is None or read != (entities.subject, entities.session, entities.suffix):
            return fates.TWO_READINGS
        return "" if indexed.selected else fates.NOT_SELECTED

    def _release_name(self, entities: Entities) -> Entities:
        session = entities.session
        if session is not None:
            session = self._session_labels[entities.subject, session]
        return relabel(entities, self._labels[entities.subject], session)

    def _image(self, found: Found, entities: Entities, inherited: Inherited) -> InputImage:
        sidecar = inherited.sidecar(entities)
        kind = (entities.datatype, entities.suffix)
        companions = {}
        for key in COMPANIONS.get(kind, ()):
            file = inherited.nearest(entities, *_kind_of(key, entities))
            if file is not None:
                companions[key] = str(file.found.source)
        missing = [key for key in REQUIRED_COMPANIONS.get(kind, ()) if key not in companions]
        if missing:
            raise ImageError(f"BIDS asks for a {' and a '.join(missing)} file beside it; add it.")
        return InputImage(str(found.source), self._release_name(entities), sidecar, companions)

    def _judge_others(
        self,
        label: str,
        files: Iterable[Found],
        images: Mapping[str, InputImage],
        inherited: Inherited,
        fate_of: dict[str, FileFate],
    ) -> None:
        """Give every file that is no image its fate."""
        used = self._used_files(images, inherited)
        self._used_root |= {path for path in used if "/" not in path}
        for found in files:
            if found.path in fate_of or found.path in images:
                continue
            table = self._table_name(label, found)
            if found.problem:
                fate = FileFate(found.path, "withheld", found.problem)
            elif found.path in used:
                is_json = found.name.lower().endswith(".json")
                reason = fates.SIDECAR_USED if is_json else fates.COMPANION_USED
                fate = FileFate(found.path, "changed", reason, used[found.path])
            elif table:
                self._sources[table] = str(found.source)
                fate = FileFate(found.path, "changed", fates.TABLE, table)
            elif found.name.lower().endswith(".json") and read_json(found.source) is None:
                fate = FileFate(found.path, "withheld", "It is not a valid JSON object in UTF-8.")
            else:
                fate = FileFate(found.path, "withheld", fates.reason_withheld(found.path))
            fate_of[found.path] = fate

    def _used_files(
        self, images: Mapping[str, InputImage], inherited: Inherited
    ) -> dict[str, str | None]:
        """Paths of sidecars and companions that images use → release path, if it has one."""
        used: dict[str, str | None] = {}
        for path, image in images.items():
            entities = parse_path(path)
            if entities is None:
                continue
            for level in inherited.levels(entities, entities.suffix, ".json"):
                exact = [f for f in level if split_extension(f.found.name)[0] == entities.stem]
                for file in exact or level:
                    beside = file.folder == entities.folder and bool(exact)
                    name = companion_path(image.entities, ".json") if beside else None
                    used[file.found.path] = used.get(file.found.path) or name
            for key in image.companions:
                suffix, extension = (
                    split_extension(key) if key[0] == "_" else (image.entities.suffix, key)
                )
                nearest = inherited.nearest(entities, suffix.lstrip("_"), extension)
                if nearest is not None:
                    used.setdefault(nearest.found.path, companion_path(image.entities, key))
        return used

    def _table_name(self, label: str, found: Found) -> str | None:
        """Release path of a ``scans.tsv`` or ``sessions.tsv``; None for all other files."""
        parsed = parse_path(found.path)
        if parsed is None or parsed.others or parsed.datatype or parsed.extension != ".tsv":
            return None
        if self._asked and parsed.session is not None and parsed.session not in self._asked:
            return None
        if parsed.suffix == "scans" or (parsed.suffix == "sessions" and parsed.session is None):
            return self._release_name(parsed).path.replace("//", "/")
        return None

    def _gather(
        self,
        label: str,
        files: Iterable[Found],
        images: Mapping[str, InputImage],
        fate_of: Mapping[str, FileFate],
    ) -> None:
        """Put images and fates of one subject into its sessions."""
        of_session: dict[str | None, list[Found]] = {}
        for found in files:
            part = found.path.split("/")[1] if found.path.count("/") > 1 else ""
            session = part.removeprefix("ses-") if part.startswith("ses-") else None
            of_session.setdefault(session, []).append(found)
        for session, members in sorted(of_session.items(), key=lambda item: item[0] or ""):
            inside = tuple(images[f.path] for f in members if f.path in images)
            others = [fate_of[f.path] for f in members if f.path not in images]
            if self._asked and session not in self._asked:
                reason = fates.NOT_ASKED_SESSION
                self._files += [
                    dataclasses.replace(o, fate="withheld", reason=reason) for o in others
                ]
                continue
            if (
                session is None
                and not inside
                and not any("/" in f.path[4:].partition("/")[2] for f in members)
            ):
                self._files += others
                continue
            released = None if session is None else self._session_labels[label, session]
            self._sessions.append(
                SessionPlan(self._labels[label], released, label, session, inside, tuple(others))
            )


def _kind_of(key: str, image: Entities) -> tuple[str, str]:
    """Suffix and extension of a companion."""
    return split_extension(key[1:]) if key.startswith("_") else (image.suffix, key)


def _unpacked(path: str) -> str:
    return path.lower().removesuffix(".gz")


def _packings(files: Iterable[Found]) -> dict[str, int]:
    """How often each image is there, packed or not, upper or lower case."""
    counts: dict[str, int] = {}
    for found in files:
        if is_image(found.name):
            counts[_unpacked(found.path)] = counts.get(_unpacked(found.path), 0) + 1
    return counts


def _with_links(image: InputImage, label: str, images: Mapping[str, InputImage]) -> InputImage:
    """Rewrite ``IntendedFor`` to paths of the release; targets that are not planned go."""
    value = image.sidecar.get("IntendedFor")
    if value is None:
        return image
    entries = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    kept = []
    for entry in (entry for entry in entries if isinstance(entry, str)):
        path = entry.removeprefix("bids::")
        path = path if path.startswith(f"sub-{label}/") else f"sub-{label}/{path}"
        if path in images:
            kept.append(f"bids::{images[path].entities.path}")
    sidecar = {key: value for key, value in image.sidecar.items() if key != "IntendedFor"}
    if kept:
        sidecar["IntendedFor"] = kept[0] if isinstance(value, str) else kept
    return dataclasses.replace(image, sidecar=sidecar)
