"""The files of a drill, in the very shapes in which tenants give them.

One call writes the files of one tenant and day; no file holds lines of two days, so that days can be written by any
process in any order. Below a tenant's folder stand::

    purview/2026-01-05.csv                              audit log search of the Purview portal
    management-activity/Audit.Exchange/<hour>-<day>.json   content blobs of the Management Activity API
    sign-ins/2026-01-05-nonInteractiveUser.json         Microsoft Graph signIn
    insights-logs-<category>/tenantId=…/y=…/PT1H.json   diagnostic settings, storage account
    directory-audits/2026-01-05.json                    Microsoft Graph directoryAudit
    message-trace/2026-01-05.csv                        Get-MessageTrace, UTF-16
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _lines, streams
from brokenseal.drill._audit_lines import audit_lines
from brokenseal.drill._directory_lines import directory_lines
from brokenseal.drill._graph_lines import CATEGORY as GRAPH_CATEGORY
from brokenseal.drill._graph_lines import activity_lines
from brokenseal.drill._lines import Text
from brokenseal.drill._login_lines import login_lines, operations, record_ids, record_types
from brokenseal.drill._sign_in_lines import CATEGORIES, ONLY_DIAGNOSTIC, diagnostic_lines, graph_lines
from brokenseal.drill._trace_lines import encode, trace_lines
from brokenseal.drill.days import CONTENT_TYPES
from brokenseal.drill.delivery import is_streamed
from brokenseal.drill.roster import find
from brokenseal.drill.tables import HOUR_US, MINUTE_US, Coded, numbers, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from brokenseal.drill.days import Day
    from brokenseal.drill.delivery import Law
    from brokenseal.drill.roster import Roster

_SEARCH_ROWS: Final = 50_000
_SEARCH_HEADER: Final = (
    b"RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames\r\n"
)
_EVENT_TYPES: Final = {
    "interactive": "interactiveUser",
    "non_interactive": "nonInteractiveUser",
    "service_principal": "servicePrincipal",
    "managed_identity": "managedIdentity",
}
_BLOB_ROWS: Final = 50_000
_BUFFER: Final = 1 << 20


class Place(NamedTuple):
    """Where and how the lines of one tenant and day are written.

    Attributes:
        folder: The tenant's folder.
        law: The tenant's delivery.
        roster: The tenant's names on that day.
        epoch: Field set of the audit log: 2021, 2023 or 2025.
        blob_minutes: Minutes that one blob of the Management Activity API spans.
    """

    folder: Path
    law: Law
    roster: Roster
    epoch: int
    blob_minutes: int


def write_day(day: Day, delivered: pa.Table, place: Place) -> int:
    """Write every export file of one tenant and day; returns the number of lines written, copies included.

    Args:
        day: Tables of the day.
        delivered: What `delivery.deliver` made of its lines.
        place: Where and how.

    Raises:
        OSError: As writing files does.
    """
    given = delivered.filter(pc.is_null(delivered.column("withheld_reason")))
    streamed = is_streamed(given, place.law)
    stream = words(given, "stream")
    is_audit = np.isin(stream, list(CONTENT_TYPES))
    _search(day, given.filter(pa.array(is_audit & ~streamed)), place)
    _blobs(day, given.filter(pa.array(is_audit & streamed)), place)
    for name in CATEGORIES:
        is_line = (streamed | (name in ONLY_DIAGNOSTIC)) & (stream == name)
        _sign_ins(day, given.filter(pa.array(is_line)), place, name, is_diagnostic=True)
        _sign_ins(day, given.filter(pa.array((stream == name) & ~is_line)), place, name, is_diagnostic=False)
    _graph_activity(day, given.filter(pa.array(stream == "graph_activity")), place)
    _directory_audits(day, given.filter(pa.array(stream == "directory_audit")), place)
    _message_trace(day, given.filter(pa.array(stream == "message_trace")), place)
    return int(given.num_rows)


def _date(day: Day) -> str:
    return dt.datetime.fromtimestamp(day.starts_us // 1_000_000, tz=dt.UTC).date().isoformat()


def _random(day: Day, place: Place, name: str) -> np.random.Generator:
    return streams.stream(place.law.seed, "tenant", place.law.tenant_no, "day", day.day, "order", name)


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=_BUFFER) as file:
        file.writelines(parts)


def _listed(
    text: Text, rows: npt.NDArray[np.int64], *, opening: bytes = b"", separator: bytes, closing: bytes
) -> Iterator[bytes | memoryview]:
    """These lines with the separator between them."""
    yield opening
    for number, line in enumerate(text.lines(rows)):
        if number:
            yield separator
        yield line
    yield closing


def _groups(keys: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Start and stop of each run of equal keys."""
    edges = np.flatnonzero(np.diff(keys)) + 1
    starts = [0, *edges.tolist()]
    return zip(starts, [*edges.tolist(), len(keys)], strict=True)


