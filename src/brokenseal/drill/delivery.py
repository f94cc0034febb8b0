"""When each log line can first be read, how often it is delivered, and which lines never are.

The unified audit log has no delivery promise: most records come within the hour, some a day later, and a collector
may see one several times (Office 365 Management Activity API: at least once, in no order). Sign-in logs are quicker.
Outages of a collector lose whole stretches of one stream in one region.

A tenant gives its past as exports that somebody downloads (the portal removes copies), and, from `switch_us` on, as a
stream that a collector has been keeping. Around the switch some lines stand in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from brokenseal.drill import streams
from brokenseal.drill.tables import DAY_US, DELIVERED, HOUR_US, MINUTE_US, STREAMS, build, concat, empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from brokenseal.drill.priors import TenantParameters

LOGS: Final = ("full", "no-noninteractive", "ual-only", "gappy")
"""What of the logs a drill gives: all, no non-interactive sign-ins, the audit log alone, or 30 % lost to outages."""

SHAPES: Final = ("mixed", "portal", "stream")
"""Downloaded exports followed by a collector's stream; downloads alone; a stream alone."""

_AUDIT: Final = ("ual_exchange", "ual_entra", "ual_general")
_SIGN_INS: Final = (
    "interactive",
    "non_interactive",
    "service_principal",
    "managed_identity",
    "microsoft_service_principal",
    "adfs",
    "graph_activity",
)
_TRUTH: Final = ("truth_actor_kind", "truth_attack_id", "truth_instance", "truth_stage")

_BODY_SIGMA: Final = 0.55
# One line in 250 is in the tail; its scale is set so that one in a thousand comes later than the prior's 99.9 %.
_TAIL_SHARE: Final = 0.004
_TAIL_SHAPE: Final = 1.5
_LATEST_US: Final = 72 * HOUR_US
_GRAPH_LAG_MIN: Final = 25.0
_TRACE_LAG_MIN: Final = 10.0
# Storage accounts receive two to three lines in a hundred again.
_REDELIVERED: Final = 0.025
# Further copies of a copied record, as in a public lab export: one in 94 of 100 cases, up to 117.
_COPIES: Final = (1, 2, 3, 7, 15, 31, 63, 117)
_COPY_WEIGHTS: Final = (0.94, 0.03, 0.015, 0.008, 0.004, 0.0018, 0.0009, 0.0003)
_OVERLAP_US: Final = 6 * HOUR_US
_REGIONS: Final = 3
_GAPPY_SHARE: Final = 0.3
_GAPPY_HOURS: Final = 6.0
_TRUNCATED_DAYS: Final = 0.05
_PARTIAL_DAYS: Final = 0.5


class Gap(NamedTuple):
    """An outage: one stream in one region lost everything from `from_us` until `until_us`."""

    stream: str
    region: int
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """How one tenant's lines are delivered.

    Attributes:
        seed: Seed of the drill.
        tenant_no: Number of the tenant.
        parameters: What it drew.
        withheld: Streams that the option leaves out.
        is_partial: Non-interactive sign-ins of half of the days are missing.
        is_truncated: Downloads may be cut at their end.
        gaps: Outages, sorted.
        starts_us: Start of the drill.
        ends_us: When the exports are taken; what is not there by then is missing.
        switch_us: Lines from then on come by stream.
    """

    seed: int
    tenant_no: int
    parameters: TenantParameters
    withheld: frozenset[str]
    is_partial: bool
    is_truncated: bool
    gaps: tuple[Gap, ...]
    starts_us: int
    ends_us: int
    switch_us: int

    def key(self, *keys: int | str) -> int:
        """Key of the tenant's delivery for `streams.hashed`."""
        return streams.hash_key(self.seed, "tenant", self.tenant_no, "delivery", *keys)


class Lines(NamedTuple):
    """The lines of one stream and day.

    Attributes:
        stream: One of `STREAMS`.
        table: Table that they come from, as in `DELIVERED.table`.
        row_no: Their numbers there.
        at_us: When they happened.
        mailbox_no: Mailbox (its region decides which outages hit); -1 for none.
        truth: Table with the truth columns of each line.
    """

    stream: str
    table: str
    row_no: npt.NDArray[np.int64]
    at_us: npt.NDArray[np.int64]
    mailbox_no: npt.NDArray[np.int32]
    truth: pa.Table


