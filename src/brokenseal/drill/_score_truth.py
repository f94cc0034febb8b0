"""The truth of a drill, as far as a score needs it: read from `truth/*.parquet`, nothing else looked at.

A drill may hold many millions of records; only those that a case cites, and those of intruders, become values.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from brokenseal.drill.truth_tables import TRUTH_ATTACK, TRUTH_MESSAGE, TRUTH_RECORD, TRUTH_TENANT
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from brokenseal.drill._columnar import Table

Row = dict[str, Any]

_BATCH_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantTruth:
    """One tenant: what of its logs was given, and how much was watched after the warm-up."""

    tenant_id: str
    logs: str
    log_epoch: int
    mailboxes: int
    mailbox_weeks: float
    ends_at: dt.datetime
    scoring_from: dt.datetime
    streams: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intrusion:
    """One instance of one attack, or of a control; a campaign has one in each of its tenants."""

    instance: int
    tenant_id: str
    attack_id: str
    title: str
    stealth: int
    campaign: int | None
    first_record_at: dt.datetime | None
    first_available_at: dt.datetime | None
    mailbox_keys: frozenset[str]
    is_observable: bool

    @property
    def is_control(self) -> bool:
        """Controls have no stealth. Their records count as those of the people whom they copy."""
        return self.stealth == 0

    @property
    def hand(self) -> tuple[str, int]:
        """What the instances of one campaign share: they are the work of one intruder, and found or missed alike."""
        return ("instance", self.instance) if self.campaign is None else ("campaign", self.campaign)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTruth:
    """One line of the exports."""

    tenant_id: str
    available_at: dt.datetime | None
    actor_kind: str | None
    instance: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTruth:
    """One message that an intruder took; `is_shown` where a delivered record lists it."""

    instance: int
    mailbox_key: str
    internet_message_id: str
    first_read_at: dt.datetime
    is_sync: bool
    is_shown: bool
    is_throttled: bool

    @property
    def key(self) -> tuple[str, str]:
        """What a message is counted by."""
        return self.mailbox_key, self.internet_message_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really happened.

    Attributes:
        intrusions: By instance, controls included.
        records: By event id: those asked for that the drill delivered.
        messages: Of every intrusion, controls included.
        mailbox_keys: Mailbox GUID by address, of the mailboxes that intruders read.
    """

    tenants: dict[str, TenantTruth]
    intrusions: dict[int, Intrusion]
    records: dict[str, RecordTruth]
    messages: tuple[MessageTruth, ...]
    mailbox_keys: dict[str, str]

    def instance_of(self, event_id: str) -> int | None:
        """The instance that the record belongs to, controls included; None for benign and unknown records."""
        record = self.records.get(event_id)
        return None if record is None or record.instance not in self.intrusions else record.instance


def load(truth_dir: Path, event_ids: Collection[str], *, tenants: Collection[str] | None = None) -> Truth:
    """Read the truth.

    Args:
        truth_dir: The folder `truth` of a drill.
        event_ids: Records that are asked for.
        tenants: Tenants that the store was made to hold; None for all. What the others suffered counts for nothing.

    Raises:
        UsageError: A file or a column is missing, or a tenant is not in the drill.
    """
    rows = _rows(truth_dir, TRUTH_TENANT)
    known = {row["tenant_id"] for row in rows}
    unknown = sorted(set(tenants or ()) - known)
    if unknown:
        raise UsageError(place="tenants", value=unknown[0], expected=f"a tenant of the drill {truth_dir}")
    wanted = known if tenants is None else set(tenants)
    is_wanted = ds.field("tenant_id").isin(pa.array(sorted(wanted), pa.string()))
    streams = _streams(truth_dir)
    intrusions = {row["instance"]: _intrusion(row) for row in _rows(truth_dir, TRUTH_ATTACK, is_wanted)}
    messages = [row for row in _rows(truth_dir, TRUTH_MESSAGE, is_wanted) if row["instance"] in intrusions]
    return Truth(
        tenants={row["tenant_id"]: _tenant(row, streams) for row in rows if row["tenant_id"] in wanted},
        intrusions=intrusions,
        records=_records(truth_dir, event_ids),
        messages=tuple(_message(row) for row in messages),
        mailbox_keys={row["mailbox_upn"]: row["mailbox_key"] for row in messages if row["mailbox_upn"]},
    )


