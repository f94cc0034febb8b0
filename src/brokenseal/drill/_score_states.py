"""Whether detectors said "not assessable" where the logs that were given could not have let them speak.

What the logs could tell is taken from the truth: which streams were delivered, and which fields the audit log had.
Where the truth does not decide whether a need is met, nothing is held against a detector.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.detectors import DETECTORS
from brokenseal.drill._audit_fields import TOKENS_SINCE
from brokenseal.drill._score_values import AssessabilityScore, share

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.drill._score_truth import TenantTruth
    from brokenseal.model import DetectorState

MIXED = "mixed"
"""Log option of a store that holds tenants of several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutcome:
    """What one detector said of one store, and whether it should have said "not assessable" (None: not known)."""

    detector_id: str
    logs: str
    state: str
    should: bool | None


def detector_outcomes(states: Iterable[DetectorState], tenants: Iterable[TenantTruth]) -> tuple[DetectorOutcome, ...]:
    """What each detector said of a store that holds these tenants; a need is met where one of them meets it."""
    listed = list(tenants)
    options = sorted({tenant.logs for tenant in listed})
    met = needs_met(listed)
    needs = {detector.id: detector.needs for detector in DETECTORS}
    return tuple(
        DetectorOutcome(
            detector_id=state.detector_id,
            logs=options[0] if len(options) == 1 else MIXED,
            state=state.state,
            should=_should([met.get(need) for need in needs.get(state.detector_id, ("unknown",))]),
        )
        for state in states
    )


def needs_met(tenants: Iterable[TenantTruth]) -> dict[str, bool | None]:
    """Per need of `coverage.NEEDS`, whether the logs given truly meet it; None where the truth does not say.

    In a drill the Exchange stream always holds mail accesses with session ids, with token ids since `TOKENS_SINCE`,
    and the Entra stream of the audit log always holds sign-ins. Whether anybody changed the configuration is not known
    unless the directory audit was given.
    """
    listed = list(tenants)
    streams = {stream for tenant in listed for stream in tenant.streams}
    has_exchange = "ual_exchange" in streams
    is_audited = bool(streams & {"ual_exchange", "ual_entra", "ual_general"})
    return {
        "mail_access": has_exchange,
        "sign_in": bool(streams & {"interactive", "non_interactive", "ual_entra"}),
        "non_interactive_sign_in": "non_interactive" in streams,
        "configuration": True if "directory_audit" in streams else None if is_audited else False,
        "token_ids": any(tenant.log_epoch >= TOKENS_SINCE and "ual_exchange" in tenant.streams for tenant in listed),
        "session_ids": has_exchange,
    }


def _should(met: Iterable[bool | None]) -> bool | None:
    found = list(met)
    if False in found:
        return True
    return None if None in found else False


def assessability(outcomes: Iterable[DetectorOutcome]) -> tuple[AssessabilityScore, ...]:
    """By detector, then log option."""
    groups: dict[tuple[str, str], list[DetectorOutcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.detector_id, outcome.logs].append(outcome)
    return tuple(_assessed(detector_id, logs, groups[detector_id, logs]) for detector_id, logs in sorted(groups))


def _assessed(detector_id: str, logs: str, outcomes: list[DetectorOutcome]) -> AssessabilityScore:
    blind = [outcome.state for outcome in outcomes if outcome.should is True]
    able = [outcome.state for outcome in outcomes if outcome.should is False]
    silent = blind.count("quiet")
    return AssessabilityScore(
        detector_id=detector_id,
        logs=logs,
        should=share(len(blind) - silent, len(blind)),
        silent=silent,
        over_cautious=share(able.count("not_assessable"), len(able)),
        unknown=sum(outcome.should is None for outcome in outcomes),
    )
