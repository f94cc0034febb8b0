"""Every table of the drill, declared once: what flows between its layers, and the truth it keeps.

A layer is a pure function from these tables to the next, for one tenant and one day::

    intents   INTENT, CHANGE            who wants what of which mailbox, with which client, from where
    identity  TOKEN, TOKEN_USE, SIGN_IN_LINE
    mailflow  FOLDER, MESSAGE, TRACE_LINE
    clients   ACTION                    each single read, sync, send, move …
    audit     AUDIT_RECORD, AUDIT_ITEM, AUDIT_SETTING, GRAPH_LINE, READ_FATE
    delivery  DELIVERED                 when each line becomes available, copies, losses
    exports   the files, and TRUTH_*

Conventions:

* `*_us` is int64 microseconds since 1970, UTC; `day` is whole days since the tenant's epoch (a Monday, 00:00 UTC).
* `*_no` is an index into the tenant's arrays (`identity_no`, `mailbox_no`, `device_no`, `network_no`) or a number that
  is unique in the tenant (`intent_id`, `token_no`, `message_no` …). -1 means none.
* Row numbers of a day come from `row_number(day, n)`, so that a day regenerated alone gives the same numbers.
* Columns named `truth_*` ride along and never reach an export or a decision: no layer may read them except to copy.
* Null or "" in a text column means that the log would not say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from brokenseal.drill._columnar import (
    BOOL,
    FLOAT,
    INT8,
    INT32,
    INT64,
    REQUIRED,
    STRING,
    STRINGS,
    TEXT,
    Coded,
    Column,
    Table,
    build,
    coded,
    concat,
    empty,
    numbers,
    words,
)
from brokenseal.drill.audit_tables import AUDIT_ITEM, AUDIT_RECORD, AUDIT_SETTING, DELIVERED, GRAPH_LINE, READ_FATE
from brokenseal.drill.truth_tables import (
    TRUTH_ATTACK,
    TRUTH_COLUMNS,
    TRUTH_MESSAGE,
    TRUTH_RECORD,
    TRUTH_TABLES,
    TRUTH_TENANT,
    TRUTH_TOKEN,
    TRUTH_WITHHELD,
)
from brokenseal.drill.vocabulary import (
    ACTION_KINDS,
    AUTH_WAYS,
    INTENT_KINDS,
    PROTOCOLS,
    READ_FATES,
    READ_SCOPES,
    STREAMS,
    TOKEN_SOURCES,
    WITHHELD_REASONS,
)

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "ACTION",
    "ACTION_KINDS",
    "AUDIT_ITEM",
    "AUDIT_RECORD",
    "AUDIT_SETTING",
    "AUTH_WAYS",
    "CHANGE",
    "DAY_US",
    "DELIVERED",
    "FOLDER",
    "GRAPH_LINE",
    "HOUR_US",
    "INTENT",
    "INTENT_KINDS",
    "MESSAGE",
    "MINUTE_US",
    "PROTOCOLS",
    "READ_FATE",
    "READ_FATES",
    "READ_SCOPES",
    "REQUIRED",
    "ROWS_PER_DAY",
    "SECOND_US",
    "SIGN_IN_LINE",
    "STREAMS",
    "TOKEN",
    "TOKEN_SOURCES",
    "TOKEN_USE",
    "TRACE_LINE",
    "TRUTH_ATTACK",
    "TRUTH_MESSAGE",
    "TRUTH_RECORD",
    "TRUTH_TABLES",
    "TRUTH_TENANT",
    "TRUTH_TOKEN",
    "TRUTH_WITHHELD",
    "WITHHELD_REASONS",
    "WORKING_TABLES",
    "Coded",
    "Column",
    "Table",
    "build",
    "coded",
    "concat",
    "empty",
    "numbers",
    "row_number",
    "words",
]

ROWS_PER_DAY = 1 << 32
"""Numbers set aside for each table of each day."""

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
SECOND_US = 1_000_000


def row_number(day: int, rows: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Tenant-wide numbers of the rows of one day: `(day + 512) * 2**32 + row`; days before the epoch are allowed."""
    index = np.arange(rows, dtype=np.int64) if isinstance(rows, int) else rows
    return (np.int64(day) + 512) * ROWS_PER_DAY + index


