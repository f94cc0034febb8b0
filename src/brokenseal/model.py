"""The vocabulary of the case: what is handed from room to room, and the contracts of what can be added.

Everything is a frozen value. Tables stay Ibis expressions while there are many rows; these values begin
where there are few. `CaseDocument` is the one document from which every report, screen and `--json`
is rendered; `document_to_json` and `document_from_json` in `case.py` write and read it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from brokenseal.judged import Assessment
from brokenseal.outside_rules import OutsideRules
from brokenseal.wording import Phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

Record: TypeAlias = Mapping[str, Any]
"""One raw record as parsed from JSON or from a CSV row (then every value is text)."""

Rows: TypeAlias = dict[str, list[dict[str, Any]]]
"""Normalised rows by table name; a column that is left out is null. `events` holds exactly one row."""


class Severity(StrEnum):
    """How much depends on it, if it is what it looks like."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


# ---------------------------------------------------------------- contracts of what can be added


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Columns derived once per distinct combination of a few raw fields instead of once per record.

    The columnar path hands every distinct combination to `derive` and joins the result back, so that both
    paths share one definition of how an address, a client string or a token id is read.

    Attributes:
        name: Name of the lookup, unique in its source.
        keys: Name to expression on the raw table, each a text (null where the record has none).
        derive: Plain function from the keys' values to the derived columns; never raises.
        columns: Names and Ibis types of the derived columns.
        only: The records that it is for, on the raw table; to `derive`, all keys of the others (null included) are
            null. None where it is for all.
    """

    name: str
    keys: Mapping[str, Callable[[ir.Table], ir.StringValue]]
    derive: Callable[[Mapping[str, str | None]], Mapping[str, Any]]
    columns: Mapping[str, str]
    only: Callable[[ir.Table], ir.BooleanValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columnar:
    """The fast path of a source: whole batches as typed columns, no Python per record.

    `takes` and `normalise` work on the raw rows with `record_no` (int64) and every column of every lookup, named
    `<lookup>__<column>`.

    Attributes:
        raw_schema: Field name to Ibis type of the raw record as the engine should read it; scalars are mostly
            strings, so that a number, a boolean and their text forms are read alike.
        lookups: Derivations per distinct combination of values.
        takes: True for the rows that this path may normalise; all others (null included) go one by one to
            `Source.normalise`, which decides between normalising and rejecting.
        normalise: From the taken rows to one table per table name, in any order of columns; a column that is left
            out is null. `events` has `record_no` and one row for each row taken.
        payload: Column that holds the record as JSON text in exports that put columns around it; such a path reads
            tables only.
        fallbacks: Field of the record to the outer columns that fill it in where it is absent or empty; a record
            that lacks such a field goes one by one.
        reads_table: Whether it can read a table with these columns; None where it reads JSON only.
        members: Name of a text column to the JSON path of an object of the record: the column, read beside
            `raw_schema`, lists the names that stand there as JSON text. For sources that compare names folded.
    """

    raw_schema: Mapping[str, str]
    lookups: tuple[Lookup, ...]
    takes: Callable[[ir.Table], ir.BooleanValue]
    normalise: Callable[[ir.Table], Mapping[str, ir.Table]]
    payload: str | None = None
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads_table: Callable[[Sequence[str]], bool] | None = None
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One kind of log.

    Attributes:
        name: Unique name. Also the value of `events.source`, except that the exports of the audit log through
            Sentinel and Defender give events of `unified_audit`, because they are the same records.
        title: What people call the log, in English.
        shapes: Every value that `sniff` can give, with what it is, for the documentation.
        fidelity: Lower reads first in one ingest: where two exports hold the same record, the richer one is kept.
        sniff: The shape of a record, or None where this source does not know it. Looks at keys and a few
            values only, never at file names, and never raises.
        normalise: One record of a known shape to its rows. The reference that the columnar path must
            equal, and the path of every record that the columnar one does not take.
            Raises only `errors.RecordRejected`.
        columnar: The fast paths, by the shape that they read.
        lossy_shapes: Those of `shapes` whose export lost nested values. They are read after all others of one
            ingest, so that a whole copy of a record is kept rather than a cut one.
    """

    name: str
    title: str
    shapes: Mapping[str, str]
    fidelity: int
    sniff: Callable[[Record], str | None]
    normalise: Callable[[Record], Rows]
    columnar: Mapping[str, Columnar] = field(default_factory=dict)
    lossy_shapes: frozenset[str] = frozenset()


