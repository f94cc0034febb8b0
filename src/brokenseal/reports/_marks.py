"""What the pictures are drawn with: colours, classes of counts, and the parts of a Vega-Lite chart.

The colours are the light theme's; `_svg.py` says how the page changes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.reports._escape import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

INK = "#1b2127"
SOFT = "#4d5862"
RULE = "#dde1e0"
EMPTY = "#eef0ed"
HOLE = "#ffffff"
OTHER = ("#d5e1e6", "#a3c0cb", "#6797aa", "#2f6b85")
IN_CASE = ("#f0cfd0", "#dd9499", "#bd4b5a", "#8f1d33")
DAY_MS = 86_400_000
_LABELS = 250


def classes_of(largest: int) -> tuple[tuple[int, int], ...]:
    """At most four classes of counts from 1 to the largest, each about twice as wide as the one before."""
    if largest <= len(OTHER):
        highs = list(range(1, largest + 1))
    else:
        highs = sorted({-(-largest // part) for part in (8, 4, 2, 1)})
    return tuple(zip([1, *(high + 1 for high in highs[:-1])], highs, strict=True))


def shade(count: int, classes: Sequence[tuple[int, int]], palette: Sequence[str]) -> str:
    """The palette's colour for a count; the strongest is the largest class."""
    if count <= 0 or not classes:
        return EMPTY
    place = next((place for place, (_, high) in enumerate(classes) if count <= high), len(classes) - 1)
    return palette[place + len(palette) - len(classes)]


def short(text: str, length: int = 38) -> str:
    """Log text as a label of a picture."""
    shown = visible(text)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def chart(layers: list[Any], *, width: float, height: float, left: int = _LABELS) -> dict[str, Any]:
    """Layers as one specification; `left` is the room for labels beside the picture."""
    import altair as alt

    made = (
        alt.layer(*layers)
        .properties(
            width=width,
            height=height,
            padding={"left": left, "right": 12, "top": 6, "bottom": 26},
            background="transparent",
            autosize=alt.AutoSizeParams(type="none"),
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=SOFT,
            titleColor=SOFT,
            gridColor=RULE,
            domain=False,
            tickColor=RULE,
            labelFontSize=11,
            labelPadding=6,
        )
    )
    specification: dict[str, Any] = made.to_dict(validate=False)
    return specification


def layer(rows: list[dict[str, Any]]) -> Any:
    """A chart of these rows; they are part of the specification."""
    import altair as alt

    return alt.Chart({"values": rows})


def labels(rows: list[dict[str, Any]], height: float) -> Any:
    """Names to the left of a picture: `y`, `text`, `color`."""
    import altair as alt

    marks = layer(rows).mark_text(align="right", baseline="middle", fontSize=11, aria=False)
    return marks.encode(x=alt.value(-10), y=y(height), text="text:N", color=own("color"))


def own(field: str) -> Any:
    """A colour that the rows themselves give."""
    import altair as alt

    return alt.Color(f"{field}:N", scale=None)


def edge() -> Any:
    """An outline whose colour the rows give in `edge`."""
    import altair as alt

    return alt.Stroke("edge:N", scale=None)


def x(width: float, field: str = "x") -> Any:
    """Across, in pixels."""
    import altair as alt

    return alt.X(f"{field}:Q", scale=alt.Scale(domain=[0, width], range=[0, width], nice=False), axis=None)


def y(height: float, field: str = "y") -> Any:
    """Down from the top, in pixels."""
    import altair as alt

    return alt.Y(f"{field}:Q", scale=alt.Scale(domain=[0, height], range=[0, height], nice=False), axis=None)


def time_x(first: float, last: float) -> Any:
    """Time across from `first` to `last`, in milliseconds since 1970, UTC; the field is `start`."""
    import altair as alt

    form = "%d %b %Y" if last - first > 300 * DAY_MS else "%d %b"
    return alt.X(
        "start:T",
        scale=alt.Scale(type="utc", domain=[first, last], nice=False),
        axis=alt.Axis(format=form, tickCount=8, title=None, grid=True, orient="bottom"),
    )
