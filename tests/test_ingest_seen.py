"""First records of their ids, against a plain dictionary: whatever the ids, their order, and how they are shared out."""

from __future__ import annotations

import hashlib
import uuid

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brokenseal._ingest_seen
from brokenseal._ingest_seen import KEY_TEXT, SeenIds, key_text, keys_of

GUID = "6b0e63a5-00ab-4000-8000-00000000000f"
DIGEST = hashlib.sha256(b"x").hexdigest()

# Whose first halves are equal, as hostile ids may be, and ones that are nearly a GUID.
LIKE = [f"6b0e63a5-00ab-4000-8000-{number:012x}" for number in (0, 1, 2, 255, 2**47)]
NEARLY = [
    GUID.upper(),
    GUID.replace("a", "A"),
    GUID.replace("-", ""),
    GUID.replace("-", "0"),
    GUID.replace("-", "/"),
    "{" + GUID + "}",
    "-" + GUID[1:],
    GUID[:-1] + "g",
    GUID[:-1] + ":",
    GUID[:-1] + "`",
    GUID[:-1] + "/",
    GUID[:-1] + "@",
    GUID[:-1] + "\0",
    GUID[:-2] + "é",
    GUID + "\0",
    f" {GUID[1:]}",
    f"signin:{GUID}",
    f"sha256:{DIGEST}",
    DIGEST,
    DIGEST[:32],
    DIGEST[:36],
    f"{DIGEST[:8]}-{DIGEST[8:12]}-{DIGEST[12:16]}-{DIGEST[16:20]}-{DIGEST[20:31]}",
    "",
    "\0",
    "x",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
]
IDS = st.one_of(
    st.sampled_from([GUID, *LIKE, *NEARLY]),
    st.uuids().map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text(st.sampled_from("0aF-é"), min_size=34, max_size=36),
)


def texts_of(ids: list[str]) -> pa.Array:
    return pa.array(list(map(key_text, ids)), pa.string())


def plainly(seen: set[str], claims: list[tuple[str, int]]) -> list[int]:
    """What `SeenIds.claim` settles, with plain values."""
    lowest: dict[str, int] = {}
    for event_id, number in claims:
        lowest[event_id] = min(number, lowest.get(event_id, number))
    fresh = [number for event_id, number in lowest.items() if event_id not in seen]
    seen.update(lowest)
    return sorted(fresh)


@pytest.fixture
def small_runs(monkeypatch):
    """Keys are sorted a few together, so that there are many runs."""
    monkeypatch.setattr(brokenseal._ingest_seen, "_MOST_TOGETHER", 8)
    monkeypatch.setattr(brokenseal._ingest_seen, "_ROWS_AT_ONCE", 3)


@pytest.mark.usefixtures("small_runs")
@settings(max_examples=200, deadline=None)
@given(
    committed=st.lists(st.lists(IDS, max_size=12), max_size=5),
    claimed=st.lists(st.lists(st.tuples(IDS, st.integers(0, 30)), max_size=20), max_size=8),
)
def test_of_each_new_id_the_lowest_record_is_fresh(committed, claimed):
    ids = SeenIds(lambda: map(texts_of, committed))
    seen = {each for block in committed for each in block}

    for claims in claimed:
        # Numbers are of one record each.
        numbers = [(number << 8) + index for index, (_, number) in enumerate(claims)]
        found = ids.claim(texts_of([each for each, _ in claims]), np.array(numbers, np.int64))
        assert found.tolist() == plainly(seen, [(each, no) for (each, _), no in zip(claims, numbers, strict=True)])


def test_many_ids_in_blocks_of_any_size_are_settled_as_a_dictionary_does(monkeypatch):
    monkeypatch.setattr(brokenseal._ingest_seen, "_MOST_TOGETHER", 20_000)
    random = np.random.default_rng(5)
    made = [str(uuid.UUID(int=int(number) << 64 | int(number) % 7)) for number in random.integers(0, 2**63, 30_000)]
    made += [f"trace:{each}:someone@contoso.example" for each in made[:5_000]]
    # A thousand with one first half, as no service makes them.
    made += [GUID[:24] + f"{number:012x}" for number in range(1_000)]
    stored = [made[no] for no in random.integers(0, len(made), 12_000)]
    ids, seen = SeenIds(lambda: [texts_of(stored[:7_000]), texts_of([]), texts_of(stored[7_000:])]), set(stored)

    first = 0
    for size in (1, 9_000, 5, 20_000, 3_000, 3_000, 3_000, 0, 15_000):
        chosen = [made[no] for no in random.integers(0, len(made), size)]
        numbers = first + random.permutation(size)
        expected = plainly(seen, list(zip(chosen, numbers.tolist(), strict=True)))
        assert ids.claim(texts_of(chosen), numbers).tolist() == expected
        first += size


def test_keys_are_equal_only_where_ids_are():
    ids = [GUID, *LIKE, *NEARLY, *(hashlib.sha256(each.encode()).hexdigest() for each in NEARLY)]

    assert len({tuple(key) for key in keys_of(texts_of(ids)).T.tolist()}) == len(set(ids))


def test_a_slice_of_an_array_has_the_keys_of_its_own_texts():
    texts = texts_of([GUID, "x", *LIKE, *NEARLY])

    for start in range(4):
        assert (keys_of(texts[start:]) == keys_of(texts)[:, start:]).all()
    assert keys_of(texts[5:5]).shape == (2, 0)


@pytest.mark.parametrize("text", ["", "signin:x", DIGEST[:35]])
def test_a_text_that_no_key_text_is_makes_no_key(text):
    with pytest.raises(AssertionError):
        keys_of(pa.array([GUID, text]))


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        connection.execute("SET threads=1")
        yield connection


@settings(max_examples=50, deadline=None)
@given(ids=st.lists(IDS, min_size=1, max_size=30))
def test_the_engine_gives_the_same_key_texts(engine, ids):
    engine.register("given", pa.table({"event_id": pa.array(ids, pa.string())}))
    found = engine.sql(f"SELECT {KEY_TEXT} AS key_text FROM given").to_arrow_table()

    assert found["key_text"].to_pylist() == list(map(key_text, ids))


def test_what_is_committed_is_read_when_the_first_record_asks_and_once():
    asked = []

    def committed():
        asked.append(1)
        yield texts_of([GUID])

    ids = SeenIds(committed)
    assert not asked
    for _ in range(2):
        assert ids.claim(texts_of([GUID]), np.array([1])).tolist() == []
    assert asked == [1]
