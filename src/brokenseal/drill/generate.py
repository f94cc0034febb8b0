"""Write a drill: tenants, days, exports and truth, the same bytes for the same seed, however many processes write.

A drill is written next to its place and put there when it is complete; whatever goes wrong leaves nothing behind.
Everything in it is *simulated*.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime as dt
import errno
import itertools
import json
import multiprocessing
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import brokenseal
from brokenseal.drill import priors, streams, tables, truth
from brokenseal.drill._pipeline import Cast, Stage, attack_of, run_days, set_stage
from brokenseal.drill.attacks import ATTACKS
from brokenseal.drill.delivery import LOGS, SHAPES, delivery_law
from brokenseal.drill.roster import roster_of
from brokenseal.drill.world import build_tenant, monday_of
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from brokenseal.drill.delivery import Law
    from brokenseal.drill.world import Tenant

DEFAULT_EPOCH: Final = dt.date(2026, 1, 5)
"""First day of a drill unless told otherwise: a Monday."""

LONGEST_DAYS: Final = 365
_SHORTEST_DAYS: Final = 7
_MOST_TENANTS: Final = 500
_WARM_UP_DAYS: Final = 56
_CAMPAIGN_TENANTS: Final = 20
_FORMAT: Final = 1
_HIGHEST_STEALTH: Final = 4


class Order(NamedTuple):
    """Instances of one attack that a drill must hold; stealth 0 is drawn per instance."""

    attack_id: str
    stealth: int = 0
    instances: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSettings:
    """What to generate.

    Attributes:
        output: Folder of the drill; absent or empty.
        tenants: Number of tenants.
        mailboxes: Mailboxes of each tenant; None to draw them from the prior.
        days: Length in days.
        seed: Seed.
        prior: Where tenants are drawn from.
        attacks: What attacks it holds.
        logs: One of `delivery.LOGS`.
        shape: One of `delivery.SHAPES`.
        processes: Processes that write; the bytes do not depend on it.
        blob_minutes: Minutes that one blob of the Management Activity API spans.
        epoch: First day, a Monday.
        warm_up_days: Days before attacks begin; None for 56, or two thirds of a shorter drill.
        progress: Called with the days done and the days in all.
    """

    output: Path
    tenants: int = 3
    mailboxes: int | None = 250
    days: int = 84
    seed: int = 7
    prior: priors.Prior = priors.TRAIN
    attacks: tuple[Order, ...] = ()
    logs: str = "full"
    shape: str = "mixed"
    processes: int = 1
    blob_minutes: int = 360
    epoch: dt.date = DEFAULT_EPOCH
    warm_up_days: int | None = None
    progress: Callable[[int, int], None] | None = field(default=None, compare=False)

    @property
    def scored_from_day(self) -> int:
        """First day after the warm-up."""
        return min(_WARM_UP_DAYS, self.days * 2 // 3) if self.warm_up_days is None else self.warm_up_days


_ORDER = re.compile(r"(A0g|A0n|A\d{1,2})(?::([1-4]))?(?:\*(\d{1,4}))?", re.IGNORECASE)


def parse_order(text: str) -> Order:
    """An attack as asked for on the command line: `A1`, `A1:3` (stealth 3), `A1:3*5` (five of these).

    Raises:
        UsageError: No such attack, stealth or number.
    """
    found = _ORDER.fullmatch(text.strip())
    ids = {attack.id.lower(): attack for attack in ATTACKS}
    attack = ids.get(found[1].lower()) if found else None
    if found is None or attack is None or int(found[3] or 1) < 1:
        names = ", ".join(one.id for one in ATTACKS)
        raise UsageError(place="attack", value=text, expected=f"ID, ID:STEALTH or ID:STEALTH*COUNT; ID one of {names}")
    return Order(attack.id, int(found[2] or 0), int(found[3] or 1))


def check(settings: DrillSettings) -> None:
    """Refuse settings that make no drill.

    Raises:
        UsageError: A value is impossible, or the output folder holds something.
    """
    limits: tuple[tuple[str, float, float, float], ...] = (
        ("tenants", settings.tenants, 1, _MOST_TENANTS),
        ("days", settings.days, _SHORTEST_DAYS, LONGEST_DAYS),
        ("seed", settings.seed, 0, 2**63 - 1),
        ("processes", settings.processes, 1, 64),
        ("blob minutes", settings.blob_minutes, 1, 1440),
        ("warm-up days", settings.scored_from_day, 0, settings.days - 1),
    )
    for place, value, low, high in limits:
        if not low <= value <= high:
            raise UsageError(place=place, value=value, expected=f"a number from {low:g} to {high:g}")
    for place, word, known in (("logs", settings.logs, LOGS), ("shape", settings.shape, SHAPES)):
        if word not in known:
            raise UsageError(place=place, value=word, expected=f"one of {', '.join(known)}")
    if settings.mailboxes is not None:
        priors.draw(settings.prior, streams.stream(0), mailboxes=settings.mailboxes)
    monday_of(settings.epoch)
    for order in settings.attacks:
        if order.attack_id not in {attack.id for attack in ATTACKS} or not 0 <= order.stealth <= _HIGHEST_STEALTH:
            raise UsageError(place="attack", value=order, expected="an attack of the library, stealth 1 to 4")
    if settings.output.exists() and (not settings.output.is_dir() or any(settings.output.iterdir())):
        raise UsageError(place=str(settings.output), expected="a folder that is absent or empty")


# ---------------------------------------------------------------- who plays where


def casts_of(settings: DrillSettings) -> dict[int, tuple[Cast, ...]]:
    """The attack instances of each tenant.

    Instances go round the tenants in an order drawn by the seed; a campaign plays in up to twenty tenants, an instance
    in each.
    """
    rng = streams.stream(settings.seed, "casts")
    order = rng.permutation(settings.tenants).tolist()
    found: dict[int, list[Cast]] = {number: [] for number in range(settings.tenants)}
    instance, turn = 0, 0
    for wanted in settings.attacks:
        attack = attack_of(wanted.attack_id)
        for _ in range(wanted.instances):
            stealth = 0 if attack.is_control else wanted.stealth or int(rng.integers(1, _HIGHEST_STEALTH + 1))
            places = order[:_CAMPAIGN_TENANTS] if attack.is_campaign else [order[turn % len(order)]]
            turn += 1
            for tenant_no in places:
                found[tenant_no].append(Cast(instance, attack.id, stealth))
                instance += 1
    return {number: tuple(casts) for number, casts in found.items()}


def tenant_of(settings: DrillSettings, tenant_no: int) -> tuple[Tenant, Law]:
    """One tenant of the drill and its delivery."""
    rng = streams.stream(settings.seed, "tenant", tenant_no, "parameters")
    parameters = priors.draw(settings.prior, rng, mailboxes=settings.mailboxes)
    tenant = build_tenant(parameters, seed=settings.seed, tenant_no=tenant_no, epoch=settings.epoch)
    law = delivery_law(
        parameters,
        seed=settings.seed,
        tenant_no=tenant_no,
        logs=settings.logs,
        shape=settings.shape,
        starts_us=tenant.epoch_us,
        days=settings.days,
    )
    return tenant, law


# ---------------------------------------------------------------- generate


def generate(settings: DrillSettings) -> None:
    """Write the drill: `exports/` by tenant, `truth/` as Parquet, and `manifest.json`.

    Raises:
        UsageError: The settings are impossible, the output folder holds something, or it cannot be written (a full
            disk); nothing is left behind then.
    """
    check(settings)
    part = settings.output.with_name(f"{settings.output.name}.part")
    try:
        if part.exists():
            shutil.rmtree(part)
        (part / "truth" / "parts").mkdir(parents=True)
        done = _write_blocks(settings, part)
        _finish(settings, part, done)
        if settings.output.exists():
            settings.output.rmdir()
        part.rename(settings.output)
    except OSError as error:
        words = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise UsageError(
            place=str(settings.output), value=words, expected="a folder with room for the drill"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(part)


class Block(NamedTuple):
    """Days of one tenant that one process writes in a row."""

    tenant_no: int
    from_day: int
    until_day: int


class _Done(NamedTuple):
    """What a block wrote: lines, copies included, and what was drawn for each attack instance of the tenant."""

    tenant_no: int
    lines: int
    knobs: Mapping[int, Mapping[str, object]]


def blocks_of(settings: DrillSettings) -> list[Block]:
    """The blocks: whole tenants, split where there are fewer of them than processes."""
    pieces = -(-settings.processes // settings.tenants)
    edges = np.linspace(0, settings.days, pieces + 1).astype(int).tolist()
    return [
        Block(tenant_no, start, stop)
        for tenant_no in range(settings.tenants)
        for start, stop in itertools.pairwise(edges)
        if stop > start
    ]


def _write_blocks(settings: DrillSettings, part: Path) -> list[_Done]:
    blocks = blocks_of(settings)
    if settings.processes == 1:
        return [_write_block(settings, part, block) for block in blocks]
    # The callable of the progress stays here: it may not survive the way to another process.
    plain = DrillSettings(**{name: getattr(settings, name) for name in _FIELDS if name != "progress"})
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(min(settings.processes, len(blocks)), mp_context=context) as pool:
        futures = [pool.submit(_write_block, plain, part, block) for block in blocks]
        try:
            days = sum(block.until_day - block.from_day for block in blocks)
            finished = 0
            for future in concurrent.futures.as_completed(futures):
                future.result()
                block = blocks[futures.index(future)]
                finished += block.until_day - block.from_day
                if settings.progress is not None:
                    settings.progress(finished, days)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


_FIELDS: Final = tuple(DrillSettings.__dataclass_fields__)


def _stage(settings: DrillSettings, tenant_no: int) -> Stage:
    tenant, law = tenant_of(settings, tenant_no)
    casts = casts_of(settings)[tenant_no]
    return set_stage(tenant, law, casts, from_day=settings.scored_from_day, until_day=settings.days)


def _folder(part: Path, tenant: Tenant) -> Path:
    return part / "exports" / tenant.domain


def _write_block(settings: DrillSettings, part: Path, block: Block) -> _Done:
    pa.set_cpu_count(1)  # processes are the unit of parallel work, and results must not depend on threads
    stage = _stage(settings, block.tenant_no)
    lines = 0
    written = run_days(
        stage,
        _folder(part, stage.tenant),
        from_day=block.from_day,
        until_day=block.until_day,
        blob_minutes=settings.blob_minutes,
    )
    for day in written:
        lines += day.lines
        for name, table in day.truth.parts().items():
            pq.write_table(table, _part(part, name, block.tenant_no, day.day), compression="lz4")
        if settings.progress is not None:
            settings.progress(block.tenant_no * settings.days + day.day + 1, settings.tenants * settings.days)
    knobs = {cast.instance: plan.knobs for cast, plan in zip(stage.casts, stage.plans, strict=True)}
    return _Done(block.tenant_no, lines, knobs)


def _part(part: Path, name: str, tenant_no: int, day: int) -> Path:
    return part / "truth" / "parts" / f"{name}-{tenant_no:04d}-{day:04d}.parquet"


# ---------------------------------------------------------------- putting it together


def _days(settings: DrillSettings, part: Path, name: str) -> Iterator[pa.Table]:
    for tenant_no in range(settings.tenants):
        for day in range(settings.days):
            yield pq.read_table(_part(part, name, tenant_no, day))


class _Attacked:
    """Passes tables through and keeps the rows of attacks."""

    def __init__(self) -> None:
        self._kept: list[pa.Table] = []

    def watch(self, parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The same tables."""
        for part in parts:
            self._kept.append(part.filter(pc.is_valid(part.column("instance"))))
            yield part

    def rows(self, schema: pa.Schema) -> pa.Table:
        """The rows kept."""
        return pa.concat_tables([schema.empty_table(), *self._kept])


