"""Figures of a score in words, for the page and for the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from brokenseal.drill._score_values import Median, Rate, Share

NOTHING: Final = "–"
_MINUTES: Final = (60, 24 * 60)


def number_text(value: float | None) -> str:
    """Three digits, whole numbers in groups; a dash for what is not known."""
    if value is None:
        return NOTHING
    if float(value).is_integer() or abs(value) >= 1000:  # noqa: PLR2004 - four digits need no fraction
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent_text(value: float | None) -> str:
    """A share in percent, rounded so that only what is all says 100 % and only what is nothing says 0 %."""
    if value is None:
        return NOTHING
    shown = f"{value * 100:.1f}"
    if (shown == "100.0" and value < 1) or (shown == "0.0" and value > 0):
        shown = "> 99.9" if value > 0.5 else "< 0.1"  # noqa: PLR2004 - one half
    return f"{shown.removesuffix('.0')}\N{NO-BREAK SPACE}%"


def share_text(found: Share) -> str:
    """A share with its interval and its counts."""
    if found.share is None:
        return NOTHING
    interval = "" if found.low is None else f" ({percent_text(found.low)} – {percent_text(found.high)})"
    return f"{percent_text(found.share)}{interval}, {found.count:,} of {found.of:,}"


def rate_text(found: Rate) -> str:
    """A rate with its interval and its count."""
    if found.rate is None:
        return NOTHING
    interval = f"({number_text(found.low)} – {number_text(found.high)})"
    return f"{number_text(found.rate)} {interval}, {found.count:,} in {number_text(found.mailbox_weeks)} mailbox-weeks"


def time_text(found: Median) -> str:
    """A median of minutes in the unit that people would choose."""
    value = found.median
    if value is None:
        return f"not reached ({found.reached:,} of {found.reached + found.censored:,})" if found.censored else NOTHING
    hour, day = _MINUTES
    if value < 2 * hour:
        return f"{number_text(round(value))} min"
    return f"{number_text(value / hour)} h" if value < 2 * day else f"{number_text(value / day)} d"


def messages_text(found: Median) -> str:
    """A median of numbers of messages."""
    if found.median is None:
        return f"not reached ({found.reached:,} of {found.reached + found.censored:,})" if found.censored else NOTHING
    return number_text(found.median)
