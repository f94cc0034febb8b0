"""Tokens: which token each visit uses, when it was issued, and whether its issuance was logged.

A token is renewed again and again for the same client on the same device in the same session. Its lifetimes depend on
that key alone (see `_service_ids.renewals`), so that a token looks the same from every day; it is issued when the first
visit within its lifetime needs it. That is why only the visits of `LOOK_BACK_DAYS` days before are needed.

Sources: Microsoft Entra, access tokens (60 to 90 minutes, 75 on average); continuous access evaluation (up to 28 h);
linkable token identifiers (`uti`, `sid`); sign-in log categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from brokenseal.drill import _service_ids, _token_lines, apps, people, streams, tables
from brokenseal.drill._audit_fields import is_one_of, text_keys
from brokenseal.drill.tables import DAY_US, HOUR_US, MINUTE_US, TOKEN, TOKEN_USE, Coded, build, coded, numbers
from brokenseal.drill.truth_tables import TRUTH_COLUMNS
from brokenseal.drill.vocabulary import CONSUMER_TENANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

LOOK_BACK_DAYS: Final = 2
"""Days of visits before a day that `issue` needs: the longest lifetime is 28 hours."""

SHORT_US: Final = 75 * MINUTE_US
SHORT_JITTER: Final = 0.19
LONG_US: Final = 24 * HOUR_US
LONG_JITTER: Final = 3.9 / 24
OWA_MINTED_SHARE: Final = 0.3
"""Share of tokens of the web client that OWA mints itself (record type 275). Assumed."""

# People's ways to sign in, with the stream that the first token of the visit is issued in.
_HUMAN: Final = ("session", "interactive", "device_code", "password_grant", "federated")
_CATEGORY: Final = {
    "session": "non_interactive",
    "interactive": "interactive",
    "device_code": "interactive",
    "password_grant": "interactive",
    "federated": "interactive",
    "client_secret": "service_principal",
    "certificate": "service_principal",
    "managed_identity": "managed_identity",
    "first_party": "microsoft_service_principal",
}
CATEGORIES: Final = (*dict.fromkeys(_CATEGORY.values()), "owa_auth")
_FORGED: Final = ("forged_random", "forged_structured", "copied")
_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)


class Issued(NamedTuple):
    """Result of `issue`: TOKEN, TOKEN_USE and SIGN_IN_LINE."""

    tokens: pa.Table
    uses: pa.Table
    lines: pa.Table


class _Spans(NamedTuple):
    """One row per visit and token lifetime it touches."""

    visit: Ints  # row of the visit
    key: npt.NDArray[np.uint64]  # the token
    chain: npt.NDArray[np.uint64]  # what is renewed
    begin: Ints  # lifetime
    end: Ints
    since: Ints  # span within the visit
    until: Ints
    is_first: Bools  # first span of its visit
    is_cae: Bools


def issue(tenant: Tenant, day: int, intents: pa.Table, before: Sequence[pa.Table] = ()) -> Issued:
    """Give every visit its tokens, and write what the sign-in logs say.

    Args:
        tenant: The tenant.
        day: The day.
        intents: INTENT of the day.
        before: INTENT of the `LOOK_BACK_DAYS` days before, in any order.

    Returns:
        Tokens that the day's visits use (also those issued on a day before), their uses, and the lines of requests
        made on the day, sorted by time.
    """
    starts_us = tenant.day_starts_us(day)
    visits = tables.concat([*before, intents])
    spans = _spans(tenant, visits)
    key, first, token = np.unique(spans.key, return_index=True, return_inverse=True)
    order = np.lexsort((spans.since, token))
    first = order[np.flatnonzero(np.append(True, np.diff(token[order]) != 0))] if len(order) else first
    tokens = _tokens(tenant, visits, spans, key, first)
    is_today = numbers(visits, "day")[spans.visit] == day
    is_used = np.zeros(len(key), dtype=bool)
    is_used[token[is_today]] = True
    uses = build(
        TOKEN_USE,
        int(is_today.sum()),
        {
            "intent_id": numbers(visits, "intent_id")[spans.visit[is_today]],
            "token_no": numbers(tokens, "token_no")[token[is_today]],
            "from_us": spans.since[is_today],
            "until_us": spans.until[is_today],
        },
    )
    # A token issued in the last second before midnight belongs to the visit that needed it.
    asked = spans.since[first]
    is_new = (asked >= starts_us) & is_used
    lines = _token_lines.sign_in_lines(
        tenant,
        day,
        visits=visits,
        intents=intents,
        tokens=tokens,
        first_visit=spans.visit[first],
        is_first_request=spans.is_first[first],
        asked_at=asked,
        is_new=is_new,
    )
    own = np.isin(numbers(tokens, "intent_id"), numbers(intents, "intent_id"))
    known = tokens.set_column(1, "intent_id", pa.array(np.where(own, numbers(tokens, "intent_id"), -1)))
    known = known.filter(pa.array(is_used)).sort_by([("issued_at_us", "ascending"), ("token_no", "ascending")])
    return Issued(tokens=known, uses=uses.sort_by([("intent_id", "ascending"), ("from_us", "ascending")]), lines=lines)


def _spans(tenant: Tenant, visits: pa.Table) -> _Spans:
    auth, source = coded(visits, "auth"), coded(visits, "token_source")
    has_token = ~is_one_of(auth, "none") & ~numbers(visits, "sign_in_fails")
    rows = np.flatnonzero(has_token)
    identity = numbers(visits, "identity_no")[rows]
    resource = coded(visits, "resource_id").take(rows)
    app = text_keys(coded(visits, "client_app_id"))[rows]
    chain = streams.hashed(
        tenant.key("tokens"),
        identity,
        numbers(visits, "session_no")[rows],
        numbers(visits, "device_no")[rows],
        app.view(np.int64),
        text_keys(resource).view(np.int64),
        np.where(is_one_of(source, *_FORGED), 1 + source.codes, 0)[rows],
    )
    is_human = is_one_of(auth, *_HUMAN)[rows]
    can_cae = is_one_of(resource, apps.EXCHANGE, apps.GRAPH) & is_human
    is_cae = can_cae & (streams.hashed_uniform(tenant.key("cae"), chain.view(np.int64)) < tenant.parameters.cae_share)
    start = numbers(visits, "starts_at_us")[rows]
    stop = start + np.maximum((numbers(visits, "duration_s")[rows] * 1e6).astype(np.int64), 1_000_000)
    pieces = [
        _cut(rows[mask], chain[mask], (start[mask], stop[mask]), period, jitter, is_long=is_long)
        for mask, period, jitter, is_long in (
            (is_cae, LONG_US, LONG_JITTER, True),
            (~is_cae, SHORT_US, SHORT_JITTER, False),
        )
    ]
    return _Spans(*(np.concatenate(columns) for columns in zip(*pieces, strict=True)))


def _cut(
    rows: Ints,
    chain: npt.NDArray[np.uint64],
    within: tuple[Ints, Ints],
    period: int,
    jitter: float,
    *,
    is_long: bool,
) -> _Spans:
    start, stop = within
    first, _, _ = _service_ids.renewals(chain, start, period, jitter)
    last, _, _ = _service_ids.renewals(chain, stop - 1, period, jitter)
    parent, place = streams.spread(last - first + 1)
    # Any moment surely inside a lifetime finds it: lifetimes begin at least a fifth of a period after their number.
    shift = (chain % np.uint64(period)).astype(np.int64)[parent]
    inside = (first[parent] + place) * period + shift + int(period * jitter)
    number, begin, end = _service_ids.renewals(chain[parent], inside, period, jitter)
    since, until = np.maximum(start[parent], begin), np.minimum(stop[parent], end)
    return _Spans(
        rows[parent],
        streams.hashed(0x70CE, chain[parent].view(np.int64), number),
        chain[parent],
        begin,
        end,
        since,
        until,
        place == 0,
        np.full(len(parent), is_long),
    )


def _tokens(tenant: Tenant, visits: pa.Table, spans: _Spans, key: npt.NDArray[np.uint64], first: Ints) -> pa.Table:
    """TOKEN of every token in the spans, in the order of `key`; `first` is the span that asked for it."""
    secret = tenant.key("tokens", "issue")
    own = visits.take(pa.array(spans.visit[first]))
    ids = key.view(np.int64)
    source = coded(own, "token_source")
    is_forged = is_one_of(source, *_FORGED)
    wait = (0.2e6 + 2.5e6 * streams.hashed_uniform(secret ^ 1, ids)).astype(np.int64)
    request = _service_ids.request_ids(secret, key, spans.since[first] - wait, accounts=len(tenant.mailboxes))
    skew = _service_ids.clock_skew_us(
        secret ^ 2,
        (key % np.uint64(97)).view(np.int64),
        spread_s=tenant.parameters.clock_skew_s,
        tail_s=tenant.parameters.clock_tail_s,
    )
    issued_at = spans.since[first] - wait + np.where(is_forged, 0, skew)
    is_random = is_one_of(source, "forged_random")
    request[is_random] = streams.hashed_bytes(secret ^ 3, ids)[is_random]
    request, issued_at = _copied(own, source, request, issued_at)
    issued_at = issued_at + numbers(own, "iat_shift_s").astype(np.int64) * 1_000_000
    # Long enough for the whole lifetime, and as long as such tokens are.
    least, most = np.where(spans.is_cae[first], 20 * 60, 60), np.where(spans.is_cae[first], 28 * 60, 90)
    need = np.maximum((spans.end - spans.since)[first] + wait, least * MINUTE_US)
    life = need + ((most * MINUTE_US - need) * streams.hashed_uniform(secret ^ 4, ids)).astype(np.int64)
    category = categories(tenant, own, is_first=spans.is_first[first], ids=ids, is_forged=is_forged)
    reason = _unlogged(tenant, own, spans, first, category=category, is_forged=is_forged)
    return build(
        TOKEN,
        len(key),
        {
            "token_no": (key >> np.uint64(1)).astype(np.int64),
            "intent_id": numbers(own, "intent_id"),
            "session_no": numbers(own, "session_no"),
            "session_id": _session_ids(tenant, own, ids, is_forged),
            "request_id": streams.guid_text(request),
            "uti": streams.uti_text(request),
            "identity_no": numbers(own, "identity_no"),
            "subject_id": Coded(numbers(own, "identity_no").astype(np.int32), tenant.object_ids),
            "token_tenant_id": _token_tenants(tenant, own),
            "client_app_id": coded(own, "client_app_id"),
            "resource_id": coded(own, "resource_id"),
            "issued_at_us": issued_at,
            "expires_at_us": issued_at + life,
            "is_cae": spans.is_cae[first],
            "category": category,
            "is_issued": ~is_forged,
            "is_logged": reason.codes < 0,
            "unlogged_reason": reason,
            "truth_token_source": source,
            **{name: own.column(name) for name in _TRUTH},
        },
    )


def _copied(
    own: pa.Table, source: Coded, request: npt.NDArray[np.uint8], issued_at: Ints
) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Give tokens that copy a genuine one its id and time: the newest of the same identity, else leave them as is."""
    is_copied = is_one_of(source, "copied")
    if not is_copied.any():
        return request, issued_at
    identity = numbers(own, "identity_no").astype(np.int64)
    genuine = np.flatnonzero(~is_one_of(source, *_FORGED))
    line = genuine[np.lexsort((issued_at[genuine], identity[genuine]))]
    request, moments = request.copy(), issued_at.copy()
    for row in np.flatnonzero(is_copied).tolist():
        same = line[identity[line] == identity[row]]
        older = same[issued_at[same] < issued_at[row]]
        if len(older):
            request[row], moments[row] = request[older[-1]], issued_at[older[-1]]
    return request, moments


