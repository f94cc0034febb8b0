"""Measured tenants made by hand, for tests of the evaluation: a few units and alerts whose truth is known."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from brokenseal import schema
from brokenseal.calibration import Calibration, Group, Intrusions
from brokenseal.drill._evaluate_facts import (
    ALERTS,
    FORMAT,
    CaseFact,
    Facts,
    InstanceFact,
    LikelihoodFact,
    Measured,
    TenantFact,
)
from brokenseal.drill._unit_truth import UNIT

START = dt.datetime(2026, 2, 2, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
ROOT, TOKEN = "stranger", "token"


def calibration():
    return Calibration(
        format=1,
        made_of="a test",
        root=ROOT,
        groups_of={"odd": "strange"},
        benign={
            "habitual": Group(units=99_000, bins={TOKEN: {"orphan": 9}}),
            "strange": Group(units=1_000, bins={ROOT: {"odd": 1_000}, TOKEN: {"orphan": 1}}),
        },
        doors=Group(units=100, bins={"door": {"open": 40}}),
        mailbox_weeks=1000.0,
        intrusions={"A1": Intrusions(instances=5, units=10, bins={ROOT: {"odd": 8}, TOKEN: {"orphan": 9}})},
    )


def instance(number, attack_id="A1", stealth=1, *, caught_after=None, **changes):
    values = {
        "instance": number,
        "attack_id": attack_id,
        "title": f"Title of {attack_id}",
        "stealth": stealth,
        "campaign": None,
        "first_record_at": START + DAY,
        "first_available_at": START + DAY + HOUR,
        "mailbox_keys": ["box"],
        "is_observable": True,
        "reads_s": [int((START + DAY + hour * HOUR).timestamp()) for hour in range(1, 5)],
        "cases": int(caught_after is not None),
        "caught_at": None if caught_after is None else START + DAY + caught_after,
        "messages": 4,
        "messages_before": 4,
        "is_reassured": False,
    }
    return InstanceFact(**{**values, **changes})


def case(name, *, is_true, permille=None, **changes):
    likelihoods = [
        LikelihoodFact(
            prior_per_million=prior, permille=permille, low_permille=max(permille - 50, 1), high_permille=permille + 50
        )
        for prior in ((100, 1000, 10_000) if permille is not None else ())
    ]
    values = {
        "case_id": name,
        "is_true": is_true,
        "is_in_warm_up": False,
        "detectors": ["token"],
        "actor_kinds": ["attacker" if is_true else "owner"],
        "mailboxes_touched": int(is_true),
        "mailboxes_untouched": int(not is_true),
        "mailboxes_unknown": 0,
        "records_unknown": 0,
        "millibans": None,
        "likelihoods": likelihoods,
        "confidence": None,
    }
    return CaseFact(**{**values, **changes})


def unit(name, instance=None, *, at=DAY, seen=None, is_door=False, mailbox="box", is_scored=True):
    return {
        "unit": name,
        "is_door": is_door,
        "tenant_id": "t",
        "mailbox_key": mailbox,
        "network": f"n-{name}",
        "first_at": START + at,
        "actor_kind": "owner",
        "instance": instance,
        "attack_id": None,
        "stealth": None,
        "is_control": False,
        "is_scored": is_scored,
        "seen_at": None if instance is None else START + (at if seen is None else seen),
    }


def alert(rule, subject, at, *, score=None, cites=()):
    """An alert; `cites` are pairs of an instance and when its record could be read."""
    return {
        "baseline": rule,
        "tenant_id": "t",
        "subject": subject,
        "alert_key": f"{rule} {subject} {at}",
        "score_millis": score,
        "first_at": START + at,
        "instances": [one for one, _ in cites],
        "seen_at": [START + seen for _, seen in cites],
        "occurred_at": [START + seen for _, seen in cites],
    }


def mark(unit, detector_id, name):
    row = dict.fromkeys(schema.MARK.names) | {"unit": unit, "state": "fired", "bin": name}
    return row | {"detector_id": detector_id}


def measured(
    number=0,
    *,
    instances=(),
    cases=(),
    units=(),
    marks=(),
    alerts=(),
    prior="test",
    logs="full",
    seed=None,
    mailboxes=60,
    weeks=100.0,
    notices=0,
):
    facts = Facts(
        format=FORMAT,
        name=f"{prior}-{number}",
        seed=number if seed is None else seed,
        prior=prior,
        days=49,
        has_attacks=bool(instances),
        code="c0de",
        calibration="ca1",
        tenant=TenantFact(
            tenant_id=f"00000000-0000-4000-8000-{number:012d}",
            logs=logs,
            log_epoch=2025,
            mailboxes=mailboxes,
            mailbox_weeks=weeks,
            ends_at=START + 21 * DAY,
            scoring_from=START,
            streams=["ual_exchange"],
        ),
        instances=list(instances),
        cases=list(cases),
        false_notices=notices,
        exposure=dict.fromkeys(_EXPOSURE, (0, 0)),
        counts=dict.fromkeys(("throttled", "throttled_said", "others"), (0, 0)),
        detectors=[],
        mailbox_weeks_weighed=weeks,
        seconds={"product": 2.0, "simulate and ingest": 3.0},
        records=1000,
    )
    unit_schema = UNIT.append(pa.field("seen_at", pa.timestamp("us", tz="UTC")))
    mark_schema = schema.MARK.arrow_schema().append(pa.field("detector_id", pa.string()))
    return Measured(
        facts=facts,
        units=pa.Table.from_pylist(list(units), schema=unit_schema),
        marks=pa.Table.from_pylist(list(marks), schema=mark_schema),
        alerts=pa.Table.from_pylist(list(alerts), schema=ALERTS),
    )


_EXPOSURE = (
    "certain_recall_read",
    "certain_recall_shown",
    "possible_recall_taken",
    "caught_certain_recall_read",
    "caught_certain_recall_shown",
    "caught_possible_recall_taken",
    "certain_precision",
    "certain_precision_true_cases",
    "possible_precision",
)
