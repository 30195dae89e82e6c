"""The command ``anonymi-bids``: from arguments to an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anonymi_bids.cli.parser import parse
from anonymi_bids.errors import AnonymiError

EXIT_ALL_RELEASED = 0
EXIT_FAULT = 1
EXIT_SPACE = 5
EXIT_SOME_WITHHELD = 3
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code (design §5)."""
    from anonymi_bids.cli.progress import complain

    args = parse(argv)
    # A scheduler ends a job with SIGTERM: it is treated like Ctrl-C.
    _interrupts.clear()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        return _run(args)
    except KeyboardInterrupt:
        complain("anonymi-bids: interrupted; start the same command again to go on.")
        return EXIT_INTERRUPTED
    except AnonymiError as error:
        complain(f"anonymi-bids: {error}")
        return error.exit_code
    except MemoryError:
        complain("anonymi-bids: memory ran out; free some and start the same command again.")
        return EXIT_SPACE
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            complain("anonymi-bids: the disk is full; free some and start the same command again.")
            return EXIT_SPACE
        return _fault(error)
    except Exception as error:  # noqa: BLE001 - the one place that may: it sets the exit code
        return _fault(error)


_interrupts: list[int] = []
"""Signals that came; a library being imported may turn an interrupt into its own error."""


def _interrupt(signum: int, frame: Any) -> None:
    _interrupts.append(signum)
    raise KeyboardInterrupt


def _fault(error: BaseException) -> int:
    """Put the traceback into the log, or to standard error where there is no log yet."""
    from anonymi_bids.cli.graphrun import LOGGER
    from anonymi_bids.cli.progress import complain

    if _interrupts:
        complain("anonymi-bids: interrupted; start the same command again to go on.")
        return EXIT_INTERRUPTED
    LOGGER.error("A fault of the program.", exc_info=error)
    where = "see OUTPUT/private/log.txt" if LOGGER.handlers else "no log was begun"
    complain(f"anonymi-bids: a fault of the program ({type(error).__name__}); {where}.")
    return EXIT_FAULT


def _run(args: argparse.Namespace) -> int:
    from anonymi_bids.cli.attackers import check_attackers
    from anonymi_bids.cli.graphrun import start_log
    from anonymi_bids.cli.options import agree_on_seed, settings_from, write_settings
    from anonymi_bids.cli.places import check_gallery, find_places, prepare

    places = find_places(args.input, args.output, args.work_dir)
    settings = settings_from(args, places.private)
    check_gallery(settings.audit.gallery, places)
    check_attackers(settings.audit, places.private)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(args.omp_nthreads)
    os.environ["OMP_NUM_THREADS"] = str(args.omp_nthreads)
    from anonymi_bids.cli.plan import check_input, make_plan, show_plan

    checked = check_input(places, args, settings)
    if args.dry_run:
        show_plan(checked, settings)
        return EXIT_ALL_RELEASED
    prepare(places)
    settings = agree_on_seed(settings, places.private, given=_seed_was_given(args))
    write_settings(settings, places.private)
    start_log(
        places.private,
        {os.fspath(places.input): "INPUT", os.fspath(places.output): "OUTPUT"},
        verbose=args.verbose,
    )
    clean = True
    if "participant" in args.level:
        from anonymi_bids.cli.participants import run_participants

        run_folder = Path(tempfile.mkdtemp(prefix="run-", dir=places.work))
        try:
            plan = make_plan(checked, places, settings, args, run_folder)
            clean = run_participants(plan, places, settings, args, run_folder)
        finally:
            shutil.rmtree(run_folder, ignore_errors=True)
    if "group" in args.level:
        from anonymi_bids.cli.group import run_group

        clean = run_group(places, settings, args) and clean
    return _conclude(places, clean=clean)


def _seed_was_given(args: argparse.Namespace) -> bool:
    from anonymi_bids.cli.options import read_policy

    return args.seed is not None or (
        args.policy is not None and "seed" in read_policy(args.policy)
    )


def _conclude(places: Any, *, clean: bool) -> int:
    """Say what was released and what was not, and choose the exit code."""
    from anonymi_bids.cli.outcomes import count_fates
    from anonymi_bids.cli.progress import say

    n_released, n_withheld = count_fates(places.private)
    say(f"Released: {n_released} files in {places.release}")
    if n_withheld:
        say(f"Withheld: {n_withheld} files, each with its reason in private/withheld.tsv")
    if (places.report / "audit.html").is_file():
        say(f"Report:   {places.report / 'audit.html'}")
    if _interrupts:
        raise KeyboardInterrupt
    if not clean:
        return EXIT_FAULT
    return EXIT_SOME_WITHHELD if n_withheld else EXIT_ALL_RELEASED


if __name__ == "__main__":
    sys.exit(main())
