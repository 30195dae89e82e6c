"""``anonymi-bids-atlas HEADS_DIR OUT``: build the packaged atlas from label heads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anonymi_bids.errors import AnonymiError


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(
        prog="anonymi-bids-atlas",
        description="Average label heads into the atlas (labels, regions, landmarks) of this "
        "package. The same heads give the same files. Takes about ten minutes on one core.",
    )
    parser.add_argument("heads", type=Path, help="folder with <name>_dseg.nii.gz label maps")
    parser.add_argument("out", type=Path, help="folder to write the atlas' three files to")
    parser.add_argument(
        "--affine-only", action="store_true", help="leave out the deformable rounds (a preview)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = build_parser().parse_args(arguments)
    from anonymi_bids.head.build import DEFORM_MM, build_average
    from anonymi_bids.head.regions import SPACING_MM, finish_atlas

    try:
        average = build_average(
            options.heads,
            deform_mm=() if options.affine_only else DEFORM_MM,
            spacing_mm=SPACING_MM,
        )
        landmarks = finish_atlas(average, options.out)
    except AnonymiError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for name, point in sorted(landmarks.items()):
        sys.stdout.write(f"{name}\t{point[0]:.1f}\t{point[1]:.1f}\t{point[2]:.1f}\n")
    return 0
