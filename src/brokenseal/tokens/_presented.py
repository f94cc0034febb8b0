"""A token as it is presented to a verifier, with all that the checks look at; and the keys made ready for them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from joserfc.jws import JWSRegistry

from brokenseal.tokens._material import Material, material
from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE, Check, Key, KeyRing, Outcome, Policy, TokenKind

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from brokenseal.tokens.reading import Reading
    from brokenseal.wording import Phrase

_TENANT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# The two forms in which the Microsoft identity platform names one tenant as issuer. A key is published for the
# v2.0 form and also signs v1.0 tokens of the same tenant (Microsoft identity platform, signing keys).
_V2_BEFORE, _V2_AFTER = "https://login.microsoftonline.com/", "/v2.0"
_V1_BEFORE, _V1_AFTER = "https://sts.windows.net/", "/"

SHOWN_CHARACTERS: Final = 200
_CACHED: Final = 512
"""Values of tokens that are remembered with what was found of them; they recur from token to token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A key that a token may mean by its `kid`, ready for use.

    Attributes:
        key: The key as published.
        material: Its imported public key; None for one that cannot be used.
        retired_at: From when on it must sign no more, under whatever id and in whatever document that is said.
        revoked_at: From when on nothing that it signed may be believed, likewise.
    """

    key: Key
    material: Material | None
    retired_at: dt.datetime | None
    revoked_at: dt.datetime | None


class Presented(msgspec.Struct, kw_only=True):
    """What the checks of one token look at.

    Attributes:
        reading: The token as read.
        header: Its header.
        claims: Its claims.
        policy: What is accepted.
        at: Time of the check.
        at_s: The same in seconds since 1970.
        candidates: Keys of the ring that have the token's `kid`.
        chosen: The one of them that is meant: one that may speak for the issuer comes first.
        binding: Whether the chosen key may speak for the issuer.
        is_signed: Whether its signature is right; None where it could not be checked.
        kind: What the token is for.
        kind_conflict: Why its claims contradict each other about that, or None.
    """

    reading: Reading
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    policy: Policy
    at: dt.datetime
    at_s: float
    candidates: Sequence[Candidate]
    chosen: Candidate | None
    binding: Outcome
    is_signed: bool | None
    kind: TokenKind
    kind_conflict: Phrase | None


def check(name: str, outcome: Outcome, reason: Phrase, expected: str | None = None, found: str | None = None) -> Check:
    """A check; positional, because two dozen are made for each token."""
    return Check(name=name, outcome=outcome, reason=reason, expected=expected, found=found)


def shown(value: object) -> str | None:
    """A value of the token as text for `found`: text as it is, everything else as Python writes it; cut if long."""
    if value is None:
        return None
    text = value if type(value) is str else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


@functools.lru_cache(maxsize=_CACHED)
def is_tenant(value: str) -> bool:
    """Whether it is a tenant id as the identity platform writes it: a GUID in lower case."""
    return _TENANT.fullmatch(value) is not None


# ---------------------------------------------------------------- keys


def candidates_of(ring: KeyRing, kid: object) -> Sequence[Candidate]:
    """Keys of the ring with exactly this id; they are imported once per ring."""
    by_kid = ring.cache.get("by_kid")
    if by_kid is None:
        by_kid = ring.cache["by_kid"] = _by_kid(ring)
    found: Sequence[Candidate] = by_kid.get(kid, ()) if type(kid) is str else ()
    return found


def _by_kid(ring: KeyRing) -> dict[str, tuple[Candidate, ...]]:
    imported = [(key, material(key.jwk)) for key in ring.keys]
    # A revoked key must not come back under another id or in another document.
    same: dict[str, list[Key]] = {}
    for key, made in imported:
        if made is not None:
            same.setdefault(made.fingerprint, []).append(key)
    by_kid: dict[str, tuple[Candidate, ...]] = {}
    for key, made in imported:
        twins = [key] if made is None else same[made.fingerprint]
        candidate = Candidate(
            key=key,
            material=made,
            retired_at=min((twin.retired_at for twin in twins if twin.retired_at is not None), default=None),
            revoked_at=min((twin.revoked_at for twin in twins if twin.revoked_at is not None), default=None),
        )
        if key.kid:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), candidate)
    return by_kid


@functools.lru_cache(maxsize=_CACHED)
def issuers_of(published: str, tenant: str) -> tuple[str, ...]:
    """The issuers that a key of this published issuer may speak for in tokens of this tenant; none for none.

    A key for every tenant (`{tenantid}`) does not speak for the consumer tenant, whose keys are apart.
    """
    own = published
    if TENANT_TEMPLATE in own:
        if tenant == CONSUMER_TENANT or not is_tenant(tenant):
            return ()
        own = own.replace(TENANT_TEMPLATE, tenant)
    if own.startswith(_V2_BEFORE) and own.endswith(_V2_AFTER):
        inner = own[len(_V2_BEFORE) : -len(_V2_AFTER)]
        if is_tenant(inner):
            return own, f"{_V1_BEFORE}{inner}{_V1_AFTER}"
    return (own,)


def binding_of(key: Key, claims: Mapping[str, Any]) -> Outcome:
    """Whether the key is published for the issuer that the claims name; compared exactly."""
    if key.issuer is None:
        return Outcome.UNKNOWN
    issuer, tenant = claims.get("iss"), claims.get("tid")
    if type(issuer) is not str or type(tenant) is not str:
        return Outcome.FAIL
    return Outcome.PASS if issuer in issuers_of(key.issuer, tenant) else Outcome.FAIL


_RANK: Final = {Outcome.PASS: 0, Outcome.UNKNOWN: 1, Outcome.FAIL: 2, Outcome.NOT_APPLICABLE: 3}


def choose(candidates: Sequence[Candidate], reading: Reading) -> tuple[Candidate | None, Outcome, bool | None]:
    """The key that the token means, whether it may speak for the issuer, and whether its signature is right.

    Of several keys with one id the one counts that may speak for the issuer; among equals, the one that signed.
    A signature by a key that may not speak for the issuer is never looked for while another may.
    """
    if not candidates:
        return None, Outcome.UNKNOWN, None
    if len(candidates) == 1:
        (only,) = candidates
        return only, binding_of(only.key, reading.claims), is_signed_by(only, reading)
    bound = [(binding_of(candidate.key, reading.claims), candidate) for candidate in candidates]
    best = min((binding for binding, _ in bound), key=_RANK.__getitem__)
    equals = [(candidate, is_signed_by(candidate, reading)) for binding, candidate in bound if binding is best]
    chosen, is_signed = next((pair for pair in equals if pair[1]), equals[0])
    return chosen, best, is_signed


def is_signed_by(candidate: Candidate, reading: Reading) -> bool | None:
    """Whether the token's signature is right by this key; None where key and algorithm do not go together."""
    algorithm = reading.header.get("alg")
    if candidate.material is None or type(algorithm) is not str or algorithm not in candidate.key.algorithms:
        return None
    if not reading.signature:
        return False
    return JWSRegistry.algorithms[algorithm].verify(reading.signing_input, reading.signature, candidate.material.key)
