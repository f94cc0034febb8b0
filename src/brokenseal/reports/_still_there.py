"""Which missing logs can still be had and until when, and which were never written, in plain words.

No clock is asked: a document says the same whenever it is rendered. So each piece of advice names the day on which the
last records of the time of these logs go, and the reader knows what day it is. How long records are kept: Microsoft
Purview, audit retention (180 days since October 2023; longer with some licences), and Microsoft Entra, data retention
(30 days of sign-ins; 7 without a paid licence).
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import CaseDocument
    from brokenseal.wording import Phrase

AUDIT_DAYS: Final = 180
SIGN_IN_DAYS: Final = 30
_RECORDED_SINCE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
"""Before, no licence recorded the reading of mail (MailItemsAccessed)."""
_MADE_WORSE: Final = frozenset(("at_cap", "result_count_above", "flattened", "truncated_json", "unreadable"))
"""Alarms about what an export lost; the log itself may hold it still."""
_NUMBERS: Final = frozenset(("token_ids", "session_ids"))


def exports(document: CaseDocument) -> Iterator[Phrase]:
    """What to have exported, each with the day until which it can be had."""
    coverage = document.coverage
    last = coverage.last_at
    if last is None:
        if document.verdict.kind == "cannot_tell":
            yield phrase("Have the logs of the time in question exported.")
        return
    unmet = frozenset(coverage.unmet_needs)
    worse = sum(alarm.code in _MADE_WORSE for alarm in coverage.alarms)
    if worse:
        yield phrase(
            "Have the exports that are cut or damaged made again ({n} warning(s)). Such records are kept for {days} "
            "days, those of {day} until {until}.",
            n=worse,
            **_kept(last, AUDIT_DAYS),
        )
    if "mail_access" in unmet and last >= _RECORDED_SINCE:
        yield phrase(
            "Ask whether the licences and settings of the time had the reading of mail recorded. If so, have it "
            "exported: such records are kept for {days} days, those of {day} until {until}.",
            **_kept(last, AUDIT_DAYS),
        )
    if unmet & {"sign_in", "non_interactive_sign_in"}:
        yield phrase(
            "Have the missing sign-ins exported at once. They are kept for {days} days, those of {day} until {until}; "
            "after that they are only where somebody collected them.",
            **_kept(last, SIGN_IN_DAYS),
        )
    if "configuration" in unmet:
        yield phrase(
            "Have the changes of settings exported. Such records are kept for {days} days, those of {day} until "
            "{until}.",
            **_kept(last, AUDIT_DAYS),
        )


def lost(document: CaseDocument) -> Iterator[Phrase]:
    """What no export can bring back, because nobody wrote it down."""
    coverage = document.coverage
    if coverage.last_at is None:
        return
    if "mail_access" in coverage.unmet_needs:
        yield (
            phrase("Before 2020 nobody could have the reading of mail recorded: no export can bring it back.")
            if coverage.last_at < _RECORDED_SINCE
            else phrase("If the reading of mail was not recorded at the time, no export can bring it back.")
        )
    elif _NUMBERS & frozenset(coverage.unmet_needs) and not any(a.code in _MADE_WORSE for a in coverage.alarms):
        yield phrase(
            "The records do not say by which sign-in a message was opened: they were written so, and no export can "
            "add it."
        )


def _kept(last: dt.datetime, days: int) -> dict[str, int | str]:
    return {"days": days, "day": f"{last:%Y-%m-%d}", "until": f"{last + dt.timedelta(days=days):%Y-%m-%d}"}
