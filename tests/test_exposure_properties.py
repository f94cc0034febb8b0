"""The exposure equals a plain reference on dicts, whatever the order and however often an entry is delivered."""

import datetime as dt
from collections import Counter

import ibis
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from brokenseal import exposure as room
from brokenseal.exposure import exposure, exposures
from brokenseal.selection import Selection
from support import arrow_table, make_tables

T0 = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)
TABLES = ("mail_accesses", "events", "accessed_items", "item_changes", "sent_messages")

hours = st.integers(0, 12).map(lambda number: T0 + dt.timedelta(hours=number))
mailboxes = st.sampled_from(["guid-a", "guid-b"])
messages = st.sampled_from(["<m1@x>", "<m2@x>", "<m3@x>", "<m4@x>", "<M1@x>", None])
item_ids = st.sampled_from(["i1", "i2", None, None])
paths = st.sampled_from(["\\Inbox", "Inbox", "\\Archive", "\\Sent Items", None])

accesses = st.fixed_dictionaries(
    {
        "occurred_at": hours,
        "mailbox_key": mailboxes,
        "access_type": st.sampled_from(["bind", "bind", "sync", "sync", None]),
        "operation_count": st.sampled_from([None, 0, 1, 5]),
        "item_entries": st.sampled_from([None, 0, 1, 2]),
        "is_throttled": st.sampled_from([False, None, False, True]),
        "session_id": st.sampled_from(["s1", "s2", None]),
        "folder_path": paths,
        "folder_id": st.sampled_from(["f1", "f2", None]),
    }
)
items = st.fixed_dictionaries(
    {
        "of": st.integers(0, 11),
        "kind": st.sampled_from(["message", "message", "message", "attachment"]),
        "internet_message_id": messages,
        "item_id": item_ids,
        "folder_path": paths,
    }
)
changes = st.fixed_dictionaries(
    {
        "occurred_at": hours,
        "mailbox_key": mailboxes,
        "operation_key": st.sampled_from(["create", "update", "copy", "move", "softdelete", "harddelete"]),
        "internet_message_id": messages,
        "folder_path": paths,
        "to_folder_path": paths,
    }
)
sends = st.fixed_dictionaries({"occurred_at": hours, "mailbox_key": mailboxes, "internet_message_id": messages})


@st.composite
def worlds(draw):
    """Mail accesses (some of them attachments opened), their items, and what else happened to messages."""
    records = draw(st.lists(accesses, min_size=1, max_size=12))
    opened = draw(st.lists(accesses, max_size=3))
    for number, record in enumerate([*records, *opened]):
        record["event_id"] = f"e{number:02}"
    every = [*records, *opened]
    listed = []
    for item in draw(st.lists(items, max_size=25)):
        record = every[item.pop("of") % len(every)]
        shared = {name: record[name] for name in ("event_id", "occurred_at", "mailbox_key")}
        listed.append({**shared, **item, "kind": "attachment" if record in opened else item["kind"]})
    identifying = ("event_id", "occurred_at", "mailbox_key", "session_id")
    return {
        "mail_accesses": records,
        "events": [
            {name: record[name] for name in identifying}
            | {"operation_key": "attachmentaccess" if record in opened else "mailitemsaccessed"}
            for record in every
        ],
        "accessed_items": listed,
        "item_changes": draw(st.lists(changes, max_size=10)),
        "sent_messages": draw(st.lists(sends, max_size=3)),
    }


# ---------------------------------------------------------------- the reference


def plain_path(path):
    return path.removeprefix("\\") if path else None


def message_of(item, listed):
    """The Message-ID of an entry, or the only one that its mailbox gives for the same item id."""
    if item["internet_message_id"] or not item["item_id"]:
        return item["internet_message_id"]
    same = {
        other["internet_message_id"]
        for other in listed
        if other["mailbox_key"] == item["mailbox_key"] and other["item_id"] == item["item_id"]
    } - {None}
    return same.pop() if len(same) == 1 else None


