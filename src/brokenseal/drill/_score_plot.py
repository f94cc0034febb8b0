"""The main plot of a score: recall against false cases, both with their 95 % intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from brokenseal.reports import _marks
from brokenseal.reports._marks import IN_CASE, INK, SOFT
from brokenseal.reports._svg import to_svg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokenseal.drill._score_values import Rate, Score, Share

LEAST: Final = 0.01
MOST: Final = 100.0
"""Bounds of the axis of false cases; what lies outside is drawn at the bound."""

_WIDTH: Final = 640
_HEIGHT: Final = 360
_TICKS: Final = (0.01, 0.1, 1, 10, 100)


class Point(NamedTuple):
    """One recall with its false-case rate; `kind` is all (the whole run), part (of its tenants) or other (a rival)."""

    name: str
    recall: Share
    false_cases: Rate
    kind: str


def points_of(score: Score, others: Iterable[tuple[str, Score]]) -> tuple[Point, ...]:
    """The whole run, its log options where there are several, and what it is compared with."""
    parts = score.by_logs.items() if len(score.by_logs) > 1 else ()
    return (
        Point(
            "All logs" if len(score.by_logs) > 1 else "This run",
            score.recall_overall.within_7_d,
            score.false_cases,
            "all",
        ),
        *(Point(name, group.recall.within_7_d, group.false_cases, "part") for name, group in parts),
        *(Point(name, other.recall_overall.within_7_d, other.false_cases, "other") for name, other in others),
    )


def plot(points: Sequence[Point]) -> str | None:
    """The plot as SVG; None where no point has both numbers."""
    rows = [row for point in points if (row := _row(point)) is not None]
    if not rows:
        return None
    return to_svg(_chart(rows), prefix="score-", lang="en")


def _row(point: Point) -> dict[str, Any] | None:
    found = point.recall, point.false_cases
    if found[0].share is None or found[1].rate is None:
        return None
    at, low, high = (_within(value) for value in (found[1].rate, found[1].low, found[1].high))
    colour = {"all": IN_CASE[3], "part": SOFT}.get(point.kind, INK)
    return {
        "x": at,
        "x_low": low,
        "x_high": high,
        "y": found[0].share,
        "y_low": found[0].low,
        "y_high": found[0].high,
        "name": _marks.short(point.name),
        "color": colour,
        "fill": "transparent" if point.kind == "other" else colour,
        "size": 130 if point.kind == "all" else 60,
        "says": f"{point.name}: recall {found[0].share:.3f}, {found[1].rate:.3g} false cases",
    }


def _within(value: float | None) -> float:
    return LEAST if value is None else min(max(value, LEAST), MOST)


def _chart(rows: list[dict[str, Any]]) -> dict[str, Any]:
    import altair as alt

    x = alt.Scale(type="log", domain=[LEAST, MOST], nice=False)
    y = alt.Scale(domain=[0, 1], nice=False)
    across = alt.X(
        "x:Q",
        scale=x,
        axis=alt.Axis(values=list(_TICKS), format="~g", title="False cases per 1,000 mailbox-weeks", orient="bottom"),
    )
    up = alt.Y("y:Q", scale=y, axis=alt.Axis(format=".0%", tickCount=5, title="Recall within 7 days", orient="left"))
    bars = _marks.layer(rows)
    line = {"strokeWidth": 1.4, "opacity": 0.55, "aria": False}
    layers = [
        bars.mark_rule(**line).encode(x=alt.X("x_low:Q", scale=x), x2="x_high:Q", y=up, color=_marks.own("color")),
        bars.mark_rule(**line).encode(x=across, y=alt.Y("y_low:Q", scale=y), y2="y_high:Q", color=_marks.own("color")),
        _marks.layer(rows)
        .mark_point(strokeWidth=1.6, opacity=1)
        .encode(
            x=across,
            y=up,
            size=alt.Size("size:Q", scale=None),
            stroke=_marks.own("color"),
            fill=_marks.own("fill"),
            description="says:N",
        ),
        _marks.layer(rows)
        .mark_text(align="left", baseline="bottom", dx=8, dy=-5, fontSize=11, aria=False)
        .encode(x=across, y=up, text="name:N", color=_marks.own("color")),
    ]
    made = _marks.chart(layers, width=_WIDTH, height=_HEIGHT, left=64)
    made["padding"] = {"left": 64, "right": 96, "top": 14, "bottom": 46}
    return made
