"""The command line of ``anonymi-bids`` (design §5); imports nothing heavy: ``--help`` is quick."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from anonymi_bids import __version__
from anonymi_bids.settings import QCS, SURFACE_STYLES

LEVELS = ("participant", "group")

DESCRIPTION = """\
Share head scans without giving away whose they are. Takes hospital DICOM or a BIDS dataset,
removes faces and ears, cleans every header, releases only what passed every gate, then attacks
its own release and writes a report for an ethics board. INPUT is never written to."""

EPILOG = """\
exit codes: 0 all released · 3 finished, some withheld (listed in OUTPUT/private/withheld.tsv) ·
2 usage or input not usable · 4 a needed tool or file is missing · 5 out of space or memory, safe
to restart · 130 interrupted, safe to restart · 1 a fault of ours (see OUTPUT/private/log.txt)"""


class _Parser(argparse.ArgumentParser):
    """Accepts ``-`` and ``_`` alike in option names, as BIDS-Apps do."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Spell every option with hyphens, then parse."""
        if args is not None:
            args = [_hyphens(arg) for arg in args]
        return super().parse_known_args(args, namespace)


def _hyphens(argument: str) -> str:
    """``--participant_label=01`` → ``--participant-label=01``; values stay as they are."""
    if not re.match(r"--[A-Za-z]", argument):
        return argument
    name, separator, value = argument.partition("=")
    return name.replace("_", "-") + separator + value


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of ``anonymi-bids``."""
    parser = _Parser(
        prog="anonymi-bids",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="INPUT", help="folder of DICOM files or a BIDS dataset")
    parser.add_argument("output", metavar="OUTPUT", help="folder for release/, report/, private/")
    parser.add_argument(
        "level",
        metavar="LEVEL",
        nargs="+",
        choices=LEVELS,
        help="participant, group, or both: de-identify, then audit and report",
    )
    parser.add_argument("--version", action="version", version=f"anonymi-bids {__version__}")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say more in OUTPUT/private/log.txt"
    )
    _add_selection(parser)
    _add_choices(parser)
    _add_resources(parser)
    return parser


def _add_selection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is taken")
    group.add_argument(
        "--participant-label",
        nargs="+",
        metavar="LABEL",
        help="only these subjects, with or without sub- (for DICOM: the pseudonyms of --dry-run)",
    )
    group.add_argument("--session-label", nargs="+", metavar="LABEL", help="only these sessions")
    group.add_argument(
        "--bids-filter-file", metavar="JSON", help="only images that match these pybids filters"
    )
    group.add_argument(
        "--skip-bids-validation",
        action="store_true",
        help="accept a BIDS folder without dataset_description.json",
    )
    group.add_argument(
        "--mapping", metavar="TSV", help="edited series decisions (see OUTPUT/private/mapping.tsv)"
    )
    group.add_argument(
        "--participants-tsv", metavar="TSV", help="participants table to use instead of INPUT's"
    )


def _add_choices(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is done")
    group.add_argument(
        "--method",
        choices=("mask", "surface", "ml"),
        help="how faces are removed: mask (default) or surface (this version has no ml)",
    )
    group.add_argument(
        "--surface-style",
        choices=SURFACE_STYLES,
        help="method surface: another person's face (newface, default) or the own, blurred",
    )
    group.add_argument(
        "--surfaces",
        action="store_true",
        help="write the released skin as a mesh too (GIFTI), the original's in private/",
    )
    group.add_argument(
        "--policy",
        metavar="NAME|TOML",
        default=None,
        help="open-sharing (default), controlled-access, eeg-source, or a settings file",
    )
    group.add_argument(
        "--regions",
        choices=("face", "head"),
        help="face and ears (default); head: the vault's skin too (later)",
    )
    group.add_argument(
        "--landmarks",
        metavar="TSV",
        help="landmarks by hand: subject, session, name, x, y, z in mm of the reference",
    )
    group.add_argument(
        "--face-masks",
        metavar="DIR",
        help="regions drawn by hand: sub-X[_ses-Y][_...]_desc-face_mask.nii.gz",
    )
    group.add_argument(
        "--seed", type=int, metavar="N", help="start of everything random; kept in private/ only"
    )
    group.add_argument(
        "--pseudonyms", action="store_true", help="give BIDS subjects new labels too"
    )
    group.add_argument("--audit", choices=("quick", "full", "none"), help="how hard to attack")
    group.add_argument(
        "--qc", choices=QCS, help="private pages to look at: with volumes to turn (full, default)"
    )
    group.add_argument(
        "--gallery", metavar="DIR", help="second dataset, or features of a run, to link against"
    )
    _add_recogniser(group)
    group.add_argument("--dicom-out", action="store_true", help="give DICOM back too (later)")
    group.add_argument("--review", action="store_true", help="serve the review page (later)")
    group.add_argument("--dry-run", action="store_true", help="print the plan and touch no image")


def _add_recogniser(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--photos",
        metavar="DIR",
        help="photographs to search in the release, with a .tsv: participant_id, filename",
    )
    group.add_argument(
        "--recogniser",
        metavar="NAME",
        help="recogniser of faces: dlib (default) or package.module:Class",
    )


def _add_resources(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it runs")
    group.add_argument("--nprocs", type=int, default=1, metavar="N", help="steps at once")
    group.add_argument(
        "--omp-nthreads", type=int, default=1, metavar="N", help="threads of one step"
    )
    group.add_argument("--mem", type=float, metavar="GB", help="memory that may be used")
    group.add_argument(
        "-w", "--work-dir", metavar="DIR", help="scratch; default OUTPUT/work, may be deleted"
    )


NOT_YET = {
    "dicom_out": "--dicom-out",
    "review": "--review",
}
"""Options that are part of the command's shape but are not built in this version."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse a command line; wrong usage exits with 2 as argparse does."""
    import sys

    return build_parser().parse_args(list(sys.argv[1:] if argv is None else argv))
