"""The group level: attack the release, write the report."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from anonymi_bids.cli.graphrun import run_graph
from anonymi_bids.cli.places import Places
from anonymi_bids.cli.progress import Steps
from anonymi_bids.settings import Settings


def run_group(places: Places, settings: Settings, args: argparse.Namespace) -> bool:
    """Assemble what the participants left behind, then run the group's graph.

    Returns
    -------
    bool
        False if a step failed by a fault of the program.
    """
    from anonymi_bids.bids.dataset import assemble
    from anonymi_bids.bids.writer import sweep
    from anonymi_bids.graphs.group import init_group_wf
    from anonymi_bids.report.qc import write_index

    write_index(places.private)
    sweep(places.output)
    assemble(places.output)
    folder = Path(tempfile.mkdtemp(prefix="group-", dir=places.work))
    steps = Steps(3, "group")
    try:
        workflow = init_group_wf(
            settings=settings, output_dir=os.fspath(places.output), work_dir=os.fspath(folder)
        )
        with steps.shown():
            return run_graph(
                workflow,
                crash_dir=folder / "crash",
                nprocs=1,
                mem_gb=args.mem,
                status_callback=steps.status_callback,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