def delivery_law(
    parameters: TenantParameters, *, seed: int, tenant_no: int, logs: str, shape: str, starts_us: int, days: int
) -> Law:
    """The delivery of one tenant.

    Args:
        parameters: What the tenant drew.
        seed: Seed of the drill.
        tenant_no: Number of the tenant.
        logs: One of `LOGS`.
        shape: One of `SHAPES`.
        starts_us: Start of the drill.
        days: Length of the drill.
    """
    rng = streams.stream(seed, "tenant", tenant_no, "delivery")
    ends_us = starts_us + days * DAY_US
    switch = starts_us + int(rng.uniform(0.6, 0.85) * days) * DAY_US
    withheld = set(STREAMS[len(_AUDIT) :]) if logs == "ual-only" else set()
    if logs == "no-noninteractive" or parameters.non_interactive == "no":
        withheld.add("non_interactive")
    gaps = [gap for stream in STREAMS for gap in _gaps(parameters, rng, stream, starts_us, days)]
    if logs == "gappy":
        gaps += [gap for stream in STREAMS for gap in _outages(rng, stream, starts_us, ends_us)]
    return Law(
        seed=seed,
        tenant_no=tenant_no,
        parameters=parameters,
        withheld=frozenset(withheld),
        is_partial=parameters.non_interactive == "partial",
        is_truncated=logs == "gappy",
        gaps=tuple(sorted(gaps)),
        starts_us=starts_us,
        ends_us=ends_us,
        switch_us={"mixed": switch, "portal": ends_us, "stream": starts_us - 400 * DAY_US}[shape],
    )


def _gaps(parameters: TenantParameters, rng: np.random.Generator, stream: str, starts_us: int, days: int) -> list[Gap]:
    count = int(rng.poisson(parameters.gaps_per_month * days / 30))
    starts = starts_us + (rng.random(count) * days * DAY_US).astype(np.int64)
    minutes = np.minimum(streams.lognormal(rng, parameters.gap_minutes, 0.5, count), 24 * 60)
    regions = rng.integers(_REGIONS, size=count)
    return [
        Gap(stream, int(region), int(start), int(start + length * MINUTE_US))
        for region, start, length in zip(regions, starts, minutes, strict=True)
    ]


def _outages(rng: np.random.Generator, stream: str, starts_us: int, ends_us: int) -> list[Gap]:
    """Outages of hours to a day that take `_GAPPY_SHARE` of the time in every region."""
    found = []
    for region in range(_REGIONS):
        at = float(starts_us)
        while at < ends_us:
            at += rng.exponential(_GAPPY_HOURS * (1 - _GAPPY_SHARE) / _GAPPY_SHARE) * HOUR_US
            length = min(rng.exponential(_GAPPY_HOURS), 24.0) * HOUR_US
            found.append(Gap(stream, region, int(at), int(at + length)))
            at += length
    return found


def deliver(lines: Sequence[Lines], law: Law, *, day: int) -> pa.Table:
    """What becomes of the lines of one day: DELIVERED, in the order given, each line before its copies."""
    tables = [_stream(some, law, day) for some in lines if len(some.row_no)]
    return concat(tables) if tables else empty(DELIVERED)


def _stream(lines: Lines, law: Law, day: int) -> pa.Table:
    rng = streams.stream(law.seed, "tenant", law.tenant_no, "day", day, "delivery", lines.stream)
    count = len(lines.row_no)
    available = lines.at_us + _lag(lines.stream, law, rng, count)
    reason = _reasons(lines, law, day, available)
    copies = _copies(lines, law, rng)
    copies[reason >= 0] = 0
    parents, within = streams.spread(copies + 1)
    # A copy comes with a later delivery of the same stream.
    later = available[parents] + (within > 0) * (rng.exponential(20.0, len(parents)) * MINUTE_US).astype(np.int64)
    rows = len(parents)
    keep = (within == 0) | (later < law.ends_us)
    truth = lines.truth.select(_TRUTH).take(pa.array(parents[keep]))
    return build(
        DELIVERED,
        int(keep.sum()) if rows else 0,
        {
            "stream": lines.stream,
            "table": lines.table,
            "row_no": lines.row_no[parents][keep],
            "at_us": lines.at_us[parents][keep],
            "available_at_us": later[keep],
            "copy_no": within[keep].astype(np.int32),
            "withheld_reason": _coded_reasons(reason[parents][keep]),
            **{name: truth.column(name) for name in _TRUTH},
        },
    )


