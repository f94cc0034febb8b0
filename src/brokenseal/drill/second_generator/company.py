"""What a tenant consists of: people of seven habits, their machines, mailboxes, and the applications it uses."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.clients import Agent, Kind
    from brokenseal.drill.second_generator.places import Country, Line, Net, Provider


class Habit(NamedTuple):
    """How one sort of people works with mail.

    Attributes:
        share: Weight among the people of a tenant.
        pause_min: Mean minutes between two looks at the mail within working hours.
        evening: Looks outside working hours, as a share of those within.
        weekend: Looks on days off, likewise.
        writes: Chance to write something in a look.
        from_outside: Mean messages from outside on a working day.
        on_the_road: Share of working days spent neither in the office nor at home.
    """

    name: str
    share: float
    pause_min: float
    evening: float
    weekend: float
    writes: float
    from_outside: float
    on_the_road: float


HABITS: Final = (
    Habit("clerk", 4.0, 32, 0.01, 0.004, 0.35, 9, 0.0),
    Habit("specialist", 4.0, 42, 0.05, 0.02, 0.25, 7, 0.03),
    Habit("manager", 1.6, 25, 0.12, 0.06, 0.5, 16, 0.08),
    Habit("executive", 0.5, 28, 0.2, 0.12, 0.45, 25, 0.2),
    Habit("field", 1.4, 56, 0.05, 0.02, 0.2, 5, 0.6),
    Habit("shift", 1.2, 77, 0.0, 0.5, 0.1, 2, 0.0),
    Habit("seldom", 0.8, 180, 0.02, 0.02, 0.1, 2, 0.05),
)

_ENGLISH = ("Inbox", "Sent Items", "Deleted Items", "Archive", "Drafts")
FOLDER_NAMES: Final = {
    "en": _ENGLISH,
    "fr": ("Boîte de réception", "Éléments envoyés", "Éléments supprimés", "Archive", "Brouillons"),
    "de": ("Posteingang", "Gesendete Elemente", "Gelöschte Elemente", "Archiv", "Entwürfe"),
}
PROJECTS: Final = ("Invoices", "Contracts", "Board", "Clients", "Travel", "Team", "Suppliers", "Reports", "2025", "HR")

INBOX, SENT, DELETED, ARCHIVE, DRAFTS, FIRST_PROJECT = range(6)

FOLDER_LIMIT: Final = 240
"""Messages that a folder keeps; older ones are taken away by the retention policy, which no log shows here."""


@dataclass(slots=True, eq=False)
class Message:
    """One message as it stands in one mailbox."""

    no: int
    internet_id: str
    subject: str
    size: int
    arrived: int
    folder: int
    has_attachment: bool = False
    is_unread: bool = True


@dataclass(slots=True, eq=False)
class Mailbox:
    """A mailbox.

    Attributes:
        owner: Its person; None for a shared mailbox.
        is_audited: Its licence brings mail access records.
        paths: Paths of its folders.
        folders: Its messages by folder, oldest first.
        members: Others who may open it.
    """

    no: int
    guid: str
    upn: str
    sid: str
    name: str
    owner: Person | None
    is_audited: bool
    paths: tuple[str, ...]
    folder_ids: tuple[str, ...]
    folders: list[list[Message]]
    members: list[Person] = field(default_factory=list)
    forward_to: str = ""
    forwarder: object = None

    def unread(self, number: int) -> list[Message]:
        """The newest unread messages of the inbox, newest first."""
        found = []
        for message in reversed(self.folders[INBOX]):
            if message.is_unread:
                found.append(message)
                if len(found) >= number:
                    break
        return found

    def put(self, message: Message, folder: int) -> None:
        """Add a message to a folder; the oldest makes room."""
        message.folder = folder
        held = self.folders[folder]
        held.append(message)
        if len(held) > FOLDER_LIMIT:
            held.pop(0)

    def move(self, message: Message, folder: int) -> bool:
        """Move a message to another folder; False where retention or somebody else was quicker."""
        held = self.folders[message.folder]
        for place in range(len(held) - 1, -1, -1):
            if held[place] is message:
                del held[place]
                self.put(message, folder)
                return True
        return False


class Tag(NamedTuple):
    """To which attack something belongs: for the truth alone."""

    attack_id: str
    instance: int
    stage: str


class Trip(NamedTuple):
    """A journey: from when to when, and through whose network."""

    start: int
    end: int
    provider: Provider


@dataclass(slots=True)
class Token:
    """An access token."""

    id: str
    text: str
    issued: int
    until: int


@dataclass(slots=True, eq=False)
class Seat:
    """A program on a machine, signed in as somebody.

    Attributes:
        source: Where its tokens come from, one of the drill's token sources.
        tag: Attack that it belongs to; None for benign.
        actor_kind: Who sits there, for the truth.
        is_relayed: It comes to Exchange from the service's own addresses.
        hides_address: Exchange sees no address of it but its own.
        is_new: It has no mail yet, and will fetch all of it.
    """

    person: Person
    kind: Kind
    agent: Agent
    device_id: str = ""
    device_name: str = ""
    sid: str = ""
    session_until: int = 0
    token: Token | None = None
    caller: object = None
    source: str = "normal"
    tag: Tag | None = None
    actor_kind: str = "owner"
    is_relayed: bool = False
    hides_address: bool = False
    is_new: bool = False


@dataclass(slots=True, eq=False)
class Person:
    """Somebody with an account."""

    no: int
    name: str
    upn: str
    oid: str
    puid: str
    sid: str
    habit: Habit
    country: Country
    start_h: float
    length_h: float
    days_off: frozenset[int]
    mailbox: Mailbox
    home: Line
    mobile: Provider
    goes_home: float
    uses_vpn: bool
    arrives: int
    leaves: int
    seats: dict[str, Seat] = field(default_factory=dict)
    trips: list[Trip] = field(default_factory=list)
    shared: list[Mailbox] = field(default_factory=list)
    marks: list[tuple[int, int, Tag]] = field(default_factory=list)
    is_admin: bool = False
    last_net: Net | None = None

    def tag_at(self, now: int) -> Tag | None:
        """The control to which this person's own doing is counted now."""
        for start, end, tag in self.marks:
            if start <= now < end:
                return tag
        return None

    def trip_at(self, now: int) -> Trip | None:
        """The journey this person is on."""
        place = bisect.bisect_right(self.trips, now, key=lambda trip: trip.start) - 1
        return self.trips[place] if place >= 0 and now < self.trips[place].end else None


