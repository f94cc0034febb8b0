"""The Microsoft Graph activity log of a day: one line per request of clients that read and send mail through Graph.

The log became generally available on 11 April 2024 and is kept only where an organisation exports it, so the epochs of
2021 and 2023 have none: the victims of 2023 could not have had it. Sources: Azure Monitor reference,
MicrosoftGraphActivityLogs; Microsoft Graph, activity logs overview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import streams
from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill.tables import GRAPH_LINE, SECOND_US, Coded, build, coded, numbers, row_number
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]

GRAPH_SINCE: Final = 2025
_HOST: Final = "https://graph.microsoft.com/v1.0"
_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
_LISTED: Final = "/mailFolders/inbox/messages?$top=50&$orderby=receivedDateTime desc"
_DEFAULT_SCOPES: Final = "Mail.ReadWrite User.Read email openid profile"
_APPS: Final = ("client_secret", "certificate")


def graph_lines(tenant: Tenant, day: int, *, intents: pa.Table, actions: pa.Table) -> pa.Table:
    """GRAPH_LINE of one day, sorted by time: a listing per visit, then one request per message.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        actions: ACTION of the day.
    """
    kind = coded(actions, "kind")
    is_seen = numbers(actions, "is_graph") & is_one_of(kind, "bind", "attachment", "send", "search")
    rows = np.flatnonzero(is_seen & (tenant.parameters.log_epoch >= GRAPH_SINCE))
    own = actions.take(pa.array(rows))
    intent = numbers(own, "intent_id")
    _, opens = np.unique(intent, return_index=True)
    # The listing comes a moment before the first message.
    source = np.concatenate([opens, np.arange(len(rows))])
    is_listing = np.arange(len(source)) < len(opens)
    at = numbers(own, "at_us")[source] - np.where(is_listing, SECOND_US // 2, 0)
    order = np.argsort(at, kind="stable")
    source, is_listing, at = source[order], is_listing[order], at[order]
    own = own.take(pa.array(source))
    visit = intents.take(pa.array(np.searchsorted(numbers(intents, "intent_id"), intent[source])))
    number = row_number(day, len(source))
    bits = streams.hashed(tenant.key("graph"), number)
    is_app = is_one_of(coded(visit, "auth"), *_APPS)
    kinds = coded(own, "kind")
    is_send = is_one_of(kinds, "send") & ~is_listing
    size = np.where(is_send, 0, 2_000 + (bits % np.uint64(60_000)).astype(np.int64))
    return build(
        GRAPH_LINE,
        len(source),
        {
            "line_no": number,
            "at_us": at,
            "request_id": streams.guid_text(streams.version4(streams.hashed_bytes(tenant.key("graph ids"), number))),
            "intent_id": own.column("intent_id"),
            "token_no": own.column("token_no"),
            "identity_no": own.column("identity_no"),
            "method": Coded(is_send.astype(np.int32), ("GET", "POST")),
            "uri": _addresses(tenant, own, is_app=is_app, is_listing=is_listing),
            "status": np.where(is_send, 202, 200).astype(np.int32),
            "size_bytes": size.astype(np.int32),
            "duration_ms": (40 + (bits >> np.uint64(40)) % np.uint64(400)).astype(np.int32),
            "scopes": _scopes(tenant, coded(visit, "client_app_id")),
            "client_auth": np.where(is_one_of(coded(visit, "auth"), "certificate"), 2, np.where(is_app, 1, 0)).astype(
                np.int8
            ),
            **{name: own.column(name) for name in _TRUTH},
        },
    )


def _addresses(
    tenant: Tenant, own: pa.Table, *, is_app: npt.NDArray[np.bool_], is_listing: npt.NDArray[np.bool_]
) -> pa.Array:
    """Request addresses; a message is named by its url-safe id, here by its number."""
    mailbox, identity = numbers(own, "mailbox_no"), numbers(own, "identity_no")
    is_own = (np.append(tenant.mailboxes["owner_no"], -2)[mailbox] == identity) & ~is_app
    owners = pa.array([f"/users/{upn}" for upn in tenant.mailbox_upns])
    who = pc.if_else(pa.array(is_own), "/me", owners.take(pa.array(np.maximum(mailbox, 0))))
    kind = coded(own, "kind")
    raw = streams.hashed_bytes(tenant.key("graph items"), numbers(own, "message_no"))
    message = pc.binary_join_element_wise("/messages/AAMkAD", streams.base64url_text(raw), "=", "")
    what = pc.if_else(
        pa.array(is_one_of(kind, "attachment")), pc.binary_join_element_wise(message, "/attachments", ""), message
    )
    what = pc.if_else(pa.array(is_one_of(kind, "send")), "/sendMail", what)
    what = pc.if_else(pa.array(is_one_of(kind, "search")), '/messages?$search="report"', what)
    what = pc.if_else(pa.array(is_listing), _LISTED, what)
    return pc.binary_join_element_wise(_HOST, who, what, "")


def _scopes(tenant: Tenant, app_id: Coded) -> Coded:
    known = {app.app_id: " ".join(app.scopes) for app in tenant.market}
    return Coded(app_id.codes, [known.get(word, _DEFAULT_SCOPES) for word in app_id.words])
