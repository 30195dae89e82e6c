"""Measure how well a placed atlas explains a scan, and say what the scan shows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from anonymi_bids.core.grid import Affine, resample
from anonymi_bids.core.mask import dilate_mm, erode_mm
from anonymi_bids.core.register import coarse_grid, inverse
from anonymi_bids.head.atlas import Atlas
from anonymi_bids.model import HeadStatus, Image

GRID_MM = 3.0
SCORE_RAMP = (0.74, 0.84)
DICE_RAMP = (0.80, 0.90)
STRETCH_LOW_RAMP = (0.74, 0.84)
STRETCH_HIGH_RAMP = (1.20, 1.32)
VIEW_RAMP = (0.50, 0.80)
FILLED_RAMP = (0.85, 0.95)
"""Where each figure gives no and full confidence; set on real scans and on things that are no
heads (balls, cylinders, ellipsoids with a shell, noise)."""
LANDMARKS_RAMP = (14.0, 26.0)
"""Four or five landmarks of 400 people of the shape model were missed by the atlas', turned, sized
and shifted, by 3 to 12 mm (root mean square), with picking errors of 6 mm by up to 18, six of a
label head by 13 to 15; with two names swapped by 23 at least."""
LANDMARKS_LEAST, LIMIT_MM = 0.5, 20.0
"""Half way down the ramp landmarks are not believed."""
NO_HEAD = 0.3
EMPTY_SHELL = 0.35
FACE_SEEN, FACE_KEPT, VAULT_SEEN = 0.5, 0.6, 0.75
EDGE_MM = 6.0
"""Skin nearer to the edge of the field of view is not judged."""
SKIN_DEPTH_MM = 15.0
"""Skin of the face that lies further behind the atlas' skin than this is missing."""


def measure(
    scan: Image, mask: npt.NDArray[np.bool_], atlas: Atlas, atlas_to_image: Affine
) -> dict[str, float]:
    """Compare a scan's head mask with the placed atlas.

    Parameters
    ----------
    scan : Image
    mask : (I, J, K) bool ndarray
        Head of the scan.
    atlas : Atlas
    atlas_to_image : (4, 4) ndarray

    Returns
    -------
    dict
        ``dice``: heads above the chin, face left out, inside the field of view.
        ``vault_shell``: share of the space between brain and outer skin above the brow that holds
        signal. ``brain_in_view``, ``vault_in_view``, ``face_in_view``: shares of the atlas' parts
        in the field of view.
        ``face_kept``: share of viewed lines through the middle of the face that meet skin no
        deeper than `SKIN_DEPTH_MM` behind the atlas' skin. ``contrast``: difference of the means
        of brain and skull over their pooled sd. ``brain_filled``: share of the viewed atlas brain
        inside the head mask.
    """
    affine, shape = coarse_grid(atlas.head.data.shape, atlas.head.affine, GRID_MM)
    to_atlas = inverse(atlas_to_image)
    seen = _bring(np.ones(scan.data.shape, np.float32), scan.affine, affine, shape, to_atlas) > 0.5
    head_scan = _bring(mask.astype(np.float32), scan.affine, affine, shape, to_atlas) > 0.5
    values = _bring(scan.data, scan.affine, affine, shape, to_atlas)
    head = _bring(atlas.head.data.astype(np.float32), atlas.head.affine, affine, shape) > 0.5
    brain = _bring(atlas.brain.data.astype(np.float32), atlas.brain.affine, affine, shape) > 0.5
    z = affine[2, 3] + GRID_MM * np.arange(shape[2])
    face = _bring(atlas.face.data.astype(np.float32), atlas.face.affine, affine, shape) > 0.5
    above_chin = (z > atlas.landmarks["chin"][2]).reshape(1, 1, -1) & seen & ~face
    vault = (z > atlas.landmarks["brow"][2] + 10).reshape(1, 1, -1)
    both = float((head & head_scan & above_chin).sum())
    either = float((head & above_chin).sum() + (head_scan & above_chin).sum())
    shell = erode_mm(head, affine, 3) & ~dilate_mm(brain, affine, 6) & vault & seen
    figures = {
        "dice": 2 * both / max(either, 1),
        "vault_shell": float(head_scan[shell].mean()) if shell.any() else float("nan"),
        "brain_in_view": _share(seen, brain),
        "vault_in_view": _share(seen, head & vault),
        "brain_filled": _share(head_scan, brain & seen),
        "contrast": _contrast(values, head, brain, seen & vault, affine),
    }
    inside = erode_mm(np.pad(seen, 1), affine, EDGE_MM)[1:-1, 1:-1, 1:-1]
    figures |= _face_figures(head, head_scan, inside, atlas, affine)
    return figures


