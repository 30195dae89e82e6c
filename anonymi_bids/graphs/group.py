"""Graph of the group level: ready a second dataset, attack the release, write the report."""

from __future__ import annotations

import json

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.interfaces.audit import RunAudit, WriteReport
from anonymi_bids.interfaces.gallery import PrepareGallery
from anonymi_bids.settings import Settings, as_dict


def init_group_wf(
    *, settings: Settings, output_dir: str, work_dir: str, name: str = "group_wf"
) -> pe.Workflow:
    """Attack the release by face and by brain and write the report.

    Outputs
    -------
    report_file
        ``report/audit.html``.
    """
    prepare_gallery = pe.Node(
        PrepareGallery(
            gallery=settings.audit.gallery,
            output_dir=output_dir,
            seed=str(settings.seed),
            min_confidence=settings.gates.min_head_confidence,
        ),
        name="prepare_gallery",
    )
    run_audit = pe.Node(
        RunAudit(
            output_dir=output_dir, settings_json=json.dumps(as_dict(settings), sort_keys=True)
        ),
        name="run_audit",
    )
    write_report = pe.Node(WriteReport(output_dir=output_dir), name="write_report")
    outputnode = pe.Node(niu.IdentityInterface(["report_file"]), name="outputnode")
    workflow = pe.Workflow(name=name, base_dir=work_dir)
    workflow.connect(
        [
            (
                prepare_gallery,
                run_audit,
                [("features_dir", "gallery_dir"), ("unusable", "gallery_unusable")],
            ),
            (run_audit, write_report, [("audit_file", "audit_file")]),
            (write_report, outputnode, [("report_file", "report_file")]),
        ]
    )
    return workflow
