"""Charts of an audit as SVG text: drawn from `audit.json` alone, the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anonymi_bids.core.frequency import per_hundred
from anonymi_bids.report import chartkit
from anonymi_bids.report.chartkit import AFTER, DIFFERENT, GUESS, SAME, STAGES, WIDTH, axis

Rows = list[dict[str, Any]]

_STRANGERS = ("different people", DIFFERENT)


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
            "said": f"{stage}: {found['hits']} of {found['n']} found, between "
            f"{per_hundred(found['interval'][0])} and {per_hundred(found['interval'][1])} of 100; "
            f"by guessing {per_hundred(entry['chance'])}",
        }
        for entry in attacks
        for stage, found in zip(STAGES, (entry["positive_control"], entry), strict=True)
    ]
    stage_axis = alt.Y("stage:N", sort=list(STAGES), title=None)
    # A layer with data of its own would show all attacks in each row.
    base = alt.Chart().encode(y=stage_axis, color=chartkit.stage_colour(alt, legend=False))
    across = axis("people found, of 100", 0, 100)
    bars = base.mark_rule(strokeWidth=3, aria=False).encode(
        x=alt.X("low:Q", **across), x2="high:Q"
    )
    dots = base.mark_circle(size=130, opacity=1).encode(x="rate:Q", description="said:N")
    guess = (
        alt.Chart()
        .mark_tick(color=GUESS, thickness=2, size=26, strokeDash=[3, 2], aria=False)
        .encode(x="chance:Q", y=stage_axis)
    )
    layers = alt.layer(bars, guess, dots, data=alt.Data(values=rows))
    chart = layers.properties(width=WIDTH, height=60).facet(
        row=alt.Row(
            "attack:N",
            title=None,
            sort=[entry["title"] for entry in attacks],
            header=alt.Header(
                labelAngle=0, labelAnchor="start", labelOrient="top", labelPadding=4
            ),
        )
    )
    return chartkit.svg(chart)


def gallery_chart(entry: Mapping[str, Any]) -> str:
    """Draw how the rate falls with the people searched; beyond those at hand, models, dashed."""
    if entry["n"] < 3:
        return ""
    import altair as alt

    rows: Rows = [
        {
            "stage": stage,
            "size": size,
            "rate": 100 * rate,
            "said": f"{stage}: {per_hundred(rate)} of 100 found first among {size}",
        }
        for stage in STAGES
        for size, rate in _exact(entry, stage)
    ]
    last = [row["size"] for row in rows] + [
        size for stage in STAGES for model in _models(entry, stage) for size in model["sizes"]
    ]
    guesses = [{"size": size, "rate": 100 / size} for size in sorted(set(last))]
    scale = alt.Scale(type="log", domain=[1, max(last)], nice=False)
    x = alt.X("size:Q", scale=scale, title="people searched", axis=alt.Axis(tickCount=6))
    y = alt.Y("rate:Q", **axis("found first, of 100", 0, 100))
    layers = [chartkit.guessing(alt, guesses, x, y)]
    layers += _model_layers(alt, entry, x, y)
    layers.append(chartkit.lines_with_marks(alt, rows, x, y, size=55))
    return chartkit.svg(alt.layer(*layers).properties(width=WIDTH, height=200))


def _exact(entry: Mapping[str, Any], stage: str) -> zip[tuple[int, float]]:
    curve = entry["curves"][stage]
    return zip(curve["gallery_sizes"], curve["rank1"], strict=True)


def _models(entry: Mapping[str, Any], stage: str) -> Sequence[Mapping[str, Any]]:
    models: Sequence[Mapping[str, Any]] = entry["curves"][stage]["beyond"]
    return models


def _model_layers(alt: Any, entry: Mapping[str, Any], x: Any, y: Any) -> list[Any]:
    rows = [
        {
            "stage": stage,
            "model": f"{stage} {number}",
            "size": size,
            "rate": 100 * rate,
            "low": 100 * band[0],
            "high": 100 * band[1],
            "said": f"{stage}, a model ({model['model']}): {per_hundred(rate)} of 100 among "
            f"{size}, between {per_hundred(band[0])} and {per_hundred(band[1])}",
        }
        for stage in STAGES
        for number, model in enumerate(_models(entry, stage))
        for size, rate, band in zip(model["sizes"], model["rank1"], model["band"], strict=True)
        if None not in (rate, *band)
    ]
    if not rows:
        return []
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=x, detail="model:N", color=chartkit.stage_colour(alt)
    )
    bands = base.mark_area(opacity=0.1, aria=False).encode(y="low:Q", y2="high:Q")
    lines = base.mark_line(strokeWidth=1.5, strokeDash=[6, 4], aria=False).encode(y=y)
    marks = base.mark_point(filled=True, size=22, opacity=1).encode(y=y, description="said:N")
    return [bands, lines, marks]


def cmc_chart(entry: Mapping[str, Any]) -> str:
    """Draw how often the right person is among the first k; empty for fewer than five people."""
    if entry["n"] < 5:
        return ""
    import altair as alt

    rows: Rows = []
    for stage in STAGES:
        curve = entry["curves"][stage]
        for k, (share, band) in enumerate(zip(curve["cmc"], curve["cmc_band"], strict=True), 1):
            low, high = band
            said = f"{stage}: {per_hundred(share)} of 100 among the first {k}, between "
            rows.append(
                {
                    "stage": stage,
                    "k": k,
                    "rate": 100 * share,
                    "low": 100 * low,
                    "high": 100 * high,
                    "said": f"{said}{per_hundred(low)} and {per_hundred(high)}",
                }
            )
    top = len(entry["curves"]["after"]["cmc"])
    guesses = [{"k": k, "rate": 100 * k / entry["n"]} for k in range(1, top + 1)]
    x = alt.X(
        "k:Q",
        title="among the first …",
        scale=alt.Scale(domain=[1, top], nice=False),
        axis=alt.Axis(tickMinStep=1, format="d"),
    )
    y = alt.Y("rate:Q", **axis("people, of 100", 0, 100))
    bands = (
        alt.Chart(alt.Data(values=rows))
        .mark_area(opacity=0.15, aria=False)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=chartkit.stage_colour(alt))
    )
    lines = chartkit.lines_with_marks(alt, rows, x, y, size=40)
    chart = bands + chartkit.guessing(alt, guesses, x, y) + lines
    return chartkit.svg(chart.properties(width=WIDTH, height=200))


def errors_chart(entry: Mapping[str, Any]) -> str:
    """Draw ROC and DET side by side; empty where they are not given."""
    rows: Rows = []
    for stage in STAGES:
        for false_match, false_miss in entry["curves"][stage]["det"]:
            rows.append(
                {
                    "stage": stage,
                    "strangers": 100 * false_match,
                    "found": 100 * (1 - false_miss),
                    "missed": 100 * false_miss,
                    "said": f"{stage}: {per_hundred(1 - false_miss)} of 100 found, "
                    f"{per_hundred(false_miss)} missed, where {per_hundred(false_match)} of 100 "
                    "different people match",
                }
            )
    if not rows:
        return ""
    import altair as alt

    x = alt.X("strangers:Q", **axis("different people who match, of 100", 0, 100))
    y = alt.Y("found:Q", **axis("same people who match, of 100", 0, 100))
    guesses = [{"strangers": value, "found": value} for value in (0, 100)]
    roc = chartkit.guessing(alt, guesses, x, y)
    roc = roc + chartkit.lines_with_marks(alt, rows, x, y, size=25)
    shown = [row for row in rows if row["strangers"] > 0 and row["missed"] > 0]
    if not shown:
        return chartkit.svg(roc.properties(width=200, height=200, title="ROC"))
    far = alt.X("strangers:Q", **_logarithmic(alt, "different people who match, of 100", shown))
    up = alt.Y("missed:Q", **_logarithmic(alt, "same people missed, of 100", shown, "missed"))
    det = chartkit.lines_with_marks(alt, shown, far, up, size=25)
    pair = alt.hconcat(
        roc.properties(width=200, height=200, title="ROC"),
        det.properties(width=200, height=200, title="DET"),
        spacing=40,
    )
    return chartkit.svg(pair)


def _logarithmic(alt: Any, title: str, rows: Rows, name: str = "strangers") -> dict[str, Any]:
    low = min(row[name] for row in rows)
    scale = alt.Scale(type="log", domain=[min(low, 10.0), 100], nice=False)
    return {"title": title, "scale": scale, "axis": alt.Axis(tickCount=4, format="~g")}


def scores_chart(entry: Mapping[str, Any]) -> str:
    """Draw the scores of the same and of different people; empty where they are not given."""
    if not entry["curves"]["after"]["histogram"]["same"]:
        return ""
    import altair as alt

    kinds = {"same person": SAME, "different people": DIFFERENT}
    rows: Rows = []
    for stage in STAGES:
        histogram = entry["curves"][stage]["histogram"]
        for kind, words in zip(("same", "different"), kinds, strict=True):
            found = _bins(histogram["edges"], histogram[kind], words)
            rows += [row | {"stage": stage, "said": f"{stage}, {row['said']}"} for row in found]
    bars = _bars(alt, rows, kinds)
    return chartkit.svg(bars.facet(row=alt.Row("stage:N", title=None, sort=list(STAGES))))


def joins_chart(compared: Mapping[str, Any]) -> str:
    """Draw the scores inside the release, and those between it and a second dataset.

    Parameters
    ----------
    compared : mapping
        One of ``linkage.second_dataset.compared`` of ``audit.json``.

    Returns
    -------
    str
        SVG with the threshold, if there is one, as a dashed line.
    """
    import altair as alt

    scores, limit = compared["scores"], compared["threshold"]
    parts = {
        "inside the release": {"same": ("same person", SAME), "different": _STRANGERS},
        "between the two": {"between": ("one here, one there", AFTER)},
    }
    drawn = []
    for title, kinds in parts.items():
        rows: Rows = []
        for key, (words, _) in kinds.items():
            rows += _bins(scores["edges"], scores[key], words)
        if not rows:
            continue
        shown = {row["kind"] for row in rows}
        # The threshold is drawn in both parts: what lies right of it looks like one person.
        rule = alt.Chart(alt.Data(values=[] if limit is None else [{"low": limit}]))
        line = rule.mark_rule(strokeDash=[5, 4], color=GUESS, aria=False).encode(x="low:Q")
        colours = {words: colour for words, colour in kinds.values() if words in shown}
        bars = _bars(alt, rows, colours)
        drawn.append((bars + line).properties(width=WIDTH, height=110, title=title))
    return chartkit.svg(alt.vconcat(*drawn).resolve_scale(color="independent")) if drawn else ""


def _bins(edges: Sequence[float], counts: Sequence[int], words: str) -> Rows:
    """Bars of a histogram, each with the words it says of itself."""
    total = max(1, sum(counts))
    return [
        {
            "kind": words,
            "low": low,
            "high": high,
            "share": 100 * count / total,
            "said": f"{words}: {per_hundred(count / total)} of 100 pairs "
            f"between {low:g} and {high:g}",
        }
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
        if count
    ]


def _bars(alt: Any, rows: Rows, kinds: Mapping[str, str]) -> Any:
    """Histogram of similarities, one colour for each kind of pair."""
    colour = alt.Color(
        "kind:N",
        title=None,
        sort=list(kinds),
        scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
        legend=alt.Legend(orient="top"),
    )
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(opacity=0.65)
        .encode(
            x=alt.X("low:Q", title="similarity", scale=alt.Scale(domain=[-1, 1])),
            x2="high:Q",
            y=alt.Y("share:Q", title="pairs, of 100"),
            y2=alt.datum(0),
            color=colour,
            description="said:N",
        )
        .properties(width=WIDTH, height=110)
    )
