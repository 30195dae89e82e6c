"""The method `surface` on a session: every image gets the same new face."""

from __future__ import annotations

from tests.e2e.study import changed_session


def test_all_images_of_a_session_get_one_new_face(tmp_path):
    heads = []
    for old, new, changed in changed_session(tmp_path, "surface"):
        assert (old & changed).sum() > 3000
        assert 0.5 < (new & changed).sum() / (old & changed).sum() < 1.5
        heads.append(new)
    overlap = 2 * (heads[0] & heads[1]).sum() / (heads[0].sum() + heads[1].sum())
    assert overlap > 0.97
