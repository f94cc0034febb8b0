"""Which deadlines to report the facts of a document may start. A list with assumptions and sources, not legal advice.

The document knows when mail was read and what the logs show; it does not know who its reader is, which law is theirs,
or when they became aware. Everything of that kind is an assumption, and is printed with the deadline that leans on it.
Laws change: `AS_OF` says when the sources were last looked at.
"""

from __future__ import annotations

import calendar
import datetime as dt
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from brokenseal.reports import _words
from brokenseal.reports._escape import terminal
from brokenseal.wording import Phrase, phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.model import CaseDocument

AS_OF: Final = dt.date(2026, 3, 10)
"""Date of the latest source that was read; later changes of law are not known to this version."""

_EASTERN: Final = ZoneInfo("America/New_York")
_EDGAR_CLOSES: Final = dt.time(17, 30)
_BUSINESS_DAYS: Final = 4
_JUNETEENTH_SINCE: Final = 2021
_WIDTH: Final = 100
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6

Standing: TypeAlias = Literal["runs", "past", "needs_fact", "not_in_force", "nothing_started", "simulated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What deadlines are worked out from.

    Attributes:
        verdict: Of the document.
        first_read_at, last_read_at: Of the reading under all cases.
        aware_at: When the reader became aware; `is_aware_assumed` where nobody said so and it is taken to be now.
        material_on: Day on which materiality was determined.
        notified_at: When the 72-hour notification under NIS2 was submitted.
    """

    now: dt.datetime
    verdict: str
    simulated: bool
    mailboxes: int
    certain: int
    possible: int
    unknowable: int
    first_read_at: dt.datetime | None
    last_read_at: dt.datetime | None
    aware_at: dt.datetime
    is_aware_assumed: bool
    material_on: dt.date | None
    notified_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One duty to report, and when it ends if it is the reader's.

    Attributes:
        due_at: None where a fact is missing that nobody told.
        standing: `runs` or `past`; `needs_fact`; `not_in_force` (a date is given all the same, as if it were);
            `nothing_started` (the document holds no case); `simulated` (no deadline runs for anybody).
        applies: Who has the duty, and under which condition.
        assumption: What the date leans on.
    """

    id: str
    law: str
    duty: Phrase
    recipient: Phrase
    due_at: dt.datetime | None
    standing: Standing
    applies: Phrase
    assumption: Phrase
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Facts and deadlines together, for JSON."""

    facts: Facts
    deadlines: tuple[Deadline, ...]
    as_of: dt.date = AS_OF
    advice: bool = False


def facts_of(
    document: CaseDocument,
    *,
    now: dt.datetime,
    aware_at: dt.datetime | None = None,
    material_on: dt.date | None = None,
    notified_at: dt.datetime | None = None,
) -> Facts:
    """The facts of a document, and what its reader adds."""
    boxes = [box for case in document.cases for box in case.exposure.mailboxes]
    starts = [box.first_at for box in boxes if box.first_at]
    ends = [box.last_at for box in boxes if box.last_at]
    return Facts(
        now=now,
        verdict=document.verdict.kind,
        simulated=document.simulated,
        mailboxes=len({box.mailbox for box in boxes}),
        certain=sum(case.exposure.certain for case in document.cases),
        possible=sum(case.exposure.possible for case in document.cases),
        unknowable=sum(case.exposure.unknowable for case in document.cases),
        first_read_at=min(starts, default=None),
        last_read_at=max(ends, default=None),
        aware_at=aware_at or now,
        is_aware_assumed=aware_at is None,
        material_on=material_on,
        notified_at=notified_at,
    )


def deadlines(facts: Facts) -> tuple[Deadline, ...]:
    """Every duty that is known here, in the order of the laws."""
    return (*_gdpr(facts), *_nis2(facts), _sec(facts), *_cisa(facts))


# ---------------------------------------------------------------- time


def after_a_month(at: dt.datetime) -> dt.datetime:
    """The same time on the same day of the next month; on its last day where it has no such day."""
    year, month = (at.year + 1, 1) if at.month == 12 else (at.year, at.month + 1)  # noqa: PLR2004 - December
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))


def federal_holidays(year: int) -> frozenset[dt.date]:
    """Days on which federal holidays of the United States are observed in a year.

    Source: 5 U.S.C. 6103; on a Saturday they are observed the day before, on a Sunday the day after. Inauguration Day,
    which is a holiday in Washington alone, and closures by order or for want of money are not in it.
    """
    found = set()
    for each in (year, year + 1):
        fixed = [(1, 1), (7, 4), (11, 11), (12, 25), *([(6, 19)] if each >= _JUNETEENTH_SINCE else [])]
        found |= {_observed(dt.date(each, month, day)) for month, day in fixed}
        found |= {_nth_monday(each, month, nth) for month, nth in ((1, 3), (2, 3), (9, 1), (10, 2))}
        found.add(_last_monday_of_may(each))
        found.add(_fourth_thursday_of_november(each))
    return frozenset(day for day in found if day.year == year)


def _observed(day: dt.date) -> dt.date:
    shift = {_SATURDAY: -1, _SUNDAY: 1}.get(day.weekday(), 0)
    return day + dt.timedelta(days=shift)


def _nth_monday(year: int, month: int, nth: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(7 - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> dt.date:
    last = dt.date(year, 5, 31)
    return last - dt.timedelta(days=last.weekday())


def _fourth_thursday_of_november(year: int) -> dt.date:
    first = dt.date(year, 11, 1)
    return first + dt.timedelta(days=(3 - first.weekday()) % 7 + 21)


def is_business_day(day: dt.date) -> bool:
    """Whether the Securities and Exchange Commission is open, as far as a calendar tells."""
    return day.weekday() <= _FRIDAY and day not in federal_holidays(day.year)


def fourth_business_day(determined_on: dt.date) -> dt.date:
    """The last day to file a Form 8-K after an event on a day.

    Source: Form 8-K, General Instruction B.1: four business days after the event; where that is no business day, they
    begin to run on, and include, the first business day after it. Both come to the fourth business day after it.
    """
    day, left = determined_on, _BUSINESS_DAYS
    while left:
        day += dt.timedelta(days=1)
        left -= is_business_day(day)
    return day


# ---------------------------------------------------------------- the laws


def _standing(facts: Facts, due_at: dt.datetime | None, *, in_force: bool = True) -> Standing:
    if facts.simulated:
        return "simulated"
    if facts.verdict != "found":
        return "nothing_started"
    if not in_force:
        return "not_in_force"
    if due_at is None:
        return "needs_fact"
    return "past" if due_at < facts.now else "runs"


def _hours(facts: Facts, hours: int) -> dt.datetime:
    return facts.aware_at + dt.timedelta(hours=hours)


def _awareness(facts: Facts) -> Phrase:
    if facts.is_aware_assumed:
        return phrase(
            "Awareness is taken to begin now, at {aware_at}, because nobody gave its time: if you knew earlier, the "
            "deadline is earlier. All hours count, weekends and holidays as well.",
            aware_at=facts.aware_at,
        )
    return phrase(
        "Awareness began at {aware_at}, as you said. All hours count, weekends and holidays as well.",
        aware_at=facts.aware_at,
    )


def _gdpr(facts: Facts) -> Iterator[Deadline]:
    due_at = _hours(facts, 72)
    source = "https://eur-lex.europa.eu/eli/reg/2016/679/oj"
    yield Deadline(
        id="gdpr-33",
        law="GDPR Art. 33(1)",
        duty=phrase("Notify the personal data breach, without undue delay and where feasible within 72 hours."),
        recipient=phrase("Supervisory authority (Art. 55)"),
        due_at=due_at,
        standing=_standing(facts, due_at),
        applies=phrase(
            "You are the controller, and the breach is not unlikely to result in a risk to people. Mailboxes hold "
            "personal data. A processor tells its controller without undue delay (Art. 33(2)), and no number of hours "
            "is set for that. The proposal of November 2025 for 96 hours and high risk only (Digital Omnibus) is taken "
            "as not in force."
        ),
        assumption=_awareness(facts),
        source=source,
    )
    yield Deadline(
        id="gdpr-34",
        law="GDPR Art. 34(1)",
        duty=phrase("Tell the people concerned, without undue delay; no number of hours is set."),
        recipient=phrase("The people whose data it is"),
        due_at=None,
        standing=_standing(facts, None),
        applies=phrase("You are the controller, and the breach is likely to result in a high risk to people."),
        assumption=phrase(
            "Whether the risk is high is for you to say; {certain} message(s) were read with certainty, {possible} "
            "possibly, and in {unknowable} span(s) more may have been.",
            certain=facts.certain,
            possible=facts.possible,
            unknowable=facts.unknowable,
        ),
        source=source,
    )


def _nis2(facts: Facts) -> Iterator[Deadline]:
    source = "https://eur-lex.europa.eu/eli/dir/2022/2555/oj"
    authority = phrase("CSIRT or competent authority of your Member State")
    applies = phrase(
        "You are an essential or important entity, and the incident is significant (Art. 23(3)). The directive works "
        "through the law of each Member State, which may say more; trust service providers notify within 24 hours."
    )
    for code, hours, letter, duty in (
        ("nis2-24h", 24, "a", phrase("Early warning, without undue delay and within 24 hours.")),
        ("nis2-72h", 72, "b", phrase("Incident notification, without undue delay and within 72 hours.")),
    ):
        due_at = _hours(facts, hours)
        yield Deadline(
            id=code,
            law=f"NIS2 Art. 23(4)({letter})",
            duty=duty,
            recipient=authority,
            due_at=due_at,
            standing=_standing(facts, due_at),
            applies=applies,
            assumption=_awareness(facts),
            source=source,
        )
    begun = facts.notified_at or _hours(facts, 72)
    due_at = after_a_month(begun)
    yield Deadline(
        id="nis2-month",
        law="NIS2 Art. 23(4)(d)",
        duty=phrase(
            "Final report, not later than one month after the incident notification; a progress report if it lasts."
        ),
        recipient=authority,
        due_at=due_at,
        standing=_standing(facts, due_at),
        applies=applies,
        assumption=phrase("The incident notification went out at {notified_at}, as you said.", notified_at=begun)
        if facts.notified_at
        else phrase(
            "The month is counted from the last hour for the incident notification, {notified_at}, because nobody said "
            "when it went out: if it goes out earlier, the final report is due earlier.",
            notified_at=begun,
        ),
        source=source,
    )


def _sec(facts: Facts) -> Deadline:
    determined_on = facts.material_on
    due_at = None
    if determined_on is not None:
        day = fourth_business_day(determined_on)
        due_at = dt.datetime.combine(day, _EDGAR_CLOSES, tzinfo=_EASTERN).astimezone(dt.UTC)
        assumption = phrase(
            "The incident was determined to be material on {day}, as you said. Federal holidays and weekends do not "
            "count; closures by order or for want of money are not known here. Filings after 17:30 Eastern time bear "
            "the date of the next business day.",
            day=determined_on.isoformat(),
        )
    else:
        today = facts.aware_at.astimezone(_EASTERN).date()
        assumption = phrase(
            "Nobody said when the incident was determined to be material; no log tells that. The determination has to "
            "be made without unreasonable delay after discovery. If it were made on {day}, the last day "
            "would be {due}.",
            day=today.isoformat(),
            due=fourth_business_day(today).isoformat(),
        )
    return Deadline(
        id="sec-8k",
        law="SEC Form 8-K Item 1.05",
        duty=phrase(
            "Disclose a material cybersecurity incident within four business days after it was determined material."
        ),
        recipient=phrase("Securities and Exchange Commission, by EDGAR"),
        due_at=due_at,
        standing=_standing(facts, due_at),
        applies=phrase(
            "You file with the Commission under the Exchange Act and are no foreign private issuer (these use Form "
            "6-K). "
            "The Attorney General may allow a delay for national security or public safety."
        ),
        assumption=assumption,
        source="https://www.sec.gov/files/form8-k.pdf",
    )


def _cisa(facts: Facts) -> Iterator[Deadline]:
    due_at = _hours(facts, 1)
    yield Deadline(
        id="fisma-1h",
        law="FISMA, Federal Incident Notification Guidelines",
        duty=phrase("Report the incident within one hour of being identified by the agency's response team."),
        recipient=phrase("CISA"),
        due_at=due_at,
        standing=_standing(facts, due_at),
        applies=phrase("You are a civilian agency of the Federal Executive Branch of the United States."),
        assumption=_awareness(facts),
        source="https://www.cisa.gov/federal-incident-notification-guidelines",
    )
    due_at = _hours(facts, 72)
    yield Deadline(
        id="circia-72h",
        law="CIRCIA, 6 U.S.C. 681b",
        duty=phrase("Report a covered cyber incident within 72 hours of the reasonable belief that it occurred."),
        recipient=phrase("CISA"),
        due_at=due_at,
        standing=_standing(facts, due_at, in_force=False),
        applies=phrase(
            "Not in force as far as this version knows: the duty begins with CISA's final rule. It was proposed on 4 "
            "April 2024 (89 FR 23644), announced for May 2026, and in March 2026 CISA expected a further delay. Look "
            "whether it has been published since. Until then reporting to CISA is voluntary."
        ),
        assumption=_awareness(facts),
        source="https://www.cisa.gov/circia",
    )


# ---------------------------------------------------------------- in words


_STANDING: dict[Standing, Phrase] = {
    "runs": phrase("runs"),
    "past": phrase("past"),
    "needs_fact": phrase("no date: a fact is missing, or the law sets none"),
    "not_in_force": phrase("not in force"),
    "nothing_started": phrase("not started: the document holds no case"),
    "simulated": phrase("simulated: runs for nobody"),
}


def clock_text(facts: Facts, listed: tuple[Deadline, ...], lang: str) -> str:
    """The list as text for a terminal or a mail."""
    return "".join(f"{line}\n" for line in _text_lines(facts, listed, lang))


def _text_lines(facts: Facts, listed: tuple[Deadline, ...], lang: str) -> Iterator[str]:
    def said(sentence: Phrase, first: str = "", rest: str = "") -> str:
        return textwrap.fill(
            terminal(say(sentence, lang)),
            _WIDTH,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )

    if facts.simulated:
        yield said(_words.SIMULATED)
    yield said(
        phrase(
            "This is a list, not legal advice. Which of these duties are yours is for counsel to say. Sources were "
            "looked at up to {as_of}; later changes of law are not known here.",
            as_of=AS_OF.isoformat(),
        )
    )
    yield said(
        phrase(
            "Facts: {mailboxes} mailbox(es) read from {first_at} to {last_at}; certain messages {certain}, possible "
            "{possible}, unknowable spans {unknowable}.",
            mailboxes=facts.mailboxes,
            first_at=facts.first_read_at,
            last_at=facts.last_read_at,
            certain=facts.certain,
            possible=facts.possible,
            unknowable=facts.unknowable,
        )
    )
    for each in listed:
        due = "–" if each.due_at is None else f"{each.due_at:%Y-%m-%d %H:%M} UTC"
        yield ""
        yield f"{each.law}  {due}  {said(_STANDING[each.standing])}"
        yield said(each.duty, "  ", "  ")
        for label, sentence in (
            (phrase("To"), each.recipient),
            (phrase("If"), each.applies),
            (phrase("Assumed"), each.assumption),
        ):
            colon = "\N{NO-BREAK SPACE}: " if lang == "fr" else ": "
            yield said(sentence, f"  {say(label, lang)}{colon}", "    ")
        yield f"  {each.source}"
