"""Message ids and reply codes: made from a secret key, so that nobody can guess one and every plan gives the same."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from typing import TYPE_CHECKING

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY_BYTES = 32
# Crockford's base 32: no letter that is taken for a digit.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LIKE_A_DIGIT = str.maketrans("OIL", "011")
_CODE = re.compile(rf"(?<![a-z0-9])BS{'[-‐‑ ]?([0-9a-z]{5})' * 3}(?![a-z0-9])", re.IGNORECASE | re.ASCII)
_GROUPS = 3
_GROUP = 5
_LONGEST_TEXT = 2_000_000


def read_key(path: Path) -> bytes:
    """The key that codes are made from; a new one, for its owner only, where the file does not exist.

    Raises:
        UsageError: The file cannot be read or written, or holds no key.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        else:
            key = secrets.token_bytes(KEY_BYTES)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(f"{key.hex()}\n")
    except (OSError, ValueError) as err:
        raise UsageError(place=f"--key {path}", value=err, expected="a key file, or a place for a new one") from err
    if len(key) != KEY_BYTES:
        raise UsageError(place=f"--key {path}", value=f"{len(key)} bytes", expected=f"{KEY_BYTES} bytes in hexadecimal")
    return key


def message_id(key: bytes, notice_id: str, address: str, domain: str) -> str:
    """The Message-ID of the letter of a notice to an address."""
    return f"<{_digest(key, 'message-id', notice_id, address).hex()[:32]}@{domain.lower()}>"


def reply_code(key: bytes, letter_id: str) -> str:
    """What a reader answers with, such as BS-7K3M0-QWXYZ-01234: 75 bits that only the key gives."""
    number = int.from_bytes(_digest(key, "reply-code", letter_id)[:10])
    text = "".join(_ALPHABET[number >> (5 * place) & 31] for place in range(_GROUPS * _GROUP))
    return "-".join(("BS", *(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))))


def _digest(key: bytes, *parts: str) -> bytes:
    return hmac.new(key, "\x00".join(parts).encode(), hashlib.sha256).digest()


def codes_in(texts: Iterable[str]) -> frozenset[str]:
    """Every code that stands in the texts, as `reply_code` writes it, however people typed it."""
    found = set()
    for text in texts:
        for groups in _CODE.findall(text[:_LONGEST_TEXT]):
            found.add("-".join(("BS", *(group.upper().translate(_LIKE_A_DIGIT) for group in groups))))
    return frozenset(found)
