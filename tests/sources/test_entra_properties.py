"""What holds for every record of the Entra, Graph and message trace sources, whatever stands in it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import support
from brokenseal.errors import RecordRejected
from brokenseal.schema import QUARANTINE_REASONS
from brokenseal.sources import (
    _folded_names,
    cloud_app_events,
    entra_audit,
    entra_sign_in,
    graph_activity,
    message_trace,
    office_activity,
    unified_audit,
)

if TYPE_CHECKING:
    from types import ModuleType

OURS = (entra_sign_in, entra_audit, graph_activity, message_trace)
ALL = (unified_audit, office_activity, cloud_app_events, *OURS)

# ---------------------------------------------------------------- any record

NAMES = st.sampled_from(
    (
        "id", "Id", "Request ID", "requestId", "MessageTraceId", "createdDateTime", "CreatedDateTime [UTC]", "Date (UTC)",
        "TimeGenerated", "Timestamp", "Received", "origin_timestamp_utc", "activityDateTime", "time", "category",
        "operationName", "properties", "activityDisplayName", "Activity", "CorrelationId", "initiatedBy",
        "targetResources", "additionalDetails", "Target1Type", "Target1DisplayName", "Target1ModifiedProperty1Name",
        "Target1ModifiedProperty1NewValue", "AdditionalDetail1Key", "AdditionalDetail1Value", "ActorType", "result",
        "userId", "userPrincipalName", "appId", "status", "Status", "ResultType", "Sign-in error code", "errorCode",
        "ipAddress", "location", "Location", "deviceDetail", "resourceId", "sessionId", "uniqueTokenIdentifier",
        "autonomousSystemNumber", "signInEventTypes", "isInteractive", "LogonType", "Type", "AuthenticationDetails",
        "AccountUpn", "requestUri", "requestMethod", "responseStatusCode", "responseSizeBytes", "tokenIssuedAt", "C_Iat",
        "signInActivityId", "SenderAddress", "RecipientAddress", "recipient_status", "Size", "total_bytes", "FromIP",
        "MessageId", "Subject", "modifiedProperties", "displayName", "newValue", "user", "type",
    )
)  # fmt: skip
OPERATIONS = (
    "Consent to application", "Add delegated permission grant", "Add app role assignment to service principal",
    "Add app role assignment grant to user", "Add service principal credentials", "Add application",
    "Update application", "Add owner to application", "Add member to role", "Set domain authentication", "Add user",
    "Update user", "Add member to group", "Reset password (by admin)",
)  # fmt: skip
VALUES = st.sampled_from(
    (
        "2025-10-27T06:40:00.5Z", "/Date(1761547200500)/", "10/27/2025, 6:40:00.500 AM", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z", "445945de-2d4f-4816-a71e-d3c0eff10500", "00000000-0000-0000-0000-000000000000",
        "3kVZRE8tFkinHtPA7_EFAA", "203.0.113.7:443", "[2001:db8::1]:443", "0", "50126", "9" * 30, "True", "Success",
        "SignInLogs", "AuditLogs", "MicrosoftGraphActivityLogs", "AADServicePrincipalSignInLogs", "Sign-in activity",
        "{'errorCode': 0, 'additionalDetails': 'MF", "@{errorCode=0; failureReason=Other.}", "System.Object[]",
        '[{"displayName": "KeyDescription", "newValue": "\\"x\\""}]', '{"user": {"id": "1"}}', '["interactiveUser"]',
        "a@x.example##Deliver;b@x.example##Fail", "https://graph.microsoft.com/v1.0/me/messages", "GET",
        "Paris, FR", "\ud800", "\x00", *OPERATIONS,
    )
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | VALUES
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)
RECORDS = st.dictionaries(NAMES | st.text(max_size=12), JSON, max_size=12)
COMPLETE = {
    entra_sign_in: {"createdDateTime": "2025-10-27T06:40:00.5Z"},
    entra_audit: {"activityDateTime": "2025-10-27T06:40:00.5Z", "activityDisplayName": "Consent to application"},
    graph_activity: {"TimeGenerated": "2025-10-27T06:40:00.5Z"},
    message_trace: {"Received": "2025-10-27T06:40:00.5Z"},
}


def assert_fits(source: ModuleType, rows):
    """Exactly one event, of this source, whose id all rows carry; all rows fit their tables."""
    for table, content in rows.items():
        support.arrow_table(table, content)
    (event,) = rows["events"]
    assert event["source"] == source.SOURCE.name
    assert event["occurred_at"].tzinfo is not None
    assert event["operation"]
    assert {row["event_id"] for content in rows.values() for row in content} == {event["event_id"]}
    assert {row["occurred_at"] for table, content in rows.items() if table != "change_settings" for row in content} == {
        event["occurred_at"]
    }


def outcome(source, record):
    """The rows of a record and None, or None and the rejection."""
    try:
        return source.SOURCE.normalise(record), None
    except RecordRejected as rejected:
        return None, rejected


@pytest.mark.parametrize("source", OURS)
@settings(max_examples=150, deadline=None)
@given(record=RECORDS, operation=st.sampled_from(OPERATIONS), is_complete=st.booleans())
def test_any_object_gives_rows_or_a_rejection(source, record, operation, is_complete):
    shape = source.sniff(record)
    assert shape is None or shape in source.SHAPES
    if is_complete:
        record = record | COMPLETE[source]
        if source is entra_audit:
            record["activityDisplayName"] = operation
    rows, rejected = outcome(source, record)
    if rejected is None:
        assert_fits(source, rows)
    else:
        assert rejected.reason in QUARANTINE_REASONS
        assert rejected.column


@pytest.mark.parametrize("source", OURS)
def test_a_record_with_nothing_but_its_time_is_still_an_event(source):
    assert_fits(source, source.normalise(COMPLETE[source]))


@pytest.mark.parametrize("source", OURS)
@given(record=RECORDS)
def test_the_order_of_columns_changes_nothing(source, record):
    # Names that fold alike compete, and the first one wins, so only records without such a pair are compared.
    folded = Counter(map(_folded_names.fold_name, record))
    record = {name: value for name, value in record.items() if folded[_folded_names.fold_name(name)] == 1}
    record = COMPLETE[source] | {
        name: value
        for name, value in record.items()
        if _folded_names.fold_name(name) not in map(str.lower, COMPLETE[source])
    }
    backwards = dict(reversed(record.items()))
    assert source.sniff(record) == source.sniff(backwards)
    assert repr(outcome(source, record)) == repr(outcome(source, backwards))


@given(st.text(), st.sampled_from(["errorCode", "city", "user"]))
def test_any_cut_text_is_searched_without_failing(text, name):
    found = _folded_names.member(text, name)
    assert found is None or found


@given(
    st.dictionaries(
        st.sampled_from(["errorCode", "city", "state"]), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    )
)
def test_a_member_of_json_text_is_the_member_of_the_object(value):
    for name in ("errorCode", "city", "state"):
        assert _folded_names.member(json.dumps(value), name) == _folded_names.member(value, name) == value.get(name)


# ---------------------------------------------------------------- one sign-in in several forms

TENANT = "11111111-1111-4111-8111-111111111111"
GUIDS = st.uuids(version=4).map(str)
WORDS = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=12)
SENTENCES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30)
MOMENTS = st.integers(1_550_000_000_000, 1_900_000_000_000).map(
    lambda milliseconds: dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)
)
SIGN_INS = st.fixed_dictionaries(
    {
        "id": GUIDS,
        "createdDateTime": MOMENTS,
        "userPrincipalName": WORDS.map(lambda word: f"{word}@Contoso.example"),
        "userId": GUIDS,
        "appId": GUIDS,
        "appDisplayName": SENTENCES,
        "resourceId": GUIDS,
        "resourceDisplayName": SENTENCES,
        "ipAddress": st.ip_addresses().map(str),
        "userAgent": SENTENCES,
        "correlationId": GUIDS,
        "clientAppUsed": SENTENCES,
        "authenticationProtocol": WORDS,
        "uniqueTokenIdentifier": st.sampled_from(["", "3kVZRE8tFkinHtPA7_EFAA", "ANONYMIZED"]),
        "sessionId": st.just("") | GUIDS,
        "homeTenantId": st.just(TENANT),
        "resourceTenantId": st.just(TENANT),
        "autonomousSystemNumber": st.integers(1, 4_000_000_000),
        "error": st.sampled_from([0, 50126, 50140, 90072]),
        "failureReason": SENTENCES,
        "deviceId": st.just("") | GUIDS,
        "city": WORDS,
        "state": WORDS,
        "country": st.sampled_from(["FR", "US", "DE"]),
    }
)
NESTED = ("error", "failureReason", "deviceId", "city", "state", "country")
PORTAL_COLUMNS = {
    "Date (UTC)": "createdDateTime",
    "Request ID": "id",
    "User agent": "userAgent",
    "Correlation ID": "correlationId",
    "User ID": "userId",
    "Username": "userPrincipalName",
    "Authentication Protocol": "authenticationProtocol",
    "Unique token identifier": "uniqueTokenIdentifier",
    "Application": "appDisplayName",
    "Application ID ": "appId",
    "Resource": "resourceDisplayName",
    "Resource ID ": "resourceId",
    "Resource tenant ID": "resourceTenantId",
    "Home tenant ID": "homeTenantId",
    "IP address": "ipAddress",
    "Client app": "clientAppUsed",
    "Device ID": "deviceId",
    "Session ID": "sessionId",
    "Autonomous system  number": "autonomousSystemNumber",
    "Failure reason": "failureReason",
}


def iso(moment):
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def graph_form(drawn):
    plain = {name: value for name, value in drawn.items() if name not in NESTED}
    return plain | {
        "createdDateTime": iso(drawn["createdDateTime"]),
        "signInEventTypes": ["interactiveUser"],
        "isInteractive": True,
        "status": {"errorCode": drawn["error"], "failureReason": drawn["failureReason"]},
        "deviceDetail": {"deviceId": drawn["deviceId"]},
        "location": {"city": drawn["city"], "state": drawn["state"], "countryOrRegion": drawn["country"]},
    }


def diagnostic_form(drawn):
    return {
        "time": iso(drawn["createdDateTime"] + dt.timedelta(minutes=5)),
        "operationName": "Sign-in activity",
        "category": "SignInLogs",
        "tenantId": TENANT,
        "resultType": str(drawn["error"]),
        "properties": graph_form(drawn),
    }


def log_analytics_form(drawn):
    graph = graph_form(drawn)
    nested = ("status", "deviceDetail", "location", "signInEventTypes", "resourceId")
    row = {name[0].upper() + name[1:]: value for name, value in graph.items() if name not in nested}
    return row | {
        "TenantId": "99999999-9999-4999-8999-999999999999",
        "TimeGenerated": iso(drawn["createdDateTime"] + dt.timedelta(minutes=5)),
        "IPAddress": row.pop("IpAddress"),
        "ResourceIdentity": graph["resourceId"],
        "ResourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "AADTenantId": TENANT,
        "ResultType": str(drawn["error"]),
        "Status": json.dumps(graph["status"]),
        "DeviceDetail": json.dumps(graph["deviceDetail"]),
        "LocationDetails": json.dumps(graph["location"]),
        "Location": drawn["country"],
        "Category": "SignInLogs",
        "Type": "SigninLogs",
    }


def portal_form(drawn):
    graph = graph_form(drawn)
    row = {column: str((drawn | graph)[name]) for column, name in PORTAL_COLUMNS.items()}
    row |= {
        "Location": f"{drawn['city']}, {drawn['state']}, {drawn['country']}",
        "Status": "Failure" if drawn["error"] else "Success",
        "Sign-in error code": str(drawn["error"] or ""),
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row))
    writer.writeheader()
    writer.writerow(row)
    return next(csv.DictReader(io.StringIO(text.getvalue(), newline="")))


@settings(max_examples=100, deadline=None)
@given(SIGN_INS)
def test_one_sign_in_gives_one_row_in_four_forms(drawn):
    forms = [form(drawn) for form in (graph_form, diagnostic_form, log_analytics_form, portal_form)]
    shapes = [entra_sign_in.sniff(form) for form in forms]
    assert shapes == ["sign_in_graph", "sign_in_diagnostic", "sign_in_log_analytics", "sign_in_portal_csv"]
    # The portal does not tell interactive from non-interactive sign-ins.
    rows = [
        {
            name: value
            for name, value in entra_sign_in.normalise(form)["sign_ins"][0].items()
            if name not in {"category", "is_interactive"}
        }
        for form in forms
    ]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    assert rows[0]["occurred_at"] == drawn["createdDateTime"]
    assert rows[0]["error_code"] == drawn["error"]
    assert {entra_sign_in.normalise(form)["sign_ins"][0]["category"] for form in forms[:3]} == {"interactive"}


# ---------------------------------------------------------------- the real samples


def csv_rows(path):
    limit = csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))
    finally:
        csv.field_size_limit(limit)


def json_values(path):
    text = path.read_text(encoding="utf-8-sig")
    values = (
        [json.loads(line) for line in text.splitlines() if line]
        if path.suffix == ".json" and "\n{" in text
        else [json.loads(text)]
    )
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [json.loads(item["_raw"]) if "_raw" in item else item for item in flat]


SAMPLES = {
    # An aggregate of sign-ins, subscription activity, a list of addresses: no audit log of the tenant.
    "sentinel-training-lab/signinLogs.csv": ({None: 1}, {}),
    "sentinel-training-lab/azureActivity_adele.csv": ({None: 23}, {}),
    "sentinel-training-lab/azure_activity.csv": ({None: 325}, {}),
    "sentinel-training-lab/PenTestsIPaddresses.csv": ({None: 6}, {}),
    "sentinel-training-lab/disable_accounts.csv": ({"sign_in_log_analytics": 4}, {}),
    "sentinel-training-lab/sign-in_adelete.csv": ({"sign_in_log_analytics": 56}, {}),
    # The query that made this file left every time column out, and a change without its time is none.
    "sentinel-training-lab/AuditLogs_Hunting.csv": ({"audit_log_analytics": 5}, {"activityDateTime": 5}),
    "msticpy-signins/aad_logons_SigninLogs.csv": ({"sign_in_log_analytics": 86}, {}),
    "golden-saml/AADAuditEvents.json": ({"audit_log_analytics": 4}, {}),
    "golden-saml/WindowsEvents.json": ({None: 38}, {}),
    "cribl/graph_rest_5THhyq.json": ({None: 1}, {}),
    "cribl/graph_rest_7cieEB.json": ({"sign_in_graph": 2}, {}),
    "cribl/graph_rest_cWoZyw.json": ({None: 1}, {}),
    "cribl/graph_rest_hVaE3o.json": ({None: 1}, {}),
    "cribl/o365_rest_sample_bxGVkT.json": ({"message_trace": 50}, {}),
    **{
        f"message-trace/messagetrace_{status}.raw": ({"message_trace": 1}, {})
        for status in (
            "Delivered", "Expanded", "Failed", "FilteredAsSpam", "GettingStatus", "None", "Pending", "Quarantined", "Resolved",
        )
    },
}  # fmt: skip
OTHERS = (
    "sentinel-training-lab/office_activity.csv",
    "sentinel-training-lab/office_activity_inbox_rule.csv",
    "msticpy-signins/demo_exchange_data.csv",
    "golden-saml/OfficeActivityEvents.json",
    "golden-saml/Microsoft365DefenderEvents.json",
)


def sample_records(name):
    path = support.SAMPLES / name
    return csv_rows(path) if path.suffix == ".csv" else json_values(path)


@support.needs_samples
def test_every_sample_file_of_these_folders_is_accounted_for():
    folders = ("sentinel-training-lab", "msticpy-signins", "message-trace", "cribl", "golden-saml")
    found = {f"{folder}/{path.name}" for folder in folders for path in (support.SAMPLES / folder).iterdir()}
    assert found - {f"{folder}/README.md" for folder in folders} == set(SAMPLES) | set(OTHERS)


@support.needs_samples
@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_record_is_known_to_one_source_or_to_none(name):
    shapes, rejections = SAMPLES[name]
    found: Counter[str | None] = Counter()
    rejected: Counter[str] = Counter()
    for record in sample_records(name):
        known = [(source, shape) for source in ALL if (shape := source.SOURCE.sniff(record)) is not None]
        assert len(known) <= 1
        found[known[0][1] if known else None] += 1
        for source, _ in known:
            rows, error = outcome(source, record)
            if error is None:
                assert_fits(source, rows)
            else:
                assert error.reason == "field_missing"
                rejected[error.column] += 1
    assert found == shapes
    assert rejected == rejections


@support.needs_samples
@pytest.mark.parametrize("name", OTHERS)
def test_audit_records_of_other_sources_are_left_to_them(name):
    records = sample_records(name)
    assert not any(source.sniff(record) for source in OURS for record in records)
    known = [[source for source in ALL if source.SOURCE.sniff(record) is not None] for record in records]
    assert max(map(len, known)) == 1


@support.needs_samples
def test_sample_sign_ins_keep_their_copies_apart_from_each_other():
    rows = [entra_sign_in.normalise(record) for record in sample_records("msticpy-signins/aad_logons_SigninLogs.csv")]
    sign_ins = [row for content in rows for row in content["sign_ins"]]
    assert (len(sign_ins), len({row["event_id"] for row in sign_ins})) == (86, 45)
    assert Counter(row["error_code"] for row in sign_ins) == {0: 84, 90072: 2}
    assert {row["category"] for row in sign_ins} == {"interactive"}
    assert all(row["city"] for row in sign_ins)
    assert Counter(row["country"] for row in sign_ins) == {"BE": 61, "US": 25}


@support.needs_samples
def test_sample_credential_changes_name_the_application_and_the_key():
    rows = [entra_audit.normalise(record) for record in sample_records("golden-saml/AADAuditEvents.json")]
    found = {
        (row["event_id"], row["change"], row["target"], tuple(row.get("rights") or ()))
        for content in rows
        for row in content["config_changes"]
    }
    assert {(change, target, rights) for _, change, target, rights in found} == {
        ("app_credential", "SimuLandApp", ()),
        ("app_updated", "SimuLandApp", ()),
        ("delegated_grant", "0d2f5969-011b-460d-ac74-3291d227d49f", ("Mail.ReadWrite", "User.Read")),
    }
    assert len(found) == 3
