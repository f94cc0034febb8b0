"""A right to mail, a credential for it, and reading with both at once: how an application is turned into a mail reader.

Each of the three happens every week where applications are administered. That somebody gives the right, makes the key
and has the mail read within a quarter of an hour is what intruders do who know what they came for (golden SAML, as
replayed by the Open Threat Research Forge in "SimuLand": grant, credential and read within five minutes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import members_of
from brokenseal.detectors import open_door
from brokenseal.detectors._hits import as_hits, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

GRANTS: Final = ("mail_consent", "app_mail_role", "impersonation")
SPAN_S: Final = 900
"""From the first of the three to the last."""


def find(tables: Tables) -> ir.Table:
    """The change that gave the right, the one that made the key, and the reading through both, by session cluster."""
    chains = _chains(tables)
    label = {"unit": chains.cluster}
    steps = [
        as_hits(
            chains.mutate(event_id=chains[f"{role}_event"], occurred_at=chains[f"{role}_at"]),
            group_key=chains.subject,
            variant="grant_credential_read",
            role=role,
            about=chains.about,
            weight=label,
        )
        for role in ("grant", "credential")
    ]
    read = members_of(tables).select(
        "event_id", "occurred_at", "mailbox_upn", "client_ip", "ip_class", "session_id", through="cluster"
    )
    read = chains.inner_join(read, chains.cluster == read.through)
    reads = as_hits(
        read,
        group_key=read.subject,
        variant="grant_credential_read",
        role="read",
        about=read.about,
        weight={"unit": read.cluster},
    )
    return together(*steps, reads)


def _chains(tables: Tables) -> ir.Table:
    """One row per chain: actor_key, about, subject, cluster, and event and time of grant and credential."""
    doors = open_door.doors(tables)
    uses = open_door.uses(tables).select("cluster", "unit").distinct()
    used = doors.inner_join(uses, "unit")
    grants = used.filter(used.kind.isin(GRANTS)).select(
        "cluster",
        "actor_key",
        "app",
        grant_event="unit",
        grant_at="occurred_at",
        target="target_key",
    )
    keys = used.filter(used.kind == "credential").select(
        key_cluster="cluster", credential_event="unit", credential_at="occurred_at", key_target="target_key"
    )
    both = grants.inner_join(keys, grants.cluster == keys.key_cluster)
    rows = members_of(tables)
    firsts = rows.group_by(first_cluster="cluster").aggregate(read_at=rows.occurred_at.min())
    both = both.inner_join(firsts, both.cluster == firsts.first_cluster)
    first = ibis.least(both.grant_at, both.credential_at)
    last = ibis.greatest(both.grant_at, both.credential_at, both.read_at)
    both = both.filter(last.delta(first, unit="second") <= SPAN_S, both.read_at >= first)
    about = ibis.coalesce(both.key_target, both.target, both.app, "")
    return both.mutate(about=about, subject=ibis.coalesce(both.app, about).concat("|", both.cluster)).distinct()


DETECTOR = Detector(
    id="config.door_chain",
    title=phrase("A right, a credential and reading at one go"),
    reads=open_door.READS,
    needs=("configuration", "mail_access"),
    silent_without=("configuration", "mail_access"),
    family="door",
    variants={
        "grant_credential_read": Variant(
            title=phrase("{actors} gave {objects} a right to mail and a credential, and it read at once"),
            severity=Severity.CRITICAL,
            attack=("T1098.001", "T1098.003", "T1528", "T1114.002"),
            innocent=phrase("Somebody who sets an application up in one sitting tries it at once."),
            settles=phrase("Ask the administrator over another channel; find who used the new credential since."),
            about="application",
        ),
    },
    find=find,
)
