"""Brains that two registrations laid a voxel apart are still found; strangers are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.audit.brains import brain_grid
from anonymi_bids.audit.describe import MOST_SHIFTED, ShiftedBrain, brain_row, brain_ways
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.rows import Rows, ShiftedRows, rows_of, shifted_places
from anonymi_bids.audit.visits import Item
from anonymi_bids.head.atlas import load_atlas

PEOPLE = 4
MASK = brain_grid(load_atlas())[0]
STEP = (1, -1, 0)


def brain(person: int) -> np.ndarray:
    """Structure as fine as the grid shows, (I, J, K)."""
    rng = np.random.default_rng([person, 5])
    return ndimage.gaussian_filter(rng.normal(size=MASK.shape), 0.6)


def items(folder: Path, session: str, step: tuple[int, int, int] = (0, 0, 0)) -> list[Item]:
    found = []
    for person in range(PEOPLE):
        row = np.roll(brain(person), step, (0, 1, 2))[MASK]
        label = f"p{person}"
        meta = FeatureMeta(label, session, "T1w", "original", f"sub-{label}_ses-{session}_T1w")
        content = {"brain_high": (row / row.std()).astype(np.float16)}
        found.append(Item(save_features(folder, meta, content), meta))
    return found


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Item], list[Item], Path]:
    folder = tmp_path_factory.mktemp("rows")
    return items(folder, "1"), items(folder, "2", STEP), folder


def all_scores(probes: Rows, gallery: Rows) -> np.ndarray:
    block = probes.between(0, PEOPLE)
    return np.concatenate([found for _, found in gallery.scores(block)], axis=1)


def test_a_shift_hides_nobody(sides: tuple[list[Item], list[Item], Path]) -> None:
    here, there, folder = sides
    own, others = np.eye(PEOPLE, dtype=bool), ~np.eye(PEOPLE, dtype=bool)
    plain = all_scores(
        *(rows_of(side, brain_row("brain_high"), folder, centred=False) for side in (here, there))
    )
    assert plain[own].max() < 0.3
    rows = [
        rows_of(side, ShiftedBrain("brain_high"), folder, centred=False) for side in (here, there)
    ]
    assert all(isinstance(side, ShiftedRows) for side in rows)
    shifted = all_scores(rows[0], rows[1])
    assert shifted[own].min() > 0.98
    assert shifted[others].max() < 0.1
    paired = rows[1].paired(rows[0].take(range(PEOPLE)), range(PEOPLE))
    assert paired == pytest.approx(np.diag(shifted), abs=1e-5)


def test_every_shift_stays_in_the_map() -> None:
    places = shifted_places(MASK)
    assert places.shape[0] == 27
    assert places.min() >= 0
    at = np.argwhere(MASK)
    moved = at[places] - at[places[13]]
    for number, step in enumerate(np.ndindex(3, 3, 3)):
        assert (moved[number] == np.array(step) - 1).all()


def test_rows_off_the_grid_are_compared_as_they_are(tmp_path: Path) -> None:
    meta = FeatureMeta("a", "1", "T1w", "original", "sub-a_ses-1_T1w")
    path = save_features(tmp_path, meta, {"brain_high": np.arange(300, dtype=np.float16)})
    found = rows_of([Item(path, meta)], ShiftedBrain("brain_high"), tmp_path, centred=False)
    assert type(found) is Rows


def test_very_many_pairs_are_not_shifted() -> None:
    assert next(iter(brain_ways(MOST_SHIFTED))) == "brain_shifted"
    assert "brain_shifted" not in brain_ways(MOST_SHIFTED + 1)
