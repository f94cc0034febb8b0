"""Hand-made visits, and whole days through all layers."""

from __future__ import annotations

import functools

import numpy as np

from brokenseal.drill import clients, exchange_audit, identity, intents, mailflow, tables
from brokenseal.drill.tables import HOUR_US, build, row_number
from drill.drill_tenants import tenant

OUTLOOK_WEB = "9199bf20-a13f-4107-85dc-02114787ef48"
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"


def visits(one, day, rows, **columns):
    """INTENT: visits of person 0 to their own mailbox by the web client at 09:00, unless said otherwise."""
    values = {
        "intent_id": row_number(day, rows),
        "day": day,
        "starts_at_us": one.day_starts_us(day) + 9 * HOUR_US + np.arange(rows) * 60_000_000,
        "duration_s": 1200.0,
        "kind": "read",
        "identity_no": 0,
        "mailbox_no": 0,
        "device_no": 0,
        "client_class": "owa",
        "protocol": "owa",
        "app_id": OUTLOOK_WEB,
        "client_app_id": OUTLOOK_WEB,
        "resource_id": EXCHANGE,
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)",
        "network_no": 0,
        "address": "198.18.0.7",
        "mail_address": "198.18.0.7",
        "session_no": 77,
        "reads": 5,
    }
    return build(tables.INTENT, rows, {**values, **columns})


@functools.lru_cache(maxsize=8)
def mail_of(one):
    return mailflow.build_mail(one)


def audited(one, day, rows, *, before=(), memory=None, changes=None, switches=None):
    """The audit log of visits, with tokens and actions."""
    issued = identity.issue(one, day, rows, before)
    done = clients.act(one, day, rows, issued.uses, mail_of(one))
    log = exchange_audit.audit(
        one,
        day,
        intents=rows,
        tokens=issued.tokens,
        actions=done,
        changes=tables.empty(tables.CHANGE) if changes is None else changes,
        mail=mail_of(one),
        memory=exchange_audit.forgetful() if memory is None else memory,
        switches=switches,
    )
    return issued, done, log


@functools.lru_cache(maxsize=16)
def whole_day(day, first=None, **changed):
    """A day of honest visits, audited from `first` on (or alone, with the look-back that is needed)."""
    one = tenant(mailboxes=40, **changed)
    start = day - exchange_audit.LOOK_BACK_DAYS if first is None else first
    memory = exchange_audit.forgetful()
    for number in range(start, day + 1):
        rows = intents.day_intents(one, number)
        before = [intents.day_intents(one, number - back) for back in range(1, identity.LOOK_BACK_DAYS + 1)]
        issued, done, log = audited(
            one, number, rows, before=before, memory=memory, changes=intents.day_changes(one, number)
        )
        memory = log.memory
    return issued, done, log
