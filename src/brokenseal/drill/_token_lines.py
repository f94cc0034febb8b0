"""What the sign-in logs say of a day's requests: issued tokens, failures, second factors, and their twins.

One request can stand in two streams with the same request id: an interactive sign-in is also a UserLoggedIn record of
the audit log, whose `Id` is the request id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal import app_names
from brokenseal.drill import _service_ids, apps, streams, tables
from brokenseal.drill._audit_fields import is_one_of
from brokenseal.drill.tables import SECOND_US, SIGN_IN_LINE, Coded, build, coded, numbers, row_number
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
_TOKEN_FORMS: Final = ("b64guid", "b64guid_padded", "b64ascii", "guid")
_AUDITED_REFRESHES: Final = 0.2
"""Share of browser requests without a dialogue that the audit log shows too. Assumed: the log is no full list."""
_INHERITED: Final = 0.08
"""Share of non-interactive lines that carry the address of an earlier request of the session (reported for Entra)."""
_KEPT_SIGNED_IN: Final = 0.3

# Code, reason as the log words it. Source: Microsoft Entra authentication and authorization error codes.
_ERRORS: Final = {
    0: None,
    50126: "Error validating credentials due to invalid username or password.",
    50053: "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
    50074: "Strong Authentication is required.",
    50076: "Due to a configuration change made by your administrator, or because you moved to a new location, you must "
    "use multi-factor authentication to access the resource.",
    50140: "This error occurred due to 'Keep me signed in' interrupt when the user was signing-in.",
    53003: "Access has been blocked by Conditional Access policies.",
}
_CODES: Final = tuple(_ERRORS)
_FINAL_ERRORS: Final = (50126, 50053, 50076, 53003)
_FINAL_WEIGHTS: Final = (0.72, 0.12, 0.1, 0.06)
_REQUESTS: Final = ("OAuth2:Token", "OAuth2:Authorize", "Login:login", "SAS:EndAuth", "Kmsi:kmsi", "Login:reprocess")
_TOKEN, _AUTHORIZE, _LOGIN, _END_AUTH, _KMSI, _REPROCESS = range(len(_REQUESTS))
_BROWSERS: Final = ("owa", "new_outlook", "graph_explorer", "admin_center", "other", "teams")


def sign_in_lines(
    tenant: Tenant,
    day: int,
    *,
    visits: pa.Table,
    intents: pa.Table,
    tokens: pa.Table,
    first_visit: Ints,
    is_first_request: Bools,
    asked_at: Ints,
    is_new: Bools,
) -> pa.Table:
    """SIGN_IN_LINE of one day, sorted by time.

    Args:
        tenant: The tenant.
        day: The day.
        visits: INTENT of the day and of the look-back.
        intents: INTENT of the day.
        tokens: TOKEN.
        first_visit: Row of `visits` that asked for each token.
        is_first_request: The token stands at the start of that visit.
        asked_at: When each token was needed.
        is_new: It was asked for on this day.
    """
    upns = tenant.upns_on(day)
    is_shown = is_new & numbers(tokens, "is_logged")
    rows = np.flatnonzero(is_shown)
    issued = tokens.take(pa.array(rows))
    asking = visits.take(pa.array(first_visit[rows]))
    older = _earlier_addresses(tenant, tokens, first_visit, asked_at)[rows]
    shown = _issuances(tenant, issued, asking, visits, older, upns)
    # A forged assertion never passed the organisation's identity provider, which therefore says nothing of it.
    is_federated = is_one_of(coded(asking, "auth"), "federated") & is_one_of(coded(shown, "category"), "interactive")
    is_federated &= ~is_one_of(coded(asking, "token_source"), "forged_assertion")
    lines = [
        shown,
        _twin(shown, is_federated, "adfs"),
        _dialogues(tenant, issued, asking, is_first_request[rows], upns),
        _failures(tenant, intents, upns),
    ]
    found = tables.concat(lines)
    found = tables.concat([found, _audited(tenant, found)])
    found = found.take(pa.array(np.lexsort((coded(found, "category").codes, numbers(found, "at_us")))))
    return found.set_column(0, "line_no", pa.array(row_number(day, found.num_rows)))


def _earlier_addresses(tenant: Tenant, tokens: pa.Table, first_visit: Ints, asked_at: Ints) -> Ints:
    """Row of the visit whose address a line shows: mostly its own, sometimes that of the request before it."""
    session = numbers(tokens, "session_no")
    order = np.lexsort((asked_at, session))
    same = np.append(False, session[order][1:] == session[order][:-1]) & (session[order] >= 0)
    before = first_visit.copy()
    before[order[1:]] = np.where(same[1:], first_visit[order[:-1]], first_visit[order[1:]])
    is_inherited = streams.hashed_uniform(tenant.key("inherited"), numbers(tokens, "token_no")) < _INHERITED
    is_inherited &= is_one_of(coded(tokens, "category"), "non_interactive")
    return np.where(is_inherited, before, first_visit)


def _names(tenant: Tenant, app_ids: Coded) -> Coded:
    known = {one.app_id: one.name for one in app_names.APP_NAMES}
    known |= {one.app_id: one.name for one in tenant.market} | apps.RESOURCE_NAMES
    return Coded(app_ids.codes, [known.get(word, word) for word in app_ids.words])


def _who(tenant: Tenant, visits: pa.Table, upns: npt.NDArray[np.object_]) -> dict[str, object]:
    """The columns of a line that follow from the visit alone."""
    identity = numbers(visits, "identity_no").astype(np.int32)
    client, protocol = coded(visits, "client_class"), coded(visits, "protocol")
    is_browser = is_one_of(client, *_BROWSERS)
    used = np.where(
        is_browser, 0, np.where(is_one_of(protocol, "eas"), 2, np.where(is_one_of(protocol, "imap_pop"), 3, 1))
    )
    auth = coded(visits, "auth")
    app_id, resource = coded(visits, "client_app_id"), coded(visits, "resource_id")
    return {
        "intent_id": numbers(visits, "intent_id"),
        "identity_no": identity,
        "user": Coded(identity, [name if kind < 2 else shown for name, kind, shown in _shown(tenant, upns)]),  # noqa: PLR2004
        "subject_id": Coded(identity, tenant.object_ids),
        "client_app_id": app_id,
        "client_app_name": _names(tenant, app_id),
        "resource_id": resource,
        "resource_name": _names(tenant, resource),
        "address": coded(visits, "address"),
        "network_no": numbers(visits, "network_no"),
        "user_agent": coded(visits, "user_agent"),
        "client_used": Coded(
            used.astype(np.int32),
            ("Browser", "Mobile Apps and Desktop clients", "Exchange ActiveSync", "IMAP4"),
        ),
        "auth_protocol": Coded(
            auth.codes,
            [{"device_code": "deviceCode", "password_grant": "ropc"}.get(word, "none") for word in auth.words],
        ),
        "credential": Coded(
            auth.codes,
            [
                {
                    "client_secret": "clientSecret",
                    "certificate": "clientAssertion",
                    "managed_identity": "managedIdentity",
                }.get(word, "none")
                for word in auth.words
            ],
        ),
        "device_no": numbers(visits, "device_no"),
        "home_tenant_id": Coded(identity, tenant.home_tenant_ids),
        "resource_tenant_id": tenant.tenant_id,
        **{name: visits.column(name) for name in _TRUTH},
    }


def _shown(tenant: Tenant, upns: npt.NDArray[np.object_]) -> list[tuple[str, int, str]]:
    return list(zip(upns.tolist(), tenant.identities["kind"].tolist(), tenant.names, strict=True))


def _issuances(
    tenant: Tenant, issued: pa.Table, asking: pa.Table, visits: pa.Table, older: Ints, upns: npt.NDArray[np.object_]
) -> pa.Table:
    """The lines of the requests that issued tokens."""
    ids = numbers(issued, "token_no")
    category = coded(issued, "category")
    is_dialogue = is_one_of(category, "interactive")
    is_browser = is_one_of(coded(asking, "client_class"), *_BROWSERS)
    mfa = coded(asking, "mfa")
    has_mfa = is_dialogue & is_one_of(mfa, "push", "code", "fido")
    request = np.where(is_browser | is_dialogue, _AUTHORIZE, _TOKEN)
    request = np.where(is_dialogue & (ids % 5 == 0), np.where(ids % 2 == 0, _LOGIN, _REPROCESS), request)
    request = np.where(has_mfa & (ids % 3 == 0), _END_AUTH, request)
    is_app = is_one_of(category, "service_principal", "managed_identity", "microsoft_service_principal")
    device_no = numbers(asking, "device_no")
    trust = tenant.devices.devices["trust"][np.maximum(device_no, 0)]
    has_prt = (device_no >= 0) & (trust >= 2)  # noqa: PLR2004
    incoming = np.where(is_dialogue | is_app, 0, np.where(has_prt, 1, 2))
    incoming = np.where(is_one_of(coded(asking, "auth"), "federated") & is_dialogue, 3, incoming)
    form = _forms(tenant, category)
    where = visits.take(pa.array(older))
    session = coded(issued, "session_id")
    return build(
        SIGN_IN_LINE,
        issued.num_rows,
        {
            **_who(tenant, asking, upns),
            "line_no": ids,
            "token_no": ids,
            "at_us": numbers(issued, "issued_at_us") - numbers(asking, "iat_shift_s").astype(np.int64) * SECOND_US,
            "category": category,
            "request_id": issued.column("request_id"),
            "correlation_id": _correlations(tenant, ids),
            "original_request_id": issued.column("request_id"),
            "address": coded(where, "address"),
            "network_no": numbers(where, "network_no"),
            "uti": _written(issued, form),
            "token_form": form,
            "session_id": Coded(np.where(is_app, -1, session.codes).astype(np.int32), session.words),
            "request_type": Coded(np.where(is_app, _TOKEN, request).astype(np.int32), _REQUESTS),
            "incoming_token": Coded(
                incoming.astype(np.int32), ("none", "primaryRefreshToken", "refreshToken", "saml11")
            ),
            "mfa": Coded(np.where(is_dialogue, mfa.codes, -1).astype(np.int32), mfa.words),
        },
    )


def _correlations(tenant: Tenant, ids: Ints) -> pa.Array:
    return streams.guid_text(streams.version4(streams.hashed_bytes(tenant.key("correlation"), ids)))


def _forms(tenant: Tenant, category: Coded) -> Coded:
    """Textual form of the token id, by stream and epoch; the tenants of 2025 keep to one form per stream."""
    epoch = tenant.parameters.log_epoch
    forms = []
    for word in category.words:
        draw = float(streams.hashed_uniform(tenant.key("form", word), 0)[0])
        if epoch < 2023:  # noqa: PLR2004
            forms.append(-1)
        elif epoch < 2025:  # noqa: PLR2004
            forms.append(2 if draw < 0.7 else 0)  # noqa: PLR2004
        else:
            forms.append(0 if word == "owa_auth" or draw < 0.9 else 1 + int(draw * 1000) % 3)  # noqa: PLR2004
    return Coded(np.array([*forms, -1], dtype=np.int32)[category.codes], _TOKEN_FORMS)


def _written(issued: pa.Table, form: Coded) -> pa.Array:
    """The token id as the stream writes it."""
    uti = issued.column("uti").combine_chunks()
    text = issued.column("request_id").combine_chunks()
    made = [uti, pc.binary_join_element_wise(uti, "==", ""), None, text]
    ascii_rows = np.flatnonzero(form.codes == 2)  # noqa: PLR2004
    made[2] = uti if not len(ascii_rows) else _ascii_base64(text)
    written = pa.nulls(len(uti), pa.string())
    for code, values in enumerate(made):
        written = pc.if_else(pa.array(form.codes == code), values, written)
    return written


def _ascii_base64(text: pa.Array) -> pa.Array:
    """Base64 of the GUID's 36 characters, as diagnostic lines of 2022 to 2024 had it."""
    data = np.frombuffer(pa.concat_arrays([text]).buffers()[2], dtype=np.uint8, count=36 * len(text))
    return _service_ids.base64_text(data.reshape(len(text), 36))


