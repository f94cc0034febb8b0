import datetime as dt
import functools
import re
from importlib import metadata
from pathlib import Path

import pytest

from brokenseal.tokens import adapters
from brokenseal.tokens.adapters import ADAPTERS
from brokenseal.tokens.adapters._documents import merged
from brokenseal.tokens.forgery_report import by_gravity
from brokenseal.tokens.probe import probe
from brokenseal.tokens.targets import open_target
from token_laboratory import cases, corpus, laboratory

PAGE = Path(__file__).parents[2] / "docs" / "token-attack.md"
LIBRARIES = [adapter for adapter in ADAPTERS if adapter.library != "brokenseal"]
OF_2023 = {"consumer_key_for_enterprise", "consumer_key_for_application", "other_tenants_key", "retired_key"}


@functools.cache
def result_of(adapter):
    return probe(open_target(adapter.target, expectation=laboratory().expectation()), corpus())


def named(use):
    return [adapter for adapter in ADAPTERS if adapter.use == use]


def accepted(adapter):
    return {each.case.specimen for each in result_of(adapter).accepted_forgeries}


def titles(adapter):
    return f"{adapter.library} {adapter.use}"


def test_every_module_is_in_the_tuple():
    modules = {path.stem for path in Path(adapters.__file__).parent.glob("[a-z]*.py")}
    assert {adapter.module for adapter in ADAPTERS} == modules
    assert len({adapter.target for adapter in ADAPTERS}) == len(ADAPTERS) == 9


@pytest.mark.parametrize("adapter", ADAPTERS, ids=titles)
def test_every_verifier_can_be_assessed(adapter):
    result = result_of(adapter)
    assert result.why_not is None
    assert result.forgeries == sum(case.is_forgery for case in corpus())


@pytest.mark.parametrize("adapter", ADAPTERS, ids=titles)
def test_none_lets_in_a_stranger_without_a_key(adapter):
    assert by_gravity(result_of(adapter))["breach"] == 0


def test_our_verifier_is_right_about_every_token():
    (own,) = named("strict")
    result = result_of(own)
    wrong = (*result.accepted_forgeries, *result.rejected_valid, *result.errors)
    assert [each.case.name for each in wrong] == []
    assert result.passed_over == {}


@pytest.mark.parametrize("adapter", LIBRARIES, ids=titles)
def test_no_library_knows_for_whom_a_key_may_speak(adapter):
    """The fault of 2023: the recipe checks signature, audience and issuer, and the consumer key passes."""
    assert accepted(adapter) >= OF_2023


@pytest.mark.parametrize("adapter", named("entra"), ids=titles)
def test_the_recipe_compares_audience_issuer_and_time(adapter):
    refused = {"audience_of_other_api", "audience_of_graph", "issuer_of_stranger", "tenant_not_allowed", "expired"}
    assert accepted(adapter) & refused == set()


@pytest.mark.parametrize("adapter", named("documented"), ids=titles)
def test_the_documented_use_compares_no_issuer_and_so_takes_every_tenant(adapter):
    assert accepted(adapter) >= {"issuer_of_stranger", "tenant_not_allowed", "consumer_account"}


@pytest.mark.parametrize("adapter", LIBRARIES, ids=titles)
def test_every_library_takes_the_four_ordinary_kinds_of_v2_token(adapter):
    rejected = {each.case.name for each in result_of(adapter).rejected_valid}
    assert rejected & {"user_v2", "application_v2", "partner_user_v2", "partner_application_v2"} == set()


def test_all_published_keys_are_one_set_in_the_order_of_the_documents():
    expectation = {"keys": {"a": {"keys": [{"kid": "1"}, {"kid": "2"}]}, "b": {"keys": [{"kid": "1"}]}}}
    assert merged(expectation) == {"keys": [{"kid": "1"}, {"kid": "2"}, {"kid": "1"}]}


def test_a_library_that_warns_of_a_short_key_takes_it():
    """The warning is left out of the probe's output, not the finding."""
    assert cases()["weak_key"].gravity == "misuse"
    assert [titles(adapter) for adapter in LIBRARIES if "weak_key" not in accepted(adapter)] == []


# ---------------------------------------------------------------- the page


def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_page_has_a_row_for_every_verifier_with_a_version():
    rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| (\w+) \| \d+ of \d+ \|", page(), flags=re.MULTILINE)
    assert [(library, use) for library, _, use in rows] == [(each.library, each.use) for each in ADAPTERS]


def test_the_page_counts_the_corpus_as_it_is():
    counted = {}
    for case in corpus():
        found = counted.setdefault(case.family if case.is_forgery else "valid", (set(), []))
        found[0].add(case.specimen)
        found[1].append(case)
    rows = re.findall(r"^\| ([a-z]+) \| (\d+) \| (\d+) \|$", page(), flags=re.MULTILINE)
    assert rows == [(family, str(len(classes)), str(len(tokens))) for family, (classes, tokens) in counted.items()]


@pytest.mark.skipif(
    any(
        f"| {name} | {metadata.version(name)} |" not in PAGE.read_text(encoding="utf-8")
        for name in ("PyJWT", "joserfc", "python-jose", "Authlib")
    ),
    reason="the page was written with other versions of the libraries",
)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=titles)
def test_the_page_says_what_this_run_says(adapter):
    result = result_of(adapter)
    counted = by_gravity(result)
    row = (
        f"| {adapter.use} | {len(result.accepted_forgeries)} of {result.forgeries} | {counted['breach']} | "
        f"{counted['misuse']} | {counted['laxity']} | {len(result.rejected_valid)} of {result.valid} |"
    )
    assert re.search(rf"^\| {re.escape(adapter.library)} \| [\d.]+ {re.escape(row)}", page(), flags=re.MULTILINE)


def test_the_tables_of_the_page_are_what_the_command_prints():
    """The command is the one that the page names; figures are compared above, without its second run."""
    from brokenseal.tokens import _library_table

    lines = [*_library_table._summary({adapter: result_of(adapter) for adapter in ADAPTERS})]
    assert lines[0] in page()
    assert "python -m brokenseal.tokens.adapters" in page()
    heading = next(_library_table._heading(corpus(), dt.datetime(2026, 11, 22, tzinfo=dt.UTC)))
    assert re.sub(r"^.*?: ", "", heading) in page()