def judge(figures: Mapping[str, float]) -> tuple[float, HeadStatus, str]:
    """Turn figures into a confidence, a status and a sentence.

    Parameters
    ----------
    figures : mapping
        ``score``, ``brain_only``, ``stretch_low``, ``stretch_high`` and those of `measure`.

    Returns
    -------
    confidence : float
        The lowest of several ramps from 0 to 1, one for each thing that must be right.
    status : HeadStatus
    sentence : str
    """
    stripped = _is_stripped(figures)
    ramps = [
        _ramp(figures["score"], *SCORE_RAMP),
        _ramp(figures["stretch_low"], *STRETCH_LOW_RAMP),
        1 - _ramp(figures["stretch_high"], *STRETCH_HIGH_RAMP),
        _ramp(figures["brain_in_view"], *VIEW_RAMP),
        _ramp(figures["brain_filled"], *FILLED_RAMP),
    ]
    if not stripped:
        ramps.append(_ramp(figures["dice"], *DICE_RAMP))
    confidence = float(min(ramps))
    if confidence < NO_HEAD:
        return (
            confidence,
            "no_head",
            (
                f"No head was found (score {figures['score']:.2f}, overlap {figures['dice']:.2f}, "
                f"brain in the field of view {100 * figures['brain_in_view']:.0f} %); a phantom, "
                "another part of the body or an image without anatomy is withheld."
            ),
        )
    status, sentence = _seen(figures, stripped=stripped)
    return confidence, status, sentence


def judge_landmarks(figures: Mapping[str, float], worst: str) -> tuple[float, HeadStatus, str]:
    """Judge a head that was placed by landmarks picked by hand.

    A person has seen that there is a head; whether the landmarks are those of a head, and whether
    the image shows one there, is measured.

    Parameters
    ----------
    figures : mapping
        ``landmark_rms_mm``, ``stretch_low``, ``stretch_high`` and those of `measure`.
    worst : str
        Landmark that is missed most.

    Returns
    -------
    confidence, status, sentence
        As `judge` gives them.
    """
    placed = min(
        1 - _ramp(figures["landmark_rms_mm"], *LANDMARKS_RAMP),
        _ramp(figures["stretch_low"], *STRETCH_LOW_RAMP),
        1 - _ramp(figures["stretch_high"], *STRETCH_HIGH_RAMP),
    )
    shown = min(
        _ramp(figures["brain_in_view"], *VIEW_RAMP), _ramp(figures["brain_filled"], *FILLED_RAMP)
    )
    confidence = float(min(placed, shown))
    if placed < LANDMARKS_LEAST:
        return (
            confidence,
            "no_head",
            (
                "The landmarks given by hand do not lie as those of a head: they are missed by "
                f"{figures['landmark_rms_mm']:.0f} mm, most at {worst} ({LIMIT_MM:.0f} mm are "
                f"allowed), at a size of {figures['stretch_low']:.2f} to "
                f"{figures['stretch_high']:.2f} times the average; check names, left and right, "
                "and that x, y, z are scanner mm (RAS+) of the reference."
            ),
        )
    if shown < NO_HEAD:
        return (
            confidence,
            "no_head",
            (
                "Where the landmarks given by hand place the head the image shows none "
                f"({figures['brain_filled']:.0%} of the brain's place holds tissue, "
                f"{figures['brain_in_view']:.0%} of it lies in the field of view); check that "
                "they were picked on the reference of the session."
            ),
        )
    status, sentence = _seen(figures, stripped=figures["vault_shell"] < EMPTY_SHELL)
    return confidence, status, f"By landmarks given by hand: {sentence}"


