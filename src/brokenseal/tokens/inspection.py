"""What a token says, in words: who, for what, by which client, when, in which session; and what is odd about it.

Nothing here is verified: a forged token says whatever its maker liked. `verify` is the place where a token is
believed or not.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from brokenseal.app_names import client_label
from brokenseal.fields import canonical_token_id
from brokenseal.tokens._checks_form import EMBEDDED
from brokenseal.tokens._checks_rights import SHAPES, kind_of
from brokenseal.tokens._checks_time import seconds
from brokenseal.tokens._presented import is_tenant, shown
from brokenseal.tokens.model import CONSUMER_TENANT, TokenKind
from brokenseal.tokens.reading import read, redact
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from brokenseal.tokens.reading import Reading
    from brokenseal.wording import Phrase

LONGEST_ORDINARY_S: Final = 28 * 3600 + 600
"""Access tokens live 60 to 90 minutes, and up to 28 hours where the client can be told of a revocation."""

_KNOWN_HOSTS: Final = (
    "https://login.microsoftonline.com/",
    "https://sts.windows.net/",
    "https://login.microsoftonline.us/",
    "https://login.partner.microsoftonline.cn/",
    "https://sts.chinacloudapi.cn/",
)
_PERSON: Final = ("upn", "preferred_username", "unique_name", "email", "name")
_PROOFS: Final = {"0": "no secret: a public client", "1": "a secret", "2": "a certificate or a signed assertion"}
_GLOBAL_ADMINISTRATOR: Final = "62e90394-69f5-4237-9190-012177145e10"
_CLOCKS_DIFFER_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that the token says.

    Attributes:
        name: Stable word, snake case.
        sentence: It in words.
        value: The value itself, as text.
    """

    name: str
    sentence: Phrase
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a token says, believed or not.

    Attributes:
        kind: What it is for.
        facts: What it says, in the order in which one asks.
        odd: What is odd about it.
        header: Its header.
        claims: Its claims.
        redacted: Its text without the signature.
        sha256: SHA-256 of its whole text: it names the token in notes without giving it away.
        request_id: The sign-in request that its token id stands for, where it can be decoded.
        is_readable: Whether header or claims could be read at all.
    """

    kind: TokenKind
    facts: tuple[Fact, ...]
    odd: tuple[Phrase, ...]
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    redacted: str
    sha256: str
    request_id: str | None
    is_readable: bool


def inspect(token: str, *, at: dt.datetime) -> Inspection:
    """Say what the token says; never raises for what it holds.

    Args:
        token: The text of one token.
        at: Time against which its own times are judged.
    """
    reading = read(token)
    kind, conflict = kind_of(reading.claims)
    uti = reading.claims.get("uti")
    request_id, _ = canonical_token_id(uti) if isinstance(uti, str) else (None, None)
    odd = [anomaly.reason for anomaly in reading.anomalies]
    if conflict is not None and reading.claims:
        odd.append(conflict)
    return Inspection(
        kind=kind,
        facts=tuple(_facts(reading, kind, request_id)),
        odd=(*odd, *_odd_header(reading.header), *_odd_claims(reading.claims, kind), *_odd_times(reading.claims, at)),
        header=reading.header,
        claims=reading.claims,
        redacted=redact(token),
        sha256=hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(),
        request_id=request_id,
        is_readable=bool(reading.header or reading.claims),
    )


# ---------------------------------------------------------------- facts


def _facts(reading: Reading, kind: TokenKind, request_id: str | None) -> Iterator[Fact]:
    claims = reading.claims
    yield from _who(claims, kind)
    yield from _what_for(claims)
    yield from _client(claims)
    if (time := _time(claims.get("iat"))) is not None:
        yield Fact(name="issued_at", sentence=phrase("Issued {time}.", time=time), value=time.isoformat())
    if (time := _time(claims.get("nbf"))) is not None:
        yield Fact(name="not_before", sentence=phrase("Valid from {time}.", time=time), value=time.isoformat())
    if (time := _time(claims.get("exp"))) is not None:
        yield Fact(name="expires_at", sentence=phrase("Expires {time}.", time=time), value=time.isoformat())
    if text := _text(claims, "sid"):
        yield Fact(name="session_id", sentence=phrase("Session {id}.", id=text), value=text)
    if text := _text(claims, "uti") or _text(claims, "jti"):
        sentence = phrase("Token id {id}.", id=text)
        if request_id is not None:
            sentence = phrase("Token id {id}: issued by the sign-in request {request}.", id=text, request=request_id)
        yield Fact(name="token_id", sentence=sentence, value=text)
    algorithm, kid = shown(reading.header.get("alg")), shown(reading.header.get("kid"))
    if reading.header:
        sentence = phrase("It names the key {kid} and the algorithm {algorithm}.", kid=kid, algorithm=algorithm)
        yield Fact(name="key", sentence=sentence, value=kid or "")


def _who(claims: Mapping[str, Any], kind: TokenKind) -> Iterator[Fact]:
    person = next((text for claim in _PERSON if (text := _text(claims, claim))), None)
    subject = _text(claims, "oid") or _text(claims, "sub")
    tenant = _text(claims, "tid")
    if subject or person:
        if kind is TokenKind.APP_ACCESS:
            said = phrase("It speaks for an application itself, object {id}; no person is behind it.", id=subject)
        elif person and subject:
            said = phrase("It speaks for {name}, object {id}.", name=person, id=subject)
        else:
            said = phrase("It speaks for {name}.", name=person or subject)
        yield Fact(name="subject", sentence=said, value=subject or person or "")
    if tenant == CONSUMER_TENANT:
        said = phrase("Tenant {tenant}: personal Microsoft accounts.", tenant=tenant)
        yield Fact(name="tenant", sentence=said, value=tenant)
    elif tenant:
        yield Fact(name="tenant", sentence=phrase("Tenant {tenant}.", tenant=tenant), value=tenant)
    if issuer := _text(claims, "iss"):
        yield Fact(name="issuer", sentence=phrase("It says that {issuer} issued it.", issuer=issuer), value=issuer)


def _what_for(claims: Mapping[str, Any]) -> Iterator[Fact]:
    audience = claims.get("aud")
    if audience is not None:
        text = client_label(audience) if isinstance(audience, str) else shown(audience) or ""
        yield Fact(name="audience", sentence=phrase("It is for {audience}.", audience=text), value=text)
    if scopes := _text(claims, "scp"):
        sentence = phrase("Rights in the user's name: {scopes}.", scopes=scopes)
        yield Fact(name="scopes", sentence=sentence, value=scopes)
    roles = claims.get("roles")
    if isinstance(roles, list) and roles:
        text = " ".join(filter(None, map(shown, roles)))
        yield Fact(name="roles", sentence=phrase("Application roles: {roles}.", roles=text), value=text)
    if "cnf" in claims:
        sentence = phrase("It is bound to a key: whoever carries it must prove that they hold that key.")
        yield Fact(name="proof_of_possession", sentence=sentence, value=shown(claims["cnf"]) or "")


def _client(claims: Mapping[str, Any]) -> Iterator[Fact]:
    client = _text(claims, "azp") or _text(claims, "appid")
    if client is None:
        return
    proof = _PROOFS.get(_text(claims, "azpacr") or _text(claims, "appidacr") or "")
    label = client_label(client)
    sentence = phrase("The client is {client}.", client=label)
    if proof is not None:
        sentence = phrase("The client is {client}, authenticated by {proof}.", client=label, proof=proof)
    yield Fact(name="client", sentence=sentence, value=client)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return shown(value) if isinstance(value, str) and value else None


def _time(value: object) -> dt.datetime | None:
    number = seconds(value)
    return None if number is None else dt.datetime.fromtimestamp(number, tz=dt.UTC)


# ---------------------------------------------------------------- oddities


def _odd_header(header: Mapping[str, Any]) -> Iterator[Phrase]:
    algorithm = header.get("alg")
    if header and not isinstance(algorithm, str):
        yield phrase("The header names no algorithm.")
    elif isinstance(algorithm, str) and algorithm.lower() == "none":
        yield phrase("It says that it is not signed.")
    elif isinstance(algorithm, str) and algorithm.startswith("HS"):
        yield phrase("It says that it is sealed with a shared secret; Microsoft Entra signs with private keys.")
    if found := [name for name in EMBEDDED if name in header]:
        yield phrase("The header brings a key of its own or an address for one: {names}.", names=", ".join(found))
    if found := [name for name in ("crit", "b64", "zip", "enc", "cty") if name in header]:
        yield phrase("The header asks to be read in an unusual way: {names}.", names=", ".join(found))
    if header and not isinstance(header.get("kid"), str):
        yield phrase("The header names no key.")
    if "nonce" in header:
        yield phrase("The header holds a nonce, as in tokens for Microsoft Graph: only Graph can verify the signature.")


def _odd_claims(claims: Mapping[str, Any], kind: TokenKind) -> Iterator[Phrase]:
    yield from _odd_issuer(claims)
    for name, value in claims.items():
        if name in SHAPES and not SHAPES[name][1](value):
            yield phrase("The claim {name} is not {shape}.", name=name, shape=SHAPES[name][0])
    folded: dict[str, str] = {}
    for name in claims:
        twin = folded.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if twin != name:
            yield phrase(
                "Two claims differ only in how their names are written: {a}, {b}.", a=shown(twin), b=shown(name)
            )
    if kind is TokenKind.ID:
        yield phrase("It is an identity token: it tells a client who signed in and gives access to nothing.")
    if kind is TokenKind.APP_ACCESS and "0" in (claims.get("azpacr"), claims.get("appidacr")):
        yield phrase("An application cannot get a token for itself as a public client.")
    wids = claims.get("wids")
    if isinstance(wids, list) and _GLOBAL_ADMINISTRATOR in wids:
        yield phrase("Its subject is a Global Administrator.")
    if isinstance(uti := claims.get("uti"), str) and canonical_token_id(uti)[0] is None:
        yield phrase("Its token id is in no form that Microsoft Entra writes.")


def _odd_issuer(claims: Mapping[str, Any]) -> Iterator[Phrase]:
    issuer, tenant = claims.get("iss"), claims.get("tid")
    if isinstance(issuer, str):
        if not issuer.startswith(_KNOWN_HOSTS):
            yield phrase("The issuer is not at an address of the Microsoft identity platform.")
        if not issuer.isascii():
            yield phrase("The issuer holds letters that only look like others.")
        if isinstance(tenant, str) and tenant not in issuer and issuer.startswith(_KNOWN_HOSTS):
            yield phrase("Issuer and tenant contradict each other.")
        expected = "2.0" if issuer.endswith("/v2.0") else "1.0"
        if issuer.startswith(_KNOWN_HOSTS) and claims.get("ver") != expected:
            yield phrase("Its version does not go with the form of its issuer.")
    elif claims:
        yield phrase("It names no issuer.")
    if isinstance(tenant, str) and not is_tenant(tenant):
        yield phrase("The tenant is no tenant id in its one written form.")
    elif claims and not isinstance(tenant, str):
        yield phrase("It names no tenant.")


def _odd_times(claims: Mapping[str, Any], at: dt.datetime) -> Iterator[Phrase]:
    issued, begins, expires = (seconds(claims.get(name)) for name in ("iat", "nbf", "exp"))
    now = at.timestamp()
    if claims and expires is None:
        yield phrase("It does not say when it expires.")
    if expires is not None and expires < now:
        yield phrase("It expired {time}.", time=_time(expires))
    if issued is not None and issued > now + _CLOCKS_DIFFER_S:
        yield phrase("It says that it will be issued in the future.")
    elif begins is not None and begins > now + _CLOCKS_DIFFER_S:
        yield phrase("It is not valid yet.")
    if issued is not None and expires is not None:
        if expires <= issued:
            yield phrase("It expires before it is issued.")
        elif expires - issued > LONGEST_ORDINARY_S:
            hours = round((expires - issued) / 3600)
            yield phrase(
                "It lives {hours} hours; the identity provider lets no access token live longer than 28.", hours=hours
            )
