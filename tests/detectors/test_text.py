"""Comparison of text that ingest did not fold."""

from __future__ import annotations

import ibis
import pytest

from brokenseal.detectors._text import ascii_folded, has, imitates_brand, odd_name


def evaluate(function, value, dtype="string"):
    return function(ibis.literal(value, type=dtype)).to_pyarrow().as_py()


@pytest.mark.parametrize("name", [".", "..", "", " ", "-_-", "a", "aa", "7", "…", "会"])
def test_names_that_say_nothing_are_odd(name):
    assert evaluate(odd_name, name) is True


@pytest.mark.parametrize("name", ["abc", "会議", "a b", "Spam", "été", None])
def test_names_that_say_something_are_not_odd(name):
    assert evaluate(odd_name, name) is False


@pytest.mark.parametrize(
    "name",
    ["rnicrosoft", "rnicrosoft_office", "Micros0ft Teams", "MICR0SOFT", "Mісrosoft", "Mlcrosoft", "mircosoft", "0utlook",
     "Share-P0int", "0neDrive", "0ff1ce 365"],
)  # fmt: skip
def test_names_that_read_like_microsofts_imitate_it(name):
    assert evaluate(imitates_brand, name) is True


@pytest.mark.parametrize(
    "name",
    ["Microsoft Graph", "Microsoft_Word", "Microsoft-Word", "SharePoint", "Office 365 Exchange Online", "Outlook", "Notes",
     "Modern Mail", "", None],
)  # fmt: skip
def test_names_spelt_right_and_other_names_imitate_nothing(name):
    assert evaluate(imitates_brand, name) is False


def test_only_ascii_letters_are_folded():
    assert evaluate(ascii_folded, "ÀB İß Z") == "Àb İß z"


@pytest.mark.parametrize(("texts", "expected"), [(["delete"], True), (["Delete"], False), ([], False), (None, False)])
def test_a_list_that_is_absent_holds_nothing(texts, expected):
    assert evaluate(lambda value: has(value, "delete", "move"), texts, "array<string>") is expected
