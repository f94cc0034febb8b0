"""What counts as read in a case: its clusters, what of them is in doubt, and its doors."""

import datetime as dt
from dataclasses import dataclass, field

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokenseal import schema
from brokenseal.case_exposure import ANOTHERS, HABIT, Suspected, case_selections, doubtful_ids, uses_of
from support import arrow_table, make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
OFFICE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
ALICE, BOB, CAROL = "alice@contoso.example", "bob@contoso.example", "carol@contoso.example"
APP = "768fb398-1111-2222-3333-444455556666"
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)


def day(number):
    return T0 + dt.timedelta(days=number)


def read(event_id, at, *, by=ALICE, address=OFFICE, ip_class="public", cluster=None):
    return {
        "event_id": event_id,
        "occurred_at": at,
        "actor_key": by,
        "client_ip": address,
        "ip_class": ip_class,
        "cluster": cluster or event_id,
    }


def use(at, *, by=ALICE, address=OFFICE, succeeded=None):
    return {"occurred_at": at, "actor_key": by, "client_ip": address, "succeeded": succeeded}


MEMBERS = {
    "event_id": "string",
    "occurred_at": "timestamp('UTC', 6)",
    "actor_key": "string",
    "client_ip": "string",
    "ip_class": "string",
    "cluster": "string",
}


def tables_of(reads, uses):
    """`members` as a runner hands them over, and the reads among all other events."""
    events = [{name: row[name] for name in ("event_id", "occurred_at", "actor_key", "client_ip")} for row in reads]
    members = ibis.memtable(reads, schema=MEMBERS) if reads else ibis.memtable([], schema=MEMBERS)
    return {**EMPTY, "members": members, "events": ibis.memtable(arrow_table("events", [*uses, *events]))}


def suspected(reads, *, certain=(), accounts=(ALICE,), first_at=T0):
    return Suspected(
        access_ids=frozenset(row["event_id"] for row in reads),
        units_certain=frozenset(certain),
        accounts=frozenset(accounts),
        first_at=first_at,
    )


def doubtful(reads, uses, **about):
    (found,) = doubtful_ids(tables_of(reads, uses), [suspected(reads, **about)])
    return sorted(found)


# ---------------------------------------------------------------- doubt


def test_a_read_from_an_address_that_nobody_else_used_is_not_doubtful():
    assert doubtful([read("e1", day(0))], []) == []


def test_a_read_from_where_the_account_had_long_been_is_doubtful():
    reads = [read("e1", day(0)), read("e2", day(0), address=ELSEWHERE)]

    assert doubtful(reads, [use(T0 - HABIT - dt.timedelta(seconds=1))]) == ["e1"]


@pytest.mark.parametrize(
    "uses",
    [
        pytest.param([use(T0 - HABIT)], id="a habit of seven days is none yet"),
        pytest.param([use(day(-30), succeeded=False)], id="tries that failed"),
        pytest.param([use(day(-30), address=ELSEWHERE)], id="another address"),
        pytest.param([use(day(-30), by=None)], id="nobody"),
        pytest.param([use(T0 - dt.timedelta(minutes=1), by=BOB)], id="another person, just before"),
    ],
)
def test_what_makes_no_habit(uses):
    assert doubtful([read("e1", day(0))], uses) == []


@pytest.mark.parametrize(
    "uses",
    [
        pytest.param([use(T0 - ANOTHERS, by=BOB)], id="a day before"),
        pytest.param([use(day(3), by=BOB), use(day(3) + ANOTHERS, by=BOB)], id="for a day, afterwards"),
    ],
)
def test_another_persons_address_makes_a_read_doubtful(uses):
    assert doubtful([read("e1", day(0))], uses) == ["e1"]
    assert doubtful([read("e1", day(0))], uses, accounts=(ALICE, BOB)) == []


def test_an_application_is_no_other_person_though_it_has_two_names():
    uses = [use(day(-20), by=APP), use(day(20), by="acorn boards"), use(day(-20), by="acorn boards")]

    assert doubtful([read("e1", day(0), by=APP)], uses[1:], accounts=(APP,)) == []
    assert doubtful([read("e1", day(0), by=APP)], uses, accounts=(APP,)) == ["e1"]


