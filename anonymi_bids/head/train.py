"""``python -m anonymi_bids.head.train SUBJECTS OUT``: train the head model.

SUBJECTS holds what ``python -m benchmarks.head.prepare`` made; OUT gets ``checkpoint.pt`` and
``log.jsonl``. The same command again goes on where it stopped. Needs the extra ``[train]``.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from anonymi_bids.errors import InputError, ToolError
from anonymi_bids.head.training.subjects import load_subjects


def build_parser() -> argparse.ArgumentParser:
    """Parser of the command."""
    parser = argparse.ArgumentParser(prog="python -m anonymi_bids.head.train", description=__doc__)
    parser.add_argument("subjects", type=Path, help="folder of prepared subjects")
    parser.add_argument("out", type=Path, help="folder for checkpoint and log")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=16, help="channels at 4 mm")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--minutes", type=float, help="stop after this long, with a checkpoint")
    parser.add_argument(
        "--leave-out", nargs="*", default=[], help="people whose heads are not trained on"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> Path:
    """Train until the steps are done or the time is over; returns the checkpoint.

    Raises
    ------
    ToolError
        If torch is not installed.
    InputError
        If no subject is left to train on.
    """
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        import torch
    except ImportError as error:
        raise ToolError(
            "Training needs torch, which is not installed; install anonymi-bids[train]."
        ) from error
    from anonymi_bids.head.training.loop import Recipe, train

    torch.set_num_threads(options.threads)
    subjects = [
        subject
        for subject in load_subjects(options.subjects)
        if subject.person not in options.leave_out
    ]
    if not subjects:
        raise InputError("No prepared subjects were found; run benchmarks.head.prepare first.")
    recipe = Recipe(steps=options.steps, seed=options.seed, width=options.width, rate=options.rate)
    limit = None if options.minutes is None else 60 * options.minutes
    return train(subjects, options.out, recipe, device=options.device, stop_after_s=limit)


if __name__ == "__main__":
    main()
