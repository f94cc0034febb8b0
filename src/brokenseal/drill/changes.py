"""Honest changes of configuration: permissions, roles, consents, credentials, forwarding, and their undoing.

Intruders' doors look like these; a tenant opens far more of them by itself. Rare changes are planned once per tenant
(`plan_changes`); frequent ones are drawn per day (`_routines.routine`).

Operation names: Office 365 Management Activity API schema, and Exchange and Entra audit records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import calendar, people, streams
from brokenseal.drill.tables import DAY_US, HOUR_US

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.apps import MarketApp
    from brokenseal.drill.calendar import Calendar
    from brokenseal.drill.people import People
    from brokenseal.drill.priors import TenantParameters

SYSTEM: Final = -1
"""`identity_no` of NT AUTHORITY\\SYSTEM."""

CREDENTIALS: Final = "Update application – Certificates and secrets management "
"""With its en dash and its trailing space, as the log has them."""


class Planned(NamedTuple):
    """One change; the columns of `tables.CHANGE` of the same names, and no more."""

    at_us: int
    change: str
    operation: str
    service: str
    identity_no: int
    mailbox_no: int = -1
    target_identity_no: int = -1
    grantee_no: int = -1
    app_id: str | None = None
    app_name: str | None = None
    rights: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    rule_name: str | None = None
    rule_effects: tuple[str, ...] = ()
    rule_conditions: tuple[str, ...] = ()
    folder: str | None = None
    is_admin_consent: bool = False
    ends_at_us: int = 0


class Office(NamedTuple):
    """What the planning functions share: draws, the start of the drill, the number of people, and administrators."""

    rng: np.random.Generator
    epoch_us: int
    persons: int
    admins: npt.NDArray[np.int64]

    def admin(self) -> int:
        """Any administrator."""
        return int(self.rng.choice(self.admins)) if len(self.admins) else 0

    def at(self, day: int) -> int:
        """A moment in the middle of the working day."""
        return self.epoch_us + day * DAY_US + int(self.rng.uniform(7, 17) * HOUR_US)


def plan_changes(
    parameters: TenantParameters,
    *,
    rng: np.random.Generator,
    staff: People,
    plan: Calendar,
    market: tuple[MarketApp, ...],
    epoch_us: int,
    mailbox_upns: tuple[str, ...],
    app_ids: tuple[str, ...],
    names: tuple[str, ...],
) -> tuple[tuple[Planned, ...], npt.NDArray[Any]]:
    """The rare changes of one tenant, sorted by time, and the permissions that administrators' fixes open."""
    persons = int((staff.identities["kind"] == people.PERSON).sum())
    office = Office(rng, epoch_us, persons, np.flatnonzero(staff.identities["role"] == people.ADMIN))
    doors, fixes = _doors(office, parameters, market=market, mailboxes=len(staff.mailboxes), staff=staff)
    planned = [
        *doors,
        *_consents(office, plan, market),
        *_forwardings(office, plan, mailbox_upns),
        *_careers(office, staff),
        *_for_happenings(office, plan, app_ids, names, staff),
    ]
    return tuple(sorted(planned, key=lambda one: (one.at_us, one.operation, one.mailbox_no))), fixes


_DOORS: Final = (
    "fix",
    "full_access",
    "send_as",
    "role",
    "credential",
    "transport_rule",
    "owner",
    "impersonation",
    "app_role",
    "federation",
)
_DOOR_WEIGHTS: Final = (0.2, 0.26, 0.12, 0.11, 0.11, 0.06, 0.03, 0.05, 0.05, 0.01)
_ENDS: Final = 0.4
"""Share of permissions that are taken away again some weeks later."""
_MAIL_ROLES: Final = ("Mail.Read", "Mail.ReadWrite", "Mail.Send", "User.Read.All", "Calendars.Read")
_ROLE_NAMES: Final = ("Helpdesk Administrator", "Exchange Administrator", "Global Reader", "User Administrator")


