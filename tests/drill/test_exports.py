"""The shapes that the drill writes, and what the product reads in them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.drill import _lines, days, delivery, exports, priors, streams, tables
from brokenseal.drill._audit_lines import audit_lines
from brokenseal.drill._directory_lines import directory_lines
from brokenseal.drill._graph_lines import activity_lines
from brokenseal.drill._login_lines import login_lines
from brokenseal.drill._sign_in_lines import CATEGORIES, diagnostic_lines, graph_lines
from brokenseal.drill._trace_lines import encode, trace_lines
from brokenseal.drill.tables import build, numbers, row_number, words
from brokenseal.sources import identify
from drill_tables import (
    EPOCH_US,
    TENANT,
    day_of,
    folders,
    guids,
    items,
    messages,
    records,
    roster,
    settings,
    sign_ins,
)

HOSTILE = st.text(st.characters(codec="utf-8"), max_size=12)
COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=8)


def audit(record_table, **given):
    values = {
        "items": tables.empty(tables.AUDIT_ITEM),
        "settings": tables.empty(tables.AUDIT_SETTING),
        "changes": tables.empty(tables.CHANGE),
        "messages": messages(),
        "folders": folders(),
        "roster": roster(),
    }
    values |= given
    lines = audit_lines(record_table, values.pop("items"), values.pop("settings"), **values)
    return [json.loads(line) for line in lines.to_pylist()]


def read(record, expected_source):
    source, _ = identify(record)
    assert source.name == expected_source
    return source.normalise(record)


# ---------------------------------------------------------------- lines


@given(st.lists(HOSTILE, min_size=1, max_size=6))
def test_any_text_becomes_the_json_string_that_means_it(texts):
    written = _lines.json_text(pa.array(texts, pa.string())).to_pylist()
    assert [json.loads(one) for one in written] == texts


@given(st.lists(st.tuples(HOSTILE, st.none() | HOSTILE), min_size=1, max_size=6))
def test_members_are_left_out_where_they_are_null(pairs):
    first, second = zip(*pairs, strict=True)
    parts = [
        '{"x":0',
        _lines.member("a", pa.array(first, pa.string())),
        _lines.member("b", pa.array(second, pa.string())),
        "}",
    ]
    found = [json.loads(line) for line in _lines.render(parts, len(pairs)).to_pylist()]
    assert found == [{"x": 0, "a": a, **({} if b is None else {"b": b})} for a, b in pairs]


@given(COUNTS)
def test_lists_have_their_items_line_by_line(counts):
    values = [f'"{n}"' for n in range(sum(counts))]
    run = _lines.listed(pa.array(values, pa.string()), np.array(counts), opening='{"l":[', closing="]}")
    lines = _lines.render([run], len(counts)).to_pylist()
    expected, at = [], 0
    for count in counts:
        expected.append({"l": [str(n) for n in range(at, at + count)]} if count else None)
        at += count
    assert [json.loads(line) if line else None for line in lines] == expected


@given(st.lists(st.lists(st.integers(0, 2), max_size=5).map(sorted), min_size=1, max_size=6))
def test_groups_frame_their_items(groups):
    counts = np.array([len(group) for group in groups])
    flat = np.array([one for group in groups for one in group], dtype=np.int32)
    values = pa.array([str(n) for n in range(len(flat))], pa.string())
    frames = [(f'{{"g":{n},"i":[', "]}") for n in range(3)]
    lines = _lines.render(
        [_lines.grouped(values, counts, flat, frames, opening="[", closing="]")], len(groups)
    ).to_pylist()
    expected, number = [], 0
    for group in groups:
        found = []
        for one in group:
            if not found or found[-1]["g"] != one:
                found.append({"g": one, "i": []})
            found[-1]["i"].append(number)
            number += 1
        expected.append(found)
    assert [json.loads(line) if line else [] for line in lines] == expected


@given(st.lists(st.integers(0, 4_000_000_000_000_000), min_size=1, max_size=8))
def test_times_are_written_to_the_second_and_to_the_millisecond(times):
    at = np.array(times)
    text = np.datetime_as_string((at // 1_000).astype("datetime64[ms]"), unit="ms")
    whole = _lines.render(_lines.moment("<", at, ending=">"), len(at)).to_pylist()
    fine = _lines.render(_lines.moment("", at, ending="Z", fraction=True), len(at)).to_pylist()
    assert whole == [f"<{one[:19]}>" for one in text]
    assert fine == [f"{one}Z" for one in text]


def test_an_absent_time_leaves_no_trace():
    parts = ["{", *_lines.moment('"t":"', np.array([0, EPOCH_US]), ending='"', absent=0), "}"]
    assert _lines.render(parts, 2).to_pylist() == ["{}", '{"t":"2026-01-05T00:00:00"}']


def test_an_entry_without_a_line_is_a_mistake():
    with pytest.raises(ValueError, match="no line"):
        _lines.owners(np.array([3]), np.array([1, 2]))


# ---------------------------------------------------------------- audit records


def test_a_bind_lists_its_messages_under_their_folders():
    found = audit(
        records(0, 2, operation_count=np.array([3, 1]), originating_server="AM0PR07MB0001 (15.20.4200.000)"),
        items=items([(0, 0, 10), (0, 1, 12), (0, 2, 10), (1, 3, 11)]),
    )
    names = [(one["Path"], [item["InternetMessageId"] for item in one["FolderItems"]]) for one in found[0]["Folders"]]
    assert names == [
        ("\\Boîte de réception", ["<message-0@mail.example>", "<message-2@mail.example>"]),
        ('\\Inbox\\Say "hi"', ["<message-1@mail.example>"]),
    ]
    assert found[0]["OperationProperties"] == [
        {"Name": "MailAccessType", "Value": "Bind"},
        {"Name": "IsThrottled", "Value": "False"},
    ]
    assert found[0]["OriginatingServer"].endswith("\r\n")
    assert found[0]["CreationTime"] == "2026-01-05T00:00:00"
    assert found[1]["Folders"][0]["FolderItems"] == [
        {
            "Id": "RgAAAA3",
            "ImmutableId": "AAkALg3",
            "InternetMessageId": "<message-3@mail.example>",
            "SizeInBytes": 1003,
        }
    ]


@pytest.mark.parametrize(
    ("epoch", "names"),
    [
        (2021, {"InternetMessageId"}),
        (2023, {"InternetMessageId", "SizeInBytes"}),
        (2025, {"Id", "ImmutableId", "InternetMessageId", "SizeInBytes"}),
    ],
)
def test_items_show_what_the_epoch_shows(epoch, names):
    found = audit(records(0, 1, epoch=epoch), items=items([(0, 0, 10)]))
    assert set(found[0]["Folders"][0]["FolderItems"][0]) == names


@pytest.mark.parametrize(
    ("throttled", "expected"),
    [(True, "True"), (False, "False"), (None, None)],
)
def test_throttling_is_true_false_or_left_out(throttled, expected):
    found = audit(records(0, 1, is_throttled=pa.array([throttled], pa.bool_())))
    properties = {one["Name"]: one["Value"] for one in found[0]["OperationProperties"]}
    assert properties.get("IsThrottled") == expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("absent", None),
        ("empty", {}),
        ("api_only", {"APIId": ""}),
        (
            "full",
            {
                "APIId": "",
                "AADSessionId": "s-1",
                "ClientAppId": "c-1",
                "IssuedAtTime": "2026-01-05T00:00:00",
                "UniqueTokenId": "3kVZRE8tFkinHtPA7_EFAA",
            },
        ),
    ],
)
def test_the_token_stands_in_one_of_four_shapes(context, expected):
    found = audit(
        records(
            0,
            1,
            context=context,
            context_session_id="s-1",
            client_app_id="c-1",
            issued_at_us=EPOCH_US,
            uti=["3kVZRE8tFkinHtPA7_EFAA"],
        )
    )
    assert found[0].get("AppAccessContext") == expected


def test_a_sync_names_its_folder_and_lists_nothing():
    found = audit(records(0, 40, record_type=2, access_type="Sync", folder_no=10))
    parents = [one["Item"]["ParentFolder"] for one in found]
    assert {one["Id"] for one in parents} == {"LgAAAA/1"}
    assert {one["Name"] for one in parents} == {"Boîte de réception"}
    assert {one["Path"] for one in parents} == {"Not Available", "\\Boîte de réception"}
    assert not any("Folders" in one for one in found)


def test_changed_and_sent_items_are_read_as_what_they_are():
    table = records(
        0,
        3,
        record_type=np.array([2, 3, 2]),
        operation=["Send", "MoveToDeletedItems", "SendAs"],
        access_type=None,
        operation_count=-1,
        to_folder_no=np.array([-1, 11, -1]),
        client_address="198.18.0.9",
    )
    found = audit(table, items=items([(0, 0, 10), (1, 1, 10), (1, 2, 10), (2, 3, 10)]))
    rows = [read(one, "unified_audit") for one in found]
    assert rows[0]["sent_messages"][0]["subject"] == 'Subject 0 "quoted"\\\t'
    assert [one["internet_message_id"] for one in rows[1]["item_changes"]] == [
        "<message-1@mail.example>",
        "<message-2@mail.example>",
    ]
    assert rows[1]["item_changes"][0]["to_folder_path"] == "\\Sent Items"
    assert rows[2]["sent_messages"][0]["sent_as"] == "person.0@contoso.example"
    assert rows[2]["events"][0]["client_ip"] == "198.18.0.9"


def test_attachments_are_read_as_attachments():
    found = audit(records(0, 1, operation="AttachmentAccess", access_type=None), items=items([(0, 1, 10), (0, 2, 12)]))
    rows = read(found[0], "unified_audit")["accessed_items"]
    assert [(one["kind"], one["folder_path"]) for one in rows] == [
        ("attachment", "\\Boîte de réception"),
        ("attachment", '\\Inbox\\Say "hi"'),
    ]


def test_cmdlets_carry_their_parameters_and_directory_changes_their_properties():
    table = records(
        0,
        2,
        record_type=np.array([1, 8]),
        operation=["New-InboxRule", "Consent to application."],
        workload=["Exchange", "AzureActiveDirectory"],
        access_type=None,
        is_throttled=None,
        object_id=["person.0\\.", "app-1"],
        intent_id=np.array([-1, 77]),
    )
    change = build(
        tables.CHANGE,
        1,
        {
            "intent_id": np.array([77]),
            "at_us": EPOCH_US,
            "change": "consent",
            "operation": "Consent to application.",
            "service": "entra",
            "identity_no": 0,
            "app_id": "aaaaaaaa-0000-4000-8000-000000000001",
            "app_name": 'Mail "Helper"',
        },
    )
    consent = "[] => [[Id: x, ConsentType: Principal, Scope: Mail.Read offline_access]]; "
    values = settings(
        [
            (0, "parameter", "Name", ".", None),
            (0, "parameter", "DeleteMessage", "True", None),
            (1, "modified", "ConsentAction.Permissions", consent, ""),
        ]
    )
    found = audit(table, settings=values, changes=change)
    rule = read(found[0], "unified_audit")["config_changes"][0]
    assert (rule["rule_name"], rule["rule_effects"]) == (".", ["delete"])
    granted = read(found[1], "unified_audit")["config_changes"][0]
    assert (granted["changed_app_name"], granted["rights"]) == ('Mail "Helper"', ["Mail.Read", "offline_access"])
    line = directory_lines(table.slice(1), values.slice(2), change, roster()).to_pylist()[0]
    audited = read(json.loads(line), "entra_audit")
    assert audited["events"][0]["operation"] == "Consent to application"
    assert audited["config_changes"][0]["rights"] == ["Mail.Read", "offline_access"]
    assert audited["events"][0]["actor"] == "person.0@contoso.example"


def test_an_unknown_message_is_a_mistake():
    with pytest.raises(ValueError, match="message"):
        audit(records(0, 1), items=items([(0, 99, 10)]))


# ---------------------------------------------------------------- sign-ins, Graph, trace


@pytest.mark.parametrize("category", list(CATEGORIES))
def test_a_sign_in_reads_alike_from_graph_and_from_a_diagnostic_line(category):
    table = sign_ins(0, [category] * 2, succeeded=np.array([True, False]), error_code=np.array([0, 50126]))
    diagnostic = [
        read(json.loads(one), "entra_sign_in") for one in diagnostic_lines(table, category, roster()).to_pylist()
    ]
    found = [one["sign_ins"][0] for one in diagnostic]
    assert [one["category"] for one in found] == [category] * 2
    assert [one["succeeded"] for one in found] == [True, False]
    assert [one["event_id"] for one in found] == [f"signin:{one}" for one in table.column("request_id").to_pylist()]
    assert found[0]["token_id"] == table.column("request_id")[0].as_py()
    if category not in {"microsoft_service_principal", "adfs"}:
        graph = [read(json.loads(one), "entra_sign_in") for one in graph_lines(table, category, roster()).to_pylist()]
        plain = [one["sign_ins"][0] for one in graph]
        unlike = {name for name in found[0] if plain[0][name] != found[0][name]} - {"occurred_at"}
        assert unlike <= {"tenant_id", "country"}
        assert (found[0]["occurred_at"] - plain[0]["occurred_at"]).total_seconds() == 0.5


def test_logins_of_the_audit_log_are_read_with_their_session():
    table = sign_ins(0, ["audit_log", "audit_log", "owa_auth"], succeeded=np.array([True, False, True]))
    found = [json.loads(line) for line in login_lines(table, epoch=2025, roster=roster()).to_pylist()]
    assert [one["Operation"] for one in found[:2]] == ["UserLoggedIn", "UserLoginFailed"]
    rows = [read(one, "unified_audit")["sign_ins"][0] for one in found]
    request = table.column("request_id").to_pylist()
    assert [one["event_id"] for one in rows[:2]] == request[:2]
    assert rows[2]["event_id"] not in request
    assert rows[2]["token_id"] == request[2]
    assert [one["category"] for one in rows] == ["audit_log", "audit_log", "owa_auth"]
    assert rows[0]["session_id"] == guids(7, 1)[0].as_py()
    assert rows[0]["subject_id"] == guids(2, 1)[0].as_py()
    old = json.loads(login_lines(table, epoch=2021, roster=roster()).to_pylist()[0])
    assert "DeviceProperties" not in old


def test_a_graph_request_tells_its_token_and_its_mailbox():
    visit = build(
        tables.INTENT,
        1,
        {
            "intent_id": np.array([5]),
            "day": 0,
            "starts_at_us": EPOCH_US,
            "duration_s": 10.0,
            "kind": "read",
            "identity_no": 0,
            "client_class": "app_rest",
            "protocol": "rest",
            "client_app_id": "aaaaaaaa-0000-4000-8000-000000000001",
            "resource_id": "00000003-0000-0000-c000-000000000000",
            "user_agent": "axios/1.7.9",
            "network_no": 0,
            "address": "198.18.0.7",
            "mail_address": "198.18.0.7",
        },
    )
    raw = streams.request_ids(streams.hashed_bytes(9, np.arange(1)))
    token = build(
        tables.TOKEN,
        1,
        {
            "token_no": np.array([8]),
            "intent_id": np.array([5]),
            "session_id": "sid-1",
            "request_id": streams.guid_text(raw),
            "uti": streams.uti_text(raw),
            "identity_no": 0,
            "subject_id": "x",
            "token_tenant_id": TENANT,
            "client_app_id": "c",
            "resource_id": "r",
            "issued_at_us": EPOCH_US - 60_000_000,
            "expires_at_us": EPOCH_US,
            "is_cae": False,
            "category": "non_interactive",
            "is_issued": True,
            "is_logged": True,
        },
    )
    line = build(
        tables.GRAPH_LINE,
        2,
        {
            "line_no": row_number(0, 2),
            "at_us": EPOCH_US + 1_500_000,
            "request_id": guids(11, 2),
            "intent_id": np.array([5, 5]),
            "token_no": np.array([8, -1]),
            "identity_no": np.array([0, 3]),
            "method": "GET",
            "uri": [
                "https://graph.microsoft.com/v1.0/me/messages/A",
                "https://graph.microsoft.com/v1.0/users/x/messages",
            ],
        },
    )
    found = [
        read(json.loads(one), "graph_activity")["graph_requests"][0]
        for one in activity_lines(line, intents=visit, tokens=token, roster=roster()).to_pylist()
    ]
    assert found[0]["token_id"] == streams.guid_text(raw)[0].as_py()
    assert found[0]["token_issued_at"].isoformat() == "2026-01-04T23:59:00+00:00"
    assert [one["mailbox_hint"] for one in found] == ["me", "x"]
    assert all(one["reads_mail"] for one in found)
    assert found[1]["token_id"] is None


def test_the_message_trace_is_utf_16_and_keeps_every_cell():
    table = build(
        tables.TRACE_LINE,
        2,
        {
            "line_no": row_number(0, 2),
            "at_us": EPOCH_US,
            "internet_message_id": ["<a@b>", '<"x,y"@b>'],
            "trace_id": guids(12, 2),
            "sender": "S@elsewhere.example",
            "recipient": ["é@contoso.example", "b@contoso.example"],
            "subject": ['He said "yes", twice', "=1+1"],
            "status": "Delivered",
            "direction": "in",
            "size_bytes": 12,
        },
    )
    text = encode(trace_lines(table, roster()))
    assert text[:2] == b"\xff\xfe"
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-16"), newline="")))
    found = [read(row, "message_trace")["message_traces"][0] for row in rows]
    assert [one["subject"] for one in found] == ['He said "yes", twice', "=1+1"]
    assert [one["internet_message_id"] for one in found] == ["<a@b>", '<"x,y"@b>']
    assert found[0]["recipient"] == "é@contoso.example"


# ---------------------------------------------------------------- files


def place_of(folder, shape):
    parameters = priors.draw(priors.TRAIN, streams.stream(5, "parameters"))
    law = delivery.delivery_law(parameters, seed=3, tenant_no=0, logs="full", shape=shape, starts_us=EPOCH_US, days=30)
    return exports.Place(folder, law, roster(), 2025, 360)


@pytest.fixture(scope="module")
def day():
    return day_of(
        records=records(0, 300, user_id='o"brien,@contoso.example'),
        items=items([(row, row % 4, 10 + row % 3) for row in range(300)]),
        messages=messages(),
        folders=folders(),
        sign_ins=sign_ins(0, ["interactive", "non_interactive", "audit_log", "adfs"] * 5),
    )


def test_both_shapes_hold_the_lines_that_were_delivered(day, tmp_path):
    for shape in ("portal", "stream"):
        place = place_of(tmp_path / shape, shape)
        delivered = delivery.deliver(days.lines_of(day), place.law, day=0)
        given = delivered.filter(pc.is_null(delivered.column("withheld_reason")))
        assert exports.write_day(day, delivered, place) == given.num_rows
        ids = {
            one
            for one, stream in zip(
                days.event_ids(day, given, roster()).to_pylist(), words(given, "stream"), strict=True
            )
            if stream in days.CONTENT_TYPES
        }
        assert audit_ids(tmp_path / shape) == ids


def audit_ids(folder):
    found = set()
    for path in folder.rglob("purview/*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                record = json.loads(row["AuditData"])
                assert (row["RecordId"], row["Operation"]) == (record["Id"], record["Operation"])
                assert row["CreationDate"].startswith(record["CreationTime"])
                assert row["UserId"] == record["UserId"]
                found.add(record["Id"])
    for path in folder.rglob("management-activity/*/*/*.json"):
        found |= {record["Id"] for record in json.loads(path.read_text(encoding="utf-8"))}
    return found


def test_a_copy_is_the_same_byte_for_byte(day, tmp_path):
    place = place_of(tmp_path, "stream")
    delivered = delivery.deliver(days.lines_of(day), place.law, day=0)
    exports.write_day(day, delivered, place)
    seen = {}
    copies = 0
    for path in tmp_path.rglob("management-activity/*/*/*.json"):
        for record in json.loads(path.read_text(encoding="utf-8")):
            copies += record["Id"] in seen
            assert seen.setdefault(record["Id"], record) == record
    of_audit = np.isin(words(delivered, "stream"), list(days.CONTENT_TYPES))
    assert copies == int((of_audit & (numbers(delivered, "copy_no") > 0)).sum()) > 0


def test_lines_of_the_hour_before_midnight_do_not_replace_those_of_the_day_before(tmp_path):
    hour = tables.HOUR_US
    before = tables.build(
        tables.SIGN_IN_LINE,
        2,
        {
            **columns_of(sign_ins(0, ["non_interactive"] * 2)),
            "at_us": np.array([EPOCH_US - hour // 2, EPOCH_US + hour]),
        },
    )
    given = day_of(sign_ins=before)
    place = place_of(tmp_path, "stream")
    delivered = delivery.deliver(days.lines_of(given), place.law, day=0)
    exports.write_day(given, delivered, place)
    names = sorted(str(path.relative_to(tmp_path)).rpartition("/y=")[2] for path in tmp_path.rglob("PT1H*"))
    yesterday, today = (dt.datetime.fromtimestamp(EPOCH_US / 1e6 - n * 86400, tz=dt.UTC) for n in (1, 0))
    assert names == [
        f"{yesterday:%Y/m=%m/d=%d}/h=23/m=00/PT1H-{today:%Y-%m-%d}.json",
        f"{today:%Y/m=%m/d=%d}/h=01/m=00/PT1H.json",
    ]


def columns_of(table):
    return {name: table.column(name) for name in table.column_names}


def test_lines_are_gathered_from_several_buffers_without_a_copy():
    first, second = pa.array(["a", "", "é"]), pa.array(["x", "yy", "zz"]).slice(1)
    text = _lines.Text.below(
        [_lines.Text.of([first, pa.array([], pa.string())]), _lines.Text.of([second], np.array([1, 0]))]
    )
    assert text.to_pylist() == ["a", "", "é", "zz", "yy"]
    assert [bytes(line) for line in text.lines(np.array([4, 2, 2]))] == [b"yy", "é".encode(), "é".encode()]
    assert len(_lines.Text.of([])) == 0
    assert list(exports._listed(text, np.array([0, 3]), opening=b"[", separator=b",", closing=b"]")) == [
        b"[", b"a", b",", b"zz", b"]"
    ]  # fmt: skip
