"""What an organisation's collector holds: its log lines in the order in which they arrived, and when each arrived.

The drill's emitter writes the days as for any tenant; here its files are put into one file per log, a record a line,
as a collector that asks every hour leaves them. A line can be read from the full hour after it was delivered.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from brokenseal.drill import tables, truth
from brokenseal.drill._pipeline import run_days
from brokenseal.drill._replay_campaign import STORM, day_of, first_day
from brokenseal.drill.roster import roster_of
from brokenseal.drill.tables import HOUR_US, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from brokenseal.drill._pipeline import Stage, Written
    from brokenseal.drill._replay_campaign import Campaign, Organisation

AUDIT: Final = "audit.jsonl"
"""Bare audit records, as the Office 365 Management Activity API gives them."""
SIGN_INS: Final = "sign-ins.jsonl"
"""Sign-ins, as Microsoft Graph gives them."""
ARRIVALS: Final = "arrivals.json"

_BLOB_MINUTES: Final = 1440
_LONGEST_CELL: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Folders of one organisation: `collected` and `truth`, and `store` once its logs were read."""

    root: Path

    @property
    def collected(self) -> Path:
        """Its log lines in order of arrival."""
        return self.root / "collected"

    @property
    def truth(self) -> Path:
        """What really happened, as `score.observe` takes it."""
        return self.root / "truth"

    @property
    def store(self) -> Path:
        """The store of what was read of it."""
        return self.root / "store"


class _Id(msgspec.Struct):
    id: str


def collect(stage: Stage, campaign: Campaign, organisation: Organisation, place: Place) -> None:
    """Write an organisation's logs and their truth.

    Args:
        stage: As `_replay_campaign.scene_of` sets it.
        campaign: The case.
        organisation: The organisation.
        place: Where to; `place.root` exists.

    Raises:
        OSError: As writing files does.
    """
    tenant = stage.tenant
    from_day, until_day = first_day(tenant, campaign, organisation), day_of(tenant, campaign.ends)
    staged = place.root / "staged"
    lines: dict[str, list[tuple[int, bytes]]] = {AUDIT: [], SIGN_INS: []}
    done: dict[str, list[pa.Table]] = {}
    for day in run_days(stage, staged, from_day=from_day, until_day=until_day, blob_minutes=_BLOB_MINUTES):
        arrives = _arrivals(day)
        for name, event_id, line in _lines(staged):
            lines[name].append((arrives[event_id], line))
        shutil.rmtree(staged, ignore_errors=True)
        for name, table in day.truth.parts().items():
            done.setdefault(name, []).append(table)
    _write_lines(place.collected, lines)
    _write_truth(
        stage, campaign, organisation, place.truth, {name: pa.concat_tables(all_) for name, all_ in done.items()}
    )


def _arrivals(day: Written) -> dict[str, int]:
    """When each line of a day could first be read, by event id."""
    records = day.truth.records
    ids = records.column("event_id").to_pylist()
    return dict(zip(ids, numbers(records, "available_at").tolist(), strict=True))


def _lines(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """File, event id and text of every line that the emitter wrote of a day."""
    csv.field_size_limit(_LONGEST_CELL)
    for path in sorted(folder.glob("purview/*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            header = next(rows)
            identifier, payload = header.index("RecordId"), header.index("AuditData")
            for row in rows:
                yield AUDIT, row[identifier].lower(), row[payload].encode()
    for path in sorted(folder.glob("sign-ins/*.json")):
        for one in msgspec.json.decode(path.read_bytes(), type=list[msgspec.Raw]):
            line = bytes(one)
            yield SIGN_INS, f"signin:{msgspec.json.decode(line, type=_Id).id.lower()}", line


def _write_lines(folder: Path, lines: dict[str, list[tuple[int, bytes]]]) -> None:
    folder.mkdir()
    hours: dict[str, list[list[int]]] = {}
    for name, some in lines.items():
        some.sort(key=lambda one: one[0])
        at = np.array([moment for moment, _ in some], dtype=np.int64)
        readable, first = np.unique(-(-at // HOUR_US), return_index=True)
        counts = np.append(first[1:], len(at))[: len(first)]
        hours[name] = [[int(hour), int(count)] for hour, count in zip(readable, counts, strict=True)]
        if some:
            (folder / name).write_bytes(b"\n".join(line for _, line in some) + b"\n")
    (folder / ARRIVALS).write_text(json.dumps(hours) + "\n", encoding="utf-8")


def arrivals_of(folder: Path) -> dict[str, npt.NDArray[np.int64]]:
    """Per file, rows of (hour since 1970 from which lines can be read, how many lines can be read then)."""
    found = json.loads((folder / ARRIVALS).read_text(encoding="utf-8"))
    return {name: np.array(rows, dtype=np.int64).reshape(-1, 2) for name, rows in found.items()}


# ---------------------------------------------------------------- truth


def _write_truth(
    stage: Stage, campaign: Campaign, organisation: Organisation, folder: Path, parts: dict[str, pa.Table]
) -> None:
    folder.mkdir()
    tenant = stage.tenant
    rosters = {tenant.tenant_no: roster_of(tenant, day_of(tenant, campaign.ends) - 1)}
    records = parts["records"]
    messages = truth.messages_read(parts["reads"], rosters)
    instance = truth.Instance(
        instance=organisation.number,
        tenant_no=tenant.tenant_no,
        attack=STORM,
        stealth=stage.casts[0].stealth,
        knobs=stage.plans[0].knobs,
    )
    attacks = truth.attack_rows(
        [instance],
        visits=parts["visits"],
        records=records.filter(pc.is_valid(records.column("instance"))),
        messages=messages,
        rosters=rosters,
    )
    written = (
        (tables.TRUTH_TENANT, _tenant_row(stage, campaign, organisation)),
        (tables.TRUTH_RECORD, records),
        (tables.TRUTH_WITHHELD, parts["withheld"]),
        (tables.TRUTH_TOKEN, parts["tokens"]),
        (tables.TRUTH_MESSAGE, messages),
        (tables.TRUTH_ATTACK, attacks),
    )
    for table, rows in written:
        pq.write_table(rows.cast(table.arrow_schema()), folder / f"{table.name}.parquet", compression="zstd")


def _tenant_row(stage: Stage, campaign: Campaign, organisation: Organisation) -> pa.Table:
    tenant = stage.tenant
    starts = first_day(tenant, campaign, organisation)
    watched = day_of(tenant, campaign.ends) - starts - campaign.history_days
    values: dict[str, Any] = {
        "tenant_id": [tenant.tenant_id],
        "tenant_no": [tenant.tenant_no],
        "name": [tenant.name],
        "mailboxes": [len(tenant.mailboxes)],
        "starts_at": np.array([tenant.day_starts_us(starts)], dtype=np.int64),
        "ends_at": np.array([stage.law.ends_us], dtype=np.int64),
        "mailbox_weeks": [len(tenant.mailboxes) * watched / 7],
        "warm_up_days": campaign.history_days,
        "logs": "full",
        "log_epoch": [tenant.parameters.log_epoch],
        "unlogged_classes": [list(tenant.unlogged_classes)],
        "parameters": [json.dumps(tenant.parameters.as_dict(), sort_keys=True)],
    }
    return tables.build(tables.TRUTH_TENANT, 1, values)
