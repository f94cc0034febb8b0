"""Verdicts on marginals: is the real one within what further simulated tenants would show?"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypedDict

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

MATCH: Final = "match"
UNKNOWN: Final = "unknown"
MISMATCH: Final = "mismatch"

_ROUNDS: Final = 1000
_LEVEL: Final = 0.99
_SLACK: Final = 0.05
_SURE: Final = 0.001
_LEAST_PRESENCE: Final = 5

Observation = tuple[str, str, str]
"""Tenant, unit within it (whose rows hang together), category."""


class _Sides(TypedDict):
    """Both sides of a comparison in words."""

    real: str
    simulated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict with both sides in words."""

    word: str
    reason: str
    real: str
    simulated: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def judge_shares(
    simulated: Sequence[Observation], real: Sequence[Observation], rng: np.random.Generator, *, least: int
) -> Verdict:
    """Compare the shares of categories by total variation distance.

    The limit is the 99 % quantile of the distance between all simulated tenants and one of them, drawn at random, of
    which as many units and rows are drawn as the real side has.

    Args:
        simulated: Observations of simulated tenants.
        real: Observations of the real one.
        rng: Generator of the draws.
        least: Rows below which either side says nothing.
    """
    words: _Sides = {"real": shares_in_words(real), "simulated": shares_in_words(simulated)}
    if len(real) < least or len(simulated) < least:
        side = "real" if len(real) < least else "simulated"
        return Verdict(
            word=UNKNOWN,
            reason=f"fewer than {least} rows on the {side} side",
            real=words["real"],
            simulated=words["simulated"],
        )
    names = sorted({one[2] for one in (*simulated, *real)})
    ours = _Units(simulated, names)
    whole = ours.total()
    distance = _distance(_Units(real, names).total(), whole)
    theirs = _Units(real, names)
    drawn = [_distance(ours.draw(rng, theirs.units, len(real)), whole) for _ in range(_ROUNDS)]
    limit = float(np.quantile(drawn, _LEVEL)) + _SLACK
    numbers = {"distance": distance, "limit": limit}
    if distance <= limit:
        if limit > 0.6:  # noqa: PLR2004 - almost anything would be within
            return Verdict(
                word=UNKNOWN, reason="too few units for a limit that says anything", numbers=numbers, **words
            )
        return Verdict(
            word=MATCH,
            reason="within what simulated tenants differ by",
            numbers=numbers,
            real=words["real"],
            simulated=words["simulated"],
        )
    return Verdict(
        word=MISMATCH,
        reason="further away than simulated tenants are",
        numbers=numbers,
        real=words["real"],
        simulated=words["simulated"],
    )


class _Units:
    """Counts of categories by unit and tenant."""

    def __init__(self, observations: Sequence[Observation], names: Sequence[str]) -> None:
        place = {name: at for at, name in enumerate(names)}
        rows: dict[tuple[str, str], npt.NDArray[np.float64]] = {}
        for tenant, unit, category in observations:
            rows.setdefault((tenant, unit), np.zeros(len(names)))[place[category]] += 1
        self._by_tenant: dict[str, list[npt.NDArray[np.float64]]] = {}
        for (tenant, _), counts in rows.items():
            self._by_tenant.setdefault(tenant, []).append(counts)
        self.units = len(rows)

    def total(self) -> npt.NDArray[np.float64]:
        """Shares over all."""
        counts: npt.NDArray[np.float64] = np.sum([one for units in self._by_tenant.values() for one in units], axis=0)
        shares: npt.NDArray[np.float64] = counts / counts.sum()
        return shares

    def draw(self, rng: np.random.Generator, units: int, rows: int) -> npt.NDArray[np.float64]:
        """Shares of so many rows in so many units of one tenant."""
        tenants = sorted(self._by_tenant)
        counts = self._by_tenant[tenants[int(rng.integers(len(tenants)))]]
        chosen = np.sum([counts[at] for at in rng.integers(len(counts), size=units).tolist()], axis=0)
        drawn = rng.multinomial(rows, chosen / chosen.sum())
        found: npt.NDArray[np.float64] = drawn / rows
        return found


