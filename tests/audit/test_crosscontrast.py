"""A brain is known again when bright and dark change places."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from scipy import ndimage

from anonymi_bids.audit import brains
from anonymi_bids.audit.attacks import run_audit
from anonymi_bids.audit.features import FeatureMeta, save_features
from anonymi_bids.audit.selfsimilar import self_similarity_row
from anonymi_bids.model import Image
from anonymi_bids.settings import AuditSettings, Settings

Scan = Callable[..., tuple[Image, np.ndarray]]
SCHEMA = Path(__file__).parents[2] / "docs" / "audit.schema.json"


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.astype(float), b.astype(float))[0, 1])


def other_contrast(image: Image) -> Image:
    """The same head with grey values that run the other way, not in a straight line."""
    data = np.asarray(image.data, dtype=np.float32)
    inverted = np.where(data > 25, 40 + 9000 / np.maximum(data, 25), data)
    return Image(inverted.astype(np.float32), image.affine)


def test_contrast_does_not_matter_but_the_person_does(atlas: Any, visit_of: Scan) -> None:
    rows = {}
    for person in range(4):
        (one, pose), (two, other_pose) = visit_of(person, 0), visit_of(person, 1)
        rows[person, "a"] = brains.brain_rows(one, atlas, pose)
        rows[person, "b"] = brains.brain_rows(other_contrast(two), atlas, other_pose)
    name = "brain_contrast"
    scores = np.array(
        [[alike(rows[i, "a"][name], rows[j, "b"][name]) for j in range(4)] for i in range(4)]
    )
    assert (scores.argmax(axis=1) == np.arange(4)).all()
    strangers = scores[~np.eye(4, dtype=bool)]
    assert scores.diagonal().min() > strangers.max() + 0.1
    # Grey values themselves run against each other.
    grey = [alike(rows[i, "a"]["brain"], rows[i, "b"]["brain"]) for i in range(4)]
    assert max(grey) < 0


def test_row_is_short_and_silent_where_nothing_is(atlas: Any, visit_of: Scan) -> None:
    image, pose = visit_of(1, 0)
    row = brains.brain_rows(image, atlas, pose)["brain_contrast"]
    mask = brains.brain_grid(atlas)[0]
    assert row.shape == (6 * int(mask[::2, ::2, ::2].sum()),)
    assert row.nbytes < 2 * int(mask.sum())
    assert np.isfinite(row).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_gain_and_offset_do_not_matter(scale: float) -> None:
    values = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(24, 26, 22)), 1)
    seen = np.ones(values.shape, dtype=bool)
    plain = self_similarity_row(values.astype(np.float32), seen, seen)
    other = self_similarity_row((7 * scale - scale * values).astype(np.float32), seen, seen)
    assert alike(plain, other) > 0.999
    flat = self_similarity_row(np.full(values.shape, scale, dtype=np.float32), seen, seen)
    assert not flat.any()


def put(folder: Path, who: str, session: str, kind: str, contrast: str, identity: int) -> None:
    """A T2w shows the brain upside down in grey, and as it is in what is free of contrast."""
    rng = np.random.default_rng([identity, int(session), len(kind), ord(contrast[1])])
    own = np.random.default_rng([identity, 5]).normal(size=300)
    grey = own if contrast == "T1w" else np.random.default_rng([identity, 6]).normal(size=300)
    noisy = (grey + 0.4 * rng.normal(size=300)).astype(np.float16)
    face = (60 + rng.normal(size=(3, 8, 9))).astype(np.float16)
    content: dict[str, Any] = dict.fromkeys(("brain", "brain_high", "brain_edges"), noisy)
    content |= {"brain_contrast": (own + 0.8 * rng.normal(size=300)).astype(np.float16)}
    content |= {"depth": face, "head": face, "air": rng.normal(size=40).astype(np.float16)}
    content["skin_gap"] = np.array([15], dtype=np.float16)
    stem = f"sub-{who}_ses-{session}_{contrast}"
    save_features(folder, FeatureMeta(who, session, contrast, kind, stem), content)


def audit(folder: Path) -> dict[str, Any]:
    settings = Settings(audit=AuditSettings())
    content = run_audit(folder, settings=settings, released=[], withheld={})
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(content, schema, cls=jsonschema.Draft202012Validator)
    return content


def found(content: dict[str, Any]) -> dict[str, Any] | None:
    return next((e for e in content["attacks"] if e["name"] == "brain_contrast"), None)


def test_t1w_finds_t2w_of_another_visit(tmp_path: Path) -> None:
    for person in range(18):
        for kind in ("original", "released", "second"):
            put(tmp_path, f"{person:02d}", "1", kind, "T1w", person)
            put(tmp_path, f"{person:02d}", "2", kind, "T2w", person)
    content = audit(tmp_path)
    entry = found(content)
    assert entry is not None
    assert (entry["hits"], entry["n"], entry["contrast"]) == (18, 18, "T1w with T2w")
    assert entry["score"].startswith("correlation of where the brain resembles")
    assert entry["second_visits"] == {"real": 18, "simulated": 0}
    assert entry["result"] == "sets the access level"
    assert entry["negative_control"]["wrong_region"]["hits"] <= 4
    assert not any("across contrasts" in line for line in content["verdict"]["not_tested"])


def test_same_visit_is_never_used(tmp_path: Path) -> None:
    for person in range(6):
        for kind in ("original", "released", "second"):
            for contrast in ("T1w", "T2w"):
                put(tmp_path, f"{person:02d}", "1", kind, contrast, person)
    entry = found(audit(tmp_path))
    assert entry is not None
    assert entry["second_visits"] == {"real": 0, "simulated": 6}
    for path in (tmp_path / "second").iterdir():
        path.unlink()
    assert found(audit(tmp_path)) is None


def test_one_contrast_is_said_to_be_untested(tmp_path: Path) -> None:
    for person in range(3):
        for kind in ("original", "released", "second"):
            put(tmp_path, f"{person:02d}", "1", kind, "T1w", person)
    content = audit(tmp_path)
    assert found(content) is None
    assert any("across contrasts" in line for line in content["verdict"]["not_tested"])
