"""The method `ml` on a session: the network's own regions, no registration."""

from __future__ import annotations

from tests.e2e.study import changed_session


def test_face_and_ears_go_by_the_network(tmp_path):
    # At 3 mm the margin round the brain keeps a patch of brow, and the gate withholds the image.
    images = changed_session(tmp_path, "ml", suffixes=("T1w",), spacing_mm=2.0)
    for old, _, changed in images:
        assert (old & changed).sum() > 3000
