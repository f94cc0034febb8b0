"""The truth of one tenant, kept while it lives: every line, token and message that the scorer will ask about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from brokenseal.drill.tables import (
    TRUTH_ATTACK,
    TRUTH_MESSAGE,
    TRUTH_RECORD,
    TRUTH_TENANT,
    TRUTH_TOKEN,
    TRUTH_WITHHELD,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

    from brokenseal.drill.second_generator.company import Mailbox, Message, Tag, Token
    from brokenseal.drill.second_generator.outbox import Written

_ROWS_PER_GROUP: Final = 50_000
_NEVER_ISSUED: Final = frozenset(("forged_random", "forged_structured", "copied"))

Row = Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Note:
    """One message that an attack took: when, how, and the line that shows it.

    Attributes:
        fate: recorded, repeat, throttled, not_audited or sync.
        line: The line that lists it; None where there is none.
    """

    mailbox: Mailbox
    message: Message
    at: int
    stage: str
    how: str
    fate: str
    line: Written | None = None


@dataclass(slots=True, eq=False)
class Story:
    """One attack instance as it goes on."""

    instance: int
    attack_id: str
    title: str
    stealth: int
    tells: tuple[str, ...]
    knobs: dict[str, object] = field(default_factory=dict)
    first: int | None = None
    last: int = 0
    mailboxes: set[str] = field(default_factory=set)
    subjects: set[str] = field(default_factory=set)
    notes: list[Note] = field(default_factory=list)
    first_line: tuple[int, int] | None = None
    lines: int = 0

    def happens(self, at: int, *, subject: str, mailbox: str = "") -> None:
        """It does something."""
        self.spans(at)
        self.subjects.add(subject)
        if mailbox:
            self.mailboxes.add(mailbox)

    def spans(self, at: int) -> None:
        """It goes on at this time."""
        self.first = at if self.first is None else min(self.first, at)
        self.last = max(self.last, at)


class _Shelf:
    """Rows of one table on their way into a Parquet file."""

    def __init__(self, table: Table, path: Path) -> None:
        self._schema = table.arrow_schema()
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._columns: dict[str, list[Any]] = {name: [] for name in table.names}
        self._first = table.names[0]

    def add(self, row: Row) -> None:
        for name, column in self._columns.items():
            column.append(row[name])
        if len(self._columns[self._first]) >= _ROWS_PER_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._columns[self._first]:
            self._writer.write_table(pa.table(self._columns, schema=self._schema))
            for column in self._columns.values():
                column.clear()

    def close(self, *, keep: bool) -> None:
        if keep:
            self.flush()
        self._writer.close()


def truth_part(folder: Path, name: str, tenant_no: int) -> Path:
    """Where one tenant's rows of a truth table wait to be put together."""
    return folder / f"{name}-{tenant_no:04d}.parquet"


_BY_LINE: Final = (TRUTH_RECORD, TRUTH_WITHHELD, TRUTH_TOKEN)
_AT_THE_END: Final = (TRUTH_MESSAGE, TRUTH_ATTACK, TRUTH_TENANT)


