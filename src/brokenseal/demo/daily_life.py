"""Five weeks of honest work in the sample tenant: who reads, sends and deletes what, with which client, from where."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from brokenseal.demo import world as w
from brokenseal.demo.exchange import Access
from brokenseal.demo.identity import ADD_IN, CRM, DESKTOP, OWA, PHONES, SUBSTRATE, TEAMS, Client
from brokenseal.demo.mail import BOARD, INBOX, SENT

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from brokenseal.demo.mail import Mail, Message
    from brokenseal.demo.world import Mailbox, Person, World

_OPENS, _CLOSES = 7, 17
_WAKES, _SLEEPS = 6, 22
_READ_SHARE = 0.8
_SECOND_LOOK_SHARE = 0.2
_DELETE_SHARE = 0.04
_DELEGATE_SHARE = {w.ASSISTANT: 0.3, w.PRESS_OFFICER: 0.85}
_SUBSTRATE_SHARE, _TEAMS_SHARE = 0.08, 0.03
_DESKTOP, _OWA, _PHONE = range(3)
_ADD_IN_SHARE = 0.12
# Office desktop clients ask for tokens for other services too; no mail record belongs to them.
_OFFICE_FILES = replace(DESKTOP, name="office_files", resource_id=w.SHAREPOINT)


class DailyLife:
    """Plans the accesses of everybody."""

    def __init__(self, rng: random.Random, world: World, mail: Mail) -> None:
        self._rng = rng
        self._world = world
        self._mail = mail
        self._order = itertools.count()
        self._clients: dict[tuple[str, str], Client] = {}

    def accesses(self) -> Iterator[Access]:
        """All of it, in no particular order."""
        for mailbox in self._world.mailboxes:
            for message in self._mail.inboxes[mailbox.upn]:
                if message.received_at >= w.START:
                    yield from self._arrival(mailbox, message)
        for message in self._mail.messages:
            if message.author:
                yield self._send(message, message.author)
        for person in self._world.people:
            for day in range(-2, w.DAYS):
                yield from self._routine(person, day)
        yield from self._crm()

    def client(self, person: Person, way: int, at: int) -> Client:
        """The person's client of that kind; one of them gets a new phone on the way."""
        phone = "Android" if person.alias == w.NEW_PHONE and w.day_of(at) >= w.NEW_PHONE_DAY else person.phone
        kind = (DESKTOP, OWA, PHONES.get(phone, OWA))[way]
        key = (person.alias, kind.name)
        if key not in self._clients:
            self._clients[key] = Client(kind=kind, person=person, device_id=w.guid(self._rng))
        return self._clients[key]

    def _access(self, at: int, action: str, person: Person, way: int, **what: object) -> Access:
        address = w.address_of(person, at, on_phone=way == _PHONE)
        return Access(at, next(self._order), action, self.client(person, way, at), address, **what)  # type: ignore[arg-type]

    def _arrival(self, mailbox: Mailbox, message: Message) -> Iterator[Access]:
        rng = self._rng
        readers = [(mailbox.owner, _READ_SHARE)] if mailbox.owner else []
        readers += [(person, _DELEGATE_SHARE[person.alias]) for person in mailbox.readers]
        for person, share in readers:
            assert person is not None
            if rng.random() >= share:
                continue
            (way,) = rng.choices((_DESKTOP, _OWA, _PHONE), person.mix)
            if person is not mailbox.owner:
                way = _DESKTOP
            at = self._attention(message.received_at, way)
            if at >= w.END:
                continue
            what = {"mailbox": mailbox, "folder": message.folder, "message": message}
            yield self._access(at, "read", person, way, **what)
            if way == _OWA and rng.random() < _ADD_IN_SHARE:
                # An add-in opens the message once more, with a token that OWA made for it.
                owa = self.client(person, _OWA, at)
                address = w.address_of(person, at, on_phone=False)
                add_in = replace(owa, kind=ADD_IN, session_key=f"{OWA.name}/{owa.device_id}")
                yield Access(at + 9, next(self._order), "read", add_in, address, mailbox, message.folder, message)
            if way == _PHONE and rng.random() < _SECOND_LOOK_SHARE:
                again = self._attention(at + w.HOUR, _DESKTOP if person.mix[_DESKTOP] else _OWA)
                if again < w.END:
                    yield self._access(again, "read", person, _DESKTOP if person.mix[_DESKTOP] else _OWA, **what)
            elif person is mailbox.owner and rng.random() < _DELETE_SHARE:
                yield self._access(min(at + 40, w.END - 1), "delete", person, way, **what)
        yield from self._background(mailbox, message)

    def _background(self, mailbox: Mailbox, message: Message) -> Iterator[Access]:
        for kind, share in ((SUBSTRATE, _SUBSTRATE_SHARE), (TEAMS, _TEAMS_SHARE)):
            at = message.received_at + self._rng.randint(3, 60)
            if mailbox.owner and self._rng.random() < share and at < w.END:
                client = Client(kind=kind, person=mailbox.owner)
                address = w.MICROSOFT_EGRESS
                yield Access(at, next(self._order), "read", client, address, mailbox, message.folder, message)

    def _attention(self, received_at: int, way: int) -> int:
        """When somebody looks at it: on the phone soon and late, at the desk in office hours."""
        rng = self._rng
        if way == _PHONE:
            return _next_hour(received_at + rng.randint(2, 90) * w.MINUTE, _WAKES, _SLEEPS, rng.randint(0, w.HOUR))
        at = received_at + rng.randint(60, 150 * w.MINUTE)
        settled = _next_hour(at, _OPENS, _CLOSES, rng.randint(0, 2 * w.HOUR))
        while not w.is_workday(w.day_of(settled)):
            settled += w.DAY
        return settled

    def _send(self, message: Message, person: Person) -> Access:
        way = _DESKTOP if person.mix[_DESKTOP] >= person.mix[_OWA] else _OWA
        mailbox = next(mailbox for mailbox in self._world.mailboxes if mailbox.owner is person)
        return self._access(message.received_at, "send", person, way, mailbox=mailbox, folder=SENT, message=message)

    def _routine(self, person: Person, day: int) -> Iterator[Access]:
        """Clients that ask for mail and tokens by themselves while they are open."""
        rng = self._rng
        midnight = w.START + day * w.DAY
        if person.mix[_PHONE]:
            # A phone refreshes its token day and night, so that a sign-in log has no silent hours.
            at = midnight + rng.randint(0, w.HOUR)
            while at < midnight + w.DAY:
                yield self._access(at, "poll", person, _PHONE)
                at += rng.randint(50, 110) * w.MINUTE
        if not w.is_workday(day):
            return
        opens = midnight + _OPENS * w.HOUR
        mailbox = next(mailbox for mailbox in self._world.mailboxes if mailbox.owner is person)
        if person.mix[_OWA] > person.mix[_DESKTOP]:
            for at in range(opens + rng.randint(0, 40) * w.MINUTE, midnight + _CLOSES * w.HOUR, 65 * w.MINUTE):
                yield self._access(at, "poll", person, _OWA)
        if not person.mix[_DESKTOP]:
            return
        for number, at in enumerate(range(opens + rng.randint(0, 50) * w.MINUTE, opens + 9 * w.HOUR, 160 * w.MINUTE)):
            folder = BOARD if person.alias == w.DIRECTOR and number == 1 else INBOX
            action = "sync" if day >= 0 else "poll"
            yield self._access(at, action, person, _DESKTOP, mailbox=mailbox, folder=folder)
            if number % 2 == 0:
                client = replace(self.client(person, _DESKTOP, at), kind=_OFFICE_FILES)
                address = w.address_of(person, at, on_phone=False)
                yield Access(at + 30, next(self._order), "poll", client, address)

    def _crm(self) -> Iterator[Access]:
        """An application that the partnership team uses: it reads their new mail every hour, in its own name."""
        client = Client(kind=CRM, person=None, session_key="cedar")
        for hour in range(-24, w.DAYS * 24):
            at = w.START + hour * w.HOUR + 7 + self._rng.randint(0, 20)
            yield Access(at, next(self._order), "poll", client, w.CRM_ADDRESS)
        for alias in w.PARTNERS:
            mailbox = self._world.mailbox(alias)
            for message in self._mail.inboxes[mailbox.upn]:
                at = (message.received_at // w.HOUR + 1) * w.HOUR + 30 + self._rng.randint(0, 45)
                if message.received_at >= w.START and at < w.END:
                    address = w.CRM_ADDRESS
                    yield Access(at, next(self._order), "read", client, address, mailbox, message.folder, message)


def _next_hour(at: int, first: int, last: int, late: int) -> int:
    """The same moment if it lies between the hours, else `late` seconds after the next opening."""
    midnight, hour = at - at % w.DAY, at % w.DAY // w.HOUR
    if hour < first:
        return midnight + first * w.HOUR + late
    if hour >= last:
        return midnight + w.DAY + first * w.HOUR + late
    return at
