"""The private pages: every image is shown, the withheld first, and nothing is fetched."""

from __future__ import annotations

import base64
import gzip
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.interfaces.qc import make_piece
from anonymi_bids.io.images import write_image
from anonymi_bids.io.packaged import packaged_path
from anonymi_bids.model import REQUIRED_GATES
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.report import qc

MARKUP = "<script>alert('Mustermann')</script>"


def findings(failed: str = "") -> list[dict[str, Any]]:
    return [
        {
            "gate": gate,
            "status": "failed" if gate == failed else "passed",
            "figure": 0.25,
            "limit": 0.3,
            "sentence": f"{gate} was looked at.",
        }
        for gate in REQUIRED_GATES
    ]


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A coarse head, and the same with its face cut off."""
    folder = tmp_path_factory.mktemp("qc")
    head = quick_head(4.0)
    data = head.image.data.astype(np.float32)
    points = np.moveaxis(np.indices(data.shape), 0, -1) @ head.image.affine[:3, :3].T
    points = points + head.image.affine[:3, 3]
    front = (points[..., 1] > head.nasion[1] - 25) & (points[..., 2] < head.nasion[2])
    write_image(folder / "before.nii.gz", data, head.image.affine)
    write_image(folder / "after.nii.gz", np.where(front, 0, data), head.image.affine)
    write_image(folder / "mask.nii.gz", front, head.image.affine)
    to_image = np.eye(4)
    to_image[:3, 3] = (head.lpa + head.rpa) / 2
    return {
        "image": "sub-1/anat/sub-1_T1w.nii.gz",
        "entities": {
            "subject": "1",
            "session": None,
            "datatype": "anat",
            "suffix": "T1w",
            "extension": ".nii.gz",
            "others": [],
        },
        "source": str(folder / "before.nii.gz"),
        "after_file": str(folder / "after.nii.gz"),
        "mask_file": str(folder / "mask.nii.gz"),
        "atlas_to_image": to_image.tolist(),
        "findings": findings(),
    }


@pytest.fixture(scope="module")
def piece(evidence: dict[str, Any]) -> dict[str, Any]:
    return make_piece(evidence, volumes=True)


def test_a_released_image_is_shown_from_all_sides(piece: dict[str, Any]) -> None:
    assert piece["released"]
    assert piece["reasons"] == []
    assert len(piece["slices"]) == 6
    assert len(piece["renders"]) == 3
    for shot in (*piece["slices"], *piece["renders"]):
        assert {shot[stage][:11] for stage in ("before", "after")} == {"iVBORw0KGgo"}
    assert piece["slices"][0]["outline"]
    changed = {s["name"] for s in piece["slices"] if s["before"] != s["after"]}
    assert {"side, midline", "from below, through the nose"} <= changed
    assert all(shot["before"] != shot["after"] for shot in piece["renders"])


def test_volumes_are_small_and_of_the_right_stage(piece: dict[str, Any]) -> None:
    volumes = {}
    for stage, text in piece["volumes"].items():
        content = gzip.decompress(base64.b64decode(text))
        assert len(base64.b64decode(text)) < 2_000_000
        volumes[stage] = nib.Nifti1Image.from_bytes(content)
        assert volumes[stage].header["descrip"].item() == b""
    before, after = (np.asarray(volumes[s].dataobj) for s in ("before", "after"))
    assert before.dtype == np.uint8
    assert (before > 0).sum() > (after > 0).sum() > 0.5 * (before > 0).sum()


def test_slices_only_leave_the_volumes_out(evidence: dict[str, Any]) -> None:
    small = make_piece(evidence, volumes=False)
    assert small["volumes"] == {}
    assert len(small["slices"]) == 6


def test_a_withheld_image_is_shown_with_its_reason(
    evidence: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"renders": [{"name": "x", "after": "y"}]}
    monkeypatch.setattr("anonymi_bids.interfaces.qc._pictures", lambda *_, **__: shown)
    failed = make_piece(evidence | {"findings": findings("face_gone")}, volumes=False)
    assert not failed["released"]
    assert failed["reasons"] == ["face_gone was looked at."]
    assert failed["renders"][0]["after"]
    missing = make_piece(evidence | {"findings": findings()[1:]}, volumes=False)
    assert not missing["released"]
    told = evidence | {"findings": findings("ears_gone"), "overruled": {"ears_gone": "by me"}}
    assert make_piece(told, volumes=False)["released"]


def test_an_image_without_a_head_is_shown_as_it_lies(evidence: dict[str, Any]) -> None:
    kept = ("image", "entities", "source")
    lost = {key: evidence[key] for key in kept} | {"failure": "No head was found."}
    found = make_piece(lost, volumes=True)
    assert not found["released"]
    assert not found["has_head"]
    assert found["reasons"] == ["No head was found."]
    assert len(found["slices"]) == 3
    assert {shot["after"] for shot in found["slices"]} == {None}
    assert set(found["volumes"]) == {"before"}
    broken = make_piece(lost | {"source": "/nowhere.nii.gz"}, volumes=True)
    assert broken["unread"]
    assert broken["slices"] == []


@pytest.fixture
def private(tmp_path: Path, piece: dict[str, Any]) -> Path:
    qc.write_piece(tmp_path, piece)
    name = "sub-1/anat/sub-1_T2w.nii.gz"
    sentence = {"gate": "face_gone", "status": "failed", "figure": None, "limit": None}
    bad = {"image": name, "contrast": "T2w", "released": False, "reasons": [MARKUP]}
    bad |= {"overruled": {}, "findings": [sentence | {"sentence": MARKUP}], "has_head": False}
    qc.write_piece(tmp_path, bad | {"unread": MARKUP, "slices": [], "renders": [], "volumes": {}})
    return tmp_path


def test_the_page_of_a_participant(private: Path) -> None:
    target = qc.write_subject_page(private, "1")
    assert target == private / "qc" / "sub-1.html"
    page = target.read_text(encoding="utf-8")
    assert MARKUP not in page
    assert page.count("&lt;script&gt;") == 3
    assert page.index("sub-1_T2w.nii.gz</h2>") < page.index("sub-1_T1w.nii.gz</h2>")
    assert "2 images, 1 withheld" in page
    for gate in REQUIRED_GATES:
        assert f"{gate} was looked at." in page
    ours = page.replace(packaged_path(qc.VIEWER).read_text(encoding="utf-8"), "")
    links = re.findall(r'(?:src|href)="([^"]{1,40})', ours)
    assert {link.split(",")[0] for link in links} <= {
        "data:image/png;base64",
        "data:",
        "index.html",
    }
    assert not re.search(r"https?://", ours)
    assert "default-src 'none'" in page
    first = target.read_bytes()
    qc.write_subject_page(private, "1")
    assert target.read_bytes() == first


def test_the_index_lists_everyone(private: Path) -> None:
    assert qc.write_index(private) is None
    qc.write_subject_page(private, "1")
    page = qc.write_index(private)
    assert page is not None
    text = page.read_text(encoding="utf-8")
    assert 'href="sub-1.html"' in text
    assert "2 images, 1 withheld" in text


def test_what_the_input_no_longer_has_disappears(private: Path) -> None:
    qc.write_subject_page(private, "1", planned={"sub-1/anat/sub-1_T1w.nii.gz"})
    assert "sub-1_T2w" not in (private / "qc" / "sub-1.html").read_text(encoding="utf-8")
    assert not qc.piece_path(private, "sub-1/anat/sub-1_T2w.nii.gz").exists()
    assert qc.write_subject_page(private, "1", planned=set()) is None
    assert list((private / "qc").rglob("*.html")) == []
    assert qc.write_index(private) is None


def test_a_damaged_piece_is_left_out(private: Path) -> None:
    qc.piece_path(private, "sub-1/anat/sub-1_T2w.nii.gz").write_text("{half")
    page = qc.write_subject_page(private, "1")
    assert page is not None
    assert "1 image, 0 withheld" in page.read_text(encoding="utf-8")


def test_the_viewer_can_stand_in_a_page() -> None:
    text = packaged_path(qc.VIEWER).read_text(encoding="utf-8")
    assert "</script" not in text.lower()
    assert "<!--" not in text
    assert len(text.encode()) <= 3 * 2**20


@pytest.mark.slow
def test_a_browser_turns_the_head_without_errors_or_requests(private: Path) -> None:
    """Opened from disk: the last line of our script says that a volume was drawn."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium is installed")
    page = qc.write_subject_page(private, "1")
    log = private / "net.json"
    command = [browser, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={private / 'profile'}", f"--log-net-log={log}"]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += ["--enable-unsafe-swiftshader", "--use-angle=swiftshader", "--no-first-run"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"]
    done = subprocess.run(
        [*command, f"file://{page}#turn-1"],
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    assert 'data-turned="after"' in done.stdout
    assert "CONSOLE" not in done.stderr
    asked = re.findall(r'"url":\s*"((?!data:|blob:|file:|chrome|about:)[^"]+)"', log.read_text())
    # The browser itself asks its maker for things; the page, whose policy would make the console
    # speak of every request, asks for nothing.
    assert [url for url in asked if not re.search(r"//[\w.-]*(google|gvt1)[\w.]*/", url)] == []
