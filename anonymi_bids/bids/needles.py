"""Collect the texts of the input that must not be found in the release."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from anonymi_bids.bids.physics import ALLOWED
from anonymi_bids.bids.rules import DROP
from anonymi_bids.io.canary import usable

_NAMES = re.compile(
    r"(?i)(?:patient|physician|operator|investigator|person|author).*name|operators"
)
_IDENTIFIERS = re.compile(
    r"(?i)(?:patientid|otherpatient|accession|uid$|serialnumber|studyid|institution|station|"
    r"department|address|telephone|comment|birth|admission|issuer|insurance|location|ethnic|"
    r"occupation|history|operator|physician|investigator|hostname|path|filename|aetitle|wipmemblock)"
)
_DATED = re.compile(r"(?i)date")
_DESCRIPTIVE = re.compile(
    r"(?i)(?:protocol|seriesdescription|sequence|pulse|coil|scanoptions|imagetype|software|model|"
    r"manufacturer|matrixcoilmode|task|bodypart|seriestime|units|parallel|tracer|pharma|recon|"
    r"conversion|bidsguess|intendedfor|b0field|multipart|deidentification|nucleus|^modality$|"
    r"patientposition|acquisitiontype|spoiling|direction|phaseencoding|partialfourier|contrastbolus|"
    r"diffusionscheme|labelingtype|m0type|casltype|pasltype|technique|timezero|administration|"
    r"acquisitionmode|attenuation|cogatlas|cogpo)"
)
_ORDINARY = frozenset(
    "unknown none anonymous anonymized removed n/a department radiology hospital research imaging "
    "university institute clinic mri scanner head brain test phantom".split()
)
_TERMS = ("Manufacturer", "ManufacturersModelName", "ReceiveCoilName", "BodyPart", "Modality")

MIN_TEXT = 6
"""Other texts than names and identifiers count from this length on."""


def needles_from_sidecar(
    sidecar: Mapping[str, Any], *, kept: Collection[str] = ()
) -> tuple[str, ...]:
    """Collect what identifies from a sidecar of the input.

    Parameters
    ----------
    sidecar : mapping
        As read, before cleaning.
    kept : collection of str
        Texts that stay by intention, such as the labels of a BIDS dataset that keeps them.

    Returns
    -------
    tuple of str
        Names (whole, and their parts of four or more letters), identifiers, dates in six forms,
        and every other text of `MIN_TEXT` or more signs that is not an ordinary description of the
        sequence. Sorted, each once.
    """
    found: set[str] = set()
    for key, value in _texts(sidecar):
        if _DESCRIPTIVE.search(key) and not _IDENTIFIERS.search(key):
            continue
        if _DATED.search(key):
            found.update(date_forms(value))
        if _NAMES.search(key):
            found.update(name_parts(value))
        if _IDENTIFIERS.search(key) or len(value) >= MIN_TEXT:
            found.add(value)
    found -= set(kept)
    return tuple(sorted(text for text in found if usable(text) and not _plain(text)))


def name_parts(name: str) -> set[str]:
    """Whole name and its parts of four or more letters (``DOE^JANE`` → ``JANE``)."""
    parts = re.split(r"[\^,;=\s]+", name)
    return {name.strip(), *(part for part in parts if len(part) >= 4)}


def date_forms(text: str) -> set[str]:
    """Six ways to write the day of a date that is given in DICOM's or the ISO's way."""
    match = re.match(r"(\d{4})-?(\d{2})-?(\d{2})", text.strip())
    if match is None:
        return set()
    try:
        day = datetime.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return set()
    forms = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d%m%Y")
    return {day.strftime(form) for form in forms}


def _texts(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (key, text) for every text, and for numbers of fields that identify."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _texts(value, str(name))
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _texts(value, key)
    elif isinstance(content, str):
        yield key, content.strip()
    elif isinstance(content, int) and not isinstance(content, bool) and _IDENTIFIERS.search(key):
        yield key, str(content)


def _plain(text: str) -> bool:
    """Whether a text is a term that innocent files hold too, as a station called PRISMA."""
    if text.casefold() in _ORDINARY:
        return True
    return any(ALLOWED[key](text) is not DROP for key in _TERMS)
