"""What reads mail without anybody looking: services of Microsoft's, applications, and strangers who try passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients, company, founding, places
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND
from brokenseal.drill.second_generator.company import Seat
from brokenseal.drill.second_generator.desk import WRONG_PASSWORD, Caller
from brokenseal.drill.second_generator.dice import token_text
from brokenseal.drill.second_generator.sign_in_lines import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokenseal.drill.second_generator.clock import Life
    from brokenseal.drill.second_generator.company import App, Mailbox, Message, Person
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.scene import Scene

_SERVICE_TOKEN_H: Final = 6.0
_STARTS_FRESH: Final = 0.4
_ARRIVALS_WEEKEND: Final = 0.12
_ARRIVALS_NIGHT: Final = 0.1
_DAY_HOURS: Final = (6.5, 19.0)


class Readers:
    """Services that open what has just arrived."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._dice = scene.dice("background")
        self._rate = _share(scene.tenant.parameters["background_reads"])
        self._services = [((app_id, name), weight) for app_id, name, weight in founding.background_services()]
        self._user_type = self._dice.pick((0, 5))
        self._callers: dict[tuple[str, int], Caller] = {}
        # One service is new: it begins some time within the drill.
        self._newest_from = scene.tenant.start + self._dice.below(scene.tenant.end - scene.tenant.start)

    def arrived(self, mailbox: Mailbox, message: Message) -> None:
        """A message has come; some service or other will open it soon."""
        dice, clock = self._dice, self._scene.clock
        for _ in range(dice.count(self._rate)):
            app_id, _ = dice.weighted(self._services)
            if app_id == self._services[-1][0][0] and clock.now < self._newest_from:
                continue
            at = clock.now + int((2 + dice.wait(45)) * SECOND)
            clock.call(at, _once(self._read, app_id, mailbox, message))

    def _read(self, app_id: str, mailbox: Mailbox, message: Message) -> None:
        key = (app_id, mailbox.no)
        caller = self._callers.get(key)
        if caller is None or self._dice.chance(0.02):
            caller = self._callers[key] = self._caller(app_id, mailbox)
        self._scene.exchange.bind(mailbox, caller, message, self._scene.clock.now)

    def _caller(self, app_id: str, mailbox: Mailbox) -> Caller:
        address = places.back_end(self._dice)
        owner = mailbox.owner
        fields: dict[str, object] = {
            "UserId": mailbox.upn,
            "UserKey": owner.puid if owner is not None else "Not Available",
            "UserType": self._user_type,
            "LogonUserSid": mailbox.sid,
            "ClientIPAddress": address,
            "ClientInfoString": "Client=REST;Client=RESTSystem;;",
            "AppId": app_id,
            "ClientAppId": app_id,
            "TokenType": "SubstrateProcessorCallbackPft",
        }
        return Caller(
            key=(app_id, address),
            repeat_key=(app_id, address),
            fields=fields,
            subject=app_id,
            actor=mailbox.upn,
            person=owner,
            actor_kind="service",
            tag=None,
        )

    def tokens(self, app_id: str, name: str) -> Life:
        """A service that gets itself a token several times a day."""
        while True:
            yield self._scene.clock.now + int(self._dice.wait(_SERVICE_TOKEN_H) * HOUR)
            self._scene.desk.first_party(app_id, name, self._scene.clock.now)


def _once(
    read: Callable[[str, Mailbox, Message], None], app_id: str, mailbox: Mailbox, message: Message
) -> Callable[[], None]:
    return lambda: read(app_id, mailbox, message)


def _share(value: object) -> float:
    assert isinstance(value, float)
    return value


# ---------------------------------------------------------------- mail from outside


