"""Forwarding set on a mailbox itself, which no inbox rule shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.detectors._changes import NAMES, WHO, addressed, done, mailbox_of
from brokenseal.detectors._hits import as_hits
from brokenseal.detectors._text import some
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {"config_changes": (*WHO, "target_key", "grantee_key", "external_destinations"), "events": NAMES}


def find(tables: Tables) -> ir.Table:
    """Forwarding to another domain, by mailbox."""
    changes = addressed(done(tables, READS, "mailbox_forwarding"), "target_key", tables, READS)
    changes = changes.filter(some(changes.external_destinations))
    return as_hits(
        changes,
        group_key=mailbox_of(changes),
        variant="sends_outside",
        role="forwarding",
        about=changes.external_destinations.join(", "),
        mailbox=mailbox_of(changes),
    )


DETECTOR = Detector(
    id="config.mailbox_forwarding",
    title=phrase("Mailboxes set to forward outside"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "sends_outside": Variant(
            title=phrase("The mailbox {mailboxes} was set to forward its mail to {objects}"),
            severity=Severity.HIGH,
            attack=("T1114.003",),
            innocent=phrase("Leavers and people on leave are forwarded to a private or partner address on request."),
            settles=phrase("Ask the owner and the administrator who set it; a message trace shows what was sent on."),
        ),
    },
    find=find,
)
