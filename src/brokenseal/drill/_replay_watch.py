"""Watch one organisation's logs arrive, hour by hour, and say when a case stood that tells of the intruder.

The lines are read once, in order of arrival, so that what a store held at any hour is a known part of each table. An
hour is judged by running detection on that part alone. Only some hours are: before the first record of the intruder
has arrived no case can cite it, and a case that stands is taken to stand from then on, so that the first hour is found
by halving what is left. `docs/replay.md` says what that rests on, and a test compares it with every single hour.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from brokenseal import investigate, schema
from brokenseal.detectors._lateness import ARRIVALS
from brokenseal.drill import score
from brokenseal.drill._replay_collect import arrivals_of
from brokenseal.settings import Settings
from brokenseal.store import Store, file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import ibis.expr.types as ir

    from brokenseal.drill._replay_campaign import Organisation
    from brokenseal.drill._replay_collect import Place
    from brokenseal.investigate import Detection
    from brokenseal.model import Case

HOUR: Final = dt.timedelta(hours=1)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_ARRIVED: Final = "arrived_hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the product said of one organisation, against the truth. Everything in it is simulated.

    Attributes:
        number: The organisation's.
        name: Its name.
        epoch: Log epoch.
        has_reads: Its log holds reads of mail at all.
        mailboxes: Its mailboxes.
        mailboxes_read: Mailboxes that the intruder read.
        first_read_at: The intruder's first read.
        last_read_at: Its last.
        messages_read: Distinct messages that it read.
        intruder_records: Log records of it that were delivered.
        log_records: Log records read in all.
        mailbox_weeks: Mailboxes times weeks after the history.
        watched_until: When the logs end.
        opened_at: Full hour at which a case first stood that cites a record of the intruder; None for never.
        opened_by: Detectors of that case at that hour.
        messages_before: Messages that the intruder had read by then; None where no case ever stood.
        mailboxes_found: Mailboxes read that such a case names, at the end.
        true_cases: Cases at the end that cite a record of the intruder.
        false_cases: Other cases at the end.
        certain: Messages that the true cases call read with certainty; `certain_right` of them were.
        possible: Messages that cases call possibly read; `possible_right` of them were.
        unknowable: Spans, in the true cases, of which the product says that nobody can tell.
        hours_judged: Hours at which detection was run.
    """

    number: int
    name: str
    epoch: int
    has_reads: bool
    mailboxes: int
    mailboxes_read: int
    first_read_at: dt.datetime
    last_read_at: dt.datetime
    messages_read: int
    intruder_records: int
    log_records: int
    mailbox_weeks: float
    watched_until: dt.datetime
    opened_at: dt.datetime | None
    opened_by: tuple[str, ...]
    messages_before: int | None
    mailboxes_found: int
    true_cases: int
    false_cases: int
    certain: int
    certain_right: int
    possible: int
    possible_right: int
    unknowable: int
    hours_judged: int


# ---------------------------------------------------------------- which hour


