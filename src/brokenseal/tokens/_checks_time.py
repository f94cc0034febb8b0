"""Checks of time. Clocks differ: the policy's skew is allowed in the token's favour, and no more."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Final

from brokenseal.tokens._presented import check, shown
from brokenseal.tokens.model import Outcome
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from brokenseal.tokens._presented import Presented
    from brokenseal.tokens.model import Check

LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999; later ones cannot be written as a date."""

_NOT_EXPIRED = phrase("The token has not expired.")
_VALID_YET = phrase("The token is already valid.")
_ISSUED_BEFORE = phrase("The token was issued before it was presented.")
_LIFE_OK = phrase("The token lives no longer than accepted.")
_NO_TIME = phrase("The claim is no time in seconds since 1970.")
_ABSENT = phrase("The claim is absent.")


def expiry(it: Presented) -> Check:
    """`exp` lies ahead."""
    expires = seconds(it.claims.get("exp"))
    if expires is None:
        return _no_time(it, "expiry", "exp")
    expected = _later_than(it.at_s // 1 - it.policy.skew_s)
    if it.at_s < expires + it.policy.skew_s:
        return check("expiry", Outcome.PASS, _NOT_EXPIRED, expected, _time(expires))
    return check("expiry", Outcome.FAIL, phrase("The token has expired."), expected, _time(expires))


def not_before(it: Presented) -> Check:
    """`nbf` lies behind."""
    begins = seconds(it.claims.get("nbf"))
    if begins is None:
        return _no_time(it, "not_before", "nbf")
    expected = _not_later_than(it.at_s // 1 + it.policy.skew_s)
    if begins <= it.at_s + it.policy.skew_s:
        return check("not_before", Outcome.PASS, _VALID_YET, expected, _time(begins))
    return check("not_before", Outcome.FAIL, phrase("The token is not valid yet."), expected, _time(begins))


def issued_at(it: Presented) -> Check:
    """`iat` lies behind; it is needed to judge a retired key."""
    issued = seconds(it.claims.get("iat"))
    if issued is None:
        return _no_time(it, "issued_at", "iat")
    expected = _not_later_than(it.at_s // 1 + it.policy.skew_s)
    if issued <= it.at_s + it.policy.skew_s:
        return check("issued_at", Outcome.PASS, _ISSUED_BEFORE, expected, _time(issued))
    reason = phrase("The token says that it will be issued in the future.")
    return check("issued_at", Outcome.FAIL, reason, expected, _time(issued))


def lifetime(it: Presented) -> Check:
    """From `iat` to `exp` is no longer than the policy allows, and `exp` is the last of the three times."""
    issued, begins, expires = (seconds(it.claims.get(name)) for name in ("iat", "nbf", "exp"))
    expected = f"1 to {it.policy.longest_s} seconds"
    if issued is None or expires is None:
        reason = phrase("The token does not say from when to when it lives.")
        return check("lifetime", Outcome.FAIL, reason, expected)
    life = expires - issued
    if life <= 0 or (begins is not None and expires <= begins):
        reason = phrase("The token expires before it begins.")
    elif life > it.policy.longest_s:
        reason = phrase("The token lives longer than the identity provider lets any token live.")
    else:
        return check("lifetime", Outcome.PASS, _LIFE_OK, expected, f"{life} seconds")
    return check("lifetime", Outcome.FAIL, reason, expected, f"{life} seconds")


def seconds(value: object) -> float | None:
    """A time claim; None for what is no number of seconds from 1970 to the year 9999."""
    # Of JSON true and false Python makes numbers, so types are compared exactly.
    if (type(value) is int or type(value) is float) and 0 <= value <= LATEST_S:
        return value
    return None


def _no_time(it: Presented, name: str, claim: str) -> Check:
    reason = _NO_TIME if claim in it.claims else _ABSENT
    return check(name, Outcome.FAIL, reason, f"{claim} in seconds", shown(it.claims.get(claim)))


# Many tokens are checked within one second, and many were issued within one.
@functools.lru_cache(maxsize=64)
def _later_than(value: float) -> str:
    return f"later than {_time(value)}"


@functools.lru_cache(maxsize=64)
def _not_later_than(value: float) -> str:
    return f"not later than {_time(value)}"


@functools.lru_cache(maxsize=1024)
def _time(value: float) -> str:
    if not 0 <= value <= LATEST_S:
        return f"{value} s"
    return dt.datetime.fromtimestamp(value, tz=dt.UTC).isoformat().replace("+00:00", "Z")
