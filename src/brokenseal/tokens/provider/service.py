"""The provider as a whole, without a socket: a request goes in, an answer comes out, and the logs grow.

Paths are those of the Microsoft identity platform (metadata, keys, tokens), of Microsoft Graph and the Outlook REST API
(`/me/messages`), and of Outlook on the web (`/owa/service.svc`).
"""

from __future__ import annotations

import ipaddress
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE
from brokenseal.tokens.provider.access_log import access_line
from brokenseal.tokens.provider.keys import ALGORITHM, AUTHORITY, CONSUMER_ISSUER, ENTERPRISE_ISSUER
from brokenseal.tokens.provider.records import Bearer, Caller, MailCall, bearer_of
from brokenseal.tokens.provider.tenant import EXCHANGE, GRAPH, OWA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.provider.gates import Admission
    from brokenseal.tokens.provider.identity import IdentityProvider
    from brokenseal.tokens.provider.mail import MailService
    from brokenseal.tokens.provider.tenant import Message, Person

HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names under which the provider answers; a page that was lured to it by another name gets nothing."""

_DOCUMENT = re.compile(r"/([^/]+)/(v2\.0/\.well-known/openid-configuration|discovery/v2\.0/keys|oauth2/v2\.0/token)")
_MESSAGES = re.compile(r"(?:/(v1\.0|beta|api/v2\.0))?/(me|users/[^/]+)/messages(?:/([^/]+))?")
_GRAPH_VERSIONS = frozenset({"v1.0", "beta"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered; `challenge` is the value of WWW-Authenticate."""

    status: int
    document: dict[str, Any]
    challenge: str = ""


def _error(status: int, code: str, message: str, **more: Any) -> Answer:
    return Answer(status=status, document={"error": {"code": code, "message": message, **more}})


def _no_such_path() -> Answer:
    return _error(404, "ResourceNotFound", "The simulated provider has no such path.")


@dataclass(slots=True)
class _Seen:
    """What the access log will say of the token."""

    uti: str = ""


