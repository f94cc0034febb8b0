"""The pictures that people look at first: timeline, heat map of hours, who-read-what matrix, coverage bars.

Each is an Altair chart made from the document's series, rendered to SVG when the report is written. Part of a case is
shown by an outline or a dot as well as by colour.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal.reports import _marks
from brokenseal.reports._marks import DAY_MS, HOLE, IN_CASE, INK, OTHER, SOFT, shade, short
from brokenseal.reports._svg import to_svg
from brokenseal.wording import Phrase, format_value, phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokenseal.model import Activity, ActivityCell, Coverage, HourCell, MatrixCell, SourceCoverage

TIMELINE_ROWS = 40
MATRIX_ROWS = 30
MATRIX_COLUMNS = 16
_WIDTH = 640
_ROW = 20
_HOUR = 26
_CELL = (46, 24)
_BAR = 26

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One picture.

    Attributes:
        svg: The drawing, hidden from screen readers: `says` and the tables say the same.
        says: What it shows, in one sentence with its numbers.
        classes: Lower and upper bound of each colour class, where colours stand for numbers.
        left_out: Rows and columns that the picture has no room for; tables have them.
    """

    name: str
    svg: str
    says: Phrase
    classes: tuple[tuple[int, int], ...] = ()
    left_out: int = 0


# ---------------------------------------------------------------- timeline


def timeline(activity: Activity, lang: str) -> Figure | None:
    """Mail accesses per mailbox, client and day; rows of cases first."""
    cells = [(start, cell) for cell in activity.days if (start := _day_ms(cell.day)) is not None]
    if not cells:
        return None
    rows = _timeline_rows(cell for _, cell in cells)
    tops, names = _timeline_places(rows[:TIMELINE_ROWS])
    height = len(names) * _ROW
    first, last = min(start for start, _ in cells), max(start for start, _ in cells) + DAY_MS
    classes = _marks.classes_of(max(cell.accesses for _, cell in cells))
    boxes = _timeline_boxes(cells, tops, classes, width_ms=max(DAY_MS, (last - first) / 320))
    drawn = (
        _marks.layer(boxes)
        .mark_rect(strokeWidth=0.9)
        .encode(
            x=_marks.time_x(first, last),
            x2="end:T",
            y=_marks.y(height),
            y2="y2:Q",
            color=_marks.own("color"),
            stroke=_marks.edge(),
            description="says:N",
        )
    )
    chart = _marks.chart([drawn, _marks.labels(names, height)], width=_WIDTH, height=height)
    return Figure(
        name="timeline",
        svg=to_svg(chart, prefix="timeline-", lang=lang),
        says=phrase(
            "{accesses} mail accesses by {clients} client(s) on {mailboxes} mailbox(es); {in_case} belong to a case.",
            accesses=sum(cell.accesses for _, cell in cells),
            clients=len({cell.client for _, cell in cells}),
            mailboxes=len({cell.mailbox for _, cell in cells}),
            in_case=sum(cell.accesses for _, cell in cells if cell.in_case),
        ),
        classes=classes,
        left_out=len(rows) - len(tops),
    )


