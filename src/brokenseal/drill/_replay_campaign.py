"""The campaign of Storm-0558 as public sources tell it: who was read, from when to when, how much, and by what paths.

What the sources tell is in `STORM_0558` as they tell it (State Department: ten mailboxes, about 60,000 messages;
25 organisations, ten of them in the United States; working hours of the actor). What they do not tell is assumed, and
`docs/replay.md` says which is which. All of it is played by simulated people in simulated tenants.

Sources: Cyber Safety Review Board, "Review of the Summer 2023 Microsoft Exchange Online Intrusion" (2024); Microsoft,
"Analysis of Storm-0558 techniques for unauthorized email access" (14 July 2023); CISA and FBI, AA23-193A.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from brokenseal.drill import apps, internet, people, priors, streams
from brokenseal.drill._mailboxes import build_mail
from brokenseal.drill._pipeline import Cast, set_stage
from brokenseal.drill.attacks import Attack, Plan
from brokenseal.drill.delivery import delivery_law
from brokenseal.drill.tables import DAY_US, HOUR_US
from brokenseal.drill.world import build_tenant

if TYPE_CHECKING:
    from brokenseal.drill._pipeline import Stage
    from brokenseal.drill.attacks import Scene, Visit
    from brokenseal.drill.world import Tenant

US: Final = ("US",)
EUROPE: Final = ("FR", "DE", "GB", "ES", "NL")
"""Microsoft spoke of organisations "primarily in Western Europe" besides those in the United States."""

LOG_EPOCHS: Final = {2023: 2023, 2026: 2025}
"""Replayed log epoch, to the drill's field set of the audit log: the field set of 2025 is still that of 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """One victim.

    Attributes:
        number: From 1.
        name: What it stands for; everything in it is simulated.
        countries: Its main site is in one of these.
        mailboxes: Mailboxes of the simulated tenant.
        victims: Mailboxes that are read.
        messages: Messages that the intruder goes for, in all of them together.
        first_day: First day on which it is read.
        last_day: Last day.
        has_reads_2023: MailItemsAccessed was written in 2023 (Audit Premium).
        has_reads_2026: MailItemsAccessed is written in 2026.
    """

    number: int
    name: str
    countries: tuple[str, ...]
    mailboxes: int
    victims: int
    messages: int
    first_day: dt.date
    last_day: dt.date
    has_reads_2023: bool = False
    has_reads_2026: bool = True

    def has_reads(self, epoch: int) -> bool:
        """Whether its log of this epoch holds reads of mail."""
        return self.has_reads_2023 if epoch == 2023 else self.has_reads_2026  # noqa: PLR2004 - the epoch is its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """The whole case.

    Attributes:
        name: As the command names it.
        ends: The logs end at the start of this day.
        history_days: Days of log before the organisation's first day of reading.
        records_per_day: Median MailItemsAccessed records of a mailbox and day.
        organisations: The victims.
    """

    name: str
    ends: dt.date
    history_days: int
    records_per_day: float
    organisations: tuple[Organisation, ...]


def _may(day: int) -> dt.date:
    return dt.date(2023, 5, day)


def _june(day: int) -> dt.date:
    return dt.date(2023, 6, day)


# Public: State, Commerce, a member of the House, 25 organisations, ten of them in the United States. Assumed: the rest.
_STATE = Organisation(
    number=1,
    name="State Department",
    countries=US,
    mailboxes=20,
    victims=10,
    messages=60_000,
    first_day=_may(15),
    last_day=_june(16),
    has_reads_2023=True,
)
# Name, mailboxes read, messages, first day, last day, audited reads in 2023 and in 2026.
_OTHERS_US: Final = (
    ("Commerce Department", 4, 12_000, _may(17), _june(16), False, True),
    ("House of Representatives", 1, 3_000, _may(22), _june(14), False, True),
    ("United States organisation 4", 2, 5_000, _may(19), _june(13), True, True),
    ("United States organisation 5", 2, 4_000, _may(23), _june(15), False, True),
    ("United States organisation 6", 1, 2_500, _may(25), _june(9), False, True),
    ("United States organisation 7", 2, 4_500, _may(26), _june(16), False, True),
    ("United States organisation 8", 1, 2_000, _may(30), _june(12), False, False),
    ("United States organisation 9", 1, 1_500, _june(1), _june(14), True, True),
    ("United States organisation 10", 1, 1_500, _june(5), _june(16), False, True),
)
_OTHERS_EUROPE: Final = (
    ("European organisation 11", 3, 8_000, _may(18), _june(16), True, True),
    ("European organisation 12", 3, 7_500, _may(18), _june(15), False, True),
    ("European organisation 13", 2, 6_000, _may(22), _june(16), False, True),
    ("European organisation 14", 2, 5_000, _may(22), _june(13), False, True),
    ("European organisation 15", 3, 7_000, _may(24), _june(16), False, True),
    ("European organisation 16", 2, 4_500, _may(24), _june(9), False, False),
    ("European organisation 17", 1, 3_000, _may(26), _june(14), False, True),
    ("European organisation 18", 2, 4_000, _may(29), _june(16), True, True),
    ("European organisation 19", 1, 2_500, _may(30), _june(12), False, True),
    ("European organisation 20", 2, 4_500, _may(31), _june(15), False, True),
    ("European organisation 21", 1, 2_000, _june(1), _june(16), False, True),
    ("European organisation 22", 1, 2_000, _june(5), _june(14), False, True),
    ("European organisation 23", 1, 1_500, _june(6), _june(15), False, False),
    ("European organisation 24", 1, 1_500, _june(7), _june(16), False, True),
    ("European organisation 25", 1, 1_000, _june(8), _june(16), False, True),
)


def _others(rows: tuple[tuple[str, int, int, dt.date, dt.date, bool, bool], ...], first: int) -> list[Organisation]:
    return [
        Organisation(
            number=number,
            name=name,
            countries=US if rows is _OTHERS_US else EUROPE,
            mailboxes=10,
            victims=victims,
            messages=messages,
            first_day=begins,
            last_day=ends,
            has_reads_2023=had,
            has_reads_2026=has,
        )
        for number, (name, victims, messages, begins, ends, had, has) in enumerate(rows, start=first)
    ]


STORM_0558: Final = Campaign(
    name="storm-0558",
    ends=_june(18),
    history_days=18,
    records_per_day=25.0,
    organisations=(_STATE, *_others(_OTHERS_US, 2), *_others(_OTHERS_EUROPE, 2 + len(_OTHERS_US))),
)


# ---------------------------------------------------------------- a victim's stage

# What a collector of 2023 kept. Microsoft Graph activity logs came in October 2023; message traces and the sign-ins of
# services say nothing of readers, and would be most of the volume.
_LEFT_OUT: Final = frozenset(
    {
        "graph_activity",
        "message_trace",
        "microsoft_service_principal",
        "service_principal",
        "managed_identity",
        "adfs",
        "directory_audit",
    }
)
_TENANTS_TRIED: Final = 100
_STEALTH: Final = 1


def scene_of(campaign: Campaign, organisation: Organisation, epoch: int, seed: int) -> Stage:
    """One organisation with the intruder in it.

    Args:
        campaign: The case.
        organisation: One of its organisations.
        epoch: Log epoch, a key of `LOG_EPOCHS`. Nothing else depends on it: people, mail and intruder are the same.
        seed: Seed of the replay.
    """
    tenant = _tenant(campaign, organisation, epoch, seed)
    chosen, tenant = _victims(tenant, organisation)
    days = day_of(tenant, campaign.ends)
    law = delivery_law(
        tenant.parameters,
        seed=seed,
        tenant_no=tenant.tenant_no,
        logs="full",
        shape="portal",
        starts_us=tenant.epoch_us,
        days=days,
    )
    # All of it as downloads: a line stands once, and its truth says when it could be read.
    law = dataclasses.replace(law, withheld=law.withheld | _LEFT_OUT, switch_us=law.ends_us + 400 * DAY_US)
    stage = set_stage(tenant, law, (), from_day=first_day(tenant, campaign, organisation), until_day=days)
    plan = _plan(tenant, organisation, chosen, seed)
    cast = Cast(organisation.number, STORM.id, _STEALTH)
    return dataclasses.replace(stage, casts=(cast,), plans=(plan,))


def day_of(tenant: Tenant, date: dt.date) -> int:
    """Day of the tenant on which a date falls."""
    return int((date - dt.date(1970, 1, 1)).days - tenant.epoch_day)


def first_day(tenant: Tenant, campaign: Campaign, organisation: Organisation) -> int:
    """First day of which there are logs."""
    return day_of(tenant, organisation.first_day) - campaign.history_days


def _monday_before(campaign: Campaign) -> dt.date:
    first = min(one.first_day for one in campaign.organisations) - dt.timedelta(days=campaign.history_days)
    return first - dt.timedelta(days=first.weekday())


def _tenant(campaign: Campaign, organisation: Organisation, epoch: int, seed: int) -> Tenant:
    """The first tenant in the seed's order whose main site is in the right countries."""
    log_epoch_no = priors.LOG_EPOCHS.index(LOG_EPOCHS[epoch])
    for attempt in range(_TENANTS_TRIED):
        number = organisation.number * _TENANTS_TRIED + attempt
        drawn = priors.draw(
            priors.TRAIN, streams.stream(seed, "replay", number, "parameters"), mailboxes=organisation.mailboxes
        )
        parameters = dataclasses.replace(
            drawn,
            log_epoch_no=log_epoch_no,
            records_per_day=campaign.records_per_day,
            unlicensed_share=0.0 if organisation.has_reads(epoch) else 1.0,
        )
        tenant = build_tenant(parameters, seed=seed, tenant_no=number, epoch=_monday_before(campaign))
        if internet.CITIES[int(tenant.sites["city"][0])][0] in organisation.countries:
            return dataclasses.replace(tenant, name=f"{organisation.name} (simulated)")
    msg = f"no tenant of seed {seed} lies in {organisation.countries}; expected one in {_TENANTS_TRIED}"
    raise ValueError(msg)


