"""Simulated tenants in stores of their own, for what is counted over many of them.

    order ─ generate ─▶ exports, truth ─ ingest ─▶ store          one folder a tenant; the exports are thrown away

What is there complete is used again, so that detectors can be counted anew without simulating anything anew.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from brokenseal import __version__
from brokenseal.drill import generate
from brokenseal.drill._processes import run_all
from brokenseal.drill.generate import DrillSettings
from brokenseal.drill.generate import Order as AttackOrder
from brokenseal.drill.priors import load_prior
from brokenseal.errors import UsageError
from brokenseal.ingest import ingest
from brokenseal.settings import Settings

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

__all__ = ["AttackOrder", "TenantOrder", "TenantRun", "prepare"]

_DIGITS: Final = 12
_NOTE: Final = "order.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOrder:
    """One simulated tenant.

    Attributes:
        seed: Seed; another one is another tenant.
        prior: What it is drawn from: a name or file as `priors.load_prior` takes it.
        mailboxes: Mailboxes; None to draw them from the prior.
        days: Length in days.
        warm_up_days: Days before attacks begin.
        attacks: What attacks it suffers.
        logs: One of `delivery.LOGS`.
    """

    seed: int
    prior: str
    mailboxes: int | None
    days: int
    warm_up_days: int
    attacks: tuple[AttackOrder, ...] = ()
    logs: str = "full"

    @property
    def name(self) -> str:
        """Folder of its run: equal for equal orders to the same version of the product."""
        prior = load_prior(self.prior)
        spans = {name: [span.low, span.high] for name, span in sorted(prior.spans.items())}
        content = json.dumps({"order": asdict(self), "spans": spans, "version": __version__}, sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
        return f"{prior.name}-{self.seed}-{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRun:
    """A tenant that was simulated and ingested."""

    order: TenantOrder
    folder: Path

    @property
    def truth(self) -> Path:
        """What really happened."""
        return self.folder / "truth"

    @property
    def store(self) -> Path:
        """Its records, ingested."""
        return self.folder / "store"


def prepare(
    orders: Sequence[TenantOrder],
    work_dir: Path,
    *,
    processes: int = 2,
    now: dt.datetime,
    tell: Callable[[int, int], None] | None = None,
) -> list[TenantRun]:
    """Simulate and ingest what is not there yet.

    Args:
        orders: Tenants, in any order; equal ones are simulated once.
        work_dir: Folder of the runs, made where there is none.
        processes: Tenants at a time.
        now: Time of the ingest, aware.
        tell: Called with the tenants that are there and all that are wanted.

    Returns: One run per order, in their order.

    Raises:
        UsageError: An order is impossible, or the folder cannot be written.
    """
    runs = [TenantRun(order=order, folder=work_dir / order.name) for order in orders]
    wanted = {run.folder: run.order for run in runs}
    missing = [(order, folder, now) for folder, order in wanted.items() if not folder.is_dir()]
    for order, folder, _ in missing:
        generate.check(_settings(order, folder))
    _make(work_dir)

    def tick() -> None:
        if tell is not None:
            tell(sum(folder.is_dir() for folder in wanted), len(wanted))

    if processes == 1 or len(missing) == 1:
        for arguments in missing:
            _run(*arguments)
            tick()
    elif missing:
        run_all(_run, missing, processes=processes, place=str(work_dir), tick=tick)
    return runs


def _make(work_dir: Path) -> None:
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(place=str(work_dir), value=error.strerror, expected="a folder that can be written") from error


def _settings(order: TenantOrder, output: Path) -> DrillSettings:
    return DrillSettings(
        output=output,
        tenants=1,
        mailboxes=order.mailboxes,
        days=order.days,
        seed=order.seed,
        prior=load_prior(order.prior),
        attacks=order.attacks,
        logs=order.logs,
        shape="portal",
        processes=1,
        warm_up_days=order.warm_up_days,
    )


def _run(order: TenantOrder, folder: Path, now: dt.datetime) -> None:
    """Write one run next to its place, and put it there when it is complete."""
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write(order, part, now)
            _put(part / "run", folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise UsageError(
            place=str(folder), value=error.strerror or str(error), expected="a folder that can be written, with room"
        ) from error


def _put(run: Path, folder: Path) -> None:
    try:
        run.rename(folder)
    except OSError as error:
        # Another process that was asked for the same tenant was faster.
        if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
            raise


def _write(order: TenantOrder, part: Path, now: dt.datetime) -> None:
    drill, run = part / "drill", part / "run"
    run.mkdir()
    generate.generate(_settings(order, drill))
    shutil.move(drill / "truth", run / "truth")
    settings = Settings(store_dir=run / "store")
    # Several tenants are prepared at a time: each takes a share of the processor.
    ingest([drill / "exports"], replace(settings, threads=1), now=now)
    shutil.rmtree(drill)
    note = {"simulated": True, "product_version": __version__, **asdict(order)}
    (run / _NOTE).write_text(json.dumps(note, indent=1, sort_keys=True) + "\n", encoding="utf-8")
