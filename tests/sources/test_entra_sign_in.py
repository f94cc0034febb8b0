"""Entra sign-ins: one record in every form it is exported in, and what each field is taken from."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import pytest

import support
from brokenseal.errors import RecordRejected
from brokenseal.sources import entra_sign_in

TENANT = "11111111-1111-4111-8111-111111111111"
USER = "44444444-4444-4444-8444-444444444444"
APP = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
RESOURCE = "00000002-0000-0ff1-ce00-000000000000"
SESSION = "55555555-5555-4555-8555-555555555555"
REQUEST = "445945de-2d4f-4816-a71e-d3c0eff10500"
CORRELATION = "77777777-7777-4777-8777-777777777777"
TOKEN = "3kVZRE8tFkinHtPA7_EFAA"
AT = dt.datetime(2025, 10, 27, 6, 40, 0, 500000, tzinfo=dt.UTC)

GRAPH = {
    "id": REQUEST,
    "createdDateTime": "2025-10-27T06:40:00.5Z",
    "userDisplayName": "Ada",
    "userPrincipalName": "ada@contoso.example",
    "userId": USER,
    "userType": "member",
    "appId": APP,
    "appDisplayName": "Microsoft Office",
    "resourceId": RESOURCE,
    "resourceDisplayName": "Office 365 Exchange Online",
    "ipAddress": "203.0.113.7",
    "userAgent": "Mozilla/5.0 (X11)",
    "correlationId": CORRELATION,
    "clientAppUsed": "Mobile Apps and Desktop clients",
    "authenticationProtocol": "deviceCode",
    "isInteractive": False,
    "signInEventTypes": ["nonInteractiveUser"],
    "uniqueTokenIdentifier": TOKEN,
    "sessionId": SESSION,
    "homeTenantId": TENANT,
    "resourceTenantId": TENANT,
    "autonomousSystemNumber": 64500,
    "status": {"errorCode": 0, "failureReason": "Other.", "additionalDetails": None},
    "deviceDetail": {"deviceId": "88888888-8888-4888-8888-888888888888", "browser": "Edge"},
    "location": {"city": "Lyon", "state": "Rhone", "countryOrRegion": "FR"},
}
DIAGNOSTIC = {
    "time": "2025-10-27T06:41:10.1Z",
    "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
    "operationName": "Sign-in activity",
    "category": "NonInteractiveUserSignInLogs",
    "tenantId": TENANT,
    "resultType": "0",
    "callerIpAddress": "203.0.113.7",
    "location": "FR",
    "properties": GRAPH,
}
LOG_ANALYTICS = {
    "TenantId": "99999999-9999-4999-8999-999999999999",
    "TimeGenerated": "2025-10-27T06:44:59.9Z",
    "CreatedDateTime": "2025-10-27T06:40:00.5Z",
    "ResourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
    "OperationName": "Sign-in activity",
    "Category": "NonInteractiveUserSignInLogs",
    "ResultType": "0",
    "Resource": "Microsoft.aadiam",
    "Location": "FR",
    "Id": REQUEST,
    "UserPrincipalName": "ada@contoso.example",
    "UserId": USER,
    "UserType": "Member",
    "AppId": APP,
    "AppDisplayName": "Microsoft Office",
    "ResourceIdentity": RESOURCE,
    "ResourceDisplayName": "Office 365 Exchange Online",
    "IPAddress": "203.0.113.7",
    "UserAgent": "Mozilla/5.0 (X11)",
    "CorrelationId": CORRELATION,
    "ClientAppUsed": "Mobile Apps and Desktop clients",
    "AuthenticationProtocol": "deviceCode",
    "IsInteractive": False,
    "UniqueTokenIdentifier": TOKEN,
    "SessionId": SESSION,
    "HomeTenantId": TENANT,
    "ResourceTenantId": TENANT,
    "AutonomousSystemNumber": "64500",
    "Status": json.dumps(GRAPH["status"]),
    "DeviceDetail": json.dumps(GRAPH["deviceDetail"]),
    "LocationDetails": json.dumps(GRAPH["location"]),
    "Type": "AADNonInteractiveUserSignInLogs",
}


def as_downloaded(row):
    """A Log Analytics row as the portal's CSV download writes it: texts, `[UTC]`, split dynamic columns."""
    named = {"TimeGenerated": "10/27/2025, 6:44:59.900 AM", "CreatedDateTime": "10/27/2025, 6:40:00.500 AM"}
    out = {}
    for name, value in row.items():
        if name in named:
            out[f"{name} [UTC]"] = named[name]
        elif name in {"Status", "DeviceDetail", "LocationDetails"}:
            out[f"{name}_dynamic"] = value
            out[f"{name}_string"] = ""
        else:
            out[name] = str(value)
    return out


