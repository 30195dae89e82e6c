"""A small painted head and where the atlas lies in it."""

from __future__ import annotations

import numpy as np
import pytest

from anonymi_bids.core.shape import similarity
from anonymi_bids.head.atlas import load_atlas
from anonymi_bids.model import HeadFit
from anonymi_bids.phantoms.quick import quick_head
from anonymi_bids.phantoms.records import Phantom

NAMES = ("nasion", "lpa", "rpa", "chin")


def true_fit(phantom: Phantom) -> HeadFit:
    """Atlas placed by the true landmarks."""
    atlas = load_atlas()
    target = [phantom.nasion, phantom.lpa, phantom.rpa, phantom.landmarks68[8]]
    source = np.stack([atlas.landmarks[name] for name in NAMES])
    return HeadFit(similarity(source, np.stack(target)), 1.0, "head", "Placed by landmarks.")


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return quick_head(2.0, "T1w", 1)


@pytest.fixture(scope="session")
def fit(phantom: Phantom) -> HeadFit:
    return true_fit(phantom)
