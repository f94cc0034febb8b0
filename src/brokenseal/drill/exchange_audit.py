"""The audit log of a day: what Exchange and Entra write of what was done, and what they leave out.

Mail reads are gathered, filtered and throttled by `_bind_audit`; every other action gives one record. The memory that
one day leaves to the next is bounded: each mailbox loses it once a week, so `LOOK_BACK_DAYS` days give the exact state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import (
    _audit_changes,
    _audit_fields,
    _bind_audit,
    _graph_requests,
    _mailboxes,
    _record_columns,
    mailflow,
    streams,
    tables,
)
from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill._bind_audit import Memory, forgetful
from brokenseal.drill.tables import (
    AUDIT_ITEM,
    AUDIT_RECORD,
    AUDIT_SETTING,
    CHANGE,
    READ_FATE,
    READ_FATES,
    SECOND_US,
    Coded,
    build,
    coded,
    numbers,
    row_number,
)
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._audit_fields import VisitFields
    from brokenseal.drill._mailboxes import Mail
    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

__all__ = ["LOOK_BACK_DAYS", "Audited", "Memory", "audit", "expand_syncs", "forgetful"]

LOOK_BACK_DAYS: Final = _bind_audit.RESET_DAYS - 1
"""Days to audit before a day, beginning with `forgetful()`, so that the day's records are exact."""

_ATTACHMENTS_SINCE: Final = 2025
_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
# Operation and record type of each kind of action that gives one record.
_SINGLE: Final = {
    "sync": ("MailItemsAccessed", 2),
    "attachment": ("AttachmentAccess", 50),
    "search": ("SearchQueryInitiatedExchange", 101),
    "send": ("Send", 2),
    "send_as": ("SendAs", 2),
    "send_on_behalf": ("SendOnBehalf", 2),
    "create": ("Create", 2),
    "update": ("Update", 2),
    "move": ("Move", 3),
    "move_to_deleted": ("MoveToDeletedItems", 3),
    "soft_delete": ("SoftDelete", 3),
    "hard_delete": ("HardDelete", 3),
    "mailbox_login": ("MailboxLogin", 2),
}
_LICENSED: Final = ("bind", "sync", "attachment", "search", "send")
"""What only mailboxes with the right licence have audited."""
_CHOSEN: Final = 0.25
"""Share of tenants that chose themselves what is audited. By default moves between folders are not (Microsoft Purview,
manage mailbox auditing)."""
_SECOND_REQUEST_US: Final = 45 * SECOND_US
_AUDIT_SWITCHES: Final = ("audit_bypass", "audit_disabled", "mailbox_audit_disabled")
_FATE: Final = {name: code for code, name in enumerate(READ_FATES)}
_BIND_FATE: Final = np.array([_FATE[name] for name in ("recorded", "aggregated", "repeat", "throttled")])


class Audited(NamedTuple):
    """Result of `audit`: AUDIT_RECORD, AUDIT_ITEM, AUDIT_SETTING, GRAPH_LINE, READ_FATE, and the next day's memory."""

    records: pa.Table
    items: pa.Table
    settings: pa.Table
    graph: pa.Table
    fates: pa.Table
    memory: Memory


class _Shown(NamedTuple):
    """What the records of a day rest on, by row of ACTION."""

    row: Ints  # row of INTENT
    token: Ints  # row of TOKEN, -1 for none or not shown
    is_bare: Bools
    tuple_key: npt.NDArray[np.uint64]
    repeat_key: npt.NDArray[np.uint64]
    is_audited: Bools


class _Kept(NamedTuple):
    """What the log keeps of the actions.

    Attributes:
        rows: Binds and syncs that are audited at all, rows of ACTION.
        binds: What became of them.
        single: Actions with a record of their own, rows of ACTION.
        opening: Action that opens each record, records in order of time.
        place: Place in `opening` of the records of `binds`, then of `single`.
    """

    rows: Ints
    binds: _bind_audit.BindRecords
    single: Ints
    opening: Ints
    place: Ints

    @property
    def listed(self) -> Ints:
        """Binds that stand in a record's list, as indices into `rows`."""
        listed: Ints = np.flatnonzero((self.binds.fate == _bind_audit.RECORDED) & (self.binds.record >= 0))
        return listed


