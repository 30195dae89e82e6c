"""A step of the graph breaks in a way nobody thought of: nothing of that image is released."""

from __future__ import annotations

import os

import pytest

from anonymi_bids.cli.run import EXIT_FAULT
from tests.e2e.study import describe, environment, listing, put_head, run, table

BROKEN = {
    "surfaces": ("anonymi_bids.head.geometry", "skin_surface"),
    "gates": ("anonymi_bids.gates", "run_gates"),
}
PLANTED = """
import {module}

def broken(*args, **kwargs):
    raise RuntimeError("planted")

{module}.{name} = broken
"""


@pytest.mark.parametrize("step", sorted(BROKEN))
def test_a_broken_step_releases_nothing_and_says_so(tmp_path, step):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", EchoTime=0.003)
    module, name = BROKEN[step]
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(PLANTED.format(module=module, name=name))
    paths = os.pathsep.join([str(planted), *filter(None, [os.environ.get("PYTHONPATH")])])
    result = run(
        *(source, tmp_path / "out", "participant", "--seed", 9, "--surfaces"),
        env=environment() | {"PYTHONPATH": paths},
    )
    assert result.returncode == EXIT_FAULT
    assert "Traceback" not in result.stdout + result.stderr
    out = tmp_path / "out"
    released = listing(out / "release")
    assert not [name for name in released if name.endswith((".nii.gz", ".gii", ".gii.gz"))]
    withheld = table(out / "private" / "withheld.tsv")["sub-01/anat/sub-01_T1w.nii.gz"]
    assert "A step failed" in withheld["reason"]
