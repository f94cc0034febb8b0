"""The keys of the laboratory: one row per standing, real key pairs, real certificates, published as Entra does."""

from __future__ import annotations

import base64
import datetime as dt
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from brokenseal.tokens._sealing import b64, number_b64

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.tokens._sealing import PrivateKey

COMMON: Final = "common"
CONSUMERS: Final = "consumers"
PARTNER: Final = "partner"
LEGACY: Final = "legacy"
ELLIPTIC: Final = "elliptic"

SHARED_KID: Final = "shared-between-two-documents"
ALIASES: Final = (
    "7",
    "2f9b3c1e-5d84-4a6f-9b0e-8c7d6e5f4a3b",
    "kid with spaces",
    "a/b+c==",
    "k" * 200,
    "ключ-é",
)
"""Unusual but legal key ids under which the current key is published as well (RFC 7517, section 4.5)."""

_BORN: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_DIES: Final = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
_RETIRED: Final = dt.datetime(2021, 4, 4, tzinfo=dt.UTC)
_REVOKED: Final = dt.datetime(2023, 6, 29, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One row of the key table: what kind of key, and how it is published.

    Attributes:
        name: Name by which forgeries ask for it.
        issuer: `enterprise`, `consumer`, `partner`, or None where the document does not say.
        documents: Documents that publish it; empty for a key that nobody publishes.
        size: Bits of an RSA key; a curve's bits for an elliptic one.
        is_elliptic: Whether it is an elliptic key.
        use: The `use` member.
        kid: Fixed key id; None for the certificate's thumbprint, as Entra does.
        aliases: Further key ids under which it is published.
        born: Certificate valid from.
        dies: Certificate valid until.
        retired_at: From when on it must sign no more.
        revoked_at: From when on nothing that it signed may be believed.
    """

    name: str
    issuer: str | None = "enterprise"
    documents: tuple[str, ...] = (COMMON,)
    size: int = 2048
    is_elliptic: bool = False
    use: str = "sig"
    kid: str | None = None
    aliases: tuple[str, ...] = ()
    born: dt.datetime = _BORN
    dies: dt.datetime = _DIES
    retired_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None


STANDINGS: Final = (
    Standing(name="enterprise", aliases=ALIASES),
    Standing(name="enterprise_next"),
    Standing(name="enterprise_previous", retired_at=_DIES),
    Standing(name="enterprise_3072", size=3072),
    Standing(name="shared", kid=SHARED_KID),
    Standing(name="retired", born=dt.datetime(2016, 4, 5, tzinfo=dt.UTC), dies=_RETIRED, retired_at=_RETIRED),
    Standing(name="revoked", revoked_at=_REVOKED),
    Standing(name="encryption", use="enc"),
    Standing(name="consumer", issuer="consumer", documents=(COMMON, CONSUMERS)),
    Standing(name="twin", issuer="consumer", documents=(CONSUMERS,), kid=SHARED_KID),
    Standing(name="partner", issuer="partner", documents=(PARTNER,)),
    Standing(name="weak", documents=(LEGACY,), size=1024),
    Standing(name="unbound", issuer=None, documents=(LEGACY,)),
    # In a document of its own, the last: some libraries try keys in their order and stumble over one of another type.
    Standing(name="elliptic", documents=(ELLIPTIC,), is_elliptic=True, size=256),
    Standing(name="withdrawn", documents=()),
    Standing(name="attacker", documents=()),
    Standing(name="attacker_elliptic", documents=(), is_elliptic=True, size=256),
    Standing(name="attacker_p384", documents=(), is_elliptic=True, size=384),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair and how it is published; see `Standing` for the other fields.

    Attributes:
        private: The private key. It never leaves the laboratory but for the file that the user asked for.
        certificate: Its self-signed certificate, DER.
        retired_at: ISO 8601 text, or None.
        revoked_at: ISO 8601 text, or None.
    """

    name: str
    kid: str
    private: PrivateKey = field(repr=False)
    certificate: bytes = field(repr=False)
    issuer: str | None
    documents: tuple[str, ...]
    use: str
    aliases: tuple[str, ...]
    retired_at: str | None
    revoked_at: str | None

    @property
    def rsa(self) -> rsa.RSAPrivateKey:
        """The private key, known to be RSA.

        Raises:
            TypeError: It is none.
        """
        if not isinstance(self.private, rsa.RSAPrivateKey):
            raise TypeError(self.name)
        return self.private

    @property
    def x5t(self) -> str:
        """SHA-1 thumbprint of the certificate (RFC 7517, section 4.8)."""
        return thumbprint(self.certificate)

    @property
    def ends(self) -> dict[str, str]:
        """When it was retired and revoked, as a usage file says it."""
        dates = {"retired": self.retired_at, "revoked": self.revoked_at}
        return {name: date for name, date in dates.items() if date is not None}

    def members(self) -> dict[str, Any]:
        """The members of the public JWK that say the key itself."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            return {"kty": "RSA", "n": number_b64(numbers.n), "e": number_b64(numbers.e)}
        point = self.private.public_key().public_numbers()
        size = (self.private.curve.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": f"P-{self.private.curve.key_size}",
            "x": b64(point.x.to_bytes(size, "big")),
            "y": b64(point.y.to_bytes(size, "big")),
        }

    def published(self, issuer: str | None, kid: str) -> dict[str, Any]:
        """The JWK as Entra publishes it; without `issuer` where the document does not say."""
        jwk = {
            **self.members(),
            "use": self.use,
            "kid": kid,
            "x5t": self.x5t,
            "x5c": [base64.b64encode(self.certificate).decode("ascii")],
            "cloud_instance_name": "microsoftonline.com",
        }
        return jwk if issuer is None else {**jwk, "issuer": issuer}

    def public_bytes(self, *, is_pem: bool, is_pkcs1: bool = False) -> bytes:
        """The public key as PEM or DER, SPKI or PKCS #1."""
        encoding = serialization.Encoding.PEM if is_pem else serialization.Encoding.DER
        form = serialization.PublicFormat.PKCS1 if is_pkcs1 else serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(encoding, form)

    def ssh_bytes(self) -> bytes:
        """The public key as an OpenSSH line."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )


def thumbprint(certificate: bytes) -> str:
    """SHA-1 of a DER certificate, base64url."""
    digest = hashes.Hash(hashes.SHA1())  # noqa: S303  what the format demands; nothing rests on it
    digest.update(certificate)
    return b64(digest.finalize())


def make_keys(seed: int) -> dict[str, SigningKey]:
    """New key pairs for every standing; serial numbers of certificates follow from the seed."""
    draw = _serials(seed)
    return {row.name: key_of(row, _new_private(row), serial=draw.getrandbits(63) + 1) for row in STANDINGS}


def key_of(row: Standing, private: PrivateKey, *, serial: int) -> SigningKey:
    """A key pair with the certificate and the publication of its standing."""
    certificate = certify(private, name=row.name, serial=serial, born=row.born, dies=row.dies)
    return SigningKey(
        name=row.name,
        kid=row.kid or thumbprint(certificate),
        private=private,
        certificate=certificate,
        issuer=row.issuer,
        documents=row.documents,
        use=row.use,
        aliases=row.aliases,
        retired_at=row.retired_at.isoformat() if row.retired_at else None,
        revoked_at=row.revoked_at.isoformat() if row.revoked_at else None,
    )


def certify(private: PrivateKey, *, name: str, serial: int, born: dt.datetime, dies: dt.datetime) -> bytes:
    """A self-signed certificate of the key, DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"simulated {name}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(serial)
        .not_valid_before(born)
        .not_valid_after(dies)
    )
    # Deterministic, so that a thumbprint, and with it the key id, is the same whenever the keys are read again.
    is_elliptic = isinstance(private, ec.EllipticCurvePrivateKey)
    made = builder.sign(private, hashes.SHA256(), ecdsa_deterministic=True if is_elliptic else None)
    return made.public_bytes(serialization.Encoding.DER)


