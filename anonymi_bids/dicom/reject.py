"""Rules that keep a series out of the release whatever contrast it has."""

from __future__ import annotations

import re
from collections.abc import Callable

from anonymi_bids.dicom.facts import Facts

MIN_SLICES = 5
"""An image of fewer slices shows no head that could be found and checked."""

MAX_MISSING_SHARE = 0.03
MAX_GAP = 2
"""At most this share of slices, and this many in a row, may be filled by interpolation."""

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

MODALITIES = {
    "CT": "BIDS has no name for CT images yet",
    "PT": "BIDS asks of PET images for details of the tracer that DICOM headers do not give",
    "US": "it is an ultrasound image",
    "SC": "it is a secondary capture",
    "OT": "it is no scan (modality OT)",
    "CR": "it is a radiograph",
    "DX": "it is a radiograph",
    "XA": "it is an X-ray angiography",
    "MG": "it is a mammography",
    "NM": "it is a scintigraphy",
    "XC": "it is a photograph",
    "SEG": "it is a segmentation",
    "DOC": "it is a document",
}

OTHER_BODY_PARTS = re.compile(
    r"\b(knee|shoulder|hip|abdomen|pelvis|chest|thorax|heart|cardiac|breast|liver|prostate|"
    r"[ctl]?spine|cspine|tspine|lspine|foot|hand|wrist|ankle|elbow|leg|arm|extremity|thigh|femur|"
    r"kidney|uterus|colon|bowel|rectum)\b"
)

LOCALIZER = re.compile(
    r"\b(locali[sz]ers?|localise|loc|scout|survey|surview|topogram|plan scan|smart ?brain|"
    r"(3|three|tri) ?(plane|pl|pln|axis)|aahead ?scout|aah ?scout|aascout|mobiview)\b|"
    r"\b(locali[sz]er|scout)"
)

MAP_TYPES = {
    "ADC": "an apparent-diffusion map",
    "ADC_UNSPECIFIED": "an apparent-diffusion map",
    "FA": "an anisotropy map",
    "FA_MAP": "an anisotropy map",
    "COLFA": "an anisotropy map",
    "FRACT_ANISO": "an anisotropy map",
    "TRACEW": "a trace-weighted map",
    "TRACE": "a trace-weighted map",
    "EADC": "a diffusion map",
    "EXP": "a diffusion map",
    "TENSOR": "a diffusion tensor map",
    "TENSOR_B0": "a diffusion tensor map",
    "RELCBF": "a map of relative cerebral blood flow",
    "CBF": "a map of cerebral blood flow",
    "RCBF": "a map of cerebral blood flow",
    "CBV": "a map of cerebral blood volume",
    "RCBV": "a map of cerebral blood volume",
    "MTT": "a map of transit times",
    "TTP": "a map of times to peak",
    "TMAX": "a map of transit times",
    "PBP": "a perfusion map",
    "TTEST": "a statistical map",
    "GLM": "a statistical map",
    "SPM": "a statistical map",
    "MIP": "a maximum-intensity projection",
    "MNIP": "a minimum-intensity projection",
    "MAXIMUM INTENSITY PROJECTION": "a maximum-intensity projection",
    "MIN IP": "a minimum-intensity projection",
    "PROJECTION IMAGE": "a projection",
    "PJN": "a projection",
    "MEAN_DIFF": "a derived map",
    "SUBTRACTION": "a difference of images",
    "SUBTRACT": "a difference of images",
    "SUB": "a difference of images",
    "T1 MAP": "a T1 map",
    "T2 MAP": "a T2 map",
    "T2_STAR MAP": "a T2* map",
    "R2_STAR MAP": "an R2* map",
    "T2STAR MAP": "a T2* map",
    "SCREEN SAVE": "a picture of a screen",
    "SCREENSAVE": "a picture of a screen",
    "VRT": "a rendered picture",
    "SSD": "a rendered picture",
    "VOLUME_RENDER": "a rendered picture",
    "REFORMATTED": "a reformatted copy",
    "CSA 3D EDITOR": "a reformatted copy",
    "CSA MPR": "a reformatted copy",
    "CPR": "a reformatted copy",
    "DOSE_INFO": "a dose page",
    "PATIENT_INFO": "a patient page",
}
"""Values of ImageType that no raw image has."""

MAP_WORDS = re.compile(
    r"\b(adc|e ?adc|fa map|fa color|colou?r ?fa|col ?fa|fract aniso|trace ?w|dti map|tensor|"
    r"rel ?cbf|r?cbf|r?cbv|mtt|ttp|tmax|cerebral blood (flow|volume)|perfusion weighted|"
    r"mip|m ?ip|min ?ip|mnip|mpr (range|tra|sag|cor)|reformat(ted|s)?|3d rend|vrt|"
    r"t1 map|t2 map|r2star|t2star map|t2 star map|glm|t ?test|subtraction|screen ?save|"
    r"mean ?&? ?t ?maps|evaluated images)\b"
)

