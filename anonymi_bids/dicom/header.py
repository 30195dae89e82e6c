"""Read one DICOM header and hold its lengths against the size of the file."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from anonymi_bids.dicom.enhanced import ENHANCED_CLASSES, enhanced_values

HEADER_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "StudyTime",
    "SeriesTime",
    "AcquisitionTime",
    "Modality",
    "Manufacturer",
    "StudyDescription",
    "SeriesDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "BodyPartExamined",
    "ContrastBolusAgent",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "PulseSequenceName",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "SliceThickness",
    "ProtocolName",
    "DiffusionBValue",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BurnedInAnnotation",
)
"""What is kept of a header; everything else stays unread."""

NOT_IMAGES = {
    "1.2.840.10008.1.3.10": "a DICOMDIR, the table of contents of a medium",
    "1.2.840.10008.5.1.4.1.1.11": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.88": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.9": "a waveform",
    "1.2.840.10008.5.1.4.1.1.66": "raw data, a registration or a segmentation",
    "1.2.840.10008.5.1.4.1.1.4.2": "spectroscopy, which is no image",
    "1.2.840.10008.5.1.4.1.1.481": "a radiotherapy object",
    "1.3.12.2.1107.5.9.1": "vendor data that is no image",
}
"""Beginnings of SOP class UIDs (PS3.6 annex A) and what they stand for."""

PLAIN_SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
)
"""Transfer syntaxes whose pixel data has a length that follows from the header."""

MAX_HEADER_VALUE = 1 << 16

_VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
    b"UR US UT UV".split()
)
_LONG_VRS = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"UN", b"UT"))


@dataclass(frozen=True, slots=True)
class DicomFile:
    """One DICOM image file.

    Attributes
    ----------
    path : Path
        Absolute.
    header : mapping
        Keyword of `HEADER_KEYWORDS` → str, float or tuple of str or float; absent where empty.
    n_bytes : int
        Size on disk.
    """

    path: Path
    header: Mapping[str, Any]
    n_bytes: int

    def text(self, keyword: str) -> str:
        """Value as text; several values are joined by a backslash; empty where absent."""
        value = self.header.get(keyword, "")
        if isinstance(value, tuple):
            return "\\".join(str(entry) for entry in value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def number(self, keyword: str) -> float | None:
        """First value as a number, None where absent or not a number."""
        value = self.header.get(keyword)
        value = value[0] if isinstance(value, tuple) and value else value
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None

    def values(self, keyword: str) -> tuple[str, ...]:
        """All values, stripped, in capitals."""
        value = self.header.get(keyword, ())
        value = value if isinstance(value, tuple) else (value,)
        return tuple(str(entry).strip().upper() for entry in value)


NO_IDENTITY = re.compile(
    r"|anon(ymous|ymi[sz]ed)?|un(known|identified)|none|null|na|notavailable|deidentified|"
    r"removed|patient(id)?|noid|id|test|0+|x+|subject|dicom"
)
"""Patient numbers (letters and digits only, lower case) that name nobody in particular."""


def identity(file: DicomFile) -> tuple[str, str]:
    """Tell whose image a file is.

    PatientID, its issuer and the birth date together, since numbers of two hospitals may agree.
    Where the number names nobody (empty, "anonymous", asterisks …) two studies cannot be told to
    be of one person: each study is a subject of its own.

    Returns
    -------
    key : str
        Equal for images of one subject.
    original : str
        What is shown to the holder of the key.
    """
    number = file.text("PatientID")
    plain = re.sub(r"[^a-z0-9]", "", number.lower())
    if NO_IDENTITY.fullmatch(plain) and not re.search(r"[^\x00-\x7f]", number):
        study = file.text("StudyInstanceUID") or file.text("SeriesInstanceUID")
        return f"study\x00{study}", study
    issuer, birth = file.text("IssuerOfPatientID"), file.text("PatientBirthDate")
    return f"patient\x00{number}\x00{issuer}\x00{birth}", number


class NotUsable(Exception):
    """A file is no usable DICOM image; the message is the sentence for the list."""


def read_header(path: Path) -> DicomFile:
    """Read what is needed of one header and check the lengths.

    Raises
    ------
    NotUsable
        With the sentence for the list of skipped files.
    """
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    damage = (
        InvalidDicomError,
        BytesLengthException,
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        NotImplementedError,
        RecursionError,
        OverflowError,
        struct.error,
        zlib.error,
    )
    try:
        with path.open("rb") as stream:
            n_bytes = os.fstat(stream.fileno()).st_size
            _check_start(stream.read(140))
            stream.seek(0)
            dataset = dcmread(
                stream,
                stop_before_pixels=True,
                defer_size=MAX_HEADER_VALUE,
                specific_tags=list(HEADER_KEYWORDS),
                force=True,
            )
            header = _plain_header(dataset)
            _check_image(header)
            if header.get("SOPClassUID") in ENHANCED_CLASSES:
                place = stream.tell()
                stream.seek(0)
                header.update(enhanced_values(stream))
                stream.seek(place)
            syntax = str(dataset.file_meta.get("TransferSyntaxUID", PLAIN_SYNTAXES[0]))
            _check_pixels(stream, header, syntax, n_bytes)
    except damage as error:
        if isinstance(error, PermissionError):
            raise NotUsable("The file cannot be read; check its permissions.") from error
        raise NotUsable(
            "It begins like DICOM but its header is damaged or ends early; copy it again."
        ) from error
    return DicomFile(path, header, n_bytes)


def _check_start(start: bytes) -> None:
    """Raise unless the first bytes are those of a DICOM file, with or without a preamble."""
    if start[128:132] == b"DICM":
        return
    if start[:2] == b"\x1f\x8b" or start[:4] in (b"PK\x03\x04", b"\xfd7zX", b"BZh9"):
        raise NotUsable("It is a packed archive; unpack it first.")
    if len(start) >= 16:
        group, element = struct.unpack("<HH", start[:4])
        if group in (0x0002, 0x0008) and element <= 0x0100:
            if start[4:6] in _VRS or struct.unpack("<I", start[4:8])[0] <= 256:
                return
    raise NotUsable("It is not a DICOM file.")


def _plain_header(dataset: Any) -> dict[str, Any]:
    header: dict[str, Any] = {}
    short = short_elements(dataset)
    for keyword in HEADER_KEYWORDS:
        if keyword in short:
            value = _plain_value(dataset, keyword)
            if value not in (None, "", ()):
                header[keyword] = value
    return header


def short_elements(dataset: Any) -> frozenset[str]:
    """Keywords of the elements whose values were read; longer ones stay in the file."""
    from pydicom.datadict import keyword_for_tag

    # values() gives elements as they are; any other access would read the long ones now.
    return frozenset(
        keyword_for_tag(element.tag) for element in dataset.values() if element.value is not None
    )


def _plain_value(dataset: Any, keyword: str) -> Any:
    """Value as str, float or tuple of them; None where malformed."""
    try:
        value = dataset[keyword].value
    except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError, struct.error):
        return None
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return tuple(_plain_one(entry) for entry in value)
    return _plain_one(value)


def _plain_one(value: Any) -> str | float:
    if isinstance(value, (int, float)) or type(value).__name__ == "DSdecimal":
        return float(value)
    return str(value).replace("\0", "").strip()


def _check_image(header: Mapping[str, Any]) -> None:
    sop_class = str(header.get("SOPClassUID", ""))
    for start, name in NOT_IMAGES.items():
        if sop_class == start or sop_class.startswith(start + "."):
            raise NotUsable(f"It is {name}; only images are converted.")
    if "Rows" not in header or "Columns" not in header:
        raise NotUsable("It holds no image; only images are converted.")
    if "SeriesInstanceUID" not in header:
        raise NotUsable("Its header names no series (SeriesInstanceUID is missing).")


def _check_pixels(stream: IO[bytes], header: Mapping[str, Any], syntax: str, n_bytes: int) -> None:
    """Raise unless the pixel data fits into the file and has the length the header promises."""
    if syntax == "1.2.840.10008.1.2.1.99":  # deflated: the length is inside the stream
        return
    order = ">" if syntax == PLAIN_SYNTAXES[2] else "<"
    start = stream.read(12)
    if len(start) < 12 or struct.unpack(order + "H", start[:2])[0] != 0x7FE0:
        raise NotUsable("It has a header but no pixels; copy it again.")
    explicit = start[4:6] in _LONG_VRS and start[6:8] == b"\0\0"
    length = struct.unpack(order + "I", start[8:12] if explicit else start[4:8])[0]
    left = n_bytes - stream.tell() + (0 if explicit else 4)
    if syntax not in PLAIN_SYNTAXES:
        if left < 16:
            raise NotUsable("The file ends before its pixels do; copy it again.")
        return
    needed = 1.0
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames"):
        needed *= max(_number(header.get(keyword)), 1.0)
    needed *= (_number(header.get("BitsAllocated")) or 16.0) / 8
    if length == 0xFFFFFFFF or length > left or needed > left:
        raise NotUsable("The file ends before its pixels do; copy it again.")
    if needed > length:
        raise NotUsable("Its pixels are fewer than its header promises; copy it again.")


def _number(value: Any) -> float:
    value = value[0] if isinstance(value, tuple) and value else value
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0
