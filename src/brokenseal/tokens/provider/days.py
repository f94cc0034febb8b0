"""Ordinary life in the simulated tenant: people sign in, their tokens are renewed, and they read their mail.

Without it there is nothing against which a token without a sign-in would stand out.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from brokenseal.tokens.provider.client import form
from brokenseal.tokens.provider.tenant import ADD_IN, ARCHIVE, EXCHANGE, GRAPH, OWA, PHONE

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from brokenseal.tokens.provider.client import Line, Reply
    from brokenseal.tokens.provider.tenant import App, Person, Tenant

EDGE: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/134.0.0.0 Safari/537.36 Edg/134.0.0.0"
)
_PHONE_AGENT = "Outlook-iOS/2.0"
_ARCHIVE_AGENT = "WharfsideArchive/1.4"
_OFFICE = "198.51.100.{}"
_FIRST_AT = dt.timedelta(hours=7)
_WORKDAYS = 5
_READS = 6
_PAUSE_MIN = (92, 104)  # longer than any token lives, so that each look at the mail renews it


@dataclass(slots=True, kw_only=True)
class Desk:
    """One person at one client, or an application by itself, with the token that it holds."""

    person: Person | None
    app: App
    resource: str
    address: str
    agent: str
    tenant_id: str
    token: str = ""
    refresh_token: str = ""
    day: dt.date | None = None
    opened: int = 0
    tokens: list[str] = field(default_factory=list)

    def sit_down(self, line: Line, at: dt.datetime) -> None:
        """Get a token: with the password once a day, then with the refresh token."""
        if self.person is None:
            proof = {"grant_type": "client_credentials", "client_secret": self.app.secret or ""}
        elif self.day == at.date():
            proof = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        else:
            proof = {"grant_type": "password", "username": self.person.upn, "password": self.person.password}
        asked = form(client_id=self.app.app_id, resource=self.resource, **proof)
        reply = self._call(line, "POST", f"/{self.tenant_id}/oauth2/v2.0/token", body=asked, bearer=False)
        self.day = at.date()
        self.token = reply.document["access_token"]
        self.refresh_token = reply.document.get("refresh_token", "")
        self.tokens.append(self.token)

    def look(self, line: Line, rng: random.Random, whose: str) -> None:
        """List the mailbox and open one or two messages, in the way of this client."""
        prefix = "/v1.0" if self.resource == GRAPH else "/api/v2.0"
        path = f"{prefix}/{whose}/messages"
        is_web = self.app is OWA
        find = ("POST", "/owa/service.svc?action=FindItem") if is_web else ("GET", path)
        listed = self._call(line, *find)
        items = [each.get("Id") or each["id"] for each in listed.document["value"]]
        for item_id in rng.sample(items, rng.randint(1, 2)):
            if is_web:
                body = json.dumps({"ItemId": item_id}).encode()
                reply = self._call(line, "POST", "/owa/service.svc?action=GetItem", body=body)
            else:
                reply = self._call(line, "GET", f"{path}/{item_id}")
            self.opened += reply.is_ok

    def _call(self, line: Line, method: str, path: str, *, body: bytes | None = None, bearer: bool = True) -> Reply:
        token = self.token if bearer else ""
        return line.call(method, path, address=self.address, agent=self.agent, token=token, body=body)


def desks_of(tenant: Tenant) -> tuple[Desk, ...]:
    """Everybody at the web mail, two people on the phone as well, and an application that archives one mailbox."""
    webs = [_desk(tenant, person, OWA, number) for number, person in enumerate(tenant.people, 10)]
    phones = [_desk(tenant, person, PHONE, number) for number, person in enumerate(tenant.people[:2], 20)]
    archive = Desk(
        person=None, app=ARCHIVE, resource=GRAPH, address=_OFFICE.format(40), agent=_ARCHIVE_AGENT,
        tenant_id=tenant.tenant_id,
    )  # fmt: skip
    return (*webs, *phones, archive)


def _desk(tenant: Tenant, person: Person, app: App, number: int) -> Desk:
    agent = EDGE if app is OWA else _PHONE_AGENT
    return Desk(
        person=person,
        app=app,
        resource=EXCHANGE,
        address=_OFFICE.format(number),
        agent=agent,
        tenant_id=tenant.tenant_id,
    )


def agenda(
    desks: tuple[Desk, ...], rng: random.Random, *, start: dt.datetime, days: int
) -> Iterator[tuple[dt.datetime, Callable[[Line], None]]]:
    """What is done when, in the order of time, on the workdays of so many days from a Monday on."""
    planned: list[tuple[dt.datetime, int, Desk]] = []
    for day in range(days):
        if day % 7 >= _WORKDAYS:
            continue
        for number, desk in enumerate(desks):
            at = start + dt.timedelta(days=day) + _FIRST_AT + dt.timedelta(seconds=rng.randint(0, 2400))
            for _ in range(_READS if desk.app is OWA else _READS // 2):
                planned.append((at, number, desk))
                at += dt.timedelta(minutes=rng.randint(*_PAUSE_MIN))
    for at, _, desk in sorted(planned, key=lambda each: each[:2]):
        yield at, _visit(desk, rng, at, desks)


def _visit(desk: Desk, rng: random.Random, at: dt.datetime, desks: tuple[Desk, ...]) -> Callable[[Line], None]:
    whose = "me" if desk.person else f"users/{_archived(desks)}"

    def carried_out(line: Line) -> None:
        desk.sit_down(line, at)
        desk.look(line, rng, whose)
        # An add-in of the first person's web mail has a token made out of hers, as add-ins do.
        if desk is desks[0]:
            body = json.dumps({"ClientAppId": ADD_IN.app_id}).encode()
            line.call("POST", "/owa/service.svc?action=GetAccessTokenForResource", address=desk.address,
                      agent=desk.agent, token=desk.token, body=body)  # fmt: skip

    return carried_out


def _archived(desks: tuple[Desk, ...]) -> str:
    return next(desk.person.upn for desk in desks if desk.person is not None)