def categories(tenant: Tenant, own: pa.Table, *, is_first: Bools, ids: Ints, is_forged: Bools) -> Coded:
    """Stream that each token's issuance belongs to; null for exchanges between services and for forged tokens.

    Args:
        tenant: The tenant.
        own: The visit that asked for each token, INTENT.
        is_first: The token stands at the start of that visit; a later one is a renewal.
        ids: Number of each token.
        is_forged: It was never issued.
    """
    auth, protocol = coded(own, "auth"), coded(own, "protocol")
    places = {name: code for code, name in enumerate(CATEGORIES)}
    of_auth = np.array([*(places.get(_CATEGORY.get(word, ""), -1) for word in auth.words), -1])
    codes = of_auth[auth.codes]
    codes = np.where(is_one_of(auth, *_HUMAN) & ~is_first, places["non_interactive"], codes)
    if tenant.parameters.log_epoch >= 2025:  # noqa: PLR2004
        by_owa = streams.hashed_uniform(tenant.key("owa"), ids) < OWA_MINTED_SHARE
        codes = np.where(
            by_owa & is_one_of(protocol, "owa") & (codes == places["non_interactive"]), places["owa_auth"], codes
        )
    return Coded(np.where(is_forged, -1, codes).astype(np.int32), CATEGORIES)


