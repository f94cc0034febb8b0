"""Exposure against truth, message by message, and whether the counts that a case prints hold the truth.

A message is (mailbox GUID, Message-ID). What a document lists is taken from it; what it only counts (messages beyond
its list, messages known to have stood in synchronised folders) is looked up in the store in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from brokenseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from brokenseal.drill._score_truth import Truth
    from brokenseal.model import Case, ExposedMessage, Exposure, MailboxExposure, Tables
    from brokenseal.selection import Selection

_DOUBT = "may_be_own"

Message: TypeAlias = tuple[str, str]
Counts: TypeAlias = dict[str, tuple[int, int]]
"""Name of a share of `ExposureScore` or `CountCoverage`, to how many of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Messages that one case calls read.

    Attributes:
        certain: Listed by records.
        possible: None of these: known to have stood in synchronised folders, listed by doubtful records alone, or sent
            on by a rule.
    """

    certain: frozenset[Message]
    possible: frozenset[Message]


def mailbox_names(tables: Tables, truth: Truth) -> dict[str, str]:
    """Mailbox GUID by every address that a record or the truth gives it; an address of two mailboxes is left out."""
    names: dict[str, set[str]] = defaultdict(set)
    for address, key in truth.mailbox_keys.items():
        names[address].add(key)
    if "events" in tables:
        events = tables["events"]
        known = events.filter(events.mailbox_key.notnull() & events.mailbox_upn.notnull())
        for row in known.select("mailbox_key", "mailbox_upn").distinct().to_pyarrow().to_pylist():
            if not row["mailbox_key"].startswith("upn:"):
                names[row["mailbox_upn"]].add(row["mailbox_key"])
    return {address: min(keys) for address, keys in names.items() if len(keys) == 1}


def said_of(
    cases: Sequence[Case],
    tables: Tables,
    names: Mapping[str, str],
    selections: Mapping[str, Selection] | None = None,
) -> dict[str, Said]:
    """What each of these cases says, by its id.

    Args:
        cases: The cases.
        tables: The store's tables; used where a case counts more than it lists.
        names: Mailbox GUID by address.
        selections: What each case means, by its id. Without it that is made anew from the document, which may miss
            reads that no finding and no line of it cites.

    Raises:
        UsageError: More has to be looked up than the document lists, and the store is not the one it was made from.
    """
    short = [case for case in cases if _is_short(case.exposure)]
    looked_up = _look_up(short, tables, names, selections or {}) if short else {}
    return {case.id: looked_up.get(case.id) or _listed(case, names) for case in cases}


def _is_short(seen: Exposure) -> bool:
    """Whether the document counts messages that it does not list."""
    doubtful = sum(line.reason == _DOUBT for line in seen.possible_messages)
    return (
        len(seen.messages) < seen.certain
        or doubtful < seen.possible_doubtful
        or len(seen.possible_messages) - doubtful < seen.possible_forwarded
        or seen.possible_synced > 0
    )


def _keys(lines: Iterable[ExposedMessage], names: Mapping[str, str]) -> frozenset[Message]:
    return frozenset((names.get(line.mailbox, line.mailbox), line.internet_message_id) for line in lines)


def _listed(case: Case, names: Mapping[str, str]) -> Said:
    certain = _keys(case.exposure.messages, names)
    return Said(certain=certain, possible=_keys(case.exposure.possible_messages, names) - certain)


def _look_up(
    short: Sequence[Case], tables: Tables, names: Mapping[str, str], selections: Mapping[str, Selection]
) -> dict[str, Said]:
    from brokenseal import exposure_folders, exposure_tables

    read = exposure_tables.reading(tables, [selections.get(case.id) or _selection_of(case, tables) for case in short])
    listed = exposure_tables.listed_messages(read.entries)
    stood = exposure_folders.stood_in_synced(tables, exposure_folders.syncs(tables, read.touched))
    certain, doubtful, synced = (
        _by_case(rows, names) for rows in (listed.filter(~listed.is_doubtful), listed.filter(listed.is_doubtful), stood)
    )
    return {
        case.id: Said(
            certain=frozenset(certain[number]),
            possible=frozenset(doubtful[number] | synced[number]).union(
                _keys((line for line in case.exposure.possible_messages if line.reason != _DOUBT), names)
            )
            - certain[number],
        )
        for number, case in enumerate(short)
    }


def _selection_of(case: Case, tables: Tables) -> Selection:
    """The mail accesses of a case, made anew from its findings.

    Its doubtful ones are those that its lines of doubtful messages cite.
    """
    from brokenseal.scope import cases_of
    from brokenseal.selection import Selection

    drafts = cases_of(case.findings, tables).cases
    if all(draft.id != case.id for draft in drafts):
        raise UsageError(place="document", value=case.id, expected="a document made from this very store")
    # What was weighed joins findings that are apart without it; what the case cites is its own all the same.
    cited = {item.event_id for finding in case.findings for item in finding.evidence}
    cited.update(*(line.event_ids for line in case.exposure.messages))
    cited.update(*(line.event_ids for line in case.exposure.folders))
    access_ids = cited.union(*(draft.access_ids for draft in drafts))
    lines = (line for line in case.exposure.possible_messages if line.reason == _DOUBT)
    doubtful = {event_id for line in lines for event_id in line.event_ids}
    return Selection.of_events(case.id, access_ids - doubtful, mailboxes=case.mailboxes, doubtful=doubtful)


def _by_case(table: ir.Table, names: Mapping[str, str]) -> defaultdict[int, set[Message]]:
    found: defaultdict[int, set[Message]] = defaultdict(set)
    rows = table.select("selection_no", "mailbox_key", "internet_message_id").distinct()
    for row in rows.to_pyarrow().to_pylist():
        key = row["mailbox_key"]
        key = names.get(key.removeprefix("upn:"), key) if key.startswith("upn:") else key
        found[row["selection_no"]].add((key, row["internet_message_id"]))
    return found


def exposure_counts(
    said: Mapping[str, Said], true_cases: Collection[str], caught: Collection[int], truth: Truth
) -> Counts:
    """The shares of `ExposureScore`.

    Args:
        said: By case id.
        true_cases: Ids of the cases that cite an intruder's record.
        caught: Instances that a case cites.
        truth: Messages of controls are left out: nobody took them who should not.
    """
    taken, read, shown, of_caught = set(), set(), set(), set()
    for message in truth.messages:
        if truth.intrusions[message.instance].is_control:
            continue
        taken.add(message.key)
        if not message.is_sync:
            read.add(message.key)
        if message.is_shown:
            shown.add(message.key)
        if message.instance in caught:
            of_caught.add(message.key)
    certain = {key for one in said.values() for key in one.certain}
    possible = {key for one in said.values() for key in one.possible} - certain
    of_true = {key for name in true_cases for key in said[name].certain}
    either = certain | possible

    def part(some: set[Message], whole: set[Message]) -> tuple[int, int]:
        return len(some & whole), len(whole)

    return {
        "certain_recall_read": part(certain, read),
        "certain_recall_shown": part(certain, shown),
        "possible_recall_taken": part(either, taken),
        "caught_certain_recall_read": part(certain, read & of_caught),
        "caught_certain_recall_shown": part(certain, shown & of_caught),
        "caught_possible_recall_taken": part(either, of_caught),
        "certain_precision": part(taken, certain),
        "certain_precision_true_cases": part(taken, of_true),
        "possible_precision": part(taken, possible),
    }


def count_coverage(
    cases: Sequence[Case], said: Mapping[str, Said], caught: Collection[int], truth: Truth, names: Mapping[str, str]
) -> Counts:
    """The shares of `CountCoverage`, over the mailboxes that true cases count and caught intruders took mail of.

    Several cases of one mailbox are taken together.
    """
    taken: dict[str, set[Message]] = defaultdict(set)
    throttled = set()
    for message in truth.messages:
        if message.instance in caught:
            taken[message.mailbox_key].add(message.key)
            if message.is_throttled:
                throttled.add(message.mailbox_key)
    is_open: dict[str, bool] = {}
    for case in cases:
        for mailbox in case.exposure.mailboxes:
            key = names.get(mailbox.mailbox, mailbox.mailbox_key)
            is_open[key] = is_open.get(key, False) or _has_no_upper_end(mailbox)
    certain = {key for case in cases for key in said[case.id].certain}
    either = certain | {key for case in cases for key in said[case.id].possible}
    held: dict[bool, list[bool]] = {True: [], False: []}
    for key in sorted(is_open.keys() & taken.keys()):
        low = sum(mailbox == key for mailbox, _ in certain)
        high = sum(mailbox == key for mailbox, _ in either)
        number = len(taken[key])
        held[key in throttled].append(low <= number and (is_open[key] or number <= high))
    open_throttled = sum(is_open[key] for key in throttled & is_open.keys())
    return {
        "throttled": (sum(held[True]), len(held[True])),
        "throttled_said": (open_throttled, len(throttled & is_open.keys())),
        "others": (sum(held[False]), len(held[False])),
    }


def _has_no_upper_end(mailbox: MailboxExposure) -> bool:
    return mailbox.unknowable > 0 or mailbox.possible_folders > 0
