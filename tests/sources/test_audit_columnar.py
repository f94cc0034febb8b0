"""The columnar path must give what the plain path gives, for every record and whatever is odd about it."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brokenseal._ingest_reading
import brokenseal._ingest_segments
import brokenseal.ingest
import columnar_runner
from brokenseal import schema
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.sources.unified_audit import SOURCE
from brokenseal.store import Store
from support import SAMPLES, needs_samples

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ID = "6b0e63a5-0000-4000-8000-{:012x}"


def bind(number: int = 1, **changes):
    record = {
        "CreationTime": "2025-10-27T07:09:33",
        "Id": ID.format(number),
        "Operation": "MailItemsAccessed",
        "OrganizationId": "11111111-1111-4111-8111-111111111111",
        "RecordType": 50,
        "ResultStatus": "Succeeded",
        "UserKey": "10032001AAAAAAAA",
        "UserType": 0,
        "Workload": "Exchange",
        "UserId": "Ada@Contoso.example",
        "AppId": "00000003-0000-0000-c000-000000000000",
        "ClientAppId": "22222222-2222-4222-8222-222222222222",
        "ClientIPAddress": "203.0.113.7",
        "ClientInfoString": "Client=REST;;",
        "ExternalAccess": False,
        "LogonType": 0,
        "MailboxGuid": "33333333-3333-4333-8333-333333333333",
        "MailboxOwnerUPN": "Ada@contoso.example",
        "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}, {"Name": "IsThrottled", "Value": "False"}],
        "TokenObjectId": "44444444-4444-4444-8444-444444444444",
        "AppAccessContext": {
            "AADSessionId": "55555555-5555-4555-8555-555555555555",
            "IssuedAtTime": "2025-10-27T06:40:00",
            "UniqueTokenId": "3kVZRE8tFkinHtPA7_EFAA",
        },
        "Folders": [
            {
                "Path": "\\Inbox",
                "FolderItems": [{"Id": "Rg", "InternetMessageId": "<x@y.example>", "SizeInBytes": 3476}],
            }
        ],
        "OperationCount": 1,
    }
    record.update(changes)
    return {key: value for key, value in record.items() if value is not ...}


def login(number: int = 1, **changes):
    record = {
        "CreationTime": "2025-10-27T06:40:00",
        "Id": ID.format(number),
        "Operation": "UserLoggedIn",
        "OrganizationId": "11111111-1111-4111-8111-111111111111",
        "RecordType": 15,
        "ResultStatus": "Success",
        "UserKey": "44444444-4444-4444-8444-444444444444",
        "UserType": 0,
        "Workload": "AzureActiveDirectory",
        "UserId": "ada@contoso.example",
        "ObjectId": "00000003-0000-0000-c000-000000000000",
        "ClientIP": "203.0.113.7",
        "ExtendedProperties": [
            {"Name": "UserAgent", "Value": "Mozilla/5.0 (X11; Linux)"},
            {"Name": "RequestType", "Value": "OAuth2:Token"},
        ],
        "Actor": [{"ID": "44444444-4444-4444-8444-444444444444", "Type": 0}, {"ID": "ada@contoso.example", "Type": 5}],
        "Target": [{"ID": "00000003-0000-0000-c000-000000000000", "Type": 0}],
        "ActorContextId": "11111111-1111-4111-8111-111111111111",
        "ApplicationId": "9199BF20-a13f-4107-85dc-02114787ef48",
        "InterSystemsId": "77777777-7777-4777-8777-777777777777",
        "IntraSystemId": ID.format(number),
        "DeviceProperties": [{"Name": "SessionId", "Value": "55555555-5555-4555-8555-555555555555"}],
        "ErrorNumber": "0",
    }
    record.update(changes)
    return {key: value for key, value in record.items() if value is not ...}


ITEM = {"Id": "Rg", "InternetMessageId": " <a@b.example> ", "Subject": "Report", "SizeInBytes": 12}
SEND = {"Operation": "Send", "RecordType": 2, "Folders": ..., "OperationProperties": ..., "OperationCount": ...}
ATTACHMENT = {**SEND, "Operation": "AttachmentAccess", "RecordType": 50}
DELETE = {**SEND, "Operation": "SoftDelete", "RecordType": 3, "Folder": {"Path": "\\Inbox"}}

CASES = {
    "bind": bind(),
    "sync": bind(
        RecordType=2,
        Folders=...,
        OperationProperties=[{"Name": "MailAccessType", "Value": "Sync"}],
        Item={"Id": "Lg", "ParentFolder": {"Id": "Lg", "Name": "Inbox", "Path": "Not Available"}},
    ),
    "throttled": bind(OperationProperties=[{"Name": "IsThrottled", "Value": "True"}]),
    "properties absent": bind(OperationProperties=...),
    "properties empty": bind(OperationProperties=[]),
    "property without value": bind(OperationProperties=[{"Name": "MailAccessType"}]),
    "properties written in lower case": bind(OperationProperties=[{"name": "MailAccessType", "value": "Sync"}]),
    "properties lost": bind(OperationProperties="System.Object[]"),
    "folders null": bind(Folders=None),
    "folder without items": bind(Folders=[{"Path": "\\Inbox"}, {"Path": "Unknown", "FolderItems": []}]),
    "item null": bind(Folders=[{"Path": "\\Inbox", "FolderItems": [None, {"Id": ""}]}]),
    "folder an object": bind(Folders={"Path": "\\Inbox", "FolderItems": []}),
    "folders as text": bind(Folders="[]"),
    "size a fraction as text": bind(Folders=[{"Path": "x", "FolderItems": [{"SizeInBytes": "12.0"}]}]),
    "size no number": bind(Folders=[{"Path": "x", "FolderItems": [{"SizeInBytes": "much"}]}]),
    "count as text": bind(OperationCount="7"),
    "several folders": bind(
        Folders=[{"Path": "\\A", "FolderItems": [ITEM, ITEM]}, {"Path": "\\B", "FolderItems": [ITEM]}], OperationCount=3
    ),
    "subject like a list": bind(Folders=[{"Path": "\\A", "FolderItems": [{**ITEM, "Subject": "[EXTERNAL] hi"}]}]),
    "numbers as text": bind(RecordType="50", UserType="0", LogonType="2", ExternalAccess="False"),
    "record type by name": bind(RecordType="ExchangeItemAggregated"),
    "record type unknown": bind(RecordType="Whatever"),
    "user type by name": bind(UserType="Regular"),
    "context as text": bind(AppAccessContext='{"UniqueTokenId": "3kVZRE8tFkinHtPA7_EFAA"}'),
    "context empty": bind(AppAccessContext={}),
    "context null": bind(AppAccessContext=None),
    "context of a year nobody means": bind(AppAccessContext={"IssuedAtTime": "0001-01-01T00:00:00"}),
    "id in capitals": bind(Id="6B0E63A5-0000-4000-8000-0000000000AA"),
    "id no guid": bind(Id=" an-id "),
    "id in braces": bind(Id="{6b0e63a5-0000-4000-8000-0000000000aa}"),
    "id absent": bind(Id=...),
    "time with zone": bind(CreationTime="2025-10-27T07:09:33+02:00"),
    "time with seven digits": bind(CreationTime="2025-10-27T07:09:33.1234567Z"),
    "time with six digits": bind(CreationTime="2025-10-27T07:09:33.123456Z"),
    "time on no day": bind(CreationTime="2025-02-30T07:09:33"),
    "time at 24 hours": bind(CreationTime="2025-02-20T24:00:00"),
    "time of Windows PowerShell": bind(CreationTime="/Date(1714555800000)/"),
    "time of year 1601": bind(CreationTime="1601-01-01T00:00:00"),
    "time absent": bind(CreationTime=...),
    "operation with a full stop": bind(Operation="MailItemsAccessed."),
    "operation in another case": bind(Operation="mailitemsaccessed"),
    "operation absent": bind(Operation=...),
    "operation empty": bind(Operation=""),
    "letters beyond ASCII": bind(UserId="İLKER@contoso.example", MailboxOwnerUPN="Straße@contoso.example"),
    "actor an object": bind(UserId={"a": 1}),
    "object id an object": bind(ObjectId={"a": [1, 2.50]}),
    "object id in braces": bind(ObjectId="{6b0e63a5-0000-4000-8000-0000000000aa}"),
    "a flag as text": bind(ExternalAccess="true"),
    "address with port": bind(ClientIP="[2603:10a6::1]:443", ClientIPAddress="203.0.113.9:1"),
    "address invalid": bind(ClientIPAddress="no address"),
    "client of the actor": bind(ActorInfoString="Client=REST;Client=RESTSystem;Mozilla[AppId=abc]"),
    "control characters": bind(UserAgent="a\x1fb\x1ec\u0000d\te", UserKey="\x1f"),
    "token opaque": bind(AppAccessContext={"UniqueTokenId": "ANONYMIZED"}),
    "session null": bind(SessionId="00000000-0000-0000-0000-000000000000"),
    "wrapped": {"AuditData": json.dumps(bind()), "Identity": "x"},
    "login": login(),
    "login failed": login(Operation="UserLoginFailed", ErrorNumber="50126", LogonError="InvalidUserNameOrPassword"),
    "login without ids": login(IntraSystemId=..., InterSystemsId=..., Actor=..., Target=..., DeviceProperties=...),
    "login with an id that is no guid": login(InterSystemsId="abc", IntraSystemId=""),
    "login with the zero id": login(IntraSystemId="00000000-0000-0000-0000-000000000000"),
    "login with two actors of type 0": login(Actor=[{"ID": "Ada", "Type": 0}, {"ID": ID.format(9), "Type": "0"}]),
    "login with entries written otherwise": login(Actor=[{"Id": ID.format(9), "Type": 0}], Target=[{"Id": "x"}]),
    "login of another type": login(RecordType=8),
    "login with details": login(ExtendedProperties=[{"Name": "additionalDetails", "Value": '{"User-Agent":"curl"}'}]),
    "login with a device": login(DeviceProperties=[{"Name": "Id", "Value": ID.format(3)}, {"Name": "OS"}]),
    "send": bind(**{**SEND, "Item": {**ITEM, "Attachments": "a.pdf (9b)"}}),
    "send of a list of attachments": bind(**{**SEND, "Item": {**ITEM, "Attachments": ["a.pdf", "é"]}}),
    "send as": bind(**{**SEND, "Operation": "SendAs", "SendAsUserSmtp": "SMTP:Boss@contoso.example", "Item": ITEM}),
    "send without item": bind(**SEND),
    "send of another service": bind(**{**SEND, "RecordType": 25, "Item": ITEM}),
    "attachment": bind(**{**ATTACHMENT, "Messages": [{"Id": "Rg", "Path": "\\Inbox", "MessageItems": [ITEM, {"Id": "A", "SizeInBytes": 7}]}]}),
    "attachments of several messages": bind(**{**ATTACHMENT, "Messages": [
        {"Path": "Unknown", "InternetMessageId": " <m@x> ", "MessageItems": [{"Id": ""}, None, {**ITEM, "InternetMessageId": " "}]},
        {"Path": "\\B"}, None, {"Path": "\\C", "InternetMessageId": "", "MessageItems": [{}]}, {"MessageItems": None}]}),
    "attachment without messages": bind(**ATTACHMENT),
    "attachment of another type": bind(**{**ATTACHMENT, "RecordType": 2, "Messages": [{"Path": "\\A", "MessageItems": [ITEM]}]}),
    "attachment written otherwise": bind(**{**ATTACHMENT, "Messages": {"Path": "\\A", "MessageItems": [ITEM]}}),
    "attachments as text": bind(**{**ATTACHMENT, "Messages": json.dumps([{"Path": "\\A", "MessageItems": [ITEM]}])}),
    "attachment whose size is no number": bind(**{**ATTACHMENT, "Messages": [{"Path": "x", "MessageItems": [{"SizeInBytes": "much"}]}]}),
    "delete": bind(**{**DELETE, "AffectedItems": [ITEM, {**ITEM, "ParentFolder": {"Path": "\\Other"}}]}),
    "move": bind(**{**DELETE, "Operation": "Move", "DestFolder": {"Path": "\\Bin"}, "AffectedItems": [ITEM]}),
    "delete without items": bind(**DELETE),
    "delete of nothing": bind(**{**DELETE, "AffectedItems": []}),
    "update of one item": bind(**{**DELETE, "Operation": "Update", "RecordType": 2, "Item": ITEM}),
    "update of an item with other fields": bind(**{**DELETE, "Operation": "Update", "Item": {"Other": 1}}),
    "update of an empty item": bind(**{**DELETE, "Operation": "Update", "Item": {}}),
    "changed items with a null": bind(**{**DELETE, "AffectedItems": [None, ITEM]}),
    "rule": bind(**{**SEND, "Operation": "New-InboxRule", "RecordType": 1, "Parameters": [{"Name": "Name", "Value": "."}]}),
    "token minted": bind(**{**SEND, "Operation": "X", "RecordType": 275, "UniqueTokenIdentifier": "3kVZRE8tFkinHtPA7_EFAA"}),
    "file": bind(**{**SEND, "Operation": "FileAccessed", "RecordType": 6, "Workload": "SharePoint", "ObjectId": "https://x"}),
    "no audit record": {"hello": "world"},
}  # fmt: skip


def json_lines(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def json_array(lines: list[str]) -> str:
    return "[" + ",\n".join(lines) + "]"


def indented_array(lines: list[str]) -> str:
    return json.dumps([json.loads(line) for line in lines], indent=1)


def purview_csv(lines: list[str]) -> str:
    """Rows of the Purview portal; the columns around the record say something else than it does."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(
        ["RecordId", "CreationDate", "RecordType", "Operation", "UserId", "AuditData", "AssociatedAdminUnits"]
    )
    for number, line in enumerate(lines):
        outer = [] if number % 3 == 0 else ["outer"]
        user = [*outer, ""][0]
        rows.writerow([ID.format(9000 + number), "2025-10-01T00:00:00", "50", "OuterOperation", user, line, ""])
    return out.getvalue()


