"""The truth of a drill: what really happened, per line, message, token and attack.

Each day leaves its rows; what spans days (messages, attacks) is put together at the end from small rows of the
attacks alone, so that memory does not grow with the drill.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from brokenseal.drill import tables
from brokenseal.drill._columnar import BOOL, INT32, INT64, STRING, Column, Table
from brokenseal.drill.days import event_ids
from brokenseal.drill.roster import find
from brokenseal.drill.tables import build, concat, numbers, words
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from brokenseal.drill.attacks import Attack
    from brokenseal.drill.days import Day
    from brokenseal.drill.roster import Roster


def _c(name: str, dtype: str, meaning: str) -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning)


READ = Table(
    name="reads",
    row="one read of one message by an attack, before they are put together",
    columns=(
        _c("tenant_no", INT32, "Tenant"),
        _c("instance", INT32, "Attack instance"),
        _c("attack_id", STRING, "Attack"),
        _c("stage", STRING, "Stage"),
        _c("mailbox_no", INT32, "Mailbox"),
        _c("message_no", INT64, "Message"),
        _c("internet_message_id", STRING, "Message-ID"),
        _c("at_us", INT64, "When"),
        _c("how", STRING, "bind, attachment, sync or graph"),
        _c("fate", STRING, "One of READ_FATES"),
        _c("event_id", STRING, "Record that shows it; null for none"),
        _c("is_delivered", BOOL, "That record stands in the exports"),
    ),
)

VISIT = Table(
    name="visits",
    row="one visit or one change of an attack",
    columns=(
        _c("tenant_no", INT32, "Tenant"),
        _c("instance", INT32, "Attack instance"),
        _c("at_us", INT64, "When it begins"),
        _c("until_us", INT64, "When it ends"),
        _c("mailbox_no", INT32, "Mailbox; -1 for none"),
        _c("identity_no", INT32, "Identity"),
    ),
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DayTruth:
    """What one tenant and day leaves."""

    records: pa.Table
    withheld: pa.Table
    tokens: pa.Table
    reads: pa.Table
    visits: pa.Table

    def parts(self) -> Mapping[str, pa.Table]:
        """The tables by name."""
        return {
            "records": self.records,
            "withheld": self.withheld,
            "tokens": self.tokens,
            "reads": self.reads,
            "visits": self.visits,
        }


def day_truth(day: Day, delivered: pa.Table, actions: pa.Table, roster: Roster) -> DayTruth:
    """The truth of one tenant and day.

    Args:
        day: Tables of the day.
        delivered: DELIVERED of the day.
        actions: ACTION of the day.
        roster: The tenant's names on that day.
    """
    originals = delivered.filter(pa.array(numbers(delivered, "copy_no") == 0))
    ids = event_ids(day, originals, roster)
    is_given = pc.is_null(originals.column("withheld_reason")).combine_chunks().to_numpy(zero_copy_only=False)
    copies = _copies(delivered)
    line = _Line(day, originals, roster)
    return DayTruth(
        records=_records(originals, ids, copies, line, is_given, roster),
        withheld=concat([_withheld(originals, ids, line, ~is_given, roster), _never_logged(day, roster)]),
        tokens=_tokens(day, originals, ids, is_given, roster),
        reads=_reads(day, originals, ids, is_given, actions),
        visits=_visits(day),
    )


def _copies(delivered: pa.Table) -> npt.NDArray[np.int32]:
    """Times that each line is given; a line stands before its copies."""
    is_original = numbers(delivered, "copy_no") == 0
    starts = np.append(np.flatnonzero(is_original), delivered.num_rows)
    counts: npt.NDArray[np.int32] = np.diff(starts).astype(np.int32)
    return counts


# ---------------------------------------------------------------- lines


class _Line:
    """Mailbox and actor of each row of DELIVERED."""

    def __init__(self, day: Day, delivered: pa.Table, roster: Roster) -> None:
        self.mailbox = np.full(delivered.num_rows, -1, dtype=np.int64)
        self.actor = np.full(delivered.num_rows, None, dtype=object)
        table, row_no = words(delivered, "table"), numbers(delivered, "row_no")
        ids = np.array(roster.identity_id.to_pylist(), dtype=object)
        sources = (
            ("audit_records", day.records, "record_no", words(day.records, "user_id")),
            ("sign_in_lines", day.sign_ins, "line_no", words(day.sign_ins, "user")),
            ("graph_lines", day.graph, "line_no", ids[numbers(day.graph, "identity_no")]),
            ("trace_lines", day.trace, "line_no", words(day.trace, "sender")),
        )
        for name, source, number, actor in sources:
            mask = table == name
            if mask.any():
                rows = find(source, number, row_no[mask])
                self.actor[mask] = actor[rows]
                if "mailbox_no" in source.column_names:
                    self.mailbox[mask] = numbers(source, "mailbox_no")[rows]


def _attack_columns(source: pa.Table) -> dict[str, object]:
    instance = numbers(source, "truth_instance")
    return {
        "attack_id": source.column("truth_attack_id").cast(pa.string()),
        "instance": pa.array(instance.astype(np.int32), mask=instance < 0),
        "stage": source.column("truth_stage").cast(pa.string()),
    }


def _guid(roster: Roster, mailbox: npt.NDArray[np.int64]) -> pa.Array:
    return roster.mailbox_guid.take(pa.array(mailbox, mask=mailbox < 0))


def _records(
    delivered: pa.Table,
    ids: pa.Array,
    copies: npt.NDArray[np.int32],
    line: _Line,
    is_given: npt.NDArray[np.bool_],
    roster: Roster,
) -> pa.Table:
    given = delivered.filter(pa.array(is_given))
    values = {
        "tenant_id": roster.tenant_id,
        "event_id": ids.filter(pa.array(is_given)),
        "stream": given.column("stream").cast(pa.string()),
        "occurred_at": numbers(given, "at_us"),
        "available_at": numbers(given, "available_at_us"),
        "copies": copies[is_given],
        "mailbox_key": _guid(roster, line.mailbox[is_given]),
        "actor": pa.array(line.actor[is_given], pa.string()),
        "actor_kind": given.column("truth_actor_kind").cast(pa.string()),
        **_attack_columns(given),
    }
    return build(tables.TRUTH_RECORD, given.num_rows, values)


def _withheld(
    delivered: pa.Table, ids: pa.Array, line: _Line, is_kept_back: npt.NDArray[np.bool_], roster: Roster
) -> pa.Table:
    kept_back = delivered.filter(pa.array(is_kept_back))
    values = {
        "tenant_id": roster.tenant_id,
        "event_id": ids.filter(pa.array(is_kept_back)),
        "stream": kept_back.column("stream").cast(pa.string()),
        "occurred_at": numbers(kept_back, "at_us"),
        "reason": kept_back.column("withheld_reason").cast(pa.string()),
        "mailbox_key": _guid(roster, line.mailbox[is_kept_back]),
        **_attack_columns(kept_back),
    }
    return build(tables.TRUTH_WITHHELD, kept_back.num_rows, values)


def _first_used(day: Day) -> pa.Table:
    """Tokens whose first use falls on the day."""
    return day.tokens.filter(pa.array(numbers(day.tokens, "intent_id") >= 0))


def _never_logged(day: Day, roster: Roster) -> pa.Table:
    """Issuances that took place and left no line anywhere."""
    tokens = _first_used(day)
    own = tokens.filter(pa.array(numbers(tokens, "is_issued") & ~numbers(tokens, "is_logged")))
    category = own.column("category").cast(pa.string()).fill_null("non_interactive")
    values = {
        "tenant_id": roster.tenant_id,
        "event_id": pc.binary_join_element_wise("signin:", own.column("request_id").fill_null(""), ""),
        "stream": category,
        "occurred_at": numbers(own, "issued_at_us"),
        "reason": own.column("unlogged_reason").cast(pa.string()),
        **_attack_columns(own),
    }
    return build(tables.TRUTH_WITHHELD, own.num_rows, values)


# ---------------------------------------------------------------- tokens


def _tokens(day: Day, delivered: pa.Table, ids: pa.Array, is_given: npt.NDArray[np.bool_], roster: Roster) -> pa.Table:
    tokens = _first_used(day)
    rows = tokens.num_rows
    token_no = numbers(tokens, "token_no")
    is_line = words(delivered, "table") == "sign_in_lines"
    line_row = find(day.sign_ins, "line_no", numbers(delivered, "row_no")[is_line])
    of_line = numbers(day.sign_ins, "token_no")[line_row]
    place = np.flatnonzero(is_line)
    # Where several lines show a token, a delivered one counts first.
    order = np.lexsort((place, ~is_given[place], of_line))
    keys = of_line[order]
    found = np.searchsorted(keys, token_no)
    at = np.minimum(found, max(len(keys) - 1, 0))
    has_line = (keys[at] == token_no) if len(keys) else np.zeros(rows, dtype=bool)
    source = np.where(has_line, place[order][at] if len(keys) else -1, -1)
    is_delivered = has_line & (is_given[source] if len(is_given) else False)
    is_logged = numbers(tokens, "is_logged")
    reason = words(tokens, "unlogged_reason")
    reason[is_logged] = "withheld"
    reason[is_delivered] = None
    values = {
        "tenant_id": roster.tenant_id,
        "token_id": tokens.column("request_id"),
        "uti": tokens.column("uti"),
        "subject_id": tokens.column("subject_id").cast(pa.string()),
        "session_id": tokens.column("session_id").cast(pa.string()),
        "client_app_id": tokens.column("client_app_id").cast(pa.string()),
        "issued_at": numbers(tokens, "issued_at_us"),
        "is_issued": numbers(tokens, "is_issued"),
        "is_logged": is_logged,
        "is_delivered": is_delivered,
        "issue_event_id": ids.take(pa.array(source, mask=source < 0)),
        "unlogged_reason": pa.array(reason, pa.string()),
        "token_source": tokens.column("truth_token_source").cast(pa.string()),
        **_attack_columns(tokens),
    }
    return build(tables.TRUTH_TOKEN, rows, values)


# ---------------------------------------------------------------- what attacks read


def _reads(
    day: Day, delivered: pa.Table, ids: pa.Array, is_given: npt.NDArray[np.bool_], actions: pa.Table
) -> pa.Table:
    fates = day.fates.filter(pa.array(numbers(day.fates, "truth_instance") >= 0))
    action = find(actions, "action_no", numbers(fates, "action_no"))
    kind, is_graph = words(actions, "kind")[action], numbers(actions, "is_graph")[action]
    record = numbers(fates, "record_no")
    is_record = (words(delivered, "table") == "audit_records") & (words(delivered, "stream") != "directory_audit")
    place = np.flatnonzero(is_record)
    rows = find(delivered.take(pa.array(place)), "row_no", record)
    shown = np.where((record >= 0) & (rows >= 0), place[rows] if len(place) else -1, -1)
    message = find(day.messages, "message_no", numbers(fates, "message_no"))
    message_ids = day.messages.column("internet_message_id").combine_chunks()
    values = {
        "tenant_no": day.tenant_no,
        "instance": numbers(fates, "truth_instance"),
        "attack_id": fates.column("truth_attack_id").cast(pa.string()),
        "stage": fates.column("truth_stage").cast(pa.string()),
        "mailbox_no": numbers(fates, "mailbox_no"),
        "message_no": numbers(fates, "message_no"),
        "internet_message_id": message_ids.take(pa.array(message, mask=message < 0)),
        "at_us": numbers(fates, "at_us"),
        "how": pa.array(np.where(is_graph & (kind == "bind"), "graph", kind), pa.string()),
        "fate": fates.column("fate").cast(pa.string()),
        "event_id": ids.take(pa.array(shown, mask=shown < 0)),
        "is_delivered": (shown >= 0) & (is_given[shown] if len(is_given) else False),
    }
    return build(READ, fates.num_rows, values)


def _visits(day: Day) -> pa.Table:
    own = day.intents.filter(pa.array(numbers(day.intents, "truth_instance") >= 0))
    starts = numbers(own, "starts_at_us")
    opened = build(
        VISIT,
        own.num_rows,
        {
            "tenant_no": day.tenant_no,
            "instance": numbers(own, "truth_instance"),
            "at_us": starts,
            "until_us": starts + (numbers(own, "duration_s") * tables.SECOND_US).astype(np.int64),
            "mailbox_no": numbers(own, "mailbox_no"),
            "identity_no": numbers(own, "identity_no"),
        },
    )
    made = day.changes.filter(pa.array(numbers(day.changes, "truth_instance") >= 0))
    changed = {
        "tenant_no": day.tenant_no,
        "instance": numbers(made, "truth_instance"),
        "at_us": numbers(made, "at_us"),
        "until_us": numbers(made, "at_us"),
        "mailbox_no": numbers(made, "mailbox_no"),
        "identity_no": numbers(made, "identity_no"),
    }
    return concat([opened, build(VISIT, made.num_rows, changed)])


# ---------------------------------------------------------------- putting it together


def field_sets(drill: Path) -> dict[str, int]:
    """Field set of the audit log (2021, 2023 or 2025) by tenant id.

    Raises:
        UsageError: The folder holds no drill.
    """
    path = drill / "truth" / f"{tables.TRUTH_TENANT.name}.parquet"
    try:
        found = pq.read_table(path, columns=["tenant_id", "log_epoch"]).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise UsageError(place=str(path), value=error, expected="a file of a drill's truth") from error
    return dict(zip(found["tenant_id"], found["log_epoch"], strict=True))


_LOST: Final = {"throttled": "throttled", "not_audited": "not_audited", "sync": "sync", "repeat": "repeat"}


def messages_read(reads: pa.Table, rosters: Mapping[int, Roster]) -> pa.Table:
    """TRUTH_MESSAGE from all READ rows: one row per instance, mailbox and message.

    Args:
        reads: READ rows of whole tenants.
        rosters: The tenants' names.
    """
    reads = reads.filter(pa.array(numbers(reads, "message_no") >= 0))
    keys = [numbers(reads, name) for name in ("instance", "mailbox_no", "message_no")]
    order = np.lexsort((numbers(reads, "at_us"), *keys[::-1]))
    ordered = reads.take(pa.array(order))
    if not len(order):
        return tables.empty(tables.TRUTH_MESSAGE)
    stacked = np.stack([key[order] for key in keys])
    starts = np.append(0, np.flatnonzero((np.diff(stacked, axis=1) != 0).any(axis=0)) + 1)
    counts = np.diff(np.append(starts, len(order)))
    group = np.repeat(np.arange(len(starts)), counts)
    is_sync = _text_of(ordered, "fate") == "sync"
    is_shown = numbers(ordered, "is_delivered") & ~is_sync
    first_shown = np.full(len(starts), -1, dtype=np.int64)
    shown_rows = np.flatnonzero(is_shown)
    first_shown[group[shown_rows][::-1]] = shown_rows[::-1]
    fate = _text_of(ordered, "fate")[starts]
    lost = np.array([_LOST.get(one, "withheld") for one in fate], dtype=object)
    lost[first_shown >= 0] = None
    first = ordered.take(pa.array(starts))
    tenants = numbers(first, "tenant_no")
    mailboxes = numbers(first, "mailbox_no")
    pairs = list(zip(tenants.tolist(), mailboxes.tolist(), strict=True))
    values = {
        "tenant_id": [rosters[tenant].tenant_id for tenant in tenants.tolist()],
        "mailbox_key": [rosters[tenant].mailbox_guid[box].as_py() for tenant, box in pairs],
        "mailbox_upn": [rosters[tenant].mailbox_upn[box].as_py() for tenant, box in pairs],
        "internet_message_id": first.column("internet_message_id"),
        "first_read_at": numbers(first, "at_us"),
        "reads": counts.astype(np.int32),
        "how": first.column("how"),
        "event_id": ordered.column("event_id").take(pa.array(first_shown, mask=first_shown < 0)),
        "lost_to": pa.array(lost, pa.string()),
        "attack_id": first.column("attack_id"),
        "instance": numbers(first, "instance"),
        "stage": first.column("stage"),
    }
    return build(tables.TRUTH_MESSAGE, len(starts), values)


def _text_of(table: pa.Table, name: str) -> npt.NDArray[np.object_]:
    found: npt.NDArray[np.object_] = np.array(table.column(name).to_pylist(), dtype=object)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One attack instance as the manifest shows it."""

    instance: int
    tenant_no: int
    attack: Attack
    stealth: int
    campaign: int | None = None
    knobs: Mapping[str, object]


