"""Nipype wrappers: attack the release, write the report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.records import read_json
from anonymi_bids.settings import Settings, merge


class RunAuditInputSpec(BaseInterfaceInputSpec):
    """Inputs of `RunAudit`."""

    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")
    settings_json = traits.Str(mandatory=True, desc="all settings")
    gallery_dir = traits.Str("", usedefault=True, desc="features of a second dataset, if any")
    gallery_unusable = traits.Int(0, usedefault=True, desc="its images without features")


class RunAuditOutputSpec(TraitedSpec):
    """Outputs of `RunAudit`."""

    audit_file = File(exists=True, desc="every number of the audit, JSON")


class RunAudit(SimpleInterface):
    """Attack the release by face and by brain."""

    input_spec = RunAuditInputSpec
    output_spec = RunAuditOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from anonymi_bids.audit.attacks import run_audit
        from anonymi_bids.io.outcomes import new_labels, released_images, withheld_reasons
        from anonymi_bids.io.tsv import read_tsv

        settings = merge(Settings(), json.loads(self.inputs.settings_json))
        output = Path(self.inputs.output_dir)
        table = output / "release" / "participants.tsv"
        audit = run_audit(
            output / "private" / "features",
            settings=settings,
            released=released_images(output / "private"),
            withheld=withheld_reasons(output / "private"),
            participants=read_tsv(table).rows if table.is_file() else (),
            population=_rows(output / "private" / "population.tsv"),
            release=output / "release",
            originals=[row["original"] for row in _rows(output / "private" / "key.tsv")],
            annex=output / "private" / "audit-people.json",
            gallery=Path(self.inputs.gallery_dir) if self.inputs.gallery_dir else None,
            gallery_unusable=self.inputs.gallery_unusable,
            new_labels=new_labels(output / "private"),
        )
        target = Path(runtime.cwd) / "audit.json"
        write_json(target, audit)
        self._results["audit_file"] = os.fspath(target)
        return runtime


def _rows(path: Path) -> Any:
    """Rows of a table that need not be there."""
    from anonymi_bids.io.tsv import read_tsv

    return read_tsv(path).rows if path.is_file() else ()


class WriteReportInputSpec(BaseInterfaceInputSpec):
    """Inputs of `WriteReport`."""

    audit_file = File(exists=True, mandatory=True, desc="from RunAudit")
    output_dir = traits.Str(mandatory=True, desc="OUTPUT of the run")


class WriteReportOutputSpec(TraitedSpec):
    """Outputs of `WriteReport`."""

    report_file = File(exists=True, desc="report/audit.html")


class WriteReport(SimpleInterface):
    """Write the board's report from the audit's numbers."""

    input_spec = WriteReportInputSpec
    output_spec = WriteReportOutputSpec

    def _run_interface(self, runtime: Any) -> Any:
        from anonymi_bids.report.pages import write_report

        folder = Path(self.inputs.output_dir) / "report"
        write_report(read_json(self.inputs.audit_file), folder)
        self._results["report_file"] = os.fspath(folder / "audit.html")
        return runtime
