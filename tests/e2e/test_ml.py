"""The method `ml` on a session: the network's own regions, no registration."""

from __future__ import annotations

from tests.e2e.study import changed_session


def test_face_and_ears_go_by_the_network(tmp_path):
    for old, _, changed in changed_session(tmp_path, "ml"):
        assert (old & changed).sum() > 3000
