"""A11: nothing is read; a rule sends the mail out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    BEST,
    CARELESS,
    administrator,
    exit_for,
    minutes_later,
    new_session,
    sign_in,
    starts_by,
    victims,
)

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_NAMES = (".", "Sync", "Reports", "Team")
_WORDS = ("invoice", "contract", "payment", "agenda")


def plan(scene: Scene) -> Plan:
    """One door, by the victim's hijacked account or by an administrator's, and nothing else."""
    tenant = scene.tenant
    person = victims(scene, 1)[0]
    by_admin = bool(scene.rng.random() < 0.35)  # noqa: PLR2004
    actor = administrator(scene) if by_admin else person
    start, stop, at_us = starts_by(scene, int(scene.rng.integers(7, 29)), actor)
    place, session = exit_for(scene, actor), new_session(scene, 0, at_us)
    outside = f"{tenant.mailbox_upns[person].partition('@')[0]}{int(scene.rng.integers(60, 99))}@private-mail.example"
    details: dict[str, Any] = {"destinations": (outside,), "ends_at_us": tenant.day_starts_us(stop)}
    if by_admin:
        kind, operation = "transport_rule", "New-TransportRule"
        details |= {"rule_name": f"Disclaimer {int(scene.rng.integers(1, 99))}", "rule_effects": ("bcc",)}
    elif scene.stealth == CARELESS or scene.rng.random() < 0.3:  # noqa: PLR2004
        kind, operation = "mailbox_forwarding", "Set-Mailbox"
        details |= {"mailbox_no": person}
    else:
        kind, operation = "inbox_rule", "New-InboxRule"
        name = _NAMES[int(scene.rng.integers(len(_NAMES)))]
        words = (_WORDS[int(scene.rng.integers(len(_WORDS)))],) if scene.stealth == BEST else ()
        details |= {
            "mailbox_no": person,
            "rule_name": name,
            "rule_effects": ("forward",),
            "rule_conditions": words,
        }
    shared: dict[str, Any] = {"actor": actor, "place": place, "session": session, "service": "exchange"}
    deeds = (door(scene, at_us=minutes_later(scene, at_us, 3), change=kind, operation=operation, **shared, **details),)
    visits = (
        sign_in(scene, at_us=at_us, person=actor, place=place, session=session, look=look_for(scene, actor, start)),
    )
    return Plan(visits=visits, deeds=deeds, knobs={"victims": [person], "door": kind, "exit": place.kind})


ATTACK = Attack(
    id="A11",
    title="Forwarding alone",
    description=(
        "The intruder signs in once, sets a forwarding address, an inbox rule or (with a hijacked administrator) a "
        "transport rule with a hidden copy, and never opens a message. The destination looks like those that people on "
        "leave use. With more stealth the sign-in comes from nearer, and the rule sends on only what names a word."
    ),
    techniques=("T1114.003", "T1078.004", "T1564.008"),
    tells=(_tells.STRANGE_SIGN_IN, _tells.FORWARDING, _tells.SENT_ON),
    plan=plan,
)