def _distance(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(np.abs(one - other).sum() / 2)


def shares_in_words(observations: Sequence[Observation], *, most: int = 6) -> str:
    """The commonest categories and their shares."""
    counts = Counter(one[2] for one in observations)
    total = sum(counts.values())
    if not total:
        return "none"
    shown = [f"{name} {100 * count / total:.0f} %" for name, count in counts.most_common(most)]
    rest = len(counts) - most
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def judge_fields(columns: Mapping[str, tuple[Sequence[bool], Sequence[bool]]]) -> Verdict:
    """One verdict on the fields of one kind of record: the worst of its fields, each as `judge_presence` says.

    Args:
        columns: Field to presence in simulated and in real records.
    """
    verdicts = {name: judge_presence(*sides) for name, sides in columns.items()}
    for word in (MISMATCH, UNKNOWN):
        found = {name: one for name, one in verdicts.items() if one.word == word}
        if found:
            reasons = sorted({one.reason for one in found.values()})
            return Verdict(
                word=word,
                reason="; ".join(reasons),
                real=_some({name: one.real for name, one in found.items()}),
                simulated=_some({name: one.simulated for name, one in found.items()}),
            )
    count = f"all {len(verdicts)} fields alike"
    return Verdict(word=MATCH, reason="always, sometimes or never there on both sides", real=count, simulated=count)


def _some(shown: Mapping[str, str], *, most: int = 3) -> str:
    words = [f"{name} {one}" for name, one in shown.items()]
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def rule_of(there: Sequence[bool]) -> str:
    """`always`, `sometimes` or `never` there, or `no record`."""
    return _rule(sum(there), len(there)) if there else "no record"


def judge_presence(simulated: Sequence[bool], real: Sequence[bool]) -> Verdict:
    """Compare whether a field is always, sometimes or never there in one kind of record.

    Always and never are rules of the log's schema: one record against a rule is a mismatch, and where the rule of one
    side is broken on the other beyond chance (Fisher's exact test) too. Shares in between are left to the marginals.
    """
    ours, theirs = sum(simulated), sum(real)
    words: _Sides = {"real": f"{theirs} of {len(real)}", "simulated": f"{ours} of {len(simulated)}"}
    if len(real) < _LEAST_PRESENCE or len(simulated) < _LEAST_PRESENCE:
        side = "real" if len(real) < _LEAST_PRESENCE else "simulated"
        return Verdict(
            word=UNKNOWN,
            reason=f"fewer than {_LEAST_PRESENCE} such records on the {side} side",
            real=words["real"],
            simulated=words["simulated"],
        )
    rules = _rule(ours, len(simulated)), _rule(theirs, len(real))
    if rules[0] == rules[1]:
        return Verdict(
            word=MATCH, reason=f"{rules[0]} there on both sides", real=words["real"], simulated=words["simulated"]
        )
    if "sometimes" not in rules:
        return Verdict(
            word=MISMATCH,
            reason=f"{rules[1]} there in real records, {rules[0]} in simulated",
            real=words["real"],
            simulated=words["simulated"],
        )
    p = fisher(ours, len(simulated), theirs, len(real))
    word = MISMATCH if p < _SURE else UNKNOWN
    reason = f"{rules[1]} there in real records, {rules[0]} in simulated"
    return Verdict(word=word, reason=reason, numbers={"p": p}, **words)


def _rule(found: int, rows: int) -> str:
    return "always" if found == rows else "sometimes" if found else "never"


def fisher(found_1: int, rows_1: int, found_2: int, rows_2: int) -> float:
    """Two-sided p of Fisher's exact test for two shares."""
    found = found_1 + found_2
    low, high = max(0, found - rows_2), min(found, rows_1)

    def log_chance(one: int) -> float:
        return _log_choose(rows_1, one) + _log_choose(rows_2, found - one) - _log_choose(rows_1 + rows_2, found)

    observed = log_chance(found_1)
    logs = [log_chance(one) for one in range(low, high + 1)]
    return min(1.0, sum(math.exp(one) for one in logs if one <= observed + 1e-9))


def _log_choose(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)