@dataclass(slots=True, eq=False)
class App:
    """A third-party application, or a background service.

    Attributes:
        is_app_only: It reads with rights of its own, not in somebody's name.
        is_archive: It reads whatever it may.
        every_min: Mean minutes between its looks at a mailbox.
        reads: Share of the new messages that it opens.
        workers: Addresses that it reads from at the same time.
    """

    app_id: str
    name: str
    sp_oid: str
    kind: Kind
    provider: Provider
    agent: str
    scope: str
    is_app_only: bool = False
    is_archive: bool = False
    every_min: float = 60.0
    reads: float = 0.6
    workers: int = 1
    nets: list[Net] = field(default_factory=list)
    token: Token | None = None
    reads_since: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Company:
    """One tenant."""

    no: int
    tenant_id: str
    name: str
    domain: str
    sid_prefix: str
    country: Country
    start: int
    end: int
    people: list[Person]
    mailboxes: list[Mailbox]
    office: list[Line]
    vpn: Line | None
    apps: list[App]
    parameters: dict[str, object]
    unlogged: tuple[str, ...] = ()

    @property
    def shared(self) -> list[Mailbox]:
        """The mailboxes that are nobody's own."""
        return [mailbox for mailbox in self.mailboxes if mailbox.owner is None]

    @property
    def admins(self) -> list[Person]:
        """The administrators, at least one."""
        return [person for person in self.people if person.is_admin]
