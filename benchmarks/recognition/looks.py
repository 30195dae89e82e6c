"""What the recogniser makes of the scans and photographs, and the attack on them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anonymi_bids.audit import judge
from anonymi_bids.audit.features import FeatureMeta
from anonymi_bids.audit.recognised import NAME, PHOTO, Look, compare_looks
from anonymi_bids.audit.recogniser import load_recogniser, unit
from anonymi_bids.audit.visits import Duel, Item, Side
from benchmarks.common import one_thread
from benchmarks.recognition.people import METHODS, Task, read_scans

PEOPLE_PER_SEED = 10_000
RECOGNISER = "dlib, ResNet-29"


@dataclass(frozen=True)
class ShowTask:
    """All scans of one person to be shown to the recogniser."""

    scans: Task
    full: bool

    @property
    def path(self) -> Path:
        """Where the vectors are kept."""
        number = "full" if self.full else "quick"
        return self.scans.folder / f"looks-{self.scans.number:03d}_{number}.npz"


def show(task: ShowTask) -> str:
    """Show all scans, and a photograph, of one person to the recogniser."""
    one_thread()
    from anonymi_bids.audit.brains import air_row
    from anonymi_bids.audit.photos import look_at
    from anonymi_bids.audit.portraits import face_features
    from anonymi_bids.head.atlas import load_atlas
    from anonymi_bids.phantoms.person import make_person
    from benchmarks.recognition.photograph import photograph

    atlas, recogniser = load_atlas(), load_recogniser()
    scans = read_scans(task.scans.path)
    kept: dict[str, Any] = {}
    clock = time.process_time()
    for name in scans.images:
        image, place = scans.image(name), scans.place[scans.visit(name)]
        air = air_row(image, atlas, place, seed=5)
        found = face_features(image, atlas, place, air, recogniser, full=task.full)
        kept |= {f"{name}:{key}": value for key, value in found.items()}
    kept["seconds"] = (time.process_time() - clock) / len(scans.images)
    number = PEOPLE_PER_SEED * task.scans.seed + task.scans.number
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "photo.jpg"
        path.write_bytes(photograph(make_person(number), number))
        taken = look_at([path], recogniser)
    if taken is not None:
        kept["photo:embedding"] = taken.vectors
        kept["photo:detector"] = np.array([taken.detector])
    temporary = task.path.with_suffix(".tmp.npz")
    np.savez(temporary, **kept)
    temporary.replace(task.path)
    return f"person {task.scans.number}: {kept['seconds']:.1f} s a scan"


def clock_full(scans: Task) -> float:
    """Processor seconds that all 81 portraits of one untouched scan take."""
    from anonymi_bids.audit.portraits import face_features
    from anonymi_bids.head.atlas import load_atlas

    kept, atlas, recogniser = read_scans(scans.path), load_atlas(), load_recogniser()
    image = kept.image("before")
    clock = time.process_time()
    face_features(image, atlas, kept.place[1], np.arange(99.0), recogniser, full=True)
    return time.process_time() - clock


def read_looks(path: Path) -> dict[str, Look]:
    """Look of each scan of one person, and of the photograph (``photo``) if a face was found."""
    with np.load(path) as packed:
        names = {key.split(":")[0] for key in packed if ":" in key}
        found = {}
        for name in names:
            vectors = packed[f"{name}:embedding"].astype(np.float32)
            scan = name != "photo"
            view = packed[f"{name}:view"] if scan else np.full(len(vectors), -1)
            air = packed[f"{name}:embedding_air"] if scan else vectors
            score = float(packed[f"{name}:detector"][0])
            found[name] = Look(vectors, view.astype(np.int64), air.astype(np.float32), score)
    return found


def kept_looks(folder: Path, number: int) -> dict[str, Look]:
    """Look of each scan that ``benchmarks.quality`` kept: one portrait at the true landmarks."""
    paths = {"known": folder / f"person-{number:03d}_visit-2_T1w_before.npz"}
    for name in ("before", *METHODS):
        paths[name] = folder / f"person-{number:03d}_visit-1_T1w_{name}.npz"
    found = {}
    for name, path in paths.items():
        if path.exists():
            with np.load(path) as packed:
                vector = unit(packed["forced"][None])
                score = float(packed["score"])
            # Nothing was kept of the air: that control is not asked of these.
            found[name] = Look(vector, np.zeros(1, dtype=np.int64), np.zeros_like(vector), score)
    return found


def attack(people: Sequence[dict[str, Look]], known: str) -> dict[str, Any]:
    """Search all people in the originals and in each method's release.

    Parameters
    ----------
    people : sequence of dict
    known : {"known", "photo"}
        What the attacker holds.
    """
    able = [person for person in people if known in person]
    mine = [person[known] for person in able]
    duel = _duel(len(able))
    before = [person["before"] for person in able]
    found = {}
    for method in METHODS:
        if not all(method in person for person in able):
            continue
        after = [person[method] for person in able]
        outcome = compare_looks(
            NAME if known == "known" else PHOTO,
            (duel, duel),
            [(before, mine), (after, mine)],
            np.random.default_rng(1),
            {"original": 0, "released": 0},
        )
        outcome = replace(outcome, recogniser=RECOGNISER)
        entry = judge.attack_entry(outcome, limit=0.09, control_limit=0.5)
        del entry["curves"]
        found[method] = entry
    return {"people": len(able), "left_out": len(people) - len(able), "methods": found}


def _duel(n: int) -> Duel:
    items = tuple(
        Item(Path(f"{i}"), FeatureMeta(f"{i}", "1", "T1w", "released", f"{i}")) for i in range(n)
    )
    side = Side(items, np.arange(n, dtype=np.int64))
    own = tuple(np.array([[i, i]], dtype=np.int64) for i in range(n))
    return Duel(tuple(f"{i}" for i in range(n)), side, side, own, np.zeros(n, dtype=bool))
