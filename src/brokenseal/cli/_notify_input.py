"""What the commands of `notify` are given, brought to values; every fault is one line that says where it is."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import TYPE_CHECKING

from brokenseal.cli.options import settings_of
from brokenseal.cli.output import note, now
from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from brokenseal.model import CaseDocument
    from brokenseal.notices.carriers import Relay
    from brokenseal.notices.certificates import SigningKey
    from brokenseal.notices.indications import Indicated
    from brokenseal.notices.values import NoticePlan, Party


class Tls(StrEnum):
    """How the connection to the relay is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def documents_of(documents: list[Path] | None, stores: list[Path] | None) -> list[CaseDocument]:
    """The case documents of these files or stores, in their order.

    Raises:
        UsageError: What was given cannot be meant.
    """
    if bool(documents) == bool(stores):
        raise UsageError(place="notify", value=None, expected="either --document FILE or --store DIR")
    if stores:
        from brokenseal import investigate as path
        from brokenseal.store import Store

        return [path.document_of(Store.open(settings_of(each)), tell=note) for each in stores]
    return [_document(each) for each in documents or ()]


def indicated_of(
    indicators: Path | None,
    because: str,
    documents: Sequence[CaseDocument],
    stores: list[Path] | None,
    parties: Sequence[Party],
) -> list[Indicated]:
    """What each store shows of what is known from elsewhere; nothing where no file of it was given.

    Raises:
        UsageError: What was given cannot be meant.
    """
    if indicators is None:
        if because:
            raise UsageError(place="--because", value=because, expected="--indicators FILE with it")
        return []
    if not stores:
        raise UsageError(place="--indicators", value=indicators, expected="--store DIR, whose records are asked")
    if not because.strip():
        raise UsageError(place="--because", value=because, expected="how it is known, in words for readers")
    from brokenseal.notices.indications import read_indications
    from brokenseal.notices.looking import look
    from brokenseal.store import Store

    known = read_indications(indicators)
    found = []
    for each, document in zip(stores, documents, strict=True):
        store = Store.open(settings_of(each))
        found.append(look(store, document, known, parties))
        store.close()
    return found


def approvers_of(paths: Sequence[Path], approvals: int) -> tuple[str, ...]:
    """Public keys of those who may approve.

    Raises:
        UsageError: What was given cannot be meant.
    """
    from brokenseal.notices.approvals import read_approver

    keys = tuple(read_approver(path) for path in paths)
    if keys and not 0 < approvals <= len(set(keys)):
        raise UsageError(
            place="--approvals", value=approvals, expected=f"1 to {len(set(keys))}, the number of --approver"
        )
    return keys


def _document(path: Path) -> CaseDocument:
    import msgspec

    from brokenseal.reports.json_document import document_from_json

    try:
        return document_from_json(path.read_bytes())
    except (OSError, msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as err:
        raise UsageError(place=f"--document {path}", value=err, expected="a report in JSON") from err


def plan_of(path: Path, expected: str | None) -> NoticePlan:
    """The plan of a file; with `expected`, only if that is its hash.

    Raises:
        UsageError: What was given cannot be meant.
    """
    from brokenseal.notices.plan import plan_from_json, plan_hash

    try:
        content = path.read_bytes()
    except OSError as err:
        raise UsageError(place=f"--plan {path}", value=err.strerror or err, expected="a plan that can be read") from err
    found = plan_from_json(content, place=f"--plan {path}")
    if expected is not None and expected.lower() != plan_hash(found):
        raise UsageError(place="--hash", value=expected, expected=f"the hash of this plan, {plan_hash(found)}")
    return found


def ledger_of(plan_file: Path, ledger: Path | None) -> Path:
    """The ledger of sending: the one named, or that beside the plan."""
    return ledger or plan_file.with_name("notices.ledger.jsonl")


def moment_of(text: str | None) -> dt.datetime:
    """The time that was said, or the clock's."""
    return now() if text is None else time_of(text, "--now")


def time_of(text: str, option: str) -> dt.datetime:
    """A time in UTC.

    Raises:
        UsageError: What was given cannot be meant.
    """
    try:
        found = dt.datetime.fromisoformat(text)
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(place=option, value=text, expected="an ISO 8601 time, e.g. 2026-06-27T09:30:00Z") from err


def date_of(text: str, option: str) -> dt.date:
    """A date.

    Raises:
        UsageError: What was given cannot be meant.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError as err:
        raise UsageError(place=option, value=text, expected="a date, e.g. 2026-06-27") from err


def given(relay: Relay | None) -> Relay:
    """The relay, where one was asked for."""
    assert relay is not None, "either a relay or a folder was asked for"
    return relay


def relay_of(text: str, tls: Tls, user: str | None, password_file: Path | None, authorities: Path | None) -> Relay:
    """Where and how letters are handed over.

    Raises:
        UsageError: What was given cannot be meant.
    """
    from brokenseal.notices.carriers import Relay, check_relay

    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:  # noqa: PLR2004
        raise UsageError(place="--smtp", value=text, expected="HOST:PORT, e.g. smtp.contoso.example:587")
    if (user is None) != (password_file is None):
        raise UsageError(place="--user", value=user, expected="--user and --password-file together")
    relay = Relay(
        host=host.strip("[]"),
        port=int(port),
        security=tls.value,
        user=user,
        password=None if password_file is None else first_line(password_file).decode("utf-8", "surrogateescape"),
        authorities=authorities,
    )
    check_relay(relay)
    return relay


def first_line(path: Path) -> bytes:
    """The first line of a file, as bytes.

    Raises:
        UsageError: What was given cannot be meant.
    """
    try:
        return path.read_bytes().splitlines()[0]
    except (OSError, IndexError) as err:
        raise UsageError(place=str(path), value=err, expected="a readable file with a line of text") from err


def signer_of(
    certificate: Path | None, key: Path | None, password_file: Path | None, at: str | None
) -> SigningKey | None:
    """Certificate and key to sign with; None where none were named.

    Raises:
        UsageError: What was given cannot be meant.
    """
    if (certificate is None) != (key is None):
        raise UsageError(place="--sign-cert", value=certificate, expected="--sign-cert and --sign-key together")
    if certificate is None or key is None:
        return None
    from brokenseal.notices.certificates import signing_key

    password = None if password_file is None else first_line(password_file)
    return signing_key(certificate, key, password, now=moment_of(at))
