"""The vocabulary of columns: each table and each column is named, typed and explained here, once.

Types are Ibis type strings. Every column is nullable, and null means "the log does not say"; it never means
false, zero or a mismatch. Times are UTC with microseconds. Text that must be compared is folded at ingest (`*_key`
columns: trimmed, lower case), so that no detector calls `lower`, which differs by engine.

Nothing here imports an engine; `ibis_schema` and `arrow_schema` do so when called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

STRING = "string"
BOOL = "boolean"
INT = "int64"
TIME = "timestamp('UTC', 6)"
STRINGS = "array<string>"

QUARANTINE_REASONS = (
    "empty_record",  # the record holds no payload (an export cut it away)
    "not_json",  # the payload is no JSON, or is truncated JSON
    "not_text",  # bytes that no declared encoding decodes
    "row_malformed",  # a CSV row with another number of cells than its header
    "field_missing",  # a field without which the record has no meaning
    "field_invalid",  # a field whose value cannot be read (time, number, identifier)
    "unknown_shape",  # well-formed, but no source knows it, in a file where others are known
    "too_large",  # a record above the size limit
    "too_deep",  # JSON nested beyond the limit
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name (unit included), Ibis type, meaning, and the log field it comes from."""

    name: str
    dtype: str
    meaning: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: name, what one row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    def ibis_schema(self) -> ibis.Schema:
        """The declared schema, all columns nullable."""
        import ibis

        return ibis.schema({column.name: column.dtype for column in self.columns})

    def arrow_schema(self) -> pa.Schema:
        """The declared schema as Arrow, timestamps as `timestamp[us, UTC]`."""
        import pyarrow as pa

        kinds = {
            STRING: pa.string(),
            BOOL: pa.bool_(),
            INT: pa.int64(),
            TIME: pa.timestamp("us", tz="UTC"),
            STRINGS: pa.list_(pa.string()),
        }
        return pa.schema([pa.field(column.name, kinds[column.dtype]) for column in self.columns])


def _c(name: str, dtype: str, meaning: str, source: str = "") -> Column:
    return Column(name=name, dtype=dtype, meaning=meaning, source=source)