def _dialogues(
    tenant: Tenant, issued: pa.Table, asking: pa.Table, is_first: Bools, upns: npt.NDArray[np.object_]
) -> pa.Table:
    """Steps before an interactive success: wrong passwords, the second factor, keep me signed in."""
    ids = numbers(issued, "token_no")
    is_dialogue = is_first & is_one_of(coded(issued, "category"), "interactive")
    has_mfa = is_dialogue & is_one_of(coded(asking, "mfa"), "push", "code", "fido")
    is_kept = is_dialogue & (streams.hashed_uniform(tenant.key("kmsi"), ids) < _KEPT_SIGNED_IN)
    tries = np.where(is_dialogue, numbers(asking, "failed_tries"), 0).astype(np.int64)
    rows, steps, codes = [], [], []
    for mask, code, before in ((has_mfa, 50074, 14), (is_kept, 50140, 3)):
        found = np.flatnonzero(mask)
        rows.append(found)
        steps.append(np.full(len(found), before))
        codes.append(np.full(len(found), _CODES.index(code)))
    parent, place = streams.spread(tries)
    rows.append(parent)
    steps.append(24 + place * 9)
    codes.append(np.full(len(parent), _CODES.index(50126)))
    row, error = np.concatenate(rows).astype(np.int64), np.concatenate(codes)
    at = numbers(issued, "issued_at_us")[row] - np.concatenate(steps) * SECOND_US
    at = at - (streams.hashed_uniform(tenant.key("step"), ids[row], np.concatenate(steps)) * SECOND_US).astype(np.int64)
    return _refused(tenant, asking.take(pa.array(row)), at, (error, _correlations(tenant, ids[row])), upns)


