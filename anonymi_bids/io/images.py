"""Read and write NIfTI images; stored values stay raw, so untouched voxels stay identical.

Layout of the header: NIfTI-1 and NIfTI-2 standards (https://nifti.nimh.nih.gov).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from isal import igzip, isal_zlib
from nibabel.spatialimages import HeaderDataError

from anonymi_bids.errors import UnreadableImage, UnusableAffine
from anonymi_bids.io.atomic import atomic_path
from anonymi_bids.model import Image

_DAMAGE: Any = (EOFError, OSError, zlib.error, isal_zlib.error)

MAX_VOXELS = 2**33
"""More voxels than this in one file are taken for a header that lies (64 GiB at 8 bytes)."""

KEPT_FIELDS = (
    "dim_info",
    "dim",
    "datatype",
    "bitpix",
    "pixdim",
    "scl_slope",
    "scl_inter",
    "xyzt_units",
    "slice_start",
    "slice_end",
    "slice_code",
    "slice_duration",
    "toffset",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)
"""Header fields that describe geometry, type and timing; all others are left at their default."""


@dataclass(frozen=True)
class Scan:
    """A NIfTI file that was opened and whose header was checked; voxels are read on demand.

    Attributes
    ----------
    path : Path
    header : nibabel header
        As stored.
    affine : (4, 4) float64 ndarray
        Voxel → mm, RAS+.
    shape : tuple of int
        Three or four axes; trailing axes of length 1 beyond the third are dropped.
    dtype : numpy dtype
        As stored, byte order included.
    """

    path: Path
    header: Any
    affine: npt.NDArray[np.float64]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n_volumes(self) -> int:
        """Number of 3-D volumes."""
        return int(np.prod(self.shape[3:], dtype=np.int64)) if len(self.shape) > 3 else 1

    @property
    def slope_inter(self) -> tuple[float, float]:
        """Scaling: value = raw · slope + inter."""
        slope, inter = self.header.get_slope_inter()
        return (1.0 if slope is None else float(slope), 0.0 if inter is None else float(inter))


def open_scan(path: str | Path) -> Scan:
    """Open a NIfTI file and check its header.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz``.

    Returns
    -------
    Scan

    Raises
    ------
    UnreadableImage
        If it is no NIfTI file or its header lies about type or size.
    UnusableAffine
        If neither qform nor sform places it in space.
    """
    path = Path(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise UnreadableImage("The file is not a NIfTI image; only .nii and .nii.gz are read.")
    try:
        header = _read_header(path)
        shape = tuple(int(n) for n in header.get_data_shape())
        dtype = np.dtype(header.get_data_dtype()).newbyteorder(header.endianness)
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        header.get_slope_inter()
        int(header["vox_offset"])
    except (*_DAMAGE, HeaderDataError, ValueError, OverflowError) as error:
        raise UnreadableImage(
            "The file is not a readable NIfTI image, or ends early; copy it again from its source."
        ) from error
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 3 or min(shape) < 1 or np.prod(shape, dtype=np.float64) > MAX_VOXELS:
        raise UnreadableImage(
            f"The header gives an image of shape {shape}; a 3-D or 4-D image of a plausible size "
            "was expected."
        )
    if dtype.names is not None or dtype.kind not in "iuf":
        raise UnreadableImage(
            "The image stores colours or complex numbers; real numbers were expected, so it was "
            "probably derived from a scan and cannot be checked for a face."
        )
    _check_affine(header, affine)
    return Scan(path, header, affine, shape, dtype)


def _read_header(path: Path) -> Any:
    """Read the header as it is stored.

    `nibabel.load` blanks scaling and data offset in the header it gives; both are needed here.
    """
    with _open_raw(path) as stream:
        block = stream.read(540)
    for kind in (nib.Nifti1Header, nib.Nifti2Header):
        length = kind.sizeof_hdr
        if len(block) >= length and int.from_bytes(block[:4], "little") in (
            length,
            int.from_bytes(length.to_bytes(4, "little"), "big"),
        ):
            header = kind(block[:length], check=False)
            if bytes(header["magic"].item())[:3] in (b"n+1", b"n+2"):
                return header
    raise ValueError


def _check_affine(header: Any, affine: npt.NDArray[np.float64]) -> None:
    """Raise unless the header places the image in space by a valid qform or sform."""
    placed = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not np.all(np.isfinite(affine)) or not placed or np.any(sizes < 0.05) or np.any(sizes > 20):
        raise UnusableAffine(
            "The header does not say where the voxels lie (no valid qform or sform, or voxels "
            "outside 0.05 to 20 mm); convert the image again from DICOM."
        )
    determinant = float(np.linalg.det(affine[:3, :3] / sizes))
    if abs(determinant) < 0.2:
        raise UnusableAffine(
            "The axes in the header are nearly parallel, so voxels have no place in space; "
            "convert the image again from DICOM."
        )


def iter_volumes(scan: Scan) -> Iterator[npt.NDArray[Any]]:
    """Read the volumes of a file one after the other, as stored (no scaling).

    Yields
    ------
    (I, J, K) ndarray
        Raw values in the stored type, Fortran order. Memory does not grow with the number of
        volumes.

    Raises
    ------
    UnreadableImage
        If the file ends before the header says so, or its compression is damaged.
    """
    shape = scan.shape[:3]
    n_bytes = int(np.prod(shape, dtype=np.int64)) * scan.dtype.itemsize
    try:
        with _open_raw(scan.path) as stream:
            _skip(stream, max(int(scan.header["vox_offset"]), scan.header.sizeof_hdr))
            for _ in range(scan.n_volumes):
                content = _read_exactly(stream, n_bytes)
                yield np.frombuffer(content, dtype=scan.dtype).reshape(shape, order="F")
    except _DAMAGE as error:
        raise UnreadableImage(
            "The file ends early or its compression is damaged; copy it again from its source."
        ) from error


@contextmanager
def _open_raw(path: Path) -> Iterator[IO[bytes]]:
    opener: Callable[..., Any] = igzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        yield stream


def _read_exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    content = stream.read(n_bytes)
    if len(content) != n_bytes:
        raise EOFError
    return content


def _skip(stream: IO[bytes], n_bytes: int) -> None:
    _read_exactly(stream, n_bytes)


def read_image(path: str | Path) -> Image:
    """Read one 3-D image, or the mean of a series, as scaled float32.

    Returns
    -------
    Image
        ``data`` (I, J, K) float32, scaled by the header, NaN and infinities kept.

    Raises
    ------
    UnreadableImage, UnusableAffine
    """
    scan = open_scan(path)
    return Image(mean_volume(scan), scan.affine)


def mean_volume(scan: Scan) -> npt.NDArray[np.float32]:
    """Mean of all volumes of a scan, (I, J, K) float32, scaled; read as a stream."""
    slope, inter = scan.slope_inter
    total: npt.NDArray[np.float64] | None = None
    for volume in iter_volumes(scan):
        if scan.n_volumes == 1:
            return (volume.astype(np.float32) * np.float32(slope) + np.float32(inter)).astype(
                np.float32
            )
        total = volume.astype(np.float64) if total is None else total + volume
    assert total is not None  # noqa: S101 - n_volumes is at least 1
    return (total / scan.n_volumes * slope + inter).astype(np.float32)


def read_mask(path: str | Path) -> npt.NDArray[np.bool_]:
    """Read a mask image, (I, J, K) bool."""
    return read_image(path).data > 0.5


def clean_header(header: Any, n_volumes: int | None = None) -> Any:
    """Make a new header that holds geometry, type, scaling and timing, and no text at all.

    Parameters
    ----------
    header : nibabel NIfTI header
    n_volumes : int, optional
        Replaces the number of volumes.
    """
    fresh = type(header)(endianness="<")
    for name in KEPT_FIELDS:
        fresh[name] = header[name]
    if n_volumes is not None:
        dim = np.array(fresh["dim"])
        dim[0] = 3 if n_volumes == 1 else 4
        dim[4:] = 1
        dim[4] = n_volumes
        fresh["dim"] = dim
    elif int(fresh["dim"][0]) > 3 and not np.any(np.asarray(fresh["dim"])[4:8] > 1):
        fresh["dim"][0] = 3  # an axis of length 1 is none, and BIDS asks for three of a T1w
    fresh["magic"] = b"n+1" if int(fresh["sizeof_hdr"]) == 348 else b"n+2"
    fresh["vox_offset"] = int(fresh["sizeof_hdr"]) + 4
    return fresh


def write_volumes(
    path: str | Path, header: Any, dtype: np.dtype[Any], volumes: Iterable[npt.NDArray[Any]]
) -> None:
    """Write raw volumes one after the other behind a clean header; atomic, reproducible bytes.

    Parameters
    ----------
    path : path
        ``.nii`` or ``.nii.gz``. The gzip stream carries no name and no time.
    header : nibabel NIfTI header
        From `clean_header`.
    dtype : numpy dtype
        Type of the stored values; written little-endian.
    volumes : iterable of (I, J, K) ndarray
        Raw values.
    """
    path = Path(path)
    stored = np.dtype(dtype).newbyteorder("<")
    with atomic_path(path) as temporary:
        with temporary.open("wb") as plain:
            if path.suffix == ".gz":
                # Level 2 is as small as zlib's 6 within 5 % and about twenty times as fast.
                with igzip.IGzipFile(
                    filename="", mode="wb", compresslevel=2, fileobj=plain, mtime=0
                ) as packed:
                    _write_all(packed, header, stored, volumes)
            else:
                _write_all(plain, header, stored, volumes)


def _write_all(
    stream: Any, header: Any, stored: np.dtype[Any], volumes: Iterable[npt.NDArray[Any]]
) -> None:
    stream.write(header.binaryblock)
    stream.write(b"\0\0\0\0")
    for volume in volumes:
        stream.write(np.asarray(volume).astype(stored, copy=False).tobytes(order="F"))


def write_image(path: str | Path, data: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> None:
    """Write an array as a fresh NIfTI-1 image; bool becomes uint8, float64 becomes float32."""
    if data.dtype == np.bool_:
        data = data.astype(np.uint8)
    elif data.dtype == np.float64:
        data = data.astype(np.float32)
    elif data.dtype == np.int64:
        data = data.astype(np.int32)
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_zooms(tuple(np.sqrt((affine[:3, :3] ** 2).sum(axis=0))) + (1.0,) * (data.ndim - 3))
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header.set_xyzt_units("mm", "sec")
    header.set_slope_inter(1, 0)
    fresh = clean_header(header)
    volumes = [data] if data.ndim == 3 else [data[..., t] for t in range(data.shape[3])]
    write_volumes(path, fresh, data.dtype, volumes)


def sha256_of(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
