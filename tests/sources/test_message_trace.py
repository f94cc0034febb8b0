"""Message trace: each form, one event per record and one row per recipient."""

from __future__ import annotations

import datetime as dt

import pytest

import support
from brokenseal.errors import RecordRejected
from brokenseal.sources import message_trace

TRACE = "b570cffc-87f6-4b6e-44f8-08ddcba4fec6"
AT = dt.datetime(2025, 7, 25, 17, 59, 26, 596018, tzinfo=dt.UTC)
RECORD = {
    "Organization": "contoso.onmicrosoft.example",
    "MessageId": " <SJ0PR08@Prod.Outlook.com> ",
    "Received": "2025-07-25T17:59:26.5960184",
    "SenderAddress": "Bob@fabrikam.example",
    "RecipientAddress": "Ada@contoso.example",
    "Subject": "Offer",
    "Status": "Delivered",
    "ToIP": None,
    "FromIP": "198.51.100.4",
    "Size": 48373,
    "MessageTraceId": TRACE.upper(),
    "StartDate": "2025-07-23T18:05:03.3297798Z",
    "EndDate": "2025-07-25T18:05:03.3297798Z",
    "Index": 0,
}
SUMMARY = {
    "origin_timestamp_utc": "2025-07-25T17:59:26.5960184Z",
    "sender_address": "Bob@fabrikam.example",
    "recipient_status": "Ada@contoso.example##Receive, Deliver;eve@contoso.example##Receive, Fail",
    "message_subject": "Offer",
    "total_bytes": "48373",
    "message_id": "<SJ0PR08@Prod.Outlook.com>",
    "network_message_id": "1341ac7b13fb42ab4d4408cf7f55890f",
    "original_client_ip": "198.51.100.4",
    "directionality": "1",
    "connector_id": "",
}
TRACE_ROW = {
    "event_id": f"trace:{TRACE}:ada@contoso.example",
    "occurred_at": AT,
    "internet_message_id": "<SJ0PR08@Prod.Outlook.com>",
    "sender": "bob@fabrikam.example",
    "recipient": "ada@contoso.example",
    "subject": "Offer",
    "status": "Delivered",
    "size_bytes": 48373,
    "from_ip": "198.51.100.4",
    "to_ip": None,
}


def read(record):
    """The event and the trace rows of a record, whose rows must fit the schema."""
    rows = message_trace.normalise(record)
    assert set(rows) == {"events", "message_traces"}
    for name, content in rows.items():
        support.arrow_table(name, content)
    (event,) = rows["events"]
    assert {row["event_id"] for row in rows["message_traces"]} == {event["event_id"]}
    return event, rows["message_traces"]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(RECORD, id="json"),
        pytest.param(RECORD | {"Received": "/Date(1753466366596)/", "__metadata": {}}, id="web_service_dates"),
        pytest.param({name: "" if value is None else str(value) for name, value in RECORD.items()}, id="cmdlet_csv"),
        pytest.param(RECORD | {"Received": "7/25/2025 5:59:26 PM"}, id="csv_with_us_dates"),
        pytest.param(
            {name: RECORD[name] for name in ("Received", "SenderAddress", "RecipientAddress")}, id="no_trace_id"
        ),
    ],
)
def test_trace_records_are_recognised(record):
    assert message_trace.sniff(record) == "message_trace"
    _, (row,) = read(record)
    assert row["sender"] == "bob@fabrikam.example"
    assert abs(row["occurred_at"] - AT) < dt.timedelta(seconds=1)


def test_a_trace_record_is_read_to_the_last_column():
    event, rows = read(RECORD)
    assert rows == [TRACE_ROW]
    assert event == {
        "event_id": TRACE_ROW["event_id"],
        "source": "message_trace",
        "occurred_at": AT,
        "operation": "Message trace",
        "operation_key": "message trace",
        "workload": "Exchange",
        "actor": "bob@fabrikam.example",
        "actor_key": "bob@fabrikam.example",
        "succeeded": True,
        "object_id": "<SJ0PR08@Prod.Outlook.com>",
        "client_ip": "198.51.100.4",
        "ip_class": "public",
    }