def test_an_address_that_several_victims_use_for_long_is_an_office():
    """The exit of an office from which a password was guessed, with both of its users in the case."""
    uses = [use(day(-1), by=BOB), use(day(6.5))]

    assert doubtful([read("e1", day(0))], uses, accounts=(ALICE, BOB)) == ["e1"]
    assert doubtful([read("e1", day(0))], [use(day(-1), by=BOB), use(day(5))], accounts=(ALICE, BOB)) == []


@pytest.mark.parametrize("ip_class", ["private", "microsoft", "loopback", None])
def test_an_address_that_is_no_public_one_says_nothing(ip_class):
    assert doubtful([read("e1", day(0), ip_class=ip_class)], [use(day(-30))]) == []


def test_a_heavy_cluster_is_never_doubtful():
    reads = [read("e1", day(0), cluster="u1"), read("e2", day(1), cluster="u1"), read("e3", day(1), cluster="u2")]

    assert doubtful(reads, [use(day(-30))], certain=["u1"]) == ["e3"]


def test_an_intruder_who_reads_several_mailboxes_for_long_makes_no_habit():
    reads = [
        read(f"{name}{number}", day(number), by=account, cluster=f"{name}{number}")
        for name, account in (("a", ALICE), ("b", BOB))
        for number in (0, 9, 18)
    ]
    accounts = (ALICE, BOB)

    assert doubtful(reads, [], accounts=accounts) == []
    assert doubtful(reads, [use(day(-8), by=BOB)], accounts=accounts, certain=["b0"]) == ["b18", "b9"]


def test_each_case_has_its_own_doubt():
    reads = [read("e1", day(0)), read("e2", day(9))]
    early, late = suspected(reads[:1]), suspected(reads, first_at=day(9))

    assert doubtful_ids(tables_of(reads, [use(day(1))]), [early, late]) == (frozenset(), frozenset({"e1", "e2"}))


def test_no_case_asks_for_nothing():
    assert doubtful_ids(tables_of([], []), []) == ()


def reference(reads, uses, one, victims, named):
    """The rule in plain words, over rows; `named` are the reads of all cases."""
    found = set(one.light)
    every = [*uses, *({**row, "succeeded": None} for row in reads if row["event_id"] not in named)]
    mine = [row for row in reads if row["event_id"] in one.access_ids]
    for row in mine:
        if row["cluster"] in one.units_certain or row["ip_class"] != "public" or row["client_ip"] is None:
            continue
        spans = {}
        for each in every:
            if each["client_ip"] == row["client_ip"] and each["actor_key"] and each["succeeded"] is not False:
                first, last = spans.get(each["actor_key"], (each["occurred_at"], each["occurred_at"]))
                spans[each["actor_key"]] = min(first, each["occurred_at"]), max(last, each["occurred_at"])
        begins = min(
            each["occurred_at"]
            for each in mine
            if each["client_ip"] == row["client_ip"] and each["ip_class"] == "public"
        )
        people = {name: span for name, span in spans.items() if "@" in name}
        own = row["actor_key"] in spans and spans[row["actor_key"]][0] < one.first_at - HABIT
        others = any(
            last - first >= ANOTHERS or first <= begins - ANOTHERS
            for name, (first, last) in people.items()
            if name not in victims and name != row["actor_key"]
        )
        shared = len(people) > 1 and max(b for _, b in people.values()) - min(a for a, _ in people.values()) > HABIT
        if own or others or shared:
            found.add(row["event_id"])
    return found


