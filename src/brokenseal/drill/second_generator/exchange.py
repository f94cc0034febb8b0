"""What Exchange writes down: reads gathered for two minutes, repeats left out for an hour, silence after a thousand.

Source: Microsoft Purview, MailItemsAccessed; Office 365 Management Activity API schema, Exchange Mailbox schema.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator.books import Note
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE
from brokenseal.drill.second_generator.sign_in_lines import encode, second_text, whole_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokenseal.drill.second_generator.books import Books
    from brokenseal.drill.second_generator.company import Company, Mailbox, Message
    from brokenseal.drill.second_generator.desk import Caller
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.outbox import Outbox, Written

GATHERED: Final = 2 * MINUTE
REPEAT: Final = HOUR
LIMIT: Final = 1000
"""Records of single reads on one mailbox within a day, after which it falls silent for a day."""

_ITEM, _GROUP, _AGGREGATED = 2, 3, 50
_OWNER, _ADMIN, _DELEGATE = 0, 1, 2
_FORESTS: Final = ("AM0PR07MB", "PR3P193MB", "DB9PR02MB", "BN8PR12MB", "CH2PR05MB")


@dataclass(slots=True, eq=False)
class _Window:
    """Reads of one mailbox by one caller that will stand in one record."""

    opened: int
    last: int
    mailbox: Mailbox
    caller: Caller
    items: dict[int, list[Message]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


class Exchange:
    """The mailbox auditing of one tenant. Calls come in the order of time."""

    def __init__(self, tenant: Company, dice: Dice, outbox: Outbox, books: Books) -> None:
        self._tenant = tenant
        self._dice = dice
        self._outbox = outbox
        self._books = books
        self._open: dict[tuple[object, ...], _Window] = {}
        self._order: deque[tuple[object, ...]] = deque()
        self._seen: dict[tuple[object, ...], int] = {}
        self._records: defaultdict[int, deque[int]] = defaultdict(deque)
        self._silent_until: dict[int, int] = {}
        forest = dice.pick(_FORESTS)
        self._servers = [
            f"{forest}{dice.below(9000) + 1000} (15.20.{9100 + dice.below(300)}.0{dice.below(20):02d})\r\n"
            for _ in range(12)
        ]

    # ------------------------------------------------------------ reads

    def bind(self, mailbox: Mailbox, caller: Caller, message: Message, at: int) -> None:
        """One message is opened."""
        self.close_before(at)
        note = self._note(mailbox, caller, message, at, how="bind")
        if not mailbox.is_audited:
            _fate(note, "not_audited")
            return
        if at < self._silent_until.get(mailbox.no, 0):
            _fate(note, "throttled")
            return
        repeat = (message.no, mailbox.no, message.folder, caller.repeat_key)
        before = self._seen.get(repeat)
        if before is not None and at - before < REPEAT:
            _fate(note, "repeat")
            return
        self._seen[repeat] = at
        key = (mailbox.no, caller.key)
        window = self._open.get(key)
        if window is None:
            window = self._open[key] = _Window(at, at, mailbox, caller)
            self._order.append(key)
        window.last = at
        window.items.setdefault(message.folder, []).append(message)
        if note is not None:
            window.notes.append(note)

    def sync(self, mailbox: Mailbox, caller: Caller, folder: int, at: int, *, whole: bool = False) -> None:
        """A folder goes to a machine; all of it, where the machine had none of it before."""
        if caller.tag is not None:
            held = mailbox.folders[folder]
            for message in held if whole else held[-1:]:
                note = self._note(mailbox, caller, message, at, how="sync")
                _fate(note, "sync" if mailbox.is_audited else "not_audited")
        if not mailbox.is_audited:
            return
        folder_id = mailbox.folder_ids[folder]
        name = mailbox.paths[folder].lstrip("\\")
        parent = {
            "Id": folder_id,
            "Name": name,
            "Path": "Not Available" if self._dice.chance(0.8) else mailbox.paths[folder],
        }
        self._write(
            mailbox,
            caller,
            at,
            _ITEM,
            "MailItemsAccessed",
            {
                "OperationProperties": _access("Sync", throttled=False),
                "Item": {"Id": folder_id, "ParentFolder": parent},
            },
        )

    def attachments(self, mailbox: Mailbox, caller: Caller, message: Message, at: int) -> None:
        """The attachments of an opened message are opened too."""
        if not mailbox.is_audited or at < self._silent_until.get(mailbox.no, 0):
            return
        entry = {
            "Id": mailbox.folder_ids[message.folder],
            "Path": mailbox.paths[message.folder],
            "MessageItems": [{"Id": item_id(mailbox, message), "SizeInBytes": message.size}],
        }
        extra = {
            "OperationProperties": [{"Name": "AttachmentAccessType", "Value": "Bind"}],
            "Messages": [entry],
            "OperationCount": 1,
        }
        self._write(mailbox, caller, at, _AGGREGATED, "AttachmentAccess", extra)

    def _note(self, mailbox: Mailbox, caller: Caller, message: Message, at: int, *, how: str) -> Note | None:
        tag = caller.tag
        if tag is None:
            return None
        story = self._books.stories[tag.instance]
        story.happens(at, subject=caller.subject, mailbox=mailbox.guid)
        note = Note(mailbox, message, at, tag.stage, how, "recorded")
        story.notes.append(note)
        return note

    def close_before(self, now: int, *, force: bool = False) -> None:
        """Write the records of windows that are over; of all, at the end of a day."""
        order = self._order
        while order and (force or self._open[order[0]].opened + GATHERED <= now):
            window = self._open.pop(order.popleft())
            self._close(window)

    def forget(self, now: int) -> None:
        """Drop what can no longer matter."""
        self._seen = {key: at for key, at in self._seen.items() if now - at < REPEAT}

    def _close(self, window: _Window) -> None:
        mailbox, at = window.mailbox, window.last
        if at < self._silent_until.get(mailbox.no, 0):
            for note in window.notes:
                note.fate = "throttled"
            return
        records = self._records[mailbox.no]
        records.append(at)
        while records[0] <= at - DAY:
            records.popleft()
        is_last = len(records) >= LIMIT
        if is_last:
            self._silent_until[mailbox.no] = at + DAY
            records.clear()
        line = self._write(
            mailbox, window.caller, at, _AGGREGATED, "MailItemsAccessed", _listed(window, throttled=is_last)
        )
        for note in window.notes:
            note.line = line

    # ------------------------------------------------------------ everything else

    def item(
        self, operation: str, mailbox: Mailbox, caller: Caller, message: Message, at: int, **extra: object
    ) -> None:
        """Something is done to one message, such as Send, Create or Update."""
        item = {
            "Id": item_id(mailbox, message),
            "InternetMessageId": message.internet_id,
            "Subject": message.subject,
            "SizeInBytes": message.size,
            "ParentFolder": {"Id": mailbox.folder_ids[message.folder], "Path": mailbox.paths[message.folder]},
        }
        self._write(mailbox, caller, at, _ITEM, operation, {"Item": item, **extra})

    def items(
        self, operation: str, mailbox: Mailbox, caller: Caller, messages: Sequence[Message], at: int, *, to: int | None
    ) -> None:
        """Something is done to messages of one folder, such as Move or SoftDelete."""
        source = messages[0].folder
        folder = {"Id": mailbox.folder_ids[source], "Path": mailbox.paths[source]}
        extra: dict[str, object] = {
            "AffectedItems": [
                {
                    "Id": item_id(mailbox, message),
                    "InternetMessageId": message.internet_id,
                    "Subject": message.subject,
                    "ParentFolder": folder,
                }
                for message in messages
            ],
            "CrossMailboxOperation": False,
            "Folder": folder,
        }
        if to is not None:
            extra["DestFolder"] = {"Id": mailbox.folder_ids[to], "Path": mailbox.paths[to]}
        self._write(mailbox, caller, at, _GROUP, operation, extra)

    def _write(
        self, mailbox: Mailbox, caller: Caller, at: int, record_type: int, operation: str, extra: dict[str, object]
    ) -> Written:
        logon = _OWNER if caller.person is mailbox.owner and not caller.external else _DELEGATE
        if caller.external:
            logon = _ADMIN
        elif caller.person is None:
            logon = _OWNER
        record_id = self._dice.guid()
        body = encode(
            {
                "CreationTime": second_text(at),
                "Id": record_id,
                "Operation": operation,
                "OrganizationId": self._tenant.tenant_id,
                "RecordType": record_type,
                "ResultStatus": "Succeeded",
                "Version": 1,
                "Workload": "Exchange",
                "ExternalAccess": caller.external,
                "InternalLogonType": 0,
                "LogonType": logon,
                "MailboxGuid": mailbox.guid,
                "MailboxOwnerSid": mailbox.sid,
                "MailboxOwnerUPN": mailbox.upn,
                "OrganizationName": f"{self._tenant.domain.removesuffix('.example')}.onmicrosoft.example",
                "OriginatingServer": self._servers[mailbox.no % len(self._servers)],
                **caller.fields,
                **extra,
            }
        )
        return self._outbox.put(
            "ual_exchange",
            record_id,
            whole_second(at),
            body,
            actor=str(caller.fields["UserId"]),
            actor_kind=caller.actor_kind,
            mailbox=mailbox.guid,
            tag=caller.tag,
        )


def _fate(note: Note | None, fate: str) -> None:
    if note is not None:
        note.fate = fate


def _access(kind: str, *, throttled: bool) -> list[dict[str, str]]:
    return [{"Name": "MailAccessType", "Value": kind}, {"Name": "IsThrottled", "Value": str(throttled)}]


def _listed(window: _Window, *, throttled: bool) -> dict[str, object]:
    mailbox = window.mailbox
    return {
        "OperationProperties": _access("Bind", throttled=throttled),
        "Folders": [
            {
                "Id": mailbox.folder_ids[folder],
                "Path": mailbox.paths[folder],
                "FolderItems": [
                    {
                        "Id": item_id(mailbox, message),
                        "ImmutableId": f"AAkALg{mailbox.no:06d}{message.no:012X}AAAA",
                        "InternetMessageId": message.internet_id,
                        "SizeInBytes": message.size,
                    }
                    for message in messages
                ],
            }
            for folder, messages in window.items.items()
        ],
        "OperationCount": sum(len(messages) for messages in window.items.values()),
    }


def item_id(mailbox: Mailbox, message: Message) -> str:
    """The Exchange id of a message; another one in another folder."""
    return f"RgAAAAD{mailbox.guid[:8].upper()}{message.folder:02d}BwC{message.no:012X}AAAAAAEMAAB="
