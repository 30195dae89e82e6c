"""Write the cleaned files that go with an image to where they wait for its verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from anonymi_bids.bids.plan import REQUIRED_COMPANIONS, companion_path
from anonymi_bids.bids.sidecar import clean_sidecar
from anonymi_bids.bids.tables import clean_aslcontext, clean_events, clean_gradients
from anonymi_bids.bids.validity import check_image, missing_fields
from anonymi_bids.errors import ImageError
from anonymi_bids.io.atomic import write_json, write_text
from anonymi_bids.io.canary import clear_text
from anonymi_bids.io.images import open_scan
from anonymi_bids.io.tsv import read_tsv
from anonymi_bids.model import Entities, InputImage


def stage_sidecar(cleaned: Mapping[str, Any], entities: Entities, folder: Path) -> dict[str, Path]:
    """Write a cleaned sidecar.

    Parameters
    ----------
    cleaned : mapping
        From `sidecar.clean_sidecar`.
    entities : Entities
        Release name of the image.
    folder : Path
        From `writer.incoming_folder`.

    Returns
    -------
    dict
        Path below ``release/`` → staged file.

    Raises
    ------
    ImageError
        If it lacks a field that BIDS requires: the release would not be valid.
    """
    missing = missing_fields(cleaned, entities)
    if missing:
        raise ImageError(
            f"BIDS requires {', '.join(missing)} of such an image, and its sidecar does not give "
            "it in a usable form; add it to the sidecar."
        )
    name = companion_path(entities, ".json")
    staged = folder / name.rsplit("/", 1)[-1]
    write_json(staged, dict(cleaned))
    return {name: staged}


def stage_companions(
    image: InputImage, folder: Path, *, needles: Iterable[str] = ()
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Clean and write gradients, events and the like of an image.

    Parameters
    ----------
    image : InputImage
    folder : Path
        From `writer.incoming_folder`.
    needles : iterable of str
        Texts that must not be in them.

    Returns
    -------
    files : dict
        Path below ``release/`` → staged file.
    faults : tuple of str
        Why a companion that BIDS can do without is left out, one sentence each.

    Raises
    ------
    ImageError
        If one that BIDS requires cannot be cleaned, or header, sidecar and companions do not fit
        together: the release would not be valid.
    UnreadableImage, UnusableAffine
        If the image cannot be opened.
    """
    files: dict[str, Path] = {}
    faults: list[str] = []
    n_rows: dict[str, int] = {}
    needles = tuple(needles)
    kind = (image.entities.datatype, image.entities.suffix)
    for key, source in sorted(image.companions.items()):
        name = companion_path(image.entities, key)
        try:
            text = _cleaned(key, source)
            clearance = clear_text(name, text, needles)
            if not clearance.passed:
                raise ImageError(f"The cleaned {key} file still holds texts of the input.")
        except ImageError as error:
            if key in REQUIRED_COMPANIONS.get(kind, ()):
                raise
            faults.append(str(error))
            continue
        staged = folder / name.rsplit("/", 1)[-1]
        write_text(staged, text)
        files[name] = staged
        if key in _N_VOLUMES:
            n_rows[key.lstrip("_")] = _N_VOLUMES[key](text)
    sidecar = clean_sidecar(image.sidecar, entities=image.entities, seed=0)
    check_image(open_scan(image.source), image.entities, sidecar, n_rows)
    return files, tuple(faults)


_N_VOLUMES: Mapping[str, Callable[[str], int]] = {
    ".bval": lambda text: len(text.split()),
    ".bvec": lambda text: len(text.split()) // 3,
    "_aslcontext.tsv": lambda text: text.count("\n") - 1,
}
"""How many volumes the text of a cleaned companion describes."""


def _cleaned(key: str, source: str) -> str:
    if key in (".bval", ".bvec"):
        return clean_gradients(source, 1 if key == ".bval" else 3)
    table = read_tsv(source)
    return {"_events.tsv": clean_events, "_aslcontext.tsv": clean_aslcontext}[key](table)
