"""What the restoration benchmark simulates and counts."""

from __future__ import annotations

import numpy as np

from anonymi_bids.phantoms.person import make_person
from benchmarks.restoration import meshes
from benchmarks.restoration.attack import against, score_method
from benchmarks.restoration.table import page, without_people


def test_a_new_face_keeps_the_vault_and_replaces_the_face() -> None:
    skin, other = make_person(1).vertices, make_person(2).vertices
    new = meshes.new_face(skin, other)
    region, apart = meshes.region_of()
    assert np.array_equal(new[~region], skin[~region])
    deep = region & (apart > 40)
    moved = np.linalg.norm(new - skin, axis=1)
    assert moved[deep].mean() > 1.5
    # Along the border the new skin meets the old one.
    assert moved[region & (apart < 1)].max(initial=0) < 1.5


def test_a_new_face_is_the_other_persons_but_for_the_border() -> None:
    skins = [make_person(number).vertices for number in (1, 2, 3)]
    first, second = (meshes.new_face(skin, skins[2]) for skin in skins[:2])
    _, apart = meshes.region_of()
    deep = apart > 40
    between = np.linalg.norm((first - second)[deep], axis=1).mean()
    originals = np.linalg.norm((skins[0] - skins[1])[deep], axis=1).mean()
    assert between < originals


def test_mesh_level_gives_all_views() -> None:
    found = meshes.mesh_level(3, "uncoupled")
    names = ("original1", "original2", "mask", "newface", "blur")
    assert set(found) == {f"{name}_{part}" for name in names for part in ("head", "rest")}
    seen = {name: np.isfinite(found[f"{name}_head"]).mean() for name in names}
    assert seen["mask"] < 0.4 < seen["original2"]
    top = np.s_[:, :6]
    assert np.array_equal(found["mask_head"][top], found["original2_head"][top], equal_nan=True)
    assert np.array_equal(found["newface_head"][top], found["original2_head"][top], equal_nan=True)


def people(n: int, share: float) -> list[dict[str, np.ndarray]]:
    """Faces of n people; the release keeps a share of them, turned upside down."""
    rng = np.random.default_rng(4)
    made = []
    for _ in range(n):
        face = 60 + 5 * rng.normal(size=(3, 12, 14))
        other = 60 + 5 * rng.normal(size=face.shape)
        views = [face + 0.5 * rng.normal(size=face.shape) for _ in range(2)]
        after = share * views[1][:, ::-1] + (1 - share) * other
        made.append({"original1_head": views[0], "original2_head": views[1], "mask_head": after})
    return made


def test_planted_inversion_is_found_and_told() -> None:
    face = np.ones((3, 12, 14), dtype=bool)
    found = score_method(people(30, 1.0), "mask", face, 1)
    assert found["face_shape"]["before"]["hits"] == 30
    assert found["face_shape"]["after"]["hits"] <= 5
    assert found["all_informed"]["noise"]["hits"] <= 5
    excess = against(found["face_shape"], found["face_shape"])
    assert (excess["only_first"], excess["excess"]) == (0, 0)
    figures = {
        "settings": {"n": 30, "n_surface": 0, "seed": 1},
        "mesh": {"coupled": {"mask": found}},
        "surface": {},
        "voxel": {},
    }
    text = page(figures)
    assert "30/30" in text
    assert "hits" not in without_people(found)["face_shape"]
