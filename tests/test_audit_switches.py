"""When auditing was off, as far as the logs show."""

import datetime as dt

import ibis
import pytest

from brokenseal import schema
from brokenseal.audit_switches import Unaudited, switch_rows, unaudited
from support import make_tables

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)


def at(hours):
    return T0 + dt.timedelta(hours=hours)


def switch(event_id, hours, change, *settings, target="a@contoso.example", operation="set-mailbox", **more):
    """A record that changes settings: its config change and its settings."""
    row = {
        "event_id": event_id,
        "occurred_at": at(hours),
        "change": change,
        "operation_key": operation,
        "object_id": target,
        "target": target,
        "target_key": target.lower(),
        **more,
    }
    return row, [{"event_id": event_id, "name_key": name, "new_value": value} for name, value in settings]


def spans(*switches, events=()):
    return unaudited(
        make_tables(
            {
                "config_changes": [row for row, _ in switches],
                "change_settings": [setting for _, settings in switches for setting in settings],
                "events": events,
            }
        )
    )


@pytest.mark.parametrize(
    ("change", "settings", "reach"),
    [
        ("audit_bypass", [("auditbypassenabled", "True")], "account"),
        ("audit_bypass", [("auditbypassenabled", "$true")], "account"),
        ("audit_bypass", [], "account"),
        ("mailbox_audit_disabled", [("auditenabled", "False")], "mailbox"),
        ("mailbox_audit_disabled", [("auditowner", "@{Remove=MailItemsAccessed}")], "mailbox"),
        ("mailbox_forwarding", [("auditenabled", "False"), ("forwardingaddress", "x")], "mailbox"),
        ("audit_disabled", [("unifiedauditlogingestionenabled", "False")], "organisation"),
        ("audit_disabled", [("auditdisabled", "True")], "organisation"),
    ],
)
def test_what_switches_auditing_off_opens_a_span(change, settings, reach):
    expected = Unaudited(
        reach=reach,
        target="A@contoso.example",
        target_key="a@contoso.example",
        first_at=at(0),
        last_at=None,
        event_ids=("e1",),
    )

    assert (expected,) == spans(switch("e1", 0, change, *settings, target="A@contoso.example"))


@pytest.mark.parametrize(
    ("change", "settings", "more"),
    [
        ("other", [("auditenabled", "True")], {}),
        ("mailbox_forwarding", [("forwardingaddress", "x")], {}),
        ("mailbox_audit_disabled", [("auditenabled", "False")], {"succeeded": False}),
        ("audit_disabled", [("adminauditlogenabled", "False")], {}),
        ("audit_disabled", [("unifiedauditlogingestionenabled", "False")], {"is_service": True}),
        ("other", [("auditenabled", "no idea")], {}),
    ],
    ids=["on", "other setting", "failed", "admin log only", "the service itself", "unreadable"],
)
def test_what_hides_no_reading_opens_none(change, settings, more):
    assert spans(switch("e1", 0, change, *settings, **more)) == ()


def test_a_span_ends_where_auditing_is_switched_on_again():
    (span,) = spans(
        switch("off-2", 1, "mailbox_audit_disabled", ("auditenabled", "False")),
        switch("off-1", 0, "mailbox_audit_disabled", ("auditenabled", "False")),
        switch("on", 5, "other", ("auditenabled", "True")),
        switch("elsewhere", 3, "other", ("auditenabled", "True"), target="b@contoso.example"),
    )

    assert (at(0), at(5), ("off-1", "off-2", "on")) == (span.first_at, span.last_at, span.event_ids)


def test_a_bypass_record_that_is_no_bypass_takes_it_back():
    """Exchange names the account by a path of containers in one record and by its alias in another."""
    cmdlet = "set-mailboxauditbypassassociation"
    path = "EUR01.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/contoso/Svc"
    on = {"event_id": "on", "occurred_at": at(9), "operation_key": cmdlet, "object_id": path}
    failed = {**on, "event_id": "failed", "occurred_at": at(4), "succeeded": False}

    (span,) = spans(
        switch("off", 0, "audit_bypass", ("auditbypassenabled", "True"), target="Svc", operation=cmdlet),
        events=[on, failed],
    )

    assert ("account", "Svc", at(0), at(9)) == (span.reach, span.target, span.first_at, span.last_at)


def test_a_second_span_opens_after_the_first_has_ended():
    found = spans(
        switch("off-1", 0, "mailbox_audit_disabled"),
        switch("on", 2, "other", ("auditenabled", "True")),
        switch("off-2", 4, "mailbox_audit_disabled"),
    )

    assert [(at(0), at(2)), (at(4), None)] == [(span.first_at, span.last_at) for span in found]


@pytest.mark.parametrize(
    ("target_key", "expected"),
    [
        ("a@contoso.example", True),
        ("a", True),
        ("guid-a", True),
        ("eur01/organizations/contoso/a", True),
        ("aa", False),
        ("contoso.example", False),
        ("", False),
    ],
)
def test_a_target_is_a_mailbox_by_address_alias_guid_or_path(target_key, expected):
    span = Unaudited(
        reach="mailbox", target=target_key, target_key=target_key, first_at=T0, last_at=None, event_ids=("e",)
    )

    assert expected is span.concerns("guid-a", "a@contoso.example")


def test_an_organisation_is_no_single_mailbox():
    span = Unaudited(reach="organisation", target="a", target_key="a", first_at=T0, last_at=None, event_ids=("e",))

    assert not span.concerns("a", "a@contoso.example")


def test_the_rows_compile_for_spark():
    tables = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}

    assert "SELECT" in ibis.to_sql(switch_rows(tables), dialect="pyspark")