_REASONS: Final = ("option", "gap", "late", "truncated")
_OPTION, _GAP, _LATE, _TRUNCATED = range(len(_REASONS))


def _coded_reasons(codes: npt.NDArray[np.int8]) -> pa.Array:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(_REASONS, pa.string()))


def _lag(stream: str, law: Law, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """Microseconds from the event to its first availability."""
    median = law.parameters.audit_lag_min if stream in _AUDIT else law.parameters.sign_in_lag_min
    median = {"graph_activity": _GRAPH_LAG_MIN, "message_trace": _TRACE_LAG_MIN}.get(stream, median)
    tail_hours = law.parameters.audit_lag_tail_h if stream in _AUDIT else law.parameters.audit_lag_tail_h / 2
    minutes = streams.lognormal(rng, median, _BODY_SIGMA, count)
    scale = tail_hours * 60 * (0.001 / _TAIL_SHARE) ** (1 / _TAIL_SHAPE)
    is_tail = rng.random(count) < _TAIL_SHARE
    tail = scale * (1.0 - rng.random(count)) ** (-1 / _TAIL_SHAPE)
    lag: npt.NDArray[np.int64] = np.minimum(np.where(is_tail, tail, minutes) * MINUTE_US, _LATEST_US).astype(np.int64)
    return lag


def _copies(lines: Lines, law: Law, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Further deliveries of each line."""
    count = len(lines.row_no)
    chance, law_of = rng.random(count), streams.choose(rng, _COPY_WEIGHTS, count)
    if lines.stream in _AUDIT:
        copies = np.where(chance < law.parameters.duplicate_rate, np.asarray(_COPIES)[law_of], 0)
    elif lines.stream in _SIGN_INS:
        copies = np.where(chance < _REDELIVERED, 1, 0)
    else:
        return np.zeros(count, dtype=np.int64)
    is_streamed = lines.at_us >= law.switch_us
    is_both = (lines.at_us >= law.switch_us - _OVERLAP_US) & ~is_streamed
    if lines.stream not in (*_AUDIT, *_SIGN_INS[:4]):
        return copies.astype(np.int64)
    both: npt.NDArray[np.int64] = np.where(is_streamed, copies, is_both * 1).astype(np.int64)
    return both


def _reasons(lines: Lines, law: Law, day: int, available: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
    """Index into `_REASONS` of each line, -1 where it is delivered."""
    reason = np.full(len(lines.row_no), -1, dtype=np.int8)
    reason[available >= law.ends_us] = _LATE
    if law.is_truncated and lines.stream in _AUDIT:
        _truncate(reason, lines, law, day)
    region = (streams.hashed(law.key("region"), lines.mailbox_no) % np.uint64(_REGIONS)).astype(np.int64)
    for gap in law.gaps:
        if gap.stream == lines.stream and gap.until_us > lines.at_us.min() and gap.from_us <= lines.at_us.max():
            reason[(region == gap.region) & (lines.at_us >= gap.from_us) & (lines.at_us < gap.until_us)] = _GAP
    is_missing_day = law.is_partial and streams.hashed_uniform(law.key("partial"), day)[0] < _PARTIAL_DAYS
    if lines.stream in law.withheld or (lines.stream == "non_interactive" and is_missing_day):
        reason[:] = _OPTION
    return reason


def _truncate(reason: npt.NDArray[np.int8], lines: Lines, law: Law, day: int) -> None:
    """A download that was cut: it lists the newest first, so the oldest of the day are missing."""
    draw: Any = streams.hashed_uniform(law.key("truncated", lines.stream), day, np.arange(2))
    if draw[0] < _TRUNCATED_DAYS:
        kept_from = np.quantile(lines.at_us, 0.4 * draw[1])
        reason[(lines.at_us < kept_from) & (lines.at_us < law.switch_us)] = _TRUNCATED


def is_streamed(delivered: pa.Table, law: Law) -> npt.NDArray[np.bool_]:
    """Whether each row of DELIVERED comes by stream; the others stand in a download."""
    at = delivered.column("at_us").to_numpy()
    copy = delivered.column("copy_no").to_numpy()
    streamed: npt.NDArray[np.bool_] = (at >= law.switch_us) | (copy > 0)
    return streamed