def _c(name: str, dtype: str, meaning: str, default: object = REQUIRED) -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning, default=default)


INTENT = Table(
    name="intents",
    row="one visit: an identity wants something, with one client, from one place, for some time",
    columns=(
        _c("intent_id", INT64, "`row_number` of the visit after `intents.merge` sorted the day by time"),
        _c("day", INT32, "Day on which the visit starts (UTC, days since the epoch)"),
        _c("starts_at_us", INT64, "When the visit starts"),
        _c("duration_s", FLOAT, "How long it lasts"),
        _c("kind", TEXT, "One of INTENT_KINDS"),
        _c("identity_no", INT32, "Who acts, by the token: person, guest, application or service of the tenant"),
        _c("mailbox_no", INT32, "Mailbox that is opened; -1 for none", -1),
        _c("logon_type", INT8, "0 owner, 1 admin, 2 delegate, 4 system service, 6 delegated admin", 0),
        _c("user_type", INT8, "0 regular, 2 admin, 3 datacentre admin, 4 system, 5 application, 10 guest", 0),
        _c("device_no", INT32, "Device; -1 where none is known (applications, services, strangers)", -1),
        _c("client_class", TEXT, "Behaviour of the client: a name of `devices.CLIENTS`"),
        _c("protocol", TEXT, "One of PROTOCOLS; which kind of client string the records carry"),
        _c("app_id", TEXT, "`AppId` in Exchange records: the API or application called; null on MAPI", None),
        _c("client_app_id", TEXT, "Application that holds the token and signs in; `ClientAppId` where records have it"),
        _c("resource_id", TEXT, "Application id of the resource that the token is for"),
        _c("user_agent", TEXT, "User agent of the client; null where the protocol has none", None),
        _c("client_version", TEXT, "Version of a desktop client (MAPI `ClientVersion`), else null", None),
        _c("network_no", INT32, "Network of `tenant.networks` that the caller is in"),
        _c("address", TEXT, "Address of the caller as the sign-in service sees it"),
        _c("mail_address", TEXT, "Address as Exchange sees it: the same, a dual-stack or egress twin, or Microsoft's"),
        _c("is_microsoft_origin", BOOL, "Exchange sees a Microsoft back-end address", default=False),
        _c(
            "session_no",
            INT64,
            "Session (`sid`), lives for weeks; from 2**40 on of one day or one application; -1 none",
            -1,
        ),
        _c("session_started_us", INT64, "When that session began by an interactive sign-in; 0 for none", 0),
        _c("auth", TEXT, "One of AUTH_WAYS: what is needed at the start of the visit", "session"),
        _c("mfa", TEXT, "none, remembered, push, code or fido: second factor of an interactive sign-in", "none"),
        _c("failed_tries", INT8, "Sign-ins that fail before this one succeeds", 0),
        _c("sign_in_fails", BOOL, "The sign-in fails for good, and nothing follows", default=False),
        _c(
            "is_unlogged_flow",
            BOOL,
            "A known flow that never logs its issuance to the customer",
            default=False,
        ),
        _c("reads", INT32, "Messages that the visit opens one by one", 0),
        _c("read_scope", TEXT, "One of READ_SCOPES: how they are chosen", "arrivals"),
        _c("folder_scope", TEXT, "inbox, usual (inbox, sent, a few) or any: which folders are opened", "inbox"),
        _c("folders", INT32, "Distinct folders that are opened or synchronised", 1),
        _c("syncs", INT32, "Folder synchronisations (MAPI clients)", 0),
        _c("attachments", INT32, "Attachments opened among the reads", 0),
        _c("searches", INT32, "Searches", 0),
        _c("sends", INT32, "Messages sent", 0),
        _c("send_as", TEXT, "none, as (send as the mailbox) or on_behalf", "none"),
        _c("moves", INT32, "Messages moved to another folder", 0),
        _c("deletes", INT32, "Messages deleted", 0),
        _c("pace_s", FLOAT, "Median seconds between two reads of the visit", 20.0),
        _c("token_source", TEXT, "Declared deviation: one of TOKEN_SOURCES", "normal"),
        _c("iat_shift_s", INT32, "Declared deviation: seconds added to the claimed issue time", 0),
        _c("claim_tenant_wrong", BOOL, "Declared deviation: the tenant claim names another tenant", default=False),
        _c(
            "session_copied",
            BOOL,
            "Declared deviation: a forged token carries the id of the session `session_no`",
            default=False,
        ),
        *TRUTH_COLUMNS,
    ),
)

