"""``python -m benchmarks.real.people``: real heads attacked, and looked for in a second dataset.

The real people who are at hand make one dataset; other visits of four of them, whole and
skull-stripped, and strangers make a second one. The first is de-identified by each method with the
installed command, audited in full, and held against the second (``--gallery``). Who is who is
known here, so what the audit calls alike can be counted as right or wrong. Only figures are
written into the repository; the work lies in ``--work``, which must be outside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymi_bids.core.frequency import count_people
from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    SHARED,
    code_digest,
    markdown_table,
    one_thread,
    read_json,
    write_json,
    write_text,
)
from benchmarks.real.run import withheld
from benchmarks.real.scenarios import Scenario, lay_out
from benchmarks.speed import program, run

METHODS = {
    "mask": ["--method", "mask"],
    "ml": ["--method", "ml"],
    "newface": ["--method", "surface", "--surface-style", "newface"],
    "blur": [
        *("--method", "surface", "--surface-style", "blur"),
        *("--policy", "controlled-access"),
    ],
}
"""`blur` is refused with policies for anyone."""

ROOMS = (
    *("core", "io", "head", "deface", "gates", "bids", "audit"),
    *("interfaces", "graphs", "cli"),
)
ALLOWED = (0, 3)
SEED = 1


@dataclass(frozen=True)
class Scan:
    """One image of a dataset.

    Attributes
    ----------
    person : str
        Who it is: the truth, never told to the command.
    label : str
        Subject in the dataset.
    suffix : str
    source : str
        File below the data folder, or part of a converted image's name.
    archive : str
        DICOM archive the source is converted from; empty for a file.
    """

    person: str
    label: str
    suffix: str
    source: str
    archive: str = ""


def _openms(person: str, session: int, suffix: str, label: str) -> Scan:
    return Scan(person, label, suffix, f"nifti/openms-{person}_ses-{session}_{suffix}.nii.gz")


def _brain(number: str, visit: int, suffix: str) -> Scan:
    """A skull-stripped brain of the same database as the openms heads."""
    source = f"brains/ms-long-{number}_visit-{visit}_{suffix.replace('1w', '1W')}.nii.gz"
    return Scan(f"patient{number}", f"brain{number}", suffix, source)


RELEASED = (
    _openms("patient01", 1, "T1w", "p01"),
    _openms("patient12", 1, "T1w", "p12"),
    _openms("patient12", 1, "FLAIR", "p12"),
    Scan("ixi012", "p02", "T1w", "brains/IXI012-HH-1211_head_2mm_T1W.nii.gz"),
    Scan("ixi015", "p03", "T1w", "brains/IXI015-HH-1258_head_2mm_T1W.nii.gz"),
    Scan("colin27", "p04", "T1w", "nifti/colin27_T1w.nii.gz"),
    Scan("child", "p05", "T1w", "5_SAG_MPRAGE", "child_mprage_siemens_skyra"),
    Scan("philips", "p06", "T1w", "1301_ADNI", "adult_mprage_philips_elition"),
    Scan("trio", "p07", "T1w", "_RMS_sub-", "adult_mprage_t2_siemens_trio"),
    Scan("xa30", "p08", "T1w", "5_anat-T1w", "adult_mprage_enhanced_siemens_prisma_xa30"),
    Scan("prisma", "p09", "T1w", "HFS/", "positions_siemens_prisma"),
)
OTHERS = (
    _openms("patient01", 2, "T1w", "whole01"),
    _openms("patient12", 2, "T1w", "whole12"),
    _openms("patient12", 2, "FLAIR", "whole12"),
    Scan("xa30", "whole08", "T1w", "6_anat-T1w", "adult_mprage_enhanced_siemens_prisma_xa30"),
    Scan("prisma", "whole09", "T1w", "HFP/", "positions_siemens_prisma"),
    Scan("vsseg", "stranger", "T1w", "defaced/tcia-vsseg-001_T1w.nii.gz"),
    *(_brain("01", 2, suffix) for suffix in ("T1w", "FLAIR")),
    *(_brain("12", 2, suffix) for suffix in ("T1w", "FLAIR")),
    _brain("03", 2, "T1w"),
    _brain("03", 2, "FLAIR"),
    _brain("04", 1, "T1w"),
    _brain("04", 1, "FLAIR"),
    _brain("19", 2, "T1w"),
    _brain("20", 2, "T1w"),
    _brain("20", 2, "FLAIR"),
)


def main(argv: list[str] | None = None) -> int:
    """Run what has not been run with these sources, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real.people", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the real scans")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=list(METHODS))
    parser.add_argument("--work", type=Path, help="scratch outside the repository; kept")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    args = parser.parse_args(argv)
    one_thread()
    if not (args.data / "dicom").is_dir():
        print("The real scans are not at hand; give their folder with --data.")
        return 2
    if args.work is not None and ROOT in (args.work.resolve(), *args.work.resolve().parents):
        print("--work must lie outside the repository: it holds real people.")
        return 2
    if args.work is None:
        with tempfile.TemporaryDirectory(prefix="anonymi-people-") as name:
            return _all(args, Path(name))
    args.work.mkdir(parents=True, exist_ok=True)
    return _all(args, args.work.resolve())


