"""What was read: every number with its kind, every line with its records."""

import csv
import datetime as dt
import itertools
import sys

import ibis
import pytest

from brokenseal.case_exposure import Suspected, doubtful_ids
from brokenseal.exposure import ANY_MAILBOX, exposed_messages, exposure, exposures
from brokenseal.model import ExposedFolder, ExposedMessage
from brokenseal.selection import Forwarding, OpenDoor, Selection
from support import SAMPLES, arrow_table, make_tables, needs_samples

T0 = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
A = {"mailbox_key": "guid-a", "mailbox_upn": "a@contoso.example"}
B = {"mailbox_key": "guid-b", "mailbox_upn": "b@contoso.example"}
OWA = {"effective_app": "9199bf20-a13f-4107-85dc-02114787ef48"}
OWA_SHOWN = "Outlook Web App (9199bf20-a13f-4107-85dc-02114787ef48)"


CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)
NUMBERS = itertools.count()


def at(hours):
    return T0 + dt.timedelta(hours=hours)


class World:
    """Rows of all tables, added record by record."""

    def __init__(self):
        self.rows = {}

    def add(self, table, **row):
        self.rows.setdefault(table, []).append(row)
        return self

    def bind(self, event_id, hours, *messages, mailbox=A, folder="\\Inbox", **access):
        shared = {"event_id": event_id, "occurred_at": at(hours), **mailbox}
        counts = {"item_entries": len(messages), "operation_count": len(messages)}
        self.add("mail_accesses", **{**shared, "access_type": "bind", "is_throttled": False, **counts, **access})
        self.add("events", **shared)
        for message in messages:
            item = message if isinstance(message, dict) else {"internet_message_id": message}
            self.add("accessed_items", **{**shared, "kind": "message", "folder_path": folder, **item})
        return self

    def sync(self, event_id, hours, *, mailbox=A, **access):
        shared = {"event_id": event_id, "occurred_at": at(hours), **mailbox}
        self.add(
            "mail_accesses", **{**shared, "access_type": "sync", "is_throttled": False, "item_entries": 0, **access}
        )
        return self.add("events", **shared)

    def attachment(self, event_id, hours, *, mailbox=A, item_id=None, message=None, **event):
        shared = {"event_id": event_id, "occurred_at": at(hours), **mailbox}
        self.add("events", **shared, operation_key="attachmentaccess", **event)
        return self.add(
            "accessed_items", **shared, kind="attachment", item_id=item_id, internet_message_id=message, subject="a.pdf"
        )

    def change(self, event_id, hours, operation, message, folder=None, to=None, mailbox=A):
        return self.add(
            "item_changes",
            event_id=event_id,
            occurred_at=at(hours),
            operation_key=operation,
            internet_message_id=message,
            folder_path=folder,
            to_folder_path=to,
            subject=f"subject of {message}",
            **mailbox,
        )

    def expose(self, selection=None, **limits):
        (found,) = self.expose_all(selection or Selection.everything(), **limits)
        return found

    def tables(self):
        # One connection for all worlds, and only the tables that hold something made anew: the tests stay quick.
        filled = {
            name: CON.create_table(f"{name}_{next(NUMBERS)}", arrow_table(name, rows))
            for name, rows in self.rows.items()
        }
        return {**EMPTY, **filled}

    def expose_all(self, *selections, **limits):
        return exposures(self.tables(), selections, **limits)


def counts(found):
    return found.accesses, found.certain, found.possible, found.unknowable


# ---------------------------------------------------------------- certain


def test_a_message_read_often_is_one_exposure_that_cites_all_its_records():
    world = World()
    world.bind("e2", 2, "<m1@x>", client_ip="192.0.2.2", session_id="s1", **OWA)
    world.bind("e1", 1, "<m1@x>", "<m2@x>", client_ip="192.0.2.1", protocol="rest")

    found = world.expose()

    assert counts(found) == (2, 2, 0, 0)
    assert found.messages[0] == ExposedMessage(
        mailbox="a@contoso.example",
        internet_message_id="<m1@x>",
        subject=None,
        sender=None,
        recipients=(),
        folder_path="\\Inbox",
        size_bytes=None,
        first_at=at(1),
        last_at=at(2),
        entries=2,
        clients=(OWA_SHOWN, "rest"),
        addresses=("192.0.2.1", "192.0.2.2"),
        sessions=("s1",),
        event_ids=("e1", "e2"),
    )


