"""A door with what was there before, who went through it and when, and whether it was closed again."""

from __future__ import annotations

import pytest

from brokenseal.detectors import open_door
from explain_world import TENANT, at, explained, read

OPENED = at(20, hours=9)


def change(event_id, when, name="mailbox_permission", **columns):
    return {
        "event_id": event_id, "occurred_at": when, "tenant_id": TENANT, "change": name,
        "operation": "Add-MailboxPermission", "operation_key": "add-mailboxpermission", "actor": "Root@corp.example",
        "actor_key": "root@corp.example", "target": "Ann@corp.example", "target_key": "ann@corp.example",
        "grantee": "Eve@corp.example", "grantee_key": "eve@corp.example", "rights": ["FullAccess"],
        "client_ip": "9.9.9.9", "ip_class": "public", "succeeded": True, "object_id": "ann", **columns,
    }  # fmt: skip


def world():
    reads = [read(f"ann-{day}", at(day), "ann", session_id=f"a-{day}") for day in range(25)]
    reads += [
        read(
            f"eve-{number}", at(20 + number, hours=10), "ann", actor_key="eve@corp.example", token_subject="oid-eve",
            session_id=f"e-{number}", logon_type=2,
        )
        for number in range(3)
    ]  # fmt: skip
    removal = change(
        "removal", at(24), operation="Remove-MailboxPermission", operation_key="remove-mailboxpermission",
    )  # fmt: skip
    changes = [change("door", OPENED), removal, change("earlier", at(3), grantee_key="tom@corp.example")]
    names = (
        "event_id",
        "occurred_at",
        "tenant_id",
        "operation_key",
        "actor_key",
        "succeeded",
        "object_id",
        "client_ip",
    )
    return {
        "mail_accesses": reads,
        "config_changes": changes,
        "events": [{name: row[name] for name in names} for row in changes],
        "change_settings": [
            {"event_id": "door", "name": "User", "name_key": "user", "new_value": "eve", "old_value": None},
            {"event_id": "door", "name": "AccessRights", "name_key": "accessrights", "new_value": "FullAccess",
             "old_value": "ReadPermission"},
            {"event_id": "removal", "name": "User", "name_key": "user", "new_value": "eve", "old_value": None},
        ],
    }  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return explained(world(), ["eve-1"], [open_door.DETECTOR], doors=["door"])


def test_a_door_is_told_as_its_record_tells_it(found):
    explanation, marks, _ = found
    (door,) = explanation.units[1].door.doors
    assert (door.event_id, door.kind, door.operation) == ("door", "mailbox_right", "Add-MailboxPermission")
    assert (door.actor, door.target, door.grantee) == ("Root@corp.example", "Ann@corp.example", "Eve@corp.example")
    assert (door.client_ip, door.network, door.rights, door.app_id) == ("9.9.9.9", "net:9.9", ("FullAccess",), None)
    said = {row["unit"]: row["bin"] for row in marks[open_door.ID]}["door"]
    assert (door.bin, door.meaning) == (said, open_door.DETECTOR.bins[said])


def test_what_was_there_before_stands_first(found):
    (door,) = found[0].units[1].door.doors
    assert [(each.name, each.old, each.new) for each in door.before] == [
        ("AccessRights", "ReadPermission", "FullAccess"),
        ("User", None, "eve"),
    ]
    assert door.n_before == 2


def test_the_chain_runs_from_opening_through_use_to_removal(found):
    (door,) = found[0].units[1].door.doors
    assert [(step.what, step.event_id, step.after_s, step.in_case) for step in door.chain] == [
        ("opened", "door", 0, False),
        ("used", "eve-0", 3600, False),
        ("used", "eve-1", 25 * 3600, True),
        ("used", "eve-2", 49 * 3600, False),
        ("removed", "removal", round((at(24) - OPENED).total_seconds()), False),
    ]
    assert door.n_uses == 3
    assert door.chain[1].actor == "eve@corp.example"
    assert door.chain[1].mailbox == "ann@corp.example"


def test_the_reading_that_went_through_names_the_same_door(found):
    through = found[0].units[0].door
    assert through.n_doors == 1
    assert through.doors == found[0].units[1].door.doors


def test_a_unit_that_is_a_door_has_no_client_and_no_token(found):
    unit = found[0].units[1]
    assert unit.is_door
    assert (unit.token, unit.client, unit.volume, unit.session) == (None, None, None, None)


def test_many_uses_keep_those_of_the_case():
    rows = world()
    rows["mail_accesses"] += [
        read(
            f"more-{number:02}", at(20, hours=11, minutes=number), "ann", actor_key="eve@corp.example",
            session_id=f"more-{number}", token_subject="oid-eve", logon_type=2,
        )
        for number in range(12)
    ]  # fmt: skip
    found, _, _ = explained(rows, ["eve-2"], [open_door.DETECTOR])
    (door,) = found.units[0].door.doors
    assert door.n_uses == 15
    assert "eve-2" in {step.event_id for step in door.chain}
    assert sum(step.what == "used" for step in door.chain) == 6
