"""The whole command on a small study: what leaves, what stays, what is said of it."""

from __future__ import annotations

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from anonymi_bids.phantoms.quick import quick_head
from tests.e2e.study import describe, digests, listing, put, put_head, run, table

NEEDLE = "Zyxwvuthausen"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two people; beside good images all that a hospital's folder may hold."""
    top = tmp_path_factory.mktemp("release")
    source = describe(top / "in")
    said = {"PatientName": NEEDLE, "ImageComments": f"for {NEEDLE}", "EchoTime": 0.003}
    put_head(source, "sub-01/anat/sub-01_T1w", InstitutionName=NEEDLE, **said)
    put_head(source, "sub-01/anat/sub-01_T2w", "T2w", seed=1, **said)
    put_head(source, "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w", seed=2, **said)
    put_head(source, "sub-02/ses-a/anat/sub-02_ses-a_run-2_T1w", seed=3, **said)
    _put_series(source)
    _put_faults(source)
    _put_tables(source)
    result = run(source, top / "out", "participant", "group", "--seed", 4)
    return source, top / "out", result


def _put_series(source):
    head = quick_head(3.0, "T2w", 5)
    volumes = np.stack([np.clip(head.image.data * s, 0, 4000) for s in (1.0, 1.1, 0.9)], axis=3)
    put(
        source,
        "sub-02/ses-a/func/sub-02_ses-a_task-rest_bold",
        volumes.astype(np.int16),
        head.image.affine,
        RepetitionTime=2.0,
        TaskName="rest",
    )


def _put_faults(source):
    head = quick_head(3.0, "T1w", 0).image
    empty = np.zeros(head.data.shape, np.int16)
    put(source, "sub-02/ses-a/anat/sub-02_ses-a_FLAIR", empty, head.affine)
    nan = np.full(head.data.shape, np.nan, np.float32)
    put(source, "sub-02/ses-a/anat/sub-02_ses-a_PDw", nan, head.affine)
    whole = put_head(source, "sub-02/ses-a/anat/sub-02_ses-a_T2w", "T2w")
    whole.write_bytes(whole.read_bytes()[:20000])
    broken = put_head(source, "sub-02/ses-a/anat/sub-02_ses-a_acq-x_T2w", "T2w")
    broken.with_name("sub-02_ses-a_acq-x_T2w.json").write_text("{not JSON")
    (source / "sub-01/anat/sub-01_photo.jpg").write_bytes(b"x")
    (source / "sourcedata").mkdir()
    (source / "sourcedata" / f"{NEEDLE}.txt").write_text(NEEDLE)
    (source / "sub-01/anat/sub-01_inplaneT2.nii.gz").symlink_to("/etc/hostname")


def _put_tables(source):
    (source / "participants.tsv").write_text(
        "participant_id\tage\tsex\tcomment\n"
        f"sub-01\t34.6\tF\tfriend of {NEEDLE}\nsub-02\t93\tM\tn/a\n"
    )
    (source / "sub-01/sub-01_scans.tsv").write_text(
        "filename\tacq_time\tnote\n"
        f"anat/sub-01_T1w.nii.gz\t2019-03-04T10:11:12\t{NEEDLE}\n"
        "anat/sub-01_T2w.nii.gz\t2019-03-04T10:21:12\tn/a\n"
    )


def test_it_ends_with_some_withheld_and_says_so(finished):
    _, out, result = finished
    assert result.returncode == 3, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "Released:" in result.stdout
    assert "withheld.tsv" in result.stdout
    assert NEEDLE not in result.stdout + result.stderr
    assert (out / "private").stat().st_mode & 0o777 == 0o700


def test_golden_listing_of_the_release(finished):
    _, out, _ = finished
    images = [
        "sub-01/anat/sub-01_T1w",
        "sub-01/anat/sub-01_T2w",
        "sub-02/ses-a/anat/sub-02_ses-a_run-1_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_run-2_T1w",
    ]
    expected = {"README", "dataset_description.json", "participants.json", "participants.tsv"}
    for image in images:
        stem, _, suffix = image.rpartition("_")
        mask = f"{stem}_mod-{suffix}_defacemask.nii.gz"
        expected |= {f"{image}.nii.gz", f"{image}.json", mask}
    expected |= {"sub-01/sub-01_scans.tsv"}
    expected |= {
        f"sub-02/ses-a/func/sub-02_ses-a_task-rest_bold{ext}" for ext in (".nii.gz", ".json")
    }
    assert set(listing(out / "release")) == expected


def test_every_file_of_the_input_has_a_fate(finished):
    source, out, _ = finished
    inventory = table(out / "private/inventory.tsv")
    files = {p.relative_to(source).as_posix() for p in source.rglob("*") if not p.is_dir()}
    assert files <= set(inventory)
    for row in inventory.values():
        assert row["fate"] in ("released", "changed", "withheld")
        assert row["fate"] != "withheld" or len(row["reason"]) > 15


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("ses-a_FLAIR", "zero|empty|nothing|constant|one value"),
        ("ses-a_PDw", "NaN|finite|number"),
        ("ses-a_T2w", "ends early"),
        ("ses-a_acq-x_T2w", "JSON"),
    ],
)
def test_each_unusable_image_is_withheld_with_its_sentence(finished, image, reason):
    import re

    _, out, _ = finished
    row = table(out / "private/withheld.tsv")[f"sub-02/ses-a/anat/sub-02_{image}.nii.gz"]
    assert re.search(reason, row["reason"]), row["reason"]


