"""A session signed in here and used there: relayed by a phishing site, given away by a device code, or passed on.

A phishing site in the middle signs in from its own network and hands the session on; a device code signs in whoever
asked for it; and the refresh token of one Microsoft client gets tokens for others of its family. In each of them the
session begins in one place and is used in another.

Sources: MITRE ATT&CK T1557 and T1539; Secureworks, "Abusing family refresh tokens for unauthorized access".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.detectors import _places
from brokenseal.detectors._hits import DAY_S, as_hits, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "session.handover"
READS = _places.READS

PAIR_S: Final = 60
"""The victim's own sign-in follows that of the site within a minute."""
NEW_S: Final = DAY_S
"""A network or a client is new where the account had not used it so long before."""
HISTORY_DAYS: Final = 7
"""Of an account that the logs show for less, nothing is new."""
DEVICE_CODE: Final = ("deviceCode", "devicecode", "DeviceCode", "Device code", "Device Code", "device_code")

BINS: Final = {
    "device_code": "begun by a device code, and used at another network than the code was confirmed at",
    "relayed": "begun at a network new to the account, and either followed at once by a sign-in from a usual network "
    "or used at a third one, new as well",
    "client_hop": "passed on to a client that the account had never used, at a network new to it",
}
"""Gravest first; a cluster takes the first that holds for it."""
REASONS: Final = (
    "no_session_id",  # the records name no session, and no token of a device code
    "no_own_address",  # from inside Microsoft's networks, or without an address
    "shared_session",  # the session id is that of too many accounts to be a session
    "no_sign_in_of_session",  # the sign-in that the session began with is in no log
    "short_history",  # the logs show the account too shortly to know what is new to it
)

