"""The story that the sample tenant hides. It never happened; its pattern is that of 2023.

For two weeks somebody reads the mail of the director and the deputy with forged tokens, low and slow, then takes the
deputy's mailbox in one night. Apart from that, an application that a colleague consented to reads his mail, and a
password spray fails.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.demo import world as w
from brokenseal.demo.exchange import Access
from brokenseal.demo.identity import (
    ARCHIVER,
    DESKTOP,
    FORGED_OWA,
    FORGED_REST,
    Client,
    ClientKind,
    SignIn,
    request_id,
)
from brokenseal.demo.mail import BOARD

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from brokenseal.demo.mail import Mail, Message
    from brokenseal.demo.world import World

ADDRESS = "203.0.113.58"
EXITS = (ADDRESS, *(f"203.0.113.{number}" for number in range(59, 64)))
APP_ADDRESS = "203.0.113.140"
SPRAY_ADDRESS = "203.0.113.200"
VICTIMS = (w.DIRECTOR, w.DEPUTY)
FIRST_DAY, LAST_DAY = 21, 32  # Monday of the fourth week to Friday of the fifth
RULE_DAY = 22
SYNC_AT = w.START + 30 * w.DAY + 3 * w.HOUR + 10 * w.MINUTE
BULK_DAY = 31
CONSENT_AT = w.START + 17 * w.DAY + 10 * w.HOUR + 12 * w.MINUTE
SPRAY_DAY = 9
_SESSION = "forged"
_BULK_FROM, _BULK_UNTIL = 20 * w.MINUTE, 9 * w.HOUR
_GUESSED = ("admin", "info", "test", "scanner", "helpdesk", "hr")
_SPRAY_ROUNDS = 2
_PASSWORD_WRONG, _NO_SUCH_USER = 50126, 50034
SPRAYER = ClientKind(
    name="sprayer",
    app_id=w.EXCHANGE,
    app_name="Office 365 Exchange Online",
    api_id="",
    client_app_id="",
    info="",
    user_agent="BAV2ROPC",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the intruders will do: accesses for the one emitter, failed sign-ins, and the moment of the rule."""

    accesses: tuple[Access, ...]
    failures: tuple[SignIn, ...]
    rule_at: int


