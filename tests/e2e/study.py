"""Small studies of digital heads, and the command run on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import nibabel as nib
import numpy as np

from anonymi_bids.core.mask import head_mask
from anonymi_bids.phantoms.quick import quick_head

SPACING_MM = 3.0


def command(*args: object) -> list[str]:
    return [sys.executable, "-m", "anonymi_bids", *map(str, args)]


def run(
    *args: object, timeout: float = 900, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``anonymi-bids`` as its users do: in a process of its own."""
    return subprocess.run(
        command(*args), capture_output=True, text=True, timeout=timeout, check=False, env=env
    )


def describe(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return root


def put(root: Path, name: str, data: np.ndarray, affine: np.ndarray, **sidecar: object) -> Path:
    """Write an image and its sidecar into a BIDS dataset."""
    path = root / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header["pixdim"][4] = sidecar["RepetitionTime"]
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.to_filename(path)
    (root / f"{name}.json").write_text(json.dumps(sidecar))
    return path


def put_head(
    root: Path,
    name: str,
    contrast: str = "T1w",
    seed: int = 0,
    *,
    spacing_mm: float = SPACING_MM,
    **sidecar: object,
) -> Path:
    head = quick_head(spacing_mm, contrast, seed)
    data = np.clip(head.image.data, 0, 4000).astype(np.int16)
    return put(root, name, data, head.image.affine, **sidecar)


def changed_session(
    tmp_path: Path,
    method: str,
    *,
    suffixes: tuple[str, ...] = ("T1w", "T2w"),
    spacing_mm: float = SPACING_MM,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """De-identify images of one head; nothing but the told region may have changed.

    Yields the head before, the head after and the told region, bool, for each image.
    """
    source = describe(tmp_path / "in")
    for suffix in suffixes:
        seed, echo_s = {"T1w": (8, 0.003), "T2w": (9, 0.09)}[suffix]
        name = f"sub-01/anat/sub-01_{suffix}"
        put_head(source, name, suffix, seed, spacing_mm=spacing_mm, EchoTime=echo_s)
    released = tmp_path / "out/release/sub-01/anat"
    result = run(source, tmp_path / "out", "participant", "--seed", 9, "--method", method)
    assert result.returncode == 0, result.stdout + result.stderr
    for suffix in suffixes:
        before = nib.load(source / f"sub-01/anat/sub-01_{suffix}.nii.gz")
        after = nib.load(released / f"sub-01_{suffix}.nii.gz")
        mask = nib.load(released / f"sub-01_mod-{suffix}_defacemask.nii.gz")
        changed = np.asarray(mask.dataobj) > 0
        first, second = np.asarray(before.dataobj), np.asarray(after.dataobj)
        np.testing.assert_array_equal(first[~changed], second[~changed])
        yield head_mask(first, before.affine), head_mask(second, before.affine), changed
        sidecar = json.loads((released / f"sub-01_{suffix}.json").read_text())
        assert method in json.dumps(sidecar["DeidentificationMethod"])


def listing(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def digests(root: Path) -> dict[str, str]:
    return {name: sha256((root / name).read_bytes()).hexdigest() for name in listing(root)}


def table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a TSV by its first column."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[1:]}


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}