def letters(scene: Scene, mailbox: Mailbox) -> Life:
    """Letters from outside to one mailbox, by the hours of its country."""
    dice = scene.dice("letters", mailbox.no)
    owner = mailbox.owner
    per_day = owner.habit.from_outside if owner is not None else dice.about(12, 0.7)
    country = owner.country if owner is not None else scene.tenant.country
    # Drawn at the pace of working hours and thinned out elsewhere.
    pause = (_DAY_HOURS[1] - _DAY_HOURS[0]) / per_day
    while True:
        yield scene.clock.now + int(dice.wait(pause) * HOUR)
        moment = scene.clock.now + country.offset_h * HOUR
        share = 1.0 if _DAY_HOURS[0] <= moment % DAY / HOUR < _DAY_HOURS[1] else _ARRIVALS_NIGHT
        if (moment // DAY + 3) % 7 >= 5:  # noqa: PLR2004 - Saturday and Sunday
            share *= _ARRIVALS_WEEKEND
        if dice.chance(share):
            scene.post.letter(mailbox)


def circulars(scene: Scene) -> Life:
    """Circulars, about two a day."""
    dice = scene.dice("circulars")
    while True:
        yield scene.clock.now + int(dice.wait(12) * HOUR)
        scene.post.circular()


# ---------------------------------------------------------------- applications


def app_life(scene: Scene, app: App, covered: list[Mailbox], *, until: int = 0) -> Life:
    """An application that goes through mailboxes again and again."""
    dice = scene.dice("app", app.app_id)
    end = until or scene.tenant.end
    while scene.clock.now < end:
        yield scene.clock.now + int(dice.wait(app.every_min) * MINUTE)
        for mailbox in covered:
            fresh = _fresh(scene, app, mailbox, dice)
            for message in fresh:
                if dice.chance(app.reads):
                    _open(scene, app, mailbox, message)
                    yield scene.clock.now + int(dice.wait(1.5) * SECOND)


def _fresh(scene: Scene, app: App, mailbox: Mailbox, dice: Dice) -> list[Message]:
    """What the application has not seen yet; some applications go through the old mail first when they are let in."""
    inbox, now = mailbox.folders[company.INBOX], scene.clock.now
    since = app.reads_since.get(mailbox.no)
    app.reads_since[mailbox.no] = now
    if since is None:
        is_running = now - scene.tenant.start < DAY
        return [] if is_running or dice.chance(_STARTS_FRESH) else list(inbox)
    return [message for message in inbox[-60:] if message.arrived >= since]


def _open(scene: Scene, app: App, mailbox: Mailbox, message: Message) -> None:
    net = app.nets[scene.chance.below(min(app.workers, len(app.nets)))]
    if app.is_app_only:
        scene.open_as_app(app, net, mailbox, message)
        return
    assert mailbox.owner is not None
    scene.open(app_seat(scene, mailbox.owner, app), net, mailbox, message)


def app_seat(scene: Scene, person: Person, app: App) -> Seat:
    """The seat of an application that acts in this person's name; its session was opened when it was let in."""
    seat = person.seats.get(app.kind.name)
    if seat is None:
        seat = person.seats[app.kind.name] = Seat(
            person=person,
            kind=app.kind,
            agent=clients.Agent("chrome_linux", 0),
            sid=scene.chance.guid(),
            session_until=scene.tenant.end,
            actor_kind="app",
        )
    return seat


def watchman(scene: Scene, app: App) -> Life:
    """An automation that signs in every day by managed identity, and reads no mail."""
    dice = scene.dice("watchman")
    net = places.connect(app.provider, dice)
    while True:
        yield scene.clock.now + int(dice.about(20, 0.3) * HOUR)
        app.token = None
        scene.desk.app_caller(app, net, scene.clock.now, kind="service", managed=True)


# ---------------------------------------------------------------- strangers and guests


def guessers(scene: Scene) -> Life:
    """People out there who try passwords, one account at a time."""
    dice = scene.dice("guessers")
    tenant = scene.tenant
    pause = dice.about(5, 1.0)
    while True:
        yield scene.clock.now + int(dice.wait(pause) * HOUR)
        person = dice.pick(tenant.people)
        provider = (
            dice.pick(scene.world.clouds) if dice.chance(0.5) else dice.pick(scene.world.elsewhere(tenant.country))
        )
        seat = Seat(person=person, kind=clients.OWA, agent=clients.browser(dice), actor_kind="outsider")
        net = places.connect(provider, dice)
        for _ in range(1 + dice.count(1)):
            scene.desk.write(seat, _request(scene, net, WRONG_PASSWORD))


def guests(scene: Scene, visitors: list[Person]) -> Life:
    """Guests of other organisations, whose home tenant signs them in."""
    dice = scene.dice("guests")
    home = dice.guid()
    where = [places.connect(dice.pick(scene.world.of("office", scene.tenant.country)), dice) for _ in visitors]
    while visitors:
        yield scene.clock.now + int(dice.wait(5) * HOUR)
        place = dice.below(len(visitors))
        seat = Seat(person=visitors[place], kind=clients.TEAMS, agent=clients.browser(dice), actor_kind="guest")
        seat.sid = scene.chance.guid()
        scene.desk.write(seat, _request(scene, where[place], 0), home_tenant=home)


def _request(scene: Scene, net: places.Net, error: int) -> Request:
    request_id = scene.chance.request_id()
    return Request(
        id=request_id,
        at=scene.clock.now,
        correlation=scene.chance.guid(),
        token_text=token_text(request_id),
        is_interactive=True,
        error=error,
        net=net,
        incoming="none",
        protocol="oAuth2",
    )
