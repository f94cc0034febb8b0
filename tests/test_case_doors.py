"""Doors of a case: which rule sent whose mail on, under which conditions, from when to when; which right was given."""

import datetime as dt

import ibis
import pytest

from brokenseal import schema
from brokenseal.case_doors import doors, forwardings, removals, rule_changes, rule_ends
from brokenseal.selection import OpenDoor
from support import arrow_table, make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
ALICE = "alice@contoso.example"
ADMIN = "admin@contoso.example"
EVIL = "x@evil.example"
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)


def at(hours):
    return T0 + dt.timedelta(hours=hours)


def change(event_id, hours, kind="inbox_rule", **row):
    shared = {"event_id": event_id, "occurred_at": at(hours), "change": kind, "actor_key": ALICE, "tenant_id": "t1"}
    return {**shared, "operation_key": "new-inboxrule", **row}


def event(event_id, hours, operation, **row):
    shared = {"event_id": event_id, "occurred_at": at(hours), "operation_key": operation, "actor_key": ALICE}
    return {**shared, "tenant_id": "t1", **row}


def setting(event_id, name, value):
    return {"event_id": event_id, "name": name, "name_key": name.lower(), "new_value": value}


def tables_of(changes=(), settings=(), events=(), openings=None):
    rows = {"config_changes": changes, "change_settings": settings, "events": events}
    filled = {name: ibis.memtable(arrow_table(name, each)) for name, each in rows.items()}
    return {**EMPTY, **filled, **({"door_openings": openings} if openings is not None else {})}


def only(*changes, settings=(), events=(), cited=("c1",)):
    (found,) = forwardings(tables_of(changes, settings, events), cited).values()
    return found


RULE = {"target_key": "alice", "rule_name": ".", "object_id": "alice\\.", "destinations": [EVIL]}


# ---------------------------------------------------------------- rules


def test_a_rule_names_whose_mail_it_sends_where_and_since_when():
    found = only(change("c1", 1, **RULE))

    assert (found.event_ids, found.mailboxes, found.domains) == (("c1",), {ALICE}, frozenset())
    assert (found.destinations, found.first_at, found.last_at, found.conditions) == ({EVIL}, at(1), None, ())


@pytest.mark.parametrize(
    ("row", "cited"),
    [
        pytest.param({**RULE}, ["other"], id="not cited"),
        pytest.param({**RULE, "succeeded": False}, ["c1"], id="failed"),
        pytest.param({**RULE, "destinations": [], "rule_effects": ["delete"]}, ["c1"], id="sends nothing"),
        pytest.param({**RULE, "destinations": ["$null"]}, ["c1"], id="to nobody"),
        pytest.param({**RULE, "kind": "consent"}, ["c1"], id="another kind"),
    ],
)
def test_what_is_no_forwarding(row, cited):
    assert forwardings(tables_of([change("c1", 1, **row)]), cited) == {}


@pytest.mark.parametrize(
    ("row", "mailbox"),
    [
        ({"target_key": "bob@contoso.example"}, "bob@contoso.example"),
        ({"target_key": "bob", "actor_key": ADMIN}, "bob@contoso.example"),
        ({"target_key": None}, ALICE),
        ({"target_key": "bob", "actor_key": "nt service"}, "bob"),
    ],
)
def test_an_alias_is_one_of_the_domain_of_who_made_the_rule(row, mailbox):
    assert only(change("c1", 1, **{**RULE, **row})).mailboxes == {mailbox}


def test_a_transport_rule_takes_the_mail_of_all_domains_of_its_tenant():
    rule = change("c1", 1, "transport_rule", operation_key="new-transportrule", destinations=[EVIL])
    boxes = [
        event("e1", 0, "send", mailbox_upn="a@contoso.example"),
        event("e2", 0, "send", mailbox_upn="b@contoso.onmicrosoft.example"),
        event("e3", 0, "send", mailbox_upn="b@fabrikam.example", tenant_id="t2"),
        event("e4", 0, "send", mailbox_upn="no address"),
    ]

    found = only(rule, events=boxes)

    assert (found.mailboxes, found.domains) == (frozenset(), {"contoso.example", "contoso.onmicrosoft.example"})


