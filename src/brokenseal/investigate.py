"""The path of one record, on one screen.

    exports ─ ingest ─▶ store ─ detectors ─▶ marks ─ judgement ─▶ weights
                          store ─ detectors ─▶ findings ─ scope ─▶ cases ─ exposure ─▶ document ─ reports ─▶ bytes

Some of it may be found by another process (`found_beside`).
Command line, console and library call these functions and nothing behind them.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from brokenseal.activity import activity
from brokenseal.assessment import assessments
from brokenseal.calibration import shipped
from brokenseal.campaigns import campaigns
from brokenseal.case import (
    DOCUMENT_FORMAT,
    VERSION,
    cited_ids,
    cited_records,
    finish_case,
    inputs_of,
    verdict_of,
)
from brokenseal.case_exposure import case_selections
from brokenseal.coverage import coverage
from brokenseal.detectors import DETECTORS, MARKING, MARKING_DOORS, WEIGHED, open_door, token_provenance
from brokenseal.errors import UsageError
from brokenseal.exposure import exposure, exposures
from brokenseal.findings import by_weight, run_detectors
from brokenseal.found_beside import NOBODY, begin, helping, versions_of
from brokenseal.ingest import IngestResult, ingest
from brokenseal.input_alarms import alarms_of
from brokenseal.judgement import (
    BUDGET,
    as_tables,
    clustered,
    in_memory,
    judge,
    kept_parts,
    marked,
    run_marks,
    shown_notices,
    unit_table,
)
from brokenseal.model import CaseDocument
from brokenseal.scope import cases_of
from brokenseal.selection import Selection
from brokenseal.simulated import is_simulated
from brokenseal.state import answered
from brokenseal.store import Store

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from brokenseal.calibration import Calibration
    from brokenseal.explanations.values import Explanation
    from brokenseal.found_beside import Beside
    from brokenseal.helper import Helper
    from brokenseal.judgement import Judgement
    from brokenseal.model import (
        Case,
        Coverage,
        DetectorState,
        Exposure,
        Finding,
        Inputs,
        Reading,
        Tables,
        TokenProvenance,
        Watcher,
    )
    from brokenseal.scope import CaseDraft
    from brokenseal.settings import Settings


LISTED = 5000
"""So many messages of one exposure stand in a document; counts are over all of them."""
EVERY_MESSAGE = 100_000_000
"""For a list on disk, which has no such limit."""


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Look for no cycles among objects.

    Expressions and documents are hundreds of thousands of small objects that are needed to the end, or let go of
    without a search; to look through them again and again took a fifteenth of the time. Memory grows by some 40 MB,
    however large the store is, because there are as many expressions.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the detectors said: cases, notices, the state of each detector, and what was read.

    Attributes:
        everything: Under any mail access of the logs.
        exposure: Under any case.
        notices_left_out: Notices beyond their budget, which are counted and not shown.
        selections: By case id, the mail accesses that its exposure is of.
        access_ids: Event ids of the mail accesses of all cases; lines of an exposure cite no more than some of them.
    """

    everything: Exposure
    exposure: Exposure
    cases: tuple[Case, ...]
    notices: tuple[Finding, ...]
    states: tuple[DetectorState, ...]
    access_ids: frozenset[str]
    token_provenance: TokenProvenance
    notices_left_out: int = 0
    selections: Mapping[str, Selection] = field(default_factory=dict)


def add_exports(
    exports: Sequence[Path],
    settings: Settings,
    *,
    now: dt.datetime,
    watch: Watcher | None = None,
    helper: Helper | None = None,
) -> IngestResult:
    """Read exports into the store; see `ingest.ingest`."""
    return ingest(exports, settings, now=now, watch=watch, helper=helper)


