"""Visits by applications: the same shapes as those of honest third-party software."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from brokenseal.drill import apps, internet, people
from brokenseal.drill.attacks._moves import CAREFUL, PROFESSIONAL, Exit, Session, exit_for, visit

if TYPE_CHECKING:
    from brokenseal.drill.apps import MarketApp
    from brokenseal.drill.attacks._contract import Scene, Visit


def reads_mail(app: MarketApp) -> bool:
    """Whether the application has a right to read mail."""
    return any(scope.startswith(("Mail.Read", "EWS.", "full_access")) for scope in app.scopes)


def adopted(scene: Scene, day: int) -> set[int]:
    """Applications of the market that the tenant uses by that day."""
    rows = scene.tenant.calendar.adoptions
    due = (rows["from_day"] <= day) & (day < rows["until_day"])
    return {int(one) for one in rows["app_no"][due]}


def pick_app(scene: Scene, *, is_app_only: bool, known: set[int] | None = None, protocol: str | None = None) -> int:
    """An application of the market that reads mail, drawn as organisations draw theirs; `known` ones first."""
    market = scene.tenant.market
    fit = [
        number
        for number, app in enumerate(market)
        if app.is_app_only == is_app_only and reads_mail(app) and protocol in {None, app.protocol}
    ]
    fit = fit or [number for number, app in enumerate(market) if reads_mail(app)]
    preferred = [number for number in fit if known and number in known] or fit
    weight = np.array([market[number].popularity for number in preferred])
    return int(scene.rng.choice(preferred, p=weight / weight.sum()))


def idle_app(scene: Scene, day: int) -> int:
    """An application that the tenant uses by that day and that has no right to mail; any that it uses if all have."""
    used = sorted(adopted(scene, day))
    idle = [number for number in used if not reads_mail(scene.tenant.market[number])]
    return int(scene.rng.choice(idle or used or [pick_app(scene, is_app_only=True)]))


def identity_of(scene: Scene, app_no: int) -> int:
    """The service principal of an application."""
    return int(scene.tenant.rows_of(people.APP)[app_no])


def app_exit(scene: Scene, app_no: int, person: int) -> Exit:
    """Where the application's calls come from: an exit by stealth, from level 3 on a cloud as of honest software."""
    if scene.stealth < CAREFUL:
        return exit_for(scene, person, stealth=PROFESSIONAL if scene.stealth == PROFESSIONAL else 1)
    app = scene.tenant.market[app_no]
    clouds = scene.tenant.internet.of_kind(internet.CLOUD)
    network = app.network_no if scene.stealth > CAREFUL else int(scene.rng.choice(clouds))
    host = np.array([app_no * 64 + int(scene.rng.integers(max(app.hosts, 2)))])
    address = internet.addresses(scene.tenant.internet, np.array([network]), host, np.zeros(1, bool))
    return Exit(network, str(address[0]), "cloud")


def app_visit(
    scene: Scene,
    *,
    app_no: int,
    at_us: int,
    identity: int,
    mailbox: int,
    place: Exit,
    stage: str = "read",
    session: Session | None = None,
    is_ews: bool | None = None,
    **columns: Any,
) -> Visit:
    """A visit by an application of the market, with its own user agent.

    `is_ews` says whether it speaks Exchange Web Services; None for what it always speaks.
    """
    app = scene.tenant.market[app_no]
    speaks_ews = app.protocol == "ews"
    is_ews = speaks_ews if is_ews is None else is_ews
    shared = {
        "app_id": app.app_id if is_ews else apps.GRAPH,
        "client_app_id": app.app_id,
        "user_agent": apps.EWS_AGENT if is_ews and not speaks_ews else app.user_agent,
        "client": "app_ews" if is_ews else "app_rest",
        **columns,
    }
    return visit(
        scene, at_us=at_us, identity=identity, mailbox=mailbox, place=place, stage=stage, session=session, **shared
    )
