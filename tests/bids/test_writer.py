from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anonymi_bids.bids import writer
from anonymi_bids.bids.evidence import read_evidence
from anonymi_bids.bids.index import index_dataset
from anonymi_bids.errors import ReleaseRefused, SpaceError
from anonymi_bids.io.canary import clear_text
from anonymi_bids.model import REQUIRED_GATES, SURFACE_GATE, Finding, Verdict
from tests.bids.study import DIGESTS, Study, listing, passed, run, stage

T1W = "sub-1/anat/sub-1_T1w.nii.gz"
SURFACE = "derivatives/anonymi-bids/sub-1/anat/sub-1_mod-T1w_scalp.surf.gii"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def staged(study: Study, output: Path) -> writer.StagedImage:
    study.image(T1W)
    study.json("sub-1/anat/sub-1_T1w.json", EchoTime=0.003)
    return stage(index_dataset(study.root).sessions[0].images[0], output)


def released(output: Path) -> list[str]:
    return sorted(listing(output / "release"))


def test_passed_image_enters_with_its_files_and_evidence(
    staged: writer.StagedImage, output: Path
) -> None:
    writer.release(staged, passed(T1W), output, DIGESTS)
    assert released(output) == sorted(staged.files)
    evidence = read_evidence(output, T1W)
    assert evidence is not None
    assert set(evidence.files) == set(staged.files)
    assert len(evidence.content["verdict"]["findings"]) == len(REQUIRED_GATES)
    assert writer.already_released(output, T1W, *DIGESTS.values())


def spoiled() -> Iterator[tuple[str, Verdict]]:
    """Yield verdicts that must not open the door."""
    good = passed(T1W)
    yield "no findings", Verdict(T1W, ())
    yield "another image", passed("sub-1/anat/sub-1_T2w.nii.gz")
    for gate in REQUIRED_GATES:
        others = tuple(f for f in good.findings if f.gate != gate)
        yield f"without {gate}", Verdict(T1W, others)
        for status in ("failed", "could_not_tell"):
            bad = Finding(gate, status, None, None, "No.")
            yield f"{gate} {status}", Verdict(T1W, (*others, bad))
        yield f"{gate} twice", Verdict(T1W, (*good.findings, good.findings[0]))
    extra = Finding("new_gate", "failed", 1.0, 0.0, "No.")
    yield "one more gate failed", Verdict(T1W, (*good.findings, extra))
    bad = Finding("face_gone", "failed", 1.0, 0.0, "No.")
    others = tuple(f for f in good.findings if f.gate != "face_gone")
    yield "overruled without a reason", Verdict(T1W, (*others, bad), {"face_gone": " "})


@pytest.mark.parametrize("name", [name for name, _ in spoiled()])
def test_door_stays_shut(name: str, staged: writer.StagedImage, output: Path) -> None:
    with pytest.raises(ReleaseRefused):
        writer.release(staged, dict(spoiled())[name], output, DIGESTS)
    assert not (output / "release").exists()
    assert read_evidence(output, T1W) is None


def test_gate_overruled_by_a_human_opens_the_door(
    staged: writer.StagedImage, output: Path
) -> None:
    bad = Finding("face_gone", "failed", 1.0, 0.0, "No.")
    others = tuple(f for f in passed(T1W).findings if f.gate != "face_gone")
    verdict = Verdict(T1W, (*others, bad), {"face_gone": "Looked at by A. B.: a helmet."})
    writer.release(staged, verdict, output, DIGESTS)
    content = json.loads((output / f"private/evidence/{T1W}.json").read_text())
    assert content["verdict"]["overruled"]["face_gone"].startswith("Looked")


@pytest.mark.parametrize(
    "name",
    [
        "../sub-1_T1w.json",
        "/etc/sub-1_T1w.json",
        "sub-2/anat/sub-2_T1w.json",
        "sub-1/anat/notes.json",
        "sub-1/anat/../../x.json",
        "sub-1/anat/.hidden.json",
        "participants.tsv",
    ],
)
def test_files_of_other_names_stay_out(
    name: str, staged: writer.StagedImage, output: Path
) -> None:
    more = dict(staged.files)
    more[name] = more.pop("sub-1/anat/sub-1_T1w.json")
    with pytest.raises(ReleaseRefused):
        writer.release(dataclasses.replace(staged, files=more), passed(T1W), output, DIGESTS)
    assert not (output / "release").exists()


