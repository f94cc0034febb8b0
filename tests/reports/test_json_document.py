import datetime as dt
import json
from dataclasses import replace

import msgspec
import pytest

from brokenseal.reports.json_document import document_from_json, document_to_json, render, to_json
from brokenseal.wording import phrase
from reports.documents import HOSTILE, empty_document, hostile_document, rich_document

DOCUMENTS = {"rich": rich_document, "hostile": hostile_document, "empty": empty_document}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_comes_back_as_it_was(name):
    document = DOCUMENTS[name]()
    content = document_to_json(document)
    assert document_from_json(content) == document
    assert document_to_json(document_from_json(content)) == content


def test_the_language_makes_no_difference():
    document = rich_document()
    assert render(document, "en") == render(document, "fr") == document_to_json(document)


def test_log_text_is_kept_exactly():
    cited = json.loads(document_to_json(hostile_document()))["cited"]
    assert set(HOSTILE) == {record["operation"] for record in cited.values()}


def test_times_are_utc_and_mappings_are_sorted_and_the_last_byte_is_a_line_feed():
    content = to_json({"b": dt.datetime(2024, 5, 6, 1, 2, 3, tzinfo=dt.UTC), "a": (1, None)})
    assert content == b'{\n  "a": [\n    1,\n    null\n  ],\n  "b": "2024-05-06T01:02:03Z"\n}\n'


@pytest.mark.parametrize(
    "text", ["2024-05-06T01:02:03Z", "2024-05-06T01:02:03.5Z", "2024-13-06T01:02:03Z", "2024-05-06T01:02:03.120000Z"]
)
def test_text_that_looks_like_a_time_gives_the_same_bytes_again(text):
    document = empty_document()
    verdict = replace(document.verdict, headline=phrase("On {text}", text=text))
    document = replace(document, verdict=verdict)
    content = document_to_json(document)
    assert document_to_json(document_from_json(content)) == content


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"format": 1}'])
def test_what_is_no_document_is_refused(content):
    with pytest.raises(msgspec.ValidationError):
        document_from_json(content)
