"""The method `ml` on a session: the network's own regions, no registration."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np

from anonymi_bids.core.mask import head_mask
from tests.e2e.study import describe, put_head, run


def test_face_and_ears_go_by_the_network(tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", seed=8, EchoTime=0.003)
    put_head(source, "sub-01/anat/sub-01_T2w", "T2w", seed=9, EchoTime=0.09)
    out = tmp_path / "out"
    result = run(source, out, "participant", "--seed", 9, "--method", "ml")
    assert result.returncode == 0, result.stdout + result.stderr
    for suffix in ("T1w", "T2w"):
        before = nib.load(source / f"sub-01/anat/sub-01_{suffix}.nii.gz")
        after = nib.load(out / f"release/sub-01/anat/sub-01_{suffix}.nii.gz")
        mask = nib.load(out / f"release/sub-01/anat/sub-01_mod-{suffix}_defacemask.nii.gz")
        changed = np.asarray(mask.dataobj) > 0
        first, second = np.asarray(before.dataobj), np.asarray(after.dataobj)
        np.testing.assert_array_equal(first[~changed], second[~changed])
        assert (head_mask(first, before.affine) & changed).sum() > 3000
    sidecar = json.loads((out / "release/sub-01/anat/sub-01_T1w.json").read_text())
    assert "ml" in json.dumps(sidecar["DeidentificationMethod"])
