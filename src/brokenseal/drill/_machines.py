"""Visits of software and outsiders for one day.

Microsoft's background services, third-party applications, reviews, and the internet's failing guesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill import apps, devices, internet, people, streams
from brokenseal.drill._visits import Columns, client_columns, guest_session
from brokenseal.drill.presence import PREFER_V6, column, presence
from brokenseal.drill.tables import DAY_US, HOUR_US, SECOND_US, Coded

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.calendar import Happening
    from brokenseal.drill.world import Tenant

_LONGEST_S: Final = 20 * 3600.0
_OTHER_REGION: Final = 0.08
_WEEKEND: Final = 5
_APP_SESSION: Final = np.int64(1) << 44


def _client(name: str, count: int) -> npt.NDArray[np.int64]:
    return np.full(count, devices.CLIENT_NAMES.index(name))


def _starts(
    tenant: Tenant, day: int, rng: np.random.Generator, duration_s: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Anywhere in the day such that the visit ends within it."""
    room = np.maximum(DAY_US - duration_s * SECOND_US, SECOND_US)
    starts: npt.NDArray[np.int64] = tenant.day_starts_us(day) + (rng.random(len(room)) * room).astype(np.int64)
    return starts


def background_visits(tenant: Tenant, day: int) -> Columns:
    """Microsoft's own services open messages as they come; Exchange sees its own back-end addresses."""
    rng = tenant.stream("day", day, "background")
    parameters = tenant.parameters
    boxes, services = len(tenant.mailboxes), len(apps.BACKGROUND)
    weight = np.array([service.weight for service in apps.BACKGROUND])
    every_box, every_service = np.indices((boxes, services))
    taste = np.exp(0.8 * streams.hashed_normal(tenant.key("background taste"), every_box, every_service))
    share = weight * taste
    share /= share.sum(axis=1, keepdims=True)
    # Mail comes on working days mostly; a week of five and two days averages to one.
    rhythm = 0.5 if day % 7 >= _WEEKEND else 1.2
    mood = np.exp(0.3 * rng.standard_normal(boxes) - 0.045) * rhythm
    wanted = (tenant.mailboxes["records_per_day"] * parameters.microsoft_share * mood)[:, None] * share
    reads = rng.poisson(wanted)
    box, service = np.nonzero(reads)
    reads = reads[box, service]
    count = len(reads)
    median = np.array([one.pace_s for one in apps.BACKGROUND])[service]
    pace = np.minimum(median * np.exp(0.5 * rng.standard_normal(count)), _LONGEST_S / reads)
    duration = reads * pace
    is_logged = np.array([one.is_logged for one in apps.BACKGROUND])[service]
    places = tenant.internet.of_kind(internet.MICROSOFT)
    # A mailbox lives in one region; a front end serves several mailboxes for some hours.
    network = places[(streams.hashed_uniform(tenant.key("region"), box) < _OTHER_REGION).astype(np.int64)]
    host = rng.integers(0, 2 + boxes // 4, count) * 16 + day % 16
    address = internet.addresses(tenant.internet, network, host, np.ones(count, bool))
    app_ids = [one.app_id for one in apps.BACKGROUND]
    columns = client_columns(_client("background", count))
    return columns | {
        "starts_at_us": _starts(tenant, day, rng, duration),
        "duration_s": duration,
        "kind": "read",
        "identity_no": tenant.rows_of(people.SERVICE)[service],
        "mailbox_no": box,
        "user_type": 5,
        "app_id": Coded(service, app_ids),
        "client_app_id": Coded(service, app_ids),
        "network_no": network,
        "address": address,
        "mail_address": address,
        "is_microsoft_origin": True,
        "auth": Coded(is_logged.astype(np.int32), ("internal", "first_party")),
        "is_unlogged_flow": ~is_logged,
        "reads": reads,
        "folder_scope": Coded(streams.choose(rng, (0.8, 0.15, 0.05), count), ("inbox", "usual", "any")),
        "pace_s": pace,
        "truth_actor_kind": "service",
    }


_DELEGATED_SCALE: Final = 0.3
_IDLE_CHANCE: Final = 0.35


def app_visits(tenant: Tenant, day: int) -> Columns:
    """Third-party applications that act for a person: they poll with a refresh token, all day long."""
    rng = tenant.stream("day", day, "apps")
    rows = _adoptions(tenant, day, is_app_only=False)
    status = presence(tenant).status[rows["identity_no"], column(day)]
    rows = rows[status > 0]
    market = np.array([app.reads_per_day for app in tenant.market])
    reads = rng.poisson(market[rows["app_no"]] * _DELEGATED_SCALE * np.exp(0.5 * rng.standard_normal(len(rows))))
    kept = (reads > 0) | (rng.random(len(rows)) < _IDLE_CHANCE)
    rows, reads = rows[kept], reads[kept]
    count = len(rows)
    duration = np.where(reads > 0, rng.uniform(3, 18, count) * 3600, 30.0)
    person = rows["identity_no"].astype(np.int64)
    session = _APP_SESSION + (person << 10) + rows["app_no"]
    began = np.maximum(rows["from_day"], -people.ALWAYS // 1024).astype(np.int64)
    return _app_columns(tenant, rng, rows["app_no"]) | {
        "starts_at_us": _starts(tenant, day, rng, duration),
        "duration_s": duration,
        "kind": Coded((reads > 0).astype(np.int32), ("sign_in", "read")),
        "identity_no": person,
        "mailbox_no": np.where(reads > 0, person, -1),
        "session_no": session,
        "session_started_us": tenant.epoch_us + began * DAY_US + 9 * HOUR_US,
        "auth": "session",
        "reads": reads,
        "pace_s": duration / np.maximum(reads, 1),
        "truth_actor_kind": "app",
    }


def organisation_app_visits(tenant: Tenant, day: int) -> Columns:
    """Applications that act by themselves: backups at night, archives, helpdesks, scanners."""
    rng = tenant.stream("day", day, "organisation apps")
    rows = _adoptions(tenant, day, is_app_only=True)
    boxes = len(tenant.mailboxes)
    reach = 0.1 + 0.9 * streams.hashed_uniform(tenant.key("app reach"), rows["app_no"])
    covered = streams.hashed_uniform(tenant.key("app box"), rows["app_no"][:, None], np.arange(boxes)[None, :])
    kept = covered < reach[:, None]
    app_row, box = np.nonzero(kept)
    rows = rows[app_row]
    per_day = np.array([app.reads_per_day for app in tenant.market])[rows["app_no"]]
    reads = rng.poisson(per_day * np.minimum(tenant.mailboxes["records_per_day"][box] / 60, 4))
    rows, box, reads = rows[reads > 0], box[reads > 0], reads[reads > 0]
    count = len(rows)
    pace = streams.lognormal(rng, 3.0, 0.8, count)
    night = streams.hashed_uniform(tenant.key("app hour"), rows["app_no"]) * 20 * HOUR_US
    starts = tenant.day_starts_us(day) + (night + rng.random(count) * 3 * HOUR_US).astype(np.int64)
    identity = rows["identity_no"]
    certificate = streams.hashed_chance(0.4, tenant.key("certificate"), identity)
    return _app_columns(tenant, rng, rows["app_no"]) | {
        "starts_at_us": starts,
        "duration_s": reads * pace,
        "kind": "read",
        "identity_no": identity,
        "mailbox_no": box,
        # Over Exchange Web Services an application impersonates, which the log shows as an administrator's logon.
        "logon_type": np.array([app.protocol == "ews" for app in tenant.market])[rows["app_no"]].astype(np.int8),
        "user_type": 5,
        "auth": Coded(certificate.astype(np.int32), ("client_secret", "certificate")),
        "reads": reads,
        "folder_scope": "usual",
        "folders": 1 + rng.binomial(3, 0.3, count),
        "pace_s": pace,
        "truth_actor_kind": "app",
    }


def _adoptions(tenant: Tenant, day: int, *, is_app_only: bool) -> npt.NDArray[Any]:
    rows = tenant.calendar.adoptions
    alone = np.array([app.is_app_only for app in tenant.market])
    due = (rows["from_day"] <= day) & (day < rows["until_day"]) & (alone[rows["app_no"]] == is_app_only)
    chosen: npt.NDArray[Any] = rows[due]
    return chosen


def _app_columns(tenant: Tenant, rng: np.random.Generator, app_no: npt.NDArray[Any]) -> Columns:
    count = len(app_no)
    market = tenant.market
    is_ews = np.array([app.protocol == "ews" for app in market])[app_no]
    names = devices.CLIENT_NAMES.index
    columns = client_columns(np.where(is_ews, names("app_ews"), names("app_rest")))
    app_ids = [*(app.app_id for app in market), apps.GRAPH]
    agents = sorted({app.user_agent for app in market})
    network = np.array([app.network_no for app in market])[app_no]
    hosts = np.array([app.hosts for app in market])[app_no]
    host = app_no * 64 + (rng.random(count) * hosts).astype(np.int64)
    address = internet.addresses(tenant.internet, network, host, np.zeros(count, bool))
    return columns | {
        "app_id": Coded(np.where(is_ews, app_no, len(market)), app_ids),
        "client_app_id": Coded(app_no, app_ids[:-1]),
        "user_agent": Coded(np.array([agents.index(app.user_agent) for app in market])[app_no], agents),
        "network_no": network,
        "address": address,
        "mail_address": address,
        "truth_actor_kind": "app",
    }


def review_visits(tenant: Tenant, day: int) -> list[Columns]:
    """What reviewers, responders, testers and migrations do on this day."""
    found = []
    for kind in ("ediscovery", "incident_response", "penetration_test", "merger"):
        for number, one in enumerate(tenant.calendar.during(kind, day)):
            rng = tenant.stream("day", day, kind, number)
            found.append(_migration(tenant, day, one, rng) if kind == "merger" else _review(tenant, day, one, rng))
    return found


def _review(tenant: Tenant, day: int, one: Happening, rng: np.random.Generator) -> Columns:
    box = one.mailboxes[streams.chance(rng, 0.7, len(one.mailboxes))]
    count = len(box)
    is_test = one.kind == "penetration_test"
    name = {"ediscovery": "ediscovery", "incident_response": "graph_shell"}.get(one.kind, "owa")
    actor = box if is_test else np.full(count, one.actor_no)
    reads = np.maximum(streams.lognormal(rng, 12 if is_test else 90, 0.8, count).astype(np.int64), 1)
    kind = {"ediscovery": internet.MICROSOFT, "incident_response": internet.OFFICE}.get(one.kind, internet.HOSTING)
    network = np.full(count, one.network_no if is_test else tenant.internet.of_kind(kind)[0])
    if one.kind == "incident_response":
        network = np.full(count, tenant.calendar.sites_on(day)["network_no"][0])
    address = internet.addresses(tenant.internet, network, np.full(count, one.from_day + 64), np.zeros(count, bool))
    device = tenant.devices.current(actor, devices.COMPUTER, day)
    kinds = np.full(count, devices.CLIENT[name].agent, dtype=object)
    agent, _ = devices.agents(tenant.devices.devices[device], kinds, epoch_day=tenant.epoch_day, day=day, channel=0)
    starts = tenant.day_starts_us(day) + (rng.uniform(8, 17, count) * HOUR_US).astype(np.int64)
    return client_columns(_client(name, count)) | {
        "starts_at_us": starts,
        "duration_s": reads * 4.0,
        "kind": "read",
        "identity_no": actor,
        "mailbox_no": box,
        "logon_type": 0 if is_test else 1,
        "user_type": 0 if is_test else 2,
        "device_no": -1 if is_test else device,
        "user_agent": agent,
        "network_no": network,
        "address": address,
        "mail_address": address,
        "is_microsoft_origin": one.kind == "ediscovery",
        "session_no": guest_session(actor, day),
        "session_started_us": starts,
        "auth": "interactive",
        "mfa": "push",
        "reads": reads,
        "read_scope": "search",
        "searches": 1,
        "folder_scope": "any",
        "folders": 1 + rng.binomial(5, 0.3, count),
        "pace_s": 4.0,
        "truth_actor_kind": "tester" if is_test else "admin",
    }


def _migration(tenant: Tenant, day: int, one: Happening, rng: np.random.Generator) -> Columns:
    """Each mailbox moves on one day of the span."""
    length = np.uint64(one.until_day - one.from_day)
    turn = (streams.hashed(tenant.key("migration"), one.mailboxes) % length).astype(np.int64)
    box = one.mailboxes[turn == day - one.from_day]
    count = len(box)
    reads = np.maximum(streams.lognormal(rng, 300, 0.6, count).astype(np.int64), 10)
    app_no = np.full(count, one.app_no)
    return _app_columns(tenant, rng, app_no) | {
        "starts_at_us": tenant.day_starts_us(day) + (rng.uniform(0, 20, count) * HOUR_US).astype(np.int64),
        "duration_s": reads * 1.5,
        "kind": "read",
        "identity_no": tenant.rows_of(people.APP)[app_no],
        "mailbox_no": box,
        "logon_type": 1,
        "user_type": 5,
        "auth": "client_secret",
        "reads": reads,
        "read_scope": "mailbox",
        "folder_scope": "any",
        "folders": 8,
        "pace_s": 1.5,
        "truth_actor_kind": "app",
    }


_GUESS_KINDS: Final = (internet.HOSTING, internet.CONSUMER_VPN, internet.HOME)
_GUESS_WEIGHTS: Final = (0.5, 0.2, 0.3)


def failing_guesses(tenant: Tenant, day: int) -> Columns:
    """Sign-ins from the internet that fail: every tenant has them, and they prove nothing."""
    rng = tenant.stream("day", day, "guesses")
    persons = tenant.rows_of(people.PERSON)
    count = int(rng.poisson(tenant.parameters.spray_per_day * len(persons) / 100))
    kind = streams.choose(rng, _GUESS_WEIGHTS, count)
    pools = [tenant.internet.of_kind(one) for one in _GUESS_KINDS]
    draw = rng.random(count)
    network = np.zeros(count, dtype=np.int64)
    for number, pool in enumerate(pools):
        mask = kind == number
        network[mask] = pool[(draw[mask] * len(pool)).astype(np.int64)]
    hosts, prefers_v6 = rng.integers(0, 1 << 30, count), streams.chance(rng, PREFER_V6, count)
    address = internet.addresses(tenant.internet, network, hosts, prefers_v6)
    agents = sorted({app.user_agent for app in tenant.market})
    person = rng.choice(persons, size=count) if count else np.empty(0, dtype=np.int64)
    return client_columns(_client("other", count)) | {
        "starts_at_us": tenant.day_starts_us(day) + rng.integers(0, DAY_US, count),
        "duration_s": 1.0,
        "kind": "sign_in",
        "identity_no": person,
        "user_agent": Coded(rng.integers(len(agents), size=count).astype(np.int32), agents),
        "network_no": network,
        "address": address,
        "mail_address": address,
        "auth": Coded(streams.choose(rng, (0.6, 0.4), count), ("password_grant", "interactive")),
        "sign_in_fails": True,
        "truth_actor_kind": "outsider",
    }
