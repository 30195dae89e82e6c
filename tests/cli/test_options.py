"""Defaults < policy < file < command line; the recorded settings repeat the run."""

import pytest

from anonymi_bids.cli.options import (
    agree_on_seed,
    earlier_seed,
    settings_from,
    write_settings,
)
from anonymi_bids.cli.parser import parse
from anonymi_bids.errors import SettingsError, UsageError
from anonymi_bids.settings import Settings


def arguments(*more):
    return parse(["in", "out", "participant", *more])


def test_seed_is_drawn_when_none_is_given_and_kept_for_the_next_run(tmp_path):
    first = settings_from(arguments(), tmp_path)
    assert first.seed > 2**64
    agree_on_seed(first, tmp_path, given=False)
    assert settings_from(arguments(), tmp_path).seed == first.seed == earlier_seed(tmp_path)


def test_runs_that_start_together_use_the_first_seed(tmp_path):
    first = agree_on_seed(Settings(seed=5), tmp_path, given=False)
    second = agree_on_seed(Settings(seed=6), tmp_path, given=False)
    assert (first.seed, second.seed) == (5, 5)
    assert agree_on_seed(Settings(seed=7), tmp_path, given=True).seed == 7
    assert earlier_seed(tmp_path) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["seed"]


def test_recorded_settings_repeat_the_run(tmp_path):
    policy = tmp_path / "mine.toml"
    policy.write_text('recipient = "a \\"friend\\""\n[gates]\nmax_skin_left = 0.03\n')
    given = settings_from(arguments("--policy", str(policy), "--seed", "9"), tmp_path)
    assert given.gates.max_skin_left == 0.03
    write_settings(given, tmp_path)
    again = settings_from(arguments("--policy", str(tmp_path / "settings.toml")), tmp_path)
    assert again == given
    assert again.digest == given.digest


def test_command_line_beats_the_policy(tmp_path):
    policy = tmp_path / "mine.toml"
    policy.write_text("seed = 1\n")
    assert settings_from(arguments("--policy", str(policy), "--seed", "2"), tmp_path).seed == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gates]\nmax_skin = 1\n", "unknown key"),
        ("colour = 1\n", "unknown key"),
        ("[gates]\nmax_skin_left = 3\n", "only 0 to 1"),
        ('[gates]\nmax_skin_left = "x"\n', "wrong type"),
        ("gates = 3\n", "as a table"),
        ("[gates\n", "not valid TOML"),
    ],
)
def test_wrong_policies_get_a_sentence(tmp_path, text, message):
    policy = tmp_path / "mine.toml"
    policy.write_text(text)
    with pytest.raises(SettingsError, match=message):
        settings_from(arguments("--policy", str(policy)), tmp_path)


@pytest.mark.parametrize("option", ["--dicom-out", "--review"])
def test_options_that_are_not_built_are_refused(tmp_path, option):
    with pytest.raises(UsageError, match="not built"):
        settings_from(arguments(option), tmp_path)


@pytest.mark.parametrize("method", ["mask", "surface", "ml"])
def test_the_method_is_a_setting(tmp_path, method):
    settings = settings_from(arguments("--method", method, "--seed", "1"), tmp_path)
    assert settings.deface.method == method


def test_changing_the_vault_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UsageError, match="no gate can tell"):
        settings_from(arguments("--regions", "head"), tmp_path)
    assert settings_from(arguments("--regions", "face", "--seed", "1"), tmp_path) == Settings(
        seed=1
    )


def test_the_surface_style_is_a_setting(tmp_path):
    args = ("--method", "surface", "--surface-style", "blur", "--policy", "eeg-source")
    settings = settings_from(arguments(*args), tmp_path)
    assert (settings.deface.method, settings.deface.surface_style) == ("surface", "blur")


def test_blur_is_refused_where_anyone_may_download(tmp_path):
    with pytest.raises(SettingsError, match="keeps the person"):
        settings_from(arguments("--method", "surface", "--surface-style", "blur"), tmp_path)
    policy = tmp_path / "mine.toml"
    policy.write_text('[deface]\nmethod = "surface"\nsurface_style = "blur"\n')
    with pytest.raises(SettingsError, match="keeps the person"):
        settings_from(arguments("--policy", str(policy)), tmp_path)
    policy.write_text(policy.read_text() + "[audit]\nmax_upper95 = 0.2\n")
    assert settings_from(arguments("--policy", str(policy)), tmp_path).audit.max_upper95 == 0.2
    unused = arguments("--method", "mask", "--surface-style", "blur")
    assert settings_from(unused, tmp_path).deface.method == "mask"


def test_underscores_and_hyphens_are_the_same():
    args = arguments("--participant_label", "01", "a_b", "--bids_filter_file=f_x.json")
    assert args.participant_label == ["01", "a_b"]
    assert args.bids_filter_file == "f_x.json"


def test_private_pages_can_be_switched_off(tmp_path):
    assert settings_from(arguments(), tmp_path).qc == "full"
    assert settings_from(arguments("--qc", "none"), tmp_path).qc == "none"
    policy = tmp_path / "mine.toml"
    policy.write_text('qc = "slices"\n')
    assert settings_from(arguments("--policy", str(policy)), tmp_path).qc == "slices"
    policy.write_text('qc = "some"\n')
    with pytest.raises(SettingsError, match="full, slices, none"):
        settings_from(arguments("--policy", str(policy)), tmp_path)


def test_gallery_is_recorded_but_changes_no_release(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = settings_from(arguments("--seed", "1"), tmp_path)
    given = settings_from(arguments("--seed", "1", "--gallery", "x", "--audit", "full"), tmp_path)
    assert given.audit.gallery == str(tmp_path / "x")
    assert given.audit.audit == "full"
    same = settings_from(arguments("--seed", "1", "--gallery", "x"), tmp_path)
    assert same.digest == plain.digest
    write_settings(same, tmp_path)
    again = settings_from(arguments("--policy", str(tmp_path / "settings.toml")), tmp_path)
    assert again.audit.gallery == str(tmp_path / "x")
