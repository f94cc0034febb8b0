"""Tokens and sign-ins of the sample tenant.

Every token is made here, by one function: with a request id that ends in a zero byte, and a token id (`uti`) that is
the same 16 bytes, little-endian, in base64url (Microsoft Entra, "Linkable identifiers"). For an honest client a sign-in
record is written with it; for a forged one it is not, and that is the only difference.
"""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from brokenseal.demo import world as w

if TYPE_CHECKING:
    import random

    from brokenseal.demo.world import Person

Category = Literal["interactive", "non_interactive", "service_principal", "owa_auth"]

_CONTINUOUS = (20 * w.HOUR, 28 * w.HOUR)  # continuous access evaluation: long tokens, revoked by event
_SHORT = (60 * w.MINUTE, 90 * w.MINUTE)  # the default lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKind:
    """What one kind of client writes into the logs.

    Attributes:
        app_id: The client application.
        api_id: `AppId` of the mail record: the application or API that Exchange was called through; "" for none.
        client_app_id: `ClientAppId` of the mail record; "" for none.
        info: `ClientInfoString`.
        is_minted_by_owa: OWA makes its token out of the user's own; the issue stands in the audit log (record type 275)
            and in no sign-in log.
        carries_token: False where Exchange writes no token into the mail record (MAPI, background services).
        session_days: After so many days the user signs in anew.
    """

    name: str
    app_id: str
    app_name: str
    api_id: str
    client_app_id: str
    info: str
    user_agent: str
    resource_id: str = w.EXCHANGE
    carries_token: bool = True
    session_days: int = 14
    lifetime: tuple[int, int] = _SHORT
    process: str = ""
    is_app_only: bool = False
    is_background: bool = False
    is_minted_by_owa: bool = False


_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/134.0.0.0 Safari/537.36 Edg/134.0.0.0"
)
_OLD_EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/106.0.0.0 Safari/537.36 Edg/106.0.1370.52"
)
_OUTLOOK_DESKTOP = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
_OUTLOOK_MOBILE = "27922004-5251-4030-b22d-91ecd9a37ea4"
_OUTLOOK_WEB = "9199bf20-a13f-4107-85dc-02114787ef48"
_ADD_IN = "bc59ab01-8403-45c6-8796-ac3ef710b3e3"
_TEAMS = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"
_SUBSTRATE = "13937bba-652e-4c46-b222-3003f4d1ff97"
_ONEDRIVE = "ab9b8c07-8f02-4f72-87fa-80105867a763"
CRM_APP = "6f0d6f0a-27c5-4c4e-9a55-0c1d7f3e5a10"
CRM_OBJECT = "0b7a4f52-9f0e-4d0f-8e0f-6a5b0a9d2c41"
ARCHIVER_APP = "c2f4b7de-5a0d-4b3c-8a54-1c6f0f7b9e23"
ARCHIVER_NAME = "Mail Archive Helper"

