"""Charts of an audit as SVG text: drawn from `audit.json` alone, the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BEFORE, AFTER, GUESS = "#b35806", "#2166ac", "#77818c"
STAGES = ("before", "after")

_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_WIDTH = 520


def rates_chart(attacks: Sequence[Mapping[str, Any]]) -> str:
    """Draw people found of 100 before and after, with intervals, guessing and limits.

    Parameters
    ----------
    attacks : sequence of mapping
        ``attacks`` of ``audit.json``.

    Returns
    -------
    str
        SVG; empty if there is nothing to draw.
    """
    if not attacks:
        return ""
    import altair as alt

    rows = [
        {
            "attack": entry["title"],
            "stage": stage,
            "rate": 100 * found["rate"],
            "low": 100 * found["interval"][0],
            "high": 100 * found["interval"][1],
            "chance": 100 * entry["chance"],
        }
        for entry in attacks
        for stage, found in zip(STAGES, (entry["positive_control"], entry), strict=True)
    ]
    stage_axis = alt.Y("stage:N", sort=list(STAGES), title=None)
    # A layer with data of its own would show all attacks in each row.
    base = alt.Chart().encode(y=stage_axis, color=_stage_colour(alt))
    across = _axis(alt, "people found, of 100", 0, 100)
    bars = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", **across), x2="high:Q")
    dots = base.mark_circle(size=130, opacity=1).encode(x="rate:Q")
    guess = (
        alt.Chart()
        .mark_tick(color=GUESS, thickness=2, size=26, strokeDash=[3, 2])
        .encode(x="chance:Q", y=stage_axis)
    )
    layers = alt.layer(bars, guess, dots, data=alt.Data(values=rows))
    chart = layers.properties(width=_WIDTH, height=60).facet(
        row=alt.Row(
            "attack:N",
            title=None,
            sort=[entry["title"] for entry in attacks],
            header=alt.Header(
                labelAngle=0, labelAnchor="start", labelOrient="top", labelPadding=4
            ),
        )
    )
    return _svg(chart)


def gallery_chart(entry: Mapping[str, Any]) -> str:
    """Draw how the rate falls with the number of people searched; empty for one person."""
    if entry["n"] < 3:
        return ""
    import altair as alt

    rows = [
        {"stage": stage, "size": size, "rate": 100 * rate}
        for stage in STAGES
        for size, rate in zip(
            entry["curves"][stage]["gallery_sizes"], entry["curves"][stage]["rank1"], strict=True
        )
    ]
    sizes = entry["curves"]["after"]["gallery_sizes"]
    guesses = [{"size": size, "rate": 100 / size} for size in sizes]
    scale = alt.Scale(type="log", domain=[1, max(sizes)], nice=False)
    x = alt.X("size:Q", scale=scale, title="people searched", axis=alt.Axis(tickCount=6))
    y = alt.Y("rate:Q", **_axis(alt, "found first, of 100", 0, 100))
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(point=True, strokeWidth=2.5)
        .encode(x=x, y=y, color=_stage_colour(alt, legend=True))
    )
    guess = (
        alt.Chart(alt.Data(values=guesses))
        .mark_line(color=GUESS, strokeDash=[5, 4])
        .encode(x=x, y=y)
    )
    return _svg((guess + lines).properties(width=_WIDTH, height=200))


def cmc_chart(entry: Mapping[str, Any]) -> str:
    """Draw how often the right person is among the first k; empty for fewer than five people."""
    if entry["n"] < 5:
        return ""
    import altair as alt

    rows = []
    for stage in STAGES:
        curve = entry["curves"][stage]
        for k, (share, band) in enumerate(zip(curve["cmc"], curve["cmc_band"], strict=True), 1):
            low, high = band
            rows.append(
                {"stage": stage, "k": k, "rate": 100 * share, "low": 100 * low, "high": 100 * high}
            )
    top = len(entry["curves"]["after"]["cmc"])
    guesses = [{"k": k, "rate": 100 * k / entry["n"]} for k in range(1, top + 1)]
    x = alt.X(
        "k:Q",
        title="among the first …",
        scale=alt.Scale(domain=[1, top], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d"),
    )
    y = alt.Y("rate:Q", **_axis(alt, "people, of 100", 0, 100))
    base = alt.Chart(alt.Data(values=rows))
    bands = base.mark_area(opacity=0.15).encode(
        x=x, y=alt.Y("low:Q"), y2="high:Q", color=_stage_colour(alt)
    )
    lines = base.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=_stage_colour(alt, legend=True))
    guess = (
        alt.Chart(alt.Data(values=guesses))
        .mark_line(color=GUESS, strokeDash=[5, 4])
        .encode(x=x, y=y)
    )
    return _svg((bands + guess + lines).properties(width=_WIDTH, height=200))


def scores_chart(entry: Mapping[str, Any]) -> str:
    """Draw the scores of the same and of different people; empty where they are not given."""
    if not entry["curves"]["after"]["histogram"]["same"]:
        return ""
    import altair as alt

    rows = []
    for stage in STAGES:
        histogram = entry["curves"][stage]["histogram"]
        for kind in ("same", "different"):
            total = max(1, sum(histogram[kind]))
            for index, count in enumerate(histogram[kind]):
                low, high = histogram["edges"][index : index + 2]
                rows.append(
                    {
                        "stage": stage,
                        "kind": f"{kind} person" if kind == "same" else "different people",
                        "low": low,
                        "high": high,
                        "share": 100 * count / total,
                    }
                )
    colour = alt.Color(
        "kind:N",
        title=None,
        sort=["same person", "different people"],
        scale=alt.Scale(domain=["same person", "different people"], range=["#6a3d9a", "#9aa5b1"]),
        legend=alt.Legend(orient="top"),
    )
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(opacity=0.65)
        .encode(
            x=alt.X("low:Q", title="similarity", scale=alt.Scale(domain=[-1, 1])),
            x2="high:Q",
            y=alt.Y("share:Q", title="pairs, of 100"),
            y2=alt.datum(0),
            color=colour,
        )
        .properties(width=_WIDTH, height=110)
    )
    return _svg(bars.facet(row=alt.Row("stage:N", title=None, sort=list(STAGES))))


def _stage_colour(alt: Any, *, legend: bool = False) -> Any:
    return alt.Color(
        "stage:N",
        title=None,
        sort=list(STAGES),
        scale=alt.Scale(domain=list(STAGES), range=[BEFORE, AFTER]),
        legend=alt.Legend(orient="top", symbolType="stroke") if legend else None,
    )


def _axis(alt: Any, title: str, low: float, high: float) -> dict[str, Any]:
    return {"title": title, "scale": alt.Scale(domain=[low, high], nice=False)}


def _svg(chart: Any) -> str:
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
    return str(vl_convert.vegalite_to_svg(styled.to_dict()))
