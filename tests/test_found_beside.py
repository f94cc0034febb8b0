"""What another process finds is what this one would find: the document is the same with it, without it and after it."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
from collections import UserDict

import pytest

from brokenseal import found_beside, investigate
from brokenseal.demo import write_demo
from brokenseal.detectors import DETECTORS, MARKING, MARKING_DOORS, PLAIN, open_door
from brokenseal.found_beside import Beside, begin, doors_in, everything_in, helping, hits_in, is_open, versions_of
from brokenseal.helper import Helper
from brokenseal.investigate import add_exports, build_document, coverage_of, render
from brokenseal.judgement import clustered, kept_parts, run_marks
from brokenseal.settings import Settings
from brokenseal.store import Store
from support import SAMPLES, needs_samples

NOW = dt.datetime(2026, 4, 7, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    made = Settings(store_dir=tmp_path_factory.mktemp("beside") / "store")
    add_exports([write_demo(tmp_path_factory.mktemp("beside-exports")).folder], made, now=NOW)
    return made


@pytest.fixture(scope="module")
def alone(settings):
    """The document as one process makes it."""
    return json_of(settings)


@pytest.fixture(scope="module")
def helper():
    with contextlib.closing(Helper("brokenseal.investigate")) as made:
        yield made


@pytest.fixture
def answers(monkeypatch):
    """What the other process said, as it was used: by what was asked for."""
    said = {}

    def noted(*given):
        found = begin(*given)

        def kept(name, answer):
            said[name] = answer()
            return said[name]

        return Beside(
            doors=lambda: kept("doors", found.doors),
            hits={name: functools.partial(kept, name, rows) for name, rows in found.hits.items()},
            everything=lambda: kept("everything", found.everything),
        )

    monkeypatch.setattr(investigate, "begin", noted)
    return said


def json_of(settings, helper=None):
    with contextlib.closing(Store.open(settings)) as store:
        return render(build_document(store, helper), "json", "en")


def test_the_document_is_that_of_one_process(settings, alone, helper, answers):
    assert json_of(settings, helper) == alone

    assert answers.keys() == {"doors", "everything", *(detector.id for detector in PLAIN)}
    assert answers["doors"].parts[open_door.JUDGED].num_rows > 0
    assert answers["doors"].marks.keys() == {"config.open_door"}
    assert sum(answers[detector.id].num_rows for detector in PLAIN) > 0
    assert answers["everything"].accesses > 0


@needs_samples
@pytest.mark.parametrize("sample", ["golden-saml", "invictus-o365"])
def test_the_document_of_a_recorded_intrusion_is_that_of_one_process(tmp_path, helper, answers, sample):
    settings = Settings(store_dir=tmp_path / "store")
    add_exports([SAMPLES / sample], settings, now=NOW)

    alone = json_of(settings)

    assert json_of(settings, helper) == alone
    assert None not in answers.values()


def test_what_is_lost_with_the_process_is_found_here(settings, alone, answers):
    with contextlib.closing(Helper("brokenseal.investigate")) as lost:
        lost._process.kill()

        assert json_of(settings, lost) == alone
    assert set(answers.values()) == {None}


def test_where_somebody_ingested_meanwhile_nothing_is_found_there(settings, alone, helper, monkeypatch, answers):
    """The tables that this process reads are of another state than those that the other one would read."""
    before = tuple((name, version - 1) for name, version in versions_of(Store.open(settings)))
    monkeypatch.setattr(investigate, "versions_of", lambda _: before)

    assert not is_open(settings, before)
    assert doors_in(settings, before, ()) is None
    assert hits_in(settings, before, ()) is None
    assert everything_in(settings, before) is None
    assert json_of(settings, helper) == alone
    assert set(answers.values()) == {None}


def test_a_large_store_is_looked_at_by_one_process(settings, helper, monkeypatch):
    store = Store.open(settings)
    records = sum(row["kept"] for row in store.ledger_rows())
    versions = versions_of(store)

    monkeypatch.setattr(found_beside, "MOST_RECORDS", records - 1)
    assert helping(helper, store, versions) is None
    assert begin(None, store, versions, ()) is found_beside.NOBODY

    monkeypatch.setattr(found_beside, "MOST_RECORDS", records)
    assert helping(helper, store, versions) is helper
    assert begin(helper, store, versions, ()).doors() is not None


def test_what_fails_there_is_no_answer(tmp_path, helper):
    gone = Settings(store_dir=tmp_path / "no-store")

    assert helper.ask(doors_in, gone, (), ())() is None


class Asked(UserDict):
    """Tables, and the names by which they were asked for."""

    def __init__(self, tables):
        super().__init__(tables)
        self.names = set()

    def __getitem__(self, name):
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)


def test_what_is_found_there_rests_on_nothing_that_is_judged_here(settings):
    """No marks, no hits of others, no choice of units: nothing that the other process does not have."""
    tables = Store.open(settings).tables()
    with clustered(tables) as rows, kept_parts(rows, open_door.parts) as known:
        for find in [detector.find for detector in PLAIN] + [detector.mark for detector in MARKING_DOORS]:
            asked = Asked(known)
            find(asked)
            unknown = {name for name in asked.names - known.keys() if not name.startswith("once:")}
            assert unknown <= {"wanted_units"}, find


def in_order(rows):
    return sorted(rows.to_pylist(), key=repr)


def test_nobody_asks_for_the_marks_of_doors(settings):
    """They are made after those of sessions, wherever they are made."""
    tables = Store.open(settings).tables()
    unmet = coverage_of(tables).unmet_needs
    with clustered(tables) as rows, kept_parts(rows, open_door.parts) as known:
        without = run_marks(known, (each for each in MARKING if each not in MARKING_DOORS), unmet)
        among = run_marks(known, MARKING, unmet)
    assert {each.id for each in MARKING_DOORS} == among.keys() - without.keys()
    assert all(in_order(among[name]) == in_order(rows) for name, rows in without.items())


def test_plain_are_those_that_ask_for_nothing(settings):
    others = [detector for detector in DETECTORS if detector not in PLAIN]
    assert PLAIN
    assert all(detector.mark or detector.after for detector in others)
