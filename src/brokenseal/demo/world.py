"""The organisation that the sample tenant is about. It does not exist: every name, domain and address is invented.

Domains end in `.example` (RFC 2606) and addresses come from the documentation ranges (RFC 5737, RFC 3849). The one
exception is `MICROSOFT_EGRESS`, a back-end address as Exchange Online writes it for its own background services.
Times are whole seconds since 1970, UTC.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.simulated import simulated_tenant_id

if TYPE_CHECKING:
    import random

NAME = "Harbour Office (simulated)"
DOMAIN = "harbour-office.example"
ONMICROSOFT = "harbouroffice.onmicrosoft.example"

MINUTE = 60
HOUR = 3600
DAY = 86_400
START = int(dt.datetime(2026, 3, 2, tzinfo=dt.UTC).timestamp())  # a Monday
DAYS = 35
END = START + DAYS * DAY
# Sign-in logs begin two days earlier, because a token may be a day old when it is first seen in use.
SIGN_INS_FROM = START - 2 * DAY
WORKDAYS = 5

OFFICE = ("192.0.2.10", "192.0.2.11")
HOTEL = "198.51.100.201"
CRM_ADDRESS = "198.51.100.90"
MICROSOFT_EGRESS = "2603:10a6:208:3e1::1f"

EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
SHAREPOINT = "00000003-0000-0ff1-ce00-000000000000"
RESOURCE_NAMES = {
    EXCHANGE: "Office 365 Exchange Online",
    GRAPH: "Microsoft Graph",
    SHAREPOINT: "Office 365 SharePoint Online",
}


def guid(rng: random.Random) -> str:
    """A random version 4 GUID."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def iso(at: int) -> str:
    """`2026-03-02T08:15:00`, the form of `CreationTime`: UTC without a zone mark."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment(at: int) -> dt.datetime:
    """The same as an aware time."""
    return dt.datetime.fromtimestamp(at, dt.UTC)


def day_of(at: int) -> int:
    """Days since `START`; 0 is the first Monday."""
    return (at - START) // DAY


def is_workday(day: int) -> bool:
    """Monday to Friday."""
    return day % 7 < WORKDAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a mailbox. `mix` are the shares of reading by desktop, browser and phone."""

    alias: str
    name: str
    role: str
    object_id: str
    puid: str
    sid: str
    mix: tuple[float, float, float]
    home_days: tuple[int, ...]
    office_address: str
    home_address: str
    phone_address: str
    phone: str

    @property
    def upn(self) -> str:
        """User principal name, which is the mail address too."""
        return f"{self.alias}@{DOMAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One mailbox: its owner, or None where it is shared.

    Attributes:
        is_audited: False where MailItemsAccessed was never switched on.
    """

    upn: str
    mailbox_guid: str
    sid: str
    owner: Person | None
    readers: tuple[Person, ...]
    is_audited: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that does not change in the five weeks."""

    tenant_id: str
    people: tuple[Person, ...]
    mailboxes: tuple[Mailbox, ...]

    def person(self, alias: str) -> Person:
        """The person with this alias."""
        return next(person for person in self.people if person.alias == alias)

    def mailbox(self, alias: str) -> Mailbox:
        """The mailbox with this alias."""
        return next(mailbox for mailbox in self.mailboxes if mailbox.upn.startswith(f"{alias}@"))


DIRECTOR = "ada.lindqvist"
DEPUTY = "musa.okafor"
ASSISTANT = "ines.carvalho"
FINANCE = "jonas.weber"
ADMIN = "priya.raman"
PARTNERS = ("lucas.moreau", "hana.sato")
NEW_PHONE = "hana.sato"
NEW_PHONE_DAY = 15
PRESS_OFFICER = "omar.haddad"
TRAVELLER = "sam.whitaker"
TRAVEL_DAYS = range(14, 18)
UNAUDITED = "tiago.silva"
SHARED = "press"

