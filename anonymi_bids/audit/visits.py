"""Who can be attacked: probes, galleries, and pairs of visits that may be compared.

An original is never compared with the released copy of the same acquisition, nor with itself. A
person with one visit only is compared with a simulated second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anonymi_bids.audit.features import FeatureMeta

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Item:
    """One image's features, whether they show a face, and whether they bridge contrasts."""

    path: Path
    meta: FeatureMeta
    face: bool = True
    bridge: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """Images of one side of an attack, sorted by person.

    Attributes
    ----------
    items : tuple of Item
    person : (n,) int64 ndarray
        Index of each image's person.
    """

    items: tuple[Item, ...]
    person: Indices

    @property
    def starts(self) -> Indices:
        """Index of each person's first image, (people,)."""
        return np.flatnonzero(np.diff(self.person, prepend=-1)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Duel:
    """Probes against a gallery; every person has at least one allowed pair.

    Attributes
    ----------
    people : tuple of str
    probes, gallery : Side
    own : tuple of (k, 2) int64 ndarray
        For each person the pairs (probe, gallery image) that may be compared.
    simulated : (people,) bool ndarray
        Whose second visit is simulated.
    """

    people: tuple[str, ...]
    probes: Side
    gallery: Side
    own: tuple[Indices, ...]
    simulated: npt.NDArray[np.bool_]

    @property
    def n(self) -> int:
        """Number of people."""
        return len(self.people)


def make_duel(
    probes: Sequence[Item],
    originals: Sequence[Item],
    seconds: Sequence[Item],
    *,
    wanted: Sequence[str] | None = None,
) -> Duel:
    """Pair probes with images of another visit of everyone.

    Parameters
    ----------
    probes, originals, seconds : sequence of Item
        Images of the attack's contrast(s); only usable ones.
    wanted : sequence of str, optional
        Only these people; default: all that can be paired.
    """
    by_person = _group(probes), _group(originals), _group(seconds)
    names = sorted(by_person[0]) if wanted is None else sorted(set(wanted) & set(by_person[0]))
    people, own_pairs, simulated = [], [], []
    chosen_probes: list[Item] = []
    chosen_gallery: list[Item] = []
    for name in names:
        mine = by_person[0][name]
        real = by_person[1].get(name, [])
        drawn = real
        pairs = _pairs(mine, real, _other_session)
        if not pairs:
            drawn = by_person[2].get(name, [])
            pairs = _pairs(mine, drawn, lambda a, b: True)
        if not pairs:
            continue
        offset = len(chosen_probes), len(chosen_gallery)
        own_pairs.append(np.array(pairs, dtype=np.int64) + np.array(offset))
        chosen_probes += mine
        chosen_gallery += drawn
        simulated.append(drawn is not real)
        people.append(name)
    return Duel(
        tuple(people),
        _side(chosen_probes, people),
        _side(chosen_gallery, people),
        tuple(own_pairs),
        np.array(simulated, dtype=bool),
    )


def make_side(items: Sequence[Item]) -> tuple[tuple[str, ...], Side]:
    """Sort images by person.

    Returns
    -------
    people : tuple of str
    side : Side
    """
    grouped = _group(items)
    people = tuple(sorted(grouped))
    return people, _side([item for name in people for item in grouped[name]], people)


def _other_session(probe: Item, entry: Item) -> bool:
    return probe.meta.session != entry.meta.session


def _pairs(
    probes: Sequence[Item], gallery: Sequence[Item], allowed: Callable[[Item, Item], bool]
) -> list[tuple[int, int]]:
    return [(i, j) for i, a in enumerate(probes) for j, b in enumerate(gallery) if allowed(a, b)]


def _group(items: Sequence[Item]) -> dict[str, list[Item]]:
    grouped: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: item.meta.stem):
        grouped.setdefault(item.meta.subject, []).append(item)
    return grouped


def _side(items: Sequence[Item], people: Sequence[str]) -> Side:
    order = {name: index for index, name in enumerate(people)}
    person = np.array([order[item.meta.subject] for item in items], dtype=np.int64)
    return Side(tuple(items), person)
