"""One session that is used from two places by two programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.client_marks import browser_family, wide_network
from brokenseal.detectors._hits import as_hits, rows_of
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

_USE = ("event_id", "occurred_at", "actor_key", "client_ip", "ip_class", "user_agent", "session_id")
READS = {
    "mail_accesses": (*_USE, "mailbox_upn"),
    "sent_messages": (*_USE, "mailbox_upn"),
    "config_changes": _USE,
    "sign_ins": (*_USE, "category"),
}

INTERLEAVED_S = 600
"""There and back again within ten minutes is no journey."""


def find(tables: Tables) -> ir.Table:
    """Records of sessions that two browsers at two public addresses used, or that went to and fro, by session."""
    uses = _uses(tables)
    hands = uses.filter(uses.family.notnull()).select("session_id", "client_ip", "family").distinct()
    others = hands.rename(other_session="session_id", other_ip="client_ip", other_family="family")
    pairs = hands.inner_join(
        others,
        [
            hands.session_id == others.other_session,
            hands.client_ip != others.other_ip,
            hands.family != others.other_family,
        ],
    )
    two = pairs.select(differing="session_id").distinct()
    fro = _interleaved(uses).select(interleaved="session_id").distinct()
    uses = uses.left_join(two, uses.session_id == two.differing)
    uses = uses.left_join(fro, uses.session_id == fro.interleaved)
    uses = uses.filter(uses.differing.notnull() | uses.interleaved.notnull())
    return as_hits(
        uses,
        group_key=uses.session_id,
        variant=ibis.ifelse(uses.differing.notnull(), "two_agents", "interleaved"),
        role=uses.role,
        about=uses.family,
    )


def _uses(tables: Tables) -> ir.Table:
    """Records with a session and a public address: event, time, account, address, mailbox, session, family, role.

    Non-interactive sign-ins are left out: they are reported to carry the address of the sign-in they descend from.
    """
    sign_ins = rows_of(tables, READS, "sign_ins")
    sign_ins = sign_ins.filter(sign_ins.category.isin(("interactive", "audit_log")))
    kinds = (
        (rows_of(tables, READS, "mail_accesses"), "read"),
        (rows_of(tables, READS, "sent_messages"), "send"),
        (rows_of(tables, READS, "config_changes"), "change"),
        (sign_ins, "sign_in"),
    )
    uses = [
        kind.filter(kind.session_id.notnull(), kind.client_ip.notnull(), kind.ip_class == "public").select(
            *_USE,
            mailbox_upn=kind.mailbox_upn if "mailbox_upn" in kind.columns else ibis.null("string"),
            role=ibis.literal(role),
            family=browser_family(kind.user_agent),
        )
        for kind, role in kinds
    ]
    return uses[0].union(*uses[1:])


def _interleaved(uses: ir.Table) -> ir.Table:
    """Uses that return to an address within ten minutes, from another network of the same address family."""
    in_order = ibis.window(group_by=uses.session_id, order_by=[uses.occurred_at, uses.event_id])
    uses = uses.mutate(
        before_ip=uses.client_ip.lag(1).over(in_order),
        start_ip=uses.client_ip.lag(2).over(in_order),
        start_at=uses.occurred_at.lag(2).over(in_order),
    )
    return uses.filter(
        uses.client_ip == uses.start_ip,
        wide_network(uses.client_ip) != wide_network(uses.before_ip),
        uses.client_ip.contains(":") == uses.before_ip.contains(":"),
        uses.occurred_at.delta(uses.start_at, unit="second") <= INTERLEAVED_S,
    )


_SETTLES = phrase(
    "Ask the owner which of the two machines is theirs. Revoke the sessions of the account; a stolen session needs "
    "no password."
)

DETECTOR = Detector(
    id="session.two_hands",
    title=phrase("One session in two hands"),
    reads=READS,
    needs=("session_ids",),
    variants={
        "two_agents": Variant(
            title=phrase("One session of {actors} was used from {addresses} by different machines ({objects})"),
            severity=Severity.HIGH,
            attack=("T1539", "T1550.004"),
            innocent=phrase(
                "A virtual desktop, or a browser that asks for the desktop version of a page, names another machine."
            ),
            settles=_SETTLES,
        ),
        "interleaved": Variant(
            title=phrase("One session of {actors} went to and fro between {addresses} within minutes"),
            severity=Severity.MEDIUM,
            attack=("T1539", "T1550.004"),
            innocent=phrase("Telephones change between networks, and operators and VPNs change their exits."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)
