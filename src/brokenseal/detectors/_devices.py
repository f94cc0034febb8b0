"""The sign-ins behind a session cluster: from where it began, and whether they name a device.

Source: Microsoft Entra, "Sign-in log schema": `deviceDetail.deviceId` is empty for a machine that the directory does
not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import clusters_of, with_network
from brokenseal.detectors._hits import DAY_S

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

BEFORE_S: Final = DAY_S
"""A sign-in belongs to a client that begins to read within a day of it."""
AFTER_S: Final = 3600
"""Records of reads and of sign-ins may be written in the wrong order; and a token is renewed within the hour."""
SIGN_IN_READS: Final = (
    "client_ip",
    "asn",
    "occurred_at",
    "category",
    "actor_key",
    "ip_class",
    "succeeded",
    "device_id",
)
_OF_PEOPLE: Final = ("interactive", "non_interactive")


def placed(tables: Tables, units: ir.Table) -> ir.Table:
    """The session clusters of `units` (column `unit`): unit, account, network, session, first_at."""
    rows = clusters_of(tables)
    rows = rows.semi_join(units, rows.cluster == units.unit)
    return rows.select(
        unit=rows.cluster,
        account=ibis.coalesce(rows.actor_key, rows.identity),
        network=rows.network,
        session=rows.session_id,
        first_at=rows.first_at,
    )


def sign_ins(tables: Tables, *others: str) -> ir.Table:
    """Sign-ins of known accounts: signed_at, who, category, succeeded, has_device, place, and `others` as they are."""
    rows = tables["sign_ins"].select(*SIGN_IN_READS, *others).distinct()
    rows = rows.filter(rows.actor_key.notnull(), rows.occurred_at.notnull()).drop("asn")
    rows = with_network(rows, tables)
    false = ibis.literal(value=False)
    return rows.select(
        *others,
        signed_at=rows.occurred_at,
        who=rows.actor_key,
        category=rows.category,
        succeeded=rows.succeeded.fill_null(false),
        has_device=((rows.device_id != "") & rows.device_id.notnull()).fill_null(false),
        place=rows.network.fill_null("none"),
    )


def met(units: ir.Table, signs: ir.Table) -> ir.Table:
    """Each cluster with the successful sign-ins of its account, away from Microsoft's networks, and `age_s`."""
    signs = signs.filter(signs.succeeded, signs.category.isin(_OF_PEOPLE), ~signs.place.isin(("MS", "none")))
    rows = units.inner_join(signs, units.account == signs.who)
    return rows.mutate(age_s=rows.first_at.delta(rows.signed_at, unit="second"))


def there(rows: ir.Table) -> ir.Table:
    """Of `met`, the sign-ins from the cluster's own network, about the time when it began to read."""
    return rows.filter(rows.place == rows.network, rows.age_s <= BEFORE_S, rows.age_s >= -AFTER_S)
