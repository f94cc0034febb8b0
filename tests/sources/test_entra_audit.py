"""Directory audit records: one record in every form, and the changes it makes, as the unified audit log tells them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import pytest

import support
from brokenseal.errors import RecordRejected
from brokenseal.sources import entra_audit

TENANT = "11111111-1111-4111-8111-111111111111"
ADMIN = "44444444-4444-4444-8444-444444444444"
USER = "55555555-5555-4555-8555-555555555555"
OBJECT = "66666666-6666-4666-8666-666666666666"
APP = "77777777-7777-4777-8777-777777777777"
AT = dt.datetime(2025, 10, 27, 6, 40, 0, 500000, tzinfo=dt.UTC)
CREDENTIALS = "Update application – Certificates and secrets management "
KEY = "[KeyIdentifier=1,KeyType=Password,KeyUsage=Verify,DisplayName=x]"


def target(kind, name, *, upn=None, object_id=OBJECT, **properties):
    """A target with modified properties: name to new value, or to (old, new)."""
    return {
        "id": object_id,
        "displayName": name,
        "type": kind,
        "userPrincipalName": upn,
        "modifiedProperties": [
            {"displayName": key.replace("__", "."), "oldValue": value[0], "newValue": value[1]}
            if isinstance(value, tuple)
            else {"displayName": key.replace("__", "."), "oldValue": None, "newValue": value}
            for key, value in properties.items()
        ],
    }


GRAPH = {
    "id": f"Directory_{OBJECT}_AUMVX_13992832",
    "category": "ApplicationManagement",
    "correlationId": OBJECT,
    "result": "success",
    "resultReason": "",
    "activityDisplayName": CREDENTIALS,
    "activityDateTime": "2025-10-27T06:40:00.5Z",
    "loggedByService": "Core Directory",
    "operationType": "Update",
    "initiatedBy": {
        "app": None,
        "user": {
            "id": ADMIN,
            "displayName": None,
            "userPrincipalName": "Admin@contoso.example",
            "ipAddress": "203.0.113.7",
        },
    },
    "targetResources": [
        target("Application", "Archiver", KeyDescription=("[]", json.dumps([KEY]))) | {"type": "Application"}
    ],
    "additionalDetails": [{"key": "User-Agent", "value": "Mozilla/5.0 (X11)"}, {"key": "AppId", "value": APP.upper()}],
}
DIAGNOSTIC = {
    "time": "2025-10-27T06:44:00Z",
    "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
    "operationName": CREDENTIALS,
    "category": "AuditLogs",
    "tenantId": TENANT,
    "resultSignature": "None",
    "callerIpAddress": "203.0.113.7",
    "properties": GRAPH,
}
LOG_ANALYTICS = {
    "TenantId": "99999999-9999-4999-8999-999999999999",
    "SourceSystem": "Azure AD",
    "TimeGenerated": "2025-10-27T06:45:00Z",
    "ResourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
    "OperationName": CREDENTIALS,
    "Category": "ApplicationManagement",
    "AdditionalDetails": json.dumps(GRAPH["additionalDetails"]),
    "Id": GRAPH["id"],
    "InitiatedBy": json.dumps(GRAPH["initiatedBy"]),
    "LoggedByService": "Core Directory",
    "Result": "success",
    "TargetResources": json.dumps(GRAPH["targetResources"]),
    "AADTenantId": TENANT,
    "ActivityDisplayName": CREDENTIALS,
    "ActivityDateTime": "2025-10-27T06:40:00.5Z",
    "AADOperationType": "Update",
    "Type": "AuditLogs",
}
DOWNLOAD = LOG_ANALYTICS | {
    "TimeGenerated [UTC]": "10/27/2025, 6:45:00.000 AM",
    "ActivityDateTime [UTC]": "10/27/2025, 6:40:00.500 AM",
    "TargetResources_dynamic": LOG_ANALYTICS["TargetResources"],
    "TargetResources_string": "",
    "TimeGenerated": "",
    "ActivityDateTime": "",
    "TargetResources": "",
}
PORTAL_TEXT = (
    "Date (UTC),CorrelationId,Service,Category,Activity,Result,ResultReason,User Agent,ActorType,ActorDisplayName,"
    "ActorObjectId,ActorUserPrincipalName,IPAddress,ActorHomeTenantId,ActorHomeTenantName,ActorServicePrincipalId,"
    "ActorServicePrincipalName,Target1Type,Target1DisplayName,Target1ObjectId,Target1UserPrincipalName,"
    "Target1ModifiedProperty1Name,Target1ModifiedProperty1OldValue,Target1ModifiedProperty1NewValue,"
    "Target1ModifiedProperty2Name,Target1ModifiedProperty2OldValue,Target1ModifiedProperty2NewValue,"
    "Target2Type,Target2DisplayName,AdditionalDetail1Key,AdditionalDetail1Value,AdditionalDetail2Key,"
    "AdditionalDetail2Value\r\n"
    f"2025-10-27T06:40:00.5Z,{OBJECT},Core Directory,ApplicationManagement,{CREDENTIALS},success,,,User,,{ADMIN},"
    f"Admin@contoso.example,203.0.113.7,{TENANT},,,,Application,Archiver,{OBJECT},,KeyDescription,[],"
    f'"[""{KEY}""]",,,,,,User-Agent,Mozilla/5.0 (X11),AppId,{APP}\r\n'
)
PORTAL = next(csv.DictReader(io.StringIO(PORTAL_TEXT)))
FORMS = {
    "graph": (GRAPH, "audit_graph"),
    "diagnostic": (DIAGNOSTIC, "audit_diagnostic"),
    "diagnostic_with_json_text": (DIAGNOSTIC | {"properties": json.dumps(GRAPH)}, "audit_diagnostic"),
    "log_analytics": (LOG_ANALYTICS, "audit_log_analytics"),
    "log_analytics_download": (DOWNLOAD, "audit_log_analytics"),
    "portal": (PORTAL, "audit_portal_csv"),
}
WITH_TENANT = {"diagnostic", "diagnostic_with_json_text", "log_analytics", "log_analytics_download"}


def read(record):
    """The rows of a record without their nulls; whole rows must fit the schema, and name one event."""
    rows = entra_audit.normalise(record)
    for name, content in rows.items():
        support.arrow_table(name, content)
    assert len(rows["events"]) == 1
    assert {row["event_id"] for content in rows.values() for row in content} == {rows["events"][0]["event_id"]}
    return {
        name: [{key: value for key, value in row.items() if value is not None} for row in content]
        for name, content in rows.items()
    }


def changes(operation, *targets, **more):
    """What a record of this operation changes, without the columns copied from the event."""
    rows = read(GRAPH | {"activityDisplayName": operation, "targetResources": list(targets)} | more)
    event = rows["events"][0]
    return [
        {key: value for key, value in row.items() if event.get(key) != value or key == "operation_key"}
        for row in rows.get("config_changes", [])
    ]


@pytest.mark.parametrize("name", FORMS)
def test_one_change_reads_the_same_in_every_form(name):
    record, shape = FORMS[name]
    assert entra_audit.sniff(record) == shape
    assert shape in entra_audit.SHAPES
    rows = read(record)
    (event,), (change,), (setting,) = rows["events"], rows["config_changes"], rows["change_settings"]
    event_id = event["event_id"]
    # The portal's CSV has no id of the record.
    assert (
        event_id == f"diraudit:directory_{OBJECT}_aumvx_13992832"
        if name != "portal"
        else event_id.startswith("sha256:")
    )
    shared = {
        "event_id": event_id,
        "occurred_at": AT,
        "operation": CREDENTIALS,
        "operation_key": "update application - certificates and secrets management",
        "actor": "Admin@contoso.example",
        "actor_key": "admin@contoso.example",
        "succeeded": True,
        "client_ip": "203.0.113.7",
        "ip_class": "public",
        "user_agent": "Mozilla/5.0 (X11)",
        "object_id": OBJECT,
    } | ({"tenant_id": TENANT} if name in WITH_TENANT else {})
    assert event == shared | {"source": "entra_audit", "workload": "AzureActiveDirectory", "user_key": ADMIN}
    assert change == shared | {
        "change": "app_credential",
        "target": "Archiver",
        "target_key": "archiver",
        "changed_app_id": APP,
        "changed_app_name": "Archiver",
    }
    assert setting == {
        "event_id": event_id,
        "name": "KeyDescription",
        "name_key": "keydescription",
        "new_value": KEY,
    }


PERMISSIONS = (
    f'"[] => [[Id: 1, ClientId: {OBJECT}, PrincipalId: , ResourceId: 2, ConsentType: AllPrincipals, '
    'Scope: Mail.Read offline_access, CreatedDateTime: ]]; "'
)
ADA = target("User", None, upn="Ada@contoso.example", object_id=USER)
MEMBER = {"target": "Ada@contoso.example", "grantee": "Ada@contoso.example"}


@pytest.mark.parametrize(
    ("operation", "targets", "expected"),
    [
        pytest.param(
            "Consent to application",
            [
                target(
                    "ServicePrincipal",
                    "Archiver",
                    ConsentContext__IsAdminConsent='"True"',
                    ConsentAction__Permissions=PERMISSIONS,
                    TargetId__ServicePrincipalNames=f'"{APP}"',
                )
            ],
            {
                "change": "consent",
                "target": "Archiver",
                "rights": ["Mail.Read", "offline_access"],
                "changed_app_id": APP,
                "changed_app_name": "Archiver",
                "is_admin_consent": True,
            },
            id="consent",
        ),
        pytest.param(
            "Add delegated permission grant",
            [
                target(
                    "ServicePrincipal",
                    "Microsoft Graph",
                    DelegatedPermissionGrant__Scope=('"User.Read"', '"User.Read Mail.ReadWrite"'),
                    DelegatedPermissionGrant__ConsentType='"Principal"',
                    ServicePrincipal__ObjectID=f'"{OBJECT}"',
                )
            ],
            {
                "change": "delegated_grant",
                "target": OBJECT,
                "rights": ["Mail.ReadWrite", "User.Read"],
                "is_admin_consent": False,
            },
            id="delegated_grant",
        ),
        pytest.param(
            "Add app role assignment to service principal",
            [
                target(
                    "ServicePrincipal",
                    "Office 365 Exchange Online",
                    AppRole__Value='"full_access_as_app"',
                    ServicePrincipal__AppId=f'"{APP}"',
                    ServicePrincipal__DisplayName='"Archiver"',
                ),
                target("ServicePrincipal", "Archiver"),
            ],
            {
                "change": "app_role_grant",
                "target": "Archiver",
                "grantee": "Archiver",
                "rights": ["full_access_as_app"],
                "changed_app_id": APP,
                "changed_app_name": "Archiver",
            },
            id="app_role_grant",
        ),
        pytest.param(
            "Add service principal credentials",
            [target("ServicePrincipal", "Archiver", KeyDescription=("[]", json.dumps([KEY])))],
            {"change": "app_credential", "target": "Archiver", "changed_app_id": APP, "changed_app_name": "Archiver"},
            id="service_principal_credentials",
        ),
        pytest.param(
            "Add application",
            [target("Application", "Archiver", AppId=json.dumps([APP]))],
            {"change": "app_registered", "target": "Archiver", "changed_app_id": APP, "changed_app_name": "Archiver"},
            id="app_registered",
        ),
        pytest.param(
            "Add member to role",
            [
                target("User", None, upn="Ada@contoso.example", Role__DisplayName='"Global Administrator"'),
                target("Role", "Global Administrator"),
            ],
            {"change": "role_member", **MEMBER, "rights": ["Global Administrator"]},
            id="role_member",
        ),
        pytest.param(
            "Add eligible member to role in PIM completed (permanent)",
            [target("Role", "Exchange Administrator"), target("Request", None), ADA],
            {"change": "role_member", **MEMBER, "rights": ["Exchange Administrator"]},
            id="role_member_by_privileged_identity_management",
        ),
        pytest.param(
            "Set domain authentication",
            [target("Domain", "contoso.example", object_id=None, LiveType=('["Managed"]', '["Federated"]'))],
            {"change": "domain_federation", "target": "contoso.example"},
            id="domain_federation",
        ),
        pytest.param("Add user", [ADA], {"change": "account_added", **MEMBER}, id="account_added"),
        pytest.param(
            "Reset user password",
            [ADA],
            {"change": "password_reset", "target": "Ada@contoso.example"},
            id="password_reset",
        ),
        pytest.param(
            "Reset password (by admin)",
            [ADA],
            {"change": "password_reset", "target": "Ada@contoso.example"},
            id="password_reset_by_admin",
        ),
        pytest.param(
            "Update StsRefreshTokenValidFrom Timestamp",
            [ADA],
            {"change": "sessions_revoked", "target": "Ada@contoso.example"},
            id="sessions_revoked",
        ),
    ],
)
def test_changes_have_the_meaning_they_have_in_the_unified_audit_log(operation, targets, expected):
    (found,) = changes(operation, *targets)
    folded = {f"{name}_key": expected[name].lower() for name in ("target", "grantee") if name in expected}
    # The name under which this log writes the operation stays, whatever it is called elsewhere.
    assert found == expected | folded | {"operation_key": operation.lower()}


@pytest.mark.parametrize("operation", ["Register device", "Update user", "Remove member from role", "Update policy"])
def test_other_operations_stay_events(operation):
    assert set(read(GRAPH | {"activityDisplayName": operation, "targetResources": [ADA]})) == {"events"}


def test_the_directory_id_of_an_object_is_never_taken_for_an_application_id():
    record = GRAPH | {"additionalDetails": []}
    (change,) = read(record)["config_changes"]
    assert "changed_app_id" not in change
    assert change["object_id"] == OBJECT


def test_an_application_that_acts_is_the_actor():
    by_app = {"user": None, "app": {"appId": APP.upper(), "displayName": "Sync", "servicePrincipalId": OBJECT}}
    (event,) = read(GRAPH | {"initiatedBy": by_app})["events"]
    assert (event["actor"], event["actor_key"], event["app_id"], event["user_key"], event["user_type"]) == (
        "Sync",
        "sync",
        APP,
        OBJECT,
        6,
    )
    assert event["effective_app"] == event["client_app_id"] == APP
    (event,) = read(
        PORTAL
        | {
            "ActorType": "Application",
            "ActorDisplayName": "Sync",
            "ActorObjectId": "",
            "ActorUserPrincipalName": "",
            "ActorServicePrincipalId": OBJECT,
        }
    )["events"]
    assert (event["actor"], event["user_key"], event["user_type"]) == ("Sync", OBJECT, 6)


@pytest.mark.parametrize(
    ("initiated_by", "actor"),
    [
        ({"user": {"id": ADMIN}}, ADMIN),
        ({"user": {"id": ADMIN, "displayName": "Admin"}}, "Admin"),
        ({}, None),
        ("cut off {", None),
        ("@{app=; user=System.Object}", None),
    ],
)
def test_the_actor_is_the_best_name_that_is_given(initiated_by, actor):
    (event,) = read(GRAPH | {"initiatedBy": initiated_by})["events"]
    assert event.get("actor") == actor


@pytest.mark.parametrize(
    ("result", "succeeded"), [("success", True), ("Success", True), ("failure", False), ("timeout", False), ("", None)]
)
def test_the_result_says_whether_it_succeeded(result, succeeded):
    assert entra_audit.normalise(GRAPH | {"result": result})["events"][0]["succeeded"] is succeeded


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"activityDisplayName": " "}, "activityDisplayName", "field_missing"),
        ({"activityDateTime": ""}, "activityDateTime", "field_missing"),
        ({"activityDateTime": "27.10.2025"}, "activityDateTime", "field_invalid"),
    ],
)
def test_a_record_without_operation_or_time_is_rejected(change, column, reason):
    with pytest.raises(RecordRejected) as caught:
        entra_audit.normalise(GRAPH | change)
    assert (caught.value.column, caught.value.reason) == (column, reason)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"category": "SignInLogs", "operationName": "Sign-in activity", "properties": {"id": "1"}},
        {"category": "Administrative", "operationName": "Update Incidents", "properties": {"id": "1"}},
        {"Date (UTC)": "2025-10-27T06:40:00Z", "Request ID": OBJECT},
        {
            "TimeGenerated": "2025-10-27T06:40:00Z",
            "OperationName": "Update",
            "InitiatedBy": "x",
            "Type": "AADProvisioningLogs",
        },
        {"OperationName": "Add user", "Type": "AuditLogs", "count_": "4"},
        {"Type": "SigninLogs", "OperationName": "Sign-in activity", "Id": "1", "ResultType": "0", "InitiatedBy": ""},
        {"CreationTime": "2025-10-27T06:40:00", "Id": "1", "Operation": "Add user.", "RecordType": 8},
    ],
)
def test_other_records_are_not_taken_for_directory_audit(record):
    assert entra_audit.sniff(record) is None
