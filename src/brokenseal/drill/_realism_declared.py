"""Which members mail access records have, by client: what the drill declares, and a test holds it to.

The web client and REST: a public 2021 lab export (92 records). Outlook on the desktop: the same lab's longer export.
Clients that neither holds: Office 365 Management Activity API schema, and the absence of token members before 2025.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MEMBERS: Final = (
    "ActorInfoString",
    "AppAccessContext",
    "AppId",
    "AuthType",
    "ClientAppId",
    "ClientIP",
    "ClientProcessName",
    "ClientVersion",
    "Folders",
    "Item",
    "OperationCount",
    "SessionId",
    "TokenObjectId",
    "TokenTenantId",
    "TokenType",
)
"""Members that depend on the client. All others stand in every record."""

_READS: Final = frozenset({"Folders", "OperationCount"})
_OUTLOOK: Final = frozenset({"ClientProcessName", "ClientVersion", "SessionId"})
_APPLICATION: Final = frozenset({"AppId", "ClientAppId"})

DECLARED_2021: Final[Mapping[str, frozenset[str]]] = {
    "OWA Bind": _READS | {"AppId", "SessionId"},
    "OWA Bind, second request": _READS,
    "REST Bind": _READS | _APPLICATION,
    "RESTSystem Bind": _READS | _APPLICATION,
    "MSExchangeRPC Bind": _READS | _OUTLOOK,
    "MSExchangeRPC Sync": _OUTLOOK | {"Item"},
    "WebServices Bind": _READS,
    "WebServices Sync": frozenset({"Item"}),
    "ActiveSync Bind": _READS,
    "OutlookService Bind": _READS,
    "POP3/IMAP4 Bind": _READS,
    "EDiscoverySearch Bind": _READS,
}
"""Members that records of each client have always; the others of `MEMBERS` they have never."""


def kind_of(record: Mapping[str, Any]) -> str:
    """Row of `DECLARED_2021` for one mail access record of 2021."""
    text = record["ClientInfoString"]
    client = "RESTSystem" if "RESTSystem" in text else text.removeprefix("Client=").partition(";")[0]
    access = next(one["Value"] for one in record["OperationProperties"] if one["Name"] == "MailAccessType")
    second = ", second request" if client == "OWA" and "AppId" not in record else ""
    return f"{client} {access}{second}"


def matrix(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, tuple[int, int]]]:
    """By kind of record and member: how many records have it, of how many."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for record in records:
        row = found.setdefault(kind_of(record), dict.fromkeys(MEMBERS, (0, 0)))
        for member, (there, count) in row.items():
            row[member] = (there + (member in record), count + 1)
    return found
