"""Random numbers by key."""

from __future__ import annotations

import base64
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import fields
from brokenseal.drill import _service_ids, streams
from brokenseal.drill.tables import DAY_US

keys = st.lists(st.one_of(st.integers(-5, 5), st.sampled_from(["a", "b", "ab", "1", ""])), max_size=4).map(tuple)


@given(st.integers(0, 3), keys, keys)
def test_equal_keys_give_equal_streams_and_others_do_not(seed, one, two):
    first = streams.stream(seed, *one).integers(1 << 62, size=4).tolist()
    second = streams.stream(seed, *two).integers(1 << 62, size=4).tolist()
    assert (first == second) == (one == two)
    assert (streams.hash_key(seed, *one) == streams.hash_key(seed, *two)) == (one == two)


def test_a_stream_is_the_same_on_every_machine():
    assert streams.stream(7, "tenant", 3, "day", 40).integers(1_000_000, size=3).tolist() == [238300, 813478, 992243]


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=50), st.randoms())
def test_hashed_numbers_belong_to_the_row_not_to_its_place(ids, shuffler):
    key = streams.hash_key(1, "rows")
    whole = dict(zip(ids, streams.hashed(key, np.array(ids)).tolist(), strict=True))
    shuffler.shuffle(ids)
    assert streams.hashed(key, np.array(ids)).tolist() == [whole[one] for one in ids]


def test_hashed_numbers_are_uniform_and_normal():
    key, ids = streams.hash_key(5, "x"), np.arange(200_000)
    uniform, normal = streams.hashed_uniform(key, ids), streams.hashed_normal(key, ids)
    counts = np.bincount((uniform * 20).astype(int), minlength=20)
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 43.8  # chi-square of 19 degrees at 0.001
    assert abs(normal.mean()) < 0.01
    assert abs(normal.std() - 1) < 0.01
    assert abs(np.corrcoef(uniform, streams.hashed_uniform(key + 1, ids))[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[1:], uniform[:-1])[0, 1]) < 0.01


def test_guids_are_version_4_and_request_ids_end_as_genuine_ones_do():
    raw = streams.random_bytes(streams.stream(1, "g"), 3000)
    texts = streams.guid_text(streams.version4(raw)).to_pylist()
    assert len(set(texts)) == 3000
    assert {uuid.UUID(text).version for text in texts} == {4}
    assert [str(uuid.UUID(text)) for text in texts] == texts
    requests = streams.guid_text(streams.request_ids(raw)).to_pylist()
    assert {text[-2:] for text in requests} == {"00", "01", "02"}
    assert {text[14] for text in requests} == {"4"}


def test_token_ids_decode_to_their_request_ids():
    guid = streams.request_ids(streams.hashed_bytes(3, np.arange(200)))
    decoded = [fields.canonical_token_id(text) for text in streams.uti_text(guid).to_pylist()]
    assert decoded == [(text, "b64guid") for text in streams.guid_text(guid).to_pylist()]
    known = np.frombuffer(uuid.UUID("445945de-2d4f-4816-a71e-d3c0eff10500").bytes, dtype=np.uint8)[None, :]
    assert streams.uti_text(known).to_pylist() == ["3kVZRE8tFkinHtPA7_EFAA"]


@given(st.integers(1, 40), st.integers(0, 5), st.integers(0, 2**32))
def test_base64url_equals_the_standard_library(width, rows, seed):
    raw = np.random.default_rng(seed).integers(0, 256, (rows, width), dtype=np.uint8)
    expected = [base64.urlsafe_b64encode(bytes(row)).decode().rstrip("=") for row in raw]
    assert streams.base64url_text(raw).to_pylist() == expected


@given(st.lists(st.integers(0, 4), max_size=20))
def test_spread_equals_the_plain_loop(counts):
    parents, places = streams.spread(np.array(counts, dtype=np.int64))
    expected = [(parent, place) for parent, count in enumerate(counts) for place in range(count)]
    assert list(zip(parents.tolist(), places.tolist(), strict=True)) == expected


@given(
    st.lists(st.floats(0, 0.999999), min_size=1, max_size=20),
    st.lists(st.floats(0, 10), min_size=1, max_size=5).filter(lambda weights: sum(weights) > 0.01),
)
def test_picks_follow_the_weights_by_row_as_for_all(uniform, weights):
    chosen = streams.pick(np.array(uniform), weights)
    by_row = streams.pick(np.array(uniform), np.tile(weights, (len(uniform), 1)))
    assert chosen.tolist() == by_row.tolist()
    assert all(weights[one] > 0 for one in chosen.tolist())


def test_choice_shares_and_lognormal_medians_hold():
    rng = streams.stream(2, "marginals")
    shares = np.bincount(streams.choose(rng, (1, 2, 7), 50_000), minlength=3) / 50_000
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.01)
    values = streams.lognormal(rng, 60, 1.0, 50_000)
    assert np.median(values) == pytest.approx(60, rel=0.03)
    assert np.log(values).std() == pytest.approx(1.0, rel=0.02)


def test_request_ids_end_as_old_as_their_process_is():
    at = np.sort(np.random.default_rng(2).integers(0, 28 * DAY_US, 4000))
    shares = []
    for key in range(30):
        guid = _service_ids.request_ids(key, streams.hashed(key, np.arange(4000)), at, accounts=200)
        assert set(guid[:, 15].tolist()) <= {0, 1, 2}
        assert len({row.tobytes() for row in guid}) == 4000
        shares.append(float((guid[:, 15] == 0).mean()))
    # Where processes live a day all counters are young; where they live a week four in ten are not.
    assert max(shares) == 1.0
    assert 0.5 < min(shares) < 0.7
    assert 0.75 < np.mean(shares) < 0.97


def test_counters_of_one_process_grow_by_about_sixty_a_second():
    at = np.arange(200_000) * 5_000_000
    guid = _service_ids.request_ids(7, np.zeros(200_000, np.uint64), at, accounts=1)
    counter = guid[:, 12:].copy().view("<u4").ravel().astype(np.int64)
    process = guid[:, :12].copy().view("V12").ravel()
    same = process[1:] == process[:-1]
    assert 1 < (~same).sum() < 15
    rates = np.diff(counter)[same] / 5
    assert 49 < rates.min() < rates.max() < 63
