"""Microsoft Graph requests: both forms, and which paths read whose mail."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import support
from brokenseal.errors import RecordRejected
from brokenseal.sources import graph_activity

TENANT = "11111111-1111-4111-8111-111111111111"
USER = "44444444-4444-4444-8444-444444444444"
APP = "66666666-6666-4666-8666-666666666666"
REQUEST = "8A566EBB-77A1-4F60-9855-D4EB4019E562"
URI = "https://graph.microsoft.com/v1.0/users/ada@contoso.example/messages?$top=50"

LOG_ANALYTICS = {
    "TenantId": "99999999-9999-4999-8999-999999999999",
    "TimeGenerated": "2025-10-27T07:09:33.0159703Z",
    "AadTenantId": TENANT,
    "ApiVersion": "v1.0",
    "AppId": APP,
    "IPAddress": "203.0.113.7",
    "OperationId": "1",
    "RequestId": REQUEST,
    "RequestMethod": "GET",
    "RequestUri": URI,
    "ResponseSizeBytes": "8192",
    "ResponseStatusCode": "200",
    "Roles": "",
    "Scopes": "Mail.Read User.Read",
    "SessionId": "55555555-5555-4555-8555-555555555555",
    "SignInActivityId": "3kVZRE8tFkinHtPA7_EFAA",
    "TokenIssuedAt": "2025-10-27T06:40:00Z",
    "UserAgent": "python-requests/2.31",
    "UserId": USER,
    "Type": "MicrosoftGraphActivityLogs",
}
PROPERTIES = {
    "timeGenerated": "2025-10-27T07:09:33.0159703Z",
    "tenantId": TENANT,
    "requestId": REQUEST,
    "requestMethod": "GET",
    "requestUri": URI,
    "responseStatusCode": 200,
    "responseSizeBytes": 8192,
    "appId": APP,
    "userId": USER,
    "ipAddress": "203.0.113.7",
    "userAgent": "python-requests/2.31",
    "scopes": "Mail.Read User.Read",
    "roles": "",
    "signInActivityId": "3kVZRE8tFkinHtPA7_EFAA",
    "C_Idtyp": "user",
    "C_Iat": "1761547200",
    "C_Sid": "55555555-5555-4555-8555-555555555555",
}
DIAGNOSTIC = {
    "time": "2025-10-27T07:12:00Z",
    "resourceId": f"/TENANTS/{TENANT}/PROVIDERS/MICROSOFT.AADIAM",
    "operationName": "Microsoft Graph Activity",
    "category": "MicrosoftGraphActivityLogs",
    "resultSignature": "200",
    "callerIpAddress": "203.0.113.7",
    "location": "UK South",
    "properties": PROPERTIES,
    "tenantId": TENANT,
}
EXPECTED = {
    "event_id": f"graph:{REQUEST.lower()}",
    "occurred_at": dt.datetime(2025, 10, 27, 7, 9, 33, 15970, tzinfo=dt.UTC),
    "tenant_id": TENANT,
    "subject_id": USER,
    "app_id": APP,
    "method": "GET",
    "uri": URI,
    "reads_mail": True,
    "mailbox_hint": "ada@contoso.example",
    "status_code": 200,
    "size_bytes": 8192,
    "client_ip": "203.0.113.7",
    "ip_class": "public",
    "user_agent": "python-requests/2.31",
    "session_id": "55555555-5555-4555-8555-555555555555",
    "token_id_raw": "3kVZRE8tFkinHtPA7_EFAA",
    "token_id": "445945de-2d4f-4816-a71e-d3c0eff10500",
    "token_form": "b64guid",
    "token_issued_at": dt.datetime(2025, 10, 27, 6, 40, tzinfo=dt.UTC),
    "scopes": "Mail.Read User.Read",
}


def request_row(record):
    rows = graph_activity.normalise(record)
    assert {name: len(content) for name, content in rows.items()} == {"events": 1, "graph_requests": 1}
    for name, content in rows.items():
        support.arrow_table(name, content)
    assert rows["events"][0]["event_id"] == rows["graph_requests"][0]["event_id"]
    return rows["graph_requests"][0]


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        pytest.param(LOG_ANALYTICS, "graph_activity_log_analytics", id="log_analytics"),
        pytest.param(DIAGNOSTIC, "graph_activity_diagnostic", id="diagnostic"),
        pytest.param(DIAGNOSTIC | {"properties": json.dumps(PROPERTIES)}, "graph_activity_diagnostic", id="as_text"),
        pytest.param(
            {
                ("TimeGenerated [UTC]" if name == "TimeGenerated" else name): value
                for name, value in LOG_ANALYTICS.items()
            }
            | {"TimeGenerated [UTC]": "10/27/2025, 7:09:33.0159703 AM"},
            "graph_activity_log_analytics",
            id="download",
        ),
    ],
)
def test_one_request_reads_the_same_in_every_form(record, shape):
    assert graph_activity.sniff(record) == shape
    assert shape in graph_activity.SHAPES
    assert request_row(record) == EXPECTED


def test_the_event_row_names_the_object_id_because_the_log_has_no_user_name():
    (event,) = graph_activity.normalise(LOG_ANALYTICS)["events"]
    assert {
        name: event[name] for name in ("source", "operation", "operation_key", "actor", "actor_key", "object_id")
    } == {
        "source": "graph_activity",
        "operation": "Microsoft Graph Activity",
        "operation_key": "microsoft graph activity",
        "actor": USER,
        "actor_key": USER,
        "object_id": URI,
    }
    assert (event["client_app_id"], event["effective_app"], event["token_subject"]) == (APP, APP, USER)
    assert event["token_issued_at"] == dt.datetime(2025, 10, 27, 6, 40, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("status", "succeeded"), [("200", True), (399, True), ("400", False), (503, False), ("", None)]
)
def test_a_status_below_400_is_success(status, succeeded):
    (event,) = graph_activity.normalise(LOG_ANALYTICS | {"ResponseStatusCode": status})["events"]
    assert event["succeeded"] is succeeded


@pytest.mark.parametrize(
    ("record", "tenant"),
    [
        (LOG_ANALYTICS | {"AadTenantId": ""}, None),
        (DIAGNOSTIC | {"tenantId": "", "resourceId": ""}, TENANT),
        (DIAGNOSTIC | {"tenantId": "", "properties": PROPERTIES | {"tenantId": ""}}, TENANT),
    ],
)
def test_the_workspace_is_never_taken_for_the_tenant(record, tenant):
    assert request_row(record)["tenant_id"] == tenant


def test_an_application_without_user_is_the_subject():
    row = request_row(LOG_ANALYTICS | {"UserId": "", "ServicePrincipalId": APP, "Scopes": "", "Roles": "Mail.Read"})
    assert (row["subject_id"], row["scopes"]) == (APP, "Mail.Read")


def test_the_unique_token_id_counts_where_no_sign_in_activity_id_is_given():
    row = request_row(LOG_ANALYTICS | {"SignInActivityId": "", "UniqueTokenId": "445945de-2d4f-4816-a71e-d3c0eff10500"})
    assert (row["token_id"], row["token_form"]) == ("445945de-2d4f-4816-a71e-d3c0eff10500", "guid")


@pytest.mark.parametrize("issued", ["", "0", "99999999999999", "soon", "0001-01-01T00:00:00Z", "-5"])
def test_an_unreadable_time_of_issue_is_no_answer(issued):
    assert request_row(LOG_ANALYTICS | {"TokenIssuedAt": issued})["token_issued_at"] is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.0/me/messages", (True, "me")),
        ("/v1.0/me/messages/AAMk=/attachments/AAMk=/$value", (True, "me")),
        ("/beta/me/mailFolders('Inbox')/messages?$select=subject", (True, "me")),
        ("/v1.0/me/MailFolders/inbox/messages/delta", (True, "me")),
        ("/v1.0/users/Ada%40contoso.example/messages", (True, "ada@contoso.example")),
        ("/v1.0/users('Ada@contoso.example')/mailFolders", (True, "ada@contoso.example")),
        ("/v1.0//users/44444444-4444-4444-8444-444444444444/messages/", (True, "44444444-4444-4444-8444-444444444444")),
        ("/v1.0/me/mailboxSettings", (False, "me")),
        ("/v1.0/me", (False, "me")),
        ("/v1.0/users/ada@contoso.example", (False, "ada@contoso.example")),
        ("/v1.0/users", (False, None)),
        ("/v1.0/me/chats/19:x/messages", (False, "me")),
        ("/v1.0/users/ada@contoso.example/chats/19:x/messages", (False, "ada@contoso.example")),
        ("/v1.0/chats/19:x/messages", (False, None)),
        ("/v1.0/teams/1/channels/2/messages", (False, None)),
        ("/v1.0/search?query=/me/messages", (False, None)),
        ("/v1.0/$batch", (False, None)),
        ("", (False, None)),
    ],
)
@pytest.mark.parametrize("host", ["https://graph.microsoft.com", ""])
def test_mail_is_read_under_messages_and_mail_folders_of_a_mailbox(host, path, expected):
    assert graph_activity.mail_path(method="GET", uri=host + path) == expected


@pytest.mark.parametrize(
    ("method", "uri", "expected"),
    [
        ("get", URI, (True, "ada@contoso.example")),
        ("POST", URI, (False, "ada@contoso.example")),
        ("DELETE", URI, (False, "ada@contoso.example")),
        (None, URI, (None, "ada@contoso.example")),
        (None, "/v1.0/groups", (False, None)),
        ("GET", None, (None, None)),
    ],
)
def test_only_a_get_reads_and_what_is_not_told_stays_open(method, uri, expected):
    assert graph_activity.mail_path(method=method, uri=uri) == expected


@given(st.text(), st.text())
def test_any_address_is_read_without_failing(method, uri):
    reads, hint = graph_activity.mail_path(method=method, uri=uri)
    assert reads in {True, False}
    assert hint is None or (hint == hint.lower() and hint)


def test_a_request_without_an_id_is_named_by_its_content():
    assert request_row(LOG_ANALYTICS | {"RequestId": ""})["event_id"].startswith("sha256:")


def test_a_request_without_a_time_is_rejected():
    with pytest.raises(RecordRejected) as caught:
        graph_activity.normalise({name: value for name, value in LOG_ANALYTICS.items() if name != "TimeGenerated"})
    assert (caught.value.column, caught.value.reason) == ("TimeGenerated", "field_missing")


@pytest.mark.parametrize(
    "record",
    [{}, {"RequestUri": "/x"}, {"category": "SignInLogs", "properties": {}}, {"RequestId": "1", "Timestamp": "x"}],
)
def test_other_records_are_not_taken_for_requests(record):
    assert graph_activity.sniff(record) is None