def test_files_from_elsewhere_stay_out(
    staged: writer.StagedImage, output: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("{}")
    link = writer.incoming_folder(output, T1W) / "link.json"
    link.symlink_to(elsewhere)
    for path in (elsewhere, link, tmp_path / "absent.json"):
        files = {**staged.files, "sub-1/anat/sub-1_T1w.json": path}
        with pytest.raises(ReleaseRefused):
            writer.release(writer.StagedImage(T1W, files), passed(T1W), output, DIGESTS)
    without = {k: v for k, v in staged.files.items() if k != T1W}
    with pytest.raises(ReleaseRefused, match="lack the image"):
        writer.release(writer.StagedImage(T1W, without), passed(T1W), output, DIGESTS)
    with pytest.raises(ReleaseRefused, match="settings_digest"):
        writer.release(staged, passed(T1W), output, {"input_digest": "1"})


def test_folder_of_the_release_that_is_a_link_is_refused(
    staged: writer.StagedImage, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (output / "release").mkdir()
    (output / "release/sub-1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ReleaseRefused, match="link"):
        writer.release(staged, passed(T1W), output, DIGESTS)
    assert not listing(tmp_path / "elsewhere")


def test_other_content_under_the_same_name_is_refused(study: Study, output: Path) -> None:
    paths = [f"sub-1/func/sub-1_task-x_echo-{n}_bold.nii.gz" for n in (1, 2)]
    for path in paths:
        study.image(path, (4, 4, 4, 3))
        study.json(path.replace(".nii.gz", ".json"), RepetitionTime=2, EchoTime=0.01)
    events = study.text("sub-1/func/sub-1_task-x_events.tsv", "onset\tduration\n0\t1\n")
    first, second = index_dataset(study.root).sessions[0].images
    writer.release(stage(first, output), passed(paths[0]), output, DIGESTS)
    writer.release(stage(second, output), passed(paths[1]), output, DIGESTS)
    assert "sub-1/func/sub-1_task-x_events.tsv" in released(output)
    events.write_text("onset\tduration\n5\t1\n")
    with pytest.raises(ReleaseRefused, match="different content"):
        writer.release(stage(second, output), passed(paths[1]), output, DIGESTS)
    writer.withdraw(output, paths[0])
    assert "sub-1/func/sub-1_task-x_events.tsv" in released(output)
    writer.withdraw(output, paths[1])
    assert released(output) == []


def test_changed_files_are_not_taken_for_released(
    staged: writer.StagedImage, output: Path
) -> None:
    writer.release(staged, passed(T1W), output, DIGESTS)
    assert not writer.already_released(output, T1W, "other", DIGESTS["settings_digest"])
    assert not writer.already_released(output, T1W, DIGESTS["input_digest"], "other")
    for name in staged.files:
        path = output / "release" / name
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        assert not writer.already_released(output, T1W, *DIGESTS.values())
        path.write_bytes(content)
    assert writer.already_released(output, T1W, *DIGESTS.values())
    (output / f"private/evidence/{T1W}.json").write_text("{")
    assert not writer.already_released(output, T1W, *DIGESTS.values())


def test_sweep_removes_what_nobody_vouches_for(staged: writer.StagedImage, output: Path) -> None:
    writer.release(staged, passed(T1W), output, DIGESTS)
    strangers = ["sub-1/anat/.tmp-half.nii.gz", "sub-2/anat/sub-2_T1w.nii.gz", "notes.txt"]
    for name in strangers:
        path = output / "release" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert writer.sweep(output, subject="1") == (strangers[0],)
    assert writer.sweep(output) == tuple(sorted(strangers[1:]))
    assert released(output) == sorted(staged.files)
    assert not (output / "release/sub-2").exists()
    (output / "release" / T1W).unlink()
    assert writer.sweep(output) == ()
    assert set(writer.sweep(output, subject="1")) == set(staged.files) - {T1W}
    assert released(output) == []


def test_sweep_withdraws_images_that_are_no_longer_planned(study: Study, output: Path) -> None:
    other = "sub-1/anat/sub-1_T2w.nii.gz"
    for path in (T1W, other):
        study.image(path)
    run(index_dataset(study.root), output)
    writer.sweep(output, subject="1", planned=[T1W])
    assert other not in released(output)
    assert T1W in released(output)
    assert "participants.tsv" in released(output)


def test_table_needs_a_clearance_of_its_own(output: Path) -> None:
    path, text = "participants.tsv", "participant_id\nsub-1\n"
    good = clear_text(path, text, ["Jane"])
    with pytest.raises(ReleaseRefused):
        writer.release_table(text + "sub-2\n", path, good, output)
    with pytest.raises(ReleaseRefused):
        writer.release_table(text, "README", good, output)
    with pytest.raises(ReleaseRefused):
        writer.release_table("Jane", path, clear_text(path, "Jane", ["jane"]), output)
    for other in ("sub-1/anat/sub-1_T1w.nii.gz", "../x", "sub-1/notes.tsv", "code/run.py"):
        with pytest.raises(ReleaseRefused):
            writer.release_table(text, other, clear_text(other, text, []), output)
    assert not (output / "release").exists()
    writer.release_table(text, path, good, output)
    assert (output / "release" / path).read_text() == text


def test_full_disk_leaves_nothing_and_may_be_tried_again(
    staged: writer.StagedImage, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(writer, "write_evidence", full)
        with pytest.raises(SpaceError, match="start the same command again"):
            writer.release(staged, passed(T1W), output, DIGESTS)
    assert not (output / "release").exists()
    writer.release(staged, passed(T1W), output, DIGESTS)
    assert T1W in released(output)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the package catches it."""


def grown(study: Study) -> None:
    """Make a study of two participants with files of many kinds."""
    for label in "12":
        top, name = f"sub-{label}", f"sub-{label}"
        study.image(f"{top}/anat/{name}_T1w.nii.gz", seed=int(label))
        study.json(f"{top}/anat/{name}_T1w.json", EchoTime=0.003)
        study.image(f"{top}/func/{name}_task-x_bold.nii.gz", (4, 4, 4, 3))
        study.json(f"{top}/func/{name}_task-x_bold.json", RepetitionTime=2)
        study.text(f"{top}/func/{name}_task-x_events.tsv", "onset\tduration\n0\t1\n")
        study.image(f"{top}/fmap/{name}_dir-AP_epi.nii.gz")
        study.json(
            f"{top}/fmap/{name}_dir-AP_epi.json",
            PhaseEncodingDirection="j",
            TotalReadoutTime=0.05,
            IntendedFor=[f"func/{name}_task-x_bold.nii.gz", f"anat/{name}_T1w.nii.gz"],
        )
        study.text(
            f"{top}/{name}_scans.tsv",
            f"filename\tacq_time\nanat/{name}_T1w.nii.gz\t2024-01-31T10:11:12\n",
        )
    study.text("participants.tsv", "participant_id\tage\nsub-1\t91\nsub-2\t44\n")


def without_second_bold(path: str) -> bool:
    return path.startswith("sub-2/func")


def test_run_killed_anywhere_ends_in_the_same_release(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill before and after every single rename, start again: byte for byte the same."""
    grown(study)
    plan = index_dataset(study.root)
    run(plan, tmp_path / "calm", withhold=without_second_bold)
    expected = listing(tmp_path / "calm/release")
    inventory = (tmp_path / "calm/private/inventory.tsv").read_bytes()
    replace, count = os.replace, 0
    monkeypatch.setattr(os, "fsync", lambda _: None)  # killed here are runs, not machines

    def deadly(source: Any, target: Any, *, limit: int, late: bool) -> None:
        nonlocal count
        count += 1
        if count == limit and not late:
            raise Killed
        replace(source, target)
        if count == limit:
            raise Killed

    n_kills = 0
    for limit in range(1, 200):
        late = bool(limit % 2)
        output = tmp_path / f"killed-{limit}"
        count = 0
        with monkeypatch.context() as patched:
            patched.setattr(
                os, "replace", lambda s, t, n=limit, l=late: deadly(s, t, limit=n, late=l)
            )
            try:
                run(plan, output, withhold=without_second_bold)
                break
            except Killed:
                n_kills += 1
        for label in plan.labels.values():
            planned = [i.entities.path for s in plan.sessions for i in s.images]
            writer.sweep(output, subject=label, planned=planned)
        run(plan, output, withhold=without_second_bold)
        assert listing(output / "release") == expected, limit
        assert (output / "private/inventory.tsv").read_bytes() == inventory
    assert n_kills > 40


def test_half_moved_image_is_never_mistaken_for_a_whole_one(
    staged: writer.StagedImage, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def deadly(source: Any, target: Any) -> None:
        if os.fspath(target).endswith("T1w.nii.gz"):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", deadly)
        with pytest.raises(Killed):
            writer.release(staged, passed(T1W), output, DIGESTS)
    assert T1W not in released(output)
    assert not writer.already_released(output, T1W, *DIGESTS.values())
    writer.sweep(output, subject="1")
    assert released(output) == []


def test_links_come_back_when_their_image_does(study: Study, output: Path) -> None:
    grown(study)
    plan = index_dataset(study.root)
    sidecar = output / "release/sub-2/fmap/sub-2_dir-AP_epi.json"
    run(plan, output, withhold=lambda path: path.startswith("sub-2/anat"))
    assert json.loads(sidecar.read_text())["IntendedFor"] == [
        "bids::sub-2/func/sub-2_task-x_bold.nii.gz"
    ]
    run(plan, output, withhold=lambda path: path.startswith(("sub-2/anat", "sub-2/func")))
    assert "IntendedFor" not in json.loads(sidecar.read_text())
    assert writer.already_released(output, "sub-2/fmap/sub-2_dir-AP_epi.nii.gz", *DIGESTS.values())
    run(plan, output)
    calm = output.parent / "calm"
    run(plan, calm)
    assert listing(output / "release") == listing(calm / "release")


def with_surface(staged: writer.StagedImage, output: Path, name: str) -> writer.StagedImage:
    path = writer.incoming_folder(output, T1W) / "surface"
    path.write_bytes(b"<GIFTI/>")
    return writer.StagedImage(T1W, {**staged.files, name: path})


def seen(status: str) -> Verdict:
    found = Finding(SURFACE_GATE, status, 0.0, 0.1, "Seen.")  # type: ignore[arg-type]
    return Verdict(T1W, (*passed(T1W).findings, found))


def test_surface_enters_and_leaves_with_its_image(
    staged: writer.StagedImage, output: Path
) -> None:
    both = with_surface(staged, output, SURFACE)
    writer.release(both, seen("passed"), output, DIGESTS)
    assert released(output) == sorted(both.files)
    assert writer.sweep(output, subject="1") == ()
    stray = output / "release/derivatives/anonymi-bids/sub-1/stray"
    stray.write_text("x")
    assert writer.sweep(output, subject="1") == ("derivatives/anonymi-bids/sub-1/stray",)
    assert SURFACE in writer.withdraw(output, T1W)
    assert released(output) == []
    assert not (output / "release/derivatives/anonymi-bids/sub-1").exists()


@pytest.mark.parametrize("verdict", [passed(T1W), seen("failed"), seen("could_not_tell")])
def test_surface_needs_a_verdict_of_its_own(
    staged: writer.StagedImage, output: Path, verdict: Verdict
) -> None:
    with pytest.raises(ReleaseRefused):
        writer.release(with_surface(staged, output, SURFACE), verdict, output, DIGESTS)
    assert not (output / "release").exists()


@pytest.mark.parametrize(
    "name",
    [
        SURFACE.replace("sub-1", "sub-2"),
        SURFACE.replace("scalp", "outerskull"),
        SURFACE.replace("T1w", "T2w"),
        "derivatives/other/" + SURFACE.split("/", 2)[2],
        "sub-1/anat/sub-1_mod-T1w_scalp.surf.gii",
    ],
)
def test_no_other_file_enters_as_a_surface(
    name: str, staged: writer.StagedImage, output: Path
) -> None:
    with pytest.raises(ReleaseRefused):
        writer.release(with_surface(staged, output, name), seen("passed"), output, DIGESTS)
