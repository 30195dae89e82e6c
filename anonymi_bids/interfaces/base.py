"""What all steps of the graph share: the evidence on one image travels along and grows.

Each step reads ``evidence_file``, does one thing and writes a new ``evidence_file`` in its own
folder. An image that cannot be used carries its sentence (``failure``) on to the end of the graph,
where it is withheld; the other images of the run are not touched by that.
"""

from __future__ import annotations

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

from anonymi_bids.errors import ImageError
from anonymi_bids.io.records import read_json, write_record


class EvidenceInputSpec(BaseInterfaceInputSpec):
    """Input every step has."""

    evidence_file = File(exists=True, mandatory=True, desc="evidence so far, JSON")


class EvidenceOutputSpec(TraitedSpec):
    """Output every step has."""

    evidence_file = File(exists=True, desc="evidence so far, JSON")


class EvidenceStep(SimpleInterface):
    """A step on one image; subclasses fill `work`."""

    input_spec = EvidenceInputSpec
    output_spec = EvidenceOutputSpec

    def work(self, evidence: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Do the step.

        Parameters
        ----------
        evidence : dict
            Evidence so far.
        folder : Path
            Where the step may write.

        Returns
        -------
        dict
            What is to be added to the evidence.

        Raises
        ------
        ImageError
            If the image cannot be used; its sentence becomes the reason it is withheld.
        """
        raise NotImplementedError

    def _run_interface(self, runtime: Any) -> Any:
        evidence = read_json(self.inputs.evidence_file)
        folder = Path(runtime.cwd)
        if not evidence.get("failure"):
            try:
                evidence.update(self.work(evidence, folder))
            except ImageError as error:
                evidence["failure"] = str(error)
        target = folder / "evidence.json"
        write_record(target, evidence)
        self._results["evidence_file"] = os.fspath(target)
        return runtime


__all__ = [
    "EvidenceInputSpec",
    "EvidenceOutputSpec",
    "EvidenceStep",
    "File",
    "traits",
]
