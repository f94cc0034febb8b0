"""Signing keys of the simulated provider, what it publishes of them, and tokens signed with them.

Each published key names the issuer for which it may speak: a template for every enterprise tenant, or the consumer
tenant alone (Microsoft identity platform, "Access tokens", signing keys).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from brokenseal.tokens.model import CONSUMER_TENANT, TENANT_TEMPLATE, Key, KeyRing

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

AUTHORITY: Final = "https://login.microsoftonline.com"
"""The issuer's name in tokens. The provider itself is never there: it answers on loopback only."""
ENTERPRISE_ISSUER: Final = f"{AUTHORITY}/{TENANT_TEMPLATE}/v2.0"
CONSUMER_ISSUER: Final = f"{AUTHORITY}/{CONSUMER_TENANT}/v2.0"
ALGORITHM: Final = "RS256"
_BITS = 2048
_KID_LENGTH = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair, and the issuer for which its public half is published."""

    kid: str
    private: RSAKey
    issuer: str

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half as the keys document shows it."""
        public = self.private.as_dict(private=False)
        return {"kty": "RSA", "use": "sig", "kid": self.kid, "n": public["n"], "e": public["e"], "issuer": self.issuer}


def make_key(issuer: str) -> SigningKey:
    """A new RSA key of 2,048 bits for the issuer; its id is cut from its thumbprint."""
    private = RSAKey.generate_key(_BITS)
    return SigningKey(kid=private.thumbprint()[:_KID_LENGTH], private=private, issuer=issuer)


def signed_token(claims: Mapping[str, Any], key: SigningKey) -> str:
    """The claims as a compact token (JWS) signed with RS256; whoever holds a key can say anything.

    Args:
        claims: Any claims, true or not.
        key: The key to sign with; its id goes into the header.
    """
    header = {"typ": "JWT", "alg": ALGORITHM, "kid": key.kid}
    return jwt.encode(header, dict(claims), key.private, algorithms=[ALGORITHM])


class Cabinet:
    """The keys that the provider publishes, and those that it has retired."""

    def __init__(self, keys: Iterable[SigningKey]) -> None:
        self._keys = tuple(keys)
        self._retired: dict[str, dt.datetime] = {}
        self._publish()

    def _publish(self) -> None:
        shown = [key for key in self._keys if key.kid not in self._retired]
        self._shown = tuple(shown)
        self._merged = KeySet([RSAKey.import_key(key.jwk) for key in shown])
        self._ring = KeyRing(keys=tuple(self._known(key) for key in self._keys))

    def _known(self, key: SigningKey) -> Key:
        retired_at = self._retired.get(key.kid)
        return Key(
            kid=key.kid,
            jwk=key.jwk,
            issuer=key.issuer,
            document="consumers" if key.issuer == CONSUMER_ISSUER else "organizations",
            algorithms=(ALGORITHM,),
            retired_at=retired_at,
            revoked_at=retired_at,
        )

    def signing(self, issuer: str) -> SigningKey | None:
        """The key that signs for the issuer now, or None where all of them are retired."""
        return next((key for key in self._shown if key.issuer == issuer), None)

    def retire(self, kid: str, *, at: dt.datetime) -> None:
        """Take a key out of the published documents and believe nothing that it signed."""
        self._retired[kid] = at
        self._publish()

    def document(self, issuers: Iterable[str]) -> dict[str, Any]:
        """The keys document (v2.0) of the keys of these issuers."""
        wanted = frozenset(issuers)
        return {"keys": [key.jwk for key in self._shown if key.issuer in wanted]}

    @property
    def merged(self) -> KeySet:
        """Every published key in one set, without a word on whom each may speak for: the set of 2022."""
        return self._merged

    @property
    def ring(self) -> KeyRing:
        """Every key, with its issuer and the time from which on it is believed no more."""
        return self._ring
