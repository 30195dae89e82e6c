"""The house stays in order, and every rule that says so is able to say the opposite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import structure

Rule = Callable[[str, str], Iterator[str]]


@pytest.mark.parametrize("path", structure.modules(), ids=structure.module_name)
def test_module_keeps_every_rule(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    module = structure.module_name(path)
    broken = [
        f"{path.relative_to(structure.ROOT)}: {found} [{rule.__name__}]"
        for rule in structure.RULES
        for found in rule(source, module)
    ]
    assert not broken, "\n".join(broken)


def test_all_rooms_stand_in_exactly_one_layer() -> None:
    listed = [room for layer in structure.LAYERS for room in layer]
    assert len(listed) == len(set(listed))
    for path in structure.modules():
        structure.layer_of(structure.room_of(structure.module_name(path)))


def lines(count: int) -> str:
    return "\n".join(["def long_one():", *["    a = 1"] * (count - 1)]) + "\n"


PLANTED: list[tuple[Rule, str, str]] = [
    (structure.direction, "core.mask", "from anonymi_bids.io.images import read_image"),
    (structure.direction, "core.mask", "import anonymi_bids.head.atlas"),
    (structure.direction, "core.mask", "from ..io import images"),
    (structure.direction, "core.mask", "from .. import io"),
    (structure.direction, "io.images", "def f():\n    from anonymi_bids.graphs import release"),
    (structure.direction, "gates.face", "from anonymi_bids.deface import mask"),
    (structure.direction, "gates.face", "from anonymi_bids import deface"),
    (structure.direction, "audit.rates", "from anonymi_bids.gates import run_gates"),
    (structure.direction, "audit.rates", "import_module('anonymi_bids.deface.mask')"),
    (structure.direction, "interfaces.head", "from anonymi_bids.graphs import anatomy"),
    (structure.direction, "settings", "from anonymi_bids.core import grid"),
    (structure.ownership, "deface.mask", "import nibabel as nib"),
    (structure.ownership, "gates.grid", "from nipype.interfaces.base import BaseInterface"),
    (structure.ownership, "bids.index", "import pydicom"),
    (structure.ownership, "deface.mask", "def f():\n    import torch"),
    (structure.core_is_pure, "core.mask", "import nilearn"),
    (structure.core_is_pure, "core.mask", "from pathlib import Path"),
    (structure.core_is_pure, "core.mask", "from anonymi_bids.settings import Settings"),
    (structure.core_is_pure, "core.mask", "import numpy as np\nx = np.load('a.npy')"),
    (structure.sizes, "core.mask", "a = 1\n" * 401),
    (structure.sizes, "core.mask", lines(61)),
    (structure.sizes, "graphs.deface", lines(121).replace("long_one", "init_deface_wf")),
    (structure.silence, "cli.run", "print('hello')"),
    (structure.exits, "head.build", "import sys\nsys.exit(1)"),
    (structure.exits, "head.build", "raise SystemExit(1)"),
    (structure.exits, "head.build", "raise SystemExit"),
    (structure.surroundings, "head.build", "import os\na = os.environ['HOME']"),
    (structure.surroundings, "head.build", "import os\na = os.getenv('HOME')"),
    (structure.surroundings, "head.build", "import os\na = os.environ.get('HOME')"),
    (structure.surroundings, "head.build", "import os\na = 'HOME' in os.environ"),
    (structure.global_state, "head.build", "def f():\n    global a\n    a = 1"),
    (structure.global_state, "head.build", "import numpy as np\na = np.random.rand(3)"),
]


@pytest.mark.parametrize(("rule", "place", "source"), PLANTED)
def test_rule_finds_what_breaks_it(rule: Rule, place: str, source: str) -> None:
    assert list(rule(source, f"anonymi_bids.{place}"))


ALLOWED: list[tuple[Rule, str, str]] = [
    (structure.direction, "core.mask", "from anonymi_bids.errors import ImageError"),
    (structure.direction, "core.mask", "from .grid import resample"),
    (structure.direction, "settings", "from anonymi_bids.errors import SettingsError"),
    (structure.direction, "gates.face", "from anonymi_bids.head.atlas import load_atlas"),
    (structure.direction, "cli.run", "from anonymi_bids import __version__"),
    (structure.ownership, "io.images", "import nibabel as nib"),
    (structure.core_is_pure, "core.mask", "import numpy as np\nfrom scipy import ndimage"),
    (structure.sizes, "core.mask", "a = 1\n" * 400),
    (structure.sizes, "core.mask", lines(60)),
    (structure.sizes, "core.mask", lines(61).replace("    a = 1", '    """Explain."""', 1)),
    (structure.sizes, "graphs.deface", lines(120).replace("long_one", "init_deface_wf")),
    (structure.exits, "cli.run", "import sys\nsys.exit(1)"),
    (structure.exits, "core.mask", "raise ValueError('no')"),
    (structure.surroundings, "head.register", "import os\nos.environ['THREADS'] = '1'"),
    (structure.surroundings, "head.register", "import os\nos.environ.setdefault('A', '1')"),
    (structure.global_state, "core.fill", "import numpy as np\nr = np.random.default_rng(1)"),
    (structure.global_state, "core.fill", "r = np.random.default_rng(1).permutation(3)"),
]


@pytest.mark.parametrize(("rule", "place", "source"), ALLOWED)
def test_rule_lets_good_sources_pass(rule: Rule, place: str, source: str) -> None:
    assert not list(rule(source, f"anonymi_bids.{place}"))


def test_every_rule_is_tried_on_a_bad_source() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(structure.RULES)


HEAVY = {"numpy", "scipy", "pandas", "nibabel", "nipype", "ants", "sklearn", "nilearn", "bids"}
HEAVY |= {"pydicom", "matplotlib", "rich", "jinja2", "altair", "typst"}


@pytest.mark.parametrize("module", ["anonymi_bids.cli.run", "anonymi_bids.cli.phantoms"])
def test_help_loads_nothing_heavy(module: str) -> None:
    """What ``--help`` needs is loaded in a moment: no library of arrays or images is among it."""
    code = f"import sys, {module}; print(*(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_what_is_heavy_would_be_noticed() -> None:
    code = (
        "import sys, anonymi_bids.core.grid; print(*(name.split('.')[0] for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split())
