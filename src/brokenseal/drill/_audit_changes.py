"""Records of changes of configuration: Exchange cmdlets (type 1, 18) and directory operations (type 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from brokenseal.drill import _audit_fields, _change_settings, _record_columns, streams, tables
from brokenseal.drill.tables import AUDIT_RECORD, AUDIT_SETTING, Coded, build, coded, numbers
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._audit_fields import VisitFields
    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]

_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
_CMDLET, _COMPLIANCE, _DIRECTORY = 1, 18, 8
_DATACENTRE_ADMIN: Final = 3
_ADMIN: Final = 2


class Changed(NamedTuple):
    """AUDIT_RECORD rows numbered from 0, and AUDIT_SETTING rows that name them by these numbers."""

    records: pa.Table
    settings: pa.Table


def change_records(
    tenant: Tenant, day: int, *, intents: pa.Table, tokens: pa.Table, changes: pa.Table, fields: VisitFields
) -> Changed:
    """The records of a day's changes.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        tokens: TOKEN that the day uses.
        changes: CHANGE of the day.
        fields: Of the day's visits.
    """
    upns = tenant.upns_on(day).tolist()
    parents: list[int] = []
    described: list[_change_settings.Described] = []
    for number, change in enumerate(changes.to_pylist()):
        made = _change_settings.describe(tenant, upns, change)
        described += made
        parents += [number] * len(made)
    if not described:
        return Changed(tables.empty(AUDIT_RECORD), tables.empty(AUDIT_SETTING))
    parent = np.array(parents, dtype=np.int64)
    own = changes.take(pa.array(parent))
    rows = [(number, *setting) for number, one in enumerate(described) for setting in one.settings]
    record_no, place, name, new, old = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    settings = build(
        AUDIT_SETTING,
        len(rows),
        {
            "record_no": np.array(record_no, dtype=np.int64),
            "place": list(place),
            "name": list(name),
            "new_value": list(new),
            "old_value": list(old),
        },
    )
    return Changed(_records(tenant, day, own, intents, tokens, fields, [one.object_id for one in described]), settings)


def _records(
    tenant: Tenant,
    day: int,
    own: pa.Table,
    intents: pa.Table,
    tokens: pa.Table,
    fields: VisitFields,
    object_ids: list[str],
) -> pa.Table:
    epoch = tenant.parameters.log_epoch
    count = own.num_rows
    visit = np.searchsorted(numbers(intents, "intent_id"), numbers(own, "intent_id"))
    is_cmdlet = _audit_fields.is_one_of(coded(own, "service"), "exchange")
    is_search = _audit_fields.is_one_of(coded(own, "change"), "compliance_search")
    record_type = np.where(is_search, _COMPLIANCE, np.where(is_cmdlet, _CMDLET, _DIRECTORY)).astype(np.int32)
    is_system = numbers(own, "is_by_system")
    succeeded = numbers(own, "succeeded")
    identity, mailbox = numbers(own, "identity_no"), numbers(own, "mailbox_no")
    server, skew = _record_columns.servers(tenant, day, mailbox)
    at = numbers(own, "at_us") + skew
    is_shown = ~is_system & is_cmdlet & (epoch >= _audit_fields.TOKENS_SINCE)
    token = np.where(is_shown, _tokens(intents, tokens, visit), -1)
    user_type = np.where(is_system, _DATACENTRE_ADMIN, np.where(is_cmdlet, _ADMIN, 0))
    key, user = _audit_fields.users(tenant, day, identity, np.full(count, -1))
    status = np.where(is_cmdlet, np.where(succeeded, 0, 1), np.where(succeeded, 2, 3))
    workload = np.where(is_search, 2, np.where(is_cmdlet, 0, 1))
    blank = is_system | ~is_cmdlet
    session = _record_columns.shown_sessions(tenant, fields, intents, visit, is_system)
    return build(
        AUDIT_RECORD,
        count,
        {
            **_record_columns.token_columns(tokens, token),
            "record_no": np.arange(count),
            "record_id": _record_columns.record_ids(
                tenant, record_type, numbers(own, "intent_id") * 16 + _places(numbers(own, "intent_id")), at
            ),
            "at_us": at,
            "record_type": record_type,
            "operation": coded(own, "operation"),
            "workload": Coded(
                workload.astype(np.int32), ("Exchange", "AzureActiveDirectory", "SecurityComplianceCenter")
            ),
            "result_status": Coded(status.astype(np.int32), ("True", "False", "Success", "Failure")),
            "user_type": user_type.astype(np.int8),
            "user_key": key,
            "user_id": user,
            "object_id": object_ids,
            "identity_no": identity,
            "mailbox_no": np.where(is_cmdlet, mailbox, -1),
            "intent_id": numbers(own, "intent_id"),
            "is_external_access": is_system & is_cmdlet,
            "client_address": _addresses(tenant, intents, visit, is_system, is_cmdlet),
            "app_id": _hidden(coded(intents, "app_id").take(visit), blank),
            "client_app_id": _hidden(coded(intents, "client_app_id").take(visit), blank | (epoch < 2025)),  # noqa: PLR2004
            "context": Coded(np.where(token >= 0, 1, 0).astype(np.int32), ("absent", "full")),
            "session_id": session,
            "originating_server": Coded(np.where(is_cmdlet, server.codes, -1).astype(np.int32), server.words),
            "epoch": epoch,
            **{name: own.column(name) for name in _TRUTH},
        },
    )


def _places(group: Ints) -> Ints:
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    places: Ints = np.arange(len(group)) - np.repeat(begins, np.diff(np.append(begins, len(group))))
    return places


def _hidden(column: Coded, mask: npt.NDArray[np.bool_]) -> Coded:
    return Coded(np.where(mask, -1, column.codes).astype(np.int32), column.words)


def _tokens(intents: pa.Table, tokens: pa.Table, visit: Ints) -> Ints:
    """Row of TOKEN of each visit: the last one issued for it; -1 for none."""
    if not tokens.num_rows:
        return np.full(len(visit), -1, dtype=np.int64)
    order = np.argsort(numbers(tokens, "intent_id"), kind="stable")
    known = numbers(tokens, "intent_id")[order]
    wanted = numbers(intents, "intent_id")[visit]
    found = np.maximum(np.searchsorted(known, wanted, side="right") - 1, 0)
    return np.where(known[found] == wanted, order[found], -1)


def _addresses(
    tenant: Tenant,
    intents: pa.Table,
    visit: Ints,
    is_system: npt.NDArray[np.bool_],
    is_cmdlet: npt.NDArray[np.bool_],
) -> list[Any]:
    """ClientIP: with a port for cmdlets, bare for directory operations, none for the service itself."""
    address = tables.words(intents.take(pa.array(visit)), "address")
    port = 1024 + (streams.hashed(tenant.key("ports"), visit) % np.uint64(64_000)).astype(np.int64)
    written: list[Any] = []
    for text, number, system, cmdlet in zip(
        address.tolist(), port.tolist(), is_system.tolist(), is_cmdlet.tolist(), strict=True
    ):
        if system or not text:
            written.append(None)
        elif not cmdlet:
            written.append(text)
        else:
            written.append(f"[{text}]:{number}" if ":" in text else f"{text}:{number}")
    return written