# ---------------------------------------------------------------- what the intruder does

_ACTIVE_SHARE: Final = 0.6
_KEPT: Final = 0.885
"""Messages that the intruder finds of those that it goes for; the others were moved or purged before. Measured."""
_ROOM: Final = 1.1
_PACE_S: Final = 4.0
_NEWEST: Final = 20
_PROXIES: Final = 12
_PER_ORGANISATION: Final = 3
_SESSIONS: Final = 1 << 46
# What behaves like a script: it opens what it is told to, without a reading pane and without a calendar.
_SCRIPT: Final = "graph_shell"

# User agents that Microsoft published on 14 July 2023; the last one is the value of another header.
_ENGINE: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
_AGENTS: Final = (
    f"{_ENGINE} Chrome/92.0.4515.159 Safari/537.36",
    f"{_ENGINE} Chrome/106.0.0.0 Safari/537.36 Edg/106.0.1370.52",
    '"Microsoft Edge";v="113", "Chromium";v="113", "Not-A.Brand";v="24"',
)


class _Path(NamedTuple):
    """One way to read: `protocol` decides the client string, the applications stand in the record."""

    protocol: str
    app_id: str
    client_app_id: str


# The records named an application and a client that did not read mail there before (AA23-193A); which ones was never
# published. Taken here: the web client itself, and the web client's interface called as the Office portal.
_OWA: Final = _Path("owa", apps.OUTLOOK_WEB, apps.OUTLOOK_WEB)
_REST: Final = _Path("rest_system", apps.OUTLOOK_WEB, apps.PORTAL)


