"""Mail on its way: what people of the tenant write to each other really arrives there, and the rest comes from outside.

Outside mail comes as letters of single senders, as answers to what was written, and as circulars that many get at once.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import places
from brokenseal.drill.second_generator.clock import HOUR, SECOND
from brokenseal.drill.second_generator.company import INBOX, SENT, Message
from brokenseal.drill.second_generator.outbox import trace_row
from brokenseal.drill.second_generator.sign_in_lines import instant_text, whole_millisecond

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from brokenseal.drill.second_generator.clock import Clock
    from brokenseal.drill.second_generator.company import Company, Mailbox, Tag
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.outbox import Outbox
    from brokenseal.drill.second_generator.places import World

_TOPICS: Final = (
    "Offer", "Minutes", "Delivery", "Contract", "Holiday list", "Budget", "Meeting on Thursday", "Question", "Invoice",
    "Reminder", "Draft", "Figures", "Complaint", "Interview", "Visit", "Training", "Order", "Plan", "Thanks", "Status",
)  # fmt: skip
_DOMAINS: Final = ("northwind", "larkspur", "tidewater", "oakfield", "redstone", "millbrook", "ashgrove", "lakeside")
_ANSWERED: Final = 0.35
_FILTERED: Final = 0.04
_CIRCULAR_SHARE: Final = 0.4


class Post:
    """The mail flow of one tenant."""

    def __init__(self, tenant: Company, dice: Dice, world: World, clock: Clock, outbox: Outbox) -> None:
        self._tenant = tenant
        self._dice = dice
        self._clock = clock
        self._outbox = outbox
        self._next = 0
        self._hosts = [places.connect(dice.pick(world.clouds), dice).address for _ in range(40)]
        self._correspondents = [
            f"{dice.pick('abcdefghklmnoprstw')}.{dice.hexadecimal(5).lower()}@{dice.pick(_DOMAINS)}{dice.below(60)}.example"
            for _ in range(60 + 4 * len(tenant.people))
        ]
        self._lists = [f"news@{domain}{dice.below(90)}.example" for domain in _DOMAINS]
        self._by_upn = {mailbox.upn: mailbox for mailbox in tenant.mailboxes}
        self.arrived: Callable[[Mailbox, Message], None] = lambda _mailbox, _message: None

    def letter(self, mailbox: Mailbox) -> None:
        """A message from outside comes to one mailbox."""
        dice = self._dice
        # Few people write often: the place in the list is squeezed towards its beginning.
        sender = self._correspondents[int(len(self._correspondents) * dice.unit() ** 2)]
        if dice.chance(_FILTERED):
            self._trace(
                self._message_id(sender), dice.pick(_TOPICS), sender, mailbox.upn, 9_000, status="FilteredAsSpam"
            )
            return
        self._deliver(mailbox, self._compose(sender), sender)

    def circular(self) -> None:
        """A circular comes to many people at once."""
        dice = self._dice
        sender = dice.pick(self._lists)
        message = self._compose(sender)
        for person in self._tenant.people:
            if dice.chance(_CIRCULAR_SHARE):
                self._deliver(person.mailbox, message, sender)

    def write(self, mailbox: Mailbox, *, answer: Message | None = None) -> Message:
        """Somebody writes from this mailbox; returns the message as it stands among the sent ones.

        It arrives with people of the tenant some seconds later, and an answer from outside may follow.
        """
        dice = self._dice
        message = self._compose(mailbox.upn, subject=f"Re: {answer.subject.removeprefix('Re: ')}" if answer else None)
        recipients = self._recipients(mailbox)
        for recipient in recipients:
            inside = self._by_upn.get(recipient)
            if inside is not None:
                delay = int(dice.between(2, 25) * SECOND)
                self._clock.call(self._clock.now + delay, _later(self._deliver, inside, message, mailbox.upn))
                continue
            self._trace(message.internet_id, message.subject, mailbox.upn, recipient, message.size)
            if dice.chance(_ANSWERED):
                delay = int(dice.about(2.5, 1.2) * HOUR)
                reply = self._compose(recipient, subject=f"Re: {message.subject.removeprefix('Re: ')}")
                self._clock.call(self._clock.now + delay, _later(self._deliver, mailbox, reply, recipient))
        mailbox.put(message, SENT)
        message.is_unread = False
        return message

    def backlog(self, mailbox: Mailbox, number: int, folder: int) -> None:
        """Messages that lay there before the drill began."""
        dice = self._dice
        times = sorted(int(dice.wait(25) * 24 * HOUR) for _ in range(number))
        for age in reversed(times):
            message = self._compose(dice.pick(self._correspondents))
            message.arrived, message.is_unread = self._tenant.start - age, False
            mailbox.put(message, folder)

    def _recipients(self, mailbox: Mailbox) -> Sequence[str]:
        dice = self._dice
        number = dice.weighted(((1, 6.0), (2, 2.0), (4, 1.0), (9, 0.2)))
        chosen = []
        for _ in range(number):
            if dice.chance(0.6):
                chosen.append(dice.pick(self._tenant.people).upn)
            else:
                chosen.append(self._correspondents[int(len(self._correspondents) * dice.unit() ** 2)])
        return [recipient for recipient in dict.fromkeys(chosen) if recipient != mailbox.upn]

    def _message_id(self, sender: str) -> str:
        dice, domain = self._dice, sender.partition("@")[2]
        kind = dice.below(3)
        if kind == 0 or sender in self._by_upn:
            forest = dice.pick(("AM0PR", "DB9PR", "BN8PR"))
            return f"<{forest}{dice.hexadecimal(26)}@{dice.hexadecimal(8)}.prod.outlook.example>"
        if kind == 1:
            return f"<CA{base64.urlsafe_b64encode(dice.raw(30)).decode()}@mail.{domain}>"
        return f"<{self._clock.now // SECOND}.{dice.below(10**9)}.{dice.below(10**6)}@{domain}>"

    def _compose(self, sender: str, *, subject: str | None = None) -> Message:
        dice = self._dice
        self._next += 1
        return Message(
            no=self._next,
            internet_id=self._message_id(sender),
            subject=subject or f"{dice.pick(_TOPICS)} {dice.below(500)}",
            size=int(min(dice.about(18_000, 1.3), 25_000_000)) + 1500,
            arrived=self._clock.now,
            folder=INBOX,
            has_attachment=dice.chance(0.22),
        )

    def _deliver(self, mailbox: Mailbox, message: Message, sender: str) -> None:
        self._next += 1
        own = Message(
            no=self._next,
            internet_id=message.internet_id,
            subject=message.subject,
            size=message.size,
            arrived=self._clock.now,
            folder=INBOX,
            has_attachment=message.has_attachment,
        )
        mailbox.put(own, INBOX)
        self._trace(message.internet_id, message.subject, sender, mailbox.upn, message.size)
        if mailbox.forward_to:
            self.forward(mailbox, own)
        self.arrived(mailbox, own)

    def forward(self, mailbox: Mailbox, message: Message) -> None:
        """The message goes on to where the mailbox forwards to."""
        tag, kind = mailbox.forwarder if isinstance(mailbox.forwarder, tuple) else (None, "owner")
        inside = self._by_upn.get(mailbox.forward_to)
        if inside is not None and not inside.forward_to:
            self._clock.call(self._clock.now + 3 * SECOND, _later(self._deliver, inside, message, mailbox.upn))
        else:
            self._trace(
                message.internet_id, message.subject, mailbox.upn, mailbox.forward_to, message.size, tag=tag, kind=kind
            )

    def _trace(
        self,
        message_id: str,
        subject: str,
        sender: str,
        recipient: str,
        size: int,
        *,
        status: str = "Delivered",
        tag: Tag | None = None,
        kind: str = "",
    ) -> None:
        at, dice = whole_millisecond(self._clock.now), self._dice
        trace_id = dice.guid()
        is_own, stays = sender in self._by_upn, recipient in self._by_upn
        from_ip = "" if is_own else dice.pick(self._hosts)
        to_ip = "" if stays else dice.pick(self._hosts)
        row = (instant_text(at), sender, recipient, subject, status, to_ip, from_ip, str(size), message_id, trace_id)
        self._outbox.put(
            "message_trace",
            f"trace:{trace_id}:{recipient}",
            at,
            trace_row(row),
            actor=sender,
            actor_kind=kind or ("owner" if is_own else "outsider"),
            tag=tag,
        )


def _later(
    deliver: Callable[[Mailbox, Message, str], None], mailbox: Mailbox, message: Message, sender: str
) -> Callable[[], None]:
    return lambda: deliver(mailbox, message, sender)
