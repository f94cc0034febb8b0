"""The second drill: the same settings, files and truth as the first, and nothing of its making. All is simulated."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import json
import multiprocessing
import shutil
from typing import TYPE_CHECKING, Final

import brokenseal
from brokenseal.drill._place import put_in_place
from brokenseal.drill.generate import DrillSettings, check
from brokenseal.drill.second_generator import books, intruders, tenant
from brokenseal.drill.second_generator.clock import SECOND
from brokenseal.drill.second_generator.dice import Dice
from brokenseal.drill.second_generator.intruders import Cast
from brokenseal.drill.second_generator.tenant import Order
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from brokenseal.drill.second_generator.tenant import Lived

_FORMAT: Final = 1


def generate_plain(settings: DrillSettings) -> None:
    """Write a plain drill: `exports/` by tenant, `truth/` as Parquet, and `manifest.json`.

    It takes the settings of `drill.generate`. `prior`, `shape` and `blob_minutes` mean nothing here: parameters are
    drawn from laws of its own, and every log has one shape. Tenants, not days, are divided among processes.

    Raises:
        UsageError: The settings are impossible, ask for an attack that only the first generator knows, the output
            folder holds something, or it cannot be written (a full disk); nothing is left behind then.
    """
    _check(settings)
    with put_in_place(settings.output) as part:
        parts = part / "truth" / "parts"
        parts.mkdir(parents=True)
        lived = _live_all(settings, part, parts)
        counts = books.put_together(part / "truth", parts, settings.tenants)
        shutil.rmtree(parts)
        text = json.dumps(_manifest(settings, lived, counts), indent=1, sort_keys=True) + "\n"
        (part / "manifest.json").write_text(text, encoding="utf-8")


def _check(settings: DrillSettings) -> None:
    check(settings)
    for order in settings.attacks:
        if order.attack_id not in intruders.PLANS:
            known = ", ".join(intruders.PLANS)
            raise UsageError(
                place="attack", value=order.attack_id, expected=f"an attack that the plain generator knows: {known}"
            )


def casts_of(settings: DrillSettings) -> dict[int, list[Cast]]:
    """The attack instances of each tenant: dealt out like cards, to the tenant that holds the fewest."""
    dice = Dice(settings.seed, "casts")
    hands: dict[int, list[Cast]] = {number: [] for number in range(settings.tenants)}
    instance = 0
    for wanted in settings.attacks:
        for _ in range(wanted.instances):
            fewest = min(len(hand) for hand in hands.values())
            number = dice.pick([number for number, hand in hands.items() if len(hand) == fewest])
            is_control = intruders.PLANS[wanted.attack_id].is_control
            stealth = 0 if is_control else wanted.stealth or 1 + dice.below(intruders.BEST)
            hands[number].append(Cast(instance, wanted.attack_id, stealth))
            instance += 1
    return hands


def _orders(settings: DrillSettings) -> list[Order]:
    midnight = dt.datetime.combine(settings.epoch, dt.time(), tzinfo=dt.UTC)
    casts = casts_of(settings)
    return [
        Order(
            seed=settings.seed,
            number=number,
            mailboxes=settings.mailboxes,
            start=int(midnight.timestamp()) * SECOND,
            days=settings.days,
            warm_up_days=settings.scored_from_day,
            logs=settings.logs,
            casts=tuple(casts[number]),
        )
        for number in range(settings.tenants)
    ]


def _live_all(settings: DrillSettings, part: Path, parts: Path) -> list[Lived]:
    orders, exports, progress = _orders(settings), part / "exports", settings.progress
    total = settings.tenants * settings.days
    if settings.processes == 1:
        lived = []
        for order in orders:
            before = order.number * settings.days
            told = None if progress is None else lambda day, before=before: progress(before + day + 1, total)
            lived.append(tenant.live(order, exports, parts, day_done=told))
        return lived
    context = multiprocessing.get_context("spawn")
    workers = min(settings.processes, len(orders))
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(tenant.live, order, exports, parts) for order in orders]
        try:
            for number, future in enumerate(concurrent.futures.as_completed(futures), start=1):
                future.result()
                if progress is not None:
                    progress(number * settings.days, total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def _manifest(settings: DrillSettings, lived: Sequence[Lived], counts: dict[str, int]) -> dict[str, object]:
    return {
        "simulated": True,
        "generator": "plain",
        "format": _FORMAT,
        "versions": {"brokenseal": brokenseal.__version__},
        "seed": settings.seed,
        "days": settings.days,
        "warm_up_days": settings.scored_from_day,
        "epoch": settings.epoch.isoformat(),
        "logs": settings.logs,
        "shape": "plain",
        "tenants": [
            {
                "tenant_no": one.number,
                "tenant_id": one.tenant_id,
                "name": one.name,
                "folder": one.domain,
                "parameters": one.parameters,
                "withheld_streams": list(one.withheld),
                "lines_written": one.lines,
            }
            for one in lived
        ],
        "attacks": [
            {
                "instance": story.instance,
                "id": story.attack_id,
                "title": story.title,
                "tenant_no": one.number,
                "stealth": story.stealth,
                "tells": list(story.tells),
                "knobs": story.knobs,
            }
            for one in lived
            for story in one.stories
        ],
        "truth_rows": counts,
    }
