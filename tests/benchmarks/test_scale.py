"""The benchmark of scale measures what it says, and says when a limit is passed."""

from __future__ import annotations

from pathlib import Path

from benchmarks import scale
from benchmarks.common import read_json


def test_small_measurements(tmp_path: Path) -> None:
    for kind, size in (("pairs", 12), ("probe", 60)):
        folder = tmp_path / kind
        folder.mkdir()
        assert scale.measure(kind, size, folder, 3000) == 0
    pairs = read_json(tmp_path / "pairs" / "result.json")
    probe = read_json(tmp_path / "probe" / "result.json")
    assert (pairs["first"], pairs["pairs"]) == (12, 144)
    assert probe["found"]["0.5"] == [10, 10]
    assert scale.within(pairs)
    assert not scale.within(pairs | {"wall_s": 61})
    assert not scale.within(probe | {"own_gb": 5})
    text = scale.page(
        {"measured": [pairs, probe | {"wall_s": 9}], "width": 3000, "machine": {"cores": 2}}
    )
    assert "| 12 | 144 |" in text
    assert "**no**" in text
