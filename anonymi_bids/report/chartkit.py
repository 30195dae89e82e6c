"""What all charts share: colours, axes, and SVG whose marks say their values."""

from __future__ import annotations

import re
from typing import Any

BEFORE, AFTER, GUESS = "#b35806", "#2166ac", "#77818c"
"""Orange, blue and grey stay apart for all kinds of colour blindness, and in grey print."""

SAME, DIFFERENT = "#6a3d9a", "#9aa5b1"
STAGES = ("before", "after")
SHAPES = ("triangle-up", "circle")
"""Stages are told by shape as well as by colour."""

WIDTH = 520
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

_MARK = re.compile(r'<path aria-label="([^"]*)" role="graphics-symbol"([^>]*)/>')


def stage_colour(alt: Any, *, legend: bool = True) -> Any:
    """Encode the stage by colour; the legend shows shape and colour together."""
    return alt.Color(
        "stage:N",
        title=None,
        sort=list(STAGES),
        scale=alt.Scale(domain=list(STAGES), range=[BEFORE, AFTER]),
        legend=alt.Legend(orient="top", symbolOpacity=1) if legend else None,
    )


def stage_shape(alt: Any) -> Any:
    """Encode the stage by shape."""
    return alt.Shape(
        "stage:N",
        title=None,
        sort=list(STAGES),
        scale=alt.Scale(domain=list(STAGES), range=list(SHAPES)),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )


def lines_with_marks(alt: Any, rows: list[dict[str, Any]], x: Any, y: Any, *, size: int) -> Any:
    """Draw one line a stage, and on it marks that say their values.

    Parameters
    ----------
    rows : list of dict
        With ``stage``, the fields of `x` and `y`, and ``said``: the words of each mark.
    size : int
        Area of a mark, square pixels.
    """
    base = alt.Chart(alt.Data(values=rows))
    lines = base.mark_line(strokeWidth=2, aria=False).encode(x=x, y=y, color=stage_colour(alt))
    marks = base.mark_point(filled=True, size=size, opacity=1).encode(
        x=x,
        y=y,
        color=stage_colour(alt),
        shape=stage_shape(alt),
        description="said:N",
    )
    return lines + marks


def guessing(alt: Any, rows: list[dict[str, Any]], x: Any, y: Any) -> Any:
    """Draw what guessing gives as a dashed grey line."""
    chart = alt.Chart(alt.Data(values=rows))
    return chart.mark_line(color=GUESS, strokeDash=[5, 4], aria=False).encode(x=x, y=y)


def axis(title: str, low: float, high: float) -> dict[str, Any]:
    """Give title and linear scale of an axis."""
    return {"title": title, "scale": {"domain": [low, high], "nice": False}}


def svg(chart: Any) -> str:
    """Turn a chart into SVG text in which each mark that has words shows them as its title."""
    import vl_convert

    styled = (
        chart.configure(font=_FONT, background="#ffffff")
        .configure_axis(
            grid=True,
            gridColor="#e6eaee",
            domainColor="#9aa5b1",
            tickColor="#9aa5b1",
            labelColor="#1d2733",
            titleColor="#1d2733",
            titleFontWeight="normal",
            labelFontSize=12,
            titleFontSize=12,
        )
        .configure_view(stroke=None)
        .configure_legend(labelFontSize=12)
        .configure_header(labelFontSize=13, labelColor="#1d2733")
    )
    drawn = str(vl_convert.vegalite_to_svg(styled.to_dict()))
    return _MARK.sub(_with_title, drawn)


def _with_title(found: re.Match[str]) -> str:
    words, rest = found.groups()
    return f'<path aria-label="{words}" role="graphics-symbol"{rest}><title>{words}</title></path>'