def audit(
    tenant: Tenant,
    day: int,
    *,
    intents: pa.Table,
    tokens: pa.Table,
    actions: pa.Table,
    changes: pa.Table,
    mail: Mail,
    memory: Memory,
    switches: pa.Table | None = None,
) -> Audited:
    """The audit log of one day.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        tokens: TOKEN that the day uses.
        actions: ACTION of the day, sorted by time.
        changes: CHANGE of the day.
        mail: The tenant's mail.
        memory: What the day before left; `forgetful()` for the first.
        switches: CHANGE, all changes up to the end of the day that switch auditing off (others are ignored).
    """
    fields = _audit_fields.visit_fields(tenant, day, intents)
    off = tables.empty(CHANGE) if switches is None else switches
    shown = _shown(tenant, fields, intents, tokens, actions, off)
    kept, memory = _kept(tenant, day, actions, shown, memory)
    made = _records(tenant, day, fields, shown, intents, tokens, actions, kept)
    changed = _audit_changes.change_records(tenant, day, intents=intents, tokens=tokens, changes=changes, fields=fields)
    records, number = _merged(day, made, changed.records)
    record_no = number[: made.num_rows][kept.place]
    return Audited(
        records=records,
        items=_items(actions, mail, kept, record_no),
        settings=_settings(made, changed.settings, number),
        graph=_graph_requests.graph_lines(tenant, day, intents=intents, actions=actions),
        fates=_fates(actions, shown, kept, record_no),
        memory=memory,
    )


