"""What mailbox records become: accesses, items, sent and changed messages."""

from __future__ import annotations

import pytest

from audit_records import AT, ID, MAILBOX, audit, bind, properties
from brokenseal.sources.unified_audit import SOURCE


def rows(record):
    return SOURCE.normalise(record)


def test_a_bind_lists_every_item_entry():
    found = rows(bind())

    (access,) = found["mail_accesses"]
    assert {name: access[name] for name in ("access_type", "is_throttled", "operation_count", "item_entries")} == {
        "access_type": "bind",
        "is_throttled": False,
        "operation_count": 3,
        "item_entries": 3,
    }
    shared = {"event_id": ID.lower(), "occurred_at": AT, "mailbox_key": MAILBOX, "mailbox_upn": "adele@contoso.example"}
    blank = {"item_id": None, "subject": None, "size_bytes": None}
    assert found["accessed_items"] == [
        shared
        | {"kind": "message", "internet_message_id": "<x@y.example>", "folder_path": "\\Inbox"}
        | {"item_id": "RgAA", "subject": "Hi", "size_bytes": 3476},
        shared | {"kind": "message", "internet_message_id": "<x@y.example>", "folder_path": "\\Inbox"} | blank,
        shared | {"kind": "message", "internet_message_id": "<Z@y.example>", "folder_path": "Brouillons"} | blank,
    ]
    assert set(found) == {"events", "mail_accesses", "accessed_items"}


ACCESS_CASES = {
    "sync": (
        {
            "RecordType": 2,
            "OperationProperties": properties(("IsThrottled", "False"), ("MailAccessType", "Sync")),
            "Folders": None,
            "Item": {"Id": "LgAA", "ParentFolder": {"Id": "LgAA", "Name": "Inbox", "Path": "\\Inbox"}},
        },
        {"access_type": "sync", "folder_id": "LgAA", "folder_path": "\\Inbox", "item_entries": 0},
    ),
    "sync of a folder without path": (
        {
            "OperationProperties": properties(("MailAccessType", "Sync")),
            "Item": {"ParentFolder": {"Name": "Inbox", "Path": "Not Available"}},
        },
        {"folder_path": "Inbox", "folder_id": None},
    ),
    "throttled": (
        {"OperationProperties": properties(("MailAccessType", "Bind"), ("IsThrottled", "True"))},
        {"is_throttled": True},
    ),
    "throttled absent": ({"OperationProperties": properties(("MailAccessType", "Bind"))}, {"is_throttled": False}),
    "throttled lost": ({"OperationProperties": "System.Object[]"}, {"is_throttled": None, "access_type": "bind"}),
    "flattened pairs": (
        {"OperationProperties": ["@{Value=Bind; Name=MailAccessType}", "@{Name=IsThrottled; Value=True}"]},
        {"is_throttled": True, "access_type": "bind"},
    ),
    "no properties": ({"OperationProperties": None, "RecordType": 2}, {"is_throttled": None, "access_type": "sync"}),
    "no properties, odd type": ({"OperationProperties": None, "RecordType": 7}, {"access_type": None}),
    "no folders": ({"Folders": []}, {"item_entries": 0}),
    "one folder as an object": ({"Folders": bind()["Folders"][1]}, {"item_entries": 1}),
    "folders lost": ({"Folders": "System.Object[]"}, {"item_entries": None, "operation_count": 3}),
    "folders flattened": (
        {"Folders": ["@{Id=LgAA; Path=\\Inbox; FolderItems=System.Object[]}"]},
        {"item_entries": None},
    ),
    "items lost": (
        {"Folders": [{"Id": "LgAA", "Path": "\\Inbox", "FolderItems": "System.Object[]"}]},
        {"item_entries": None},
    ),
    "kinds of token": (
        {"AuthType": "Bearer", "TokenType": "V1AppActAs"},
        {"auth_type": "Bearer", "token_type": "V1AppActAs"},
    ),
}


@pytest.mark.parametrize(("given", "expected"), ACCESS_CASES.values(), ids=ACCESS_CASES)
def test_mail_access_columns(given, expected):
    (access,) = rows(bind(**given))["mail_accesses"]

    assert {name: access[name] for name in expected} == expected


