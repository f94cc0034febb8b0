"""XLSX: one sheet per table, every cell a value: no formula, no link, nothing that runs.

Equal documents give equal bytes: the creation date is fixed, and the writer stamps the archive's members itself.
"""

from __future__ import annotations

import datetime as dt
import io
from typing import TYPE_CHECKING, Any

from brokenseal.model import Reporter
from brokenseal.reports import _escape, _ledger_tables, _words
from brokenseal.reports._columns import joined
from brokenseal.wording import Phrase, say

if TYPE_CHECKING:
    from brokenseal.model import CaseDocument
    from brokenseal.reports._columns import Cell, Column, ReportTable

# Microsoft Support, Excel specifications and limits: rows of a sheet, with the header.
ROW_LIMIT = 1_048_576
_CREATED = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - the writer takes times without a zone
_NAME_LIMIT = 31
_WIDTHS = {
    "text": 34,
    "code": 30,
    "word": 24,
    "number": 12,
    "share": 10,
    "time": 19,
    "severity": 10,
    "texts": 34,
    "codes": 30,
    "records": 40,
    "record": 40,
    "cases": 18,
    "finding": 18,
}


def render(document: CaseDocument, lang: str) -> bytes:
    """The document as a workbook."""
    return workbook_bytes(_ledger_tables.workbook(document), lang)


def workbook_bytes(tables: tuple[ReportTable, ...], lang: str, *, row_limit: int = ROW_LIMIT) -> bytes:
    """Tables as sheets; one of more rows than `row_limit` (with its header) goes on in `Name (2)`."""
    import xlsxwriter

    out = io.BytesIO()
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "yyyy-mm-dd hh:mm:ss",
        "remove_timezone": True,
    }
    book = xlsxwriter.Workbook(out, options)
    book.set_properties({"created": _CREATED, "title": "Brokenseal", "author": "Brokenseal"})
    styles = {
        "head": book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEF1EF", "valign": "top"}),
        "share": book.add_format({"num_format": "0.0%"}),
        "time": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        "number": book.add_format({"num_format": "#,##0"}),
    }
    for table in tables:
        title = say(table.title, lang)
        step = row_limit - 1
        for part, start in enumerate(range(0, max(len(table.rows), 1), step), start=1):
            sheet = book.add_worksheet(_sheet_name(title, part))
            _fill(sheet, table.columns, table.rows[start : start + step], styles, lang)
    book.close()
    return out.getvalue()


def _sheet_name(title: str, part: int) -> str:
    suffix = "" if part == 1 else f" ({part})"
    return title[: _NAME_LIMIT - len(suffix)] + suffix


def _fill(
    sheet: Any, columns: tuple[Column, ...], rows: tuple[tuple[Cell, ...], ...], styles: dict[str, Any], lang: str
) -> None:
    for place, column in enumerate(columns):
        sheet.set_column(place, place, _WIDTHS[column.kind])
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(rows), len(columns) - 1)
    for place, column in enumerate(columns):
        sheet.write_string(0, place, _escape.cell(say(column.title, lang)), styles["head"])
    for line, row in enumerate(rows, start=1):
        for place, (column, value) in enumerate(zip(columns, row, strict=True)):
            _write(sheet, (line, place), column, value, styles, lang)


def _write(sheet: Any, at: tuple[int, int], column: Column, value: Cell, styles: dict[str, Any], lang: str) -> None:
    if value is None or value == ():
        return
    if isinstance(value, dt.datetime):
        # Excel counts days from 1900; an earlier time, which no log should hold, stays readable as text.
        moment = value.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None)
        if moment.year >= 1900:  # noqa: PLR2004 - Excel's first year
            sheet.write_datetime(*at, moment, styles["time"])
        else:
            sheet.write_string(*at, moment.isoformat(sep=" "))
    elif isinstance(value, int | float):
        sheet.write_number(*at, value, styles["share" if column.kind == "share" else "number"])
    else:
        sheet.write_string(*at, _escape.cell(_text(column, value, lang)))


def _text(column: Column, value: str | Phrase | tuple[str, ...], lang: str) -> str:
    if isinstance(value, Phrase):
        return say(value, lang)
    if isinstance(value, tuple):
        return joined(value)
    return _words.word(_words.SEVERITY, value, lang) if column.kind == "severity" else value


REPORTER = Reporter(
    name="xlsx", media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", render=render
)
