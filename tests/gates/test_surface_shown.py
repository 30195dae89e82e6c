"""A surface of the released image passes; one of the original, or with a name in it, does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anonymi_bids.gates import run_gates, surface_shown
from anonymi_bids.head.geometry import skin_surface
from anonymi_bids.io.images import read_image
from anonymi_bids.io.surfaces import read_surface, write_surface
from anonymi_bids.model import REQUIRED_GATES, SURFACE_GATE, Surface

from .conftest import Made


@pytest.fixture(scope="module")
def drawn(made: Made) -> Path:
    path = made.folder / "after.surf.gii"
    write_surface(path, skin_surface(read_image(made.after)))
    return path


def test_surface_of_the_released_image_passes(made: Made, drawn: Path) -> None:
    found = surface_shown.check(made.context(surface_file=drawn))
    assert found.status == "passed", found.sentence
    assert found.figure is not None
    assert found.figure < 0.1


def test_surface_of_the_original_is_seen(made: Made) -> None:
    path = made.folder / "before.surf.gii"
    write_surface(path, skin_surface(read_image(made.before)))
    found = surface_shown.check(made.context(surface_file=path))
    assert found.status == "failed"
    assert "old face" in found.sentence


def test_text_of_the_input_in_the_surface_is_seen(made: Made, drawn: Path) -> None:
    path = made.folder / "named.surf.gii"
    path.write_bytes(drawn.read_bytes().replace(b"Anatomical", b"Mustermann"))
    assert surface_shown.check(made.context(surface_file=path)).status == "failed"


def test_surface_that_misses_the_region_or_cannot_be_read_does_not_pass(
    made: Made, drawn: Path
) -> None:
    surface = read_surface(drawn)
    far = made.folder / "far.surf.gii"
    write_surface(far, Surface(surface.vertices + np.array([0, 0, 900.0]), surface.triangles))
    assert surface_shown.check(made.context(surface_file=far)).status == "could_not_tell"
    far.write_text("nothing")
    found = {f.gate: f for f in run_gates(made.context(surface_file=far))}
    assert found[SURFACE_GATE].status == "could_not_tell"


def test_gate_is_asked_only_where_there_is_a_surface(made: Made) -> None:
    assert tuple(f.gate for f in run_gates(made.context())) == REQUIRED_GATES
