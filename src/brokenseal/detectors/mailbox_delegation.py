"""Rights on a mailbox or folder given to somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import NAMES, WHO, addressed, done, mailbox_of
from brokenseal.detectors._hits import as_hits
from brokenseal.detectors._text import holds_any, joined
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "config_changes": (*WHO, "operation_key", "object_id", "target_key", "grantee_key", "rights"),
    "events": NAMES,
}

_READING_RIGHTS = ("owner", "editor", "author", "reviewer", "readany", "fulldetails", "fullaccess")
_EVERYBODY = ("default", "anonymous", "everyone", "everybody")
# Sharing a calendar or contacts is daily work, in whatever language the folder is named.
_DAILY = ("calend", "kalend", "agenda", "contact", "kontakt")


def find(tables: Tables) -> ir.Table:
    """Rights given, by the account that gave them."""
    changes = done(tables, READS, "mailbox_permission", "recipient_permission", "send_on_behalf", "folder_permission")
    changes = addressed(changes, "target_key", tables, READS)
    changes = addressed(changes, "grantee_key", tables, READS)
    rights = joined(changes.rights)
    grantee = changes.grantee_key.fill_null("")
    place = changes.target_key.fill_null("").concat(" ", joined(ibis.array([changes.object_id])))
    on_folder = (changes.change == "folder_permission") & holds_any(rights, _READING_RIGHTS) & ~holds_any(place, _DAILY)
    variant = ibis.cases(
        # A mailbox's own rights on itself, and the groups of the system, are how every mailbox is born.
        (grantee.startswith("nt authority\\"), None),
        (changes.operation_key.fill_null("").startswith("remove"), None),
        ((changes.change == "mailbox_permission") & rights.contains("fullaccess"), "full_access"),
        (changes.change == "recipient_permission", "send_as"),
        (changes.change == "send_on_behalf", "send_on_behalf"),
        (on_folder & grantee.isin(_EVERYBODY), "folder_to_everybody"),
        (on_folder, "folder_access"),
        else_=None,
    )
    changes = changes.mutate(variant=variant).filter(variant.notnull())
    return as_hits(
        changes,
        group_key=changes.actor_key,
        variant=changes.variant,
        role="grant",
        about=changes.grantee_key,
        mailbox=mailbox_of(changes),
    )


_INNOCENT = phrase("Assistants, shared mailboxes and leavers' mailboxes are set up in just this way.")
_SETTLES = phrase(
    "Ask whoever asked for the right. Look for mail accesses by the one who gained it, "
    "and take the right away where nobody wanted it."
)


def _notice(severity: Severity, title: Phrase) -> Variant:
    return Variant(
        title=title, severity=severity, attack=("T1098.002",), innocent=_INNOCENT, settles=_SETTLES, is_notice=True
    )


DETECTOR = Detector(
    id="config.mailbox_delegation",
    title=phrase("Rights on mailboxes given to somebody else"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "full_access": _notice(
            Severity.MEDIUM, phrase("{actors} gave {objects} full access to {n_mailboxes} mailbox(es): {mailboxes}")
        ),
        "send_as": _notice(Severity.MEDIUM, phrase("{actors} let {objects} send mail as {mailboxes}")),
        "send_on_behalf": _notice(Severity.LOW, phrase("{actors} let {objects} send mail on behalf of {mailboxes}")),
        "folder_to_everybody": _notice(
            Severity.MEDIUM, phrase("{actors} let everybody read a mail folder of {mailboxes}")
        ),
        "folder_access": _notice(Severity.LOW, phrase("{actors} let {objects} read a mail folder of {mailboxes}")),
    },
    find=find,
)
