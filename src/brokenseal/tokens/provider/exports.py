"""The provider's logs as files, each in the form in which Microsoft 365 exports it; one record a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from brokenseal.errors import UsageError
from brokenseal.tokens.provider.keys import CONSUMER_ISSUER, ENTERPRISE_ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from brokenseal.tokens.provider.keys import Cabinet
    from brokenseal.tokens.provider.service import Provider

NAMES = ("simulated-entra-sign-ins.jsonl", "simulated-unified-audit.jsonl", "simulated-graph-activity.jsonl")


def make_room(folder: Path) -> None:
    """Make the folder where it is absent.

    Raises:
        UsageError: It holds something already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_taken = any(folder.iterdir())
    except OSError as err:
        raise UsageError(place=str(folder), value=err.strerror, expected="a folder that can be written") from err
    if is_taken:
        raise UsageError(place=str(folder), expected="a new or empty folder")


def write_keys(cabinet: Cabinet, folder: Path) -> None:
    """Write the keys documents, as a verifier would have saved them.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, issuer in (("enterprise", ENTERPRISE_ISSUER), ("consumer", CONSUMER_ISSUER)):
        text = json.dumps(cabinet.document((issuer,)), indent=2)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def write_exports(provider: Provider, folder: Path) -> dict[str, int]:
    """Write the three logs; records of reads that are still open are written first.

    Returns: Name of each file, and how many records it holds.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    provider.mail.flush()
    logs = (provider.identity.sign_ins, provider.mail.audit, provider.mail.graph)
    for name, records in zip(NAMES, logs, strict=True):
        (folder / name).write_text("".join(_lines(records)), encoding="utf-8")
    return {name: len(records) for name, records in zip(NAMES, logs, strict=True)}


def _lines(records: Iterable[dict[str, Any]]) -> Iterable[str]:
    return (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