def coverage_of(tables: Tables) -> Coverage:
    """What the logs can and cannot tell."""
    ledger = tables["ledger"].to_pyarrow().to_pylist()
    return coverage(tables, alarms_of(ledger))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """What was weighed, before it is put into words.

    Attributes:
        tables: The store's tables, with clusters, doors and marks worked out.
        marks: Rows of `schema.MARK` by detector.
        calibration: What it was weighed with.
    """

    tables: Tables
    marks: Mapping[str, pa.Table]
    judgement: Judgement
    calibration: Calibration


@contextlib.contextmanager
def weighing(
    tables: Tables,
    seen: Coverage,
    *,
    calibration: Calibration | None = None,
    budget: float = BUDGET,
    beside: Beside = NOBODY,
) -> Iterator[Weighing]:
    """Weigh every session cluster and every change of configuration; what it works out lasts as long as the context.

    Args:
        tables: The store's tables.
        seen: Of the same tables.
        calibration: Counts on simulated tenants; None for those that come with the product.
        budget: False cases a mailbox-week that are to be expected at most.
        beside: What another process finds in the same store.
    """
    counts = calibration or shipped()
    with clustered(tables) as rows, kept_parts(rows, token_provenance.parts) as of_tokens:
        of_sessions = run_marks(of_tokens, (each for each in MARKING if each not in MARKING_DOORS), seen.unmet_needs)
        with _doors(of_tokens, seen, beside) as (known, of_doors):
            said = {**of_sessions, **of_doors}
            marks = {detector.id: said[detector.id] for detector in MARKING if detector.id in said}
            judgement = judge(known, marks, open_door.units(known), counts, budget=budget)
            judgement = judgement.joined_by(campaigns(known, marks, judgement, counts))
            yield Weighing(tables={**known, **as_tables(marks)}, marks=marks, judgement=judgement, calibration=counts)


@contextlib.contextmanager
def _doors(tables: Tables, seen: Coverage, beside: Beside) -> Iterator[tuple[Tables, Mapping[str, pa.Table]]]:
    """The tables with what is known of doors, and what marks these: as another process found it, else worked out."""
    found = beside.doors()
    if found is not None:
        yield {**tables, **in_memory(found.parts)}, found.marks
        return
    with kept_parts(tables, open_door.parts) as known:
        yield known, run_marks(known, MARKING_DOORS, seen.unmet_needs)


def detect(
    tables: Tables,
    seen: Coverage,
    *,
    calibration: Calibration | None = None,
    budget: float = BUDGET,
    beside: Beside = NOBODY,
) -> Detection:
    """Weigh everything, group what the detectors find into cases, and attach what was read under each.

    Args: As for `weighing`.
    """
    with weighing(tables, seen, calibration=calibration, budget=budget, beside=beside) as weighed:
        findings, states, judgement = _findings(weighed, seen, beside)
        grouping = cases_of(findings, weighed.tables, judgement)
        selections = case_selections(weighed.tables, grouping.cases, judgement)
        together, *read = exposures(weighed.tables, [selections.together, *selections.cases])
        everything = beside.everything() or exposure(weighed.tables, Selection.everything())
        provenance = token_provenance.provenance_summary(weighed.tables)
        judged = assessments(grouping.cases, judgement, weighed.tables, seen, weighed.calibration)
    cases = tuple(finish_case(*parts) for parts in zip(grouping.cases, read, judged, strict=True))
    notices = shown_notices(grouping.notices, judgement)
    return Detection(
        everything=everything,
        exposure=together,
        cases=cases,
        notices=notices,
        notices_left_out=len(grouping.notices) - len(notices),
        states=states,
        access_ids=selections.access_ids,
        token_provenance=provenance,
        selections={draft.id: each for draft, each in zip(grouping.cases, selections.cases, strict=True)},
    )