class Provider:
    """One build of the mail service beside the identity provider; safe to call from several threads.

    Attributes:
        access_log: One line per request, without tokens.
        watch: Hears each line as it is written.
    """

    def __init__(self, identity: IdentityProvider, mail: MailService) -> None:
        self.identity = identity
        self.mail = mail
        self.access_log: list[str] = []
        self.watch: Callable[[str], None] | None = None
        self._lock = threading.Lock()

    def handle(self, request: Request) -> Answer:
        """The answer to a request, which is also noted in the access log."""
        with self._lock:
            seen = _Seen()
            answer = self._route(request, seen)
            line = access_line(
                at=self.identity.clock(),
                address=_caller(request).address,
                method=request.method,
                path=request.path,
                status=answer.status,
                uti=seen.uti,
            )
            self.access_log.append(line)
            if self.watch is not None:
                self.watch(line)
            return answer

    def _route(self, request: Request, seen: _Seen) -> Answer:
        host = request.headers.get("host", "")
        if _host_name(host) not in HOSTS:
            return _error(421, "MisdirectedRequest", "The simulated provider answers on loopback only.")
        path = request.path
        if found := _DOCUMENT.fullmatch(path):
            return self._documents(request, found[1], found[2], base=f"http://{host}")
        if found := _MESSAGES.fullmatch(path):
            return self._messages(request, found, seen)
        if path == "/owa/service.svc":
            return self._web_mail(request, seen)
        return _no_such_path()

    # ------------------------------------------------------------ identity provider

    def _documents(self, request: Request, tenant: str, kind: str, *, base: str) -> Answer:
        issuers = {
            "common": (ENTERPRISE_ISSUER, CONSUMER_ISSUER),
            "organizations": (ENTERPRISE_ISSUER,),
            self.identity.tenant.tenant_id: (ENTERPRISE_ISSUER,),
            "consumers": (CONSUMER_ISSUER,),
            CONSUMER_TENANT: (CONSUMER_ISSUER,),
        }.get(tenant.lower())
        if issuers is None:
            return _error(400, "invalid_tenant", "AADSTS90002: The tenant was not found.")
        if kind == "oauth2/v2.0/token":
            if request.method != "POST":
                return _error(405, "MethodNotAllowed", "POST a form to the token endpoint.")
            grant = self.identity.answer(_form(request.body), _caller(request))
            return Answer(status=400 if grant.error else 200, document=grant.document())
        if request.method != "GET":
            return _error(405, "MethodNotAllowed", "GET the document.")
        if kind == "discovery/v2.0/keys":
            return Answer(status=200, document=self.identity.cabinet.document(issuers))
        return Answer(status=200, document=_metadata(tenant.lower(), base, own=self.identity.tenant.tenant_id))

    # ------------------------------------------------------------ mail

    def _messages(self, request: Request, found: re.Match[str], seen: _Seen) -> Answer:
        version, owner, item_id = found[1], unquote(found[2]), found[3]
        is_graph = version in _GRAPH_VERSIONS
        if request.method != "GET":
            return _error(405, "MethodNotAllowed", "The simulated mailboxes are read only.")
        audience = GRAPH if is_graph else EXCHANGE
        bearer = self._bearer(request, audience, seen)
        if isinstance(bearer, Answer):
            return bearer
        call = self._call(request, bearer, owner, api_id=audience, client_info="Client=REST;;")
        if call is None:
            return _error(403, "ErrorAccessDenied", "The token does not open this mailbox.")
        answer = self._listed(call, is_graph=is_graph) if item_id is None else self._opened(call, item_id, is_graph)
        if is_graph and answer.status == 200:  # noqa: PLR2004  HTTP's "OK"
            self.mail.note_graph(call, uri=request.path, size_bytes=len(json.dumps(answer.document)))
        return answer

    def _listed(self, call: MailCall, *, is_graph: bool) -> Answer:
        shown = [_message(each, is_graph=is_graph, is_whole=False) for each in self.mail.messages(call.mailbox)]
        return Answer(status=200, document={"value": shown})

    def _opened(self, call: MailCall, item_id: str, is_graph: bool) -> Answer:  # noqa: FBT001  one of two APIs
        message = self.mail.read(call, unquote(item_id))
        if message is None:
            return _error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return Answer(status=200, document=_message(message, is_graph=is_graph, is_whole=True))

    def _web_mail(self, request: Request, seen: _Seen) -> Answer:
        action = dict(parse_qsl(request.target.partition("?")[2])).get("action", "")
        if request.method != "POST" or action not in {"FindItem", "GetItem", "GetAccessTokenForResource"}:
            return _no_such_path()
        bearer = self._bearer(request, EXCHANGE, seen)
        return bearer if isinstance(bearer, Answer) else self._web_mail_action(request, bearer, action)

    def _web_mail_action(self, request: Request, bearer: Bearer, action: str) -> Answer:
        agent = _caller(request).user_agent
        call = self._call(request, bearer, "me", api_id=OWA.app_id, client_info=f"Client=OWA;{agent};")
        if call is None:
            return _error(403, "ErrorAccessDenied", "The token opens no mailbox here.")
        if action == "FindItem":
            return self._listed(call, is_graph=False)
        asked = _json_object(request.body)
        if action == "GetItem":
            return self._opened(call, str(asked.get("ItemId", "")), is_graph=False)
        grant = self.mail.token_for_resource(call, str(asked.get("ClientAppId", "")))
        if grant is None:
            return _error(403, "ErrorAccessDenied", "A token that this service gave itself is not renewed.")
        return Answer(status=200, document={"AccessToken": grant.token, "ExpiresIn": grant.expires_in})

    def _bearer(self, request: Request, audience: str, seen: _Seen) -> Bearer | Answer:
        """The bearer of a request, or the answer that turns it away."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            missing = _error(401, "InvalidAuthenticationToken", "A bearer token is missing.")
            return Answer(status=401, document=missing.document, challenge="Bearer")
        admission = self.mail.admit(token.strip(), audience)
        if not admission.is_admitted:
            return _refused(admission)
        bearer = bearer_of(admission.claims, at=self.identity.clock())
        seen.uti = bearer.uti
        return bearer

    def _call(self, request: Request, bearer: Bearer, owner: str, *, api_id: str, client_info: str) -> MailCall | None:
        mailbox = self._mailbox(bearer, owner)
        if mailbox is None:
            return None
        return MailCall(
            tenant_id=self.identity.tenant.tenant_id,
            mailbox=mailbox,
            api_id=api_id,
            client_info=client_info,
            caller=_caller(request),
            bearer=bearer,
        )

    def _mailbox(self, bearer: Bearer, owner: str) -> Person | None:
        """Whose mailbox is meant: a person's token opens the own one, an application's any that is named."""
        people = self.identity.tenant
        own = people.person(object_id=bearer.object_id)
        named = owner.removeprefix("users/")
        asked = own if owner == "me" else people.person(upn=named.lower(), object_id=named.lower())
        return asked if bearer.is_application or asked is own else None


# ---------------------------------------------------------------- requests and answers


def _refused(admission: Admission) -> Answer:
    refusals = [{"check": each.check, "reason": each.reason} for each in admission.refusals]
    message = "; ".join(each.reason for each in admission.refusals)
    refused = _error(401, "InvalidAuthenticationToken", message, refusals=refusals)
    return Answer(status=401, document=refused.document, challenge='Bearer error="invalid_token"')


def _metadata(tenant: str, base: str, *, own: str) -> dict[str, Any]:
    """OpenID metadata; the issuer of `common` and `organizations` is the template (OpenID Connect on the platform)."""
    issuer_tenant = {"consumers": CONSUMER_TENANT, CONSUMER_TENANT: CONSUMER_TENANT, own: own}.get(
        tenant, TENANT_TEMPLATE
    )
    return {
        "issuer": f"{AUTHORITY}/{issuer_tenant}/v2.0",
        "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
        "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "response_types_supported": ["token"],
        "subject_types_supported": ["pairwise"],
    }


def _message(message: Message, *, is_graph: bool, is_whole: bool) -> dict[str, Any]:
    """A message as the API shows it; Microsoft Graph writes names in camel case, Outlook's API in Pascal case."""
    shown: dict[str, Any] = {
        "Id": message.item_id,
        "InternetMessageId": message.internet_message_id,
        "Subject": message.subject,
        "ReceivedDateTime": f"{message.received_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    if is_whole:
        shown |= {"From": message.sender, "Body": {"ContentType": "Text", "Content": message.body}}
    return {f"{name[0].lower()}{name[1:]}": value for name, value in shown.items()} if is_graph else shown


def _host_name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def _caller(request: Request) -> Caller:
    """Address and user agent. The simulation takes the forwarding header at its word, for all callers are local."""
    forwarded = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
    try:
        address = str(ipaddress.ip_address(forwarded))
    except ValueError:
        address = "127.0.0.1"
    return Caller(address=address, user_agent=request.headers.get("user-agent", ""))


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