# Columns that stand in several tables are written once and mean the same everywhere.
EVENT_ID = _c(
    "event_id",
    STRING,
    "Identifier of the record, and the key of every citation: the audit record's Id in lower case; for other logs "
    "the log's own id behind a prefix (`signin:`, `diraudit:`, `graph:`, `trace:`), because one sign-in has the same "
    "id in the audit log and in the sign-in log; `sha256:` and a digest of the record where the log gives no id",
    "Id, Identity, RecordId, OfficeId, id, RequestId, MessageTraceId",
)
OCCURRED_AT = _c(
    "occurred_at", TIME, "When it happened, by the service's clock", "CreationTime, createdDateTime, Received"
)
TENANT_ID = _c("tenant_id", STRING, "Tenant GUID in lower case", "OrganizationId, tenantId, AadTenantId")
ACTOR = _c("actor", STRING, "Who acted, as the log writes it", "UserId, userPrincipalName, initiatedBy")
ACTOR_KEY = _c("actor_key", STRING, "`actor` trimmed and in lower case, for comparison")
MAILBOX_KEY = _c(
    "mailbox_key",
    STRING,
    "The mailbox: its GUID in lower case, or `upn:` and the folded address where no GUID is given",
    "MailboxGuid, MailboxOwnerUPN",
)
MAILBOX_UPN = _c("mailbox_upn", STRING, "Address of the mailbox, folded to lower case", "MailboxOwnerUPN")
CLIENT_IP = _c(
    "client_ip",
    STRING,
    "Address of the caller without port and brackets, canonical text form; the best of the fields given",
    "ClientIP, ClientIPAddress, ActorIpAddress, ipAddress",
)
IP_CLASS = _c(
    "ip_class",
    STRING,
    "public, private, loopback, link_local, microsoft (a Microsoft back-end or egress range: never the user's own "
    "address) or invalid",
)
USER_AGENT = _c(
    "user_agent",
    STRING,
    "User agent text as the log gives it",
    "ClientInfoString, ActorInfoString, UserAgent",
)
CLIENT_INFO = _c("client_info", STRING, "Client string as written", "ClientInfoString")
CLIENT_TYPE = _c("client_type", STRING, "Last known `Client=` type in the client string", "ClientInfoString")
PROTOCOL = _c(
    "protocol",
    STRING,
    "owa, rest, rest_system, ews, mapi, eas, imap_pop, outlook_mobile, transport, system or other",
    "ClientInfoString",
)
APP_ID = _c("app_id", STRING, "Application or API through which the service was called, lower case", "AppId")
CLIENT_APP_ID = _c(
    "client_app_id",
    STRING,
    "The calling client where the log tells it, lower case",
    "ClientAppId, AppAccessContext.ClientAppId",
)
EFFECTIVE_APP = _c(
    "effective_app",
    STRING,
    "The client to baseline on: first of AppAccessContext.ClientAppId, ClientAppId, AppId, [AppId=…] that is no "
    "resource; else `proto:` and the client type",
)
SESSION_ID = _c("session_id", STRING, "Session id (`sid`), lower case", "SessionId, AppAccessContext.AADSessionId")
TOKEN_ID_RAW = _c("token_id_raw", STRING, "Token id (`uti`) as written; case matters", "AppAccessContext.UniqueTokenId")
TOKEN_ID = _c("token_id", STRING, "Token id decoded to its GUID; null where it is opaque or a placeholder")
TOKEN_FORM = _c(
    "token_form",
    STRING,
    "How the token id was written: guid, b64guid, b64ascii or opaque; request_id where the log gives none and the "
    "request id of a successful sign-in, which it equals, stands in",
)
TOKEN_ISSUED_AT = _c("token_issued_at", TIME, "When the token was issued (`iat`)", "AppAccessContext.IssuedAtTime")
TOKEN_SUBJECT = _c("token_subject", STRING, "Object id in the token (`oid`), lower case", "TokenObjectId")
TOKEN_TENANT_ID = _c("token_tenant_id", STRING, "Tenant in the token (`tid`), lower case", "TokenTenantId")
OPERATION = _c("operation", STRING, "Operation as written", "Operation, ActionType")
OPERATION_KEY = _c(
    "operation_key",
    STRING,
    "Operation trimmed, one final full stop dropped, dashes made `-`, spaces collapsed, lower case",
)
MESSAGE_ID = _c(
    "internet_message_id",
    STRING,
    "Message-ID with angle brackets, trimmed; case kept",
    "InternetMessageId, message_id",
)
SUBJECT = _c("subject", STRING, "Subject where the log gives it")
BATCH_ID = _c("batch_id", STRING, "The ingest batch that wrote the row; visible once the ledger names it")

_CLIENT = (
    CLIENT_IP,
    IP_CLASS,
    CLIENT_INFO,
    CLIENT_TYPE,
    PROTOCOL,
    USER_AGENT,
    APP_ID,
    CLIENT_APP_ID,
    EFFECTIVE_APP,
)
_TOKEN = (SESSION_ID, TOKEN_ID_RAW, TOKEN_ID, TOKEN_FORM, TOKEN_ISSUED_AT, TOKEN_SUBJECT, TOKEN_TENANT_ID)

EVENT = Table(
    name="events",
    row="one distinct record of any log",
    columns=(
        EVENT_ID,
        _c(
            "source",
            STRING,
            "The source that read it: unified_audit, entra_sign_in, entra_audit, graph_activity, message_trace",
        ),
        OCCURRED_AT,
        TENANT_ID,
        OPERATION,
        OPERATION_KEY,
        _c("record_type", INT, "Audit record type number", "RecordType"),
        _c("workload", STRING, "Service that wrote the record", "Workload"),
        ACTOR,
        ACTOR_KEY,
        _c(
            "user_type",
            INT,
            "0 regular, 2 admin, 3 datacentre admin, 4 system, 5 application, 6 service principal, 10 guest",
            "UserType",
        ),
        _c("user_key", STRING, "The service's own key of the actor", "UserKey"),
        _c(
            "is_service",
            BOOL,
            "True where the actor is the service itself: user type 3 and an `NT AUTHORITY\\SYSTEM (` key",
        ),
        _c(
            "succeeded",
            BOOL,
            "Whether the operation succeeded; null where the log does not say",
            "ResultStatus, status.errorCode",
        ),
        _c("object_id", STRING, "What was acted on", "ObjectId"),
        MAILBOX_KEY,
        MAILBOX_UPN,
        _c(
            "logon_type",
            INT,
            "0 owner, 1 admin, 2 delegate, 3 transport, 4 system service, 6 delegated admin",
            "LogonType",
        ),
        _c(
            "external_access",
            BOOL,
            "Actor from outside the tenant or from datacentre staff",
            "ExternalAccess",
        ),
        *_CLIENT,
        *_TOKEN,
        _c("input_sha256", STRING, "SHA-256 of the input the record was first read from"),
        _c("record_no", INT, "Number of the record in that input, from 1"),
    ),
)

