"""New hands in a mailbox that came on several days, and whose tokens, each time, mostly have no sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.detectors._hits import DAY_S
from brokenseal.detectors._new_hands import HAND, MAILBOX, new_hands, with_tenant

if TYPE_CHECKING:
    import ibis.expr.types as ir

RECENT_DAYS: Final = 14
"""So long a hand is new."""
TOKENS: Final = 3
"""Fewer are lost now and then: of a class of clients up to a tenth may be, and still count as complete."""


def orphaned_again(missing: ir.Table, judged: ir.Table, members: ir.Table, clusters: ir.Table) -> ir.Table:
    """The clusters of new hands in which more tokens lack a sign-in than have one, where these are several.

    That is three tokens or more in a mailbox, issued a day or more apart.

    A lost line of a sign-in log is one token of a client that has others, and says nothing of another day; whoever
    makes tokens leaves none of them in the log, whenever they come. What lacks its sign-ins from the beginning is how
    that client comes by its tokens, and is not new.

    Args:
        missing: unit (cluster) of reads of which a missing sign-in says something.
        judged: event_id, token_id, token_issued_at, is_issued, reason (why a missing sign-in would mean nothing; null
            where it means something).
        members: `clusters.members`.
        clusters: `clusters.clusters`.

    Returns: again_unit (string), each cluster once; again_mailbox (string, its key); first_unit (string), the earliest
        of those of the mailbox. They are taken together, whatever their hand.
    """
    new = _clusters_of_new_hands(clusters).semi_join(missing, "unit")
    rows = members.select("event_id", unit=members.cluster).semi_join(new, "unit")
    tokens = judged.filter(judged.reason.isnull()).select("event_id", "token_id", "token_issued_at", "is_issued")
    rows = rows.inner_join(tokens, "event_id")
    counted = rows.group_by("unit").aggregate(
        missing=rows.token_id.nunique(where=~rows.is_issued), issued=rows.token_id.nunique(where=rows.is_issued)
    )
    units = counted.filter(counted.missing > counted.issued).inner_join(new, "unit")
    lost = rows.filter(~rows.is_issued).inner_join(units.select("unit", *MAILBOX), "unit")
    places = lost.group_by(MAILBOX).aggregate(
        tokens=lost.token_id.nunique(), first_at=lost.token_issued_at.min(), last_at=lost.token_issued_at.max()
    )
    is_again = places.last_at.delta(places.first_at, unit="second") >= DAY_S
    places = places.filter(places.tokens >= TOKENS, is_again)
    units = units.semi_join(places, MAILBOX)
    first = units.group_by(MAILBOX).aggregate(first_at=units.first_at.min())
    earliest = units.semi_join(first, [*MAILBOX, "first_at"])
    first = earliest.group_by(MAILBOX).aggregate(first_unit=earliest.unit.min())
    return units.inner_join(first, MAILBOX).select("first_unit", again_unit="unit", again_mailbox="mailbox_key")


def _clusters_of_new_hands(clusters: ir.Table) -> ir.Table:
    """Clusters of hands that are new in their mailbox: unit, tenant, mailbox_key, first_at."""
    rows = with_tenant(clusters.select("tenant_id", *HAND[1:], "first_at", unit=clusters.cluster))
    rows = rows.inner_join(new_hands(clusters, "first_at"), HAND)
    age_s = rows.first_at.delta(rows.hand_start, unit="second")
    return rows.filter(age_s <= RECENT_DAYS * DAY_S).select("unit", *MAILBOX, "first_at")
