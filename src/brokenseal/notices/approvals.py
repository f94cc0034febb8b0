"""Who approved a plan: by name, or by a signature where the plan names the keys of those who may.

A name is what somebody typed. A signature (Ed25519, RFC 8032) is over the plan's hash, and the plan holds the public
keys, so that one person cannot approve twice under two names without holding two keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.errors import UsageError
from brokenseal.notices.plan import plan_hash

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from brokenseal.notices.sending_ledger import Entry
    from brokenseal.notices.values import NoticePlan

_PURPOSE = "brokenseal: I approve the notice plan "


def read_approver(path: Path) -> str:
    """The public key of a file in PEM, as 64 hexadecimal digits.

    Raises:
        UsageError: It cannot be read, or is no Ed25519 public key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as err:
        raise UsageError(place=f"--approver {path}", value=err, expected="an Ed25519 public key in PEM") from err
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(place=f"--approver {path}", value=type(key).__name__, expected="an Ed25519 public key in PEM")
    return key.public_bytes_raw().hex()


def sign(plan: NoticePlan, path: Path, password: bytes | None) -> str:
    """An approval: the public key and the signature in hexadecimal, joined by a colon.

    Raises:
        UsageError: The key cannot be read, is no Ed25519 key, or is none of the plan's.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    place = f"--key {path}"
    try:
        key = load_pem_private_key(path.read_bytes(), password)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise UsageError(place=place, value=err, expected="an Ed25519 private key in PEM, and its password") from err
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(place=place, value=type(key).__name__, expected="an Ed25519 private key in PEM")
    public = key.public_key().public_bytes_raw().hex()
    if public not in plan.approvers:
        raise UsageError(place=place, value=public, expected="the key of somebody whom the plan names (--approver)")
    return f"{public}:{key.sign(_message(plan)).hex()}"


def _message(plan: NoticePlan) -> bytes:
    return f"{_PURPOSE}{plan_hash(plan)}".encode("ascii")


def approvers(plan: NoticePlan, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Who approved this very plan, each once: names, and only those with a good signature where the plan holds keys."""
    name = plan_hash(plan)
    approved = [entry for entry in entries if entry.event == "approved" and entry.plan == name]
    if not plan.approvers:
        return tuple(sorted({entry.detail.casefold() for entry in approved}))
    by_key = {key: entry.detail.casefold() for entry in approved if (key := _signed_by(plan, entry)) is not None}
    return tuple(f"{by_key[key]} ({key[:8]})" for key in sorted(by_key))


def _signed_by(plan: NoticePlan, entry: Entry) -> str | None:
    """The plan's key that made the approval's signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public, _, signature = entry.source.partition(":")
    if public not in plan.approvers:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), _message(plan))
    except (ValueError, InvalidSignature):
        return None
    return public