FORMS = {"json_lines": json_lines, "json_array": json_array, "indented": indented_array, "purview_csv": purview_csv}


def stored(folder, lines: list[str], *, fast: bool, monkeypatch, form: str = "json_lines") -> dict[str, list[dict]]:
    """All rows that an ingest of these lines keeps, by table, in an order of their own."""
    folder.mkdir()
    path = folder / "export.txt"
    path.write_text(FORMS[form](lines), encoding="utf-8", newline="")
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0 if fast else 1 << 60)
    chosen = Settings(store_dir=folder / "store", threads=1)
    result = ingest([path], chosen, now=NOW)
    with Store.open(chosen) as store:
        tables = {name: table.to_pyarrow().to_pylist() for name, table in store.tables().items()}
    rows = {
        name: sorted(repr(sorted(row.items(), key=str)) for row in rows)
        for name, rows in tables.items()
        if name not in {"ledger", "quarantine"}
    }
    rows["quarantine"] = sorted((row["record_no"], row["reason"], row["column"]) for row in tables["quarantine"])
    rows["counts"] = [result.records, result.kept, result.duplicates, result.rejected, result.ignored]
    rows["span"] = [(each.first_at, each.last_at) for each in result.files]
    return rows


def assert_alike(tmp_path, lines: list[str], monkeypatch, form: str = "json_lines") -> None:
    name = uuid.uuid4().hex
    plain = stored(tmp_path / f"{name}-plain", lines, fast=False, monkeypatch=monkeypatch, form=form)
    fast = stored(tmp_path / f"{name}-fast", lines, fast=True, monkeypatch=monkeypatch, form=form)
    for table in plain:
        assert plain[table] == fast[table], table


