"""Sign-ins and minted tokens that the audit log itself holds."""

from __future__ import annotations

from audit_records import APP, AT, GRAPH, SESSION, TENANT, TOKEN, TOKEN_GUID, audit, login
from brokenseal.sources.unified_audit import SOURCE


def rows(record):
    return SOURCE.normalise(record)


def test_a_login_is_a_sign_in_whose_id_is_the_token():
    found = rows(login())

    (row,) = found["sign_ins"]
    assert set(found) == {"events", "sign_ins"}
    assert {name: value for name, value in row.items() if value is not None} == {
        "event_id": TOKEN_GUID,
        "occurred_at": AT,
        "tenant_id": TENANT,
        "category": "audit_log",
        "actor": "Adele@Contoso.example",
        "actor_key": "adele@contoso.example",
        "subject_id": "44444444-4444-4444-8444-444444444444",
        "app_id": APP,
        "resource_id": GRAPH,
        "client_ip": "198.51.100.9",
        "ip_class": "public",
        "user_agent": "Mozilla/5.0",
        "request_id": TOKEN_GUID,
        "correlation_id": "66666666-6666-4666-8666-666666666666",
        "session_id": SESSION,
        "token_id": TOKEN_GUID,
        "succeeded": True,
        "error_code": 0,
        "request_type": "OAuth2:Token",
        "device_id": "device-1",
        "home_tenant_id": TENANT,
        "resource_tenant_id": TENANT,
    }


def test_a_failed_login_keeps_its_error_although_it_says_success():
    (row,) = rows(login("UserLoginFailed", ErrorNumber="50126", LogonError="InvalidUserNameOrPassword"))["sign_ins"]

    assert (row["succeeded"], row["error_code"], row["failure_reason"]) == (False, 50126, "InvalidUserNameOrPassword")


def test_a_login_of_another_service_is_no_sign_in():
    assert "sign_ins" not in rows(login(RecordType=20, Workload="PowerBI"))


def test_a_token_minted_by_owa_is_a_sign_in_of_its_category():
    record = audit(
        "AnyName",
        RecordType=275,
        UniqueTokenIdentifier=TOKEN,
        ResourceURL="https://outlook.office365.com",
        AppId=APP,
        SessionId=SESSION,
    )

    (row,) = rows(record)["sign_ins"]

    assert (row["category"], row["token_id"], row["token_form"]) == ("owa_auth", TOKEN_GUID, "b64guid")
    assert (row["resource_name"], row["app_id"], row["session_id"]) == ("https://outlook.office365.com", APP, SESSION)