CHANGE = Table(
    name="changes",
    row="the change that an intent of kind `change` makes",
    columns=(
        _c("intent_id", INT64, "The intent that makes it"),
        _c("at_us", INT64, "When"),
        _c("change", TEXT, "Word of `schema.CONFIG_CHANGE.change`"),
        _c("operation", TEXT, "Operation as the log names it, such as `New-InboxRule` or `Consent to application.`"),
        _c("service", TEXT, "exchange or entra: whose audit log it goes to"),
        _c("identity_no", INT32, "Who makes it; -1 is NT AUTHORITY\\SYSTEM"),
        _c("mailbox_no", INT32, "Mailbox changed; -1 for none", -1),
        _c("target_identity_no", INT32, "Account, application or service principal changed; -1 for none", -1),
        _c("grantee_no", INT32, "Identity that gains by it; -1 for none", -1),
        _c("app_id", TEXT, "Application changed or consented to", None),
        _c("app_name", TEXT, "Its display name", None),
        _c("rights", STRINGS, "Rights, roles or scopes given", ()),
        _c("destinations", STRINGS, "Addresses mail is sent on to", ()),
        _c("rule_name", TEXT, "Name of a rule", None),
        _c("rule_effects", STRINGS, "forward, redirect, delete, move, mark_read, stop, bcc", ()),
        _c("rule_conditions", STRINGS, "Words and senders that a rule looks for", ()),
        _c("folder", TEXT, "Folder that a right is on or mail is moved to; a well-known English name", None),
        _c("is_admin_consent", BOOL, "Consent for the whole organisation", default=False),
        _c("ends_at_us", INT64, "Until when the state holds; 0 for no end. Mail flow follows rules in force", 0),
        _c(
            "is_by_system",
            BOOL,
            "Made by Microsoft's automation (NT AUTHORITY\\SYSTEM, user type 3)",
            default=False,
        ),
        _c("succeeded", BOOL, "Whether it succeeded", default=True),
        *TRUTH_COLUMNS,
    ),
)

TOKEN = Table(
    name="tokens",
    row="one access token, whether really issued or not",
    columns=(
        _c("token_no", INT64, "`row_number` of the token"),
        _c("intent_id", INT64, "First intent that uses it; -1 where only a look-back day used it"),
        _c("session_no", INT64, "Its session; -1 for none", -1),
        _c("session_id", TEXT, "`sid`, null where the token has none", None),
        _c("request_id", STRING, "GUID of the issuing request, which is the token id; null for none", None),
        _c("uti", STRING, "Token id as the token carries it (22 characters base64url); null for none", None),
        _c("identity_no", INT32, "Subject"),
        _c("subject_id", TEXT, "`oid` claim"),
        _c("token_tenant_id", TEXT, "`tid` claim"),
        _c("client_app_id", TEXT, "Client application"),
        _c("resource_id", TEXT, "Resource"),
        _c("issued_at_us", INT64, "`iat` claim (with the declared shift)"),
        _c("expires_at_us", INT64, "When it expires"),
        _c("is_cae", BOOL, "Long-lived (20-28 h) with continuous access evaluation"),
        _c("category", TEXT, "Stream its issuance belongs to (`schema.SIGN_IN.category`), null where none does"),
        _c("is_issued", BOOL, "True where an issuing request really took place"),
        _c("is_logged", BOOL, "True where that request produced a log line"),
        _c("unlogged_reason", TEXT, "Why not: flow_not_logged, lost or never_issued; null where logged", None),
        _c("truth_token_source", TEXT, "One of TOKEN_SOURCES", "normal"),
        *TRUTH_COLUMNS,
    ),
)