def _kept(tenant: Tenant, day: int, actions: pa.Table, shown: _Shown, memory: Memory) -> tuple[_Kept, Memory]:
    """Which actions the log keeps, and in which records."""
    kind, at = coded(actions, "kind"), numbers(actions, "at_us")
    is_bind, is_sync = is_one_of(kind, "bind"), is_one_of(kind, "sync")
    rows = np.flatnonzero((is_bind | is_sync) & shown.is_audited)
    binds, memory = _bind_audit.bind_records(
        at=at[rows],
        mailbox=numbers(actions, "mailbox_no").astype(np.int64)[rows],
        tuple_key=shown.tuple_key[rows],
        repeat_key=shown.repeat_key[rows],
        is_sync=is_sync[rows],
        memory=_bind_audit.reset(memory, _resets(tenant, day)),
        day_ends_us=tenant.day_starts_us(day + 1),
    )
    is_single = shown.is_audited & ~is_bind & ~is_one_of(kind, "change")
    is_single[rows[is_sync[rows] & (binds.fate != _bind_audit.RECORDED)]] = False
    single = np.flatnonzero(is_single)
    opening = np.concatenate([rows[binds.first], single])
    order = np.argsort(at[opening], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return _Kept(rows, binds, single, opening[order], place), memory


def _settings(made: pa.Table, changed: pa.Table, number: Ints) -> pa.Table:
    """AUDIT_SETTING with the final numbers of the records: what updates changed, and what changes of settings did."""
    updated = np.flatnonzero(is_one_of(coded(made, "operation"), "Update"))
    names = build(
        AUDIT_SETTING,
        len(updated),
        {"record_no": updated, "place": "modified", "name": "RecipientCollection"},
    )
    final = number[np.concatenate([updated, made.num_rows + numbers(changed, "record_no")])]
    order = pa.array(np.argsort(final, kind="stable"))
    return tables.concat([names, changed]).set_column(0, "record_no", pa.array(final)).take(order)


def _resets(tenant: Tenant, day: int) -> Bools:
    """Mailboxes whose memory is lost at the start of this day."""
    boxes = np.arange(len(tenant.mailboxes))
    weekday = streams.hashed(tenant.key("failover"), boxes) % np.uint64(_bind_audit.RESET_DAYS)
    due: Bools = weekday.astype(np.int64) == day % _bind_audit.RESET_DAYS
    return due


def _shown(
    tenant: Tenant, fields: VisitFields, intents: pa.Table, tokens: pa.Table, actions: pa.Table, switches: pa.Table
) -> _Shown:
    row = np.searchsorted(numbers(intents, "intent_id"), numbers(actions, "intent_id"))
    by_number = np.argsort(numbers(tokens, "token_no"), kind="stable")
    known = numbers(tokens, "token_no")[by_number]
    wanted = numbers(actions, "token_no")
    token = np.full(len(row), -1, dtype=np.int64)
    if len(known):
        found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        token = np.where((known[found] == wanted) & fields.shows_token[row], by_number[found], -1)
    is_bare = _second_requests(fields, actions, row)
    session = np.where(fields.has_session[row] & ~is_bare, numbers(intents, "session_no")[row], -1)
    shown_session = np.where(token >= 0, numbers(intents, "session_no")[row], session)
    repeat = streams.hashed(
        1,
        fields.repeat_key[row].view(np.int64),
        shown_session,
        numbers(actions, "folder_no"),
        numbers(actions, "message_no"),
    )
    together = streams.hashed(
        2,
        fields.tuple_key[row].view(np.int64),
        np.where(token >= 0, wanted, -1),
        session,
        is_bare.astype(np.int64),
    )
    return _Shown(row, token, is_bare, together, repeat, _audited(tenant, actions, switches))


def _second_requests(fields: VisitFields, actions: pa.Table, row: Ints) -> Bools:
    """Binds with which the web client of older epochs fetches a message again, without session and application."""
    is_bare = np.zeros(len(row), dtype=bool)
    own = np.flatnonzero(fields.may_be_bare[row] & is_one_of(coded(actions, "kind"), "bind"))
    message, folder = numbers(actions, "message_no")[own], numbers(actions, "folder_no")[own]
    order = np.lexsort((own, folder, message, row[own]))
    visit, message, folder = row[own][order], message[order], folder[order]
    same = (visit[1:] == visit[:-1]) & (message[1:] == message[:-1]) & (folder[1:] == folder[:-1])
    same &= np.diff(numbers(actions, "at_us")[own][order]) < _SECOND_REQUEST_US
    is_bare[own[order[1:][same]]] = True
    return is_bare


def _audited(tenant: Tenant, actions: pa.Table, switches: pa.Table) -> Bools:
    """Whether the audit log records an action at all: licence, epoch, and switches that somebody turned."""
    kind = coded(actions, "kind")
    mailbox, identity = numbers(actions, "mailbox_no"), numbers(actions, "identity_no")
    at = numbers(actions, "at_us")
    needs = is_one_of(kind, *_LICENSED)
    is_audited: Bools = ~needs | np.append(tenant.mailboxes["is_licensed"], True)[mailbox]
    if tenant.parameters.log_epoch < _ATTACHMENTS_SINCE:
        is_audited &= ~is_one_of(kind, "attachment")
    if not streams.hashed_chance(_CHOSEN, tenant.key("audited actions"), 0)[0]:
        is_audited &= ~is_one_of(kind, "move")
    for switch in switches.to_pylist():
        if switch["change"] not in _AUDIT_SWITCHES or not switch["succeeded"]:
            continue
        concerned = at >= switch["at_us"]
        if switch["ends_at_us"]:
            concerned &= at < switch["ends_at_us"]
        if switch["change"] == "audit_bypass":
            concerned &= identity == switch["target_identity_no"]
        elif switch["change"] == "mailbox_audit_disabled":
            concerned &= mailbox == switch["mailbox_no"]
        is_audited &= ~concerned
    return is_audited


def _records(
    tenant: Tenant,
    day: int,
    fields: VisitFields,
    shown: _Shown,
    intents: pa.Table,
    tokens: pa.Table,
    actions: pa.Table,
    kept: _Kept,
) -> pa.Table:
    """AUDIT_RECORD of mailbox actions, numbered from 0 in order of time."""
    opening = kept.opening
    row, token, is_bare = shown.row[opening], shown.token[opening], shown.is_bare[opening]
    own = actions.take(pa.array(opening))
    kind = coded(own, "kind")
    pairs = [_SINGLE.get(word, ("MailItemsAccessed", 50)) for word in kind.words]
    record_type = np.array([number for _, number in pairs], dtype=np.int32)[kind.codes]
    mailbox = numbers(own, "mailbox_no")
    server, skew = _record_columns.servers(tenant, day, mailbox)
    at = numbers(own, "at_us") + skew
    columns: dict[str, Any] = {
        name: value.take(row) if isinstance(value, Coded) else value[row] for name, value in (fields.columns.items())
    }
    app_id = columns["app_id"]
    columns["app_id"] = Coded(np.where(is_bare, -1, app_id.codes).astype(np.int32), app_id.words)
    access = np.where(is_one_of(kind, "sync"), 1, np.where(is_one_of(kind, "bind"), 0, -1))
    session = _record_columns.shown_sessions(tenant, fields, intents, row, is_bare)
    is_sync = access == 1
    identity = numbers(intents, "identity_no")[row]
    values: dict[str, Any] = {
        **columns,
        **_record_columns.token_columns(tokens, token),
        "record_no": np.arange(len(opening)),
        "record_id": _record_columns.record_ids(tenant, record_type, numbers(own, "action_no"), at),
        "at_us": at,
        "record_type": record_type,
        "operation": Coded(kind.codes, [name for name, _ in pairs]),
        "workload": "Exchange",
        "result_status": "Succeeded",
        "identity_no": identity.astype(np.int32),
        "mailbox_no": mailbox,
        "intent_id": numbers(own, "intent_id"),
        "client_address": coded(own, "mail_address"),
        "session_id": session,
        "access_type": Coded(access.astype(np.int32), ("Bind", "Sync")),
        "folder_no": np.where(is_sync | (record_type == 3), numbers(own, "folder_no"), -1),  # noqa: PLR2004
        "to_folder_no": numbers(own, "to_folder_no"),
        "originating_server": server,
        "epoch": tenant.parameters.log_epoch,
        **{name: own.column(name) for name in _TRUTH},
    }
    counts = np.bincount(kept.place[kept.binds.record[kept.listed]], minlength=len(opening))
    throttled = np.zeros(len(opening), dtype=bool)
    throttled[kept.place[: len(kept.binds.first)]] = kept.binds.is_throttled
    values |= {
        "is_throttled": pa.array(throttled, mask=access < 0),
        "operation_count": np.where(access == 0, counts, -1).astype(np.int32),
    }
    return build(AUDIT_RECORD, len(opening), values)


def _merged(day: int, records: pa.Table, changed: pa.Table) -> tuple[pa.Table, Ints]:
    """Both kinds of records by time, with their numbers, and the number of each row of both before sorting."""
    joined = tables.concat([records, changed])
    order = np.argsort(numbers(joined, "at_us"), kind="stable")
    new_no = np.empty(len(order), dtype=np.int64)
    new_no[order] = row_number(day, len(order))
    joined = joined.take(pa.array(order)).set_column(0, "record_no", pa.array(new_no[order]))
    return joined, new_no


def _items(actions: pa.Table, mail: Mail, kept: _Kept, record_no: Ints) -> pa.Table:
    """AUDIT_ITEM; `record_no` are the numbers of the records of binds, then of single actions."""
    first = len(kept.binds.first)
    named = np.flatnonzero(numbers(actions, "message_no")[kept.single] >= 0)
    rows = np.concatenate([kept.rows[kept.listed], kept.single[named]])
    record_no = np.concatenate([record_no[kept.binds.record[kept.listed]], record_no[first:][named]])
    message, folder = numbers(actions, "message_no")[rows], numbers(actions, "folder_no")[rows]
    order = np.lexsort((message, folder, record_no))
    message, folder, record_no = message[order], folder[order], record_no[order]
    # The id on arrival stands with the message; a moved item has another one.
    arrival = mailflow.arrival_folders(mail, message)
    moved = np.flatnonzero(arrival != folder)
    place = np.full(len(message), -1, dtype=np.int64)
    place[moved] = np.arange(len(moved))
    ids = mailflow.item_ids(mail, message[moved], folder[moved])
    return build(
        AUDIT_ITEM,
        len(message),
        {
            "record_no": record_no,
            "message_no": message,
            "folder_no": folder,
            "item_id": ids.take(pa.array(place, mask=place < 0)),
        },
    )


def _fates(actions: pa.Table, shown: _Shown, kept: _Kept, record_no: Ints) -> pa.Table:
    kind = coded(actions, "kind")
    is_read = np.flatnonzero(is_one_of(kind, "bind", "sync", "attachment"))
    fate = np.where(shown.is_audited, _FATE["recorded"], _FATE["not_audited"]).astype(np.int32)
    fate[kept.rows] = _BIND_FATE[kept.binds.fate]
    fate[is_one_of(kind, "sync") & (fate == _FATE["recorded"])] = _FATE["sync"]
    record = np.full(actions.num_rows, -1, dtype=np.int64)
    record[kept.single] = record_no[len(kept.binds.first) :]
    is_listed = kept.binds.record >= 0
    record[kept.rows[is_listed]] = record_no[kept.binds.record[is_listed]]
    reads = actions.take(pa.array(is_read))
    return build(
        READ_FATE,
        len(is_read),
        {
            "action_no": reads.column("action_no"),
            "at_us": reads.column("at_us"),
            "mailbox_no": reads.column("mailbox_no"),
            "message_no": reads.column("message_no"),
            "fate": Coded(fate[is_read], READ_FATES),
            "record_no": record[is_read],
            **{name: reads.column(name) for name in _TRUTH},
        },
    )


def expand_syncs(mail: Mail, actions: pa.Table, fates: pa.Table) -> pa.Table:
    """READ_FATE rows of synchronisations as one row per message that stood in the folder; other rows stay.

    Args:
        mail: The tenant's mail.
        actions: ACTION of the day, sorted by action_no.
        fates: READ_FATE. A sync takes a whole folder along, so give only the rows that matter.
    """
    is_folder = numbers(fates, "message_no") < 0
    folders = fates.filter(pa.array(is_folder))
    number = np.searchsorted(numbers(actions, "action_no"), numbers(folders, "action_no"))
    folder, at = numbers(actions, "folder_no")[number], numbers(folders, "at_us")
    box = numbers(folders, "mailbox_no").astype(np.int64)
    size = mail.sizes(box, at)
    parent, place = streams.spread(size)
    sent, letter = _sent_before(mail, actions, box, folder, at)
    parent, message = np.concatenate([parent, sent]), np.concatenate([mail.at_position(box[parent], place), letter])
    stands = np.flatnonzero(mailflow.folders_at(mail, message, at[parent]) == folder[parent])
    stands = stands[np.argsort(parent[stands], kind="stable")]
    rows = folders.take(pa.array(parent[stands]))
    rows = rows.set_column(3, fates.schema.field(3), pa.array(message[stands]))
    return tables.concat([fates.filter(pc.invert(pa.array(is_folder))), rows])


def _sent_before(mail: Mail, actions: pa.Table, box: Ints, folder: Ints, at: Ints) -> tuple[Ints, Ints]:
    """What was sent before each sync: index of the sync, and message in Sent Items or colleague's copy elsewhere."""
    sends = actions.filter(pa.array(is_one_of(coded(actions, "kind"), "send", "send_as", "send_on_behalf")))
    letters, sent_at = numbers(sends, "message_no"), numbers(sends, "at_us")
    senders = numbers(sends, "mailbox_no")
    post = mailflow.delivered(mail, letters, sent_at)
    is_sent = folder % _mailboxes.FOLDERS_PER_MAILBOX == _mailboxes.SENT_ITEMS
    found: list[tuple[Ints, Ints]] = [(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))]
    for row in range(len(folder)):
        if is_sent[row]:
            own = letters[(senders == box[row]) & (sent_at <= at[row])]
            message = np.concatenate([mail.sent_until(int(box[row]), int(at[row])), own])
        else:
            message = post.message[(post.mailbox == box[row]) & (post.at <= at[row])]
        found.append((np.full(len(message), row, dtype=np.int64), message))
    rows, messages = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(messages)
