"""The identity provider: who gets a token, and the sign-in record of every request for one.

A token's `uti` is the id of the request that it answers, so that each token it gives has its line in the sign-in log,
and a token that somebody else signed has none (Microsoft Entra, linkable identifiers).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal.tokens.provider.keys import AUTHORITY, ENTERPRISE_ISSUER, signed_token
from brokenseal.tokens.provider.records import Category, SignIn, sign_in_record
from brokenseal.tokens.provider.tenant import (
    APPS,
    EXCHANGE,
    RESOURCES,
    App,
    drawn_guid,
    drawn_request_id,
    token_text,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.provider.keys import Cabinet
    from brokenseal.tokens.provider.records import Caller
    from brokenseal.tokens.provider.tenant import Person, Tenant

_LIFETIME_S = (3600, 5400)  # Microsoft identity platform: an access token lives 60 to 90 minutes
_SCOPES = "Mail.Read Mail.ReadWrite User.Read"
_ROLES = ("Mail.Read",)
_WRONG_PASSWORD = 50126
_ERRORS = {
    _WRONG_PASSWORD: "AADSTS50126: Error validating credentials due to invalid username or password.",
    700082: "AADSTS700082: The refresh token is unknown or has expired.",
    7000215: "AADSTS7000215: Invalid client secret is provided.",
    700016: "AADSTS700016: The application is not known in the tenant.",
    500011: "AADSTS500011: The resource is not known in the tenant.",
    90015: "AADSTS90015: No key that may sign is left.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A token that was asked for, or the error that was given instead."""

    token: str = ""
    refresh_token: str = ""
    expires_in: int = 0
    error: int = 0

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        if self.error:
            return {"error": "invalid_grant", "error_codes": [self.error], "error_description": _ERRORS[self.error]}
        body: dict[str, Any] = {"token_type": "Bearer", "access_token": self.token, "expires_in": self.expires_in}
        return body | ({"refresh_token": self.refresh_token} if self.refresh_token else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """What a refresh token stands for."""

    person: Person
    app: App
    resource: str
    session_id: str


def access_claims(
    tenant_id: str, *, person: Person | None, app: App, resource: str, session_id: str | None, request_id: str,
    at: dt.datetime, lifetime_s: int,
) -> dict[str, Any]:  # fmt: skip
    """Claims of a v2 access token, of a person's or (without one) of an application's own.

    Source: Microsoft identity platform, access token claims reference.
    """
    issued = int(at.timestamp())
    claims: dict[str, Any] = {
        "aud": resource,
        "iss": f"{AUTHORITY}/{tenant_id}/v2.0",
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime_s,
        "azp": app.app_id,
        "azpacr": "1" if app.secret else "0",
        "tid": tenant_id,
        "uti": token_text(request_id),
        "ver": "2.0",
    }
    if person is None:
        return claims | {"oid": app.object_id, "sub": app.object_id, "idtyp": "app", "roles": list(_ROLES)}
    return claims | {
        "name": person.name,
        "oid": person.object_id,
        "preferred_username": person.upn,
        "scp": _SCOPES,
        "sid": session_id,
        "sub": f"{person.object_id}-{app.app_id}",
    }


class IdentityProvider:
    """Issues tokens and keeps the sign-in log; `clock` says what time it is."""

    def __init__(self, tenant: Tenant, cabinet: Cabinet, *, clock: Callable[[], dt.datetime], seed: int) -> None:
        self.tenant = tenant
        self.cabinet = cabinet
        self.clock = clock
        self.rng = random.Random(f"identity {seed}")  # noqa: S311  ids of simulated records
        self.sign_ins: list[dict[str, Any]] = []
        self._sessions: dict[str, _Session] = {}

    def answer(self, form: Mapping[str, str], caller: Caller) -> Grant:
        """A request to the token endpoint: password, refresh token or client credentials."""
        app = APPS.get(form.get("client_id", ""))
        resource = form.get("resource", EXCHANGE)
        if app is None:
            return Grant(error=700016)
        if resource not in RESOURCES:
            return Grant(error=500011)
        kind = form.get("grant_type")
        if kind == "password":
            return self._password(form, app, resource, caller)
        if kind == "client_credentials":
            return self._secret(form, app, resource, caller)
        session = self._sessions.get(form.get("refresh_token", ""))
        if kind != "refresh_token" or session is None or session.app is not app:
            return Grant(error=700082)
        return self._issue(session, resource, caller, category="non_interactive")

    def _password(self, form: Mapping[str, str], app: App, resource: str, caller: Caller) -> Grant:
        person = self.tenant.person(upn=form.get("username"))
        if person is None or form.get("password") != person.password:
            self._record("interactive", person, app, resource, None, caller, error=_WRONG_PASSWORD)
            return Grant(error=_WRONG_PASSWORD)
        session = _Session(person=person, app=app, resource=resource, session_id=drawn_guid(self.rng))
        return self._issue(session, resource, caller, category="interactive")

    def _secret(self, form: Mapping[str, str], app: App, resource: str, caller: Caller) -> Grant:
        if app.secret is None or form.get("client_secret") != app.secret:
            return Grant(error=7000215)
        if self.cabinet.signing(ENTERPRISE_ISSUER) is None:
            return Grant(error=90015)
        request_id = self._record("service_principal", None, app, resource, None, caller)
        return self._signed(None, app, resource, None, request_id)

    def _issue(self, session: _Session, resource: str, caller: Caller, *, category: Category) -> Grant:
        if self.cabinet.signing(ENTERPRISE_ISSUER) is None:
            return Grant(error=90015)
        request_id = self._record(category, session.person, session.app, resource, session.session_id, caller)
        grant = self._signed(session.person, session.app, resource, session.session_id, request_id)
        refresh = f"rt.{drawn_guid(self.rng)}"
        self._sessions[refresh] = session
        return Grant(token=grant.token, refresh_token=refresh, expires_in=grant.expires_in)

    def mint(self, session_id: str, *, person: Person, app: App, resource: str) -> tuple[Grant, str]:
        """A token made for the web mail out of another one: it keeps the session, and no sign-in tells of it.

        Returns: The grant, and the token's `uti`.
        """
        if self.cabinet.signing(ENTERPRISE_ISSUER) is None:
            return Grant(error=90015), ""
        request_id = drawn_request_id(self.rng)
        return self._signed(person, app, resource, session_id, request_id), token_text(request_id)

    def _signed(self, person: Person | None, app: App, resource: str, session_id: str | None, request_id: str) -> Grant:
        key = self.cabinet.signing(ENTERPRISE_ISSUER)
        assert key is not None, "asked before"
        lifetime_s = self.rng.randint(*_LIFETIME_S)
        claims = access_claims(
            self.tenant.tenant_id, person=person, app=app, resource=resource, session_id=session_id,
            request_id=request_id, at=self.clock(), lifetime_s=lifetime_s,
        )  # fmt: skip
        return Grant(token=signed_token(claims, key), expires_in=lifetime_s)

    def _record(
        self, category: Category, person: Person | None, app: App, resource: str, session_id: str | None,
        caller: Caller, *, error: int = 0,
    ) -> str:  # fmt: skip
        request_id = drawn_request_id(self.rng)
        sign_in = SignIn(
            at=self.clock(),
            category=category,
            tenant_id=self.tenant.tenant_id,
            request_id=request_id,
            correlation_id=drawn_guid(self.rng),
            session_id=session_id,
            person=person,
            app_id=app.app_id,
            resource=resource,
            caller=caller,
            error=error,
        )
        self.sign_ins.append(sign_in_record(sign_in))
        return request_id