PORTAL_HEADER = (
    "Date (UTC),Request ID,User agent,Correlation ID,User ID,User,Username,User type,Cross tenant access type,"
    "Incoming token type,Authentication Protocol,Unique token identifier,Original transfer method,"
    "Application,Application ID ,App owner tenant ID,Resource,Resource ID ,Resource tenant ID,Home tenant ID,"
    "Home tenant name,IP address,Location,Status,Sign-in error code,Failure reason,Client app,Device ID,Browser,"
    "Session ID,IP address (seen by resource),Autonomous system  number,Incoming token type,Token issuer name"
)
PORTAL_ROW = (
    f"2025-10-27T06:40:00.5Z,{REQUEST},Mozilla/5.0 (X11),{CORRELATION},{USER},Ada,ada@contoso.example,member,none,"
    f"none,deviceCode,{TOKEN},none,Microsoft Office,{APP},{TENANT},Office 365 Exchange Online,{RESOURCE},{TENANT},"
    f'{TENANT},,203.0.113.7,"Lyon, Rhone, FR",Success,,Other.,Mobile Apps and Desktop clients,'
    f"88888888-8888-4888-8888-888888888888,Edge,{SESSION},,64500,primaryRefreshToken,"
)
PORTAL = next(csv.DictReader(io.StringIO(f"{PORTAL_HEADER}\r\n{PORTAL_ROW}\r\n")))
DEFENDER = {
    "Timestamp": "2025-10-27T06:40:00.5Z",
    "Application": "Microsoft Office",
    "ApplicationId": APP,
    "LogonType": '["nonInteractiveUser"]',
    "ErrorCode": 0,
    "CorrelationId": CORRELATION,
    "SessionId": SESSION,
    "AccountUpn": "ada@contoso.example",
    "AccountObjectId": USER,
    "ResourceDisplayName": "Office 365 Exchange Online",
    "ResourceId": RESOURCE,
    "ResourceTenantId": TENANT,
    "EntraIdDeviceId": "88888888-8888-4888-8888-888888888888",
    "ClientAppUsed": "Mobile Apps and Desktop clients",
    "IPAddress": "203.0.113.7",
    "Country": "FR",
    "City": "Lyon",
    "UserAgent": "Mozilla/5.0 (X11)",
    "RequestId": REQUEST,
    "UniqueTokenId": TOKEN,
    "ReportId": "1",
}
POWERSHELL = {name[0].upper() + name[1:]: value for name, value in GRAPH.items()} | {
    "CreatedDateTime": "/Date(1761547200500)/",
    "Status": "@{AdditionalDetails=; ErrorCode=0; FailureReason=Other.}",
    "DeviceDetail": "@{Browser=Edge; DeviceId=88888888-8888-4888-8888-888888888888}",
    "Location": "@{City=Lyon; CountryOrRegion=FR; State=Rhone}",
}
FORMS = {
    "sign_in_graph": GRAPH,
    "sign_in_diagnostic": DIAGNOSTIC,
    "sign_in_log_analytics": LOG_ANALYTICS,
    "sign_in_portal_csv": PORTAL,
    "sign_in_defender": DEFENDER,
}