TOKEN_USE = Table(
    name="token_uses",
    row="a span of one intent in which one token is used; spans of an intent do not overlap",
    columns=(
        _c("intent_id", INT64, "The intent"),
        _c("token_no", INT64, "The token; -1 where the protocol shows none"),
        _c("from_us", INT64, "From (included)"),
        _c("until_us", INT64, "Until (not included)"),
    ),
)

SIGN_IN_LINE = Table(
    name="sign_in_lines",
    row="one line of a sign-in log (a UserLoggedIn record of the audit log is one too)",
    columns=(
        _c("line_no", INT64, "`row_number` of the line"),
        _c("token_no", INT64, "Token that it issued; -1 for none", -1),
        _c("intent_id", INT64, "Intent that caused it; -1 for none", -1),
        _c("at_us", INT64, "When, by the log's clock"),
        _c("category", TEXT, "As `schema.SIGN_IN.category`"),
        _c("request_id", STRING, "Request id; a request shown by two streams has the same id in both"),
        _c("correlation_id", STRING, "Correlation id, shared by the steps of one dialogue"),
        _c("original_request_id", STRING, "First request of the dialogue", None),
        _c("identity_no", INT32, "Who"),
        _c("user", TEXT, "User principal name or application name as shown then (renames show)"),
        _c("subject_id", TEXT, "Object id"),
        _c("client_app_id", TEXT, "Client application"),
        _c("client_app_name", TEXT, "Its display name", None),
        _c("resource_id", TEXT, "Resource"),
        _c("resource_name", TEXT, "Its display name", None),
        _c("address", TEXT, "Address of the caller (non-interactive lines may inherit an older one)", None),
        _c("network_no", INT32, "Network of that address; -1 for none", -1),
        _c("user_agent", TEXT, "User agent", None),
        _c("uti", STRING, "Token id in the textual form of this stream; null where the stream has none", None),
        _c("token_form", TEXT, "b64guid, b64guid_padded, b64ascii or guid", None),
        _c("session_id", TEXT, "Session id where the stream gives it", None),
        _c("succeeded", BOOL, "Error code 0", default=True),
        _c("error_code", INT32, "Entra error code", 0),
        _c("failure_reason", TEXT, "As the log words it", None),
        _c("request_type", TEXT, "OAuth2:Token, OAuth2:Authorize, Login:login, SAS:EndAuth, Kmsi:kmsi …", None),
        _c("auth_protocol", TEXT, "none, deviceCode, ropc, saml20, oAuth2 …", "none"),
        _c("client_used", TEXT, "Browser, Mobile Apps and Desktop clients, Exchange ActiveSync …", None),
        _c("incoming_token", TEXT, "none, primaryRefreshToken, refreshToken, saml11 …", "none"),
        _c("credential", TEXT, "clientSecret, clientAssertion, managedIdentity or none", "none"),
        _c("mfa", TEXT, "As INTENT.mfa", "none"),
        _c("device_no", INT32, "Device; -1 for none", -1),
        _c("home_tenant_id", TEXT, "Home tenant of the account"),
        _c("resource_tenant_id", TEXT, "Tenant of the resource"),
        *TRUTH_COLUMNS,
    ),
)

FOLDER = Table(
    name="folders",
    row="one folder of one mailbox",
    columns=(
        _c("folder_no", INT64, "Number, unique in the tenant"),
        _c("mailbox_no", INT32, "Mailbox"),
        _c("kind", TEXT, "inbox, sent, deleted, drafts, junk, archive, rss, conversation_history, calendar or user"),
        _c("path", TEXT, r"Path as the records show it, localised, such as `\Boîte de réception`"),
        _c("folder_id", STRING, "Exchange folder id"),
    ),
)

