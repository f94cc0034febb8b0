"""Write a drill: tenants, days, exports and truth, the same bytes for the same seed, however many processes write.

A drill is written next to its place and put there when it is complete; whatever goes wrong leaves nothing behind.
Everything in it is *simulated*.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.drill import priors, streams
from brokenseal.drill._assembly import assemble
from brokenseal.drill._blocks import write_blocks
from brokenseal.drill._casting import HIGHEST_STEALTH, casts_of, tenant_of
from brokenseal.drill._place import put_in_place, require_absent
from brokenseal.drill.attacks import ATTACKS
from brokenseal.drill.delivery import LOGS, SHAPES
from brokenseal.drill.world import monday_of
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "DrillSettings",
    "Order",
    "Summary",
    "casts_of",
    "check",
    "generate",
    "parse_order",
    "summary_of",
    "tenant_of",
]

DEFAULT_EPOCH: Final = dt.date(2026, 1, 5)
"""First day of a drill unless told otherwise: a Monday."""

LONGEST_DAYS: Final = 365
_SHORTEST_DAYS: Final = 7
_MOST_TENANTS: Final = 500
_WARM_UP_DAYS: Final = 56


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
        if order.attack_id not in {attack.id for attack in ATTACKS} or not 0 <= order.stealth <= HIGHEST_STEALTH:
            raise UsageError(place="attack", value=order, expected="an attack of the library, stealth 1 to 4")
    require_absent(settings.output)


# ---------------------------------------------------------------- generate


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a drill holds. All of it is simulated.

    Attributes:
        tenants: Tenants.
        lines: Lines of all exports, copies included.
        records: Distinct lines among them.
        withheld: Lines that exist and were not delivered.
        messages: Messages that attacks read, once for each attack instance.
        attacks: Attack instances, controls included.
    """

    simulated: bool = True
    tenants: int
    lines: int
    records: int
    withheld: int
    messages: int
    attacks: int


def generate(settings: DrillSettings) -> Summary:
    """Write the drill: `exports/` by tenant, `truth/` as Parquet, and `manifest.json`.

    Raises:
        UsageError: The settings are impossible, the output folder holds something, or it cannot be written (a full
            disk); nothing is left behind then.
    """
    check(settings)
    with put_in_place(settings.output) as part:
        assemble(settings, part, write_blocks(settings, part))
    return summary_of(settings.output)


def summary_of(drill: Path) -> Summary:
    """What the manifest of a drill counts.

    Raises:
        UsageError: The folder holds no drill.
    """
    path = drill / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        rows = manifest["truth_rows"]
        return Summary(
            tenants=len(manifest["tenants"]),
            lines=sum(one["lines_written"] for one in manifest["tenants"]),
            records=rows["records"],
            withheld=rows["withheld"],
            messages=rows["messages"],
            attacks=rows["attacks"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(place=str(path), value=error, expected="the manifest of a drill") from error
