"""Write the report: ``audit.json``, one self-contained page, and the same on paper."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonymi_bids.core.frequency import per_hundred
from anonymi_bids.io.atomic import write_text
from anonymi_bids.report import figures, wording

LIMIT_BY_ANALOGY = 0.09


def write_report(audit: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write all forms of the report; the same audit gives the same bytes.

    Parameters
    ----------
    audit : mapping
        Content of ``audit.json`` (`anonymi_bids.audit.attacks.run_audit`).
    folder : Path
        ``OUTPUT/report``.

    Returns
    -------
    list of Path
        What was written.
    """
    folder = Path(folder)
    written = [folder / "audit.json", folder / "audit.html"]
    text = json.dumps(audit, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(written[0], text + "\n")
    write_text(written[1], render_page(audit))
    return written


def render_page(audit: Mapping[str, Any]) -> str:
    """Render the page; everything that is not our own chart is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("anonymi_bids.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("p_value", "listed", "plain_words", "tone"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["per_hundred"] = per_hundred
    environment.filters["icon_total"] = wording.icon_total
    environment.filters["icon_count"] = wording.icon_count
    attacks = audit["attacks"]
    charts = {
        # The charts are drawn by us from numbers and fixed words, so they need no escaping.
        "rates": Markup(figures.rates_chart(attacks)),  # noqa: S704
        "attacks": [
            {
                "gallery": Markup(figures.gallery_chart(entry)),  # noqa: S704
                "cmc": Markup(figures.cmc_chart(entry)),  # noqa: S704
                "scores": Markup(figures.scores_chart(entry)),  # noqa: S704
            }
            for entry in attacks
        ],
    }
    limits = [entry["threshold"] for entry in attacks if entry["threshold"] is not None]
    result = audit["verdict"]["result"]
    page = environment.get_template("audit.html.j2").render(
        audit=audit,
        charts=charts,
        tone=wording.tone(result),
        headline=wording.HEADLINES[result],
        questions=wording.questions(audit),
        methods=wording.methods_text(audit),
        limit=limits[0] if limits else LIMIT_BY_ANALOGY,
    )
    return str(page)
