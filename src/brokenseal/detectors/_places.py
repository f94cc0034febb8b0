"""Where an account works: which networks are two places for certain, and since when it has used each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal import clusters
from brokenseal.client_marks import wide_network
from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import each_once, members_of, with_network

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

SHARED_ACCOUNTS: Final = 5
"""A session id under so many accounts is a kiosk's, or was put in by whoever made the export anonymous."""
BEGINNINGS: Final = ("interactive", "audit_log")
"""Sign-ins whose address is their own: silent ones are reported to carry that of the sign-in they descend from."""

SIGN_IN_READS: Final = (
    "event_id",
    "occurred_at",
    "category",
    "actor_key",
    "app_id",
    "client_ip",
    "ip_class",
    "session_id",
    "request_id",
    "token_id",
    "succeeded",
    "auth_protocol",
    "device_id",
)
READS: Final = {
    "mail_accesses": CLUSTER_READS["mail_accesses"],
    "sign_ins": tuple(dict.fromkeys((*SIGN_IN_READS, *CLUSTER_READS["sign_ins"]))),
}
"""The columns that are read."""


def reads_of(tables: Tables) -> ir.Table:
    """Mail accesses of `clusters.members` with who acts and whether the place says anything.

    Returns: the columns of `clusters.members`, and `account` (string, the folded name, else the identity), `is_placed`
        (boolean: a public address, which Microsoft's are not) and `is_shared` (boolean: the session id is no session).
    """
    # A name makes it one part of the query, however often it is used there; without, it stands there as often.
    return _placed(members_of(tables)).alias("placed_reads")


def visits_of(tables: Tables) -> ir.Table:
    """The same of `clusters.visits`."""
    return _placed(clusters.visits_of(tables)).alias("placed_visits")


def _placed(rows: ir.Table) -> ir.Table:
    rows = rows.mutate(account=account(rows), is_placed=is_placed(rows))
    named = rows.filter(rows.session_id.notnull())
    shared = named.group_by(shared_id="session_id").aggregate(accounts=named.account.nunique())
    shared = shared.filter(shared.accounts >= SHARED_ACCOUNTS).select("shared_id")
    rows = rows.left_join(shared, rows.session_id == shared.shared_id)
    return rows.mutate(is_shared=rows.shared_id.notnull()).drop("shared_id")


def account(rows: ir.Table) -> ir.StringValue:
    """Who acts: the folded name, else the identity."""
    return ibis.coalesce(rows.actor_key, rows.identity)


def is_placed(rows: ir.Table) -> ir.BooleanValue:
    """Whether the address says anything of a place."""
    return ((rows.ip_class == "public") & rows.client_ip.notnull()).fill_null(ibis.literal(value=False))


def sign_ins_of(tables: Tables) -> ir.Table:
    """Successful sign-ins of a known account at a public address: `SIGN_IN_READS`, `account` and `network`."""
    rows = each_once(tables, "sign_ins", SIGN_IN_READS)
    rows = rows.filter(
        rows.succeeded.fill_null(ibis.literal(value=False)),
        rows.actor_key.notnull(),
        rows.client_ip.notnull(),
        rows.ip_class == "public",
        rows.occurred_at.notnull(),
    )
    rows = with_network(rows, tables)
    return rows.mutate(account=rows.actor_key).filter(rows.network.notnull()).alias("placed_sign_ins")


def place(rows: ir.Table) -> dict[str, ir.Value]:
    """The columns that `apart` needs, aggregated over rows of one network."""
    six = rows.client_ip.contains(":")
    wide = wide_network(rows.client_ip)
    return {"has_four": (~six).any(), "has_six": six.any(), "low": wide.min(), "high": wide.max()}


def place_of_one(rows: ir.Table) -> dict[str, ir.Value]:
    """The same columns for each row by itself."""
    six = rows.client_ip.contains(":")
    wide = wide_network(rows.client_ip)
    return {"has_four": ~six, "has_six": six, "low": wide, "high": wide}


def renamed(rows: ir.Table, prefix: str) -> ir.Table:
    """All columns with a prefix, so that the rows can be joined with their like."""
    return rows.rename({f"{prefix}{name}": name for name in rows.columns})


def apart(rows: ir.Table, one: str, other: str) -> ir.BooleanValue:
    """Whether the places with these prefixes are two for certain.

    Two known operators are. Where one is unknown, neighbours may be one operator's, and an old and a new address one
    machine's, so that only far addresses of one kind count.
    """
    left = {name: rows[f"{one}{name}"] for name in ("network", "has_four", "has_six", "low", "high")}
    right = {name: rows[f"{other}{name}"] for name in ("network", "has_four", "has_six", "low", "high")}
    both_known = left["network"].startswith("asn:") & right["network"].startswith("asn:")
    same_kind = (left["has_four"] & right["has_four"]) | (left["has_six"] & right["has_six"])
    ends = (left["low"], left["high"])
    far = ~(right["low"].isin(ends) | right["high"].isin(ends))
    return (left["network"] != right["network"]) & (both_known | (same_kind & far))


def first_uses(*uses: ir.Table) -> ir.Table:
    """Since when each account has used each network.

    Args:
        uses: Rows with `account`, `network` and `occurred_at`.

    Returns: use_account, use_network (strings), use_since, known_since (times: of the network, of the account).
    """
    rows = [use.select("account", "network", "occurred_at") for use in uses]
    every = rows[0].union(*rows[1:]) if len(rows) > 1 else rows[0]
    since = every.group_by(use_account="account", use_network="network").aggregate(use_since=every.occurred_at.min())
    known_since = since.use_since.min().over(ibis.window(group_by="use_account"))
    return since.mutate(known_since=known_since).alias("first_uses")


def with_first_use(rows: ir.Table, uses: ir.Table) -> ir.Table:
    """Rows with `account` and `network`, and `since` and `known_since` of them."""
    rows = rows.left_join(uses, [rows.account == uses.use_account, rows.network == uses.use_network])
    return rows.rename(since="use_since").drop("use_account", "use_network")
