"""Sniffing of CSV and naming of its columns; reading of rows is pinned in test_framing."""

from __future__ import annotations

import pytest

from brokenseal.csv_rows import CsvRows, sniff, unique_names
from brokenseal.encoding import lines


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("a,b,c\n1,2,3\n", (0, ",")),
        ("a;b;c\n1,5;2;3\n", (0, ";")),
        ("a\tb\n1\t2\n", (0, "\t")),
        ("#TYPE X\r\na,b,c\r\n", (1, ",")),
        ("sep=;\na;b\n1;2\n", (1, ";")),
        ('"Date (UTC)","Request ID","Application ID "\n', (0, ",")),
        ("$table,TenantId,TimeGenerated [UTC]\n", (0, ",")),
        ("TenantId,Operation\n1,2\n3\n4,5\n", (0, ",")),
        ("Überschrift,Größe\n1,2\n", (0, ",")),
        ("IPAddress\n10.0.0.1\n", (0, ",")),
        (",a,b\n0,1,2\n", (0, ",")),
        ("Dear all, please find,\nattached: the logs.\n", None),
        ("# A heading\n\nSome text, with commas, here\n", None),
        ("word\n", None),
        ("", None),
        ('<?xml version="1.0"?>\n<a b="1,2"/>\n', None),
    ],
)
def test_a_header_is_known_by_its_names_or_its_rows(head, expected):
    assert sniff(head, is_whole=True) == expected


def test_control_characters_leave_only_names_as_a_header():
    assert sniff("TenantId,Operation\n\0,\1\n", is_whole=True, looks_binary=True) == (0, ",")
    assert sniff("%PDF,1\n\0,\1\n", is_whole=True, looks_binary=True) is None
    assert sniff("PDF\n\0\1\n", is_whole=True, looks_binary=True) is None


def test_a_first_row_that_is_not_complete_yet_does_not_count():
    assert sniff('a,b\n1,"' + "x" * 1_000, is_whole=False) == (0, ",")


def test_names_are_kept_and_repeated_names_are_numbered():
    assert unique_names(["a", " a", "A", "a", "", "a", ""]) == ("a", " a", "A", "a (2)", "", "a (3)", " (2)")


@pytest.mark.parametrize("header", [b"a,b" * 50, b'a,"b', b"x" * 500])
def test_a_header_that_cannot_be_read_is_a_rejected_record_and_nothing_is_lost(header):
    rows = CsvRows(lines(iter([header + b"\n1,2\n"]), 60), skipped=0, delimiter=",", limit=60)

    records = list(rows)

    assert rows.columns == ()
    assert [record.value for record in records] == [None] * len(records)
    assert "".join(record.text for record in records).replace("\n", "").startswith(header.decode()[:60])
    assert {record.reason for record in records} <= {"too_large", "row_malformed"}
