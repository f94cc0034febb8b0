"""A0g, the ghost: an intruder that is the victim in everything a log can show."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._moves import begins, day_stream, victims
from brokenseal.drill.tables import DAY_US, MINUTE_US, SECOND_US, numbers, words

if TYPE_CHECKING:
    import pyarrow as pa

    from brokenseal.drill.attacks._contract import Scene, Visit

_DAYS = 5
_VISITS = 3


def plan(scene: Scene) -> Plan:
    """On five days, some of the victim's own visits happen once more, minutes apart."""
    person = victims(scene, 1)[0]
    days = range(*begins(scene, _DAYS))
    return Plan(knobs={"victims": [person]}, by_day=functools.partial(_of_day, scene, person, days))


def _of_day(scene: Scene, person: int, days: range, day: int, honest: pa.Table) -> Plan:
    if day not in days:
        return Plan()
    is_own = (numbers(honest, "identity_no") == person) & (numbers(honest, "mailbox_no") == person)
    is_own &= (words(honest, "kind") == "read") & (words(honest, "auth") == "session")
    is_own &= numbers(honest, "device_no") >= 0
    rng = day_stream(scene, day)
    rows = rng.permutation(np.flatnonzero(is_own))[:_VISITS].tolist()
    return Plan(visits=tuple(_again(scene, rng, honest.slice(row, 1).to_pylist()[0], day) for row in rows))


def _again(scene: Scene, rng: np.random.Generator, row: dict[str, Any], day: int) -> Visit:
    del row["intent_id"]
    began = int(row["session_started_us"])
    day_starts = scene.tenant.day_starts_us(day)
    at_us = int(row["starts_at_us"]) + int(rng.normal(0, 40) * MINUTE_US)
    # Within the day, and not before the session that it rides on.
    at_us = min(max(at_us, began + SECOND_US, day_starts), day_starts + DAY_US - 2 * MINUTE_US)
    return row | {
        "starts_at_us": at_us,
        "duration_s": min(float(row["duration_s"]), (day_starts + DAY_US - at_us) / SECOND_US - 1),
        "token_source": "replayed",
        "truth_actor_kind": "attacker",
        "truth_attack_id": scene.attack_id,
        "truth_instance": scene.instance,
        "truth_stage": "read",
    }


ATTACK = Attack(
    id="A0g",
    title="Ghost (control)",
    description=(
        "A control, not an attack: the ghost repeats visits of its victim with the victim's own device, network, "
        "client, session and genuine tokens, in the victim's rhythm. No log shows it. A detector that finds it more "
        "often than it raises false cases has learned an artefact of the drill."
    ),
    techniques=("T1550.004",),
    tells=(),
    plan=plan,
    is_control=True,
)
