"""The marginals that are compared, each read from the product's tables as (tenant, unit, category) rows."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from brokenseal.drill._mailboxes import KIND_OF_PATH

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from brokenseal.drill._realism_statistics import Observation

    Tables = Mapping[str, pa.Table]
    Epochs = Mapping[str, int]
    Row = Mapping[str, Any]

_LOGIN_WINDOW_S: Final = 3600
_LEAST: Final = 20
_PRESENCE: Final = (
    "app_id",
    "client_app_id",
    "client_ip",
    "client_info",
    "user_agent",
    "session_id",
    "token_id_raw",
    "token_issued_at",
    "token_subject",
    "token_tenant_id",
    "is_throttled",
    "operation_count",
    "folder_id",
    "folder_path",
    "user_type",
    "logon_type",
    "external_access",
    "auth_type",
    "token_type",
)
_SHOWN: Final = ("inbox", "sent", "drafts")
_ACTIONS: Final = frozenset(
    {"send", "sendas", "sendonbehalf", "create", "update", "move", "movetodeleteditems", "softdelete", "harddelete"}
)
_ITEM_PRESENCE: Final = ("internet_message_id", "item_id", "folder_path", "subject", "size_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """One marginal: its name, how it is read from the tables, and the rows below which it says nothing."""

    name: str
    read: Callable[[Tables, Epochs], list[Observation]]
    least: int = _LEAST
    is_of_field_set: bool = False
    """Compare only mail accesses of field sets that the real side has; the log's schema decides this marginal."""


def _rows(tables: Tables, name: str, *columns: str) -> list[dict[str, Any]]:
    table = tables.get(name)
    rows: list[dict[str, Any]] = [] if table is None else table.select(columns).to_pylist()
    return rows


def _epoch(row: Row, epochs: Epochs) -> int:
    """Field set of a record: as told for its tenant, else by its date (changes of 2023 and of 2025)."""
    told = epochs.get(row.get("tenant_id") or "")
    if told is not None:
        return told
    year = row["occurred_at"].year
    return 2021 if year < 2023 else 2023 if year < 2025 else 2025  # noqa: PLR2004 - years


