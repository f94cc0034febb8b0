"""Strict reading of a compact JWS (RFC 7515, section 7.1): what a token says, and what is wrong with its form.

Nothing here trusts or verifies anything. A damaged token is still read as far as it goes, so that it can be
explained; every departure from the one canonical form is an anomaly, and a verifier refuses all of them.
"""

from __future__ import annotations

import binascii
import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from brokenseal.tokens._strict_json import DEPTH_LIMIT, NotStrict, decode
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brokenseal.wording import Phrase

LARGEST_BYTES: Final = 262_144
"""Longer text is not looked into, unless the caller says so; tokens with many groups have some ten thousand."""

PARTS: Final = ("header", "payload", "signature")
_ENCRYPTED_PARTS: Final = 5
_SHORT_HEADER: Final = 512
"""Characters; a longer header is no usual one, and not remembered."""

_SCHEME: Final = re.compile(r"(?:authorization:\s*)?(?:bearer|pop)\s+", re.IGNORECASE)

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# The two base64 alphabets share 62 characters; whatever is not of the URL-safe one becomes one that is refused.
_TO_STANDARD = bytes(
    {ord("-"): ord("+"), ord("_"): ord("/")}.get(code, code) if code in _ALPHABET else ord("!") for code in range(256)
)
# The last character of a part that is no multiple of four carries unused bits, which an encoder leaves at zero.
_LAST = {0: frozenset(_ALPHABET), 2: frozenset(b"AQgw"), 3: frozenset(b"AEIMQUYcgkosw048")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One departure from the canonical form of a token.

    Attributes:
        code: Stable word, snake case.
        part: `token`, `header`, `payload` or `signature`.
        reason: What is wrong, in one sentence.
    """

    code: str
    part: str
    reason: Phrase


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says, believed or not.

    Attributes:
        header: The header's members; empty where it cannot be read.
        claims: The payload's members; empty where they cannot be read.
        anomalies: Everything that a strict reader refuses; empty for a canonical token.
        signing_input: What the signature covers: the first two parts and the point between them, as they stand.
        signature: The signature's bytes, as far as they can be decoded.
        characters: Length of the token text.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    anomalies: tuple[Anomaly, ...]
    signing_input: bytes
    signature: bytes
    characters: int


def read(token: str, *, largest_bytes: int = LARGEST_BYTES) -> Reading:
    """Read the token text; never raises for what the text holds.

    Args:
        token: The text of one token, without anything around it.
        largest_bytes: Longer text is not looked into.
    """
    anomalies: list[Anomaly] = []
    if len(token) > largest_bytes:
        reason = phrase("The token is longer than {largest} characters.", largest=largest_bytes)
        return _unread(token, Anomaly(code="too_large", part="token", reason=reason))
    try:
        parts = token.encode("ascii").split(b".")
    except UnicodeEncodeError:
        return _unread(token, _not_base64("token"))
    if len(parts) != len(PARTS):
        anomalies.append(_not_compact(token, len(parts)))
        parts = _as_three(parts)
    header_text, payload_text, signature_text = parts
    header, odd = (_header if len(header_text) <= _SHORT_HEADER else _header.__wrapped__)(header_text)
    anomalies += odd
    return Reading(
        header=dict(header),
        claims=_object(_bytes(payload_text, "payload", anomalies), "payload", anomalies),
        signature=_bytes(signature_text, "signature", anomalies) or b"",
        signing_input=header_text + b"." + payload_text,
        anomalies=tuple(anomalies),
        characters=len(token),
    )


def bare(text: str) -> str:
    """The token in a text that holds nothing else but what it is usually copied with: its scheme, quotes, spaces."""
    return _SCHEME.sub("", text.strip().strip("\"'"), count=1).strip()


@functools.lru_cache(maxsize=64)
def _header(text: bytes) -> tuple[dict[str, Any], tuple[Anomaly, ...]]:
    """The header; those of one key are alike to the last character, so it is remembered."""
    anomalies: list[Anomaly] = []
    members = _object(_bytes(text, "header", anomalies), "header", anomalies)
    return members, tuple(anomalies)


def redact(token: str) -> str:
    """The token text without its signature: enough to read it again, too little to use it.

    Text that is no compact token is left out whole, because nobody can say which part of it is the secret.
    """
    parts = token.split(".")
    if len(parts) != len(PARTS):
        return f"[{len(token)} characters left out]"
    return f"{parts[0]}.{parts[1]}.[signature of {len(parts[2])} characters left out]"


def _unread(token: str, anomaly: Anomaly) -> Reading:
    return Reading(header={}, claims={}, anomalies=(anomaly,), signing_input=b"", signature=b"", characters=len(token))


def _as_three(parts: list[bytes]) -> list[bytes]:
    """What a text of another number of parts has in the places of header and payload; it has no signature then."""
    if len(parts) == _ENCRYPTED_PARTS:
        return [parts[0], b"", b""]
    return [parts[0], parts[1] if len(parts) > 1 else b"", b""]


def _not_compact(token: str, count: int) -> Anomaly:
    if token.lstrip().startswith("{"):
        reason = phrase("The token is written as JSON, not in the compact form of three parts.")
        return Anomaly(code="json_form", part="token", reason=reason)
    if count == _ENCRYPTED_PARTS:
        reason = phrase("The token has five parts: it is encrypted, so that only its receiver can read it.")
        return Anomaly(code="encrypted", part="token", reason=reason)
    reason = phrase("A signed token has three parts; this text has {count}.", count=count)
    return Anomaly(code="not_compact", part="token", reason=reason)


def _not_base64(part: str) -> Anomaly:
    reason = phrase("The {part} holds characters that are not of the URL-safe base64 alphabet.", part=part)
    return Anomaly(code="alphabet", part=part, reason=reason)


def _bytes(text: bytes, part: str, anomalies: list[Anomaly]) -> bytes | None:
    """The decoded part, or what can be made of it; None for nothing."""
    if not text:
        reason = phrase("The {part} is empty.", part=part)
        anomalies.append(Anomaly(code="empty", part=part, reason=reason))
        return None
    over = len(text) % 4
    try:
        raw = binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==="[over - 1 :] * (over > 0), strict_mode=True)
    except binascii.Error:
        return _bytes_leniently(text, part, anomalies)
    if text[-1] not in _LAST[over]:
        reason = phrase("The last character of the {part} carries bits that belong to nothing.", part=part)
        anomalies.append(Anomaly(code="unused_bits", part=part, reason=reason))
    return raw


def _bytes_leniently(text: bytes, part: str, anomalies: list[Anomaly]) -> bytes | None:
    """What a careless decoder reads: padding, the other alphabet, line breaks and all else outside it skipped."""
    bare = text.rstrip(b"=")
    if bare != text and all(code in _ALPHABET for code in bare):
        reason = phrase("The {part} ends in padding, which a token has not.", part=part)
        anomalies.append(Anomaly(code="padding", part=part, reason=reason))
    elif any(code not in _ALPHABET for code in text):
        anomalies.append(_not_base64(part))
    else:
        reason = phrase("The {part} has a length that base64 never has.", part=part)
        anomalies.append(Anomaly(code="length", part=part, reason=reason))
    standard = bytes(
        code for code in text.replace(b"-", b"+").replace(b"_", b"/") if code in _ALPHABET or code in b"+/"
    )
    try:
        return binascii.a2b_base64(standard + b"=" * (-len(standard) % 4))
    except binascii.Error:
        return None


def _object(raw: bytes | None, part: str, anomalies: list[Anomaly]) -> dict[str, Any]:
    if raw is None:
        return {}
    value: Any
    try:
        value = decode(raw)
    except NotStrict as error:
        anomalies.append(_not_strict(error, part))
        value = error.value
        if value is None:
            return {}
    if not isinstance(value, dict):
        reason = phrase("The {part} is JSON, but no object.", part=part)
        anomalies.append(Anomaly(code="not_object", part=part, reason=reason))
        return {}
    return value


def _not_strict(error: NotStrict, part: str) -> Anomaly:
    match error.code:
        case "not_utf8":
            reason = phrase("The {part} is no UTF-8 text.", part=part)
        case "duplicate_member":
            reason = phrase(
                "The {part} has two members named “{name}”: readers differ in which of them counts.",
                part=part,
                name=error.detail[:80],
            )
        case "too_deep":
            reason = phrase("The {part} is nested more than {limit} levels deep.", part=part, limit=DEPTH_LIMIT)
        case "lone_surrogate":
            reason = phrase("The {part} holds half a character (a lone surrogate).", part=part)
        case _:
            reason = phrase("The {part} is no JSON: {detail}.", part=part, detail=error.detail[:80])
    return Anomaly(code=error.code, part=part, reason=reason)