class Intruder:
    """Plans the espionage. It knows what stands in a mailbox only by looking at it."""

    def __init__(self, rng: random.Random, world: World, mail: Mail) -> None:
        self._rng = rng
        self._world = world
        self._mail = mail
        # Far above the numbers of daily life, so that planning one does not reorder the other.
        self._order = itertools.count(10_000_000)
        self._taken: set[tuple[str, str]] = set()

    def plan(self) -> Plan:
        """Everything, in no particular order."""
        accesses: list[Access] = []
        rule_at = 0
        for day in range(FIRST_DAY, LAST_DAY + 1):
            if not w.is_workday(day):
                continue
            for alias in VICTIMS:
                if (alias, day) == (w.DEPUTY, BULK_DAY):
                    accesses.extend(self._bulk())
                    continue
                visit = list(self._visit(alias, day))
                accesses.extend(visit)
                if (alias, day) == (w.DIRECTOR, RULE_DAY):
                    rule_at = visit[-1].at + 95
        director = self._world.mailbox(w.DIRECTOR)
        accesses.append(
            Access(SYNC_AT, next(self._order), "sync", self._client(w.DIRECTOR, DESKTOP), ADDRESS, director, BOARD)
        )
        accesses.extend(self._application())
        return Plan(accesses=tuple(accesses), failures=tuple(self._spray()), rule_at=rule_at)

    def _client(self, alias: str, kind: ClientKind) -> Client:
        return Client(kind=kind, person=self._world.person(alias), session_key=_SESSION, is_forged=True)

    def _read(self, alias: str, kind: ClientKind, at: int, message: Message, address: str = ADDRESS) -> Access:
        mailbox = self._world.mailbox(alias)
        self._taken.add((mailbox.upn, message.internet_message_id))
        client = self._client(alias, kind)
        return Access(at, next(self._order), "read", client, address, mailbox, message.folder, message)

    def _untaken(self, alias: str, at: int) -> list[Message]:
        mailbox = self._world.mailbox(alias)
        standing = self._mail.standing(mailbox, at)
        return [message for message in standing if (mailbox.upn, message.internet_message_id) not in self._taken]

    def _visit(self, alias: str, day: int) -> Iterator[Access]:
        """One visit a day: the newest messages in the browser, then a few older ones by script."""
        rng = self._rng
        at = w.START + day * w.DAY + rng.randint(30 * w.MINUTE, 6 * w.HOUR)
        untaken = self._untaken(alias, at)
        newest = untaken[-rng.randint(3, 7) :]
        older = rng.sample(untaken[: -len(newest)], rng.randint(2, 6))
        for kind, messages, pace in ((FORGED_OWA, newest, (25, 95)), (FORGED_REST, older, (2, 20))):
            for message in messages:
                yield self._read(alias, kind, at, message)
                at += rng.randint(*pace)
            at += rng.randint(120, 600)

    def _bulk(self) -> Iterator[Access]:
        """The last night but one: a script takes the deputy's mailbox through six exits, each message through two."""
        rng = self._rng
        midnight = w.START + BULK_DAY * w.DAY
        at = midnight + _BULK_FROM
        queue = iter(self._untaken(w.DEPUTY, at)[::-1])
        pair = itertools.cycle((EXITS[:2], EXITS[2:4], EXITS[4:]))
        for message, exits in zip(queue, pair, strict=False):
            if at >= midnight + _BULK_UNTIL:
                return
            for number, address in enumerate(exits):
                yield self._read(w.DEPUTY, FORGED_REST, at + number * rng.randint(1, 4), message, address)
            at += rng.randint(15, 45)

    def _application(self) -> Iterator[Access]:
        """The consented application: a first sweep, then all new mail every two hours, with tokens duly issued."""
        person = self._world.person(w.FINANCE)
        mailbox = self._world.mailbox(w.FINANCE)
        client = Client(kind=ARCHIVER, person=person, session_key="archiver")
        yield Access(
            CONSENT_AT - 8, next(self._order), "poll", client, w.address_of(person, CONSENT_AT, on_phone=False)
        )
        at = CONSENT_AT + 4 * w.MINUTE
        read = set()
        while at < w.END:
            for message in self._mail.standing(mailbox, at)[-60:]:
                if message.internet_message_id in read:
                    continue
                read.add(message.internet_message_id)
                yield Access(at, next(self._order), "read", client, APP_ADDRESS, mailbox, message.folder, message)
                at += self._rng.randint(1, 6)
            at += 2 * w.HOUR

    def _spray(self) -> Iterator[SignIn]:
        """Two rounds over all accounts and some guessed names; none succeeds."""
        at = w.START + SPRAY_DAY * w.DAY + 2 * w.HOUR + 10 * w.MINUTE
        known = {person.upn: person for person in self._world.people}
        names = (*known, *(f"{name}@{w.DOMAIN}" for name in _GUESSED))
        for _ in range(_SPRAY_ROUNDS):
            for name in names:
                person = known.get(name)
                at += self._rng.randint(15, 60)
                yield SignIn(
                    at=at,
                    category="interactive",
                    request_id=request_id(self._rng),
                    correlation_id=w.guid(self._rng),
                    session_id="",
                    client=Client(kind=SPRAYER, person=person),
                    user_name=name,
                    user_id=person.object_id if person else "00000000-0000-0000-0000-000000000000",
                    resource_id=w.EXCHANGE,
                    address=SPRAY_ADDRESS,
                    error=_PASSWORD_WRONG if person else _NO_SUCH_USER,
                )
            at += 25 * w.MINUTE
