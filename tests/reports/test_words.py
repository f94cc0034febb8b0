import datetime as dt

import pytest

from brokenseal import schema
from brokenseal.detectors import DETECTORS, token_provenance
from brokenseal.model import OpenEnded, Severity
from brokenseal.reports import _words
from brokenseal.wording import phrase, say


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_pieces_joined_are_what_is_said(lang):
    sentence = phrase(
        "Logs from {first_at} to {last_at}.",
        first_at=dt.datetime(2024, 5, 6, tzinfo=dt.UTC),
        last_at="{0} %s {last_at}",
    )
    pieces = _words.pieces(sentence, lang)
    assert "".join(text for text, _ in pieces) == say(sentence, lang)
    assert ("{0} %s {last_at}", "log") in pieces
    assert ("2024-05-06 00:00:00 UTC", "value") in pieces


def test_a_code_without_a_word_is_shown_as_it_is():
    assert _words.word(_words.OUTCOME, "unchanged", "en") == "seen before"
    assert _words.word(_words.OUTCOME, "<b>", "en") == "<b>"


def test_every_declared_code_has_a_word():
    assert set(_words.SEVERITY) == {severity.value for severity in Severity}
    assert set(_words.QUARANTINE) == set(schema.QUARANTINE_REASONS)
    assert set(_words.CANNOT_TELL) == set(token_provenance.REASONS)


def test_every_reason_and_outcome_that_the_model_names_has_a_word():
    columns = {column.name: column.meaning for column in schema.LEDGER.columns}
    assert all(code in columns["outcome"] for code in _words.OUTCOME)
    assert all(code in OpenEnded.__doc__ for code in _words.OPEN_REASON)


def test_every_technique_that_a_detector_names_has_a_name():
    named = {code for detector in DETECTORS for variant in detector.variants.values() for code in variant.attack}
    assert named <= set(_words.ATTACK)


def test_techniques_are_named_where_the_name_is_known():
    assert _words.attack_name("T1114.002") == "T1114.002 Remote Email Collection"
    assert _words.attack_name("T9999") == "T9999"
