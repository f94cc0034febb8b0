"""The series behind the pictures add up to what is in the logs."""

import datetime as dt
import random
from collections import Counter

import ibis
import pytest

from brokenseal import activity as room
from brokenseal import schema
from brokenseal.activity import OTHERS, activity
from brokenseal.model import ActivityCell, HourCell, MatrixCell
from support import arrow_table, make_tables

SUNDAY_LATE = dt.datetime(2025, 3, 9, 23, 59, 59, tzinfo=dt.UTC)
OWA = "9199bf20-a13f-4107-85dc-02114787ef48"
OWA_SHOWN = f"Outlook Web App ({OWA})"
CON = ibis.duckdb.connect()
EMPTY = make_tables({}, CON)


def access(event_id, moment, mailbox="a", actor="a@x", app=OWA, entries=0, **more):
    return {
        "event_id": event_id,
        "occurred_at": moment,
        "mailbox_key": f"guid-{mailbox}",
        "mailbox_upn": f"{mailbox}@x",
        "actor_key": actor,
        "effective_app": app,
        "item_entries": entries,
        **more,
    }


def item(event_id, message, kind="message"):
    return {"event_id": event_id, "kind": kind, "internet_message_id": message}


def series(accesses, items=(), case=(), **limits):
    rows = {"mail_accesses": accesses, "accessed_items": items}
    filled = {
        name: CON.create_table(f"now_{name}", arrow_table(name, more), overwrite=True) for name, more in rows.items()
    }
    return activity({**EMPTY, **filled}, frozenset(case), **limits)


def test_days_end_at_midnight_utc_and_records_of_the_case_have_their_own_cell():
    after = SUNDAY_LATE + dt.timedelta(seconds=1)
    found = series(
        [access("e1", SUNDAY_LATE, entries=2), access("e2", SUNDAY_LATE, entries=3), access("e3", after, entries=None)],
        case={"e2", "absent"},
    )

    shared = {"mailbox": "a@x", "client": OWA_SHOWN}
    assert found.days == (
        ActivityCell(day="2025-03-09", **shared, accesses=1, item_entries=2, in_case=False),
        ActivityCell(day="2025-03-09", **shared, accesses=1, item_entries=3, in_case=True),
        ActivityCell(day="2025-03-10", **shared, accesses=1, item_entries=0, in_case=False),
    )


def test_the_week_starts_on_monday_and_has_all_its_hours():
    found = series([access("e1", SUNDAY_LATE), access("e2", SUNDAY_LATE + dt.timedelta(seconds=1))], case={"e2"})

    assert len(found.hours) == 168
    assert [(cell.weekday, cell.hour) for cell in found.hours] == [
        (day, hour) for day in range(7) for hour in range(24)
    ]
    assert {cell for cell in found.hours if cell.accesses} == {
        HourCell(weekday=6, hour=23, accesses=1, in_case=0),
        HourCell(weekday=0, hour=0, accesses=1, in_case=1),
    }


def test_the_matrix_counts_distinct_messages_by_actor_and_client():
    found = series(
        [
            access("e1", SUNDAY_LATE),
            access("e2", SUNDAY_LATE),
            access("e3", SUNDAY_LATE, actor="b@x"),
            access("e4", SUNDAY_LATE, app=None, protocol="mapi"),
            access("e5", SUNDAY_LATE, actor=None, app=None),
        ],
        [
            item("e1", "<m1@x>"),
            item("e1", "<m1@x>"),
            item("e2", "<m1@x>"),
            item("e2", "<m2@x>"),
            item("e2", "<m3@x>", kind="attachment"),
            item("e2", None),
            item("e3", "<m1@x>"),
        ],
    )

    def cell(actor, client, accesses, messages):
        return MatrixCell(
            mailbox="a@x", actor=actor, client=client, accesses=accesses, messages=messages, in_case=False
        )

    assert found.matrix == (
        cell("a@x", OWA_SHOWN, 2, 2),
        cell("a@x", "mapi", 1, 0),
        cell("b@x", OWA_SHOWN, 1, 1),
        cell("unknown", "unknown", 1, 0),
    )


