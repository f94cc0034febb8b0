"""Lines taken apart in the engine, and one by one, give the same fields."""

from __future__ import annotations

import functools
import json

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.sigma.compiler import KEYWORDS
from brokenseal.sigma.records import EVENT_ID, IS_ODD, RECORD_NO, of_line, of_lines, payload_of
from brokenseal.sigma.vocabulary import DIRECTORY, SIGN_INS, UNIFIED_AUDIT

AUDIT_NAMES = ("Operation", "eventName", "ResultStatus", "UserId", "Parameters", "Parameters.ForwardTo", "Parameters.Name", "RequestType", "ModifiedProperties{}.NewValue", "AppAccessContext.ClientAppId", "MessageURLs", "Some.Nested.Thing", "Folders.FolderItems.Subject", "Extra")  # fmt: skip
DIRECTORY_NAMES = ("properties.message", "Result", "InitiatedBy", "InitiatedBy.user.userPrincipalName", "TargetResources", "TargetResources.modifiedProperties.newValue", "ConsentContext.IsAdminConsent", "AdditionalDetails", "AdditionalDetails.Reason", "targetType", "TargetResources.ModifiedProperties.DisplayName")  # fmt: skip
SIGN_IN_NAMES = ("ResultType", "Status", "DeviceDetail.isCompliant", "DeviceDetail.trusttype", "riskEventType", "Location", "NetworkLocationDetails", "AutonomousSystemNumber", "IsInteractive")  # fmt: skip


def fields_of(log, names):
    found = {field.name: field for name in names for field in log.fields(name)}
    return tuple(found.values())


@functools.cache
def engine():
    con = ibis.duckdb.connect()
    con.raw_sql("SET GLOBAL lambda_syntax='ENABLE_SINGLE_ARROW'")
    return con


@functools.cache
def query_of(log, names, payload):
    table = ibis.table({RECORD_NO: "int64", "line": "string"}, name="lines")
    return str(ibis.to_sql(of_lines(table, log, fields_of(log, names), payload), dialect="duckdb"))


def in_the_engine(log, names, payload, lines):
    con = engine().con
    con.register("given", pa.table({RECORD_NO: range(1, len(lines) + 1), "line": lines}))
    con.execute("CREATE OR REPLACE TABLE lines AS SELECT * FROM given")
    rows = con.sql(query_of(log, names, payload)).to_arrow_table().to_pylist()
    return [{k: v for k, v in row.items() if k not in (RECORD_NO, EVENT_ID, IS_ODD, KEYWORDS)} for row in rows]


def one_by_one(log, names, lines):
    rows = [row for line in lines for row in of_line(line, log, fields_of(log, names))]
    return [{k: v for k, v in row.items() if k not in (EVENT_ID, KEYWORDS)} for row in rows]


text = st.one_of(st.sampled_from(("", "a b", "[x", "{", '["a"]', '{"k":1}', 'É\n"q"', "5", "None")), st.text(alphabet='abÉ"\\[{]} ,:', max_size=6))  # fmt: skip
scalar = st.one_of(text, st.integers(-(10**12), 10**12), st.booleans(), st.none())
nested = st.recursive(scalar, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(("k", "Thing", "a.b")), inner, max_size=2)), max_leaves=4)  # fmt: skip
pairs = st.lists(st.fixed_dictionaries({"Name": st.sampled_from(("ForwardTo", "forwardto", "Other")), "Value": text}), max_size=3)  # fmt: skip
changes = st.lists(st.fixed_dictionaries({"Name": text, "NewValue": text, "OldValue": scalar}), max_size=2)

audit_records = st.fixed_dictionaries(
    {
        "Id": st.uuids().map(str),
        "CreationTime": st.just("2026-03-01T10:00:00"),
        "Operation": st.sampled_from(("New-InboxRule", "MailItemsAccessed")),
        "RecordType": st.just(1),
        "UserId": st.just("ana@example.org"),
    },
    optional={
        "ResultStatus": scalar,
        "Parameters": pairs,
        "ModifiedProperties": changes,
        "AppAccessContext": st.fixed_dictionaries({}, optional={"ClientAppId": text}),
        "MessageURLs": st.lists(scalar, max_size=3),
        "Some": st.dictionaries(st.just("Nested"), st.dictionaries(st.just("Thing"), nested, max_size=1), max_size=1),
        "Folders": st.lists(st.fixed_dictionaries({"Path": text, "FolderItems": st.lists(st.fixed_dictionaries({"Subject": text}), max_size=2)}), max_size=2),
        "Extra": nested,
    },
)  # fmt: skip


def bare(record):
    return json.dumps(record)


