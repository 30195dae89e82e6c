"""The cohort as a page."""

from __future__ import annotations

from typing import Any

from benchmarks.common import markdown_table


def page(cohort: dict[str, Any]) -> str:
    """Write the page."""
    rows = [
        [
            entry["title"],
            f"`{entry['method']}`",
            entry["n"],
            _rate(entry["positive_control"]),
            _rate(entry),
            f"{entry['upper95']:.3f}",
            f"{entry['chance']:.3f}",
            f"{entry['p_value']:.3f}",
            f"`{entry['sources']}`" + ("" if entry["current"] else " (earlier)"),
        ]
        for entry in cohort["attacks"]
    ]
    pairs = [
        [
            entry["name"],
            " and ".join(f"`{method}`" for method in entry["methods"]),
            entry["n"],
            entry["found_after_first_only"],
            entry["found_after_second_only"],
            f"{entry['p_value']:.3g}",
            f"{entry['mid_p']:.3g}",
        ]
        for entry in cohort["compared"]
    ]
    header = ("attack", "method", "n", "before", "after", "upper bound (one-sided 95 %)")
    header += ("chance", "p, names shuffled", "sources")
    compared = ("attack", "methods", "n", "found after the first only", "after the second only")
    return (
        "# Reference cohort\n\n"
        f"Written by `python -m benchmarks.audit`, {cohort['program']}; the same figures stand in "
        "`anonymi_bids/data/reference_cohort.json`, from which every report quotes the methods it "
        f"used. {cohort['about']} Visit 1 is released, the attacker knows visit 2. Intervals: "
        "Clopper-Pearson, 95 %, by person. *Sources*: digest of the code that made the images; "
        "*earlier*: it was not yet the code of this version.\n\n"
        + markdown_table(header, rows)
        + "\n## Methods compared\n\nMcNemar's exact test on the people whom both methods were "
        "tried on, each searched among the same.\n\n"
        + markdown_table((*compared, "p", "mid-p"), pairs)
    )


def _rate(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    return f"{entry['hits']}/{entry['n']} [{low:.3f}, {high:.3f}]"
