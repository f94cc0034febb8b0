"""The table of verifiers: every adapter asked about one corpus, as Markdown with the versions of the libraries."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Final

from brokenseal.tokens.adapters import ADAPTERS
from brokenseal.tokens.corpus import SEED, build
from brokenseal.tokens.forgery_report import by_gravity
from brokenseal.tokens.laboratory import equip
from brokenseal.tokens.probe import probe
from brokenseal.tokens.specimen import Gravity
from brokenseal.tokens.targets import open_target

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator, Mapping

    from brokenseal.tokens.adapters import Adapter
    from brokenseal.tokens.corpus import Case
    from brokenseal.tokens.probe import ProbeResult

_COLUMNS: Final = (
    "verifier",
    "version",
    "use",
    "forged tokens accepted",
    "classes: breach",
    "misuse",
    "laxity",
    "valid tokens refused",
    "neither yes nor no",
)


def run(*, now: dt.datetime) -> str:
    """Ask every adapter about one corpus and write the tables."""
    laboratory = equip(seed=SEED, at=int(now.timestamp()))
    cases = build(laboratory)
    expectation = laboratory.expectation()
    results = {adapter: probe(open_target(adapter.target, expectation=expectation), cases) for adapter in ADAPTERS}
    return "\n".join([*_heading(cases, now), *_summary(results), "", *_families(cases), "", *_classes(results, cases)])


def _heading(cases: Iterable[Case], now: dt.datetime) -> Iterator[str]:
    cases = tuple(cases)
    forged = [case for case in cases if case.is_forgery]
    yield (
        f"One run on {now:%d %B %Y}, Python {platform.python_version()}, cryptography "
        f"{metadata.version('cryptography')}: {len(forged)} forged tokens of "
        f"{len({case.specimen for case in forged})} classes, {len(cases) - len(forged)} valid tokens. All simulated."
    )
    yield ""


def _summary(results: Mapping[Adapter, ProbeResult]) -> Iterator[str]:
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * 3 + "|--:" * (len(_COLUMNS) - 3) + "|"
    for adapter, result in results.items():
        counted = by_gravity(result)
        figures = (
            f"{len(result.accepted_forgeries)} of {result.forgeries}",
            *(counted[gravity.value] for gravity in Gravity),
            f"{len(result.rejected_valid)} of {result.valid}",
            len(result.errors),
        )
        named = (adapter.library, metadata.version(adapter.library), adapter.use)
        yield f"| {' | '.join(map(str, (*named, *figures)))} |"


def _families(cases: Iterable[Case]) -> Iterator[str]:
    yield "| family | classes | tokens |"
    yield "|---|--:|--:|"
    families: dict[str, list[Case]] = {}
    for case in cases:
        families.setdefault(case.family if case.is_forgery else "valid", []).append(case)
    for family, found in families.items():
        yield f"| {family} | {len({case.specimen for case in found})} | {len(found)} |"


def _classes(results: Mapping[Adapter, ProbeResult], cases: Iterable[Case]) -> Iterator[str]:
    """Which classes let somebody in who should not be, by adapter; laxity is only counted above."""
    accepted = {
        adapter: {each.case.specimen for each in result.accepted_forgeries} for adapter, result in results.items()
    }
    named = {case.specimen: case for case in cases if case.gravity in {Gravity.BREACH, Gravity.MISUSE}}
    yield f"| class | what it is | {' | '.join(f'{each.library} {each.use}' for each in results)} |"
    yield "|---|---|" + ":-:|" * len(results)
    for specimen, case in named.items():
        marks = ["●" if specimen in classes else "" for classes in accepted.values()]
        if any(marks):
            yield f"| `{specimen}` | {case.explanation} | {' | '.join(marks)} |"