MAIL_ACCESS = Table(
    name="mail_accesses",
    row="one MailItemsAccessed record",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        TENANT_ID,
        MAILBOX_KEY,
        MAILBOX_UPN,
        ACTOR,
        ACTOR_KEY,
        _c("user_type", INT, "As in events", "UserType"),
        _c("logon_type", INT, "As in events", "LogonType"),
        _c("external_access", BOOL, "As in events", "ExternalAccess"),
        _c(
            "access_type",
            STRING,
            "bind (messages are listed) or sync (a folder went to a client)",
            "OperationProperties.MailAccessType",
        ),
        _c(
            "is_throttled",
            BOOL,
            "True: auditing of binds stopped for up to 24 h after this; absent counts as false",
            "OperationProperties.IsThrottled",
        ),
        _c("operation_count", INT, "Items that the service says this record stands for", "OperationCount"),
        _c("item_entries", INT, "Item entries listed in this record"),
        _c("folder_id", STRING, "Folder of a sync", "Item.ParentFolder.Id"),
        _c("folder_path", STRING, "Path of the folder of a sync, where given", "Item.ParentFolder.Path"),
        *_CLIENT,
        *_TOKEN,
        _c("auth_type", STRING, "How the call was authenticated", "AuthType"),
        _c("token_type", STRING, "Kind of token", "TokenType"),
    ),
)

ACCESSED_ITEM = Table(
    name="accessed_items",
    row="one item entry of one MailItemsAccessed or AttachmentAccess record (the same message can stand in many)",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        MAILBOX_KEY,
        MAILBOX_UPN,
        _c("kind", STRING, "message or attachment"),
        MESSAGE_ID,
        _c("item_id", STRING, "Exchange item id; changes when the item moves", "FolderItems.Id"),
        _c("folder_path", STRING, "Folder in which the item was read, as written (localised)", "Folders.Path"),
        SUBJECT,
        _c("size_bytes", INT, "Size of the item", "FolderItems.SizeInBytes"),
    ),
)

SIGN_IN = Table(
    name="sign_ins",
    row="one sign-in or token issuance record of any log",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        TENANT_ID,
        _c(
            "category",
            STRING,
            "interactive, non_interactive, service_principal, managed_identity, microsoft_service_principal, adfs, "
            "audit_log (UserLoggedIn and UserLoginFailed) or owa_auth (OWA minted a token, record type 275)",
        ),
        ACTOR,
        ACTOR_KEY,
        _c("subject_id", STRING, "Object id of the user or service principal, lower case", "userId, Actor"),
        APP_ID,
        _c(
            "app_name",
            STRING,
            "Display name of the client application; not proof of identity",
            "appDisplayName",
        ),
        _c("resource_id", STRING, "Application id of the resource, lower case", "resourceId, ObjectId"),
        _c("resource_name", STRING, "Display name of the resource", "resourceDisplayName"),
        CLIENT_IP,
        IP_CLASS,
        USER_AGENT,
        _c(
            "request_id",
            STRING,
            "Entra request id, lower case; equals the decoded token id",
            "id, Id, IntraSystemId",
        ),
        _c("correlation_id", STRING, "Correlation id, lower case", "correlationId, InterSystemsId"),
        *_TOKEN[:4],
        _c("succeeded", BOOL, "True for error code 0", "status.errorCode, ResultType, ErrorNumber"),
        _c("error_code", INT, "Entra error code", "status.errorCode, ResultType, ErrorNumber"),
        _c("failure_reason", STRING, "Reason as the log words it", "failureReason, LogonError"),
        _c("is_interactive", BOOL, "As the log says", "isInteractive"),
        _c(
            "request_type",
            STRING,
            "OAuth2:Token, OAuth2:Authorize, Login:login, SAS:EndAuth …",
            "ExtendedProperties.RequestType",
        ),
        _c("auth_protocol", STRING, "Protocol, such as deviceCode", "authenticationProtocol"),
        _c("client_used", STRING, "Kind of client", "clientAppUsed"),
        _c("device_id", STRING, "Device id", "deviceDetail.deviceId"),
        _c("country", STRING, "Country as the log resolved it", "location.countryOrRegion"),
        _c("city", STRING, "City as the log resolved it", "location.city"),
        _c("asn", INT, "Autonomous system number as the log resolved it", "autonomousSystemNumber"),
        _c("home_tenant_id", STRING, "Home tenant, lower case", "homeTenantId, ActorContextId"),
        _c("resource_tenant_id", STRING, "Resource tenant, lower case", "resourceTenantId, TargetContextId"),
    ),
)