_PEOPLE: tuple[tuple[str, str, str, tuple[float, float, float], tuple[int, ...], str], ...] = (
    (DIRECTOR, "Ada Lindqvist", "Director", (0.6, 0.0, 0.4), (4,), "iOS"),
    (DEPUTY, "Musa Okafor", "Deputy director", (0.65, 0.0, 0.35), (), "iOS"),
    (ASSISTANT, "Ines Carvalho", "Assistant to the director", (0.9, 0.1, 0.0), (), ""),
    (FINANCE, "Jonas Weber", "Finance", (0.0, 0.85, 0.15), (0, 2), "Android"),
    (ADMIN, "Priya Raman", "IT administrator", (0.4, 0.6, 0.0), (1, 3), ""),
    (PARTNERS[0], "Lucas Moreau", "Partnerships", (0.5, 0.0, 0.5), (2,), "iOS"),
    (PARTNERS[1], "Hana Sato", "Partnerships", (0.0, 0.6, 0.4), (4,), "iOS"),
    (PRESS_OFFICER, "Omar Haddad", "Press officer", (0.6, 0.1, 0.3), (), "Android"),
    ("elena.popova", "Elena Popova", "Legal", (1.0, 0.0, 0.0), (0, 1, 2, 3, 4), ""),
    (TRAVELLER, "Sam Whitaker", "Field liaison", (0.5, 0.2, 0.3), (3,), "iOS"),
    (UNAUDITED, "Tiago Silva", "Facilities", (0.2, 0.8, 0.0), (), ""),
)


def build(rng: random.Random) -> World:
    """Eleven people and twelve mailboxes; identifiers depend on the seed, names do not."""
    tenant_id = simulated_tenant_id(guid(rng))
    domain_sid = f"S-1-5-21-{rng.getrandbits(30)}-{rng.getrandbits(30)}-{rng.getrandbits(30)}"
    people = tuple(
        Person(
            alias=alias,
            name=name,
            role=role,
            object_id=guid(rng),
            puid=f"10032001{rng.getrandbits(32):08X}",
            sid=f"{domain_sid}-{1100 + number}",
            mix=mix,
            home_days=home_days,
            office_address=OFFICE[number % len(OFFICE)],
            home_address=f"198.51.100.{20 + number}",
            phone_address=f"2001:db8:40:{number:x}::{rng.getrandbits(16):x}",
            phone=phone,
        )
        for number, (alias, name, role, mix, home_days, phone) in enumerate(_PEOPLE)
    )
    by_alias = {person.alias: person for person in people}
    readers = {DIRECTOR: (by_alias[ASSISTANT],)}
    own = tuple(
        Mailbox(
            upn=person.upn,
            mailbox_guid=guid(rng),
            sid=person.sid,
            owner=person,
            readers=readers.get(person.alias, ()),
            is_audited=person.alias != UNAUDITED,
        )
        for person in people
    )
    shared = Mailbox(
        upn=f"{SHARED}@{DOMAIN}",
        mailbox_guid=guid(rng),
        sid=f"{domain_sid}-{1100 + len(people)}",
        owner=None,
        readers=(by_alias[PRESS_OFFICER], by_alias[ASSISTANT]),
    )
    return World(tenant_id=tenant_id, people=people, mailboxes=(*own, shared))


_MORNING_HOUR = 6
_EVENING_HOUR = 17


def address_of(person: Person, at: int, *, on_phone: bool) -> str:
    """Where the person's traffic comes from at that moment."""
    day, hour = day_of(at), at % DAY // HOUR
    at_home = not is_workday(day) or not _MORNING_HOUR <= hour < _EVENING_HOUR
    if person.alias == TRAVELLER and day in TRAVEL_DAYS:
        return HOTEL
    if on_phone:
        return person.home_address if at_home else person.phone_address
    return person.home_address if at_home or day % 7 in person.home_days else person.office_address
