"""The audit record in each of its wrappings, and the row that every record becomes."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections import Counter

import pytest

from audit_records import APP, AT, GRAPH, ID, MAILBOX, SESSION, TENANT, TOKEN, TOKEN_GUID, audit, bind
from brokenseal import schema
from brokenseal.errors import RecordRejected
from brokenseal.sources.unified_audit import SOURCE
from support import SAMPLES, arrow_table, needs_samples


def rows(record):
    return SOURCE.normalise(record)


def event(record):
    (row,) = rows(record)["events"]
    return row


def rejection(record):
    with pytest.raises(RecordRejected) as caught:
        SOURCE.normalise(record)
    return caught.value.column, caught.value.reason


# ---------------------------------------------------------------- wrappings

TEXT = json.dumps(bind())
WRAPPINGS = {
    "bare": ("bare_record", bind()),
    "purview": (
        "purview_csv",
        {
            "RecordId": ID,
            "CreationDate": "10/27/2025 7:09:33 AM",
            "RecordType": "50",
            "Operation": "MailItemsAccessed",
            "UserId": "adele@contoso.example",
            "AuditData": TEXT,
            "AssociatedAdminUnits": "",
            "AssociatedAdminUnitsNames": "",
        },
    ),
    "slashes escaped": ("purview_csv", {"RecordId": ID, "AuditData": TEXT.replace("/", "\\/")}),
    "search": (
        "search_ual",
        {
            "RunspaceId": "x",
            "RecordType": "ExchangeItemAggregated",
            "CreationDate": "10/27/2025 7:09:33 AM",
            "UserIds": "adele@contoso.example",
            "Operations": "MailItemsAccessed",
            "AuditData": TEXT,
            "ResultIndex": "1",
            "ResultCount": "1",
            "Identity": ID,
        },
    ),
    "search as JSON with the record as an object": (
        "search_ual",
        {"Identity": ID, "ResultIndex": 1, "CreationDate": "/Date(1761548973000)/", "AuditData": bind()},
    ),
    "script": (
        "script_export",
        {"CreationDate": "", "UserIds": "x", "Operations": "MailItemsAccessed", "AuditData": TEXT},
    ),
    "graph": (
        "graph_query",
        {
            "id": ID,
            "createdDateTime": "2025-10-27T07:09:33Z",
            "auditLogRecordType": "exchangeItemAggregated",
            "operation": "MailItemsAccessed",
            "userType": "regular",
            "auditData": {"@odata.type": "#microsoft.graph.security.x", **bind()},
        },
    ),
    "graph as CSV": ("graph_query", {"auditLogRecordType": "exchangeItemAggregated", "auditData": TEXT}),
    "numbers as text": ("bare_record", bind(RecordType="50", UserType="0", LogonType="0", OperationCount="3")),
    "names for numbers": (
        "bare_record",
        bind(RecordType="exchangeItemAggregated", UserType="Regular", LogonType="Owner"),
    ),
    "nested fields as JSON text": (
        "bare_record",
        bind(
            Folders=json.dumps(bind()["Folders"]),
            OperationProperties=json.dumps(bind()["OperationProperties"]),
            AppAccessContext=json.dumps(bind()["AppAccessContext"]),
        ),
    ),
}


@pytest.mark.parametrize(("shape", "record"), WRAPPINGS.values(), ids=WRAPPINGS)
def test_every_wrapping_gives_the_same_rows(shape, record):
    assert SOURCE.sniff(record) == shape
    assert rows(record) == rows(bind())


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"Operation": "MailItemsAccessed"},
        {"id": ID, "createdDateTime": "2025-10-27T07:09:33Z", "appId": APP, "status": {"errorCode": 0}},
        {"MessageTraceId": ID, "Received": "2025-10-27T07:09:33Z"},
        {"OfficeWorkload": "Exchange", "OfficeId": ID, "Operation": "Send", "RecordType": "ExchangeItem"},
        {"Timestamp": "2025-10-27T07:09:33Z", "ActionType": "Send", "RawEventData": bind()},
    ],
    ids=["nothing", "one field", "sign-in", "message trace", "sentinel", "defender"],
)
def test_other_logs_are_not_known(record):
    assert SOURCE.sniff(record) is None


def test_what_the_record_lacks_is_taken_from_around_it():
    record = {
        "Identity": ID,
        "CreationDate": "10/27/2025 7:09:33 AM",
        "Operations": "Send",
        "RecordType": "ExchangeItem",
        "UserIds": "adele@contoso.example",
        "AuditData": '{"MailboxOwnerUPN": "adele@contoso.example"}',
    }

    row = event(record)

    assert (row["event_id"], row["occurred_at"], row["operation"]) == (ID.lower(), AT, "Send")
    assert (row["record_type"], row["actor"]) == (2, "adele@contoso.example")
    assert row["mailbox_key"] == "upn:adele@contoso.example"


def test_the_record_counts_more_than_what_is_around_it():
    row = event({"Identity": "other", "CreationDate": "1/1/2020 1:00:00 AM", "Operations": "Other", "AuditData": TEXT})

    assert (row["event_id"], row["occurred_at"], row["operation"]) == (ID.lower(), AT, "MailItemsAccessed")


REJECTED = {
    "empty": ({"Identity": ID, "AuditData": ""}, ("AuditData", "empty_record")),
    "blank": ({"Identity": ID, "AuditData": " \n"}, ("AuditData", "empty_record")),
    "null": ({"Identity": ID, "AuditData": None}, ("AuditData", "empty_record")),
    "empty object": ({"Identity": ID, "AuditData": "{}"}, ("AuditData", "empty_record")),
    "graph without data": ({"auditLogRecordType": "x"}, ("auditData", "empty_record")),
    "cut": ({"AuditData": TEXT[:-20]}, ("AuditData", "not_json")),
    "no JSON": ({"AuditData": "hello"}, ("AuditData", "not_json")),
    "a list": ({"AuditData": "[1]"}, ("AuditData", "not_json")),
    "a number": ({"AuditData": 7}, ("AuditData", "not_json")),
    "too deep": ({"AuditData": '{"a":' + "[" * 200_000 + "]" * 200_000 + "}"}, ("AuditData", "too_deep")),
    "no id": (bind(Id=None), ("Id", "field_missing")),
    "blank id": (bind(Id=" "), ("Id", "field_missing")),
    "no operation": (bind(Operation=None), ("Operation", "field_missing")),
    "no time": (bind(CreationTime=None), ("CreationTime", "field_missing")),
    "no such day": (bind(CreationTime="2025-02-30T00:00:00"), ("CreationTime", "field_invalid")),
    "time of nothing": (bind(CreationTime="0001-01-01T00:00:00"), ("CreationTime", "field_invalid")),
    "operation is a list": (bind(Operation=["Send"]), ("Operation", "field_missing")),
}


@pytest.mark.parametrize(("record", "expected"), REJECTED.values(), ids=REJECTED)
def test_what_cannot_be_read_is_rejected_with_a_reason(record, expected):
    assert SOURCE.sniff(record) is not None
    assert rejection(record) == expected


def test_raw_line_breaks_and_half_characters_within_the_json_are_read():
    broken = '{"Id": "1", "CreationTime": "2025-10-27T07:09:33", "Operation": "Send", "UserId": "a\nb\\ud83d"}'

    assert event({"AuditData": broken})["actor"] == "a\nb\ufffd"


# ---------------------------------------------------------------- the events row


def test_the_event_carries_every_column():
    row = event(bind())

    assert set(row) == set(schema.EVENT.names) - {"input_sha256", "record_no"}
    assert row == {
        "event_id": ID.lower(),
        "source": "unified_audit",
        "occurred_at": AT,
        "tenant_id": TENANT,
        "operation": "MailItemsAccessed",
        "operation_key": "mailitemsaccessed",
        "record_type": 50,
        "workload": "Exchange",
        "actor": "Adele@Contoso.example",
        "actor_key": "adele@contoso.example",
        "user_type": 0,
        "user_key": "10032001AAAAAAAA",
        "is_service": False,
        "succeeded": True,
        "object_id": None,
        "mailbox_key": MAILBOX,
        "mailbox_upn": "adele@contoso.example",
        "logon_type": 0,
        "external_access": False,
        "client_ip": "203.0.113.7",
        "ip_class": "public",
        "client_info": "Client=REST;;",
        "client_type": "REST",
        "protocol": "rest",
        "user_agent": None,
        "app_id": GRAPH,
        "client_app_id": APP,
        "effective_app": APP,
        "session_id": SESSION,
        "token_id_raw": TOKEN,
        "token_id": TOKEN_GUID,
        "token_form": "b64guid",
        "token_issued_at": dt.datetime(2025, 10, 27, 6, 40, tzinfo=dt.UTC),
        "token_subject": "44444444-4444-4444-8444-444444444444",
        "token_tenant_id": TENANT,
    }


EVENT_CASES = {
    "service account": ({"UserType": 3, "UserKey": "NT AUTHORITY\\SYSTEM (w3wp)"}, {"is_service": True}),
    "datacentre person": ({"UserType": 3, "UserKey": "someone"}, {"is_service": False}),
    "service key, other type": ({"UserType": 2, "UserKey": "NT AUTHORITY\\SYSTEM (x)"}, {"is_service": False}),
    "service key, no type": ({"UserType": None, "UserKey": "NT AUTHORITY\\SYSTEM (x)"}, {"is_service": None}),
    "datacentre, no key": ({"UserType": 3, "UserKey": ""}, {"is_service": None}),
    "type by name": ({"UserType": "DcAdmin"}, {"user_type": 3}),
    "unknown type": ({"UserType": "Martian"}, {"user_type": None, "is_service": False}),
    "unknown number": ({"UserType": 99}, {"user_type": 99, "is_service": False}),
    "admin result": ({"ResultStatus": "True"}, {"succeeded": True}),
    "failed": ({"ResultStatus": "Failure"}, {"succeeded": False}),
    "partly": ({"ResultStatus": "PartiallySucceeded"}, {"succeeded": True}),
    "unknown result": ({"ResultStatus": "Perhaps"}, {"succeeded": None}),
    "no result": ({"ResultStatus": None}, {"succeeded": None}),
    "failed login says success": (
        {"Operation": "UserLoginFailed", "RecordType": 15, "ResultStatus": "Success"},
        {"succeeded": False},
    ),
    "login with an error": (
        {"Operation": "UserLoggedIn", "RecordType": 15, "ResultStatus": "Success", "ErrorNumber": "50140"},
        {"succeeded": False},
    ),
    "external access as text": ({"ExternalAccess": "False"}, {"external_access": False}),
    "external access unknown": ({"ExternalAccess": ""}, {"external_access": None}),
    "public address wins": (
        {"ClientIP": "::1", "ClientIPAddress": "62.149.20.10:62589"},
        {"client_ip": "62.149.20.10", "ip_class": "public"},
    ),
    "address of the actor": ({"ActorIpAddress": "198.51.100.1"}, {"client_ip": "198.51.100.1"}),
    "no address": ({}, {"client_ip": None, "ip_class": None}),
    "session from the context": ({"AppAccessContext": {"AADSessionId": SESSION.upper()}}, {"session_id": SESSION}),
    "own session first": (
        {"SessionId": APP.upper(), "AppAccessContext": {"AADSessionId": SESSION}},
        {"session_id": APP},
    ),
    "empty context": ({"AppAccessContext": {"APIId": ""}}, {"client_app_id": None, "token_id": None}),
    "flattened context": (
        {"AppAccessContext": "@{AADSessionId=" + SESSION + "; UniqueTokenId=" + TOKEN + "}"},
        {"session_id": SESSION, "token_id": TOKEN_GUID},
    ),
    "opaque token": (
        {"AppAccessContext": {"UniqueTokenId": "ANONYMIZED", "IssuedAtTime": "0001-01-01T00:00:00"}},
        {"token_id_raw": "ANONYMIZED", "token_id": None, "token_form": "opaque", "token_issued_at": None},
    ),
    "OWA of 2021": (
        {"AppId": "00000002-0000-0ff1-ce00-000000000000", "ClientInfoString": "Client=OWA;Mozilla/5.0;"},
        {"effective_app": "proto:OWA", "app_id": "00000002-0000-0ff1-ce00-000000000000", "user_agent": "Mozilla/5.0"},
    ),
    "Outlook": (
        {"ClientInfoString": "Client=MSExchangeRPC"},
        {"effective_app": "proto:MSExchangeRPC", "protocol": "mapi", "app_id": None},
    ),
    "application in the client string": (
        {"ClientInfoString": f"Client=WebServices;Outlook[AppId={APP}];"},
        {"effective_app": APP, "user_agent": "Outlook"},
    ),
    "inner client first": (
        {"AppId": GRAPH, "ClientAppId": SESSION, "AppAccessContext": {"ClientAppId": APP}},
        {"effective_app": APP, "client_app_id": SESSION},
    ),
    "own application": ({"AppId": APP.upper()}, {"effective_app": APP, "app_id": APP, "client_app_id": None}),
    "nothing known of the client": ({}, {"effective_app": None, "protocol": None}),
    "truer user agent": (
        {
            "ClientInfoString": "Client=REST;Client=RESTSystem;;",
            "ActorInfoString": f"Client=REST;UserAgent=PowerShell Invoke-MgGraphRequest[AppId={APP}]",
        },
        {
            "client_type": "RESTSystem",
            "user_agent": "PowerShell Invoke-MgGraphRequest",
            "effective_app": APP,
        },
    ),
    "agent of a directory change": (
        {"ExtendedProperties": [{"Name": "additionalDetails", "Value": '{"User-Agent":"EvoSTS"}'}]},
        {"user_agent": "EvoSTS"},
    ),
    "agent of a file access": ({"UserAgent": "OneDrive"}, {"user_agent": "OneDrive"}),
    "unknown record type": ({"RecordType": 9999}, {"record_type": 9999}),
    "unknown record type name": ({"RecordType": "brandNew"}, {"record_type": None}),
    "id is no GUID": ({"Id": " AbC "}, {"event_id": "abc"}),
    "zero tenant": ({"OrganizationId": "00000000-0000-0000-0000-000000000000"}, {"tenant_id": None}),
}


@pytest.mark.parametrize(("given", "expected"), EVENT_CASES.values(), ids=EVENT_CASES)
def test_event_columns(given, expected):
    row = event(audit(**({"Operation": "Create", "RecordType": 2} | given)))

    assert {name: row[name] for name in expected} == expected


# ---------------------------------------------------------------- real records


@needs_samples
def test_the_public_lab_tenant():
    path = SAMPLES / "invictus-o365" / "auditrecords-1121.csv"
    csv.field_size_limit(1 << 24)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        records = list(csv.DictReader(stream))
    outcomes = Counter()
    found = {}
    for record in records:
        assert SOURCE.sniff(record) == "search_ual"
        try:
            normalised = SOURCE.normalise(record)
        except RecordRejected as error:
            outcomes[error.reason] += 1
            continue
        outcomes["read"] += 1
        found.setdefault(normalised["events"][0]["event_id"], normalised)
    tables = {
        name: [row for each in found.values() for row in each.get(name, ())]
        for name in ("events", "mail_accesses", "accessed_items", "config_changes", "change_settings")
    }

    assert outcomes == {"read": 1478, "empty_record": 3}
    assert len(found) == 1475
    assert len(tables["mail_accesses"]) == 92
    assert len({row["mailbox_key"] for row in tables["mail_accesses"]}) == 10
    assert len({(row["mailbox_key"], row["internet_message_id"]) for row in tables["accessed_items"]}) == 72
    for name, lines in tables.items():
        assert arrow_table(name, lines).num_rows == len(lines)
    of_kind = Counter((row["change"], row["is_service"]) for row in tables["config_changes"])
    assert of_kind["consent", False] == 4
    assert of_kind["mailbox_permission", False] == 4
    assert of_kind["mailbox_permission", True] == 9
    assert of_kind["role_member", False] == 35
    assert of_kind["app_credential", False] == 4
    rogue = {row["changed_app_id"] for row in tables["config_changes"] if row["change"] == "consent"}
    assert {"768fb398-1e3f-4a25-8989-2141f5eb5ebd", "ea0056b2-87ac-4765-ba13-e2768da6fba7"} <= rogue
    (bcc,) = (row for row in tables["config_changes"] if row["change"] == "transport_rule")
    assert (bcc["rule_name"], bcc["external_destinations"]) == (".", ["itcornpany@gmail.com"])
