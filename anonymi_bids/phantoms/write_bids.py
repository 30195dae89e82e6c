"""Write digital scans as a BIDS dataset, and the truth about them beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.io.atomic import atomic_path, write_json, write_text
from anonymi_bids.io.images import write_image
from anonymi_bids.phantoms.person import Person
from anonymi_bids.phantoms.records import Phantom

_SUFFIX = {"PD": "PDw", "CT": "ct"}

CREDITS = (
    "Digital people: heads of nobody. Skin: identities drawn from the ICT Face Model Light "
    "(ICT-FaceKit, USC Institute for Creative Technologies, MIT licence). Inside: label heads "
    "Angel001 (Torrado-Carvajal 2015) and DCA (CMA at MGH, NIH R21EB016449) of the A. A. Martinos "
    "Center, MGH phantom designs, warped to that skin."
)
"""Sources that travel with every study."""


def bids_stem(subject: str, session: str | None, contrast: str) -> tuple[str, str]:
    """Folder below the dataset and file name without extension of a scan."""
    middle = "" if session is None else f"_ses-{session}"
    folder = f"sub-{subject}" + ("" if session is None else f"/ses-{session}")
    kind = "ct" if contrast == "CT" else "anat"
    return f"{folder}/{kind}", f"sub-{subject}{middle}_{_SUFFIX.get(contrast, contrast)}"


def write_scan(root: Path, folder: str, stem: str, phantom: Phantom, content: Any) -> Path:
    """Write image (int16) and sidecar.

    Returns
    -------
    Path
        Of the image.
    """
    path = root / folder / f"{stem}.nii.gz"
    stored = np.clip(np.rint(phantom.image.data), -1024, 32767).astype(np.int16)
    write_image(path, stored, phantom.image.affine)
    write_json(root / folder / f"{stem}.json", content)
    return path


def write_truth(root: Path, stem: str, phantom: Phantom, origin: Mapping[str, Any]) -> None:
    """Write labels, landmarks and skin of a scan: ``_dseg.nii.gz``, ``.json``, ``_skin.npz``.

    `origin` tells which scan of which person it is; it goes into the JSON file.
    """
    write_image(root / f"{stem}_dseg.nii.gz", phantom.labels.data, phantom.labels.affine)
    write_json(root / f"{stem}.json", {**phantom.truth(), **origin})
    with atomic_path(root / f"{stem}_skin.npz") as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            vertices=phantom.vertices.astype(np.float32),
            triangles=phantom.triangles.astype(np.uint16),
        )


def write_dataset_files(
    root: Path,
    people: Iterable[tuple[str, Person]],
    scans: Iterable[tuple[str, str | None, str, str]],
) -> None:
    """Write what a dataset needs beside its images.

    Parameters
    ----------
    root : Path
    people : iterable of (subject label, Person)
    scans : iterable of (subject label, session label, path below the subject or session, time)
    """
    write_json(
        root / "dataset_description.json",
        {
            "Name": "Digital people",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "Authors": ["anonymi_bids"],
            "Acknowledgements": CREDITS,
            "GeneratedBy": [{"Name": "anonymi-bids-phantoms"}],
        },
    )
    write_text(root / "README", f"# Digital people\n\n{CREDITS}\n")
    lines = ["participant_id\tage\tsex"]
    lines += [f"sub-{label}\t{person.age}\t{person.sex}" for label, person in people]
    write_text(root / "participants.tsv", "\n".join(lines) + "\n")
    write_json(
        root / "participants.json",
        {
            "age": {"Description": "age at the first visit", "Units": "year"},
            "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
        },
    )
    tables: dict[Path, list[str]] = {}
    ignored = False
    for subject, session, path, moment in scans:
        folder = root / f"sub-{subject}"
        name = f"sub-{subject}_scans.tsv"
        if session is not None:
            folder, name = folder / f"ses-{session}", f"sub-{subject}_ses-{session}_scans.tsv"
        if path.startswith("ct/"):
            ignored = True
            continue
        tables.setdefault(folder / name, ["filename\tacq_time"]).append(f"{path}\t{moment}")
    for table, rows in tables.items():
        write_text(table, "\n".join(rows) + "\n")
    if ignored:
        write_text(root / ".bidsignore", "**/ct\n*_ct.*\n")