def test_the_same_message_in_two_mailboxes_is_two_exposures():
    found = World().bind("e1", 1, "<m1@x>").bind("e2", 2, "<m1@x>", mailbox=B).expose()

    assert found.certain == 2
    assert [(mailbox.mailbox, mailbox.certain) for mailbox in found.mailboxes] == [
        ("a@contoso.example", 1),
        ("b@contoso.example", 1),
    ]


def test_an_entry_that_a_record_lists_twice_is_one_message():
    found = World().bind("e1", 1, "<m1@x>", "<m1@x>").expose()

    assert (found.certain, found.mailboxes[0].item_entries, found.messages[0].entries) == (1, 2, 1)


def test_message_ids_differ_by_case():
    assert World().bind("e1", 1, "<M1@x>", "<m1@x>").expose().certain == 2


def test_a_mailbox_line_sums_up_its_own_accesses():
    world = World().bind("e1", 1, "<m1@x>", "<m2@x>", client_ip="192.0.2.1", **OWA)
    world.bind("e2", 3, "<m2@x>").sync("e3", 4, folder_id="f1").bind("e4", 9, "<m1@x>", mailbox=B)

    mailbox = world.expose().mailboxes[0]

    assert (mailbox.mailbox_key, mailbox.accesses, mailbox.item_entries) == ("guid-a", 3, 3)
    assert (mailbox.certain, mailbox.possible, mailbox.possible_folders, mailbox.unknowable) == (2, 0, 1, 0)
    assert (mailbox.first_at, mailbox.last_at) == (at(1), at(4))
    assert (mailbox.clients, mailbox.addresses) == ((OWA_SHOWN, "unknown"), ("192.0.2.1",))


def test_only_the_selected_accesses_count():
    world = World().bind("e1", 1, "<m1@x>", "<m2@x>", session_id="s1").bind("e2", 2, "<m2@x>", "<m3@x>")

    found = world.expose(Selection.by("session", "S1"))

    assert (found.selection, found.accesses, found.certain) == ("session s1", 1, 2)
    assert [message.event_ids for message in found.messages] == [("e1",), ("e1",)]


def test_nothing_selected_is_an_exposure_of_nothing():
    found = World().bind("e1", 1, "<m1@x>").expose(Selection.by("session", "absent"))

    assert counts(found) == (0, 0, 0, 0)
    assert () == found.mailboxes == found.messages == found.folders == found.open_ended


def test_lists_are_limited_and_counts_are_not():
    world = World()
    for number in range(7):
        world.bind(f"e{number}", 10 - number, f"<m{number}@x>", "<all@x>")

    found = world.expose(limit=3, cite=2)

    assert (found.certain, found.mailboxes[0].certain) == (8, 8)
    assert [message.internet_message_id for message in found.messages] == ["<all@x>", "<m6@x>", "<m5@x>"]
    assert (found.messages[0].entries, found.messages[0].event_ids) == (7, ("e0", "e1"))


# ---------------------------------------------------------------- what other records tell of a message


def test_subject_sender_and_recipients_come_from_the_message_trace():
    world = World().bind("e1", 1, "<m1@x>")
    for recipient in ("b@contoso.example", "a@contoso.example", "b@contoso.example"):
        world.add(
            "message_traces",
            event_id=f"t-{recipient}",
            internet_message_id="<m1@x>",
            sender="s@other.example",
            recipient=recipient,
            subject="traced",
        )
    (message,) = world.expose().messages

    assert (message.subject, message.sender) == ("traced", "s@other.example")
    assert message.recipients == ("a@contoso.example", "b@contoso.example")


def test_the_nearest_record_that_gives_a_subject_wins():
    """Own record, then trace, then sending, then another reading, then a change; each message lacks one more."""
    world = World()
    for number in range(6):
        message = f"<m{number}@x>"
        given = [text if place >= number else None for place, text in enumerate(("own", "traced", "sent", "read"))]
        own, traced, sent, read = given
        world.bind(f"e{number}", 1, {"internet_message_id": message, "subject": own}, session_id="s1")
        world.add("message_traces", event_id=f"t{number}", internet_message_id=message, subject=traced)
        world.add("sent_messages", event_id=f"s{number}", internet_message_id=message, subject=sent, **B)
        world.bind(f"r{number}", 2, {"internet_message_id": message, "subject": read}, mailbox=B)
        if number < 5:
            world.change(f"c{number}", 3, "update", message, mailbox=B)

    messages = world.expose(Selection.by("session", "s1")).messages

    expected = ["own", "traced", "sent", "read", "subject of <m4@x>", None]
    assert [message.subject for message in messages] == expected


