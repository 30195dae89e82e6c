"""The reference cohort: how the methods fared on digital people, to stand beside the local rates.

It is no finding about the release: digital people are easier to recognise than people before, and
nobody knows how much after. ``python -m benchmarks.audit`` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from anonymi_bids.errors import ToolError
from anonymi_bids.io.packaged import packaged_path

COHORT = "reference_cohort.json"


def reference_entry(methods: Sequence[str], style: str) -> dict[str, Any] | None:
    """Give what the cohort says of the methods used here.

    Parameters
    ----------
    methods : sequence of str
        ``mask``, ``ml`` or ``surface``.
    style : str
        Style of ``surface``: the cohort lists ``newface`` and ``blur`` as methods.

    Returns
    -------
    dict or None
        ``people``, ``about``, ``program``, ``attacks`` and ``compared`` on these methods; None if
        the cohort holds none of them, or is missing.
    """
    wanted = {style if method == "surface" else method for method in methods}
    try:
        cohort = json.loads(packaged_path(COHORT).read_text(encoding="utf-8"))
    except ToolError:
        return None
    attacks = [entry for entry in cohort["attacks"] if entry["method"] in wanted]
    if not attacks:
        return None
    return {
        "people": max(int(entry["n"]) for entry in attacks),
        "about": cohort["about"],
        "program": cohort["program"],
        "attacks": attacks,
        "compared": [row for row in cohort["compared"] if wanted & set(row["methods"])],
    }
