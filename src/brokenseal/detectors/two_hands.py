"""One session that is used from two places by two programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.client_marks import browser_family, machine, wide_network
from brokenseal.clusters import members_of
from brokenseal.detectors import _places
from brokenseal.detectors._hits import DAY_S, as_hits, rows_of, together
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

ID: Final = "session.two_hands"
_USE = ("event_id", "occurred_at", "actor_key", "client_ip", "ip_class", "user_agent", "session_id")
_USES = {
    "mail_accesses": (*_USE, "mailbox_upn"),
    "sent_messages": (*_USE, "mailbox_upn"),
    "config_changes": _USE,
    "sign_ins": (*_USE, "category"),
}
READS = {
    **_USES,
    "mail_accesses": _places.READS["mail_accesses"],
    "sign_ins": (*_places.READS["sign_ins"], "user_agent"),
}

INTERLEAVED_S: Final = 600
"""There and back again within ten minutes is no journey."""
USUAL_DAYS: Final = 7
"""A network that an account used so long before is the account's own."""
SHOWN: Final = 5
"""So many records of the other hand are shown beside each cluster: those next to its beginning."""

BINS: Final = {
    "os_change": "another kind of machine at another network than the session's own",
    "two_agents": "another browser at another network than the session's own",
    "device_lost": "a client of the session had named its device, and names none at a network new to the account",
    "interleaved": "to and fro between two networks within ten minutes, not both of them usual",
}
"""Gravest first; a cluster takes the first that holds for its hand."""
REASONS: Final = (
    "no_session_id",  # the records name no session
    "no_own_address",  # from inside Microsoft's networks, or without an address
    "shared_session",  # the session id is that of too many accounts to be a session
    "short_history",  # to and fro, in an account that the logs show too shortly to know its usual networks
)