def orphan_rates(tenant: Tenant, classes: Sequence[str]) -> npt.NDArray[np.float64]:
    """Share of episodes whose issuance is lost from the logs, per client class: the tenant's rate, spread by class."""
    keys = np.array([streams.hash_key(0, name) for name in classes], dtype=np.uint64).view(np.int64)
    if not len(keys):
        return np.empty(0)
    spread = np.exp(streams.hashed_normal(tenant.key("orphans"), keys))
    rates: npt.NDArray[np.float64] = np.minimum(tenant.parameters.orphan_rate * spread, 0.2)
    return rates


def _unlogged(tenant: Tenant, own: pa.Table, spans: _Spans, first: Ints, *, category: Coded, is_forged: Bools) -> Coded:
    """Why an issuance gave no line; null where it did. Losses come in episodes: one client on one day."""
    words = ("never_issued", "flow_not_logged", "lost")
    client = coded(own, "client_class")
    rate = np.append(orphan_rates(tenant, client.words), 0.0)[client.codes]
    episode = (spans.since[first] - tenant.epoch_us) // DAY_US
    is_lost = streams.hashed_uniform(tenant.key("lost"), spans.chain[first].view(np.int64), episode) < rate
    is_silent = numbers(own, "is_unlogged_flow") | (category.codes < 0)
    codes = np.where(is_forged, 0, np.where(is_silent, 1, np.where(is_lost, 2, -1)))
    return Coded(codes.astype(np.int32), words)