DESKTOP = ClientKind(
    name="desktop",
    app_id=_OUTLOOK_DESKTOP,
    app_name="Microsoft Office",
    api_id="",
    client_app_id="",
    info="Client=MSExchangeRPC",
    user_agent="Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.18526; Pro)",
    carries_token=False,
    lifetime=_CONTINUOUS,
    process="OUTLOOK.EXE",
)
OWA = ClientKind(
    name="owa",
    app_id=_OUTLOOK_WEB,
    app_name="One Outlook Web",
    api_id=_OUTLOOK_WEB,
    client_app_id=_OUTLOOK_WEB,
    info=f"Client=OWA;{_EDGE};",
    user_agent=_EDGE,
    session_days=1,
)
ADD_IN = ClientKind(
    name="add_in",
    app_id=_ADD_IN,
    app_name="Outlook Online Add-in App",
    api_id=w.EXCHANGE,
    client_app_id=_ADD_IN,
    info="Client=REST;;",
    user_agent=_EDGE,
    is_minted_by_owa=True,
)
PHONES = {
    phone: ClientKind(
        name=f"mobile_{phone}",
        app_id=_OUTLOOK_MOBILE,
        app_name="Outlook Mobile",
        api_id=_OUTLOOK_MOBILE,
        client_app_id=_OUTLOOK_MOBILE,
        info=f"Client=OutlookService;Outlook-{phone}/2.0;",
        user_agent=f"Outlook-{phone}/2.0",
        session_days=40,
    )
    for phone in ("iOS", "Android")
}
TEAMS = ClientKind(
    name="teams",
    app_id=_TEAMS,
    app_name="Microsoft Teams",
    api_id=_TEAMS,
    client_app_id=_TEAMS,
    info="Client=REST;Client=RESTSystem;;",
    user_agent="Teams/25060.205",
    resource_id=w.GRAPH,
    carries_token=False,
    is_background=True,
)
SUBSTRATE = ClientKind(
    name="substrate",
    app_id=_SUBSTRATE,
    app_name="Substrate Context Service",
    api_id=_SUBSTRATE,
    client_app_id="",
    info="Client=REST;Client=RESTSystem;;",
    user_agent="",
    carries_token=False,
    is_background=True,
)
CRM = ClientKind(
    name="crm",
    app_id=CRM_APP,
    app_name="Cedar CRM",
    api_id=w.GRAPH,
    client_app_id=CRM_APP,
    info="Client=REST;;",
    user_agent="CedarCRM-Connector/4.2",
    resource_id=w.GRAPH,
    is_app_only=True,
)
ARCHIVER = ClientKind(
    name="archiver",
    app_id=ARCHIVER_APP,
    app_name=ARCHIVER_NAME,
    api_id=w.GRAPH,
    client_app_id=ARCHIVER_APP,
    info="Client=REST;;",
    user_agent="python-requests/2.32.3",
    resource_id=w.GRAPH,
    session_days=60,
)
FORGED_OWA = ClientKind(
    name="forged_owa",
    app_id=_OUTLOOK_WEB,
    app_name="One Outlook Web",
    api_id=_OUTLOOK_WEB,
    client_app_id=_OUTLOOK_WEB,
    info=f"Client=OWA;{_OLD_EDGE};",
    user_agent=_OLD_EDGE,
    session_days=60,
)
# As in 2023 the mail API is called with the id of a Microsoft client that never reads mail in this tenant.
FORGED_REST = ClientKind(
    name="forged_rest",
    app_id=_ONEDRIVE,
    app_name="OneDrive SyncEngine",
    api_id=w.EXCHANGE,
    client_app_id=_ONEDRIVE,
    info="Client=REST;;",
    user_agent="python-requests/2.28.1",
    session_days=60,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client on one device, in the name of one person or of an application.

    Attributes:
        session_key: Clients with an equal key share a session.
        is_forged: Its tokens are made without the identity provider.
    """

    kind: ClientKind
    person: Person | None
    device_id: str = ""
    session_key: str = ""
    is_forged: bool = False

    @property
    def subject_id(self) -> str:
        """Object id in the token: the person's, or the application's."""
        return self.person.object_id if self.person else CRM_OBJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token as far as logs tell of it."""

    token_id: str
    uti: str
    issued_at: int
    expires_at: int
    session_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One sign-in or token issuance; `error` 0 is success."""

    at: int
    category: Category
    request_id: str
    correlation_id: str
    session_id: str
    client: Client
    user_name: str
    user_id: str
    resource_id: str
    address: str
    error: int = 0


FAILURES = {
    50126: "Error validating credentials due to invalid username or password.",
    50034: "The user account does not exist in the directory.",
}


def token_text(token_id: str) -> str:
    """The 22 characters of base64url in which logs write a token id."""
    return base64.urlsafe_b64encode(uuid.UUID(token_id).bytes_le).decode().rstrip("=")


def request_id(rng: random.Random) -> str:
    """A request id of Entra's form: a version 4 GUID whose last byte is zero."""
    return str(uuid.UUID(int=uuid.UUID(int=rng.getrandbits(128), version=4).int & ~0xFF))


class TokenService:
    """Issues tokens in the order of time and keeps the sign-in records."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tokens: dict[tuple[str, str, str, str], Token] = {}
        self._sessions: dict[tuple[str, str], tuple[str, int]] = {}
        self.sign_ins: list[SignIn] = []
        self.forged: list[tuple[str, Token]] = []

    def token(self, client: Client, *, at: int, address: str) -> Token:
        """The client's valid token at that moment, issued now where there is none; `at` never goes back."""
        key = (client.subject_id, client.kind.name, client.device_id, client.session_key)
        token = self._tokens.get(key)
        session_id, is_new = self._session(client, at)
        if token is None or is_new or at >= token.expires_at:
            token = self._issue(client, at=at, address=address, session_id=session_id, is_new=is_new)
            self._tokens[key] = token
        return token

    def _session(self, client: Client, at: int) -> tuple[str, bool]:
        key = (client.subject_id, client.session_key or f"{client.kind.name}/{client.device_id}")
        known = self._sessions.get(key)
        if known and at < known[1]:
            return known[0], False
        # A session that began before the logs do is already known, so that not everybody signs in on the first day.
        ends_at = at + client.kind.session_days * w.DAY - (2 * w.HOUR if client.kind.session_days == 1 else 0)
        session_id = w.guid(self._rng)
        self._sessions[key] = (session_id, ends_at)
        return session_id, True

    def _issue(self, client: Client, *, at: int, address: str, session_id: str, is_new: bool) -> Token:
        issued_at = at - self._rng.randint(1, 25)
        token_id = request_id(self._rng)
        token = Token(
            token_id=token_id,
            uti=token_text(token_id),
            issued_at=issued_at,
            expires_at=issued_at + self._rng.randint(*client.kind.lifetime),
            session_id=session_id,
        )
        if client.is_forged:
            self.forged.append((client.subject_id, token))
            return token
        category: Category = "interactive" if is_new else "non_interactive"
        if client.kind.is_app_only:
            category = "service_principal"
        elif client.kind.is_minted_by_owa:
            category = "owa_auth"
        self.record(
            SignIn(
                at=issued_at,
                category=category,
                request_id=token_id,
                correlation_id=w.guid(self._rng),
                session_id=session_id,
                client=client,
                user_name=client.person.upn if client.person else client.kind.app_name,
                user_id=client.subject_id,
                resource_id=client.kind.resource_id,
                address=address,
            )
        )
        return token

    def record(self, sign_in: SignIn) -> None:
        """Keep a sign-in record."""
        self.sign_ins.append(sign_in)