@pytest.mark.parametrize(
    "record",
    [
        bind(Folders="System.Object[]"),
        bind(Folders=[{"FolderItems": "System.Object[]"}]),
        bind(OperationProperties=["@{Value=Bind; Name=MailAccessType}"]),
        {"Identity": ID, "AuditData": bind(Folders="System.Collections.ArrayList")},
        {"auditLogRecordType": "x", "auditData": bind(Folders=["System.Object[]"])},
    ],
)
def test_flattened_records_are_kept_and_named_so(record):
    found = rows(record)

    assert SOURCE.sniff(record) == "flattened"
    assert "flattened" in SOURCE.lossy_shapes
    assert len(found["mail_accesses"]) == 1
    assert ("accessed_items" in found) is ("OperationProperties" in record and record["Folders"] == bind()["Folders"])


def test_a_wholly_flattened_payload_keeps_what_stands_around_it():
    record = {"Identity": ID, "CreationDate": "2025-10-27T07:09:33", "Operations": "Send", "AuditData": "@{Id=1; …}"}

    assert SOURCE.sniff(record) == "flattened"
    assert rows(record)["events"][0]["operation"] == "Send"


def test_attachments_read_are_items_of_their_kind():
    messages = [
        {"Id": "RgAA", "Path": "\\Inbox", "MessageItems": [{"Id": "att1", "SizeInBytes": 1200.0}, {"Id": "att2"}]}
    ]
    found = rows(audit("AttachmentAccess", Messages=messages, MailboxGuid=MAILBOX))

    assert set(found) == {"events", "accessed_items"}
    assert [
        (row["kind"], row["item_id"], row["size_bytes"], row["folder_path"]) for row in found["accessed_items"]
    ] == [
        ("attachment", "att1", 1200, "\\Inbox"),
        ("attachment", "att2", None, "\\Inbox"),
    ]


@pytest.mark.parametrize(
    ("operation", "given", "expected"),
    [
        ("Send", {}, ("send", None)),
        ("SendAs", {"SendAsUserSmtp": "smtp:Boss@Contoso.example"}, ("send_as", "boss@contoso.example")),
        (
            "SendOnBehalf",
            {"SendOnBehalfOfUserSmtp": "Boss@Contoso.example"},
            ("send_on_behalf", "boss@contoso.example"),
        ),
    ],
)
def test_sent_messages(operation, given, expected):
    item = {"InternetMessageId": "<a@b>", "Subject": "Hi", "Attachments": "a.png (646b); b.png (1b)", "SizeInBytes": 9}
    found = rows(audit(operation, RecordType=2, MailboxGuid=MAILBOX, Item=item, **given))

    (sent,) = found["sent_messages"]
    assert (sent["kind"], sent["sent_as"]) == expected
    assert (sent["internet_message_id"], sent["subject"], sent["size_bytes"]) == ("<a@b>", "Hi", 9)
    assert sent["attachments"] == "a.png (646b); b.png (1b)"
    assert sent["mailbox_key"] == MAILBOX


def test_each_affected_item_of_a_move_is_one_row():
    items = [
        {"InternetMessageId": "<a@b>", "Subject": "A", "ParentFolder": {"Path": "\\Inbox"}},
        {"InternetMessageId": "<c@d>", "Subject": "B"},
    ]
    record = audit(
        "MoveToDeletedItems",
        RecordType=3,
        MailboxGuid=MAILBOX,
        AffectedItems=items,
        Folder={"Path": "\\Sent Items"},
        DestFolder={"Path": "\\Deleted Items"},
    )

    changed = rows(record)["item_changes"]

    assert [(row["internet_message_id"], row["folder_path"], row["to_folder_path"]) for row in changed] == [
        ("<a@b>", "\\Inbox", "\\Deleted Items"),
        ("<c@d>", "\\Sent Items", "\\Deleted Items"),
    ]
    assert {row["operation_key"] for row in changed} == {"movetodeleteditems"}


def test_a_single_item_change_is_one_row_and_other_services_give_none():
    item = {"InternetMessageId": "<a@b>", "ParentFolder": {"Path": "\\Calendar"}}

    (changed,) = rows(audit("Update", RecordType=2, MailboxGuid=MAILBOX, Item=item))["item_changes"]

    assert (changed["folder_path"], changed["to_folder_path"]) == ("\\Calendar", None)
    assert "item_changes" not in rows(audit("Create", RecordType=21, Workload="CRM", Item=item))
