"""A3: a phishing site in the middle takes the session over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Deed, Plan
from brokenseal.drill.attacks._doors import door
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    BEST,
    CAREFUL,
    PROFESSIONAL,
    READS_PER_DAY,
    Exit,
    Session,
    day_of,
    dwell,
    exit_for,
    lured,
    moments,
    new_session,
    per_day,
    scope,
    sign_in,
    victims,
    visit,
)
from brokenseal.drill.tables import SECOND_US

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_TERSE = (".", "..", "a", "Newsletters")


def persistence(scene: Scene, person: int, at_us: int, place: Exit, session: Session) -> list[Deed]:
    """A second factor of the intruder's own and a rule that hides answers; less of both with more stealth."""
    shared: dict[str, Any] = {"actor": person, "place": place, "session": session}
    deeds = []
    if scene.stealth in {PROFESSIONAL, CAREFUL} or (scene.stealth < BEST and scene.rng.random() < 0.5):  # noqa: PLR2004
        deeds.append(
            door(
                scene,
                at_us=at_us,
                change="strong_auth",
                operation="Update user.",
                service="entra",
                target_identity_no=person,
                **shared,
            )
        )
    if scene.stealth <= PROFESSIONAL:
        deeds.append(
            door(
                scene,
                at_us=at_us + int(scene.rng.integers(60, 900)) * SECOND_US,
                change="inbox_rule",
                operation="New-InboxRule",
                service="exchange",
                mailbox_no=person,
                rule_name=_TERSE[int(scene.rng.integers(len(_TERSE)))],
                rule_effects=("mark_read", "move", "stop"),
                rule_conditions=("invoice",),
                folder="rss",
                **shared,
            )
        )
    return deeds


def plan(scene: Scene) -> Plan:
    """The victim signs in through the kit; after a pause the intruder reads with the session."""
    person = victims(scene, 1)[0]
    start, stop, at_us = lured(scene, dwell(scene), person)
    # The kit stands with a hoster, or behind a home proxy; the session is then used from elsewhere.
    kit = exit_for(scene, person, stealth=1 if scene.stealth <= PROFESSIONAL else scene.stealth - 1)
    place = exit_for(scene, person)
    session = new_session(scene, 0, at_us)
    look = look_for(scene, person, start)
    pause_s = int(5 * (17_280.0 ** float(scene.rng.random())))
    visits = [sign_in(scene, at_us=at_us, person=person, place=kit, session=session, look=look)]
    later = [one for one in moments(scene, person, range(start, stop)) if one > at_us + pause_s * SECOND_US]
    first = at_us + pause_s * SECOND_US
    second = look_for(scene, person, start)
    deeds = persistence(scene, person, first + 60 * SECOND_US, place, session)
    visits += [
        visit(
            scene,
            at_us=one,
            identity=person,
            mailbox=person,
            client="owa",
            place=place,
            stage="read",
            session=session,
            look=look if day_of(scene.tenant, one) == start else second,
            reads=count,
            **scope(scene, count),
        )
        for one, count in ((one, per_day(scene, READS_PER_DAY)) for one in (first, *later))
    ]
    knobs = {"victims": [person], "kit": kit.kind, "exit": place.kind, "pause_s": pause_s, "doors": len(deeds)}
    return Plan(visits=tuple(visits), deeds=tuple(deeds), knobs=knobs)


ATTACK = Attack(
    id="A3",
    title="Adversary in the middle",
    description=(
        "The victim signs in on a phishing site that relays everything and keeps the session. Seconds to a day later "
        "the intruder reads the mailbox with that session from another network. Careless and professional intruders "
        "also register a second factor and a rule that hides mail; careful ones only the factor, the best neither. "
        "The kit stands with a hoster, from level 3 on behind a home connection."
    ),
    techniques=("T1557", "T1539", "T1550.004", "T1114.002", "T1098.005", "T1564.008"),
    tells=(
        _tells.STRANGE_SIGN_IN,
        _tells.TWO_NETWORKS,
        _tells.SECOND_FACTOR,
        _tells.HIDING_RULE,
        _tells.NEW_CLIENT,
        _tells.VOLUME,
    ),
    plan=plan,
)
