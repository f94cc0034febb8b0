"""Tokens and key documents for tests, written byte by byte: no library stands between a test and its token."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from brokenseal.tokens.key_documents import read_keys
from brokenseal.tokens.model import CONSUMER_TENANT, Policy

HOME = "11111111-2222-4333-8444-555555555555"
OTHER = "66666666-7777-4888-8999-aaaaaaaaaaaa"
V2 = "https://login.microsoftonline.com/{tenantid}/v2.0"
V1 = "https://sts.windows.net/{tenantid}/"
CONSUMER = V2.replace("{tenantid}", CONSUMER_TENANT)
API = "api://mail"
AT = dt.datetime(2025, 6, 1, 12, tzinfo=dt.UTC)
NOW = int(AT.timestamp())
ABSENT: Any = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.cache
def private(name: str) -> Any:
    """A private key per name: `ec…`, `ed…`, `weak…`, or RSA 2048."""
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if name.startswith("weak") else 2048)


def public_jwk(name: str, **members: Any) -> dict[str, Any]:
    """The published key: id and issuer as given; `kid` is the name unless another is given."""
    key = private(name)
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        size = (key.key_size + 7) // 8
        own = {"kty": "RSA", "n": b64(numbers.n.to_bytes(size, "big")), "e": "AQAB"}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        own = {
            "kty": "EC",
            "crv": "P-256",
            "x": b64(point.x.to_bytes(32, "big")),
            "y": b64(point.y.to_bytes(32, "big")),
        }
    else:
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        own = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
    jwk = {**own, "kid": name, "use": "sig", "issuer": V2, **members}
    return {member: value for member, value in jwk.items() if value is not ABSENT}


def x5c(name: str, start: dt.datetime, end: dt.datetime) -> list[str]:
    """A self-signed certificate of the key, as `x5c` holds it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(end).public_key(private(name).public_key())
    made = builder.sign(private(name), hashes.SHA256())
    return [base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()]


def sign(name: str, alg: str, text: bytes) -> bytes:
    """A real signature; of an algorithm that the key cannot make, one by the key's own."""
    key = private(name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(text)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if alg == "PS256":
        return key.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    digest = hashes.SHA512() if alg == "RS512" else hashes.SHA256()
    return key.sign(text, padding.PKCS1v15(), digest)


def claims(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Claims of a delegated v2.0 access token of `HOME`, with changes; `ABSENT` leaves one out."""
    own = {
        "aud": API,
        "iss": V2.replace("{tenantid}", HOME),
        "iat": NOW - 600,
        "nbf": NOW - 600,
        "exp": NOW + 3600,
        "azp": "9199bf20-a13f-4107-85dc-02114787ef48",
        "azpacr": "1",
        "name": "Ada Example",
        "oid": "0d1c2b3a-4455-4667-8899-aabbccddeeff",
        "preferred_username": "ada@contoso.example",
        "scp": "Mail.Read Mail.Send",
        "sid": "00000000-1111-4222-8333-444444444444",
        "sub": "c3ViamVjdA",
        "tid": HOME,
        "uti": "3kVZRE8tFkinHtPA7_EFAA",
        "ver": "2.0",
    }
    return {name: value for name, value in {**own, **(changes or {})}.items() if value is not ABSENT}


def seal(header: bytes, payload: bytes, *, key: str = "home", alg: str = "RS256") -> str:
    """A compact token of exactly these bytes."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(sign(key, alg, text.encode()))}"


def mint(
    changes: dict[str, Any] | None = None,
    *,
    header: dict[str, Any] | None = None,
    key: str = "home",
    alg: str = "RS256",
) -> str:
    """A compact token with changed claims and header, signed by the named key."""
    head = {"typ": "JWT", "alg": alg, "kid": key, **(header or {})}
    head = {name: value for name, value in head.items() if value is not ABSENT}
    return seal(json.dumps(head).encode(), json.dumps(claims(changes)).encode(), key=key, alg=alg)


APP = {
    "scp": ABSENT, "name": ABSENT, "preferred_username": ABSENT, "sid": ABSENT, "idtyp": "app", "roles": ["Mail.Read"]
}  # fmt: skip
ID = {"scp": ABSENT, "azp": ABSENT, "azpacr": ABSENT, "nonce": "n-1"}
VERSION_1 = {
    "iss": V1.replace("{tenantid}", HOME), "ver": "1.0", "azp": ABSENT, "azpacr": ABSENT, "appid": "app", "appidacr": "0"
}  # fmt: skip


@functools.cache
def documents() -> dict[str, Any]:
    """Two published documents: one for everybody, in which the consumer key stands too, and one that says no issuer."""
    ended = (dt.datetime(2016, 4, 5, tzinfo=dt.UTC), dt.datetime(2021, 4, 4, tzinfo=dt.UTC))
    return {
        "common": {
            "keys": [
                public_jwk("home", x5t="thumbprint"),
                public_jwk("consumer", issuer=CONSUMER),
                public_jwk("other", issuer=V2.replace("{tenantid}", OTHER)),
                public_jwk("retired"),
                public_jwk("revoked"),
                public_jwk("ended", x5c=x5c("ended", *ended)),
                public_jwk("ec-key"),
                public_jwk("ed-key"),
                public_jwk("encryption", use="enc"),
                public_jwk("weak-key"),
                public_jwk("only-ps", alg="PS256"),
                public_jwk("home", kid="twice"),
                public_jwk("consumer", kid="twice", issuer=CONSUMER),
            ]
        },
        "old": {"keys": [public_jwk("unbound", issuer=ABSENT), public_jwk("revoked", kid="revoked-again")]},
    }


USAGE = {
    "keys": [
        {"kid": "retired", "retired": "2025-05-01T00:00:00Z"},
        {"kid": "revoked", "revoked": "2025-05-01T00:00:00Z"},
    ]
}


@functools.cache
def ring() -> Any:
    return read_keys(documents(), usage=USAGE)


POLICY = Policy(
    audiences=(API,),
    issuers=(V2, V1),
    tenants=(HOME,),
    algorithms=("RS256", "ES256", "EdDSA", "PS256"),
    scopes=("Mail.Read",),
    roles=("Mail.Read",),
)
