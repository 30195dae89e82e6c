"""Graphs of the methods; all have the same inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.interfaces.deface import MaskDeface
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
    inputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="inputnode")
    mask_deface = pe.Node(
        MaskDeface(
            seed=str(settings.seed),
            ears=settings.deface.ears,
            brain_margin_mm=settings.deface.brain_margin_mm,
        ),
        name="mask_deface",
        mem_gb=1.5,
    )
    outputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="outputnode")
    workflow = pe.Workflow(name=name)
    workflow.connect(
        [
            (inputnode, mask_deface, [("evidence_file", "evidence_file")]),
            (mask_deface, outputnode, [("evidence_file", "evidence_file")]),
        ]
    )
    return workflow


METHODS: dict[str, Callable[..., pe.Workflow]] = {"mask": init_mask_deface_wf}
"""Method → factory; a choice picks a factory, the wiring has no ``if``."""
