"""The desk where tokens are had: sessions that last weeks, tokens that last an hour or a day, and their log lines.

The id of a token is the id of the request that it was issued for, always. What differs is whether any log shows that
request: flows that log nothing, spells in which an application's requests are lost, single losses, and tokens that
the web mail mints itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.drill.second_generator import clients
from brokenseal.drill.second_generator import sign_in_lines as lines
from brokenseal.drill.second_generator.clock import DAY, HOUR, MINUTE, SECOND
from brokenseal.drill.second_generator.company import Token
from brokenseal.drill.second_generator.dice import token_text, token_text_ascii
from brokenseal.drill.second_generator.places import back_end
from brokenseal.drill.second_generator.sign_in_lines import Request

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.books import Books
    from brokenseal.drill.second_generator.company import App, Company, Person, Seat, Tag
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.outbox import Outbox, Written
    from brokenseal.drill.second_generator.places import Net

WRONG_PASSWORD: Final = 50126
_ASKED_AGAIN: Final = 50074
_SHORT_MIN: Final = (60.0, 90.0)
_LONG_H: Final = (20.0, 28.0)
_TYPOS: Final = 0.04
_SECOND_FACTOR: Final = 0.35
_AUDITED_REFRESHES: Final = 0.25
"""Share of silent requests that the unified audit log shows as UserLoggedIn."""
_REFRESHED_AT_ONCE: Final = 0.4
_DEAF: Final = 2.5
_SPELL_SHARE: Final = 0.6


@dataclass(slots=True, eq=False)
class Caller:
    """Who opens a mailbox, as the audit log will write it. One object for as long as nothing of it changes.

    Attributes:
        key: What tells this caller from others where reads are gathered into records.
        repeat_key: Likewise where repeats are left out: the token does not count there.
        fields: The fields of its mail records.
        actor_kind: For the truth alone.
        tag: For the truth alone.
        owner: Object id of the person; empty for programs.
    """

    key: tuple[object, ...]
    repeat_key: tuple[object, ...]
    fields: dict[str, object]
    subject: str
    actor: str
    person: Person | None
    actor_kind: str
    tag: Tag | None
    external: bool = False


class Desk:
    """Sessions and tokens of one tenant."""

    def __init__(self, tenant: Company, dice: Dice, outbox: Outbox, books: Books) -> None:
        self._tenant = tenant
        self._dice = dice
        self._outbox = outbox
        self._books = books
        given = tenant.parameters
        self._write_text = token_text if given["ids_are_short"] else token_text_ascii
        self._lost_share, self._minted = _share(given["unlogged_share"]), _share(given["minted_by_owa"])
        self._is_federated = bool(given["has_federation"])
        self._deaf = self._deaf_spells(_share(given["deaf_spells_per_month"]))
        long_share = _share(given["long_tokens"])
        self._long = {kind.app_id for kind in clients.KINDS if kind.is_long_lived and dice.chance(long_share)}
        # One small flow of every second tenant never writes a sign-in.
        self._silent_flow = dice.pick((clients.TEAMS.app_id, clients.SCRIPT.app_id, "", ""))
        tenant.unlogged = (self._silent_flow,) if self._silent_flow else ()

    def _deaf_spells(self, per_month: float) -> list[tuple[int, int, str]]:
        tenant, dice = self._tenant, self._dice
        found = []
        for _ in range(dice.count(per_month * (tenant.end - tenant.start) / DAY / 30)):
            at = tenant.start + dice.below(tenant.end - tenant.start)
            found.append((at, at + int(dice.wait(_DEAF) * HOUR), dice.pick(clients.KINDS).app_id))
        return sorted(found)

    # ------------------------------------------------------------ people

    def caller(self, seat: Seat, net: Net, now: int) -> Caller:
        """The caller of a seat from this address, with a token that is good now; signs in where it has none."""
        if seat.token is None or now >= seat.token.until:
            self._renew(seat, net, now)
        token = seat.token
        assert token is not None
        tag = seat.tag or seat.person.tag_at(now)
        key = (token.id, net.address, tag)
        held = seat.caller
        if isinstance(held, Caller) and held.key[:3] == key:
            return held
        seat.caller = self._user_caller(seat, token, net, tag, now)
        return seat.caller

    def _renew(self, seat: Seat, net: Net, now: int) -> None:
        if seat.source in {"forged_random", "forged_structured", "copied"}:
            self._forge(seat, now)
        elif now >= seat.session_until:
            self.sign_in(seat, net, now)
        else:
            self._refresh(seat, net, now)

    def sign_in(self, seat: Seat, net: Net, now: int) -> None:
        """The person signs in: a new session, and a token of it."""
        dice = self._dice
        correlation = dice.guid()
        at = now - int(dice.between(4, 20) * SECOND)
        # Failed attempts belong to the session that they lead to, not to the one that has ended.
        seat.sid = dice.guid()
        seat.session_until = now + int((0.5 + dice.wait(seat.kind.sign_in_days)) * DAY)
        if dice.chance(_TYPOS):
            self.write(seat, self._request(net, at - 25 * SECOND, correlation, error=WRONG_PASSWORD))
        if dice.chance(_SECOND_FACTOR):
            self.write(seat, self._request(net, at - 9 * SECOND, correlation, error=_ASKED_AGAIN))
        request = self._request(net, at, correlation)
        if self._is_federated:
            body = lines.federated_sign_in(self._tenant, seat, request)
            self._put(seat, "adfs", request, f"signin:{request.id}", body)
            request = request._replace(id=dice.request_id())
            request = request._replace(token_text=self._write_text(request.id))
        line, unlogged = self.write(seat, request)
        if dice.chance(_REFRESHED_AT_ONCE):
            # A code that is redeemed makes a request of its own, and the token bears the id of that one.
            self._refresh(seat, net, now - SECOND, correlation=correlation)
        else:
            self._hold(seat, request.id, request.at, line, unlogged)

    def _refresh(self, seat: Seat, net: Net, now: int, *, correlation: str = "") -> None:
        dice = self._dice
        at = now - int(dice.between(0.3, 3) * SECOND)
        request = self._request(net, at, correlation or dice.guid(), silent=True)
        if seat.kind.protocol in {"owa", "proxy"} and not correlation and dice.chance(self._minted):
            record_id = dice.guid()
            minted = request._replace(token_text=token_text(request.id))
            body = lines.minted_by_owa(self._tenant, seat, minted, record_id)
            record = self._put(seat, "ual_exchange", request, record_id, body, at=lines.whole_second(at))
            self._hold(seat, request.id, at, record, "")
            return
        line, unlogged = self.write(seat, request)
        self._hold(seat, request.id, at, line, unlogged)

    def _forge(self, seat: Seat, now: int) -> None:
        """A token that nobody issued."""
        dice = self._dice
        made = dice.guid() if seat.source == "forged_random" else dice.request_id()
        if seat.source == "copied":
            genuine = [own.token for own in seat.person.seats.values() if own is not seat and own.token is not None]
            made = max(genuine, key=lambda token: token.issued).id if genuine else made
        seat.sid = seat.sid or (dice.guid() if dice.chance(0.5) else "")
        age = dice.between(1, 50 * 60) if dice.chance(0.5) else dice.between(1, 20 * 3600)
        issued = now - int(age * SECOND)
        until = now + int(dice.between(*_SHORT_MIN) * MINUTE)
        seat.token = Token(made, token_text(made), issued, until)
        self._book(seat, seat.token, None, "never_issued")

    def _hold(self, seat: Seat, request_id: str, at: int, line: Written | None, unlogged: str) -> None:
        dice = self._dice
        is_long = seat.kind.app_id in self._long
        life = dice.between(*_LONG_H) * HOUR if is_long else dice.between(*_SHORT_MIN) * MINUTE
        seat.token = Token(request_id, token_text(request_id), at, at + int(life))
        self._book(seat, seat.token, line, unlogged)

    def _book(self, seat: Seat, token: Token, line: Written | None, unlogged: str) -> None:
        self._books.token(
            token,
            line=line,
            unlogged=unlogged,
            subject=seat.person.oid,
            session=seat.sid,
            client_app=seat.kind.app_id,
            source=seat.source,
            tag=seat.tag or seat.person.tag_at(token.issued),
        )

    def _request(self, net: Net | None, at: int, correlation: str, *, error: int = 0, silent: bool = False) -> Request:
        request_id = self._dice.request_id()
        return Request(
            id=request_id,
            at=at,
            correlation=correlation,
            token_text=self._write_text(request_id),
            is_interactive=not silent,
            error=error,
            net=net,
            incoming="refreshToken" if silent else "none",
            protocol="none" if silent else "oAuth2",
        )

    def write(self, seat: Seat, request: Request, *, home_tenant: str = "") -> tuple[Written | None, str]:
        """Log a person's request.

        Returns: The line of it in the sign-in log, None where there is none; and why the log has none, if it does not
            ("" where it was written, delivered or not).
        """
        unlogged = "" if request.error else self._unlogged(seat, request)
        stream = "interactive" if request.is_interactive else "non_interactive"
        body = lines.user_sign_in(self._tenant, seat, request, home_tenant=home_tenant)
        line = self._put(seat, stream, request, f"signin:{request.id}", body, lost_to=unlogged)
        if not unlogged and not home_tenant and (request.is_interactive or self._dice.chance(_AUDITED_REFRESHES)):
            at = lines.whole_second(request.at)
            self._put(seat, "ual_entra", request, request.id, lines.logged_in(self._tenant, seat, request), at=at)
        return line, unlogged

    def _unlogged(self, seat: Seat, request: Request) -> str:
        if seat.kind.app_id == self._silent_flow and not request.is_interactive:
            return "flow_not_logged"
        dice = self._dice
        in_spell = any(
            start <= request.at < end and app_id == seat.kind.app_id and dice.chance(_SPELL_SHARE)
            for start, end, app_id in self._deaf
        )
        return "lost" if in_spell or dice.chance(self._lost_share) else ""

    def _put(
        self, seat: Seat, stream: str, request: Request, event_id: str, body: bytes, *, at: int = 0, lost_to: str = ""
    ) -> Written:
        return self._outbox.put(
            stream,
            event_id,
            at or lines.whole_millisecond(request.at),
            body,
            actor=seat.person.upn,
            actor_kind=seat.actor_kind,
            tag=seat.tag or seat.person.tag_at(request.at),
            lost_to=lost_to,
        )

    def _user_caller(self, seat: Seat, token: Token, net: Net, tag: Tag | None, now: int) -> Caller:
        person, kind = seat.person, seat.kind
        client = clients.client_string(kind, seat.agent, now)
        address = "::1" if seat.hides_address else back_end(self._dice) if seat.is_relayed else net.address
        fields: dict[str, object] = {
            "UserId": person.upn,
            "UserKey": person.puid,
            "UserType": 0,
            "LogonUserSid": person.sid,
            "ClientIPAddress": address,
            "ClientInfoString": client,
        }
        if kind.record_app:
            fields["AppId"], fields["ClientAppId"] = kind.record_app, kind.record_client
        actor = clients.actor_string(kind)
        if actor:
            fields["ActorInfoString"] = actor
        if kind.protocol == "mapi":
            fields["ClientProcessName"] = "OUTLOOK.EXE"
            fields["ClientVersion"] = f"16.0.{18_000 + seat.agent.lag}.20104"
            fields["AppAccessContext"] = {"APIId": ""}
        if kind.tells_session:
            fields["SessionId"] = seat.sid
        if kind.tells_token:
            fields["TokenObjectId"], fields["TokenTenantId"] = person.oid, self._tenant.tenant_id
            fields["AuthType"] = "Bearer"
            fields["AppAccessContext"] = _context(kind.api, kind.record_client, token, seat.sid)
        return Caller(
            key=(token.id, net.address, tag, seat.sid, client, person.oid),
            repeat_key=(person.oid, seat.sid, client, address),
            fields=fields,
            subject=person.oid,
            actor=person.upn,
            person=person,
            actor_kind=seat.actor_kind,
            tag=tag,
        )

    # ------------------------------------------------------------ applications

    def app_caller(
        self, app: App, net: Net, now: int, *, tag: Tag | None = None, kind: str = "app", managed: bool = False
    ) -> Caller:
        """The caller of an application in its own name."""
        if app.token is None or now >= app.token.until:
            self._app_token(app, net, now, tag=tag, kind=kind, managed=managed)
        token = app.token
        assert token is not None
        fields: dict[str, object] = {
            "UserId": app.sp_oid,
            "UserKey": app.sp_oid,
            "UserType": 5,
            "LogonUserSid": "S-1-5-20",
            "ClientIPAddress": net.address,
            "ClientInfoString": "Client=REST;;",
            "AppId": clients.GRAPH[0],
            "ClientAppId": app.app_id,
            "TokenObjectId": app.sp_oid,
            "TokenTenantId": self._tenant.tenant_id,
            "AuthType": "Bearer",
            "AppAccessContext": _context(clients.GRAPH[0], app.app_id, token, ""),
        }
        return Caller(
            key=(token.id, net.address, tag),
            repeat_key=(app.app_id, net.address),
            fields=fields,
            subject=app.sp_oid,
            actor=app.sp_oid,
            person=None,
            actor_kind=kind,
            tag=tag,
            external=True,
        )

    def _app_token(self, app: App, net: Net, now: int, *, tag: Tag | None, kind: str, managed: bool) -> None:
        request = self._request(net, now - SECOND, self._dice.guid(), silent=True)
        stream = "managed_identity" if managed else "service_principal"
        unlogged = "lost" if self._dice.chance(self._lost_share) else ""
        line = self._outbox.put(
            stream,
            f"signin:{request.id}",
            lines.whole_millisecond(request.at),
            lines.app_sign_in(self._tenant, app, request, is_managed=managed),
            actor=app.name,
            actor_kind=kind,
            tag=tag,
            lost_to=unlogged,
        )
        app.token = Token(request.id, token_text(request.id), request.at, request.at + HOUR)
        self._books.token(
            app.token,
            line=line,
            unlogged=unlogged,
            subject=app.sp_oid,
            session="",
            client_app=app.app_id,
            source="normal",
            tag=tag,
        )

    def first_party(self, app_id: str, name: str, now: int) -> None:
        """One of Microsoft's services gets itself a token."""
        request = self._request(None, now, self._dice.guid(), silent=True)
        self._outbox.put(
            "microsoft_service_principal",
            f"signin:{request.id}",
            lines.whole_millisecond(now),
            lines.first_party_sign_in(self._tenant, app_id, name, request),
            actor=name,
            actor_kind="service",
        )


def _context(api: str, client_app: str, token: Token, sid: str) -> dict[str, object]:
    context: dict[str, object] = {
        "APIId": api,
        "ClientAppId": client_app,
        "IssuedAtTime": lines.second_text(token.issued),
        "UniqueTokenId": token.text,
    }
    if sid:
        context["AADSessionId"] = sid
    return context


def _share(value: object) -> float:
    assert isinstance(value, float)
    return value