def test_a_send_record_names_the_sender():
    world = World().bind("e1", 1, "<m1@x>", "<m2@x>", "<m3@x>")
    world.add("sent_messages", event_id="s1", internet_message_id="<m1@x>", sent_as="boss@contoso.example", **B)
    world.add("sent_messages", event_id="s2", internet_message_id="<m2@x>", **B)
    world.add("sent_messages", event_id="s3", internet_message_id="<m3@x>", actor_key="svc@contoso.example")

    senders = [message.sender for message in world.expose().messages]

    assert senders == ["boss@contoso.example", "b@contoso.example", "svc@contoso.example"]


# ---------------------------------------------------------------- attachments


def test_an_attachment_counts_under_its_message_and_never_as_a_further_one():
    world = World().bind("e1", 1, {"internet_message_id": "<m1@x>", "item_id": "i1", "subject": "offer"})
    world.attachment("e2", 2, item_id="i1")

    found = world.expose()

    assert counts(found) == (1, 1, 0, 0)
    assert (found.messages[0].subject, found.messages[0].event_ids) == ("offer", ("e1", "e2"))
    assert found.mailboxes[0].item_entries == 1


def test_an_attachment_opened_under_the_selection_exposes_its_message():
    """The message's own Message-ID is learnt from another client's record; the attachment's name is no subject."""
    world = World().bind("e1", 1, {"internet_message_id": "<m1@x>", "item_id": "i1"})
    world.attachment("e2", 2, item_id="i1", session_id="s1").attachment("e3", 3, message="<m2@x>", session_id="s1")

    found = world.expose(Selection.by("session", "s1"))

    assert counts(found) == (0, 2, 0, 0)
    assert [(message.internet_message_id, message.subject, message.event_ids) for message in found.messages] == [
        ("<m1@x>", None, ("e2",)),
        ("<m2@x>", None, ("e3",)),
    ]


def test_an_item_of_no_known_message_is_unknowable_and_no_message():
    """Unknown, ambiguous, or known in another mailbox only: none of these names a message."""
    world = World().attachment("e1", 1, item_id="unknown", session_id="s1")
    world.bind("r1", 1, {"internet_message_id": "<m1@x>", "item_id": "i1"})
    world.bind("r2", 1, {"internet_message_id": "<m2@x>", "item_id": "i1"})
    world.attachment("e2", 2, item_id="i1", session_id="s1")
    world.bind("e3", 3, {"item_id": "i1"}, mailbox=B, session_id="s1")

    found = world.expose(Selection.by("session", "s1"))

    assert counts(found) == (1, 0, 0, 2)
    assert [(span.mailbox, span.reason, span.event_ids) for span in found.open_ended] == [
        ("a@contoso.example", "items_unnamed", ("e1", "e2")),
        ("b@contoso.example", "items_unnamed", ("e3",)),
    ]


# ---------------------------------------------------------------- possible: folders that went to a client


def test_a_synchronised_folder_exposes_what_is_known_to_have_stood_in_it():
    world = World().bind("e1", 1, "<read@x>").bind("e2", 1, "<elsewhere@x>", folder="\\Archive")
    world.change("c1", 2, "create", "<created@x>", folder="Inbox")
    world.change("c2", 3, "move", "<moved-in@x>", folder="\\Drafts", to="\\Inbox")
    world.change("c3", 9, "create", "<too-late@x>", folder="\\Inbox")
    world.sync("s1", 5, folder_path="\\Inbox", folder_id="f1", session_id="theirs")

    found = world.expose(Selection.by("session", "theirs"))

    assert counts(found) == (1, 0, 3, 0)
    assert (found.mailboxes[0].possible, found.mailboxes[0].possible_folders) == (3, 1)
    assert found.folders == (
        ExposedFolder(
            mailbox="a@contoso.example",
            folder_path="Inbox",
            folder_id="f1",
            first_at=at(5),
            last_at=at(5),
            known_messages=3,
            event_ids=("s1",),
            records=1,
        ),
    )


def test_what_left_the_folder_before_the_sync_was_not_there():
    world = World()
    for operation in ("move", "movetodeleteditems", "softdelete", "harddelete"):
        message = f"<{operation}@x>"
        world.change(f"in-{operation}", 1, "create", message, folder="\\Inbox")
        world.change(f"out-{operation}", 2, operation, message, folder="\\Inbox")

    found = world.sync("s1", 3, folder_path="\\Inbox").expose()

    assert (found.possible, found.folders[0].known_messages) == (0, None)


