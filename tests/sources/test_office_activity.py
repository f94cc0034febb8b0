"""OfficeActivity rows are the audit record under other column names."""

from __future__ import annotations

import csv
import datetime as dt
import json

import pytest

from brokenseal.errors import RecordRejected
from brokenseal.sources import unified_audit
from brokenseal.sources.office_activity import SOURCE, digest_id
from support import SAMPLES, needs_samples

ID = "0f0e0d0c-0000-4000-8000-00000000000a"
MAILBOX = "33333333-3333-4333-8333-333333333333"
APP = "22222222-2222-4222-8222-222222222222"
GRAPH = "00000003-0000-0000-c000-000000000000"
PROPERTIES = [{"Name": "MailAccessType", "Value": "Bind"}, {"Name": "IsThrottled", "Value": "False"}]
FOLDERS = [{"Id": "LgAA", "Path": "\\Inbox", "FolderItems": [{"InternetMessageId": "<x@y.example>", "SizeInBytes": 7}]}]


def row(**given):
    """An OfficeActivity row as the query API gives it; a column given as None is left out."""
    found = {
        "TenantId": "99999999-9999-4999-8999-999999999999",
        "Type": "OfficeActivity",
        "TimeGenerated": "2025-10-27T07:09:33Z",
        "Start_Time": "2025-10-27T07:20:00Z",
        "RecordType": "50",
        "Operation": "MailItemsAccessed",
        "OfficeId": ID.upper(),
        "OfficeWorkload": "Exchange",
        "OrganizationId": "11111111-1111-4111-8111-111111111111",
        "UserId": "adele@contoso.example",
        "UserKey": "10032001AAAAAAAA",
        "UserType": "Regular",
        "ResultStatus": "Succeeded",
        "Client_IPAddress": "203.0.113.7",
        "ClientIP": "",
        "ClientInfoString": "Client=REST;;",
        "Logon_Type": "Owner",
        "ExternalAccess": "False",
        "MailboxGuid": MAILBOX,
        "MailboxOwnerUPN": "adele@contoso.example",
        "AppId": GRAPH,
        "ClientAppId": APP,
        "OperationProperties": json.dumps(PROPERTIES),
        "Folders": json.dumps(FOLDERS),
    } | given
    return {name: value for name, value in found.items() if value is not None}


AUDIT = {
    "Id": ID,
    "CreationTime": "2025-10-27T07:09:33",
    "RecordType": 50,
    "Operation": "MailItemsAccessed",
    "Workload": "Exchange",
    "OrganizationId": "11111111-1111-4111-8111-111111111111",
    "UserId": "adele@contoso.example",
    "UserKey": "10032001AAAAAAAA",
    "UserType": 0,
    "ResultStatus": "Succeeded",
    "ClientIPAddress": "203.0.113.7",
    "ClientInfoString": "Client=REST;;",
    "LogonType": 0,
    "ExternalAccess": False,
    "MailboxGuid": MAILBOX,
    "MailboxOwnerUPN": "adele@contoso.example",
    "AppId": GRAPH,
    "ClientAppId": APP,
    "OperationProperties": PROPERTIES,
    "Folders": FOLDERS,
}
DOWNLOAD = row(TimeGenerated=None, Start_Time=None) | {
    "TimeGenerated [UTC]": "10/27/2025, 7:09:33.000 AM",
    "Start_Time [UTC]": "10/27/2025, 7:20:00.000 AM",
    "RecordType": "ExchangeItemAggregated",
}


@pytest.mark.parametrize(
    ("shape", "record"),
    [
        ("office_activity", row()),
        ("office_activity", row(OperationProperties=PROPERTIES, Folders=FOLDERS)),
        ("office_activity", row(OfficeId=None, SourceRecordId=ID)),
        ("office_activity", row(OfficeWorkload=None, Workload="Exchange")),
        ("office_activity_csv", DOWNLOAD),
    ],
    ids=["text columns", "dynamic columns", "other id", "by type", "download"],
)
def test_a_row_gives_the_rows_of_the_audit_record(shape, record):
    assert SOURCE.sniff(record) == shape
    assert SOURCE.normalise(record) == unified_audit.SOURCE.normalise(AUDIT)