def attack_rows(
    instances: Sequence[Instance],
    *,
    visits: pa.Table,
    records: pa.Table,
    messages: pa.Table,
    rosters: Mapping[int, Roster],
) -> pa.Table:
    """TRUTH_ATTACK: one row per instance.

    Args:
        instances: What was planned.
        visits: VISIT rows of their tenants.
        records: Those rows of TRUTH_RECORD that belong to an attack.
        messages: TRUTH_MESSAGE.
        rosters: The tenants' names.
    """
    rows = [_attack_row(one, visits, records, messages, rosters[one.tenant_no]) for one in instances]
    values = {name: [row[name] for row in rows] for name in tables.TRUTH_ATTACK.names}
    times = {name: _times(values[name]) for name in ("first_at", "last_at", "first_record_at", "first_available_at")}
    return build(tables.TRUTH_ATTACK, len(rows), {**values, **times})


def _times(values: list[int | None]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp("us", tz="UTC"))


def _attack_row(
    one: Instance, visits: pa.Table, records: pa.Table, messages: pa.Table, roster: Roster
) -> dict[str, Any]:
    own = visits.filter(pc.equal(visits.column("instance"), one.instance))
    lines = records.filter(pc.equal(records.column("instance"), one.instance))
    read = messages.filter(pc.equal(messages.column("instance"), one.instance))
    boxes = sorted({box for box in numbers(own, "mailbox_no").tolist() if box >= 0})
    people = sorted(set(numbers(own, "identity_no").tolist()))
    first = pc.min(lines.column("occurred_at").cast(pa.int64())).as_py()
    at_first = (
        lines.filter(pc.equal(lines.column("occurred_at").cast(pa.int64()), first)) if first is not None else lines
    )
    return {
        "instance": one.instance,
        "tenant_id": roster.tenant_id,
        "attack_id": one.attack.id,
        "title": one.attack.title,
        "stealth": one.stealth,
        "campaign": one.campaign,
        "first_at": pc.min(own.column("at_us")).as_py(),
        "last_at": pc.max(own.column("until_us")).as_py(),
        "first_record_at": first,
        "first_available_at": pc.min(at_first.column("available_at").cast(pa.int64())).as_py(),
        "mailbox_keys": [roster.mailbox_guid[box].as_py() for box in boxes],
        "subject_ids": [roster.identity_id[person].as_py() for person in people],
        "messages_read": read.num_rows,
        "messages_shown": int(pc.sum(pc.is_null(read.column("lost_to"))).as_py() or 0),
        "records": lines.num_rows,
        "tells": list(one.attack.tells),
        "is_observable": lines.num_rows > 0,
        "knobs": json.dumps(dict(one.knobs), sort_keys=True),
    }