def _finish(settings: DrillSettings, part: Path, done: list[_Done]) -> None:
    folder = part / "truth"
    tenants = {number: tenant_of(settings, number) for number in range(settings.tenants)}
    rosters = {number: roster_of(tenant, settings.days - 1) for number, (tenant, _) in tenants.items()}
    attacked = _Attacked()
    schema = tables.TRUTH_RECORD.arrow_schema()
    counts = {
        "records": truth.write_parquet(
            folder / "records.parquet", attacked.watch(_days(settings, part, "records")), schema
        )
    }
    for table in (tables.TRUTH_WITHHELD, tables.TRUTH_TOKEN):
        path = folder / f"{table.name}.parquet"
        counts[table.name] = truth.write_parquet(path, _days(settings, part, table.name), table.arrow_schema())
    reads = pa.concat_tables(_days(settings, part, "reads"))
    visits = pa.concat_tables(_days(settings, part, "visits"))
    messages = truth.messages_read(reads, rosters)
    instances = sorted(_instances(settings, done), key=lambda one: one.instance)
    attacks = truth.attack_rows(
        instances, visits=visits, records=attacked.rows(schema), messages=messages, rosters=rosters
    )
    for table, rows in (
        (tables.TRUTH_MESSAGE, messages),
        (tables.TRUTH_ATTACK, attacks),
        (tables.TRUTH_TENANT, _tenant_rows(settings, tenants)),
    ):
        counts[table.name] = truth.write_parquet(folder / f"{table.name}.parquet", iter([rows]), table.arrow_schema())
    shutil.rmtree(folder / "parts")
    manifest = _manifest(settings, tenants, instances, done, counts)
    (part / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _instances(settings: DrillSettings, done: Sequence[_Done]) -> list[truth.Instance]:
    knobs = {number: drawn for one in done for number, drawn in one.knobs.items()}
    return [
        truth.Instance(
            instance=cast.instance,
            tenant_no=tenant_no,
            attack=attack_of(cast.attack_id),
            stealth=cast.stealth,
            knobs=knobs[cast.instance],
        )
        for tenant_no, casts in casts_of(settings).items()
        for cast in casts
    ]


def _tenant_rows(settings: DrillSettings, tenants: Mapping[int, tuple[Tenant, Law]]) -> pa.Table:
    weeks = (settings.days - settings.scored_from_day) / 7
    starts = [tenant.epoch_us for tenant, _ in tenants.values()]
    mailboxes = [len(tenant.mailboxes) for tenant, _ in tenants.values()]
    values: dict[str, Any] = {
        "tenant_id": [tenant.tenant_id for tenant, _ in tenants.values()],
        "tenant_no": list(tenants),
        "name": [tenant.name for tenant, _ in tenants.values()],
        "mailboxes": mailboxes,
        "starts_at": np.array(starts, dtype=np.int64),
        "ends_at": np.array([law.ends_us for _, law in tenants.values()], dtype=np.int64),
        "mailbox_weeks": [count * weeks for count in mailboxes],
        "warm_up_days": settings.scored_from_day,
        "logs": settings.logs,
        "log_epoch": [tenant.parameters.log_epoch for tenant, _ in tenants.values()],
        "unlogged_classes": [list(tenant.unlogged_classes) for tenant, _ in tenants.values()],
        "parameters": [json.dumps(tenant.parameters.as_dict(), sort_keys=True) for tenant, _ in tenants.values()],
    }
    return tables.build(tables.TRUTH_TENANT, len(tenants), values)


def _manifest(
    settings: DrillSettings,
    tenants: Mapping[int, tuple[Tenant, Law]],
    instances: Sequence[truth.Instance],
    done: Sequence[_Done],
    counts: Mapping[str, int],
) -> dict[str, Any]:
    lines = {number: sum(one.lines for one in done if one.tenant_no == number) for number in tenants}
    return {
        "simulated": True,
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
        "tenants": [_tenant_entry(tenant, law, lines[number]) for number, (tenant, law) in tenants.items()],
        "attacks": [
            {
                "instance": one.instance,
                "id": one.attack.id,
                "title": one.attack.title,
                "tenant_no": one.tenant_no,
                "stealth": one.stealth,
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