def test_what_left_with_or_after_the_sync_was_there():
    world = World().sync("s1", 5, folder_path="\\Inbox")
    for left in (5, 6):
        world.change(f"in-{left}", 5, "create", f"<m{left}@x>", folder="\\Inbox")
        world.change(f"out-{left}", left, "harddelete", f"<m{left}@x>", folder="\\Inbox")

    assert world.expose().possible == 2


def test_a_copy_leaves_the_message_where_it_was():
    world = World().change("c1", 1, "copy", "<m1@x>", folder="\\Inbox", to="\\Archive")
    world.sync("s1", 2, folder_path="\\Inbox").sync("s2", 2, folder_path="\\Archive")

    found = world.expose()

    assert [folder.known_messages for folder in found.folders] == [1, 1]
    assert found.possible == 1, "one message in two folders is one message"


def test_what_came_back_was_there_again():
    world = World().change("c1", 1, "create", "<m1@x>", folder="\\Inbox")
    world.change("c2", 2, "move", "<m1@x>", folder="\\Inbox", to="\\Archive")
    world.change("c3", 4, "move", "<m1@x>", folder="\\Archive", to="\\Inbox")
    world.sync("s1", 3, folder_path="\\Inbox")

    assert world.expose().possible == 0
    assert world.sync("s2", 5, folder_path="\\Inbox").expose().possible == 1


def test_what_is_certain_is_not_possible_too():
    world = World().bind("e1", 1, "<m1@x>", session_id="s").sync("s1", 2, folder_path="\\Inbox", session_id="s")

    found = world.expose()

    assert (found.certain, found.possible) == (1, 0)
    assert found.folders[0].known_messages == 1


def test_a_sent_message_stood_in_the_sent_folder():
    world = World().sync("s1", 2, folder_path="\\Éléments envoyés")
    world.add("sent_messages", event_id="m1", occurred_at=at(1), internet_message_id="<m1@x>", **A)

    assert world.expose().possible == 1


def test_the_same_folder_of_another_mailbox_is_another_folder():
    world = World().change("c1", 1, "create", "<m1@x>", folder="\\Inbox", mailbox=B)

    assert world.sync("s1", 2, folder_path="\\Inbox").expose().possible == 0


def test_a_folder_is_known_by_its_id_where_another_record_gives_its_path():
    world = World().change("c1", 1, "create", "<m1@x>", folder="\\Inbox")
    world.sync("s1", 2, folder_id="f1", folder_path="Not Available").sync(
        "s2", 9, folder_id="f1", folder_path="\\Inbox"
    )

    (folder,) = world.expose().folders

    assert ("Inbox", 1, 2, at(2), at(9)) == (
        folder.folder_path,
        folder.known_messages,
        folder.records,
        folder.first_at,
        folder.last_at,
    )


def test_a_folder_without_a_path_is_a_folder_with_unknown_content():
    found = World().change("c1", 1, "create", "<m1@x>", folder="\\Inbox").sync("s1", 2, folder_id="f1").expose()

    assert (
        found.folders[0].folder_path,
        found.folders[0].folder_id,
        found.folders[0].known_messages,
    ) == (None, "f1", None)
    assert (found.mailboxes[0].possible, found.mailboxes[0].possible_folders) == (0, 1)


def test_a_folder_cites_its_first_records_and_counts_all():
    world = World()
    for number in range(5):
        world.sync(f"s{number}", 9 - number, folder_id="f1")

    (folder,) = world.expose(cite=2).folders

    assert (folder.records, folder.event_ids) == (5, ("s3", "s4"))


# ---------------------------------------------------------------- unknowable


def reasons(found):
    return [(span.mailbox, span.reason) for span in found.open_ended]


def test_a_throttled_mailbox_is_open_ended_for_the_24_hours_after():
    found = World().bind("e1", 1, "<m1@x>", is_throttled=True).expose()

    (span,) = found.open_ended
    assert ("throttled", at(1), at(25), ("e1",)) == (span.reason, span.first_at, span.last_at, span.event_ids)
    assert (found.unknowable, found.mailboxes[0].unknowable) == (1, 1)


def test_overlapping_throttles_are_one_span_and_distant_ones_two():
    world = World()
    for event_id, hours in (("e1", 0), ("e2", 20), ("e3", 100)):
        world.bind(event_id, hours, "<m1@x>", is_throttled=True)

    spans = world.expose().open_ended

    assert [(at(0), at(44), ("e1", "e2")), (at(100), at(124), ("e3",))] == [
        (span.first_at, span.last_at, span.event_ids) for span in spans
    ]


