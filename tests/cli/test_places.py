"""INPUT and OUTPUT are judged before anything is written."""

import pytest

from anonymi_bids.cli.places import check_gallery, find_places, prepare
from anonymi_bids.errors import UsageError


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "something").write_text("x")
    return folder


def test_missing_and_empty_input_are_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        find_places(str(tmp_path / "no"), str(tmp_path / "out"), None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty"):
        find_places(str(tmp_path / "empty"), str(tmp_path / "out"), None)


def test_input_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        find_places(str(tmp_path / "file"), str(tmp_path / "out"), None)


@pytest.mark.parametrize("inside", ["", "out", "a/b/out"])
def test_output_in_input_is_refused(source, inside):
    with pytest.raises(UsageError, match="OUTPUT lies in INPUT"):
        find_places(str(source), str(source / inside), None)
    assert sorted(path.name for path in source.iterdir()) == ["something"]


def test_output_through_a_link_into_input_is_refused(source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(UsageError, match="OUTPUT lies in INPUT"):
        find_places(str(source), str(tmp_path / "link" / "out"), None)


def test_work_folder_in_input_is_refused(source, tmp_path):
    with pytest.raises(UsageError, match="work folder lies in INPUT"):
        find_places(str(source), str(tmp_path / "out"), str(source / "work"))


def test_output_whose_place_is_a_file_is_refused(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="a file is in its place"):
        find_places(str(source), str(tmp_path / "file" / "out"), None)


def test_nothing_is_written_until_prepare(source, tmp_path):
    places = find_places(str(source), str(tmp_path / "out"), None)
    assert not places.output.exists()
    prepare(places)
    assert places.private.stat().st_mode & 0o777 == 0o700
    assert places.work.stat().st_mode & 0o777 == 0o700


def test_a_second_dataset_must_be_a_second_one(source, tmp_path):
    places = find_places(str(source), str(tmp_path / "out"), None)
    check_gallery("", places)
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UsageError, match="neither a BIDS dataset"):
        check_gallery(str(other), places)
    (other / "sub-01").mkdir()
    check_gallery(str(other), places)
    (places.private / "features").mkdir(parents=True)
    for wrong in (source, places.output, places.private / "features"):
        with pytest.raises(UsageError, match="this run itself"):
            check_gallery(str(wrong), places)
    with pytest.raises(UsageError, match="no folder"):
        check_gallery(str(tmp_path / "none"), places)
