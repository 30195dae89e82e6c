"""A painted head, de-identified, and a context for the gates that can be bent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.deface.apply import deface_scan
from anonymi_bids.deface.mask import DefaceRegion, build_region
from anonymi_bids.gates.context import GateContext
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.head.locate import find_head
from anonymi_bids.io.images import (
    clean_header,
    iter_volumes,
    open_scan,
    read_image,
    write_image,
    write_volumes,
)
from anonymi_bids.model import Carry, HeadFit
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom
from anonymi_bids.settings import GateSettings

SPACING_MM = 2.5
REFERENCE = Carry(np.eye(4), 1.0, True, "This is the reference of its session.")


@dataclasses.dataclass(frozen=True)
class Made:
    """One image before and after."""

    folder: Path
    phantom: Phantom
    fit: HeadFit
    region: DefaceRegion

    @property
    def before(self) -> Path:
        return self.folder / "before.nii.gz"

    @property
    def after(self) -> Path:
        return self.folder / "after.nii.gz"

    @property
    def mask(self) -> Path:
        return self.folder / "mask.nii.gz"

    def context(self, **changes: Any) -> GateContext:
        values: dict[str, Any] = {
            "before_file": self.before,
            "after_file": self.after,
            "mask_file": self.mask,
            "sidecar": {"EchoTime": 0.003},
            "release_path": "sub-01/anat/sub-01_T1w.nii.gz",
            "fit": self.fit,
            "carry": REFERENCE,
            "atlas_to_image": self.fit.atlas_to_image,
            "needles": ("Mustermann", "19610307"),
            "settings": GateSettings(),
            "ears": True,
            "allowed_keys": frozenset({"EchoTime", "Manufacturer"}),
        }
        return GateContext(**(values | changes))


def make(folder: Path, contrast: str, fit: HeadFit) -> Made:
    """Paint, store as int16, de-identify."""
    folder.mkdir(parents=True, exist_ok=True)
    phantom = quick_head(SPACING_MM, contrast, 3)
    stored = np.rint(phantom.image.data * 8).astype(np.int16)
    write_image(folder / "before.nii.gz", stored, phantom.image.affine)
    image = read_image(folder / "before.nii.gz")
    region = build_region(image, load_atlas(), fit.atlas_to_image, brain_margin_mm=5.0, ears=True)
    made = Made(folder, phantom, fit, region)
    deface_scan(made.before, made.after, made.mask, region, seed=1)
    return made


def rewrite(
    source: Path,
    target: Path,
    change: Callable[[int, np.ndarray], np.ndarray],
    header: Callable[[Any], None] = lambda header: None,
) -> Path:
    """Copy an image with changed raw volumes and header fields."""
    scan = open_scan(source)
    fresh = clean_header(scan.header)
    header(fresh)
    volumes = [change(n, volume.copy(order="F")) for n, volume in enumerate(iter_volumes(scan))]
    write_volumes(target, fresh, volumes[0].dtype, volumes)
    return target


@pytest.fixture(scope="session")
def fit() -> HeadFit:
    """Where the head is found in the T1w; both contrasts lie in the same place."""
    return find_head(quick_head(SPACING_MM, "T1w", 3).image, load_atlas(), seed=0)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, fit: HeadFit) -> Made:
    return make(tmp_path_factory.mktemp("t1w"), "T1w", fit)


@pytest.fixture(scope="session")
def made_t2w(tmp_path_factory: pytest.TempPathFactory, fit: HeadFit) -> Made:
    return make(tmp_path_factory.mktemp("t2w"), "T2w", fit)
