"""Link a brain with a scan of the same brain in another contrast: T1w with T2w or FLAIR."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np

from anonymi_bids.audit.describe import brain_row
from anonymi_bids.audit.trials import Items, Outcome, attack
from anonymi_bids.audit.visits import Duel, Item, make_duel

WAYS = ("brain_contrast", "brain_edges")


def attack_contrasts(items: Items, rng: np.random.Generator, folder: Path) -> Outcome | None:
    """Link released brains with originals of another contrast and another visit.

    Of all pairs of contrasts the one with most people is taken. A scan of the same visit is not
    used: all scans of a visit are laid on the atlas by one registration, whose error they share. A
    person without another visit is compared with a simulated one of the other contrast; that one
    shares the error, which flatters the attack.

    Parameters
    ----------
    items : dict of list of Item
    rng : numpy Generator
    folder : Path
        Where matrices too large for memory are kept meanwhile.

    Returns
    -------
    Outcome or None
        None if nobody has two contrasts.
    """
    able = {kind: [item for item in found if item.bridge] for kind, found in items.items()}
    contrasts = sorted({item.meta.contrast for item in able["released"]})
    duels = {
        (one, two): _duel(able, "released", one, two) for one, two in permutations(contrasts, 2)
    }
    if not duels or max(duel.n for duel in duels.values()) == 0:
        return None
    one, two = min(duels, key=lambda pair: (-duels[pair].n, pair))
    after = duels[one, two]
    before = _duel(able, "original", one, two, wanted=after.people)
    if before.people != after.people:
        return None
    ways = {name: brain_row(name) for name in WAYS}
    counts = {"original": 0, "released": 0}
    name = f"{one} with {two}"
    return attack("brain_contrast", name, before, after, ways, rng, folder, counts)


def _duel(
    items: Items, kind: str, one: str, two: str, *, wanted: tuple[str, ...] | None = None
) -> Duel:
    return make_duel(
        _of(items[kind], one),
        _of(items["original"], two),
        _of(items["second"], two),
        wanted=wanted,
    )


def _of(items: list[Item], contrast: str) -> list[Item]:
    return [item for item in items if item.meta.contrast == contrast]
