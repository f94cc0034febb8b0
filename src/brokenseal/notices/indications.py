"""What whoever tells knows from elsewhere: who was a target, and what the intruder is known by.

A provider finds forged tokens in its own logs, an agency is told of an address. Neither is a judgement of the victims'
logs, and letters say so. Columns of the CSV: kind, value, from, until. Others, such as those of
`share export --format csv`, are passed over.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, get_args

from brokenseal.errors import UsageError
from brokenseal.fields import domain_of, fold, mail_address
from brokenseal.notices.contacts import territory
from brokenseal.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from brokenseal.model import CaseDocument, Cited, Exposure
    from brokenseal.notices.values import Party

IndicationKind: TypeAlias = Literal[
    "organisation", "mailbox", "address", "application", "client", "user_agent", "session", "token"
]
TARGETS: Final = frozenset(("organisation", "mailbox"))
"""Kinds that say who was a target; the others say what the intruder is known by."""
HANDED_OUT: Final = frozenset(("address", "application", "client", "user_agent"))
"""Kinds that every victim is given to look for. Sessions and tokens may be another victim's, and are told only to whom
they were used against."""
_COLUMNS: Final = ("kind", "value")
_MOST: Final = 500
# Names of the selections that read the same identifiers.
_SELECTED: Final = {"address": "ip", "application": "app", "session": "session", "token": "token"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Indication:
    """One line of what is known from elsewhere.

    Attributes:
        value: In the form in which ingest stores it; of an organisation a domain or a tenant id.
        first_at, last_at: From when to when a target was one, or an indicator was the intruder's; None where that is
            not known.
    """

    kind: IndicationKind
    value: str
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicated:
    """What one store shows of what is known from elsewhere.

    Attributes:
        known: Everything that is known from elsewhere.
        targets: Those of it that name somebody of this store.
        seen: Mailbox and indication, wherever a record of reading in that mailbox carries it.
        exposure: Of the records that carry any of them.
        cited: Those records, by event id.
    """

    known: tuple[Indication, ...]
    targets: tuple[Indication, ...]
    seen: frozenset[tuple[str, Indication]]
    exposure: Exposure
    cited: Mapping[str, Cited]


def read_indications(path: Path) -> tuple[Indication, ...]:
    """What is known from elsewhere, each once, in the file's order.

    Raises:
        UsageError: The file cannot be read, a value cannot be of its kind, or there are more than 500.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(place=f"--indicators {path}", value=err, expected="a CSV in UTF-8") from err
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if any(name not in (reader.fieldnames or ()) for name in _COLUMNS):
        raise UsageError(place=f"--indicators {path}", value=reader.fieldnames, expected="the columns kind and value")
    found = dict.fromkeys(_indication(row, place=f"{path}, line {n}") for n, row in enumerate(reader, start=2))
    if not 0 < len(found) <= _MOST:
        raise UsageError(place=f"--indicators {path}", value=f"{len(found)} lines", expected=f"1 to {_MOST} of them")
    return tuple(found)


def _indication(row: dict[str, str | None], *, place: str) -> Indication:
    kind, value = ((row.get(name) or "").strip() for name in _COLUMNS)
    if kind not in get_args(IndicationKind):
        expected = f"one of {', '.join(get_args(IndicationKind))}"
        raise UsageError(place=f"{place}, kind", value=kind, expected=expected)
    first_at, last_at = (_time(row.get(name), place=f"{place}, {name}") for name in ("from", "until"))
    if first_at is not None and last_at is not None and first_at > last_at:
        raise UsageError(place=place, value=first_at, expected="a time from which, not after the one until which")
    return Indication(
        kind=cast("IndicationKind", kind),
        value=_stored(kind, value, place=f"{place}, value"),
        first_at=first_at,
        last_at=last_at,
    )


def _stored(kind: str, value: str, *, place: str) -> str:
    if kind in _SELECTED:
        try:
            return Selection.by(_SELECTED[kind], value).value
        except UsageError as err:
            raise UsageError(place=place, value=value, expected=err.expected) from err
    if kind == "organisation":
        return territory(value, place=place)
    found = mail_address(value) if kind == "mailbox" else value
    if not found:
        expected = "the address of a mailbox" if kind == "mailbox" else "the text as logs hold it"
        raise UsageError(place=place, value=value, expected=expected)
    return found


def _time(text: str | None, *, place: str) -> dt.datetime | None:
    if not text or not text.strip():
        return None
    try:
        found = dt.datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
    except (ValueError, OverflowError) as err:
        raise UsageError(place=place, value=text, expected="an ISO 8601 time, e.g. 2023-06-16T00:00:00Z") from err


def targets_in(
    document: CaseDocument, known: Iterable[Indication], parties: Iterable[Party] = ()
) -> tuple[Indication, ...]:
    """The targets that are of the document's store: its mailboxes and domains, as records name them or contacts do.

    Args:
        document: Of the store.
        known: What is known from elsewhere.
        parties: An organisation that covers the store's tenant id brings its domains, for logs that name no mailbox.
    """
    mailboxes = {name for each in document.coverage.mailboxes if (name := mail_address(each.mailbox))}
    tenants = {fold(tenant) for tenant in document.coverage.tenants}
    territories = tenants | {domain_of(name) for name in mailboxes}
    for party in parties:
        if party.kind == "organisation" and tenants & set(party.covers):
            territories |= set(party.covers)
    return tuple(
        each
        for each in known
        if (each.kind == "mailbox" and (each.value in mailboxes or domain_of(each.value) in territories))
        or (each.kind == "organisation" and each.value in territories)
    )