def test_a_query_that_chose_a_few_columns_is_read_all_the_same():
    chosen = {
        "TimeGenerated": "2025-10-27T07:09:33Z",
        "UserId": "adele@contoso.example",
        "ClientIP": "203.0.113.7:1024",
        "Operation": "New-InboxRule",
        "Parameters": '[{"Name": "Name", "Value": "."}, {"Name": "DeleteMessage", "Value": "True"}]',
    }

    (change,) = SOURCE.normalise(chosen)["config_changes"]

    assert SOURCE.sniff(chosen) == "office_activity_columns"
    assert change["event_id"] == digest_id(chosen)
    assert (change["rule_name"], change["rule_effects"], change["is_service"]) == (".", ["delete"], None)
    assert change["client_ip"] == "203.0.113.7"


def test_where_a_query_left_the_time_out_the_collection_time_stands_in():
    record = {name: value for name, value in DOWNLOAD.items() if name != "TimeGenerated [UTC]"}

    (event,) = SOURCE.normalise(record)["events"]

    assert event["occurred_at"] == dt.datetime(2025, 10, 27, 7, 20, tzinfo=dt.UTC)


def test_a_row_without_id_gets_a_digest_that_depends_on_content_alone():
    record = row(OfficeId=None)
    reordered = dict(reversed(record.items()))

    (event,) = SOURCE.normalise(record)["events"]

    assert event["event_id"] == digest_id(record) == digest_id(reordered)
    assert event["event_id"].startswith("sha256:")
    assert digest_id(record) != digest_id(record | {"UserId": "bob@contoso.example"})


def test_session_and_token_come_from_the_context_column():
    session = "55555555-5555-4555-8555-555555555555"
    context = json.dumps({"AADSessionId": session, "UniqueTokenId": "3kVZRE8tFkinHtPA7_EFAA"})

    (event,) = SOURCE.normalise(row(AppAccessContext=context))["events"]

    assert event["session_id"] == session
    assert event["token_id"] == "445945de-2d4f-4816-a71e-d3c0eff10500"


def test_rows_with_lost_values_are_kept_and_named_so():
    record = row(Folders="System.Object[]")

    (access,) = SOURCE.normalise(record)["mail_accesses"]

    assert SOURCE.sniff(record) == "office_activity_flattened"
    assert SOURCE.sniff(record) in SOURCE.lossy_shapes
    assert access["item_entries"] is None


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (row(Operation=""), ("Operation", "field_missing")),
        (row(TimeGenerated=None, Start_Time=None), ("CreationTime", "field_missing")),
        (row(TimeGenerated="soon"), ("CreationTime", "field_invalid")),
    ],
)
def test_what_cannot_be_read_is_rejected(record, expected):
    with pytest.raises(RecordRejected) as caught:
        SOURCE.normalise(record)

    assert (caught.value.column, caught.value.reason) == expected


@pytest.mark.parametrize(
    "record", [{}, AUDIT, {"OfficeWorkload": "Exchange"}, {"Type": "SigninLogs", "Operation": "x"}]
)
def test_other_records_are_not_known(record):
    assert SOURCE.sniff(record) is None


@needs_samples
def test_a_real_download_of_five_columns():
    path = SAMPLES / "msticpy-signins" / "demo_exchange_data.csv"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        records = list(csv.DictReader(stream))

    events = [SOURCE.normalise(record)["events"][0] for record in records]

    assert {SOURCE.sniff(record) for record in records} == {"office_activity_columns"}
    assert (len(events), len({event["event_id"] for event in events})) == (1334, 1308)


@needs_samples
@pytest.mark.parametrize(
    ("name", "rows", "accesses", "items", "rules"),
    [("office_activity.csv", 266, 3, 14, ["junk"]), ("office_activity_inbox_rule.csv", 2, 0, 0, ["my_rule1", "rule2"])],
)
def test_real_downloads(name, rows, accesses, items, rules):
    path = SAMPLES / "sentinel-training-lab" / name
    with path.open(encoding="utf-8-sig", newline="") as stream:
        records = list(csv.DictReader(stream))
    assert {SOURCE.sniff(record) for record in records} == {"office_activity_csv"}

    found = [SOURCE.normalise(record) for record in records]

    def lines(table):
        return [line for each in found for line in each.get(table, ())]

    assert len(found) == rows
    assert len(lines("mail_accesses")) == accesses
    assert len(lines("accessed_items")) == items
    assert sorted(line["rule_name"] for line in lines("config_changes") if line["change"] == "inbox_rule") == rules
