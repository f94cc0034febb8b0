"""Transport rules that copy, redirect or delete mail of the whole organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import as_hits
from brokenseal.detectors._text import has, odd_name, some
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {"config_changes": (*WHO, "rule_name", "rule_effects", "external_destinations")}


def find(tables: Tables) -> ir.Table:
    """Rules made or changed, by the account that made them."""
    rules = done(tables, READS, "transport_rule")
    deletes = has(rules.rule_effects, "delete")
    variant = ibis.cases(
        (has(rules.rule_effects, "bcc", "redirect", "forward") & some(rules.external_destinations), "copies_outside"),
        (deletes & odd_name(rules.rule_name), "deletes_under_odd_name"),
        (deletes, "deletes"),
        else_=None,
    )
    rules = rules.mutate(variant=variant).filter(variant.notnull())
    return as_hits(
        rules,
        group_key=rules.actor_key,
        variant=rules.variant,
        role="rule",
        about=rules.rule_name,
    )


_SETTLES = phrase(
    "Look at the rule in the Exchange admin centre with its author and date, and ask that administrator. "
    "A message trace shows which mail it has copied since."
)

DETECTOR = Detector(
    id="config.transport_rule",
    title=phrase("Transport rules that copy or delete mail"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "copies_outside": Variant(
            title=phrase("{actors} made a transport rule that sends the organisation's mail outside (rule: {objects})"),
            severity=Severity.CRITICAL,
            attack=("T1114.003",),
            innocent=phrase("Archives, encryption gateways and journaling services work by such rules."),
            settles=_SETTLES,
        ),
        "deletes_under_odd_name": Variant(
            title=phrase("{actors} made a transport rule with a name that says nothing, and it deletes mail"),
            severity=Severity.HIGH,
            attack=("T1564.008",),
            innocent=phrase("A hurried administrator may have left a test rule behind."),
            settles=_SETTLES,
        ),
        "deletes": Variant(
            title=phrase("{actors} made a transport rule that deletes mail (rule: {objects})"),
            severity=Severity.LOW,
            attack=("T1564.008",),
            innocent=phrase("Administrators delete spam and unwanted mail by rule."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)
