"""Landmarks and regions given by hand: used, carried, recorded, and not trusted."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np

from anonymi_bids.deface.mask import build_region
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.io.images import write_image
from anonymi_bids.phantoms.quick import quick_head
from tests.deface.conftest import true_fit
from tests.e2e.study import SPACING_MM, describe, put_head, run, table


def test_a_hand_guides_and_the_gates_still_decide(tmp_path):
    source = describe(tmp_path / "in")
    put_head(source, "sub-01/anat/sub-01_T1w", seed=8, EchoTime=0.003)
    put_head(source, "sub-01/anat/sub-01_T2w", "T2w", seed=9, EchoTime=0.09)
    put_head(source, "sub-02/anat/sub-02_T1w", seed=4, EchoTime=0.003)
    person = quick_head(SPACING_MM, "T1w", 8)
    placed = true_fit(person).atlas_to_image
    drawn = build_region(person.image, load_atlas(), placed, brain_margin_mm=5.0, ears=True)
    # A hand leaves its own trace: a stroke in the air that nothing automatic would make.
    drawn.removed[:6, :6, -6:] = True
    masks = tmp_path / "masks"
    masks.mkdir()
    write_image(masks / "sub-01_desc-face_mask.nii.gz", drawn.removed, person.image.affine)
    places = np.indices(drawn.removed.shape).transpose(1, 2, 3, 0) * SPACING_MM
    tip = np.linalg.inv(person.image.affine) @ [*person.landmarks68[30], 1]
    nose = np.linalg.norm(places - tip[:3] * SPACING_MM, axis=-1) < 25
    write_image(masks / "sub-02_mod-T1w_desc-face_mask.nii.gz", nose, person.image.affine)
    points = {
        "nasion": person.nasion,
        "lpa": person.lpa,
        "rpa": person.rpa,
        "chin": person.landmarks68[8],
        "nose_tip": person.landmarks68[30],
    }
    lines = [f"sub-01\t{name}\t{x:.1f}\t{y:.1f}\t{z:.1f}" for name, (x, y, z) in points.items()]
    landmarks = tmp_path / "landmarks.tsv"
    landmarks.write_text("\n".join(["subject\tname\tx\ty\tz", *lines]) + "\n")
    out = tmp_path / "out"
    args = ("--seed", 9, "--audit", "none", "--landmarks", landmarks, "--face-masks", masks)
    result = run(source, out, "participant", *args)
    assert result.returncode == 3, result.stdout + result.stderr

    withheld = table(out / "private/withheld.tsv")
    assert "own skin" in withheld["sub-02/anat/sub-02_T1w.nii.gz"]["reason"]
    for suffix in ("T1w", "T2w"):
        name = f"sub-01/anat/sub-01_{suffix}.nii.gz"
        assert name not in withheld
        evidence = json.loads((out / f"private/evidence/{name}.json").read_text())
        assert evidence["by_hand"] == ["landmarks", "region"]
        assert evidence["fit"]["figures"]["landmarks_given"] == 5
        mask = nib.load(out / f"release/sub-01/anat/sub-01_mod-{suffix}_defacemask.nii.gz")
        changed = np.asarray(mask.dataobj) > 0
        assert changed[:6, :6, -6:].all()
        assert not (changed & ~drawn.removed).any()
        assert not (changed & person.brain_and_csf).any()
    evidence = json.loads(
        (out / "private/withheld/sub-02/anat/sub-02_T1w.nii.gz.json").read_text()
    )
    assert evidence["by_hand"] == ["region"]
    # No path of this machine and no sign of the tools leaves with the release.
    for path in (out / "release").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()

    again = run(source, out, "participant", "--policy", out / "private/settings.toml")
    assert again.returncode == 3, again.stdout + again.stderr
    assert "find head" not in again.stdout + again.stderr
    landmarks.write_text(landmarks.read_text() + "sub-01\tvertex\t0\t0\t120\n")
    changed_file = run(source, out, "participant", "--policy", out / "private/settings.toml")
    assert changed_file.returncode == 2
    assert "changed since" in changed_file.stderr
