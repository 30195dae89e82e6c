"""A tiny BIDS dataset that grows call by call, and a stand-in for what lies before the door."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from anonymi_bids.bids import writer
from anonymi_bids.bids.dataset import assemble, finish_subject, write_piece
from anonymi_bids.bids.entities import defacemask_entities
from anonymi_bids.bids.outcomes import write_outcome, write_plan_outcomes
from anonymi_bids.bids.plan import DatasetPlan
from anonymi_bids.bids.sidecar import clean_sidecar
from anonymi_bids.bids.stage import stage_companions, stage_sidecar
from anonymi_bids.bids.tables import participant
from anonymi_bids.io.images import (
    clean_header,
    iter_volumes,
    open_scan,
    write_image,
    write_volumes,
)
from anonymi_bids.io.tsv import read_tsv
from anonymi_bids.model import REQUIRED_GATES, FileFate, Finding, InputImage, Verdict
from anonymi_bids.settings import Settings

DIGESTS = {"input_digest": "1" * 64, "settings_digest": "2" * 64}


class Study:
    """A BIDS dataset on disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)

    def text(self, path: str, content: str = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        return target

    def json(self, path: str, **content: Any) -> Path:
        return self.text(path, json.dumps(content))

    def image(self, path: str, shape: tuple[int, ...] = (4, 5, 6), seed: int = 0) -> Path:
        target = self.root / path
        data = np.random.default_rng(seed).integers(0, 999, shape).astype(np.int16)
        header = nib.Nifti1Header(endianness="<")
        header.set_data_dtype(data.dtype)
        header.set_data_shape(shape)
        header.set_zooms((2.0, 2.0, 2.0, 2.0)[: len(shape)])
        header.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]), code=1)
        header.set_xyzt_units("mm", "sec")
        volumes = [data] if data.ndim == 3 else [data[..., t] for t in range(shape[3])]
        write_volumes(target, clean_header(header), data.dtype, volumes)
        return target


def passed(main: str) -> Verdict:
    findings = tuple(Finding(gate, "passed", None, None, "Fine.") for gate in REQUIRED_GATES)
    return Verdict(main, findings)


def stage(image: InputImage, output: Path, *, seed: int = 0) -> writer.StagedImage:
    """Stage an image as the pipeline would, with random voxels in place of the defaced ones."""
    folder = writer.incoming_folder(output, image.entities.path)
    cleaned = clean_sidecar(image.sidecar, entities=image.entities, seed=seed)
    files = stage_sidecar(cleaned, image.entities, folder)
    files |= stage_companions(image, folder)[0]
    main = folder / ("image" + image.entities.extension)
    scan = open_scan(image.source)
    defaced = (np.where(volume > 500, 0, volume) for volume in iter_volumes(scan))
    write_volumes(main, clean_header(scan.header), scan.dtype, defaced)
    files[image.entities.path] = main
    mask = defacemask_entities(image.entities)
    if mask is not None:
        write_image(folder / "mask.nii.gz", np.ones(scan.shape[:3], bool), scan.affine)
        files[mask.path] = folder / "mask.nii.gz"
    return writer.StagedImage(image.entities.path, files)


Withhold = Callable[[str], bool]


def run(
    plan: DatasetPlan, output: Path, *, seed: int = 0, withhold: Withhold = lambda path: False
) -> tuple[FileFate, ...]:
    """All that the participant level does around this room, without its science."""
    write_plan_outcomes(output, plan)
    for session in plan.sessions:
        fates = list(session.other_files)
        for image in session.images:
            path = image.entities.path
            if withhold(path):
                writer.withdraw(output, path)
                fates.append(FileFate(plan.inputs[path], "withheld", "A gate failed."))
                continue
            if not writer.already_released(output, path, *DIGESTS.values()):
                writer.release(stage(image, output, seed=seed), passed(path), output, DIGESTS)
            fates.append(FileFate(plan.inputs[path], "changed", "", path))
        write_outcome(output, session.name, fates)
    settings = Settings().metadata
    for source, label in plan.labels.items():
        if "participants.tsv" in plan.sources:
            table = read_tsv(plan.sources["participants.tsv"])
            write_piece(output, label, participant(table, source, settings))
        withheld = finish_subject(output, plan, source, seed=seed)
        if withheld:
            write_outcome(output, f"sub-{label}_tables", withheld)
    return assemble(output)


def listing(folder: Path) -> Mapping[str, bytes]:
    """All files below a folder with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