def test_a_link_out_of_the_input_is_not_followed(finished):
    _, out, _ = finished
    assert table(out / "private/withheld.tsv")["sub-01/anat/sub-01_inplaneT2.nii.gz"]


def test_faces_are_gone_from_every_image_of_a_session(finished):
    """A second T1w, a T2w beside a T1w: where a peer leaves a face and reports success."""
    source, out, _ = finished
    for path in sorted((out / "release").rglob("*_T?w.nii.gz")):
        before = nib.load(source / path.relative_to(out / "release"))
        after = nib.load(path)
        stem, _, suffix = path.name.removesuffix(".nii.gz").rpartition("_")
        mask = nib.load(path.with_name(f"{stem}_mod-{suffix}_defacemask.nii.gz")).get_fdata() > 0
        same = np.asarray(before.dataobj) == np.asarray(after.dataobj)
        assert same[~mask].all()
        assert mask.mean() > 0.05
        assert after.header.get_data_dtype() == before.header.get_data_dtype()
        np.testing.assert_array_equal(after.affine, before.affine)
        tissue = np.asarray(before.dataobj) > np.percentile(before.dataobj, 60)
        assert (~same[mask & tissue]).mean() > 0.95


def test_every_volume_of_a_series_is_changed(finished):
    source, out, _ = finished
    name = "sub-02/ses-a/func/sub-02_ses-a_task-rest_bold.nii.gz"
    before, after = (np.asarray(nib.load(top / name).dataobj) for top in (source, out / "release"))
    changed = [(before[..., t] != after[..., t]).mean() for t in range(3)]
    assert min(changed) > 0.05


def test_the_needle_is_nowhere_outside_private(finished):
    _, out, _ = finished
    from anonymi_bids.io.canary import search

    assert search([out / "release", out / "report"], [NEEDLE, "2019-03-04", "20190304"]) == ()
    for path in (out / "release").rglob("*.nii.gz"):
        assert NEEDLE.encode() not in gzip.decompress(path.read_bytes())


def test_ages_are_whole_and_capped_and_free_text_is_gone(finished):
    _, out, _ = finished
    rows = table(out / "release/participants.tsv")
    assert rows["sub-01"]["age"] == "34"
    assert rows["sub-02"]["age"] == "89"
    assert "comment" not in rows["sub-01"]


def test_dates_are_shifted_but_keep_their_distance(finished):
    _, out, _ = finished
    rows = table(out / "release/sub-01/sub-01_scans.tsv")
    times = [row["acq_time"] for row in rows.values()]
    assert all(int(time[:4]) <= 1925 for time in times)
    assert "note" not in next(iter(rows.values()))


def test_the_release_is_valid_bids(finished):
    import shutil
    import subprocess
    import sys
    from pathlib import Path

    _, out, _ = finished
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    result = subprocess.run(
        [validator, str(out / "release"), "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(result.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_the_report_is_there_and_decides_nothing_from_two_people(finished):
    _, out, _ = finished
    audit = json.loads((out / "report/audit.json").read_text())
    assert audit["verdict"]["result"] != "meets"
    page = (out / "report/audit.html").read_text()
    assert "sub-0" not in page
    assert str(out) not in page


def test_private_pages_show_every_image_the_withheld_first(finished):
    _, out, _ = finished
    pages = out / "private/qc"
    assert sorted(path.name for path in pages.glob("*.html")) == [
        "index.html",
        "sub-01.html",
        "sub-02.html",
    ]
    page = (pages / "sub-02.html").read_text()
    for name in ("ses-a_FLAIR", "ses-a_run-1_T1w", "ses-a_run-2_T1w", "ses-a_task-rest_bold"):
        assert page.count(f"sub-02_{name}.nii.gz</h2>") == 1
    assert page.index("ses-a_FLAIR.nii.gz</h2>") < page.index("run-1_T1w.nii.gz</h2>")
    assert page.count("passed every gate") == 3
    assert NEEDLE not in page
    assert str(out) not in page


def test_the_release_is_searched_once_more_and_nothing_is_left(finished):
    _, out, _ = finished
    audit = json.loads((out / "report/audit.json").read_text())
    assert {entry["found"] for entry in audit["traces"]} == {0}
    assert min(entry["checked"] for entry in audit["traces"]) >= 5
    assert audit["metadata"]["protocol"]["people"] == 2
    assert {entry["found"] for entry in audit["metadata"]["joins"]} == {0}


def test_a_second_run_changes_nothing(finished):
    source, out, _ = finished
    before = digests(out / "release") | digests(out / "report")
    result = run(source, out, "participant", "group", "--seed", 4)
    assert result.returncode == 3
    assert digests(out / "release") | digests(out / "report") == before


def test_log_and_terminal_name_no_path_and_no_person(finished):
    source, out, result = finished
    log = (out / "private/log.txt").read_text()
    assert NEEDLE not in log
    assert str(source) not in log + result.stdout
