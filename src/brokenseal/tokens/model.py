"""The values of the token laboratory; every room of it speaks in these.

token text ─ reading ─▶ Reading ─ verify (KeyRing, Policy, time) ─▶ Verdict ─▶ screen, JSON, forgery report
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from brokenseal.wording import Phrase

CONSUMER_TENANT: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Tenant that personal Microsoft accounts live in (Microsoft identity platform, access token claims)."""

TENANT_TEMPLATE: Final = "{tenantid}"
"""Stands for the token's tenant in the `issuer` of a published key (Microsoft identity platform, signing keys)."""


class Outcome(StrEnum):
    """Outcome of one check. `unknown` is a check that could not be made; a verdict needs it to pass."""

    PASS = "pass"  # noqa: S105  an outcome, no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class TokenKind(StrEnum):
    """What a token is for, as its claims say."""

    USER_ACCESS = "user_access"
    APP_ACCESS = "app_access"
    ID = "id"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One published key.

    Attributes:
        kid: Key id as published.
        jwk: The key's JSON Web Key, public members only.
        issuer: Issuer for which it is published: a URL, one with `{tenantid}`, or None where the document says none.
        document: Name of the document that it comes from.
        algorithms: Algorithms that it may be used with; the key's type and `alg` allow no other.
        published_at: When it was first seen, where the usage file says so.
        retired_at: From when on it must sign no more.
        revoked_at: From when on nothing that it signed may be believed, however old.
        certificate_from: Start of its certificate, where the document carries one for this key.
        certificate_until: End of its certificate, likewise; what is issued later may not be believed.
        tenants: Tenants in which it was seen in use, where the usage file says so.
        flaws: What is odd about it as published, as words of `key_documents.FLAWS`.
    """

    kid: str
    jwk: Mapping[str, Any]
    issuer: str | None
    document: str
    algorithms: tuple[str, ...]
    published_at: dt.datetime | None = None
    retired_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    certificate_from: dt.datetime | None = None
    certificate_until: dt.datetime | None = None
    tenants: tuple[str, ...] = ()
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """All keys that a verifier knows; the same `kid` may stand in several documents.

    Attributes:
        keys: The keys, in the order of the documents.
        cache: What the verifier makes of them once: it says nothing that the keys do not say.
    """

    keys: tuple[Key, ...]
    cache: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a verifier accepts.

    Attributes:
        audiences: Accepted values of `aud`, compared exactly.
        issuers: Accepted issuers, `{tenantid}` standing for a tenant; both the v1 and the v2 form where both are meant.
        tenants: Tenants that may call; None for any tenant but the consumer tenant.
        is_consumer_accepted: Whether personal accounts may call.
        algorithms: Accepted signature algorithms.
        kinds: Accepted kinds of token.
        scopes: Any of these scopes is needed in a user's token; empty for none.
        roles: Any of these roles is needed in an application's token; empty for none.
        skew_s: Accepted difference of clocks, seconds.
        longest_s: Longest accepted life, seconds from `iat` to `exp`.
        largest_bytes: Longest accepted token text.
        is_proof_checked: Whether the caller itself checks the proof of possession of a token that is bound to a key;
            without that such a token is not accepted, for it would be taken as one that anybody may carry.
    """

    audiences: tuple[str, ...]
    issuers: tuple[str, ...]
    tenants: tuple[str, ...] | None = None
    is_consumer_accepted: bool = False
    algorithms: tuple[str, ...] = ("RS256",)
    kinds: tuple[TokenKind, ...] = (TokenKind.USER_ACCESS, TokenKind.APP_ACCESS)
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    skew_s: int = 300
    longest_s: int = 28 * 3600 + 600
    largest_bytes: int = 16_384
    is_proof_checked: bool = False


class Check(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One check of a token; a Struct, because each token makes thirty and a dataclass takes ten times as long.

    No check can refer to itself, so the garbage collector need not look at them.

    Attributes:
        name: Stable name, snake case.
        outcome: Its outcome.
        reason: Why, in one sentence.
        expected: What was expected, as text; None where nothing was.
        found: What the token holds, as text; None where it holds nothing.
    """

    name: str
    outcome: Outcome
    reason: Phrase
    expected: str | None = None
    found: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one token in their order; the first that fails does not hide the others.

    Attributes:
        accepted: True where every check passes or does not apply.
        checks: The checks.
        kind: What the token is for.
        kid: Key that it names.
        claims: Its claims where it could be read, believed or not; empty otherwise.
    """

    accepted: bool
    checks: tuple[Check, ...]
    kind: TokenKind = TokenKind.UNKNOWN
    kid: str | None = None
    claims: Mapping[str, Any] = msgspec.field(default_factory=dict)
