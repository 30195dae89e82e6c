"""The example policy is one, and changes what it says."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from anonymi_bids.errors import SettingsError
from anonymi_bids.settings import Settings, merge

EXAMPLE = Path(__file__).resolve().parents[2] / "workflows" / "custom_policy.toml"


def test_the_example_is_a_policy() -> None:
    settings = merge(Settings(), tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))
    assert settings.policy == "memory-clinic"
    assert settings.deface.brain_margin_mm == 7.0
    assert settings.gates.max_skin_left < Settings().gates.max_skin_left
    assert settings.gates.max_ear_left == Settings().gates.max_ear_left


def test_a_typing_error_in_it_would_be_refused() -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("max_skin_left", "max_skin_leftt")
    with pytest.raises(SettingsError, match="max_skin_leftt"):
        merge(Settings(), tomllib.loads(text))
