import csv
import io

from brokenseal.reports import csv_tables
from reports.documents import HOSTILE, empty_document, hostile_document, message, rich_document

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows_of(content):
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_every_message_is_one_row_and_those_of_cases_come_first():
    document = rich_document()
    rows = rows_of(csv_tables.render(document, "en"))
    assert len(rows) == len(document.exposure.messages) == 107
    assert [bool(row["cases"]) for row in rows] == [True] * 47 + [False] * 60
    assert rows[0] == {
        "mailbox": "anna.lindqvist@contoso.example",
        "cases": "case-000000005ea1",
        "subject": "Budget for the second quarter",
        "sender": "partner0@fabrikam.example",
        "recipients": "anna.lindqvist@contoso.example",
        "folder_path": "\\Archive\\2024",
        "size_bytes": "3476",
        "first_at": "2024-05-26T02:00:07Z",
        "last_at": "2024-05-26T02:00:07Z",
        "entries": "1",
        "clients": "Client=REST;Client=RESTSystem;;",
        "addresses": "203.0.113.77",
        "sessions": "637a72b7-3f4e-445b-bb2e-4605eb2a141b",
        "internet_message_id": "<000000.contoso@mail.example>",
        "event_ids": "000003e8-3f4e-445b-bb2e-0000000003e8",
    }


def test_lines_end_as_rfc_4180_says_and_nothing_else_breaks_them():
    content = csv_tables.render(hostile_document(), "en").decode("utf-8-sig")
    assert content.endswith("\r\n")
    assert content.count("\n") == content.count("\r\n") == len(HOSTILE) + 1


def test_no_cell_of_a_hostile_document_starts_a_formula_or_holds_a_control():
    for row in rows_of(csv_tables.render(hostile_document(), "fr")):
        for text in row.values():
            assert not text.startswith(FORMULA), text
            assert text.isprintable() or "�" in text


def test_a_selection_is_written_in_the_same_columns_without_cases():
    rows = rows_of(csv_tables.exposure_csv([message(1, "a@contoso.example"), message(2, "b@contoso.example")]))
    assert [row["mailbox"] for row in rows] == ["a@contoso.example", "b@contoso.example"]
    assert list(rows[0])[:3] == ["mailbox", "subject", "sender"]
    assert "cases" not in rows[0]


def test_no_message_is_a_header_alone():
    assert rows_of(csv_tables.render(empty_document(), "en")) == []
