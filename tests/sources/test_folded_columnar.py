"""The columnar paths of the logs with folded names must give what the plain path gives, whatever is odd."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.sources import _columnar_values, entra_sign_in, graph_activity, message_trace
from columnar_runner import WHOLE_FILES, assert_alike

ID = "6b0e63a5-0000-4000-8000-{:012x}"
TENANT = "11111111-1111-4111-8111-111111111111"
APP = "22222222-2222-4222-8222-222222222222"
USER = "44444444-4444-4444-8444-444444444444"
ZERO = "00000000-0000-0000-0000-000000000000"
TOKEN = "3kVZRE8tFkinHtPA7_EFAA"

TRACE = {
    "Organization": "contoso.onmicrosoft.example",
    "MessageId": "<a@b.example>",
    "Received": "2025-10-27T07:09:33Z",
    "SenderAddress": "Ada@Contoso.example",
    "RecipientAddress": "Bob@Contoso.example",
    "Subject": "Report",
    "Status": "Delivered",
    "ToIP": "",
    "FromIP": "203.0.113.7",
    "Size": "1234",
    "MessageTraceId": "…",
}
REQUEST = {
    "time": "2025-10-27T07:09:33.1230000Z",
    "resourceId": f"/TENANTS/{TENANT.upper()}/PROVIDERS/MICROSOFT.AADIAM",
    "operationName": "Microsoft Graph Activity",
    "operationVersion": "v1.0",
    "category": "MicrosoftGraphActivityLogs",
    "resultSignature": "200",
    "callerIpAddress": "203.0.113.7",
    "tenantId": TENANT,
    "level": "Informational",
    "properties": {
        "requestId": "…",
        "requestMethod": "GET",
        "responseStatusCode": 200,
        "responseSizeBytes": 321,
        "tenantId": TENANT,
        "signInActivityId": TOKEN,
        "appId": APP,
        "userId": USER,
        "scopes": "Mail.Read User.Read",
        "ipAddress": "203.0.113.8",
        "userAgent": "axios/1.7.9",
        "requestUri": "https://graph.microsoft.com/v1.0/users/Ada@contoso.example/messages/AAMk=",
        "tokenIssuedAt": "2025-10-27T06:40:00Z",
        "C_Iat": "1761547200",
        "C_Sid": "55555555-5555-4555-8555-555555555555",
        "timeGenerated": "2025-10-27T07:09:33.1234567Z",
        "operationId": ID.format(7),
    },
}
SIGN_IN = {
    "id": "…",
    "createdDateTime": "2025-10-27T06:40:00Z",
    "userDisplayName": "Ada",
    "userPrincipalName": "Ada@Contoso.example",
    "userId": USER,
    "userType": "member",
    "appId": APP,
    "appDisplayName": "Outlook Mobile",
    "ipAddress": "203.0.113.7",
    "clientAppUsed": "Browser",
    "userAgent": "Mozilla/5.0",
    "correlationId": ID.format(3),
    "conditionalAccessStatus": "notApplied",
    "isInteractive": True,
    "resourceDisplayName": "Office 365 Exchange Online",
    "resourceId": "00000002-0000-0ff1-ce00-000000000000",
    "resourceTenantId": TENANT,
    "homeTenantId": TENANT,
    "authenticationProtocol": "none",
    "uniqueTokenIdentifier": TOKEN,
    "sessionId": "55555555-5555-4555-8555-555555555555",
    "signInEventTypes": ["interactiveUser"],
    "autonomousSystemNumber": 64500,
    "location": {"city": "São Paulo", "state": "", "countryOrRegion": "BR"},
    "status": {"errorCode": 0, "failureReason": "Other."},
    "deviceDetail": {"deviceId": "", "operatingSystem": "Windows"},
}
LINE = {
    "time": "2025-10-27T06:41:00.0000000Z",
    "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
    "operationName": "Sign-in activity",
    "category": "NonInteractiveUserSignInLogs",
    "tenantId": TENANT,
    "resultType": "0",
    "callerIpAddress": "203.0.113.9",
    "correlationId": ID.format(4),
    "Level": 4,
    "location": "BR",
    "properties": SIGN_IN,
}


def json_lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def json_array(records: list[dict]) -> str:
    return "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records) + "\n]\n"


def table(records: list[dict]) -> str:
    out = io.StringIO(newline="")
    rows = csv.DictWriter(out, list(TRACE), extrasaction="ignore", restval="", quoting=csv.QUOTE_ALL)
    rows.writeheader()
    rows.writerows(records)
    return out.getvalue()


class Kind:
    """One kind of export: an ordinary record, where its id stands, and how records are written."""

    def __init__(self, record, id_name, write):
        self.record = record
        self.id_name = id_name
        self.write = write

    @property
    def is_line(self) -> bool:
        return "properties" in self.record

    def made(self, number: int, changes: dict, around: dict) -> dict:
        """The ordinary record with changes; `...` takes a field away."""
        inner = self.record["properties"] if self.is_line else self.record
        inner = {**inner, self.id_name: ID.format(number), **changes}
        inner = {name: value for name, value in inner.items() if value is not ...}
        if not self.is_line:
            return inner
        line = {**self.record, "properties": inner, **around}
        return {name: value for name, value in line.items() if value is not ...}


KINDS = {
    "message trace": Kind(TRACE, "MessageTraceId", table),
    "graph activity": Kind(REQUEST, "requestId", json_lines),
    "sign-in line": Kind(LINE, "id", json_lines),
    "sign-in array": Kind(SIGN_IN, "id", json_array),
}
TEXTS = [
    "", " ", "x", "-", " padded ", "\u00a0padded", "é", "İ@X.example", "\u0000", "a\nb", "[x]", "{y}", "[]", "{}", "@{errorCode=0}",
    "{'errorCode': 50126, 'additi", '{"errorCode": 50126}', '{"city": "Bonn"}', '["interactiveUser"]', "0", "1", "01", "-5", "3.0", "1e3",
    "9" * 15, "9" * 20, "True", "false", "null", "nan", ZERO, ID.format(1), ID.format(2).upper(), "{" + ID.format(3) + "}",
    f"/tenants/{TENANT}/x", "2025-10-27T06:40:00", "2025-10-27T06:40:00+02:00", "2025-10-27T06:40:00.1234567+00:00",
    "2025-10-27T06:40:00.12+00:00", "2025-02-30T06:40:00Z", "10/27/2025 6:40:00 AM", "0001-01-01T00:00:00Z", "1761547200",
    "[2001:db8::1]:443", "10.0.0.1", "0.0.0.0", "Failed", "member", "guest", "SignInLogs", "ServicePrincipalSignInLogs",
    "MicrosoftGraphActivityLogs", "AuditLogs", "Sign-in activity", "post", "https://graph.microsoft.com/v1.0/me/messages",
    "https://graph.microsoft.com/v1.0/me/mailFolders/x/messages?$top=1", "https://graph.microsoft.com/beta/users/a%40b.example/messages/1",
    "https://graph.microsoft.com/v1.0/users('Ada')/messages", "https://graph.microsoft.com/v1.0/users/%20/x/messages/y",
    "https://graph.microsoft.com/v1.0//me/messages", "https://graph.microsoft.com/v1.0/me//messages/1", "HTTPS://g/v1.0/users/x/messages",
    "/me/messages", TOKEN, "anonymised",
]  # fmt: skip
VALUES = [
    None, ..., True, False, 0, 1, 50126, -1, 2.5, 1e22, 2**70, 10**17, [], {}, ["servicePrincipal"], {"errorCode": 50126},
    {"city": "", "countryOrRegion": ""}, {"city": 5}, {"DeviceId": "D"}, [{"a": 1}], {"value": "2025-10-27T06:40:00Z"}, *TEXTS,
]  # fmt: skip
ODD_NAMES = [
    "extra", "RequestId", "ID", "user id", "userPrincipalName ", "IPAddress", "c_sid", "timeGenerated", "TimeGenerated [UTC]", "status",
    "resultType", "ResultCount", "AuditData", "type", "category", "message", "value", "appId_string", "isManagedIdentity", "Date (UTC)",
    "roles", "uniqueTokenId", "servicePrincipalId", "serviceprincipalname", "riskDetail", "userid", "location", "properties",
]  # fmt: skip


def alike(kind: Kind, records: list[dict], tmp_path, monkeypatch) -> int:
    usual = [kind.made(900_000 + number, {}, {}) for number in range(3)]
    return assert_alike(tmp_path, [kind.write([*usual, *records])], monkeypatch)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_odd_value_of_every_field_gives_the_same_rows_on_both_paths(tmp_path, monkeypatch, kind):
    """Each field takes each value in turn, beside ordinary neighbours."""
    records = []
    names = list(kind.record["properties"] if kind.is_line else kind.record)
    for values in (VALUES if kind.write is not table else TEXTS,):
        for name in names:
            records += [kind.made(len(records), {name: value}, {}) for value in values]
        if kind.is_line:
            for name in list(LINE)[:-1]:
                records += [kind.made(len(records), {}, {name: value}) for value in values]

    one_by_one = alike(kind, records, tmp_path, monkeypatch)

    assert len(records) / 10 < one_by_one < len(records) / 2


@pytest.mark.parametrize("kind", [each for each in KINDS.values() if each.write is not table], ids=list(KINDS)[1:])
def test_names_in_another_spelling_and_names_unheard_of_give_the_same_rows(tmp_path, monkeypatch, kind):
    records = []
    for name in ODD_NAMES:
        for value in ("x", "2024-01-01T00:00:00Z", ID.format(8), 7, None):
            records.append(kind.made(len(records), {name: value}, {}))
            if kind.is_line:
                records.append(kind.made(len(records), {}, {name: value}))

    assert alike(kind, records, tmp_path, monkeypatch) > 0


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_ordinary_records_do_not_go_one_by_one(tmp_path, monkeypatch, kind):
    """Over several files, with copies within and among them."""
    files = [
        kind.write([kind.made(number % 30, {}, {}) for number in range(start, start + 25)]) for start in (0, 20, 40)
    ]

    assert assert_alike(tmp_path, files, monkeypatch) == 0


@pytest.mark.parametrize("kind", [each for each in KINDS.values() if each.write is json_lines], ids=list(KINDS)[1:3])
def test_lines_that_are_no_such_records_give_the_same_rows(tmp_path, monkeypatch, kind):
    good = json.dumps(kind.made(1, {}, {}))
    lines = [
        good,
        good.replace('"appId":', '"appId": "x", "appId":'),
        good.replace('"category":', '"operationVersion": "x", "category":'),
        good[:200],
        "{}",
        '{"properties": "x", "category": "SignInLogs"}',
        json.dumps({**kind.made(2, {}, {}), "properties": json.dumps(kind.made(2, {}, {})["properties"])}),
        json.dumps(SIGN_IN | {"id": ID.format(5)}),
        json.dumps(REQUEST),
        json.dumps(LINE),
        good.replace("axios", "\\ud800axios").replace("Mozilla", "\\ud800Mozilla"),
        good.replace("axios", "@{Name=axios").replace("Mozilla", "System.Object[]"),
    ]
    text = good.replace(ID.format(1), ID.format(77)) + "\n" + "\n".join(lines) + "\n"

    assert assert_alike(tmp_path, [text, good + "\n"], monkeypatch) > 0


def test_a_table_with_other_columns_goes_record_by_record():
    reads_table = message_trace.SOURCE.columnar["message_trace"].reads_table

    assert reads_table(tuple(TRACE))
    assert reads_table(("MessageTraceId", "RecipientAddress", "Received", "Index"))
    assert not reads_table((*TRACE, "messageid"))
    assert not reads_table((*TRACE, "Size (2)"))
    assert not reads_table(tuple(name for name in TRACE if name != "Received"))


def test_only_numbers_written_in_one_way_are_plain():
    assert all(map(_columnar_values.is_plain, (None, "", "0", "200", "1.2.3.4", "0x1", "a", "9" * 15, "01")))
    assert not any(map(_columnar_values.is_plain, ("[", "{a", "1.5", "1e5", "-3", "9" * 16, ".5")))


RECORDS = st.tuples(
    st.dictionaries(
        st.sampled_from([*SIGN_IN, *REQUEST["properties"], *TRACE]),
        st.sampled_from(VALUES) | st.text(max_size=12),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(list(LINE)[:-1]), st.sampled_from(VALUES) | st.text(max_size=8), max_size=2),
)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@settings(WHOLE_FILES, max_examples=2)
@given(changes=st.lists(RECORDS, min_size=60, max_size=150))
def test_generated_records_give_the_same_rows_on_both_paths(tmp_path, monkeypatch, kind, changes):
    """Property: columnar == plain, whatever several fields hold together."""
    own = set(kind.record["properties"] if kind.is_line else kind.record) - {kind.id_name}
    records = [
        kind.made(number, {name: value for name, value in inner.items() if name in own}, outer)
        for number, (inner, outer) in enumerate(changes)
    ]
    if kind.write is table:
        records = [{name: "" if value is None else str(value) for name, value in each.items()} for each in records]
    records = json.loads(json.dumps(records, default=str).encode("utf-8", "replace"))
    alike(kind, records, tmp_path, monkeypatch)


@pytest.mark.parametrize("module", [message_trace, graph_activity, entra_sign_in])
def test_columns_of_the_columnar_paths_are_declared(module):
    """What `normalise` gives is a subset of the declared table, so that nothing is dropped unseen."""
    import ibis

    for columnar in module.SOURCE.columnar.values():
        wide = ibis.table(
            {
                "record_no": "int64",
                **columnar.raw_schema,
                **{
                    f"{each.name}__{column}": kind for each in columnar.lookups for column, kind in each.columns.items()
                },
            },
            name="wide",
        )
        declared = {each.name: {*each.names, "record_no"} for each in schema.RECORD_TABLES}
        for name, rows in columnar.normalise(wide).items():
            assert set(rows.columns) <= declared[name]