Tables: TypeAlias = Mapping[str, "ir.Table"]
"""The store's tables by name, cast to `schema`."""
Parts: TypeAlias = Mapping[str, "Callable[[], ir.Table]"]
"""What functions of the tables share, under the names by which a runner may add it to them.

Each is asked for once, in order, with those before it among the tables that were given.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One thing that a detector can say.

    Phrases may use the fields that `findings.py` fills from the hits: subject (the group key), records, actors,
    mailboxes, addresses, sessions, objects (joined texts), n_records, n_actors, n_mailboxes, n_objects, first_at,
    last_at.

    Attributes:
        title: One line.
        severity: If it is what it looks like.
        attack: ATT&CK technique ids.
        innocent: Why it might be innocent.
        settles: What would settle it.
        is_notice: True where it is worth a look in office hours but never opens a case by itself.
        about: What a case of it is about: findings on one account, address or application make one case. For
            `application` the group key begins with the application's id, ended by `|` where more follows.
    """

    title: Phrase
    severity: Severity
    attack: tuple[str, ...]
    innocent: Phrase
    settles: Phrase
    is_notice: bool = False
    about: Literal["account", "address", "application"] = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a detector cannot judge although its needs are met, such as mailboxes without a history.

    Attributes:
        subjects: From the tables to one row per subject: `subject` (string), `assessable` (boolean).
        reason: Said where some subject is not assessable; may use n (how many are not) and total.
    """

    subjects: Callable[[Tables], ir.Table]
    reason: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One technique.

    Attributes:
        id: Stable, in the form `mail_access.first_seen_client`.
        title: What it looks for.
        reads: Table name to the exact columns that `find` uses.
        needs: Coverage needs without which it cannot be assessed (see `coverage.NEEDS`).
        variants: Name to what is said.
        find: From the tables to rows of `schema.HIT`. Pure, engine-free, no wall clock.
        limit: Which subjects it cannot judge, where that depends on more than `needs`.
        after: Ids of detectors whose hits it joins on; the runner hands them over as the table `hits:<id>`, so
            that they are computed once.
        silent_without: Those of `needs` without any of which there can be no hit, so that `find` is not run.
        family: Which question it asks; see `Family`.
        mark: From the tables to rows of `schema.MARK`, at most one per session cluster; a cluster that is left out is
            quiet. A detector that marks is asked for hits (`find`) only of those clusters that stand in the table
            `wanted_units` (column `unit`), where the runner gives one.
        bins: The bins of its marks, with what each means; the calibration counts each of them.
    """

    id: str
    title: Phrase
    reads: Mapping[str, tuple[str, ...]]
    needs: tuple[str, ...]
    variants: Mapping[str, Variant]
    find: Callable[[Tables], ir.Table]
    limit: Limit | None = None
    after: tuple[str, ...] = ()
    silent_without: tuple[str, ...] = ()
    family: Family = "other"
    mark: Callable[[Tables], ir.Table] | None = None
    bins: Mapping[str, str] = field(default_factory=dict)


Reader: TypeAlias = Literal["analyst", "management", "counsel"]
"""Whom a report is for; the analyst gets everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """For whom a report is written, and how far it may travel.

    Attributes:
        tlp: A level of the Traffic Light Protocol 2.0 as in `red` or `amber+strict`; None for what is usual in the
            format.
        in_full: Whether the long tables of reports on paper go on to their end.
    """

    reader: Reader = "analyst"
    tlp: str | None = None
    in_full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One output format: a pure function from the document and a language to bytes.

    Attributes:
        render: What the analyst gets.
        render_for: What a given reader gets; None where the format is data, the same for all.
    """

    name: str
    media_type: str
    render: Callable[[CaseDocument, str], bytes]
    render_for: Callable[[CaseDocument, str, Reading], bytes] | None = None


