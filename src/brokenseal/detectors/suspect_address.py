"""Mail read from an address from which an account was taken over.

This detector joins on what the others found: an address counts as suspect where a password was guessed from it, or
where a rule or forwarding was set from it, and where the account had not been using it for long before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import READS as CLUSTER_READS
from brokenseal.clusters import members_of, visits_of
from brokenseal.detectors import inbox_rule, mailbox_forwarding, password_spray, transport_rule
from brokenseal.detectors._hits import DAY_S, as_hits, hits_of, rows_of, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

HABIT_DAYS = 7
"""An address that an account used this long before the suspect act is the account's own."""
LEAD_S = DAY_S
"""Reads count from so long before the suspect act: the rule is often set after the first look around."""
SHARED_ACCOUNTS = 5
"""Above so many accounts an address is a shared exit, and what one account did there says nothing of the others."""

_SOURCES = (
    (inbox_rule, ("sends_outside", "hides_under_odd_name", "hides_telling_words")),
    (transport_rule, ("copies_outside", "deletes_under_odd_name")),
    (mailbox_forwarding, ("sends_outside",)),
)
"""Configuration detectors, and those of their variants that make the address suspect."""
_GUESSED = ("guessed_account", "guessed_account_then_mail")


def _merged(*reads: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    merged: dict[str, tuple[str, ...]] = {}
    for tables in reads:
        for name, columns in tables.items():
            merged[name] = tuple(dict.fromkeys((*merged.get(name, ()), *columns)))
    return merged


_OWN = {
    "mail_accesses": (
        "event_id",
        "occurred_at",
        "mailbox_key",
        "mailbox_upn",
        "actor_key",
        "client_ip",
        "ip_class",
        "session_id",
        "effective_app",
    ),
    "events": ("occurred_at", "actor_key", "client_ip", "succeeded"),
}
READS = _merged(_OWN, CLUSTER_READS, password_spray.READS, *(module.READS for module, _ in _SOURCES))

ID: Final = "mail_access.from_suspect_address"
BINS: Final = {
    "guessed_here": "its account's password was guessed from its address",
    "rule_set_here": "a rule or forwarding that hides or sends mail was set for its account from its address",
    "other_account": "another account was taken over from its address",
}
"""Gravest first; a cluster takes the first that holds for any of its reads."""


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`."""
    reads = _reads(tables).select(at="event_id", bin="bin").distinct()
    rows = visits_of(tables)
    units = rows.group_by(unit="cluster").aggregate(
        is_microsoft=(rows.ip_class == "microsoft").any(), addresses=rows.client_ip.nunique()
    )
    found = members_of(tables).select("event_id", "cluster")
    found = found.inner_join(reads, found.event_id == reads["at"])
    rank = ibis.cases(*((found.bin == name, number) for number, name in enumerate(BINS)), else_=len(BINS))
    found = found.mutate(rank=rank.cast("int64"))
    found = found.group_by(found_in="cluster").aggregate(rank=found["rank"].min())
    units = units.left_join(found, units.unit == found.found_in).drop("found_in")
    units = units.mutate(rank=units["rank"].fill_null(len(BINS)))
    fired = units["rank"] < len(BINS)
    found = ibis.cases(*((units["rank"] == number, name) for number, name in enumerate(BINS)), else_=None)
    reason = ibis.cases(
        (fired, None),
        (units.addresses == 0, "no_address"),
        (units.is_microsoft.fill_null(ibis.literal(value=False)), "microsoft_address"),
        else_=None,
    )
    return units.select(
        unit=units.unit,
        state=ibis.cases((fired, "fired"), (reason.notnull(), "not_assessable"), else_="quiet"),
        bin=found.cast("string"),
        reason=reason.cast("string"),
        weight_millibans=ibis.null("int64"),
        f0_upper_ppb=ibis.null("int64"),
        n_reference=ibis.null("int64"),
    )


def find(tables: Tables) -> ir.Table:
    """Reads from suspect addresses, by mailbox and address."""
    reads = _reads(tables)
    members = members_of(tables).select(member="event_id", unit="cluster").distinct()
    reads = reads.left_join(members, reads.event_id == members.member)
    wanted = tables.get("wanted_units")
    if wanted is not None:
        reads = reads.semi_join(wanted, "unit")
    mailbox = ibis.coalesce(reads.mailbox_upn, reads.mailbox_key)
    return as_hits(
        reads,
        group_key=mailbox.concat(" ", reads.client_ip),
        variant=ibis.ifelse(reads.own_actor.notnull(), "same_account", "other_account"),
        role="read",
        about=reads.effective_app,
        weight={"unit": reads.unit, "bin": reads.bin},
    )


def _reads(tables: Tables) -> ir.Table:
    """Mail accesses from suspect addresses, with `own_actor` (null where it is about another account) and `bin`."""
    habits = _habits(tables)
    suspects = _suspects(tables)
    shares = habits.group_by(shared_ip=habits.habit_ip).aggregate(n_accounts=habits.habit_actor.nunique())
    addresses = suspects.group_by("suspect_ip").aggregate(since=suspects.since.min())
    addresses = addresses.left_join(shares, addresses.suspect_ip == shares.shared_ip).drop("shared_ip")

    accesses = rows_of(tables, _OWN, "mail_accesses")
    reads = accesses.inner_join(addresses, accesses.client_ip == addresses.suspect_ip)
    own = suspects.select(own_ip="suspect_ip", own_actor="suspect_actor", own_since="since", own_bin="bin")
    reads = reads.left_join(own, [reads.client_ip == own.own_ip, reads.actor_key == own.own_actor])
    reads = reads.left_join(habits, [reads.client_ip == habits.habit_ip, reads.actor_key == habits.habit_actor])
    since = ibis.coalesce(reads.own_since, reads.since)
    strange = since.delta(reads.habit_since, unit="second") <= HABIT_DAYS * DAY_S
    reads = reads.filter(
        reads.occurred_at.delta(since, unit="second") >= -LEAD_S,
        strange.fill_null(ibis.literal(value=True)),
        reads.own_actor.notnull() | (reads.n_accounts.fill_null(0) <= SHARED_ACCOUNTS),
    )
    return reads.mutate(bin=reads.own_bin.fill_null("other_account"))


def _suspects(tables: Tables) -> ir.Table:
    """Public addresses at which something was done to an account.

    Returns: suspect_ip, suspect_actor, since (time, of the first act), bin (what was done, gravest first).
    """
    found = [
        hits.filter(hits.variant.isin(variants), hits.ip_class == "public").select(
            "client_ip", "actor_key", "occurred_at", is_guess=ibis.literal(value=False)
        )
        for module, variants in _SOURCES
        for hits in [hits_of(tables, module.DETECTOR)]
    ]
    tried = hits_of(tables, password_spray.DETECTOR)
    guesses = tried.filter(tried.variant.isin(_GUESSED), tried.role == "success")
    guesses = guesses.select("client_ip", "actor_key", "occurred_at", is_guess=ibis.literal(value=True))
    acts = together(guesses, *found)
    acts = acts.filter(acts.client_ip.notnull(), acts.actor_key.notnull())
    found_at = acts.group_by(suspect_ip=acts.client_ip, suspect_actor=acts.actor_key).aggregate(
        since=acts.occurred_at.min(), is_guess=acts.is_guess.any()
    )
    found_at = found_at.mutate(bin=ibis.ifelse(found_at.is_guess, "guessed_here", "rule_set_here"))
    # A name makes it one part of the query, however often it is used there; without, it stands there as often.
    return found_at.drop("is_guess").alias("suspect_addresses")


def _habits(tables: Tables) -> ir.Table:
    """Since when each account has used each address with success: habit_actor, habit_ip, habit_since."""
    events = tables["events"].select(*_OWN["events"])
    used = events.filter(
        events.actor_key.notnull(),
        events.client_ip.notnull(),
        events.succeeded.fill_null(ibis.literal(value=True)),
    )
    habits = used.group_by(habit_actor=used.actor_key, habit_ip=used.client_ip)
    return habits.aggregate(habit_since=used.occurred_at.min()).alias("address_habits")


_SETTLES = phrase(
    "Ask the owner whether they know the address. The messages read from there are listed under the case."
)

DETECTOR = Detector(
    id=ID,
    title=phrase("Mail read from an address at which an account was taken over"),
    reads=READS,
    needs=("mail_access",),
    silent_without=("mail_access",),
    family="address",
    mark=mark,
    bins=BINS,
    after=(password_spray.DETECTOR.id, *(module.DETECTOR.id for module, _ in _SOURCES)),
    variants={
        "same_account": Variant(
            title=phrase("Mail of {mailboxes} was read from {addresses}, where the account was taken over"),
            severity=Severity.CRITICAL,
            attack=("T1114.002",),
            innocent=phrase("If the owner set the rule or mistyped the password, the reads are the owner's as well."),
            settles=_SETTLES,
        ),
        "other_account": Variant(
            title=phrase("Mail of {mailboxes} was read from {addresses}, where another account was taken over"),
            severity=Severity.HIGH,
            attack=("T1114.002",),
            innocent=phrase("The address may be the exit of an office or a VPN that both accounts use."),
            settles=_SETTLES,
        ),
    },
    find=find,
)
