"""A0n, the null: honest visits that are called an attack at random."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from brokenseal.drill.attacks._contract import Attack, Cluster, Plan
from brokenseal.drill.attacks._moves import begins, day_stream, victims
from brokenseal.drill.tables import numbers

if TYPE_CHECKING:
    import pyarrow as pa

    from brokenseal.drill.attacks._contract import Scene

_DAYS = 5


def plan(scene: Scene) -> Plan:
    """One cluster of visits a day: one identity in one mailbox in one session."""
    person = victims(scene, 1)[0]
    days = range(*begins(scene, _DAYS))
    return Plan(knobs={"victims": [person]}, by_day=functools.partial(_of_day, scene, person, days))


def _of_day(scene: Scene, person: int, days: range, day: int, honest: pa.Table) -> Plan:
    if day not in days:
        return Plan()
    own = honest.filter(numbers(honest, "mailbox_no") == person)
    columns = (numbers(own, name).tolist() for name in ("identity_no", "mailbox_no", "session_no"))
    triples = sorted(set(zip(*columns, strict=True)))
    if not triples:
        return Plan()
    chosen = triples[int(day_stream(scene, day).integers(len(triples)))]
    return Plan(relabelled=(Cluster(day, *chosen),))


ATTACK = Attack(
    id="A0n",
    title="Null (control)",
    description=(
        "A control, not an attack: visits that honest people and services make anyway are called an attack in the "
        "truth, at random. Nothing in any log changes. Whatever finds them beyond chance is a fault of the scorer or "
        "of the test."
    ),
    techniques=(),
    tells=(),
    plan=plan,
    is_control=True,
)
