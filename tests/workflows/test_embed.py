"""The example pipeline runs and hands the graph's answer to the node that asked for it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from anonymi_bids.io.images import write_image

EXAMPLE = Path(__file__).resolve().parents[2] / "workflows" / "embed_in_nipype.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("embed_in_nipype", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    """Nothing at all: an image that is withheld before anyone looks for a head."""
    path = tmp_path / "in" / "sub-x_T1w.nii.gz"
    write_image(path, np.zeros((24, 24, 24), np.float32), np.diag([8.0, 8.0, 8.0, 1.0]))
    path.with_name("sub-x_T1w.json").write_text(json.dumps({"EchoTime": 0.003}))
    return path


def test_the_gates_are_part_of_the_graph_that_is_embedded(
    example: ModuleType, image_file: Path, tmp_path: Path
) -> None:
    image = example.describe(image_file, "7")
    assert image.entities.path == "sub-7/anat/sub-7_T1w.nii.gz"
    assert image.sidecar == {"EchoTime": 0.003}
    workflow = example.init_my_wf(image, tmp_path / "out", example.Settings())
    assert workflow.config["execution"]["remove_unnecessary_outputs"] == "false"
    names = workflow.list_node_names()
    assert "tell_me" in names
    assert any(name.endswith("run_gates") for name in names)
    assert any(name.endswith("release_image") for name in names)


def test_what_is_withheld_is_told(
    example: ModuleType,
    image_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert example.main([str(image_file), str(tmp_path / "out"), "--subject", "7"]) == 0
    assert "sub-7/anat/sub-7_T1w.nii.gz: withheld: " in capsys.readouterr().out
    assert not list((tmp_path / "out").glob("release/**/*.nii.gz"))
    assert (tmp_path / "out" / "private").stat().st_mode & 0o777 == 0o700
