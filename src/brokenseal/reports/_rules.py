"""What Sigma rules of others said, as tables and sentences. Titles, authors and file names are hostile text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.reports._columns import (
    ACTORS,
    ATTACK,
    CASE,
    FILE,
    FIRST,
    LAST,
    MAILBOXES,
    RECORDS,
    ReportTable,
    coded,
    col,
)
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.model import CaseDocument
    from brokenseal.outside_rules import OutsideRules, RuleSaid, RulesOfCase
    from brokenseal.reports._columns import Cell
    from brokenseal.wording import Phrase

TITLE: Final = phrase("Rules of others")
OF_CASE: Final = phrase("Rules of others that concern this case")
LEAD: Final = phrase(
    "Sigma rules of others, run over the same records. Nobody has weighed them on these logs: they open no case and "
    "change no probability."
)
NOT_RUN: Final = phrase("Rules that could not fire")
APART: Final = phrase("On records of no case")

LEVEL: Final = {
    "critical": phrase("Critical"),
    "high": phrase("High"),
    "medium": phrase("Medium"),
    "low": phrase("Low"),
    "informational": phrase("Informational"),
}
STANDING: Final = {
    "record": phrase("A record that the case cites"),
    "subject": phrase("A mailbox or account of the case, in its time"),
    "apart": phrase("No case"),
}
STATE: Final = {
    "source_absent": phrase("Its log or field is absent"),
    "never": phrase("Can never be true"),
    "unreadable": phrase("Unreadable"),
}
SHORT: Final = ("level", "rule", "standing", "subject", "hits", "rule_hits", "event_ids")
"""Columns for formats with little room."""
SHORT_APART: Final = tuple(name for name in SHORT if name != "standing")

_COLUMNS: Final = (
    col("level", phrase("Level"), "word"),
    col("rule", phrase("Rule"), "text"),
    col("author", phrase("Author"), "text"),
    col("standing", phrase("Fired on"), "word"),
    col("subject", phrase("About"), "text"),
    col("hits", phrase("Hits"), "number"),
    col("rule_hits", phrase("Hits of the rule in all"), "number"),
    FIRST,
    LAST,
    ATTACK,
    RECORDS,
    MAILBOXES,
    ACTORS,
    FILE,
    col("rule_id", phrase("Rule id"), "code"),
    col("description", phrase("Description"), "text"),
)
PAGE_LACKS: Final = frozenset(("mailboxes", "actors", "rule_id"))
"""Columns that a page leaves to the files."""


def counts(rules: OutsideRules) -> Phrase:
    """How many rules there were, and what became of them."""
    return phrase(
        "{rules} rule(s): {runnable} can fire on these logs, {fired} fired, {not_run} could not fire. "
        "{records} record(s) were looked at.",
        rules=rules.rules,
        runnable=rules.runnable,
        fired=rules.fired,
        not_run=rules.not_run_in_all,
        records=rules.records,
    )


def left_out(count: int) -> Phrase:
    """How much is counted and not shown."""
    return phrase("{n} more of a rule and a subject are beyond the budget and not shown.", n=count)


def of_case(rules: RulesOfCase) -> ReportTable:
    """What was said of records that concern one case."""
    rows = tuple(_row(each) for each in rules.said)
    return ReportTable(name=f"rules-{rules.case_id}", title=TITLE, columns=_COLUMNS, rows=rows)


def apart(rules: OutsideRules) -> ReportTable:
    """What was said of records that concern no case."""
    rows = tuple(_row(each) for each in rules.apart)
    return ReportTable(name="rules_apart", title=APART, columns=_COLUMNS, rows=rows)


def not_run(rules: OutsideRules) -> ReportTable:
    """Rules that could not fire, each with its reason."""
    return ReportTable(
        name="rules_not_run",
        title=NOT_RUN,
        columns=(
            col("state", phrase("State"), "word"),
            col("rule", phrase("Rule"), "text"),
            col("reason", phrase("Reason"), "text"),
            FILE,
            col("line", phrase("Line"), "number"),
        ),
        rows=tuple(
            (coded(STATE, each.state), each.title or None, each.reason, each.path, each.line) for each in rules.not_run
        ),
    )


def everything(rules: OutsideRules) -> ReportTable:
    """All that was said, by case; what concerns no case comes last."""
    lines: list[tuple[Cell, ...]] = []
    groups: Iterable[tuple[tuple[str, ...], tuple[RuleSaid, ...]]] = (
        *(((case.case_id,), case.said) for case in rules.cases),
        ((), rules.apart),
    )
    for case, said in groups:
        lines += [(case, *_row(each)) for each in said]
    return ReportTable(name="rules", title=TITLE, columns=(CASE, *_COLUMNS), rows=tuple(lines))


def tables(document: CaseDocument) -> tuple[ReportTable, ...]:
    """What formats of tables alone show; nothing where no rule was run."""
    return () if document.rules is None else (everything(document.rules), not_run(document.rules))


def _row(said: RuleSaid) -> tuple[Cell, ...]:
    return (
        coded(LEVEL, said.level),
        said.title,
        said.author or None,
        coded(STANDING, said.standing),
        said.subject or None,
        said.hits,
        said.rule_hits,
        said.first_at,
        said.last_at,
        said.attack,
        said.event_ids,
        said.mailboxes,
        said.actors,
        said.path,
        said.rule,
        said.description or None,
    )
