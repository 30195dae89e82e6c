"""Write the report: ``audit.json``, one self-contained page, and the same on paper."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from anonymi_bids.core.frequency import per_hundred
from anonymi_bids.io.atomic import atomic_path, write_text
from anonymi_bids.report import chartkit, details, figures, standards, summary, wording


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
        What was written: ``audit.json``, ``audit.html``, ``audit.pdf``.
    """
    written = [Path(folder) / f"audit.{kind}" for kind in ("json", "html", "pdf")]
    text = json.dumps(audit, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(written[0], text + "\n")
    charts = draw_charts(audit)
    write_text(written[1], render_page(audit, charts))
    paper = render_paper(audit, charts)
    with atomic_path(written[2]) as temporary:
        temporary.write_bytes(paper)
    return written


def draw_charts(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Draw all charts as SVG text: ``rates``, ``joins``, and ``attacks`` with four each."""
    second = audit["linkage"]["second_dataset"]
    return {
        "joins": [figures.joins_chart(entry) for entry in second["compared"]] if second else [],
        "rates": figures.rates_chart(audit["attacks"]),
        "attacks": [
            {
                "gallery": figures.gallery_chart(entry),
                "cmc": figures.cmc_chart(entry),
                "errors": figures.errors_chart(entry),
                "scores": figures.scores_chart(entry),
            }
            for entry in audit["attacks"]
        ],
    }


def render_page(audit: Mapping[str, Any], charts: Mapping[str, Any] | None = None) -> str:
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
    environment.filters["per_hundred"] = per_hundred
    names = ("p_value", "listed", "plain_words", "one_line", "visits_line", "icon_total")
    for name in (*names, "icon_count"):
        environment.filters[name] = getattr(wording, name)
    environment.filters["tone"] = summary.tone
    environment.filters["more_rows"] = details.more_rows
    environment.filters["captions"] = details.captions
    environment.filters["status_tone"] = lambda status: standards.STATUS_TONES.get(status, "")
    drawn = draw_charts(audit) if charts is None else charts
    script = files("anonymi_bids.report").joinpath("templates/audit.js").read_text("utf-8")
    # Vega escapes the few words in the charts, so they need no second escaping.
    marked = {
        "rates": Markup(drawn["rates"]),  # noqa: S704
        "joins": [Markup(svg) for svg in drawn["joins"]],  # noqa: S704
        "attacks": [
            {name: Markup(svg) for name, svg in entry.items()}  # noqa: S704
            for entry in drawn["attacks"]
        ],
    }
    return environment.get_template("audit.html.j2").render(
        audit=audit,
        charts=marked,
        rows=_summary_rows(audit),
        recipients=summary.recipients(audit),
        tone=summary.tone(audit["verdict"]["result"]),
        words=wording.all_words(audit),
        script=Markup(script),  # noqa: S704
        script_digest=_digest(script),
    )


def _digest(script: str) -> str:
    """Digest by which the page's policy lets this script run, and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _icons(entry: Mapping[str, Any]) -> list[list[Any]]:
    """Give the pictures of people: what, dots in all, filled dots, colour."""
    total = wording.icon_total(entry)
    control = entry["positive_control"]
    return [
        [
            f"before: {control['hits']} of {control['n']}",
            total,
            wording.icon_count(entry, "positive_control"),
            chartkit.BEFORE,
        ],
        [
            f"after: {entry['hits']} of {entry['n']}",
            total,
            wording.icon_count(entry, ""),
            chartkit.AFTER,
        ],
        ["by guessing", total, wording.icon_count(entry, "chance"), chartkit.GUESS],
    ]


def _summary_rows(audit: Mapping[str, Any]) -> list[dict[str, str]]:
    return [summary.summary_row(entry) for entry in (*audit["attacks"], *audit["union"])]


def render_paper(audit: Mapping[str, Any], charts: Mapping[str, Any] | None = None) -> bytes:
    """Render the PDF; what is shown goes in as data, so nothing in it is taken for markup."""
    import typst

    drawn = draw_charts(audit) if charts is None else charts
    words = wording.all_words(audit)
    content = words | {
        "policy": audit["policy"],
        "recipient": audit["recipient"],
        "tone": summary.tone(audit["verdict"]["result"]),
        "rows": _summary_rows(audit),
        "recipients": summary.recipients(audit),
        "tones": {row["result"]: summary.tone(row["result"]) for row in _summary_rows(audit)}
        | {row["result"]: summary.tone(row["result"]) for row in audit["verdict"]["recipients"]},
        "months": audit["verdict"]["expires_after_months"],
        "cannot_conclude": audit["verdict"]["cannot_conclude"],
        "traces": [
            [entry["place"], str(entry["checked"]), str(entry["found"])]
            for entry in audit["traces"]
        ],
        "reasons": audit["verdict"]["reasons"],
        "not_tested": audit["verdict"]["not_tested"],
        "facts": wording.facts(audit),
        "attacks": [
            {
                "title": entry["title"],
                "words": wording.plain_words(entry),
                "line": wording.one_line(entry),
                "reason": entry["reason"],
                "visits": wording.visits_line(entry),
                "more": details.more_rows(entry),
                "captions": details.captions(entry),
                "icons": _icons(entry),
                **svgs,
            }
            for entry, svgs in zip(audit["attacks"], drawn["attacks"], strict=True)
        ],
        "table": [wording.table_row(entry) for entry in audit["attacks"]],
        "rates_chart": drawn["rates"],
        "joins_charts": list(
            zip(drawn["joins"], words["second_dataset"]["captions"], strict=True)
        ),
        "linkage": f"{audit['linkage']['sentence']} {words['doubles']}".strip(),
        "metadata": audit["metadata"]["sentence"],
        "protocol": (audit["metadata"]["protocol"] or {}).get("sentence", ""),
        "withheld": [
            [line["reason"], str(line["images"])] for line in audit["withheld"]["reasons"]
        ],
        "questions": [[line["question"], line["answer"]] for line in words["questions"]],
    }
    template = files("anonymi_bids.report").joinpath("templates/audit.typ").read_bytes()
    paper = typst.compile(
        template,
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"content": json.dumps(content, sort_keys=True)},
    )
    return bytes(paper)
