"""What stands in every mailbox at every time, without writing it down: messages are numbered, and found by number.

A message's number says mailbox, day and place in the day, and everything else about it is drawn from that number. So
500 days of mail before the drill cost one small matrix of counts, and a message looks the same from every day.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import _service_ids, calendar, internet, streams, tables
from brokenseal.drill.tables import DAY_US, FOLDER, ROWS_PER_DAY, build

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]

HISTORY_DAYS: Final = 500
"""Days of mail before the epoch; younger mailboxes have less."""
SLOTS: Final = 4096
"""Numbers set aside per mailbox and day."""
SENT: Final = 2048
"""First of a day's numbers for messages in Sent Items that were there already; `SENT_TODAY` for those of the drill."""
SENT_TODAY: Final = 3072
_COPY_SHIFT: Final = 44
"""Bit of a message's number from which on it tells, plus one, whose message sent in the drill it is a copy of."""
_LOW_BITS: Final = np.int64((1 << _COPY_SHIFT) - 1)
SENT_SHARE: Final = 0.25
"""Messages sent, as a share of those received."""

FOLDER_KINDS: Final = (
    "inbox",
    "sent",
    "deleted",
    "drafts",
    "junk",
    "archive",
    "rss",
    "conversation_history",
    "calendar",
    "user",
)
INBOX, SENT_ITEMS, DELETED, DRAFTS, JUNK, ARCHIVE, RSS, CONVERSATIONS, CALENDAR, FIRST_USER = range(10)
FOLDERS_PER_MAILBOX: Final = 16
_USER_FOLDERS: Final = 5
_NAMES: Final = (
    "Inbox|Sent Items|Deleted Items|Drafts|Junk Email|Archive|RSS Feeds|Conversation History|Calendar",
    (
        "Boîte de réception|Éléments envoyés|Éléments supprimés|Brouillons|Courrier indésirable|Archive|Flux RSS|"
        "Historique des conversations|Calendrier"
    ),
    (
        "Posteingang|Gesendete Elemente|Gelöschte Elemente|Entwürfe|Junk-E-Mail|Archiv|RSS-Feeds|"
        "Aufgezeichnete Unterhaltungen|Kalender"
    ),
    (
        "Bandeja de entrada|Elementos enviados|Elementos eliminados|Borradores|Correo no deseado|Archivar|Fuentes RSS|"
        "Historial de conversaciones|Calendario"
    ),
)
_USER_NAMES: Final = (
    "Projects|Travel|Invoices|Team|Customers|Personal|Newsletters|Reports",
    "Projets|Voyages|Factures|Équipe|Clients|Personnel|Lettres|Rapports",
    "Projekte|Reisen|Rechnungen|Team|Kunden|Privat|Newsletter|Berichte",
    "Proyectos|Viajes|Facturas|Equipo|Clientes|Personal|Boletines|Informes",
)
KIND_OF_PATH: Final = {
    f"\\{name}": kind for names in _NAMES for kind, name in zip(FOLDER_KINDS, names.split("|"), strict=False)
}
"""Kind of each well-known folder by its path in every language of the drill."""
# Counters of the well-known folders, as entry ids show them; others count on from 0x11E.
_COUNTERS: Final = (0x10C, 0x109, 0x10A, 0x10F, 0x119, 0x11C, 0x132, 0x137, 0x10D)
_FIRST_COUNTER: Final = 0x1_4E00

