"""Finding DICOM images in a hostile tree."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from anonymi_bids.dicom.scan import scan_tree
from anonymi_bids.errors import InputError

from .conftest import MPRAGE, make_slice, uid, write_series


def reasons(root: Path) -> dict[str, str]:
    return {entry.path: entry.reason for entry in scan_tree(root)[1]}


def test_images_are_found_whatever_they_are_called(tmp_path: Path) -> None:
    write_series(tmp_path / "deep" / "er", "a", numbers=(1, 2), **MPRAGE)
    (tmp_path / "deep" / "er" / "study1a0001").rename(tmp_path / "report.pdf")
    files, skipped = scan_tree(tmp_path)
    assert len(files) == 2
    assert not skipped
    assert files[0].text("ScanningSequence") == "GR\\IR"
    assert files[0].number("InversionTime") == 900


def test_everything_else_is_listed_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("Jane Doe was here")
    (tmp_path / "scans.zip").write_bytes(b"PK\x03\x04rest of it")
    os.mkfifo(tmp_path / "pipe")
    for name, sop_class in (
        ("sr", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("pr", "1.2.840.10008.5.1.4.1.1.11.1"),
        ("pdf", "1.2.840.10008.5.1.4.1.1.104.1"),
        ("dicomdir", "1.2.840.10008.1.3.10"),
    ):
        dataset = make_slice("study1", name, 1, SOPClassUID=sop_class)
        dataset.save_as(tmp_path / name, enforce_file_format=True)
    found = reasons(tmp_path)
    assert len(found) == 8
    assert found["empty"] == "The file is empty."
    assert "not a DICOM file" in found["notes.txt"]
    assert "unpack" in found["scans.zip"]
    assert "pipe" in found["pipe"]
    assert "structured report" in found["sr"]
    assert "presentation state" in found["pr"]
    assert "encapsulated document" in found["pdf"]
    assert "DICOMDIR" in found["dicomdir"]
    assert not any("Doe" in reason for reason in found.values())


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    secret = write_series(outside, "a", numbers=(1,))[0]
    root = tmp_path / "root"
    kept = write_series(root / "real", "b", numbers=(1,))[0]
    (root / "leaves").symlink_to(secret)
    (root / "folder").symlink_to(outside)
    (root / "inside").symlink_to(kept)
    (root / "broken").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root / "loop")
    files, skipped = scan_tree(root)
    assert [file.path for file in files] == [kept.resolve()]
    by_path = {entry.path: entry.reason for entry in skipped}
    assert "leaves the input" in by_path["leaves"]
    assert "leaves the input" in by_path["folder"]
    assert "another place of the input" in by_path["inside"]
    assert "nowhere" in by_path["broken"]
    assert "nowhere" in by_path["loop"]


def test_a_file_cut_at_any_place_is_never_taken_for_whole(tmp_path: Path) -> None:
    whole = write_series(tmp_path / "whole", "a", numbers=(1,))[0].read_bytes()
    root = tmp_path / "cut"
    root.mkdir()
    cuts = sorted(np.random.default_rng(1).choice(len(whole), 80, replace=False))
    for cut in cuts:
        (root / f"{cut:05d}").write_bytes(whole[:cut])
    files, skipped = scan_tree(root)
    assert files == []
    assert len(skipped) == len(cuts)


def test_damaged_bytes_never_raise(tmp_path: Path) -> None:
    whole = write_series(tmp_path / "whole", "a", numbers=(1,))[0].read_bytes()
    root = tmp_path / "damaged"
    root.mkdir()
    rng = np.random.default_rng(2)
    header = len(whole) - 16 * 20 * 2
    for number in range(150):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(132, header, 6)
        content[places] = rng.integers(0, 256, 6)
        (root / f"{number:03d}").write_bytes(content.tobytes())
    files, skipped = scan_tree(root)
    assert len(files) + len(skipped) == 150


@pytest.mark.parametrize("claimed", [0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFFF, 2])
def test_pixel_data_that_lies_about_its_length(tmp_path: Path, claimed: int) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    content = path.read_bytes()
    place = content.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
    path.write_bytes(content[:place] + struct.pack("<I", claimed) + content[place + 4 :])
    files, skipped = scan_tree(tmp_path)
    assert files == []
    assert "copy it again" in skipped[0].reason


def test_a_header_that_promises_more_pixels_than_there_are(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    dataset = dcmread(path)
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(path)
    assert "pixels" in next(iter(reasons(tmp_path).values()))


def test_a_long_text_is_not_read(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    dataset = dcmread(path)
    dataset.add_new("SeriesDescription", "UT", "x" * 1_000_000)
    dataset.save_as(path)
    files, _ = scan_tree(tmp_path)
    assert files[0].text("SeriesDescription") == ""


def test_deep_nesting_is_survived(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    dataset = dcmread(path)
    dataset.save_as(path)
    inner = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
    for _ in range(3000):
        item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
        inner = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    content = path.read_bytes()
    place = content.index(b"\x10\x00\x10\x00PN")
    path.write_bytes(content[:place] + inner + content[place:])
    files, skipped = scan_tree(tmp_path)
    assert len(files) + len(skipped) == 1


def test_a_file_without_preamble_and_one_with_trailing_bytes_are_read(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1, 2))
    content = path[0].read_bytes()
    path[0].write_bytes(content[132:])
    path[1].write_bytes(path[1].read_bytes() + bytes(100_000))
    files, skipped = scan_tree(tmp_path)
    assert len(files) == 2
    assert skipped == []


def test_a_copy_is_told_from_an_equal_uid_of_another_patient(tmp_path: Path) -> None:
    write_series(tmp_path / "x", "a", numbers=(1,))
    write_series(tmp_path / "y", "a", numbers=(1,))
    write_series(tmp_path / "z", "a", numbers=(1,), PatientID="MRN-2")
    files, skipped = scan_tree(tmp_path)
    assert len(files) == 2
    assert [entry.reason for entry in skipped] == ["It is a copy of another file of the input."]


def test_odd_file_names_do_no_harm(tmp_path: Path) -> None:
    path = write_series(tmp_path, "a", numbers=(1,))[0]
    os.rename(path, os.fsencode(tmp_path) + b"/\xff\n\t$(touch x)")
    (tmp_path / "bad\nname").write_text("x")
    files, skipped = scan_tree(tmp_path)
    assert len(files) == 1
    assert skipped[0].path == "bad?name"


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        scan_tree(tmp_path / "absent")


def test_missing_pixels_and_missing_series_are_told(tmp_path: Path) -> None:
    dataset = make_slice("study1", "a", 1)
    del dataset.PixelData
    dataset.save_as(tmp_path / "nopixels", enforce_file_format=True)
    other = make_slice("study1", "b", 1)
    del other.SeriesInstanceUID
    other.save_as(tmp_path / "noseries", enforce_file_format=True)
    found = reasons(tmp_path)
    assert "no pixels" in found["nopixels"]
    assert "names no series" in found["noseries"]


def test_an_enhanced_image_gives_its_times_and_directions(tmp_path: Path) -> None:
    dataset = make_slice(
        "study1", "e", 1, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.1", EchoPulseSequence="GRADIENT"
    )
    for keyword in ("EchoTime", "ImageOrientationPatient", "ImagePositionPatient"):
        if keyword in dataset:
            delattr(dataset, keyword)
    shared, timing, echo = Dataset(), Dataset(), Dataset()
    timing.RepetitionTime, timing.FlipAngle = 7.5, 11
    echo.EffectiveEchoTime = 3.25
    shared.MRTimingAndRelatedParametersSequence = [timing]
    shared.MREchoSequence = [echo]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for cosines in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1]):
        frame, plane = Dataset(), Dataset()
        plane.ImageOrientationPatient = cosines
        frame.PlaneOrientationSequence = [plane]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.NumberOfFrames = 3
    dataset.PixelData = dataset.PixelData * 3
    dataset.save_as(tmp_path / "e", enforce_file_format=True)
    file = scan_tree(tmp_path)[0][0]
    assert file.number("RepetitionTime") == 7.5
    assert file.number("EchoTime") == 3.25
    assert file.values("ScanningSequence") == ("GR",)
    assert file.number("FrameDirections") == 2


def test_five_thousand_files_take_less_than_twenty_seconds(tmp_path: Path) -> None:
    content = write_series(tmp_path / "one", "a", numbers=(1,), **MPRAGE)[0].read_bytes()
    place = content.rindex(uid("study1", "a", 1).encode())
    root = tmp_path / "many"
    root.mkdir()
    for number in range(500):
        (root / str(number)).write_bytes(
            content[: place + 50] + f"{number:05d}".encode() + content[place + 55 :]
        )
    begin = time.process_time()
    files, _ = scan_tree(root)
    assert len(files) == 500
    assert (time.process_time() - begin) * 10 < 20
