"""What is carried out beside the caller: in order, one thing at a time, and no failure is lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import ibis
import pytest

from brokenseal.engines import begun
from brokenseal.engines._aside import Aside


@pytest.fixture
def aside():
    made = Aside(interrupt=lambda: None)
    yield made
    made.close()


def test_what_is_begun_is_done_in_order_one_thing_at_a_time_and_not_by_the_caller(aside):
    done, under_way, most = [], [], []

    def work(number):
        under_way.append(number)
        most.append(len(under_way))
        time.sleep(0.001)
        done.append((number, threading.current_thread().name))
        under_way.pop()
        return number

    answers = []
    for number in range(41):
        if number % 3:
            answers.append((number, aside.begin(lambda number=number: work(number))))
        else:
            aside.prepare(lambda number=number: work(number))
    # Whoever waits for the last one first has waited for all.
    assert [(number, said()) for number, said in reversed(answers)] == [(n, n) for n, _ in reversed(answers)]

    assert [number for number, _ in done] == list(range(41))
    assert max(most) == 1
    assert {name for _, name in done} == {"engine_0"}


def test_the_caller_goes_on_while_something_is_done(aside):
    may_end = threading.Event()
    said = aside.begin(lambda: may_end.wait(10))

    may_end.set()  # reached only if `begin` did not wait

    assert said() is True


def test_a_preparation_that_fails_is_said_once_and_by_what_comes_next(aside):
    done = []
    aside.prepare(lambda: 1 / 0)
    aside.prepare(lambda: done.append("rests on what is not there"))
    asked = aside.begin(lambda: done.append("asked"))
    after = aside.begin(lambda: "after")

    with pytest.raises(ZeroDivisionError):
        asked()
    assert after() == "after"
    assert done == []


def test_a_question_that_fails_is_one_for_its_asker_alone(aside):
    asked, after = aside.begin(lambda: {}["none"]), aside.begin(lambda: "after")

    assert after() == "after"
    with pytest.raises(KeyError):
        asked()


def test_putting_away_goes_on_after_a_failure_and_does_not_hide_it(aside):
    done = []
    aside.prepare(lambda: 1 / 0)
    aside.clear(lambda: done.append("put away"))
    aside.clear(lambda: {}["none"])
    asked = aside.begin(lambda: "asked")

    with pytest.raises(ZeroDivisionError):
        asked()
    assert done == ["put away"]


def test_resting_waits_for_all_that_was_begun_and_raises_nothing(aside):
    done = []
    aside.prepare(lambda: time.sleep(0.05))
    failing = aside.begin(lambda: done.append("done") or 1 / 0)

    aside.rest()

    assert done == ["done"]
    with pytest.raises(ZeroDivisionError):
        failing()


def test_who_is_interrupted_while_waiting_ends_what_the_engine_is_at(monkeypatch):
    ended = threading.Event()
    aside = Aside(interrupt=ended.set)
    said = aside.begin(lambda: ended.wait(10))

    def interrupted(_self, _timeout=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            said()

    assert ended.is_set()
    aside.close()


def test_after_the_end_things_are_done_by_the_caller(aside):
    aside.close()

    said = aside.begin(threading.current_thread)

    assert said() is threading.current_thread()


def test_an_engine_that_cannot_do_that_answers_at_once():
    connection = ibis.duckdb.connect()
    rows = connection.create_table("given", schema={"a": "int64"})
    rows = rows.aggregate(n=rows.count())

    found = begun(rows)
    connection.drop_table("given")

    assert found().to_pylist() == [{"n": 0}]
