"""What the judgement of cases reads of the records: a few queries for all cases together.

A query takes about as long to compile as to run, so nothing is asked case by case.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

from brokenseal.clusters import clusters_of, members_of, with_network
from brokenseal.selection import id_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.types as ir

    from brokenseal.model import Tables

BY_HAND: Final = ("interactive", "audit_log")
"""Categories of sign-ins that a person makes; the others are made by programs, wherever those run."""
SIGN_IN_BEFORE: Final = dt.timedelta(days=7)
"""Sign-ins are looked at from so long before a unit begins."""

_DOORS: Final = (
    "inbox_rule", "transport_rule", "mailbox_forwarding", "mailbox_permission", "recipient_permission",
    "send_on_behalf", "folder_permission", "audit_bypass", "audit_disabled", "mailbox_audit_disabled", "consent",
    "delegated_grant", "app_role_grant", "user_app_grant", "app_credential", "app_owner", "domain_federation",
    "role_member", "management_role", "strong_auth", "connector", "account_added",
)  # fmt: skip
_CLOSING: Final = (
    "remove-inboxrule", "disable-inboxrule", "remove-transportrule", "disable-transportrule",
    "remove-mailboxpermission", "remove-recipientpermission", "remove-mailboxfolderpermission",
    "removefolderpermissions", "remove-managementroleassignment", "remove-rolegroupmember",
    "remove oauth2permissiongrant", "remove delegated permission grant", "revoke consent",
    "remove app role assignment from service principal", "remove app role assignment from user",
    "remove service principal", "delete application", "hard delete application", "remove service principal credentials",
    "remove owner from application", "remove owner from service principal", "remove member from role",
    "remove eligible member from role", "delete user", "disable account", "remove-inboundconnector",
    "remove-outboundconnector", "set-mailboxauditbypassassociation", "set-adminauditlogconfig",
)  # fmt: skip


class Unit(NamedTuple):
    """A session cluster, or a change of configuration, with what tests ask of it."""

    unit: str
    is_door: bool
    tenant: str | None
    mailbox_key: str | None
    mailbox: str | None
    account: str | None
    app: str | None
    network: str | None
    agent: str | None
    provenance: str | None
    is_owner: bool | None
    first_at: dt.datetime
    last_at: dt.datetime
    records: int

    @property
    def is_placed(self) -> bool:
        """Whether its network is the client's own: Microsoft's are nobody's, and some records name none."""
        return self.network not in {None, "MS", "none"}

    @property
    def acts_alone(self) -> bool:
        """Whether an application acted by itself, without a person."""
        return bool(self.provenance) and (self.provenance or "").rpartition("|")[2] == "app"


class Habit(NamedTuple):
    """Since when an account has used an application from a network in a mailbox.

    Attributes:
        unit: The first cluster of it.
        network_since: Since when anybody has read this mailbox from this network.
    """

    tenant: str | None
    mailbox_key: str
    account: str | None
    app: str
    network: str
    unit: str
    first_at: dt.datetime
    last_at: dt.datetime
    network_since: dt.datetime


class SignIn(NamedTuple):
    """Successful sign-ins of a unit's account around it, of one category, network and device.

    Attributes:
        by_hand_since: Since when the account has signed in by hand from this network; None where it never has.
    """

    unit: str
    category: str
    network: str
    device_id: str | None
    event_id: str
    first_at: dt.datetime
    last_at: dt.datetime
    device_since: dt.datetime | None
    network_since: dt.datetime
    by_hand_since: dt.datetime | None
    has_second_factor: bool


class Change(NamedTuple):
    """One change of configuration that somebody made; `is_shorter` where a list of credentials became shorter."""

    event_id: str
    occurred_at: dt.datetime
    tenant_id: str | None
    change: str
    operation_key: str | None
    actor_key: str | None
    network: str | None
    object_id: str | None
    target_key: str | None
    grantee_key: str | None
    destinations: tuple[str, ...]
    rule_name: str | None
    rule_effects: tuple[str, ...]
    changed_app_id: str | None
    changed_app_name: str | None
    is_shorter: bool


class Closing(NamedTuple):
    """A record that takes something away again."""

    event_id: str
    occurred_at: dt.datetime
    operation_key: str
    object_id: str | None