def _doors(
    office: Office, parameters: TenantParameters, *, market: tuple[MarketApp, ...], mailboxes: int, staff: People
) -> tuple[list[Planned], npt.NDArray[Any]]:
    rng = office.rng
    months = (calendar.LAST_DAY - calendar.FIRST_DAY) / 30
    count = int(rng.poisson(parameters.doors_per_100_month * mailboxes / 100 * months))
    fixes = []
    planned: list[Planned] = []
    kinds = streams.choose(rng, _DOOR_WEIGHTS, count).tolist()
    first_app = int(np.flatnonzero(staff.identities["kind"] == people.APP)[0])
    for kind, day in zip(kinds, rng.integers(calendar.FIRST_DAY, calendar.LAST_DAY, count).tolist(), strict=True):
        admin, at, mailbox = office.admin(), office.at(day), int(rng.integers(mailboxes))
        if _DOORS[kind] == "fix":
            until = day + int(rng.integers(1, 4))
            fixes.append((admin, mailbox, people.DELEGATION_KINDS.index("fix"), day, until, 1.0))
            rights = ("FullAccess",)
            planned.append(_permission(at, "Add-MailboxPermission", admin, mailbox, admin, rights, office.at(until)))
            planned.append(_permission(office.at(until), "Remove-MailboxPermission", admin, mailbox, admin, rights, 0))
        else:
            app = int(rng.integers(len(market)))
            grantee = int(rng.integers(office.persons))
            opened = _door(_DOORS[kind], at, (admin, mailbox, grantee), (first_app + app, market[app]), rng)
            planned.append(opened)
            if opened.operation == "Add-MailboxPermission" and rng.random() < _ENDS:
                ends = office.at(day + int(rng.integers(2, 40)))
                planned.append(opened._replace(operation="Remove-MailboxPermission", at_us=ends))
    return planned, np.array(fixes, dtype=people.DELEGATION_DTYPE)


def _permission(
    at: int, operation: str, admin: int, mailbox: int, grantee: int, rights: tuple[str, ...], ends: int
) -> Planned:
    return Planned(
        at,
        "mailbox_permission",
        operation,
        "exchange",
        admin,
        mailbox_no=mailbox,
        grantee_no=grantee,
        rights=rights,
        ends_at_us=ends,
    )


def _door(
    kind: str, at: int, parties: tuple[int, int, int], app: tuple[int, MarketApp], rng: np.random.Generator
) -> Planned:
    admin, mailbox, grantee = parties
    if kind == "full_access":
        return _permission(at, "Add-MailboxPermission", admin, mailbox, grantee, ("FullAccess",), 0)
    if kind == "send_as":
        return Planned(
            at,
            "recipient_permission",
            "Add-RecipientPermission",
            "exchange",
            admin,
            mailbox_no=mailbox,
            grantee_no=grantee,
            rights=("SendAs",),
        )
    if kind == "role":
        role = _ROLE_NAMES[int(rng.integers(len(_ROLE_NAMES)))]
        return Planned(
            at,
            "role_member",
            "Add member to role.",
            "entra",
            admin,
            target_identity_no=grantee,
            grantee_no=grantee,
            rights=(role,),
        )
    if kind == "transport_rule":
        return Planned(
            at,
            "transport_rule",
            "New-TransportRule",
            "exchange",
            admin,
            rule_name=f"Disclaimer {int(rng.integers(1, 99))}",
            rule_effects=("stop",),
        )
    return _app_door(kind, at, admin, grantee, app)


def _app_door(kind: str, at: int, admin: int, grantee: int, app: tuple[int, MarketApp]) -> Planned:
    """A door by way of an application, or of the organisation's own identity provider."""
    identity_no, market_app = app
    if kind == "federation":
        return Planned(at, "domain_federation", "Set domain authentication.", "entra", admin)
    if kind == "impersonation":
        return Planned(
            at,
            "management_role",
            "New-ManagementRoleAssignment",
            "exchange",
            admin,
            grantee_no=identity_no,
            app_id=market_app.app_id,
            app_name=market_app.name,
            rights=("ApplicationImpersonation",),
        )
    if kind == "app_role":
        return Planned(
            at,
            "app_role_grant",
            "Add app role assignment to service principal.",
            "entra",
            admin,
            app_id=market_app.app_id,
            app_name=market_app.name,
            rights=(_MAIL_ROLES[at % len(_MAIL_ROLES)],),
            is_admin_consent=True,
        )
    change, operation = (
        ("app_credential", CREDENTIALS)
        if kind == "credential"
        else (
            "app_owner",
            "Add owner to application.",
        )
    )
    return Planned(
        at,
        change,
        operation,
        "entra",
        admin,
        target_identity_no=identity_no,
        grantee_no=grantee if kind == "owner" else -1,
        app_id=market_app.app_id,
        app_name=market_app.name,
    )