EXPECTED = {
    "event_id": f"signin:{REQUEST}",
    "occurred_at": AT,
    "tenant_id": TENANT,
    "category": "non_interactive",
    "actor": "ada@contoso.example",
    "actor_key": "ada@contoso.example",
    "subject_id": USER,
    "app_id": APP,
    "app_name": "Microsoft Office",
    "resource_id": RESOURCE,
    "resource_name": "Office 365 Exchange Online",
    "client_ip": "203.0.113.7",
    "ip_class": "public",
    "user_agent": "Mozilla/5.0 (X11)",
    "request_id": REQUEST,
    "correlation_id": CORRELATION,
    "session_id": SESSION,
    "token_id_raw": TOKEN,
    "token_id": REQUEST,
    "token_form": "b64guid",
    "succeeded": True,
    "error_code": 0,
    "failure_reason": None,
    "is_interactive": False,
    "auth_protocol": "deviceCode",
    "client_used": "Mobile Apps and Desktop clients",
    "device_id": "88888888-8888-4888-8888-888888888888",
    "country": "FR",
    "city": "Lyon",
    "asn": 64500,
    "home_tenant_id": TENANT,
    "resource_tenant_id": TENANT,
}


def sign_in(record):
    """The `sign_ins` row of a record, whose rows must fit the schema."""
    rows = entra_sign_in.normalise(record)
    assert set(rows) == {"events", "sign_ins"}
    (event,) = rows["events"]
    (row,) = rows["sign_ins"]
    for name, content in rows.items():
        support.arrow_table(name, content)
    assert event["event_id"] == row["event_id"]
    return row


@pytest.mark.parametrize(("shape", "record"), FORMS.items())
def test_each_form_is_recognised_by_its_columns(shape, record):
    assert entra_sign_in.sniff(record) == shape
    assert set(entra_sign_in.SHAPES) == set(FORMS)


@pytest.mark.parametrize(
    ("record", "not_told"),
    [
        pytest.param(GRAPH, {}, id="graph"),
        pytest.param(DIAGNOSTIC, {}, id="diagnostic"),
        pytest.param(DIAGNOSTIC | {"properties": json.dumps(GRAPH)}, {}, id="diagnostic_with_json_text"),
        pytest.param(LOG_ANALYTICS, {}, id="log_analytics"),
        pytest.param(as_downloaded(LOG_ANALYTICS), {}, id="log_analytics_download"),
        pytest.param(POWERSHELL, {}, id="graph_through_powershell"),
        # The portal has one header for interactive and non-interactive sign-ins, and names neither.
        pytest.param(PORTAL, {"category": None, "is_interactive": None}, id="portal"),
        pytest.param(
            DEFENDER,
            dict.fromkeys(("tenant_id", "home_tenant_id", "is_interactive", "auth_protocol", "asn")),
            id="defender",
        ),
    ],
)
def test_one_sign_in_reads_the_same_in_every_form(record, not_told):
    assert sign_in(record) == EXPECTED | not_told


def test_the_event_row_says_who_did_what_with_which_client():
    (event,) = entra_sign_in.normalise(GRAPH)["events"]
    assert event == {
        "event_id": f"signin:{REQUEST}",
        "source": "entra_sign_in",
        "occurred_at": AT,
        "tenant_id": TENANT,
        "operation": "Sign-in activity",
        "operation_key": "sign-in activity",
        "workload": "AzureActiveDirectory",
        "actor": "ada@contoso.example",
        "actor_key": "ada@contoso.example",
        "user_type": 0,
        "succeeded": True,
        "object_id": RESOURCE,
        "client_ip": "203.0.113.7",
        "ip_class": "public",
        "user_agent": "Mozilla/5.0 (X11)",
        "app_id": APP,
        "client_app_id": APP,
        "effective_app": APP,
        "session_id": SESSION,
        "token_id_raw": TOKEN,
        "token_id": REQUEST,
        "token_form": "b64guid",
    }