def folder_of(record, records):
    """Path and name of a synchronised folder; the path may be known from another record with the same id."""
    path = plain_path(record["folder_path"])
    if path is None and record["folder_id"]:
        known = {
            plain_path(other["folder_path"])
            for other in records
            if (other["mailbox_key"], other["folder_id"]) == (record["mailbox_key"], record["folder_id"])
        } - {None}
        path = known.pop() if len(known) == 1 else None
    return path, path or record["folder_id"] or ""


def placements(world):
    """(mailbox, folder, message, time, entered) for every record that shows a message come or go."""
    for item in world["accessed_items"]:
        if item["kind"] == "message":
            yield (
                item["mailbox_key"],
                plain_path(item["folder_path"]),
                item["internet_message_id"],
                item["occurred_at"],
                True,
            )
    for change in world["item_changes"]:
        where = change["mailbox_key"], change["internet_message_id"], change["occurred_at"]
        stays = change["operation_key"] in {"create", "update", "copy"}
        yield where[0], plain_path(change["folder_path"]), where[1], where[2], stays
        yield where[0], plain_path(change["to_folder_path"]), where[1], where[2], True
    for sent in world["sent_messages"]:
        yield sent["mailbox_key"], "Sent Items", sent["internet_message_id"], sent["occurred_at"], True


def listed_in(world, chosen):
    """The records that list each message, and the entries that name none."""
    certain, unnamed = {}, Counter()
    for item in world["accessed_items"]:
        if item["event_id"] in chosen:
            message = message_of(item, world["accessed_items"])
            if message:
                certain.setdefault((item["mailbox_key"], message), set()).add(item["event_id"])
            else:
                unnamed[item["mailbox_key"], "items_unnamed", item["event_id"]] += 1
    return certain, unnamed


def short_records(records):
    """How many items each bind record stands for and does not list."""
    short = Counter()
    for record in records:
        counted, listed = record["operation_count"] or 0, record["item_entries"] or 0
        if record["access_type"] == "sync" or counted <= listed > 0:
            continue
        reason = "items_unnamed" if listed else "records_without_items"
        short[record["mailbox_key"], reason, record["event_id"]] += counted - listed
    return short


def standing_in(world, mailbox, path, moment):
    """Messages that entered the folder by then and had not left it before."""
    moves = [move for move in placements(world) if move[:2] == (mailbox, path) and move[2]]
    return {
        (mailbox, path, message)
        for _, _, message, entered_at, enters in moves
        if enters
        and entered_at <= moment
        and not any(move[2] == message and not move[4] and entered_at <= move[3] < moment for move in moves)
    }


def reference(world, session):
    chosen = {event["event_id"] for event in world["events"] if session is None or event["session_id"] == session}
    records = [record for record in world["mail_accesses"] if record["event_id"] in chosen]
    certain, unnamed = listed_in(world, chosen)
    for key, count in short_records(records).items():
        # A record without a list stands for nothing that it counts: still a record of its kind.
        unnamed[key] = unnamed.get(key, 0) + count
    folders, stood = {}, set()
    for record in records:
        if record["access_type"] == "sync":
            path, name = folder_of(record, world["mail_accesses"])
            folders.setdefault((record["mailbox_key"], name), set()).add(record["event_id"])
            if path:
                stood |= standing_in(world, record["mailbox_key"], path, record["occurred_at"])
    return {
        "accesses": len(records),
        "certain": {key: tuple(sorted(ids)) for key, ids in certain.items()},
        "possible": {(mailbox, message) for mailbox, _, message in stood} - set(certain),
        "folders": {key: tuple(sorted(ids)) for key, ids in folders.items()},
        "known": Counter((mailbox, folder) for mailbox, folder, _ in stood),
        "unnamed": {
            key: (
                tuple(sorted(event for *of, event in unnamed if tuple(of) == key)),
                sum(count for (*of, _), count in unnamed.items() if tuple(of) == key),
            )
            for key in {tuple(of) for *of, _ in unnamed}
        },
    }


def loaded(world):
    filled = {
        name: CON.create_table(f"world_{name}", arrow_table(name, world[name]), overwrite=True) for name in TABLES
    }
    return {**EMPTY, **filled}


