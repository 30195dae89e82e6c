"""Graph from a defaced image to its place in the release, or to the list of the withheld."""

from __future__ import annotations

import json

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.interfaces.geometry import HeadGeometry
from anonymi_bids.interfaces.qc import MakeQc
from anonymi_bids.interfaces.release import (
    CleanMetadata,
    ExtractFeatures,
    ReleaseImage,
    RunGates,
)
from anonymi_bids.settings import Settings, as_dict


def init_release_wf(
    *, settings: Settings, output_dir: str, name: str = "release_wf"
) -> pe.Workflow:
    """Draw surfaces, clean, ask every gate, keep features and pictures, then admit or withhold.

    Inputs
    ------
    evidence_file
        With ``after_file``, ``mask_file``, ``fit`` and ``carry``.

    Outputs
    -------
    evidence_file
        With ``findings``; the image lies in ``release/`` only if all of them passed.
    """
    inputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="inputnode")
    head_geometry = pe.Node(
        HeadGeometry(surfaces=settings.deface.surfaces, fiducials=settings.deface.fiducials),
        name="head_geometry",
        mem_gb=1.5,
    )
    clean_metadata = pe.Node(
        CleanMetadata(
            seed=str(settings.seed),
            method=settings.deface.method,
            fiducials=settings.deface.fiducials,
        ),
        name="clean_metadata",
    )
    run_gates = pe.Node(
        RunGates(
            gates_json=json.dumps(as_dict(settings)["gates"], sort_keys=True),
            ears=settings.deface.ears,
            rebuilt=settings.deface.method == "surface",
            fiducials=settings.deface.fiducials,
        ),
        name="run_gates",
        mem_gb=2,
    )
    # Features come before the release: once an image is released, its part of the run is complete.
    extract_features = pe.Node(
        ExtractFeatures(
            audit=settings.audit.audit,
            recogniser=settings.audit.recogniser,
            seed=str(settings.seed),
            output_dir=output_dir,
        ),
        name="extract_features",
        mem_gb=1.5,
    )
    # So do the pictures: an image that is withheld needs a look most.
    make_qc = pe.Node(MakeQc(qc=settings.qc, output_dir=output_dir), name="make_qc", mem_gb=1.5)
    release_image = pe.Node(
        ReleaseImage(
            output_dir=output_dir,
            settings_digest=settings.digest,
            method=settings.deface.method,
        ),
        name="release_image",
    )
    outputnode = pe.Node(niu.IdentityInterface(["evidence_file"]), name="outputnode")
    workflow = pe.Workflow(name=name)
    evidence = [("evidence_file", "evidence_file")]
    workflow.connect(
        [
            (inputnode, head_geometry, evidence),
            (head_geometry, clean_metadata, evidence),
            (clean_metadata, run_gates, evidence),
            (run_gates, extract_features, evidence),
            (extract_features, make_qc, evidence),
            (make_qc, release_image, evidence),
            (release_image, outputnode, evidence),
        ]
    )
    return workflow
