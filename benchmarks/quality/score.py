"""From the results of single images to the benchmark's figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import counted, summary
from benchmarks.quality import recognise

Result = dict[str, Any]

LIMITS = {
    "brain_changed": 0,
    "skin_left_mean": 0.02,
    "skin_left_worst": 0.05,
    "vault_changed_worst": 0.02,
    "rank1_before": 0.95,
}
"""Aims of every method."""


def groups(results: list[Result]) -> dict[str, list[Result]]:
    """Results by what was scanned, and how."""
    from benchmarks.quality.cases import ATLAS_HEADS

    named: dict[str, Callable[[dict[str, Any]], bool]] = {
        "digital people, T1w": lambda c: c["kind"] == "person" and c["contrast"] == "T1w",
        "digital people, T2w": lambda c: c["kind"] == "person" and c["contrast"] == "T2w",
        "digital people, FLAIR": lambda c: c["kind"] == "person" and c["contrast"] == "FLAIR",
        "label heads of the atlas": lambda c: (
            c["kind"] == "head" and c["number"] < len(ATLAS_HEADS)
        ),
        "label heads new to the atlas": lambda c: (
            c["kind"] == "head" and c["number"] >= len(ATLAS_HEADS)
        ),
    }
    return {
        name: [result for result in results if belongs(result["case"])]
        for name, belongs in named.items()
    }


def describe(results: list[Result]) -> dict[str, Any]:
    """Figures of one group of images; an image whose head was not found counts as it came out."""
    times = [sum(r["times"][key] for key in ("find_s", "region_s", "write_s")) for r in results]
    statuses: dict[str, int] = {}
    for result in results:
        statuses[result["status"]] = statuses.get(result["status"], 0) + 1
    if not results:
        return {"images": 0}
    ears = [share for r in results for share in r["ears_left"]]
    placed = {
        name: {
            "distance": summary(np.linalg.norm(r["placed_mm"][name]) for r in results),
            "mean_offset": np.mean([r["placed_mm"][name] for r in results], axis=0).tolist(),
        }
        for name in ("nasion", "lpa", "rpa", "chin")
    }
    return {
        "images": len(results),
        "people": len({r["case"]["name"] for r in results}),
        "status": statuses,
        "confidence": summary(r["confidence"] for r in results),
        "brain_changed_voxels": sum(r["brain_changed"] for r in results),
        "brain_voxels": sum(r["brain_voxels"] for r in results),
        "images_with_brain_changed": sum(r["brain_changed"] > 0 for r in results),
        "skin_left": summary(r["skin_left"] for r in results),
        "skin_left_thirds": {
            name: summary(r["skin_left_thirds"][k] for r in results)
            for k, name in enumerate(("brow and eyes", "nose", "mouth and chin"))
        },
        "vault_changed": summary(r["vault_changed"] for r in results),
        "ears_left": summary(ears),
        "removed_ml": summary(r["removed_ml"] for r in results),
        "outside_changed_voxels": sum(r["outside_changed"] for r in results),
        "placed_mm": placed,
        "time_s": summary(times),
        "find_s": summary(r["times"]["find_s"] for r in results),
    }


def recognition(folder: Path, n: int, methods: Sequence[str]) -> dict[str, Any]:
    """Rank-1 rates before and after each method, by shape and by face recogniser.

    Known: the originals of one visit. Searched: another visit, or another contrast of another
    visit, before and after. Never an original against its own released copy.
    """
    people = [f"person-{number:03d}" for number in range(n)]
    heads, crowd = (
        sorted({path.name.split("_")[0] for path in folder.glob(f"{kind}-*_visit-2_*.npz")})
        for kind in ("head", "person")
    )
    return {
        "T1w visit 1 searched among T1w visit 2": _duel(folder, people, [], 1, methods),
        "T2w or FLAIR visit 3 searched among T1w visit 2": _duel(folder, people, [], 3, methods),
        "label heads, T1w visit 1 searched among visit 2 of them and of digital people": (
            _duel(folder, heads, crowd, 1, methods)
        ),
    }


def _duel(
    folder: Path, names: Sequence[str], more: Sequence[str], visit: int, methods: Sequence[str]
) -> dict[str, Any]:
    """Search everybody's `visit` among visit 2 of all, and of `more` people."""
    known = [path for name in more if (path := _features_path(folder, name, 2, "before")).exists()]
    rates: dict[str, Any] = {}
    for when in ("before", *methods):
        pairs = []
        for name in names:
            paths = [
                _features_path(folder, name, visit, when),
                _features_path(folder, name, 2, "before"),
            ]
            if all(path.exists() for path in paths):
                pairs.append([dict(np.load(path)) for path in paths])
        if len(pairs) >= 2:
            others = [dict(np.load(path)) for path in known]
            rates[when] = _rates([p for p, _ in pairs], [*(k for _, k in pairs), *others])
    return rates


