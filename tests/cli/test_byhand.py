"""What is given by hand is held against INPUT before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.cli.options import settings_from, write_settings
from anonymi_bids.cli.parser import parse
from anonymi_bids.cli.participants import input_digest
from anonymi_bids.cli.places import find_places
from anonymi_bids.cli.plan import Checked, check_input
from anonymi_bids.errors import AnonymiError, SettingsError, UsageError
from anonymi_bids.io.images import write_image
from tests.e2e.study import describe, put

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
PLACES = ("nasion\t0\t94\t38", "lpa\t-75\t0\t0", "rpa\t75\t0\t0", "vertex\t0\t-4\t132")
MIDLINE = ("nasion\t0\t94\t38", "brow\t0\t93\t54", "chin\t0\t103\t-67", "vertex\t0\t0\t132")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two subjects, the second with two sessions."""
    source = describe(tmp_path / "in")
    data = np.arange(512, dtype=np.int16).reshape(8, 8, 8)
    for name in (
        "sub-01/anat/sub-01_T1w",
        "sub-01/anat/sub-01_T2w",
        "sub-01/anat/sub-01_acq-x_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w",
        "sub-02/ses-b/anat/sub-02_ses-b_T1w",
    ):
        put(source, name, data, AFFINE)
    return tmp_path


def landmarks(folder: Path, *subjects: str, places: tuple[str, ...] = PLACES) -> Path:
    lines = [f"{subject}\t{place}" for subject in subjects for place in places]
    path = folder / "landmarks.tsv"
    path.write_text("\n".join(["subject\tsession\tname\tx\ty\tz", *lines]) + "\n")
    return path


def mask(
    folder: Path, name: str, *, shape: tuple[int, ...] = (8, 8, 8), filled: bool = True
) -> Path:
    path = folder / "masks" / f"{name}_desc-face_mask.nii.gz"
    path.parent.mkdir(exist_ok=True)
    write_image(path, np.full(shape, filled), AFFINE)
    return path.parent


def check(study: Path, *more: object) -> Checked:
    """First look of the command, as before anything is written."""
    args = parse([str(study / "in"), str(study / "out"), "participant", *map(str, more)])
    places = find_places(args.input, args.output, None)
    settings = settings_from(args, places.private)
    try:
        return check_input(places, args, settings)
    finally:
        assert not (study / "out").exists()


def test_landmarks_and_regions_reach_their_sessions_and_images(study: Path) -> None:
    given = landmarks(study, "sub-01\tn/a", "02\tses-b")
    mask(study, "sub-01")
    folder = mask(study, "sub-01_acq-x")
    mask(study, "sub-02_ses-a_mod-T1w")
    checked = check(study, "--landmarks", given, "--face-masks", folder)
    assert checked.dataset is not None
    by_name = {session.name: session for session in checked.dataset.sessions}
    assert set(by_name["sub-01"].landmarks) == {"nasion", "lpa", "rpa", "vertex"}
    assert by_name["sub-02_ses-b"].landmarks["lpa"] == (-75.0, 0.0, 0.0)
    assert not by_name["sub-02_ses-a"].landmarks
    assert str(by_name["sub-01"].drawn_file).endswith("/sub-01_desc-face_mask.nii.gz")
    drawn = {
        image.entities.path: image.drawn_file
        for session in checked.dataset.sessions
        for image in session.images
    }
    assert [name for name, path in drawn.items() if path] == [
        "sub-01/anat/sub-01_acq-x_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
    ]


def test_what_is_given_for_others_does_not_stop_one_participant(study: Path) -> None:
    given = landmarks(study, "01\tn/a", "02\ta")
    folder = mask(study, "sub-02_ses-a")
    checked = check(
        study, "--landmarks", given, "--face-masks", folder, "--participant-label", "01"
    )
    assert checked.dataset is not None
    (session,) = checked.dataset.sessions
    assert session.landmarks
    assert session.drawn_file is None