# Mail by local hour: a working day, with a tail from other time zones.
_HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 13, 10, 13, 15, 14, 12, 9, 6, 4, 3, 3, 2, 1)
_WEEKEND: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mail:
    """All mail of one tenant.

    Attributes:
        tenant: Whose.
        first_day: First day of `counts`.
        counts: Messages received, by mailbox and day since `first_day`.
        total: Running total of `counts`, mailbox after mailbox; one more than messages.
        offset: Row of `clocks` of each mailbox.
        clocks: Share of a day's mail that came by each full hour UTC, shape (zones, 25).
        user_folders: Folders that the owner made, by mailbox.
        folders: FOLDER, sorted by folder_no, which is `mailbox_no * FOLDERS_PER_MAILBOX + place`.
        folder_counter: Entry id counter of each folder.
        department: Of each mailbox.
        key: Key for everything drawn per message.
    """

    tenant: Tenant
    first_day: int
    counts: npt.NDArray[np.int16]
    total: Ints
    offset: npt.NDArray[np.int8]
    clocks: npt.NDArray[np.float64]
    user_folders: npt.NDArray[np.int8]
    folders: pa.Table
    folder_counter: Ints
    department: npt.NDArray[np.int32]
    key: int

    @property
    def days(self) -> int:
        """Number of days."""
        return int(self.counts.shape[1])

    def received(self, day: int) -> Ints:
        """Numbers of the messages that all mailboxes receive on a day, by mailbox and time."""
        counts = self.counts[:, day - self.first_day].astype(np.int64)
        mailbox, place = streams.spread(counts)
        numbered: Ints = tables.row_number(day, mailbox * SLOTS + place)
        return numbered

    def starts(self, mailbox: npt.NDArray[Any]) -> Ints:
        """Messages of all mailboxes before this one: position 0 of its mail."""
        starts: Ints = self.total[mailbox.astype(np.int64) * self.days]
        return starts

    def sizes(self, mailbox: npt.NDArray[Any], at: Ints) -> Ints:
        """Messages that a mailbox has received by a time: positions below it stand there, oldest first."""
        day, within = np.divmod(at - self.tenant.epoch_us, DAY_US)
        column = np.clip(day - self.first_day, 0, self.days - 1)
        count = self.counts[mailbox, column].astype(np.int64)
        expected = self._share(mailbox, within) * count
        whole = np.minimum(expected.astype(np.int64), np.maximum(count - 1, 0))
        is_there = self._jitter(mailbox, day, whole) <= expected - whole
        today = np.where(count > 0, whole + is_there, 0)
        sizes: Ints = self.total[mailbox.astype(np.int64) * self.days + column] - self.starts(mailbox) + today
        return sizes

    def at_position(self, mailbox: npt.NDArray[Any], position: Ints) -> Ints:
        """Number of the message at a position of a mailbox (0 is the oldest)."""
        place = self.starts(mailbox) + position
        cell = np.searchsorted(self.total, place, side="right") - 1
        day = cell - mailbox.astype(np.int64) * self.days + self.first_day
        return numbered(day, mailbox, place - self.total[cell])

    def old_sent(self, mailbox: npt.NDArray[Any], day: Ints, place: Ints) -> Ints:
        """Number of a message in Sent Items that was sent on a day; `place` is brought into its range."""
        column = np.clip(day - self.first_day, 0, self.days - 1)
        sent = np.maximum((self.counts[mailbox, column] * SENT_SHARE).astype(np.int64), 1)
        return numbered(column + self.first_day, mailbox, SENT + place % sent)

    def sent(self, mailbox: npt.NDArray[Any], day: int) -> Ints:
        """Numbers of the messages that these mailboxes sent on a day without the drill's doing, by mailbox."""
        column = day - self.first_day
        counts = np.maximum((self.counts[mailbox, column] * SENT_SHARE).astype(np.int64), 1)
        row, place = streams.spread(counts)
        return numbered(np.full(len(row), day, dtype=np.int64), mailbox[row], SENT + place)

    def sent_until(self, mailbox: int, at: int) -> Ints:
        """Numbers of the messages that stand in Sent Items of a mailbox at a time without the drill's doing."""
        counts = self.counts[mailbox]
        days = np.arange(int(np.argmax(counts > 0)), int((at - self.tenant.epoch_us) // DAY_US) - self.first_day + 1)
        row, place = streams.spread(np.maximum((counts[days] * SENT_SHARE).astype(np.int64), 1))
        message = numbered(days[row] + self.first_day, np.full(len(row), mailbox), SENT + place)
        return message[self.times(message) <= at]

    def position(self, message: Ints) -> Ints:
        """Position of a received message in its mailbox."""
        day, mailbox, place = parts(message)
        position: Ints = self.total[mailbox * self.days + day - self.first_day] + place - self.starts(mailbox)
        return position

    def times(self, message: Ints) -> Ints:
        """When each message came (or, in Sent Items, went); the end of the day for those sent in the drill."""
        day, mailbox, place = parts(message)
        count = self.counts[mailbox, day - self.first_day].astype(np.float64)
        is_sent = place >= SENT
        count = np.where(is_sent, np.maximum(np.floor(count * SENT_SHARE), 1.0), np.maximum(count, 1.0))
        own = np.where(is_sent, place - SENT, place)
        share = np.minimum((own + self._jitter(mailbox, day, place)) / count, 1.0)
        hours = np.empty(len(message), dtype=np.float64)
        zone = self.offset[mailbox]
        for number in np.unique(zone).tolist():
            rows = zone == number
            hours[rows] = np.interp(share[rows], self.clocks[number], np.arange(25.0))
        moment: Ints = (self.tenant.epoch_us + day * DAY_US + (hours / 24 * (DAY_US - 1)).astype(np.int64)).astype(
            np.int64
        )
        return moment

    def _share(self, mailbox: npt.NDArray[Any], within: Ints) -> npt.NDArray[np.float64]:
        share = np.empty(len(within), dtype=np.float64)
        zone = self.offset[mailbox]
        for number in np.unique(zone).tolist():
            rows = zone == number
            share[rows] = np.interp(within[rows] / (DAY_US - 1) * 24, np.arange(25.0), self.clocks[number])
        return share

    def _jitter(self, mailbox: npt.NDArray[Any], day: Ints, place: Ints) -> npt.NDArray[np.float64]:
        return streams.hashed_uniform(self.key, mailbox, day, place)


def numbered(day: Ints, mailbox: npt.NDArray[Any], place: Ints) -> Ints:
    """Number of the message at a place in a day of a mailbox."""
    number: Ints = (day + 512) * ROWS_PER_DAY + mailbox.astype(np.int64) * SLOTS + place
    return number


def copies_of(message: Ints, mailbox: Ints) -> Ints:
    """Numbers of the copies that messages sent in the drill leave in these mailboxes."""
    day, sender, place = parts(message)
    number: Ints = numbered(day, mailbox, place) | ((sender + 1) << _COPY_SHIFT)
    return number


def originals(message: Ints) -> Ints:
    """The sender's own message of each copy; every other message is its own original."""
    sender = message >> _COPY_SHIFT
    day, _, place = parts(message)
    original: Ints = np.where(sender > 0, numbered(day, sender - 1, place), message)
    return original


def is_copy(message: Ints) -> npt.NDArray[np.bool_]:
    """Whether each message is a colleague's copy of one sent in the drill."""
    copied: npt.NDArray[np.bool_] = message >> _COPY_SHIFT > 0
    return copied


def parts(message: Ints) -> tuple[Ints, Ints, Ints]:
    """Day, mailbox and place in the day of each message number."""
    day, row = np.divmod(message & _LOW_BITS, ROWS_PER_DAY)
    mailbox, place = np.divmod(row, SLOTS)
    return day - 512, mailbox, place


def build_mail(tenant: Tenant) -> Mail:
    """All mail of a tenant, from `HISTORY_DAYS` before the epoch to the last day of its calendar."""
    key = tenant.key("mail")
    boxes = np.arange(len(tenant.mailboxes))
    days = np.arange(-HISTORY_DAYS, calendar.LAST_DAY + 1)
    mean = np.clip(0.45 * tenant.mailboxes["records_per_day"] + 4, 4, 600)
    # The epoch is a Monday.
    weekday = np.where(days % 7 < 5, 1.0, _WEEKEND)  # noqa: PLR2004
    rate = mean[:, None] * weekday[None, :]
    cells = (np.repeat(boxes, len(days)), np.tile(days, len(boxes)))
    normal = streams.hashed_normal(key ^ 1, *cells).reshape(rate.shape)
    rounding = streams.hashed_uniform(key ^ 2, *cells).reshape(rate.shape)
    drawn = np.floor(rate * np.exp(0.3 * normal - 0.045) + rounding)
    counts = np.clip(drawn, 0, SENT - 1).astype(np.int16)
    owner = tenant.mailboxes["owner_no"]
    joined = np.where(owner >= 0, tenant.identities["joined_day"][np.maximum(owner, 0)], -HISTORY_DAYS)
    age = 60 + streams.hashed_uniform(key ^ 3, boxes) ** 0.5 * (HISTORY_DAYS - 60)
    begins = np.maximum(joined, -age.astype(np.int64))
    counts[days[None, :] < begins[:, None]] = 0
    total = np.concatenate([[0], np.cumsum(counts.ravel(), dtype=np.int64)])
    clocks, offset = _clocks(tenant, owner)
    folders, counter, own = _folders(tenant, key)
    department = np.where(
        owner >= 0, tenant.identities["department"][np.maximum(owner, 0)], boxes % tenant.parameters.departments
    )
    return Mail(
        tenant=tenant,
        first_day=-HISTORY_DAYS,
        counts=counts,
        total=total,
        offset=offset,
        clocks=clocks,
        user_folders=own,
        folders=folders,
        folder_counter=counter,
        department=department.astype(np.int32),
        key=key,
    )


def _clocks(tenant: Tenant, owner: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Cumulative mail by hour for each distinct offset from UTC, and the offset of each mailbox."""
    start = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=tenant.epoch_day)
    hours = []
    for _, _, name in internet.CITIES:
        shift = start.astimezone(zoneinfo.ZoneInfo(name)).utcoffset() or dt.timedelta()
        hours.append(round(shift.total_seconds() / 3600))
    distinct, zone_of_city = np.unique(hours, return_inverse=True)
    clocks = np.array([np.roll(_HOURS, -int(shift)) for shift in distinct], dtype=np.float64)
    cumulative = np.concatenate([np.zeros((len(distinct), 1)), np.cumsum(clocks, axis=1)], axis=1)
    city = np.where(owner >= 0, tenant.identities["city"][np.maximum(owner, 0)], tenant.sites["city"][0])
    return cumulative / cumulative[:, -1:], zone_of_city[city].astype(np.int8)


def _folders(tenant: Tenant, key: int) -> tuple[pa.Table, Ints, npt.NDArray[np.int8]]:
    boxes = np.arange(len(tenant.mailboxes))
    own = (streams.hashed(key ^ 4, boxes) % np.uint64(_USER_FOLDERS + 1)).astype(np.int8)
    mailbox, place = streams.spread(FIRST_USER + own.astype(np.int64))
    locale = tenant.mailboxes["locale"][mailbox].astype(np.int64)
    words: list[str] = []
    for standard, made in zip(_NAMES, _USER_NAMES, strict=True):
        words += [f"\\{name}" for name in (*standard.split("|"), *made.split("|"))]
    pick = (streams.hashed(key ^ 5, mailbox) % np.uint64(8)).astype(np.int64)
    named = np.where(place < FIRST_USER, place, FIRST_USER + (pick + place - FIRST_USER) % 8)
    codes = locale * (len(words) // len(_NAMES)) + named
    counter = np.where(
        place < FIRST_USER,
        np.array([*_COUNTERS, 0])[np.minimum(place, FIRST_USER)],
        _FIRST_COUNTER + (streams.hashed(key ^ 6, mailbox, place) % np.uint64(1 << 16)).astype(np.int64),
    )
    kinds = np.minimum(place, FIRST_USER).astype(np.int32)
    table = build(
        FOLDER,
        len(mailbox),
        {
            "folder_no": mailbox * FOLDERS_PER_MAILBOX + place,
            "mailbox_no": mailbox.astype(np.int32),
            "kind": tables.Coded(kinds, FOLDER_KINDS),
            "path": tables.Coded(codes.astype(np.int32), words),
            "folder_id": _service_ids.entry_ids(key, mailbox, counter, kind=1),
        },
    )
    dense = np.zeros(len(boxes) * FOLDERS_PER_MAILBOX, dtype=np.int64)
    dense[mailbox * FOLDERS_PER_MAILBOX + place] = counter
    return table, dense, own