# ---------------------------------------------------------------- audit log


class _Audit(NamedTuple):
    """Audit records and sign-in records of the audit log, once each, and which of them each delivered row is."""

    lines: Text
    row: npt.NDArray[np.int64]
    record_id: pa.Array
    at_us: npt.NDArray[np.int64]
    record_type: npt.NDArray[np.int32]
    operation: Coded
    user: Coded


def _audit(day: Day, given: pa.Table, place: Place, *, doubled: bool) -> _Audit:
    is_record = words(given, "table") == "audit_records"
    row_no = numbers(given, "row_no")
    record_rows, record_of = np.unique(find(day.records, "record_no", row_no[is_record]), return_inverse=True)
    login_rows, login_of = np.unique(find(day.sign_ins, "line_no", row_no[~is_record]), return_inverse=True)
    records, logins = day.records.take(pa.array(record_rows)), day.sign_ins.take(pa.array(login_rows))
    lines = audit_lines(
        records,
        day.items,
        day.settings,
        changes=day.changes,
        messages=day.messages,
        folders=day.folders,
        roster=place.roster,
        doubled=doubled,
    )
    row = np.empty(given.num_rows, dtype=np.int64)
    row[is_record], row[~is_record] = record_of, login_of + len(record_rows)
    return _Audit(
        lines=Text.below(
            [lines, Text.of([login_lines(logins, epoch=place.epoch, roster=place.roster, doubled=doubled)])]
        ),
        row=row,
        record_id=pa.concat_arrays(
            [records.column("record_id").combine_chunks(), _one(record_ids(logins, place.roster.key))]
        ),
        at_us=np.concatenate([numbers(records, "at_us"), numbers(logins, "at_us")]),
        record_type=np.concatenate([numbers(records, "record_type"), record_types(logins)]),
        operation=_coded(words(records, "operation"), np.array([*operations(logins).words])[operations(logins).codes]),
        user=_coded(words(records, "user_id"), words(logins, "user")),
    )


