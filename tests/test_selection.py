"""What a person types finds the records that carry it, however it is written."""

import ibis
import pytest

from brokenseal import schema
from brokenseal.errors import UsageError
from brokenseal.selection import Selection, id_table, selected
from support import make_tables

GUID = "445945de-2d4f-4816-a71e-d3c0eff10500"
SESSION = "637a72b7-3f4e-445b-bb2e-4605eb2a141b"
APP = "768fb398-1111-2222-3333-444455556666"

ROWS = [
    {"event_id": "by-session", "session_id": SESSION},
    {"event_id": "by-ip", "client_ip": "62.149.20.10"},
    {"event_id": "by-ip6", "client_ip": "2a01::1"},
    {"event_id": "by-token", "token_id": GUID, "token_id_raw": "3kVZRE8tFkinHtPA7_EFAA"},
    {"event_id": "by-opaque", "token_id_raw": "ANONYMIZED"},
    {"event_id": "by-app", "app_id": APP},
    {"event_id": "by-client", "client_app_id": APP},
    {"event_id": "by-effective", "effective_app": APP},
    {"event_id": "by-type", "effective_app": "proto:MSExchangeRPC"},
    {"event_id": "by-guid", "mailbox_key": GUID, "mailbox_upn": "a@contoso.example"},
    {"event_id": "by-upn", "mailbox_key": "upn:b@contoso.example", "mailbox_upn": "b@contoso.example"},
]


@pytest.fixture(scope="module")
def tables():
    return make_tables({"mail_accesses": ROWS, "events": ROWS})


def ids(accesses, selection):
    """The records of one selection; all of its rows carry its position and the columns that were there."""
    table = selected(accesses, [selection])
    assert set(table.columns) == {*accesses.columns, "selection_no", "is_doubtful"}
    rows = table.select("event_id", "selection_no").to_pyarrow().to_pylist()
    assert {row["selection_no"] for row in rows} <= {0}
    return sorted(row["event_id"] for row in rows)


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        ("session", SESSION, ["by-session"]),
        ("session", f" {SESSION.upper()} ", ["by-session"]),
        ("ip", "62.149.20.10", ["by-ip"]),
        ("ip", "62.149.20.10:62589", ["by-ip"]),
        ("ip", "::ffff:62.149.20.10", ["by-ip"]),
        ("ip", "[2A01:0:0::1]:47114", ["by-ip6"]),
        ("token", "3kVZRE8tFkinHtPA7_EFAA", ["by-token"]),
        ("token", "3kVZRE8tFkinHtPA7_EFAA==", ["by-token"]),
        ("token", GUID.upper(), ["by-token"]),
        ("token", "ANONYMIZED", ["by-opaque"]),
        ("token", "anonymized", []),
        ("app", APP.upper(), ["by-app", "by-client", "by-effective"]),
        ("app", "{" + APP + "}", ["by-app", "by-client", "by-effective"]),
        ("app", "proto:MSExchangeRPC", ["by-type"]),
        ("mailbox", "A@Contoso.Example", ["by-guid"]),
        ("mailbox", GUID.upper(), ["by-guid"]),
        ("mailbox", "b@contoso.example", ["by-upn"]),
        ("mailbox", "nobody@contoso.example", []),
    ],
)
@pytest.mark.parametrize("table", ["mail_accesses", "events"])
def test_an_identifier_is_found_in_any_form(tables, table, kind, typed, expected):
    assert expected == ids(tables[table], Selection.by(kind, typed))


@pytest.mark.parametrize(
    ("kind", "typed"),
    [("ip", "not an address"), ("ip", ""), ("session", "  "), ("token", " "), ("app", ""), ("mailbox", "")],
)
def test_what_cannot_be_the_identifier_is_refused_with_its_option(kind, typed):
    with pytest.raises(UsageError) as caught:
        Selection.by(kind, typed)

    assert f"--{kind}" == caught.value.place
    assert typed == caught.value.value


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError) as caught:
        Selection.by("case", "case-1")

    assert caught.value.value == "case"


def test_everything_is_every_row(tables):
    assert sorted(row["event_id"] for row in ROWS) == ids(tables["mail_accesses"], Selection.everything())


def test_a_case_is_its_records_and_what_stands_under_its_sessions_and_applications(tables):
    """A record that is listed and also stands under the session comes once; null identifiers match nothing."""
    accesses = tables["mail_accesses"]
    listed = Selection.of_events("case-1", ["by-ip", "by-session", "absent"])
    widened = Selection.of_events("case-1", ["by-ip", "by-session"], sessions=[SESSION], apps=[APP])

    assert ids(accesses, listed) == ["by-ip", "by-session"]
    assert ids(accesses, widened) == ["by-effective", "by-ip", "by-session"]
    assert ids(accesses, Selection.of_events("case-1", [])) == []


def test_a_case_can_hold_more_records_than_a_query_text_should(tables):
    many = Selection.of_events("case-1", [f"id-{number}" for number in range(50_000)] + ["by-ip"])

    assert ids(tables["mail_accesses"], many) == ["by-ip"]


def test_of_several_selections_each_has_its_rows_under_its_position(tables):
    asked = [
        Selection.of_events("case-1", ["by-ip", "absent"]),
        Selection.everything(),
        Selection.of_events("case-2", ["by-ip", "by-token"], sessions=[SESSION]),
        Selection.by("session", SESSION),
        Selection.of_events("case-3", []),
    ]

    rows = selected(tables["mail_accesses"], asked).select("selection_no", "event_id").to_pyarrow().to_pylist()

    assert sorted((row["selection_no"], row["event_id"]) for row in rows) == sorted(
        [
            (0, "by-ip"),
            *((1, row["event_id"]) for row in ROWS),
            (2, "by-ip"),
            (2, "by-token"),
            (2, "by-session"),
            (3, "by-session"),
        ]
    )


def test_a_selection_names_itself_as_it_is_stored():
    assert str(Selection.everything()) == "all"
    assert str(Selection.by("ip", "62.149.20.10:443")) == "ip 62.149.20.10"
    assert str(Selection.of_events("case-1", ["a"])) == "case case-1"


def test_ids_travel_once_and_sorted():
    assert id_table(["b", "a", "b"]).to_pyarrow()["event_id"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("table", [schema.MAIL_ACCESS, schema.EVENT])
@pytest.mark.parametrize(
    "selection",
    [
        Selection.everything(),
        Selection.of_events("case-1", ["a"], sessions=["s"], apps=["x"]),
        *(Selection.by(kind, GUID) for kind in ("app", "session", "token", "mailbox")),
        Selection.by("ip", "192.0.2.1"),
    ],
    ids=str,
)
def test_every_selection_compiles_for_spark(table, selection):
    accesses = ibis.table(table.ibis_schema(), name=table.name)

    assert "SELECT" in ibis.to_sql(selected(accesses, [selection, selection]), dialect="pyspark")
