"""From a case to what counts as read in it: its session clusters, what of them is in doubt, and its doors.

    case draft ─ members of its clusters ─┬▶ certain
                                          └▶ doubtful (an address that authorised people use as well)
               ─ cited changes ─▶ rules that sent mail on, rights that leave no record

A read is doubtful where its own session cluster opens no case and its address is somebody's habit, or where no more
speaks for it than that a finding about other clusters as well, or about both hands of a session, cites it. It may be
the intruder's, and it may be the victim's own. What is suspected, for however long, makes no habit.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import ibis
import pyarrow as pa

from brokenseal import case_doors
from brokenseal.clusters import members_of
from brokenseal.selection import Selection, id_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.judgement import Judgement
    from brokenseal.model import Finding, Tables
    from brokenseal.scope import CaseDraft
    from brokenseal.selection import Forwarding, OpenDoor

Row = dict[str, Any]

HABIT: Final = dt.timedelta(days=7)
"""An address that an account used so long before a case began is its own; so is one that several use for so long."""
ANOTHERS: Final = dt.timedelta(days=1)
"""An address that another account, of no case, used for so long or so long before is that account's habit."""

_SEVERAL: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSelections:
    """What counts as read in each case, and in all of them together.

    Attributes:
        cases: In the order of the drafts.
        together: A read that is certain in any case is certain; one that is doubtful in some and certain in none is
            doubtful.
    """

    cases: tuple[Selection, ...]
    together: Selection

    @property
    def access_ids(self) -> frozenset[str]:
        """Event ids of all mail accesses that count in any case, doubtful ones among them."""
        return self.together.event_ids | self.together.doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspected:
    """The mail accesses of one case.

    Attributes:
        access_ids: Those that are meant.
        units_certain: Session clusters that are the intruder's without more, by weight or by rule.
        accounts: Folded names of the accounts that the case is about.
        first_at: When the case began.
        cited: Records that its findings cite: what an intruder did makes no habit.
        light: Mail accesses whose session cluster weighs too little to join a case, and which are in this one because
            findings about clusters or sessions cite them: a session has two hands, and one is its owner's.
    """

    access_ids: frozenset[str]
    units_certain: frozenset[str]
    accounts: frozenset[str]
    first_at: dt.datetime
    cited: frozenset[str] = frozenset()
    light: frozenset[str] = frozenset()


def case_selections(tables: Tables, drafts: Sequence[CaseDraft], judgement: Judgement | None = None) -> CaseSelections:
    """What counts as read in each case.

    Args:
        tables: Best with `members` and the parts of `config.open_door` at hand.
        drafts: The cases.
        judgement: Which session clusters open a case; None where nothing was weighed: then none does.
    """
    if not drafts:
        return CaseSelections(cases=(), together=Selection.of_events("", ()))
    certain_units = frozenset[str]() if judgement is None else judgement.certain
    wanted = frozenset[str]() if judgement is None else judgement.wanted
    units = [wanted.intersection(draft.units) for draft in drafts]
    reads = _rows(_reads(tables, {one for draft in drafts for one in draft.access_ids}, set().union(*units)))
    by_unit: dict[str, set[str]] = defaultdict(set)
    for row in reads:
        by_unit[row["cluster"]].add(row["event_id"])
    beside = frozenset[str]().union(*(ids for unit, ids in by_unit.items() if unit not in wanted))
    suspected = [
        Suspected(
            access_ids=frozenset(draft.access_ids).union(*(by_unit[unit] for unit in of_draft)),
            units_certain=certain_units.intersection(draft.units),
            accounts=frozenset(draft.actors),
            first_at=draft.first_at,
            cited=frozenset(item.event_id for finding in draft.findings for item in finding.evidence),
            light=frozenset() if judgement is None else _cited_with_others(draft).intersection(beside),
        )
        for draft, of_draft in zip(drafts, units, strict=True)
    ]
    doubtful = _doubtful(tables, suspected, reads)
    changes = [_changes(draft) for draft in drafts]
    every = set().union(*changes)
    rules = case_doors.forwardings(tables, every) if every else {}
    doors = case_doors.doors(tables, every) if every else {}
    cases = tuple(
        Selection.of_events(
            draft.id,
            one.access_ids - in_doubt,
            mailboxes=draft.mailboxes,
            doubtful=in_doubt,
            **_opened(cited, rules, doors),
        )
        for draft, one, in_doubt, cited in zip(drafts, suspected, doubtful, changes, strict=True)
    )
    certain = frozenset[str]().union(*(case.event_ids for case in cases))
    together = Selection.of_events(
        "",
        certain,
        mailboxes={mailbox for case in cases for mailbox in case.mailboxes},
        doubtful={event_id for case in cases for event_id in case.doubtful},
        **_opened(every, rules, doors),
    )
    return CaseSelections(cases=cases, together=together)


def _cited_with_others(draft: CaseDraft) -> frozenset[str]:
    """Event ids that the case has by findings alone which cite other people's records as well.

    Those are findings about session clusters and about sessions, which show what is strange beside what is usual, and
    not those about doors. What stands under the session of a finding that opened the case is the case's own.
    """
    cited: dict[bool, set[str]] = {True: set(), False: set()}
    for finding in draft.findings:
        has_others = (bool(finding.units) or finding.family == "session") and not _is_of_configuration(finding)
        cited[has_others].update(item.event_id for item in finding.evidence)
    return frozenset(cited[True] - cited[False] - draft.under_ids)


def _is_of_configuration(finding: Finding) -> bool:
    return finding.detector_id.startswith("config.")


