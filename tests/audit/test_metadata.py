"""What tables, sidecars and times give away: known answers, and plants that must be seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymi_bids.audit import tables
from anonymi_bids.audit.metadata import identifying_columns, metadata_entry, traits_of
from anonymi_bids.io.images import write_image

SIZES = [1, 1, 2, 3, 3, 4, 6]
POPULATION = [50, 200, 40, 30, 300, 80, 600]


def near(value: object) -> object:
    return pytest.approx(value, abs=6e-7)


def people(sizes: list[int]) -> list[dict[str, str]]:
    """A table with classes of these sizes, told apart by age."""
    ages = [str(20 + kind) for kind, size in enumerate(sizes) for _ in range(size)]
    return [{"participant_id": f"sub-{i:03d}", "age": age} for i, age in enumerate(ages)]


def test_worked_rows_of_the_three_attackers() -> None:
    found = metadata_entry(
        people(SIZES),
        population=[{"age": str(20 + i), "people": str(n)} for i, n in enumerate(POPULATION)],
    )
    assert found["smallest_class"] == 1
    assert found["alone"] == 2
    assert found["people_above_limit"] == 20
    risk = found["risk"]
    assert risk["population_known"]
    assert risk["prosecutor_max"] == near(1)
    assert risk["prosecutor_mean"] == near(0.35)
    assert risk["journalist_max"] == near(0.033333)
    assert risk["journalist_mean"] == near(round(7 / 1300, 6))
    assert risk["marketer"] == near(0.012250)


def test_unknown_population_is_the_worst_case() -> None:
    risk = metadata_entry(people(SIZES))["risk"]
    assert not risk["population_known"]
    assert risk["journalist_max"] == risk["prosecutor_max"]
    assert risk["journalist_mean"] == risk["marketer"] == risk["prosecutor_mean"]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 500)), min_size=1, max_size=30))
def test_prosecutor_journalist_marketer_are_ordered(classes: list[tuple[int, int]]) -> None:
    sizes = [size for size, _ in classes]
    risk = tables.table_risk(sizes, [size + more for size, more in classes])
    assert risk["prosecutor_max"] >= risk["journalist_max"] > 0
    assert risk["prosecutor_mean"] >= risk["journalist_mean"] > 0
    assert risk["journalist_max"] + 1e-12 >= risk["marketer"]
    assert risk["prosecutor_mean"] + 1e-12 >= risk["marketer"]


def test_population_smaller_than_release_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be smaller"):
        tables.table_risk([3], [2])
    # A population table that misses a kind of people counts those of the release.
    rows = [{"age": "20", "people": "1"}]
    assert metadata_entry(people([3, 2]), population=rows)["risk"]["journalist_max"] == near(0.5)


def test_empty_columns_tell_nothing() -> None:
    rows = [{"participant_id": "sub-1", "age": "n/a", "species": "homo sapiens"}]
    assert identifying_columns(rows) == []
    assert traits_of(rows) == {}
    assert metadata_entry(rows)["risk"] is None
    assert traits_of(people([1, 1])) == {"000": ("20",), "001": ("21",)}


def release(folder: Path, sidecars: list[dict[str, Any]], size: int = 8) -> Path:
    for number, content in enumerate(sidecars):
        place = folder / f"sub-{number:02d}" / "anat"
        place.mkdir(parents=True)
        stem = place / f"sub-{number:02d}_T1w"
        stem.with_suffix(".json").write_text(json.dumps(content))
        data = np.zeros((size + number // 2, 8, 8), np.float32)
        write_image(stem.with_suffix(".nii.gz"), data, np.eye(4))
    return folder


def test_equal_protocols_tell_nobody_apart(tmp_path: Path) -> None:
    found = metadata_entry([], release(tmp_path, [{"EchoTime": 0.003}] * 2))["protocol"]
    assert found["varying"] == []
    assert found["alone"] == 0


def test_sidecars_and_grids_that_differ_are_counted(tmp_path: Path) -> None:
    sidecars = [{"EchoTime": 0.003}, {"EchoTime": 0.004}, {"EchoTime": 0.003}, {"EchoTime": 0.003}]
    found = metadata_entry([], release(tmp_path, sidecars))["protocol"]
    assert set(found["varying"]) == {"EchoTime", "matrix size"}
    # 0 and 1 differ by echo time, 2 and 3 have a grid of their own and are alike.
    assert found["alone"] == 2
    assert "2 of 4 people have" in found["sentence"]


def joins(folder: Path) -> dict[str, dict[str, Any]]:
    return {entry["kind"]: entry for entry in metadata_entry([], folder)["joins"]}


def test_pseudonyms_pass_and_raw_serials_are_seen(tmp_path: Path) -> None:
    good = release(tmp_path / "a", [{"DeviceSerialNumber": "scannerk3v9q2xd"}] * 2)
    assert joins(good)["device"]["found"] == 0
    bad = release(tmp_path / "b", [{"DeviceSerialNumber": "45123"}, {"DeviceSerialNumber": "7"}])
    assert joins(bad)["device"]["found"] == 2


def test_times_of_day_are_seen_and_physics_is_not(tmp_path: Path) -> None:
    good = release(tmp_path / "a", [{"EchoTime": 0.003, "RepetitionTime": 2, "InversionTime": 1}])
    assert joins(good)["clock"]["found"] == 0
    bad = release(tmp_path / "b", [{"AcquisitionTime": "10:11:12", "SeriesDate": "x"}])
    assert joins(bad)["clock"]["found"] == 2


def test_true_dates_and_rare_intervals_are_seen(tmp_path: Path) -> None:
    for number, minutes in enumerate((10, 10, 23)):
        folder = tmp_path / f"sub-{number}"
        folder.mkdir()
        year = 2019 if number == 1 else 1911
        (folder / f"sub-{number}_scans.tsv").write_text(
            "filename\tacq_time\n"
            f"anat/a.nii.gz\t{year}-03-04T00:00:00\nanat/b.nii.gz\t{year}-03-04T00:{minutes}:00\n"
        )
    found = joins(tmp_path)
    assert found["date"]["found"] == 2
    assert found["interval"]["alone"] == 1
