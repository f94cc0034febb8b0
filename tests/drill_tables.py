"""Small hand-made tables of the drill, for tests of what comes after them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from brokenseal.drill import streams, tables
from brokenseal.drill.days import Day
from brokenseal.drill.roster import Roster
from brokenseal.drill.tables import build, row_number

EPOCH_US = 1_767_571_200_000_000  # Monday, 2026-01-05
TENANT = "11111111-2222-4333-8444-555555555555"


def guids(key: int, rows: int) -> pa.Array:
    return streams.guid_text(streams.version4(streams.hashed_bytes(key, np.arange(rows))))


def roster(people: int = 4) -> Roster:
    names = [f"person.{n}" for n in range(people)]
    return Roster(
        tenant_id=TENANT,
        organisation="contoso.onmicrosoft.example",
        key=99,
        mailbox_guid=guids(1, people),
        mailbox_upn=pa.array([f"{name}@contoso.example" for name in names]),
        mailbox_sid=pa.array([f"S-1-5-21-1-2-3-{n}" for n in range(people)]),
        identity_upn=pa.array([f"{name}@contoso.example" for name in names]),
        identity_name=pa.array([f'Person "{n}" É' for n in range(people)]),
        identity_id=guids(2, people),
        identity_sid=pa.array([f"S-1-5-21-1-2-3-{n}" for n in range(people)]),
        is_application=np.arange(people) == people - 1,
        device_id=pa.array([*guids(3, 1).to_pylist(), None]),
        device_name=pa.array(["LAPTOP-1", "phone"]),
        device_system=pa.array(["Windows", "Ios"]),
        device_browser=pa.array(["Edge", "Mobile Safari"]),
        device_trust=pa.array(["Azure AD joined", None]),
        device_compliant=np.array([True, False]),
        network_country=pa.array(["FR", None]),
        network_city=pa.array(["Paris", None]),
        network_asn=np.array([64500, 8075]),
    )


def records(day: int, rows: int, **columns) -> pa.Table:
    """AUDIT_RECORD: bind records of person 0 unless said otherwise."""
    values = {
        "record_no": row_number(day, rows),
        "record_id": guids(1000 + day, rows),
        "at_us": EPOCH_US + day * tables.DAY_US + np.arange(rows) * 7_000_000 + 123_456,
        "record_type": 50,
        "operation": "MailItemsAccessed",
        "workload": "Exchange",
        "result_status": "Succeeded",
        "user_type": 0,
        "user_key": "10032001AAAAAAAA",
        "user_id": "person.0@contoso.example",
        "identity_no": 0,
        "mailbox_no": 0,
        "logon_type": 0,
        "access_type": "Bind",
        "is_throttled": False,
        "operation_count": 1,
        "epoch": 2025,
    }
    return build(tables.AUDIT_RECORD, rows, {**values, **columns})


def folders() -> pa.Table:
    return build(
        tables.FOLDER,
        3,
        {
            "folder_no": np.array([10, 11, 12]),
            "mailbox_no": 0,
            "kind": ["inbox", "sent", "user"],
            "path": ["\\Boîte de réception", "\\Sent Items", '\\Inbox\\Say "hi"'],
            "folder_id": ["LgAAAA/1", "LgAAAA+2", "LgAAAA3"],
        },
    )


def messages(rows: int = 4, day: int = 0) -> pa.Table:
    return build(
        tables.MESSAGE,
        rows,
        {
            "message_no": row_number(day, rows),
            "mailbox_no": 0,
            "thread_no": np.arange(rows),
            "internet_message_id": [f"<message-{n}@mail.example>" for n in range(rows)],
            "item_id": [f"RgAAAA{n}" for n in range(rows)],
            "immutable_id": [f"AAkALg{n}" for n in range(rows)],
            "direction": "in",
            "sender": "someone@elsewhere.example",
            "subject": [f'Subject {n} "quoted"\\\t' for n in range(rows)],
            "at_us": EPOCH_US,
            "size_bytes": 1000 + np.arange(rows),
            "attachments": np.arange(rows) % 2,
            "folder_no": 10,
        },
    )


def items(pairs: list[tuple[int, int, int]], day: int = 0) -> pa.Table:
    """AUDIT_ITEM from (row of the record, row of the message, folder_no)."""
    base = int(row_number(day, 1)[0])
    return build(
        tables.AUDIT_ITEM,
        len(pairs),
        {
            "record_no": np.array([base + record for record, _, _ in pairs], dtype=np.int64),
            "message_no": np.array([base + message for _, message, _ in pairs], dtype=np.int64),
            "folder_no": np.array([folder for _, _, folder in pairs], dtype=np.int64),
        },
    )


def settings(rows: list[tuple[int, str, str, str | None, str | None]], day: int = 0) -> pa.Table:
    """AUDIT_SETTING from (row of the record, place, name, new value, old value)."""
    base = int(row_number(day, 1)[0])
    return build(
        tables.AUDIT_SETTING,
        len(rows),
        {
            "record_no": np.array([base + row[0] for row in rows], dtype=np.int64),
            "place": [row[1] for row in rows],
            "name": [row[2] for row in rows],
            "new_value": [row[3] for row in rows],
            "old_value": [row[4] for row in rows],
        },
    )


def sign_ins(day: int, categories: list[str], **columns) -> pa.Table:
    rows = len(categories)
    ids = streams.hashed_bytes(500 + day, np.arange(rows))
    request = streams.request_ids(ids)
    values = {
        "line_no": row_number(day, rows),
        "at_us": EPOCH_US + day * tables.DAY_US + np.arange(rows) * 60_000_000 + 500_000,
        "category": categories,
        "request_id": streams.guid_text(request),
        "correlation_id": guids(600 + day, rows),
        "identity_no": 0,
        "user": "person.0@contoso.example",
        "subject_id": str(guids(2, 1)[0]),
        "client_app_id": "d3590ed6-52b3-4102-aeff-aad2292ab01c",
        "client_app_name": "Microsoft Office",
        "resource_id": "00000002-0000-0ff1-ce00-000000000000",
        "resource_name": "Office 365 Exchange Online",
        "address": "198.18.0.7",
        "network_no": 0,
        "user_agent": 'Mozilla/5.0 ("x")',
        "uti": streams.uti_text(request),
        "token_form": "b64guid",
        "session_id": str(guids(7, 1)[0]),
        "device_no": 0,
        "home_tenant_id": TENANT,
        "resource_tenant_id": TENANT,
    }
    return build(tables.SIGN_IN_LINE, rows, {**values, **columns})


def day_of(**given) -> Day:
    declared = {
        "intents": tables.INTENT,
        "changes": tables.CHANGE,
        "tokens": tables.TOKEN,
        "sign_ins": tables.SIGN_IN_LINE,
        "folders": tables.FOLDER,
        "messages": tables.MESSAGE,
        "trace": tables.TRACE_LINE,
        "records": tables.AUDIT_RECORD,
        "items": tables.AUDIT_ITEM,
        "settings": tables.AUDIT_SETTING,
        "graph": tables.GRAPH_LINE,
        "fates": tables.READ_FATE,
    }
    empty = {name: tables.empty(table) for name, table in declared.items()}
    return Day(tenant_no=0, day=0, starts_us=EPOCH_US, **{**empty, **given})
