"""The plain reference of every detector that is one expression, by its id.

`config.open_door` has one that tells units and not groups; its own test compares it.
"""

from __future__ import annotations

from detector_references import (
    app_credential,
    audit_off,
    federation,
    first_seen_client,
    hidden_inbox_rule,
    illicit_consent,
    mailbox_delegation,
    mailbox_forwarding,
    password_spray,
    privileged_role,
    suspect_address,
    transport_rule,
)
from detector_references_provenance import token_provenance
from detector_references_sessions import handover_hits, two_hands_by_session
from detector_references_tokens import impossible

REFERENCES = {
    "sign_in.password_spray": password_spray,
    "session.two_hands": two_hands_by_session,
    "session.handover": handover_hits,
    "mail_access.from_suspect_address": suspect_address,
    "token.provenance": token_provenance,
    "token.impossible": impossible,
    "mail_access.first_seen_client": first_seen_client,
    "config.hidden_inbox_rule": hidden_inbox_rule,
    "config.transport_rule": transport_rule,
    "config.mailbox_forwarding": mailbox_forwarding,
    "config.mailbox_delegation": mailbox_delegation,
    "config.illicit_consent": illicit_consent,
    "config.app_credential": app_credential,
    "config.privileged_role": privileged_role,
    "config.federation": federation,
    "config.audit_off": audit_off,
}
