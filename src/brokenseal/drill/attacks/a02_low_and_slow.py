"""A2: forged tokens, a handful of messages a day, for months."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks.a01_forged_token import forged_visits

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_READS = ((6.0, 10.0), (4.0, 8.0), (2.0, 6.0), (1.0, 4.0))


def plan(scene: Scene) -> Plan:
    """Thirty to ninety days, as far as the drill is long enough."""
    return forged_visits(scene, dwell_days=int(scene.rng.integers(30, 91)), reads=_READS, share=0.6)


ATTACK = Attack(
    id="A2",
    title="Forged token, low and slow",
    description=(
        "As A1, but the intruder opens one to ten messages on a working day and stays for one to three months. Volume "
        "shows nothing; each day still needs a token that was never issued. Stealth changes claims, exit and browser "
        "as in A1, and from level 3 on the visits keep the owner's hours."
    ),
    techniques=("T1606.001", "T1550.001", "T1114.002"),
    tells=(_tells.UNISSUED, _tells.UNBEGUN, _tells.IMPOSSIBLE, _tells.COPIED, _tells.NEW_CLIENT, _tells.MESSAGES),
    plan=plan,
)