def test_a_throttle_that_another_client_caused_hides_this_one_too():
    """What ran on into the blind span shows no records there: a stop within a day after the last record counts."""
    world, names = World(), {}
    for stopped_at in (-30, -20, 5, 20, 40):
        mailbox = {"mailbox_key": f"stopped at {stopped_at}"}
        names[stopped_at] = mailbox["mailbox_key"]
        world.bind(f"first {stopped_at}", 0, "<m1@x>", mailbox=mailbox, session_id="s1")
        world.bind(f"last {stopped_at}", 10, "<m1@x>", mailbox=mailbox, session_id="s1")
        world.bind(f"stop {stopped_at}", stopped_at, "<m2@x>", mailbox=mailbox, is_throttled=True)
    world.bind("not read", 5, "<m2@x>", mailbox=B, is_throttled=True)

    found = world.expose(Selection.by("session", "s1"))

    assert {span.mailbox for span in found.open_ended} == {names[-20], names[5], names[20]}


def test_records_without_items_are_open_ended_with_what_the_service_counted():
    world = World().bind("e1", 1, item_entries=None, operation_count=4).bind("e2", 2, item_entries=0, operation_count=3)

    (span,) = world.expose().open_ended

    assert ("records_without_items", at(1), at(2), ("e1", "e2")) == (
        span.reason,
        span.first_at,
        span.last_at,
        span.event_ids,
    )
    assert span.explanation.values == {"records": 2, "items": 7}


def test_a_record_of_unknown_kind_without_items_is_open_ended_and_a_sync_is_not():
    found = World().bind("e1", 1, access_type=None, operation_count=None).sync("s1", 2, folder_id="f").expose()

    assert reasons(found) == [("a@contoso.example", "records_without_items")]
    assert found.open_ended[0].explanation.values == {"records": 1}


def test_items_that_a_record_counts_and_does_not_name_are_open_ended():
    """Entries without a Message-ID and entries that are not listed at all add up, each record counted once."""
    world = World().bind("e1", 1, "<m1@x>", {"item_id": "i9"}, operation_count=5).bind("e2", 2, "<m1@x>")

    found = world.expose()

    assert counts(found) == (2, 1, 0, 1)
    assert (found.open_ended[0].reason, found.open_ended[0].event_ids) == ("items_unnamed", ("e1",))
    assert found.open_ended[0].explanation.values == {"records": 1, "items": 4}


def bypass(world, target, change="audit_bypass", hours=0):
    return world.add(
        "config_changes",
        event_id=f"off-{target}",
        occurred_at=at(hours),
        change=change,
        operation_key="set-mailboxauditbypassassociation",
        target=target,
        target_key=target,
        object_id=target,
    )


def test_switched_off_auditing_is_open_ended_for_what_it_hides():
    """A mailbox, its owner by alias, an account that reads, the organisation; others leave a session alone."""
    world = World().bind("e1", 1, "<m1@x>", session_id="s1", actor_key="svc@contoso.example")
    bypass(world, "a@contoso.example", "mailbox_audit_disabled")
    bypass(world, "a")
    bypass(world, "svc@contoso.example")
    bypass(world, "contoso", "audit_disabled")
    bypass(world, "b@contoso.example", "mailbox_audit_disabled")
    bypass(world, "nobody@contoso.example")
    bypass(world, "guid-a", "mailbox_audit_disabled", hours=90)
    hidden = {"off-a@contoso.example", "off-a", "off-svc@contoso.example", "off-contoso"}
    of_others = {"off-b@contoso.example", "off-nobody@contoso.example", "off-guid-a"}

    session, every = world.expose_all(Selection.by("session", "s1"), Selection.everything())

    assert {span.reason for span in session.open_ended} == {"audit_bypassed"}
    assert {event_id for span in session.open_ended for event_id in span.event_ids} == hidden
    assert (session.unknowable, session.mailboxes[0].unknowable) == (4, 2)
    assert {event_id for span in every.open_ended for event_id in span.event_ids} == hidden | of_others
    assert [span.mailbox for span in session.open_ended] == [
        "a@contoso.example",
        "a@contoso.example",
        "contoso",
        "svc@contoso.example",
    ]


def test_a_mailbox_whose_auditing_was_off_and_that_shows_no_reading_is_unknowable():
    world = bypass(World().bind("e1", 1, "<m1@x>"), "b@contoso.example", "mailbox_audit_disabled")

    assert reasons(world.expose(Selection.by("mailbox", "B@contoso.example"))) == [
        ("b@contoso.example", "audit_bypassed"),
        ("b@contoso.example", "no_mail_access_log"),
    ]


