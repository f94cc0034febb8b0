"""How single values are read, value by value."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brokenseal import fields, schema
from brokenseal.errors import RecordRejected

UTC = dt.UTC
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("value", "text", "folded"),
    [
        (None, None, None),
        ("", None, None),
        ("   ", "   ", None),
        (" A b ", " A b ", "a b"),
        (True, "true", "true"),
        (False, "false", "false"),
        (0, "0", "0"),
        (2.5, "2.5", "2.5"),
        ([], None, None),
        ({"a": 1}, None, None),
        ("half \ud83d pair", "half \ufffd pair", "half \ufffd pair"),
        pytest.param(10**5000, None, None, id="too many digits"),
    ],
)
def test_scalars_become_text_and_nothing_becomes_none(value, text, folded):
    assert fields.text_of(value) == text
    assert fields.fold(value) == folded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], None),
        ({}, None),
        (["a", 1], '["a",1]'),
        ({"é": [True, None]}, '{"é":[true,null]}'),
        ("plain", "plain"),
        (["\ud83d"], '["\ufffd"]'),
    ],
)
def test_lists_and_objects_become_compact_json(value, expected):
    assert fields.any_text(value) == expected


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("Add application.", "add application"),
        ("Consent to application", "consent to application"),
        (
            "Update application \u2013 Certificates and secrets management ",
            "update application - certificates and secrets management",
        ),
        ("set-InboxRule", "set-inboxrule"),
        ("  Add   member\tto role.  ", "add member to role"),
        ("Odd..", "odd."),
        ("\u2212\u2014", "--"),
    ],
)
def test_operations_compare_across_logs(written, key):
    assert fields.operation_key(written) == key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("True", True),
        (" false ", False),
        ("1", True),
        (0, False),
        ("yes", None),
        ("", None),
        (None, None),
        ([], None),
    ],
)
def test_truth_is_three_valued(value, expected):
    assert fields.truth(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        ("3", 3),
        (" -3 ", -3),
        (3.0, 3),
        ("3.00", 3),
        (3.5, None),
        ("3.5", None),
        (True, None),
        ("", None),
        (None, None),
        (2**63, None),
        (str(2**63), None),
        (2**63 - 1, 2**63 - 1),
        ("٣", None),
        (float("nan"), None),
        (float("inf"), None),
        ("0x10", None),
    ],
)
def test_integers_fit_64_bits_or_are_none(value, expected):
    assert fields.integer(value) == expected


GUID = "445945de-2d4f-4816-a71e-d3c0eff10500"


@pytest.mark.parametrize(
    ("value", "as_guid", "as_identifier"),
    [
        (GUID.upper(), GUID, GUID),
        ("{" + GUID + "}", GUID, GUID),
        (f" {GUID} ", GUID, GUID),
        ("00000000-0000-0000-0000-000000000000", None, None),
        ("{00000000-0000-0000-0000-000000000000}", None, None),
        ("Not a GUID", None, "not a guid"),
        (GUID.replace("-", ""), None, GUID.replace("-", "")),
        ("", None, None),
        (7, None, "7"),
    ],
)
def test_identifiers_fold_and_the_zero_guid_is_nothing(value, as_guid, as_identifier):
    assert fields.guid(value) == as_guid
    assert fields.identifier(value) == as_identifier


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3kVZRE8tFkinHtPA7_EFAA", (GUID, "b64guid")),
        ("3kVZRE8tFkinHtPA7_EFAA==", (GUID, "b64guid")),
        ("3kVZRE8tFkinHtPA7/EFAA", (GUID, "b64guid")),
        (" 3kVZRE8tFkinHtPA7_EFAA ", (GUID, "b64guid")),
        (
            "MDg4YjQ0MDktOWU2My00MjVkLWI3NzctMmM4YzZjMzgwYjAw",
            ("088b4409-9e63-425d-b777-2c8c6c380b00", "b64ascii"),
        ),
        (GUID, (GUID, "guid")),
        (GUID.replace("-", ""), (GUID, "guid")),
        ("3kVZRE8tFkinHtPA7_EFAB", (None, "opaque")),  # unused bits set: no encoder writes that
        ("A" * 22, (None, "opaque")),
        ("_" * 22, (None, "opaque")),
        ("ANONYMIZED", (None, "opaque")),
        ("abcdefghijklmnopqr", (None, "opaque")),
        ("00000000-0000-0000-0000-000000000000", (None, "opaque")),
        ("3kVZRE8tFkin HtPA7_EFAA", (None, "opaque")),
        ("", (None, None)),
        ("  ", (None, None)),
        (None, (None, None)),
    ],
)
def test_token_ids_decode_to_the_guid_they_stand_for(value, expected):
    assert fields.canonical_token_id(value) == expected


@given(st.uuids().filter(lambda value: len(set(value.bytes)) > 1))
def test_every_encoding_of_a_token_id_gives_the_same_guid(value):
    short = base64.urlsafe_b64encode(value.bytes_le).decode()
    long = base64.b64encode(str(value).encode()).decode()

    assert fields.canonical_token_id(short) == (str(value), "b64guid")
    assert fields.canonical_token_id(short.rstrip("=")) == (str(value), "b64guid")
    assert fields.canonical_token_id(long) == (str(value), "b64ascii")
    assert fields.canonical_token_id(str(value).upper()) == (str(value), "guid")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2021-05-18T21:13:33", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("2021-05-18T21:13:33Z", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("2021-05-18 21:13:33", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("2021-08-02T13:11:39.7724499Z", dt.datetime(2021, 8, 2, 13, 11, 39, 772449, tzinfo=UTC)),
        ("2021-08-02T13:11:39.5", dt.datetime(2021, 8, 2, 13, 11, 39, 500000, tzinfo=UTC)),
        ("2021-05-18T23:13:33+02:00", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("2021-05-18T16:43:33-0430", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("5/18/2021 9:13:33 PM", dt.datetime(2021, 5, 18, 21, 13, 33, tzinfo=UTC)),
        ("5/18/2021 12:13:33 AM", dt.datetime(2021, 5, 18, 0, 13, 33, tzinfo=UTC)),
        ("5/18/2021 12:13:33 PM", dt.datetime(2021, 5, 18, 12, 13, 33, tzinfo=UTC)),
        ("4/28/2021, 3:05:26.250 PM", dt.datetime(2021, 4, 28, 15, 5, 26, 250000, tzinfo=UTC)),
        ("4/28/2021, 3:05:26\u202fPM", dt.datetime(2021, 4, 28, 15, 5, 26, tzinfo=UTC)),
        ("4/28/2021 15:05", dt.datetime(2021, 4, 28, 15, 5, tzinfo=UTC)),
        ("/Date(1623749795000)/", dt.datetime(2021, 6, 15, 9, 36, 35, tzinfo=UTC)),
        ("\\/Date(1623749795123+0200)\\/", dt.datetime(2021, 6, 15, 9, 36, 35, 123000, tzinfo=UTC)),
        (
            {"value": "/Date(1623749795000)/", "DateTime": "Tuesday, June 15, 2021"},
            dt.datetime(2021, 6, 15, 9, 36, 35, tzinfo=UTC),
        ),
    ],
)
def test_times_of_every_export_are_utc(value, expected):
    assert fields.parse_time(value, column="CreationTime") == expected
    assert fields.try_time(value) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "field_missing"),
        (None, "field_missing"),
        ([], "field_missing"),
        ("   ", "field_missing"),
        ("yesterday", "field_invalid"),
        ("2021-02-30T00:00:00", "field_invalid"),
        ("2021-13-01T00:00:00", "field_invalid"),
        ("13/1/2021 1:00:00 AM", "field_invalid"),
        ("1/1/2021 13:00:00 PM", "field_invalid"),
        ("2021-W01-1T00:00:00", "field_invalid"),
        ("0001-01-01T00:00:00", "field_invalid"),
        ("1601-01-01T00:00:00Z", "field_invalid"),
        ("0001-01-01T00:00:00+14:00", "field_invalid"),
        ("9999-12-31T23:59:59-14:00", "field_invalid"),
        ("/Date(9999999999999999)/", "field_invalid"),
        ("20210518", "field_invalid"),
        (1623749795, "field_invalid"),
    ],
)
def test_what_is_no_time_is_rejected_with_its_column(value, reason):
    with pytest.raises(RecordRejected) as caught:
        fields.parse_time(value, column="CreationTime")

    assert (caught.value.column, caught.value.reason) == ("CreationTime", reason)
    assert fields.try_time(value) is None


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment.year > 1700))
def test_written_times_are_read_back(expected: dt.datetime):
    moment = expected.replace(tzinfo=None)

    assert fields.try_time(moment.isoformat()) == expected
    assert fields.try_time(moment.isoformat() + "Z") == expected
    assert fields.try_time(f"{moment:%m/%d/%Y, %I:%M:%S.%f %p}") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.2.3.4", ("1.2.3.4", "public")),
        ("62.149.20.10:62589", ("62.149.20.10", "public")),
        ("[2a01:111:f100:9001::1761:914f]:47114", ("2a01:111:f100:9001::1761:914f", "public")),
        ("[2A01:111:F100:9001::1]", ("2a01:111:f100:9001::1", "public")),
        ("2001:0db8:0000::0001", ("2001:db8::1", "public")),
        ("203.0.113.7", ("203.0.113.7", "public")),
        ("::ffff:1.2.3.4", ("1.2.3.4", "public")),
        ("::ffff:10.0.0.1", ("10.0.0.1", "private")),
        ("::1", ("::1", "loopback")),
        ("127.0.0.1", ("127.0.0.1", "loopback")),
        ("FE80::1%eth0", ("fe80::1", "link_local")),
        ("169.254.1.1", ("169.254.1.1", "link_local")),
        ("192.168.1.1", ("192.168.1.1", "private")),
        ("172.16.0.1", ("172.16.0.1", "private")),
        ("172.32.0.1", ("172.32.0.1", "public")),
        ("100.64.0.1", ("100.64.0.1", "private")),
        ("fd00::1", ("fd00::1", "private")),
        ("2603:10a6:803:5a::17", ("2603:10a6:803:5a::17", "microsoft")),
        ("[2603:10a6:10:2e:cafe::9]:30943", ("2603:10a6:10:2e:cafe::9", "microsoft")),
        ("2603:1096::1", ("2603:1096::1", "microsoft")),
        ("2603:1020::1", ("2603:1020::1", "public")),  # can be rented in Azure
        ("40.107.1.1", ("40.107.1.1", "microsoft")),
        ("52.97.177.245", ("52.97.177.245", "microsoft")),
        ("20.190.160.24", ("20.190.160.24", "microsoft")),
        ("40.126.32.99", ("40.126.32.99", "microsoft")),
        ("20.86.41.76", ("20.86.41.76", "public")),  # Azure, where anybody may sit
        ("13.107.6.152", ("13.107.6.152", "microsoft")),
        ("13.107.6.154", ("13.107.6.154", "public")),
        ("0.0.0.0", ("0.0.0.0", "invalid")),
        ("::", ("::", "invalid")),
        ("224.0.0.1", ("224.0.0.1", "invalid")),
        ("1.2.3.4:port", (None, "invalid")),
        ("1.2.3.04", (None, "invalid")),
        ("mail.contoso.example", (None, "invalid")),
        ("[1.2.3.4", ("1.2.3.4", "public")),
        ("[::1]x", (None, "invalid")),
        ("", (None, None)),
        (" ", (None, None)),
        ("null", (None, None)),
        ("<null>", (None, None)),
        (None, (None, None)),
        (12, (None, "invalid")),
    ],
)
def test_addresses_lose_port_and_brackets_and_get_a_class(value, expected):
    assert fields.address(value) == expected


def test_every_class_of_address_is_declared():
    declared = schema.IP_CLASS.meaning

    for name in ("public", "private", "loopback", "link_local", "microsoft", "invalid"):
        assert name in declared


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("::1", "1.2.3.4"), ("1.2.3.4", "public")),
        (("5.6.7.8", "1.2.3.4"), ("5.6.7.8", "public")),
        (("", None, "1.2.3.4:5"), ("1.2.3.4", "public")),
        (("::1", "2603:10a6::1"), ("::1", "loopback")),
        (("nonsense", "10.0.0.1"), ("10.0.0.1", "private")),
        (("10.0.0.1", "nonsense"), ("10.0.0.1", "private")),
        (("nonsense",), (None, "invalid")),
        (("null", ""), (None, None)),
        ((), (None, None)),
    ],
)
def test_the_best_address_is_the_first_public_one(values, expected):
    assert fields.best_address(*values) == expected


@given(st.ip_addresses(), st.integers(0, 65535))
def test_a_port_never_changes_the_address(ip, port):
    written = f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"

    assert fields.address(written) == fields.address(str(ip))


@pytest.mark.parametrize(
    ("value", "address", "domain"),
    [
        ("A.B@Contoso.Example", "a.b@contoso.example", "contoso.example"),
        ("smtp:a@b.example", "a@b.example", "b.example"),
        ("SMTP:A@B.EXAMPLE", "a@b.example", "b.example"),
        ("Anna <a@b.example>", "a@b.example", "b.example"),
        ("'A@b.example'", "a@b.example", "b.example"),
        ('"a"@b.example.', '"a"@b.example.', "b.example"),
        ("HenriettaM", None, None),
        ("@b.example", None, None),
        ("a@", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_mail_addresses_and_their_domains(value, address, domain):
    assert fields.mail_address(value) == address
    assert fields.domain_of(value) == domain


FIREFOX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:87.0) Gecko/20100101 Firefox/87.0"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)"
APP = "fe93bfe1-7947-460a-a5e0-7a5906b51360"


@pytest.mark.parametrize(
    ("written", "client_type", "protocol", "user_agent", "app_id"),
    [
        (f"Client=OWA;{FIREFOX};", "OWA", "owa", FIREFOX, None),
        ("Client=OWA;Action=ViaProxy", "OWA", "owa", None, None),
        ("Client=REST;;", "REST", "rest", None, None),
        ("Client=REST;Client=RESTSystem;;", "RESTSystem", "rest_system", None, None),
        ("Client=MSExchangeRPC", "MSExchangeRPC", "mapi", None, None),
        (f"Client=WebServices;{OUTLOOK}[AppId={APP.upper()}];", "WebServices", "ews", OUTLOOK, APP),
        ("Client=WebServices;Action=ConfigureGroupMailbox", "WebServices", "ews", None, None),
        ("client=owa;x", "OWA", "owa", "x", None),
        (
            "Client=ActiveSync;UserAgent=Apple-iPhone12C1/1807.82 (a; b);Action=/Microsoft-Server-ActiveSync",
            "ActiveSync",
            "eas",
            "Apple-iPhone12C1/1807.82 (a; b)",
            None,
        ),
        ("Client=OutlookService;Outlook-iOS/2.0;", "OutlookService", "outlook_mobile", "Outlook-iOS/2.0", None),
        ("Client=POP3/IMAP4;Protocol=IMAP4", "POP3/IMAP4", "imap_pop", None, None),
        ("Client=Hub Transport", "Hub Transport", "transport", None, None),
        ("Client=TBA;Service=MSExchangeMailboxAssistants;Action=ELCAssistant;", "TBA", "system", None, None),
        ("Client=EDiscoverySearch;x", "EDiscoverySearch", "other", "x", None),
        ("Client=NewThing;Agent/1", "NewThing", "other", "Agent/1", None),
        ("Client=OWA;Client=NewThing;", "OWA", "owa", None, None),
        (f"Client=OWA;{FIREFOX}; Client=MSExchangeRPC;", "OWA", "owa", f"{FIREFOX}; Client=MSExchangeRPC", None),
        ("Client=REST;[NoUserAgent];", "REST", "rest", None, None),
        (
            "Client=REST;Client=RESTSystem;UserAgent=Mozilla/5.0 PowerShell Invoke-MgGraphRequest[AppId=" + APP + "]",
            "RESTSystem",
            "rest_system",
            "Mozilla/5.0 PowerShell Invoke-MgGraphRequest",
            APP,
        ),
        ("just an agent", None, "other", "just an agent", None),
        (";;;", None, "other", None, None),
        ("Client=", None, "other", None, None),
        ("", None, None, None, None),
        (None, None, None, None, None),
    ],
)
def test_client_strings(written, client_type, protocol, user_agent, app_id):
    expected = fields.ClientInfo(client_type=client_type, protocol=protocol, user_agent=user_agent, app_id=app_id)

    assert fields.parse_client_info(written) == expected


@given(st.text(alphabet=st.characters(exclude_characters="[];="), min_size=1).filter(lambda text: text.strip()))
@example("Mozilla/5.0 (Windows NT 10.0) x")
def test_the_text_behind_the_type_is_the_user_agent(agent: str):
    assert fields.parse_client_info(f"Client=OWA;{agent};").user_agent == fields._well_formed(agent).strip()


@given(ANY_JSON)
def test_no_value_breaks_a_reader(value):
    assert fields.parse_client_info(value).protocol in {
        None, "owa", "rest", "rest_system", "ews", "mapi", "eas", "imap_pop", "outlook_mobile", "transport", "system", "other",
    }  # fmt: skip
    assert fields.address(value)[1] in {
        None, "public", "private", "loopback", "link_local", "microsoft", "invalid",
    }  # fmt: skip
    assert fields.canonical_token_id(value)[1] in {None, "guid", "b64guid", "b64ascii", "opaque"}
    for read in (fields.text_of, fields.any_text, fields.fold, fields.guid, fields.identifier, fields.mail_address):
        text = read(value)
        assert text is None or text.encode()
    assert fields.truth(value) in {None, True, False}
    assert fields.try_time(value) is None or fields.try_time(value).tzinfo is UTC
    assert all(isinstance(name, str) for name in fields.pairs(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"[\\r\\n  \\"Federated\\"\\r\\n]"', '[\r\n  "Federated"\r\n]'),
        ('[\r\n  "Federated"\r\n]', ["Federated"]),
        ('{"a": 1}', {"a": 1}),
        ('{"a": ', '{"a": '),
        ("true", "true"),
        ("12", "12"),
        ("plain", "plain"),
        ("", ""),
        (5, 5),
        ("[" * 100_000, "[" * 100_000),
        ('["line\nbreak"]', ["line\nbreak"]),
    ],
)
def test_json_within_a_field_is_decoded_or_left_alone(value, expected):
    assert fields.decode_json_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"Name": "a", "Value": "1"}, {"Value": "2", "Name": "b"}], {"a": "1", "b": "2"}),
        ('[{"Name": "a", "Value": true}]', {"a": "true"}),
        ([{"Key": "a", "Value": "1"}], {"a": "1"}),
        ({"Name": "a", "Value": "1"}, {"a": "1"}),
        ({"a": 1, "b": ["x"]}, {"a": "1", "b": '["x"]'}),
        ([{"Name": "a"}], {"a": None}),
        ([{"Name": "a", "Value": "first"}, {"Name": "a", "Value": "second"}], {"a": "first"}),
        ([{"Value": "no name"}, "text", None], {}),
        ("System.Object[]", {}),
        (None, {}),
    ],
)
def test_name_value_pairs(value, expected):
    assert fields.pairs(value) == expected