def session_guids(tenant: Tenant, session_no: npt.NDArray[Any]) -> pa.Array:
    """Session id (`sid`) of each session number, as text."""
    return streams.guid_text(streams.version4(streams.hashed_bytes(tenant.key("sessions"), session_no)))


def _session_ids(tenant: Tenant, own: pa.Table, ids: Ints, is_forged: Bools) -> pa.Array:
    session = numbers(own, "session_no")
    copies = numbers(own, "session_copied")
    real = session_guids(tenant, session)
    # A forger who copies no session makes one up; a token of an application has one of its own.
    invented = session_guids(tenant, -2 - (ids >> 1) % (1 << 60))
    is_app = is_one_of(coded(own, "auth"), "client_secret", "certificate", "managed_identity")
    is_real = (session >= 0) & (~is_forged | copies)
    is_invented = ((session >= 0) & is_forged & ~copies) | is_app
    chosen = pc.if_else(pa.array(is_real), real, pc.if_else(pa.array(is_invented), invented, None))
    return chosen.dictionary_encode()


def _token_tenants(tenant: Tenant, own: pa.Table) -> Coded:
    """`tid`: the tenant; the home of a guest; another one where the claim is wrong."""
    identity = numbers(own, "identity_no")
    homes = (*tenant.home_tenant_ids, tenant.tenant_id, CONSUMER_TENANT)
    is_guest = tenant.identities["kind"][identity] == people.GUEST
    codes = np.where(is_guest, identity, len(homes) - 2)
    return Coded(np.where(numbers(own, "claim_tenant_wrong"), len(homes) - 1, codes).astype(np.int32), homes)