def test_mailboxes_without_any_mail_access_record_are_unknowable_and_have_no_line_of_numbers():
    world = World().bind("e1", 1, "<m1@x>").add("events", event_id="x", **B)

    every, mailbox, case, other_case = world.expose_all(
        Selection.everything(),
        Selection.by("mailbox", "a@contoso.example"),
        Selection.of_events("case-1", ["e1"], mailboxes=["b@contoso.example"]),
        Selection.of_events("case-2", ["e1"]),
    )

    assert reasons(every) == reasons(case) == [("b@contoso.example", "no_mail_access_log")]
    assert reasons(mailbox) == reasons(other_case) == []
    assert [line.mailbox for line in every.mailboxes] == ["a@contoso.example"]


def test_logs_without_any_mail_access_say_so():
    every, mailbox, session = World().expose_all(
        Selection.everything(), Selection.by("mailbox", "x@contoso.example"), Selection.by("session", "s1")
    )

    assert reasons(every) == [(ANY_MAILBOX, "no_mail_access_log")]
    assert reasons(mailbox) == [("x@contoso.example", "no_mail_access_log")]
    assert reasons(session) == []


def test_a_record_without_a_mailbox_is_kept_under_no_name():
    found = World().bind("e1", 1, "<m1@x>", mailbox={}).expose()

    assert (found.accesses, found.certain, found.mailboxes[0].mailbox) == (1, 1, ANY_MAILBOX)


# ---------------------------------------------------------------- shared doubt


def case_of(*event_ids, **more):
    return Selection.of_events("case-1", event_ids, **more)


def test_what_only_doubtful_reads_list_is_possible_and_listed_with_its_reason():
    world = World().bind("e1", 1, "<m1@x>", "<m2@x>").bind("e2", 2, "<m2@x>", "<m3@x>").bind("e3", 3, "<m3@x>")

    found = world.expose(case_of("e1", doubtful=["e2", "e3"]))

    assert (found.accesses, found.doubtful_accesses, found.certain) == (3, 2, 2)
    assert (found.possible, found.possible_doubtful, found.possible_synced, found.possible_forwarded) == (1, 1, 0, 0)
    assert [(line.internet_message_id, line.reason, line.event_ids) for line in found.messages] == [
        ("<m1@x>", None, ("e1",)),
        ("<m2@x>", None, ("e1",)),
    ]
    (line,) = found.possible_messages
    assert (line.internet_message_id, line.reason) == ("<m3@x>", "may_be_own")
    assert (line.event_ids, line.entries, line.first_at) == (("e2", "e3"), 2, at(2))
    (mailbox,) = found.mailboxes
    assert (mailbox.doubtful_accesses, mailbox.certain, mailbox.possible_doubtful) == (2, 2, 1)


def test_a_record_that_is_listed_and_doubtful_is_certain():
    found = World().bind("e1", 1, "<m1@x>").expose(case_of("e1", doubtful=["e1"]))

    assert (found.certain, found.possible, found.doubtful_accesses) == (1, 0, 0)


def test_a_doubtful_record_under_a_session_of_the_case_stays_doubtful():
    world = World().bind("e1", 1, "<m1@x>", session_id="s1").bind("e2", 2, "<m2@x>", session_id="s1")

    found = world.expose(case_of(doubtful=["e2"], sessions=["s1"]))

    assert (found.accesses, found.certain, found.possible_doubtful) == (2, 1, 1)


def test_the_list_of_possible_messages_is_limited_and_the_count_is_not():
    world = World().bind("e0", 0, *(f"<c{number}@x>" for number in range(4)))
    world.bind("e1", 1, *(f"<m{number}@x>" for number in range(5)))

    found = world.expose(case_of("e0", doubtful=["e1"]), limit=3)

    assert (found.possible, [line.internet_message_id for line in found.possible_messages]) == (
        5,
        ["<m0@x>", "<m1@x>", "<m2@x>"],
    )
    assert len(found.messages) == 3


def test_a_message_possible_in_several_ways_is_one():
    world = World().bind("e0", 0, "<m1@x>", "<m2@x>").sync("e1", 1, folder_path="\\Inbox", folder_id="F")

    found = world.expose(case_of("e1", doubtful=["e0"]))

    assert (found.possible, found.possible_synced, found.possible_doubtful) == (2, 2, 2)