def _consents(office: Office, plan: Calendar, market: tuple[MarketApp, ...]) -> list[Planned]:
    planned = []
    starts = plan.adoptions[plan.adoptions["from_day"] >= calendar.FIRST_DAY]
    consented: set[int] = set()
    for row in starts[np.argsort(starts["from_day"], kind="stable")]:
        app, app_no, person = market[int(row["app_no"])], int(row["app_no"]), int(row["identity_no"])
        by_admin = bool(row["is_admin_consent"])
        if by_admin and app_no in consented:
            continue  # one consent of an administrator serves everybody
        if by_admin:
            consented.add(app_no)
        actor = office.admin() if by_admin else person
        at = office.at(int(row["from_day"]))
        consent = Planned(
            at,
            "app_role_grant" if app.is_app_only else "consent",
            "Add app role assignment to service principal." if app.is_app_only else "Consent to application.",
            "entra",
            actor,
            grantee_no=-1 if by_admin else person,
            app_id=app.app_id,
            app_name=app.name,
            rights=app.scopes,
            is_admin_consent=by_admin,
        )
        planned.append(consent)
        if not app.is_app_only:
            planned.append(
                consent._replace(change="delegated_grant", operation="Add delegated permission grant.", at_us=at + 1)
            )
    return planned


_OUTSIDE: Final = 2


def _forwardings(office: Office, plan: Calendar, mailbox_upns: tuple[str, ...]) -> list[Planned]:
    planned: list[Planned] = []
    for trip in plan.trips[plan.trips["forwards"] > 0]:
        person, at = int(trip["identity_no"]), office.at(int(trip["from_day"]) - 1)
        colleague = mailbox_upns[int(office.rng.integers(office.persons))]
        outside = f"{mailbox_upns[person].partition('@')[0]}{int(office.rng.integers(60, 99))}@private-mail.example"
        target = outside if trip["forwards"] == _OUTSIDE else colleague
        ends = office.at(int(trip["until_day"]))
        forwarding = Planned(
            at,
            "mailbox_forwarding",
            "Set-Mailbox",
            "exchange",
            person,
            mailbox_no=person,
            destinations=(target,),
            ends_at_us=ends,
        )
        planned.extend((forwarding, forwarding._replace(at_us=ends, destinations=(), ends_at_us=0)))
    return planned


def _careers(office: Office, staff: People) -> list[Planned]:
    planned: list[Planned] = []
    persons = staff.identities[: office.persons]
    for column, change, operation in (
        ("joined_day", "account_added", "Add user."),
        ("left_day", "other", "Disable account."),
        ("rename_day", "other", "Update user."),
    ):
        days = persons[column]
        for row in np.flatnonzero((days > calendar.FIRST_DAY) & (days < calendar.LAST_DAY)).tolist():
            at = office.at(int(days[row])) if column != "joined_day" else office.at(int(days[row]) - 3)
            planned.append(Planned(at, change, operation, "entra", office.admin(), target_identity_no=row))
    return planned


def _for_happenings(
    office: Office, plan: Calendar, app_ids: tuple[str, ...], names: tuple[str, ...], staff: People
) -> list[Planned]:
    planned = [
        _permission(
            office.at(int(row["from_day"])),
            "Add-MailboxPermission",
            office.admin(),
            int(row["mailbox_no"]),
            int(row["identity_no"]),
            ("FullAccess",),
            office.at(int(row["until_day"])),
        )
        for row in plan.delegations
        if calendar.FIRST_DAY <= row["from_day"] < calendar.LAST_DAY
    ]
    first_app = int(np.flatnonzero(staff.identities["kind"] == people.APP)[0])
    for one in plan.happenings:
        at = office.at(one.from_day)
        if one.kind == "merger":
            app = first_app + one.app_no
            planned.append(
                Planned(
                    at,
                    "management_role",
                    "New-ManagementRoleAssignment",
                    "exchange",
                    office.admin(),
                    grantee_no=app,
                    app_id=app_ids[app],
                    app_name=names[app],
                    rights=("ApplicationImpersonation",),
                )
            )
        elif one.kind == "ediscovery":
            planned.append(
                Planned(
                    at,
                    "compliance_search",
                    "New-ComplianceSearch",
                    "exchange",
                    one.actor_no,
                    rule_name=f"Case {int(office.rng.integers(100, 999))}",
                )
            )
    return planned