MESSAGE = Table(
    name="messages",
    row="one copy of a message in one mailbox",
    columns=(
        _c("message_no", INT64, "`row_number` of the copy by its day of arrival"),
        _c("mailbox_no", INT32, "Mailbox"),
        _c("thread_no", INT64, "Conversation"),
        _c("internet_message_id", STRING, "Message-ID with angle brackets; the same in all copies"),
        _c("item_id", STRING, "Exchange item id on arrival"),
        _c("immutable_id", STRING, "Immutable id"),
        _c("direction", TEXT, "in, out or internal"),
        _c("sender", TEXT, "Sender address"),
        _c("subject", TEXT, "Subject"),
        _c("at_us", INT64, "When it came to the mailbox"),
        _c("size_bytes", INT32, "Size"),
        _c("attachments", INT8, "Number of attachments", 0),
        _c("folder_no", INT64, "Folder on arrival"),
        _c("moved_at_us", INT64, "When it goes to `moved_to_folder_no`; 0 for never", 0),
        _c("moved_to_folder_no", INT64, "Folder it is moved to; -1 for none", -1),
        _c("gone_at_us", INT64, "When it is purged for good; 0 for never", 0),
        _c("interest", FLOAT, "Weight with which a reader who searches picks it", 1.0),
    ),
)

TRACE_LINE = Table(
    name="trace_lines",
    row="one recipient of one message in the message trace",
    columns=(
        _c("line_no", INT64, "`row_number` of the line"),
        _c("at_us", INT64, "Received"),
        _c("internet_message_id", STRING, "Message-ID"),
        _c("trace_id", STRING, "Message trace id (network message id)"),
        _c("sender", TEXT, "Sender"),
        _c("recipient", TEXT, "Recipient"),
        _c("subject", TEXT, "Subject"),
        _c("status", TEXT, "Delivered, Failed, FilteredAsSpam, Quarantined, Expanded …"),
        _c("direction", TEXT, "in, out or internal"),
        _c("from_address", TEXT, "Sending host", None),
        _c("to_address", TEXT, "Receiving host", None),
        _c("size_bytes", INT32, "Size"),
        _c("is_forwarded", BOOL, "Sent on by a rule, not by a person", default=False),
        *TRUTH_COLUMNS,
    ),
)

ACTION = Table(
    name="actions",
    row="one thing done to one message or folder at one moment",
    columns=(
        _c("action_no", INT64, "`row_number` of the action by its day"),
        _c("intent_id", INT64, "Visit; who, client and network columns stand there and are not repeated"),
        _c("token_no", INT64, "Token in use; -1 for none", -1),
        _c("at_us", INT64, "When"),
        _c("kind", TEXT, "One of ACTION_KINDS"),
        _c("mailbox_no", INT32, "Mailbox"),
        _c("identity_no", INT32, "Who acts"),
        _c("message_no", INT64, "Message; -1 for a folder action", -1),
        _c("folder_no", INT64, "Folder in which it stands at that time; -1 for none", -1),
        _c("to_folder_no", INT64, "Folder that it goes to; -1 for none", -1),
        _c("mail_address", TEXT, "Address as Exchange sees it (null or the client's, Microsoft's, `::1`)", None),
        _c("is_graph", BOOL, "Goes through Microsoft Graph, so that its activity log shows a request", default=False),
        *TRUTH_COLUMNS,
    ),
)

WORKING_TABLES = (
    INTENT,
    CHANGE,
    TOKEN,
    TOKEN_USE,
    SIGN_IN_LINE,
    FOLDER,
    MESSAGE,
    TRACE_LINE,
    ACTION,
    AUDIT_RECORD,
    AUDIT_ITEM,
    AUDIT_SETTING,
    GRAPH_LINE,
    READ_FATE,
    DELIVERED,
)
