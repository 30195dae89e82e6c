"""Gates: one module each; every one must pass before an image may enter the release.

A gate reads the files themselves and does not import what made them.
"""

from __future__ import annotations

import importlib

from anonymi_bids.errors import AnonymiError
from anonymi_bids.gates.context import GateContext
from anonymi_bids.model import REQUIRED_GATES, SURFACE_GATE, Finding

__all__ = ["GateContext", "run_gates"]


def run_gates(ctx: GateContext) -> tuple[Finding, ...]:
    """Run every required gate; a gate that cannot measure says so and counts as failed.

    Parameters
    ----------
    ctx : GateContext

    Returns
    -------
    tuple of Finding
        One for each of `REQUIRED_GATES`, in their order, and one on the surface if there is one.
    """
    names = (*REQUIRED_GATES, *([SURFACE_GATE] if ctx.surface_file is not None else ()))
    return tuple(_run(name, ctx) for name in names)


def _run(name: str, ctx: GateContext) -> Finding:
    module = importlib.import_module(f"anonymi_bids.gates.{name}")
    try:
        result: Finding = module.check(ctx)
    except AnonymiError as error:
        return Finding(name, "could_not_tell", None, None, f"{_title(name)}: {error}")
    except (OSError, ValueError, IndexError, KeyError, ArithmeticError) as error:
        kind = type(error).__name__
        return Finding(
            name,
            "could_not_tell",
            None,
            None,
            f"{_title(name)} could not be measured ({kind}); look at the image by hand.",
        )
    return result


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
