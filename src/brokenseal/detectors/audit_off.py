"""Auditing that was switched off, for a mailbox, for an account or for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import as_hits
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {"config_changes": (*WHO, "target", "target_key")}


def find(tables: Tables) -> ir.Table:
    """Switches turned off, by what they cover."""
    changes = done(tables, READS, "audit_bypass", "audit_disabled", "mailbox_audit_disabled")
    return as_hits(
        changes,
        group_key=ibis.coalesce(changes.target_key, changes.actor_key),
        variant=ibis.cases(
            (changes.change == "audit_disabled", "everything"),
            (changes.change == "audit_bypass", "account"),
            else_="mailbox",
        ),
        role="audit_off",
        about=changes.target,
    )


def _variant(severity: Severity, title: Phrase) -> Variant:
    return Variant(
        title=title,
        severity=severity,
        attack=("T1562.008",),
        innocent=phrase("Backup and migration accounts are exempted from auditing because of their volume."),
        settles=phrase("Ask the administrator, switch auditing on again, and treat the time between as unseen."),
    )


DETECTOR = Detector(
    id="config.audit_off",
    title=phrase("Auditing switched off"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "everything": _variant(Severity.CRITICAL, phrase("{actors} switched the audit log of the organisation off")),
        "account": _variant(Severity.HIGH, phrase("{actors} exempted {objects} from mailbox auditing")),
        "mailbox": _variant(Severity.HIGH, phrase("{actors} switched auditing of the mailbox {objects} off")),
    },
    find=find,
)
