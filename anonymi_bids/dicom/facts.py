"""What is known of a series when it is named: first its header, later its sidecar too."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from anonymi_bids.dicom.convert import Converted
from anonymi_bids.dicom.sort import Series, slice_gaps


@dataclass(frozen=True, slots=True)
class Facts:
    """Plain values the rules look at.

    Attributes
    ----------
    modality : str
        DICOM Modality, capitals.
    sop_class : str
    image_type : tuple of str
        Capitals.
    words : str
        Series description and protocol name, lower case, anything else than letters and digits
        turned into single blanks. Only matched, never shown.
    subject_words : str
        Patient's name and number, the same way; looked at for phantoms only.
    study_words : str
        Study description, the same way.
    sequence, variant : frozenset of str
        ScanningSequence and SequenceVariant.
    sequence_name : str
        Lower case.
    acquisition : str
        ``2D``, ``3D`` or empty.
    te, tr, ti, flip : float or None
        ms, ms, ms, degrees.
    n_files, n_slices, n_volumes : int
        Slices of one volume; 0 volumes while not converted.
    n_orientations, echo, missing, largest_gap
        See `sort.Series` and `sort.slice_gaps`.
    diffusion : bool
        b-values are there.
    gradients : bool
        False if the converted image lacks b-values or directions.
    body_part : str
    burned_in, colour, contrast_agent : bool
    part : str
        ``mag``, ``phase``, ``real`` or ``imag``.
    guess : tuple of str
        dcm2niix's own idea, e.g. ``("anat", "T1w")``; empty if it has none.
    phase_encoding : str
        BIDS PhaseEncodingDirection; empty if unknown.
    has_readout : bool
        TotalReadoutTime is known.
    two_echo_times : bool
        EchoTime1 and EchoTime2 are known.
    postfix : str
        See `convert.Converted`.
    problem : str
        Sentence why the converted image cannot be used.
    lost_slices : int
        Slices that went into the conversion but not into any image.
    filled : bool
        Missing slices were filled from their neighbours.
    """

    modality: str = ""
    sop_class: str = ""
    image_type: tuple[str, ...] = ()
    words: str = ""
    subject_words: str = ""
    study_words: str = ""
    sequence: frozenset[str] = frozenset()
    variant: frozenset[str] = frozenset()
    sequence_name: str = ""
    acquisition: str = ""
    te: float | None = None
    tr: float | None = None
    ti: float | None = None
    flip: float | None = None
    n_files: int = 0
    n_slices: int = 0
    n_volumes: int = 0
    n_orientations: int = 1
    echo: int | None = None
    missing: int = 0
    largest_gap: int = 0
    diffusion: bool = False
    gradients: bool = True
    body_part: str = ""
    burned_in: bool = False
    colour: bool = False
    contrast_agent: bool = False
    part: str = "mag"
    guess: tuple[str, ...] = ()
    phase_encoding: str = ""
    has_readout: bool = False
    two_echo_times: bool = False
    postfix: str = ""
    problem: str = ""
    lost_slices: int = 0
    filled: bool = False

    def says(self, pattern: str) -> bool:
        """Whether the description matches a regular expression."""
        return re.search(pattern, self.words) is not None

    def typed(self, *names: str) -> bool:
        """Whether one of these is a value of ImageType."""
        return any(name in self.image_type for name in names)


def plain_words(*texts: str) -> str:
    """Lower-case words of texts, separated by single blanks."""
    return re.sub(r"[^a-z0-9]+", " ", " ".join(texts).lower()).strip()


def facts_from_header(series: Series) -> Facts:
    """Facts that the headers of a series give."""
    first = series.first
    image_type = first.values("ImageType")
    missing, largest = slice_gaps(series)
    frames = int(first.number("NumberOfFrames") or 1)
    return Facts(
        modality=first.text("Modality").upper(),
        sop_class=first.text("SOPClassUID"),
        image_type=image_type,
        words=plain_words(first.text("SeriesDescription"), first.text("ProtocolName")),
        subject_words=plain_words(first.text("PatientName"), first.text("PatientID")),
        study_words=plain_words(first.text("StudyDescription")),
        sequence=frozenset(first.values("ScanningSequence")),
        variant=frozenset(first.values("SequenceVariant")),
        sequence_name=(first.text("SequenceName") or first.text("PulseSequenceName")).lower(),
        acquisition=first.text("MRAcquisitionType").upper(),
        te=first.number("EchoTime"),
        tr=first.number("RepetitionTime"),
        ti=first.number("InversionTime") or None,
        flip=first.number("FlipAngle"),
        n_files=len(series.files),
        # A mosaic holds many slices a file, so their number is not known yet.
        n_slices=0 if "MOSAIC" in image_type else len(series.files) * frames,
        n_orientations=series.n_orientations,
        echo=series.echo,
        missing=missing,
        largest_gap=largest,
        diffusion=any((file.number("DiffusionBValue") or 0) > 0 for file in series.files),
        body_part=plain_words(first.text("BodyPartExamined")),
        burned_in=any(file.text("BurnedInAnnotation").upper() == "YES" for file in series.files),
        colour=not first.text("PhotometricInterpretation").upper().startswith("MONOCHROME"),
        contrast_agent=_has_agent(first.text("ContrastBolusAgent")),
        part=_part(image_type),
    )


def _has_agent(text: str) -> bool:
    words = plain_words(text)
    return bool(words) and words not in ("no", "none", "n", "0", "without", "false")


def _part(image_type: tuple[str, ...]) -> str:
    for part, names in (
        ("phase", ("P", "PHASE", "PHASE MAP", "B0", "FIELD_MAP")),
        ("real", ("R", "REAL", "R_FFE", "R_SE", "R_IR")),
        ("imag", ("I", "IMAGINARY", "I_FFE", "I_SE", "I_IR")),
    ):
        if any(name in image_type for name in names) and not {"M", "MAGNITUDE"} & set(image_type):
            return part
    return "mag"


_GUESSED_SUFFIX = re.compile(r"_([A-Za-z0-9]+)$")


def facts_with_sidecar(facts: Facts, image: Converted, lost_slices: int = 0) -> Facts:
    """Facts of a converted image: the header's, completed and overruled by the sidecar.

    Parameters
    ----------
    facts : Facts
        From the header.
    image : Converted
    lost_slices : int
        Slices that are in no image of the series.
    """
    sidecar = image.sidecar

    def number(key: str, factor: float, before: float | None) -> float | None:
        value = sidecar.get(key)
        return float(value) * factor if isinstance(value, (int, float)) else before

    def names(key: str, before: frozenset[str]) -> frozenset[str]:
        value = sidecar.get(key)
        return frozenset(value.upper().split("\\")) if isinstance(value, str) else before

    guess: tuple[str, ...] = ()
    raw = sidecar.get("BidsGuess")
    if isinstance(raw, list) and len(raw) == 2 and all(isinstance(entry, str) for entry in raw):
        suffix = _GUESSED_SUFFIX.search(raw[1])
        guess = (raw[0], suffix.group(1) if suffix else "")
    part, echo = facts.part, facts.echo
    for name in image.postfix.split("_"):
        part = {"ph": "phase", "real": "real", "imaginary": "imag"}.get(name, part)
        if re.fullmatch(r"e\d+", name):
            echo = int(name[1:])
    shape = image.shape
    return dataclasses.replace(
        facts,
        sequence=facts.sequence or names("ScanningSequence", facts.sequence),
        variant=facts.variant or names("SequenceVariant", facts.variant),
        sequence_name=facts.sequence_name or str(sidecar.get("SequenceName", "")).lower(),
        acquisition=facts.acquisition or str(sidecar.get("MRAcquisitionType", "")).upper(),
        te=number("EchoTime", 1000, facts.te),
        tr=number("RepetitionTime", 1000, facts.tr),
        ti=number("InversionTime", 1000, facts.ti) or None,
        flip=number("FlipAngle", 1, facts.flip),
        n_slices=min(shape[:3]) if shape else 0,
        n_volumes=(shape[3] if len(shape) > 3 else 1) if shape else 0,
        diffusion=facts.diffusion or image.bval is not None,
        gradients=image.bval is not None and image.bvec is not None,
        part=part,
        echo=echo,
        guess=guess,
        phase_encoding=str(sidecar.get("PhaseEncodingDirection", "")),
        has_readout="TotalReadoutTime" in sidecar,
        two_echo_times="EchoTime1" in sidecar and "EchoTime2" in sidecar,
        postfix=image.postfix,
        problem=image.problem,
        lost_slices=lost_slices,
        filled=image.filled > 0,
    )
