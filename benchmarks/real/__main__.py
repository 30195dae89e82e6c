"""``python -m benchmarks.real``: the installed command on the real scans beside the repository.

Only figures are written into the repository. INPUT, OUTPUT, brain masks and pictures lie in the
folders given by ``--work`` and ``--look``, which must be outside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.common import (
    DOCS,
    OUT,
    ROOT,
    SHARED,
    code_digest,
    one_thread,
    read_json,
    write_json,
    write_text,
)

ROOMS = (
    *("core", "io", "phantoms", "head", "deface", "gates", "dicom", "bids"),
    *("interfaces", "graphs", "cli"),
)


def main(argv: list[str] | None = None) -> int:
    """Run the scenarios that have not been run with these sources, then write the page."""
    args = parse(argv)
    one_thread()
    for folder in (args.work, args.look):
        if folder is not None and (ROOT == folder.resolve() or ROOT in folder.resolve().parents):
            print("--work and --look must lie outside the repository: they hold real people.")
            return 2
    from benchmarks.real.scenarios import scenarios

    chosen = [s for s in scenarios(args.data) if not args.only or s.name in args.only]
    if not chosen:
        print("None of the scans is at hand; give their folder with --data.")
        return 2
    digest = code_digest(ROOMS)
    if args.work is None:
        with tempfile.TemporaryDirectory(prefix="anonymi-real-") as name:
            return _all(args, chosen, Path(name), digest)
    args.work.mkdir(parents=True, exist_ok=True)
    return _all(args, chosen, args.work.resolve(), digest)


def _all(args: argparse.Namespace, chosen: list, work: Path, digest: str) -> int:
    from benchmarks.real.run import run_scenario
    from benchmarks.real.table import page, totals

    results = []
    for scenario in chosen:
        kept = OUT / "real" / digest / f"{scenario.name}.json"
        folder = work / scenario.name
        if kept.exists() and not args.again and (args.look is None or folder.exists()):
            result = read_json(kept)
        else:
            result = run_scenario(
                scenario, args.data, folder, work / "brains", args.nprocs, args.levels
            )
            write_json(kept, result)
        results.append(result)
        faces = result["known"]
        print(
            f"{scenario.name}: exit {result['exit_code']}, {result['wall_s']:.0f} s, faces "
            f"released {sum(k['released'] for k in faces)} of {len(faces)}, brain voxels changed "
            f"{[e['brain_changed_voxels'] for e in result['released']]}",
            flush=True,
        )
        if args.look is not None:
            _look(scenario, args, folder, work / "brains")
    figures = {
        "settings": {"nprocs": args.nprocs, "levels": args.levels, "sources": digest},
        "scenarios": results,
        "totals": totals(results),
    }
    text = page(figures)
    print(text)
    if args.only:
        print("Only part of the scenarios was run: nothing was written to docs.")
        return 0
    args.docs.mkdir(parents=True, exist_ok=True)
    write_json(args.docs / "real.json", figures)
    write_text(args.docs / "real.md", text)
    print(f"Written: {args.docs / 'real.json'} and real.md")
    return 0


def _look(scenario, args: argparse.Namespace, folder: Path, cache: Path) -> None:  # type: ignore[no-untyped-def]
    """Pictures of all released heads, and of the originals of all others."""
    from anonymi_bids.io.images import read_mask
    from benchmarks.real import brains, look, match
    from benchmarks.real.run import record_of
    from benchmarks.real.scenarios import images_of

    images = images_of(scenario, folder)
    release = folder / "output" / "release"
    pairs = match.pair_up(release, images)[0] if release.is_dir() else []
    done = {pair.original for pair in pairs}
    for pair in pairs:
        name = pair.original.replace("/", "_").removesuffix(".nii.gz")
        look.picture(
            pair.before,
            pair.after,
            f"{scenario.name}: {pair.original} (released)",
            args.look / scenario.name / f"released_{name}.png",
            record=record_of(folder / "output", pair.released),
            removed=read_mask(pair.mask),
            brain=brains.brain_mask(pair.before, cache),
        )
    for name, path in images.items():
        if name not in done:
            flat = name.replace("/", "_").removesuffix(".nii.gz")
            target = args.look / scenario.name / f"not-released_{flat}.png"
            look.picture(path, None, f"{scenario.name}: {name} (not released)", target)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the real scans")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these scenarios")
    parser.add_argument("--work", type=Path, help="scratch outside the repository; kept")
    parser.add_argument("--look", type=Path, metavar="DIR", help="write pictures for the eye here")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument("--levels", nargs="+", default=["participant"], help="of the command")
    parser.add_argument("--again", action="store_true", help="run also what was run before")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where the figures are written")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