@pytest.mark.parametrize(
    ("subject", "places", "said"),
    [
        ("77\tn/a", PLACES, "INPUT does not hold"),
        ("02\tc", PLACES, "session that its subject does not have"),
        ("02\tn/a", PLACES, "names no session"),
        ("01\tn/a", PLACES[:3], "at least 4"),
        ("01\tn/a", MIDLINE, "one plane"),
    ],
)
def test_wrong_landmarks_are_refused(
    study: Path, subject: str, places: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        check(study, "--landmarks", landmarks(study, subject, places=places))
    assert "77" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("sub-77", {}, "INPUT does not hold"),
        ("sub-02_ses-c", {}, "does not have"),
        ("sub-02", {}, "names no session"),
        ("sub-01_acq-y", {}, "the name of no image"),
        ("sub-01_mod-FLAIR", {}, "the name of no image"),
        ("sub-01_mod-T2w", {"shape": (8, 8, 9)}, "not lie on the grid of its image"),
        ("sub-01", {"shape": (8, 8, 8, 2)}, "not lie on the grid of the reference"),
        ("sub-01_mod-T1w", {"filled": False}, "empty"),
    ],
)
def test_wrong_regions_are_refused(
    study: Path, name: str, more: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        check(study, "--face-masks", mask(study, name, **more))  # type: ignore[arg-type]


def test_a_damaged_region_and_a_method_without_regions_are_refused(study: Path) -> None:
    folder = mask(study, "sub-01")
    settings = settings_from(parse(["in", "out", "participant"]), study)
    assert settings.manual.face_masks == ""
    path = folder / "sub-01_desc-face_mask.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(SettingsError, match="cannot be read"):
        check(study, "--face-masks", folder)
    with pytest.raises(AnonymiError, match="does not exist"):
        check(study, "--face-masks", study / "no")


def test_the_recorded_settings_notice_a_changed_file(study: Path) -> None:
    given = landmarks(study, "01\tn/a")
    args = ["in", "out", "participant"]
    first = settings_from(parse([*args, "--landmarks", str(given), "--seed", "1"]), study)
    assert len(first.manual.landmarks_sha256) == 64
    write_settings(first, study)
    recorded = [*args, "--policy", str(study / "settings.toml")]
    assert settings_from(parse(recorded), study) == first
    given.write_text(given.read_text().replace("132", "133"))
    with pytest.raises(UsageError, match="changed since"):
        settings_from(parse(recorded), study)
    anew = settings_from(parse([*recorded, "--landmarks", str(given)]), study)
    assert anew.manual.landmarks_sha256 != first.manual.landmarks_sha256
    assert anew.digest == first.digest, "others are not done again for one subject's landmark"


def test_a_path_in_a_policy_is_relative_to_it(study: Path) -> None:
    landmarks(study, "01\tn/a")
    policy = study / "mine.toml"
    policy.write_text('[manual]\nlandmarks = "landmarks.tsv"\n')
    settings = settings_from(parse(["in", "out", "participant", "--policy", str(policy)]), study)
    assert Path(settings.manual.landmarks) == study / "landmarks.tsv"


def test_an_image_is_done_again_when_what_was_given_for_it_changes(study: Path) -> None:
    folder = mask(study, "sub-01_acq-x")
    given = landmarks(study, "01\tn/a")

    def digests(*more: object) -> dict[str, str]:
        dataset = check(study, *more).dataset
        assert dataset is not None
        return {
            image.entities.path: input_digest(image, {}, session)
            for session in dataset.sessions
            for image in session.images
        }

    plain = digests()
    placed = digests("--landmarks", given)
    drawn = digests("--face-masks", folder)
    assert {name for name in plain if plain[name] != placed[name]} == {
        name for name in plain if name.startswith("sub-01/")
    }
    assert {name for name in plain if plain[name] != drawn[name]} == {
        "sub-01/anat/sub-01_acq-x_T1w.nii.gz"
    }
