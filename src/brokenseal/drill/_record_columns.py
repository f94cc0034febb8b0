"""Columns of audit records that mailbox actions and changes of configuration have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from brokenseal.drill import _service_ids, identity, streams
from brokenseal.drill.tables import Coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill._audit_fields import VisitFields
    from brokenseal.drill.world import Tenant

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


def shown_sessions(tenant: Tenant, fields: VisitFields, intents: pa.Table, row: Ints, is_bare: Bools) -> Coded:
    """`SessionId` of records of these rows of INTENT; null where the class has none."""
    session = numbers(intents, "session_no")
    distinct, codes = np.unique(session, return_inverse=True)
    hidden = ~fields.has_session[row] | is_bare
    words = identity.session_guids(tenant, distinct).to_pylist()
    return Coded(np.where(hidden, -1, codes.ravel()[row]).astype(np.int32), words)


def token_columns(tokens: pa.Table, token: Ints) -> dict[str, Any]:
    """The columns of records that show these rows of TOKEN; -1 shows none."""
    taken = tokens.take(pa.array(token, mask=token < 0))
    has_one = token >= 0
    row = np.maximum(token, 0)

    def of(name: str) -> Ints:
        values: Ints = np.where(has_one, np.append(numbers(tokens, name), 0)[row], 0)
        return values

    return {
        "token_no": np.where(has_one, of("token_no"), -1),
        "context_session_id": taken.column("session_id").combine_chunks(),
        "uti": taken.column("uti").combine_chunks(),
        "issued_at_us": of("issued_at_us"),
        "token_subject": taken.column("subject_id").combine_chunks(),
        "token_tenant_id": taken.column("token_tenant_id").combine_chunks(),
    }


def record_ids(tenant: Tenant, record_type: npt.NDArray[np.int32], number: Ints, at: Ints) -> pa.Array:
    """`Id` of records: sortable by time for types 1, 2 and 3, random for the others.

    Args:
        tenant: The tenant.
        record_type: Record type of each.
        number: A number of each that is unique in the tenant, for one record type.
        at: Time of each.
    """
    raw = streams.hashed_bytes(tenant.key("records"), record_type, number)
    is_sortable = record_type <= 3  # noqa: PLR2004
    guid = np.where(is_sortable[:, None], _service_ids.sortable_ids(raw, at), streams.version4(raw))
    return streams.guid_text(guid)


def servers(tenant: Tenant, day: int, mailbox: npt.NDArray[Any]) -> tuple[Coded, Ints]:
    """`OriginatingServer` of each mailbox on a day (it moves once a week), and how far its clock is off."""
    count = max(len(tenant.mailboxes) // 8, 4)
    week = (day + streams.hashed(tenant.key("failover"), mailbox).astype(np.int64) % 7) // 7
    number = (streams.hashed(tenant.key("servers"), mailbox, week) % np.uint64(count)).astype(np.int64)
    build_no = 9000 + 20 * (tenant.epoch_day + day - 19_000) // 7
    words = [
        f"AM{one % 9}PR{1 + one % 19:02d}MB{3000 + one * 17} (15.20.{build_no}.{one % 40:03d})" for one in range(count)
    ]
    skew = _service_ids.clock_skew_us(
        tenant.key("server clocks"),
        number,
        spread_s=tenant.parameters.clock_skew_s,
        tail_s=tenant.parameters.clock_tail_s,
    )
    return Coded(number.astype(np.int32), words), skew
