"""The simulated tenant behind the provider: a few people, their mailboxes and the applications that they use.

Domains are reserved names, addresses are reserved for documentation, and the tenant id carries the mark of simulated
tenants.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.simulated import simulated_tenant_id

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN: Final = "wharfside.example"
EXCHANGE: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH: Final = "00000003-0000-0000-c000-000000000000"
RESOURCES: Final = {EXCHANGE: "Office 365 Exchange Online", GRAPH: "Microsoft Graph"}

_PEOPLE = (
    ("amara.okoye", "Amara Okoye"),
    ("bruno.lindt", "Bruno Lindt"),
    ("carla.venn", "Carla Venn"),
    ("dmitri.hale", "Dmitri Hale"),
)
_TOPICS = ("Berth plan", "Crane inspection", "Tender draft", "Customs query", "Payroll", "Board papers", "Harbour dues")
_WORDS = ("for review", "second version", "questions", "before Friday", "figures", "minutes", "follow-up")
_FOLDERS = ("\\Inbox", "\\Inbox", "\\Inbox", "\\Inbox\\Board")
_MESSAGES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A client application; one with a secret signs in by itself."""

    app_id: str
    name: str
    secret: str | None = None
    object_id: str | None = None


OWA = App(app_id="9199bf20-a13f-4107-85dc-02114787ef48", name="One Outlook Web")
PHONE = App(app_id="27922004-5251-4030-b22d-91ecd9a37ea4", name="Outlook Mobile")
ADD_IN = App(app_id="bc59ab01-8403-45c6-8796-ac3ef710b3e3", name="Outlook Online Add-in App")
SYNC = App(app_id="ab9b8c07-8f02-4f72-87fa-80105867a763", name="OneDrive SyncEngine")
ARCHIVE = App(
    app_id="6d1f3a52-74b0-4c1e-9d0e-2f5f6f0f8a11",
    name="Wharfside Archive",
    secret="simulated-secret",  # noqa: S106  the tenant is simulated, and so is its secret
    object_id="0e7c5d3e-5a0b-4c56-8f4f-6a1d9b0c7e22",
)
APPS: Final = {app.app_id: app for app in (OWA, PHONE, ADD_IN, SYNC, ARCHIVE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person with a mailbox."""

    name: str
    upn: str
    password: str
    object_id: str
    puid: str
    sid: str
    mailbox_guid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message in a mailbox."""

    item_id: str
    internet_message_id: str
    subject: str
    body: str
    sender: str
    folder: str
    received_at: dt.datetime

    @property
    def size_bytes(self) -> int:
        """Size as the audit log gives it."""
        return len(self.subject) + len(self.body) + 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The simulated tenant; `mail` is by UPN, newest message first."""

    tenant_id: str
    people: tuple[Person, ...]
    mail: Mapping[str, tuple[Message, ...]]

    def person(self, *, upn: str | None = None, object_id: str | None = None) -> Person | None:
        """The person of that UPN or object id."""
        return next((each for each in self.people if object_id == each.object_id or upn == each.upn), None)


def drawn_guid(rng: random.Random) -> str:
    """A version 4 GUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def drawn_request_id(rng: random.Random) -> str:
    """A request id of Entra's form: a version 4 GUID whose last byte is zero."""
    return str(uuid.UUID(int=uuid.UUID(int=rng.getrandbits(128), version=4).int & ~0xFF))


def token_text(request_id: str) -> str:
    """The `uti` of the token that a request was answered with: its id's 16 bytes, little-endian, in base64url."""
    return base64.urlsafe_b64encode(uuid.UUID(request_id).bytes_le).decode().rstrip("=")


def make_tenant(seed: int, *, until: dt.datetime) -> Tenant:
    """The tenant with its mail; equal seeds give equal tenants.

    Args:
        seed: What everything is drawn from.
        until: When the newest message was received.
    """
    rng = random.Random(f"tenant {seed}")  # noqa: S311  simulated people need no secrecy
    people = tuple(_person(rng, alias, name) for alias, name in _PEOPLE)
    return Tenant(
        tenant_id=simulated_tenant_id(drawn_guid(rng)),
        people=people,
        mail={person.upn: tuple(_messages(rng, person, people, until)) for person in people},
    )


def _person(rng: random.Random, alias: str, name: str) -> Person:
    numbers = "-".join(str(rng.randrange(10**8, 10**10)) for _ in range(3))
    return Person(
        name=name,
        upn=f"{alias}@{DOMAIN}",
        password=f"simulated-{alias}",
        object_id=drawn_guid(rng),
        puid=f"1003200{rng.getrandbits(36):09X}",
        sid=f"S-1-5-21-{numbers}-{rng.randrange(1000, 99999)}",
        mailbox_guid=drawn_guid(rng),
    )


def _messages(rng: random.Random, person: Person, people: tuple[Person, ...], until: dt.datetime) -> list[Message]:
    found = []
    at = until
    for number in range(_MESSAGES):
        at -= dt.timedelta(minutes=rng.randint(40, 900))
        sender = rng.choice([other for other in people if other is not person])
        internet_message_id = f"<{drawn_guid(rng).upper()}@{DOMAIN}>"
        found.append(
            Message(
                item_id=_item_id(internet_message_id),
                internet_message_id=internet_message_id,
                subject=f"{rng.choice(_TOPICS)}: {rng.choice(_WORDS)} ({_MESSAGES - number})",
                body=f"Simulated message {_MESSAGES - number} for {person.name}.",
                sender=sender.upn,
                folder=rng.choice(_FOLDERS),
                received_at=at,
            )
        )
    return found


def _item_id(text: str) -> str:
    """An Exchange item id: opaque, safe in a URL, and the same for the same message."""
    return "RgAAAA" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
