"""The command ``anonymi-bids-phantoms``: a study of digital people for anyone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from anonymi_bids.errors import AnonymiError, UsageError

_EPILOG = """\
Digital people are heads of nobody: a skin drawn from a statistical shape model, the inside of a
label head warped to it, painted as a scan. The same seed gives the same study. Origin and licences
of the material stand in the README of the BIDS dataset and in anonymi_bids/data/.
"""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="anonymi-bids-phantoms",
        description="Make a study of digital people, as BIDS or as a hospital's DICOM.",
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("out", metavar="OUT", help="folder of the study; must be empty or not exist")
    add("--n", type=int, default=6, help="people (default: %(default)s)")
    add(
        "--visits",
        type=_numbers,
        default=(1,),
        help="visits of each person, or one number per person: 2,2,1,1 (default: 1)",
    )
    add(
        "--contrasts",
        type=_names,
        default=("T1w",),
        help="T1w, T2w, FLAIR, PD, CT, taken at each visit (default: T1w)",
    )
    add("--once", type=_names, default=(), help="contrasts of the first visit of all only")
    add("--thick", type=_names, default=(), help="contrasts taken as 4 mm axial slices")
    add("--as", dest="as_", choices=("bids", "dicom"), default="bids", help="default: bids")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--spacing", type=float, default=1.3, help="voxel edge in mm (default: %(default)s)")
    add(
        "--uncoupled",
        action="store_true",
        help="face and vault of each person from two identities",
    )
    add("--truth", metavar="DIR", help="write labels, landmarks and skin there")
    add("--nprocs", type=int, default=1, help="processes, about 1 GB each (default: 1)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _names(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError("whole numbers are needed") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    args = build_parser().parse_args(argv)
    try:
        _make(args)
    except AnonymiError as error:
        sys.stderr.write(f"anonymi-bids-phantoms: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(
            f"anonymi-bids-phantoms: OUT cannot be written ({error.strerror}); choose another "
            "folder.\n"
        )
        return UsageError.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("anonymi-bids-phantoms: interrupted; remove OUT and start again.\n")
        return 130
    return 0


def _make(args: argparse.Namespace) -> None:
    from pathlib import Path

    from anonymi_bids.phantoms.study import StudyScan, make_study

    out = Path(args.out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError("OUT exists and is not an empty folder; choose another one.")
    if args.truth is not None and out.resolve() in [
        Path(args.truth).resolve(),
        *Path(args.truth).resolve().parents,
    ]:
        raise UsageError("The truth may not lie inside OUT; choose another --truth.")
    one = len(args.visits) == 1

    def tell(scan: StudyScan) -> None:
        sys.stdout.write(f"sub-{scan.subject} visit {scan.visit + 1} {scan.contrast}\n")
        sys.stdout.flush()

    make_study(
        out,
        args.n,
        args.visits[0] if one else 1,
        args.contrasts,
        args.as_,
        args.seed,
        args.spacing,
        visits_per_person=None if one else args.visits,
        once=args.once,
        thick=args.thick,
        uncoupled=args.uncoupled,
        truth=args.truth,
        nprocs=args.nprocs,
        done=tell,
    )


if __name__ == "__main__":
    raise SystemExit(main())
