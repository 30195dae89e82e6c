"""Find a head by network and registration; if they contradict each other, none was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anonymi_bids.core.grid import Affine
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.head.judge import FACE_KEPT, FACE_SEEN, VAULT_SEEN
from anonymi_bids.head.locate import find_head
from anonymi_bids.head.sight import Sight, apart_mm, see_head
from anonymi_bids.model import HeadFit, HeadStatus, Image

SURE_SIGHT = 0.8
"""From this confidence on registration starts where the network sees the head."""
TRUSTED_FIT = 0.9
"""A registration from there must be this sure of itself, else the whole search is done."""
SOME_SIGHT = 0.4
"""From this on its disagreement counts."""
MAX_APART_MM = 15.0
"""Two places of the head that differ by more at nasion, ears, chin or vertex contradict."""
EMPTY_SHELL = 0.35
"""Less of the space of skull and scalp filled than this: stripped."""


def find_head_checked(image: Image, atlas: Atlas, model: Any, *, seed: int = 0) -> HeadFit:
    """Place the atlas on a scan by registration, started and checked by the network.

    Where the network is sure, registration starts from its answer; where that leads to nothing,
    and where it is not, the whole search is done. What both find must be one place.

    Parameters
    ----------
    image : Image
        3-D (of a series: the mean), any contrast and orientation.
    atlas : Atlas
    model : onnxruntime session
    seed : int
        Of the registration.

    Returns
    -------
    HeadFit
        ``figures`` holds ``sight``, the network's confidence, and ``by_network``: 1 where its
        answer was the start.

    Raises
    ------
    NotAHead
        If the image is empty or constant.
    """
    sight = see_head(image, atlas, model)
    if sight.confidence >= SURE_SIGHT:
        fit = find_head(image, atlas, seed=seed, start=sight.atlas_to_image)
        if fit.confidence >= TRUSTED_FIT and not disagreement(sight, fit, atlas, image):
            figures = {**fit.figures, "sight": sight.confidence, "by_network": 1.0}
            return replace(fit, figures=figures)
    fit = find_head(image, atlas, seed=seed)
    if fit.status != "no_head" and contradiction(sight, fit.atlas_to_image, atlas, image):
        # A header that names the axes wrongly hides the head from the network, not from a search.
        again = see_head(image, atlas, model, start=fit.atlas_to_image)
        sight = max(sight, again, key=lambda one: one.confidence)
    return confronted(fit, sight, atlas, image)


def confronted(fit: HeadFit, sight: Sight, atlas: Atlas, image: Image) -> HeadFit:
    """Hold a registration against an unsure network: if they contradict, no head was found."""
    figures = {**fit.figures, "sight": sight.confidence, "by_network": 0.0}
    against = disagreement(sight, fit, atlas, image)
    if sight.confidence >= SOME_SIGHT and against:
        return replace(fit, confidence=0.0, status="no_head", sentence=against, figures=figures)
    return replace(fit, figures=figures)


def disagreement(sight: Sight, fit: HeadFit, atlas: Atlas, image: Image) -> str:
    """Say in what network and registration contradict each other: the place, or the skull."""
    apart = contradiction(sight, fit.atlas_to_image, atlas, image)
    if apart or sight.confidence < SURE_SIGHT or fit.status == "no_head":
        return apart
    stripped = fit_of(sight).status == "stripped"
    if stripped == (fit.status == "stripped"):
        return ""
    sees, finds = ("no skull", "one") if stripped else ("a skull", "none")
    return (
        f"The network sees {sees} round the brain and registration {finds}, so neither is "
        "believed; look at the image."
    )


def contradiction(sight: Sight, atlas_to_image: Affine, atlas: Atlas, image: Image) -> str:
    """Say how far network and registration are apart, if too far; else say nothing."""
    apart = apart_mm(sight.atlas_to_image, atlas_to_image, atlas, image)
    if apart <= MAX_APART_MM:
        return ""
    return (
        f"Network and registration place the head {apart:.0f} mm apart "
        f"({MAX_APART_MM:.0f} mm are allowed), so neither is believed; look at the image."
    )


def fit_of(sight: Sight) -> HeadFit:
    """Say what a sight of the network shows."""
    status, sentence = _status(sight.figures)
    figures = {**sight.figures, "by_network": 1.0}
    return HeadFit(sight.atlas_to_image, sight.confidence, status, sentence, figures)


def _status(figures: Mapping[str, float]) -> tuple[HeadStatus, str]:
    face, brain = figures["face_in_view"], figures["brain_in_view"]
    if figures["shell_filled"] < EMPTY_SHELL:
        return "stripped", (
            "The image shows a brain without skull and scalp: no face is there to remove and no "
            "skin to check, so it must be let through by hand."
        )
    if face >= FACE_SEEN and figures["face_filled"] < FACE_KEPT:
        return "defaced", (
            f"A head was found whose face is missing (only {figures['face_filled']:.0%} of it "
            "meets tissue); it was probably defaced before."
        )
    if face < FACE_SEEN or brain < VAULT_SEEN:
        return "partial", (
            f"A head was found of which {face:.0%} of the face and {brain:.0%} of the brain lie "
            "in the field of view."
        )
    return "head", "A head with its face was found."