def require(truth_dir: Path) -> None:
    """Refuse a folder that holds no truth.

    Raises:
        UsageError: A file or a column is missing.
    """
    for table in (TRUTH_TENANT, TRUTH_ATTACK, TRUTH_MESSAGE, TRUTH_RECORD):
        _dataset(truth_dir, table, table.names)


def _dataset(truth_dir: Path, table: Table, columns: Iterable[str]) -> ds.Dataset:
    path = truth_dir / f"{table.name}.parquet"
    if not path.is_file():
        raise UsageError(place=str(path), expected="a file of a drill's truth")
    found = ds.dataset(path, format="parquet")
    missing = [name for name in columns if name not in found.schema.names]
    if missing:
        raise UsageError(
            place=str(path), value=missing[0], expected="a drill made by this version; a column is missing"
        )
    return found


def _rows(truth_dir: Path, table: Table, where: ds.Expression | None = None) -> list[Row]:
    found = _dataset(truth_dir, table, table.names)
    rows: list[Row] = found.to_table(columns=list(table.names), filter=where).to_pylist()
    return rows


def _streams(truth_dir: Path) -> dict[str, set[str]]:
    """Per tenant, the streams of which any record was delivered."""
    _dataset(truth_dir, TRUTH_RECORD, TRUTH_RECORD.names)
    found: dict[str, set[str]] = {}
    with pq.ParquetFile(truth_dir / f"{TRUTH_RECORD.name}.parquet") as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=["tenant_id", "stream"]):
            pairs = pa.Table.from_batches([batch]).group_by(["tenant_id", "stream"]).aggregate([])
            for row in pairs.to_pylist():
                found.setdefault(row["tenant_id"], set()).add(row["stream"])
    return found


def _tenant(row: Row, streams: dict[str, set[str]]) -> TenantTruth:
    return TenantTruth(
        tenant_id=row["tenant_id"],
        logs=row["logs"],
        log_epoch=row["log_epoch"],
        mailboxes=row["mailboxes"],
        mailbox_weeks=row["mailbox_weeks"],
        ends_at=row["ends_at"],
        scoring_from=row["starts_at"] + dt.timedelta(days=row["warm_up_days"]),
        streams=frozenset(streams.get(row["tenant_id"], ())),
    )


def _intrusion(row: Row) -> Intrusion:
    return Intrusion(
        instance=row["instance"],
        tenant_id=row["tenant_id"],
        attack_id=row["attack_id"],
        title=row["title"],
        stealth=row["stealth"],
        campaign=row["campaign"],
        first_record_at=row["first_record_at"],
        first_available_at=row["first_available_at"],
        mailbox_keys=frozenset(row["mailbox_keys"] or ()),
        is_observable=bool(row["is_observable"]),
    )


def _records(truth_dir: Path, event_ids: Collection[str]) -> dict[str, RecordTruth]:
    names = ("tenant_id", "event_id", "available_at", "actor_kind", "instance")
    found = _dataset(truth_dir, TRUTH_RECORD, names)
    asked = ds.field("event_id").isin(pa.array(sorted(event_ids), pa.string()))
    records: dict[str, RecordTruth] = {}
    for row in found.to_table(columns=list(names), filter=asked).to_pylist():
        before = records.get(row["event_id"])
        # One record can be given in two streams: it is known from the first on.
        if before is not None and not _is_earlier(row["available_at"], before.available_at):
            continue
        records[row["event_id"]] = RecordTruth(
            tenant_id=row["tenant_id"],
            available_at=row["available_at"],
            actor_kind=row["actor_kind"],
            instance=row["instance"],
        )
    return records


def _is_earlier(one: dt.datetime | None, other: dt.datetime | None) -> bool:
    return one is not None and (other is None or one < other)


def _message(row: Row) -> MessageTruth:
    return MessageTruth(
        instance=row["instance"],
        mailbox_key=row["mailbox_key"],
        internet_message_id=row["internet_message_id"],
        first_read_at=row["first_read_at"],
        is_sync=row["how"] == "sync" and row["event_id"] is None,
        is_shown=row["lost_to"] is None,
        is_throttled=row["lost_to"] == "throttled",
    )
