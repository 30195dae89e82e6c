"""A second dataset is read, never written to, and only what is new is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anonymi_bids.audit.features import FeatureMeta, find_features, list_features, save_features
from anonymi_bids.errors import InputError
from anonymi_bids.interfaces.gallery import PrepareGallery
from anonymi_bids.io.images import write_image
from anonymi_bids.model import HeadFit

SHAPE = (6, 7, 8)


def put_image(
    root: Path, subject: str, value: int, suffix: str = "T1w", kind: str = "anat"
) -> Path:
    folder = root / f"sub-{subject}" / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"sub-{subject}_{suffix}.nii.gz"
    data = np.full(SHAPE, value, dtype=np.int16)
    data[2, 3, 4] += 1
    write_image(path, data, np.eye(4))
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "theirs"
    root.mkdir()
    (root / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    for number in range(3):
        put_image(root, f"0{number}", number)
    put_image(root, "00", 50, "bold", "func")
    return root


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Heads are found by the images' values: 1 has none, 2 is stripped; each look is noted."""
    seen: list[int] = []

    def find(image: Any, atlas: Any, model: Any, *, seed: int) -> HeadFit:
        value = round(float(np.median(image.data)))
        seen.append(value)
        status = {1: "no_head", 2: "stripped"}.get(value, "head")
        return HeadFit(np.eye(4), 0.9, status, "As planned.")  # type: ignore[arg-type]

    def extract(image: Any, atlas: Any, place: Any, *, seed: int) -> dict[str, Any]:
        return {"brain": np.array([image.data.mean()], dtype=np.float16)}

    monkeypatch.setattr("anonymi_bids.head.find.find_head_checked", find)
    monkeypatch.setattr("anonymi_bids.audit.features.extract_features", extract)
    return seen


def prepare(gallery: Path, output: Path) -> tuple[str, int]:
    done = PrepareGallery(
        gallery=str(gallery), output_dir=str(output), seed="3", min_confidence=0.5
    ).run()
    return done.outputs.features_dir, done.outputs.unusable


def state(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def test_anatomical_images_become_features_beside_the_run(
    dataset: Path, tmp_path: Path, looked_at: list[int]
) -> None:
    before = state(dataset)
    folder, unusable = prepare(dataset, tmp_path / "out")
    assert state(dataset) == before
    assert Path(folder).is_relative_to(tmp_path / "out" / "private" / "gallery")
    assert [path.stem for path in list_features(Path(folder), "original")] == [
        "sub-00_T1w",
        "sub-02_T1w",
    ]
    assert unusable == 1
    assert sorted(looked_at) == [0, 1, 2]


def test_a_second_run_reads_what_is_new(
    dataset: Path, tmp_path: Path, looked_at: list[int]
) -> None:
    first = prepare(dataset, tmp_path / "out")
    looked_at.clear()
    assert prepare(dataset, tmp_path / "out") == first
    assert looked_at == []
    put_image(dataset, "00", 7)
    next((Path(first[0]) / "original").glob("sub-02*")).unlink()
    prepare(dataset, tmp_path / "out")
    assert sorted(looked_at) == [2, 7]
    put_image(dataset, "02", 2).unlink()
    folder, _ = prepare(dataset, tmp_path / "out")
    assert [p.stem for p in list_features(Path(folder), "original")] == ["sub-00_T1w"]


def test_features_of_a_run_are_used_where_they_lie(tmp_path: Path, looked_at: list[int]) -> None:
    features = tmp_path / "earlier" / "private" / "features"
    meta = FeatureMeta("x", "", "T1w", "released", "sub-x_T1w")
    save_features(features, meta, {"brain": np.zeros(3, dtype=np.float16)})
    for place in (features, features.parent, tmp_path / "earlier"):
        assert find_features(place) == features
        assert prepare(place, tmp_path / "out") == (str(features), 0)
    assert looked_at == []
    assert not (tmp_path / "out").exists()


def test_nothing_usable_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="--gallery"):
        prepare(tmp_path / "pictures", tmp_path / "out")


def test_no_gallery_is_no_work(tmp_path: Path) -> None:
    done = PrepareGallery(gallery="", output_dir=str(tmp_path), seed="1", min_confidence=0.5).run()
    assert (done.outputs.features_dir, done.outputs.unusable) == ("", 0)
