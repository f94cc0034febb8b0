import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal import wording
from brokenseal.wording import Phrase, format_value, phrase, say

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes(timezones=st.just(dt.UTC))


def test_a_phrase_is_its_template_and_values():
    assert phrase("{n} more in the report", n=3) == Phrase(template="{n} more in the report", values={"n": 3})


@pytest.mark.parametrize(
    ("lang", "expected"), [("en", "1,234 more in the report"), ("fr", "1\u202f234 de plus dans le rapport")]
)
def test_a_sentence_is_said_in_the_language_with_its_numbers(lang, expected):
    assert say(phrase("{n} more in the report", n=1234), lang) == expected


def test_a_template_that_no_catalogue_knows_is_said_in_english():
    assert say(phrase("Nobody translated {this}", this="x"), "fr") == "Nobody translated x"


def test_an_empty_template_is_an_empty_sentence_and_not_the_header_of_the_catalogue():
    assert say(phrase(""), "fr") == ""


@given(st.dictionaries(st.sampled_from(["what", "place", "found", "expected"]), VALUES, min_size=4))
def test_values_are_never_read_as_templates(values):
    said = say(phrase("{what}: {place}: found {found}, written was {expected}", **values), "en")
    shown = {name: format_value(value, "en") for name, value in values.items()}
    assert said == f"{shown['what']}: {shown['place']}: found {shown['found']}, written was {shown['expected']}"


@pytest.mark.parametrize(
    ("value", "lang", "expected"),
    [
        (None, "en", "–"),
        (True, "en", "True"),
        (1234567, "en", "1,234,567"),
        (-(10**30), "en", "-1" + ",000" * 10),
        (0.5, "fr", "0,5"),
        (1e300, "en", "1e+300"),
        (float("nan"), "fr", "nan"),
        ("{0} %s", "fr", "{0} %s"),
        (dt.datetime(2024, 5, 6, 1, 2, 3, 999_999, tzinfo=dt.UTC), "fr", "2024-05-06 01:02:03 UTC"),
        (dt.datetime(2024, 5, 6, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))), "en", "2024-05-06 01:00:00 UTC"),
    ],
)
def test_values_are_formatted_as_readers_expect(value, lang, expected):
    assert format_value(value, lang) == expected


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="language 'xx': expected one of en, fr"):
        say(phrase("x"), "xx")


def test_catalogues_are_read_once():
    assert wording.translations("fr") is wording.translations("fr")