class Week(NamedTuple):
    """How many mail accesses of one week carry which identifier; `starts_at` is the first of them."""

    starts_at: dt.datetime
    records: int
    sessions: int
    tokens: int
    apps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All that was read, for all cases."""

    units: Mapping[str, Unit]
    habits: tuple[Habit, ...]
    sign_ins: Mapping[str, tuple[SignIn, ...]]
    changes: tuple[Change, ...]
    closings: tuple[Closing, ...]
    weeks: tuple[Week, ...]


def units_of(tables: Tables, wanted: Iterable[str], changes: Iterable[Change]) -> dict[str, Unit]:
    """The session clusters, and the changes of configuration, with these ids."""
    listed = frozenset(wanted)
    rows = clusters_of(tables)
    ids = id_table(listed)
    rows = rows.semi_join(ids, rows.cluster == ids.event_id)
    found = {}
    for row in rows.to_pyarrow().to_pylist():
        found[row["cluster"]] = Unit(
            unit=row["cluster"],
            is_door=False,
            tenant=row["tenant_id"],
            mailbox_key=row["mailbox_key"],
            mailbox=row["mailbox_upn"] or row["mailbox_key"],
            account=row["actor_key"] or row["identity"] or None,
            app=row["app"],
            network=row["network"],
            agent=row["agent"],
            provenance=row["provenance"],
            is_owner=row["is_owner"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            records=row["records"],
        )
    for change in changes:
        if change.event_id in listed and change.event_id not in found:
            found[change.event_id] = _door(change)
    return found


def _door(change: Change) -> Unit:
    return Unit(
        unit=change.event_id,
        is_door=True,
        tenant=change.tenant_id,
        mailbox_key=None,
        mailbox=None,
        account=change.actor_key,
        app=None,
        network=change.network,
        agent=None,
        provenance=None,
        is_owner=None,
        first_at=change.occurred_at,
        last_at=change.occurred_at,
        records=1,
    )


def changes_of(tables: Tables) -> tuple[Change, ...]:
    """Every change of configuration that can open or close a door, was not refused, and was not the service's own."""
    false = ibis.literal(value=False)
    rows = tables["config_changes"]
    rows = rows.filter(
        rows.change.isin(_DOORS),
        ~rows.is_service.fill_null(false),
        rows.succeeded.fill_null(~false),
        rows.occurred_at.notnull(),
    )
    names = [name for name in Change._fields if name in rows.columns]
    rows = with_network(rows.select(*names, "client_ip", "ip_class").distinct(), tables)
    settings = tables["change_settings"]
    settings = settings.filter(settings.name_key == "keydescription")
    shorter = settings.filter(settings.new_value.fill_null("").length() < settings.old_value.fill_null("").length())
    shorter = shorter.select(shorter_id="event_id").distinct()
    rows = rows.left_join(shorter, rows.event_id == shorter.shorter_id)
    rows = rows.mutate(is_shorter=rows.shorter_id.notnull()).select(*Change._fields)
    found = (
        Change(**{**row, **{name: tuple(row[name] or ()) for name in ("destinations", "rule_effects")}})
        for row in rows.to_pyarrow().to_pylist()
    )
    return tuple(sorted(found, key=lambda each: (each.occurred_at, each.event_id, each.change, each.grantee_key or "")))


def closings_of(tables: Tables) -> tuple[Closing, ...]:
    """Every record that takes a right, a rule or a credential away, in order of time."""
    rows = tables["events"]
    rows = rows.filter(
        rows.operation_key.isin(_CLOSING),
        rows.succeeded.fill_null(ibis.literal(value=True)),
        rows.occurred_at.notnull(),
    )
    rows = rows.select(*Closing._fields).distinct().to_pyarrow().to_pylist()
    return tuple(sorted((Closing(**row) for row in rows), key=lambda each: (each.occurred_at, each.event_id)))


def habits_of(tables: Tables, subjects: Iterable[Unit]) -> tuple[Habit, ...]:
    """Who used what from where, in the mailboxes, by the accounts and with the applications of these units."""
    listed = tuple(subjects)
    if not listed:
        return ()
    rows = clusters_of(tables)
    of_network = ibis.window(group_by=["tenant_id", "mailbox_key", "network"])
    rows = rows.mutate(
        account=ibis.coalesce(rows.actor_key, rows.identity), network_since=rows.first_at.min().over(of_network)
    )
    rows = rows.filter(
        rows.mailbox_key.isin(_named(unit.mailbox_key for unit in listed))
        | rows.account.isin(_named(unit.account for unit in listed))
        | rows.app.isin(_named(unit.app for unit in listed))
    )
    keys = ["tenant_id", "mailbox_key", "account", "app", "network"]
    in_order = ibis.window(group_by=keys, order_by=[rows.first_at, rows.cluster])
    of_all = ibis.window(group_by=keys)
    rows = rows.mutate(number=ibis.row_number().over(in_order), until=rows.last_at.max().over(of_all))
    rows = rows.filter(rows.number == 0)
    names = dict(zip(Habit._fields, ("tenant_id", "mailbox_key", "account", "app", "network", "cluster"), strict=False))
    found = rows.select(**names, first_at=rows.first_at, last_at=rows.until, network_since=rows.network_since)
    listed_rows = found.to_pyarrow().to_pylist()
    return tuple(sorted((Habit(**row) for row in listed_rows), key=lambda each: (each.first_at, each.unit)))


