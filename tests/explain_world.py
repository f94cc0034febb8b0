"""Small tenants for the tests of explanations, and a judgement made by hand."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid

from brokenseal.detectors import open_door
from brokenseal.explain import explain
from brokenseal.judged import Assessment, EvidencePart, UnitWeight
from brokenseal.judgement import clustered, kept_parts, run_marks
from support import make_tables

START = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
TENANT = "11111111-0000-4000-8000-000000000001"
OWA = "9199bf20-a13f-4107-85dc-02114787ef48"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36"
LINUX = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:87.0) Gecko/20100101 Firefox/87.0"


def at(days=0.0, **parts):
    return START + dt.timedelta(days=days, **parts)


def token(number):
    """A token id with the form of issued ones."""
    return str(uuid.UUID(int=(number << 64) | (4 << 76) | (8 << 60)))[:-2] + "00"


def read(event_id, when, who, **columns):
    """A mail access by the owner from a public address, on the web."""
    return {
        "event_id": event_id,
        "occurred_at": when,
        "tenant_id": TENANT,
        "mailbox_key": f"box-{who}",
        "mailbox_upn": f"{who}@corp.example",
        "actor": f"{who}@corp.example",
        "actor_key": f"{who}@corp.example",
        "user_type": 0,
        "logon_type": 0,
        "access_type": "bind",
        "client_ip": "9.9.9.9",
        "ip_class": "public",
        "client_type": "OWA",
        "protocol": "owa",
        "user_agent": WINDOWS,
        "effective_app": OWA,
        "token_subject": f"oid-{who}",
        **columns,
    }


def sign_in(event_id, when, who, **columns):
    """A successful interactive sign-in."""
    return {
        "event_id": event_id,
        "occurred_at": when,
        "tenant_id": TENANT,
        "category": "interactive",
        "actor": f"{who}@corp.example",
        "actor_key": f"{who}@corp.example",
        "subject_id": f"oid-{who}",
        "app_id": OWA,
        "client_ip": "9.9.9.9",
        "ip_class": "public",
        "succeeded": True,
        **columns,
    }


def heartbeat(days, who="heart"):
    """Sign-ins of both kinds every hour, so that the logs reach everywhere."""
    return [
        sign_in(f"{category}-{hour}", at(hours=hour), who, category=category)
        for hour in range(days * 24)
        for category in ("interactive", "non_interactive")
    ]


def weight(row, marks, *, is_door=False, standing="opens"):
    """The weight of one unit, with what the marks say of it."""
    unit = row["cluster"]
    said = {
        detector_id: each for detector_id, rows in marks.items() for each in rows.to_pylist() if each["unit"] == unit
    }
    parts = tuple(
        EvidencePart(
            detector_id=detector_id,
            state=each["state"],
            bin=each["bin"],
            reason=each["reason"],
            f0_upper_ppb=each["f0_upper_ppb"],
            n_reference=each["n_reference"] or 0,
            basis="tenant" if each["f0_upper_ppb"] else "none",
            is_assumed=False,
        )
        for detector_id, each in said.items()
    )
    return UnitWeight(
        unit=unit, is_door=is_door, standing=standing, mailbox=row.get("mailbox_upn"), actor=row.get("actor_key"),
        app=row.get("app"), network=row.get("network"), agent=row.get("agent"), first_at=row.get("first_at", START),
        last_at=row.get("last_at", START), records=row.get("records", 1), millibans=7000, parts=parts,
    )  # fmt: skip


def assessment(units, *, n_units=None):
    """A judgement of nothing but its units."""
    return Assessment(
        millibans=7000, threshold_millibans=5500, budget_per_billion=50_000, likelihoods=(), confidence="low",
        confidence_reasons=(), units=tuple(units), n_units=len(units) if n_units is None else n_units,
        alternatives=(), assumptions=(), refutes=(), collection=(), doors_open=(), made_with={},
    )  # fmt: skip


def explained(rows, units, detectors=(), doors=(), **options):
    """The explanation of these units in a tenant of these rows; and the marks and clusters behind it."""
    with contextlib.ExitStack() as kept:
        known = kept.enter_context(clustered(make_tables(rows)))
        if open_door.DETECTOR in detectors:
            known = kept.enter_context(kept_parts(known, open_door.parts))
        marks = run_marks(known, detectors, ())
        clusters = {row["cluster"]: row for row in known["clusters"].to_pyarrow().to_pylist()}
        weights = [weight(clusters[unit], marks) for unit in units]
        weights += [weight({"cluster": door}, marks, is_door=True) for door in doors]
        found = explain(
            known, marks, assessment(weights, **options), case_id="case-x", calibration="a test", simulated=False
        )
        return found, {name: part.to_pylist() for name, part in marks.items()}, clusters