def numbered(records: list[dict], first: int = 1000) -> list[str]:
    """Each record under an id of its own, where its id is the usual one."""
    lines = []
    for number, record in enumerate(records, start=first):
        if record.get("Id") == ID.format(1):
            lines.append(json.dumps({**record, "Id": ID.format(number)}))
        else:
            lines.append(json.dumps(record))
    return lines


ORDINARY = ["bind", "throttled", "login", "send", "move", "attachment"]


def between_ordinary_ones(odd: list[dict], together: int) -> list[str]:
    """Files with some odd records each, every one of them between ordinary ones."""
    usual = [CASES[name] for name in ORDINARY]
    files = []
    for start in range(0, len(odd), together):
        records = [each for record in odd[start : start + together] for each in (*usual[:3], record, *usual[3:])]
        files.append(json_lines(numbered(records, first=1000 * (start + 1))))
    return files


def test_odd_records_between_ordinary_ones_give_the_same_rows_on_both_paths(tmp_path, monkeypatch):
    """In segments that the engine takes but for the lines that do not fit, so that ordinary ones stay columns."""
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 1)

    odd = columnar_runner.assert_alike(tmp_path, between_ordinary_ones(list(CASES.values()), 16), monkeypatch)

    # Of these there is something unusual in 36; none of the 528 ordinary ones is among them.
    assert odd == 36