def computed(world, session):
    selection = Selection.by("session", session) if session else Selection.everything()
    return exposure(loaded(world), selection, cite=1000)


def spans_of(found):
    return {
        (span.mailbox, span.reason): (span.event_ids, span.explanation.values.get("items", 0))
        for span in found.open_ended
        if span.reason in {"records_without_items", "items_unnamed"}
    }


# No shrinking: each try plans a dozen queries, and a failing world is small enough to read.
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(world=worlds(), session=st.sampled_from([None, "s1"]), order=st.randoms(use_true_random=False), copies=st.data())
def test_the_exposure_equals_the_reference_in_any_order_and_with_repeated_entries(world, session, order, copies):
    expected = reference(world, session)
    shuffled = {name: order.sample(rows, len(rows)) for name, rows in world.items()}

    found = computed(shuffled, session)

    assert found.accesses == expected["accesses"]
    assert {
        (message.mailbox, message.internet_message_id): message.event_ids for message in found.messages
    } == expected["certain"]
    assert [message.entries for message in found.messages] == [len(message.event_ids) for message in found.messages]
    assert found.certain == len(expected["certain"])
    assert found.possible == len(expected["possible"])
    assert {line.mailbox: line.possible for line in found.mailboxes if line.possible} == Counter(
        mailbox for mailbox, _ in expected["possible"]
    )
    named = {(folder.mailbox, folder.folder_path or folder.folder_id or ""): folder for folder in found.folders}
    assert {key: folder.event_ids for key, folder in named.items()} == expected["folders"]
    assert {key: folder.known_messages for key, folder in named.items() if folder.known_messages} == expected["known"]
    assert spans_of(found) == expected["unnamed"]
    spans = Counter(span.mailbox for span in found.open_ended)
    assert {line.mailbox: line.unknowable for line in found.mailboxes} == {
        line.mailbox: spans[line.mailbox] for line in found.mailboxes
    }
    assert found.unknowable == spans.total()
    named_entries = [item for item in world["accessed_items"] if item["internet_message_id"]]
    if named_entries:
        repeated = copies.draw(st.lists(st.sampled_from(named_entries), max_size=5))
        again = computed({**world, "accessed_items": [*world["accessed_items"], *repeated]}, session)
        assert again == found


event_ids = st.lists(st.integers(0, 14).map(lambda number: f"e{number:02}"), max_size=6)
selections = st.one_of(
    st.just(Selection.everything()),
    st.sampled_from(["s1", "s2"]).map(lambda session: Selection.by("session", session)),
    st.sampled_from(["guid-a", "guid-none"]).map(lambda mailbox: Selection.by("mailbox", mailbox)),
    st.builds(Selection.of_events, st.just("case-1"), event_ids, sessions=st.sampled_from([[], ["s1"]])),
)


@settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    world=worlds(),
    asked=st.lists(selections, min_size=3, max_size=3),
    limit=st.sampled_from([1, 2, 100]),
    kept=st.sampled_from([0, 10, 10_000]),
)
def test_several_selections_at_once_are_what_each_is_alone(world, asked, limit, kept):
    """Whether all of it, some of it or none of it is small enough to be kept meanwhile."""
    tables = loaded(world)
    alone = tuple(exposure(tables, selection, limit=limit, cite=2) for selection in asked)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "_KEPT_ROWS", kept)
        together = exposures(tables, asked, limit=limit, cite=2)

    assert together == alone


# ---------------------------------------------------------------- doubt, and counts where reads go unrecorded


def listed_by(world, event_ids):
    return {
        (item["mailbox_key"], message)
        for item in world["accessed_items"]
        if item["event_id"] in event_ids and (message := message_of(item, world["accessed_items"]))
    }