CONFIG_CHANGE = Table(
    name="config_changes",
    row="one change of configuration, permission, application, role or account",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        TENANT_ID,
        _c(
            "change",
            STRING,
            "inbox_rule, transport_rule, mailbox_forwarding, mailbox_permission, recipient_permission, send_on_behalf, "
            "folder_permission, audit_bypass, audit_disabled, mailbox_audit_disabled, consent, delegated_grant, "
            "app_role_grant, user_app_grant, app_credential, app_registered, app_updated, app_owner, "
            "service_principal_added, domain_federation, role_member, group_member, management_role, connector, "
            "account_added, password_reset, strong_auth, sessions_revoked, compliance_search or other",
        ),
        OPERATION,
        OPERATION_KEY,
        ACTOR,
        ACTOR_KEY,
        _c("user_type", INT, "As in events", "UserType"),
        _c("is_service", BOOL, "As in events"),
        _c("succeeded", BOOL, "As in events", "ResultStatus"),
        CLIENT_IP,
        IP_CLASS,
        USER_AGENT,
        SESSION_ID,
        APP_ID,
        _c("object_id", STRING, "What was changed, as written", "ObjectId, Identity"),
        _c("target", STRING, "Mailbox, account, application or domain changed, in words", "ObjectId, Target"),
        _c("target_key", STRING, "`target` folded"),
        _c(
            "grantee",
            STRING,
            "Who gains by it: user given a right or role, account added",
            "User, Trustee, Target",
        ),
        _c("grantee_key", STRING, "`grantee` folded"),
        _c(
            "rights",
            STRINGS,
            "Rights, roles or scopes given, sorted",
            "AccessRights, Scope, Role.DisplayName",
        ),
        _c(
            "destinations",
            STRINGS,
            "Addresses that mail is sent on to, folded and sorted",
            "ForwardTo, RedirectTo, BlindCopyTo, ForwardingSmtpAddress",
        ),
        _c(
            "external_destinations",
            STRINGS,
            "Those of `destinations` in another domain than the actor's and the target's",
        ),
        _c("rule_name", STRING, "Name of the rule", "Name"),
        _c("rule_effects", STRINGS, "forward, redirect, delete, move, mark_read, stop, bcc; sorted"),
        _c("rule_conditions", STRINGS, "Words and senders the rule looks for, as written, sorted"),
        _c(
            "changed_app_id",
            STRING,
            "Application that was changed or consented to, lower case",
            "ServicePrincipal.AppId, AppId",
        ),
        _c("changed_app_name", STRING, "Its display name; not proof of identity", "Target, DisplayName"),
        _c(
            "is_admin_consent",
            BOOL,
            "Consent for the whole organisation",
            "ConsentContext.IsAdminConsent, ConsentType",
        ),
    ),
)

CHANGE_SETTING = Table(
    name="change_settings",
    row="one parameter or modified property of one change",
    columns=(
        EVENT_ID,
        _c("name", STRING, "Parameter or property name", "Parameters.Name, ModifiedProperties.Name"),
        _c("name_key", STRING, "`name` folded"),
        _c("new_value", STRING, "Value set, decoded from JSON text where it was such", "Value, NewValue"),
        _c("old_value", STRING, "Value before", "OldValue"),
    ),
)

