"""What was usual in a mailbox, who else uses a client and how rare it is: equal to a plain count."""

from __future__ import annotations

import random

import pytest

from brokenseal.detectors import strange_volume, stranger_client
from explain_world import LINUX, TENANT, WINDOWS, at, explained, read

PEOPLE = [f"p{number}" for number in range(5)]
ADDRESSES = ("9.9.9.9", "8.8.8.8", "7.7.7.7")
UNITS = 6


def world(seed=3):
    generator = random.Random(seed)
    reads, items = [], []
    for day in range(40):
        for who in PEOPLE:
            for part in range(generator.choice((0, 1, 2))):
                place = PEOPLE.index(who) % len(ADDRESSES) if generator.random() < 0.9 else 2
                event_id = f"e-{day:02}-{who}-{part}"
                reads.append(
                    read(
                        event_id, at(day, hours=8 + part, seconds=generator.randrange(600)), who,
                        client_ip=ADDRESSES[place], user_agent=generator.choice((WINDOWS, WINDOWS, LINUX)),
                        effective_app=generator.choice(("app-a", "app-a", "app-a", "app-b")),
                        session_id=f"session-{event_id}", protocol="rest",
                    )
                )  # fmt: skip
                items += [
                    {
                        "event_id": event_id, "occurred_at": reads[-1]["occurred_at"], "mailbox_key": f"box-{who}",
                        "kind": "message", "internet_message_id": f"<{generator.randrange(40)}@x>",
                        "folder_path": generator.choice(("\\Inbox", "\\Sent")),
                    }
                    for _ in range(generator.choice((1, 2, 5)))
                ]  # fmt: skip
    # Somebody else's new telephone, and two visits of an unknown program, before the unit.
    reads += [
        read(
            f"odd-{who}", at(30, hours=1), who, client_ip=f"55.5.{who[1]}.5", user_agent=LINUX,
            effective_app=f"app-{who}", session_id=f"session-odd-{who}", protocol="rest",
        )
        for who in ("p0", "p3", "p4")
    ]  # fmt: skip
    items += [
        {"event_id": f"odd-{who}", "occurred_at": at(30, hours=1), "mailbox_key": f"box-{who}", "kind": "message",
         "internet_message_id": f"<odd{number}@x>", "folder_path": "\\Inbox"}
        for who in ("p0", "p3") for number in range(4)
    ]  # fmt: skip
    reads += [
        read(
            f"strange-{number}", at(41, minutes=number), "p0", client_ip="66.6.6.6", user_agent=LINUX,
            effective_app="app-x", session_id="session-x", protocol="rest", access_type="sync" if number else "bind",
            folder_path="\\Inbox" if number else None,
        )
        for number in range(3)
    ]  # fmt: skip
    items += [
        {"event_id": "strange-0", "occurred_at": at(41), "mailbox_key": "box-p0", "kind": "message",
         "internet_message_id": f"<new{number % 7}@x>", "folder_path": "\\Inbox"}
        for number in range(9)
    ]  # fmt: skip
    return {"mail_accesses": reads, "accessed_items": items}


@pytest.fixture(scope="module")
def found():
    rows = world()
    late = sorted((row["occurred_at"], row["event_id"]) for row in rows["mail_accesses"] if row["event_id"][0] == "e")
    units = ["strange-0", *(event_id for _, event_id in late[-UNITS:])]
    explanation, marks, clusters = explained(rows, units, [stranger_client.DETECTOR, strange_volume.DETECTOR])
    return explanation, marks, clusters, rows


def before(clusters, unit):
    """Session clusters of the tenant that began before this one."""
    own = clusters[unit]
    return [row for row in clusters.values() if (row["first_at"], row["cluster"]) < (own["first_at"], own["cluster"])]


def test_usual_clients_are_those_of_the_mailbox_before_with_their_counts(found):
    explanation, _, clusters, _ = found
    assert len(explanation.units) == UNITS + 1
    for unit in explanation.units:
        own = clusters[unit.unit]
        held = {}
        for row in before(clusters, unit.unit):
            if row["mailbox_key"] == own["mailbox_key"]:
                held.setdefault((row["app"], row["network"], row["agent"]), []).append(row)
        expected = {
            client: (len(rows), len({row["first_at"].date() for row in rows}), min(row["first_at"] for row in rows),
                     max(row["last_at"] for row in rows))
            for client, rows in held.items()
        }  # fmt: skip
        told = {
            (each.app, each.network, each.agent): (each.clusters, each.days, each.first_at, each.last_at)
            for each in unit.client.usual
        }
        assert unit.client.n_usual == len(expected)
        assert told.items() <= expected.items()
        assert [each.days for each in unit.client.usual] == sorted(
            (days for _, days, *_ in told.values()), reverse=True
        )
        assert sum(each.is_this for each in unit.client.usual) <= 1


