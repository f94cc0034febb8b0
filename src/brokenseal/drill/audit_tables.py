"""Tables of the drill from the audit log onwards: records as the service writes them, and their delivery."""

from __future__ import annotations

from brokenseal.drill._columnar import BOOL, INT8, INT32, INT64, REQUIRED, STRING, TEXT, Column, Table
from brokenseal.drill.truth_tables import TRUTH_COLUMNS


def _c(name: str, dtype: str, meaning: str, default: object = REQUIRED) -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning, default=default)


AUDIT_RECORD = Table(
    name="audit_records",
    row="one record of the unified audit log as the service writes it, before delivery (sign-ins stand elsewhere)",
    columns=(
        _c("record_no", INT64, "`row_number` of the record"),
        _c("record_id", STRING, "`Id`, a GUID"),
        _c("at_us", INT64, "`CreationTime`; exports cut it to seconds"),
        _c("record_type", INT32, "`RecordType`"),
        _c("operation", TEXT, "`Operation`"),
        _c("workload", TEXT, "Exchange, AzureActiveDirectory, SecurityComplianceCenter"),
        _c("result_status", TEXT, "`ResultStatus`"),
        _c("user_type", INT8, "`UserType`"),
        _c("user_key", TEXT, "`UserKey`"),
        _c("user_id", TEXT, "`UserId`"),
        _c("object_id", TEXT, "`ObjectId`", None),
        _c("identity_no", INT32, "Who; -1 for the service", -1),
        _c("mailbox_no", INT32, "Mailbox; -1 for none", -1),
        _c("intent_id", INT64, "Visit whose columns describe client and network; -1 for none", -1),
        _c("token_no", INT64, "Token whose columns fill the token fields; -1 for none", -1),
        _c("logon_type", INT8, "`LogonType`; -1 absent", -1),
        _c("is_external_access", BOOL, "`ExternalAccess`", default=False),
        _c("client_address", TEXT, "`ClientIPAddress` or `ClientIP` in the very form of the record", None),
        _c("client_info", TEXT, "`ClientInfoString`", None),
        _c("actor_info", TEXT, "`ActorInfoString`", None),
        _c("app_id", TEXT, "`AppId`", None),
        _c("client_app_id", TEXT, "`ClientAppId`", None),
        _c("api_id", TEXT, "`AppAccessContext.APIId`", None),
        _c("context", TEXT, "Shape of AppAccessContext: absent, empty, api_only or full", "absent"),
        _c("session_id", TEXT, "`SessionId`", None),
        _c("context_session_id", TEXT, "`AppAccessContext.AADSessionId`", None),
        _c("uti", STRING, "`AppAccessContext.UniqueTokenId`", None),
        _c("issued_at_us", INT64, "`AppAccessContext.IssuedAtTime`; 0 absent", 0),
        _c("token_subject", TEXT, "`TokenObjectId`", None),
        _c("token_tenant_id", TEXT, "`TokenTenantId`", None),
        _c("auth_type", TEXT, "`AuthType`", None),
        _c("token_type", TEXT, "`TokenType`", None),
        _c("client_process", TEXT, "`ClientProcessName`", None),
        _c("client_version", TEXT, "`ClientVersion`", None),
        _c("access_type", TEXT, "Bind or Sync for MailItemsAccessed, else null", None),
        _c("is_throttled", BOOL, "`IsThrottled`; null where the property is left out", None),
        _c("operation_count", INT32, "`OperationCount`; -1 absent", -1),
        _c("folder_no", INT64, "Folder of a sync or of a permission; -1 for none", -1),
        _c("to_folder_no", INT64, "`DestFolder`; -1 for none", -1),
        _c("originating_server", TEXT, "`OriginatingServer`", None),
        _c("epoch", INT32, "Field set in force: 2021, 2023 or 2025"),
        *TRUTH_COLUMNS,
    ),
)

AUDIT_ITEM = Table(
    name="audit_items",
    row="one item entry of one audit record (FolderItems, AffectedItems, Item, Messages); sorted by record_no",
    columns=(
        _c("record_no", INT64, "The record"),
        _c("message_no", INT64, "The message; its ids, size and subject stand there"),
        _c("folder_no", INT64, "Folder that the entry stands under"),
        _c("item_id", STRING, "Item id as shown (it changes when an item moves)", None),
    ),
)

AUDIT_SETTING = Table(
    name="audit_settings",
    row="one parameter, extended property or modified property of one audit record; sorted by record_no",
    columns=(
        _c("record_no", INT64, "The record"),
        _c("place", TEXT, "parameter, modified, extended or operation (OperationProperties)"),
        _c("name", TEXT, "Name"),
        _c("new_value", STRING, "Value", None),
        _c("old_value", STRING, "Value before, for modified properties", None),
    ),
)

GRAPH_LINE = Table(
    name="graph_lines",
    row="one line of the Microsoft Graph activity log",
    columns=(
        _c("line_no", INT64, "`row_number` of the line"),
        _c("at_us", INT64, "When"),
        _c("request_id", STRING, "Request id of the Graph call"),
        _c("intent_id", INT64, "Visit whose columns describe client and network"),
        _c("token_no", INT64, "Token; -1 for none", -1),
        _c("identity_no", INT32, "Who"),
        _c("method", TEXT, "HTTP method"),
        _c("uri", STRING, "Request address"),
        _c("status", INT32, "HTTP status", 200),
        _c("size_bytes", INT32, "Size of the answer", 0),
        _c("duration_ms", INT32, "Duration", 0),
        _c("scopes", TEXT, "Scopes or roles", None),
        _c("client_auth", INT8, "0 public client, 1 secret, 2 certificate", 0),
        *TRUTH_COLUMNS,
    ),
)

READ_FATE = Table(
    name="read_fates",
    row="what became of one read (an action of kind bind, attachment or sync)",
    columns=(
        _c("action_no", INT64, "The action"),
        _c("at_us", INT64, "When the message was really read"),
        _c("mailbox_no", INT32, "Mailbox"),
        _c("message_no", INT64, "Message; for a sync one row per message that stood in the folder"),
        _c("fate", TEXT, "One of READ_FATES; aggregated is a second read of a message within one record"),
        _c("record_no", INT64, "Record that shows it; -1 for none", -1),
        *TRUTH_COLUMNS,
    ),
)

DELIVERED = Table(
    name="delivered",
    row="one line as it is, or is not, delivered",
    columns=(
        _c("stream", TEXT, "One of STREAMS"),
        _c("table", TEXT, "Table the line comes from: audit_records, sign_in_lines, graph_lines, trace_lines, changes"),
        _c("row_no", INT64, "`record_no`, `line_no` or `intent_id` there"),
        _c("at_us", INT64, "When it happened"),
        _c("available_at_us", INT64, "When the line can first be read by the customer"),
        _c("copy_no", INT32, "0 the line itself, 1 … its exact duplicates", 0),
        _c("withheld_reason", TEXT, "Null where delivered, else one of WITHHELD_REASONS", None),
        *TRUTH_COLUMNS,
    ),
)
