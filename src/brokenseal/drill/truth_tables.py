"""The truth of a drill, as it is written to `truth/*.parquet`: what really happened, for the scorer alone.

Identifiers are those of the product (`schema.EVENT_ID`, `schema.MAILBOX_KEY`), so that findings join to them directly.
"""

from __future__ import annotations

from brokenseal.drill._columnar import BOOL, FLOAT, INT32, STRING, STRINGS, TEXT, TIME, Column, Table


def _c(name: str, dtype: str, meaning: str, default: object = None) -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning, default=default)


def _carried(name: str, dtype: str, meaning: str, default: object) -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning, default=default)


TRUTH_COLUMNS = (
    _carried(
        "truth_actor_kind", TEXT, "owner, delegate, admin, guest, app, service, tester, outsider or attacker", "owner"
    ),
    _carried("truth_attack_id", TEXT, "Attack of the library (`A1` …), null for benign rows", None),
    _carried("truth_instance", INT32, "Number of the attack instance in the drill; -1 for benign rows", -1),
    _carried("truth_stage", TEXT, "Stage of the attack, null for benign rows", None),
)
"""What rides along in the working tables; no layer may read it except to copy."""

_TENANT = _c("tenant_id", STRING, "Tenant GUID in lower case")
_ATTACK = (
    _c("attack_id", STRING, "Attack of the library; null for benign"),
    _c("instance", INT32, "Number of the attack instance; null for benign"),
    _c("stage", STRING, "Stage of the attack; null for benign"),
)

TRUTH_TENANT = Table(
    name="tenants",
    row="one simulated tenant",
    columns=(
        _TENANT,
        _c("tenant_no", INT32, "Number in the drill"),
        _c("name", STRING, "Invented name, marked as simulated"),
        _c("mailboxes", INT32, "Mailboxes"),
        _c("starts_at", TIME, "Start of the drill"),
        _c("ends_at", TIME, "End of the drill"),
        _c("mailbox_weeks", FLOAT, "Mailboxes times weeks after the warm-up, for false-case rates"),
        _c("warm_up_days", INT32, "Days before scoring starts"),
        _c("logs", STRING, "full, no-noninteractive, ual-only or gappy"),
        _c("log_epoch", INT32, "2021, 2023 or 2025: field set of the audit log"),
        _c("unlogged_classes", STRINGS, "Classes of flows that never log their issuance"),
        _c("parameters", STRING, "The drawn parameters, JSON"),
    ),
)

TRUTH_RECORD = Table(
    name="records",
    row="one distinct line of any export (copies counted, not repeated)",
    columns=(
        _TENANT,
        _c("event_id", STRING, "As `schema.EVENT_ID`"),
        _c("stream", STRING, "Stream it was delivered in"),
        _c("occurred_at", TIME, "When it happened, by the log's clock"),
        _c("available_at", TIME, "When it could first be read"),
        _c("copies", INT32, "Times it stands in the exports"),
        _c("mailbox_key", STRING, "Mailbox GUID; null for none"),
        _c("actor", STRING, "Name in the log"),
        _c("actor_kind", STRING, "owner, delegate, admin, guest, app, service, tester, outsider or attacker"),
        *_ATTACK,
    ),
)

TRUTH_MESSAGE = Table(
    name="messages",
    row="one message that an attacker really read, or that a sync took along, per instance",
    columns=(
        _TENANT,
        _c("mailbox_key", STRING, "Mailbox GUID"),
        _c("mailbox_upn", STRING, "Address of the mailbox"),
        _c("internet_message_id", STRING, "Message-ID with angle brackets"),
        _c("first_read_at", TIME, "When it was first read"),
        _c("reads", INT32, "Times it was read"),
        _c("how", STRING, "bind, attachment, sync or graph"),
        _c("event_id", STRING, "First delivered record that shows it; null where none does"),
        _c("lost_to", STRING, "Null where shown, else repeat, throttled, not_audited, sync or withheld"),
        *_ATTACK,
    ),
)

TRUTH_TOKEN = Table(
    name="tokens",
    row="one token that was used",
    columns=(
        _TENANT,
        _c("token_id", STRING, "Token id as GUID; null for none"),
        _c("uti", STRING, "As the token carries it"),
        _c("subject_id", STRING, "Object id of the subject"),
        _c("session_id", STRING, "Session id; null for none"),
        _c("client_app_id", STRING, "Client application"),
        _c("issued_at", TIME, "Claimed time of issue"),
        _c("is_issued", BOOL, "Really issued"),
        _c("is_logged", BOOL, "Its issuance produced a log line"),
        _c("is_delivered", BOOL, "That line stands in the exports"),
        _c("issue_event_id", STRING, "The line; null for none"),
        _c("unlogged_reason", STRING, "flow_not_logged, lost, never_issued or withheld; null where delivered"),
        _c("token_source", STRING, "normal, forged_random, forged_structured, copied, replayed or forged_assertion"),
        *_ATTACK,
    ),
)

TRUTH_WITHHELD = Table(
    name="withheld",
    row="one log line that exists and was not delivered",
    columns=(
        _TENANT,
        _c("event_id", STRING, "As `schema.EVENT_ID`"),
        _c("stream", STRING, "Stream it belongs to"),
        _c("occurred_at", TIME, "When it happened"),
        _c("reason", STRING, "option, gap, late, truncated, unlicensed, flow_not_logged or lost"),
        _c("mailbox_key", STRING, "Mailbox GUID; null for none"),
        *_ATTACK,
    ),
)

TRUTH_ATTACK = Table(
    name="attacks",
    row="one instance of one attack (controls included)",
    columns=(
        _c("instance", INT32, "Number in the drill"),
        _TENANT,
        _c("attack_id", STRING, "A1 … A13, A0g, A0n"),
        _c("title", STRING, "Title of the attack"),
        _c("stealth", INT32, "1 careless, 2 professional, 3 careful, 4 best known; 0 for controls"),
        _c("campaign", INT32, "Shared by the instances of one campaign in several tenants; null for other attacks"),
        _c("first_at", TIME, "First action"),
        _c("last_at", TIME, "Last action"),
        _c("first_record_at", TIME, "First record of it in any export; null where there is none"),
        _c("first_available_at", TIME, "When that record could first be read"),
        _c("mailbox_keys", STRINGS, "Mailboxes that were read or rerouted"),
        _c("subject_ids", STRINGS, "Identities that were used"),
        _c("messages_read", INT32, "Distinct messages really read"),
        _c("messages_shown", INT32, "Those that a delivered record shows one by one"),
        _c("records", INT32, "Distinct delivered lines"),
        _c("tells", STRINGS, "Causal tells that the manifest allows"),
        _c("is_observable", BOOL, "At least one delivered record belongs to it"),
        _c("knobs", STRING, "Drawn knobs, JSON"),
    ),
)

TRUTH_TABLES = (TRUTH_TENANT, TRUTH_RECORD, TRUTH_MESSAGE, TRUTH_TOKEN, TRUTH_WITHHELD, TRUTH_ATTACK)
