"""What Exchange Online writes down of the sample tenant's mail: one emitter for honest and forged clients alike.

Rules (Microsoft Purview, "Use MailItemsAccessed to investigate compromised accounts"): binds to one mailbox within two
minutes stand in one record; a repeat within one hour is not written; after more than 1,000 bind records on one mailbox
in 24 hours nothing more is written for 24 hours, and the last record says IsThrottled.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from brokenseal.demo import world as w

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from brokenseal.demo.identity import Client, Token, TokenService
    from brokenseal.demo.mail import Message
    from brokenseal.demo.world import Mailbox, World

Action = Literal["poll", "read", "sync", "send", "delete"]
MAIL_ITEMS_ACCESSED = "MailItemsAccessed"
_AGGREGATED_S = 120
_REPEAT_S = w.HOUR
_THROTTLE_RECORDS = 1_000
_THROTTLE_S = w.DAY
_OWNER, _ADMIN, _DELEGATE = 0, 1, 2
_MAILBOX_ITEM, _MAILBOX_ITEMS, _AGGREGATED_ITEMS = 2, 3, 50
_APPLICATION_USER = 5


class Access(NamedTuple):
    """Something that a client does; `poll` only needs a token. Sorts by time, then by order of planning."""

    at: int
    order: int
    action: Action
    client: Client
    address: str
    mailbox: Mailbox | None = None
    folder: str = ""
    message: Message | None = None


class Audited(NamedTuple):
    """One audit record, with the client that caused it, or None."""

    at: int
    record: dict[str, Any]
    client: Client | None


@dataclass(slots=True)
class _Group:
    """Binds that will stand in one record."""

    at: int
    access: Access
    token: Token | None
    folders: dict[str, list[Message]] = field(default_factory=dict)


def item_id(text: str, prefix: str) -> str:
    """An Exchange identifier: opaque, and the same for the same thing."""
    return prefix + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class MailboxAudit:
    """Carries out accesses in the order of time; `records` is what was written, `unwritten` what was not."""

    def __init__(self, rng: random.Random, world: World, tokens: TokenService) -> None:
        self._rng = rng
        self._world = world
        self.tokens = tokens
        self._open: dict[tuple[Any, ...], _Group] = {}
        self._seen: dict[tuple[Any, ...], int] = {}
        self._recent: dict[str, deque[int]] = {mailbox.upn: deque() for mailbox in world.mailboxes}
        self._silent_until: dict[str, int] = {}
        self.records: list[Audited] = []
        self.unwritten: list[Access] = []
        self.throttled: list[tuple[str, int]] = []

    def carry_out(self, accesses: Iterable[Access]) -> None:
        """All accesses, sorted here, to records."""
        for access in sorted(accesses, key=lambda access: access[:2]):
            self._close(before=access.at - _AGGREGATED_S)
            kind = access.client.kind
            token = None if kind.is_background else self._token(access)
            if access.action == "read":
                self._read(access, token)
            elif access.action == "sync":
                self._sync(access, token)
            elif access.action in {"send", "delete"}:
                self._change(access, token)
        self._close(before=w.END + w.DAY)

    def _token(self, access: Access) -> Token:
        return self.tokens.token(access.client, at=access.at, address=access.address)

    def _key(self, access: Access, token: Token | None) -> tuple[Any, ...]:
        assert access.mailbox is not None
        session = token.session_id if token else ""
        uti = token.uti if token and access.client.kind.carries_token else ""
        client = access.client
        return (access.mailbox.upn, client.subject_id, client.kind.name, access.address, session, uti)

    def _repeats(self, key: tuple[Any, ...], at: int) -> bool:
        last = self._seen.get(key)
        if last is not None and at - last < _REPEAT_S:
            return True
        self._seen[key] = at
        return False

    def _read(self, access: Access, token: Token | None) -> None:
        assert access.mailbox is not None
        assert access.message is not None
        if not access.mailbox.is_audited:
            return
        if access.at < self._silent_until.get(access.mailbox.upn, 0):
            self.unwritten.append(access)
            return
        key = self._key(access, token)
        if self._repeats((*key, access.folder, access.message.internet_message_id), access.at):
            return
        group = self._open.setdefault(key, _Group(access.at, access, token))
        group.folders.setdefault(access.folder, []).append(access.message)

    def _close(self, *, before: int) -> None:
        for key, group in list(self._open.items()):
            if group.at > before:
                break
            del self._open[key]
            self._write_bind(group)

    def _write_bind(self, group: _Group) -> None:
        mailbox = group.access.mailbox
        assert mailbox is not None
        if group.at < self._silent_until.get(mailbox.upn, 0):
            messages = [(folder, message) for folder, listed in group.folders.items() for message in listed]
            self.unwritten.extend(group.access._replace(folder=folder, message=message) for folder, message in messages)
            return
        recent = self._recent[mailbox.upn]
        recent.append(group.at)
        while recent[0] <= group.at - _THROTTLE_S:
            recent.popleft()
        is_throttled = len(recent) > _THROTTLE_RECORDS
        if is_throttled:
            self._silent_until[mailbox.upn] = group.at + _THROTTLE_S
            self.throttled.append((mailbox.upn, group.at))
            recent.clear()
        record = self._record(group.access, group.token, MAIL_ITEMS_ACCESSED, _AGGREGATED_ITEMS)
        record["OperationProperties"] = _properties("Bind", is_throttled=is_throttled)
        record["Folders"] = [
            {
                "Id": item_id(mailbox.mailbox_guid + folder, "LgAAAA"),
                "Path": folder,
                "FolderItems": [_item(message) for message in messages],
            }
            for folder, messages in group.folders.items()
        ]
        record["OperationCount"] = sum(len(messages) for messages in group.folders.values())
        self.records.append(Audited(group.at, record, group.access.client))

    def _sync(self, access: Access, token: Token | None) -> None:
        assert access.mailbox is not None
        if not access.mailbox.is_audited or self._repeats((*self._key(access, token), access.folder), access.at):
            return
        folder_id = item_id(access.mailbox.mailbox_guid + access.folder, "LgAAAA")
        record = self._record(access, token, MAIL_ITEMS_ACCESSED, _MAILBOX_ITEM)
        record["OperationProperties"] = _properties("Sync", is_throttled=False)
        parent = {"Id": folder_id, "Name": access.folder.rpartition("\\")[2], "Path": access.folder}
        record["Item"] = {"Id": folder_id, "ParentFolder": parent}
        self.records.append(Audited(access.at, record, access.client))

    def _change(self, access: Access, token: Token | None) -> None:
        assert access.message is not None
        message = access.message
        item = {
            "Id": item_id(message.internet_message_id, "RgAAAA"),
            "InternetMessageId": message.internet_message_id,
            "Subject": message.subject,
            "ParentFolder": {"Id": item_id(access.folder, "LgAAAA"), "Path": access.folder},
        }
        if access.action == "send":
            record = self._record(access, token, "Send", _MAILBOX_ITEM)
            record["Item"] = item | {"SizeInBytes": message.size_bytes}
            record["SaveToSentItems"] = True
        else:
            record = self._record(access, token, "MoveToDeletedItems", _MAILBOX_ITEMS)
            record["AffectedItems"] = [item]
            record["CrossMailboxOperation"] = False
            record["Folder"] = {"Id": item_id(access.folder, "LgAAAA"), "Path": access.folder}
            record["DestFolder"] = {"Id": item_id("deleted", "LgAAAA"), "Path": "\\Deleted Items"}
        self.records.append(Audited(access.at, record, access.client))

    def _record(self, access: Access, token: Token | None, operation: str, record_type: int) -> dict[str, Any]:
        """The fields that every mailbox record has, and those of the client and the token."""
        mailbox, client = access.mailbox, access.client
        assert mailbox is not None
        kind, person = client.kind, client.person
        is_application = kind.is_app_only or kind.is_background
        logon_type = _OWNER if mailbox.owner is person else _DELEGATE
        record: dict[str, Any] = {
            "CreationTime": w.iso(access.at),
            "Id": w.guid(self._rng),
            "Operation": operation,
            "OrganizationId": self._world.tenant_id,
            "RecordType": record_type,
            "ResultStatus": "Succeeded",
            "UserKey": person.puid if person else client.subject_id,
            "UserType": _APPLICATION_USER if is_application else 0,
            "Version": 1,
            "Workload": "Exchange",
            "UserId": person.upn if person else client.subject_id,
            "ClientIPAddress": access.address,
            "ClientInfoString": kind.info,
            "ExternalAccess": False,
            "InternalLogonType": 0,
            "LogonType": logon_type if person else _ADMIN,
            "LogonUserSid": person.sid if person else "S-1-5-18",
            "MailboxGuid": mailbox.mailbox_guid,
            "MailboxOwnerSid": mailbox.sid,
            "MailboxOwnerUPN": mailbox.upn,
            "OrganizationName": w.ONMICROSOFT,
            "OriginatingServer": "AM0PR07MB0001 (15.20.8534.000)\r\n",
        }
        if kind.process:
            record |= {"ClientProcessName": kind.process, "ClientVersion": "16.0.18526.20264"}
        record |= {
            name: value for name, value in (("AppId", kind.api_id), ("ClientAppId", kind.client_app_id)) if value
        }
        return record | _token_fields(self._world, client, token)


def _token_fields(world: World, client: Client, token: Token | None) -> dict[str, Any]:
    kind = client.kind
    if token is None:
        return {"TokenType": "SubstrateProcessorCallbackPft", "AppAccessContext": {}}
    if not kind.carries_token:
        return {"SessionId": token.session_id, "AppAccessContext": {"APIId": ""}}
    return {
        "TokenObjectId": client.subject_id,
        "TokenTenantId": world.tenant_id,
        "AuthType": "Bearer",
        "AppAccessContext": access_context(kind.api_id, kind.client_app_id, token),
    }


def access_context(api_id: str, client_app_id: str, token: Token) -> dict[str, str]:
    """`AppAccessContext` as mailbox and admin records carry it since 2025."""
    return {
        "AADSessionId": token.session_id,
        "APIId": api_id,
        "ClientAppId": client_app_id,
        "IssuedAtTime": w.iso(token.issued_at),
        "UniqueTokenId": token.uti,
    }


def _properties(access_type: str, *, is_throttled: bool) -> list[dict[str, str]]:
    return [
        {"Name": "MailAccessType", "Value": access_type},
        {"Name": "IsThrottled", "Value": str(is_throttled)},
    ]


def _item(message: Message) -> dict[str, Any]:
    return {
        "Id": item_id(message.internet_message_id, "RgAAAA"),
        "InternetMessageId": message.internet_message_id,
        "SizeInBytes": message.size_bytes,
    }
