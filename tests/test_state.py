"""What is kept in the store between runs: never stale, never half, never another store's, and equal to the rebuilt."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal import state
from brokenseal.demo import write_demo
from brokenseal.evidence import verify
from brokenseal.ingest import ingest
from brokenseal.investigate import coverage_of, document_of, render
from brokenseal.model import Inputs
from brokenseal.reports.json_document import document_to_json
from brokenseal.settings import Settings
from brokenseal.store import Store
from brokenseal.wording import phrase

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
NO_INPUTS = Inputs(records=0, kept=0, duplicates=0, rejected=0, ignored=0, files=(), quarantine=())


def add(store, name, content):
    export = store.with_name(name)
    export.write_bytes(content)
    ingest([export], Settings(store_dir=store), now=NOW)


def opened(store):
    return Store.open(Settings(store_dir=store))


def without_names(document):
    """The document without what names or measures the inputs and the commits."""
    coverage = dataclasses.replace(document.coverage, alarms=())
    return document_to_json(dataclasses.replace(document, inputs=NO_INPUTS, coverage=coverage, table_versions={}))


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    return folder


@pytest.fixture(scope="module")
def records(exports):
    """Records of every log of the bundled tenant that is an array or lines of JSON."""
    found = []
    for path in sorted(exports.rglob("*.json")):
        content = json.loads(path.read_bytes())
        found.extend(json.dumps(record).encode() for record in (content if isinstance(content, list) else [content]))
    assert len(found) > 300
    return found


@pytest.fixture(scope="module")
def whole(exports, tmp_path_factory):
    """A store of all exports, and its document, worked out."""
    store = tmp_path_factory.mktemp("whole") / "store"
    ingest([exports], Settings(store_dir=store), now=NOW)
    with opened(store) as tables:
        return store, document_of(tables)


@pytest.fixture
def kept(whole, records, tmp_path):
    """A small store, in which the document of another one was kept as its own."""
    store = tmp_path / "store"
    add(store, "a.jsonl", b"\n".join(records[:5]))
    with opened(store) as tables:
        assert state.keep(tables, state.footing_of(tables), whole[1]) is not None
    return store


def standing(store):
    with opened(store) as tables:
        return state.recall(tables, state.footing_of(tables)).standing


@pytest.mark.slow
def test_exports_added_in_any_order_with_detection_between_give_what_one_rebuild_gives(exports, whole, tmp_path):
    """Some first, the rest and copies of the first later; what is kept meanwhile changes nothing."""
    files = sorted(path for path in exports.rglob("*") if path.is_file())
    mixed = random.Random(20260501).sample(files, len(files))
    store, told = tmp_path / "store", []
    for part in (mixed[: len(mixed) // 2], mixed[1:]):
        ingest(part, Settings(store_dir=store), now=NOW)
        with opened(store) as tables:
            document = document_of(tables, tell=told.append)
    with opened(store) as tables:
        again = document_of(tables, tell=told.append)

    assert document_to_json(again) == document_to_json(document)
    assert without_names(again) == without_names(whole[1])
    assert len(again.cases) > 0
    assert told == []


@pytest.mark.parametrize(("form", "lang"), [("md", "fr"), ("json", "en"), ("csv", "en")])
def test_a_kept_document_reads_the_same_in_every_format(whole, form, lang):
    store, document = whole
    with opened(store) as tables:
        again = document_of(tables)

    assert again is not document
    assert render(again, form, lang) == render(document, form, lang)


def test_text_in_the_form_of_a_time_stays_text(kept, whole):
    """JSON writes both alike; what is kept does not mix them up."""
    headline = phrase("{a} {b}", a="2026-01-01T00:00:00Z", b=NOW)
    verdict = dataclasses.replace(whole[1].verdict, headline=headline)
    document = dataclasses.replace(whole[1], verdict=verdict)
    with opened(kept) as tables:
        footing = state.footing_of(tables)
        state.keep(tables, footing, document)

        assert state.recall(tables, footing).document == document


# ---------------------------------------------------------------- what ends the life of what is kept


class Counter:
    """Works a document out of tables so fast that many stores can be tried: which records there are, and the rest."""

    def __init__(self, template):
        self.template, self.calls = template, 0

    def work_out(self, store):
        self.calls += 1
        return self.renew(store, self.template, must_be_equal=False)

    def renew(self, store, document, *, must_be_equal=True):
        tables = store.tables()
        if must_be_equal and coverage_of(tables) != document.coverage:
            return None
        ids = tables["events"].select("event_id").to_pyarrow().column(0).to_pylist()
        assert (
            not must_be_equal or hashlib.sha256("".join(sorted(ids)).encode()).hexdigest() == document.product_version
        )
        return dataclasses.replace(
            document,
            coverage=coverage_of(tables),
            product_version=hashlib.sha256("".join(sorted(ids)).encode()).hexdigest(),
            table_versions=store.versions(),
        )

    def asked(self, store, **options):
        with opened(store) as tables:
            return state.answered(tables, work_out=self.work_out, renew=self.renew, **options)


STEPS = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6), st.booleans(), st.booleans()), min_size=1, max_size=3)


@given(steps=STEPS)
@settings(max_examples=3, deadline=None)
def test_whatever_is_ingested_and_asked_between_the_answer_is_never_stale(records, whole, tmp_path_factory, steps):
    """Overlapping parts, copies of parts and repeated questions; each answer equals one that was worked out anew."""
    store = tmp_path_factory.mktemp("steps") / "store"
    for number, (start, many, is_asked, is_copied) in enumerate(steps):
        part = b"\n".join(records[start * 20 : (start + many) * 20])
        for name in (f"{number}.jsonl", f"{number}-copy.jsonl")[: 1 + is_copied]:
            add(store, name, part)
        if is_asked or number + 1 == len(steps):
            counter, fresh = Counter(whole[1]), Counter(whole[1])
            found = counter.asked(store)
            assert found == fresh.asked(store, rebuild=True)
            assert counter.asked(store) == found
            assert counter.calls <= 1


def test_nothing_is_worked_out_where_nothing_changed_or_only_known_inputs_came_again(records, whole, tmp_path):
    store, counter = tmp_path / "store", Counter(whole[1])
    add(store, "a.jsonl", b"\n".join(records[:40]))
    first = counter.asked(store)
    assert (counter.asked(store), counter.calls) == (first, 1)

    # The same path with the same bytes is not even told to the ledger; the same bytes under another name are.
    add(store, "a.jsonl", b"\n".join(records[:40]))
    assert (counter.asked(store), counter.calls) == (first, 1)
    add(store, "copy.jsonl", b"\n".join(records[:40]))
    again = counter.asked(store)
    assert (again.table_versions != first.table_versions, counter.calls) == (True, 1)
    assert dataclasses.replace(again, table_versions=first.table_versions, inputs=first.inputs) == first

    add(store, "b.jsonl", b"\n".join(records[40:60]))
    assert (counter.asked(store) != first, counter.calls) == (True, 2)


def test_a_store_that_changed_while_it_was_read_keeps_nothing(records, whole, tmp_path):
    store, counter = tmp_path / "store", Counter(whole[1])
    add(store, "a.jsonl", b"\n".join(records[:20]))

    def slow(tables):
        document = counter.work_out(tables)
        add(store, "b.jsonl", b"\n".join(records[20:40]))
        return document

    with opened(store) as tables:
        state.answered(tables, work_out=slow, renew=counter.renew)

    assert standing(store) == "absent"


def test_other_code_files_engine_and_form_are_outdated(kept, monkeypatch):
    assert standing(kept) == "current"

    path = kept / state.FOLDER / state.NAME
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"form": 1', b'"form": 2', 1))
    assert standing(kept) == "outdated"
    path.write_bytes(content)

    file = next((kept / "tables" / "ledger").glob("*.parquet"))
    at = file.stat().st_mtime_ns
    os.utime(file, ns=(at, at + 1))
    assert standing(kept) == "same_records"
    with opened(kept) as tables:
        tables.settings = dataclasses.replace(tables.settings, engine="spark")
        assert state.recall(tables, state.footing_of(tables)).standing == "outdated"
    monkeypatch.setattr(state, "_code_digest", lambda: "other")
    assert standing(kept) == "outdated"


def test_a_record_file_changed_in_place_is_noticed(records, tmp_path, whole):
    store, counter = tmp_path / "store", Counter(whole[1])
    add(store, "a.jsonl", b"\n".join(records[:20]))
    counter.asked(store)
    file = next((store / "tables" / "events").rglob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content)

    assert standing(store) == "outdated"


DAMAGE = {
    "cut": lambda content: content[:-1],
    "one bit": lambda content: content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
    "empty": lambda content: b"",
    "no header": lambda content: content.partition(b"\n")[2],
    "header is a list": lambda content: b"[]\n" + content.partition(b"\n")[2],
    "header without a digest": lambda content: content.replace(b'"sha256"', b'"sha"', 1),
    "header never ends": lambda content: b"[" * 100_000,
    "not text": lambda content: b"\xff\xfe" + content,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_damaged_is_said_and_worked_out_again(kept, whole, kind):
    path = kept / state.FOLDER / state.NAME
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    told, counter = [], Counter(whole[1])

    found = counter.asked(kept, tell=told.append)

    assert (len(told), "damaged" in told[0], counter.calls) == (1, True, 1)
    assert counter.asked(kept) == found
    assert counter.calls == 1


def test_what_unpacks_to_something_else_is_damaged_even_with_the_right_digest(kept):
    import msgspec
    import zstandard

    path = kept / state.FOLDER / state.NAME
    header = json.loads(path.read_bytes().partition(b"\n")[0])
    for plain in (msgspec.msgpack.encode({"cases": 1}), b"\xc1", b""):
        packed = zstandard.compress(plain)
        line = json.dumps({**header, "sha256": hashlib.sha256(packed).hexdigest()}).encode()
        path.write_bytes(line + b"\n" + packed)
        assert standing(kept) == "damaged"


def test_what_another_store_kept_is_said_and_not_used(kept, whole):
    (kept / state.FOLDER / state.NAME).write_bytes((whole[0] / state.FOLDER / state.NAME).read_bytes())
    told, counter = [], Counter(whole[1])

    counter.asked(kept, tell=told.append)

    assert (len(told), "another store" in told[0], counter.calls) == (1, True, 1)


def test_a_forged_answer_with_the_right_digest_is_found_by_a_rebuild(kept, whole):
    """A digest is no seal: who can write to the store can write this, and `--rebuild` is the answer to it."""
    told, counter = [], Counter(whole[1])
    found = counter.asked(kept, rebuild=True, tell=told.append)

    assert (len(told), "differs" in told[0], counter.calls) == (1, True, 1)
    assert counter.asked(kept) == found


def test_a_store_that_cannot_be_written_is_answered_all_the_same(kept, whole):
    counter = Counter(whole[1])
    path = kept / state.FOLDER
    (path / state.NAME).unlink()
    path.rmdir()
    path.write_text("a file where the folder should be")

    assert counter.asked(kept) == counter.asked(kept)
    assert counter.calls == 2


def test_verification_says_the_same_with_and_without_what_is_kept(whole, kept):
    assert verify(Settings(store_dir=whole[0])).intact
    before = verify(Settings(store_dir=kept))
    (kept / state.FOLDER / state.NAME).write_bytes(b"damaged")

    assert verify(Settings(store_dir=kept)) == before


KEEPS = """
import sys
from pathlib import Path
from brokenseal import state
from brokenseal.settings import Settings
from brokenseal.store import Store
state._code_digest = lambda: sys.argv[2]  # so that nobody who edits the product meanwhile disturbs
with Store.open(Settings(store_dir=Path(sys.argv[1]))) as store:
    footing = state.footing_of(store)
    document = state.recall(store, footing).document
    print("ready", flush=True)
    while True:
        state.keep(store, footing, document)
"""


def test_a_killed_run_leaves_it_whole(kept):
    for wait_ms in (1, 5, 20):
        with subprocess.Popen(
            [sys.executable, "-c", KEEPS, str(kept), state._code_digest()], stdout=subprocess.PIPE
        ) as run:
            assert run.stdout.readline() == b"ready\n"
            time.sleep(wait_ms / 1000)
            run.send_signal(signal.SIGKILL)
        assert standing(kept) == "current"
    (kept / state.FOLDER / f"{state.NAME}.1.new").write_bytes(b"left behind")
    with opened(kept) as tables:
        footing = state.footing_of(tables)
        state.keep(tables, footing, state.recall(tables, footing).document)

    assert [path.name for path in (kept / state.FOLDER).iterdir()] == [state.NAME]
