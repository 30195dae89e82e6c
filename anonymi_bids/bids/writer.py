"""The only door into ``release/``.

Nothing else in the package opens, moves or makes a file there
(``tests/test_release_is_closed.py``). Images pass with a passed verdict, tables with a passed
clearance. Evidence is written before the files are moved, and the image is moved last: a run
killed at any point leaves either nothing that could be taken for a released image, or a complete
one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anonymi_bids.bids.entities import DERIVATIVES, name_fault, parse_path, surface_of
from anonymi_bids.bids.evidence import (
    all_evidence,
    evidence_path,
    holds,
    read_evidence,
    verdict_record,
    write_evidence,
)
from anonymi_bids.errors import ReleaseRefused
from anonymi_bids.io.atomic import as_json, space_errors, write_text
from anonymi_bids.io.canary import TableClearance
from anonymi_bids.io.images import sha256_of
from anonymi_bids.model import REQUIRED_GATES, SURFACE_GATE, Verdict

RELEASE = "release"
INCOMING = Path("private") / "incoming"
"""Where files wait for their verdict: on the file system of ``release/``, so moving is atomic."""

_SAFE = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+_.-]*(?:/[A-Za-z0-9+_-][A-Za-z0-9+_.-]*)*")
_TABLES = re.compile(
    rf"dataset_description\.json|{DERIVATIVES}/dataset_description\.json|README(?:\.md)?|participants\.(?:tsv|json)"
    r"|sub-[0-9a-zA-Z+]+/(?:sub-[0-9a-zA-Z+]+_sessions\.tsv"
    r"|(?:ses-[0-9a-zA-Z+]+/)?sub-[0-9a-zA-Z+]+(?:_ses-[0-9a-zA-Z+]+)?_scans\.tsv)"
)


@dataclass(frozen=True, slots=True)
class StagedImage:
    """An image and the files that go with it, waiting in ``private/incoming``.

    Attributes
    ----------
    main : str
        Path of the image below ``release/``.
    files : mapping
        Path below ``release/`` → absolute path of the staged file; `main` among them.
    """

    main: str
    files: Mapping[str, Path] = field(default_factory=dict)


def incoming_folder(output: Path, main: str) -> Path:
    """Make and give the folder in which the files of one image (or table) are to be staged."""
    folder = output / INCOMING / main.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def release(
    image: StagedImage, verdict: Verdict, output: Path, evidence: Mapping[str, Any]
) -> None:
    """Move an image and its files into ``release/``, if its verdict lets it.

    Parameters
    ----------
    image : StagedImage
    verdict : Verdict
        On this very image.
    output : Path
        OUTPUT folder.
    evidence : mapping
        Whatever is to be recorded, ready for JSON; with ``input_digest`` and ``settings_digest``,
        by which `already_released` knows the image again.

    Raises
    ------
    ReleaseRefused
        If the verdict is not a passed one on this image with a finding for each required gate, or
        a file is not where and what it should be. Nothing has been moved then.
    SpaceError
        If the disk is full; may be called again.
    """
    _check_verdict(image, verdict)
    _check_names(image)
    missing = [key for key in ("input_digest", "settings_digest") if not evidence.get(key)]
    if missing:
        raise ReleaseRefused(
            f"The evidence on an image lacks {' and '.join(missing)}; it cannot be released."
        )
    for path in image.files.values():
        _check_staged(path, output)
    digests = {name: sha256_of(path) for name, path in sorted(image.files.items())}
    _check_not_taken(image.main, digests, output)
    record = {
        **evidence,
        "verdict": verdict_record(verdict),
        "intended_for": _intended_for(image),
    }
    with space_errors("the evidence and the release"):
        write_evidence(output, image.main, digests, record)
        for name in sorted(digests, key=lambda name: (name == image.main, name)):
            _move(image.files[name], output, name)


def release_table(text: str, path: str, clearance: TableClearance, output: Path) -> None:
    """Write a dataset-level or tabular file into ``release/``, if its clearance lets it.

    Parameters
    ----------
    text : str
        The whole file.
    path : str
        Below ``release/``; one of the tables of a raw BIDS dataset.
    clearance : TableClearance
        From `canary.clear_text` on this very text.
    output : Path
        OUTPUT folder.

    Raises
    ------
    ReleaseRefused
        If the clearance is not a passed one on this text and path, or the path is no table.
    """
    if not clearance.passed or not clearance.speaks_of(path, text):
        raise ReleaseRefused(
            "A table was to enter the release without a passed clearance for it; it stays out."
        )
    if not _TABLES.fullmatch(path):
        raise ReleaseRefused("Only the known tables of a BIDS dataset may enter as tables.")
    digest = clearance.digest
    evidence = read_evidence(output, path)
    if evidence is not None and evidence.files == {path: digest} and holds(output, evidence):
        return
    with space_errors("a table of the release"):
        write_evidence(
            output, path, {path: digest}, {"table": True, "needles": clearance.n_needles}
        )
        _write_over(text, output, path)


def settle_links(output: Path, subject: str) -> tuple[str, ...]:
    """Let the ``IntendedFor`` of a subject's released sidecars name released images only.

    To be called when all images of the subject have their verdict. What was intended is kept in
    the evidence, so that the links come back if an image is released later.

    Returns
    -------
    tuple of str
        Paths of the sidecars that were changed.
    """
    changed = []
    for evidence in list(all_evidence(output, subject)):
        for name, intended in sorted(dict(evidence.content.get("intended_for", {})).items()):
            target = output / RELEASE / name
            if name not in evidence.files or not target.is_file():
                continue
            content = json.loads(target.read_text(encoding="utf-8"))
            kept = living_links(intended, subject, output)
            if content.get("IntendedFor") == kept:
                continue
            content = {key: value for key, value in content.items() if key != "IntendedFor"}
            text = as_json({**content, "IntendedFor": kept} if kept else content)
            digests = {**evidence.files, name: hashlib.sha256(text.encode()).hexdigest()}
            with space_errors("a sidecar of the release"):
                write_evidence(output, evidence.main, digests, evidence.content)
                _write_over(text, output, name)
            changed.append(name)
    return tuple(changed)


def living_links(intended: Any, subject: str, output: Path) -> Any:
    """Those entries of ``IntendedFor`` that are in the release; None if there are none."""
    entries = [intended] if isinstance(intended, str) else list(intended)
    kept = []
    for entry in entries:
        path = entry.removeprefix("bids::")
        path = path if path != entry else f"sub-{subject}/{entry}"
        if _SAFE.fullmatch(path) and (output / RELEASE / path).is_file():
            kept.append(entry)
    if isinstance(intended, str):
        return kept[0] if kept else None
    return kept or None


def _intended_for(image: StagedImage) -> dict[str, Any]:
    """``IntendedFor`` of the staged sidecars, by their path below ``release/``."""
    links = {}
    for name, path in image.files.items():
        if name.endswith(".json"):
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.get("IntendedFor"):
                links[name] = content["IntendedFor"]
    return links


def already_released(output: Path, main: str, input_digest: str, settings_digest: str) -> bool:
    """Whether an image was released from the same input with the same settings, and is whole."""
    evidence = read_evidence(output, main)
    return (
        evidence is not None
        and evidence.main == main
        and evidence.content.get("input_digest") == input_digest
        and evidence.content.get("settings_digest") == settings_digest
        and main in evidence.files
        and holds(output, evidence)
    )


def withdraw(output: Path, main: str) -> tuple[str, ...]:
    """Remove an image or table, and what came with it alone, from the release.

    To be called when an image is withheld: an earlier run with other settings may have released
    it.

    Returns
    -------
    tuple of str
        Paths below ``release/`` that were removed.
    """
    evidence = read_evidence(output, main)
    names = {main} | (set(evidence.files) if evidence is not None else set())
    subject = main.split("/", 1)[0].removeprefix("sub-") if main.startswith("sub-") else None
    shared = {
        name
        for other in all_evidence(output, subject)
        if other.main != main
        for name in other.files
    }
    removed = []
    for name in sorted(names - shared, key=lambda name: (name != main, name)):
        if not _SAFE.fullmatch(name):
            continue
        target = output / RELEASE / name
        if target.is_file() or target.is_symlink():
            target.unlink()
            removed.append(name)
    evidence_path(output, main).unlink(missing_ok=True)
    if subject is not None or main.startswith(DERIVATIVES):
        _remove_empty_folders(output, subject)
    return tuple(sorted(removed))


def sweep(
    output: Path, *, subject: str | None = None, planned: Collection[str] | None = None
) -> tuple[str, ...]:
    """Remove what has no business in ``release/``.

    Parameters
    ----------
    output : Path
        OUTPUT folder.
    subject : str, optional
        Release label. With it, sets of which the image itself is missing (a run was killed between
        two files) are removed as well; that is safe only for a subject on which nobody else works.
    planned : collection of str, optional
        With `subject`: paths of the images that belong to the release; others of the subject are
        withdrawn.

    Returns
    -------
    tuple of str
        Paths below ``release/`` that were removed.
    """
    removed: list[str] = []
    if subject is not None:
        for evidence in list(all_evidence(output, subject)):
            lost = not (output / RELEASE / evidence.main).is_file()
            stale = planned is not None and "verdict" in evidence.content
            if lost or (stale and evidence.main not in (planned or ())):
                removed += withdraw(output, evidence.main)
    known = {name for evidence in all_evidence(output, subject) for name in evidence.files}
    root = output / RELEASE
    for start in _places(root, subject):
        for folder, _, names in os.walk(start):
            for name in sorted(names):
                path = Path(folder) / name
                relative = path.relative_to(root).as_posix()
                if relative not in known:
                    path.unlink()
                    removed.append(relative)
    _remove_empty_folders(output, subject)
    return tuple(sorted(set(removed)))


def _check_verdict(image: StagedImage, verdict: Verdict) -> None:
    """Ask the verdict, and count the gates once more."""
    gates = {finding.gate for finding in verdict.findings}
    if verdict.image != image.main:
        raise ReleaseRefused("The verdict speaks of another image; this one stays out.")
    required = {
        *REQUIRED_GATES,
        *([SURFACE_GATE] if surface_of(image.main) in image.files else ()),
    }
    if not verdict.passed or not gates >= required:
        raise ReleaseRefused("An image was to enter the release without a passed verdict.")
    if any(not reason.strip() for reason in verdict.overruled.values()):
        raise ReleaseRefused("A gate was overruled without a reason; the image stays out.")


def _check_names(image: StagedImage) -> None:
    """Refuse anything that is not a legal BIDS name in the folder of the image's subject."""
    if image.main not in image.files:
        raise ReleaseRefused("The staged files lack the image itself; nothing is released.")
    top = image.main.split("/", 1)[0]
    for name in set(image.files) - {surface_of(image.main)}:  # it lies among the derivatives
        entities = parse_path(name) if _SAFE.fullmatch(name) else None
        if entities is None or name.split("/", 1)[0] != top or name_fault(entities):
            raise ReleaseRefused(
                "A staged file has a name that is not one of BIDS for this subject; the image "
                "stays out."
            )


