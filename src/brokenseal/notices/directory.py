"""Contacts from a directory export: the owners of the mailboxes that were read, by the users of the tenant.

Takes the CSV that the Entra admin centre writes ("Download users") or that `Get-MgUser | Export-Csv` does. An owner is
told at an address outside the mailbox where the directory has one: whoever reads the mailbox would read the notice.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from brokenseal.errors import UsageError
from brokenseal.fields import mail_address
from brokenseal.notices.contacts import smtp_address
from brokenseal.notices.values import Contact, Party
from brokenseal.reports._escape import visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from brokenseal.notices.values import Language

_NAMES = {
    "upn": ("userprincipalname", "user principal name"),
    "mail": ("mail", "email", "primarysmtpaddress"),
    "other": ("alternateemailaddress", "othermails", "alternate email address"),
    "name": ("displayname", "display name"),
    "language": ("preferredlanguage", "usagelocation", "preferred language", "usage location"),
}
_NAME_LIMIT = 200
# Of the places where most people read French; elsewhere notices from a directory are in English.
_FRENCH = frozenset(("fr", "mc", "gp", "mq", "gf", "re", "yt", "nc", "pf"))


def read_directory(path: Path, mailboxes: Collection[str], known: Collection[Party]) -> tuple[Party, ...]:
    """The owners of these mailboxes that the directory knows and the list of contacts does not.

    Args:
        path: The CSV.
        mailboxes: As documents list them.
        known: Owners of these stay as they are.

    Raises:
        UsageError: The file cannot be read, or has no column of user principal names.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(place=f"--directory {path}", value=err, expected="a CSV in UTF-8") from err
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    chosen = {key: next((columns[name] for name in names if name in columns), None) for key, names in _NAMES.items()}
    if chosen["upn"] is None:
        expected = "a column userPrincipalName, as directory exports have it"
        raise UsageError(place=f"--directory {path}", value=reader.fieldnames, expected=expected)
    told = {name for party in known if party.kind == "owner" for name in party.covers}
    wanted = {name for mailbox in mailboxes if (name := mail_address(mailbox))} - told
    found: dict[str, Party] = {}
    for row in reader:
        values = {key: (row.get(name) or "").strip() if name else "" for key, name in chosen.items()}
        names = [name for key in ("upn", "mail") if (name := mail_address(values[key])) in wanted]
        contacts = tuple(_contacts(values, own={*names, *(mail_address(values[key]) or "" for key in ("upn", "mail"))}))
        for name in names:
            if name is not None and contacts and name not in found:
                found[name] = Party(kind="owner", name=name, covers=(name,), contacts=contacts)
    return tuple(found[name] for name in sorted(found))


def _contacts(values: dict[str, str], *, own: Collection[str]) -> Iterator[Contact]:
    """Addresses outside the mailbox first, the mailbox itself last; none that cannot stand in a mail."""
    outside = [address for text in values["other"].replace(";", ",").split(",") if (address := _plain(text))]
    inside = [address for key in ("mail", "upn") if (address := _plain(values[key]))]
    order = 0
    seen: set[str] = set()
    for address in (*(each for each in outside if each.lower() not in own), *inside[:1]):
        if address.lower() in seen:
            continue
        seen.add(address.lower())
        order += 1
        yield Contact(
            address=address,
            name=visible(values["name"])[:_NAME_LIMIT],
            language=_language(values["language"]),
            role="owner",
            order=order,
        )


def _plain(text: str) -> str | None:
    try:
        return smtp_address(text.strip().strip("[]\"'"), place="--directory")
    except UsageError:
        return None


def _language(text: str) -> Language:
    return "fr" if text.strip().lower().partition("-")[0] in _FRENCH else "en"
