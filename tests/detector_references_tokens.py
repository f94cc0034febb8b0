"""What `token.impossible` must find, written the obvious way on lists of dicts, and worlds in which all of it occurs."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict

from brokenseal.detectors import impossible_token

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
HOME, ELSEWHERE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
CONSUMER = impossible_token.CONSUMER_TENANT
GOOD = tuple(f"{number:08x}-2d4f-4816-a71e-d3c0eff10500" for number in range(6))
ODD = ("0000000c-2d4f-5816-a71e-d3c0eff10500", "0000000d-2d4f-4816-a71e-d3c0eff10577")
MINUTES = (-8, -7, 0, 1, 30, 91, 200, 28 * 60 + 10, 28 * 60 + 11)


def add_tokens(world):
    """Accesses and sign-ins of a few tokens, dense enough that they contradict each other now and then."""
    calm = world.pick(True, False)
    for number in range(world.pick(3, 9)):
        name = "a" if calm else world.pick("a", "b")
        issued = START + dt.timedelta(hours=world.pick(0, 1))
        world.add(
            "mail_accesses",
            occurred_at=issued + dt.timedelta(minutes=world.pick(*MINUTES), seconds=number),
            tenant_id=HOME,
            mailbox_key="m1",
            mailbox_upn=world.pick(None, "a@corp.example"),
            actor_key=f"{name}@corp.example",
            user_type=world.pick(0, 0, 0, 10, None),
            effective_app=world.pick("app1", "app1", "app2", "proto:owa"),
            protocol="owa",
            session_id=f"s{number if calm else world.pick(1, 2, 3)}",
            token_id_raw="raw",
            token_id=f"{number % 6:08x}{GOOD[0][8:]}" if calm else world.pick(None, *GOOD, *ODD),
            token_issued_at=world.pick(None, issued, issued, issued),
            token_subject=world.pick(None, name, name, name),
            token_tenant_id=HOME if calm else world.pick(None, HOME, HOME, ELSEWHERE, CONSUMER),
        )
    for _ in range(world.pick(1, 4)):
        world.add(
            "sign_ins",
            occurred_at=START,
            category=world.pick("interactive", "audit_log"),
            request_id=world.pick(None, *GOOD),
            subject_id=world.pick(None, "a", "a", "b"),
            app_id=world.pick(None, "app1", "app1", "app2"),
            succeeded=world.pick(None, True, True, False),
            home_tenant_id=world.pick(None, HOME, ELSEWHERE),
        )
    for _ in range(world.pick(0, 1)):
        world.add(
            "config_changes",
            occurred_at=START + dt.timedelta(hours=1),
            change=world.pick("sessions_revoked", "password_reset", "other"),
            target_key=world.pick("a@corp.example", "b@corp.example"),
            succeeded=world.pick(None, True, False),
        )


def _unique(rows):
    return list({repr(sorted(row.items(), key=lambda item: item[0])): row for row in rows}.values())


def _odd(token):
    return not (token[14] == "4" and token[34:36] in {"00", "01", "02"})


def _client(row):
    app = row.get("effective_app")
    return None if app is None or app.startswith("proto:") else app


def clusters(rows):
    """Cluster of each access: one hand until twelve hours pass. All worlds have sessions and no addresses."""
    hands, found = defaultdict(list), {}
    for row in rows:
        identity = row.get("token_subject") or row.get("actor_key") or ""
        hands[row.get("tenant_id"), row["mailbox_key"], identity, row["session_id"]].append(row)
    for hand in hands.values():
        last = begun = None
        for row in sorted(hand, key=lambda row: (row["occurred_at"], row["event_id"])):
            if last is None or row["occurred_at"] - last > dt.timedelta(hours=12):
                begun = row["event_id"]
            last, found[row["event_id"]] = row["occurred_at"], begun
    return found


def judged(rows):
    """The bin of each access that carries a token id: event id to bin or None."""
    accesses = _unique(rows.get("mail_accesses", ()))
    sign_ins = _unique(rows.get("sign_ins", ()))
    issued = defaultdict(list)
    for row in sign_ins:
        if row.get("token_id") or row.get("request_id"):
            issued[row.get("token_id") or row["request_id"]].append(row)
    odd = sum(_odd(token) for token in issued)
    form_known = bool(issued) and odd * 1000 <= len(issued) * impossible_token.ODD_FORMS_PER_MILLE
    tenants = {row["home_tenant_id"] for row in sign_ins if row.get("home_tenant_id") and row["succeeded"] is not False}
    revoked = [
        row
        for row in _unique(rows.get("config_changes", ()))
        if row["change"] in {"sessions_revoked", "password_reset"} and row["succeeded"] is not False
    ]
    uses = defaultdict(list)
    for row in accesses:
        uses[row["token_id"]].append(row)
    found = {}
    for row in accesses:
        token = row["token_id"]
        if token is None:
            found[row["event_id"]] = None
            continue
        same = uses[token]

        def several(name, same=same):
            return len({other.get(name) for other in same} - {None}) > 1

        signs = issued.get(token, [])
        to = max((sign["subject_id"] for sign in signs if sign["subject_id"]), default=None)
        client = max((s["app_id"] for s in signs if s["app_id"] and s["category"] != "audit_log"), default=None)
        iat, tenant = row["token_issued_at"], row["token_tenant_id"]
        age = None if iat is None else (row["occurred_at"] - iat).total_seconds()
        before = [
            c["occurred_at"]
            for c in revoked
            if c["target_key"] == row["actor_key"] and c["occurred_at"] <= row["occurred_at"]
        ]
        last = max(before, default=None)
        guest = row["user_type"] in {9, 10}
        checks = {
            "consumer_tenant": tenant == CONSUMER and not guest,
            "two_subjects": several("token_subject"),
            "issued_ahead": age is not None and age < -420,
            "too_old": age is not None and age > 28 * 3600 + 600,
            "other_subject": to is not None and row["token_subject"] is not None and to != row["token_subject"],
            "two_issues": several("token_issued_at")
            or several("session_id")
            or len({_client(other) for other in same} - {None}) > 1,
            "foreign_tenant": tenant is not None and tenant != HOME and tenant not in tenants and not guest,
            "after_revocation": last is not None
            and iat is not None
            and last > iat
            and (row["occurred_at"] - last).total_seconds() > 5400,
            "failed_sign_in": bool(signs) and all(sign["succeeded"] is False for sign in signs),
            "other_client": client is not None and _client(row) is not None and client != _client(row),
            "odd_form": _odd(token) and form_known,
        }
        found[row["event_id"]] = next((name for name, holds in checks.items() if holds), None)
    return found


def impossible(rows):
    accesses = {row["event_id"]: row for row in rows.get("mail_accesses", ())}
    of = clusters(_unique(rows.get("mail_accesses", ())))
    return {
        (name, f"{of[event]} {accesses[event].get('mailbox_upn') or accesses[event]['mailbox_key']}", "read", event)
        for event, name in judged(rows).items()
        if name
    }


def marks(rows):
    """Unit to (state, bin)."""
    accesses = _unique(rows.get("mail_accesses", ()))
    of, bins, units = clusters(accesses), judged(rows), defaultdict(list)
    order = list(impossible_token.BINS)
    for row in accesses:
        units[of[row["event_id"]]].append((row["token_id"], bins[row["event_id"]]))
    return {
        unit: (
            "fired"
            if any(name for _, name in held)
            else "quiet"
            if any(token for token, _ in held)
            else "not_assessable",
            min((name for _, name in held if name), key=order.index, default=None),
        )
        for unit, held in units.items()
    }