moments = st.integers(-12, 12).map(day)
people = st.sampled_from([ALICE, BOB, CAROL, APP, None])
addresses = st.sampled_from([OFFICE, ELSEWHERE, None])
uses_strategy = st.builds(use, moments, by=people, address=addresses, succeeded=st.sampled_from([None, True, False]))
reads_strategy = st.builds(
    read,
    st.just(""),
    moments,
    by=people,
    address=addresses,
    ip_class=st.sampled_from(["public", "public", "microsoft", None]),
    cluster=st.sampled_from(["u1", "u2", "u3"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    reads=st.lists(reads_strategy, max_size=8),
    uses=st.lists(uses_strategy, max_size=8),
    parts=st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=3),
    victims=st.sets(st.sampled_from([ALICE, BOB])),
    order=st.randoms(use_true_random=False),
)
def test_doubt_equals_the_plain_rule_in_any_order(reads, uses, parts, victims, order):
    reads = [{**row, "event_id": f"e{number}"} for number, row in enumerate(reads)]
    cases = [
        Suspected(
            access_ids=frozenset(f"e{number}" for number in part if number < len(reads)),
            units_certain=frozenset({"u3"}),
            accounts=frozenset(victims),
            first_at=day(number),
            light=frozenset(f"e{place}" for place in part if place < len(reads) and reads[place]["cluster"] == "u2"),
        )
        for number, part in enumerate(parts)
    ]
    shuffled = tables_of(order.sample(reads, len(reads)), order.sample(uses, len(uses)))

    found = doubtful_ids(shuffled, cases)

    named = frozenset().union(*(one.access_ids for one in cases))
    assert [set(each) for each in found] == [reference(reads, uses, one, victims, named) for one in cases]


def test_uses_compile_for_spark():
    unbound = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}

    assert "SELECT" in ibis.to_sql(uses_of(unbound, ["192.0.2.1"]), dialect="pyspark")


# ---------------------------------------------------------------- cases


@dataclass
class Item:
    event_id: str
    role: str = ""


@dataclass
class Found:
    detector_id: str
    evidence: list
    units: tuple = ()
    family: str = "other"


@dataclass
class Draft:
    """The part of a case draft that is looked at."""

    id: str
    access_ids: tuple = ()
    units: tuple = ()
    under_ids: frozenset = frozenset()
    actors: tuple = (ALICE,)
    mailboxes: tuple = (ALICE,)
    first_at: dt.datetime = T0
    findings: list = field(default_factory=list)


@dataclass
class Weighed:
    """The part of a judgement that is looked at."""

    opened: frozenset = frozenset()
    followed: dict = field(default_factory=dict)
    joined: frozenset = frozenset()
    ruled: frozenset = frozenset()

    @property
    def certain(self):
        return self.opened.union(self.ruled, self.followed)

    @property
    def wanted(self):
        return self.joined.union(self.followed)


def test_every_read_of_a_cluster_that_opens_joins_or_follows_counts():
    reads = [
        read(f"e{number}", day(0), cluster=unit) for number, unit in enumerate(["u1", "u1", "u2", "u3", "u4", "u5"])
    ]
    judgement = Weighed(opened=frozenset({"u1"}), joined=frozenset({"u1", "u2", "u5"}), followed={"u3": "u1"})
    draft = Draft("case-1", access_ids=("e4",), units=("u1", "u2", "u3", "u4"))

    (selection,) = case_selections(tables_of(reads, []), [draft], judgement).cases

    assert selection.event_ids == {"e0", "e1", "e2", "e3", "e4"}
    assert (selection.value, selection.mailboxes, selection.doubtful) == ("case-1", {ALICE}, frozenset())


def test_what_only_joins_can_be_doubtful_and_what_opens_or_follows_cannot():
    reads = [read(f"e{number}", day(0), cluster=f"u{number}") for number in range(1, 5)]
    judgement = Weighed(opened=frozenset({"u1"}), joined=frozenset({"u1", "u2"}), followed={"u3": "u1"})
    draft = Draft("case-1", access_ids=("e4",), units=("u1", "u2", "u3"))

    (selection,) = case_selections(tables_of(reads, [use(day(-30))]), [draft], judgement).cases

    assert (selection.event_ids, selection.doubtful) == ({"e1", "e3"}, {"e2", "e4"})


def test_what_opens_by_rule_is_as_certain_as_what_opens_by_weight():
    reads = [read(f"e{number}", day(0), cluster=f"u{number}") for number in (1, 2)]
    draft = Draft("case-1", units=("u1", "u2"))
    judgement = Weighed(joined=frozenset({"u1", "u2"}), ruled=frozenset({"u1"}))

    (selection,) = case_selections(tables_of(reads, [use(day(-30))]), [draft], judgement).cases

    assert (selection.event_ids, selection.doubtful) == ({"e1"}, {"e2"})


