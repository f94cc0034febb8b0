"""What a leak test found: pass, fail or not assessable, with its numbers and its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PASS: Final = "pass"  # noqa: S105 - an outcome
FAIL: Final = "fail"
NOT_ASSESSABLE: Final = "not assessable"

TITLES: Final = {
    "T1": "Trivial features do not tell attackers from honest people",
    "T2": "No single field or pair of fields does",
    "T3": "The ghost is found no more often than chance",
    "T4": "Recall does not hang on fields that no tell declares",
    "T5": "Attacks begin when their owners are active, and at no round time",
    "T6": "No identifier belongs to attackers alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One test on one subject.

    Attributes:
        test: `T1` to `T6`.
        subject: Attack id, or `drill`.
        outcome: `pass`, `fail` or `not assessable`.
        reason: Why, in one sentence.
        numbers: What it was decided on.
        hits: Fields, features or values that gave it away, the strongest first.
    """

    test: str
    subject: str
    outcome: str
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    hits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """All checks of one drill."""

    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed; a drill with any of them is not fair."""
        return tuple(check for check in self.checks if check.outcome == FAIL)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "failed": len(self.failed),
            "checks": [
                {
                    "test": one.test,
                    "subject": one.subject,
                    "outcome": one.outcome,
                    "reason": one.reason,
                    "numbers": dict(one.numbers),
                    "hits": list(one.hits),
                }
                for one in self.checks
            ],
        }

    def markdown(self) -> str:
        """The report as a table for people."""
        lines = ["| test | subject | outcome | numbers | reason |", "|---|---|---|---|---|"]
        for one in self.checks:
            numbers = ", ".join(f"{name} {value:.3g}" for name, value in one.numbers.items())
            hits = f" ({'; '.join(one.hits[:5])})" if one.hits else ""
            reason = f"{one.reason}{hits}".replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {one.test} | {one.subject} | {one.outcome} | {numbers} | {reason} |")
        titles = [f"- {test}: {title}" for test, title in TITLES.items()]
        return "\n".join([*lines, "", *titles, ""])