SENT_MESSAGE = Table(
    name="sent_messages",
    row="one Send, SendAs or SendOnBehalf record",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        TENANT_ID,
        MAILBOX_KEY,
        MAILBOX_UPN,
        ACTOR,
        ACTOR_KEY,
        _c("kind", STRING, "send, send_as or send_on_behalf"),
        MESSAGE_ID,
        SUBJECT,
        _c("size_bytes", INT, "Size of the message", "Item.SizeInBytes"),
        _c("sent_as", STRING, "Address used, folded", "SendAsUserSmtp, SendOnBehalfOfUserSmtp"),
        _c("attachments", STRING, "Attachment names as written", "Item.Attachments"),
        *_CLIENT,
        *_TOKEN[:3],
    ),
)

ITEM_CHANGE = Table(
    name="item_changes",
    row="one item named in a create, update, move, copy or delete record",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        MAILBOX_KEY,
        MAILBOX_UPN,
        OPERATION_KEY,
        MESSAGE_ID,
        SUBJECT,
        _c("folder_path", STRING, "Folder of the item", "Folder.Path, ParentFolder.Path"),
        _c("to_folder_path", STRING, "Folder it went to", "DestFolder.Path"),
        _c("size_bytes", INT, "Size of the item", "SizeInBytes"),
    ),
)

GRAPH_REQUEST = Table(
    name="graph_requests",
    row="one Microsoft Graph request",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        TENANT_ID,
        _c(
            "subject_id",
            STRING,
            "Object id of the user or service principal, lower case",
            "UserId, ServicePrincipalId",
        ),
        APP_ID,
        _c("method", STRING, "HTTP method", "RequestMethod"),
        _c("uri", STRING, "Request address as written", "RequestUri"),
        _c("reads_mail", BOOL, "True for a GET of messages or mail folders"),
        _c(
            "mailbox_hint",
            STRING,
            "User named in the path, folded; `me` where the path says so",
            "RequestUri",
        ),
        _c("status_code", INT, "HTTP status", "ResponseStatusCode"),
        _c("size_bytes", INT, "Size of the answer", "ResponseSizeBytes"),
        CLIENT_IP,
        IP_CLASS,
        USER_AGENT,
        *_TOKEN[:5],
        _c("scopes", STRING, "Scopes or roles of the token as written", "Scopes, Roles"),
    ),
)

MESSAGE_TRACE = Table(
    name="message_traces",
    row="one recipient of one message in a message trace",
    columns=(
        EVENT_ID,
        OCCURRED_AT,
        MESSAGE_ID,
        _c("sender", STRING, "Sender address, folded", "SenderAddress, sender_address"),
        _c("recipient", STRING, "Recipient address, folded", "RecipientAddress, recipient_status"),
        SUBJECT,
        _c("status", STRING, "Delivery status as written", "Status, recipient_status"),
        _c("size_bytes", INT, "Size of the message", "Size, total_bytes"),
        _c("from_ip", STRING, "Address the message came from", "FromIP, original_client_ip"),
        _c("to_ip", STRING, "Address the message went to", "ToIP"),
    ),
)

QUARANTINE = Table(
    name="quarantine",
    row="one record that could not be read",
    columns=(
        _c("input_sha256", STRING, "SHA-256 of the input"),
        _c("path", STRING, "Input as given, archive members behind `!`"),
        _c("record_no", INT, "Number of the record in the input, from 1"),
        _c("reason", STRING, "One of: " + ", ".join(QUARANTINE_REASONS)),
        _c("column", STRING, "Field that is wrong"),
        _c("value", STRING, "Start of the value found"),
        _c("expected", STRING, "What would have been right"),
        _c("raw_text", STRING, "The record as it stands in the input, cut at 64 KiB"),
        _c("salvaged_id", STRING, "Id that could be salvaged"),
        _c("salvaged_operation", STRING, "Operation that could be salvaged"),
        _c("salvaged_at", TIME, "Time that could be salvaged"),
        _c("salvaged_actor", STRING, "User that could be salvaged"),
    ),
)

