"""Chains of doors against a plain reference made of the doors and their uses, and what is just no chain."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.detectors import door_chain, open_door
from detector_references_doors import START, add_doors
from detector_runner import Runner
from detector_worlds import World

APP = "5a95e683-08ad-424e-a441-1d1aec52c02c"
DAY = dt.timedelta(days=20)


def row(event_id, after_s, **columns):
    return {"event_id": event_id, "occurred_at": START + DAY + dt.timedelta(seconds=after_s), "tenant_id": "t",
            "client_ip": "8.8.8.8", "ip_class": "public", **columns}  # fmt: skip


def world(grant_s=0, key_s=60, read_s=120, key_app=APP):
    change = {"actor_key": "admin@corp.example", "succeeded": True}
    grant = row("grant", grant_s, change="app_role_grant", rights=["Mail.Read"], changed_app_id=APP, **change)
    key = row("key", key_s, change="app_credential", changed_app_id=key_app, **change)
    read = row("read", read_s, mailbox_key="m", actor_key="app", effective_app=APP, protocol="rest", session_id="s")
    return {"config_changes": [grant, key], "mail_accesses": [read]}


def reference(doors, uses, reads):
    """Every pair of a grant and a key that one session cluster went through, all within the span."""
    by_unit = {door["unit"]: door for door in doors}
    found = set()
    for cluster in {use["cluster"] for use in uses}:
        used = [by_unit[use["unit"]] for use in uses if use["cluster"] == cluster]
        first_read = next(read["occurred_at"] for read in reads if read["event_id"] == cluster)
        for grant in used:
            for key in used:
                times = [grant["occurred_at"], key["occurred_at"], first_read]
                near = (max(times) - min(times)).total_seconds() <= door_chain.SPAN_S
                if (
                    grant["kind"] in door_chain.GRANTS
                    and key["kind"] == "credential"
                    and near
                    and first_read >= min(times[:2])
                ):
                    found |= {("grant", grant["unit"], cluster), ("credential", key["unit"], cluster)}
    return found


def test_chains_are_all_grants_and_keys_that_one_cluster_went_through_at_once():
    run, run_doors, run_uses = (
        Runner(function, open_door.READS) for function in (door_chain.find, open_door.doors, open_door.uses)
    )
    seen = 0

    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed):
        nonlocal seen
        generator = random.Random(seed)
        rows = World(generator)
        add_doors(rows)
        rows = dict(rows.rows)
        extra = world(read_s=generator.choice((30, 120, 840, 1000)))
        merged = {name: [*rows.get(name, ()), *extra.get(name, ())] for name in {*rows, *extra}}
        expected = reference(run_doors(merged), run_uses(merged), merged["mail_accesses"])
        hits = run(merged)
        assert {(hit["role"], hit["event_id"], hit["unit"]) for hit in hits if hit["role"] != "read"} == expected
        assert {hit["unit"] for hit in hits if hit["role"] == "read"} == {unit for _, _, unit in expected}
        seen += len(expected)

    check()
    assert seen, "no world held a chain"


@pytest.mark.parametrize(
    "changed",
    [
        {"key_s": 901, "read_s": 950},
        {"read_s": 901},
        {"grant_s": 400, "key_s": 500, "read_s": 100},
        {"key_app": "11111111-1111-4111-8111-111111111111"},
    ],
    ids=["a late key", "a late read", "reading before either", "the key of another application"],
)
def test_what_is_no_chain(changed):
    run = Runner(door_chain.find, open_door.READS)
    assert {hit["role"] for hit in run(world())} == {"grant", "credential", "read"}
    assert not run(world(**changed))
