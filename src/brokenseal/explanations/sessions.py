"""Is one session in two hands? All records under its id in the order of time, by the network that they came from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.clusters import with_network
from brokenseal.detectors import _places, session_handover, two_hands, unknown_device
from brokenseal.explanations.asked import Asked, Row, by_unit, read, rows_table, seconds, texts_table
from brokenseal.explanations.values import Hand, SessionSide, Step
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

DETECTORS: Final = (two_hands.ID, session_handover.ID, unknown_device.ID)
HANDS_SHOWN: Final = 5
STEPS_SHOWN: Final = 14
_STEPS_BEFORE: Final = 5
_TEXTS_SHOWN: Final = 4
_RECORDS_MOST: Final = 20_000
_REFUTES: Final = phrase(
    "Both networks and both machines are the owner's: a telephone beside a computer, a journey, a virtual desktop, or "
    "a VPN that changes its exits. The owner can say so; device ids in the sign-ins can show it."
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_COLUMNS: Final = (
    "event_id", "occurred_at", "account", "session_id", "token_id", "client_ip", "ip_class", "user_agent", "app",
    "device_id", "protocol", "kind",
)  # fmt: skip


class _Shared(NamedTuple):
    """What ties the records of one unit's session together."""

    unit: str
    session_id: str | None
    account: str
    tokens: frozenset[str]


def session_sides(asked: Asked) -> dict[str, SessionSide]:
    """Unit to its session; units of which no detector says that a session went on elsewhere are left out."""
    fired = {unit for detector_id in DETECTORS for unit in asked.fired(detector_id)}
    clusters = [row for row in asked.clusters if row["cluster"] in fired]
    if not clusters:
        return {}
    shared = _shared(asked, clusters)
    records = _records(asked, shared)
    since = _since(asked, {one.account for one in shared})
    inside = _inside(asked)
    habits = _habits(asked)
    return {
        one.unit: replace(
            _side(one, records.get(one.unit, []), since, inside.get(one.unit, frozenset())),
            places=habits.get(one.unit, _NO_HABIT).places,
            device_places=habits.get(one.unit, _NO_HABIT).with_device,
        )
        for one in shared
    }


class _Habit(NamedTuple):
    """At how many places an account had signed in, and at how many of them with a device."""

    places: int | None
    with_device: int | None


_NO_HABIT: Final = _Habit(None, None)


def _habits(asked: Asked) -> dict[str, _Habit]:
    """Units that came in without a device, with the habit of their account."""
    wanted = asked.fired(unknown_device.ID)
    if not wanted:
        return {}
    rows = read(unknown_device.entries(asked.tables))
    return {row["unit"]: _Habit(row["places"], row["named"]) for row in rows if row["unit"] in wanted}


def _shared(asked: Asked, clusters: Sequence[Row]) -> list[_Shared]:
    rows = asked.members()
    tokens = rows.filter(rows.token_id.notnull()).select("cluster", "token_id").distinct()
    used = by_unit(read(tokens.order_by("cluster", "token_id")))
    return [
        _Shared(
            row["cluster"],
            row["session_id"],
            row["actor_key"] or row["identity"],
            frozenset(each["token_id"] for each in used.get(row["cluster"], ())),
        )
        for row in clusters
    ]


def _inside(asked: Asked) -> dict[str, frozenset[str]]:
    listed = by_unit(read(asked.members().select("cluster", "event_id").distinct()))
    return {unit: frozenset(row["event_id"] for row in rows) for unit, rows in listed.items()}


def _records(asked: Asked, shared: Sequence[_Shared]) -> dict[str, list[Row]]:
    """Unit to all records under its session, or under its tokens, in the order of time."""
    sessions = rows_table(
        {"unit": "string", "of_session": "string", "of_account": "string"},
        ((one.unit, one.session_id, one.account) for one in shared if one.session_id is not None),
    )
    tokens = rows_table(
        {"unit": "string", "of_token": "string", "of_account": "string"},
        # With a session, its reads are all there; a token finds the sign-in that it came from.
        ((one.unit, token, one.account) for one in shared for token in sorted(one.tokens)),
    )
    rows = _every_record(asked)
    by_session = rows.inner_join(
        sessions, [rows.session_id == sessions.of_session, rows.account == sessions.of_account]
    )
    by_token = rows.inner_join(tokens, [rows.token_id == tokens.of_token, rows.account == tokens.of_account])
    columns = ("unit", *_COLUMNS, "network")
    found = by_session.select(*columns).union(by_token.select(*columns)).distinct()
    return by_unit(read(found.order_by("unit", "occurred_at", "event_id").limit(_RECORDS_MOST)), "unit")


def _every_record(asked: Asked) -> ir.Table:
    """Records that name a session or a token: reads, sent messages, changes, sign-ins, with their networks."""
    members = asked.tables["members"]
    reads = members.select(
        "event_id", "occurred_at", "session_id", "token_id", "client_ip", "ip_class", "user_agent",
        account=ibis.coalesce(members.actor_key, members.identity), app=members.effective_app,
        device_id=ibis.null("string"), protocol=members.protocol, kind=ibis.literal("read"), network=members.network,
    )  # fmt: skip
    sent, changes, signs = (asked.tables[name] for name in ("sent_messages", "config_changes", "sign_ins"))
    others = [
        _plain(sent, "send", app=sent.effective_app, token=sent.token_id),
        _plain(changes, "change", app=changes.app_id),
        _plain(
            signs, signs.category, app=signs.app_id, token=ibis.coalesce(signs.token_id, signs.request_id),
            device_id=signs.device_id, protocol=ibis.coalesce(signs.auth_protocol, signs.request_type),
        ),
    ]  # fmt: skip
    placed = with_network(others[0].union(*others[1:]).distinct(), asked.tables)
    placed = placed.mutate(network=placed.network.fill_null("none"))
    columns = (*_COLUMNS, "network")
    rows = reads.select(*columns).union(placed.select(*columns))
    return rows.filter(rows.occurred_at.notnull())