@pytest.mark.parametrize("form", FORMS)
def test_every_odd_record_gives_the_same_rows_on_both_paths(tmp_path, monkeypatch, form):
    """All cases at once, behind one ordinary record that makes the input an audit log of bare records."""
    assert_alike(tmp_path, numbered([bind(), *CASES.values()]), monkeypatch, form)


def test_rows_of_csv_that_hold_no_record_give_the_same_on_both_paths(tmp_path, monkeypatch):
    """Cut, empty, lost, doubled and broken payloads among whole ones."""
    whole = numbered([bind(), login(), bind(Operation="Send", RecordType=2, Item=ITEM)])
    odd = ["", "{}", "[]", "null", whole[0][:300], whole[0] * 2, "@{Id=x}", "System.Object[]", '{"a":\n1}', "{" * 300]
    assert_alike(tmp_path, [*whole, *odd, *numbered([bind(Subject="a\r\nb")])], monkeypatch, "purview_csv")


@pytest.mark.parametrize("form", FORMS)
def test_ordinary_records_do_not_go_one_by_one(tmp_path, monkeypatch, form):
    """Reads, sign-ins, sends and changes are columns in every form; what a mailbox records of its own rules is not."""
    records = [
        bind(),
        CASES["sync"],
        login(),
        CASES["login failed"],
        CASES["send"],
        CASES["send as"],
        CASES["move"],
        CASES["update of one item"],
        CASES["file"],
        CASES["attachment"],
        CASES["rule"],
        bind(Operation="UpdateInboxRules"),
    ]
    path = tmp_path / "export"
    path.write_text(FORMS[form](numbered(records * 20)), encoding="utf-8", newline="")
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0)

    result = ingest([path], Settings(store_dir=tmp_path / "store", threads=2), now=NOW)

    assert (result.kept, result.one_by_one) == (240, 20)


