"""Frequent honest changes of one day: inbox rules, resets, sharing, second factors, Microsoft's own automation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from brokenseal.drill import people, streams
from brokenseal.drill.changes import SYSTEM, Office, Planned
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

_RULE_NAMES: Final = (
    "Newsletters",
    "To read later",
    "Team",
    "Invoices",
    "Alerts",
    "Projects",
    "Travel",
    "Reports",
    "HR",
)
_RULE_WORDS: Final = ("newsletter", "invoice", "weekly report", "build failed", "ticket", "travel", "agenda")
_RULE_KINDS: Final = (
    ("move",),
    ("mark_read", "move"),
    ("delete",),
    ("move", "stop"),
    ("forward",),
    ("mark_read", "move", "stop"),
)
_RULE_WEIGHTS: Final = (0.53, 0.2, 0.12, 0.08, 0.03, 0.04)
_RULE_FOLDERS: Final = ("user", "archive", "rss", "deleted", "conversation_history")
_FOLDER_WEIGHTS: Final = (0.8, 0.1, 0.04, 0.04, 0.02)
_NEW_RULE: Final = 0.75
_TERSE_NAME: Final = 0.03
_RESET_BY_ADMIN: Final = 0.4
_SHARES_INBOX: Final = 0.1
_SYSTEM_PER_MAILBOX_DAY: Final = 0.06
# A public lab export has 1,552 of 1,562 Set-Mailbox and 47 of 51 Add-MailboxPermission by the service.
_SYSTEM_SETS: Final = 0.95
_SHARES_PER_YEAR: Final = 1.5


def routine(tenant: Tenant, day: int, present: npt.NDArray[np.int64]) -> list[Planned]:
    """The frequent changes of one day.

    Args:
        tenant: The tenant.
        day: The day.
        present: Identities of the people at work.
    """
    rng = tenant.stream("day", day, "changes")
    parameters = tenant.parameters
    planned = _rules(tenant, day, present, rng)
    admins = np.flatnonzero(tenant.identities["role"] == people.ADMIN)
    admin = int(admins[day % len(admins)]) if len(admins) else 0
    offices = Office(rng, tenant.epoch_us, len(tenant.rows_of(people.PERSON)), admins)
    for person in _drawn(rng, present, parameters.resets_per_year):
        by_admin = rng.random() < _RESET_BY_ADMIN
        operation = "Reset user password." if by_admin else "Change user password."
        planned.append(
            Planned(
                offices.at(day),
                "password_reset",
                operation,
                "entra",
                admin if by_admin else person,
                target_identity_no=person,
            )
        )
    for person in _drawn(rng, present, _SHARES_PER_YEAR):
        grantee = int(rng.integers(offices.persons))
        is_inbox = rng.random() < _SHARES_INBOX
        planned.append(
            Planned(
                offices.at(day),
                "folder_permission",
                "Add-MailboxFolderPermission",
                "exchange",
                person,
                mailbox_no=person,
                grantee_no=grantee,
                rights=("Reviewer",),
                folder="inbox" if is_inbox else "calendar",
            )
        )
    planned += _undone(offices, day, present)
    for at in np.sort(rng.integers(DAY_US, size=rng.poisson(len(tenant.mailboxes) * _SYSTEM_PER_MAILBOX_DAY))).tolist():
        mailbox = int(rng.integers(len(tenant.mailboxes)))
        operation = "Set-Mailbox" if rng.random() < _SYSTEM_SETS else "Add-MailboxPermission"
        planned.append(
            Planned(
                tenant.day_starts_us(day) + at,
                "other" if operation == "Set-Mailbox" else "mailbox_permission",
                operation,
                "exchange",
                SYSTEM,
                mailbox_no=mailbox,
                rights=() if operation == "Set-Mailbox" else ("FullAccess",),
            )
        )
    return planned


_UNDONE_PER_YEAR: Final = 0.8
_FACTORS_PER_YEAR: Final = 0.8


def _undone(office: Office, day: int, present: npt.NDArray[np.int64]) -> list[Planned]:
    """Shares that people take back, and second factors that they register: a new phone, a key."""
    planned = []
    for person in _drawn(office.rng, present, _UNDONE_PER_YEAR):
        is_inbox = office.rng.random() < _SHARES_INBOX
        planned.append(
            Planned(
                office.at(day),
                "folder_permission",
                "Remove-MailboxFolderPermission",
                "exchange",
                person,
                mailbox_no=person,
                grantee_no=int(office.rng.integers(office.persons)),
                rights=("Reviewer",),
                folder="inbox" if is_inbox else "calendar",
            )
        )
    return planned + [
        Planned(office.at(day), "strong_auth", "Update user.", "entra", person, target_identity_no=person)
        for person in _drawn(office.rng, present, _FACTORS_PER_YEAR)
    ]


def _drawn(rng: np.random.Generator, present: npt.NDArray[np.int64], per_year: float) -> list[int]:
    # A working year has about 225 days on which a person is present.
    chosen: list[int] = present[rng.random(len(present)) < per_year / 225].tolist()
    return chosen


def _rules(tenant: Tenant, day: int, present: npt.NDArray[np.int64], rng: np.random.Generator) -> list[Planned]:
    planned = []
    for person in _drawn(rng, present, tenant.parameters.rules_per_year):
        effects = _RULE_KINDS[int(streams.choose(rng, _RULE_WEIGHTS, 1)[0])]
        colleague = tenant.mailbox_upns[int(rng.integers(len(tenant.mailbox_upns)))]
        name = _RULE_NAMES[int(rng.integers(len(_RULE_NAMES)))]
        # A few people name their rules like intruders do.
        is_terse = rng.random() < _TERSE_NAME
        planned.append(
            Planned(
                tenant.day_starts_us(day) + int(rng.uniform(7, 17) * HOUR_US) + int(rng.integers(MINUTE_US)),
                "inbox_rule",
                "New-InboxRule" if rng.random() < _NEW_RULE else "Set-InboxRule",
                "exchange",
                person,
                mailbox_no=person,
                destinations=(colleague,) if "forward" in effects else (),
                rule_name="." if is_terse else name,
                rule_effects=effects,
                rule_conditions=(_RULE_WORDS[int(rng.integers(len(_RULE_WORDS)))],),
                folder=_RULE_FOLDERS[int(streams.choose(rng, _FOLDER_WEIGHTS, 1)[0])] if "move" in effects else None,
            )
        )
    return planned
