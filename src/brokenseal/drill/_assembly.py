"""Putting a drill together: the truth of all days and tenants, and the manifest.

One tenant is held at a time, so that memory does not grow with the number of tenants.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import brokenseal
from brokenseal.drill import tables, truth
from brokenseal.drill._blocks import part_path
from brokenseal.drill._casting import casts_of, tenant_of
from brokenseal.drill._parquet import Writer
from brokenseal.drill._pipeline import attack_of
from brokenseal.drill.roster import roster_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from brokenseal.drill._blocks import Done
    from brokenseal.drill.delivery import Law
    from brokenseal.drill.generate import DrillSettings
    from brokenseal.drill.world import Tenant

_FORMAT: Final = 1


def assemble(settings: DrillSettings, part: Path, done: Sequence[Done]) -> None:
    """Write `truth/*.parquet` and `manifest.json` from what the days left below `part`.

    Raises:
        OSError: As writing files does.
    """
    folder = part / "truth"
    instances = _instances(settings, done)
    entries = []
    with contextlib.ExitStack() as files:
        writers = {
            table.name: files.enter_context(Writer(folder / f"{table.name}.parquet", table.arrow_schema()))
            for table in tables.TRUTH_TABLES
        }
        attacks = []
        for tenant_no in range(settings.tenants):
            tenant, law = tenant_of(settings, tenant_no)
            own = [one for one in instances if one.tenant_no == tenant_no]
            attacks.append(_tenant_truth(settings, part, tenant, own, writers))
            writers["tenants"].add(_tenant_row(settings, tenant, law))
            entries.append(_tenant_entry(tenant, law, sum(one.lines for one in done if one.tenant_no == tenant_no)))
        writers["attacks"].add(pa.concat_tables(attacks).sort_by("instance"))
        counts = {name: writer.rows for name, writer in writers.items()}
    shutil.rmtree(folder / "parts")
    manifest = _manifest(settings, entries, instances, counts)
    (part / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _tenant_truth(
    settings: DrillSettings,
    part: Path,
    tenant: Tenant,
    instances: Sequence[truth.Instance],
    writers: Mapping[str, Writer],
) -> pa.Table:
    """Write one tenant's truth but for its attacks, which it returns."""

    def days(name: str) -> Iterator[pa.Table]:
        for day in range(settings.days):
            yield pq.read_table(part_path(part, name, tenant.tenant_no, day))

    roster = roster_of(tenant, settings.days - 1)
    attacked = [tables.empty(tables.TRUTH_RECORD)]
    for rows in days("records"):
        attacked.append(rows.filter(pc.is_valid(rows.column("instance"))))
        writers["records"].add(rows)
    for name in ("withheld", "tokens"):
        for rows in days(name):
            writers[name].add(rows)
    rosters = {tenant.tenant_no: roster}
    messages = truth.messages_read(pa.concat_tables(days("reads")), rosters)
    writers["messages"].add(messages)
    return truth.attack_rows(
        instances,
        visits=pa.concat_tables(days("visits")),
        records=pa.concat_tables(attacked),
        messages=messages,
        rosters=rosters,
    )


def _instances(settings: DrillSettings, done: Sequence[Done]) -> list[truth.Instance]:
    """All instances, by number."""
    knobs = {number: drawn for one in done for number, drawn in one.knobs.items()}
    found = [
        truth.Instance(
            instance=cast.instance,
            tenant_no=tenant_no,
            attack=attack_of(cast.attack_id),
            stealth=cast.stealth,
            campaign=cast.campaign,
            knobs=knobs[cast.instance],
        )
        for tenant_no, casts in casts_of(settings).items()
        for cast in casts
    ]
    return sorted(found, key=lambda one: one.instance)


def _tenant_row(settings: DrillSettings, tenant: Tenant, law: Law) -> pa.Table:
    values: dict[str, Any] = {
        "tenant_id": [tenant.tenant_id],
        "tenant_no": [tenant.tenant_no],
        "name": [tenant.name],
        "mailboxes": [len(tenant.mailboxes)],
        "starts_at": np.array([tenant.epoch_us], dtype=np.int64),
        "ends_at": np.array([law.ends_us], dtype=np.int64),
        "mailbox_weeks": [len(tenant.mailboxes) * (settings.days - settings.scored_from_day) / 7],
        "warm_up_days": settings.scored_from_day,
        "logs": settings.logs,
        "log_epoch": [tenant.parameters.log_epoch],
        "unlogged_classes": [list(tenant.unlogged_classes)],
        "parameters": [json.dumps(tenant.parameters.as_dict(), sort_keys=True)],
    }
    return tables.build(tables.TRUTH_TENANT, 1, values)


def _manifest(
    settings: DrillSettings,
    tenants: Sequence[Mapping[str, Any]],
    instances: Sequence[truth.Instance],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "simulated": True,
        "generator": "full",
        "format": _FORMAT,
        "versions": {"brokenseal": brokenseal.__version__, "numpy": np.__version__, "pyarrow": pa.__version__},
        "seed": settings.seed,
        "prior": {
            "name": settings.prior.name,
            "spans": {name: [span.low, span.high] for name, span in settings.prior.spans.items()},
        },
        "days": settings.days,
        "warm_up_days": settings.scored_from_day,
        "epoch": settings.epoch.isoformat(),
        "logs": settings.logs,
        "shape": settings.shape,
        "blob_minutes": settings.blob_minutes,
        "tenants": list(tenants),
        "attacks": [
            {
                "instance": one.instance,
                "id": one.attack.id,
                "title": one.attack.title,
                "tenant_no": one.tenant_no,
                "stealth": one.stealth,
                "campaign": one.campaign,
                "techniques": list(one.attack.techniques),
                "tells": list(one.attack.tells),
                "knobs": dict(one.knobs),
            }
            for one in instances
        ],
        "truth_rows": dict(counts),
    }


def _tenant_entry(tenant: Tenant, law: Law, lines: int) -> dict[str, Any]:
    return {
        "tenant_no": tenant.tenant_no,
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "folder": tenant.domain,
        "parameters": tenant.parameters.as_dict(),
        "withheld_streams": sorted(law.withheld),
        "gaps": [list(gap) for gap in law.gaps],
        "lines_written": lines,
    }
