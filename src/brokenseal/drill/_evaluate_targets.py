"""What was aimed at, written down before anything was measured, and whether it was reached.

A verdict needs evidence: `met` and `failed` are said where the 95 % bound decides, or where the figure itself misses;
a figure that reaches its aim by luck of few intrusions is not called met.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from brokenseal.drill._evaluate_compare import BUDGETS, RIVALS
from brokenseal.drill._score_values import rate, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MET: Final = "met"
FAILED: Final = "failed"
UNMEASURED: Final = "not measurable at this scale"
_FULL: Final = "Test prior, full logs"


class Figure(NamedTuple):
    """A figure with its interval; all None where there is nothing to measure."""

    value: float | None
    low: float | None
    high: float | None
    text: str


class Aim(NamedTuple):
    """What must be, what is aimed at, and the edge; None where nothing was said."""

    name: str
    must: float | None
    target: float | None
    stretch: float | None
    is_rate: bool


def verdict(figure: Figure, level: float, *, is_rate: bool) -> str:
    """Whether a figure meets a level; rates must stay below it, shares must reach it."""
    if figure.value is None:
        return UNMEASURED
    if (figure.value > level) if is_rate else (figure.value < level):
        return FAILED
    bound = figure.high if is_rate else figure.low
    if bound is None:
        return UNMEASURED
    return MET if ((bound <= level) if is_rate else (bound >= level)) else UNMEASURED


def targets_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every aim with its figure and a verdict for each of its levels."""
    attacks = {row["attack"]: row for row in result["attacks"]}
    rows = {row["name"]: row for row in result["main"]}
    poor = [row for name, row in rows.items() if name in {"Test prior, ual-only", "Test prior, gappy"}]
    found = [
        (
            Aim("False cases per 1,000 mailbox-weeks, full logs", 0.5, 0.05, 0.02, is_rate=True),
            _rate(_only(rows, _FULL)),
        ),
        (Aim("The same, gappy or audit log alone", 0.5, 0.1, 0.05, is_rate=True), _rate(poor)),
        (
            Aim("Recall of A1 to A13 within 7 days, stealth 1 to 3, full logs", 0.80, 0.90, 0.95, is_rate=False),
            _share([row["full_stealth_1_to_3"] for row in attacks.values() if not row["is_control"]]),
        ),
        (Aim("Recall of A1, stealth 1 to 3", 0.95, 0.98, 0.99, is_rate=False), _cells(attacks, ("A1",), (1, 2, 3))),
        (Aim("Recall of A1, stealth 4", 0.50, 0.70, 0.85, is_rate=False), _cells(attacks, ("A1",), (4,))),
        (Aim("Recall of A2, low and slow", 0.70, 0.85, 0.95, is_rate=False), _cells(attacks, ("A2",), (1, 2, 3, 4))),
        (Aim("Recall of A3 and A4, stealth 3", 0.60, 0.80, 0.90, is_rate=False), _cells(attacks, ("A3", "A4"), (3,))),
        (
            Aim("Recall of A6 to A9", 0.85, 0.95, 0.98, is_rate=False),
            _cells(attacks, ("A6", "A7", "A8", "A9"), (1, 2, 3, 4)),
        ),
        (
            Aim("Recall over the best of B14 and B16, held to 0.05, in points", None, 40, 60, is_rate=False),
            _over_rivals(result),
        ),
        (
            Aim("Median minutes from availability to case, all attacks", None, 360, 180, is_rate=True),
            _median(result["delay"]["all"]["minutes_from_availability"]),
        ),
        (
            Aim("Median messages read before a case, A1", 200, 50, 20, is_rate=True),
            _median(result["delay"]["attacks"].get("A1", {}).get("messages_before_case")),
        ),
    ]
    return [_row(aim, figure) for aim, figure in found] + [_ghost(attacks)]


def _row(aim: Aim, figure: Figure) -> dict[str, Any]:
    levels = {"must": aim.must, "target": aim.target, "stretch": aim.stretch}
    return {
        "name": aim.name,
        "figure": figure._asdict(),
        "is_rate": aim.is_rate,
        "levels": {
            name: None if level is None else {"level": level, "verdict": verdict(figure, level, is_rate=aim.is_rate)}
            for name, level in levels.items()
        },
    }


def _only(rows: Mapping[str, Any], name: str) -> list[Any]:
    return [rows[name]] if name in rows else []


def _rate(rows: Sequence[Mapping[str, Any]]) -> Figure:
    whole = rate(
        sum(row["false_cases"]["count"] for row in rows), sum(row["false_cases"]["mailbox_weeks"] for row in rows)
    )
    # The bound that counts is the one-sided upper one.
    text = f"{whole.count} in {whole.mailbox_weeks:,.0f} mailbox-weeks"
    return Figure(whole.rate, whole.low, whole.upper, text)


def _share(cells: Sequence[Mapping[str, Any]]) -> Figure:
    whole = share(sum(one["count"] for one in cells), sum(one["of"] for one in cells))
    return Figure(whole.share, whole.low, whole.high, f"{whole.count} of {whole.of}")


def _cells(attacks: Mapping[str, Any], names: Sequence[str], stealths: Sequence[int]) -> Figure:
    return _share(
        [attacks[name]["cells"][str(stealth)]["full"] for name in names if name in attacks for stealth in stealths]
    )


def _median(found: Mapping[str, Any] | None) -> Figure:
    if found is None or not found["reached"] + found["censored"]:
        return Figure(None, None, None, "no intrusion")
    of = found["reached"] + found["censored"]
    if found["median"] is None:
        return Figure(float("inf"), None, None, f"not reached: {found['reached']} of {of} have a case")
    # A median of few has no interval here: it can fail, and it is not called met.
    return Figure(found["median"], None, None, f"median over {of}, {found['censored']} of them without a case")


def _over_rivals(result: Mapping[str, Any]) -> Figure:
    question = f"recall, rival held to {BUDGETS[0]:g} false per 1,000 mailbox-weeks"
    rows = [row for row in result["compare"]["differences"] if row["question"] == question]
    known = [row for row in rows if row["difference"] is not None]
    if not known or not result["compare"]["tuning_tenants"]:
        return Figure(None, None, None, "no tenants of the training prior to hold a rival to a budget")
    worst = min(known, key=lambda row: row["difference"])
    points = [None if worst[name] is None else 100 * worst[name] for name in ("difference", "low", "high")]
    return Figure(points[0], points[1], points[2], f"over {worst['rival']}; {' and '.join(RIVALS)} were compared")


def _ghost(attacks: Mapping[str, Any]) -> dict[str, Any]:
    """The ghost copies its victim in all: a case that cites it is a leak, or chance."""
    cell = attacks["A0g"]["full"] if "A0g" in attacks else {"count": 0, "of": 0}
    figure = _share([cell])
    said = UNMEASURED if figure.value is None else MET if not cell["count"] else FAILED
    level = {"level": 0.0, "verdict": said}
    return {
        "name": "Cases that cite the ghost A0g: none but by chance",
        "figure": figure._asdict(),
        "is_rate": True,
        "levels": {"must": level, "target": level, "stretch": None},
    }