def _all(args: argparse.Namespace, work: Path) -> int:
    digest = code_digest(ROOMS)
    results = {}
    for method in args.methods:
        kept = OUT / "real_people" / digest / f"{method}.json"
        if not kept.exists():
            write_json(kept, audited(method, args, work))
        results[method] = read_json(kept)
        print(method, json.dumps(results[method]["linked"]), flush=True)
    figures = {"sources": digest, "methods": results, **_sizes()}
    text = page(figures)
    print(text)
    write_json(args.docs / "real_people.json", figures)
    write_text(args.docs / "real_people.md", text)
    return 0


def _sizes() -> dict[str, int]:
    return {
        "released_people": len({scan.person for scan in RELEASED}),
        "released_images": len(RELEASED),
        "other_labels": len({scan.label for scan in OTHERS}),
        "other_images": len(OTHERS),
    }


def audited(method: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """De-identify the first dataset, audit it and hold it against the second."""
    study, other = (work / "study", work / "other")
    if not other.is_dir():
        made = converted(args.data, work / "converted")
        make_dataset(RELEASED, args.data, made, study)
        make_dataset(OTHERS, args.data, made, other)
    output = work / f"output_{method}"
    command = [program("anonymi-bids"), str(study), str(output), "participant", "group", "-v"]
    command += ["--seed", str(SEED), "--nprocs", str(args.nprocs), "--audit", "full"]
    command += ["--skip-bids-validation", "--gallery", str(_features(work, output) or other)]
    log = output.with_suffix(".log")
    cost = run([*command, *METHODS[method]], log)
    if cost.exit_code not in ALLOWED:
        sys.exit(f"The run ended with {cost.exit_code}:\n{log.read_text()[-2000:]}")
    audit = read_json(output / "report" / "audit.json")
    return {
        "exit_code": cost.exit_code,
        "wall_s": round(cost.wall_s),
        "withheld": withheld(output / "private"),
        "attacks": audit["attacks"],
        "linkage": audit["linkage"],
        "linked": linked(read_json(output / "private" / "audit-links.json")["second_dataset"]),
    }


def converted(data: Path, folder: Path) -> dict[str, Path]:
    """NIfTI files of all DICOM archives that are needed, by name."""
    archives = tuple(sorted({scan.archive for scan in (*RELEASED, *OTHERS)} - {""}))
    return lay_out(Scenario("people", archives), data, folder)


def make_dataset(scans: tuple[Scan, ...], data: Path, made: dict[str, Path], folder: Path) -> None:
    """Write a BIDS dataset of some scans; labels tell nothing of who is in both."""
    folder.mkdir(parents=True)
    text = json.dumps({"Name": "Benchmark", "BIDSVersion": "1.10.0"})
    (folder / "dataset_description.json").write_text(text, encoding="utf-8")
    for scan in scans:
        name = f"sub-{scan.label}/anat/sub-{scan.label}_{scan.suffix}.nii.gz"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_source(scan, data, made), folder / name)


def _source(scan: Scan, data: Path, made: dict[str, Path]) -> Path:
    if not scan.archive:
        return data / scan.source
    return next(p for n, p in made.items() if n.startswith(scan.archive) and scan.source in n)


