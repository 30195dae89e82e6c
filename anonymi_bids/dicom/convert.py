"""Convert one series by dcm2niix, through its Nipype interface, in a private folder.

dcm2niix sees links with numbers for names only, so no text of a path can reach its outputs, and
only the files of this series. Every file it writes is accounted for.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anonymi_bids.dicom.repair import find_gaps, write_filled
from anonymi_bids.dicom.sort import Series
from anonymi_bids.errors import ImageError, SpaceError, ToolError
from anonymi_bids.io.atomic import space_errors
from anonymi_bids.io.images import open_scan

STEM = "image"
"""What dcm2niix is told to call its outputs."""


MIN_FREE_BYTES = 1 << 20
"""With less space left, dcm2niix may have cut an image short without a word."""


@dataclass(frozen=True, slots=True)
class Converted:
    """One image that dcm2niix wrote.

    Attributes
    ----------
    path : Path
        ``.nii.gz``.
    postfix : str
        What dcm2niix added to the name: empty for the main image, else ``e2``, ``ph``, ``Eq_1``,
        ``ROI1`` …
    sidecar : mapping
        Its JSON, or that of the main image where it has none.
    bval, bvec : Path or None
    shape : tuple of int
        Three or four axes; empty if the image cannot be used.
    problem : str
        Sentence why it cannot be used; empty if it can.
    filled : int
        Missing slices that were filled from their neighbours.
    """

    path: Path
    postfix: str
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    bval: Path | None = None
    bvec: Path | None = None
    shape: tuple[int, ...] = ()
    problem: str = ""
    filled: int = 0

    @property
    def n_slices(self) -> int:
        """Slices of all volumes."""
        count = 1
        for size in self.shape[2:]:
            count *= size
        return count if self.shape else 0


def find_dcm2niix() -> str:
    """Path of the dcm2niix of the PyPI package, or else of the one on PATH.

    Raises
    ------
    ToolError
        If there is neither.
    """
    try:
        import dcm2niix

        packaged = str(dcm2niix.bin)
    except (ImportError, AttributeError):
        packaged = ""
    found = packaged if os.access(packaged, os.X_OK) else shutil.which("dcm2niix")
    if not found:
        raise ToolError(
            "The DICOM converter dcm2niix is missing; install it with `pip install dcm2niix`."
        )
    return found


def convert_series(series: Series, folder: Path) -> list[Converted]:
    """Convert the files of one series.

    Parameters
    ----------
    series : Series
    folder : Path
        Private, made here; must be empty or absent.

    Returns
    -------
    list of Converted
        Sorted by postfix, the main image first; empty if dcm2niix made nothing of the files.

    Raises
    ------
    ToolError
        If dcm2niix is missing.
    SpaceError
        If the disk is full.
    """
    source, target = folder / "in", folder / "out"
    with space_errors("a converted series"):
        for part in (source, target):
            part.mkdir(parents=True)
        for number, file in enumerate(series.files):
            _bring(file.path, source / f"{number:06d}")
    finished = run_dcm2niix(source, target)
    shutil.rmtree(source)
    images = collect(target)
    failed = not finished or not images
    _check_space(target, 2 * sum(file.n_bytes for file in series.files) if failed else 0)
    if not finished:
        images = [replace(image, problem=image.problem or _UNFINISHED) for image in images]
    with space_errors("a converted series"):
        return [fill_gaps(series, image) if not image.postfix else image for image in images]


_UNFINISHED = "The converter ended with an error, so the image may not be whole."


def _check_space(folder: Path, needed: int) -> None:
    """Raise if less space is left than a conversion needs."""
    if shutil.disk_usage(folder).free < MIN_FREE_BYTES + needed:
        raise SpaceError(
            "The disk is full while DICOM was converted; free some space and start the same "
            "command again."
        )


def fill_gaps(series: Series, image: Converted) -> Converted:
    """Fill single missing slices of a stack; the image itself if none is missing or it cannot be.

    dcm2niix stacks the slices it has, so all behind a gap lie a step too near; its own remedy
    (``_Eq``) interpolates every slice. Filling the gap leaves all acquired slices as they are.
    """
    gaps = find_gaps(series, image.path) if len(image.shape) == 3 else None
    if gaps is None:
        return image
    target = image.path.with_name(f"{STEM}.filled.nii.gz")
    shape = write_filled(image.path, target, gaps)
    os.replace(target, image.path)
    return replace(image, shape=shape, filled=sum(gaps.missing))


def _bring(original: Path, link: Path) -> None:
    """Link a file, or copy it where links are impossible; the input itself stays untouched."""
    try:
        link.symlink_to(original)
    except (OSError, NotImplementedError):
        shutil.copyfile(original, link)


def run_dcm2niix(source: Path, target: Path) -> bool:
    """Run dcm2niix on a folder; tell whether it ended without an error."""
    os.environ.setdefault("NIPYPE_NO_ET", "1")  # Nipype must not ask the network for news
    from nipype.interfaces.dcm2nii import Dcm2niix

    class QuotedDcm2niix(Dcm2niix):
        """Dcm2niix whose paths may hold blanks; outputs are collected by `collect`."""

        def _format_arg(self, opt: str, spec: Any, val: Any) -> str:
            if opt in ("source_dir", "output_dir"):
                return str(spec.argstr % shlex.quote(str(val)))
            return str(super()._format_arg(opt, spec, val))

        def _parse_stdout(self, stdout: str) -> list[str]:
            return []

    converter = QuotedDcm2niix(
        command=shlex.quote(find_dcm2niix()),
        source_dir=str(source),
        output_dir=str(target),
        out_filename=STEM,
        bids_format=True,
        anon_bids=True,
        compress="i",
        compression=1,
        merge_imgs=2,
        args="-g i -d 0",
        terminal_output="allatonce",
    )
    try:
        converter.run(cwd=str(target))
        return True
    except OSError as error:
        if "No command" in str(error) or "not found" in str(error):
            raise ToolError(
                "The DICOM converter dcm2niix cannot be started; install it again."
            ) from error
        raise
    except RuntimeError:
        return False


def collect(folder: Path) -> list[Converted]:
    """Account for everything dcm2niix wrote into a folder."""
    images = sorted(folder.glob("*.nii.gz")) + sorted(folder.glob("*.nii"))
    main = _sidecar(folder / f"{STEM}.json")
    converted = []
    for path in images:
        stem = path.name.removesuffix(".gz").removesuffix(".nii")
        own = folder / f"{stem}.json"
        base = folder / f"{stem.split('_Eq_')[0].split('_Tilt_')[0]}.json"
        sidecar = _sidecar(own) or _sidecar(base) or main
        shape, problem = _look(path)
        converted.append(
            Converted(
                path=path,
                postfix=stem.removeprefix(STEM).lstrip("_"),
                sidecar=sidecar,
                bval=_existing(folder / f"{stem}.bval"),
                bvec=_existing(folder / f"{stem}.bvec"),
                shape=shape,
                problem=problem,
            )
        )
    return sorted(converted, key=lambda entry: entry.postfix)


def _look(path: Path) -> tuple[tuple[int, ...], str]:
    try:
        return open_scan(path).shape, ""
    except ImageError as error:
        return (), str(error)


def _sidecar(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