# ---------------------------------------------------------------- values of the case document


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """One record that some statement cites, with the fields a reader wants to see beside it."""

    event_id: str
    occurred_at: dt.datetime
    operation: str | None
    actor: str | None
    mailbox: str | None
    client_ip: str | None
    client: str | None
    app: str | None
    session_id: str | None
    token_id: str | None
    object_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One record in the role it plays in a finding."""

    event_id: str
    role: str
    occurred_at: dt.datetime


Family: TypeAlias = Literal["token", "claims", "stranger", "volume", "session", "address", "campaign", "door", "other"]
"""Which question a detector asks: was the token issued, can its claims be true, is the client a stranger, how much left
by it, is a session in two hands, does its address stand out, is one actor in many mailboxes, was a lasting door opened.
Evidence of one family is never multiplied with itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """How much a finding speaks against an authorised use.

    Attributes:
        bin: The detector's class of strangeness; "" where it has one class.
        millibans: 1,000 times the decimal logarithm of the e-value: the share of intrusions that look so over the upper
            bound of the share of authorised units that do. 0 says nothing either way.
        f0_upper_ppb: That upper bound (95 %), parts per billion; None where nothing was counted.
        n_reference: Authorised units behind it.
        basis: `tenant` (this tenant's own rates), `calibration` (rates of simulated tenants shipped with the product)
            or `none` (no rate is known; the finding can be no more than a notice).
    """

    bin: str
    millibans: int
    f0_upper_ppb: int | None
    n_reference: int
    basis: Literal["tenant", "calibration", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one detector says of one subject, with the records that show it.

    Attributes:
        id: First 16 hex digits of SHA-256 over detector id, variant, group key and sorted event ids.
        evidence: By time, then event id; never empty.
        addresses: Public addresses only: a Microsoft address is nobody's own.
        case_keys: What it is about, as `account:…`, `address:…` or `application:…`, sorted.
        units: Session clusters that it is about, by the event id of their first record, sorted.
        family: Which question its detector asks.
        weight: How much it speaks for an intrusion; None where nothing has weighed it.
        tenant: Whose records it cites; empty where the logs are of one tenant, or do not say.
    """

    id: str
    detector_id: str
    variant: str
    group_key: str
    title: Phrase
    severity: Severity
    is_notice: bool
    attack: tuple[str, ...]
    innocent: Phrase
    settles: Phrase
    first_at: dt.datetime
    last_at: dt.datetime
    evidence: tuple[Evidence, ...]
    mailboxes: tuple[str, ...]
    actors: tuple[str, ...]
    addresses: tuple[str, ...]
    sessions: tuple[str, ...]
    objects: tuple[str, ...]
    case_keys: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    family: Family = "other"
    weight: Weight | None = None
    tenant: str = ""


Kind = Literal["certain", "possible", "unknowable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedMessage:
    """One message that was read, once or often, or may have been.

    Counted once per (mailbox, internet_message_id). `event_ids` are sorted and never empty.

    Attributes:
        reason: None for a message that a Bind record lists: it was read with certainty. Else why it is possible:
            may_be_own (only reads that may be authorised people's own list it), forwarded (a rule
            of the case sent such mail on), forwarded_sent (and a message trace shows that it went out) or
            forwarded_unclear (it arrived under a rule whose conditions no record settles for it).
    """

    mailbox: str
    internet_message_id: str
    subject: str | None
    sender: str | None
    recipients: tuple[str, ...]
    folder_path: str | None
    size_bytes: int | None
    first_at: dt.datetime
    last_at: dt.datetime
    entries: int
    clients: tuple[str, ...]
    addresses: tuple[str, ...]
    sessions: tuple[str, ...]
    event_ids: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedFolder:
    """A folder that went to a client by Sync: all that it held then is possibly read.

    Attributes:
        known_messages: Distinct messages known from other records to have stood in it then; None where no record
            shows any, so that nothing can be said of the count. The folder may have held more.
        records: Sync records of this folder; `event_ids` may cite the first of them only.
    """

    mailbox: str
    folder_path: str | None
    folder_id: str | None
    first_at: dt.datetime
    last_at: dt.datetime
    known_messages: int | None
    event_ids: tuple[str, ...]
    records: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEnded:
    """A span in which more may have been read than any record shows: the unknowable part.

    Attributes:
        reason: throttled, audit_bypassed, records_without_items, no_mail_access_log, items_unnamed, door_unlogged (a
            right of the case opens mailboxes whose reading no record shows) or forwarded_untraced (mail was sent on
            while no message trace tells which).
        seen: Messages that records of the span list, where the span has a count interval; else None.
        known: Messages known to have stood in the folders that were read, in the span, with those seen. It is no upper
            bound of what was read: a folder may have held more than records tell of.
    """

    mailbox: str
    reason: str
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    explanation: Phrase
    event_ids: tuple[str, ...]
    seen: int | None = None
    known: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxExposure:
    """What was read of one mailbox. Every number has its kind.

    Attributes:
        accesses: Records of reading; `doubtful_accesses` are those of them that may be the victims' own.
        certain: Distinct messages that records list.
        possible: Distinct messages that may have been read and are not certain already: known to have stood in
            synchronised folders (`possible_synced`), listed by doubtful records alone (`possible_doubtful`) or sent on
            by a rule (`possible_forwarded`). A message can be possible in several ways. `possible_folders` counts the
            synchronised folders, whose content may be larger than what is known.
        unknowable: Number of open-ended spans.
    """

    mailbox: str
    mailbox_key: str
    accesses: int
    item_entries: int
    certain: int
    possible: int
    possible_folders: int
    unknowable: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    clients: tuple[str, ...]
    addresses: tuple[str, ...]
    doubtful_accesses: int = 0
    possible_synced: int = 0
    possible_doubtful: int = 0
    possible_forwarded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What was read under one selection of mail accesses; its counts are those of `MailboxExposure`, summed.

    Attributes:
        messages: Certain messages; `possible_messages` those that are possible by doubtful reads or by forwarding,
            each with its reason. Both list the first by time, while all counts are over everything.
    """

    selection: str
    accesses: int
    certain: int
    possible: int
    unknowable: int
    mailboxes: tuple[MailboxExposure, ...]
    messages: tuple[ExposedMessage, ...]
    folders: tuple[ExposedFolder, ...]
    open_ended: tuple[OpenEnded, ...]
    doubtful_accesses: int = 0
    possible_synced: int = 0
    possible_doubtful: int = 0
    possible_forwarded: int = 0
    possible_messages: tuple[ExposedMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Findings that share an actor, a session, an address, an application or a victim: one story.

    Attributes:
        id: `case-` and 12 hex digits over the earliest finding's id; stable when later evidence joins.
        links: Why its findings belong together.
        exposure: Of the mail accesses among its evidence and under its sessions and applications.
        assessment: How much speaks for it, and how sure that is; None where nothing was weighed.
    """

    id: str
    title: Phrase
    summary: tuple[Phrase, ...]
    severity: Severity
    mailboxes: tuple[str, ...]
    actors: tuple[str, ...]
    addresses: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    attack: tuple[str, ...]
    findings: tuple[Finding, ...]
    links: tuple[Phrase, ...]
    exposure: Exposure
    next_steps: tuple[Phrase, ...]
    assessment: Assessment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorState:
    """fired, quiet, or not_assessable with its reason: never a silent nothing."""

    detector_id: str
    title: Phrase
    state: Literal["fired", "quiet", "not_assessable"]
    reason: Phrase | None
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Hours with nothing where the same hour of other weeks says there should be something."""

    source: str
    first_at: dt.datetime
    last_at: dt.datetime
    expected_records: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCoverage:
    """From when to when one source, or one sign-in category, was delivered."""

    source: str
    title: Phrase
    present: bool
    records: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    gaps: tuple[Gap, ...]
    without_it: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxCoverage:
    """What the logs can tell of one mailbox. None means that the logs do not say.

    Attributes:
        has_mail_access: False where the mailbox is seen in other records and never in MailItemsAccessed.
        throttled_days: UTC days on which bind auditing stopped.
        audit_bypassed: True where a bypass or a switched-off audit for it is on record.
        with_session, with_token: Shares (0 to 1) of its mail accesses that carry the identifier.
    """

    mailbox: str
    mailbox_key: str
    has_mail_access: bool
    accesses: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    throttled_days: tuple[str, ...]
    audit_bypassed: bool | None
    with_session: float | None
    with_token: float | None
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something about an input that makes it incomplete or lossy.

    Attributes:
        code: at_cap, result_count_above, flattened, truncated_json, unreadable, gap or clock.
    """

    code: str
    place: str
    explanation: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the logs can and cannot tell. Every later statement leans on it."""

    first_at: dt.datetime | None
    last_at: dt.datetime | None
    tenants: tuple[str, ...]
    sources: tuple[SourceCoverage, ...]
    mailboxes: tuple[MailboxCoverage, ...]
    mail_accesses: int
    with_session: float | None
    with_token: float | None
    alarms: tuple[Alarm, ...]
    cannot_tell: tuple[Phrase, ...]
    unmet_needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProvenance:
    """Was each token that read mail ever issued, as far as the logs show: counts of mail accesses.

    Attributes:
        cannot_tell_reasons: Reason code to count; the counts add up to `cannot_tell`.
    """

    issued: int
    not_issued: int
    cannot_tell: int
    cannot_tell_reasons: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One row of the ledger as reports show it."""

    path: str
    sha256: str
    size_bytes: int
    shape: str | None
    outcome: str
    records: int
    kept: int
    duplicates: int
    rejected: int
    ignored: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One quarantined record with what could be salvaged of it."""

    path: str
    record_no: int
    reason: str
    column: str | None
    expected: str | None
    salvaged_id: str | None
    salvaged_operation: str | None
    salvaged_at: dt.datetime | None
    salvaged_actor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What came in, what was kept, what was not. Totals are over the files that are `ingested`."""

    records: int
    kept: int
    duplicates: int
    rejected: int
    ignored: int
    files: tuple[InputFile, ...]
    quarantine: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCell:
    """Mail accesses of one mailbox by one client on one UTC day."""

    day: str
    mailbox: str
    client: str
    accesses: int
    item_entries: int
    in_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HourCell:
    """Mail accesses in one hour of the week, Monday 0, UTC."""

    weekday: int
    hour: int
    accesses: int
    in_case: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """Who read what: distinct messages and accesses by actor and client on a mailbox."""

    mailbox: str
    actor: str
    client: str
    accesses: int
    messages: int
    in_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """The series behind the pictures."""

    days: tuple[ActivityCell, ...]
    hours: tuple[HourCell, ...]
    matrix: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The first thing that a reader sees.

    Attributes:
        kind: `found` (a case stands), `nothing_found` (nothing, and the logs could have shown it) or
            `cannot_tell` (nothing, but the logs could not have shown it).
    """

    kind: Literal["found", "nothing_found", "cannot_tell"]
    headline: Phrase
    reasons: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDocument:
    """The single document. Equal records give equal documents, except for `inputs`.

    Attributes:
        format: Version of this form; old versions still load.
        simulated: True where a tenant in it is one that the product made up: every rendering says so.
        notices_left_out: Notices beyond their budget.
        table_versions: Version of each table that the statements were computed on.
        cited: Every record that a finding or an exposure cites, by event id.
        rules: What Sigma rules of others said of the same records; None where none were run, and then left out of
            what is written.
    """

    format: int
    product_version: str
    simulated: bool = False
    verdict: Verdict
    cases: tuple[Case, ...]
    notices: tuple[Finding, ...]
    notices_left_out: int = 0
    detectors: tuple[DetectorState, ...]
    token_provenance: TokenProvenance
    exposure: Exposure
    coverage: Coverage
    activity: Activity
    inputs: Inputs
    table_versions: dict[str, int]
    cited: dict[str, Cited]
    rules: OutsideRules | None = None


# ---------------------------------------------------------------- values of ingest


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One readable thing: a plain file, or a file inside containers.

    Attributes:
        path: Input as given, archive members behind `!`.
        container: `plain`, or container kinds from the outside in joined by `/`.
        size_bytes: Unpacked size where it is known beforehand.
        open: Opens the unpacked bytes; can be called more than once.
        local_path: The file itself where it is plain and on disk; None inside containers.
    """

    path: str
    container: str
    size_bytes: int | None
    open: Callable[[], Any]
    local_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FramedRecord:
    """One record as it stands in the input.

    Attributes:
        record_no: From 1, counting every record of the input.
        text: The record's text as recorded: JSON text, or a CSV row turned into a JSON object of texts.
        value: The parsed record, or None where it could not be parsed.
        reason: Why it could not be parsed, one of `schema.QUARANTINE_REASONS`, else None.
        expected: What would have been right, where `reason` is set.
    """

    record_no: int
    text: str
    value: Record | None
    reason: str | None = None
    expected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestProgress:
    """What a progress bar shows."""

    path: str
    bytes_done: int
    bytes_total: int
    records: int


Watcher: TypeAlias = Callable[[IngestProgress], None]
Members: TypeAlias = Iterator[Member]
