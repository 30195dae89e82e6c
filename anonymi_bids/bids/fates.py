"""What happens to each kind of file of the input (design §9): nothing is dropped in silence."""

from __future__ import annotations

from collections.abc import Mapping

NOT_ASKED_PARTICIPANT = "This participant was not asked for."
NOT_ASKED_SESSION = "This session was not asked for."
NOT_SELECTED = "The filter file leaves this image out."
NOT_BIDS = "Its name is not built like a BIDS name, or contradicts its folder; rename the file."
TWO_PACKINGS = "The same image is there as .nii and as .nii.gz; remove one of them."
DATE_IN_NAME = "Its name holds what may be a date; rename the file."
TWO_READINGS = "pybids reads its name in another way than expected; rename the file."
OLD_MASK = "It is a mask made elsewhere; a mask of what is changed here is written anew."
SIDECAR_USED = "Cleaned by allow-list and merged into the sidecars of the images it applies to."
SIDECAR_UNUSED = "It is the sidecar of no image that may be released."
COMPANION_USED = "Cleaned by an allow-list of columns; released with its image."
COMPANION_UNUSED = "It goes with no image that may be released."
TABLE = "Cleaned by an allow-list of columns; dates are shifted."
REGENERATED = "Written anew, without its text."

_FOLDERS: Mapping[str, str] = {
    "sourcedata": "Source data are not released.",
    "rawdata": "Only the dataset itself is released.",
    "derivatives": "Derivatives can bring back a face; make them again from the release.",
    "code": "Code and its logs can hold names and paths; it is not released.",
    "stimuli": "Stimuli are not released.",
    "phenotype": "Phenotype tables hold free text and rare values; they are not released.",
    "beh": "Behavioural data are not released.",
    "eeg": "EEG recordings are not released.",
    "meg": "MEG recordings are not released.",
    "ieeg": "iEEG recordings are not released.",
    "nirs": "NIRS recordings are not released.",
    "emg": "EMG recordings are not released.",
    "motion": "Motion recordings are not released.",
    "micr": "Microscopy is not released.",
    "mrs": "Spectra can hold header text; they are not released.",
}

_SUFFIXES: Mapping[str, str] = {
    "physio": "Physiological recordings are not released.",
    "physioevents": "Physiological recordings are not released.",
    "stim": "Recorded stimuli are not released.",
    "blood": "Blood samples are not released.",
    "beh": "Behavioural data are not released.",
    "photo": "Photographs are not released.",
    "headshape": "Head shapes show the person; they are not released.",
    "asllabeling": "Pictures are not released.",
    "events": COMPANION_UNUSED,
    "channels": "It goes with a recording that is not released.",
    "electrodes": "Positions on a person's head are not released.",
    "coordsystem": "Positions on a person's head are not released.",
}

_ROOT_FILES: Mapping[str, str] = {
    "dataset_description.json": REGENERATED,
    "participants.json": REGENERATED,
    "readme": REGENERATED,
    "readme.md": REGENERATED,
    "readme.rst": REGENERATED,
    "readme.txt": REGENERATED,
    "changes": "It can hold names and dates; it is not released.",
    "license": "State the licence of the release anew.",
    "citation.cff": "It names people; it is not released.",
    ".bidsignore": "The release needs none.",
}

UNKNOWN = "It is no file that this version knows how to clean; it is not released."
HIDDEN = "Hidden files are not released."


def reason_withheld(path: str) -> str:
    """Say why a file that is neither an image nor used by one is withheld.

    Parameters
    ----------
    path : str
        Relative to the dataset's root, with forward slashes; a folder's ends with one.

    Returns
    -------
    str
        One sentence.
    """
    parts = path.rstrip("/").split("/")
    if len(parts) == 1 and parts[0].lower() in _ROOT_FILES:
        return _ROOT_FILES[parts[0].lower()]
    if any(part.startswith(".") for part in parts):
        return HIDDEN
    for part in parts if path.endswith("/") else parts[:-1]:
        if part in _FOLDERS:
            return _FOLDERS[part]
    if path.endswith("/"):
        return UNKNOWN
    stem, _, extension = parts[-1].partition(".")
    suffix = stem.rsplit("_", 1)[-1]
    if extension.lower() == "json" and suffix not in _SUFFIXES:
        return SIDECAR_UNUSED
    if extension.lower() in ("bval", "bvec") or suffix == "aslcontext":
        return COMPANION_UNUSED
    return _SUFFIXES.get(suffix, UNKNOWN)
