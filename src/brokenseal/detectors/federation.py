"""Domains whose sign-ins were handed to another identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import as_hits
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {"config_changes": (*WHO, "operation_key", "target", "target_key")}

_OPENING = ("set domain authentication", "set federation settings on domain", "set-msoldomainfederationsettings")


def find(tables: Tables) -> ir.Table:
    """Changes of federation and of the list of domains, by domain."""
    changes = done(tables, READS, "domain_federation")
    return as_hits(
        changes,
        group_key=ibis.coalesce(changes.target_key, changes.actor_key),
        variant=ibis.ifelse(changes.operation_key.isin(_OPENING), "federated", "domain_added"),
        role="federation",
        about=changes.target,
    )


_SETTLES = phrase(
    "Compare the domain's issuer and signing certificate with those of your own identity provider. "
    "A foreign one can sign in as anybody."
)

DETECTOR = Detector(
    id="config.federation",
    title=phrase("Domains handed to another identity provider"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "federated": Variant(
            title=phrase("{actors} changed who vouches for the sign-ins of the domain {objects}"),
            severity=Severity.CRITICAL,
            attack=("T1484.002", "T1606.002"),
            innocent=phrase("Moves to or from AD FS and yearly certificate renewals look the same."),
            settles=_SETTLES,
        ),
        "domain_added": Variant(
            title=phrase("{actors} added or verified the domain {objects}"),
            severity=Severity.LOW,
            attack=("T1484.002",),
            innocent=phrase("Organisations add domains when they rename, merge or start a product."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)
