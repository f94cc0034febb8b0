"""Contacts from a CSV: who speaks for which organisation or mailbox, in which language, in which order.

Columns: organisation, covers, address, name, language, role, order, certificate. A row with an organisation covers its
domains and tenant ids (separated by spaces); a row without one covers the one mailbox whose address stands in `covers`.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from brokenseal.errors import UsageError
from brokenseal.fields import fold, mail_address
from brokenseal.notices.certificates import encryption_certificate
from brokenseal.notices.values import Contact, Party
from brokenseal.reports._escape import visible

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable
    from pathlib import Path

    from brokenseal.notices.values import Language

COLUMNS = ("organisation", "covers", "address", "name", "language", "role", "order", "certificate")
_NEEDED = ("organisation", "covers", "address")
_NAME_LIMIT = 200
# What may stand in an SMTP command as it is: an ASCII dot-atom and a domain of letters, digits and dashes (RFC 5321,
# 4.1.2). Quoted local parts and address literals are refused: nobody's contact needs them, and injection does.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9.-]+\Z")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_TENANT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_LONGEST_ADDRESS = 254


def smtp_address(text: str, *, place: str) -> str:
    """The address, if it can stand in an SMTP command and in a header as it is.

    Raises:
        UsageError: It cannot.
    """
    found = text.strip()
    domain = found.rpartition("@")[2].lower()
    whole = len(found) <= _LONGEST_ADDRESS and _ADDRESS.match(found)
    if not whole or not all(_LABEL.match(label) for label in domain.split(".")):
        raise UsageError(place=place, value=text, expected="one plain mail address, such as security@contoso.example")
    return found


def read_contacts(path: Path, *, now: dt.datetime) -> tuple[Party, ...]:
    """Every victim that can be told, organisations first, by name.

    Args:
        path: The CSV; certificates are looked for beside it.
        now: A certificate must be valid at this time.

    Raises:
        UsageError: The file cannot be read, a value is wrong, two contacts of a victim have the same place in the
            order, or two organisations claim the same domain or tenant.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(place=f"--contacts {path}", value=err, expected="a CSV in UTF-8") from err
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
    if missing or unknown:
        raise UsageError(
            place=f"--contacts {path}", value=reader.fieldnames, expected=f"the columns {', '.join(COLUMNS)}"
        )
    found: dict[tuple[str, str], Party] = {}
    for number, row in enumerate(reader, start=2):
        party = _party(row, place=f"{path}, line {number}", folder=path.parent, now=now)
        key = party.kind, party.name.casefold()
        found[key] = _joined(found[key], party, place=f"{path}, line {number}") if key in found else party
    parties = sorted(found.values(), key=lambda party: (party.kind != "organisation", party.name.casefold()))
    _no_overlap(parties, place=f"--contacts {path}")
    return tuple(parties)


def _party(row: dict[str, str | None], *, place: str, folder: Path, now: dt.datetime) -> Party:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    if None in row:
        raise UsageError(place=place, value=row, expected=f"no more than {len(COLUMNS)} cells")
    contact = Contact(
        address=smtp_address(values["address"], place=f"{place}, address"),
        name=visible(values["name"])[:_NAME_LIMIT],
        language=_language(values["language"] or "en", place=place),
        role=visible(values["role"])[:_NAME_LIMIT],
        order=_order(values["order"] or "1", place=place),
        certificate=encryption_certificate(folder / values["certificate"], now=now) if values["certificate"] else None,
    )
    if values["organisation"]:
        covers = tuple(sorted({territory(text, place=place) for text in values["covers"].split()}))
        if not covers:
            raise UsageError(place=f"{place}, covers", value="", expected="a domain or a tenant id")
        name = visible(values["organisation"])[:_NAME_LIMIT]
        return Party(kind="organisation", name=name, covers=covers, contacts=(contact,))
    mailbox = mail_address(values["covers"])
    if mailbox is None or len(values["covers"].split()) != 1:
        raise UsageError(place=f"{place}, covers", value=values["covers"], expected="the address of one mailbox")
    return Party(kind="owner", name=mailbox, covers=(mailbox,), contacts=(contact,))


def _language(text: str, *, place: str) -> Language:
    known: dict[str, Language] = {"en": "en", "fr": "fr"}
    if text not in known:
        raise UsageError(place=f"{place}, language", value=text, expected=f"one of {', '.join(known)}")
    return known[text]


def _order(text: str, *, place: str) -> int:
    if not re.fullmatch(r"[1-9]\d?", text, re.ASCII):
        raise UsageError(place=f"{place}, order", value=text, expected="a number from 1 to 99")
    return int(text)


def territory(text: str, *, place: str) -> str:
    """A domain or a tenant id, folded.

    Raises:
        UsageError: It is neither.
    """
    folded = (fold(text) or "").rstrip(".")
    if _TENANT.match(folded) or ("." in folded and all(_LABEL.match(label) for label in folded.split("."))):
        return folded
    raise UsageError(place=f"{place}, covers", value=text, expected="domains or tenant ids, separated by spaces")


def _joined(known: Party, more: Party, *, place: str) -> Party:
    """One victim's contacts from two rows."""
    (contact,) = more.contacts
    if contact.order in {each.order for each in known.contacts}:
        raise UsageError(
            place=f"{place}, order", value=contact.order, expected=f"another place in the order of {known.name}"
        )
    contacts = sorted((*known.contacts, contact), key=lambda each: each.order)
    return replace(known, covers=tuple(sorted({*known.covers, *more.covers})), contacts=tuple(contacts))


def _no_overlap(parties: Iterable[Party], *, place: str) -> None:
    """What is covered twice would be told to the wrong one."""
    owner_of: dict[str, str] = {}
    for party in parties:
        for territory in party.covers:
            if territory in owner_of:
                raise UsageError(
                    place=place,
                    value=territory,
                    expected=f"one victim for it, not {owner_of[territory]} and {party.name}",
                )
            owner_of[territory] = party.name
