"""What is judged of a case, as values of the document: what speaks for it, how sure that is, what would refute it.

Likelihood and confidence are kept apart: the first says how probable an intrusion is under a stated prior, the second
how good the ground is on which that was said (ICD 203, Analytic Standards, 2015).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from brokenseal.wording import Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePart:
    """What one detector says of one unit.

    Attributes:
        state: `fired`, `quiet` or `not_assessable`.
        bin: The class of strangeness; None unless it fired in a class that was counted.
        reason: Code of why it is not assessable; None unless it is not.
        f0_upper_ppb: Upper 95 % bound of the share of authorised units that look so, parts per billion; None unless
            it fired in a known bin.
        n_reference: Authorised units behind the bound.
        basis: `tenant`, `calibration` (simulated tenants) or `none`.
        is_assumed: Whether the bound leans on an assumed bound of dependence instead of a joint count.
    """

    detector_id: str
    state: Literal["fired", "quiet", "not_assessable"]
    bin: str | None
    reason: str | None
    f0_upper_ppb: int | None
    n_reference: int
    basis: Literal["tenant", "calibration", "none"]
    is_assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitWeight:
    """One unit of a case: a session cluster, or a change of configuration.

    Attributes:
        unit: Event id of its first record.
        standing: `opens` (heavy enough alone), `joins` (heavy enough beside one that opens), `follows` (the same
            client in the same mailbox after one that opened) or `cited` (a finding of the case is about it).
        millibans: 1,000 times the decimal logarithm of its e-value.
        records: Records of it.
    """

    unit: str
    is_door: bool
    standing: Literal["opens", "joins", "follows", "cited"]
    mailbox: str | None
    actor: str | None
    app: str | None
    network: str | None
    agent: str | None
    first_at: dt.datetime
    last_at: dt.datetime
    records: int
    millibans: int
    parts: tuple[EvidencePart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """How probable an intrusion is if so many were to be expected.

    Attributes:
        prior_per_million: Intrusions per million mailbox-years that are assumed.
        permille: Posterior probability in thousandths; never 0 and never 1,000.
        low_permille, high_permille: Its 90 % interval from the calibration; wider where that is thin.
        words: The ICD-203 word, or the span of words, that the interval allows.
    """

    prior_per_million: int
    permille: int
    low_permille: int
    high_permille: int
    words: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """An innocent explanation that was tested against the records.

    Attributes:
        result: `refuted` (records contradict it), `supported` (records speak for it) or `cannot_tell`.
        event_ids: Records that the result rests on, sorted; empty where none does.
    """

    name: Phrase
    result: Literal["refuted", "supported", "cannot_tell"]
    because: Phrase
    event_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The judgement of one case.

    Attributes:
        millibans: Weight of its heaviest unit, 1,000 times the decimal logarithm of the e-value.
        threshold_millibans: From which a unit opens a case under the budget.
        budget_per_billion: False cases per thousand million mailbox-weeks that the threshold was set for.
        likelihoods: Under three priors, the rarest first.
        confidence: How good the ground is; `confidence_reasons` say mechanically why.
        units: Heaviest first; `n_units` counts all where the list is cut.
        alternatives: Innocent explanations that were tested, and the one that no record can test.
        assumptions: What the figures lean on.
        refutes: What would change the judgement.
        collection: The next three steps of collection, most telling first.
        doors_open: Doors of the case that no record closes.
        made_with: Versions: product, calibration.
    """

    millibans: int
    threshold_millibans: int
    budget_per_billion: int
    likelihoods: tuple[Likelihood, ...]
    confidence: Literal["high", "moderate", "low"]
    confidence_reasons: tuple[Phrase, ...]
    units: tuple[UnitWeight, ...]
    n_units: int
    alternatives: tuple[Alternative, ...]
    assumptions: tuple[Phrase, ...]
    refutes: tuple[Phrase, ...]
    collection: tuple[Phrase, ...]
    doors_open: tuple[Phrase, ...]
    made_with: dict[str, str]
