"""The expressions behind the exposure: they name no engine, and give every message for a streamed list."""

import datetime as dt

import ibis
import pytest

from brokenseal import exposure_folders, exposure_tables, schema
from brokenseal.selection import Selection
from support import make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)


def test_every_exposed_message_is_there_in_order_of_first_reading():
    access = {"mailbox_key": "guid-a", "mailbox_upn": "a@contoso.example", "effective_app": "app"}
    later, first = (
        {**access, "event_id": name, "occurred_at": T0 + dt.timedelta(hours=n)} for n, name in ((5, "e1"), (1, "e2"))
    )
    item = {"kind": "message", "mailbox_key": "guid-a"}
    tables = make_tables(
        {
            "mail_accesses": [later, first],
            "events": [
                {name: row[name] for name in ("event_id", "occurred_at", "mailbox_key")} for row in (later, first)
            ],
            "accessed_items": [
                {**item, "event_id": "e1", "internet_message_id": "<m1@x>", "size_bytes": 7},
                {**item, "event_id": "e1", "internet_message_id": "<m2@x>", "size_bytes": 9},
                {**item, "event_id": "e2", "internet_message_id": "<m2@x>", "size_bytes": 8},
            ],
        }
    )

    rows = exposure_tables.exposed_messages(tables, Selection.everything()).to_pyarrow().to_pylist()

    assert [(row["internet_message_id"], row["first_at"], row["entries"]) for row in rows] == [
        ("<m2@x>", first["occurred_at"], 2),
        ("<m1@x>", later["occurred_at"], 1),
    ]
    assert (rows[0]["mailbox"], rows[0]["size_bytes"]) == ("a@contoso.example", 9)
    assert (rows[0]["clients"], rows[0]["event_ids"]) == (["app"], ["e1", "e2"])


def test_the_client_is_the_application_else_the_protocol():
    rows = ibis.memtable(
        {"effective_app": ["app", None, None], "protocol": ["owa", "owa", None]},
        schema={"effective_app": "string", "protocol": "string"},
    )

    shown = rows.select(client=exposure_tables.client_of(rows)).to_pyarrow()["client"].to_pylist()

    assert shown == ["app", "owa", "unknown"]


UNBOUND = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}
UNBOUND_MESSAGES = ibis.table(
    {"selection_no": "int64", "mailbox_key": "string", "internet_message_id": "string"}, name="sent_on"
)
UNBOUND_SPANS = ibis.table(
    {
        "span_no": "int64",
        "selection_no": "int64",
        "mailbox_key": "string",
        "starts_at": "timestamp('UTC', 6)",
        "ends_at": "timestamp('UTC', 6)",
    },
    name="spans",
)


@pytest.mark.parametrize(
    "selection",
    [
        Selection.everything(),
        Selection.by("ip", "192.0.2.1"),
        Selection.of_events("case-1", ["a"], sessions=["s"], doubtful=["b"]),
    ],
    ids=str,
)
def test_every_expression_compiles_for_spark(selection):
    found = exposure_tables.reading(UNBOUND, [selection, Selection.everything()])
    sync_rows = exposure_folders.syncs(UNBOUND, found.touched)
    stood = exposure_folders.stood_in_synced(UNBOUND, sync_rows)
    messages = exposure_tables.messages_of(found.entries)
    lost = exposure_tables.lost_entries(UNBOUND, found.touched)
    expressions = (
        found.touched,
        exposure_tables.mailbox_totals(found.touched),
        exposure_tables.entry_counts(messages, lost),
        exposure_tables.exposed_messages(UNBOUND, selection),
        exposure_tables.first_messages(exposure_tables.settled_messages(messages), 5),
        exposure_tables.messages_in(UNBOUND, exposure_tables.item_entries(UNBOUND, found.touched, of=messages)),
        exposure_folders.synced_folders(sync_rows, cite=5),
        exposure_folders.known_counts(stood),
        exposure_folders.possible_counts(messages, stood=stood, has_doubtful=True, forwarded=UNBOUND_MESSAGES),
        exposure_folders.counts_in_spans(UNBOUND, found.touched, found.entries, UNBOUND_SPANS),
        exposure_tables.unnamed_reads(found.touched, lost, cite=5),
        exposure_tables.throttles(UNBOUND),
        exposure_tables.mailboxes_without_access_log(UNBOUND),
    )
    for expression in expressions:
        assert "SELECT" in ibis.to_sql(expression, dialect="pyspark")
