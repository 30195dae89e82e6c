"""The reference of a session is the image that shows the head best."""

import pytest

from anonymi_bids.head.reference import choose_reference
from anonymi_bids.model import Entities


def image(suffix, shape=(176, 256, 256), sizes=(1.0, 1.0, 1.0), datatype="anat"):
    return Entities("1", None, datatype, suffix, ".nii.gz"), {}, shape, sizes


THICK = {"shape": (256, 256, 40), "sizes": (0.9, 0.9, 4.0)}


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([image("T2w"), image("T1w")], 1),
        ([image("T1w", **THICK), image("FLAIR")], 1),
        ([image("bold", datatype="func"), image("T2w", **THICK)], 1),
        ([image("T1w", shape=(60, 256, 256)), image("T1w")], 1),
        ([image("T1w"), image("T1w")], 0),
        ([image("bold", datatype="func")], 0),
    ],
)
def test_the_best_is_chosen(candidates, best):
    assert choose_reference(candidates) == best
