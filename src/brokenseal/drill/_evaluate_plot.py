"""The main picture of an evaluation: recall against false cases, the product, its weights and every baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill._evaluate_compare import CASES, WEIGHTS
from brokenseal.reports import _marks
from brokenseal.reports._marks import IN_CASE, INK, OTHER, RULE, SOFT
from brokenseal.reports._svg import to_svg

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST: Final = 0.01
MOST: Final = 10_000.0
"""Bounds of the axis of false cases; what lies outside is drawn at the bound."""

_WIDTH: Final = 720
_HEIGHT: Final = 420
_TICKS: Final = (0.01, 0.1, 1, 10, 100, 1000, 10_000)
_LINES: Final = {WEIGHTS: IN_CASE[2], "B14": INK, "B16": OTHER[3], "B15": OTHER[2]}
_LABELLED: Final = 0.08
"""Baselines that find less are drawn without a name: their names would cover each other."""


def picture(compare: Mapping[str, Any]) -> str | None:
    """The picture as SVG; None where nothing was measured."""
    points = _points(compare)
    if not points:
        return None
    drawn = to_svg(_chart(points, _curves(compare)), prefix="evaluation-", lang="en")
    # In a report the page's style sheet gives the font; a picture that stands alone has to name one.
    return drawn.replace("<svg ", '<svg font-family="sans-serif" ', 1)


def _at(false: Mapping[str, Any], name: str) -> float:
    value = false[name]
    return LEAST if value is None else min(max(float(value), LEAST), MOST)


def _point(name: str, point: Mapping[str, Any], *, is_own: bool) -> dict[str, Any] | None:
    if point["recall"]["share"] is None or point["false"]["rate"] is None:
        return None
    shown = is_own or name in _LINES or point["recall"]["share"] >= _LABELLED
    colour = IN_CASE[3] if is_own else _LINES.get(name, SOFT)
    return {
        "x": _at(point["false"], "rate"),
        "x_low": _at(point["false"], "low"),
        "x_high": _at(point["false"], "high"),
        "y": point["recall"]["share"],
        "y_low": point["recall"]["low"],
        "y_high": point["recall"]["high"],
        "name": name if shown else "",
        "color": colour,
        "rule": colour if is_own or name in _LINES else RULE,
        "fill": colour if is_own else "#ffffff",
        "size": 140 if is_own else 50,
        "says": f"{name}: recall {point['recall']['share']:.2f}, {point['false']['rate']:.3g} false cases",
    }


def _points(compare: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [_point(row["name"], row["own"], is_own=False) for row in compare["rows"]]
    rows.append(_point(CASES, compare["product"], is_own=True))
    return [row for row in rows if row is not None]


def _curves(compare: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "x": _at(point["false"], "rate"),
            "y": point["recall"]["share"],
            "line": name,
            "order": number,
            "color": _LINES.get(name, SOFT),
        }
        for name, points in compare["curves"].items()
        for number, point in enumerate(points)
        if point["recall"]["share"] is not None and point["false"]["rate"] is not None
    ]


def _names(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where a line is named: at its end, if no point of its method stands there."""
    last = {one["line"]: one for one in lines if one["line"] == WEIGHTS}
    return [{**one, "name": name} for name, one in last.items()]


def _chart(rows: list[dict[str, Any]], lines: list[dict[str, Any]]) -> dict[str, Any]:
    import altair as alt

    x = alt.Scale(type="log", domain=[LEAST, MOST], nice=False)
    y = alt.Scale(domain=[0, 1], nice=False)
    title = "False cases per 1,000 mailbox-weeks (simulated; none is drawn at 0.01)"
    across = alt.X("x:Q", scale=x, axis=alt.Axis(values=list(_TICKS), format="~g", title=title, orient="bottom"))
    up = alt.Y("y:Q", scale=y, axis=alt.Axis(format=".0%", tickCount=5, title="Recall within 7 days", orient="left"))
    marks = _marks.layer(rows)
    bar = {"strokeWidth": 1.2, "opacity": 0.6, "aria": False}
    rule = alt.Color("rule:N", scale=None)
    layers = [
        marks.mark_rule(**bar).encode(x=alt.X("x_low:Q", scale=x), x2="x_high:Q", y=up, color=rule),
        marks.mark_rule(**bar).encode(x=across, y=alt.Y("y_low:Q", scale=y), y2="y_high:Q", color=rule),
        *(
            _marks.layer([one for one in lines if one["line"] == name])
            .mark_line(strokeWidth=1.6, interpolate="step-after", aria=False)
            .encode(x=across, y=up, order="order:Q", color=_marks.own("color"))
            for name in dict.fromkeys(one["line"] for one in lines)
        ),
        marks.mark_point(strokeWidth=1.6, opacity=1).encode(
            x=across,
            y=up,
            size=alt.Size("size:Q", scale=None),
            stroke=_marks.own("color"),
            fill=_marks.own("fill"),
            description="says:N",
        ),
        *(
            _marks.layer(named)
            .mark_text(align="left", baseline="bottom", dx=7, dy=-4, fontSize=10, aria=False)
            .encode(x=across, y=up, text="name:N", color=_marks.own("color"))
            for named in (rows, _names(lines))
            if named
        ),
    ]
    made = _marks.chart(layers, width=_WIDTH, height=_HEIGHT, left=64)
    made["padding"] = {"left": 64, "right": 120, "top": 14, "bottom": 46}
    made["background"] = "#ffffff"
    return made