@pytest.mark.parametrize("time_column", ["origin_timestamp_utc", "origin_timestamp"])
def test_a_summary_gives_one_event_and_a_row_for_each_recipient(time_column):
    record = {(time_column if name == "origin_timestamp_utc" else name): value for name, value in SUMMARY.items()}
    assert message_trace.sniff(record) == "message_trace_summary"
    event, rows = read(record)
    assert event["event_id"].startswith("sha256:")
    assert event["succeeded"] is None
    shared = {name: value for name, value in TRACE_ROW.items() if name not in {"event_id", "recipient", "status"}}
    assert rows == [
        {"event_id": event["event_id"], **shared, "recipient": "ada@contoso.example", "status": "Receive, Deliver"},
        {"event_id": event["event_id"], **shared, "recipient": "eve@contoso.example", "status": "Receive, Fail"},
    ]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("a@x.example##Receive, Send", [("a@x.example", "Receive, Send")]),
        ("a@x.example##Receive, Send;", [("a@x.example", "Receive, Send")]),
        ("a@x.example##S; a@x.example##S ;B@x.example", [("a@x.example", "S"), ("b@x.example", None)]),
        ("##Receive, Fail", [(None, "Receive, Fail")]),
        (";;", [(None, None)]),
        ("", [(None, None)]),
    ],
)
def test_recipients_are_listed_once_each_and_never_lost(listed, expected):
    _, rows = read(SUMMARY | {"recipient_status": listed})
    assert [(row["recipient"], row["status"]) for row in rows] == expected


@pytest.mark.parametrize(
    ("status", "succeeded"),
    [
        ("Delivered", True),
        ("delivered ", True),
        ("Failed", False),
        ("Receive, Deliver", True),
        ("Receive, Fail", False),
        *(
            (status, None)
            for status in ("Pending", "Expanded", "Resolved", "Quarantined", "FilteredAsSpam", "None", "")
        ),
    ],
)
def test_only_delivered_and_failed_say_how_it_ended(status, succeeded):
    assert read(RECORD | {"Status": status})[0]["succeeded"] is succeeded


def test_one_message_to_two_recipients_is_two_events():
    ids = {
        read(RECORD | {"RecipientAddress": name})[0]["event_id"]
        for name in ("a@x.example", "A@x.example ", "b@x.example")
    }
    assert ids == {f"trace:{TRACE}:a@x.example", f"trace:{TRACE}:b@x.example"}


@pytest.mark.parametrize("trace_id", ["", None, "00000000-0000-0000-0000-000000000000"])
def test_a_record_without_a_trace_id_is_named_by_its_content(trace_id):
    first, again = (
        read(record)[0]
        for record in (
            RECORD | {"MessageTraceId": trace_id},
            {"MessageTraceId": trace_id} | RECORD | {"MessageTraceId": trace_id},
        )
    )
    assert first["event_id"] == again["event_id"]
    assert first["event_id"].startswith("sha256:")


@pytest.mark.parametrize(("received", "reason"), [("", "field_missing"), ("25.07.2025", "field_invalid")])
def test_a_record_without_a_readable_time_is_rejected(received, reason):
    with pytest.raises(RecordRejected) as caught:
        message_trace.normalise(RECORD | {"Received": received})
    assert (caught.value.column, caught.value.reason) == ("Received", reason)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Received": "2025-07-25T17:59:26"},
        {"MessageTraceId": TRACE, "Date": "2025-07-25T17:59:26", "Event": "Receive"},
        {"origin_timestamp": "2025-07-25T17:59:26"},
        {"Organization": "x", "MessageId": "<a@b>", "Subject": "s"},
    ],
)
def test_other_records_are_not_taken_for_traces(record):
    assert message_trace.sniff(record) is None