_RANKS: Final = {name: number for number, name in enumerate(BINS)}
_KEYS: Final = ("session_id", "account", "network")


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`."""
    rows = _places.visits_of(tables)
    signs = _beginnings(tables)
    uses = _first_uses(tables)
    told = _clusters_told(rows, signs, uses, tables)
    told = told.group_by(told_cluster="cluster").aggregate(rank=told["rank"].min())
    begun = signs.filter(signs.session_id.notnull()).select(begun="session_id", begun_by="account").distinct()
    seen = rows.left_join(begun, [rows.session_id == begun.begun, rows.account == begun.begun_by])
    seen = _places.with_first_use(seen.drop("begun_by"), uses)
    units = seen.group_by(unit="cluster").aggregate(
        is_named=seen.session_id.notnull().any(),
        is_placed=seen.is_placed.any(),
        is_shared=seen.is_shared.any(),
        is_begun=seen.begun.notnull().any(),
        days_s=seen.occurred_at.min().delta(seen.known_since.min(), unit="second"),
    )
    units = units.left_join(told, units.unit == told.told_cluster)
    fired = units["rank"].notnull()
    reason = ibis.cases(
        (fired, None),
        (~units.is_named, REASONS[0]),
        (~units.is_placed, REASONS[1]),
        (units.is_shared, REASONS[2]),
        (~units.is_begun, REASONS[3]),
        ((units.days_s < HISTORY_DAYS * DAY_S).fill_null(ibis.literal(value=True)), REASONS[4]),
        else_=None,
    )
    found = ibis.cases(*((units["rank"] == number, name) for number, name in enumerate(BINS)), else_=None)
    return units.select(
        unit=units.unit,
        state=ibis.cases((fired, "fired"), (reason.notnull(), "not_assessable"), else_="quiet"),
        bin=found.cast("string"),
        reason=reason.cast("string"),
        weight_millibans=ibis.null("int64"),
        f0_upper_ppb=ibis.null("int64"),
        n_reference=ibis.null("int64"),
    )


def _beginnings(tables: Tables) -> ir.Table:
    """Successful sign-ins whose address is their own; see `_places.sign_ins_of` and `place`."""
    rows = _places.sign_ins_of(tables)
    rows = rows.filter(rows.category.isin(_places.BEGINNINGS))
    return rows.mutate(**_places.place_of_one(rows))


def _first_uses(tables: Tables) -> ir.Table:
    """Since when each account has used each network, to read mail or to sign in."""
    reads = _places.visits_of(tables)
    return _places.first_uses(reads.filter(reads.is_placed), _beginnings(tables))


def _clusters_told(rows: ir.Table, signs: ir.Table, uses: ir.Table, tables: Tables) -> ir.Table:
    """Clusters with each bin that holds for them: cluster, rank."""
    named = rows.filter(rows.session_id.notnull(), rows.is_placed, ~rows.is_shared)
    hands = named.group_by([*_KEYS, "cluster"]).aggregate(
        first_at=named.occurred_at.min(), last_at=named.last_at.max(), **_places.place(named)
    )
    hands = _places.with_first_use(hands, uses).alias("hands")
    signs = _places.with_first_use(signs, uses).alias("beginnings")
    parts = (
        (_of_device_code(hands, signs), "device_code"),
        (_of_token(rows, signs), "device_code"),
        (_relayed_on(hands, signs), "relayed"),
        (_relayed_beside(hands, signs), "relayed"),
        (_hops(named, signs, uses, tables), "client_hop"),
    )
    told = [part.select("cluster", rank=ibis.literal(_RANKS[name]).cast("int64")).distinct() for part, name in parts]
    return told[0].union(*told[1:])


def _is_new(rows: ir.Table, since: str, at: str) -> ir.BooleanValue:
    return rows[at].delta(rows[since], unit="second") < NEW_S


def _has_history(rows: ir.Table, at: str, known_since: str = "known_since") -> ir.BooleanValue:
    return rows[at].delta(rows[known_since], unit="second") >= HISTORY_DAYS * DAY_S


def _used_after(hands: ir.Table, signs: ir.Table) -> ir.Table:
    """Hands with each sign-in (`on_…`) of their session that they were used after."""
    begun = _places.renamed(signs.filter(signs.session_id.notnull()), "on_")
    met = hands.inner_join(begun, [hands.session_id == begun.on_session_id, hands.account == begun.on_account])
    return met.filter(met.last_at >= met.on_occurred_at)


def _of_device_code(hands: ir.Table, signs: ir.Table) -> ir.Table:
    """Clusters of a session that a device code began, apart from where it was confirmed."""
    met = _used_after(hands, signs.filter(signs.auth_protocol.isin(DEVICE_CODE)))
    return met.filter(_places.apart(met, "", "on_"))


def _of_token(rows: ir.Table, signs: ir.Table) -> ir.Table:
    """Clusters that read with the very token that a device code got, apart from where it was confirmed."""
    signs = signs.filter(signs.auth_protocol.isin(DEVICE_CODE))
    signs = signs.mutate(issued_id=ibis.coalesce(signs.token_id, signs.request_id))
    signs = _places.renamed(signs.filter(signs.issued_id.notnull()), "on_")
    reads = rows.filter(rows.is_placed, rows.token_id.notnull())
    reads = reads.group_by(["cluster", "account", "network", "token_id"]).aggregate(**_places.place(reads))
    met = reads.inner_join(signs, [reads.token_id == signs.on_issued_id, reads.account == signs.on_account])
    return met.filter(_places.apart(met, "", "on_"))


def _relayed_on(hands: ir.Table, signs: ir.Table) -> ir.Table:
    """Clusters at a third network, after a sign-in from another, both new to the account."""
    new = signs.filter(_is_new(signs, "since", "occurred_at"), _has_history(signs, "occurred_at"))
    met = _used_after(hands, new)
    return met.filter(_places.apart(met, "", "on_"), _is_new(met, "since", "on_occurred_at"))


def _relayed_beside(hands: ir.Table, signs: ir.Table) -> ir.Table:
    """Clusters of a session whose sign-in, from a new network, was followed at once by one from a usual network."""
    return _used_after(hands, _pairs(signs))


def _pairs(signs: ir.Table) -> ir.Table:
    """Sign-ins from a new network, with the event id (`second_event`) of one from a usual network right after."""
    new = signs.filter(
        signs.session_id.notnull(), _is_new(signs, "since", "occurred_at"), _has_history(signs, "occurred_at")
    )
    after = _places.renamed(signs, "next_")
    met = new.inner_join(after, [new.account == after.next_account])
    delay_s = met.next_occurred_at.delta(met.occurred_at, unit="second")
    met = met.filter(
        delay_s >= 0,
        delay_s <= PAIR_S,
        ~_is_new(met, "next_since", "occurred_at"),
        _places.apart(met, "", "next_"),
    )
    return met.select(*signs.columns, second_event=met.next_event_id).distinct()


def _hops(named: ir.Table, signs: ir.Table, uses: ir.Table, tables: Tables) -> ir.Table:
    """Clusters of a client and a network that are new to the account, in a session that another client began."""
    every = _places.sign_ins_of(tables)
    reads = _places.visits_of(tables).select("account", "occurred_at", app_id="effective_app")
    clients = reads.union(every.select("account", "occurred_at", "app_id"))
    clients = clients.group_by(client_account="account", client="app_id").aggregate(
        client_since=clients.occurred_at.min()
    )
    named = named.mutate(app_id=named.effective_app).filter(named.effective_app.notnull())
    named = named.filter(~named.app_id.startswith("proto:"))
    found = named.group_by([*_KEYS, "app_id", "cluster"]).aggregate(
        first_at=named.occurred_at.min(), **_places.place(named)
    )
    found = _places.with_first_use(found, uses)
    found = found.inner_join(clients, [found.account == clients.client_account, found.app_id == clients.client])
    found = found.filter(
        _is_new(found, "since", "first_at"),
        _is_new(found, "client_since", "first_at"),
        _has_history(found, "first_at"),
    )
    signs = signs.filter(signs.session_id.notnull(), signs.app_id.notnull())
    before = [
        part.group_by([*_KEYS, "app_id"]).aggregate(first_at=part.occurred_at.min(), **_places.place(part))
        for part in (named, signs)
    ]
    before = _places.renamed(before[0].union(before[1]), "on_")
    met = found.inner_join(before, [found.session_id == before.on_session_id, found.account == before.on_account])
    return met.filter(met.app_id != met.on_app_id, met.on_first_at <= met.first_at, _places.apart(met, "", "on_"))


def find(tables: Tables) -> ir.Table:
    """The reads of sessions handed on, with the sign-ins that they began with, by cluster."""
    given = tables.get(f"marks:{ID}")
    marks = mark(tables) if given is None else given
    marks = marks.filter(marks.state == "fired").select("unit", "bin")
    wanted = tables.get("wanted_units")
    if wanted is not None:
        marks = marks.semi_join(wanted, "unit")
    rows = _places.reads_of(tables)
    rows = rows.inner_join(marks, rows.cluster == marks.unit)
    rows = rows.mutate(subject=rows.cluster.concat(" ", ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)))
    about = rows.group_by(["unit", "bin", "session_id", "token_id", "account"]).aggregate(subject=rows.subject.min())
    about = about.rename(of_session="session_id", of_issued="token_id", of_account="account")
    signs = _beginnings(tables)
    of_account = signs.inner_join(about, [signs.account == about.of_account])
    issued = ibis.coalesce(of_account.token_id, of_account.request_id)
    same_session = (of_account.session_id == of_account.of_session).fill_null(ibis.literal(value=False))
    same_token = (issued == of_account.of_issued).fill_null(ibis.literal(value=False))
    begun = of_account.filter(same_session | same_token)
    second = _second_sign_ins(tables, signs, begun)
    return together(
        *(
            as_hits(
                part,
                group_key=part.subject,
                variant=part.bin,
                role=role,
                about=part[about_column],
                weight={"unit": part.unit, "bin": part.bin},
            )
            for part, role, about_column in (
                (rows, "read", "effective_app"),
                (begun, "sign_in", "app_id"),
                (second, "second_sign_in", "app_id"),
            )
        )
    )


def _second_sign_ins(tables: Tables, signs: ir.Table, begun: ir.Table) -> ir.Table:
    """The owner's sign-ins that follow those of a relay, with the finding that they are shown in."""
    pairs = _pairs(_places.with_first_use(signs, _first_uses(tables))).select("event_id", "second_event")
    shown = begun.filter(begun.bin == "relayed").select("event_id", "unit", "bin", "subject").distinct()
    shown = shown.inner_join(pairs, "event_id").drop("event_id").distinct()
    return signs.inner_join(shown, signs.event_id == shown.second_event)


_REVOKE = phrase("Ask the owner where they signed in. Revoke the sessions of the account and reset its password.")

DETECTOR = Detector(
    id=ID,
    title=phrase("Sessions that were handed on"),
    reads=READS,
    needs=("mail_access", "sign_in", "session_ids"),
    silent_without=("mail_access",),
    family="session",
    mark=mark,
    bins=BINS,
    variants={
        "device_code": Variant(
            title=phrase("Mail of {mailboxes} was read in a session that a device code began elsewhere ({addresses})"),
            severity=Severity.HIGH,
            attack=("T1528", "T1566.002", "T1550.001", "T1114.002"),
            innocent=phrase("A machine without a browser, such as a meeting room's, is signed in by a device code."),
            settles=phrase("Ask the owner which code they entered, and who sent it. Revoke the account's sessions."),
        ),
        "relayed": Variant(
            title=phrase("A session of {actors} was begun at one strange network and used elsewhere ({addresses})"),
            severity=Severity.HIGH,
            attack=("T1557", "T1539", "T1550.004", "T1114.002"),
            innocent=phrase("On a journey people sign in at one strange place and go on reading at the next."),
            settles=_REVOKE,
        ),
        "client_hop": Variant(
            title=phrase("A session of {actors} was passed on to a client they had never used ({objects})"),
            severity=Severity.MEDIUM,
            attack=("T1528", "T1550.001", "T1114.002"),
            innocent=phrase("A new program that is first used on a journey takes over the session of the machine."),
            settles=_REVOKE,
            is_notice=True,
        ),
    },
    find=find,
)
