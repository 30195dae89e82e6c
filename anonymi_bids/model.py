"""Frozen records that travel between the rooms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Status = Literal["passed", "failed", "could_not_tell"]
HeadStatus = Literal["head", "defaced", "stripped", "partial", "no_head"]
Fate = Literal["released", "changed", "withheld"]

REQUIRED_GATES: tuple[str, ...] = (
    "head_found",
    "grid_unchanged",
    "outside_identical",
    "brain_untouched",
    "face_gone",
    "ears_gone",
    "all_volumes",
    "carry_agrees",
    "metadata_clean",
)
"""A verdict is passed only with one passed finding for each of these gates (design §10)."""

SURFACE_GATE = "surface_shown"
"""Asked as well where a surface is to be released."""


@dataclass(frozen=True, slots=True)
class Image:
    """An array and where it lies.

    Attributes
    ----------
    data : (I, J, K) ndarray
        Voxel values, any real dtype.
    affine : (4, 4) float64 ndarray
        Voxel → mm, RAS+.
    """

    data: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]

    @property
    def voxel_sizes(self) -> npt.NDArray[np.float64]:
        """Edge lengths of a voxel, (3,) mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A triangle mesh.

    Attributes
    ----------
    vertices : (n, 3) float64 ndarray
        mm of the scanner, RAS+.
    triangles : (m, 3) int64 ndarray
        Counter-clockwise seen from outside.
    """

    vertices: npt.NDArray[np.float64]
    triangles: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entities:
    """The BIDS name of a file, taken apart (BIDS specification, "Entities").

    ``others`` keeps all entities but subject and session in the order of the name.
    """

    subject: str
    session: str | None
    datatype: str
    suffix: str
    extension: str
    others: tuple[tuple[str, str], ...] = ()

    @property
    def stem(self) -> str:
        """File name without extension."""
        parts = [f"sub-{self.subject}"]
        if self.session is not None:
            parts.append(f"ses-{self.session}")
        parts += [f"{key}-{value}" for key, value in self.others]
        return "_".join([*parts, self.suffix])

    @property
    def folder(self) -> str:
        """Folder below the dataset's root, with forward slashes."""
        session = "" if self.session is None else f"ses-{self.session}/"
        return f"sub-{self.subject}/{session}{self.datatype}"

    @property
    def path(self) -> str:
        """Path below the dataset's root, with forward slashes."""
        return f"{self.folder}/{self.stem}{self.extension}"


@dataclass(frozen=True, slots=True)
class InputImage:
    """One image of the (private) BIDS tree that is to be de-identified.

    Attributes
    ----------
    source : str
        Absolute path of the image.
    sidecar : mapping
        Merged JSON sidecar (BIDS inheritance principle applied).
    companions : mapping
        Extension → absolute path of files that share the stem (``.bval``, ``.bvec``, ``.tsv`` …).
    entities : Entities
        Name under which it would be released (subject already pseudonymised where asked).
    drawn_file : str or None
        Absolute path of a region of face and ears drawn by hand, on the grid of the image.
    """

    source: str
    entities: Entities
    sidecar: Mapping[str, Any] = field(default_factory=dict)
    companions: Mapping[str, str] = field(default_factory=dict)
    drawn_file: str | None = None


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What is to be done for one session of one subject.

    ``source_subject`` and ``source_session`` are the labels of the input, the others those of the
    release. ``other_files`` are files that are not images: (absolute path, release path, fate,
    reason). ``landmarks`` (name → scanner mm) and ``drawn_file`` (region of face and ears) were
    given by hand for the reference of the session.
    """

    subject: str
    session: str | None
    source_subject: str
    source_session: str | None
    images: tuple[InputImage, ...]
    other_files: tuple[FileFate, ...] = ()
    landmarks: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    drawn_file: str | None = None

    @property
    def name(self) -> str:
        """``sub-X`` or ``sub-X_ses-Y``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")


@dataclass(frozen=True, slots=True)
class FileFate:
    """What happens to one file of the input; one line of ``private/inventory.tsv``.

    Attributes
    ----------
    path : str
        Path relative to INPUT, with forward slashes.
    fate : {"released", "changed", "withheld"}
        ``released``: copied; ``changed``: cleaned or defaced, then released.
    reason : str
        One sentence. Empty only where nothing needs saying.
    release_path : str or None
        Path below ``release/``; None where withheld.
    """

    path: str
    fate: Fate
    reason: str
    release_path: str | None = None


@dataclass(frozen=True, slots=True)
class HeadFit:
    """Where the head lies in a reference image.

    Attributes
    ----------
    atlas_to_image : (4, 4) float64 ndarray
        Atlas mm → mm of the image's scanner space (RAS+).
    confidence : float
        0 … 1; what it is made of stands in `figures`.
    status : HeadStatus
        What was found.
    sentence : str
        Why `status` is what it is, in one sentence.
    figures : mapping
        Numbers behind `confidence` and `status`.
    """

    atlas_to_image: npt.NDArray[np.float64]
    confidence: float
    status: HeadStatus
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Carry:
    """Rigid motion from the reference of a session to another image of it.

    Attributes
    ----------
    reference_to_image : (4, 4) float64 ndarray
        mm → mm.
    agreement : float
        Figure of the check, 0 … 1 (1 for the reference itself).
    accepted : bool
        Whether the check passed.
    sentence : str
        What was checked and found.
    figures : mapping
        Numbers behind `agreement`.
    """

    reference_to_image: npt.NDArray[np.float64]
    agreement: float
    accepted: bool
    sentence: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one gate says of one image.

    Attributes
    ----------
    gate : str
        One of `REQUIRED_GATES`.
    status : Status
        ``could_not_tell`` counts as failed.
    figure, limit : float or None
        Measured figure and the limit it was held against.
    sentence : str
        One sentence without patient text.
    """

    gate: str
    status: Status
    figure: float | None
    limit: float | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings on one image.

    Attributes
    ----------
    image : str
        Path of the image below ``release/``.
    findings : tuple of Finding
        One for each gate.
    overruled : mapping
        Gate → reason given by a named human.
    """

    image: str
    findings: tuple[Finding, ...]
    overruled: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True only if each required gate has one finding and it passed or was overruled."""
        by_gate: dict[str, list[Finding]] = {}
        for finding in self.findings:
            by_gate.setdefault(finding.gate, []).append(finding)
        return all(
            len(by_gate.get(gate, [])) == 1
            and (by_gate[gate][0].status == "passed" or gate in self.overruled)
            for gate in REQUIRED_GATES
        ) and all(
            finding.status == "passed" or finding.gate in self.overruled
            for finding in self.findings
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the gates that did not pass."""
        found = {finding.gate for finding in self.findings}
        missing = [f"The gate {gate} was not run." for gate in REQUIRED_GATES if gate not in found]
        return tuple(
            [
                finding.sentence
                for finding in self.findings
                if finding.status != "passed" and finding.gate not in self.overruled
            ]
            + missing
        )
