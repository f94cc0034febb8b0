"""How the text of one time field is read."""

from __future__ import annotations

import datetime as dt
import re

_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:[.,]([0-9]{1,12}))?\s?(?:([Zz]|UTC)|([+-])([0-9]{2}):?([0-9]{2}))?"
)
_US = re.compile(
    r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4}),?\s+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,12}))?)?"
    r"(?:\s*([AaPp])\.?[Mm]\.?)?"
)
_TICKS = re.compile(r"\\?/Date\((-?[0-9]{1,16})(?:[+-][0-9]{4})?\)\\?/")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NOON = 12


def read_time(text: str) -> dt.datetime | None:
    """The moment in UTC, or None where the text has no known form; see `fields.parse_time`.

    Raises:
        ValueError, OverflowError: the form is known, but the calendar has no such moment.
    """
    if matched := _ISO.fullmatch(text):
        year, month, day, hour, minute, second, fraction, _, sign, ahead_h, ahead_m = matched.groups()
        moment = dt.datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second), _micros(fraction), tzinfo=dt.UTC
        )
        if sign is None:
            return moment
        ahead = dt.timedelta(hours=int(ahead_h), minutes=int(ahead_m))
        return moment - ahead if sign == "+" else moment + ahead
    if matched := _US.fullmatch(text):
        month, day, year, hour, minute, second, fraction, half = matched.groups()
        hours = int(hour)
        if half is not None:
            if not 1 <= hours <= _NOON:
                return None
            hours = hours % _NOON + (_NOON if half in "Pp" else 0)
        return dt.datetime(
            int(year), int(month), int(day), hours, int(minute), int(second or 0), _micros(fraction), tzinfo=dt.UTC
        )
    if matched := _TICKS.fullmatch(text):
        return _EPOCH + dt.timedelta(milliseconds=int(matched[1]))
    return None


def _micros(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0
