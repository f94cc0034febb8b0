"""Which simulated tenants an evaluation is made of: by scale, with seeds that nothing was ever fitted on.

The tenants are drawn by a fixed design, so that every attack meets every stealth equally often and log states and
sizes are not mixed up with attacks. Seeds come from a hash of a word that the run is named by.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from brokenseal.drill.attacks import ATTACKS
from brokenseal.drill.tenant_runs import AttackOrder, TenantOrder
from brokenseal.errors import UsageError

TEST: Final = "test"
TRAIN: Final = "train"
FULL: Final = "full"
_STEALTHS: Final = (1, 2, 3, 4)
_FORGERS: Final = frozenset({"A1", "A2"})
_INSTANCES_A_FORGER: Final = 6


class _Cell(NamedTuple):
    attack_id: str
    stealth: int


class Group(NamedTuple):
    """Tenants alike but for their seed.

    Attributes:
        tenants: So many.
        attacked: Attack instances for each mailbox, controls left out; 0 for tenants without attacks.
        twin_of: Log state of the tenants that these are the same as, but for the logs that were given; None for new
            ones.
    """

    prior: str
    logs: str
    tenants: int
    mailboxes: tuple[int, ...]
    attacked: float = 0.0
    twin_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large an evaluation is.

    Attributes:
        groups: Its tenants.
        days: Length of each in days, of which `warm_up_days` are not scored.
        keeps_stores: Whether stores are left in the working folder; those of many tenants would fill a disk.
    """

    name: str
    groups: tuple[Group, ...]
    days: int
    warm_up_days: int
    keeps_stores: bool = True

    @property
    def mailbox_weeks(self) -> float:
        """Scored mailbox-weeks of the test prior."""
        orders = orders_of(self, "")
        return sum((one.mailboxes or 0) * (one.days - one.warm_up_days) / 7 for one in orders if one.prior == TEST)

    @property
    def mailbox_days(self) -> int:
        """Mailboxes times days that are simulated, all priors and the warm-up included: what the time goes by."""
        return sum((one.mailboxes or 0) * one.days for one in orders_of(self, ""))


SCALES: Final = (
    Scale(
        name="smoke",
        groups=(Group(TEST, FULL, 1, (20,)), Group(TEST, FULL, 1, (20,), attacked=0.2)),
        days=28,
        warm_up_days=14,
    ),
    Scale(
        name="dev",
        groups=(
            Group(TEST, FULL, 3, (40, 60, 60)),
            Group(TEST, "no-noninteractive", 1, (50,)),
            Group(TEST, "ual-only", 1, (50,)),
            Group(TEST, "gappy", 1, (50,)),
            Group(TEST, FULL, 9, (60, 40, 60), attacked=0.12),
            Group(TEST, "no-noninteractive", 2, (50,), attacked=0.12),
            Group(TEST, "ual-only", 2, (60, 40), attacked=0.12, twin_of=FULL),
            Group(TEST, "gappy", 2, (50,), attacked=0.12),
            Group(TRAIN, FULL, 3, (60,)),
            Group(TRAIN, FULL, 1, (60,), attacked=0.12),
        ),
        days=49,
        warm_up_days=28,
    ),
    Scale(
        name="release",
        groups=(
            Group(TEST, FULL, 24, (50, 150, 300, 500)),
            Group(TEST, "no-noninteractive", 8, (150, 300)),
            Group(TEST, "ual-only", 8, (150, 300)),
            Group(TEST, "gappy", 8, (150, 300)),
            Group(TEST, FULL, 32, (50, 150, 300, 500), attacked=0.16),
            Group(TEST, "no-noninteractive", 8, (150, 300), attacked=0.16),
            Group(TEST, "ual-only", 8, (150, 300), attacked=0.16, twin_of=FULL),
            Group(TEST, "gappy", 8, (150, 300), attacked=0.16),
            Group(TRAIN, FULL, 20, (250,)),
            Group(TRAIN, FULL, 10, (250,), attacked=0.16),
        ),
        days=112,
        warm_up_days=56,
        keeps_stores=False,
    ),
)


def scale_of(name: str) -> Scale:
    """The scale of that name.

    Raises:
        UsageError: There is none.
    """
    for one in SCALES:
        if one.name == name:
            return one
    raise UsageError(place="scale", value=name, expected=", ".join(one.name for one in SCALES))


def seed_of(word: str, prior: str, number: int) -> int:
    """Seed of one tenant."""
    digest = hashlib.sha256(f"evaluate {word} {prior} {number}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


def orders_of(scale: Scale, word: str) -> tuple[TenantOrder, ...]:
    """The tenants of a scale, in the order of its groups.

    Args:
        scale: How many, and of which kinds.
        word: What the run is named by; another word gives other tenants and other attacks.
    """
    cells = _Cells(word)
    found: list[TenantOrder] = []
    for group in scale.groups:
        firsts = [one for one in found if one.logs == group.twin_of and one.attacks] if group.twin_of else []
        for number in range(group.tenants):
            mailboxes = group.mailboxes[number % len(group.mailboxes)]
            twin = firsts[number] if firsts else None
            found.append(
                TenantOrder(
                    seed=twin.seed if twin else seed_of(word, group.prior, len(found)),
                    prior=group.prior,
                    mailboxes=twin.mailboxes if twin else mailboxes,
                    days=scale.days,
                    warm_up_days=scale.warm_up_days,
                    attacks=twin.attacks if twin else cells.take(round(mailboxes * group.attacked)),
                    logs=group.logs,
                )
            )
    return tuple(found)


class _Cells:
    """Attack and stealth in shuffled rounds: before any comes again, nearly every one has come."""

    def __init__(self, word: str) -> None:
        self._draw = random.Random(f"cells {word}")  # noqa: S311 - a design, no secret
        self._left: list[_Cell] = []

    def take(self, instances: int) -> tuple[AttackOrder, ...]:
        """The next instances, and one of each control; nothing for none.

        Of forgers there are few in one tenant: several would make tokens without a sign-in usual there.
        """
        if not instances:
            return ()
        taken: list[_Cell] = []
        forgers = max(1, round(instances / _INSTANCES_A_FORGER))
        while len(taken) < instances:
            allowed = [
                cell
                for cell in self._left
                if cell.attack_id not in _FORGERS or sum(one.attack_id in _FORGERS for one in taken) < forgers
            ]
            if allowed:
                taken.append(allowed[0])
                self._left.remove(allowed[0])
            else:
                every = [_Cell(one.id, stealth) for one in ATTACKS if not one.is_control for stealth in _STEALTHS]
                self._draw.shuffle(every)
                self._left += every
        controls = [AttackOrder(one.id, 0, 1) for one in ATTACKS if one.is_control]
        counts = {cell: taken.count(cell) for cell in sorted(taken)}
        return (*(AttackOrder(cell.attack_id, cell.stealth, count) for cell, count in counts.items()), *controls)
