"""The rules of B12 on mailboxes, rules and auditing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.baselines._alerts import DAY_S, as_alerts, new_terms, slot
from brokenseal.baselines._changes_seen import by_people, changes_of, events_of, settings_of
from brokenseal.detectors._text import has, holds_any, joined, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from brokenseal.model import Tables

_FORWARDING: Final = ("new-inboxrule", "set-inboxrule", "set-mailbox", "new-transportrule", "set-transportrule")
_FORWARDING_BRIEF: Final = ("set-mailbox", "new-inboxrule")
_ELEVATED: Final = ("\nfullaccess", "\nchangepermission", "\nchangeowner")


def delegation(tables: Tables, days: int) -> ir.Table:
    """Rights on mailboxes given by somebody who gave none in the days before."""
    rows = by_people(changes_of(tables, "mailbox_permission", "recipient_permission", "send_on_behalf"))
    given = ibis.cases(
        (rows.change == "mailbox_permission", rows.all_rights.contains("\nfullaccess")),
        (rows.change == "recipient_permission", rows.all_rights.contains("\nsendas")),
        else_=True,
    )
    rows = rows.filter(given, ~rows.operation_key.startswith("remove").fill_null(ibis.literal(value=False)))
    rows = new_terms(rows, ("tenant", "actor_key"), days)
    return as_alerts(rows, rule="B12-elastic-delegation", subject=rows.mailbox, mailbox=rows.mailbox)


def external_forwarding(tables: Tables) -> ir.Table:
    """Rules and mailboxes that send mail to another domain."""
    rows = changes_of(tables, "inbox_rule", "mailbox_forwarding", "transport_rule")
    rows = rows.filter(rows.operation_key.isin(_FORWARDING), some(rows.external_destinations))
    return as_alerts(rows, rule="B12-elastic-forwarding", subject=rows.mailbox, mailbox=rows.mailbox)


def graded_forwarding(tables: Tables, minutes: int) -> ir.Table:
    """Mailboxes and new inbox rules that send mail outside, graver where the owner no longer sees it."""
    rows = changes_of(tables, "inbox_rule", "mailbox_forwarding")
    rows = rows.filter(rows.operation_key.isin(_FORWARDING_BRIEF), some(rows.external_destinations))
    kept = settings_of(tables, "delivertomailboxandforward")
    # Exchange writes switches as words.
    kept = kept.filter(kept.new_text.isin(("false", "$false"))).select(unseen="event_id").distinct()
    rows = rows.left_join(kept, rows.event_id == kept.unseen)
    grave = rows.unseen.notnull() | has(rows.rule_effects, "delete", "stop")
    rows = slot(rows.mutate(weight=ibis.ifelse(grave, 2000, 1000)), minutes)
    keys = ("tenant", "actor_key", "mailbox", "slot_day", "slot_no")
    weight = rows.weight.max().over(ibis.window(group_by=[rows[name] for name in keys]))
    return as_alerts(
        rows,
        rule="B12-panther-forwarding",
        subject=rows.mailbox,
        mailbox=rows.mailbox,
        score=weight,
        together=keys,
    )


def elevated_permission(tables: Tables) -> ir.Table:
    """The strongest rights on a mailbox, by whomever."""
    rows = changes_of(tables, "mailbox_permission")
    rows = rows.filter(rows.operation_key == "add-mailboxpermission", holds_any(rows.all_rights, _ELEVATED))
    return as_alerts(rows, rule="B12-splunk-full-access", subject=rows.mailbox, mailbox=rows.mailbox)


def impersonation(tables: Tables) -> ir.Table:
    """The role that reads every mailbox as its owner."""
    rows = changes_of(tables, "management_role")
    rows = rows.filter(rows.all_rights.contains("\napplicationimpersonation"))
    return as_alerts(rows, rule="B12-splunk-impersonation", subject=ibis.coalesce(rows.target_key, rows.actor_key))


def shared_forwarding(tables: Tables, days: int) -> ir.Table:
    """Mail of several users sent on to one address within days."""
    rows = changes_of(tables, "inbox_rule", "mailbox_forwarding")
    rows = rows.filter(some(rows.destinations), rows.mailbox.notnull())
    rows = rows.mutate(destination=rows.destinations.unnest())
    others = rows.select(
        other_tenant="tenant", other_mailbox="mailbox", other_destination="destination", other_at="occurred_at"
    ).distinct()
    met = rows.inner_join(
        others,
        [
            rows.tenant == others.other_tenant,
            rows.destination == others.other_destination,
            rows.mailbox != others.other_mailbox,
        ],
    )
    age_s = met.occurred_at.delta(met.other_at, unit="second")
    met = met.filter(age_s >= 0, age_s <= days * DAY_S)
    counted = met.group_by(["event_id", "mailbox", "destination"]).aggregate(users=met.other_mailbox.nunique() + 1)
    counted = counted.group_by(known_id="event_id", known_mailbox="mailbox").aggregate(users=counted.users.max())
    rows = rows.inner_join(counted, [rows.event_id == counted.known_id, rows.mailbox == counted.known_mailbox])
    return as_alerts(
        rows, rule="B12-sentinel-shared-forward", subject=rows.mailbox, mailbox=rows.mailbox, score=rows.users * 1000
    )


def audit_off(tables: Tables) -> ir.Table:
    """The audit log of the organisation switched off."""
    rows = changes_of(tables, "audit_disabled")
    return as_alerts(rows, rule="B12-sentinel-audit-off", subject=ibis.coalesce(rows.actor_key, rows.target_key))


def hiding_rule(tables: Tables, words: Sequence[str]) -> ir.Table:
    """Inbox rules that delete mail with words of warnings."""
    rows = changes_of(tables, "inbox_rule")
    rows = rows.filter(has(rows.rule_effects, "delete"), holds_any(joined(rows.rule_conditions), words))
    return as_alerts(rows, rule="B12-sentinel-hiding-rule", subject=rows.mailbox, mailbox=rows.mailbox)


def listed_operation(tables: Tables, operations: Sequence[str]) -> ir.Table:
    """Operations that are worth a look whenever a person makes them."""
    rows = events_of(tables, operations)
    rows = rows.filter(~rows.is_service.fill_null(ibis.literal(value=False)))
    return as_alerts(rows, rule="B12-sentinel-operation", subject=ibis.coalesce(rows.mailbox_upn, rows.actor_key))