def test_what_a_finding_about_clusters_cites_beside_the_heavy_ones_is_in_doubt():
    """Both hands of a session are cited, and one of them is its owner's."""
    reads = [read(f"e{number}", day(0), cluster=f"u{number}", ip_class="microsoft") for number in range(1, 7)]
    judgement = Weighed(opened=frozenset({"u1"}), joined=frozenset({"u1", "u2"}))
    both = Found("session.two_hands", [Item(f"e{number}") for number in (1, 2, 3, 4, 6)], units=("u1", "u3", "u4"))
    client = Found("mail_access.first_seen_client", [Item("e4")])
    door = Found("config.open_door", [Item("e5")], units=("u5",))
    access_ids = tuple(row["event_id"] for row in reads)
    draft = Draft(
        "case-1",
        access_ids=access_ids,
        under_ids=frozenset({"e6"}),
        units=("u1", "u2", "u3", "u4", "u5", "u6"),
        findings=[both, client, door],
    )

    (selection,) = case_selections(tables_of(reads, []), [draft], judgement).cases
    (unweighed,) = case_selections(tables_of(reads, []), [draft]).cases

    assert (selection.event_ids, selection.doubtful) == ({"e1", "e2", "e4", "e5", "e6"}, {"e3"})
    assert (unweighed.event_ids, unweighed.doubtful) == (set(access_ids), frozenset())


def test_what_a_finding_about_a_session_cites_beside_the_heavy_clusters_is_in_doubt_though_it_names_none():
    """To and fro between two networks: one of the two is the owner's."""
    reads = [read(f"e{number}", day(0), cluster=f"u{number}", ip_class="microsoft") for number in range(1, 5)]
    judgement = Weighed(opened=frozenset({"u1"}), joined=frozenset({"u1", "u2"}))
    fro = Found("session.two_hands", [Item(f"e{number}") for number in range(1, 5)], family="session")
    client = Found("mail_access.first_seen_client", [Item("e4")])
    access_ids = tuple(row["event_id"] for row in reads)
    draft = Draft("case-1", access_ids=access_ids, units=("u1", "u2"), findings=[fro, client])

    (selection,) = case_selections(tables_of(reads, []), [draft], judgement).cases

    assert (selection.event_ids, selection.doubtful) == ({"e1", "e2", "e4"}, {"e3"})


def test_without_a_judgement_nothing_is_heavy():
    reads = [read("e1", day(0)), read("e2", day(0), address=ELSEWHERE)]
    draft = Draft("case-1", access_ids=("e1", "e2", "no-mailbox"), units=("e1",))

    (selection,) = case_selections(tables_of(reads, [use(day(-30))]), [draft]).cases

    assert (selection.event_ids, selection.doubtful) == ({"e2", "no-mailbox"}, {"e1"})


def test_what_is_certain_in_one_case_is_certain_in_all_together():
    reads = [read("e1", day(0)), read("e2", day(0))]
    drafts = [
        Draft("case-1", access_ids=("e1", "e2"), first_at=day(-30)),
        Draft("case-2", access_ids=("e1",), mailboxes=(BOB,)),
    ]
    tables = tables_of(reads, [use(day(-31))])

    found = case_selections(tables, drafts)

    assert [(case.event_ids, case.doubtful) for case in found.cases] == [({"e1", "e2"}, set()), (set(), {"e1"})]
    assert (found.together.event_ids, found.together.doubtful) == ({"e1", "e2"}, set())
    assert found.together.mailboxes == {ALICE, BOB}
    assert found.access_ids == {"e1", "e2"}


def test_no_case_is_an_empty_selection():
    found = case_selections(EMPTY, [])

    assert (found.cases, found.access_ids) == ((), frozenset())


def test_a_case_carries_the_rules_and_the_changes_that_its_findings_cite():
    change = {
        "event_id": "c1",
        "occurred_at": T0,
        "change": "mailbox_forwarding",
        "operation_key": "set-mailbox",
        "actor_key": ALICE,
        "target_key": "alice",
        "destinations": ["x@evil.example"],
    }
    tables = tables_of([], []) | {"config_changes": ibis.memtable(arrow_table("config_changes", [change]))}
    drafts = [
        Draft("case-1", findings=[Found("config.mailbox_forwarding", [Item("c1")]), Found("sign_in.x", [Item("c2")])]),
        Draft("case-2"),
    ]

    first, second = case_selections(tables, drafts).cases

    assert first.changes == {"c1"}
    assert [(rule.event_ids, rule.mailboxes, rule.destinations) for rule in first.forwardings] == [
        (("c1",), {ALICE}, {"x@evil.example"})
    ]
    assert (second.changes, second.forwardings) == (frozenset(), ())