class Books:
    """The truth of one tenant, written as it grows; a context manager, so that files are closed."""

    def __init__(self, folder: Path, *, tenant_id: str, tenant_no: int) -> None:
        self.tenant_id = tenant_id
        self.stories: dict[int, Story] = {}
        self.counts: dict[str, int] = {}
        self._shelves = {
            table.name: _Shelf(table, truth_part(folder, table.name, tenant_no)) for table in (*_BY_LINE, *_AT_THE_END)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for shelf in self._shelves.values():
            shelf.close(keep=error is None)

    def _add(self, table: Table, row: Row) -> None:
        self.counts[table.name] = self.counts.get(table.name, 0) + 1
        self._shelves[table.name].add(row)

    def heard(self, line: Written) -> None:
        """A line was delivered, or was not."""
        shared = {
            "tenant_id": self.tenant_id,
            "event_id": line.event_id,
            "stream": line.stream,
            "occurred_at": line.at,
            "mailbox_key": line.mailbox,
            **_attack(line.tag),
        }
        if line.tag is not None:
            self.stories[line.tag.instance].spans(line.at)
        if line.lost_to:
            self._add(TRUTH_WITHHELD, {**shared, "reason": line.lost_to})
            return
        given = {"available_at": line.available, "copies": line.copies}
        self._add(TRUTH_RECORD, {**shared, **given, "actor": line.actor, "actor_kind": line.actor_kind})
        if line.tag is not None:
            story = self.stories[line.tag.instance]
            story.lines += 1
            seen = (line.at, line.available)
            story.first_line = seen if story.first_line is None else min(story.first_line, seen)

    def token(
        self,
        token: Token,
        *,
        line: Written | None,
        unlogged: str,
        subject: str,
        session: str,
        client_app: str,
        source: str,
        tag: Tag | None,
    ) -> None:
        """A token came into use: the line of its issuance, or why there is none."""
        is_issued = source not in _NEVER_ISSUED
        is_delivered = line is not None and not line.lost_to
        reason = unlogged or (None if is_delivered else "withheld")
        self._add(
            TRUTH_TOKEN,
            {
                "tenant_id": self.tenant_id,
                "token_id": token.id,
                "uti": token.text,
                "subject_id": subject,
                "session_id": session or None,
                "client_app_id": client_app,
                "issued_at": token.issued,
                "is_issued": is_issued,
                "is_logged": is_issued and line is not None and not unlogged,
                "is_delivered": is_delivered,
                "issue_event_id": line.event_id if line is not None and not unlogged else None,
                "unlogged_reason": reason,
                "token_source": source,
                **_attack(tag),
            },
        )

    def close_stories(self) -> None:
        """Put down what the attacks came to, once every line has its fate."""
        for _, story in sorted(self.stories.items()):
            taken = list(self._messages(story))
            for row in taken:
                self._add(TRUTH_MESSAGE, row)
            first_at, available_at = story.first_line or (None, None)
            self._add(
                TRUTH_ATTACK,
                {
                    "instance": story.instance,
                    "tenant_id": self.tenant_id,
                    "attack_id": story.attack_id,
                    "title": story.title,
                    "stealth": story.stealth,
                    "campaign": None,
                    "first_at": story.first,
                    "last_at": story.last if story.first is not None else None,
                    "first_record_at": first_at,
                    "first_available_at": available_at,
                    "mailbox_keys": sorted(story.mailboxes),
                    "subject_ids": sorted(story.subjects),
                    "messages_read": len(taken),
                    "messages_shown": sum(row["lost_to"] is None for row in taken),
                    "records": story.lines,
                    "tells": list(story.tells),
                    "is_observable": story.lines > 0,
                    "knobs": json.dumps(story.knobs, sort_keys=True),
                },
            )

    def tenant(self, row: Row) -> None:
        """The tenant itself."""
        self._add(TRUTH_TENANT, {"tenant_id": self.tenant_id, **row})

    def _messages(self, story: Story) -> Iterable[dict[str, Any]]:
        groups: dict[tuple[str, str], list[Note]] = {}
        for note in story.notes:
            groups.setdefault((note.mailbox.guid, note.message.internet_id), []).append(note)
        for (mailbox, message_id), notes in sorted(groups.items()):
            first = min(notes, key=lambda note: note.at)
            shown = [note for note in notes if note.line is not None and not note.line.lost_to]
            yield {
                "tenant_id": self.tenant_id,
                "mailbox_key": mailbox,
                "mailbox_upn": first.mailbox.upn,
                "internet_message_id": message_id,
                "first_read_at": first.at,
                "reads": len(notes),
                "how": first.how,
                "event_id": _first_line(shown),
                "lost_to": None if shown else _lost(first),
                "attack_id": story.attack_id,
                "instance": story.instance,
                "stage": first.stage,
            }


def _first_line(notes: list[Note]) -> str | None:
    lines = [note.line for note in notes if note.line is not None]
    return min(lines, key=lambda line: (line.at, line.event_id)).event_id if lines else None


def _lost(note: Note) -> str:
    return "withheld" if note.fate == "recorded" else note.fate


def _attack(tag: Tag | None) -> dict[str, Any]:
    if tag is None:
        return {"attack_id": None, "instance": None, "stage": None}
    return {"attack_id": tag.attack_id, "instance": tag.instance, "stage": tag.stage}


def put_together(folder: Path, parts: Path, tenants: int) -> dict[str, int]:
    """Join the tenants' parts into the truth files; returns the rows of each."""
    counts = {}
    for table in (*_BY_LINE, *_AT_THE_END):
        schema, rows = table.arrow_schema(), 0
        with pq.ParquetWriter(folder / f"{table.name}.parquet", schema, compression="zstd") as writer:
            for number in range(tenants):
                with pq.ParquetFile(truth_part(parts, table.name, number)) as part:
                    for group in range(part.num_row_groups):
                        found = part.read_row_group(group)
                        rows += found.num_rows
                        writer.write_table(found)
        counts[table.name] = rows
    return counts
