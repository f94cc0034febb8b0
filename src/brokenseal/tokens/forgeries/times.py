"""Times: past, future, without end, and no times at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import json_bytes
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_STALE: Final = "A captured token, from a log, a backup or a disk, opens the door long after it should."
_EARLY: Final = "The token counts before its time, which says that clocks or times are not checked."
_FORM: Final = (
    "What is no time is taken as one, and then compared as something else: a token can be made whose end never comes."
)
_MEND: Final = (
    "Demand that `exp`, `nbf` and `iat` are finite JSON numbers, compare them with the clock, allow five minutes at "
    "most, and limit the life from `iat` to `exp`."
)
_SOURCES: Final = ("RFC 7519 §4.1.4", "RFC 7519 §4.1.5", "RFC 7519 §2 (NumericDate)")

Times = "Callable[[Laboratory], Mapping[str, Mapping[str, Any]]]"


def _row(
    name: str, gravity: Gravity, tests: str, make: Make, *, meaning: str, sources: tuple[str, ...] = ()
) -> Specimen:
    return Specimen(
        name=name,
        family="times",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=_MEND,
        sources=(*_SOURCES, *sources),
        make=make,
    )


def _past(name: str, tests: str, ages: Mapping[str, int]) -> Specimen:
    """Tokens that ended so many seconds ago."""

    def make(lab: Laboratory) -> dict[str, str]:
        return {
            label: lab.mint({"iat": lab.at - age - _HOUR, "nbf": lab.at - age - _HOUR, "exp": lab.at - age})
            for label, age in ages.items()
        }

    return _row(name, Gravity.MISUSE, tests, make, meaning=_STALE)


def _future(name: str, tests: str, changes: Callable[[int], Mapping[str, Mapping[str, Any]]]) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {label: lab.mint(change) for label, change in changes(lab.at).items()}

    return _row(name, Gravity.LAXITY, tests, make, meaning=_EARLY)


def _endless(name: str, tests: str, changes: Callable[[int], Mapping[str, Mapping[str, Any]]]) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {label: lab.mint(change) for label, change in changes(lab.at).items()}

    return _row(
        name,
        Gravity.LAXITY,
        tests,
        make,
        meaning="A token lives as long as whoever made it liked; a stolen one is good for ever.",
        sources=("Microsoft identity platform, configurable token lifetimes",),
    )


def _form(name: str, tests: str, claims: tuple[str, ...], values: Callable[[int], Mapping[str, Any]]) -> Specimen:
    """Tokens one of whose times is something else; `values` gets a time one hour from now."""

    def make(lab: Laboratory) -> dict[str, str]:
        return {
            f"{claim} {label}": lab.mint({claim: value})
            for claim in claims
            for label, value in values(lab.at + _HOUR if claim == "exp" else lab.at - 600).items()
        }

    return _row(name, Gravity.LAXITY, tests, make, meaning=_FORM)


def _written(name: str, tests: str, claims: tuple[str, ...], texts: Callable[[int], Mapping[str, str]]) -> Specimen:
    """As `_form`, with the JSON text of the value written out."""

    def make(lab: Laboratory) -> dict[str, str]:
        made = {}
        for claim in claims:
            marked = json_bytes(lab.claims({claim: "MARK"}))
            for label, text in texts(lab.at + _HOUR).items():
                body = marked.replace(b'"MARK"', text.encode())
                made[f"{claim} {label}"] = lab.seal(json_bytes(lab.header()), body)
        return made

    return _row(name, Gravity.LAXITY, tests, make, meaning=_FORM)


FORGERIES: Final = (
    _past(
        "expired",
        "The token ended an hour, a day and two years ago.",
        {"hour": _HOUR, "day": _DAY, "years": 730 * _DAY},
    ),
    _past(
        "expired_just_beyond_skew",
        "The token ended a little longer ago than clocks may differ.",
        {"": 302, "10 min": 600},
    ),
    _row(
        "expired_application",
        Gravity.MISUSE,
        "An application's token that ended an hour ago.",
        lambda lab: lab.mint({"iat": lab.at - 2 * _HOUR, "nbf": lab.at - 2 * _HOUR, "exp": lab.at - _HOUR}, kind="app"),
        meaning=_STALE,
    ),
    _future(
        "not_yet_valid",
        "`nbf` lies an hour, a day and ten years ahead.",
        lambda at: {
            "hour": {"nbf": at + _HOUR, "exp": at + 2 * _HOUR},
            "day": {"nbf": at + _DAY, "exp": at + _DAY + _HOUR},
            "years": {"nbf": at + 3650 * _DAY, "exp": at + 3650 * _DAY + _HOUR},
        },
    ),
    _future(
        "issued_in_future",
        "`iat` lies ahead.",
        lambda at: {
            "hour": {"iat": at + _HOUR, "exp": at + 2 * _HOUR},
            "day": {"iat": at + _DAY, "exp": at + 2 * _DAY},
        },
    ),
    _future(
        "everything_in_future",
        "All times lie a day ahead.",
        lambda at: {"": {"iat": at + _DAY, "nbf": at + _DAY, "exp": at + _DAY + _HOUR}},
    ),
    _future(
        "ends_before_it_begins",
        "`exp` lies before `nbf` or before `iat`.",
        lambda at: {
            "before nbf": {"nbf": at + 240, "exp": at + 120},
            "before iat": {"iat": at + 240, "nbf": at - 60, "exp": at + 120},
            "same as iat": {"iat": at + 60, "nbf": at + 60, "exp": at + 60},
        },
    ),
    _endless(
        "year_9999",
        "The token ends on the last second of the year 9999.",
        lambda _: {"": {"exp": 253_402_300_799}, "5138": {"exp": 99_999_999_999}},
    ),
    _endless(
        "life_too_long",
        "The token lives longer than the longest that Entra issues, 28 hours.",
        lambda at: {
            "29 hours": {"exp": at + 29 * _HOUR},
            "month": {"exp": at + 30 * _DAY},
            "ten years": {"exp": at + 3650 * _DAY},
            "old": {"iat": at - 40 * _DAY, "nbf": at - 40 * _DAY, "exp": at + _HOUR},
        },
    ),
    _endless(
        "end_in_milliseconds",
        "`exp` is written in milliseconds and so lies in the year 58000.",
        lambda at: {"": {"exp": (at + _HOUR) * 1000}, "micro": {"exp": (at + _HOUR) * 1_000_000}},
    ),
    _endless(
        "end_beyond_32_bits",
        "`exp` lies beyond 32, 53, 63 or 64 bits.",
        lambda at: {
            "32": {"exp": 2**32 + at},
            "53": {"exp": 2**53 + 1},
            "63": {"exp": 2**63},
            "64": {"exp": 2**64 + at + _HOUR},
        },
    ),
    _endless(
        "end_of_many_digits",
        "`exp` is an integer of 400 and of 4,000 digits.",
        lambda _: {"400": {"exp": 10**400}, "4000": {"exp": 10**3999}},
    ),
    _form(
        "time_as_text",
        "A time is written as text.",
        ("exp", "nbf", "iat"),
        lambda at: {"digits": str(at), "space": f" {at}"},
    ),
    _form(
        "time_as_date",
        "A time is written as a date.",
        ("exp",),
        lambda _: {
            "ISO": "2099-01-01T00:00:00Z",
            "RFC": "Thu, 01 Jan 2099 00:00:00 GMT",
            "hex": "0xFFFFFFFF",
            "word": "never",
            "empty": "",
        },
    ),
    _form("time_as_truth", "A time is true or false.", ("exp", "nbf", "iat"), lambda _: {"true": True, "false": False}),
    _form(
        "time_as_container",
        "A time is a list or an object.",
        ("exp", "nbf", "iat"),
        lambda at: {"list": [at], "object": {"$date": at}, "empty": []},
    ),
    _form(
        "time_negative", "A time lies before 1970.", ("exp", "iat"), lambda _: {"-1": -1, "far": -(2**63), "zero": 0}
    ),
    _written(
        "time_not_a_number",
        "A time is NaN, which no JSON is and which is never smaller than anything.",
        ("exp", "nbf", "iat"),
        lambda _: {"NaN": "NaN", "-NaN": "-NaN"},
    ),
    _written(
        "time_infinite",
        "A time is infinite, or a number that becomes so.",
        ("exp",),
        lambda _: {"word": "Infinity", "1e400": "1e400", "1e999999999": "1e999999999", "minus": "-Infinity"},
    ),
    _written(
        "start_infinite",
        "`nbf` or `iat` is minus infinity.",
        ("nbf", "iat"),
        lambda _: {"word": "-Infinity", "-1e400": "-1e400"},
    ),
    _written(
        "time_in_other_notation",
        "A time is written as a number that JSON does not have.",
        ("exp",),
        lambda at: {
            "plus": f"+{at}",
            "leading zero": f"0{at}",
            "hex": hex(at),
            "underscores": f"{at:_}",
            "point": f"{at}.",
            "full width": "".join(chr(ord(digit) + 0xFEE0) for digit in str(at)),
        },
    ),
)
