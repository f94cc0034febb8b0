"""How did a strange client get in: with a machine that the directory knows, or with none?

New telephones, journeys and new providers are what makes clients strange on most days, and they bring their papers: the
sign-in from there names a device. A password, a phishing site or a forged assertion signs in just as well, from no
device at all. Where the account's sign-ins mostly name one, its absence says something; where they never do, nothing.

Sources: Microsoft Entra, "Sign-in log schema" (`deviceDetail.deviceId`, empty for a machine that the directory does not
know); MITRE ATT&CK T1078.004 and T1557.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import clusters_of
from brokenseal.detectors import _devices, session_handover, stranger_client
from brokenseal.detectors._hits import as_hits, fired_reads, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "sign_in.unknown_device"
_OTHERS: Final = ("event_id", "session_id", "app_id")
READS = {**stranger_client.READS, "sign_ins": (*_devices.SIGN_IN_READS, *_OTHERS)}

PLACES: Final = 5
"""An account with fewer places before has no habit: a place is a network on a day."""
MOSTLY_PERCENT, PARTLY_PERCENT = 50, 20
"""The share of its places at which an account's sign-ins named a device, from which it does so mostly, or partly."""

BINS: Final = {
    "begun_here_mostly": "a new session, signed in from this network without a device, by an account that mostly has "
    "one",
    "begun_here_partly": "the same, by an account that has one at times",
    "begun_elsewhere": "a new session that began at another network, and signed in here silently, without a device",
    "sessionless": "without a session id, signed in from this network without a device, by an account that has one at "
    "least at times",
    "carried_mostly": "an older session of another network, here without a device, by an account that mostly has one",
    "carried_partly": "the same, by an account that has one at times",
}
REASONS: Final = (
    "usual_client",  # asked of strange clients alone
    "short_history",  # it cannot be told whether the client is strange, or how the account signs in
    "no_own_address",  # inside Microsoft's networks, or without an address
    "no_sign_in",  # neither the session nor the network is in the sign-in logs
    "no_device_habit",  # the account's sign-ins hardly ever name a device
    "handed_on",  # told already, by what says that sessions were handed on
)


def _strange_units(tables: Tables) -> ir.Table:
    """Strange clusters; see `_devices.placed`."""
    marks = _marks(tables, stranger_client.ID, stranger_client.mark)
    fired = marks.filter(marks.state == "fired").select("unit").distinct()
    return _devices.placed(tables, fired).alias("strange_clusters")


def _marks(tables: Tables, detector_id: str, otherwise: Callable[[Tables], ir.Table]) -> ir.Table:
    given = tables.get(f"marks:{detector_id}")
    return otherwise(tables) if given is None else given


def _habits(met: ir.Table) -> ir.Table:
    """At how many places the account signed in before, and at how many of them with a device: habit_unit, n, named."""
    before = met.filter(met.age_s > _devices.BEFORE_S)
    places = before.group_by(["unit", "place", before.signed_at.truncate("D").name("day")]).aggregate(
        is_named=before.has_device.any()
    )
    return places.group_by(habit_unit="unit").aggregate(n=places.count(), named=places.is_named.sum())


def _beginnings(units: ir.Table, signs: ir.Table) -> ir.Table:
    """Where and when the session of each cluster was first signed in to: begun_unit, begun_here, begun_age_s."""
    of = signs.filter(signs.session_id.notnull())
    met = units.filter(units.session.notnull()).inner_join(
        of, [units.account == of.who, units.session == of.session_id]
    )
    begun = met.group_by(begun_unit="unit").aggregate(begun_at=met.signed_at.min())
    met = met.inner_join(begun, met.unit == begun.begun_unit)
    met = met.filter(met.signed_at == met.begun_at)
    return met.group_by("begun_unit").aggregate(
        begun_here=(met.place == met.network).any(),
        begun_age_s=met.first_at.delta(met.begun_at, unit="second").max(),
    )


def entries(tables: Tables) -> ir.Table:
    """What the sign-in logs say of how each strange cluster got in.

    Returns: unit, network (strings), has_session, has_beginning (booleans), begun_here (boolean, null without a
        sign-in of its session), begun_age_s (int64, null likewise), signed_in_here, is_interactive, has_device
        (booleans, of the sign-ins from its network about that time), places, named (int64, networks on days before, and
        those of them at which a sign-in named a device).
    """
    # A name makes each one part of the query, however often it is used there.
    units, signs = _strange_units(tables), _devices.sign_ins(tables, *_OTHERS).alias("sign_ins_placed")
    met = _devices.met(units, signs).alias("sign_ins_met")
    there = _devices.there(met)
    there = there.group_by(there_unit="unit").aggregate(
        is_interactive=(there.category == "interactive").any(), has_device=there.has_device.any()
    )
    habits, begun = _habits(met), _beginnings(units, signs)
    rows = units.left_join(there, units.unit == there.there_unit)
    rows = rows.left_join(habits, rows.unit == habits.habit_unit)
    rows = rows.left_join(begun, rows.unit == begun.begun_unit)
    false = ibis.literal(value=False)
    return rows.select(
        "unit",
        "network",
        "begun_here",
        "begun_age_s",
        has_session=rows.session.notnull(),
        has_beginning=rows.begun_unit.notnull(),
        signed_in_here=rows.there_unit.notnull(),
        is_interactive=rows.is_interactive.fill_null(false),
        has_device=rows.has_device.fill_null(false),
        places=rows.n.fill_null(0),
        named=rows.named.fill_null(0),
    )


