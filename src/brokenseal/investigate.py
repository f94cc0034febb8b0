"""The path of one record, on one screen.

    exports ─ ingest ─▶ store ─ detectors ─▶ findings ─ scope ─▶ cases ─ exposure ─▶ document ─ reports ─▶ bytes

Command line, console and library call these functions and nothing behind them.
"""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from brokenseal.activity import activity
from brokenseal.case import (
    DOCUMENT_FORMAT,
    VERSION,
    cited_ids,
    cited_records,
    finish_case,
    inputs_of,
    verdict_of,
)
from brokenseal.coverage import coverage
from brokenseal.detectors import DETECTORS
from brokenseal.detectors.token_provenance import provenance_summary
from brokenseal.errors import UsageError
from brokenseal.exposure import exposure, exposures
from brokenseal.findings import run_detectors
from brokenseal.ingest import IngestResult, ingest
from brokenseal.input_alarms import alarms_of
from brokenseal.model import CaseDocument
from brokenseal.reports import REPORTERS
from brokenseal.scope import cases_of
from brokenseal.selection import Selection
from brokenseal.simulated import is_simulated
from brokenseal.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from brokenseal.model import Case, Coverage, DetectorState, Exposure, Finding, Tables, Watcher
    from brokenseal.scope import CaseDraft
    from brokenseal.settings import Settings


LISTED = 5000
"""So many messages of one exposure stand in a document; counts are over all of them."""
EVERY_MESSAGE = 100_000_000
"""For a list on disk, which has no such limit."""


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Look for cycles among objects more rarely.

    Expressions and documents are hundreds of thousands of small objects that are all needed to the end; to look
    through them again and again is a sixth of the time. Memory grows by some 10 MB.
    """
    before = gc.get_threshold()
    gc.set_threshold(20_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the detectors said: cases, notices, the state of each detector, and what was read.

    Attributes:
        everything: Under any mail access of the logs.
        exposure: Under any case.
        access_ids: Event ids of the mail accesses of all cases; lines of an exposure cite no more than some of them.
    """

    everything: Exposure
    exposure: Exposure
    cases: tuple[Case, ...]
    notices: tuple[Finding, ...]
    states: tuple[DetectorState, ...]
    access_ids: frozenset[str]


def add_exports(
    exports: Sequence[Path], settings: Settings, *, now: dt.datetime, watch: Watcher | None = None
) -> IngestResult:
    """Read exports into the store; see `ingest.ingest`."""
    return ingest(exports, settings, now=now, watch=watch)


def coverage_of(tables: Tables) -> Coverage:
    """What the logs can and cannot tell."""
    ledger = tables["ledger"].to_pyarrow().to_pylist()
    return coverage(tables, alarms_of(ledger))


def detect(tables: Tables, seen: Coverage) -> Detection:
    """Run every detector, group its findings into cases, and attach what was read under each."""
    findings, states = run_detectors(tables, DETECTORS, seen)
    grouping = cases_of(findings, tables)
    access_ids = frozenset(event_id for draft in grouping.cases for event_id in draft.access_ids)
    asked = [Selection.everything(), Selection.of_events("", access_ids), *map(_selection_of, grouping.cases)]
    everything, together, *read = exposures(tables, asked)
    cases = tuple(finish_case(draft, under) for draft, under in zip(grouping.cases, read, strict=True))
    return Detection(
        everything=everything,
        exposure=together,
        cases=cases,
        notices=grouping.notices,
        states=states,
        access_ids=access_ids,
    )


def _selection_of(draft: CaseDraft) -> Selection:
    return Selection.of_events(draft.id, draft.access_ids, mailboxes=draft.mailboxes)


def case_selection(tables: Tables, case_id: str) -> Selection:
    """The mail accesses of one case.

    Raises:
        UsageError: No case has that id.
    """
    findings, _ = run_detectors(tables, DETECTORS, coverage_of(tables))
    drafts = cases_of(findings, tables).cases
    for draft in drafts:
        if draft.id == case_id:
            return _selection_of(draft)
    known = ", ".join(draft.id for draft in drafts) or "none: nothing was found"
    raise UsageError(place="--case", value=case_id, expected=f"one of the store's cases ({known})")


@_few_collections()
def build_document(store: Store) -> CaseDocument:
    """Everything that can be said of the store, as the one document."""
    tables = store.tables()
    seen = coverage_of(tables)
    detection = detect(tables, seen)
    evidence = (item.event_id for case in detection.cases for found in case.findings for item in found.evidence)
    in_case = detection.access_ids.union(evidence)
    document = CaseDocument(
        format=DOCUMENT_FORMAT,
        product_version=VERSION,
        simulated=is_simulated(seen.tenants),
        verdict=verdict_of(detection.cases, seen, certain=detection.exposure.certain),
        cases=detection.cases,
        notices=detection.notices,
        detectors=detection.states,
        token_provenance=provenance_summary(tables),
        exposure=detection.everything,
        coverage=seen,
        activity=activity(tables, in_case),
        inputs=inputs_of(tables["ledger"].to_pyarrow().to_pylist(), tables["quarantine"].to_pyarrow().to_pylist()),
        table_versions=store.versions(),
        cited={},
    )
    return replace(document, cited=cited_records(tables["events"], cited_ids(document), store.run))


def exposure_of(tables: Tables, selection: Selection, *, limit: int = LISTED) -> Exposure:
    """What was read under one selection of mail accesses, with the first `limit` messages listed."""
    return exposure(tables, selection, limit=limit)


@_few_collections()
def render(document: CaseDocument, form: str, lang: str) -> bytes:
    """The document in one format and language.

    Raises:
        UsageError: No reporter has that name.
    """
    for reporter in REPORTERS:
        if reporter.name == form:
            return reporter.render(document, lang)
    raise UsageError(place="--format", value=form, expected=", ".join(reporter.name for reporter in REPORTERS))


def investigate(
    exports: Sequence[Path], settings: Settings, *, now: dt.datetime, watch: Watcher | None = None
) -> tuple[IngestResult, CaseDocument]:
    """From exports to the document, in one call."""
    result = add_exports(exports, settings, now=now, watch=watch)
    return result, build_document(Store.open(settings))
