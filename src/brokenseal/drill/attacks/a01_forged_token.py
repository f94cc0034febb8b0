"""A1: tokens signed with a stolen key, used on Outlook on the web."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.drill.attacks import _tells
from brokenseal.drill.attacks._contract import Attack, Plan
from brokenseal.drill.attacks._looks import look_for
from brokenseal.drill.attacks._moves import (
    BEST,
    CAREFUL,
    CARELESS,
    PROFESSIONAL,
    READS_PER_DAY,
    begins,
    dwell,
    exit_for,
    moments,
    new_session,
    own_session,
    per_day,
    scope,
    victims,
    visit,
)

if TYPE_CHECKING:
    from brokenseal.drill.attacks._contract import Scene

_HOUR_S = 3600


def claims(scene: Scene) -> dict[str, Any]:
    """What is wrong with the forged tokens of an instance, by stealth."""
    rng = scene.rng
    if scene.stealth == CARELESS:
        shift = -int(rng.integers(0, 40 * _HOUR_S)) if rng.random() < 0.4 else int(rng.integers(0, 900))  # noqa: PLR2004
        is_wrong = bool(rng.random() < 0.4)  # noqa: PLR2004
        return {"token_source": "forged_random", "iat_shift_s": shift, "claim_tenant_wrong": is_wrong}
    if scene.stealth == PROFESSIONAL:
        source = "forged_random" if rng.random() < 0.5 else "forged_structured"  # noqa: PLR2004
        return {"token_source": source, "iat_shift_s": -int(rng.integers(0, 20 * _HOUR_S))}
    if scene.stealth == BEST and rng.random() < 0.5:  # noqa: PLR2004
        return {"token_source": "copied", "session_copied": True}
    return {"token_source": "forged_structured", "iat_shift_s": -int(rng.integers(0, _HOUR_S))}


def forged_visits(scene: Scene, *, dwell_days: int, reads: tuple[tuple[float, float], ...], share: float) -> Plan:
    """Visits to one to three mailboxes with forged tokens.

    Args:
        scene: The scene.
        dwell_days: Days from first to last.
        reads: Limits of messages per active day, by stealth.
        share: Share of the days that are active.
    """
    wrong = claims(scene)
    chosen = victims(scene, int(scene.rng.integers(1, 4)))
    days = range(*begins(scene, dwell_days, person=chosen[0] if scene.stealth >= CAREFUL else None))
    client = str(scene.rng.choice(["owa", "new_outlook"]))
    visits = []
    for number, person in enumerate(chosen):
        place = exit_for(scene, person)
        look = look_for(scene, person, days[0], client=client)
        for at_us in moments(scene, person, days, share=share):
            count = per_day(scene, reads)
            is_copied = bool(wrong.get("session_copied"))
            session = own_session(scene.tenant, person, at_us) if is_copied else new_session(scene, number, at_us)
            visits.append(
                visit(
                    scene,
                    at_us=at_us,
                    identity=person,
                    mailbox=person,
                    client=client,
                    place=place,
                    stage="read",
                    session=session,
                    look=look,
                    reads=count,
                    pace_s=float(scene.rng.uniform(2.0, 12.0)) * scene.stealth,
                    **scope(scene, count),
                    **wrong,
                )
            )
    knobs = {"victims": chosen, "client": client, "exit": place.kind, **wrong}
    return Plan(visits=tuple(visits), knobs=knobs)


def plan(scene: Scene) -> Plan:
    """Some days to some weeks of reading."""
    return forged_visits(scene, dwell_days=dwell(scene), reads=READS_PER_DAY, share=0.75)


ATTACK = Attack(
    id="A1",
    title="Forged token on Outlook on the web",
    description=(
        "The intruder signs tokens with a stolen key and reads one to three mailboxes through Outlook on the web, as "
        "Storm-0558 did in 2023. No request to the identity provider ever issued these tokens. Careless: random token "
        "ids, old or future issue times, now and then the wrong tenant, a script on a hosting network. Professional: "
        "a common browser, a tunnel or a home connection abroad. Careful: ids with the structure of genuine ones, the "
        "owner's hours, a home connection in the owner's country. Best: the owner's own provider and browser, few "
        "messages a day, in half of the cases the id and session of a genuine recent token."
    ),
    techniques=("T1606.001", "T1550.001", "T1114.002"),
    tells=(_tells.UNISSUED, _tells.UNBEGUN, _tells.IMPOSSIBLE, _tells.COPIED, _tells.NEW_CLIENT, _tells.VOLUME),
    plan=plan,
)