def _plain(
    rows: ir.Table,
    kind: ir.StringValue | str,
    *,
    app: ir.StringValue,
    token: ir.StringValue | None = None,
    device_id: ir.StringValue | None = None,
    protocol: ir.StringValue | None = None,
) -> ir.Table:
    nothing = ibis.null("string")
    return rows.select(
        "event_id", "occurred_at", "session_id", "client_ip", "ip_class", "user_agent",
        account=rows.actor_key, app=app, token_id=nothing if token is None else token,
        device_id=nothing if device_id is None else device_id, protocol=nothing if protocol is None else protocol,
        kind=ibis.literal(kind) if isinstance(kind, str) else kind.fill_null("sign_in"),
    ).select(*_COLUMNS)  # fmt: skip


def _since(asked: Asked, accounts: Iterable[str]) -> dict[tuple[str, str], dt.datetime]:
    """Account and network to its first use there: a read of mail, or a sign-in whose address is its own."""
    wanted = texts_table("wanted_account", accounts)
    members = asked.tables["members"]
    reads = members.mutate(account=ibis.coalesce(members.actor_key, members.identity))
    reads = reads.filter(reads.client_ip.notnull()).select("account", "network", "occurred_at")
    signs = _places.sign_ins_of(asked.tables)
    signs = signs.filter(signs.category.isin(_places.BEGINNINGS)).select("account", "network", "occurred_at")
    rows = reads.union(signs)
    rows = rows.semi_join(wanted, rows.account == wanted.wanted_account)
    uses = rows.group_by("account", "network").aggregate(since=rows.occurred_at.min())
    return {(row["account"], row["network"]): row["since"] for row in read(uses)}


def _side(
    shared: _Shared, records: Sequence[Row], since: Mapping[tuple[str, str], dt.datetime], inside: frozenset[str]
) -> SessionSide:
    of_network: dict[str, list[Row]] = {}
    for row in records:
        of_network.setdefault(row["network"], []).append(row)
    names = sorted(of_network, key=lambda name: _rank(name, of_network[name], since.get((shared.account, name))))
    letters = {name: _LETTERS[place] if place < len(_LETTERS) else f"Z{place}" for place, name in enumerate(names)}
    agents = {name: _texts(of_network[name], "user_agent") for name in names}
    shown_by = Counter(agent for name in names for agent in agents[name])
    tokens = {name: _texts(of_network[name], "token_id") for name in names}
    used_by = Counter(token for name in names for token in tokens[name])
    hands = tuple(
        Hand(
            letter=letters[name],
            network=name,
            since=since.get((shared.account, name)),
            records=len({row["event_id"] for row in of_network[name]}),
            in_unit=any(row["event_id"] in inside for row in of_network[name]),
            addresses=_texts(of_network[name], "client_ip")[:_TEXTS_SHOWN],
            agents=agents[name][:_TEXTS_SHOWN],
            only_agents=tuple(agent for agent in agents[name] if shown_by[agent] == 1)[:_TEXTS_SHOWN],
            token_ids=tokens[name][:_TEXTS_SHOWN],
        )
        for name in names
    )
    steps, begins = _steps(records, letters, inside)
    start = max(0, min(begins - _STEPS_BEFORE, len(steps) - STEPS_SHOWN))
    return SessionSide(
        session_id=shared.session_id,
        account=shared.account,
        shared_token_ids=tuple(sorted(token for token, hands_ in used_by.items() if hands_ > 1)),
        hands=hands[:HANDS_SHOWN],
        n_hands=len(hands),
        steps=tuple(steps[start : start + STEPS_SHOWN]),
        n_steps=len(steps),
        refutes=_REFUTES,
    )


def _rank(
    name: str, rows: Sequence[Row], since: dt.datetime | None
) -> tuple[bool, bool, dt.datetime, dt.datetime, str]:
    """The network that the account has used longest comes first; Microsoft's own are no place and come last."""
    first: dt.datetime = rows[0]["occurred_at"]
    return (name in {"MS", "none"}, since is None, first if since is None else since, first, name)


def _texts(rows: Iterable[Row], column: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row[column] for row in rows if row[column]))


def _steps(records: Sequence[Row], letters: Mapping[str, str], inside: frozenset[str]) -> tuple[list[Step], int]:
    """Runs of like records, and the place of the first that holds one of the unit's."""
    steps: list[Step] = []
    begins = None
    for _, run in groupby(records, key=lambda row: _likeness(row, letters)):
        held = list(run)
        first, last = held[0], held[-1]
        if begins is None and any(row["event_id"] in inside for row in held):
            begins = len(steps)
        steps.append(
            Step(
                hand=letters[first["network"]],
                kind=first["kind"],
                first_at=first["occurred_at"],
                last_at=last["occurred_at"],
                gap_s=seconds(steps[-1].last_at, first["occurred_at"]) if steps else None,
                records=len({row["event_id"] for row in held}),
                address=first["client_ip"],
                agent=first["user_agent"],
                app=first["app"],
                device_id=first["device_id"] or None,
                protocol=first["protocol"],
                event_id=first["event_id"],
            )
        )
    return steps, begins or 0


def _likeness(row: Row, letters: Mapping[str, str]) -> tuple[object, ...]:
    return (letters[row["network"]], row["kind"], row["user_agent"], row["app"], row["device_id"])