def _features(work: Path, output: Path) -> Path | None:
    """Features of the second dataset that a run into another OUTPUT made."""
    kept = sorted(work.glob("output_*/private/gallery/*/original"))
    others = [path.parent for path in kept if output not in path.parents]
    return others[0] if others else None


def linked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count what was called alike, by comparison, against who is who."""
    who = {scan.label: scan.person for scan in RELEASED}
    there = {scan.label: scan.person for scan in OTHERS}
    found: dict[str, Any] = {}
    for row in rows:
        key = f"{row['compared']}, {row['contrast']}"
        entry = found.setdefault(
            key, {"alike_right": 0, "alike_wrong": 0, "best_right": [], "people": set()}
        )
        entry["people"].add(row["subject"])
        same = who[row["subject"]] == there[row["other_dataset"]]
        if row["looks_like_one_person"]:
            entry["alike_right" if same else "alike_wrong"] += 1
        if same and row["best_match"]:
            entry["best_right"].append(row["other_dataset"])
    for key, entry in found.items():
        suffix = key.split(", ")[1]
        mine = {who[label] for label in entry.pop("people")}
        mates = {
            (scan.label, scan.person)
            for scan in OTHERS
            if scan.person in mine and suffix in (scan.suffix, "any")
        }
        entry["people_in_both"] = len({person for _, person in mates})
        entry["true_pairs"] = len(mates)
    return found


def page(figures: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        "# Real people: attacked, and looked for in a second dataset\n",
        "Written by `python -m benchmarks.real.people`; every number stands in "
        f"`real_people.json`. {figures['released_people']} real people "
        f"({figures['released_images']} images, thick slices and a child among them) are "
        "de-identified by each method and audited in full. Few people: intervals are wide, and "
        "these are no rates of a population.\n",
        "## Attacks\n",
        "Nobody in the release has a second visit, so the visit that the attacker holds is "
        "simulated from the first one: the same field of view, voxel for voxel the same anatomy. "
        "That flatters the attacker; heads that end at the nose or were scanned in thick slices "
        "are told by that too. Intervals: Clopper–Pearson, 95 %, by person.\n",
        markdown_table(("attack", "method", "n", "before", "after", "chance"), _attacks(figures)),
        "## A second dataset\n",
        f"{figures['other_labels']} labels ({figures['other_images']} images): other visits of "
        "four of these people as whole heads (of one person the same raw data reconstructed "
        "twice, of one lying on the front), skull-stripped brains of other visits of two of them, "
        "and strangers, most as skull-stripped brains. *Alike*: pairs over the threshold that "
        "the audit sets from the release itself. *First*: of the people who are in both, those "
        "whose best match in the other dataset is themselves.\n",
        markdown_table(
            ("compared", "method", "in both", "first", "alike, right", "alike, wrong"),
            _links(figures),
        ),
        "## What the command says of it\n",
        *(
            f"- `{method}`: {entry['linkage']['second_dataset']['sentence']} "
            f"{len(entry['withheld'])} images withheld."
            for method, entry in figures["methods"].items()
        ),
        "",
    ]
    return "\n".join(parts)


def _attacks(figures: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    names = dict.fromkeys(a["name"] for e in figures["methods"].values() for a in e["attacks"])
    for name in names:
        for method, entry in figures["methods"].items():
            for attack in (a for a in entry["attacks"] if a["name"] == name):
                low, high = attack["interval"]
                control = attack["positive_control"]
                rows.append(
                    (
                        attack["title"],
                        f"`{method}`",
                        attack["n"],
                        f"{control['hits']}/{control['n']}",
                        f"{attack['hits']}/{attack['n']} [{low:.2f}, {high:.2f}]",
                        f"{attack['chance']:.2f}",
                    )
                )
    return rows


def _links(figures: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            key,
            f"`{method}`",
            f"{count_people(found['people_in_both'])}, {found['true_pairs']} true pairs",
            f"{len(found['best_right'])} of {found['people_in_both']}",
            found["alike_right"],
            found["alike_wrong"],
        )
        for method, entry in figures["methods"].items()
        for key, found in entry["linked"].items()
    ]


if __name__ == "__main__":
    sys.exit(main())