def test_every_exposed_message_says_which_are_doubtful():
    world = World().bind("e1", 1, "<m1@x>").bind("e2", 2, "<m1@x>", "<m2@x>")
    rows = exposed_messages(world.tables(), case_of("e1", doubtful=["e2"])).to_pyarrow().to_pylist()

    assert [(row["internet_message_id"], row["is_doubtful"], row["event_ids"]) for row in rows] == [
        ("<m1@x>", False, ["e1"]),
        ("<m2@x>", True, ["e2"]),
    ]


# ---------------------------------------------------------------- forwarded mail and doors


def rule(first, last=None, mailbox="a@contoso.example"):
    return Forwarding(
        event_ids=("c1",),
        mailboxes=frozenset((mailbox,)),
        domains=frozenset(),
        destinations=frozenset(("x@evil.example",)),
        first_at=at(first),
        last_at=None if last is None else at(last),
    )


def traced(world, message, hours, recipient="a@contoso.example"):
    return world.add(
        "message_traces",
        event_id=f"trace:{message}",
        occurred_at=at(hours),
        internet_message_id=message,
        recipient=recipient,
        sender="z@else.example",
        subject="Offer",
    )


def test_mail_that_a_rule_sent_on_is_possible_unless_it_was_read_anyway():
    world = World().bind("e1", 1, "<m1@x>")
    for number, hours in ((1, 2), (2, 3), (3, 9)):
        traced(world, f"<m{number}@x>", hours)

    found = world.expose(case_of("e1", forwardings=[rule(0, 5)]))

    assert (found.certain, found.possible, found.possible_forwarded, found.unknowable) == (1, 1, 1, 0)
    (line,) = found.possible_messages
    assert (line.internet_message_id, line.reason, line.mailbox) == ("<m2@x>", "forwarded", "a@contoso.example")
    assert (line.subject, line.sender, line.event_ids) == ("Offer", "z@else.example", ("c1", "trace:<m2@x>"))
    assert (found.mailboxes[0].possible_forwarded, len(found.mailboxes)) == (1, 1)


def test_a_case_of_forwarding_alone_has_a_line_for_the_mailbox():
    world = traced(World(), "<m1@x>", 1)

    found = world.expose(case_of(forwardings=[rule(0, 5)]))

    assert counts(found) == (0, 0, 1, 0)
    (line,) = found.mailboxes
    assert (line.mailbox, line.mailbox_key) == ("a@contoso.example", "upn:a@contoso.example")
    assert (line.possible, line.possible_forwarded, line.first_at, line.clients) == (1, 1, None, ())


def test_forwarding_that_no_trace_covers_is_unknowable():
    found = World().bind("e1", 1, "<m1@x>").expose(case_of("e1", forwardings=[rule(0, 5)]))

    (span,) = found.open_ended
    assert (span.mailbox, span.reason, span.event_ids) == ("a@contoso.example", "forwarded_untraced", ("c1",))
    assert (span.first_at, span.last_at, found.mailboxes[0].unknowable) == (at(0), at(5), 1)


def test_a_door_to_mailboxes_without_a_log_is_unknowable():
    door = OpenDoor(kind="app_mail_role", event_ids=("d1",), mailbox=None, holder="App", first_at=at(0), last_at=None)
    world = World().bind("e1", 1, "<m1@x>").add("events", event_id="e9", occurred_at=at(1), **B)

    case, other = world.expose_all(case_of("e1", doors=[door]), case_of("e1"))

    assert reasons(case) == [(ANY_MAILBOX, "door_unlogged")]
    assert case.open_ended[0].event_ids == ("d1",)
    assert reasons(other) == []


def test_auditing_that_the_case_switched_off_is_stated_whoever_read():
    world = World().bind("e1", 1, "<m1@x>")
    world.add(
        "config_changes",
        event_id="c1",
        occurred_at=at(50),
        change="audit_bypass",
        operation_key="set-mailboxauditbypassassociation",
        target="svc",
        target_key="svc",
        object_id="svc",
    )
    world.add("change_settings", event_id="c1", name_key="auditbypassenabled", new_value="True")

    case, other = world.expose_all(case_of("e1", changes=["c1"]), case_of("e1"))

    assert reasons(case) == [("svc", "audit_bypassed")]
    assert reasons(other) == []


# ---------------------------------------------------------------- how many, where reads go unrecorded


