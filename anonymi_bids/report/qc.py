"""The private pages a person looks through before a release is handed out.

Each image leaves a *piece* (JSON: figures, pictures, two small volumes); a participant's page is
made of its pieces. So sessions and participants may be done at the same time and in any order.
All of it shows original faces and lies in ``private/``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from anonymi_bids.io.atomic import write_json, write_text
from anonymi_bids.io.packaged import packaged_path

FOLDER = "qc"
VIEWER = "niivue.umd.js"

STATUS_WORDS = {
    "passed": "passed",
    "failed": "failed",
    "could_not_tell": "could not tell",
}


def piece_path(private: Path, image: str) -> Path:
    """Path of the piece of one image (path below ``release/``)."""
    return private / FOLDER / "pieces" / f"{image}.json"


def write_piece(private: Path, piece: Mapping[str, Any]) -> None:
    """Leave the piece of one image behind."""
    write_json(piece_path(private, str(piece["image"])), piece)


def forget_piece(private: Path, image: str) -> None:
    """Remove the piece of an image, if there is one."""
    piece_path(private, image).unlink(missing_ok=True)


def pieces_of(private: Path, subject: str) -> Iterator[dict[str, Any]]:
    """Read the pieces of one subject, sorted by image; a damaged one is left out."""
    folder = private / FOLDER / "pieces" / f"sub-{subject}"
    for path in sorted(folder.rglob("*.json")):
        piece = _read(path)
        if piece is not None:
            yield piece


def write_subject_page(
    private: Path, subject: str, *, planned: Collection[str] | None = None
) -> Path | None:
    """Write the page of one participant.

    Parameters
    ----------
    private : Path
        ``OUTPUT/private``.
    subject : str
        Label without ``sub-``.
    planned : collection of str, optional
        Images that the input has; pieces of others are removed.

    Returns
    -------
    Path or None
        None if the participant has no piece; an older page is then removed.
    """
    target = private / FOLDER / f"sub-{subject}.html"
    summary = private / FOLDER / "summaries" / f"sub-{subject}.json"
    pieces = []
    for piece in pieces_of(private, subject):
        if planned is None or piece["image"] in planned:
            pieces.append(piece)
        else:
            forget_piece(private, piece["image"])
    if not pieces:
        target.unlink(missing_ok=True)
        summary.unlink(missing_ok=True)
        return None
    write_text(target, render_subject(f"sub-{subject}", pieces))
    write_json(summary, _summary(f"sub-{subject}", pieces))
    return target


def write_index(private: Path) -> Path | None:
    """Write the list of all participants' pages; None if there is none."""
    folder = private / FOLDER
    found = [_read(path) for path in sorted((folder / "summaries").glob("*.json"))]
    people = [entry for entry in found if entry is not None]
    if not people:
        return None
    people.sort(key=lambda entry: (entry["withheld"] == 0, entry["name"]))
    text = _template("qc_index.html.j2").render(
        people=people,
        images=sum(entry["images"] for entry in people),
        withheld=sum(entry["withheld"] for entry in people),
    )
    write_text(folder / "index.html", text)
    return folder / "index.html"


def render_subject(name: str, pieces: list[dict[str, Any]]) -> str:
    """Render one participant's page; withheld images, which need a look most, come first."""
    from markupsafe import Markup

    ordered = sorted(pieces, key=lambda piece: (piece["released"], piece["image"]))
    turnable = any(piece["volumes"] for piece in ordered)
    viewer = packaged_path(VIEWER).read_text(encoding="utf-8") if turnable else ""
    return _template("qc.html.j2").render(
        name=name,
        pieces=ordered,
        summary=_summary(name, pieces),
        status=STATUS_WORDS,
        # Packaged, its digest checked just now; it holds no closing tag (see the tests).
        viewer=Markup(viewer),  # noqa: S704
    )


def _summary(name: str, pieces: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "images": len(pieces),
        "withheld": sum(not piece["released"] for piece in pieces),
        "overruled": sum(bool(piece["overruled"]) for piece in pieces),
        "contrasts": sorted({str(piece["contrast"]) for piece in pieces}),
        "front": next(
            (
                render[stage]
                for stage in ("after", "before")
                for piece in pieces
                for render in piece["renders"][:1]
                if render[stage]
            ),
            None,
        ),
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _template(name: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("anonymi_bids.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)