def first_hour(stands: Callable[[int], bool], *, low: int, high: int, guess: int) -> int:
    """The first hour at which something stands that does not at `low`, does at `high`, and stays.

    Args:
        stands: Judges one hour; asked about few.
        low: An hour at which it does not stand.
        high: A later hour at which it does.
        guess: An hour near which it is expected to begin; any hour is allowed.
    """
    guess = min(max(guess, low + 1), high)
    step = 1
    if guess == high or stands(guess):
        high = guess
        while high - step > low and stands(high - step):
            high, step = high - step, step * 4
        low = max(low, high - step)
    else:
        low = guess
        while low + step < high and not stands(low + step):
            low, step = low + step, step * 4
        high = min(high, low + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if stands(middle) else (middle, high)
    return high


# ---------------------------------------------------------------- what could be read when


class Desk:
    """The store of one organisation, as it was at any hour.

    Reading the lines of each log in order of arrival keeps, of equal records, the one that came first: the same that
    a store filled hour by hour keeps.
    """

    def __init__(self, place: Place, *, now: dt.datetime) -> None:
        """Read what was collected, where it was not read yet, and know when each record came."""
        if not place.store.exists():
            _read(place, now=now)
        self._store = Store.open(Settings(store_dir=place.store, threads=1))
        tables = self._store.tables()
        hours = _hours(tables["events"], place)
        self.hour_of: Mapping[str, int] = dict(
            zip(hours.column("event_id").to_pylist(), hours.column(_ARRIVED).to_pylist(), strict=True)
        )
        came = ibis.memtable(hours)
        names = {table.name for table in schema.RECORD_TABLES}
        self._tables = {
            name: table.inner_join(came, "event_id").cache() if name in names else table
            for name, table in tables.items()
        }
        self._names = names
        known = hours.filter(pc.greater_equal(hours.column(_ARRIVED), 0))
        arrived_us = pc.multiply(known.column(_ARRIVED), 3_600_000_000)
        arrivals = {"event_id": known.column("event_id"), "arrived_at": arrived_us.cast(pa.timestamp("us", tz="UTC"))}
        self._arrivals = ibis.memtable(pa.table(arrivals))

    def at(self, hour: int) -> dict[str, ir.Table]:
        """The tables as they stood at a full hour, hours since 1970, and when each of their records came."""
        then = {
            name: table.filter(table[_ARRIVED] <= hour).drop(_ARRIVED) if name in self._names else table
            for name, table in self._tables.items()
        }
        return {**then, ARRIVALS: self._arrivals}

    def close(self) -> None:
        """Let go of the store."""
        for name in self._names:
            self._tables[name].release()
        # Held tables of detection are dropped when they are collected, which needs the connection.
        gc.collect()
        self._store.close()


def _read(place: Place, *, now: dt.datetime) -> None:
    """Read what was collected, under names that still hold when the folder is moved: reports print them."""
    names = _files(place)
    with contextlib.chdir(place.root):
        settings = Settings(store_dir=place.store.relative_to(place.root), threads=1)
        investigate.add_exports([place.collected.relative_to(place.root) / name for name in names], settings, now=now)


def _files(place: Place) -> list[str]:
    return sorted(name for name in arrivals_of(place.collected) if (place.collected / name).exists())


def _hours(events: ir.Table, place: Place) -> pa.Table:
    """Event id and hour from which each record could be read."""
    rows = events.select("event_id", "input_sha256", "record_no").to_pyarrow()
    ids, inputs = rows.column("event_id"), rows.column("input_sha256")
    number = rows.column("record_no").to_numpy()
    hour = np.full(rows.num_rows, -1, dtype=np.int64)
    counts = arrivals_of(place.collected)
    for name in _files(place):
        own = pc.equal(inputs, file_digest(place.collected / name)).to_numpy(zero_copy_only=False)
        steps = counts[name]
        # Records are numbered from 1: the first `steps[n, 1]` of them could be read at hour `steps[n, 0]`.
        hour[own] = steps[np.searchsorted(steps[:, 1], number[own], side="left"), 0]
    return pa.table({"event_id": ids, _ARRIVED: hour})


# ---------------------------------------------------------------- one organisation


def watch(organisation: Organisation, epoch: int, place: Place, *, now: dt.datetime) -> Found:
    """Take one organisation's logs through ingest, detection and exposure.

    Args:
        organisation: The organisation.
        epoch: Log epoch.
        place: Its folders; `collected` and `truth` are written.
        now: Time of the reading, for the ledger.
    """
    desk = Desk(place, now=now)
    try:
        return _Watched(organisation, epoch, place, desk).result()
    finally:
        desk.close()


class _Watched:
    def __init__(self, organisation: Organisation, epoch: int, place: Place, desk: Desk) -> None:
        self._organisation, self._epoch, self._place, self._desk = organisation, epoch, place, desk
        self._intruder = _intruder_ids(place)
        (self._tenant,) = pq.read_table(place.truth / "tenants.parquet").to_pylist()
        self._end = -(-int((self._tenant["ends_at"] - _EPOCH).total_seconds()) // 3600)
        self._judged: dict[int, tuple[Case, ...]] = {}

    def detect(self, hour: int) -> Detection:
        """Detection on what could be read at an hour."""
        tables = self._desk.at(hour)
        found = investigate.detect(tables, investigate.coverage_of(tables))
        self._judged[hour] = tuple(case for case in found.cases if self._cited(case))
        return found

    def _cited(self, case: Case) -> set[str]:
        return {item.event_id for finding in case.findings for item in finding.evidence} & self._intruder

    def _stands(self, hour: int) -> bool:
        if hour not in self._judged:
            self.detect(hour)
        return bool(self._judged[hour])

    def result(self) -> Found:
        detection = self.detect(self._end)
        true_cases = self._judged[self._end]
        opened = self._opened() if true_cases else None
        stood_at = None if opened is None else dict.fromkeys((case.id for case in true_cases), _EPOCH + opened * HOUR)
        seen = score.observe(self._desk.at(self._end), detection, self._place.truth, stood_at=stood_at)
        return self._found(seen, opened)

    def _opened(self) -> int:
        """The hour at which a case on the intruder first stood."""
        arrived = [self._desk.hour_of[event_id] for event_id in self._intruder if event_id in self._desk.hour_of]
        cited = [self._desk.hour_of[event_id] for case in self._judged[self._end] for event_id in self._cited(case)]
        return first_hour(self._stands, low=min(arrived) - 1, high=self._end, guess=min(cited))

    def _found(self, seen: score.Observations, opened: int | None) -> Found:
        (outcome,) = seen.intrusions
        (truth,) = pq.read_table(self._place.truth / "attacks.parquet").to_pylist()
        messages = pq.read_table(
            self._place.truth / "messages.parquet", columns=["mailbox_upn", "mailbox_key", "first_read_at"]
        )
        cases = self._judged[self._end]
        named = {mailbox for case in cases for mailbox in case.mailboxes}
        read = set(zip(*(messages.column(name).to_pylist() for name in ("mailbox_upn", "mailbox_key")), strict=True))
        certain_right, certain = seen.exposure["certain_precision_true_cases"]
        possible_right, possible = seen.exposure["possible_precision"]
        return Found(
            number=self._organisation.number,
            name=self._organisation.name,
            epoch=self._epoch,
            has_reads=self._organisation.has_reads(self._epoch),
            mailboxes=self._tenant["mailboxes"],
            mailboxes_read=len(read),
            first_read_at=_utc(pc.min(messages.column("first_read_at")).as_py()),
            last_read_at=_utc(pc.max(messages.column("first_read_at")).as_py()),
            messages_read=messages.num_rows,
            intruder_records=truth["records"],
            log_records=len(self._desk.hour_of),
            mailbox_weeks=self._tenant["mailbox_weeks"],
            watched_until=_utc(self._tenant["ends_at"]),
            opened_at=None if opened is None else _EPOCH + opened * HOUR,
            opened_by=() if opened is None else tuple(sorted(_detectors(self._judged[opened]))),
            messages_before=None if opened is None else outcome.messages_before,
            mailboxes_found=sum(bool({address, key, f"upn:{address}"} & named) for address, key in read),
            true_cases=len(cases),
            false_cases=sum(not case.is_true for case in seen.cases),
            certain=certain,
            certain_right=certain_right,
            possible=possible,
            possible_right=possible_right,
            unknowable=sum(case.exposure.unknowable for case in cases),
            hours_judged=len(self._judged),
        )


def _detectors(cases: tuple[Case, ...]) -> Iterator[str]:
    return (
        name for name in {finding.detector_id for case in cases for finding in case.findings if not finding.is_notice}
    )


def _intruder_ids(place: Place) -> frozenset[str]:
    records = pq.read_table(place.truth / "records.parquet", columns=["event_id", "instance"])
    own = records.filter(pc.is_valid(records.column("instance")))
    return frozenset(own.column("event_id").to_pylist())


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC)
