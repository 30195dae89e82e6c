"""The method `surface` on a session: every image gets the same new face."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np

from anonymi_bids.core.mask import head_mask
from tests.e2e.study import describe, put_head, run


def test_all_images_of_a_session_get_one_new_face(tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", seed=8, EchoTime=0.003)
    put_head(source, "sub-01/anat/sub-01_T2w", "T2w", seed=9, EchoTime=0.09)
    out = tmp_path / "out"
    result = run(source, out, "participant", "--seed", 9, "--method", "surface")
    assert result.returncode == 0, result.stdout + result.stderr
    heads = []
    for suffix in ("T1w", "T2w"):
        before = nib.load(source / f"sub-01/anat/sub-01_{suffix}.nii.gz")
        after = nib.load(out / f"release/sub-01/anat/sub-01_{suffix}.nii.gz")
        mask = nib.load(out / f"release/sub-01/anat/sub-01_mod-{suffix}_defacemask.nii.gz")
        changed = np.asarray(mask.dataobj) > 0
        first, second = np.asarray(before.dataobj), np.asarray(after.dataobj)
        np.testing.assert_array_equal(first[~changed], second[~changed])
        old, new = (head_mask(data, before.affine) for data in (first, second))
        assert (old & changed).sum() > 3000
        assert 0.5 < (new & changed).sum() / (old & changed).sum() < 1.5
        heads.append(new)
    overlap = 2 * (heads[0] & heads[1]).sum() / (heads[0].sum() + heads[1].sum())
    assert overlap > 0.97
    sidecar = json.loads((out / "release/sub-01/anat/sub-01_T1w.json").read_text())
    assert "surface" in json.dumps(sidecar["DeidentificationMethod"])
