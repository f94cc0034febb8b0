"""The story of a replay, told from its results and from nothing else: no sentence in it is fixed.

Every line is a template that takes numbers and moments of `Found`; which template is taken depends on them too. What
happened in 2023 stands in `HISTORY`, with its source, and is only ever compared with.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brokenseal.drill._replay_watch import Found

_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened in 2023, for comparison.

    Attributes:
        first_access: First known read with a forged token.
        noticed: When the first of the victims saw it.
        told: When Microsoft was told, and began to look for the others.
        noticed_by: Number of organisations that saw it by themselves, as far as is public.
        organisations: Organisations read, as Microsoft counted them first.
        source: Where that stands.
    """

    first_access: dt.date
    noticed: dt.date
    told: dt.date
    noticed_by: int
    organisations: int
    source: str


HISTORY: Final = History(
    first_access=dt.date(2023, 5, 15),
    noticed=dt.date(2023, 6, 15),
    told=dt.date(2023, 6, 16),
    noticed_by=1,
    organisations=25,
    source="Cyber Safety Review Board, 2024; Microsoft, 11 and 14 July 2023",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One log epoch, all organisations together. Everything in it is simulated."""

    epoch: int
    organisations: int
    organisations_found: int
    organisations_before_2023: int
    mailboxes_read: int
    mailboxes_found: int
    messages_read: int
    messages_before: int
    certain: int
    certain_right: int
    possible: int
    possible_right: int
    false_cases: int
    mailbox_weeks: float
    first_read_at: dt.datetime
    first_opened_at: dt.datetime | None


def totals_of(found: Sequence[Found]) -> Totals:
    """The sums of one epoch; messages read before a case are all of them where none opened.

    Raises:
        ValueError: Nothing is given, or results of two epochs.
    """
    epochs = {one.epoch for one in found}
    if len(epochs) != 1:
        msg = f"results of the log epochs {sorted(epochs)}; expected one epoch"
        raise ValueError(msg)
    opened = [one.opened_at for one in found if one.opened_at is not None]
    return Totals(
        epoch=epochs.pop(),
        organisations=len(found),
        organisations_found=len(opened),
        organisations_before_2023=sum(at.date() < HISTORY.told for at in opened),
        mailboxes_read=sum(one.mailboxes_read for one in found),
        mailboxes_found=sum(one.mailboxes_found for one in found),
        messages_read=sum(one.messages_read for one in found),
        messages_before=sum(_lost(one) for one in found),
        certain=sum(one.certain for one in found),
        certain_right=sum(one.certain_right for one in found),
        possible=sum(one.possible for one in found),
        possible_right=sum(one.possible_right for one in found),
        false_cases=sum(one.false_cases for one in found),
        mailbox_weeks=sum(one.mailbox_weeks for one in found),
        first_read_at=min(one.first_read_at for one in found),
        first_opened_at=min(opened, default=None),
    )


def _lost(one: Found) -> int:
    return one.messages_read if one.messages_before is None else one.messages_before


def story(found: Sequence[Found], *, version: str, seed: int) -> str:
    """The story of all epochs, as Markdown.

    Args:
        found: Results of every organisation and epoch.
        version: Of the product that found it.
        seed: Of the replay.
    """
    lines = [
        "# Storm-0558 replayed: a simulated case",
        "",
        f"Everything below was simulated (seed {seed}) and read by Brokenseal {version}; no real mailbox is in it.",
    ]
    for epoch in dict.fromkeys(one.epoch for one in found):
        own = [one for one in found if one.epoch == epoch]
        lines += ["", *_chapter(own)]
    return "\n".join(lines) + "\n"


def _chapter(found: Sequence[Found]) -> Iterator[str]:
    total = totals_of(found)
    audited = sum(one.has_reads for one in found)
    yield f"## The same campaign in the logs of {total.epoch} (simulated)"
    yield ""
    yield (
        f"From {_day(total.first_read_at)} to {_day(max(one.last_read_at for one in found))} the intruder read "
        f"{_n(total.messages_read, 'message')} of {_n(total.mailboxes_read, 'mailbox')} in "
        f"{_n(total.organisations, 'organisation')}. The audit log of {audited} of these holds reads of mail."
    )
    yield ""
    yield from _days(found)
    yield ""
    yield from _ending(found, total)
    yield ""
    yield from _comparison(total)


def _days(found: Sequence[Found]) -> Iterator[str]:
    """What happened, in order of time: first reads, and cases."""
    events = [(one.first_read_at, 0, one.number, _first_read(one)) for one in found]
    events += [(one.opened_at, 1, one.number, _opening(one)) for one in found if one.opened_at is not None]
    for at, _, _, text in sorted(events):
        yield f"- {_moment(at)}: {text}"


def _first_read(one: Found) -> str:
    return f"first read at {one.name}, the first of {_n(one.messages_read, 'message')} there."


def _opening(one: Found) -> str:
    lost = _lost(one)
    after = _span((one.opened_at or one.first_read_at) - one.first_read_at)
    return (
        f"**a case stands at {one.name}**, {after} after the first read ({', '.join(one.opened_by)}). "
        f"By then {_n(lost, 'message')} had been read, {_share(lost, one.messages_read)} of the "
        f"{one.messages_read:,} in the end."
    )


def _ending(found: Sequence[Found], total: Totals) -> Iterator[str]:
    until = _moment(max(one.watched_until for one in found))
    if not total.organisations_found:
        yield (
            f"By {until} no case stood that tells of the intruder: **not found**, in any of the "
            f"{_n(total.organisations, 'organisation')}."
        )
    else:
        yield (
            f"By {until} a case told of the intruder in {total.organisations_found} of "
            f"{_n(total.organisations, 'organisation')}, and named {total.mailboxes_found} of the "
            f"{_n(total.mailboxes_read, 'mailbox')} that were read."
        )
        yield (
            f"When the cases opened, {_n(total.messages_before, 'message')} had been lost, "
            f"{_share(total.messages_before, total.messages_read)} of all (where no case opened, every one counts)."
        )
    yield from _missed(found)
    yield from _exposed(total)
    rate = 1000 * total.false_cases / total.mailbox_weeks if total.mailbox_weeks else 0.0
    yield (
        f"{_n(total.false_cases, 'other case')} told of no intruder: {rate:,.1f} per 1,000 mailbox-weeks "
        f"(simulated, {total.mailbox_weeks:,.0f} mailbox-weeks)."
    )


def _missed(found: Sequence[Found]) -> Iterator[str]:
    missed = [one for one in found if one.opened_at is None]
    if not missed:
        return
    traceless = [one for one in missed if not one.intruder_records]
    seen = [one for one in missed if one.intruder_records]
    if traceless:
        unread = Counter(one.has_reads for one in traceless)
        yield (
            f"Not found, without a trace: {_names(traceless)}. No record of the intruder is in the logs there; "
            f"{unread[False]} of {len(traceless)} had no record of reads at all."
        )
    if seen:
        records = sum(one.intruder_records for one in seen)
        yield f"Not found, although {_n(records, 'record')} of the intruder lay in the logs: {_names(seen)}."


def _exposed(total: Totals) -> Iterator[str]:
    if total.certain:
        yield (
            f"Read with certainty, say the cases: {_n(total.certain, 'message')}. The intruder read "
            f"{total.certain_right:,} of these, {_share(total.certain_right, total.messages_read)} of all that it read."
        )
    else:
        yield f"No case calls any message read; the intruder really read {total.messages_read:,}."
    if total.possible:
        yield f"Possibly read: {total.possible:,} more, of which {total.possible_right:,} were."


def _comparison(total: Totals) -> Iterator[str]:
    past = (HISTORY.noticed - HISTORY.first_access).days
    yield (
        f"In 2023 (not simulated; {HISTORY.source}) the first of the victims noticed on {_day(HISTORY.noticed)}, "
        f"{past} days after the first known read, and Microsoft was told on {_day(HISTORY.told)}; "
        f"{HISTORY.noticed_by} of {HISTORY.organisations} organisations had noticed by itself."
    )
    if total.first_opened_at is None:
        yield "The replay, in these logs, found nothing to set against that."
        return
    ahead = (HISTORY.noticed - total.first_opened_at.date()).days
    words = f"{_n(abs(ahead), 'day')} {'earlier' if ahead > 0 else 'later'}" if ahead else "on the same day"
    yield (
        f"In the replay the first case stood on {_moment(total.first_opened_at)}, "
        f"{_span(total.first_opened_at - total.first_read_at)} after the first read and {words}; before "
        f"{_day(HISTORY.told)} cases stood in {total.organisations_before_2023} of "
        f"{_n(total.organisations, 'organisation')}."
    )


# ---------------------------------------------------------------- words


def _n(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def _share(part: int, whole: int) -> str:
    if not whole:
        return "none"
    percent = 100 * part / whole
    # Rounding must not turn a few into none, or most into all.
    if 0 < part < whole and not 0.1 <= percent < 99.95:  # noqa: PLR2004
        return "under 0.1 %" if percent < 1 else "over 99.9 %"
    return f"{percent:.1f} %"


def _day(at: dt.date) -> str:
    return f"{at.day} {at:%B %Y}"


def _moment(at: dt.datetime) -> str:
    return f"{_day(at)}, {at:%H:%M} UTC"


def _span(length: dt.timedelta) -> str:
    seconds = length.total_seconds()
    if seconds < _HOUR_S:
        return _n(round(seconds / 60), "minute")
    if seconds < 2 * _DAY_S:
        return f"{seconds / _HOUR_S:.1f} hours"
    return f"{seconds / _DAY_S:.1f} days"


def _names(found: Sequence[Found]) -> str:
    return ", ".join(one.name for one in found)