def test_the_older_portal_header_without_session_still_reads():
    record = {name: value for name, value in PORTAL.items() if name not in {"Session ID", "App owner tenant ID"}}
    assert sign_in(record) == EXPECTED | {"category": None, "is_interactive": None, "session_id": None}


def test_portal_column_names_match_whatever_their_spacing_and_case():
    record = {f" {name.upper()}  ": value for name, value in PORTAL.items()}
    assert sign_in(record) == sign_in(PORTAL)


def test_a_column_in_local_time_is_never_taken_for_utc():
    record = as_downloaded(LOG_ANALYTICS)
    record["CreatedDateTime [Local Time]"] = record.pop("CreatedDateTime [UTC]")
    assert sign_in(record)["occurred_at"] == dt.datetime(2025, 10, 27, 6, 44, 59, 900000, tzinfo=dt.UTC)


# ---------------------------------------------------------------- category


@pytest.mark.parametrize(
    ("table", "category"),
    [
        ("SigninLogs", "interactive"),
        ("AADNonInteractiveUserSignInLogs", "non_interactive"),
        ("AADServicePrincipalSignInLogs", "service_principal"),
        ("AADManagedIdentitySignInLogs", "managed_identity"),
        ("MicrosoftServicePrincipalSignInLogs", "microsoft_service_principal"),
        ("ADFSSignInLogs", "adfs"),
    ],
)
def test_the_table_name_gives_the_category(table, category):
    record = {
        "TimeGenerated": "2025-10-27T06:40:00Z",
        "Id": REQUEST,
        "ResultType": "0",
        "UniqueTokenIdentifier": TOKEN,
        "Type": table,
    }
    assert entra_sign_in.sniff(record) == "sign_in_log_analytics"
    assert sign_in(record)["category"] == category


@pytest.mark.parametrize(
    ("line_category", "category"),
    [
        ("SignInLogs", "interactive"),
        ("NonInteractiveUserSignInLogs", "non_interactive"),
        ("ServicePrincipalSignInLogs", "service_principal"),
        ("ManagedIdentitySignInLogs", "managed_identity"),
        ("MicrosoftServicePrincipalSignInLogs", "microsoft_service_principal"),
        ("ADFSSignInLogs", "adfs"),
    ],
)
def test_the_category_of_the_line_wins_over_the_record(line_category, category):
    record = DIAGNOSTIC | {"category": line_category}
    assert entra_sign_in.sniff(record) == "sign_in_diagnostic"
    assert sign_in(record)["category"] == category


@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({"signInEventTypes": ["interactiveUser"]}, "interactive"),
        ({"signInEventTypes": ["servicePrincipal"]}, "service_principal"),
        ({"signInEventTypes": ["managedIdentity"]}, "managed_identity"),
        ({"signInEventTypes": ["unknownFutureValue"], "isInteractive": True}, "interactive"),
        ({"signInEventTypes": [], "isInteractive": False}, "non_interactive"),
        ({"signInEventTypes": None, "isInteractive": None}, None),
        ({"signInEventTypes": None, "userId": "", "servicePrincipalId": USER}, "service_principal"),
    ],
)
def test_without_a_table_the_record_itself_gives_the_category(change, category):
    assert sign_in(GRAPH | change)["category"] == category


@pytest.mark.parametrize(
    ("logon_type", "category"),
    [
        ('["interactiveUser"]', "interactive"),
        (["nonInteractiveUser"], "non_interactive"),
        ("interactiveUser", "interactive"),
    ],
)
def test_defender_logon_type_gives_the_category(logon_type, category):
    assert sign_in(DEFENDER | {"LogonType": logon_type})["category"] == category


