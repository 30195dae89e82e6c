"""De-identification as one step of a Nipype pipeline of your own.

``python workflows/embed_in_nipype.py sub-01_T1w.nii.gz OUTPUT`` puts one image through the graph
of this project and hands what became of it to a node of yours. The image reaches
``OUTPUT/release/`` only if every gate passed, here as on the command line: the graph holds the
gates, not the command.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

# Before Nipype is imported: it would ask a server for its newest version.
os.environ.setdefault("NO_ET", "1")

from nipype.interfaces import utility as niu
from nipype.pipeline import engine as pe

from anonymi_bids.bids.needles import needles_from_sidecar
from anonymi_bids.cli.places import find_places, prepare
from anonymi_bids.graphs.session import init_session_wf
from anonymi_bids.io.atomic import write_json
from anonymi_bids.io.images import sha256_of
from anonymi_bids.io.records import plain, write_record
from anonymi_bids.model import Entities, InputImage, SessionPlan
from anonymi_bids.settings import Settings


def describe(image_file: Path, subject: str) -> InputImage:
    """Say what the image is: its BIDS name in the release, and its sidecar if there is one."""
    stem = image_file.name.removesuffix(".gz").removesuffix(".nii")
    sidecar_file = image_file.with_name(f"{stem}.json")
    sidecar = json.loads(sidecar_file.read_text()) if sidecar_file.exists() else {}
    extension = image_file.name.removeprefix(stem)
    entities = Entities(subject, None, "anat", stem.split("_")[-1], extension)
    return InputImage(os.fspath(image_file), entities, sidecar)


def write_start(image: InputImage, folder: Path) -> tuple[str, str]:
    """Write what the graph starts from: the session, and the evidence on its one image."""
    session = SessionPlan(
        subject=image.entities.subject,
        session=None,
        source_subject=image.entities.subject,
        source_session=None,
        images=(image,),
    )
    write_record(folder / "session.json", session)
    # Strings of the input that must not be found in what is released.
    write_json(folder / "needles.json", list(needles_from_sidecar(image.sidecar)))
    evidence = {
        **plain(image),
        "image": image.entities.path,
        "input_digest": sha256_of(image.source),
        "needles_file": os.fspath(folder / "needles.json"),
        "renames": {},
    }
    write_json(folder / "evidence.json", evidence)
    return os.fspath(folder / "session.json"), os.fspath(folder / "evidence.json")


def tell(evidence_file: str) -> str:
    """Your node: here it only says what became of the image."""
    import json

    with open(evidence_file, encoding="utf-8") as stream:
        evidence = json.load(stream)
    failed = [
        found["gate"] for found in evidence.get("findings", []) if found["status"] != "passed"
    ]
    reason = evidence.get("failure") or ", ".join(failed)
    return f"{evidence['image']}: {'withheld: ' + reason if reason else 'released'}"


def init_my_wf(image: InputImage, output: Path, settings: Settings) -> pe.Workflow:
    """Your pipeline, with this project's graph in the middle of it."""
    work = output / "work" / "embedded"
    session_file, evidence_file = write_start(image, work)
    deidentify_wf = init_session_wf(
        session_file=session_file,
        evidence_files=[evidence_file],
        settings=settings,
        output_dir=os.fspath(output),
        name="deidentify_wf",
    )
    tell_me = pe.Node(niu.Function(function=tell, output_names=["text"]), name="tell_me")
    workflow = pe.Workflow(name="my_wf", base_dir=os.fspath(work))
    # The steps pass files on by name within their evidence; Nipype must not tidy them away.
    workflow.config["execution"]["remove_unnecessary_outputs"] = "false"
    workflow.connect(
        [
            (
                deidentify_wf,
                tell_me,
                [("image_000_wf.outputnode.evidence_file", "evidence_file")],
            )
        ]
    )
    return workflow


def main(argv: list[str] | None = None) -> int:
    """Run the pipeline on one image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--subject", default="01", help="label in the release")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    image = describe(args.image.resolve(), args.subject)
    places = find_places(os.fspath(args.image.parent), os.fspath(args.output), None)
    prepare(places)
    workflow = init_my_wf(image, places.output, Settings(seed=args.seed))
    graph: Any = workflow.run(plugin="Linear")
    (last,) = [node for node in graph.nodes() if node.name == "tell_me"]
    print(last.result.outputs.text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
