"""Gate: a head was found, with confidence, and it is a head."""

from __future__ import annotations

from anonymi_bids.gates.brain import MAX_CUT
from anonymi_bids.gates.context import GateContext, finding
from anonymi_bids.model import Finding

GATE = "head_found"


def check(ctx: GateContext) -> Finding:
    """Pass a head (whole, partial or defaced before) found with enough confidence.

    A ball of gel can be registered to a head, too: so the image must also show a brain that is
    parted from the skin.
    """
    limit = ctx.settings.min_head_confidence
    figure = ctx.fit.confidence
    if ctx.fit.status in ("no_head", "stripped"):
        return finding(GATE, "failed", ctx.fit.sentence, figure=figure, limit=limit)
    if figure < limit:
        return finding(
            GATE,
            "failed",
            f"The head was found with a confidence of {figure:.2f}, but {limit:.2f} is needed; "
            "look at the image, or give landmarks by hand.",
            figure=figure,
            limit=limit,
        )
    brain = ctx.own_brain
    if not brain.plausible:
        return finding(
            GATE,
            "failed" if brain.at_skin > 0.2 or brain.cut > MAX_CUT else "could_not_tell",
            f"By its grey values the image shows no brain where the head was found (cover "
            f"{brain.cover:.2f}, beyond it {brain.leak:.2f}, at the skin {brain.at_skin:.2f}, not "
            f"stopped by any skull {brain.cut:.2f}); "
            "look at the image: it may be a phantom or a contrast not known here.",
            figure=figure,
            limit=limit,
        )
    return finding(
        GATE,
        "passed",
        f"A head was found with a confidence of {figure:.2f}.",
        figure=figure,
        limit=limit,
    )