def stops_of(world, records):
    """Mailbox, begin and end of each throttled span that the records of reading touch, merged where they overlap."""
    for mailbox in {record["mailbox_key"] for record in records}:
        times = [record["occurred_at"] for record in records if record["mailbox_key"] == mailbox]
        begins = sorted(
            record["occurred_at"]
            for record in world["mail_accesses"]
            if record["mailbox_key"] == mailbox and record["is_throttled"]
        )
        # All times of these worlds lie within 24 hours, so that the stops of a mailbox are one span.
        if begins and begins[0] <= max(times) + DAY and begins[-1] + DAY >= min(times):
            yield mailbox, begins[0], begins[-1] + DAY


def known_in(world, records, mailbox, begins, ends):
    """Messages of the folders read or synchronised, from their coming until they left for good before the span."""
    ids = {record["event_id"] for record in records}
    folders = {
        plain_path(item["folder_path"])
        for item in world["accessed_items"]
        if item["event_id"] in ids and item["mailbox_key"] == mailbox and item["kind"] == "message"
    } | {
        folder_of(record, world["mail_accesses"])[0]
        for record in world["mail_accesses"]
        if record["event_id"] in ids and record["mailbox_key"] == mailbox and record["access_type"] == "sync"
    }
    moves = [move for move in placements(world) if move[0] == mailbox and move[1] and move[1] in folders and move[2]]
    found = set()
    for _, folder, message, entered_at, enters in moves:
        left = [
            at
            for _, path, other, at, comes in moves
            if (path, other) == (folder, message) and not comes and at < begins
        ]
        if enters and entered_at <= ends and (entered_at >= begins or all(at <= entered_at for at in left)):
            found.add(message)
    return found


DAY = dt.timedelta(hours=24)
numbers = st.sets(st.integers(0, 14))


@settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(world=worlds(), meant=numbers, doubted=numbers, order=st.randoms(use_true_random=False))
def test_doubt_and_throttled_counts_equal_the_reference_in_any_order(world, meant, doubted, order):
    sure, doubtful = ({f"e{number:02}" for number in each} for each in (meant, doubted - meant))
    certain = listed_by(world, sure)
    in_doubt = listed_by(world, doubtful) - certain
    chosen = sure | doubtful
    reading = {record["event_id"] for record in world["mail_accesses"]} | {
        item["event_id"] for item in world["accessed_items"] if item["kind"] == "attachment"
    }
    records = [event for event in world["events"] if event["event_id"] in chosen & reading]
    stood = set()
    for record in world["mail_accesses"]:
        path, _ = folder_of(record, world["mail_accesses"])
        if record["event_id"] in chosen and record["access_type"] == "sync" and path:
            stood |= standing_in(world, record["mailbox_key"], path, record["occurred_at"])
    synced = {(mailbox, message) for mailbox, _, message in stood} - certain
    shuffled = {name: order.sample(rows, len(rows)) for name, rows in world.items()}

    found = exposure(loaded(shuffled), Selection.of_events("case-1", meant_ids(meant), doubtful=meant_ids(doubted)))

    assert found.certain == len(certain)
    assert {(line.mailbox, line.internet_message_id) for line in found.messages} == certain
    assert {(line.mailbox, line.internet_message_id) for line in found.possible_messages} == in_doubt
    assert {line.reason for line in found.possible_messages} <= {"may_be_own"}
    assert (found.possible_doubtful, found.possible_synced) == (len(in_doubt), len(synced))
    assert found.possible == len(in_doubt | synced)
    cited = {event_id for line in found.possible_messages for event_id in line.event_ids}
    assert cited <= doubtful
    spans = {
        (span.mailbox, span.first_at, span.last_at): (span.seen, span.known)
        for span in found.open_ended
        if span.reason == "throttled"
    }
    expected = {}
    for mailbox, begins, ends in stops_of(world, records):
        times = {record["event_id"]: record["occurred_at"] for record in records}
        inside = {event_id for event_id, at in times.items() if begins <= at <= ends}
        seen = {message for key, message in listed_by(world, inside) if key == mailbox}
        known = known_in(world, records, mailbox, begins, ends)
        expected[mailbox, begins, ends] = len(seen), len(seen | known)
    assert spans == expected


def meant_ids(numbers):
    return [f"e{number:02}" for number in sorted(numbers)]