def _one(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _coded(*parts: npt.NDArray[np.object_]) -> Coded:
    encoded = pa.array(np.concatenate(parts), pa.string()).dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Coded(codes.astype(np.int32), encoded.dictionary.to_pylist())


def _search(day: Day, given: pa.Table, place: Place) -> None:
    """Downloads of the Purview portal: a day each, in parts of 50,000 rows, newest first."""
    shuffled = _random(day, place, "search").permutation(given.num_rows)
    order = shuffled[np.argsort(-numbers(given, "at_us")[shuffled], kind="stable")]
    for number, start in enumerate(range(0, len(order), _SEARCH_ROWS), start=1):
        audit = _audit(day, given.take(pa.array(order[start : start + _SEARCH_ROWS])), place, doubled=True)
        name = f"{_date(day)}.csv" if number == 1 else f"{_date(day)}-part{number}.csv"
        _write(place.folder / "purview" / name, _rows(audit))


def _rows(audit: _Audit) -> Iterator[bytes | memoryview]:
    """The file of a download."""
    kinds, kind = np.unique(audit.record_type, return_inverse=True)
    each = np.arange(len(audit.lines), dtype=np.int32)
    cells = [
        _lines.Pieces(audit.record_id, each),
        *_lines.moment(",", audit.at_us, ending=".0000000Z,"),
        _lines.Pieces(pa.array([str(one) for one in kinds.tolist()], pa.string()), kind.astype(np.int32)),
        _lines.coded_as(audit.operation, [f",{_cell(word)}" for word in audit.operation.words], absent=","),
        _lines.coded_as(audit.user, [f",{_cell(word)}" for word in audit.user.words], absent=","),
        ',"',
    ]
    heads = Text.of([_lines.render(cells, len(audit.lines))])
    yield _SEARCH_HEADER
    for head, line in zip(heads.lines(audit.row), audit.lines.lines(audit.row), strict=True):
        yield head
        yield line
        yield b'",,\r\n'


def _cell(word: str) -> str:
    is_quoted = any(mark in word for mark in ',"\r\n')
    return '"' + word.replace('"', '""') + '"' if is_quoted else word


def _blobs(day: Day, given: pa.Table, place: Place) -> None:
    """Content blobs: whatever of the day became available within the same minutes, in no order."""
    stream = words(given, "stream")
    slot = numbers(given, "available_at_us") // (place.blob_minutes * MINUTE_US)
    shuffled = _random(day, place, "blobs").permutation(given.num_rows)
    for name, content_type in CONTENT_TYPES.items():
        own = shuffled[stream[shuffled] == name]
        own = own[np.argsort(slot[own], kind="stable")]
        folder = place.folder / "management-activity" / content_type
        # A busy day is written in parts, so that memory does not grow with it.
        for part, start in enumerate(range(0, len(own), _BLOB_ROWS)):
            some = own[start : start + _BLOB_ROWS]
            audit = _audit(day, given.take(pa.array(some)), place, doubled=False)
            for first, last in _groups(slot[some]):
                created = int(slot[some[first]]) * place.blob_minutes * MINUTE_US // 1_000_000
                moment = dt.datetime.fromtimestamp(created, tz=dt.UTC)
                number = f"-{part}" if part else ""
                path = f"{moment:%Y-%m-%d}/{moment:%Y%m%dT%H%M%SZ}-{_date(day)}{number}.json"
                lines = _listed(audit.lines, audit.row[first:last], opening=b"[", separator=b",", closing=b"]")
                _write(folder / path, lines)


# ---------------------------------------------------------------- Entra and Graph


def _sign_ins(day: Day, given: pa.Table, place: Place, category: str, *, is_diagnostic: bool) -> None:
    if not given.num_rows:
        return
    rows, row = np.unique(find(day.sign_ins, "line_no", numbers(given, "row_no")), return_inverse=True)
    own = day.sign_ins.take(pa.array(rows))
    if is_diagnostic:
        _by_hour(day, given, place, CATEGORIES[category], row, lambda: diagnostic_lines(own, category, place.roster))
    else:
        lines = Text.of([graph_lines(own, category, place.roster)])
        # Graph returns the newest first.
        order = row[np.argsort(-numbers(given, "at_us"), kind="stable")]
        path = place.folder / "sign-ins" / f"{_date(day)}-{_EVENT_TYPES[category]}-SignInLogs.json"
        _write(path, _listed(lines, order, opening=b"[\n", separator=b",\n", closing=b"\n]\n"))


def _by_hour(
    day: Day,
    given: pa.Table,
    place: Place,
    category: str,
    row: npt.NDArray[np.int64],
    rendered: Callable[[], pa.Array],
) -> None:
    """Blobs of a storage account: one per category and hour, lines as they came.

    A few lines of a day fall into an hour of the day before (a token of the first minutes was issued then). They stand
    in a blob of their own there: the other one may be under way in another process.
    """
    hour = numbers(given, "at_us") // HOUR_US
    order = np.lexsort((numbers(given, "available_at_us"), hour))
    lines = Text.of([rendered()])
    base = place.folder / f"insights-logs-{category.lower()}" / f"tenantId={place.roster.tenant_id}"
    for first, last in _groups(hour[order]):
        moment = dt.datetime.fromtimestamp(int(hour[order[first]]) * 3600, tz=dt.UTC)
        name = "PT1H.json" if f"{moment:%Y-%m-%d}" == _date(day) else f"PT1H-{_date(day)}.json"
        path = base / f"y={moment:%Y}" / f"m={moment:%m}" / f"d={moment:%d}" / f"h={moment:%H}" / "m=00" / name
        _write(path, _listed(lines, row[order[first:last]], separator=b"\r\n", closing=b"\r\n"))


def _graph_activity(day: Day, given: pa.Table, place: Place) -> None:
    if not given.num_rows:
        return
    rows, row = np.unique(find(day.graph, "line_no", numbers(given, "row_no")), return_inverse=True)
    own = day.graph.take(pa.array(rows))
    _by_hour(
        day,
        given,
        place,
        GRAPH_CATEGORY,
        row,
        lambda: activity_lines(own, intents=day.intents, tokens=day.tokens, roster=place.roster),
    )


def _directory_audits(day: Day, given: pa.Table, place: Place) -> None:
    if not given.num_rows:
        return
    rows = np.sort(find(day.records, "record_no", numbers(given, "row_no")))
    records = day.records.take(pa.array(rows))
    own = numbers(records, "record_no")
    settings = day.settings.filter(pa.array(np.isin(numbers(day.settings, "record_no"), own)))
    lines = Text.of([directory_lines(records, settings, day.changes, place.roster)])
    order = np.argsort(-numbers(records, "at_us"), kind="stable")
    path = place.folder / "directory-audits" / f"{_date(day)}.json"
    _write(path, _listed(lines, order, opening=b"[\n", separator=b",\n", closing=b"\n]\n"))


def _message_trace(day: Day, given: pa.Table, place: Place) -> None:
    if not given.num_rows:
        return
    rows = find(day.trace, "line_no", numbers(given, "row_no"))
    rows = rows[np.argsort(-numbers(day.trace, "at_us")[rows], kind="stable")]
    lines = trace_lines(day.trace.take(pa.array(rows)), place.roster)
    _write(place.folder / "message-trace" / f"{_date(day)}.csv", [encode(lines)])