def test_a_service_principal_is_the_actor_of_its_sign_in():
    record = GRAPH | {
        "userPrincipalName": None,
        "userId": None,
        "servicePrincipalName": "Backup App",
        "servicePrincipalId": "66666666-6666-4666-8666-666666666666",
        "signInEventTypes": ["servicePrincipal"],
    }
    row = sign_in(record)
    assert (row["actor"], row["actor_key"], row["subject_id"]) == (
        "Backup App",
        "backup app",
        "66666666-6666-4666-8666-666666666666",
    )
    assert entra_sign_in.normalise(record)["events"][0]["user_type"] == 6


# ---------------------------------------------------------------- outcome


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (GRAPH | {"status": {"errorCode": 50126, "failureReason": "Invalid."}}, (False, 50126, "Invalid.")),
        (GRAPH | {"status": {}, "isInteractive": True}, (None, None, None)),
        (LOG_ANALYTICS | {"ResultType": "50057", "Status": "", "ResultDescription": "Off."}, (False, 50057, "Off.")),
        (
            LOG_ANALYTICS | {"ResultType": "", "Status": "{'errorCode': 50140, 'failureReason': \"It's cu"},
            (False, 50140, None),
        ),
        (LOG_ANALYTICS | {"ResultType": "", "Status": "{'errorCode': 0, 'additionalDetails': 'MF"}, (True, 0, None)),
        (DIAGNOSTIC | {"resultType": "0", "properties": GRAPH | {"status": None}}, (True, 0, None)),
        (PORTAL | {"Status": "Failure", "Sign-in error code": "50053"}, (False, 50053, "Other.")),
        (PORTAL | {"Status": "Interrupted", "Sign-in error code": ""}, (False, None, "Other.")),
        (PORTAL | {"Status": "", "Failure reason": ""}, (None, None, None)),
        (DEFENDER | {"ErrorCode": "50126"}, (False, 50126, None)),
    ],
)
def test_code_zero_is_success_and_no_code_is_no_answer(record, expected):
    row = sign_in(record)
    assert (row["succeeded"], row["error_code"], row["failure_reason"]) == expected


# ---------------------------------------------------------------- token and identity


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, (TOKEN, REQUEST, "b64guid")),
        ({"uniqueTokenIdentifier": "ANONYMIZED"}, ("ANONYMIZED", None, "opaque")),
        ({"uniqueTokenIdentifier": ""}, (None, REQUEST, "request_id")),
        ({"uniqueTokenIdentifier": "", "status": {"errorCode": 50126}}, (None, None, None)),
        ({"uniqueTokenIdentifier": "", "id": "00000000-0000-0000-0000-000000000000"}, (None, None, None)),
        ({"uniqueTokenIdentifier": "", "id": "no-guid"}, (None, None, None)),
    ],
)
def test_the_request_id_stands_in_for_a_missing_token_id_of_a_success(change, expected):
    row = sign_in(GRAPH | change)
    assert (row["token_id_raw"], row["token_id"], row["token_form"]) == expected


def test_records_without_a_request_id_are_told_apart_by_their_content():
    unnamed = GRAPH | {"id": "00000000-0000-0000-0000-000000000000"}
    first, again, other = (
        sign_in(record) for record in (unnamed, dict(reversed(unnamed.items())), unnamed | {"userId": "x"})
    )
    assert first["event_id"].startswith("sha256:")
    assert len(first["event_id"]) == len("sha256:") + 64
    assert first["event_id"] == again["event_id"] != other["event_id"]
    assert first["request_id"] is None


@pytest.mark.parametrize(
    ("record", "tenant"),
    [
        (LOG_ANALYTICS | {"HomeTenantId": ""}, TENANT),
        (LOG_ANALYTICS | {"ResourceId": "", "HomeTenantId": ""}, None),
        (GRAPH | {"resourceTenantId": USER}, None),
        (DIAGNOSTIC | {"tenantId": "", "resourceId": f"/tenants/{USER}/providers/Microsoft.aadiam"}, USER),
    ],
)
def test_the_workspace_is_never_taken_for_the_tenant(record, tenant):
    assert sign_in(record)["tenant_id"] == tenant


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("Lyon, Rhone, FR", ("FR", "Lyon")),
        ("Rhone, FR", ("FR", None)),
        ("FR", ("FR", None)),
        ("", (None, None)),
        (", , FR", ("FR", None)),
    ],
)
def test_the_portal_location_is_read_from_both_ends(location, expected):
    row = sign_in(PORTAL | {"Location": location})
    assert (row["country"], row["city"]) == expected