def _kind(rows: ir.Table) -> ir.StringValue:
    """What the entry is before habits are asked; null for what says nothing."""
    silent = ~rows.has_device
    new = rows.begun_age_s <= _devices.BEFORE_S
    return ibis.cases(
        (~silent, None),
        (~rows.has_session & rows.is_interactive, "sessionless"),
        (~rows.has_beginning, None),
        (new & rows.begun_here & rows.is_interactive, "begun_here"),
        (new & ~rows.begun_here & rows.signed_in_here, "begun_elsewhere"),
        (~new & ~rows.begun_here, "carried"),
        else_=None,
    ).cast("string")


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`."""
    found = entries(tables)
    found = found.mutate(kind=_kind(found))
    handed = _marks(tables, session_handover.ID, session_handover.mark)
    handed = handed.filter(handed.state == "fired").select(handed="unit").distinct()
    found = found.left_join(handed, found.unit == handed.handed)
    habit = ibis.cases(
        (found.named * 100 >= found.places * MOSTLY_PERCENT, "mostly"),
        (found.named * 100 >= found.places * PARTLY_PERCENT, "partly"),
        else_=None,
    )
    asked = found.kind.isin(("begun_here", "carried", "sessionless")).fill_null(ibis.literal(value=False))
    reason = ibis.cases(
        (found.network.isin(("MS", "none")), REASONS[2]),
        (found.handed.notnull(), REASONS[5]),
        (~found.signed_in_here & ~found.has_beginning, REASONS[3]),
        (asked & (found.places < PLACES), REASONS[1]),
        (asked & habit.isnull(), REASONS[4]),
        else_=None,
    )
    name = ibis.cases(
        (reason.notnull() | found.kind.isnull(), None),
        (found.kind.isin(("begun_here", "carried")), found.kind.concat("_", habit)),
        else_=found.kind,
    )
    found = found.select(entered="unit", entry_bin=name.cast("string"), entry_reason=reason.cast("string"))
    marks = _marks(tables, stranger_client.ID, stranger_client.mark).select(judged="unit", judged_state="state")
    units = clusters_of(tables).select(unit="cluster")
    units = units.left_join(marks, units.unit == marks.judged)
    units = units.left_join(found, units.unit == found.entered)
    why = ibis.cases(
        (units.entered.notnull(), units.entry_reason),
        (units.judged_state == "not_assessable", REASONS[1]),
        else_=REASONS[0],
    )
    return units.select(
        unit=units.unit,
        state=ibis.cases((units.entry_bin.notnull(), "fired"), (why.notnull(), "not_assessable"), else_="quiet"),
        bin=units.entry_bin,
        reason=why.cast("string"),
        weight_millibans=ibis.null("int64"),
        f0_upper_ppb=ibis.null("int64"),
        n_reference=ibis.null("int64"),
    )


def find(tables: Tables) -> ir.Table:
    """The reads of clusters that came in without a device, with the sign-ins from their network, by cluster."""
    reads = fired_reads(tables, ID, mark)
    reads = reads.mutate(subject=reads.cluster.concat(" ", ibis.coalesce(reads.mailbox_upn, reads.mailbox_key)))
    shown = reads.group_by(shown_unit="cluster").aggregate(subject=reads.subject.min(), bin=reads.bin.min())
    units = _devices.placed(tables, shown.select(unit="shown_unit")).alias("clusters_shown")
    signs = (
        _devices.there(_devices.met(units, _devices.sign_ins(tables, *_OTHERS).alias("sign_ins_shown")))
        .select("unit", "event_id")
        .distinct()
    )
    signs = signs.inner_join(shown, signs.unit == shown.shown_unit).drop("shown_unit")
    records = tables["sign_ins"].select("event_id", "occurred_at", "actor_key", "client_ip", "ip_class", "app_id")
    signs = signs.inner_join(records.distinct(), "event_id")
    return together(
        *(
            as_hits(
                part,
                group_key=part.subject,
                variant=ibis.cases(
                    (part.bin == "begun_elsewhere", "elsewhere"),
                    (part.bin.startswith("carried"), "carried"),
                    else_="signed_in",
                ),
                role=role,
                about=part[about],
                weight={"unit": part.unit, "bin": part.bin},
            )
            for part, role, about in ((reads, "read", "effective_app"), (signs, "sign_in", "app_id"))
        )
    )


_INNOCENT = phrase(
    "Telephones and computers of people's own name no device either, and a new one may not be enrolled yet; how often "
    "that happens was counted, of accounts that mostly have a device apart from others."
)
_SETTLES = phrase(
    "Ask the owner whether they signed in there, and with which machine; look at the sign-in's authentication details."
)

DETECTOR = Detector(
    id=ID,
    title=phrase("Strange clients that signed in without a known device"),
    reads=READS,
    needs=("mail_access", "sign_in"),
    silent_without=("mail_access", "sign_in"),
    family="session",
    mark=mark,
    bins=BINS,
    variants={
        "signed_in": Variant(
            title=phrase(
                "A client strange to {mailboxes} was signed in from {addresses} without a device, which {actors} has "
                "elsewhere"
            ),
            severity=Severity.MEDIUM,
            attack=("T1078.004", "T1114.002"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "elsewhere": Variant(
            title=phrase("A session of {actors} began at one network and was used without a device at {addresses}"),
            severity=Severity.MEDIUM,
            attack=("T1557", "T1528", "T1114.002"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
        "carried": Variant(
            title=phrase("An older session of {actors} went on at {addresses}, where no sign-in names a device"),
            severity=Severity.MEDIUM,
            attack=("T1539", "T1550.004", "T1114.002"),
            innocent=_INNOCENT,
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
    limit=stranger_client.DETECTOR.limit,
)
