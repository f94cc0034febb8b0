"""Findings as blocks for the analyst: each fact is said once, and what comes again points to where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.reports import _words
from brokenseal.reports._paper import Facts, Head, Line, Para
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokenseal.model import Case, Finding
    from brokenseal.reports._columns import Cell
    from brokenseal.reports._paper import Block
    from brokenseal.wording import Phrase

Row = tuple["Phrase", "Cell"]

_WHOM: Final = ("mailboxes", "actors", "addresses")
_TITLES: Final = {
    "both": phrase("Mailboxes and accounts"),
    "mailboxes": phrase("Mailboxes"),
    "actors": phrase("Accounts"),
    "addresses": phrase("Addresses"),
}


def of_case(number: int, case: Case) -> Iterator[Block]:
    """The findings of a case; whom they concern is said where it is not all that the case concerns."""
    if case.findings:
        yield Head(level=3, said=phrase("Findings"))
        yield Para(
            line=Line(said=phrase("A finding without mailboxes, accounts or addresses has those of the case.")),
            role="note",
        )
    yield from _listed(case.findings, f"{number}.", (case.mailboxes, case.actors, case.addresses))


def alone(findings: Iterable[Finding]) -> Iterator[Block]:
    """Findings of no case."""
    yield from _listed(findings, "", ((), (), ()))


def _listed(findings: Iterable[Finding], before: str, known: tuple[tuple[str, ...], ...]) -> Iterator[Block]:
    first: dict[tuple[str, str], str] = {}
    for place, found in enumerate(findings, start=1):
        number = f"{before}{place}"
        yield Head(level=3, said=found.title, number=number)
        records = tuple(item.event_id for item in found.evidence)
        yield Para(line=Line(said=phrase("Evidence: {n} record(s)", n=len(records)), records=records))
        explained = first.setdefault((found.detector_id, found.variant), number)
        rows = (*_facts(found, known), *_explained(found, None if explained == number else explained))
        yield Facts(rows=tuple(row for row in rows if row[1] not in (None, ())))


def _facts(found: Finding, known: tuple[tuple[str, ...], ...]) -> Iterator[Row]:
    yield phrase("Severity"), _words.SEVERITY[found.severity.value]
    when = phrase("{first_at} to {last_at}", first_at=found.first_at, last_at=found.last_at)
    yield phrase("When (UTC)"), found.first_at if found.first_at == found.last_at else when
    of_case: dict[str, tuple[str, ...] | None] = dict(zip(_WHOM, known, strict=True))
    whom: dict[str, tuple[str, ...]] = dict(zip(_WHOM, (found.mailboxes, found.actors, found.addresses), strict=True))
    if found.mailboxes == found.actors:
        whom = {"both": whom.pop("mailboxes"), "addresses": whom["addresses"]}
        of_case["both"] = of_case["mailboxes"] if of_case["mailboxes"] == of_case["actors"] else None
    yield from ((_TITLES[name], said) for name, said in whom.items() if said != of_case[name])
    # A title that names them all needs no second list.
    if ", ".join(found.objects) not in found.title.values.values():
        yield phrase("Objects"), found.objects


def _explained(found: Finding, before: str | None) -> Iterator[Row]:
    yield phrase("Detector"), found.detector_id
    if before is None:
        yield phrase("Why it might be innocent"), found.innocent
        yield phrase("What would settle it"), found.settles
    else:
        yield phrase("Why it might be innocent"), phrase("As under {number}, with what would settle it.", number=before)