def _features_path(folder: Path, name: str, visit: int, when: str) -> Path:
    contrast = "T1w" if visit < 3 else ("T2w", "FLAIR")[int(name.split("-")[1]) % 2]
    return folder / f"{name}_visit-{visit}_{contrast}_{when}.npz"


def _rates(probes: list[Any], gallery: list[Any]) -> dict[str, Any]:
    """Rates of probes whose own entries come first in the gallery."""
    n = len(probes)
    chance = 1 / len(gallery)
    strangers = ~np.eye(n, len(gallery), dtype=bool)
    entry: dict[str, Any] = {"people": n, "gallery": len(gallery), "chance": chance}
    for box, name in (("face", "shape_face"), ("whole", "shape_with_forehead")):
        maps = [p[box] for p in probes]
        known = [k[box] for k in gallery]
        for centred, suffix in ((False, ""), (True, "_centred")):
            scores = recognise.shape_scores(maps, known, centred=centred)
            hits = int(recognise.first_hits(scores).sum())
            entry[name + suffix] = {
                **counted(hits, n, chance),
                "own": summary(np.diag(scores)),
                "others": summary(scores[strangers]),
            }
    detected = np.array([np.isfinite(p["score"]) for p in probes])
    entry["detected"] = counted(int(detected.sum()), n)
    entry["detector_score"] = summary(float(p["score"]) for p in probes)
    for name, first, second in (
        ("embedding", map(_best_embedding, probes), map(_best_embedding, gallery)),
        ("embedding_forced", (p["forced"] for p in probes), (k["forced"] for k in gallery)),
    ):
        scores = recognise.embedding_scores(np.stack(list(first)), np.stack(list(second)))
        own, others = np.diag(scores), scores[strangers]
        entry[name] = {
            **counted(int(recognise.first_hits(scores).sum()), n, chance),
            "own_distance": summary(-own),
            "others_distance": summary(-others),
            "own_nearer_than_median_other": float((own > np.median(others)).mean()),
        }
    return entry


def _best_embedding(features: Any) -> np.ndarray:
    """Embedding at the detected face, or at the true landmarks where the detector fails."""
    found = features["found"]
    return found if np.isfinite(found).all() else features["forced"]


def judge(groups: dict[str, Any], before: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Hold the figures of one method, and the control on the originals, against the aims."""
    by_group = [entry for entry in groups.values() if entry["images"]]
    skin = [entry["skin_left"] for entry in by_group if entry["skin_left"]["n"]]
    vault = [entry["vault_changed"] for entry in by_group if entry["vault_changed"]["n"]]
    found = {
        "brain_changed": sum(entry["brain_changed_voxels"] for entry in by_group),
        "skin_left_mean": max((entry["mean"] for entry in skin), default=None),
        "skin_left_worst": max((entry["max"] for entry in skin), default=None),
        "vault_changed_worst": max((entry["max"] for entry in vault), default=None),
    }
    verdict = {
        name: {
            "aim": LIMITS[name],
            "found": value,
            "met": value is not None and value <= LIMITS[name],
        }
        for name, value in found.items()
    }
    for name in ("shape_face", "embedding"):
        value = before.get(name, {}).get("rate")
        verdict[f"rank1_before_{name}"] = {
            "aim": LIMITS["rank1_before"],
            "found": value,
            "met": value is not None and value >= LIMITS["rank1_before"],
        }
    return verdict
