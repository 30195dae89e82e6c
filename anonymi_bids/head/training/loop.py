"""The training itself: resumable, seeded, logged, on CPU or GPU."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from anonymi_bids.head.network import GRID_SHAPE
from anonymi_bids.head.training.draw import Draw
from anonymi_bids.head.training.losses import total_loss
from anonymi_bids.head.training.net import HeadNet
from anonymi_bids.head.training.randomise import Loaded, load, random_scan
from anonymi_bids.head.training.subjects import Subject
from anonymi_bids.io.atomic import atomic_path

log = logging.getLogger(__name__)

WARM_UP = 100
SCAN_SHARE = 0.15
"""Share of the steps that show a real scan; digital people and label heads share the rest."""
HEAD_SHARE = 0.4
TOLD_SHARE = 0.4
"""Share of the rows along x whose fine answer is judged in a step; the rest would cost half the
step's time and tell little that is new."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    steps : int
        One random scan each.
    seed : int
    width, depth : int
        Of the network.
    rate : float
        Highest learning rate; it rises over `WARM_UP` steps and falls along a cosine.
    average : float
        Weight of the past in the moving average of the weights, which is what ships.
    shape : (3,) tuple of int
        Grid of 2 mm voxels.
    """

    steps: int = 10_000
    seed: int = 1
    width: int = 16
    depth: int = 3
    rate: float = 2e-3
    average: float = 0.998
    shape: tuple[int, int, int] = GRID_SHAPE


def train(
    subjects: Sequence[Subject],
    folder: Path,
    recipe: Recipe,
    *,
    device: str = "cpu",
    save_every: int = 100,
    stop_after_s: float | None = None,
) -> Path:
    """Train a network, going on where a checkpoint in `folder` ends.

    Parameters
    ----------
    subjects : sequence of Subject
    folder : path
        For ``checkpoint.pt`` and ``log.jsonl``; outside the repository.
    recipe : Recipe
    device : str
    save_every : int
        Steps between checkpoints.
    stop_after_s : float, optional
        Stop after this many seconds, with a checkpoint.

    Returns
    -------
    Path
        The checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = torch.device(device)
    run = _Run(recipe, place, folder)
    groups = grouped([load(subject, place) for subject in subjects])
    began = time.monotonic()
    losses: list[dict[str, float]] = []
    while run.step < recipe.steps:
        draw = Draw(recipe.seed * 10_000_000 + run.step, place)
        losses.append(run.advance(pick(groups, draw), draw))
        out_of_time = stop_after_s is not None and time.monotonic() - began > stop_after_s
        if run.step % save_every == 0 or run.step == recipe.steps or out_of_time:
            run.save()
            _note(folder, run.step, losses, time.monotonic() - began)
            losses = []
        if out_of_time:
            break
    return run.path


def grouped(subjects: Sequence[Loaded]) -> dict[str, list[Loaded]]:
    """Sort subjects by where they come from: ``scan``, ``head``, ``person``."""
    groups: dict[str, list[Loaded]] = {}
    for subject in subjects:
        groups.setdefault(subject.name.split("-")[0], []).append(subject)
    return groups


def pick(groups: dict[str, list[Loaded]], draw: Draw) -> Loaded:
    """Draw the subject of one step."""
    shares = {"scan": SCAN_SHARE, "head": HEAD_SHARE, "person": 1 - SCAN_SHARE - HEAD_SHARE}
    total = sum(shares[name] for name in groups)
    place = draw.number(0, total)
    for name in sorted(groups):
        place -= shares[name]
        if place <= 0:
            break
    return draw.choice(groups[name])


def some_rows(count: int, draw: Draw) -> slice:
    """Draw `TOLD_SHARE` of the coarse rows along x, in one piece."""
    length = max(1, round(TOLD_SHARE * count))
    start = int(draw.number(0, count - length + 0.999))
    return slice(start, start + length)


class _Run:
    """Network, optimiser and step, as they go into a checkpoint."""

    def __init__(self, recipe: Recipe, device: torch.device, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.device = device
        self.path = folder / "checkpoint.pt"
        self.net = HeadNet(recipe.width, recipe.depth).to(device)
        self.mean = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.adam = torch.optim.AdamW(self.net.parameters(), lr=recipe.rate, weight_decay=1e-4)
        self.step = 0
        if self.path.exists():
            kept = torch.load(self.path, map_location=device, weights_only=True)
            self.net.load_state_dict(kept["net"])
            self.mean = kept["mean"]
            self.adam.load_state_dict(kept["adam"])
            self.step = int(kept["step"])
            log.info("Going on after step %d.", self.step)

    def advance(self, subject: Loaded, draw: Draw) -> dict[str, float]:
        """Do one step."""
        recipe = self.recipe
        sample = random_scan(subject, draw, recipe.shape)
        done = self.step / recipe.steps
        cosine = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * done))))
        rate = recipe.rate * min(1.0, (self.step + 1) / WARM_UP) * max(cosine, 0.01)
        for group in self.adam.param_groups:
            group["lr"] = rate
        rows = some_rows(recipe.shape[0] // 2, draw)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            fine, coarse = self.net(sample.scan, rows)
        loss, parts = total_loss(fine, coarse, sample.cut(rows))
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        if bool(torch.isfinite(norm)):
            self.adam.step()
        self.step += 1
        weight = min(recipe.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.net.state_dict().items():
                self.mean[name].lerp_(value, 1 - weight)
        return parts

    def save(self) -> None:
        """Write the checkpoint."""
        kept: dict[str, Any] = {
            "net": self.net.state_dict(),
            "mean": self.mean,
            "adam": self.adam.state_dict(),
            "step": self.step,
            "recipe": asdict(self.recipe),
        }
        with atomic_path(self.path) as temporary:
            torch.save(kept, temporary)


def _note(folder: Path, step: int, losses: list[dict[str, float]], seconds: float) -> None:
    """Add a line to the log."""
    mean = {
        name: round(sum(entry[name] for entry in losses) / len(losses), 4) for name in losses[0]
    }
    line = {"step": step, "seconds": round(seconds, 1), **mean}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    log.info("%s", line)
