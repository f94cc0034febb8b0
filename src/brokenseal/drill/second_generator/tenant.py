"""One tenant from its first day to its last: everything is set in motion, and every day's lines are written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import affairs, company, founding, intruders, lives, machinery, places
from brokenseal.drill.second_generator.books import Books, Story
from brokenseal.drill.second_generator.changes import Changes
from brokenseal.drill.second_generator.clock import DAY, Clock
from brokenseal.drill.second_generator.desk import Desk
from brokenseal.drill.second_generator.dice import Dice
from brokenseal.drill.second_generator.exchange import Exchange
from brokenseal.drill.second_generator.outbox import Law, Outbox
from brokenseal.drill.second_generator.post import Post
from brokenseal.drill.second_generator.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from brokenseal.drill.second_generator.company import Company, Mailbox
    from brokenseal.drill.second_generator.intruders import Cast

_LOG_EPOCH: Final = 2025
_ARCHIVED: Final = 0.4
"""Share of tenants that have an archive which reads everything."""
_CONNECTED: Final = 0.3
_GUESTS: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one tenant is to be."""

    seed: int
    number: int
    mailboxes: int | None
    start: int
    days: int
    warm_up_days: int
    logs: str
    casts: Sequence[Cast]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What became of it."""

    number: int
    tenant_id: str
    name: str
    domain: str
    lines: int
    parameters: dict[str, object]
    withheld: tuple[str, ...]
    stories: tuple[Story, ...]


def live(order: Order, exports: Path, parts: Path, *, day_done: Callable[[int], None] | None = None) -> Lived:
    """Let a tenant live, write its exports below `exports` and its truth below `parts`.

    Raises:
        OSError: The files cannot be written.
    """
    seed, number, end = order.seed, order.number, order.start + order.days * DAY
    world = places.build_world(seed)
    founded = Dice(seed, "tenant", number, "founding")
    tenant = founding.found(founded, world, no=number, start=order.start, end=end, mailboxes=order.mailboxes)
    law = Law(Dice(seed, "tenant", number, "delivery"), tenant.parameters, logs=order.logs, start=order.start, end=end)
    with Books(parts, tenant_id=tenant.tenant_id, tenant_no=number) as books:
        outbox = Outbox(law, exports / tenant.domain, start=order.start, heard=books.heard)
        scene = _scene(order, tenant, world, outbox, books)
        _set_in_motion(scene)
        _cast(scene, order)
        for day in range(order.days):
            scene.clock.run_until(order.start + (day + 1) * DAY)
            scene.exchange.close_before(scene.clock.now, force=True)
            scene.exchange.forget(scene.clock.now)
            outbox.write_day(day)
            if day_done is not None:
                day_done(day)
        books.close_stories()
        books.tenant(_row(tenant, order))
        return Lived(
            number=number,
            tenant_id=tenant.tenant_id,
            name=tenant.name,
            domain=tenant.domain,
            lines=outbox.lines,
            parameters=tenant.parameters,
            withheld=tuple(sorted(law.withheld)),
            stories=tuple(story for _, story in sorted(books.stories.items())),
        )


def _scene(order: Order, tenant: Company, world: places.World, outbox: Outbox, books: Books) -> Scene:
    def dice(name: str) -> Dice:
        return Dice(order.seed, "tenant", tenant.no, name)

    clock = Clock(order.start)
    return Scene(
        seed=order.seed,
        tenant=tenant,
        world=world,
        clock=clock,
        outbox=outbox,
        books=books,
        desk=Desk(tenant, dice("desk"), outbox, books),
        exchange=Exchange(tenant, dice("exchange"), outbox, books),
        post=Post(tenant, dice("post"), world, clock, outbox),
        changes=Changes(tenant, dice("changes"), outbox, books),
        chance=dice("scene"),
    )


def _set_in_motion(scene: Scene) -> None:
    tenant, start = scene.tenant, scene.clock.start
    readers = machinery.Readers(scene)
    scene.post.arrived = readers.arrived
    for app_id, name, _ in founding.background_services():
        start(readers.tokens(app_id, name))
    for mailbox in tenant.mailboxes:
        scene.post.backlog(mailbox, 40, company.INBOX)
        for folder in (company.SENT, *range(company.FIRST_PROJECT, len(mailbox.folders))):
            scene.post.backlog(mailbox, 12, folder)
        start(machinery.letters(scene, mailbox))
    for person in tenant.people:
        start(lives.life(scene, person))
        start(affairs.new_machines(scene, person))
        if "script" in person.seats:
            start(affairs.odd_jobs(scene, person))
    for everybody in (machinery.circulars, machinery.guessers, affairs.housekeeping, affairs.doors, affairs.waves):
        start(everybody(scene))
    start(affairs.stuck_programs(scene))
    dice = scene.dice("motion")
    visitors = founding.visitors(scene.world, dice, tenant, round(len(tenant.people) * _GUESTS) + 1)
    start(machinery.guests(scene, visitors))
    start(machinery.watchman(scene, founding.new_app(scene.world, dice, app_only=True)))
    for app in tenant.apps:
        start(machinery.app_life(scene, app, _covered(scene, app, dice)))


def _covered(scene: Scene, app: company.App, dice: Dice) -> list[Mailbox]:
    """The mailboxes that an application of the tenant looks into."""
    tenant = scene.tenant
    if not app.is_app_only:
        return [person.mailbox for person in tenant.people if dice.chance(_CONNECTED)]
    if app.is_archive:
        return list(tenant.mailboxes) if dice.chance(_ARCHIVED) else []
    return tenant.shared or tenant.mailboxes[:2]


def _cast(scene: Scene, order: Order) -> None:
    for cast in order.casts:
        plan = intruders.PLANS[cast.attack_id]
        story = Story(cast.instance, cast.attack_id, plan.title, cast.stealth, plan.tells)
        scene.books.stories[cast.instance] = story
        start = order.start + order.warm_up_days * DAY
        intruders.enter(scene, cast, story, start=start, end=scene.tenant.end)


def _row(tenant: Company, order: Order) -> dict[str, object]:
    return {
        "tenant_no": tenant.no,
        "name": tenant.name,
        "mailboxes": len(tenant.mailboxes),
        "starts_at": tenant.start,
        "ends_at": tenant.end,
        "mailbox_weeks": len(tenant.mailboxes) * (order.days - order.warm_up_days) / 7,
        "warm_up_days": order.warm_up_days,
        "logs": order.logs,
        "log_epoch": _LOG_EPOCH,
        "unlogged_classes": list(tenant.unlogged),
        "parameters": json.dumps(tenant.parameters, sort_keys=True),
    }
