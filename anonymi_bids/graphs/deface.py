"""Graphs of the methods; all have the same inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.interfaces.deface import MaskDeface, MlDeface, SurfaceDeface
from anonymi_bids.settings import Settings


def init_mask_deface_wf(*, settings: Settings, name: str = "deface_wf") -> pe.Workflow:
    """Remove face and ears from one image by the atlas' regions.

    Inputs
    ------
    evidence_file
        With ``source`` and ``atlas_to_image``.

    Outputs
    -------
    evidence_file
        With ``after_file`` and ``mask_file`` added.
    """
    mask_deface = pe.Node(
        MaskDeface(
            seed=str(settings.seed),
            ears=settings.deface.ears,
            brain_margin_mm=settings.deface.brain_margin_mm,
        ),
        name="mask_deface",
        mem_gb=1.5,
    )
    return _one_step(mask_deface, name)


def init_ml_deface_wf(*, settings: Settings, name: str = "deface_wf") -> pe.Workflow:
    """Remove face and ears from one image as the network sees them in it.

    Inputs
    ------
    evidence_file
        With ``source`` and ``atlas_to_image``, which the network must not contradict.

    Outputs
    -------
    evidence_file
        With ``after_file`` and ``mask_file`` added.
    """
    ml_deface = pe.Node(
        MlDeface(
            seed=str(settings.seed),
            ears=settings.deface.ears,
            brain_margin_mm=settings.deface.ml_brain_margin_mm,
            min_confidence=settings.gates.min_head_confidence,
        ),
        name="ml_deface",
        mem_gb=1.5,
    )
    return _one_step(ml_deface, name)


def init_surface_deface_wf(*, settings: Settings, name: str = "deface_wf") -> pe.Workflow:
    """Put a new face and new ears in the place of those of one image.

    Inputs
    ------
    evidence_file
        With ``source`` and ``atlas_to_image``.

    Outputs
    -------
    evidence_file
        With ``after_file`` and ``mask_file`` added.
    """
    surface_deface = pe.Node(
        SurfaceDeface(
            seed=str(settings.seed),
            ears=settings.deface.ears,
            brain_margin_mm=settings.deface.brain_margin_mm,
            style=settings.deface.surface_style,
            blur_mm=settings.deface.blur_mm,
        ),
        name="surface_deface",
        mem_gb=2,
    )
    return _one_step(surface_deface, name)


def _one_step(step: pe.Node, name: str) -> pe.Workflow:
    """Put a method that is one step between the inputs and outputs of all methods."""
    inputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="inputnode")
    outputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="outputnode")
    workflow = pe.Workflow(name=name)
    workflow.connect(
        [
            (inputnode, step, [("evidence_file", "evidence_file")]),
            (step, outputnode, [("evidence_file", "evidence_file")]),
        ]
    )
    return workflow


METHODS: dict[str, Callable[..., pe.Workflow]] = {
    "mask": init_mask_deface_wf,
    "surface": init_surface_deface_wf,
    "ml": init_ml_deface_wf,
}
"""Method → factory; a choice picks a factory, the wiring has no ``if``."""
