"""From claims to compact tokens, byte by byte: forgeries need texts that no token library writes.

Signatures are made by `cryptography`; nothing here checks one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

ABSENT: Final[Any] = object()
"""Value of a claim or header member that is left out."""

_HASHES: Final[dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "256": hashes.SHA256,
    "384": hashes.SHA384,
    "512": hashes.SHA512,
}
# DER of DigestInfo up to the digest, SHA-256 (RFC 8017, section 9.2, note 1).
_SHA256_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")
# The same without the NULL parameters, which RFC 8017 demands.
_SHA256_INFO_WITHOUT_NULL: Final = bytes.fromhex("302f300b0609608648016503040201" + "0420")


def b64(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of base64url text that this module wrote."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number_b64(number: int) -> str:
    """An unsigned number as a JWK writes it (RFC 7518, section 2)."""
    return b64(number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big"))


def changed(members: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The members with the changes; those that are `ABSENT` are left out."""
    merged = {**members, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not ABSENT}


def json_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8; NaN and Infinity are written as Python does, which is no JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def signing_input(header: bytes, payload: bytes) -> str:
    """The first two parts of a compact token."""
    return f"{b64(header)}.{b64(payload)}"


def compact(header: bytes, payload: bytes, signature: bytes) -> str:
    """A compact token (RFC 7515, section 7.1)."""
    return f"{signing_input(header, payload)}.{b64(signature)}"


def sign(private: PrivateKey, alg: str, text: str) -> bytes:
    """Signature of the text by the algorithm (RFC 7518, section 3).

    Raises:
        ValueError: The algorithm is none of RS*, PS*, ES*.
    """
    data = text.encode("utf-8")
    digest = _HASHES[alg[2:]]()
    if isinstance(private, ec.EllipticCurvePrivateKey) and alg.startswith("ES"):
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(digest, deterministic_signing=True)))
        size = (private.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if isinstance(private, rsa.RSAPrivateKey) and alg.startswith("RS"):
        return private.sign(data, padding.PKCS1v15(), digest)
    if isinstance(private, rsa.RSAPrivateKey) and alg.startswith("PS"):
        return private.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    msg = f"{alg} with {type(private).__name__}"
    raise ValueError(msg)


def hmac_of(secret: bytes, text: str, alg: str = "HS256") -> bytes:
    """HMAC of the text by HS256, HS384 or HS512 (RFC 7518, section 3.2)."""
    return hmac.new(secret, text.encode("utf-8"), f"sha{alg[2:]}").digest()


def raw_rsa(private: rsa.RSAPrivateKey, text: str, *, info: bytes = _SHA256_INFO, tail: bytes = b"") -> bytes:
    """RSA signature over a hand-made PKCS #1 v1.5 block: other `DigestInfo`, or bytes after the digest."""
    size = (private.key_size + 7) // 8
    content = info + hashlib.sha256(text.encode("utf-8")).digest() + tail
    block = b"\x00\x01" + b"\xff" * (size - len(content) - 3) + b"\x00" + content
    numbers = private.private_numbers()
    signed = pow(int.from_bytes(block, "big"), numbers.d, numbers.public_numbers.n)
    return signed.to_bytes(size, "big")


def without_null(private: rsa.RSAPrivateKey, text: str) -> bytes:
    """RSA signature whose `DigestInfo` lacks the NULL parameters."""
    return raw_rsa(private, text, info=_SHA256_INFO_WITHOUT_NULL)


def exponent_one_block(size: int, text: str) -> bytes:
    """What a signature by a key with exponent 1 is: the padded digest itself, made without any private key."""
    content = _SHA256_INFO + hashlib.sha256(text.encode("utf-8")).digest()
    return b"\x00\x01" + b"\xff" * (size - len(content) - 3) + b"\x00" + content