LEDGER = Table(
    name="ledger",
    row="one input file or archive member of one ingest, chained by hash to the row before",
    columns=(
        _c("seq", INT, "Position in the chain, from 1"),
        BATCH_ID,
        _c("path", STRING, "Input as given, archive members behind `!`"),
        _c("sha256", STRING, "SHA-256 of the input's bytes"),
        _c("size_bytes", INT, "Size of the input"),
        _c("container", STRING, "plain, gzip, zip, 7z or zstd, from the outside in, joined by `/`"),
        _c("encoding", STRING, "utf-8, utf-8-sig, utf-16-le, utf-16-be …"),
        _c("framing", STRING, "json_lines, json_array, json_values, csv or none"),
        _c("shape", STRING, "Shapes found in it, sorted, joined by `+`; null where none is an audit log"),
        _c("outcome", STRING, "ingested, unchanged (seen before), not_an_audit_log, empty or unreadable"),
        _c("records", INT, "Records found = kept + duplicates + rejected + ignored"),
        _c("kept", INT, "Records whose event id was new"),
        _c("duplicates", INT, "Copies of records that are kept already"),
        _c("rejected", INT, "Records in quarantine"),
        _c("ignored", INT, "Well-formed records of a file that is no audit log"),
        _c("first_at", TIME, "First event time in it"),
        _c("last_at", TIME, "Last event time in it"),
        _c("alarms", STRINGS, "Alarms about the input, as `code: detail`"),
        _c("evidence_sha256", STRING, "SHA-256 of the file in the store that keeps the recorded text"),
        _c("ingested_at", TIME, "When the row was written"),
        _c("tool_version", STRING, "Version that wrote the row"),
        _c("prev_hash", STRING, "entry_hash of the row before; 64 zeros for the first"),
        _c("entry_hash", STRING, "SHA-256 over all other columns of this row in canonical JSON"),
    ),
)

RECORD_TABLES = (
    EVENT,
    MAIL_ACCESS,
    ACCESSED_ITEM,
    SIGN_IN,
    CONFIG_CHANGE,
    CHANGE_SETTING,
    SENT_MESSAGE,
    ITEM_CHANGE,
    GRAPH_REQUEST,
    MESSAGE_TRACE,
)
TABLES = (*RECORD_TABLES, QUARANTINE, LEDGER)

HIT = Table(
    name="hits",
    row="one record cited by one detector for one finding; never stored",
    columns=(
        _c("group_key", STRING, "Equal for the records of one finding, within a detector"),
        _c("variant", STRING, "Which of the detector's declared variants it is"),
        _c("role", STRING, "What the record shows in the finding, such as failure, success, consent, read"),
        EVENT_ID,
        OCCURRED_AT,
        MAILBOX_UPN,
        ACTOR_KEY,
        CLIENT_IP,
        IP_CLASS,
        SESSION_ID,
        _c("object", STRING, "What was acted on: rule name, application id, role, destination"),
        _c(
            "unit",
            STRING,
            "Session cluster that it is about (event id of its first record); null where it is about none",
        ),
        _c("bin", STRING, "How strange it is, in classes of the detector's own; the calibration knows them by name"),
        _c(
            "weight_millibans",
            INT,
            "Weight of evidence against an authorised use, where the tenant's own rates give it: 1,000 times the "
            "decimal logarithm of the e-value",
        ),
        _c(
            "f0_upper_ppb",
            INT,
            "Upper 95 % bound of how often an authorised unit looks so, behind the weight, in parts per billion",
        ),
        _c("n_reference", INT, "Authorised units that `f0_upper_ppb` was estimated from"),
    ),
)

MARK = Table(
    name="marks",
    row="what one detector says of one session cluster; never stored",
    columns=(
        _c("unit", STRING, "The session cluster, by the event id of its first record"),
        _c("state", STRING, "fired, quiet (looked at, and nothing strange) or not_assessable"),
        _c("bin", STRING, "How strange it is, in classes of the detector's own; null unless it fired"),
        _c("reason", STRING, "Why it is not assessable, as a code of the detector's own"),
        *HIT.columns[-3:],
    ),
)
