"""Which units open a case, which join one, and which only follow: with marks given by hand."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest

from brokenseal import judgement
from brokenseal.calibration import Calibration, Group, Intrusions, Tail
from brokenseal.judgement import LEAST_NOTICES, clustered, judge, run_marks, shown_notices
from brokenseal.model import Detector, Evidence, Finding, Severity
from brokenseal.schema import MARK
from brokenseal.wording import phrase
from support import make_tables

START = dt.datetime(2025, 3, 3, 8, tzinfo=dt.UTC)
KNOWN = Calibration(
    format=1,
    made_of="a test",
    root="x",
    groups_of={},
    benign={"habitual": Group(units=1_000_000, bins={"x": {"loud": 0, "odd": 200}})},
    doors=Group(units=1_000, bins={"x": {"open": 0}}),
    mailbox_weeks=1.0,
    intrusions={"A1": Intrusions(instances=1, units=4, bins={"x": {"loud": 3, "odd": 1, "open": 1}})},
)
NO_DOORS = pa.table({name: pa.array([], pa.string()) for name in ("unit", "tenant_id", "mailbox_key", "network")})


def access(number, day, mailbox, session, ip="9.9.9.9"):
    return {
        "event_id": f"e{number}",
        "occurred_at": START + dt.timedelta(days=day),
        "tenant_id": "t",
        "mailbox_key": mailbox,
        "actor_key": "a",
        "client_ip": ip,
        "ip_class": "public",
        "protocol": "owa",
        "effective_app": "app",
        "session_id": session,
    }


ACCESSES = [
    access(1, 0, "m1", "s1"),
    access(2, 1, "m1", "s2", "8.8.8.8"),
    access(3, 2, "m1", "s3", "8.8.8.8"),
    access(4, 3, "m2", "s4"),
    access(5, 70, "m2", "s5"),
]


def marks(**bins):
    rows = [{"unit": unit, "state": "fired", "bin": name} for unit, name in bins.items()]
    return pa.Table.from_pylist(
        [{column: row.get(column) for column in MARK.names} for row in rows], schema=MARK.arrow_schema()
    )


def judged(given, doors=NO_DOORS, **options):
    with clustered(make_tables({"mail_accesses": ACCESSES})) as known:
        return judge(known, {"x": given}, doors, KNOWN, **options)


def finding(*, units=(), events=("e1",), is_notice=False):
    evidence = tuple(Evidence(event_id=event, role="read", occurred_at=START) for event in events)
    return Finding(
        id="f", detector_id="x", variant="v", group_key="g", title=phrase("x"), severity=Severity.LOW, is_notice=is_notice,
        attack=(), innocent=phrase("x"), settles=phrase("x"), first_at=START, last_at=START, evidence=evidence,
        mailboxes=(), actors=(), addresses=(), sessions=(), objects=(), units=units,
    )  # fmt: skip


def test_the_threshold_is_units_of_the_mailbox_a_week_over_the_budget_however_large_the_tenant():
    found = judged(marks())
    assert found.mailbox_weeks == pytest.approx(2 * 10)
    assert 10 ** found.threshold_of("e1") == pytest.approx(3 / 10 / 5e-5)
    assert 10 ** found.threshold_of("e5") == pytest.approx(2 / 10 / 5e-5)
    assert found.threshold_of("nothing") is None
    assert judged(marks(), budget=5e-4).threshold_of("e1") == pytest.approx(found.threshold_of("e1") - 1)
    assert not found.opened


def test_a_measured_tail_lowers_the_threshold_and_never_raises_it():
    def threshold(**changed):
        values = {"from_millibans": 1_000, "beyond": 100, "units": 100_000, "share_upper_ppb": 2_000_000,
                  "step_millibans": 200, "independent": 10**9, "tenants": 5, **changed}  # fmt: skip
        known = msgspec.structs.replace(KNOWN, tails={"clusters": Tail(**values)})
        with clustered(make_tables({"mail_accesses": ACCESSES})) as tables:
            found = judge(tables, {"x": marks()}, NO_DOORS, known)
        assert found.bound_of("e1") == pytest.approx(-math.log10(share))
        return found.threshold_of("e1")

    share = 5e-5 / (3 / 10)
    assert threshold() == pytest.approx(1 + 0.2 * math.log(0.002 / share))
    assert threshold(independent=30) > threshold() + 0.01, "a mean of few excesses leaves a heavier end"
    assert threshold(share_upper_ppb=1) == pytest.approx(1.0), "beyond the tail's begin nothing is left to wait for"
    assert threshold(step_millibans=9_000) == pytest.approx(-math.log10(share))


def test_notices_keep_to_their_budget_and_the_gravest_and_heaviest_stay():
    found = judged(marks(e4="odd"))
    many = [replace(finding(events=(f"n{number}",)), id=f"n{number}") for number in range(30)]
    grave = replace(finding(events=("g",)), id="grave", severity=Severity.HIGH)
    heavy = replace(finding(units=("e4",)), id="heavy")
    shown = [notice.id for notice in shown_notices([*many, heavy, grave], found)]
    assert shown == [*(f"n{number}" for number in range(LEAST_NOTICES - 2)), "heavy", "grave"]
    assert len(shown_notices(many[:5], found)) == 5


def test_what_several_detectors_say_of_one_unit_makes_room_for_other_units():
    found = judged(marks(e4="odd"))
    heavy = [replace(finding(units=("e4",)), id=f"h{number}") for number in range(LEAST_NOTICES)]
    others = [replace(finding(events=(f"n{number}",)), id=f"n{number}") for number in range(3)]
    shown = [notice.id for notice in shown_notices([*heavy, *others], found)]
    assert shown == [*(f"h{number}" for number in range(LEAST_NOTICES - 3)), "n0", "n1", "n2"]


def test_doors_and_clusters_share_the_budget_evenly():
    doors = pa.table(
        {"unit": ["d1"], "tenant_id": ["t"], "mailbox_key": ["admin"], "network": pa.array([None], pa.string())}
    )
    found = judged(marks(), doors)
    assert 10 ** found.threshold_of("e1") == pytest.approx(3 / 10 / 2.5e-5)
    assert 10 ** found.threshold_of("d1") == pytest.approx(1 / 10 / 2.5e-5)


def test_a_loud_unit_opens_and_what_the_same_client_does_there_later_follows():
    found = judged(marks(e2="loud"), budget=5e-1)
    assert found.opened == {"e2"}
    assert found.followed == {"e3": "e2"}
    assert found.standing(finding(units=("e2",))) == "opens"
    assert found.standing(finding(units=("e4",))) == "notice"
    assert found.weight_of("e2") > found.threshold_of("e2")
    assert found.weight_of("nothing") is None


NEW = [
    access(1, 0, "m1", "s1"),
    access(2, 13.9, "m1", "s2", "8.8.8.8"),
    access(3, 15, "m1", "s3", "8.8.8.8"),
    access(4, 14, "m1", "s4", "7.7.7.7"),
    access(5, 40, "m1", "s5", "7.7.7.7"),
    access(6, 41, "m1", "s1"),
]


@pytest.mark.parametrize(("ruling", "follows"), [("e1", {}), ("e3", {}), ("e5", {}), ("e4", {"e5": "e4"})])
def test_the_client_of_what_opens_by_rule_is_followed_where_it_was_new_in_its_mailbox(ruling, follows):
    with clustered(make_tables({"mail_accesses": NEW})) as known:
        found = replace(judge(known, {"x": marks()}, NO_DOORS, KNOWN), is_rule=lambda *_: True)
    ruled = found.ruled_by([finding(units=(ruling,))])
    assert (ruled.followed, ruled.certain) == (follows, {ruling, *follows})


def test_what_opens_by_rule_is_certain_and_what_the_same_client_does_there_later_follows():
    found = replace(judged(marks(e2="odd")), is_rule=lambda detector, variant: (detector, variant) == ("x", "v"))
    assert not found.certain
    ruled = found.ruled_by([finding(units=("e2", "nothing")), replace(finding(units=("e4",)), variant="other")])
    assert (ruled.opened, ruled.ruled, ruled.followed) == (set(), {"e2"}, {"e3": "e2"})
    assert ruled.certain == {"e2", "e3"}
    assert ruled.wanted == found.joined | {"e2", "e3"}
    assert found.ruled_by([finding(units=("e2",), is_notice=True)]).certain == set()


def test_an_odd_unit_may_join_and_what_was_never_weighed_joins_unless_it_is_a_notice():
    found = judged(marks(e4="odd"))
    assert not found.opened
    assert found.standing(finding(units=("e4",))) == "joins"
    assert found.standing(finding(events=("nowhere",))) == "joins"
    assert found.standing(finding(events=("nowhere",), is_notice=True)) == "notice"


def test_a_door_is_a_unit_of_its_own_and_a_finding_that_cites_it_is_about_it():
    doors = pa.table(
        {"unit": ["d1"], "tenant_id": ["t"], "mailbox_key": ["admin"], "network": pa.array([None], pa.string())}
    )
    found = judged(marks(d1="open"), doors, budget=5e-1)
    assert found.units_of(finding(events=("d1", "other"))) == ("d1",)
    assert found.opened == {"d1"}


def test_detectors_are_handed_the_marks_of_those_before_them_and_blind_ones_are_left_out():
    import ibis

    given = []

    def detector(name, *, needs=()):
        def mark(tables):
            given.append((name, sorted(key for key in tables if key.startswith("marks:"))))
            return ibis.memtable(marks(e1="loud"), schema=MARK.ibis_schema())

        return Detector(
            id=name, title=phrase("x"), reads={}, needs=needs, variants={}, find=lambda tables: tables, silent_without=needs, mark=mark
        )  # fmt: skip

    blind = detector("blind", needs=("mail_access",))
    with clustered(make_tables({"mail_accesses": ACCESSES})) as known:
        found = run_marks(known, (detector("one"), blind, detector("two")), ("mail_access",))
    assert list(found) == ["one", "two"]
    assert given == [("one", []), ("two", ["marks:one"])]
    assert found["one"].to_pylist() == marks(e1="loud").to_pylist()


def test_marks_are_waited_for_only_by_who_asks_for_them(monkeypatch):
    """A question is begun while those before it are answered."""
    import ibis

    written, waited = [], []

    def begun(rows):
        def there():
            waited.append(len(written))
            return rows.to_pyarrow()

        return there

    def detector(name, *, looks_at=()):
        def mark(tables):
            written.append(name)
            for other in looks_at:
                assert tables[f"marks:{other}"].count().to_pyarrow().as_py() == 1
            assert tables.get("marks:nobody") is None
            assert len(tables) == len(list(tables))
            return ibis.memtable(marks(e1="loud"), schema=MARK.ibis_schema())

        return Detector(
            id=name, title=phrase("x"), reads={}, needs=(), variants={}, find=lambda tables: tables, mark=mark
        )

    monkeypatch.setattr(judgement, "begun", begun)
    detectors = (detector("one"), detector("two"), detector("three", looks_at=("one",)), detector("four"))
    with clustered(make_tables({"mail_accesses": ACCESSES})) as known:
        found = run_marks(known, detectors, ())

    assert list(found) == ["one", "two", "three", "four"]
    # The first was asked for while the third was written, the others at the end; each once.
    assert waited == [3, 4, 4, 4]