def _day_ms(day: str) -> int | None:
    try:
        return int(dt.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
    except ValueError:
        return None


def _timeline_rows(cells: Iterable[ActivityCell]) -> list[tuple[str, str]]:
    """(mailbox, client), those of cases first, then the busiest."""
    return _ranked(((cell.mailbox, cell.client), cell.accesses, cell.in_case) for cell in cells)


def _ranked(weighed: Iterable[tuple[Any, int, bool]]) -> list[Any]:
    """Keys of (key, accesses, in a case), those of cases first, then the busiest."""
    weight: dict[Any, list[int]] = {}
    for key, accesses, in_case in weighed:
        sums = weight.setdefault(key, [0, 0])
        sums[0] += accesses if in_case else 0
        sums[1] += accesses
    return sorted(weight, key=lambda key: (-weight[key][0], -weight[key][1], key))


def _timeline_places(shown: list[tuple[str, str]]) -> tuple[dict[tuple[str, str], int], Rows]:
    """Top of each row in pixels, and the names: each mailbox once, its clients below it."""
    by_mailbox: dict[str, list[str]] = {}
    for mailbox, client in shown:
        by_mailbox.setdefault(mailbox, []).append(client)
    tops: dict[tuple[str, str], int] = {}
    names: Rows = []
    for mailbox, clients in by_mailbox.items():
        names.append({"y": len(names) * _ROW + _ROW / 2 + 3, "text": short(mailbox), "color": INK})
        for client in clients:
            tops[mailbox, client] = len(names) * _ROW
            names.append({"y": len(names) * _ROW + _ROW / 2, "text": short(client), "color": SOFT})
    return tops, names


def _timeline_boxes(
    cells: Sequence[tuple[int, ActivityCell]],
    tops: dict[tuple[str, str], int],
    classes: Sequence[tuple[int, int]],
    *,
    width_ms: float,
) -> Rows:
    """One box per cell; where a day has both kinds, those of a case take the lower half."""
    kinds: dict[tuple[str, str, str], set[bool]] = {}
    for _, cell in cells:
        kinds.setdefault((cell.day, cell.mailbox, cell.client), set()).add(cell.in_case)
    boxes: Rows = []
    for start, cell in sorted(cells, key=lambda item: item[1].in_case):
        top = tops.get((cell.mailbox, cell.client))
        if top is None:
            continue
        both = len(kinds[cell.day, cell.mailbox, cell.client]) > 1
        boxes.append(
            {
                "start": start,
                "end": start + width_ms,
                "y": top + (_ROW / 2 if both and cell.in_case else 2),
                "y2": top + (_ROW / 2 if both and not cell.in_case else _ROW - 2),
                "color": shade(cell.accesses, classes, IN_CASE if cell.in_case else OTHER),
                "edge": INK if cell.in_case else "transparent",
                "says": f"{cell.day} · {short(cell.mailbox)} · {short(cell.client)}: {cell.accesses}",
            }
        )
    return boxes


# ---------------------------------------------------------------- hours of the week


def hours(activity: Activity, lang: str) -> Figure | None:
    """Mail accesses by weekday and hour (UTC); a dot grows with those that belong to a case."""
    import altair as alt

    if not activity.hours:
        return None
    names = weekdays(lang)
    classes = _marks.classes_of(max(cell.accesses for cell in activity.hours))
    boxes, dots = _hour_marks(activity.hours, names, classes)
    height, width = 7 * _HOUR, 24 * _HOUR
    days = [{"y": (day + 0.5) * _HOUR, "text": name, "color": SOFT} for day, name in enumerate(names)]
    clock = [{"x": (hour + 0.5) * _HOUR, "text": f"{hour:02d}"} for hour in range(24)]
    layers = [
        _marks.layer(boxes)
        .mark_rect(cornerRadius=2)
        .encode(
            x=_marks.x(width),
            x2="x2:Q",
            y=_marks.y(height),
            y2="y2:Q",
            color=_marks.own("color"),
            description="says:N",
        ),
        _marks.labels(days, height),
        _marks.layer(clock)
        .mark_text(fontSize=11, color=SOFT, aria=False)
        .encode(x=_marks.x(width), y=alt.value(height + 12), text="text:N"),
    ]
    if dots:
        layers.append(
            _marks.layer(dots)
            .mark_circle(color=IN_CASE[3], opacity=1, stroke=HOLE, strokeWidth=1)
            .encode(x=_marks.x(width), y=_marks.y(height), size=alt.Size("size:Q", scale=None), description="says:N")
        )
    return Figure(
        name="hours",
        svg=to_svg(_marks.chart(layers, width=width, height=height, left=90), prefix="hours-", lang=lang),
        says=phrase(
            "{accesses} mail accesses by hour of the week (UTC); {in_case} belong to a case.",
            accesses=sum(cell.accesses for cell in activity.hours),
            in_case=sum(cell.in_case for cell in activity.hours),
        ),
        classes=classes,
    )


def _hour_marks(
    cells: Sequence[HourCell], names: Sequence[str], classes: Sequence[tuple[int, int]]
) -> tuple[Rows, Rows]:
    """A box for each of the 168 hours, and a dot where accesses belong to a case."""
    known = {(cell.weekday, cell.hour): (cell.accesses, cell.in_case) for cell in cells}
    largest = max((cell.in_case for cell in cells), default=0) or 1
    boxes: Rows = []
    dots: Rows = []
    for weekday in range(7):
        for hour in range(24):
            total, odd = known.get((weekday, hour), (0, 0))
            left, top = hour * _HOUR, weekday * _HOUR
            says = f"{names[weekday]} {hour:02d}:00: {total} ({odd})"
            boxes.append(
                {
                    "x": left + 1,
                    "x2": left + _HOUR - 1,
                    "y": top + 1,
                    "y2": top + _HOUR - 1,
                    "color": shade(total, classes, OTHER),
                    "says": says,
                }
            )
            if odd:
                size = 30 + 200 * odd / largest
                dots.append({"x": left + _HOUR / 2, "y": top + _HOUR / 2, "size": size, "says": says})
    return boxes, dots


def weekdays(lang: str) -> list[str]:
    """Names of the days, Monday first."""
    from babel.dates import get_day_names

    names = get_day_names("abbreviated", context="stand-alone", locale=lang)
    return [names[day] for day in range(7)]


# ---------------------------------------------------------------- who read what


def matrix(activity: Activity, lang: str) -> Figure | None:
    """Distinct messages by reader (account and client) and mailbox; cells of cases are outlined."""
    import altair as alt

    cells = activity.matrix
    if not cells:
        return None
    readers = _ranked(((cell.actor, cell.client), cell.accesses, cell.in_case) for cell in cells)
    mailboxes = _ranked((cell.mailbox, cell.accesses, cell.in_case) for cell in cells)
    rows = {key: place for place, key in enumerate(readers[:MATRIX_ROWS])}
    columns = {key: place for place, key in enumerate(mailboxes[:MATRIX_COLUMNS])}
    classes = _marks.classes_of(max(max(cell.messages, 1) for cell in cells))
    marks = _matrix_marks(cells, rows, columns, classes, lang)
    wide, high = _CELL
    width, height = len(columns) * wide, len(rows) * high
    names = [
        {"y": (place + 0.5) * high, "text": f"{short(actor, 27)} · {short(client, 27)}", "color": SOFT}
        for (actor, client), place in rows.items()
    ]
    heads = [{"xm": (place + 0.5) * wide, "text": short(name, 26)} for name, place in columns.items()]
    boxes = _marks.layer(marks).mark_rect(cornerRadius=2, strokeWidth=1.4)
    numbers = _marks.layer(marks).mark_text(fontSize=11, aria=False)
    titles = _marks.layer(heads).mark_text(fontSize=11, angle=325, align="left", color=SOFT, aria=False)
    layers = [
        boxes.encode(
            x=_marks.x(width),
            x2="x2:Q",
            y=_marks.y(height),
            y2="y2:Q",
            color=_marks.own("color"),
            stroke=_marks.edge(),
            description="says:N",
        ),
        numbers.encode(x=_marks.x(width, "xm"), y=_marks.y(height, "ym"), text="text:N", color=_marks.own("ink")),
        titles.encode(x=_marks.x(width, "xm"), y=alt.value(-8), text="text:N"),
        _marks.labels(names, height),
    ]
    chart = _marks.chart(layers, width=width, height=height, left=370)
    chart["padding"] |= {"top": 120, "right": 130}
    return Figure(
        name="matrix",
        svg=to_svg(chart, prefix="matrix-", lang=lang),
        says=phrase(
            "{readers} reader(s), each an account with a client, on {mailboxes} mailbox(es): distinct messages.",
            readers=len(readers),
            mailboxes=len(mailboxes),
        ),
        classes=classes,
        left_out=len(readers) - len(rows) + len(mailboxes) - len(columns),
    )


def _matrix_marks(
    cells: Sequence[MatrixCell],
    rows: dict[tuple[str, str], int],
    columns: dict[str, int],
    classes: Sequence[tuple[int, int]],
    lang: str,
) -> Rows:
    wide, high = _CELL
    marks: Rows = []
    for cell in sorted(cells, key=lambda cell: cell.in_case):
        row, column = rows.get((cell.actor, cell.client)), columns.get(cell.mailbox)
        if row is None or column is None:
            continue
        dark = shade(max(cell.messages, 1), classes, OTHER) in OTHER[2:]
        marks.append(
            {
                "x": column * wide + 1,
                "x2": (column + 1) * wide - 1,
                "xm": (column + 0.5) * wide,
                "y": row * high + 1,
                "y2": (row + 1) * high - 1,
                "ym": (row + 0.5) * high,
                "color": shade(max(cell.messages, 1), classes, IN_CASE if cell.in_case else OTHER),
                "ink": HOLE if dark else INK,
                "edge": INK if cell.in_case else "transparent",
                "text": format_value(cell.messages, lang),
                "says": f"{short(cell.actor)} · {short(cell.client)} → {short(cell.mailbox)}: "
                f"{cell.messages} / {cell.accesses}",
            }
        )
    return marks


# ---------------------------------------------------------------- coverage


def coverage_bars(coverage: Coverage, lang: str) -> Figure | None:
    """From when to when each log was delivered; gaps are cut out, absent logs are a dashed line."""
    spans = [span for source in coverage.sources if (span := _span(source)) is not None]
    if not spans:
        return None
    first = min(start for start, _ in spans)
    last = max(*(end for _, end in spans), first + 3_600_000)
    bars, holes, absent = _bars(coverage.sources, first, last, lang)
    names = [
        {
            "y": (place + 0.5) * _BAR,
            "text": short(say(source.title, lang)),
            "color": INK if source.present else SOFT,
        }
        for place, source in enumerate(coverage.sources)
    ]
    height = len(names) * _BAR
    where = {"x": _marks.time_x(first, last), "x2": "end:T", "y": _marks.y(height)}
    box = {**where, "y2": "y2:Q", "description": "says:N"}
    layers = [_marks.layer(bars).mark_rect(color=OTHER[3], cornerRadius=1).encode(**box), _marks.labels(names, height)]
    if absent:
        layers.append(_marks.layer(absent).mark_rule(color=SOFT, strokeDash=[2, 4], aria=False).encode(**where))
    if holes:
        dashed = _marks.layer(holes).mark_rect(color=HOLE, stroke=IN_CASE[3], strokeWidth=1.2, strokeDash=[3, 2])
        layers.append(dashed.encode(**box))
    return Figure(
        name="coverage-bars",
        svg=to_svg(_marks.chart(layers, width=_WIDTH, height=height), prefix="coverage-", lang=lang),
        says=phrase(
            "{present} of {all} logs are there; {gaps} gap(s) in them.",
            present=sum(source.present for source in coverage.sources),
            all=len(coverage.sources),
            gaps=sum(len(source.gaps) for source in coverage.sources),
        ),
    )


def _span(source: SourceCoverage) -> tuple[float, float] | None:
    if not source.present or source.first_at is None or source.last_at is None:
        return None
    return source.first_at.timestamp() * 1000, source.last_at.timestamp() * 1000


def _bars(sources: Sequence[SourceCoverage], first: float, last: float, lang: str) -> tuple[Rows, Rows, Rows]:
    """Bars, gaps in them, and lines of absent logs; nothing is thinner than can be seen."""
    least = (last - first) / 300
    bars: Rows = []
    holes: Rows = []
    absent: Rows = []
    for place, source in enumerate(sources):
        top, span = place * _BAR, _span(source)
        if span is None:
            absent.append({"y": top + _BAR / 2, "start": first, "end": last})
            continue
        said = f"{format_value(source.first_at, lang)} – {format_value(source.last_at, lang)}"
        bars.append(
            {
                "start": span[0],
                "end": max(span[1], span[0] + least),
                "y": top + 7,
                "y2": top + _BAR - 7,
                "says": f"{short(say(source.title, lang))}: {said}",
            }
        )
        for gap in source.gaps:
            start = gap.first_at.timestamp() * 1000
            holes.append(
                {
                    "start": start,
                    "end": max(gap.last_at.timestamp() * 1000, start + least),
                    "y": top + 5,
                    "y2": top + _BAR - 5,
                    "says": f"{format_value(gap.first_at, lang)} – {format_value(gap.last_at, lang)}",
                }
            )
    return bars, holes, absent
