"""Changes by administrators must be read as columns as they are read one by one, whatever is odd about them."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brokenseal._ingest_segments
import columnar_runner
from audit_records import cmdlet, directory
from brokenseal.sources._audit_cmdlets import CMDLETS
from brokenseal.sources._audit_columnar_changes import AS_COLUMNS, ONE_BY_ONE
from brokenseal.sources._audit_directory import DIRECTORY_OPERATIONS
from change_records import CHANGES, NO_CHANGES

ORDINARY = [*(record for record, _ in CHANGES.values()), *NO_CHANGES.values()]
NAMED = [{"Name": "Identity", "Value": "adele"}, {"Name": "ForwardingSmtpAddress", "Value": "m@evil.example"}]
APP_TARGET = [{"ID": "rnicrosoft", "Type": 1}, {"ID": "Adele@contoso.example", "Type": 5}]


def mailbox(parameters, **given):
    return cmdlet("Set-Mailbox", {}, **given) | {"Parameters": parameters}


def member(**given):
    return directory("Add member to role.", ("Role.DisplayName", "Global Administrator"), **given)


# What is told by the record alone, so that it goes one by one.
ODD = {
    "a number among the values": mailbox([*NAMED, {"Name": "ProhibitSendQuota", "Value": 1.50}]),
    "a number that no float holds": mailbox([*NAMED, {"Name": "Size", "Value": 12345678901234567890123}]),
    "a list among the values": mailbox([*NAMED, {"Name": "GrantSendOnBehalfTo", "Value": ["Mallory", 1]}]),
    "an entry that is null": mailbox([None, *NAMED]),
    "an entry that is text": mailbox([*NAMED, "Identity"]),
    "parameters as an object": mailbox({"Identity": "adele", "AuditEnabled": False}),
    "parameters lost": mailbox("System.Object[]"),
    "parameters of PowerShell": mailbox(["@{Name=Identity; Value=adele}", "@{Name=AuditEnabled; Value=False}"]),
    "one parameter of PowerShell": mailbox("@{Name=AuditEnabled; Value=False}"),
    "a quoted text": mailbox('"[]"'),
    "a list behind a blank": mailbox(" " + json.dumps(NAMED)),
    "half a list": mailbox(json.dumps(NAMED)[:-3]),
    "organisation an object": mailbox(NAMED, OrganizationName={"a": "contoso.example"}),
    "a target with a line break": member(Target=[{"ID": "a\n5\tb", "Type": 1}]),
    "a target without a type": member(Target=[{"ID": "Mallory@contoso.example"}]),
    "a target in other letters": member(Target=[{"Id": "Mallory@contoso.example", "Type": 5}]),
    "a target that is null": member(Target=[None, *APP_TARGET]),
    "a target with an object for id": member(Target=[{"ID": {"a": 1}, "Id": "Mallory@contoso.example", "Type": 5}]),
    "a target with an empty id": member(Target=[{"ID": "", "Id": "Mallory@contoso.example", "Type": 5}]),
    "a target whose type is no number": member(Target=[{"ID": "Mallory@contoso.example", "Type": "UPN"}]),
    "two blanks in the operation": member(Operation="Add  member to role."),
    "no record type": member(RecordType=None),
    "a change that is a token as well": mailbox(NAMED, RecordType=275),
}
# Unusual, and told by columns all the same.
UNUSUAL = {
    "no parameters": mailbox([]),
    "parameters null": mailbox(None),
    "parameters empty": mailbox(""),
    "parameters a number": mailbox(7),
    "a list as text": mailbox(json.dumps(NAMED, indent=1)),
    "a command line": cmdlet("New-ComplianceSearch", {}) | {"Parameters": '-Name "all mail" -ExchangeLocation All'},
    "a flag among the values": mailbox([*NAMED, {"Name": "AuditEnabled", "Value": False}]),
    "a parameter without value": mailbox([{"Name": "AuditOwner"}, {"Name": "Identity", "Value": None}]),
    "a parameter without name": mailbox([{"Value": "x"}, *NAMED]),
    "a parameter twice": mailbox([*NAMED, {"Name": "identity", "Value": "b"}, {"Name": "Identity", "Value": "c"}]),
    "keys and values": mailbox([{"Key": "Identity", "Value": "adele"}, {"key": "AuditEnabled", "value": "False"}]),
    "letters beyond ASCII": mailbox([{"Name": "Identity", "Value": "İlker\u2028é\u0000\x1f😀"}, *NAMED]),
    "organisation a number": mailbox(NAMED, OrganizationName=7),
    "an actor without a domain": mailbox(NAMED, UserId="S-1-5-18", OrganizationName=None),
    "no actor": mailbox(NAMED, UserId=None),
    "operation with two full stops": member(Operation="Add member to role.."),
    "a flag for a target": member(Target=[{"ID": False, "Type": 1}]),
    "operation in capitals": mailbox(NAMED, Operation=" SET-MAILBOX "),
    "no target": member(Target=[]),
    "types as text": member(Target=[{"ID": "Mallory@contoso.example", "Type": "5"}]),
    "a tab in a target": member(Target=[{"ID": "a\tb", "Type": 5}]),
    "properties as text": member() | {"ModifiedProperties": '[{"Name":"Role.DisplayName","NewValue":"\\"Reader\\""}]'},
    "properties null": member() | {"ModifiedProperties": None},
    "a property that is a flag": member() | {"ModifiedProperties": [{"Name": "Role.DisplayName", "NewValue": True}]},
    "details": directory(
        "Add application.", ExtendedProperties=[{"Name": "additionalDetails", "Value": '{"AppId":"a"}'}]
    ),
}


def own_ids(records):
    """Each record under an id of its own."""
    return [
        json.dumps(record | {"Id": f"6b0e63a5-0000-4000-8000-{number:012x}"})
        for number, record in enumerate(records, start=1)
    ]


def test_every_change_is_read_alike_and_as_columns(tmp_path, monkeypatch):
    lines = own_ids([*ORDINARY, *UNUSUAL.values()])

    one_by_one = columnar_runner.assert_alike(tmp_path, ["\n".join(lines)], monkeypatch)

    in_mailboxes = sum(record["Operation"].lower() in ONE_BY_ONE for record in ORDINARY)
    assert (one_by_one, in_mailboxes) == (in_mailboxes, 2)


@pytest.mark.parametrize("record", ODD.values(), ids=ODD)
def test_what_only_the_record_tells_goes_one_by_one(tmp_path, monkeypatch, record):
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 1)
    texts = ["\n".join(own_ids([mailbox(NAMED), record, member()]))]

    assert columnar_runner.assert_alike(tmp_path, texts, monkeypatch) == 1


def test_every_operation_of_the_builders_is_told_apart():
    assert {*CMDLETS, *DIRECTORY_OPERATIONS} == AS_COLUMNS | ONE_BY_ONE
    assert not AS_COLUMNS & ONE_BY_ONE


OPERATIONS = st.sampled_from([*sorted(AS_COLUMNS), "Set-Mailbox", "Update user.", "Consent to application."])
VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from(
        ["", " ", "True", "false", "a@evil.example", "SMTP:B@contoso.example;c", "[SMTP:x@y.example]", "é", "\u0000", "/a/b/",
         '["x"]', '"y"', "remove", "a:\\b", "{", "[", "@{Name=a; Value=b}", "22222222-2222-4222-8222-222222222222"]
    ),
)  # fmt: skip
NAMES = [
    "Identity",
    "AuditEnabled",
    "ForwardTo",
    "ForwardingSmtpAddress",
    "GrantSendOnBehalfTo",
    "AccessRights",
    "User",
]
PROPERTIES = ["Role.DisplayName", "AppId", "StrongAuthenticationMethod", "ConsentAction.Permissions", "DisplayName"]
ENTRY = st.fixed_dictionaries({}, optional={"Name": st.sampled_from([*NAMES, 1]), "Value": VALUE})
PROPERTY = st.fixed_dictionaries(
    {}, optional={"Name": st.sampled_from(PROPERTIES), "NewValue": VALUE, "OldValue": VALUE}
)
LISTED = st.one_of(VALUE, st.lists(ENTRY, max_size=4), st.lists(ENTRY, max_size=2).map(json.dumps))
TARGET = st.lists(
    st.one_of(
        st.none(),
        st.fixed_dictionaries(
            {}, optional={"ID": st.one_of(VALUE, st.just({"a": 1})), "Type": st.sampled_from([1, 2, 5, "5", "x"])}
        ),
    ),
    max_size=3,
)
RECORDS = st.builds(
    lambda operation, changes: cmdlet(operation, {}) | changes,
    OPERATIONS,
    st.fixed_dictionaries(
        {},
        optional={
            "Parameters": LISTED,
            "ModifiedProperties": st.one_of(VALUE, st.lists(PROPERTY, max_size=3)),
            "Target": TARGET,
            "ExtendedProperties": st.lists(ENTRY, max_size=2),
            "RecordType": st.sampled_from([1, 8, 18, 2, 15, None]),
            **dict.fromkeys(["ObjectId", "UserId", "OrganizationName", "UserType", "UserKey"], VALUE),
        },
    ),
)


@settings(columnar_runner.WHOLE_FILES, max_examples=4)
@given(records=st.lists(RECORDS, min_size=100, max_size=200))
def test_generated_changes_give_the_same_rows_on_both_paths(tmp_path, monkeypatch, records):
    """Property: columnar == plain, whatever stands in the fields of a change."""
    name = tmp_path / uuid.uuid4().hex
    name.mkdir()
    columnar_runner.assert_alike(name, ["\n".join(own_ids([mailbox(NAMED), *records]))], monkeypatch)