def _findings(
    weighed: Weighing, seen: Coverage, beside: Beside = NOBODY
) -> tuple[tuple[Finding, ...], tuple[DetectorState, ...], Judgement]:
    """What all detectors say, and the judgement with what rules add; some detectors say it of heavy units alone."""
    findings, states = run_detectors(weighed.tables, DETECTORS, seen, given=beside.hits)
    judgement = weighed.judgement.ruled_by(findings)
    idle = {detector.id for detector in WEIGHED if not marked(weighed.marks.get(detector.id)) & judgement.wanted}
    heavy = {**weighed.tables, "wanted_units": unit_table(judgement.wanted)}
    more, more_states = run_detectors(heavy, WEIGHED, seen, idle=idle)
    return tuple(sorted((*findings, *more), key=by_weight)), (*states, *more_states), judgement


def case_selection(tables: Tables, case_id: str) -> Selection:
    """The mail accesses of one case.

    Raises:
        UsageError: No case has that id.
    """
    seen = coverage_of(tables)
    with weighing(tables, seen) as weighed:
        drafts, judgement = _drafts(weighed, seen)
        place = _place_of(case_id, drafts, option="--case")
        # What is in doubt in one case depends on who the victims of all are.
        return case_selections(weighed.tables, drafts, judgement).cases[place]


def _drafts(weighed: Weighing, seen: Coverage) -> tuple[tuple[CaseDraft, ...], Judgement]:
    findings, _, judgement = _findings(weighed, seen)
    return cases_of(findings, weighed.tables, judgement).cases, judgement


def _place_of(case_id: str, drafts: Sequence[CaseDraft], *, option: str) -> int:
    ids = [draft.id for draft in drafts]
    if case_id not in ids:
        known = ", ".join(ids) or "none: nothing was found"
        raise UsageError(place=option, value=case_id, expected=f"one of the store's cases ({known})")
    return ids.index(case_id)


@_no_collections()
def explanation_of(store: Store, case_id: str) -> Explanation:
    """What one case rests on, to be checked by hand.

    Raises:
        UsageError: No case has that id.
    """
    from brokenseal.explain import explain

    tables = store.tables()
    seen = coverage_of(tables)
    with weighing(tables, seen) as weighed:
        drafts, judgement = _drafts(weighed, seen)
        draft = drafts[_place_of(case_id, drafts, option="--explain")]
        (judged,) = assessments((draft,), judgement, weighed.tables, seen, weighed.calibration)
        return explain(
            weighed.tables,
            weighed.marks,
            judged,
            case_id=case_id,
            findings=draft.findings,
            calibration=weighed.calibration.made_of,
            simulated=is_simulated(seen.tenants),
        )


@_no_collections()
def build_document(store: Store, helper: Helper | None = None) -> CaseDocument:
    """Everything that can be said of the store, as the one document.

    Args:
        store: Of exports that were added.
        helper: Finds some of it, where that pays, and makes ready for a page afterwards.
    """
    versions = versions_of(store)
    looking = helping(helper, store, versions)
    tables = store.tables()
    seen = coverage_of(tables)
    beside = begin(looking, store, versions, seen.unmet_needs)
    if helper is not None:
        helper.do(get_ready)
    detection = detect(tables, seen, beside=beside)
    evidence = (item.event_id for case in detection.cases for found in case.findings for item in found.evidence)
    in_case = detection.access_ids.union(evidence)
    document = CaseDocument(
        format=DOCUMENT_FORMAT,
        product_version=VERSION,
        simulated=is_simulated(seen.tenants),
        verdict=verdict_of(detection.cases, seen, certain=detection.exposure.certain),
        cases=detection.cases,
        notices=detection.notices,
        notices_left_out=detection.notices_left_out,
        detectors=detection.states,
        token_provenance=detection.token_provenance,
        exposure=detection.everything,
        coverage=seen,
        activity=activity(tables, in_case),
        inputs=_inputs(tables),
        table_versions=store.versions(),
        cited={},
    )
    return replace(document, cited=cited_records(tables["events"], cited_ids(document), store.run))


