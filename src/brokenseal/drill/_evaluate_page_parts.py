"""Cells and tables of the evaluation's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill._score_text import NOTHING, messages_text, number_text, percent_text, time_text
from brokenseal.drill._score_values import Median

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "NOTHING",
    "cell",
    "count_cell",
    "interval",
    "median_cell",
    "number_text",
    "percent_text",
    "rate_cell",
    "share_cell",
    "table",
    "verdict_cell",
]

_WORDS: Final = {"met": "met", "failed": "**failed**"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a line that says so where there are no rows."""
    lines = [f"| {' | '.join(_safe(one) for one in row)} |" for row in rows]
    if not lines:
        return "Nothing was measured."
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines])


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def share_cell(found: Mapping[str, Any]) -> str:
    """A share with its counts and interval."""
    if found["share"] is None:
        return NOTHING
    return f"{percent_text(found['share'])} ({found['count']:,}/{found['of']:,}; {_ends(found)})"


def _ends(found: Mapping[str, Any]) -> str:
    return "no interval" if found["low"] is None else f"{percent_text(found['low'])} to {percent_text(found['high'])}"


def cell(found: Mapping[str, Any]) -> str:
    """A share with its counts, where there is no interval."""
    if found["share"] is None:
        return NOTHING
    return f"{percent_text(found['share'])} ({found['count']:,}/{found['of']:,})"


def count_cell(found: Mapping[str, Any]) -> str:
    """Counts alone, for small cells."""
    return f"{found['count']:,}/{found['of']:,}" if found["of"] else NOTHING


def rate_cell(found: Mapping[str, Any]) -> str:
    """A rate with its count and its one-sided upper bound."""
    if found["rate"] is None:
        return NOTHING
    return f"{number_text(found['rate'])} ({found['count']:,}; ≤ {number_text(found['upper'])})"


def interval(low: float | None, high: float | None) -> str:
    """An interval in brackets."""
    if low is None or high is None:
        return "(no interval)"
    return f"({number_text(low)} to {number_text(high)})"


def median_cell(found: Mapping[str, Any], *, is_time: bool = False) -> str:
    """A median with how many it was reached by; times in the unit that people would choose."""
    of = found["reached"] + found["censored"]
    if not of:
        return NOTHING
    median = Median(**found)
    if median.median is None:
        return f"not reached ({found['reached']}/{of})"
    return f"{time_text(median) if is_time else messages_text(median)} ({found['reached']}/{of})"


def verdict_cell(level: Mapping[str, Any] | None, *, is_rate: bool) -> str:
    """A level and whether it was met."""
    if level is None:
        return NOTHING
    said = _WORDS.get(level["verdict"], level["verdict"])
    return f"{'≤' if is_rate else '≥'} {level['level']:g}: {said}"