TEXT = st.sampled_from(
    ["", " ", "a", "Ada@Contoso.example", "null", "é", "\u0000", "0", "true", "3.0", "[x]", "{y}", "@{Name=a; Value=b}"]
)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXT)
GUIDS = st.sampled_from(
    [ID.format(1), ID.format(2).upper(), "{" + ID.format(3) + "}", "00000000-0000-0000-0000-000000000000", "x"]
)
PAIRS = st.one_of(
    SCALAR,
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "Name": st.sampled_from(["MailAccessType", "IsThrottled", "RequestType", "SessionId", "UserAgent"]),
                "Value": st.one_of(st.none(), st.booleans(), st.sampled_from(["Bind", "Sync", "True", "x"])),
            },
        ),
        max_size=3,
    ),
)
RECORDS = st.builds(
    lambda record, changes, drop: {k: v for k, v in {**record, **changes}.items() if k not in drop},
    st.sampled_from(list(CASES.values())),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(["UserId", "UserKey", "UserType", "RecordType", "Workload", "ResultStatus", "LogonType"], SCALAR),
            **dict.fromkeys(["ClientIP", "ClientInfoString", "ErrorNumber", "UserAgent", "ExternalAccess", "LogonError"], SCALAR),
            **dict.fromkeys(["OrganizationId", "MailboxGuid", "SessionId", "AppId", "IntraSystemId", "InterSystemsId"], GUIDS),
            **dict.fromkeys(["OperationProperties", "ExtendedProperties", "DeviceProperties"], PAIRS),
            "ObjectId": SCALAR,
            "SendAsUserSmtp": SCALAR,
        },
    ),
    st.sets(st.sampled_from(["Folders", "Item", "AppAccessContext", "UserId", "Workload"]), max_size=2),
)  # fmt: skip


@settings(columnar_runner.WHOLE_FILES, max_examples=4)
@given(records=st.lists(RECORDS, min_size=60, max_size=120))
def test_generated_records_give_the_same_rows_on_both_paths(tmp_path, monkeypatch, records):
    """Property: columnar == plain, whatever stands in the fields."""
    assert_alike(tmp_path, numbered([bind(), *records]), monkeypatch)


@needs_samples
def test_the_records_of_a_real_export_give_the_same_rows_on_both_paths(tmp_path, monkeypatch):
    csv.field_size_limit(1 << 30)
    with (SAMPLES / "invictus-o365" / "auditrecords-1121.csv").open(encoding="utf-8-sig", newline="") as stream:
        lines = [row["AuditData"] for row in csv.DictReader(stream) if row["AuditData"]]

    assert len(lines) == 1478
    assert_alike(tmp_path, lines, monkeypatch)


@pytest.mark.parametrize("name", sorted(table.name for table in schema.RECORD_TABLES))
def test_columns_of_the_columnar_path_are_declared(name):
    """What `normalise` gives is a subset of the declared table, so that nothing is dropped unseen."""
    import ibis

    columnar = SOURCE.columnar["bare_record"]
    wide = ibis.table(
        {
            "record_no": "int64",
            **columnar.raw_schema,
            **{f"{each.name}__{column}": kind for each in columnar.lookups for column, kind in each.columns.items()},
        },
        name="wide",
    )
    tables = columnar.normalise(wide)
    declared = next(table for table in schema.RECORD_TABLES if table.name == name)

    assert set(tables[name].columns if name in tables else ()) <= set(declared.names)