def test_peers_and_the_first_day_in_the_tenant_are_counted_before_the_unit(found):
    explanation, _, clusters, _ = found
    for unit in explanation.units:
        own = clusters[unit.unit]
        for part in unit.client.parts:
            names = ("app", "network", "agent") if part.part == "client" else (part.part,)
            same = [row for row in before(clusters, unit.unit) if all(row[name] == own[name] for name in names)]
            assert part.peers == len({row["mailbox_key"] for row in same} - {own["mailbox_key"]})
            assert part.mailbox_clusters == sum(row["mailbox_key"] == own["mailbox_key"] for row in same)
            assert part.tenant_since == min((row["first_at"] for row in same), default=None)


def test_the_surprisal_is_that_of_the_detector_and_the_sum_of_its_parts(found):
    explanation, marks, _, _ = found
    strange = explanation.units[0].client
    app, network, agent, whole = (part.millinats for part in strange.parts)
    assert abs(app + network + agent - whole) <= 2
    fired = {row["unit"]: row["bin"] for row in marks[stranger_client.ID] if row["state"] == "fired"}
    assert fired["strange-0"] == "22+"
    assert whole >= 22_000
    assert strange.since_days is None
    assert strange.parts[0].tenant_since is None
    since = min(row["first_at"] for row in found[2].values() if row["mailbox_key"] == "box-p0")
    assert (strange.history_days, strange.tenant_days) == ((at(41) - since).days, 40)


def test_addresses_and_agents_are_those_of_the_records(found):
    strange = found[0].units[0].client
    assert [(each.text, each.records) for each in strange.addresses] == [("66.6.6.6", 3)]
    assert [(each.text, each.records) for each in strange.agents] == [(LINUX, 3)]


def test_volume_counts_messages_and_folders_apart(found):
    explanation, marks, _, rows = found
    side = explanation.units[0].volume
    assert (side.certain, side.busiest_new) == (7, 7)
    assert (side.binds, side.syncs, side.unnamed, side.is_throttled) == (1, 2, 0, False)
    assert (side.folders, side.synced) == (("\\Inbox",), ("\\Inbox",))
    assert {row["unit"]: row["bin"] for row in marks[strange_volume.ID]}["strange-0"] == "sync_folder"
    for unit in explanation.units:
        named = {
            item["internet_message_id"] for item in rows["accessed_items"]
            if item["event_id"] == unit.unit or (unit.unit == "strange-0" and item["event_id"].startswith("strange"))
        }  # fmt: skip
        assert unit.volume.certain == len(named)


def test_what_strange_clients_read_before_is_counted_by_mailbox_and_tenant(found):
    explanation, marks, clusters, _ = found
    strange = {row["unit"] for row in marks[stranger_client.ID] if row["state"] == "fired"}
    bins = {row["unit"]: row["bin"] for row in marks[strange_volume.ID] if row["state"] == "fired"}
    for unit in explanation.units:
        own = clusters[unit.unit]
        earlier = [row for row in before(clusters, unit.unit) if row["cluster"] in strange]
        for side, rows in (
            (unit.volume.of_mailbox, [row for row in earlier if row["mailbox_key"] == own["mailbox_key"]]),
            (unit.volume.of_tenant, [row for row in earlier if row["mailbox_key"] != own["mailbox_key"]]),
        ):
            assert side.units == len(rows)
            assert sum(side.bins.values()) == sum(row["cluster"] in bins for row in rows)
    side = explanation.units[0].volume
    assert (side.of_mailbox.units, side.of_mailbox.busiest, side.of_mailbox.bins) == (1, 4, {"3-5": 1})
    assert (side.of_tenant.units, side.of_tenant.busiest, side.of_tenant.bins) == (2, None, {"3-5": 1})


def test_the_past_of_other_tenants_is_nobodys_peer():
    rows = world()
    rows["mail_accesses"] += [
        {**row, "event_id": f"t2-{row['event_id']}", "tenant_id": "t2", "effective_app": "app-x"}
        for row in rows["mail_accesses"]
        if row["event_id"].startswith("e-0")
    ]
    found, _, _ = explained(rows, ["strange-0"], [stranger_client.DETECTOR])
    assert found.units[0].client.parts[0].peers == 0
    assert rows["mail_accesses"][0]["tenant_id"] == TENANT
