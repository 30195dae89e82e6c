"""Features of an image that the attacks compare; biometric, so they lie in ``private/`` only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.brains import air_row, brain_rows
from anonymi_bids.audit.faces import face_maps
from anonymi_bids.errors import ImageError
from anonymi_bids.io.atomic import atomic_path
from anonymi_bids.model import Image

if TYPE_CHECKING:
    from anonymi_bids.head.atlas import Atlas

Features = dict[str, npt.NDArray[np.float16]]

KINDS = ("original", "second", "released")
"""``second``: a simulated second visit, where a person came only once."""

VERSION = 1


@dataclass(frozen=True, slots=True)
class FeatureMeta:
    """Whose features these are.

    Attributes
    ----------
    subject, session : str
        Labels of the release; ``session`` is empty where there is none.
    contrast : str
        BIDS suffix, ``T1w``.
    kind : {"original", "second", "released"}
    stem : str
        Name of the image in the release, without extension.
    """

    subject: str
    session: str
    contrast: str
    kind: str
    stem: str

    @property
    def simulated(self) -> bool:
        """Whether this is a simulated second visit."""
        return self.kind == "second"


def extract_features(
    image: Image, atlas: Atlas, atlas_to_image: npt.NDArray[np.float64], *, seed: int
) -> Features:
    """Turn an image into what the attacks compare.

    Parameters
    ----------
    image : Image
        3-D (mean of a series), float.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray
        Atlas mm → mm of the image.
    seed : int
        Chooses the control points in the air; the same for all images of a run.

    Returns
    -------
    dict of float16 ndarray
        ``brain``, ``brain_high``, ``brain_edges`` (V,): see `brains.brain_rows`; ``air`` (2000,):
        a control; ``depth`` and ``head`` (3, rows, columns), ``skin_gap`` (1,): see
        `faces.face_maps`.
    """
    return {
        **brain_rows(image, atlas, atlas_to_image),
        "air": air_row(image, atlas, atlas_to_image, seed=seed),
        **face_maps(image, atlas, atlas_to_image),
    }


def feature_path(features_dir: Path, kind: str, stem: str) -> Path:
    """Where the features of one image lie."""
    return features_dir / kind / f"{stem}.npz"


def save_features(features_dir: Path, meta: FeatureMeta, features: Mapping[str, Any]) -> Path:
    """Write features; the same features give the same bytes.

    Parameters
    ----------
    features_dir : Path
        ``OUTPUT/private/features``; the file lies at ``<kind>/<stem>.npz`` below it.
    meta : FeatureMeta
    features : mapping of str to ndarray

    Returns
    -------
    Path
    """
    path = feature_path(features_dir, meta.kind, meta.stem)
    described = json.dumps({"version": VERSION, **asdict(meta)}, sort_keys=True)
    content = dict(features) | {"meta": np.frombuffer(described.encode(), dtype=np.uint8)}
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name in sorted(content):
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(content[name]))
            # zipfile would write the clock's time.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            packed.writestr(entry, stream.getvalue())
    return path


@contextmanager
def open_features(path: Path) -> Iterator[tuple[FeatureMeta, Mapping[str, Any]]]:
    """Open a feature file; each array is read only when it is asked for.

    Yields
    ------
    meta : FeatureMeta
    features : mapping of str to ndarray

    Raises
    ------
    ImageError
        If the file is damaged or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as packed:
            described = json.loads(packed["meta"].tobytes())
            version = described.pop("version")
            if version != VERSION:
                raise ImageError(
                    "The audit's features are of another version of this program; delete "
                    "private/features and start again."
                )
            yield FeatureMeta(**described), packed
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        raise ImageError(
            "The audit's features of one image are damaged; delete private/features and start "
            "again."
        ) from error


def load_features(path: Path) -> tuple[FeatureMeta, Features]:
    """Read all features of an image and whose they are.

    Raises
    ------
    ImageError
        If the file is damaged or of another version.
    """
    with open_features(path) as (meta, packed):
        return meta, {name: packed[name] for name in packed if name != "meta"}


def find_features(folder: Path) -> Path | None:
    """Find the features of an earlier run in a folder.

    Parameters
    ----------
    folder : Path
        The features themselves, the run's ``private/`` or its OUTPUT.

    Returns
    -------
    Path or None
        None if there are none.
    """
    for place in (folder, folder / "features", folder / "private" / "features"):
        if any(list_features(place, kind) for kind in KINDS):
            return place
    return None


def list_features(features_dir: Path, kind: str) -> list[Path]:
    """List the feature files of one kind, sorted by name."""
    return sorted((features_dir / kind).glob("*.npz"))
