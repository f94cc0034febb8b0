"""The files of a letter: the messages, the indicators, the hunting guide. Cells of CSV start no formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.notices.hunting import hunting_guide
from brokenseal.notices.values import Attachment
from brokenseal.reports import _tables, _words
from brokenseal.reports._columns import FIRST, LAST, MESSAGE_COLUMNS, ReportTable, coded, col
from brokenseal.reports.csv_tables import table_csv
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.notices.share_values import Share
    from brokenseal.reports._columns import Cell, Column

_KIND = col("kind", phrase("Kind"), "word")
_REASON = col("reason", phrase("Reason"), "word")
_INCIDENT = col("incident", phrase("Incident"), "number")
_INDICATOR_KIND = col("indicator", phrase("Indicator"), "code")
_VALUE = col("value", phrase("Value"), "text")
_UNSEEN = phrase("Not in the logs that we saw")
_SIMULATED = col("simulated", phrase("Simulated"), "text")
# The owner of a mailbox has no use for identifiers of records and sessions.
_NOT_FOR_OWNERS = frozenset(("sessions", "event_ids"))


def attachments_of(share: Share, lang: str) -> tuple[Attachment, ...]:
    """The files for one victim in one language; names of columns are the same in every language."""
    files = []
    # A list of nothing would be read as "nothing was read".
    if any(not each.is_indicated or each.messages or each.possible_messages for each in share.incidents):
        files.append(Attachment(name="messages.csv", media_type="text/csv", content=_text(_messages(share), lang)))
    if share.party.kind == "owner":
        return tuple(files)
    files.append(Attachment(name="indicators.csv", media_type="text/csv", content=_text(_indicators(share), lang)))
    guide = hunting_guide(share, lang)
    if guide is not None:
        files.append(Attachment(name="hunting-guide.md", media_type="text/markdown", content=guide))
    return tuple(files)


def _text(table: ReportTable, lang: str) -> str:
    return table_csv(table, lang).decode("utf-8")


def _messages(share: Share) -> ReportTable:
    kept = [
        place
        for place, column in enumerate(MESSAGE_COLUMNS)
        if column.name != "cases" and not (share.party.kind == "owner" and column.name in _NOT_FOR_OWNERS)
    ]
    return ReportTable(
        name="messages",
        title=_tables.MESSAGES_TITLE,
        columns=(_INCIDENT, _KIND, _REASON, *(MESSAGE_COLUMNS[place] for place in kept), *_marked(share)),
        rows=tuple(_message_rows(share, kept)),
    )


def _marked(share: Share) -> tuple[Column, ...]:
    return (_SIMULATED,) if share.simulated else ()


def _message_rows(share: Share, kept: list[int]) -> Iterator[tuple[Cell, ...]]:
    mark: tuple[Cell, ...] = ("simulated",) if share.simulated else ()
    for number, incident in enumerate(share.incidents, start=1):
        for kind, lines in (("certain", incident.messages), ("possible", incident.possible_messages)):
            for line in lines:
                cells = _tables.message_row(line, ())
                reason = coded(_words.POSSIBLE_REASON, line.reason)
                yield (number, _words.KIND[kind], reason, *(cells[place] for place in kept), *mark)


def _indicators(share: Share) -> ReportTable:
    mark: tuple[Cell, ...] = ("simulated",) if share.simulated else ()
    return ReportTable(
        name="indicators",
        title=phrase("Indicators"),
        columns=(_INCIDENT, _INDICATOR_KIND, _VALUE, _KIND, FIRST, LAST, *_marked(share)),
        rows=tuple(
            (
                number,
                each.kind,
                each.value,
                _words.KIND["certain" if each.certain else "possible"] if each.is_seen else _UNSEEN,
                each.first_at if each.is_seen else None,
                each.last_at if each.is_seen else None,
                *mark,
            )
            for number, incident in enumerate(share.incidents, start=1)
            for each in incident.indicators
        ),
    )
