"""CSV: the message list, the table that people ask for most. RFC 4180, UTF-8 with a byte order mark for spreadsheets.

Header names are the stable names of `_columns.MESSAGE_COLUMNS`, in no language, so that scripts can rely on them.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING

from brokenseal.model import Reporter
from brokenseal.reports import _escape, _tables
from brokenseal.reports._columns import MESSAGE_COLUMNS, ReportTable, joined
from brokenseal.wording import Phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.model import CaseDocument, ExposedMessage
    from brokenseal.reports._columns import Cell


def table_csv(table: ReportTable, lang: str) -> bytes:
    """One table as CSV; every cell is quoted text that starts no formula, and nothing is an empty cell."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow([_text(value, lang) for value in row])
    return out.getvalue().encode("utf-8-sig")


def _text(value: Cell, lang: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"{value.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, tuple):
        return _escape.cell(joined(value))
    return _escape.cell(say(value, lang) if isinstance(value, Phrase) else value)


def exposure_csv(messages: Iterable[ExposedMessage], lang: str = "en") -> bytes:
    """The messages of one selection as CSV, in the columns of the report's message list without the cases."""
    place = [column.name for column in MESSAGE_COLUMNS].index("cases")
    rows = (_tables.message_row(line, ()) for line in messages)
    table = ReportTable(
        name="messages",
        title=_tables.MESSAGES_TITLE,
        columns=(*MESSAGE_COLUMNS[:place], *MESSAGE_COLUMNS[place + 1 :]),
        rows=tuple((*row[:place], *row[place + 1 :]) for row in rows),
    )
    return table_csv(table, lang)


def render(document: CaseDocument, lang: str) -> bytes:
    """The document's message list as CSV."""
    return table_csv(_tables.messages(document), lang)


REPORTER = Reporter(name="csv", media_type="text/csv; charset=utf-8", render=render)
