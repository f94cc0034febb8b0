"""What changes of configuration, permission, application, role and account become."""

from __future__ import annotations

import pytest

from audit_records import ID, cmdlet, directory
from brokenseal import schema
from brokenseal.sources.unified_audit import SOURCE
from change_records import CHANGES, NO_CHANGES


def rows(record):
    return SOURCE.normalise(record)


@pytest.mark.parametrize(("record", "expected"), CHANGES.values(), ids=CHANGES)
def test_changes(record, expected):
    (change,) = rows(record)["config_changes"]

    assert {name: change.get(name) for name in expected} == expected


def test_every_kind_of_change_is_declared_and_made():
    declared = next(column.meaning for column in schema.CONFIG_CHANGE.columns if column.name == "change")
    made = {expected["change"] for _, expected in CHANGES.values() if "change" in expected}

    assert made == set(declared.replace(" or other", ", other").split(", "))


def test_one_cmdlet_can_make_several_changes():
    record = cmdlet(
        "Set-Mailbox",
        {
            "Identity": "Adele",
            "ForwardingSmtpAddress": "m@evil.example",
            "AuditEnabled": "False",
            "GrantSendOnBehalfTo": "Mallory;Trent",
        },
    )

    found = rows(record)

    assert [(row["change"], row.get("grantee")) for row in found["config_changes"]] == [
        ("mailbox_forwarding", None),
        ("send_on_behalf", "Mallory"),
        ("send_on_behalf", "Trent"),
        ("mailbox_audit_disabled", None),
    ]
    assert len(found["change_settings"]) == 4


@pytest.mark.parametrize("record", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_no_change_of_interest_stays_an_event(record):
    assert set(rows(record)) == {"events"}


def test_settings_are_decoded():
    record = directory("Set domain authentication.", ("LiveType", '[\r\n  "Federated"\r\n]'), ("Many", '["a", "b"]'))
    record["ModifiedProperties"][0]["OldValue"] = '"Managed"'
    record["ModifiedProperties"].append("text, as mailbox records have it")

    assert rows(record)["change_settings"] == [
        {
            "event_id": ID.lower(),
            "name": "LiveType",
            "name_key": "livetype",
            "new_value": "Federated",
            "old_value": "Managed",
        },
        {"event_id": ID.lower(), "name": "Many", "name_key": "many", "new_value": '["a","b"]', "old_value": None},
    ]


def test_hostile_parameters_are_read_in_linear_time():
    rule = cmdlet("New-InboxRule", {"ForwardTo": "a" * 2_000_000 + "@", "Name": "[AppId=" * 200_000})

    (change,) = rows(rule | {"ClientInfoString": "Client=OWA;" + "[AppId=" * 200_000})["config_changes"]

    assert change["external_destinations"] == []