def as_text(record):
    outer = {"CreationDate": "2026-03-01T10:00:00", "UserIds": record["UserId"], "Operations": record["Operation"]}
    return json.dumps({"RecordType": "1", **outer, "AuditData": json.dumps(record), "ResultIndex": "1"})


def as_object(record):
    outer = {"id": record["Id"], "createdDateTime": "2026-03-01T10:00:00Z", "auditLogRecordType": "exchangeAdmin"}
    return json.dumps({**outer, "operation": record["Operation"], "auditData": record}, ensure_ascii=False)


FORMS = {"bare_record": bare, "search_ual": as_text, "graph_query": as_object}


@settings(max_examples=15, deadline=None)
@given(st.lists(audit_records, min_size=1, max_size=8), st.sampled_from(tuple(FORMS)))
def test_audit_records_give_the_same_fields_both_ways(records, form):
    lines = [FORMS[form](record) for record in records]

    assert one_by_one(UNIFIED_AUDIT, AUDIT_NAMES, lines) == in_the_engine(
        UNIFIED_AUDIT, AUDIT_NAMES, payload_of((form,)), lines
    )


targets = st.lists(
    st.fixed_dictionaries(
        {"id": st.just("t1"), "userPrincipalName": text, "type": st.sampled_from(("User", "ServicePrincipal"))},
        optional={"modifiedProperties": st.lists(st.fixed_dictionaries({"displayName": st.sampled_from(("ConsentContext.IsAdminConsent", "Other")), "oldValue": st.none(), "newValue": st.one_of(st.none(), text, text.map(json.dumps))}), max_size=3)},
    ),
    min_size=1, max_size=2,
)  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(st.lists(targets, min_size=1, max_size=5), st.booleans())
def test_directory_records_give_the_same_fields_both_ways(several, is_line):
    lines = []
    for number, own in enumerate(several):
        record = {
            "id": f"Directory_{number}",
            "category": "UserManagement",
            "result": "success",
            "activityDisplayName": "Consent to application",
            "activityDateTime": "2026-03-01T10:00:00Z",
            "loggedByService": "Core Directory",
            "initiatedBy": {"user": {"userPrincipalName": "ana@example.org"}, "app": None},
            "targetResources": own,
            "additionalDetails": [{"key": "k", "value": "v"}, {"key": "reason", "value": str(number)}],
        }
        outer = {"time": "2026-03-01T10:00:00Z", "category": "AuditLogs", "operationName": "Consent to application"}
        diagnostic = {**outer, "resourceId": "/tenants/x/providers/Microsoft.aadiam", "properties": record}
        lines.append(json.dumps(diagnostic if is_line else record))

    assert one_by_one(DIRECTORY, DIRECTORY_NAMES, lines) == in_the_engine(DIRECTORY, DIRECTORY_NAMES, (), lines)


@pytest.mark.parametrize("is_line", [False, True], ids=["graph", "diagnostic"])
def test_a_sign_in_says_the_same_in_both_exports(is_line):
    record = {
        "id": "11111111-2222-4333-8444-555555555555",
        "createdDateTime": "2026-03-01T10:00:00Z",
        "userPrincipalName": "ana@example.org",
        "appId": "a",
        "ipAddress": "192.0.2.7",
        "isInteractive": True,
        "autonomousSystemNumber": 64500,
        "riskEventTypes_v2": ["anomalousToken", "unfamiliarFeatures"],
        "networkLocationDetails": [],
        "location": {"countryOrRegion": "FR"},
        "deviceDetail": {"isCompliant": False, "trustType": ""},
        "status": {
            "errorCode": 50126,
            "failureReason": "Error validating credentials",
            "additionalDetails": "MFA denied",
        },
    }
    if is_line:
        outer = {"time": "2026-03-01T10:00:00Z", "category": "SignInLogs", "operationName": "Sign-in activity"}
        record = {
            **outer,
            "resultType": "50126",
            "resultDescription": "Error validating credentials",
            "properties": record,
        }
    line = json.dumps(record)
    expected = {
        "ResultType": "50126",
        "ResultDescription": "Error validating credentials",
        "StatusDetails": "MFA denied",
        "DeviceDetail.isCompliant": "false",
        "DeviceDetail.trustType": "",
        "RiskEventTypes_V2": ["anomalousToken", "unfamiliarFeatures"],
        "Location": '{"countryOrRegion":"FR"}',
        "NetworkLocationDetails": "[]",
        "AutonomousSystemNumber": "64500",
        "IsInteractive": "true",
    }

    assert [expected] == in_the_engine(SIGN_INS, SIGN_IN_NAMES, (), [line])
    assert [expected] == one_by_one(SIGN_INS, SIGN_IN_NAMES, [line])
