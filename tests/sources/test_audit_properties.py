"""Whatever an audit export holds, it gives rows that fit the declared tables, or a rejection, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.errors import RecordRejected
from brokenseal.sources import cloud_app_events, office_activity, unified_audit
from brokenseal.sources._audit_changes import _BUILDERS as CHANGES
from brokenseal.sources._audit_mail import _BUILDERS as MAIL
from support import arrow_table

SOURCES = (unified_audit.SOURCE, office_activity.SOURCE, cloud_app_events.SOURCE)
MODEST = settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "",
            "System.Object[]",
            "@{Name=a; Value=b}",
            "[]",
            "{}",
            '[{"Name": "MailAccessType", "Value": "Bind"}]',
            "2025-10-27T07:09:33",
            "0001-01-01T00:00:00",
            "1.2.3.4:5",
            "a@evil.example;b",
            "a/b\\c",
            "\ud83d",
            "[] => [[Scope: Mail.Read, ConsentType: AllPrincipals]]",
            "3kVZRE8tFkinHtPA7_EFAA",
            "Client=OWA;x[AppId=1",
        ]
    )
)
NAMES = st.sampled_from(
    [
        "Name", "Value", "NewValue", "OldValue", "Id", "ID", "Type", "Path", "FolderItems", "MessageItems",
        "InternetMessageId", "SizeInBytes", "Subject", "ParentFolder", "MemberRights", "AADSessionId",
        "UniqueTokenId", "IssuedAtTime", "ClientAppId", "Attachments", "value",
    ]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
OPERATIONS = st.sampled_from([*CHANGES, *MAIL, "UserLoggedIn", "UserLoginFailed", "AnyOther"])
FIELDS = [
    "OrganizationId", "RecordType", "UserKey", "UserType", "Workload", "UserId", "ResultStatus", "ObjectId",
    "ClientIP", "ClientIPAddress", "ActorIpAddress", "ClientInfoString", "ActorInfoString", "AppAccessContext",
    "AppId", "ClientAppId", "ApplicationId", "SessionId", "MailboxGuid", "MailboxOwnerUPN", "LogonType",
    "ExternalAccess", "OperationProperties", "OperationCount", "Folders", "Item", "AffectedItems", "Folder",
    "DestFolder", "Messages", "Parameters", "ModifiedProperties", "ExtendedProperties", "DeviceProperties", "Actor",
    "Target", "ErrorNumber", "LogonError", "OrganizationName", "UniqueTokenIdentifier", "ResourceURL",
    "SendAsUserSmtp", "UserAgent", "TokenObjectId", "AuthType",
]  # fmt: skip
PARAMETERS = st.sampled_from(
    [
        "Identity", "Name", "ForwardTo", "RedirectTo", "BlindCopyTo", "DeleteMessage", "From", "MoveToFolder",
        "SubjectContainsWords", "ForwardingSmtpAddress", "GrantSendOnBehalfTo", "AuditEnabled", "AuditOwner",
        "User", "Trustee", "AccessRights", "AuditBypassEnabled", "Role", "Member", "Mailbox",
        "ConsentAction.Permissions", "AppRole.Value", "Role.DisplayName", "KeyDescription", "RuleActions",
        "RuleCondition", "MailAccessType", "IsThrottled", "RequestType", "additionalDetails",
    ]
)  # fmt: skip
PAIRS = st.lists(
    st.fixed_dictionaries({"Name": PARAMETERS}, optional={"Value": VALUES, "NewValue": VALUES, "OldValue": VALUES}),
    max_size=5,
)
AUDITS = st.fixed_dictionaries(
    {
        "Id": st.uuids().map(str) | VALUES,
        "CreationTime": st.just("2025-10-27T07:09:33") | VALUES,
        "Operation": OPERATIONS | VALUES,
        "RecordType": st.sampled_from([1, 2, 3, 8, 9, 15, 50, 275]) | VALUES,
        "Workload": st.just("Exchange"),
    },
    optional={
        name: PAIRS | VALUES
        if name in {"Parameters", "ModifiedProperties", "OperationProperties", "ExtendedProperties"}
        else VALUES
        for name in FIELDS
        if name not in {"RecordType", "Workload"}
    },
)


def _as_office(record):
    names = {"Id": "OfficeId", "CreationTime": "TimeGenerated", "Workload": "OfficeWorkload"}
    return {names.get(name, name): value for name, value in record.items()}


WRAPS = {
    "bare": lambda record: record,
    "object": lambda record: {"Identity": "i", "AuditData": record},
    "text": lambda record: {"Identity": "i", "CreationDate": "5/1/2025 1:00:00 AM", "AuditData": json.dumps(record)},
    "graph": lambda record: {"id": "i", "auditLogRecordType": "exchangeItem", "auditData": record},
    "office": _as_office,
    "defender": lambda record: {"ActionType": "x", "Timestamp": "2025-01-01T00:00:00Z", "RawEventData": record},
}


def check(record):
    """Rows fit their tables, or a declared reason is given."""
    knows = [source for source in SOURCES if source.sniff(record) is not None]
    for source in knows:
        assert source.sniff(record) in source.shapes
        rows, reason = outcome(source, record)
        if rows is None:
            assert reason in schema.QUARANTINE_REASONS
            continue
        (event,) = rows["events"]
        assert event["event_id"]
        assert event["occurred_at"] is not None
        for name, lines in rows.items():
            assert lines
            assert arrow_table(name, lines).num_rows == len(lines)
            assert {line["event_id"] for line in lines} == {event["event_id"]}
    return knows


def outcome(source, record):
    try:
        return source.normalise(record), None
    except RecordRejected as error:
        return None, error.reason


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@MODEST
@given(record=AUDITS)
def test_any_audit_record_gives_fitting_rows_or_a_rejection(wrap, record):
    assert check(wrap(record))


@MODEST
@given(record=st.dictionaries(st.sampled_from([*FIELDS, "Id", "AuditData", "auditData", "RawEventData", "ActionType",
                                               "OfficeWorkload", "Operation", "Type"]), VALUES))  # fmt: skip
def test_any_object_at_all_is_read_rejected_or_not_known(record):
    check(record)


@MODEST
@given(text=st.text() | st.text(alphabet='{}[]":,@=; \\a1'))
def test_any_payload_text_is_read_or_rejected(text):
    check({"AuditData": text, "Identity": "i", "CreationDate": "2025-01-01T00:00:00", "Operations": "Send"})


@MODEST
@given(
    items=st.lists(
        st.lists(st.fixed_dictionaries({}, optional={"InternetMessageId": st.text(), "SizeInBytes": st.integers(0)})),
        max_size=4,
    )
)
def test_every_item_entry_is_listed_once(items):
    """The plain reference: one row per entry, in order, and their number beside the access."""
    record = {
        "Id": "i",
        "CreationTime": "2025-10-27T07:09:33",
        "Operation": "MailItemsAccessed",
        "RecordType": 50,
        "Folders": [{"Path": f"\\{n}", "FolderItems": entries} for n, entries in enumerate(items)],
    }

    rows = unified_audit.SOURCE.normalise(record)

    expected = [
        (f"\\{n}", entry.get("InternetMessageId", "").strip() or None)
        for n, entries in enumerate(items)
        for entry in entries
    ]
    assert [(row["folder_path"], row["internet_message_id"]) for row in rows.get("accessed_items", [])] == expected
    assert rows["mail_accesses"][0]["item_entries"] == len(expected)
