"""Look in one store for what is known from elsewhere: the only module of notices that asks tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from brokenseal.case import cited_records, exposed_ids
from brokenseal.exposure import exposure
from brokenseal.notices.indications import TARGETS, Indicated, Indication, targets_in
from brokenseal.selection import Selection, selected

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from brokenseal.model import CaseDocument
    from brokenseal.notices.values import Party
    from brokenseal.store import Store

_ID = "indicator"
_NAMED = {"client": "client_info", "user_agent": "user_agent"}
_SELECTED = {"address": "ip", "application": "app", "session": "session", "token": "token"}


def look(store: Store, document: CaseDocument, known: Sequence[Indication], parties: Sequence[Party] = ()) -> Indicated:
    """What the store shows of it.

    Args:
        store: Whose records are asked.
        document: Of the same store; it says which targets are of it.
        known: What is known from elsewhere.
        parties: Everybody who can be told; for `targets_in`.
    """
    tables = store.tables()
    targets = targets_in(document, known, parties)
    rows = _carrying(tables["mail_accesses"], [each for each in known if each.kind not in TARGETS], store)
    chosen = Selection.of_events(
        _ID,
        (row["event_id"] for row, _ in rows),
        mailboxes=(each.value for each in targets if each.kind == "mailbox"),
    )
    found = exposure(tables, chosen)
    return Indicated(
        known=tuple(known),
        targets=targets,
        seen=frozenset((row["mailbox_upn"] or row["mailbox_key"], each) for row, each in rows),
        exposure=found,
        cited=cited_records(tables["events"], exposed_ids(found), store.run),
    )


def _carrying(accesses: Any, known: Sequence[Indication], store: Store) -> list[tuple[dict[str, Any], Indication]]:
    """Records of reading beside what they carry, within its time."""
    columns = ("event_id", "occurred_at", "mailbox_upn", "mailbox_key")
    found: list[tuple[dict[str, Any], Indication]] = []
    selectable = [each for each in known if each.kind in _SELECTED]
    if selectable:
        parts = selected(accesses, [Selection.by(_SELECTED[each.kind], each.value) for each in selectable])
        rows = store.run(parts.select(*columns, "selection_no")).to_pylist()
        found += [(row, selectable[row["selection_no"]]) for row in rows]
    for each in known:
        if each.kind in _NAMED:
            rows = store.run(accesses.filter(accesses[_NAMED[each.kind]] == each.value).select(*columns)).to_pylist()
            found += [(row, each) for row in rows]
    return [(row, each) for row, each in found if _within(row["occurred_at"], each)]


def _within(at: dt.datetime, each: Indication) -> bool:
    return (each.first_at is None or at >= each.first_at) and (each.last_at is None or at <= each.last_at)
