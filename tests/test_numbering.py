"""Numbers in place of texts: equal where these are, and apart where they are not."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brokenseal.numbering import numbered, numbered_rows, shared

TEXTS = st.lists(st.sampled_from(["", "a", "b", "c", None]), max_size=12)


@pytest.mark.parametrize("form", ["plain", "in chunks", "dictionaries that differ by chunk"])
@settings(max_examples=40, deadline=None)
@given(texts=TEXTS)
def test_each_text_has_a_number_of_its_own_and_none_has_minus_one(form, texts):
    half = len(texts) // 2
    parts = [texts] if form == "plain" else [texts[:half], texts[half:]]
    chunks = [pa.array(part, pa.string()) for part in parts]
    if form.startswith("dictionaries"):
        chunks = [chunk.dictionary_encode() for chunk in chunks]

    codes, names = numbered(pa.chunked_array(chunks))

    assert [None if code < 0 else names[code] for code in codes.tolist()] == texts
    assert set(codes[codes < 0].tolist()) <= {-1}
    assert len(set(names)) == len(names)
    assert shared(pa.chunked_array(chunks)) == texts


def test_a_text_that_recurs_is_one_object():
    texts = shared(pa.chunked_array([pa.array(["a mailbox", None, "another"]), pa.array(["a mailbox"])]))

    assert texts == ["a mailbox", None, "another", "a mailbox"]
    assert texts[0] is texts[3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 3), st.integers(-1, 3)), max_size=20))
def test_rows_have_one_number_where_they_are_equal(rows):
    columns = [np.array([row[place] for row in rows], dtype=np.int64) for place in range(3)]

    codes = numbered_rows(*columns).tolist()

    assert len(set(zip(rows, codes, strict=True))) == len(set(rows)) == len(set(codes))
    assert sorted(set(codes)) == list(range(len(set(codes))))