def _size(tenant: Tenant) -> Any:
    """Messages in each mailbox at the start."""
    boxes = np.arange(len(tenant.mailboxes))
    return build_mail(tenant).sizes(boxes, np.full(len(boxes), tenant.epoch_us))


def _victims(tenant: Tenant, organisation: Organisation) -> tuple[list[int], Tenant]:
    """The people with most mail, and the tenant with their mail grown to what is taken from it."""
    size = _size(tenant)
    who = tenant.identities[: len(size)]
    stays = (who["kind"] == people.PERSON) & (who["mailbox_no"] >= 0)
    stays &= (who["joined_day"] < 0) & (who["left_day"] == people.ALWAYS) & (who["rename_day"] == people.ALWAYS)
    chosen = np.flatnonzero(stays)
    chosen = chosen[np.argsort(-size[chosen], kind="stable")][: organisation.victims]
    span = (organisation.last_day - organisation.first_day).days + 1
    need = _ROOM * span * _reads_per_day(organisation)
    boxes = tenant.mailboxes.copy()
    # Mail grows with a mailbox's activity (`_mailboxes.build_mail`).
    mean = 0.45 * boxes["records_per_day"][chosen] + 4
    grown = np.maximum(need / np.maximum(size[chosen], 1), 1.0)
    boxes["records_per_day"][chosen] = (mean * grown - 4) / 0.45
    return [int(one) for one in chosen], dataclasses.replace(tenant, mailboxes=boxes)


def _workdays(organisation: Organisation) -> list[dt.date]:
    span = (organisation.last_day - organisation.first_day).days + 1
    dates = [organisation.first_day + dt.timedelta(days=day) for day in range(span)]
    return [date for date in dates if date.weekday() < 5]  # noqa: PLR2004 - Monday to Friday


def _active_days(organisation: Organisation) -> int:
    days = len(_workdays(organisation))
    # The State Department's reader came on every working day; elsewhere nothing is known.
    return days if organisation.number == 1 else max(round(days * _ACTIVE_SHARE), min(days, 2))