# ---------------------------------------------------------------- time


@pytest.mark.parametrize(
    ("record", "reason", "value"),
    [
        ({name: value for name, value in GRAPH.items() if name != "createdDateTime"}, "field_missing", None),
        (GRAPH | {"createdDateTime": "yesterday"}, "field_invalid", "yesterday"),
        (GRAPH | {"createdDateTime": "0001-01-01T00:00:00Z"}, "field_invalid", "0001-01-01T00:00:00Z"),
        ({"AuthenticationDetails": '[{"authenticationStepDateTime": "soon"}]'}, "field_missing", None),
    ],
)
def test_a_sign_in_without_a_readable_time_is_rejected(record, reason, value):
    with pytest.raises(RecordRejected) as caught:
        entra_sign_in.normalise(record)
    assert (caught.value.column, caught.value.reason, caught.value.value) == ("createdDateTime", reason, value)


def test_a_download_without_time_columns_takes_the_first_authentication_step():
    steps = [
        {"authenticationStepDateTime": "2025-10-27T06:40:01.25+00:00"},
        {"authenticationStepDateTime": "2025-10-27T06:40:00.5+00:00"},
        {"authenticationMethod": "Password"},
    ]
    record = {name: value for name, value in LOG_ANALYTICS.items() if name not in {"TimeGenerated", "CreatedDateTime"}}
    assert sign_in(record | {"AuthenticationDetails": json.dumps(steps)})["occurred_at"] == AT


# ---------------------------------------------------------------- what is no sign-in


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"IPAddress": "203.0.113.7"}, id="address_list"),
        pytest.param(
            {"Type": "SigninLogs", "StartTime [UTC]": "x", "EndTime [UTC]": "y", "disabledAccountLoginAttempts": "4"},
            id="aggregate_of_sign_ins",
        ),
        pytest.param({"id": "1", "createdDateTime": "2025-01-01T00:00:00Z", "status": "newAlert"}, id="graph_alert"),
        pytest.param({"id": "1", "appId": APP, "createdDateTime": "2025-01-01T00:00:00Z"}, id="graph_application"),
        pytest.param(
            {"id": "1", "createdDateTime": "2025-01-01T00:00:00Z", "userPrincipalName": "a@b.example", "mail": "m"},
            id="graph_user",
        ),
        pytest.param(
            {"category": "AuditLogs", "operationName": "Add user", "properties": {"id": "1"}}, id="audit_line"
        ),
        pytest.param(
            {"Timestamp": "2025-01-01T00:00:00Z", "AccountUpn": "a@b.example", "LogonType": "Network"},
            id="defender_device_logon",
        ),
        pytest.param(
            {"CreationTime": "2025-01-01T00:00:00", "Id": "1", "Operation": "UserLoggedIn", "RecordType": 15},
            id="audit_record",
        ),
    ],
)
def test_other_records_are_not_taken_for_sign_ins(record):
    assert entra_sign_in.sniff(record) is None


def test_a_query_that_kept_a_few_columns_is_still_read():
    record = {
        "TimeGenerated [UTC]": "10/27/2025, 6:40:00.500 AM",
        "UserPrincipalName": "Ada@contoso.example",
        "IPAddress": "203.0.113.7",
        "AppDisplayName": "Microsoft Office",
        "ResultType": "50126",
    }
    assert entra_sign_in.sniff(record) == "sign_in_log_analytics"
    row = sign_in(record)
    assert (row["occurred_at"], row["actor"], row["actor_key"], row["error_code"]) == (
        AT,
        "Ada@contoso.example",
        "ada@contoso.example",
        50126,
    )
    assert row["category"] is None
