"""Graph of one session: its head once, then each of its images."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.graphs.deface import METHODS
from anonymi_bids.graphs.release import init_release_wf
from anonymi_bids.interfaces.head import CarryRegion, FindHead
from anonymi_bids.settings import Settings


def init_image_wf(*, settings: Settings, output_dir: str, name: str = "image_wf") -> pe.Workflow:
    """Carry the head's place to one image, remove the face, clean, check, release.

    Inputs
    ------
    evidence_file
        Evidence that holds only the image's plan.
    head_file
        Reference of the session and its head.

    Outputs
    -------
    evidence_file
        All evidence on the image.
    """
    inputnode = pe.Node(niu.IdentityInterface(["evidence_file", "head_file"]), name="inputnode")
    carry_region = pe.Node(
        CarryRegion(
            seed=str(settings.seed),
            min_agreement=settings.gates.min_carry_agreement,
            min_confidence=settings.gates.min_head_confidence,
        ),
        name="carry_region",
        mem_gb=2,
    )
    deface_wf = METHODS[settings.deface.method](settings=settings)
    release_wf = init_release_wf(settings=settings, output_dir=output_dir)
    outputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="outputnode")
    workflow = pe.Workflow(name=name)
    workflow.connect(
        [
            (
                inputnode,
                carry_region,
                [("evidence_file", "evidence_file"), ("head_file", "head_file")],
            ),
            (carry_region, deface_wf, [("evidence_file", "inputnode.evidence_file")]),
            (deface_wf, release_wf, [("outputnode.evidence_file", "inputnode.evidence_file")]),
            (release_wf, outputnode, [("outputnode.evidence_file", "evidence_file")]),
        ]
    )
    return workflow


def init_session_wf(
    *,
    session_file: str,
    evidence_files: Sequence[str],
    settings: Settings,
    output_dir: str,
    name: str = "session_wf",
) -> pe.Workflow:
    """De-identify the images of one session.

    Parameters
    ----------
    session_file : str
        Plan of the whole session (the reference is chosen among all its images), JSON.
    evidence_files : sequence of str
        One starting evidence for each image that is to be done.
    """
    find_head = pe.Node(
        FindHead(
            session_file=session_file,
            seed=str(settings.seed),
            min_confidence=settings.gates.min_head_confidence,
        ),
        name="find_head",
        mem_gb=2,
    )
    workflow = pe.Workflow(name=name)
    for number, evidence_file in enumerate(evidence_files):
        image_wf = init_image_wf(
            settings=settings, output_dir=output_dir, name=f"image_{number:03d}_wf"
        )
        image_wf.inputs.inputnode.evidence_file = evidence_file
        workflow.connect([(find_head, image_wf, [("head_file", "inputnode.head_file")])])
    return workflow


def graph_name(session: str) -> str:
    """Name of a session's graph: Nipype allows letters, digits and ``_`` only."""
    return re.sub(r"\W", "_", session) + "_wf"


def init_participants_wf(
    *,
    sessions: Sequence[tuple[str, str, Sequence[str]]],
    settings: Settings,
    output_dir: str,
    work_dir: str,
    name: str = "participants_wf",
) -> pe.Workflow:
    """All sessions of a run, side by side.

    Parameters
    ----------
    sessions : sequence of (name, session_file, evidence_files)
    """
    workflow = pe.Workflow(name=name, base_dir=work_dir)
    for session, session_file, evidence_files in sessions:
        session_wf = init_session_wf(
            session_file=session_file,
            evidence_files=evidence_files,
            settings=settings,
            output_dir=output_dir,
            name=graph_name(session),
        )
        workflow.add_nodes([session_wf])
    return workflow