def _named(texts: Iterable[str | None]) -> list[str]:
    # An empty list compiles to no comparison at all, so a value that nothing has stands in for it.
    return sorted({text for text in texts if text}) or [""]


def sign_ins_of(tables: Tables, subjects: Iterable[Unit]) -> dict[str, tuple[SignIn, ...]]:
    """The successful sign-ins of each unit's account from a week before it until its end."""
    listed = [unit for unit in subjects if unit.account]
    if not listed:
        return {}
    rows = tables["sign_ins"]
    false = ibis.literal(value=False)
    rows = rows.select(
        "event_id", "occurred_at", "category", "actor_key", "client_ip", "ip_class", "device_id", "request_type",
        "succeeded",
    ).distinct()  # fmt: skip
    rows = rows.filter(
        rows.succeeded.fill_null(false),
        rows.client_ip.notnull(),
        rows.occurred_at.notnull(),
        rows.actor_key.isin(_named(unit.account for unit in listed)),
    )
    rows = with_network(rows.mutate(device_id=rows.device_id.nullif("")), tables)
    rows = rows.filter(rows.network.notnull())
    rows = rows.mutate(by_hand_at=ibis.ifelse(rows.category.isin(BY_HAND), rows.occurred_at, None))
    rows = rows.mutate(
        device_since=rows.occurred_at.min().over(ibis.window(group_by=["actor_key", "device_id"])),
        network_since=rows.occurred_at.min().over(ibis.window(group_by=["actor_key", "network"])),
        by_hand_since=rows.by_hand_at.min().over(ibis.window(group_by=["actor_key", "network"])),
        second=rows.request_type.startswith("SAS:").fill_null(false),
    )
    units = _subjects(listed)
    rows = rows.inner_join(units, rows.actor_key == units.account)
    rows = rows.filter(rows.occurred_at >= rows.since, rows.occurred_at <= rows.until)
    rows = rows.group_by("unit", "category", "network", "device_id").aggregate(
        event_id=rows.event_id.min(),
        first_at=rows.occurred_at.min(),
        last_at=rows.occurred_at.max(),
        device_since=rows.device_since.min(),
        network_since=rows.network_since.min(),
        by_hand_since=rows.by_hand_since.min(),
        has_second_factor=rows.second.any(),
    )
    found: dict[str, list[SignIn]] = {}
    for row in rows.select(*SignIn._fields).to_pyarrow().to_pylist():
        known = row["device_id"] is not None
        each = SignIn(**{**row, "device_since": row["device_since"] if known else None})
        found.setdefault(each.unit, []).append(each)
    return {unit: tuple(sorted(each, key=lambda one: (one.first_at, one.event_id))) for unit, each in found.items()}


def _subjects(units: list[Unit]) -> ir.Table:
    import pyarrow as pa

    times = pa.timestamp("us", tz="UTC")
    columns = {
        "unit": pa.array([unit.unit for unit in units], pa.string()),
        "account": pa.array([unit.account for unit in units], pa.string()),
        "since": pa.array([unit.first_at - SIGN_IN_BEFORE for unit in units], times),
        "until": pa.array([unit.last_at for unit in units], times),
    }
    return ibis.memtable(pa.table(columns))


def weeks_of(tables: Tables) -> tuple[Week, ...]:
    """Per week, how many mail accesses there are, and how many of them carry which identifier."""
    rows = members_of(tables)
    rows = rows.group_by(week=rows.occurred_at.truncate("W")).aggregate(
        starts_at=rows.occurred_at.min(),
        records=rows.count(),
        sessions=rows.session_id.notnull().sum(),
        tokens=rows.token_id_raw.notnull().sum(),
        apps=(~rows.effective_app.startswith("proto:")).fill_null(ibis.literal(value=False)).sum(),
    )
    found = rows.select(*Week._fields).to_pyarrow().to_pylist()
    return tuple(sorted(Week(**row) for row in found))
