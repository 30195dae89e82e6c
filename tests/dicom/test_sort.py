"""Series come from headers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from anonymi_bids.dicom.scan import scan_tree
from anonymi_bids.dicom.sort import Series, fingerprint, slice_gaps, sort_series

from .conftest import MPRAGE, TSE, write_series


def series_of(root: Path) -> list[Series]:
    return sort_series(scan_tree(root)[0])


def test_one_folder_with_several_series_and_one_series_in_several_folders(tmp_path: Path) -> None:
    write_series(tmp_path / "x", "a", numbers=(1, 3), **MPRAGE)
    write_series(tmp_path / "x", "b", numbers=(1, 2), SeriesNumber=2, **TSE)
    write_series(tmp_path / "y", "a", numbers=(2, 4), **MPRAGE)
    found = series_of(tmp_path)
    assert [len(entry.files) for entry in found] == [2, 4]
    assert [file.number("InstanceNumber") for file in found[1].files] == [1, 2, 3, 4]
    assert {entry.split_key for entry in found} == {""}


def test_names_of_files_play_no_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    write_series(tmp_path / "one", "a", **MPRAGE)
    write_series(tmp_path / "one", "b", SeriesNumber=2, **TSE)
    (tmp_path / "two").mkdir()
    paths = sorted((tmp_path / "one").iterdir())
    for name, path in zip(rng.permutation(len(paths)), paths, strict=True):
        (tmp_path / "two" / str(name)).write_bytes(path.read_bytes())
    before, after = series_of(tmp_path / "one"), series_of(tmp_path / "two")
    assert [fingerprint(1, entry) for entry in before] == [fingerprint(1, e) for e in after]
    assert [[f.header for f in entry.files] for entry in before] == [
        [f.header for f in entry.files] for entry in after
    ]


def by_echo(dataset: Dataset, number: int) -> None:
    dataset.EchoTime = 12 if number % 2 else 100


def by_type(dataset: Dataset, number: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M" if number % 2 else "P", "ND"]


def by_direction(dataset: Dataset, number: int) -> None:
    directions = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])
    dataset.ImageOrientationPatient = directions[number % 3]


def by_patient(dataset: Dataset, number: int) -> None:
    dataset.PatientID = f"MRN-{number % 2}"


def by_shape(dataset: Dataset, number: int) -> None:
    if number % 2:
        dataset.Rows, dataset.Columns = 20, 16


@pytest.mark.parametrize(
    ("change", "n_parts"),
    [(by_echo, 2), (by_type, 2), (by_direction, 3), (by_patient, 2), (by_shape, 2)],
)
def test_a_uid_that_mixes_images_is_split(tmp_path: Path, change: object, n_parts: int) -> None:
    write_series(tmp_path, "a", numbers=range(1, 13), change=change, **TSE)  # type: ignore[arg-type]
    found = series_of(tmp_path)
    assert len(found) == n_parts
    assert {len(entry.files) for entry in found} == {12 // n_parts}
    assert len({fingerprint(1, entry) for entry in found}) == n_parts


def test_echoes_are_numbered_by_time_not_by_text(tmp_path: Path) -> None:
    def change(dataset: Dataset, number: int) -> None:
        dataset.EchoTime = (4, 10, 100)[number % 3]

    write_series(tmp_path, "a", numbers=range(1, 10), change=change, **TSE)
    found = series_of(tmp_path)
    assert [entry.first.number("EchoTime") for entry in found] == [4, 10, 100]
    assert [entry.echo for entry in found] == [1, 2, 3]


def test_jitter_of_direction_and_rotating_sets_are_not_split(tmp_path: Path) -> None:
    def jitter(dataset: Dataset, number: int) -> None:
        dataset.ImageOrientationPatient = [1, 0.001 * number, 0, -0.001 * number, 1, 0]

    def rotating(dataset: Dataset, number: int) -> None:
        angle = number / 3
        dataset.ImageOrientationPatient = [np.cos(angle), np.sin(angle), 0, 0, 0, -1]

    write_series(tmp_path, "a", change=jitter, **TSE)
    write_series(tmp_path, "b", change=rotating, SeriesNumber=4, **TSE)
    found = series_of(tmp_path)
    assert [len(entry.files) for entry in found] == [8, 8]
    assert found[0].n_orientations == 1
    assert found[1].n_orientations == 8


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((1, 2, 3, 4, 5, 6), (0, 0)), ((1, 2, 3, 5, 6, 7), (1, 1)), ((1, 2, 3, 4, 8, 10), (4, 3))],
)
def test_missing_slices_are_counted(
    tmp_path: Path, numbers: tuple[int, ...], expected: tuple[int, int]
) -> None:
    write_series(tmp_path, "a", numbers=numbers, **TSE)
    assert slice_gaps(series_of(tmp_path)[0]) == expected


def test_fingerprints_depend_on_the_seed_and_hide_the_uid(tmp_path: Path) -> None:
    write_series(tmp_path, "a", **TSE)
    entry = series_of(tmp_path)[0]
    assert fingerprint(1, entry) != fingerprint(2, entry)
    assert len(fingerprint(1, entry)) == 12