def _seen(figures: Mapping[str, float], *, stripped: bool) -> tuple[HeadStatus, str]:
    """Say what a head that was found shows."""
    face, vault = 100 * figures["face_in_view"], 100 * figures["vault_in_view"]
    sentences: dict[HeadStatus, str] = {
        "stripped": "The image shows a brain without skull and scalp: no face is there to remove "
        "and no skin to check, so it must be let through by hand.",
        "partial": f"A head was found of which {face:.0f} % of the face and {vault:.0f} % of the "
        "vault lie in the field of view.",
        "defaced": "A head was found whose face is missing (only "
        f"{100 * figures['face_kept']:.0f} % of it meets skin); it was probably defaced before.",
        "head": "A head with its face was found.",
    }
    if stripped:
        status: HeadStatus = "stripped"
    elif figures["face_in_view"] >= FACE_SEEN and figures["face_kept"] < FACE_KEPT:
        status = "defaced"
    elif figures["face_in_view"] < FACE_SEEN or figures["vault_in_view"] < VAULT_SEEN:
        status = "partial"
    else:
        status = "head"
    return status, sentences[status]


def _is_stripped(figures: Mapping[str, float]) -> bool:
    """Whether the space of skull and scalp is empty, or the stripped atlas fits better."""
    shell = figures["vault_shell"]
    lead = figures["brain_only"] - figures["score"]
    return bool(shell < EMPTY_SHELL or (shell < 0.7 and lead > 0) or lead > 0.02)


def _ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between; NaN gives 0."""
    return float(np.nan_to_num(np.clip((value - low) / (high - low), 0, 1)))


def _face_figures(
    head: npt.NDArray[np.bool_],
    head_scan: npt.NDArray[np.bool_],
    seen: npt.NDArray[np.bool_],
    atlas: Atlas,
    affine: Affine,
) -> dict[str, float]:
    """Lines from front to back through the middle of the face."""
    x = affine[0, 3] + GRID_MM * np.arange(head.shape[0])
    z = affine[2, 3] + GRID_MM * np.arange(head.shape[2])
    marks = atlas.landmarks
    window = (np.abs(x) < 40).reshape(-1, 1) & (
        (z > marks["chin"][2]) & (z < marks["brow"][2])
    ).reshape(1, -1)
    skin_atlas = _first_from_front(head)
    window &= skin_atlas >= 0
    skin_scan = _first_from_front(head_scan)
    columns = np.clip(skin_atlas, 0, None)[:, None, :]
    seen_there = np.take_along_axis(seen, columns, axis=1)[:, 0, :]
    viewed = window & seen_there
    behind = (skin_atlas - skin_scan) * GRID_MM
    kept = (behind < SKIN_DEPTH_MM) & (skin_scan >= 0)
    return {
        "face_in_view": float(viewed.sum()) / max(1, int(window.sum())),
        "face_kept": float(kept[viewed].mean()) if viewed.any() else float("nan"),
    }


def _first_from_front(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    """Largest j of each (i, k) that is set; -1 where none is."""
    reverse = mask[:, ::-1].argmax(axis=1)
    return np.where(mask.any(axis=1), mask.shape[1] - 1 - reverse, -1)


def _contrast(
    values: npt.NDArray[np.float32],
    head: npt.NDArray[np.bool_],
    brain: npt.NDArray[np.bool_],
    where: npt.NDArray[np.bool_],
    affine: Affine,
) -> float:
    inner = erode_mm(brain, affine, 5) & where
    bone = dilate_mm(brain, affine, 7) & ~dilate_mm(brain, affine, 2) & head & where
    if inner.sum() < 50 or bone.sum() < 50:
        return float("nan")
    a, b = values[inner], values[bone]
    return float((a.mean() - b.mean()) / max(np.sqrt((a.var() + b.var()) / 2), 1e-6))


def _share(mask: npt.NDArray[np.bool_], of: npt.NDArray[np.bool_]) -> float:
    return float(mask[of].mean()) if of.any() else float("nan")


def _bring(
    data: npt.NDArray[np.float32],
    affine: Affine,
    target: Affine,
    shape: tuple[int, int, int],
    motion: Affine | None = None,
) -> npt.NDArray[np.float32]:
    return resample(data, affine, target, shape, source_to_target=motion)
