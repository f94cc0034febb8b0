"""Rules beside the cases of a document: run on the same store, and kept with it for as long as nothing differs."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Final

from brokenseal import state
from brokenseal.case import exposed_ids
from brokenseal.outside_rules import OutsideRules
from brokenseal.sigma.evidence import CaseReach, outside_rules
from brokenseal.sigma.loading import FILE_BYTES, load_rules, rule_files
from brokenseal.sigma.running import run_rules
from brokenseal.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from brokenseal.model import Case, CaseDocument

_KEPT: Final = "rules"


def rules_beside(
    store: Store,
    document: CaseDocument,
    paths: Sequence[Path],
    *,
    rebuild: bool = False,
    tell: Callable[[str], None] | None = None,
) -> OutsideRules:
    """What rules say of the records of a document: as it was kept, else worked out, and kept.

    DuckDB reads the recorded text, which lies in the store's folder, whichever engine reads the tables.

    Args:
        store: Of which the document is.
        document: Its cases.
        paths: Files of rules, or folders of them.
        rebuild: Work it out whatever was kept.
        tell: Is told in a sentence what is the matter with what was kept.

    Raises:
        EvidenceChanged: recorded text is gone or damaged.
    """
    reaches = tuple(reach_of(case) for case in document.cases)

    def work_out() -> OutsideRules:
        wanted = frozenset(event_id for reach in reaches for event_id in reach.event_ids)
        if store.settings.engine == "duckdb":
            return outside_rules(run_rules(store, load_rules(paths), wanted=wanted), reaches)
        with Store.open(replace(store.settings, engine="duckdb", master=None)) as own:
            return outside_rules(run_rules(own, load_rules(paths), wanted=wanted), reaches)

    return state.kept_part(
        store,
        _KEPT,
        OutsideRules,
        asked=(*_contents(paths), *_reaches_in_words(reaches)),
        work_out=work_out,
        rebuild=rebuild,
        tell=tell,
    )


def reach_of(case: Case) -> CaseReach:
    """What a case of a document is about, for hits of rules."""
    cited = {item.event_id for found in case.findings for item in found.evidence}
    cited |= exposed_ids(case.exposure)
    if case.assessment is not None:
        cited.update(unit.unit for unit in case.assessment.units)
    boxes = (*case.mailboxes, *(box.mailbox_key for box in case.exposure.mailboxes))
    return CaseReach(
        case_id=case.id,
        event_ids=frozenset(cited),
        mailboxes=frozenset(name.lower() for name in boxes),
        actors=frozenset(name.lower() for name in case.actors),
        first_at=case.first_at,
        last_at=case.last_at,
    )


def _contents(paths: Sequence[Path]) -> Iterator[str]:
    """What the rules are: names and contents of the files, and what reads them."""
    yield metadata.version("pysigma")
    for path in paths:
        yield f"asked {path}"
    for path in rule_files(paths):
        try:
            with path.open("rb") as stream:
                # A larger file is refused for its size, whatever it holds.
                content = stream.read(FILE_BYTES + 1)
                found = f"{hashlib.sha256(content).hexdigest()} {path.stat().st_size}"
        except OSError as err:
            found = f"unreadable {err.strerror}"
        yield f"{path} {found}"


def _reaches_in_words(reaches: Sequence[CaseReach]) -> Iterator[str]:
    for each in reaches:
        sets = (sorted(each.event_ids), sorted(each.mailboxes), sorted(each.actors))
        yield f"{each.case_id} {each.first_at.isoformat()} {each.last_at.isoformat()} {sets!r}"
