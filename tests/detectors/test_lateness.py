"""How late sign-ins arrive, and what a token is worth whose sign-in may still come."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import ibis
import pyarrow as pa
import pytest

from brokenseal.detectors import stranger_client, token_provenance
from brokenseal.detectors._lateness import AGES_S, ARRIVALS, LEAST_LAGS, WEIGHTS, Lateness, lateness
from brokenseal.detectors._orphans import CEILING, Token, judge
from support import make_tables

HOUR = dt.timedelta(hours=1)
BEGIN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
UTC = pa.timestamp("us", tz="UTC")
HOUR_US = 3_600_000_000


def tables(sign_ins, *, arrivals=None, ledger=(), events=()):
    """sign_ins: event id, category, time; ledger: batch, sha256, time; events: event id, sha256."""
    ids, categories, times = zip(*sign_ins, strict=True)
    given = {
        "sign_ins": pa.table(
            {"event_id": ids, "category": categories, "occurred_at": pa.array(times, UTC)},
        ),
        "ledger": pa.table(
            {
                "batch_id": pa.array([row[0] for row in ledger], pa.string()),
                "sha256": pa.array([row[1] for row in ledger], pa.string()),
                "kept": pa.array([1] * len(ledger), pa.int64()),
                "ingested_at": pa.array([row[2] for row in ledger], UTC),
            }
        ),
        "events": pa.table(
            {
                "event_id": pa.array([row[0] for row in events], pa.string()),
                "source": pa.array(["entra_sign_in"] * len(events), pa.string()),
                "input_sha256": pa.array([row[1] for row in events], pa.string()),
            }
        ),
    }
    if arrivals is not None:
        given[ARRIVALS] = pa.table(
            {"event_id": [row[0] for row in arrivals], "arrived_at": pa.array([row[1] for row in arrivals], UTC)}
        )
    return {name: ibis.memtable(table) for name, table in given.items()}


def followed(lag_of, *, days=5, each=LEAST_LAGS // 2):
    """Sign-ins of both logs, `each` a day and log, with the time of arrival that `lag_of(number)` says."""
    sign_ins, arrivals = [], []
    for category in ("interactive", "non_interactive"):
        for number in range(days * each):
            at = BEGIN + dt.timedelta(days=days) * (number / (days * each))
            sign_ins.append((f"{category}{number}", category, at))
            arrivals.append((f"{category}{number}", at + lag_of(number)))
    return sign_ins, arrivals


def test_the_share_that_comes_later_is_bounded_by_what_was_counted():
    # Every hundredth takes five hours, all others ten minutes.
    sign_ins, arrivals = followed(lambda number: 5 * HOUR if number % 100 == 99 else HOUR / 6)
    found = lateness(tables(sign_ins, arrivals=arrivals))

    assert found.lags == 4 * LEAST_LAGS // 2 - LEAST_LAGS // 2 // 144 - 1  # without ten minutes and the last day
    assert found.later[0] == found.later[1]
    assert 0.01 < found.later[0] < 0.0115
    assert 0 < found.later[2] < 0.00016
    assert dt.datetime.fromtimestamp(found.reach_us / 1e6, dt.UTC) == max(at for _, _, at in sign_ins)


def test_the_worse_of_both_logs_counts():
    sign_ins, arrivals = followed(lambda _: HOUR / 6)
    slow = [(name, at + 2 * HOUR if name.startswith("i") else at) for name, at in arrivals]
    found = lateness(tables(sign_ins, arrivals=slow))

    assert found.later[0] == 1.0
    assert found.later[1] < 0.001


@pytest.mark.parametrize(
    "arrivals_of",
    [
        lambda rows: [(name, BEGIN + 200 * HOUR) for name, _ in rows],
        lambda rows: rows[: len(rows) // 2],
        lambda rows: [*rows[: LEAST_LAGS - 1], *rows[len(rows) // 2 :]],
    ],
    ids=["all at one go", "one log alone", "too few of one log"],
)
def test_nothing_is_known_of_a_feed_that_is_not_followed(arrivals_of):
    sign_ins, arrivals = followed(lambda _: HOUR / 6)

    assert lateness(tables(sign_ins, arrivals=arrivals_of(arrivals))) is None


def test_batches_tell_when_records_came():
    """Fed every six hours: a lag is at most six hours and something, and what came first waited for no one."""
    sign_ins, _ = followed(lambda _: HOUR, days=4)
    batches = [BEGIN + 6 * number * HOUR for number in range(1, 17)]
    ledger = [(f"b{number}", f"sha{number}", at) for number, at in enumerate(batches)]
    events = [
        (name, next(f"sha{number}" for number, until in enumerate(batches) if at <= until)) for name, _, at in sign_ins
    ]
    found = lateness(tables(sign_ins, ledger=ledger, events=events))

    assert found.lags == pytest.approx(LEAST_LAGS // 2 * 2.75, abs=10)
    assert found.later[0] == pytest.approx(5 / 6, abs=0.01)
    assert found.later[1] == pytest.approx(1 / 2, abs=0.01)
    assert found.later[2] < 0.001
    assert lateness(tables(sign_ins, ledger=ledger[:1], events=events)) is None


def test_the_weight_of_a_token_that_is_alone_is_at_most_one_on_average_whenever_one_looks():
    share, late = 0.001, (0.05, 0.004, 0.0005)
    known = Lateness(reach_us=0, later=late, lags=20_000)
    for looks in (0, 1, 2, 3, 4, 7, 23):
        # A sign-in never comes with `share`, else within an age with what the bounds say at most.
        age_us = looks * HOUR_US
        still_alone = share + next(
            (b for a, b in reversed([*zip(AGES_S, late, strict=True)]) if looks * 3600 >= a), 1.0
        )
        assert still_alone / known.bound(share, -age_us) <= sum(WEIGHTS) + 1e-9 or known.bound(share, -age_us) == 1.0
    weights = [1 / known.bound(share, -hours * HOUR_US) for hours in (0, 1, 3, 6)]
    assert all(before <= after for before, after in pairwise(weights))
    assert weights[-1] == pytest.approx(sum(w / (share + b) for w, b in zip(WEIGHTS, late, strict=True)))


# ---------------------------------------------------------------- what a cluster's tokens say then


DAY_US = 24 * HOUR_US
NEAR_ALL = Lateness(reach_us=100 * DAY_US, later=(0.02, 0.001, 0.0002), lags=50_000)


def token(unit, **columns):
    values = {
        "tenant": "t", "mailbox": f"m-{unit}", "provenance": "app|owa|out|user", "token": f"token-{unit}",
        "issued_at_us": 0, "reason": None, "is_issued": True, "is_session_known": True,
    }  # fmt: skip
    return Token(unit=unit, **{**values, **columns})


CROWD = [token(f"c{number}", mailbox=f"m{number % 200}") for number in range(4000)]


def alone(unit="x", *, hours, **columns):
    at = NEAR_ALL.reach_us - round(hours * HOUR_US)
    values = {"issued_at_us": at, "reason": "too_recent", "is_issued": False, "is_session_known": False, **columns}
    return token(unit, **values)


def of(tokens, late=NEAR_ALL, strange=None, unit="x"):
    return next(one for one in judge([*CROWD, *tokens], strange, late) if one.unit == unit)


@pytest.mark.parametrize(
    ("hours", "state", "reason"),
    [(0.9, "not_assessable", "too_recent"), (1.1, "not_assessable", "too_recent"), (3.1, "fired", None), (7, "fired", None)],
)  # fmt: skip
def test_a_missing_sign_in_speaks_once_nearly_all_would_have_come(hours, state, reason):
    found = of([alone(hours=hours)])

    assert (found.state, found.reason) == (state, reason)
    assert found.f0_upper is None or found.f0_upper <= CEILING


def test_the_longer_it_is_missed_the_heavier_it_weighs_and_a_day_weighs_most():
    early, later = of([alone(hours=4)]), of([alone(hours=8)])
    settled = of([alone(hours=30, reason=None)])

    assert early.millibans < later.millibans < settled.millibans
    assert (early.bin, later.bin, settled.bin) == ("orphan", "orphan", "orphan")


def test_without_knowing_how_late_they_come_it_stays_untold():
    assert of([alone(hours=20)], late=None).reason == "too_recent"


def test_a_session_that_is_known_or_a_class_that_often_lacks_its_sign_ins_says_nothing_early():
    assert of([alone(hours=8, is_session_known=True)]).state == "not_assessable"
    lossy = [
        token(f"l{number}", mailbox=f"l{number}", is_issued=False, is_session_known=False, issued_at_us=number * DAY_US)
        for number in range(120)
    ]
    assert of([*lossy, alone(hours=8)]).state == "not_assessable"


def test_a_cluster_whose_first_token_was_issued_is_judged_anew_by_a_later_one():
    assert of([token("x", token="first"), alone(hours=8, token="second")]).state == "fired"
    assert of([token("x", token="first"), alone(hours=2, token="second")]).state == "quiet"


def test_what_is_missing_for_good_is_not_weighed_less_for_what_may_come():
    lost = token("x", token="lost", is_issued=False, is_session_known=False)

    assert of([lost, alone(hours=8, token="second")]) == of([lost])


def test_sign_ins_of_usual_clients_that_are_late_together_are_a_gap():
    others = [alone(f"y{number}", hours=8.1) for number in range(2)]

    assert of([alone(hours=8), *others], strange=frozenset()).reason == "suspected_gap"
    assert of([alone(hours=8), *others], strange=frozenset({"x", "y0", "y1"})).state == "fired"
    # What was issued stays so, whatever is missed beside it.
    assert (
        of([token("x", token="first"), alone(hours=8, token="second"), *others], strange=frozenset()).state == "quiet"
    )


def test_tokens_that_wait_are_no_reference():
    waiting = [alone(f"w{number}", hours=8 + number) for number in range(50)]
    strange = frozenset({"x", *(one.unit for one in waiting)})

    assert of([alone(hours=8), *waiting], strange=strange).f0_upper == of([alone(hours=8)], strange=strange).f0_upper


# ---------------------------------------------------------------- the detector on tables


END = BEGIN + dt.timedelta(days=3)


def fed(read_at, *, lag=HOUR / 6):
    """A tenant of 400 mailboxes whose tokens have their sign-ins, a feed that is followed, and one token without."""
    sign_ins = [
        {
            "event_id": f"{category}{number}",
            "category": category,
            "occurred_at": BEGIN + (END - BEGIN) * number / 16_000,
        }
        for category in ("interactive", "non_interactive")
        for number in range(16_001)
    ]
    access = {
        "mailbox_upn": "x@a.example", "tenant_id": "t", "user_type": 0, "protocol": "owa", "effective_app": "app",
        "ip_class": "public", "token_tenant_id": "t", "auth_type": "Bearer",
    }  # fmt: skip
    accesses = []
    for number in range(400):
        at = BEGIN + 2 * HOUR + HOUR * number / 20
        own = {
            "mailbox_key": f"m{number}",
            "token_id": f"known{number}",
            "token_issued_at": at,
            "actor_key": f"u{number}",
        }
        accesses.append({**access, **own, "token_id_raw": "r", "event_id": f"read{number}", "occurred_at": at})
        issued = {"category": "non_interactive", "occurred_at": at, "request_id": f"known{number}", "succeeded": True}
        sign_ins.append({**issued, "event_id": f"issue{number}"})
    own = {"mailbox_key": "x", "token_id": "forged", "token_issued_at": read_at, "actor_key": "x"}
    accesses.append({**access, **own, "token_id_raw": "r", "event_id": "theft", "occurred_at": read_at})
    world = make_tables({"mail_accesses": accesses, "sign_ins": sign_ins})
    arrivals = {
        "event_id": [row["event_id"] for row in sign_ins],
        "arrived_at": pa.array([row["occurred_at"] + lag for row in sign_ins], UTC),
    }
    return {**world, ARRIVALS: ibis.memtable(pa.table(arrivals))}


@pytest.mark.parametrize(("hours", "state"), [(0.5, "not_assessable"), (7.0, "fired")])
def test_a_read_with_a_token_whose_sign_in_has_not_come_is_marked_and_told(hours, state):
    world = fed(END - hours * HOUR)
    marks = token_provenance.mark(world)
    (own,) = marks.filter(marks.unit == "theft").to_pyarrow().to_pylist()
    strange = ibis.memtable(pa.table({"unit": ["theft"], "state": ["fired"]}))
    known = {**world, f"marks:{token_provenance.ID}": marks, f"marks:{stranger_client.ID}": strange}
    hits = token_provenance.find(known).to_pyarrow().to_pylist()

    assert own["state"] == state
    told = [(hit["variant"], hit["event_id"], hit["unit"]) for hit in hits]
    assert told == ([("not_issued_yet", "theft", "theft")] if state == "fired" else [])
    # What is said of the token itself stays what can be told for good.
    verdicts = token_provenance.verdicts(world)
    (row,) = verdicts.filter(verdicts.event_id == "theft").to_pyarrow().to_pylist()
    assert row["verdict"] == "cannot_tell"


def test_a_feed_that_comes_once_a_day_says_nothing_early():
    world = fed(END - 7 * HOUR, lag=12 * HOUR)
    marks = token_provenance.mark(world)
    (own,) = marks.filter(marks.unit == "theft").to_pyarrow().to_pylist()

    assert (own["state"], own["reason"]) == ("not_assessable", "too_recent")