def test_conditions_are_the_parameters_that_are_no_actions():
    settings = [
        setting("c1", "SubjectContainsWords", "invoice;payment"),
        setting("c1", "ForwardTo", EVIL),
        setting("c1", "MarkAsRead", "True"),
        setting("c1", "HasAttachment", "$true"),
        setting("c1", "FlaggedForAction", ""),
        setting("c1", "MyNameInToBox", "False"),
        setting("other", "From", "bob@contoso.example"),
    ]

    found = only(change("c1", 1, **RULE), settings=settings)

    assert found.conditions == (("hasattachment", "$true"), ("subjectcontainswords", "invoice;payment"))


def test_a_changed_rule_may_have_conditions_that_its_record_does_not_show():
    found = only(change("c1", 1, **RULE) | {"operation_key": "set-inboxrule"})

    assert found.conditions == (("made_earlier", ""),)


def test_forwarding_of_a_mailbox_has_no_conditions():
    row = change("c1", 1, "mailbox_forwarding", operation_key="set-mailbox", target_key="alice", destinations=[EVIL])

    assert only(row, settings=[setting("c1", "DeliverToMailboxAndForward", "True")]).conditions == ()


FORWARDING = {"kind": "mailbox_forwarding", "operation_key": "set-mailbox", "target_key": "alice"}


@pytest.mark.parametrize(
    ("row", "settings", "ends"),
    [
        pytest.param({"destinations": ["$null"]}, [("ForwardingSmtpAddress", "$null")], True, id="null"),
        pytest.param({"destinations": []}, [("ForwardingSmtpAddress", None)], True, id="emptied"),
        pytest.param({"destinations": []}, [("DeliverToMailboxAndForward", "True")], False, id="other setting"),
        pytest.param({"destinations": ["y@evil.example"]}, [("ForwardingSmtpAddress", "y")], False, id="elsewhere"),
        pytest.param(
            {"destinations": [], "target_key": "bob"}, [("ForwardingSmtpAddress", None)], False, id="another mailbox"
        ),
        pytest.param(
            {"destinations": [], "tenant_id": "t2"}, [("ForwardingSmtpAddress", None)], False, id="another tenant"
        ),
        pytest.param(
            {"destinations": [], "succeeded": False}, [("ForwardingSmtpAddress", None)], False, id="that failed"
        ),
    ],
)
def test_forwarding_of_a_mailbox_ends_where_it_is_taken_away(row, settings, ends):
    made = change("c1", 1, **FORWARDING, destinations=[EVIL])
    later = change("c2", 5, **{**FORWARDING, **row})
    earlier = change("c0", 0, **FORWARDING, destinations=["$null"])

    found = only(
        made, later, earlier, settings=[setting("c2", *each) for each in settings] + [setting("c0", *settings[0])]
    )

    assert (found.last_at, found.event_ids) == ((at(5), ("c1", "c2")) if ends else (None, ("c1",)))


@pytest.mark.parametrize(
    ("operation", "row", "ends"),
    [
        pytest.param("remove-inboxrule", {"object_id": "Alice\\."}, True, id="same object"),
        pytest.param("disable-inboxrule", {"object_id": "x/contoso/alice\\."}, True, id="as a path"),
        pytest.param("remove-inboxrule", {"object_id": "alice\\other"}, False, id="another rule"),
        pytest.param("remove-inboxrule", {"object_id": "bob\\."}, False, id="another mailbox"),
        pytest.param("remove-inboxrule", {"object_id": None}, False, id="unnamed"),
        pytest.param("remove-transportrule", {"object_id": "alice\\."}, False, id="another kind of rule"),
        pytest.param("remove-inboxrule", {"object_id": "alice\\.", "succeeded": False}, False, id="failed"),
        pytest.param("enable-inboxrule", {"object_id": "alice\\."}, False, id="no end"),
    ],
)
def test_a_rule_ends_where_it_is_removed_or_disabled(operation, row, ends):
    found = only(change("c1", 1, **RULE), events=[event("r1", 4, operation, **row), event("r0", 0, operation, **row)])

    assert found.last_at == (at(4) if ends else None)