def document_of(
    store: Store,
    *,
    rules: Sequence[Path] = (),
    rebuild: bool = False,
    tell: Callable[[str], None] | None = None,
    helper: Helper | None = None,
) -> CaseDocument:
    """The document of the store: what was kept of the last run while all it rests on is the same, else worked out.

    Args:
        store: Of exports that were added.
        rules: Sigma rules of others to be run beside it. They change nothing that the document says without them.
        rebuild: As for `state.answered`.
        tell: As for `state.answered`.
        helper: As for `build_document`.
    """
    work_out = functools.partial(build_document, helper=helper)
    document = answered(store, work_out=work_out, renew=_renewed, rebuild=rebuild, tell=tell)
    return _with_rules(store, document, rules, rebuild=rebuild, tell=tell) if rules else document


@_no_collections()
def _with_rules(
    store: Store,
    document: CaseDocument,
    rules: Sequence[Path],
    *,
    rebuild: bool,
    tell: Callable[[str], None] | None,
) -> CaseDocument:
    from brokenseal.rules_beside import rules_beside

    said = rules_beside(store, document, rules, rebuild=rebuild, tell=tell)
    joined = replace(document, rules=said)
    lacking = cited_ids(joined) - document.cited.keys()
    more = cited_records(store.tables()["events"], lacking, store.run)
    return replace(joined, cited=dict(sorted({**document.cited, **more}.items())))


@_no_collections()
def _renewed(store: Store, document: CaseDocument) -> CaseDocument | None:
    """The document of the same records with what names the run put in anew; None where its judgement cannot stand."""
    tables = store.tables()
    # What the ledger says of the inputs may bear on the judgement: alarms.
    if coverage_of(tables) != document.coverage:
        return None
    return replace(document, inputs=_inputs(tables), table_versions=store.versions())


def _inputs(tables: Tables) -> Inputs:
    return inputs_of(tables["ledger"].to_pyarrow().to_pylist(), tables["quarantine"].to_pyarrow().to_pylist())


def exposure_of(tables: Tables, selection: Selection, *, limit: int = LISTED) -> Exposure:
    """What was read under one selection of mail accesses, with the first `limit` messages listed."""
    return exposure(tables, selection, limit=limit)


@_no_collections()
def render(document: CaseDocument, form: str, lang: str, reading: Reading | None = None) -> bytes:
    """The document in one format and language, for one reader; by default everything, as for the analyst.

    Raises:
        UsageError: No reporter has that name, or the marking is no level of TLP 2.0.
    """
    # A run without news renders nothing, and is over before these would be imported.
    from brokenseal.reports import REPORTERS

    for reporter in REPORTERS:
        if reporter.name == form:
            if reading is None or reporter.render_for is None:
                return reporter.render(document, lang)
            return reporter.render_for(document, lang, reading)
    raise UsageError(place="--format", value=form, expected=", ".join(reporter.name for reporter in REPORTERS))


def get_ready() -> None:
    """Import what a page needs, in a process that will be asked for one."""
    from brokenseal.reports import html

    html.get_ready()


def packed(document: CaseDocument) -> bytes | None:
    """The document for another process, as MessagePack: half of the time that Python's own form takes.

    Returns: None where it holds what that form cannot: half of a surrogate pair, a number beyond 64 bits.
    """
    import msgspec

    try:
        return msgspec.msgpack.encode(document)
    except (OverflowError, UnicodeEncodeError):
        return None


def render_packed(document: bytes, form: str, lang: str, reading: Reading | None = None) -> bytes:
    """`render` of what `packed` gave."""
    import msgspec

    return render(msgspec.msgpack.decode(document, type=CaseDocument), form, lang, reading)


def investigate(
    exports: Sequence[Path],
    settings: Settings,
    *,
    now: dt.datetime,
    watch: Watcher | None = None,
    rules: Sequence[Path] = (),
    rebuild: bool = False,
    tell: Callable[[str], None] | None = None,
) -> tuple[IngestResult, CaseDocument]:
    """From exports to the document, in one call; `rules`, `rebuild` and `tell` as for `document_of`."""
    result = add_exports(exports, settings, now=now, watch=watch)
    return result, document_of(Store.open(settings), rules=rules, rebuild=rebuild, tell=tell)
