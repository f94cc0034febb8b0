"""A score as one HTML file that needs no network, in the look of the reports. Its first word is *simulated*."""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import brokenseal
from brokenseal.drill._score_plot import plot, points_of
from brokenseal.drill._score_text import (
    NOTHING,
    messages_text,
    number_text,
    percent_text,
    rate_text,
    share_text,
    time_text,
)
from brokenseal.drill._score_values import CountCoverage, ExposureScore
from brokenseal.reports import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import jinja2

    from brokenseal.drill._score_values import CaseRecall, GroupScore, Rate, Score, Share

_TEMPLATES = Path(__file__).parent / "templates"

_EXPOSURE_SAYS = {
    "certain_recall_read": "Of the messages that intruders opened one by one, those that cases list as read",
    "certain_recall_shown": "Of those that a delivered record shows, those that cases list",
    "possible_recall_taken": "Of all that intruders took, synchronisation included, those that cases list or know to "
    "have stood in a synchronised folder",
    "caught_certain_recall_read": "Intrusions with a case: of the messages opened one by one, those that cases list",
    "caught_certain_recall_shown": "Intrusions with a case: of those that a delivered record shows, those listed",
    "caught_possible_recall_taken": "Intrusions with a case: of all that was taken, those listed or possible",
    "certain_precision": "Of the messages that all cases list as read, those that an intruder took",
    "certain_precision_true_cases": "Of the messages that true cases list, those that an intruder took",
    "possible_precision": "Of the messages that are possible and not certain, those that an intruder took",
}
_COUNTS_SAY = {
    "throttled": "Mailboxes with throttled reads: the printed count holds the true number",
    "throttled_said": "Mailboxes with throttled reads: the count is said to have no upper end",
    "others": "All other mailboxes: the printed count holds the true number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A table of the page: its first column is text, all others are numbers or shares."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def render(score: Score, *, others: Sequence[tuple[str, Score]] = ()) -> bytes:
    """The score as a page.

    Args:
        score: What to show.
        others: What it is compared with in the plot, such as baselines on the same drill: name and score.
    """
    points = points_of(score, others)
    style = html_style()
    page = (
        _environment()
        .get_template("score.html.j2")
        .render(
            score=score,
            style=style,
            policy=html.content_policy(style, ""),
            version=brokenseal.__version__,
            figure=plot(points),
            points=_points(points),
            by_attack=_by_attack(score),
            attacks=_attacks(score),
            groups=(_groups("logs", "By log option", score.by_logs), _groups("size", "By mailboxes", score.by_size)),
            tables=(_exposure(score), _counts(score)),
            quality=(
                _numbers("detectors", "False cases by detector", "Detector", score.cases.false_by_detector),
                _numbers("actors", "False cases by whose records they cite", "Actor", score.cases.false_by_actor),
            ),
            states=_states(score),
            said=share_text,
            rate=rate_text,
            number=number_text,
            percent=percent_text,
        )
    )
    return page.encode()


@functools.cache
def html_style() -> str:
    """The style sheet of the reports."""
    return (Path(html.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


# ---------------------------------------------------------------- tables


def _points(points: Iterable[tuple[str, Share, Rate, str]]) -> _View:
    return _View(
        name="points",
        title="The same in numbers",
        columns=("", "Recall within 7 days", "False cases per 1,000 mailbox-weeks"),
        rows=tuple((name, share_text(recall), rate_text(false)) for name, recall, false, _ in points),
    )


def _by_attack(score: Score) -> _View:
    """Recall within 7 days, attack by stealth."""
    steps = sorted({step for attack in score.by_attack.values() for step in attack.by_stealth}, key=int)
    rows = []
    for name, attack in score.by_attack.items():
        cells = (attack.by_stealth.get(step) for step in steps)
        shares = (NOTHING if cell is None else share_text(cell.within_7_d) for cell in cells)
        rows.append((f"{name} {attack.title}", *shares, share_text(attack.recall.within_7_d)))
    attacks = (score.by_stealth.get(step) for step in steps)
    total = (NOTHING if cell is None else share_text(cell.within_7_d) for cell in attacks)
    return _View(
        name="stealth",
        title="Recall within 7 days, by attack and stealth",
        columns=("Attack", *(f"Stealth {step}" for step in steps), "All"),
        rows=(*rows, ("All attacks, controls left out", *total, share_text(score.recall_overall.within_7_d))),
        note="Stealth 1 is careless, 2 professional, 3 careful, 4 the best known. Brackets hold Wilson's 95 % "
        "interval. Of a control nothing should be found beyond chance.",
    )


def _attacks(score: Score) -> _View:
    rows = [
        (
            f"{name} {attack.title}",
            *_recall_cells(attack.recall),
            number_text(attack.cases_per_intrusion),
            time_text(attack.delay.minutes_from_event),
            time_text(attack.delay.minutes_from_availability),
            messages_text(attack.delay.messages_before_case),
        )
        for name, attack in score.by_attack.items()
    ]
    delay = score.delay
    total = (
        "All attacks, controls left out",
        *_recall_cells(score.recall_overall),
        number_text(score.cases.cases_per_intrusion),
        time_text(delay.minutes_from_event),
        time_text(delay.minutes_from_availability),
        messages_text(delay.messages_before_case),
    )
    return _View(
        name="attacks",
        title="How soon, by attack",
        columns=(
            "Attack",
            "Instances",
            "Leave a record",
            "24 hours",
            "7 days",
            "30 days",
            "Ever",
            "Cases per intrusion",
            "First record to case (median)",
            "Record readable to case (median)",
            "Messages read before the case (median)",
        ),
        rows=(*rows, total),
        note="Medians after Kaplan and Meier: an intrusion without a case is watched until its logs end. "
        "Messages are over those intrusions that took any.",
    )


def _recall_cells(recall: CaseRecall) -> tuple[str, ...]:
    spans = (recall.within_24_h, recall.within_7_d, recall.within_30_d, recall.ever)
    return (
        number_text(recall.instances),
        number_text(recall.observable),
        *(percent_text(span.share) for span in spans),
    )


def _groups(name: str, title: str, groups: dict[str, GroupScore]) -> _View:
    return _View(
        name=name,
        title=title,
        columns=(
            "",
            "Tenants",
            "Recall within 7 days",
            "False cases per 1,000 mailbox-weeks",
            "At most (95 %)",
            "False notices per 1,000 mailbox-weeks",
        ),
        rows=tuple(
            (
                key,
                number_text(group.tenants),
                share_text(group.recall.within_7_d),
                rate_text(group.false_cases),
                number_text(group.false_cases.upper),
                rate_text(group.false_notices),
            )
            for key, group in groups.items()
        ),
        note="Intervals of rates are exact (Poisson, two-sided 95 %); “at most” is the one-sided 95 % bound.",
    )


def _exposure(score: Score) -> _View:
    return _View(
        name="exposure",
        title="Messages",
        columns=("Measure", "Share"),
        rows=tuple(
            (_EXPOSURE_SAYS[field.name], share_text(getattr(score.exposure, field.name)))
            for field in fields(ExposureScore)
        ),
        note="No intervals: messages of one intrusion are not independent of each other.",
    )


def _counts(score: Score) -> _View:
    return _View(
        name="counts",
        title="Counts of true cases",
        columns=("Measure", "Share"),
        rows=tuple(
            (_COUNTS_SAY[field.name], share_text(getattr(score.counts, field.name))) for field in fields(CountCoverage)
        ),
    )


def _numbers(name: str, title: str, first: str, counts: dict[str, int]) -> _View:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return _View(
        name=name,
        title=title,
        columns=(first, "False cases"),
        rows=tuple((key, number_text(count)) for key, count in ordered),
    )


def _states(score: Score) -> _View:
    return _View(
        name="states",
        title="“Not assessable”, by detector and log option",
        columns=("Detector", "Logs", "Said so where it should", "Silent instead", "Said so without need", "Not known"),
        rows=tuple(
            (
                state.detector_id,
                state.logs,
                share_text(state.should),
                number_text(state.silent),
                share_text(state.over_cautious),
                number_text(state.unknown),
            )
            for state in score.assessability
        ),
        note="“Without need” need not be wrong: a detector can lack something else, such as a history.",
    )