def _of_accesses(category: Callable[[Row], str | None], *columns: str) -> Callable[[Tables, Epochs], list[Observation]]:
    def read(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001 - the contract of `read`
        found = []
        for row in _rows(tables, "mail_accesses", "tenant_id", "mailbox_key", *columns):
            word = category(row)
            if word is not None:
                found.append((row["tenant_id"] or "", row["mailbox_key"] or "", word))
        return found

    return read


def _operation_count(row: Row) -> str | None:
    if row["access_type"] != "bind" or row["operation_count"] is None:
        return None
    return _bucket(row["operation_count"])


def _bucket(count: int) -> str:
    if count <= 3:  # noqa: PLR2004 - the first counts by themselves
        return str(count)
    for low, high in ((4, 6), (7, 10), (11, 20), (21, 50)):
        if count <= high:
            return f"{low}-{high}"
    return "51 and more"


def _session_presence(protocol: str) -> Callable[[Row], str | None]:
    def category(row: Row) -> str | None:
        if row["protocol"] != protocol:
            return None
        return "absent" if row["session_id"] is None else "there"

    return category


def _folders(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    tenants = {row["event_id"]: row for row in _rows(tables, "mail_accesses", "event_id", "tenant_id", "mailbox_key")}
    folders: dict[str, set[str]] = {}
    for row in _rows(tables, "accessed_items", "event_id", "kind", "folder_path"):
        if row["kind"] == "message" and row["event_id"] in tenants:
            folders.setdefault(row["event_id"], set()).add(row["folder_path"] or "")
    return [
        (tenants[event]["tenant_id"] or "", tenants[event]["mailbox_key"] or "", _bucket(len(paths)))
        for event, paths in folders.items()
    ]


def _repeats(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """In how many records each (mailbox, message) stands."""
    tenants = {
        row["event_id"]: row["tenant_id"] or "" for row in _rows(tables, "mail_accesses", "event_id", "tenant_id")
    }
    seen: dict[tuple[str, str, str], set[str]] = {}
    for row in _rows(tables, "accessed_items", "event_id", "kind", "mailbox_key", "internet_message_id"):
        if row["kind"] == "message" and row["internet_message_id"] and row["event_id"] in tenants:
            key = (tenants[row["event_id"]], row["mailbox_key"] or "", row["internet_message_id"])
            seen.setdefault(key, set()).add(row["event_id"])
    return [(tenant, mailbox, _bucket(len(events))) for (tenant, mailbox, _), events in seen.items()]


def _of_logins(category: Callable[[Row], str | None], *columns: str) -> Callable[[Tables, Epochs], list[Observation]]:
    def read(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
        rows = _rows(tables, "sign_ins", "tenant_id", "actor_key", "category", *columns)
        return [
            (row["tenant_id"] or "", row["actor_key"] or "", word)
            for row in rows
            if row["category"] == "audit_log" and (word := category(row)) is not None
        ]

    return read


def _lags(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """Seconds from a successful sign-in to the first mail access of the same person and address."""
    logins: dict[tuple[str, str], list[dt.datetime]] = {}
    for row in _rows(tables, "sign_ins", "occurred_at", "actor_key", "client_ip", "succeeded", "category"):
        if row["succeeded"] and row["category"] in {"audit_log", "interactive"} and row["client_ip"]:
            logins.setdefault((row["actor_key"] or "", row["client_ip"]), []).append(row["occurred_at"])
    reads: dict[tuple[str, str], list[dt.datetime]] = {}
    tenant_of: dict[tuple[str, str], str] = {}
    for row in _rows(tables, "mail_accesses", "occurred_at", "tenant_id", "actor_key", "client_ip", "logon_type"):
        key = (row["actor_key"] or "", row["client_ip"] or "")
        if key in logins and row["logon_type"] == 0:
            reads.setdefault(key, []).append(row["occurred_at"])
            tenant_of[key] = row["tenant_id"] or ""
    found = []
    for key, times in reads.items():
        times.sort()
        starts = sorted(logins[key])
        for at, start in enumerate(starts):
            first = bisect.bisect_left(times, start)
            until = starts[at + 1] if at + 1 < len(starts) else None
            if first < len(times) and (until is None or times[first] < until):
                seconds = (times[first] - start).total_seconds()
                if seconds <= _LOGIN_WINDOW_S:
                    found.append((tenant_of[key], key[0], _lag_bucket(seconds)))
    return found


def _lag_bucket(seconds: float) -> str:
    for name, edge in (("to 2 s", 2), ("to 6 s", 6), ("to 20 s", 20), ("to 60 s", 60), ("to 10 min", 600)):
        if seconds <= edge:
            return name
    return "to 1 h"


def _joins(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """Sessions of mail accesses that a sign-in shows too, where sign-ins show sessions at all."""
    known: dict[str, set[str]] = {}
    for row in _rows(tables, "sign_ins", "tenant_id", "session_id"):
        if row["session_id"]:
            known.setdefault(row["tenant_id"] or "", set()).add(row["session_id"])
    sessions = {
        (row["tenant_id"] or "", row["mailbox_key"] or "", row["session_id"])
        for row in _rows(tables, "mail_accesses", "tenant_id", "mailbox_key", "session_id", "logon_type")
        if row["session_id"] and row["logon_type"] == 0 and (row["tenant_id"] or "") in known
    }
    return [
        (tenant, mailbox, "joined" if session in known[tenant] else "not joined")
        for tenant, mailbox, session in sorted(sessions)
    ]


def _duplicates(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """Each record read, by whether it was a copy; the ledger counts them by input and not by record."""
    tenants = sorted({row["tenant_id"] or "" for row in _rows(tables, "events", "tenant_id")})
    tenant = tenants[0] if len(tenants) == 1 else "all"
    found: list[Observation] = []
    for row in _rows(tables, "ledger", "path", "kept", "duplicates"):
        found += [(tenant, row["path"] or "", "first")] * (row["kept"] or 0)
        found += [(tenant, row["path"] or "", "copy")] * (row["duplicates"] or 0)
    return found


def _paths(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """Kinds of folders that bind records name, once per record and folder."""
    owners = {row["event_id"]: row for row in _rows(tables, "mail_accesses", "event_id", "tenant_id", "mailbox_key")}
    found = {
        (row["event_id"], KIND_OF_PATH.get(row["folder_path"] or "", "other"))
        for row in _rows(tables, "accessed_items", "event_id", "kind", "folder_path")
        if row["kind"] == "message" and row["event_id"] in owners
    }
    return [
        (owners[event]["tenant_id"] or "", owners[event]["mailbox_key"] or "", kind if kind in _SHOWN else "other")
        for event, kind in sorted(found)
    ]


def _operations(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
    """Records of single actions on items."""
    rows = _rows(tables, "events", "tenant_id", "mailbox_key", "operation_key", "workload", "record_type")
    return [
        (row["tenant_id"] or "", row["mailbox_key"] or "", row["operation_key"])
        for row in rows
        if row["workload"] == "Exchange" and row["operation_key"] in _ACTIONS
    ]


def _id_bytes(
    *, is_entra: bool, part: str, types: tuple[int, ...] = ()
) -> Callable[[Tables, Epochs], list[Observation]]:
    def read(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
        found = []
        if is_entra:
            rows = _rows(tables, "sign_ins", "tenant_id", "actor_key", "category", "request_id")
            texts = [
                (row["tenant_id"], row["actor_key"], row["request_id"])
                for row in rows
                if row["category"] == "audit_log"
            ]
        else:
            rows = _rows(tables, "events", "tenant_id", "mailbox_key", "event_id", "workload", "source", "record_type")
            texts = [
                (row["tenant_id"], row["mailbox_key"], row["event_id"])
                for row in rows
                if row["workload"] == "Exchange"
                and row["source"] == "unified_audit"
                and (not types or row["record_type"] in types)
            ]
        for tenant, unit, text in texts:
            if text and len(text) == len("00000000-0000-0000-0000-000000000000"):
                word = {"version": text[14], "variant": text[19], "last byte": text[-2:]}[part]
                found.append((tenant or "", unit or "", word))
        return found

    return read


def _by_system(operation: str) -> Callable[[Tables, Epochs], list[Observation]]:
    def read(tables: Tables, epochs: Epochs) -> list[Observation]:  # noqa: ARG001
        rows = _rows(tables, "events", "tenant_id", "workload", "operation_key", "is_service", "record_type")
        return [
            (row["tenant_id"] or "", row["operation_key"] or "", "system" if row["is_service"] else "others")
            for row in rows
            if row["workload"] == "Exchange"
            and row["record_type"] == 1
            and (not operation or row["operation_key"] == operation)
        ]

    return read


MARGINALS: Final[tuple[Shares, ...]] = (
    Shares(name="Bind and Sync", read=_of_accesses(lambda row: row["access_type"], "access_type")),
    Shares(
        name="Protocols of mail access",
        read=_of_accesses(
            lambda row: f"{row['protocol']}{'' if row['app_id'] else ', no AppId'}", "protocol", "app_id"
        ),
    ),
    Shares(name="OperationCount of binds", read=_of_accesses(_operation_count, "access_type", "operation_count")),
    Shares(name="Folders in a bind record", read=_folders),
    Shares(name="Kinds of folders in bind records", read=_paths),
    Shares(name="Records that show one message", read=_repeats),
    Shares(
        name="SessionId of OWA",
        read=_of_accesses(_session_presence("owa"), "protocol", "session_id"),
        is_of_field_set=True,
    ),
    Shares(
        name="SessionId of MAPI",
        read=_of_accesses(_session_presence("mapi"), "protocol", "session_id"),
        is_of_field_set=True,
    ),
    Shares(
        name="SessionId of REST",
        read=_of_accesses(_session_presence("rest"), "protocol", "session_id"),
        is_of_field_set=True,
    ),
    Shares(
        name="SessionId of RESTSystem", read=_of_accesses(_session_presence("rest_system"), "protocol", "session_id")
    ),
    Shares(
        name="Origin of mail access",
        read=_of_accesses(lambda row: "Microsoft" if row["ip_class"] == "microsoft" else "elsewhere", "ip_class"),
    ),
    Shares(name="First mail access after a sign-in", read=_lags, least=10),
    Shares(name="RequestType of sign-ins", read=_of_logins(lambda row: row["request_type"], "request_type")),
    Shares(name="Mail sessions that a sign-in shows", read=_joins, least=10),
    Shares(name="Copies of records", read=_duplicates),
    Shares(name="Version digit of request ids", read=_id_bytes(is_entra=True, part="version")),
    Shares(name="Last byte of request ids", read=_id_bytes(is_entra=True, part="last byte")),
    Shares(name="Version digit of Exchange record ids", read=_id_bytes(is_entra=False, part="version")),
    Shares(
        name="Variant digit of record ids, types 1 to 3",
        read=_id_bytes(is_entra=False, part="variant", types=(1, 2, 3)),
    ),
    Shares(name="Variant digit of record ids, type 50", read=_id_bytes(is_entra=False, part="variant", types=(50,))),
    Shares(name="Other operations on items", read=_operations),
    Shares(name="Exchange cmdlets by the service", read=_by_system("")),
    Shares(name="Set-Mailbox by the service", read=_by_system("set-mailbox")),
    Shares(name="Add-MailboxPermission by the service", read=_by_system("add-mailboxpermission")),
)
"""Every marginal of shares, in the order of the report."""


# ---------------------------------------------------------------- presence of fields


def presence_cells(
    simulated: Tables, real: Tables, epochs: Epochs
) -> Iterator[tuple[str, dict[str, tuple[list[bool], list[bool]]]]]:
    """Per kind of record that the real side has: per field whether each record has it, simulated and real.

    A kind is the protocol, whether AppId is given, Bind or Sync, and the field set of the record's time.
    """
    ours, theirs = _kinds(simulated, epochs), _kinds(real, epochs)
    for kind in sorted(theirs):
        columns = _ITEM_PRESENCE if kind.startswith("items") else _PRESENCE
        yield (
            kind,
            {
                column: (
                    [row[column] is not None for row in ours.get(kind, ())],
                    [row[column] is not None for row in theirs[kind]],
                )
                for column in columns
            },
        )


def field_sets(tables: Tables, epochs: Epochs) -> frozenset[int]:
    """Field sets of the mail accesses."""
    return frozenset(_epoch(row, epochs) for row in _rows(tables, "mail_accesses", "tenant_id", "occurred_at"))


def of_field_sets(tables: Tables, epochs: Epochs, wanted: frozenset[int]) -> Tables:
    """The tables with mail accesses of these field sets alone."""
    import pyarrow as pa

    rows = _rows(tables, "mail_accesses", "tenant_id", "occurred_at")
    keep = pa.array([_epoch(row, epochs) in wanted for row in rows], pa.bool_())
    return {**tables, "mail_accesses": tables["mail_accesses"].filter(keep)}


def _kinds(tables: Tables, epochs: Epochs) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    kind_of: dict[str, str] = {}
    columns = ("event_id", "occurred_at", "tenant_id", "protocol", "access_type")
    for row in _rows(tables, "mail_accesses", *columns, *_PRESENCE):
        app = "with AppId" if row["app_id"] else "without AppId"
        kind = f"{row['protocol']} {row['access_type']} {app}, {_epoch(row, epochs)}"
        kind_of[row["event_id"]] = str(_epoch(row, epochs))
        found.setdefault(kind, []).append(row)
    for row in _rows(tables, "accessed_items", "event_id", "kind", *_ITEM_PRESENCE):
        if row["kind"] == "message" and row["event_id"] in kind_of:
            found.setdefault(f"items of binds, {kind_of[row['event_id']]}", []).append(row)
    return found
