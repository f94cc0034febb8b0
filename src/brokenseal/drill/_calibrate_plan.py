"""Which simulated tenants a calibration is made of, and which are kept apart to check it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.drill.attacks import ATTACKS
from brokenseal.drill.tenant_runs import AttackOrder, TenantOrder

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIOR: Final = "train"
"""The prior "test" is for the evaluation alone."""
_STEALTHS: Final = 4
_SEEDS_OF_ONE: Final = 1000
_SEEDS_OF_PART: Final = 200
_FORGERS: Final = frozenset({"A1", "A2"})
"""One intruder who forges tokens at a time: with several, the share of tokens without a sign-in is the plan's doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Tenants to simulate.

    Attributes:
        benign: Attack-free tenants: how often authorised use looks strange.
        attacked: Tenants with attacks: how intrusions look.
        check_benign: Attack-free tenants for inflation and points alone.
        check_attacked: Tenants with attacks for points alone.
    """

    benign: tuple[TenantOrder, ...]
    attacked: tuple[TenantOrder, ...]
    check_benign: tuple[TenantOrder, ...]
    check_attacked: tuple[TenantOrder, ...]

    @property
    def orders(self) -> tuple[TenantOrder, ...]:
        """All of them."""
        return (*self.benign, *self.attacked, *self.check_benign, *self.check_attacked)


def plan_of(*, tenants: int, mailboxes: int | None, days: int, warm_up_days: int, seed: int) -> Plan:
    """A plan for so many attack-free tenants, two thirds as many with attacks, and a few for checks."""
    attacked = max(2, round(tenants * 2 / 3))

    def some(part: int, number: int, *, with_attacks: bool) -> Iterator[TenantOrder]:
        for turn in range(number):
            yield TenantOrder(
                seed=seed * _SEEDS_OF_ONE + part * _SEEDS_OF_PART + turn,
                prior=PRIOR,
                mailboxes=mailboxes,
                days=days,
                warm_up_days=warm_up_days,
                attacks=attacks_of(turn) if with_attacks else (),
            )

    return Plan(
        benign=tuple(some(0, tenants, with_attacks=False)),
        attacked=tuple(some(1, attacked, with_attacks=True)),
        check_benign=tuple(some(2, tenants // 3, with_attacks=False)),
        check_attacked=tuple(some(3, attacked // 4, with_attacks=True)),
    )


def attacks_of(turn: int) -> tuple[AttackOrder, ...]:
    """Half of the library in tenants of even number, the other half in those between, of every stealth in turn."""
    real = [attack for attack in ATTACKS if not attack.is_control]
    found = []
    for place, attack in enumerate(real):
        if place % 2 != turn % 2:
            continue
        count = 1 if attack.id in _FORGERS else 2
        first = place + turn // 2 * count
        found += [AttackOrder(attack.id, (first + number) % _STEALTHS + 1, 1) for number in range(count)]
    return tuple(found)
