"""Strange clients whose tokens mostly have no sign-in, on one day and on several."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.detectors._orphaned_again import orphaned_again

BEGIN = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
JUDGED = pa.schema({
    "event_id": pa.string(), "token_id": pa.string(), "token_issued_at": pa.timestamp("us", tz="UTC"),
    "is_issued": pa.bool_(), "reason": pa.string(),
})  # fmt: skip
MEMBERS = pa.schema({"event_id": pa.string(), "cluster": pa.string()})
CLUSTERS = pa.schema({
    "cluster": pa.string(), "tenant_id": pa.string(), "mailbox_key": pa.string(), "app": pa.string(),
    "network": pa.string(), "agent": pa.string(), "first_at": pa.timestamp("us", tz="UTC"),
})  # fmt: skip


def cluster(name, days, *, hand="new", mailbox="m1", tenant="t"):
    """A cluster that began so many days after the first of its mailbox."""
    return {
        "cluster": name, "tenant_id": tenant, "mailbox_key": mailbox, "app": hand, "network": "MS", "agent": "x",
        "first_at": BEGIN + days * DAY,
    }  # fmt: skip


def read(of, token, hours, *, is_issued=False, reason=None):
    """A read of a cluster; the hours after day 20 are when its token was issued."""
    at = None if hours is None else BEGIN + 20 * DAY + hours * HOUR
    return {"cluster": of, "token_id": token, "token_issued_at": at, "is_issued": is_issued, "reason": reason}


def found(clusters, reads):
    """The clusters, as the engine says; every one with a read that lacks its sign-in is asked for."""
    rows = [{"event_id": str(number), **each} for number, each in enumerate(reads)]
    asked = sorted({each["cluster"] for each in reads if not each["is_issued"]})
    tables = [
        pa.table({"unit": pa.array(asked, pa.string())}),
        pa.Table.from_pylist(rows, JUDGED),
        pa.Table.from_pylist(rows, MEMBERS),
        pa.Table.from_pylist(clusters, CLUSTERS),
    ]
    rows = orphaned_again(*map(ibis.memtable, tables)).to_pyarrow().to_pylist()
    units = {row["again_unit"] for row in rows}
    assert len(units) == len(rows)
    place_of = {
        each["cluster"]: ((each["tenant_id"] or "", each["mailbox_key"]), each["first_at"]) for each in clusters
    }
    for row in rows:
        place = place_of[row["again_unit"]][0]
        beside = [(place_of[unit][1], unit) for unit in units if place_of[unit][0] == place]
        assert (row["again_mailbox"], row["first_unit"]) == (place[1], min(beside)[1])
    return units


def plainly(clusters, reads):
    """The same, one cluster and one record after the other."""
    mailbox_of = {each["cluster"]: (each["tenant_id"] or "", each["mailbox_key"]) for each in clusters}
    hand_of = {each["cluster"]: (*mailbox_of[each["cluster"]], each["app"]) for each in clusters}
    begun = {}
    for each in clusters:
        for key in (mailbox_of[each["cluster"]], hand_of[each["cluster"]]):
            begun[key] = min(begun.get(key, each["first_at"]), each["first_at"])
    places = defaultdict(list)
    for each in clusters:
        name = each["cluster"]
        start = begun[hand_of[name]]
        if start - begun[mailbox_of[name]] < 14 * DAY or each["first_at"] - start > 14 * DAY:
            continue
        own = [one for one in reads if one["cluster"] == name and one["reason"] is None]
        missing = {one["token_id"] for one in own if not one["is_issued"]}
        if len(missing) > len({one["token_id"] for one in own if one["is_issued"]}):
            places[mailbox_of[name]].append((name, [one for one in own if not one["is_issued"]]))
    units = set()
    for own in places.values():
        lost = [one for _, each in own for one in each]
        times = [one["token_issued_at"] for one in lost if one["token_issued_at"]]
        if len({one["token_id"] for one in lost}) >= 3 and max(times, default=BEGIN) - min(times, default=BEGIN) >= DAY:
            units |= {name for name, _ in own}
    return units


HABIT = cluster("habit", 0, hand="habit")
TWO = [HABIT, cluster("c1", 20), cluster("c2", 21)]
FIRST, SECOND = read("c1", "forged1", 0), read("c1", "forged2", 1)


@pytest.mark.parametrize(
    ("clusters", "reads", "units"),
    [
        (TWO, [FIRST, SECOND, read("c2", "forged3", 24)], {"c1", "c2"}),
        (TWO, [FIRST, SECOND, read("c1", "forged3", 24)], {"c1"}),
        (TWO, [FIRST, SECOND, read("c2", "forged3", 23)], set()),
        # Two lost lines, however often their tokens are used.
        (TWO, [FIRST, read("c2", "forged2", 24)], set()),
        (TWO, [FIRST, SECOND, read("c2", "forged1", 0), read("c2", "forged2", 24)], set()),
        # A new telephone that loses lines, and has others.
        (
            TWO,
            [
                FIRST,
                SECOND,
                *(read("c1", f"issued{number}", number, is_issued=True) for number in range(2)),
                read("c2", "lost", 24),
                read("c2", "issued", 25, is_issued=True),
            ],
            set(),
        ),
        (TWO, [FIRST, SECOND, read("c2", "lost", 24), read("c2", "b", 25, is_issued=True)], set()),
        (TWO, [FIRST, SECOND, read("c2", "forged3", 24, reason="too_recent")], set()),
        (TWO, [FIRST, SECOND, read("c2", "forged3", None)], set()),
        # Another hand of the same mailbox, and the same of another.
        (
            [HABIT, cluster("c1", 20), cluster("c2", 21, hand="other")],
            [FIRST, SECOND, read("c2", "f", 24)],
            {"c1", "c2"},
        ),
        ([HABIT, cluster("c1", 20), cluster("c2", 21, mailbox="m2")], [FIRST, SECOND, read("c2", "f", 24)], set()),
        ([HABIT, cluster("c1", 20), cluster("c2", 21, tenant="u")], [FIRST, SECOND, read("c2", "f", 24)], set()),
        # A hand that was there from the beginning, in a mailbox with little history, and one that is new no more.
        ([HABIT, cluster("c1", 20, hand="habit"), cluster("c2", 21)], [FIRST, SECOND, read("c2", "f", 24)], set()),
        ([cluster("c1", 20), cluster("c2", 21)], [FIRST, SECOND, read("c2", "f", 24)], set()),
        ([HABIT, cluster("c1", 20), cluster("c2", 35)], [FIRST, SECOND, read("c2", "f", 24)], set()),
        ([], [], set()),
    ],
)
def test_three_missing_tokens_a_day_apart(clusters, reads, units):
    assert found(clusters, reads) == units == plainly(clusters, reads)


NAMES = ("c1", "c2", "c3", "c4")


def worlds():
    """A few clusters of two mailboxes, and reads of them."""
    hands, mailboxes, tenants = st.sampled_from(["a", "b"]), st.sampled_from(["m1", "m2"]), st.sampled_from(["t", None])
    of = {
        name: st.builds(
            lambda days, hand, mailbox, tenant, name=name: cluster(
                name, days, hand=hand, mailbox=mailbox, tenant=tenant
            ),
            st.sampled_from([0, 14, 20, 28, 40]), hands, mailboxes, tenants,
        )
        for name in NAMES
    }  # fmt: skip
    one = st.builds(
        lambda of, token, hours, is_issued, reason: read(of, token, hours, is_issued=is_issued, reason=reason),
        st.sampled_from(NAMES),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([None, 0, 1, 20, 24, 25, 60]),
        st.booleans(),
        st.sampled_from([None, None, None, "too_recent"]),
    )
    return st.tuples(st.tuples(*of.values()).map(list), st.lists(one, max_size=10))


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_the_engine_says_what_a_loop_over_records_says(world):
    clusters, reads = world
    assert found(clusters, reads) == plainly(clusters, reads)
