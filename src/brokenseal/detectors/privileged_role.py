"""Administrator roles given to accounts, and above all to accounts that nobody knew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import DAY_S, HOUR_S, as_hits
from brokenseal.detectors._text import holds_any, joined
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "config_changes": (*WHO, "object_id", "grantee_key", "rights"),
    "events": ("actor_key", "mailbox_upn", "occurred_at"),
}

HISTORY_DAYS = 7
"""The log must reach back this far before an account can be called unknown."""
NEW_DAYS = 30
"""An account that was added this recently is new, whatever else the log says of it."""
MANY_ROLES = 3

_POWERFUL = (
    "global administrator", "company administrator", "privileged role administrator",
    "privileged authentication administrator", "authentication administrator", "exchange administrator",
    "exchange service administrator", "user administrator", "user account administrator", "helpdesk administrator",
    "application administrator", "hybrid identity administrator", "security administrator",
    "conditional access administrator", "sharepoint administrator", "sharepoint service administrator",
    "compliance administrator", "domain name administrator", "partner tier2 support",
    "applicationimpersonation", "organization management", "mailbox import export", "ediscovery",
)  # fmt: skip


def find(tables: Tables) -> ir.Table:
    """Roles given to accounts, by account; a group of roles counts when one of them is powerful."""
    grants = done(tables, READS, "role_member", "management_role")
    # Service principals hold directory roles by design. An account is recognised by its address, a group by the
    # prefix that the directory gives its object id.
    grants = grants.filter(grants.grantee_key.contains("@") | grants.object_id.startswith("Group_"))
    grants = grants.filter(grants.grantee_key.notnull())
    grants = grants.mutate(powerful=holds_any(joined(grants.rights), _POWERFUL))
    per_account = ibis.window(group_by=[grants.grantee_key, grants.actor_key])
    grants = grants.mutate(
        any_powerful=grants.powerful.any().over(per_account),
        n_roles=grants.event_id.nunique().over(per_account),
        span_s=grants.occurred_at.max()
        .over(per_account)
        .delta(grants.occurred_at.min().over(per_account), unit="second"),
        granted_at=grants.occurred_at.min().over(ibis.window(group_by=grants.grantee_key)),
    ).filter(lambda table: table.any_powerful)
    unknown = _unknown(grants, tables)
    grants = grants.left_join(unknown, grants.grantee_key == unknown.unknown_key)
    variant = ibis.cases(
        (grants.unknown_key.notnull(), "to_new_account"),
        ((grants.n_roles >= MANY_ROLES) & (grants.span_s <= HOUR_S), "many_at_once"),
        else_="given",
    )
    return as_hits(grants, group_key=grants.grantee_key, variant=variant, role="role", about=grants.rights.join(", "))


def _unknown(grants: ir.Table, tables: Tables) -> ir.Table:
    """Accounts that were just added, or that no record names before their first role although the log reaches back."""
    grants = grants.filter(grants.grantee_key.contains("@"))
    firsts = grants.group_by(unknown_key=grants.grantee_key).aggregate(granted_at=grants.granted_at.min())
    events = tables["events"].select(*READS["events"])
    log = events.aggregate(log_start=events.occurred_at.min())
    seen = events.select(key=events.actor_key, occurred_at=events.occurred_at).union(
        events.select(key=events.mailbox_upn, occurred_at=events.occurred_at)
    )
    seen = seen.filter(seen.key.notnull()).group_by("key").aggregate(seen_at=seen.occurred_at.min())
    added = done(tables, READS, "account_added")
    added = (
        added.filter(added.grantee_key.notnull())
        .group_by(added_key=added.grantee_key)
        .aggregate(added_at=added.occurred_at.max())
    )
    firsts = firsts.cross_join(log)
    firsts = firsts.left_join(seen, firsts.unknown_key == seen.key).drop("key")
    firsts = firsts.left_join(added, firsts.unknown_key == added.added_key).drop("added_key")
    never_seen = firsts.seen_at.isnull() | (firsts.seen_at >= firsts.granted_at)
    reaches_back = firsts.granted_at.delta(firsts.log_start, unit="second") >= HISTORY_DAYS * DAY_S
    age_s = firsts.granted_at.delta(firsts.added_at, unit="second")
    just_added = ((age_s >= -DAY_S) & (age_s <= NEW_DAYS * DAY_S)).fill_null(ibis.literal(value=False))
    return firsts.filter(just_added | (never_seen & reaches_back)).select("unknown_key")


_SETTLES = phrase("Ask the administrator who gave the roles and the owner of the account; take away what nobody needs.")
_ROLES = ("T1098.003",)

DETECTOR = Detector(
    id="config.privileged_role",
    title=phrase("Administrator roles given to accounts"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "to_new_account": Variant(
            title=phrase("{actors} made the unknown account {subject} an administrator (roles: {objects})"),
            severity=Severity.CRITICAL,
            attack=("T1136.003", "T1098.003"),
            innocent=phrase("A new administrator's account is set up in just this way."),
            settles=_SETTLES,
        ),
        "many_at_once": Variant(
            title=phrase("{actors} gave {subject} several administrator roles within an hour ({objects})"),
            severity=Severity.HIGH,
            attack=_ROLES,
            innocent=phrase("New colleagues in the administrators' team are given all their roles at once."),
            settles=_SETTLES,
        ),
        "given": Variant(
            title=phrase("{actors} gave {subject} an administrator role ({objects})"),
            severity=Severity.MEDIUM,
            attack=_ROLES,
            innocent=phrase("Roles change hands with people's tasks."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)
