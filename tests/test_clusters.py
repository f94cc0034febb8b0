"""Session clusters against a plain reference, and where they begin and end."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import clusters
from detector_runner import Runner
from support import TABLES, make_tables

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36 Edg/120.0"
RUN = Runner(clusters.members, ("mail_accesses", "sign_ins"))


def access(number, *, hours=0.0, **columns):
    return {
        "event_id": f"e{number:03d}",
        "occurred_at": START + dt.timedelta(hours=hours),
        "tenant_id": "t",
        "mailbox_key": "m1",
        "mailbox_upn": "ann@corp.example",
        "actor_key": "ann@corp.example",
        "client_ip": "9.9.9.9",
        "ip_class": "public",
        "protocol": "owa",
        "effective_app": "app-1",
        "session_id": "s1",
        "access_type": "bind",
        "item_entries": 1,
        **columns,
    }


def found(accesses, sign_ins=()):
    rows = RUN({"mail_accesses": accesses, "sign_ins": sign_ins})
    return {row["event_id"]: row["cluster"] for row in rows}


def test_a_pause_of_twelve_hours_does_not_end_a_cluster_and_a_longer_one_does():
    assert found([access(1), access(2, hours=12), access(3, hours=24.001)]) == {
        "e001": "e001",
        "e002": "e001",
        "e003": "e003",
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"mailbox_key": "m2"},
        {"actor_key": "bob@corp.example"},
        {"session_id": "s2"},
        {"client_ip": "8.8.8.8"},
        {"tenant_id": "other"},
    ],
)
def test_another_mailbox_identity_session_network_or_tenant_is_another_cluster(columns):
    assert found([access(1), access(2, hours=1, **columns)]) == {"e001": "e001", "e002": "e002"}


def test_without_a_session_the_client_tells_clusters_apart():
    alone = {"session_id": None}
    same = found([access(1, **alone), access(2, hours=1, **alone)])
    assert same == {"e001": "e001", "e002": "e001"}
    other = found([access(1, **alone), access(2, hours=1, **alone, user_agent=EDGE)])
    assert other == {"e001": "e001", "e002": "e002"}


def test_addresses_of_one_operator_are_one_network_and_neighbours_take_its_number():
    sign_ins = [
        {"event_id": "g1", "client_ip": "9.9.9.9", "asn": 64500},
        {"event_id": "g2", "client_ip": "8.8.8.8", "asn": 64500},
    ]
    accesses = [access(1), access(2, hours=1, client_ip="8.8.8.77")]
    assert found(accesses, sign_ins) == {"e001": "e001", "e002": "e001"}
    networks = {row["network"] for row in RUN({"mail_accesses": accesses, "sign_ins": sign_ins})}
    assert networks == {"asn:64500"}


def test_microsofts_addresses_are_one_network():
    accesses = [
        access(1, client_ip="2603:10a6::1", ip_class="microsoft"),
        access(2, client_ip="20.1.1.1", ip_class="microsoft"),
    ]
    assert {row["network"] for row in RUN({"mail_accesses": accesses})} == {"MS"}


def test_one_row_per_cluster_counts_what_it_holds():
    tables = make_tables(
        {
            "mail_accesses": [
                access(1, folder_path="Inbox", item_entries=3),
                access(2, hours=1, access_type="sync", folder_path="Sent", item_entries=None, is_throttled=True),
                access(3, hours=30),
            ]
        }
    )
    rows = clusters.clusters(clusters.members(tables)).order_by("cluster").to_pyarrow().to_pylist()
    assert [
        (row["cluster"], row["records"], row["binds"], row["syncs"], row["entries"], row["folders"]) for row in rows
    ] == [
        ("e001", 2, 1, 1, 3, 2),
        ("e003", 1, 1, 0, 1, 0),
    ]
    assert [row["is_throttled"] for row in rows] == [True, False]


def reference(accesses):
    """Clusters the obvious way."""
    groups = defaultdict(list)
    for row in {row["event_id"]: row for row in accesses}.values():
        net = ".".join(row["client_ip"].split(".")[:2])
        hand = row["session_id"] or (row["effective_app"], row["protocol"], row.get("user_agent"))
        groups[row["mailbox_key"], row["actor_key"], hand, net].append(row)
    result = {}
    for rows in groups.values():
        begun = last = None
        for row in sorted(rows, key=lambda row: (row["occurred_at"], row["event_id"])):
            if last is None or row["occurred_at"] - last > dt.timedelta(hours=12):
                begun = row["event_id"]
            result[row["event_id"]] = begun
            last = row["occurred_at"]
    return result


ROWS = st.lists(
    st.tuples(
        st.sampled_from((0, 0.1, 6, 11.9, 12, 12.1, 24, 30, 36.2)),
        st.sampled_from(("m1", "m2")),
        st.sampled_from(("a", "b")),
        st.sampled_from((None, "s1", "s2")),
        st.sampled_from(("9.9.9.9", "9.9.1.1", "8.8.8.8")),
        st.sampled_from((None, EDGE)),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_clusters_are_those_of_the_plain_reference_in_any_order(drawn, random):
    accesses = [
        access(n, hours=hours, mailbox_key=mailbox, actor_key=actor, session_id=session, client_ip=ip, user_agent=agent)
        for n, (hours, mailbox, actor, session, ip, agent) in enumerate(drawn)
    ]
    shuffled = [*accesses, *accesses[:2]]
    random.shuffle(shuffled)
    assert found(shuffled) == reference(accesses)


def test_members_and_clusters_compile_for_spark():
    tables = {name: ibis.table(table.ibis_schema(), name=name) for name, table in TABLES.items()}
    rows = clusters.members(tables)
    assert "mail_accesses" in ibis.to_sql(clusters.clusters(rows), dialect="pyspark")
