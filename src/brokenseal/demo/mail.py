"""The mail of the sample tenant: who writes to whom, when, about what. Subjects and senders are invented."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.demo import world as w

if TYPE_CHECKING:
    import random

    from brokenseal.demo.world import Mailbox, Person, World

INBOX = "\\Inbox"
BOARD = "\\Inbox\\Board"
SENT = "\\Sent Items"
FOLDERS_OF_OLD_MAIL = (INBOX, INBOX, INBOX, BOARD, "\\Archive")
_BOARD_SHARE = 0.25

_FIRMS = ("northquay", "ferrybridge", "saltmarsh", "greylock-freight", "tidewater", "lanternlaw", "oakandrope")
_NAMES = ("m.ferro", "j.quill", "t.brandt", "s.osei", "k.larsen", "office", "accounts", "news")
_TOPICS = (
    "berth allocation",
    "ferry timetable",
    "customs pilot",
    "dredging contract",
    "budget {quarter}",
    "site visit",
    "insurance renewal",
    "harbour safety review",
    "joint declaration",
    "partner meeting",
    "press enquiry",
    "quarterly figures",
)
_FORMS = ("{topic}", "Re: {topic}", "Re: {topic}", "FW: {topic}", "Draft: {topic}", "Minutes: {topic}")
# Mail arrives by hour of the day as in an office: little at night, most before and after lunch.
_HOUR_WEIGHTS = (1, 1, 1, 1, 1, 2, 5, 12, 18, 20, 19, 15, 10, 15, 18, 17, 12, 7, 4, 3, 3, 2, 2, 1)
_OLD_MAIL = {w.DIRECTOR: 600, w.DEPUTY: 1800}
_OLD_MAIL_ELSEWHERE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, in one mailbox after the other.

    Attributes:
        to: Addresses it was delivered to, in this tenant or outside.
        author: The person of this tenant who sent it, or None.
    """

    internet_message_id: str
    network_message_id: str
    received_at: int
    sender: str
    to: tuple[str, ...]
    subject: str
    size_bytes: int
    author: Person | None
    folder: str = INBOX


@dataclass(frozen=True, slots=True)
class Mail:
    """All messages by time, and what stood in each mailbox, by address."""

    messages: tuple[Message, ...]
    inboxes: dict[str, list[Message]]

    def standing(self, mailbox: Mailbox, at: int) -> list[Message]:
        """Messages in the mailbox at that moment, the newest last."""
        inbox = self.inboxes[mailbox.upn]
        return inbox[: bisect.bisect_right(inbox, at, key=lambda message: message.received_at)]


def build(rng: random.Random, world: World) -> Mail:
    """Mail of the five weeks, and older mail that stands in the mailboxes and in no log."""
    messages: list[Message] = []
    for day in range(w.DAYS):
        for mailbox in world.mailboxes:
            messages.extend(_received(rng, mailbox, day))
        for person in world.people:
            messages.extend(_sent(rng, world, person, day))
    messages.sort(key=lambda message: (message.received_at, message.internet_message_id))
    inboxes: dict[str, list[Message]] = {mailbox.upn: _old(rng, mailbox) for mailbox in world.mailboxes}
    for message in messages:
        for address in message.to:
            if address in inboxes:
                inboxes[address].append(message)
    return Mail(tuple(messages), inboxes)


def _received(rng: random.Random, mailbox: Mailbox, day: int) -> list[Message]:
    busy = w.is_workday(day)
    count = rng.randint(8, 15) if busy else rng.randint(0, 2)
    return [
        _message(
            rng,
            at=_within(rng, day),
            sender=f"{rng.choice(_NAMES)}@{rng.choice(_FIRMS)}.example",
            to=(mailbox.upn,),
            author=None,
            folder=BOARD if mailbox.upn.startswith(w.DIRECTOR) and rng.random() < _BOARD_SHARE else INBOX,
        )
        for _ in range(count)
    ]


def _sent(rng: random.Random, world: World, person: Person, day: int) -> list[Message]:
    count = rng.randint(3, 7) if w.is_workday(day) else 0
    colleagues = [mailbox.upn for mailbox in world.mailboxes if mailbox.owner is not person]
    sent = []
    for _ in range(count):
        inside = rng.random() < 0.55  # noqa: PLR2004 - the share of mail that stays in the house
        to = (
            tuple(sorted(rng.sample(colleagues, rng.randint(1, 3))))
            if inside
            else (f"{rng.choice(_NAMES)}@{rng.choice(_FIRMS)}.example",)
        )
        at = w.START + day * w.DAY + rng.randint(8 * w.HOUR, 16 * w.HOUR)
        sent.append(_message(rng, at=at, sender=person.upn, to=to, author=person, folder=INBOX))
    return sent


def _old(rng: random.Random, mailbox: Mailbox) -> list[Message]:
    count = _OLD_MAIL.get(mailbox.upn.partition("@")[0], _OLD_MAIL_ELSEWHERE)
    older = [
        _message(
            rng,
            at=w.START - rng.randint(3 * w.DAY, 700 * w.DAY),
            sender=f"{rng.choice(_NAMES)}@{rng.choice(_FIRMS)}.example",
            to=(mailbox.upn,),
            author=None,
            folder=rng.choice(FOLDERS_OF_OLD_MAIL),
        )
        for _ in range(count)
    ]
    return sorted(older, key=lambda message: (message.received_at, message.internet_message_id))


def _within(rng: random.Random, day: int) -> int:
    (hour,) = rng.choices(range(24), _HOUR_WEIGHTS)
    return w.START + day * w.DAY + hour * w.HOUR + rng.randrange(w.HOUR)


def _message(
    rng: random.Random, *, at: int, sender: str, to: tuple[str, ...], author: Person | None, folder: str
) -> Message:
    topic = rng.choice(_TOPICS).format(quarter=f"Q{rng.randint(1, 4)}")
    host = "AM0PR07MB0001.eurprd07.prod.outlook.example" if author else f"mx1.{sender.partition('@')[2]}"
    return Message(
        internet_message_id=f"<{rng.getrandbits(64):016X}.{rng.getrandbits(32):08x}@{host}>",
        network_message_id=w.guid(rng),
        received_at=at,
        sender=sender,
        to=to,
        subject=rng.choice(_FORMS).format(topic=topic),
        size_bytes=rng.randint(2_800, 9_000) * rng.choice((1, 1, 2, 5, 40)),
        author=author,
        folder=folder,
    )
