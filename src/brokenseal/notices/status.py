"""Who knows, who is silent, and whom to write to next: a pure function of plan, ledger and time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from brokenseal.notices.sending_ledger import Entry
    from brokenseal.notices.values import Letter, NoticePlan, VictimNotice

LetterState: TypeAlias = Literal[
    "planned",
    "not_sent",
    "refused",
    "uncertain",
    "sent",
    "written",
    "relayed",
    "delayed",
    "delivered",
    "displayed",
    "bounced",
    "acknowledged",
]
NoticeState: TypeAlias = Literal["planned", "uncertain", "waiting", "silent", "bounced", "acknowledged", "refused"]

# What says more of a letter that has left; a later event of lesser weight does not take it back.
# An answer shows that a letter left, whatever the ledger of sending knows of it.
_WEIGHT: tuple[LetterState, ...] = (
    "sent", "written", "delayed", "relayed", "delivered", "displayed", "bounced", "acknowledged",
)  # fmt: skip
_NOT_GONE = frozenset(("planned", "not_sent", "refused"))
_STATE_OF: dict[str, LetterState] = {state: state for state in _WEIGHT}


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterStatus:
    """What is known of one letter.

    Attributes:
        left_at: When it left, or began to.
        detail: What the last telling event said.
        auto_replies: Answers by machines.
    """

    state: LetterState
    left_at: dt.datetime | None
    detail: str
    auto_replies: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeStatus:
    """What is known of one notice.

    Attributes:
        letters: Letters that left or may have; more than one means that it was escalated.
        contact: Address that was written to last; of the first contact where nothing left yet.
        next_contact: Whom to write to if it is silent, came back or was refused; None where nobody is left.
        due_at: When silence lasts long enough; None where that is no question.
    """

    id: str
    victim: str
    state: NoticeState
    letters: int
    contact: str
    next_contact: str | None
    due_at: dt.datetime | None
    detail: str


def letter_states(plan: NoticePlan, entries: Iterable[Entry]) -> dict[str, LetterStatus]:
    """The state of each letter of the plan, by Message-ID."""
    ids = {letter.id for notice in plan.notices for letter in notice.letters}
    found = {letter: LetterStatus(state="planned", left_at=None, detail="", auto_replies=0) for letter in ids}
    for entry in entries:
        if entry.letter in found:
            found[entry.letter] = _after(found[entry.letter], entry)
    return found


def _after(known: LetterStatus, entry: Entry) -> LetterStatus:
    """What an event makes of what was known."""
    state, left_at, detail = known.state, known.left_at, entry.detail
    if entry.event == "auto_reply":
        return LetterStatus(state=state, left_at=left_at, detail=known.detail, auto_replies=known.auto_replies + 1)
    if entry.event in {"sending", "uncertain"}:
        # Nothing after it says what became of it: a kill, or a connection that broke.
        state, left_at = ("uncertain", entry.at) if state not in _STATE_OF else (state, left_at)
    elif entry.event == "resend":
        state = "planned"
    elif entry.event in {"not_sent", "refused"}:
        failed: LetterState = "refused" if entry.event == "refused" else "not_sent"
        state, left_at = (failed, None) if state not in _STATE_OF else (state, left_at)
    elif _tells_more(entry.event, state):
        left_at = left_at or entry.at
        state = _STATE_OF[entry.event]
    else:
        detail = known.detail
    return LetterStatus(state=state, left_at=left_at, detail=detail, auto_replies=known.auto_replies)


def _tells_more(event: str, state: LetterState) -> bool:
    if event not in _STATE_OF:
        return False
    return state not in _STATE_OF or _WEIGHT.index(_STATE_OF[event]) >= _WEIGHT.index(state)


def notice_status(
    notice: VictimNotice, states: dict[str, LetterStatus], plan: NoticePlan, now: dt.datetime
) -> NoticeStatus:
    """What is known of one notice at a time."""
    gone = [letter for letter in notice.letters if states[letter.id].state not in _NOT_GONE]
    begun = [letter for letter in notice.letters if states[letter.id].state != "planned"]
    last = begun[-1] if begun else notice.letters[0]
    known = states[last.id]
    after = [letter for letter in notice.letters if letter.contact.order > last.contact.order]
    due_at = known.left_at + dt.timedelta(days=plan.escalate_days) if known.left_at else None
    state: NoticeState
    if any(states[letter.id].state == "acknowledged" for letter in notice.letters):
        state, due_at = "acknowledged", None
    elif known.state == "bounced":
        state, due_at = "bounced", None
    elif known.state == "refused":
        state = "refused"
    elif known.state in _NOT_GONE:
        state = "planned"
    elif due_at is not None and now >= due_at:
        state = "silent"
    else:
        state = "uncertain" if known.state == "uncertain" else "waiting"
    return NoticeStatus(
        id=notice.id,
        victim=notice.victim,
        state=state,
        letters=len(gone),
        contact=last.contact.address,
        next_contact=after[0].contact.address if after and state in {"silent", "bounced", "refused"} else None,
        due_at=due_at,
        detail=known.detail,
    )


def statuses(plan: NoticePlan, entries: Sequence[Entry], now: dt.datetime) -> tuple[NoticeStatus, ...]:
    """What is known of each notice, in the plan's order."""
    states = letter_states(plan, entries)
    return tuple(notice_status(notice, states, plan, now) for notice in plan.notices)


def due_letters(
    plan: NoticePlan, entries: Sequence[Entry], *, now: dt.datetime, escalate: bool
) -> Iterator[tuple[VictimNotice, Letter]]:
    """Letters to be sent now: the first of each notice that has not left, and on demand the next of those unanswered.

    A letter that was put off is tried again, and so is one that was refused, unless the next contact takes its place;
    one that is uncertain is not, unless somebody decided so.
    """
    states = letter_states(plan, entries)
    begun = {entry.letter for entry in entries}
    for notice in plan.notices:
        status = notice_status(notice, states, plan, now)
        if status.state == "acknowledged":
            continue
        last = max((place for place, letter in enumerate(notice.letters) if letter.id in begun), default=0)
        turn = notice.letters[: last + 1]
        yield from ((notice, letter) for letter in turn if states[letter.id].state == "planned")
        if escalate and status.next_contact is not None:
            yield notice, next(each for each in notice.letters if each.contact.address == status.next_contact)
        elif states[turn[-1].id].state in {"not_sent", "refused"}:
            yield notice, turn[-1]