def _check_staged(path: Path, output: Path) -> None:
    """Refuse files that are links or do not wait in ``private/incoming``."""
    waiting = (output / INCOMING).resolve()
    if path.is_symlink() or not path.is_file() or waiting not in path.resolve().parents:
        raise ReleaseRefused(
            "A staged file is missing, is a link, or does not lie in private/incoming; the image "
            "stays out."
        )


def _check_not_taken(main: str, digests: Mapping[str, str], output: Path) -> None:
    """Refuse to replace a file that came with another image by one that differs."""
    subject = main.split("/", 1)[0].removeprefix("sub-")
    for evidence in all_evidence(output, subject):
        if evidence.main == main:
            continue
        for name in set(digests) & set(evidence.files):
            if evidence.files[name] != digests[name] or name in (main, evidence.main):
                raise ReleaseRefused(
                    "Two images claim the same file of the release with different content; the "
                    "second stays out."
                )


def _write_over(text: str, output: Path, name: str) -> None:
    """Replace a text file of the release by way of a folder that no other process uses."""
    waiting = output / INCOMING
    waiting.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="table-", dir=waiting) as folder:
        staged = Path(folder) / "table"
        write_text(staged, text)
        _move(staged, output, name)


def _move(staged: Path, output: Path, name: str) -> None:
    """Rename a staged file into the release and make the rename durable."""
    root = output / RELEASE
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(root.resolve()) or target.is_symlink():
        raise ReleaseRefused("A folder of the release is a link to elsewhere; remove the link.")
    os.replace(staged, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_empty_folders(output: Path, subject: str | None) -> None:
    """Remove folders without files below ``release/`` or one subject's part of it."""
    root = output / RELEASE
    for start in _places(root, subject):
        for folder, _, _ in os.walk(start, topdown=False):
            if Path(folder) != root and not os.listdir(folder):
                os.rmdir(folder)


def _places(root: Path, subject: str | None) -> tuple[Path, ...]:
    """Folders below ``release/`` that hold one subject's files, or all files."""
    if subject is None:
        return (root,)
    return root / f"sub-{subject}", root / DERIVATIVES / f"sub-{subject}"
