"""The cryptographic part of a published key, imported once; all cryptography is joserfc's and cryptography's."""

from __future__ import annotations

import base64
import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

PUBLIC_MEMBERS: Final = {
    "RSA": ("n", "e"),
    "EC": ("crv", "x", "y"),
    "OKP": ("crv", "x"),
}
"""Members of a JSON Web Key that make up the public key, by key type (RFC 7518 section 6, RFC 8037)."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
    "Ed448": ("EdDSA", "Ed448"),
}
SMALLEST_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """An imported public key.

    Attributes:
        key: The key as joserfc has it.
        algorithms: Signature algorithms that its type and curve allow; none for an RSA key that is too short.
        bits: Length of the RSA modulus, None for other types.
        fingerprint: SHA-256 of the SubjectPublicKeyInfo: equal keys have equal ones, however they are written.
    """

    key: Any
    algorithms: tuple[str, ...]
    bits: int | None
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Dates of a key's certificate, and whose key it certifies."""

    valid_from: dt.datetime
    valid_until: dt.datetime
    fingerprint: str


def material(jwk: Mapping[str, Any]) -> Material | None:
    """Import the public members of the key; None for a key that cannot be used to verify anything."""
    kind = jwk.get("kty")
    if not isinstance(kind, str) or kind not in PUBLIC_MEMBERS:
        return None
    public = {name: jwk[name] for name in PUBLIC_MEMBERS[kind] if name in jwk}
    try:
        with warnings.catch_warnings():
            # It warns of short keys; here they are said to be unusable, by their length.
            warnings.simplefilter("ignore", SecurityWarning)
            key: Any = JWKRegistry.import_key({"kty": kind, **public})
    except (JoseError, ValueError, KeyError, UnsupportedAlgorithm):
        return None
    raw = key.raw_value
    bits: int | None = None
    algorithms: tuple[str, ...] = _CURVES.get(str(jwk.get("crv")), ())
    if isinstance(raw, RSAPublicKey):
        bits = raw.key_size
        algorithms = _RSA if bits >= SMALLEST_RSA_BITS else ()
    return Material(key=key, algorithms=algorithms, bits=bits, fingerprint=_fingerprint(raw))


def certificate(jwk: Mapping[str, Any]) -> Certificate | None:
    """The first certificate of `x5c`; None where there is none that can be read."""
    chain = jwk.get("x5c")
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        return None
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True))
        key = found.public_key()
        start, end = found.not_valid_before_utc, found.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm):
        return None
    return Certificate(valid_from=start, valid_until=end, fingerprint=_fingerprint(key))


def _fingerprint(public: Any) -> str:
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
