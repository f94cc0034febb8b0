"""A0n, the null: honest visits that are called an attack at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks._contract import Attack, Cluster, Plan
from brokenseal.drill.attacks._moves import begins, victims
from brokenseal.drill.intents import day_intents
from brokenseal.drill.tables import numbers

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_DAYS = 5


def plan(scene: Scene) -> Plan:
    """One cluster of visits a day: one identity in one mailbox in one session."""
    person = victims(scene, 1)[0]
    start, stop = begins(scene, _DAYS)
    found = []
    for day in range(start, stop):
        honest = day_intents(scene.tenant, day)
        own = honest.filter(numbers(honest, "mailbox_no") == person)
        triples = sorted(
            set(
                zip(
                    numbers(own, "identity_no").tolist(),
                    numbers(own, "mailbox_no").tolist(),
                    numbers(own, "session_no").tolist(),
                    strict=True,
                )
            )
        )
        if triples:
            found.append(Cluster(day, *triples[int(scene.rng.integers(len(triples)))]))
    return Plan(relabelled=tuple(found), knobs={"victims": [person]})


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
