"""Salvage: the record's own id, operation, time and user out of text that is cut, escaped or quoted twice."""

from __future__ import annotations

import csv
import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.sources._salvage import Salvaged, salvage
from support import SAMPLES, needs_samples

RECORD = {
    "CreationTime": "2021-04-16T12:11:35",
    "Id": "20579400-0b86-44ad-b7dc-9c2c8c54e662",
    "Operation": "Update application – “secrets” ",
    "RecordType": 8,
    "UserId": "A.Thulile@example.org",
    "ModifiedProperties": [
        {
            "Id": "nested",
            "Operation": "nested",
            "UserId": "nested",
            "NewValue": '[\r\n  {"Id": "text", "UserId": "text"}]',
        }
    ],
    "Path": "C:\\x\\",
}
WHOLE = Salvaged(
    id="20579400-0b86-44ad-b7dc-9c2c8c54e662",
    operation="Update application – “secrets” ",
    at=dt.datetime(2021, 4, 16, 12, 11, 35, tzinfo=dt.UTC),
    actor="A.Thulile@example.org",
)


def doubled(text: str) -> str:
    return text.replace('"', '""')


PLAIN = json.dumps(RECORD)
FORMS = {
    "whole": PLAIN,
    "cut": PLAIN[:-40],
    "pretty and cut": json.dumps(RECORD, indent=2, ensure_ascii=False)[:-40],
    "slashes escaped": PLAIN.replace("/", "\\/")[:-1],
    "as a CSV cell": f'"host","True","{doubled(PLAIN)[:-9]}',
    "as a whole CSV row": f'"host","True","{doubled(PLAIN)}","x"',
    "as JSON text": json.dumps(PLAIN),
    "as JSON text, cut": json.dumps(PLAIN)[:-60],
    "as JSON text twice, cut": json.dumps(json.dumps(PLAIN))[:-60],
    "as JSON text in a row": json.dumps({"AuditData": PLAIN[:-30], "Identity": "outer", "Operations": "outer"}),
    "as JSON text in a cut row": json.dumps(
        {"Identity": "outer", "CreationDate": "1/2/2020 1:00:00 AM", "AuditData": PLAIN}
    )[:-50],
    "as a CSV row in a wrapper": json.dumps({"AuditData": "", "_raw": f'"host","{doubled(PLAIN)[:-9]}'}),
    "as an object in a wrapper": json.dumps({"_source": RECORD, "value": 1}),
    "after a log prefix": f"<13>Apr 16 host app[1]: {PLAIN[:-5]}",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_records_own_fields_come_out_of_every_form(text):
    assert salvage(text) == WHOLE


def test_nested_keys_count_only_where_the_record_has_none():
    late = {"Folders": [{"Id": "nested"}], "CreationTime": "2021-01-01T00:00:00", "Id": "own"}
    none = {"Operation": "Send", "Item": {"Id": "nested"}, "x": [{"UserId": "deep"}]}

    assert salvage(json.dumps(late)[:-1] + ',"cut').id == "own"
    found = salvage(json.dumps(none)[:-1] + ',"cut')
    assert (found.id, found.operation, found.actor) == ("nested", "Send", "deep")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {"Identity": "i", "Operations": "Add user.", "UserIds": "u", "CreationDate": "3/25/2021 12:36:42 PM"},
            Salvaged(id="i", operation="Add user.", at=dt.datetime(2021, 3, 25, 12, 36, 42, tzinfo=dt.UTC), actor="u"),
        ),
        (
            {"RecordId": "r", "Operation": "o", "UserId": 7, "CreationTime": "yesterday"},
            Salvaged(id="r", operation="o", actor="7"),
        ),
        ({"Id": None, "UserId": "", "CreationTime": "0001-01-01T00:00:00"}, Salvaged()),
        (
            {"id": "g", "userId": "u", "createdDateTime": "2024-05-01T09:30:00.1234567Z"},
            Salvaged(id="g", actor="u", at=dt.datetime(2024, 5, 1, 9, 30, 0, 123456, tzinfo=dt.UTC)),
        ),
    ],
)
def test_the_names_of_exports_count_too_and_unreadable_values_are_left_out(record, expected):
    assert salvage(json.dumps(record)) == expected
    assert salvage(json.dumps(record)[:-1] + ',"cut": "of') == expected


def test_a_value_that_is_cut_off_is_not_given():
    assert salvage('{"Id":"20579400-0b86","Operation":"Add us') == Salvaged(id="20579400-0b86")
    assert salvage('{"UserId":12') == Salvaged()
    assert salvage('{"UserId":12,') == Salvaged(actor="12")


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[1,2]", '"', "{{{{", '{"Id"', '{"Id":', "x" * 10_000, '{"a":' * 5_000, "\ud800"]
)
def test_text_without_a_record_gives_nothing(text):
    assert salvage(text) == Salvaged()


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(FORMS.values())), st.integers(0, 2_000), st.text(max_size=20))
def test_a_cut_anywhere_never_gives_a_wrong_value(text, cut, rest):
    found = salvage(text[:cut])

    assert found.id in {None, WHOLE.id, "outer"}
    assert found.operation in {None, WHOLE.operation, "outer"}
    assert found.actor in {None, WHOLE.actor}
    assert found.at in {None, WHOLE.at, dt.datetime(2020, 1, 2, 1, tzinfo=dt.UTC)}
    salvage(text[:cut] + rest)  # never raises


@needs_samples
def test_the_rows_that_splunk_cut_are_salvaged_from_their_raw_text():
    with (SAMPLES / "invictus-o365" / "auditrecords-1121.csv").open(encoding="utf-8", newline="") as stream:
        csv.field_size_limit(2**31 - 1)
        cut = [row for row in csv.DictReader(stream) if not row["AuditData"]]

    expected = [
        Salvaged(
            id="ef26cf85-294b-493e-8094-312d84037b20",
            operation="Add service principal.",
            at=dt.datetime(2021, 3, 25, 12, 36, 42, tzinfo=dt.UTC),
            actor="Certificate",
        ),
        Salvaged(
            id="8a39d7cf-cd6e-4e88-9c45-295be8557e20",
            operation="Update service principal.",
            at=dt.datetime(2021, 4, 16, 8, 24, 20, tzinfo=dt.UTC),
            actor="Certificate",
        ),
        Salvaged(
            id="20579400-0b86-44ad-b7dc-9c2c8c54e662",
            operation="Add user.",
            at=dt.datetime(2021, 4, 16, 12, 11, 35, tzinfo=dt.UTC),
            actor="A.Thulile@dutchmasterz.onmicrosoft.com",
        ),
    ]
    assert [salvage(row["_raw"]) for row in cut] == expected
    assert [salvage(json.dumps(row)) for row in cut] == expected
