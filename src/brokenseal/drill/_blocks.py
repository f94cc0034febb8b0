"""The days of a drill, written by one process or several: the bytes do not depend on how many."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from brokenseal.drill._casting import stage_of
from brokenseal.drill._pipeline import run_days
from brokenseal.drill._processes import run_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from brokenseal.drill.generate import DrillSettings

_FIRST_PART: Final = "records"
# With so many blocks for each process, the last one of them makes nobody wait for long.
_MANY: Final = 4


class Block(NamedTuple):
    """Days of one tenant that one process writes in a row."""

    tenant_no: int
    from_day: int
    until_day: int


class Done(NamedTuple):
    """What a block wrote: lines, copies included, and what was drawn for each attack instance of the tenant."""

    tenant_no: int
    lines: int
    knobs: Mapping[int, Mapping[str, object]]


def blocks_of(settings: DrillSettings) -> list[Block]:
    """The blocks: whole tenants, split where few of them would keep some processes waiting for others."""
    pieces = next(
        number
        for number in itertools.count(1)
        if not settings.tenants * number % settings.processes or settings.tenants * number >= _MANY * settings.processes
    )
    edges = np.linspace(0, settings.days, pieces + 1).astype(int).tolist()
    return [
        Block(tenant_no, start, stop)
        for tenant_no in range(settings.tenants)
        for start, stop in itertools.pairwise(edges)
        if stop > start
    ]


def part_path(part: Path, name: str, tenant_no: int, day: int) -> Path:
    """Where the truth of one tenant and day waits until the drill is put together."""
    return part / "truth" / "parts" / f"{name}-{tenant_no:04d}-{day:04d}.parquet"


def write_blocks(settings: DrillSettings, part: Path) -> list[Done]:
    """Write every day's exports and truth below `part`.

    Raises:
        OSError: As writing files does.
        UsageError: A tenant or an attack cannot be made of these settings, or a process was ended from outside.
    """
    waiting = part / "truth" / "parts"
    waiting.mkdir(parents=True)
    blocks = blocks_of(settings)
    if settings.processes == 1:
        return [_write_block(settings, part, block) for block in blocks]
    tell, days, told = settings.progress, settings.tenants * settings.days, 0

    def tick() -> None:
        nonlocal told
        done = sum(path.name.startswith(_FIRST_PART) for path in waiting.iterdir())
        if tell is not None and done > told:
            tell(done, days)
            told = done

    # The callable of the progress stays here: it may not survive the way to another process.
    plain = dataclasses.replace(settings, progress=None)
    return run_all(
        _write_block,
        [(plain, part, block) for block in blocks],
        processes=settings.processes,
        place=str(settings.output),
        tick=tick,
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Processes are the unit of parallel work, and results must not depend on threads."""
    before = pa.cpu_count()
    pa.set_cpu_count(1)
    try:
        yield
    finally:
        pa.set_cpu_count(before)


@_one_thread()
def _write_block(settings: DrillSettings, part: Path, block: Block) -> Done:
    stage = stage_of(settings, block.tenant_no)
    lines = 0
    written = run_days(
        stage,
        part / "exports" / stage.tenant.domain,
        from_day=block.from_day,
        until_day=block.until_day,
        blob_minutes=settings.blob_minutes,
    )
    for day in written:
        lines += day.lines
        for name, table in day.truth.parts().items():
            pq.write_table(table, part_path(part, name, block.tenant_no, day.day), compression="lz4")
        if settings.progress is not None:
            settings.progress(block.tenant_no * settings.days + day.day + 1, settings.tenants * settings.days)
    knobs = {cast.instance: plan.knobs for cast, plan in zip(stage.casts, stage.plans, strict=True)}
    return Done(block.tenant_no, lines, knobs)
