"""Hyper-priors and the files that change them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.drill import priors, streams
from brokenseal.errors import UsageError


def test_the_published_train_and_test_spans_stand():
    spans = {name: (span.low, span.high) for name, span in priors.TRAIN.spans.items()}
    assert spans["mailboxes"] == (100, 2000)
    assert spans["microsoft_share"] == (0.5, 0.75)
    assert spans["orphan_rate"] == (1e-5, 1e-3)
    assert spans["doors_per_100_month"] == (0.5, 3)
    assert spans["travel_per_day"] == (1 / 75, 1 / 75)
    wide = {name: (span.low, span.high) for name, span in priors.TEST.spans.items()}
    assert wide["mailboxes"] == (50, 5000)
    assert wide["orphan_rate"] == (1e-6, 3e-2)
    assert wide["stranger_given_orphan"] == (0.002, 0.3)
    assert wide["roll_out_reach"] == (0.1, 0.95)


def test_test_widens_train_in_every_quantity():
    # The spread between mailboxes is one number in each prior, and larger in TEST.
    for name, span in priors.TRAIN.spans.items():
        if name != "records_sigma":
            wide = priors.TEST.spans[name]
            assert wide.low <= span.low <= span.high <= wide.high, name


def test_every_quantity_is_possible_and_sourced():
    for quantity in priors.QUANTITIES:
        assert quantity.source in {"literature", "protocol", "assumed"}
        for prior in priors.PRIORS:
            span = prior.spans[quantity.name]
            assert quantity.minimum <= span.low <= span.high <= quantity.maximum


@given(st.integers(0, 2**32), st.sampled_from(priors.PRIORS))
def test_drawn_values_lie_in_their_spans(seed, prior):
    drawn = priors.draw(prior, streams.stream(seed, "prior")).as_dict()
    assert list(drawn) == [quantity.name for quantity in priors.QUANTITIES]
    for name, value in drawn.items():
        assert prior.spans[name].low <= value <= prior.spans[name].high
    assert isinstance(drawn["mailboxes"], int)


def test_another_span_changes_only_its_own_quantity(tmp_path):
    path = tmp_path / "heavy.toml"
    path.write_text('base = "test"\ntravel_per_day = [0.1, 0.15]\nmailboxes = 60\n', encoding="utf-8")
    heavy = priors.load_prior(path)
    usual = priors.draw(priors.TEST, streams.stream(4, "prior")).as_dict()
    changed = priors.draw(heavy, streams.stream(4, "prior")).as_dict()

    assert heavy.name == "heavy"
    assert {name for name in usual if usual[name] != changed[name]} == {"travel_per_day", "mailboxes"}
    assert changed["mailboxes"] == 60
    assert 0.1 <= changed["travel_per_day"] <= 0.15


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "p.toml").write_text("cae_share = [0, 1]\n", encoding="utf-8")
    (tmp_path / "p.json").write_text('{"base": "train", "cae_share": [0, 1]}', encoding="utf-8")
    assert priors.load_prior(tmp_path / "p.toml") == priors.load_prior(tmp_path / "p.json")
    assert priors.load_prior("train") is priors.TRAIN
    assert priors.load_prior("test") is priors.TEST


@pytest.mark.parametrize(
    ("document", "place", "expected"),
    [
        ({"mailboxes": 3}, "mailboxes", "values from 10 to 20000"),
        ({"cae_share": [0.2, 1.5]}, "cae_share", "values from 0 to 1"),
        ({"cae_share": [0.9, 0.1]}, "cae_share", "a pair with low not above high"),
        ({"cae_share": "half"}, "cae_share", "a number, or a pair [low, high] of numbers"),
        ({"cae_share": True}, "cae_share", "a number, or a pair [low, high] of numbers"),
        ({"cae_share": [0.1]}, "cae_share", "a number, or a pair [low, high] of numbers"),
        ({"cae_share": [0.1, None]}, "cae_share", "a number, or a pair [low, high] of numbers"),
        ({"cae_share": float("nan")}, "cae_share", "values from 0 to 1"),
        ({"mailboxes": 10**400}, "mailboxes", "values from 10 to 20000"),
        ({"mailboxes": [10.5, 20]}, "mailboxes", "whole numbers"),
        ({"base": "prod"}, "base", "train or test"),
    ],
)
def test_an_impossible_prior_is_refused_by_name_and_value(tmp_path, document, place, expected):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        priors.load_prior(path)
    assert caught.value.place == f"{path}: {place}"
    assert caught.value.expected == expected
    assert caught.value.value is not None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("bad.toml", "mailboxes = [", "well-formed TOML or JSON"),
        ("bad.json", "[1, 2]", "an object of quantities"),
        ("bad.json", "{", "well-formed TOML or JSON"),
        ("prior.yaml", "a: 1", "train, test, or a .toml or .json file"),
    ],
)
def test_an_unreadable_prior_is_one_clear_error(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        priors.load_prior(path)
    assert caught.value.expected == expected


def test_an_unknown_quantity_and_an_absent_file_are_refused(tmp_path):
    path = tmp_path / "odd.json"
    path.write_text('{"mailboxs": 100}', encoding="utf-8")
    with pytest.raises(UsageError, match="mailboxs"):
        priors.load_prior(path)
    with pytest.raises(UsageError, match="a readable UTF-8 file"):
        priors.load_prior(tmp_path / "absent.toml")
    with pytest.raises(UsageError, match="mailboxes"):
        priors.draw(priors.TRAIN, streams.stream(1), mailboxes=5)


@pytest.mark.parametrize(("year", "number"), [(2025, 0), (2023, 1), (2021, 2)])
def test_a_name_may_choose_the_field_set_by_its_year(year, number):
    prior = priors.load_prior(f"test-{year}")
    assert prior.spans == {**priors.TEST.spans, "log_epoch_no": priors.Span(number, number)}
    assert priors.draw(prior, streams.stream(3)).log_epoch == year


@pytest.mark.parametrize(("years", "span"), [(2023, (1, 1)), ([2021, 2023], (1, 2)), ([2023, 2021], (1, 2))])
def test_a_file_may_choose_the_field_set_by_its_year(tmp_path, years, span):
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"log_epoch": years}), encoding="utf-8")
    found = priors.load_prior(path).spans["log_epoch_no"]
    assert (found.low, found.high) == span


@pytest.mark.parametrize("years", [2022, True, "2021", [2021], [2021, 2023, 2025], None, 1])
def test_a_year_without_a_field_set_is_refused(tmp_path, years):
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"log_epoch": years}), encoding="utf-8")
    with pytest.raises(UsageError, match="2021, 2023 or 2025") as caught:
        priors.load_prior(path)
    assert caught.value.place == f"{path}: log_epoch"
