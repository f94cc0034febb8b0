"""A score as a screen of text; its first word is *simulated*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.drill._score_text import messages_text, number_text, percent_text, rate_text, share_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from brokenseal.drill._score_values import CaseRecall, Delay, Score


def lines(score: Score) -> Iterator[str]:
    """The screen: the figures that matter most, then a line for each attack."""
    yield f"Simulated: how the cases of this store compare with the truth of its drill; tenants: {score.tenants}."
    yield ""
    yield from _aligned(
        (
            ("Intrusions with a case within 7 days", share_text(score.recall_overall.within_7_d)),
            ("False cases per 1,000 mailbox-weeks", rate_text(score.false_cases)),
            ("Messages opened by intruders that cases list", share_text(score.exposure.certain_recall_read)),
            ("Messages listed that intruders took", share_text(score.exposure.certain_precision)),
            ("Messages read before the case (median)", messages_text(score.delay.messages_before_case)),
            ("Cases per intrusion found", number_text(score.cases.cases_per_intrusion)),
            ("Intrusions called clean in a complete log", share_text(score.reassured)),
        )
    )
    yield ""
    head = ("attack", "instances", "with records", "7 days", "ever", "to the case", "messages before")
    rows = [_attack(f"{name} {one.title}", one.recall, one.delay) for name, one in score.by_attack.items()]
    yield from _aligned((head, *rows, _attack("all, without controls", score.recall_overall, score.delay)))


def _attack(name: str, recall: CaseRecall, delay: Delay) -> Sequence[str]:
    return (
        name,
        number_text(recall.instances),
        number_text(recall.observable),
        percent_text(recall.within_7_d.share),
        percent_text(recall.ever.share),
        time_text(delay.minutes_from_event),
        messages_text(delay.messages_before_case),
    )


def _aligned(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell, two blanks between them."""
    listed = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*listed, strict=True)]
    for row in listed:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