def _changes(draft: CaseDraft) -> frozenset[str]:
    """Event ids of what the configuration findings of the case cite."""
    return frozenset(
        item.event_id for finding in draft.findings if _is_of_configuration(finding) for item in finding.evidence
    )


def _opened(
    cited: Collection[str], rules: Mapping[str, Forwarding], doors: Mapping[str, Iterable[OpenDoor]]
) -> dict[str, Any]:
    """What the cited changes opened, as arguments of `Selection.of_events`."""
    inside = sorted(cited)
    return {
        "changes": inside,
        "forwardings": [rules[event_id] for event_id in inside if event_id in rules],
        "doors": [door for event_id in inside for door in doors.get(event_id, ())],
    }


# ---------------------------------------------------------------- doubt


def doubtful_ids(tables: Tables, suspected: Sequence[Suspected]) -> tuple[frozenset[str], ...]:
    """The mail accesses of each case that may be its victims' own.

    One is doubtful if it is `light`, or if it is under no certain unit and comes from a public address that is
    somebody's habit:

    - the reading account used it with success more than `HABIT` before the case began,
    - or another person, of no case, used it for `ANOTHERS` or longer, or so long before the case's first read there,
    - or several persons used it for longer than `HABIT`, first to last.

    Persons are accounts with an address: an application stands in the logs by its id and by its name, and these two
    are not several. What a case suspects or cites is nobody's habit: that has to show in something else.

    Args:
        tables: Uses `members`, or what it is made of, and `events`.
        suspected: The cases.
    """
    wanted = {event_id for one in suspected for event_id in one.access_ids}
    return _doubtful(tables, suspected, _rows(_reads(tables, wanted, ())))


def _reads(tables: Tables, event_ids: Iterable[str], units: Iterable[str]) -> ir.Table:
    """Mail accesses by event id or session cluster: event_id, cluster, occurred_at, actor_key, client_ip, ip_class."""
    rows = members_of(tables).select("event_id", "cluster", "occurred_at", "actor_key", "client_ip", "ip_class")
    named = rows.semi_join(id_table(event_ids), "event_id")
    under = rows.semi_join(id_table(units).rename(cluster="event_id"), "cluster")
    return named.union(under, distinct=True)


def _doubtful(tables: Tables, suspected: Sequence[Suspected], reads: Iterable[Row]) -> tuple[frozenset[str], ...]:
    open_to_doubt: list[list[Row]] = [[] for _ in suspected]
    firsts: list[dict[str, dt.datetime]] = [{} for _ in suspected]
    cases_of: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(suspected):
        for event_id in one.access_ids:
            cases_of[event_id].append(number)
    for row in reads:
        address = row["client_ip"]
        if address is None or row["ip_class"] != "public":
            continue
        for number in cases_of.get(row["event_id"], ()):
            first = firsts[number].setdefault(address, row["occurred_at"])
            firsts[number][address] = min(first, row["occurred_at"])
            if row["cluster"] not in suspected[number].units_certain:
                open_to_doubt[number].append(row)
    addresses = {row["client_ip"] for rows in open_to_doubt for row in rows}
    if not addresses:
        return tuple(one.light for one in suspected)
    doubted = frozenset(cases_of).union(*(one.cited for one in suspected))
    uses: dict[str, list[Row]] = defaultdict(list)
    for use in _rows(uses_of(tables, addresses, without=doubted)):
        uses[use["client_ip"]].append(use)
    victims = frozenset[str]().union(*(one.accounts for one in suspected))
    return tuple(
        one.light.union(
            row["event_id"]
            for row in rows
            if _is_habit(row, one, uses[row["client_ip"]], first_read=first[row["client_ip"]], victims=victims)
        )
        for one, rows, first in zip(suspected, open_to_doubt, firsts, strict=True)
    )


def uses_of(tables: Tables, addresses: Iterable[str], *, without: Iterable[str] = ()) -> ir.Table:
    """From when to when each account used each of these addresses with success, other than by the records left out.

    Returns: client_ip, actor_key, first_at, last_at. What a log does not call a failure counts as success.
    """
    wanted = ibis.memtable(pa.table({"client_ip": pa.array(sorted(addresses), pa.string())}))
    events = tables["events"].select("event_id", "occurred_at", "actor_key", "client_ip", "succeeded")
    used = events.filter(events.actor_key.notnull(), events.succeeded.fill_null(ibis.literal(value=True)))
    used = used.semi_join(wanted, "client_ip").anti_join(id_table(without), "event_id")
    return used.group_by(["client_ip", "actor_key"]).agg(
        first_at=used.occurred_at.min(), last_at=used.occurred_at.max()
    )


def _is_habit(
    row: Row, one: Suspected, uses: Sequence[Row], *, first_read: dt.datetime, victims: Collection[str]
) -> bool:
    """Whether the address of a read is somebody's habit; see `doubtful_ids`."""
    people = [use for use in uses if "@" in use["actor_key"]]
    own = any(use["actor_key"] == row["actor_key"] and one.first_at - use["first_at"] > HABIT for use in uses)
    others = any(
        use["last_at"] - use["first_at"] >= ANOTHERS or first_read - use["first_at"] >= ANOTHERS
        for use in people
        if use["actor_key"] not in victims and use["actor_key"] != row["actor_key"]
    )
    shared = len(people) >= _SEVERAL and (
        max(use["last_at"] for use in people) - min(use["first_at"] for use in people) > HABIT
    )
    return bool(own or others or shared)


def _rows(table: ir.Table) -> list[Row]:
    return list(table.to_pyarrow().to_pylist())