def test_the_first_end_counts():
    events = [event(f"r{hours}", hours, "remove-inboxrule", object_id="alice\\.") for hours in (9, 4, 7)]

    assert only(change("c1", 1, **RULE), events=events).event_ids == ("c1", "r4")


def test_hostile_names_end_nothing_and_break_nothing():
    rule = change("c1", 1, **{**RULE, "rule_name": "\\\\", "object_id": "'; drop table x;--\\\x00\u202e"})
    events = [event("r1", 2, "remove-inboxrule", object_id="\\"), event("r2", 2, "remove-inboxrule", object_id="")]

    assert only(rule, events=events, settings=[setting("c1", "", "x")]).last_at is None


# ---------------------------------------------------------------- rights

OPENINGS = {
    "event_id": "string",
    "occurred_at": "timestamp('UTC', 6)",
    "tenant_id": "string",
    "kind": "string",
    "actor_key": "string",
    "target_key": "string",
    "grantee_key": "string",
    "mailbox": "string",
    "known_app": "string",
    "app_name": "string",
    "about": "string",
    "is_wide": "boolean",
}


def opening(event_id="d1", kind="app_mail_role", **row):
    nothing = dict.fromkeys(OPENINGS)
    return {**nothing, "event_id": event_id, "occurred_at": T0, "kind": kind, "tenant_id": "t1", "is_wide": True, **row}


def opened(*rows, changes=(), cited=("d1",)):
    table = ibis.memtable([*rows], schema=OPENINGS)
    return doors(tables_of(changes, openings=table), cited)


def test_a_right_to_any_mailbox_names_its_holder():
    assert opened(opening(app_name="Mail Backup", known_app="app"), opening("d2")) == {
        "d1": (
            OpenDoor(
                kind="app_mail_role",
                event_ids=("d1",),
                mailbox=None,
                holder="Mail Backup",
                first_at=T0,
                last_at=None,
            ),
        )
    }


@pytest.mark.parametrize(
    ("row", "mailbox", "holder"),
    [
        ({"kind": "mailbox_right", "mailbox": ALICE, "grantee_key": "eve"}, ALICE, "eve"),
        ({"kind": "mail_consent", "actor_key": ALICE, "known_app": "app", "is_wide": False}, ALICE, "app"),
        ({"kind": "mail_consent", "actor_key": ADMIN, "known_app": "app"}, None, "app"),
        ({"kind": "impersonation", "about": "role"}, None, "role"),
    ],
)
def test_a_door_opens_one_mailbox_or_any(row, mailbox, holder):
    ((door,),) = opened(opening(**row)).values()

    assert (door.mailbox, door.holder) == (mailbox, holder)


@pytest.mark.parametrize(
    ("row", "closes"),
    [
        ({}, True),
        ({"operation_key": "add-mailboxpermission"}, False),
        ({"grantee_key": "another"}, False),
        ({"target_key": "bob@contoso.example"}, False),
        ({"tenant_id": "t2"}, False),
        ({"occurred_at": T0 - dt.timedelta(seconds=1)}, False),
        ({"succeeded": False}, False),
    ],
)
def test_a_door_is_closed_by_the_removal_of_the_very_right(row, closes):
    right = {"target_key": ALICE, "grantee_key": "eve"}
    removal = change("c9", 2, "mailbox_permission", **{"operation_key": "remove-mailboxpermission", **right, **row})

    ((door,),) = opened(opening(kind="mailbox_right", mailbox=ALICE, **right), changes=[removal]).values()

    assert (door.last_at, door.event_ids) == ((at(2), ("c9", "d1")) if closes else (None, ("d1",)))


@pytest.mark.parametrize("expression", [rule_changes, rule_ends, removals])
def test_every_expression_compiles_for_spark(expression):
    unbound = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}

    assert "SELECT" in ibis.to_sql(expression(unbound), dialect="pyspark")