PHANTOM_SUBJECT = re.compile(r"phantom|fbirn|\bacr\b|\bqa\b.*\bqa\b|quality assurance")
PHANTOM_STUDY = re.compile(r"phantom|fbirn|\bacr\b|quality (assurance|control)|\b(qa|qc)\b")


def reject(facts: Facts) -> tuple[float, str] | None:
    """Say why a series is no image for the release, or None if no rule objects.

    Parameters
    ----------
    facts : Facts

    Returns
    -------
    (confidence, reason) or None
        Confidence of the decision to withhold; one sentence without text of the header.
    """
    for rule in _RULES:
        verdict = rule(facts)
        if verdict is not None:
            return verdict
    return None


def _picture(facts: Facts) -> tuple[float, str] | None:
    if facts.burned_in:
        return 1.0, "The header says that text is burnt into the picture."
    if facts.sop_class.startswith(SECONDARY_CAPTURE) or facts.modality in ("SC", "OT"):
        return 1.0, "It is a secondary capture (a picture of a screen or page), not a scan."
    if facts.colour:
        return 1.0, "It is a colour picture, not a scan."
    return None


def _modality(facts: Facts) -> tuple[float, str] | None:
    if facts.modality in MODALITIES:
        return 1.0, f"It is withheld because {MODALITIES[facts.modality]}."
    if facts.modality != "MR":
        return 0.9, "It is no magnetic resonance image; no other kind can be named in BIDS."
    return None


def _body_part(facts: Facts) -> tuple[float, str] | None:
    if facts.body_part and OTHER_BODY_PARTS.search(facts.body_part):
        return 0.9, "The header says that another part of the body than the head was scanned."
    return None


def _localizer(facts: Facts) -> tuple[float, str] | None:
    if facts.typed("LOCALIZER", "SCOUT"):
        return 1.0, "It is a localizer (image type)."
    # A functional localizer is an echo-planar series of a task, not a planning scan.
    if LOCALIZER.search(facts.words) and "EP" not in facts.sequence and facts.n_volumes < 10:
        return 0.95, "It is a localizer (description)."
    if facts.n_orientations > 1 and facts.n_slices < 60 and not facts.diffusion:
        return (
            0.8,
            f"Its slices lie in {facts.n_orientations} directions, as in a localizer or a "
            "rotating projection.",
        )
    return None


def _map(facts: Facts) -> tuple[float, str] | None:
    for name in facts.image_type:
        if name in MAP_TYPES:
            return 0.95, f"It is {MAP_TYPES[name]}, made from other images (image type)."
    derived = facts.typed("DERIVED")
    if facts.typed("DERIVED") and facts.typed("SECONDARY"):
        return 0.9, "It was made from other images (image type DERIVED, SECONDARY)."
    if derived and facts.typed("MPR", "PERFUSION", "ASL", "DIFFUSION", "PROJECTION"):
        return 0.9, "It is a map or a reformatted copy, made from other images (image type)."
    if MAP_WORDS.search(facts.words):
        return 0.8, "It is a map or a reformatted copy, made from other images (description)."
    return None


def _phantom(facts: Facts) -> tuple[float, str] | None:
    if PHANTOM_SUBJECT.search(facts.subject_words) or PHANTOM_STUDY.search(facts.study_words):
        return 0.9, "It is a scan of a phantom or a test of the scanner (name or description)."
    if facts.says(r"phantom|fbirn|\bacr\b"):
        return 0.9, "It is a scan of a phantom (description)."
    return None


def _damage(facts: Facts) -> tuple[float, str] | None:
    if facts.problem:
        return 1.0, facts.problem
    if re.search(r"ROI\d", facts.postfix):
        return 1.0, "It is an overlay that was drawn on the image, not a scan."
    if "Crop" in facts.postfix:
        return 1.0, "It is a cropped copy of another image."
    if facts.postfix in ("ADC", "TRACE"):
        return 1.0, "It is a diffusion map, made from other images."
    if facts.lost_slices:
        return (
            0.9,
            f"The converter left out {facts.lost_slices} slices of this series, so the image is "
            "not the whole scan.",
        )
    whole = facts.n_files + facts.missing
    if facts.missing and (
        facts.largest_gap > MAX_GAP or facts.missing > MAX_MISSING_SHARE * whole
    ):
        return (
            0.9,
            f"{facts.missing} of {whole} slices are missing, {facts.largest_gap} of them in a "
            "row; send the series again from the scanner or archive.",
        )
    if facts.missing and facts.n_volumes and not facts.filled and "Eq" not in facts.postfix:
        return (
            0.9,
            f"{facts.missing} slices are missing and could not be filled, so voxels do not lie "
            "where the header says.",
        )
    if 0 < facts.n_slices < MIN_SLICES:
        return (
            0.9,
            f"It has fewer than {MIN_SLICES} slices, in which no head can be found and checked.",
        )
    return None


_RULES: tuple[Callable[[Facts], tuple[float, str] | None], ...] = (
    _picture,
    _modality,
    _localizer,
    _map,
    _phantom,
    _body_part,
    _damage,
)