def test_mailboxes_beyond_the_limit_are_shown_together_and_those_of_a_case_first():
    """Messages of different mailboxes stay different under the common name."""
    accesses = [access(f"busy{n}", SUNDAY_LATE, "busy", actor=f"{n}@x") for n in range(5)]
    accesses += [access(f"other{n}", SUNDAY_LATE, "other") for n in range(3)]
    accesses += [access("case", SUNDAY_LATE, "quiet")]
    items = [item("busy0", "<m1@x>"), item("busy1", "<m1@x>"), item("other0", "<m1@x>")]

    found = series(accesses, items, case={"case"}, mailboxes=1)

    assert [(cell.mailbox, cell.actor, cell.accesses, cell.messages) for cell in found.matrix] == [
        (OTHERS, OTHERS, 8, 2),
        ("quiet@x", "a@x", 1, 0),
    ]
    assert Counter({OTHERS: 8, "quiet@x": 1}) == Counter({cell.mailbox: cell.accesses for cell in found.days})


def test_a_mailbox_without_an_address_is_shown_by_its_key():
    (cell,) = series([access("e1", SUNDAY_LATE, mailbox_upn=None)]).days

    assert cell.mailbox == "guid-a"


def test_no_access_makes_no_picture():
    found = series([])

    assert (found.days, found.hours, found.matrix) == ((), (), ())


def reference(accesses, items, case):
    listed = {}
    for entry in items:
        if entry["kind"] == "message" and entry["internet_message_id"]:
            listed.setdefault(entry["event_id"], set()).add(entry["internet_message_id"])
    days, hours, matrix, messages = Counter(), Counter(), Counter(), {}
    for row in accesses:
        client = row["effective_app"] or row["protocol"] or "unknown"
        in_case = row["event_id"] in case
        days[f"{row['occurred_at']:%Y-%m-%d}", row["mailbox_upn"], client, in_case] += 1
        hours[row["occurred_at"].weekday(), row["occurred_at"].hour, in_case] += 1
        key = row["mailbox_upn"], row["actor_key"], client, in_case
        matrix[key] += 1
        messages.setdefault(key, set()).update(listed.get(row["event_id"], ()))
    return days, hours, {key: (count, len(messages[key])) for key, count in matrix.items()}


@pytest.mark.parametrize("seed", range(8))
def test_the_series_equal_a_plain_reference(seed):
    pick = random.Random(seed)
    accesses = [
        access(
            f"e{n}",
            SUNDAY_LATE + dt.timedelta(minutes=pick.randrange(20_000)),
            pick.choice("abc"),
            pick.choice(["a@x", "b@x"]),
            pick.choice(["app-1", "app-2", None]),
            protocol=pick.choice(["owa", None]),
        )
        for n in range(120)
    ]
    items = [
        item(f"e{pick.randrange(130)}", pick.choice(["<m1@x>", "<m2@x>", None]), pick.choice(["message", "attachment"]))
        for _ in range(200)
    ]
    case = {f"e{n}" for n in range(0, 120, 7)}
    days, hours, matrix = reference(accesses, items, case)

    found = series(pick.sample(accesses, len(accesses)), items, case)

    assert {(c.day, c.mailbox, c.client, c.in_case): c.accesses for c in found.days} == days
    assert {
        (c.weekday, c.hour, in_case): count
        for c in found.hours
        for in_case, count in ((True, c.in_case), (False, c.accesses - c.in_case))
        if count
    } == hours
    assert {(c.mailbox, c.actor, c.client, c.in_case): (c.accesses, c.messages) for c in found.matrix} == matrix


def test_every_expression_compiles_for_spark_with_the_same_weekday():
    """Spark counts days of the week from Sunday 1 and DuckDB from Sunday 0; both must come out as Monday 0."""
    tables = {table.name: ibis.table(table.ibis_schema(), name=table.name) for table in schema.TABLES}
    shown = room.shown_accesses(tables, frozenset({"e1"}), mailboxes=5)

    assert "SELECT" in ibis.to_sql(room.daily(shown), dialect="pyspark")
    assert "SELECT" in ibis.to_sql(room.who_read_what(shown, tables["accessed_items"]), dialect="pyspark")
    spark = " ".join(ibis.to_sql(room.hourly(shown), dialect="pyspark").split())
    assert "DAYOFWEEK(" in spark
    assert "+ 5 ) % 7" in spark