def _failures(tenant: Tenant, intents: pa.Table, upns: npt.NDArray[np.object_]) -> pa.Table:
    """Sign-ins that fail for good, each with its tries."""
    fails = np.flatnonzero(numbers(intents, "sign_in_fails"))
    parent, place = streams.spread(1 + numbers(intents, "failed_tries")[fails].astype(np.int64))
    row = fails[parent]
    intent = numbers(intents, "intent_id")[row]
    key = tenant.key("failures")
    at = numbers(intents, "starts_at_us")[row] + place * 7 * SECOND_US
    at = at + (streams.hashed_uniform(key, intent, place) * SECOND_US).astype(np.int64)
    picked = streams.pick(streams.hashed_uniform(key ^ 1, intent), _FINAL_WEIGHTS)
    code = np.array([_CODES.index(one) for one in _FINAL_ERRORS])[picked]
    return _refused(tenant, intents.take(pa.array(row)), at, (code, _correlations(tenant, intent)), upns)


def _refused(
    tenant: Tenant,
    asking: pa.Table,
    at: Ints,
    outcome: tuple[npt.NDArray[Any], pa.Array],
    upns: npt.NDArray[np.object_],
) -> pa.Table:
    """Lines of requests that issued nothing."""
    code, correlation = outcome
    bits = streams.hashed(tenant.key("refused"), numbers(asking, "intent_id"), at)
    request = _service_ids.request_ids(tenant.key("tokens", "issue"), bits, at, accounts=len(tenant.mailboxes))
    kinds = {50126: _LOGIN, 50053: _LOGIN, 50074: _LOGIN, 50140: _KMSI, 50076: _AUTHORIZE, 53003: _AUTHORIZE, 0: _TOKEN}
    request_type = np.array([kinds[one] for one in _CODES], dtype=np.int32)[code]
    # A password sent without a dialogue asks for a token at once; a dialogue may be taken up again.
    request_type = np.where((request_type == _LOGIN) & (bits % np.uint64(2) == 0), _REPROCESS, request_type)
    request_type = np.where(is_one_of(coded(asking, "auth"), "password_grant"), _TOKEN, request_type).astype(np.int32)
    is_app = is_one_of(coded(asking, "auth"), "client_secret", "certificate", "managed_identity")
    category = np.where(is_app, 1, 0).astype(np.int32)
    return build(
        SIGN_IN_LINE,
        asking.num_rows,
        {
            **_who(tenant, asking, upns),
            "line_no": np.arange(asking.num_rows),
            "at_us": at,
            "category": Coded(category, ("interactive", "service_principal")),
            "request_id": streams.guid_text(request),
            "correlation_id": correlation,
            "succeeded": False,
            "error_code": np.array(_CODES, dtype=np.int32)[code],
            "failure_reason": Coded(code.astype(np.int32), [_ERRORS[one] or "" for one in _CODES]),
            "request_type": Coded(request_type, _REQUESTS),
        },
    )


def _audited(tenant: Tenant, lines: pa.Table) -> pa.Table:
    """The same requests as the audit log shows them."""
    category, ids = coded(lines, "category"), numbers(lines, "token_no")
    is_dialogue = is_one_of(category, "interactive")
    uniform = streams.hashed_uniform(tenant.key("audited"), ids, numbers(lines, "at_us"))
    is_audited = is_dialogue | (
        is_one_of(category, "non_interactive")
        & is_one_of(coded(lines, "request_type"), "OAuth2:Authorize")
        & (uniform < _AUDITED_REFRESHES)
    )
    return _twin(lines, is_audited, "audit_log")


def _twin(lines: pa.Table, mask: Bools, category: str) -> pa.Table:
    rows = lines.filter(pa.array(mask))
    names = rows.column_names
    word = pa.array([category] * rows.num_rows, pa.string()).dictionary_encode()
    rows = rows.set_column(names.index("category"), rows.schema.field("category"), word)
    if category == "audit_log":
        for name in ("uti", "token_form", "original_request_id"):
            kind = rows.schema.field(name)
            rows = rows.set_column(names.index(name), kind, pa.nulls(rows.num_rows, kind.type))
    return rows
