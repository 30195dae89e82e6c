"""The stop-watch is right: time, memory and exit code of a process, and the steps of a log."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "speed.py"


@pytest.fixture(scope="module")
def speed() -> ModuleType:
    specification = importlib.util.spec_from_file_location("speed", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["speed"] = module  # dataclasses look their module up there
    specification.loader.exec_module(module)
    return module


def test_a_run_is_measured_with_its_children(speed: ModuleType, tmp_path: Path) -> None:
    child = "b = bytearray(150 * 2**20); import time; time.sleep(0.6)"
    parent = (
        f"import subprocess, sys; subprocess.call([sys.executable, '-c', '{child}']); sys.exit(3)"
    )
    cost = speed.run([sys.executable, "-c", parent], tmp_path / "log.txt")
    assert cost.exit_code == 3
    assert cost.wall_s >= 0.6
    assert cost.cpu_s < cost.wall_s
    # A forked child counts what its parent held, so there is no upper bound to test.
    assert cost.peak_mib > 150


def test_steps_of_one_name_are_added_up(speed: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "log.txt").write_text(
        'INFO nipype.workflow: [Node] Finished "find_head", elapsed time 43.5s.\n'
        'INFO nipype.workflow: [Node] Finished "run_gates", elapsed time 1.0s.\n'
        'INFO nipype.workflow: [Node] Finished "a_wf.b_wf.find_head", elapsed time 0.5s.\n'
    )
    assert speed.steps_of(tmp_path) == {"find_head": 44.0, "run_gates": 1.0}
