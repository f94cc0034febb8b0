"""CloudAppEvents rows carry the audit record whole."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from brokenseal.errors import RecordRejected
from brokenseal.sources import office_activity, unified_audit
from brokenseal.sources.cloud_app_events import SOURCE
from support import SAMPLES, needs_samples

RAW = {
    "Id": "0f0e0d0c-0000-4000-8000-00000000000a",
    "CreationTime": "2025-10-27T07:09:33.0000000Z",
    "RecordType": 2,
    "Operation": "Send",
    "Workload": "Exchange",
    "UserId": "adele@contoso.example",
    "UserType": 0,
    "ClientIPAddress": "203.0.113.7",
    "ClientInfoString": "Client=OWA;Mozilla/5.0;",
    "ResultStatus": "Succeeded",
    "ObjectId": "x",
    "MailboxGuid": "33333333-3333-4333-8333-333333333333",
    "Item": {"InternetMessageId": "<a@b.example>", "Subject": "Hi"},
}


def event(raw, **given):
    return {
        "Timestamp": "2025-10-27T07:10:00Z",
        "ActionType": "Send",
        "Application": "Microsoft Exchange Online",
        "ApplicationId": 20893,
        "AccountDisplayName": "Adele",
        "IPAddress": "198.51.100.1",
        "UserAgent": "derived",
        "RawEventData": raw,
    } | given


@pytest.mark.parametrize(
    "record",
    [
        event(RAW),
        event(json.dumps(RAW)),
        {**event(None), "RawEventData_dynamic": RAW},
        {**event(""), "RawEventData_string": json.dumps(RAW)},
    ],
    ids=["object", "text", "split, object", "split, text"],
)
def test_the_rows_are_those_of_the_record_inside(record):
    assert SOURCE.sniff(record) == "cloud_app_events"
    assert SOURCE.normalise(record) == unified_audit.SOURCE.normalise(RAW)


@pytest.mark.parametrize(
    "record",
    [event(None), event(""), {"RawEventData": RAW}, {"ActionType": "LdapSearch"}, {}],
    ids=["null", "empty", "no action", "device event", "nothing"],
)
def test_rows_without_an_audit_record_are_not_known(record):
    assert SOURCE.sniff(record) is None


def test_events_of_other_clouds_are_kept_with_a_digest():
    record = event({"kind": "drive#activity"}, ActionType="Download")

    (row,) = SOURCE.normalise(record)["events"]

    assert row["event_id"].startswith("sha256:")
    assert row["event_id"] == SOURCE.normalise(dict(reversed(record.items())))["events"][0]["event_id"]
    assert row["occurred_at"] == dt.datetime(2025, 10, 27, 7, 10, tzinfo=dt.UTC)
    assert (row["operation"], row["actor"], row["client_ip"]) == ("Download", "Adele", "198.51.100.1")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (event("{"), ("RawEventData", "not_json")),
        (event({}), ("RawEventData", "empty_record")),
        (event({"Id": "1", "CreationTime": "then"}), ("CreationTime", "field_invalid")),
        (event({"Id": "1"}, Timestamp=""), ("CreationTime", "field_missing")),
        (event({"Id": "1"}, ActionType=""), ("Operation", "field_missing")),
    ],
)
def test_what_cannot_be_read_is_rejected(record, expected):
    with pytest.raises(RecordRejected) as caught:
        SOURCE.normalise(record)

    assert (caught.value.column, caught.value.reason) == expected


@needs_samples
def test_the_one_mail_read_that_stands_in_two_tables_has_one_id():
    folder = SAMPLES / "golden-saml"
    defender = [json.loads(line) for line in (folder / "Microsoft365DefenderEvents.json").read_text().splitlines()]
    sentinel = json.loads((folder / "OfficeActivityEvents.json").read_text())
    shapes = [SOURCE.sniff(record) for record in defender]
    (mail_read,) = (record for record, shape in zip(defender, shapes, strict=True) if shape)

    cut, whole = SOURCE.normalise(mail_read), office_activity.SOURCE.normalise(sentinel)

    assert shapes.count("cloud_app_events_flattened") == 1
    assert len(shapes) - shapes.count(None) == 1
    assert cut["events"][0]["event_id"] == whole["events"][0]["event_id"] == "699e0b10-1c53-403e-976f-ce0847a92b44"
    assert (cut["mail_accesses"][0]["access_type"], cut["mail_accesses"][0]["operation_count"]) == ("bind", 7)
    assert cut["mail_accesses"][0]["item_entries"] is None
    assert len(whole["accessed_items"]) == 7
