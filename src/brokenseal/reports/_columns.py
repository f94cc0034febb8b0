"""The form of the tables that every format renders from: named columns with kinds, and rows of plain values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

Cell: TypeAlias = str | int | float | bool | dt.datetime | Phrase | tuple[str, ...] | None

ColumnKind = Literal[
    "text",  # log text
    "code",  # an identifier or client string, shown in a fixed-width face
    "word",  # one of our own words (a Phrase)
    "number",
    "share",  # 0 to 1, shown in per cent
    "time",
    "severity",
    "texts",  # several log texts
    "codes",  # several identifiers
    "records",  # event ids, linked to the cited records
    "record",  # the event id that the row is about
    "cases",  # case ids
    "finding",  # a finding id
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: a stable name for machines, a title for people, and how its cells are shown."""

    name: str
    title: Phrase
    kind: ColumnKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A titled table; each row has one cell per column.

    Attributes:
        name: Stable, in the form `mailbox_coverage`.
        title: At most 31 characters in every language, without any of the marks
            that the name of a worksheet must not hold.
    """

    name: str
    title: Phrase
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def col(name: str, title: Phrase, kind: ColumnKind) -> Column:
    """One column."""
    return Column(name=name, title=title, kind=kind)


MAILBOX = col("mailbox", phrase("Mailbox"), "text")
MAILBOXES = col("mailboxes", phrase("Mailboxes"), "texts")
ACTORS = col("actors", phrase("Accounts"), "texts")
CASES = col("cases", phrase("Cases"), "cases")
CASE = col("case", phrase("Case"), "cases")
SEVERITY = col("severity", phrase("Severity"), "severity")
FIRST = col("first_at", phrase("First (UTC)"), "time")
LAST = col("last_at", phrase("Last (UTC)"), "time")
CERTAIN = col("certain", phrase("Certain: messages"), "number")
POSSIBLE = col("possible", phrase("Possible: messages"), "number")
POSSIBLE_FOLDERS = col("possible_folders", phrase("Possible: folders"), "number")
UNKNOWABLE = col("unknowable", phrase("Unknowable: spans"), "number")
ACCESSES = col("accesses", phrase("Mail accesses"), "number")
CLIENTS = col("clients", phrase("Clients"), "codes")
ADDRESSES = col("addresses", phrase("Addresses"), "codes")
SESSIONS = col("sessions", phrase("Sessions"), "codes")
ATTACK = col("attack", phrase("ATT&CK"), "codes")
RECORDS = col("event_ids", phrase("Records"), "records")
FILE = col("path", phrase("File"), "code")

EXPOSURE_COLUMNS = (
    MAILBOX,
    CASE,
    CERTAIN,
    POSSIBLE,
    POSSIBLE_FOLDERS,
    UNKNOWABLE,
    ACCESSES,
    FIRST,
    LAST,
    CLIENTS,
    ADDRESSES,
)

MESSAGE_COLUMNS = (
    MAILBOX,
    CASES,
    col("subject", phrase("Subject"), "text"),
    col("sender", phrase("Sender"), "text"),
    col("recipients", phrase("Recipients"), "texts"),
    col("folder_path", phrase("Folder"), "text"),
    col("size_bytes", phrase("Bytes"), "number"),
    FIRST,
    LAST,
    col("entries", phrase("Entries"), "number"),
    CLIENTS,
    ADDRESSES,
    SESSIONS,
    col("internet_message_id", phrase("Message-ID"), "code"),
    RECORDS,
)

POSSIBLE_COLUMNS = (*MESSAGE_COLUMNS[:3], col("reason", phrase("Reason"), "word"), *MESSAGE_COLUMNS[3:])


def coded(table: Mapping[str, Phrase], code: str | None) -> Phrase | str | None:
    """The phrase for a code, or the code as it is where there is none."""
    return code if code is None else table.get(code, code)


def joined(texts: tuple[str, ...]) -> str:
    """Several texts in one cell of a format without lists."""
    return "; ".join(texts)