def _reads_per_day(organisation: Organisation) -> int:
    """Messages that the intruder goes for in one mailbox on one active day."""
    return round(organisation.messages / organisation.victims / _active_days(organisation) / _KEPT)


def _plan(tenant: Tenant, organisation: Organisation, chosen: list[int], seed: int) -> Plan:
    """Two visits a working day to each mailbox for the old mail, and one for the new, in the actor's hours."""
    rng = streams.stream(seed, "replay", organisation.number, "plan")
    proxies = _proxies(tenant, seed)
    own = [proxies[int(one)] for one in rng.choice(len(proxies), size=_PER_ORGANISATION, replace=False)]
    agent = _AGENTS[int(rng.integers(len(_AGENTS)))]
    dates = _workdays(organisation)
    reads = _reads_per_day(organisation)
    visits: list[Visit] = []
    for place, person in enumerate(chosen):
        drawn = rng.choice(len(dates), size=_active_days(organisation), replace=False).tolist()
        if place == 0:
            # Somebody is read from the first day on, and to the last.
            drawn = [*{0, len(dates) - 1}, *(one for one in drawn if 0 < one < len(dates) - 1)][: max(len(drawn), 2)]
        for number in drawn:
            day = day_of(tenant, dates[number])
            network, address = own[int(rng.integers(len(own)))]
            session = _SESSIONS + (organisation.number << 24) + (place << 12) + day // 7
            common: dict[str, Any] = {"identity_no": person, "mailbox_no": int(tenant.identities["mailbox_no"][person])}
            common |= {"network_no": network, "address": address, "mail_address": address, "session_no": session}
            common |= {"truth_instance": organisation.number, "user_agent": agent, "day": day}
            midnight = tenant.day_starts_us(day)
            hours = (rng.uniform(0.1, 2.0), rng.uniform(3.2, 5.0), rng.uniform(6.4, 8.0))
            starts = [midnight + int(hour * HOUR_US) for hour in hours]
            visits += [
                _visit(common, _REST, starts[0], reads // 2, "mailbox"),
                _visit(common, _OWA, starts[1], reads - reads // 2, "mailbox"),
                _visit(common, _REST, starts[2], int(rng.integers(_NEWEST // 2, _NEWEST)), "threads"),
            ]
    knobs = {"mailboxes": len(chosen), "reads_per_day": reads, "proxies": _PER_ORGANISATION}
    return Plan(visits=tuple(sorted(visits, key=lambda one: one["starts_at_us"])), knobs=knobs)


def _proxies(tenant: Tenant, seed: int) -> list[tuple[int, str]]:
    """The intruder's addresses: the same for all organisations, in rented networks."""
    rng = streams.stream(seed, "replay", "proxies")
    networks = rng.choice(tenant.internet.of_kind(internet.HOSTING), size=_PROXIES)
    hosts = rng.integers(1 << 30, size=_PROXIES)
    texts = internet.addresses(tenant.internet, networks, hosts, np.zeros(_PROXIES, dtype=bool))
    return [(int(network), str(text)) for network, text in zip(networks, texts, strict=True)]


def _visit(common: dict[str, Any], path: _Path, starts_us: int, reads: int, scope: str) -> Visit:
    """One row of `tables.INTENT`: a forged token reads, and nobody ever signs in."""
    return {
        **common,
        "starts_at_us": starts_us,
        "duration_s": reads * _PACE_S + 60.0,
        "kind": "read",
        "client_class": _SCRIPT,
        "protocol": path.protocol,
        "app_id": path.app_id,
        "client_app_id": path.client_app_id,
        "resource_id": apps.EXCHANGE,
        "user_agent": common["user_agent"] if path.protocol == "owa" else None,
        "auth": "session",
        "reads": reads,
        "read_scope": scope,
        "folder_scope": "any",
        "folders": 4,
        "pace_s": _PACE_S,
        "token_source": "forged_structured",
        "truth_actor_kind": "attacker",
        "truth_attack_id": STORM.id,
        "truth_stage": "read",
    }


def _no_plan(scene: Scene) -> Plan:
    """The campaign is planned by `scene_of`, for all its organisations alike."""
    return Plan(knobs={"instance": scene.instance})


STORM: Final = Attack(
    id="A1",
    title="Forged token on Outlook on the web, as published of Storm-0558",
    description="The campaign of 2023 at its published scale.",
    techniques=("T1606.001", "T1550.001", "T1114.002"),
    tells=(
        "token id that no sign-in issued",
        "application and client that did not read mail before",
        "address that nobody used before",
        "volume of reads",
    ),
    plan=_no_plan,
    is_campaign=True,
)
