"""What about an input says that it is incomplete or lossy: found at ingest, kept in the ledger, told in words.

The ledger keeps an alarm as `code: detail`, where the detail is made of numbers and times only, so that the
sentence can be said in the reader's language later.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brokenseal.model import Alarm
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXPORT_CAPS = (5_000, 50_000, 100_000, 250_000, 1_000_000)
"""Record counts at which the export ways of Microsoft 365 stop: 5,000 per search call, 50,000 per search
session or portal export, 100,000 per message trace, 250,000 sign-ins from the portal, 1,000,000 with Premium."""

_AHEAD = dt.timedelta(days=1)
_FLATTENED = re.compile(r'"(?:System\.Object\[\]|@\{[A-Za-z_][\w.]*=)')
_ESCAPED_FLATTENED = re.compile(r'\\"(?:System\.Object\[\]|@\{[A-Za-z_][\w.]*=)')


def is_flattened(text: str) -> bool:
    """True where PowerShell has printed an object instead of writing it: `System.Object[]` or `@{Name=…}`."""
    if "System.Object[]" not in text and "@{" not in text:
        return False
    return bool(_FLATTENED.search(text) or _ESCAPED_FLATTENED.search(text))


@dataclass(slots=True, kw_only=True)
class AlarmTally:
    """What is counted along one input.

    Attributes:
        flattened: Records that hold a flattened value.
        cut: Records whose JSON is cut short or gone.
        announced: `ResultCount` to the number of records that announce it.
        unannounced: Records of such an export whose `ResultCount` is empty: a later tool cut them short.
        ends_early: True where the input's container ended before its end.
    """

    flattened: int = 0
    cut: int = 0
    announced: dict[int, int] = field(default_factory=dict)
    unannounced: int = 0
    ends_early: bool = False

    def announce(self, value: Mapping[str, Any]) -> None:
        """Count the `ResultCount` that Search-UnifiedAuditLog writes on every record of a search."""
        if "ResultCount" not in value:
            return
        count = value["ResultCount"]
        if isinstance(count, str):
            count = int(count) if count.isdecimal() and len(count) < 10 else None  # noqa: PLR2004
        if isinstance(count, int) and not isinstance(count, bool) and count > 0:
            self.announced[count] = self.announced.get(count, 0) + 1
        else:
            self.unannounced += 1


def alarm_codes(tally: AlarmTally, *, records: int, last_at: dt.datetime | None, now: dt.datetime) -> tuple[str, ...]:
    """The alarms of one input as the ledger keeps them.

    Args:
        tally: Counts of the input.
        records: Records of the input.
        last_at: Latest event time in it.
        now: Time of the ingest.
    """
    found = []
    if records in EXPORT_CAPS:
        found.append(f"at_cap: {records}")
    short = {announced: there for announced, there in sorted(tally.announced.items()) if there < announced}
    if sum(announced - there for announced, there in short.items()) > tally.unannounced:
        found += [f"result_count_above: {announced} {there}" for announced, there in short.items()]
    if tally.flattened:
        found.append(f"flattened: {tally.flattened}")
    if tally.cut:
        found.append(f"truncated_json: {tally.cut}")
    elif tally.ends_early:
        found.append("truncated_json: 0")
    if last_at is not None and last_at > now + _AHEAD:
        found.append(f"clock: {last_at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}")
    return tuple(found)


def alarms_of(ledger_rows: Iterable[Mapping[str, Any]]) -> tuple[Alarm, ...]:
    """The alarms of all inputs in the words of reports, in the order of the ledger; each input once."""
    found: dict[tuple[str, str], Alarm] = {}
    for row in ledger_rows:
        for entry in row["alarms"] or ():
            code, _, detail = entry.partition(": ")
            alarm = Alarm(code=code, place=row["path"], explanation=explain(code, detail))
            found.setdefault((row["sha256"] or row["path"], entry), alarm)
    return tuple(found.values())


def explain(code: str, detail: str) -> Phrase:  # noqa: PLR0911 - one sentence for each code
    """The sentence for one alarm."""
    numbers = [int(part) for part in detail.split() if part.isdecimal()]
    if code == "at_cap" and numbers:
        return phrase(
            "The export holds exactly {n} records, a number at which exports stop: more may exist.", n=numbers[0]
        )
    if code == "result_count_above" and len(numbers) == 2:  # noqa: PLR2004
        return phrase(
            "The search announced {announced} results, and {there} are here: records are missing.",
            announced=numbers[0],
            there=numbers[1],
        )
    if code == "flattened" and numbers:
        return phrase("{n} records hold objects that PowerShell printed as text: their content is lost.", n=numbers[0])
    if code == "truncated_json" and numbers and numbers[0]:
        return phrase("{n} records are cut short or empty: what they said can only be salvaged in part.", n=numbers[0])
    if code == "truncated_json":
        return phrase("The file ends before its end: records may be missing.")
    if code == "unreadable":
        return phrase("It could not be read: {why}", why=detail)
    if code == "clock":
        return phrase("The latest record is of {at}, which is after the ingest: a clock was wrong.", at=detail)
    return phrase("{code}: {detail}", code=code, detail=detail)
