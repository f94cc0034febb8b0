"""Closed vocabularies of the drill: the words that its text columns may hold."""

INTENT_KINDS = (
    "read",  # open messages (and whatever the counts say: send, move, delete, search)
    "sync",  # a client that copies folders
    "sign_in",  # a sign-in to something other than a mailbox; no mailbox action
    "change",  # a change of configuration; its details stand in CHANGE
)
AUTH_WAYS = (
    "session",  # an existing sign-in session or refresh token; issues non-interactively where a new token is due
    "interactive",  # the person signs in now
    "device_code",  # as interactive, by device code
    "password_grant",  # resource owner password credentials, without a dialogue
    "federated",  # by the organisation's own identity provider (AD FS, SAML)
    "client_secret",  # an application by secret
    "certificate",  # an application by certificate
    "managed_identity",  # an application by managed identity
    "first_party",  # a Microsoft service, logged in the microsoft_service_principal stream
    "internal",  # a service-to-service exchange that no customer log shows
    "none",  # no token: datacentre operations
)
TOKEN_SOURCES = (
    "normal",
    "forged_random",  # never issued; token id is a random GUID
    "forged_structured",  # never issued; token id imitates the structure of genuine request ids
    "copied",  # never issued, but carries the token id of a genuine recent token of the same identity
    "replayed",  # a genuine token or session of the identity, used by somebody else
    "forged_assertion",  # a genuine token issued for a forged assertion of the identity provider
)
READ_SCOPES = (
    "arrivals",  # what came since the last visit of the same client
    "newest",  # newest first, over what was read before
    "threads",  # whole conversations
    "search",  # by content, spread over the mailbox
    "folder",  # one folder from top to bottom
    "mailbox",  # everything, oldest first
)
PROTOCOLS = ("owa", "rest", "rest_system", "ews", "mapi", "eas", "imap_pop", "outlook_mobile", "system", "admin", "")
ACTION_KINDS = (
    "bind",
    "sync",
    "attachment",
    "search",
    "send",
    "send_as",
    "send_on_behalf",
    "create",
    "update",
    "move",
    "move_to_deleted",
    "soft_delete",
    "hard_delete",
    "mailbox_login",
    "change",
)
STREAMS = (
    "ual_exchange",
    "ual_entra",
    "ual_general",
    "interactive",
    "non_interactive",
    "service_principal",
    "managed_identity",
    "microsoft_service_principal",
    "adfs",
    "directory_audit",
    "graph_activity",
    "message_trace",
)
CONSUMER_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""Tenant of personal Microsoft accounts, as Microsoft Entra documents it for the `tid` claim."""
WITHHELD_REASONS = ("option", "gap", "late", "truncated", "unlicensed", "flow_not_logged", "lost")
READ_FATES = ("recorded", "aggregated", "repeat", "throttled", "not_audited", "sync")
