"""One frozen object holds every choice of a run.

Defaults < policy < settings file < command line. It is recorded in ``private/settings.toml``; that
file given back with ``--policy`` repeats the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anonymi_bids.errors import SettingsError

METHODS = ("mask", "surface", "ml")
SURFACE_STYLES = ("newface", "blur")
BLUR_LIMIT = 0.20
"""Style `blur` is for policies that allow this risk at least: recipients bound by an agreement."""
AUDITS = ("quick", "full", "none")
QCS = ("full", "slices", "none")


def _check_range(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(
            f"The setting {option} is {value}, but only {low} to {high} is allowed; "
            "change it in the policy file."
        )


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(
            f"The setting {option} is not one of {', '.join(choices)}; change it in the policy."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertSettings:
    """How DICOM becomes BIDS.

    Attributes
    ----------
    pseudonyms : bool
        Give BIDS subjects new labels too (DICOM subjects always get one).
    min_confidence : float
        A series named with less confidence is listed and withheld.
    """

    pseudonyms: bool = False
    min_confidence: float = 0.5

    def __post_init__(self) -> None:
        _check_range("convert.min_confidence", self.min_confidence, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaceSettings:
    """How faces and ears are removed.

    Attributes
    ----------
    method : {"mask", "surface", "ml"}
    ears : bool
        Remove the ears too.
    brain_margin_mm : float
        Method `mask`: the atlas' brain and CSF, grown by this, are never touched.
    ml_brain_margin_mm : float
        Method `ml`: the brain and CSF that the network sees, grown by this, are never touched.
    surface_style : {"newface", "blur"}
        Method `surface`: the face of a person who does not exist, or the own one low-passed.
    blur_mm : float
        Style `blur`: standard deviation of the low-pass.
    surfaces : bool
        Write the outer skin as a surface: of the released image beside it in ``derivatives/``, of
        the original, with the atlas' skull, in ``private/surfaces``.
    fiducials : bool
        Write nasion and preauricular points of the *original* into the sidecar. They are three
        points of the person's own face and ears.
    """

    method: str = "mask"
    ears: bool = True
    brain_margin_mm: float = 5.0
    ml_brain_margin_mm: float = 5.0
    surface_style: str = "newface"
    blur_mm: float = 16.0
    surfaces: bool = False
    fiducials: bool = False

    def __post_init__(self) -> None:
        _check_choice("deface.method", self.method, METHODS)
        _check_choice("deface.surface_style", self.surface_style, SURFACE_STYLES)
        _check_range("deface.blur_mm", self.blur_mm, 1, 40)
        for name in ("brain_margin_mm", "ml_brain_margin_mm"):
            _check_range(f"deface.{name}", getattr(self, name), 0, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Limits of the gates; each is explained in ``docs/gates.md``.

    Attributes
    ----------
    min_head_confidence : float
        Below it the head counts as not found.
    min_carry_agreement : float
        Below it the region was not carried well enough to another image.
    max_brain_changed_ml : float
        Changed voxels allowed within the atlas' brain and CSF, ml.
    max_own_brain_changed_ml : float
        The same for the brain found by grey values, which is less exact: beside the eyes and the
        skull base it takes in dura and sinus. Cuts through real brain seen in other tools were
        4 to 128 ml.
    max_skin_left : float
        Share of the own skin allowed to be left in the face window.
    max_ear_left : float
        Share of the own ear skin allowed to be left.
    max_skin_left_third : float
        Share of the own skin allowed to be left in each third of the face window.
    max_skin_patch_mm2 : float
        Largest coherent patch of own skin allowed to be left; an eye has about 1000 mm².
    min_face_depth_mm : float
        Least median distance between the old skin and the new surface, in each third.
    min_new_skin_mm : float
        Method `surface`: least median distance between the old skin of the face and the new one.
    max_face_likeness : float
        Method `surface`: most that the new face's relief, seen from the front, may correlate with
        the old one's once the atlas' is taken off both.
    max_vault_offset_mm : float
        Most that the atlas' vault, carried to the image, may lie beside the image's own vault.
    """

    min_head_confidence: float = 0.5
    min_carry_agreement: float = 0.5
    max_brain_changed_ml: float = 0.0
    max_own_brain_changed_ml: float = 0.5
    max_skin_left: float = 0.08
    max_ear_left: float = 0.30
    max_skin_left_third: float = 0.30
    max_skin_patch_mm2: float = 400.0
    min_face_depth_mm: float = 4.0
    min_new_skin_mm: float = 1.0
    max_face_likeness: float = 0.6
    max_vault_offset_mm: float = 10.0

    def __post_init__(self) -> None:
        for name in (
            "min_head_confidence",
            "min_carry_agreement",
            "max_skin_left",
            "max_ear_left",
            "max_skin_left_third",
            "max_face_likeness",
        ):
            _check_range(f"gates.{name}", getattr(self, name), 0, 1)
        for name in ("min_face_depth_mm", "min_new_skin_mm", "max_vault_offset_mm"):
            _check_range(f"gates.{name}", getattr(self, name), 0, 100)
        _check_range("gates.max_skin_patch_mm2", self.max_skin_patch_mm2, 0, 100_000)
        for name in ("max_brain_changed_ml", "max_own_brain_changed_ml"):
            _check_range(f"gates.{name}", getattr(self, name), 0, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """What is attacked and how the result is judged.

    Attributes
    ----------
    audit : {"quick", "full", "none"}
    gallery : str
        Second dataset that the release is compared with: a BIDS dataset, or the features of an
        earlier run; empty for none.
    max_upper95 : float
        Open release: one-sided 95 % Clopper–Pearson upper bound of each face attack.
    min_positive_control_face, min_positive_control_brain : float
        Lower bound (two-sided 95 %) the attack must reach on originals to count at all.
    recogniser : str
        Recogniser of faces: ``dlib``, or ``package.module:Class`` of an installed package.
    photos : str
        Folder of photographs that are searched in the release; empty for none.
    """

    audit: str = "quick"
    gallery: str = ""
    max_upper95: float = 0.09
    min_positive_control_face: float = 0.5
    min_positive_control_brain: float = 0.8
    recogniser: str = "dlib"
    photos: str = ""

    def __post_init__(self) -> None:
        _check_choice("audit.audit", self.audit, AUDITS)
        if "\n" in self.gallery:
            raise SettingsError("The path audit.gallery holds a line break; rename the folder.")
        if "\n" in self.photos:
            raise SettingsError("The path audit.photos holds a line break; rename the folder.")
        for name in ("max_upper95", "min_positive_control_face", "min_positive_control_brain"):
            _check_range(f"audit.{name}", getattr(self, name), 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataSettings:
    """What of the metadata is released.

    Attributes
    ----------
    series_4d : {"deface", "pass"}
        Fate of bold, dwi and asl (design §9): defaced volume by volume, or passed with the reason.
    max_age : int
        Ages above are released as this.
    participants_columns : tuple of str
        Columns of ``participants.tsv`` that may be released if their values are plain.
    """

    series_4d: str = "deface"
    max_age: int = 89
    participants_columns: tuple[str, ...] = ("age", "sex", "handedness", "group", "species")

    def __post_init__(self) -> None:
        _check_choice("metadata.series_4d", self.series_4d, ("deface", "pass"))
        _check_range("metadata.max_age", self.max_age, 0, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualSettings:
    """What a person gave by hand for hard cases; files, each with the digest it had.

    Attributes
    ----------
    landmarks : str
        Table of landmarks; empty for none.
    landmarks_sha256 : str
        Digest of its bytes; empty if not known yet.
    face_masks : str
        Folder of regions drawn by hand; empty for none.
    face_masks_sha256 : str
        Digest of the names and bytes of its files; empty if not known yet.
    """

    landmarks: str = ""
    landmarks_sha256: str = ""
    face_masks: str = ""
    face_masks_sha256: str = ""

    def __post_init__(self) -> None:
        if any("\n" in path for path in (self.landmarks, self.face_masks)):
            raise SettingsError("A path in [manual] holds a line break; rename the file.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All choices of a run.

    Attributes
    ----------
    policy : str
        Name of the policy the settings started from.
    recipient : str
        For whom the release is, in the words of the report.
    seed : int
        Everything random starts here: pseudonyms, date offsets, fill, simulated visits. It lies in
        ``private/`` only.
    qc : {"full", "slices", "none"}
        Private pages to look at: slices and renders of each image, with small volumes to turn
        (``full``) or without.
    """

    policy: str = "open-sharing"
    recipient: str = "anyone (open sharing)"
    seed: int = 0
    qc: str = "full"
    convert: ConvertSettings = field(default_factory=ConvertSettings)
    deface: DefaceSettings = field(default_factory=DefaceSettings)
    gates: GateSettings = field(default_factory=GateSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    metadata: MetadataSettings = field(default_factory=MetadataSettings)
    manual: ManualSettings = field(default_factory=ManualSettings)

    def __post_init__(self) -> None:
        _check_choice("qc", self.qc, QCS)
        if not 0 <= self.seed < 2**128:
            raise SettingsError("The seed must be a whole number from 0 to 2^128 - 1.")
        blurred = self.deface.method == "surface" and self.deface.surface_style == "blur"
        if blurred and self.audit.max_upper95 < BLUR_LIMIT:
            raise SettingsError(
                "Style blur keeps the person (docs/benchmarks/quality.md: 18 of 19 were found by "
                f"their shape), and policy {self.policy!r} has an audit.max_upper95 of "
                f"{self.audit.max_upper95:g} where blur needs {BLUR_LIMIT:g} or more; choose "
                "--surface-style newface, --method mask or a policy for recipients under an "
                "agreement."
            )

    @property
    def digest(self) -> str:
        """Hex digest of everything that decides what the release looks like.

        What was given by hand counts with the images it is for, so that a landmark of one subject
        does not have all others done again.
        """
        plain = as_dict(self)
        del plain["manual"]
        # What the release is compared with, and what is searched in it, does not change it.
        del plain["audit"]["gallery"]
        del plain["audit"]["photos"]
        text = json.dumps(plain, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


_PARTS = {
    "convert": ConvertSettings,
    "deface": DefaceSettings,
    "gates": GateSettings,
    "audit": AuditSettings,
    "metadata": MetadataSettings,
    "manual": ManualSettings,
}


def as_dict(settings: Settings) -> dict[str, Any]:
    """Turn settings into nested plain dictionaries, ready for TOML or JSON."""
    plain = dataclasses.asdict(settings)
    plain["metadata"]["participants_columns"] = list(settings.metadata.participants_columns)
    return plain


def merge(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Lay changes (nested like a settings file) over settings.

    Raises
    ------
    SettingsError
        If a key is unknown or a value has the wrong type or range.
    """
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key in _PARTS:
            values[key] = _merge_part(key, getattr(settings, key), value)
        elif key in ("policy", "recipient", "seed", "qc"):
            values[key] = _typed(key, value, getattr(settings, key))
        else:
            raise SettingsError(f"The settings file has an unknown key, {key!r}; remove it.")
    return dataclasses.replace(settings, **values)


def _merge_part(name: str, part: Any, changes: Any) -> Any:
    if not isinstance(changes, Mapping):
        raise SettingsError(f"The settings file must have {name} as a table, [{name}].")
    known = {entry.name for entry in dataclasses.fields(part)}
    values = {}
    for key, value in changes.items():
        if key not in known:
            raise SettingsError(
                f"The settings file has an unknown key, {key!r} in [{name}]; remove it."
            )
        values[key] = _typed(f"{name}.{key}", value, getattr(part, key))
    return dataclasses.replace(part, **values)


def _typed(option: str, value: Any, default: Any) -> Any:
    """Return the value in the type of its default, or raise."""
    if isinstance(default, bool) or isinstance(value, bool):
        right = isinstance(default, bool) and isinstance(value, bool)
    elif isinstance(default, float):
        right = isinstance(value, (int, float))
        value = float(value) if right else value
    elif isinstance(default, tuple):
        right = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        value = tuple(value) if right else value
    else:
        right = isinstance(value, type(default))
    if not right:
        raise SettingsError(
            f"The setting {option} has the wrong type; {type(default).__name__} was expected."
        )
    return value