def private_texts(keys: Mapping[str, SigningKey]) -> dict[str, str]:
    """Private keys as unencrypted PKCS #8, by name."""
    return {
        name: key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")
        for name, key in keys.items()
    }


def keys_from_texts(texts: Mapping[str, str], *, seed: int) -> dict[str, SigningKey]:
    """Keys from what `private_texts` wrote.

    Certificates are made again, byte for byte the same, so that key ids stay what they were.

    Raises:
        KeyError: A standing has no text.
        ValueError: A text is no key.
    """
    draw = _serials(seed)
    keys: dict[str, SigningKey] = {}
    for row in STANDINGS:
        # Checking its primes takes most of a second in all, and these keys were made by `make_keys`.
        private: Any = serialization.load_pem_private_key(
            texts[row.name].encode("ascii"), password=None, unsafe_skip_rsa_key_validation=True
        )
        keys[row.name] = key_of(row, private, serial=draw.getrandbits(63) + 1)
    return keys


def _serials(seed: int) -> random.Random:
    return random.Random(f"certificates {seed}")  # noqa: S311  serial numbers of made-up certificates


def _new_private(row: Standing) -> PrivateKey:
    if row.is_elliptic:
        return ec.generate_private_key(ec.SECP256R1() if row.size == 256 else ec.SECP384R1())  # noqa: PLR2004
    return rsa.generate_private_key(public_exponent=65537, key_size=row.size)