def test_a_throttled_span_says_how_many_were_seen_and_are_known_to_have_stood_there():
    world = World().bind("e1", 0, "<m1@x>", "<m2@x>", is_throttled=True).bind("e2", 2, "<m3@x>")
    world.change("c1", 1, "create", "<m4@x>", folder="\\Inbox")
    world.change("c2", -5, "create", "<m5@x>", folder="\\Inbox")
    world.change("c3", -6, "create", "<m6@x>", folder="\\Inbox")
    world.change("c4", -1, "harddelete", "<m6@x>", folder="\\Inbox")
    world.change("c5", 30, "create", "<late@x>", folder="\\Inbox")
    world.change("c6", 1, "create", "<elsewhere@x>", folder="\\Archive")
    world.change("c7", 1, "create", "<other@x>", folder="\\Inbox", mailbox=B)

    every, first = world.expose_all(Selection.everything(), case_of("e1"))

    assert [(span.reason, span.seen, span.known) for span in every.open_ended if span.seen is not None] == [
        ("throttled", 3, 5)
    ]
    assert [(span.seen, span.known) for span in first.open_ended] == [(2, 5)]
    assert first.open_ended[0].explanation.values == {"seen": 2, "known": 5}


def test_a_throttled_span_of_a_mailbox_of_which_nothing_is_known_counts_none():
    found = World().sync("e1", 0, is_throttled=True, folder_id="F").expose()

    assert [(span.seen, span.known) for span in found.open_ended] == [(0, 0)]


# ---------------------------------------------------------------- real records


@pytest.fixture(scope="module")
def invictus():
    from brokenseal.errors import RecordRejected
    from brokenseal.sources.unified_audit import SOURCE

    csv.field_size_limit(sys.maxsize)
    rows, seen = {}, set()
    with (SAMPLES / "invictus-o365" / "auditrecords-1121.csv").open(encoding="utf-8-sig", newline="") as stream:
        for record in csv.DictReader(stream):
            try:
                found = SOURCE.normalise(record)
            except RecordRejected:
                continue
            if found["events"][0]["event_id"] not in seen:
                seen.add(found["events"][0]["event_id"])
                for table, more in found.items():
                    rows.setdefault(table, []).extend(more)
    return make_tables(rows)


@needs_samples
def test_the_sample_tenant_shows_92_accesses_and_72_messages_in_10_mailboxes(invictus):
    found = exposure(invictus, Selection.everything())

    assert (found.accesses, found.certain, found.possible) == (92, 72, 0)
    assert (len(found.mailboxes), sum(mailbox.item_entries for mailbox in found.mailboxes)) == (10, 279)
    assert [span.reason for span in found.open_ended] == ["no_mail_access_log"] * 2


@needs_samples
def test_the_takeover_address_of_the_sample_read_24_messages(invictus):
    found = exposure(invictus, Selection.by("ip", "62.149.20.10:62589"))

    assert counts(found) == (5, 24, 0, 0)
    assert [mailbox.mailbox for mailbox in found.mailboxes] == ["a.thulile@dutchmasterz.onmicrosoft.com"]
    assert found.mailboxes[0].item_entries == 25
    assert len(found.messages) == 24
    assert len({event_id for message in found.messages for event_id in message.event_ids}) == 5


@needs_samples
def test_the_labs_own_exit_of_the_sample_is_doubtful_and_the_takeover_and_its_application_are_certain(invictus):
    accesses = invictus["mail_accesses"]
    meant = accesses.client_ip.isin(["62.149.20.10", "178.85.138.132"]) | (
        accesses.effective_app == "ea0056b2-87ac-4765-ba13-e2768da6fba7"
    )
    ids = frozenset(accesses.filter(meant).event_id.to_pyarrow().to_pylist())
    one = Suspected(
        access_ids=ids,
        units_certain=frozenset(),
        accounts=frozenset(f"{name}@dutchmasterz.onmicrosoft.com" for name in ("a.thulile", "joey")),
        first_at=dt.datetime(2021, 3, 25, tzinfo=dt.UTC),
    )

    (doubtful,) = doubtful_ids(invictus, [one])
    found = exposure(invictus, Selection.of_events("case-1", ids - doubtful, doubtful=doubtful))

    assert (len(ids), len(doubtful)) == (16, 10)
    assert (found.accesses, found.doubtful_accesses) == (16, 10)
    # 24 messages in five reads from the takeover's address, and five by the application, two of them among the 24.
    assert (found.certain, found.possible, found.possible_doubtful) == (27, 4, 4)
    assert {line.reason for line in found.possible_messages} == {"may_be_own"}
    assert {line.addresses for line in found.possible_messages} == {("178.85.138.132",)}
