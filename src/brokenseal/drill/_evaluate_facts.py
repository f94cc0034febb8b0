"""What is kept of one measured tenant, so that a page can be made anew without any detector: small and plain.

facts.json       what the cases said of the truth, time, thresholds
units.parquet    every unit of evidence, whose it was, and when an intruder's could be read
marks.parquet    what every detector said of the units
alerts.parquet   what every baseline said, with the instances that its alerts cite
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from brokenseal.drill._score_observe import CaseOutcome, IntrusionOutcome, Observations
from brokenseal.drill._score_states import DetectorOutcome
from brokenseal.drill._score_truth import Intrusion, TenantTruth

FORMAT: Final = 1
_APART: Final = 100_000
"""Instances of one tenant are fewer: the numbers of several tenants are kept apart by it."""

ALERTS: Final = pa.schema(
    [
        ("baseline", pa.string()),
        ("tenant_id", pa.string()),
        ("subject", pa.string()),
        ("alert_key", pa.string()),
        ("score_millis", pa.int64()),
        ("first_at", pa.timestamp("us", tz="UTC")),
        ("instances", pa.list_(pa.int32())),
        ("seen_at", pa.list_(pa.timestamp("us", tz="UTC"))),
        ("occurred_at", pa.list_(pa.timestamp("us", tz="UTC"))),
    ]
)
"""One row per alert after the warm-up; of each instance that it cites, the first cited record's time and when that
could be read."""


class InstanceFact(msgspec.Struct, frozen=True, kw_only=True):
    """One instance of an attack or control, and what the product's cases said of it.

    Attributes:
        reads_s: When each distinct message was first taken, seconds since 1970, ascending.
        cases: Cases that cite it; `caught_at` is when the first of them told of it.
    """

    instance: int
    attack_id: str
    title: str
    stealth: int
    campaign: int | None
    first_record_at: dt.datetime | None
    first_available_at: dt.datetime | None
    mailbox_keys: list[str]
    is_observable: bool
    reads_s: list[int]
    cases: int
    caught_at: dt.datetime | None
    messages: int
    messages_before: int
    is_reassured: bool | None


class LikelihoodFact(msgspec.Struct, frozen=True, kw_only=True):
    """One printed probability."""

    prior_per_million: int
    permille: int
    low_permille: int
    high_permille: int


class CaseFact(msgspec.Struct, frozen=True, kw_only=True):
    """One case of the product.

    Attributes:
        millibans: Weight of its heaviest unit; None where nothing was weighed.
        likelihoods: As printed; empty where nothing was weighed.
        confidence: Analytic confidence; None where nothing was weighed.
    """

    case_id: str
    is_true: bool
    is_in_warm_up: bool
    detectors: list[str]
    actor_kinds: list[str]
    mailboxes_touched: int
    mailboxes_untouched: int
    mailboxes_unknown: int
    records_unknown: int
    millibans: int | None
    likelihoods: list[LikelihoodFact]
    confidence: str | None


class DetectorFact(msgspec.Struct, frozen=True, kw_only=True):
    """What one detector said of the store."""

    detector_id: str
    logs: str
    state: str
    should: bool | None


class TenantFact(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant, as `TenantTruth`."""

    tenant_id: str
    logs: str
    log_epoch: int
    mailboxes: int
    mailbox_weeks: float
    ends_at: dt.datetime
    scoring_from: dt.datetime
    streams: list[str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One measured tenant. All of it is simulated.

    Attributes:
        name: Folder of its run.
        seed, prior, days, has_attacks: From its order.
        code: Digest of the code that measured it; `calibration` of the calibration, empty where there was none.
        false_notices: Notices after the warm-up that cite no intruder.
        mailbox_weeks_weighed: Mailbox-weeks that the thresholds were set for.
        seconds: Processor time by step.
        records: Rows of the store's events.
        failed: What could not be measured, and the message.
    """

    format: int
    name: str
    seed: int
    prior: str
    days: int
    has_attacks: bool
    code: str
    calibration: str
    tenant: TenantFact
    instances: list[InstanceFact]
    cases: list[CaseFact]
    false_notices: int
    exposure: dict[str, tuple[int, int]]
    counts: dict[str, tuple[int, int]]
    detectors: list[DetectorFact]
    mailbox_weeks_weighed: float
    seconds: dict[str, float]
    records: int
    failed: dict[str, str] = {}


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant with its tables."""

    facts: Facts
    units: Any
    marks: Any
    alerts: Any

    @property
    def key(self) -> str:
        """Tenants with this key suffered the same, whatever logs were given."""
        return f"{self.facts.prior}-{self.facts.seed}"


# ---------------------------------------------------------------- observations


def facts_of_case(outcome: CaseOutcome, case_id: str, assessment: Any) -> CaseFact:
    """One case, with what was judged of it (None where nothing was)."""
    judged = assessment.likelihoods if assessment is not None else ()
    return CaseFact(
        case_id=case_id,
        millibans=None if assessment is None else assessment.millibans,
        confidence=None if assessment is None else assessment.confidence,
        likelihoods=[
            LikelihoodFact(**{name: getattr(one, name) for name in LikelihoodFact.__struct_fields__}) for one in judged
        ],
        **_plain(outcome, without=("tenant_id",)),
    )


def facts_of_instance(outcome: IntrusionOutcome, reads_s: list[int]) -> InstanceFact:
    """One instance with the times at which it took its messages."""
    return InstanceFact(
        **_plain(outcome.intrusion, without=("tenant_id",)),
        **_plain(outcome, without=("intrusion", "tenant")),
        reads_s=reads_s,
    )


def facts_of_tenant(tenant: TenantTruth) -> TenantFact:
    """The tenant as plain values."""
    return TenantFact(**_plain(tenant))


def facts_of_detector(outcome: DetectorOutcome) -> DetectorFact:
    """One detector's state."""
    return DetectorFact(**_plain(outcome))


def _plain(value: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {}
    for item in fields(value):
        if item.name not in without:
            one = getattr(value, item.name)
            found[item.name] = (
                sorted(one) if isinstance(one, frozenset) else list(one) if isinstance(one, tuple) else one
            )
    return found


def observations_of(facts: Facts, number: int) -> Observations:
    """What `score.summarise` takes; `number` keeps the instances of several tenants apart."""
    tenant = TenantTruth(**{**msgspec.structs.asdict(facts.tenant), "streams": frozenset(facts.tenant.streams)})
    return Observations(
        timing="evidence",
        tenants=(tenant,),
        intrusions=tuple(_outcome(one, tenant, number) for one in facts.instances),
        cases=tuple(_case(one, tenant.tenant_id) for one in facts.cases),
        false_notices=(tenant.tenant_id,) * facts.false_notices,
        exposure=facts.exposure,
        counts=facts.counts,
        detectors=tuple(DetectorOutcome(**msgspec.structs.asdict(one)) for one in facts.detectors),
    )


def _outcome(one: InstanceFact, tenant: TenantTruth, number: int) -> IntrusionOutcome:
    intrusion = Intrusion(
        instance=number * _APART + one.instance,
        tenant_id=tenant.tenant_id,
        attack_id=one.attack_id,
        title=one.title,
        stealth=one.stealth,
        campaign=None if one.campaign is None else number * _APART + one.campaign,
        first_record_at=one.first_record_at,
        first_available_at=one.first_available_at,
        mailbox_keys=frozenset(one.mailbox_keys),
        is_observable=one.is_observable,
    )
    return IntrusionOutcome(
        intrusion=intrusion,
        tenant=tenant,
        cases=one.cases,
        caught_at=one.caught_at,
        messages=one.messages,
        messages_before=one.messages_before,
        is_reassured=one.is_reassured,
    )


def _case(one: CaseFact, tenant_id: str) -> CaseOutcome:
    return CaseOutcome(
        tenant_id=tenant_id,
        is_true=one.is_true,
        is_in_warm_up=one.is_in_warm_up,
        detectors=tuple(one.detectors),
        actor_kinds=tuple(one.actor_kinds),
        mailboxes_touched=one.mailboxes_touched,
        mailboxes_untouched=one.mailboxes_untouched,
        mailboxes_unknown=one.mailboxes_unknown,
        records_unknown=one.records_unknown,
    )


# ---------------------------------------------------------------- files

_TABLES: Final = ("units", "marks", "alerts")


def write(measured: Measured, folder: Path) -> None:
    """Put the folder there when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name in _TABLES:
            pq.write_table(getattr(measured, name), part / f"{name}.parquet", compression="zstd")
        (part / "facts.json").write_bytes(msgspec.json.format(msgspec.json.encode(measured.facts), indent=1) + b"\n")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def read(folder: Path) -> Measured:
    """What was written.

    Raises:
        OSError: A file cannot be read.
        msgspec.DecodeError: The facts are of another form.
    """
    facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Facts)
    return Measured(facts=facts, **{name: pq.read_table(folder / f"{name}.parquet") for name in _TABLES})