def mark(tables: Tables) -> ir.Table:
    """One row per session cluster; see `schema.MARK`.

    Compared are reads of mail with each other, by hand: session, account and network. A session's own hand is that of
    the network that the account has used longest; the others are marked, and both where they go to and fro.
    """
    rows = _places.visits_of(tables)
    placed = rows.filter(rows.session_id.notnull(), rows.is_placed, ~rows.is_shared)
    hands = _hands(rows, placed)
    fro = _fro(_travelling(tables, placed), hands)
    told = _strangers(placed, hands).union(_deviceless(tables, hands)).union(fro)
    told = told.group_by(["session_id", "account", "network"]).aggregate(rank=told["rank"].min())
    keys = ["session_id", "account", "network"]
    judged = rows.left_join(told, keys).select("cluster", "session_id", "is_placed", "is_shared", "rank")
    units = judged.group_by(unit="cluster").aggregate(
        rank=judged["rank"].min(),
        is_named=judged.session_id.notnull().any(),
        is_placed=judged.is_placed.any(),
        is_shared=judged.is_shared.any(),
    )
    fired = (units["rank"] < len(BINS)).fill_null(ibis.literal(value=False))
    reason = ibis.cases(
        (fired, None),
        (~units.is_named, REASONS[0]),
        (~units.is_placed, REASONS[1]),
        (units.is_shared, REASONS[2]),
        (units["rank"].notnull(), REASONS[3]),
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


_RANKS: Final = {name: number for number, name in enumerate(BINS)}
_UNKNOWN_HISTORY: Final = len(BINS)


def _hands(rows: ir.Table, placed: ir.Table) -> ir.Table:
    """One row per session, account and network.

    Returns: session_id, account, network, first_at, the columns of `_places.place`, since, known_since (times), is_own,
        is_usual, is_known (booleans: the session's own hand; the account's own network; the account's history reaches).
    """
    known = rows.filter(rows.is_placed)
    hands = placed.group_by(["session_id", "account", "network"]).aggregate(
        first_at=placed.occurred_at.min(), **_places.place(placed)
    )
    hands = _places.with_first_use(hands, _places.first_uses(known))
    by_age = ibis.window(
        group_by=[hands.session_id, hands.account], order_by=[hands.since, hands.first_at, hands.network]
    )
    return hands.mutate(
        is_own=ibis.row_number().over(by_age) == 0,
        is_usual=hands.first_at.delta(hands.since, unit="second") >= USUAL_DAYS * DAY_S,
        is_known=hands.first_at.delta(hands.known_since, unit="second") >= USUAL_DAYS * DAY_S,
    ).alias("hands")


def _told(rows: ir.Table, rank: ir.IntegerValue | int) -> ir.Table:
    value = ibis.literal(rank) if isinstance(rank, int) else rank
    return rows.select("session_id", "account", "network", rank=value.cast("int64")).distinct()


def _strangers(placed: ir.Table, hands: ir.Table) -> ir.Table:
    """Hands apart from the session's own that show a machine or a browser which the own hand does not."""
    own = _places.renamed(hands.filter(hands.is_own), "own_")
    others = hands.filter(~hands.is_own)
    others = others.inner_join(own, [others.session_id == own.own_session_id, others.account == own.own_account])
    others = others.filter(_places.apart(others, "", "own_"))
    shown = placed.select("session_id", "account", "network", family=_look(placed), machine=_kind(placed)).distinct()
    shown = shown.filter(shown.family.notnull())
    keys = ["session_id", "account"]
    held = shown.semi_join(hands.filter(hands.is_own), [*keys, "network"])
    shown = shown.semi_join(others, [*keys, "network"]).semi_join(held, keys)
    return _told(shown.anti_join(held, [*keys, "machine"]), _RANKS["os_change"]).union(
        _told(shown.anti_join(held, [*keys, "family"]), _RANKS["two_agents"])
    )


def _kind(rows: ir.Table) -> ir.StringValue:
    """The machine; telephones and tablets that ask for the desktop page of a site name their maker's desktop."""
    named = machine(rows.user_agent)
    return named.cases(("ios", "macos"), ("android", "linux"), else_=named)


def _look(rows: ir.Table) -> ir.StringValue:
    """Machine and browser, `_kind` standing for the machine; null for programs that are no browser."""
    return browser_family(rows.user_agent).replace("ios ", "macos ").replace("android ", "linux ")


def _travelling(tables: Tables, placed: ir.Table) -> ir.Table:
    """The reads of sessions that were used from more than one network, one row per record."""
    sessions = placed.group_by(in_session="session_id", by_account="account").aggregate(
        low=placed.network.min(), high=placed.network.max()
    )
    several = sessions.filter(sessions.low != sessions.high)
    rows = members_of(tables)
    rows = rows.filter(rows.session_id.notnull(), _places.is_placed(rows)).mutate(account=_places.account(rows))
    return rows.semi_join(several, [rows.session_id == several.in_session, rows.account == several.by_account])


def _fro(placed: ir.Table, hands: ir.Table) -> ir.Table:
    """Both hands of sessions that leave a network for one apart from it and are back within ten minutes."""
    session = [placed.session_id, placed.account]
    in_order = ibis.window(group_by=session, order_by=[placed.occurred_at, placed.event_id])
    rows = placed.select(
        "session_id",
        "account",
        "network",
        "occurred_at",
        "event_id",
        before=placed.network.lag(1).over(in_order),
        left_at=placed.occurred_at.lag(1).over(in_order),
    )
    moves = rows.filter(rows.before.isnull() | (rows.network != rows.before))
    in_order = ibis.window(group_by=[moves.session_id, moves.account], order_by=[moves.occurred_at, moves.event_id])
    moves = moves.mutate(start=moves.before.lag(1).over(in_order), start_left_at=moves.left_at.lag(1).over(in_order))
    back = moves.filter(
        moves.network == moves.start,
        moves.occurred_at.delta(moves.start_left_at, unit="second") <= INTERLEAVED_S,
    )
    back = back.select("session_id", "account", "network", "before").distinct()
    here = _places.renamed(hands, "a_")
    there = _places.renamed(hands, "b_")
    both = back.inner_join(
        here, [back.session_id == here.a_session_id, back.account == here.a_account, back.network == here.a_network]
    )
    both = both.inner_join(
        there, [both.session_id == there.b_session_id, both.account == there.b_account, both.before == there.b_network]
    )
    both = both.filter(_places.apart(both, "a_", "b_"), ~(both.a_is_usual & both.b_is_usual))
    rank = ibis.ifelse(both.a_is_known & both.b_is_known, _RANKS["interleaved"], _UNKNOWN_HISTORY)
    both = both.mutate(rank=rank)
    return _told(both, both["rank"]).union(
        _told(both.select("session_id", "account", network=both.before, rank=both["rank"]), both["rank"])
    )


def _deviceless(tables: Tables, hands: ir.Table) -> ir.Table:
    """Hands at a network, new to the account, where a client no longer names the device that it named elsewhere."""
    strange = hands.filter(hands.is_known, ~hands.is_usual)
    return _told(_device_losses(tables).semi_join(strange, ["session_id", "account", "network"]), _RANKS["device_lost"])


def _device_losses(tables: Tables) -> ir.Table:
    """Where a session went on without its device: session_id, account, network, by the sign-ins of one client.

    Compared are sign-ins of one kind and client with each other, so that a log without devices loses none.
    """
    rows = _places.sign_ins_of(tables)
    rows = rows.filter(rows.session_id.notnull(), rows.app_id.notnull(), rows.category.notnull())
    rows = rows.mutate(has_device=(rows.device_id != "").fill_null(ibis.literal(value=False)))
    keys = ["session_id", "account", "category", "app_id", "network"]
    kinds = rows.group_by(keys).aggregate(
        named_at=rows.occurred_at.min(where=rows.has_device),
        bare_at=rows.occurred_at.max(where=~rows.has_device),
        **_places.place(rows),
    )
    named = _places.renamed(kinds.filter(kinds.named_at.notnull()), "own_")
    bare = kinds.filter(kinds.named_at.isnull())
    lost = bare.inner_join(
        named,
        [
            bare.session_id == named.own_session_id,
            bare.account == named.own_account,
            bare.category == named.own_category,
            bare.app_id == named.own_app_id,
        ],
    )
    lost = lost.filter(_places.apart(lost, "", "own_"), lost.bare_at > lost.own_named_at)
    return lost.select("session_id", "account", "network", "category", "app_id", "own_network").distinct()


def find(tables: Tables) -> ir.Table:
    """Records of sessions in two hands: of the clusters wanted, by cluster; where none is asked for, by session."""
    given = tables.get(f"marks:{ID}")
    marks = mark(tables) if given is None else given
    marks = marks.filter(marks.state == "fired").select("unit", "bin")
    wanted = tables.get("wanted_units")
    if wanted is None:
        return _by_session(tables, marks)
    return _by_cluster(tables, marks.semi_join(wanted, "unit"))


_BIN_VARIANT: Final = {name: "two_agents" if name == "os_change" else name for name in BINS}


def _variant(name: ir.StringValue) -> ir.StringValue:
    return ibis.cases(*((name == given, variant) for given, variant in _BIN_VARIANT.items()), else_="two_agents")


def _by_cluster(tables: Tables, marks: ir.Table) -> ir.Table:
    """The reads of each cluster, the records of the other hands next to its beginning, and the devices lost."""
    rows = _places.reads_of(tables)
    rows = rows.inner_join(marks, rows.cluster == marks.unit)
    rows = rows.mutate(
        subject=rows.cluster.concat(" ", ibis.coalesce(rows.mailbox_upn, rows.mailbox_key)),
        variant=_variant(rows.bin),
        family=ibis.coalesce(browser_family(rows.user_agent), machine(rows.user_agent)),
    )
    about = rows.group_by(["unit", "bin", "variant", "session_id", "account"]).aggregate(
        subject=rows.subject.min(), begins=rows.occurred_at.min()
    )
    about = about.rename(of_session="session_id", of_account="account")
    uses = _uses(tables)
    inside = rows.select(inside="event_id").distinct()
    others = uses.inner_join(about, [uses.session_id == about.of_session, uses.actor_key == about.of_account])
    others = others.anti_join(inside, others.event_id == inside.inside)
    distance_s = others.occurred_at.delta(others.begins, unit="second").abs()
    next_to = ibis.window(group_by=[others.unit], order_by=[distance_s, others.event_id])
    others = others.mutate(place_in_line=ibis.row_number().over(next_to))
    others = others.filter(others.place_in_line < SHOWN)
    signs = _places.sign_ins_of(tables)
    lost = _device_losses(tables).drop("own_network").distinct()
    devices = signs.semi_join(lost, ["session_id", "account", "category", "app_id"])
    missing = about.filter(about.bin == "device_lost")
    devices = devices.inner_join(
        missing, [devices.session_id == missing.of_session, devices.account == missing.of_account]
    )
    has_device = (devices.device_id != "").fill_null(ibis.literal(value=False))
    devices = devices.mutate(
        mailbox_upn=ibis.null("string"),
        role=ibis.ifelse(has_device, "with_device", "without_device"),
        family=ibis.null("string"),
    )
    return together(
        *(
            as_hits(
                part,
                group_key=part.subject,
                variant=part.variant,
                role=role,
                about=part.family,
                weight={"unit": part.unit, "bin": part.bin},
            )
            for part, role in ((rows, "read"), (others, others.role), (devices, devices.role))
        )
    )


def _by_session(tables: Tables, marks: ir.Table) -> ir.Table:
    """Records of sessions that two browsers at two public addresses used, that went to and fro, or lost a device."""
    marked = members_of(tables).select(member="event_id", cluster="cluster", in_session="session_id").distinct()
    marked = marked.inner_join(marks, marked.cluster == marks.unit).drop("cluster")
    uses = _of_interest(_uses(tables), marked.select("in_session"))
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
    marked = marked.drop("in_session")
    uses = uses.left_join(marked, uses.event_id == marked.member)
    lost = uses.filter(uses.bin == "device_lost").select(deviceless="session_id").distinct()
    uses = uses.left_join(lost, uses.session_id == lost.deviceless)
    uses = uses.filter(uses.differing.notnull() | uses.interleaved.notnull() | uses.deviceless.notnull())
    return as_hits(
        uses,
        group_key=uses.session_id,
        variant=ibis.cases(
            (uses.differing.notnull(), "two_agents"), (uses.interleaved.notnull(), "interleaved"), else_="device_lost"
        ),
        role=uses.role,
        about=uses.family,
        weight={"unit": uses.unit, "bin": uses.bin},
    )


def _of_interest(uses: ir.Table, marked: ir.Table) -> ir.Table:
    """The uses of sessions that have two addresses, or marked reads; nothing is said of others."""
    sessions = uses.group_by(of_interest="session_id").aggregate(low=uses.client_ip.min(), high=uses.client_ip.max())
    sessions = sessions.filter(sessions.low != sessions.high).select("of_interest")
    sessions = sessions.union(marked.filter(marked.in_session.notnull()).select(of_interest="in_session")).distinct()
    return uses.semi_join(sessions, uses.session_id == sessions.of_interest)


def _uses(tables: Tables) -> ir.Table:
    """Records with a session and a public address: event, time, account, address, mailbox, session, family, role.

    Non-interactive sign-ins are left out: they are reported to carry the address of the sign-in they descend from.
    """
    sign_ins = rows_of(tables, _USES, "sign_ins")
    sign_ins = sign_ins.filter(sign_ins.category.isin(("interactive", "audit_log")))
    kinds = (
        (rows_of(tables, _USES, "mail_accesses"), "read"),
        (rows_of(tables, _USES, "sent_messages"), "send"),
        (rows_of(tables, _USES, "config_changes"), "change"),
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
    id=ID,
    title=phrase("One session in two hands"),
    reads=READS,
    needs=("session_ids",),
    family="session",
    mark=mark,
    bins=BINS,
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
        "device_lost": Variant(
            title=phrase("One session of {actors} went on from {addresses} without the device that it began on"),
            severity=Severity.MEDIUM,
            attack=("T1539", "T1550.004"),
            innocent=phrase("A private window, or a browser that does not ask the system, names no device."),
            settles=_SETTLES,
            is_notice=True,
        ),
    },
    find=find,
)
