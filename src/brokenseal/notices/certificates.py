"""Certificates and keys for S/MIME, read and checked before anything is planned or sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What letters are signed with: a certificate, its private key, and the certificates above it."""

    certificate: Any
    key: Any
    chain: tuple[Any, ...] = ()


def encryption_certificate(path: Path, *, now: dt.datetime) -> str:
    """The PEM text of a certificate that letters can be encrypted for.

    Raises:
        UsageError: It cannot be read, is not valid at this time, or its key is not RSA of 2,048 bits or more or may not
            encipher keys.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding

    (certificate, *_) = _certificates(path)
    _check_time(certificate, path, now)
    key = certificate.public_key()
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:  # noqa: PLR2004 - RFC 8551, section 4.4
        raise UsageError(
            place=str(path), value=type(key).__name__, expected="a certificate with an RSA key of 2,048 bits or more"
        )
    if not _may(certificate, "key_encipherment"):
        raise UsageError(place=str(path), value="keyUsage", expected="a certificate whose key may encipher keys")
    return str(certificate.public_bytes(Encoding.PEM).decode("ascii"))


def signing_key(certificate: Path, key: Path, password: bytes | None, *, now: dt.datetime) -> SigningKey:
    """A certificate and its private key, to sign letters with.

    Raises:
        UsageError: They cannot be read, do not belong together, or the certificate is not valid at this time or may
            not sign.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    first, *chain = _certificates(certificate)
    _check_time(first, certificate, now)
    try:
        private = load_pem_private_key(_read(key), password)
    except (ValueError, TypeError) as err:
        raise UsageError(place=str(key), value=err, expected="a private key in PEM, and its password") from err
    if not isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey):
        raise UsageError(place=str(key), value=type(private).__name__, expected="an RSA or an elliptic-curve key")
    if private.public_key() != first.public_key():
        raise UsageError(place=str(key), value="another key", expected=f"the private key of {certificate}")
    if not _may(first, "digital_signature"):
        raise UsageError(place=str(certificate), value="keyUsage", expected="a certificate whose key may sign")
    return SigningKey(certificate=first, key=private, chain=tuple(chain))


def _certificates(path: Path) -> list[Any]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return list(load_pem_x509_certificates(_read(path)))
    except ValueError as err:
        raise UsageError(place=str(path), value=err, expected="a certificate in PEM") from err


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_LARGEST)
    except OSError as err:
        raise UsageError(place=str(path), value=err.strerror or err, expected="a file that can be read") from err


def _check_time(certificate: Any, path: Path, now: dt.datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        span = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise UsageError(place=str(path), value=span, expected=f"a certificate that is valid on {now:%Y-%m-%d}")


def _may(certificate: Any, usage: str) -> bool:
    """Whether the key may be used so; a certificate that does not say allows everything (RFC 5280, 4.2.1.3)."""
    from cryptography.x509 import ExtensionNotFound, KeyUsage

    try:
        return bool(getattr(certificate.extensions.get_extension_for_class(KeyUsage).value, usage))
    except ExtensionNotFound:
        return True
