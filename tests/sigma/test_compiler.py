"""Compiled rules say of every record what the plain evaluator says of it."""

from __future__ import annotations

import functools

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.rule import SigmaRule

import sigma_plain
from brokenseal.sigma import NotSupportedError, compile_rule

SCALARS = ("Operation", "UserId", "ClientIP", "Count", "Path", "_text")
LISTS = ("Tags", "Types")
WORDS = ("New-InboxRule", "new-inboxrule", "MailItemsAccessed", "A*b", "a?b", "ab", "AB", "", " ", "É", "é", "x\\y", "x\\*y", "50%_", "-flag /f", "line\nbreak", "Zm9v")  # fmt: skip
VALUES = (*WORDS, "5", "-1.5", "nan", "1e3", "10.1.2.3", "10.1.2.3:443", "[2001:db8::7]:443", "2001:DB8::7", "::ffff:10.1.2.3", "300.1.1.1", "true", "True", "False")  # fmt: skip


@functools.cache
def engine():
    con = ibis.duckdb.connect()
    con.raw_sql("SET GLOBAL lambda_syntax='ENABLE_SINGLE_ARROW'")
    return con


def rule_of(detection):
    return SigmaRule.from_dict({"title": "t", "logsource": {"product": "m365"}, "detection": detection})


def table_of(records):
    columns = {name: pa.array([record.get(name) for record in records], pa.string()) for name in SCALARS}
    columns |= {name: pa.array([record.get(name) for record in records], pa.list_(pa.string())) for name in LISTS}
    return pa.table({"n": range(len(records)), **columns})


def verdicts(detection, records):
    con = engine()
    con.con.register("given", table_of(records))
    con.con.execute("CREATE OR REPLACE TABLE records AS SELECT * FROM given")
    table = con.table("records")
    found = table.select("n", hit=compile_rule(rule_of(detection))(table)).order_by("n")
    return found.to_pyarrow()["hit"].to_pylist()


RECORD = {
    "Operation": "New-InboxRule",
    "UserId": "Ana@Example.org",
    "ClientIP": "[2001:db8::7]:443",
    "Count": "12",
    "Path": r"c:\temp\a.exe",
    "Tags": ["Alpha", "beta"],
    "Types": None,
    "_text": '{"Operation":"New-InboxRule"}',
}

CASES = {
    "case does not matter": ({"Operation": "NEW-inboxrule"}, True),
    "cased does": ({"Operation|cased": "new-InboxRule"}, False),
    "cased finds what is the same": ({"Operation|cased|startswith": "New-"}, True),
    "one of a list is enough": ({"Operation": ["x", "new-inboxrule"]}, True),
    "a wildcard of many": ({"Operation": "new*rule"}, True),
    "a wildcard of one": ({"Operation": "New?InboxRule"}, True),
    "an escaped wildcard is a letter": ({"Operation": r"New\*"}, False),
    "contains": ({"UserId|contains": "@example"}, True),
    "contains all": ({"Operation|contains|all": ["new", "rule", "zz"]}, False),
    "several values, one is enough": ({"Tags": "ALPHA"}, True),
    "several values, all wanted ones are there": ({"Tags|contains|all": ["alph", "BET"]}, True),
    "a backslash is a backslash": ({"Path|endswith": r"\a.exe"}, True),
    "absent matches null": ({"Types": None}, True),
    "absent matches not exists": ({"Types|exists": False}, True),
    "absent matches nothing else": ({"Types": "*"}, False),
    "a star needs the field": ({"Tags": "*"}, True),
    "an unknown field is absent": ({"Nope": None}, True),
    "an unknown field equals nothing": ({"Nope": ""}, False),
    "a network, through port and brackets": ({"ClientIP|cidr": "2001:db8::/64"}, True),
    "another network": ({"ClientIP|cidr": "2001:db8:1::/64"}, False),
    "a number": ({"Count": 12}, True),
    "at least": ({"Count|gte": 12}, True),
    "less": ({"Count|lt": 12}, False),
    "text is no number": ({"Operation|gt": 1}, False),
    "regular expressions mind case": ({"Operation|re": "^new"}, False),
    "unless told": ({"Operation|re|i": "^new"}, True),
    "base64": ({"Tags|base64offset|contains": "foo"}, False),
    "windash": ({"Operation|windash": "New/InboxRule"}, False),
    "not equal": ({"Operation|neq": "x"}, True),
    "another field": ({"Operation|fieldref": "UserId"}, False),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_item(name):
    item, expected = CASES[name]
    detection = {"s": item, "condition": "s"}

    assert [expected] == verdicts(detection, [RECORD])
    assert expected == sigma_plain.matches(detection, RECORD)


def test_the_negation_of_an_absent_field_matches():
    """`not selection` holds for records that do not have the field: null is no third answer."""
    assert verdicts({"s": {"Types": "x"}, "condition": "not s"}, [RECORD]) == [True]


def test_keywords_are_looked_for_in_the_whole_text():
    assert verdicts({"k": ["inboxrule", "zz"], "condition": "k"}, [RECORD, RECORD | {"_text": "{}"}]) == [True, False]


def test_base64_of_a_text_is_found_wherever_it_stands():
    import base64

    records = [{"Path": base64.b64encode(b"x" * before + b"secret!" + b"y").decode()} for before in range(6)]
    detection = {"s": {"Path|base64offset|contains": "secret!"}, "condition": "s"}

    assert verdicts(detection, records) == [True] * 6


@pytest.mark.parametrize("dash", sigma_plain.DASHES)
def test_windash_takes_every_dash(dash):
    assert verdicts({"s": {"Path|windash|contains": " -enc"}, "condition": "s"}, [{"Path": f"a {dash}enc b"}]) == [True]


def test_hours_of_a_time_as_logs_write_it():
    records = [{"Path": "2026-03-01T03:04:05.1234567Z"}, {"Path": "2026-03-01T13:04:05"}, {"Path": "3 o'clock"}]

    assert verdicts({"s": {"Path|hour": 3}, "condition": "s"}, records) == [True, False, False]


@pytest.mark.parametrize(
    ("detection", "reason"),
    [
        ({"s": {"Operation|expand": "%vips%"}, "condition": "s"}, "needs values for the placeholder %vips%"),
        ({"s": {"Operation|re": "[[:alpha:]]"}, "condition": "s"}, "POSIX class"),
        ({"s": {"ClientIP|fieldref": "Operation"}, "condition": "s"}, None),
    ],
)
def test_what_cannot_be_said_is_refused_when_compiled(detection, reason):
    if reason is None:
        compile_rule(rule_of(detection))
        return
    with pytest.raises(NotSupportedError, match=reason):
        compile_rule(rule_of(detection))


def test_a_rule_as_text_names_the_line_of_its_fault():
    with pytest.raises(NotSupportedError, match="line 5: Unknown modifier 'nope'"):
        compile_rule("title: t\nlogsource: {product: m365}\ndetection:\n  s:\n    A|nope: x\n  condition: s\n")


# ---------------------------------------------------------------- property: compiled equals plain

patterns = st.one_of(
    st.sampled_from(WORDS), st.text(alphabet="abAB*?\\éİ.-%_ ", max_size=5), st.sampled_from(("New-*", "*rule", "?b"))
)
plain_words = st.text(alphabet="abAB.é-_ ", min_size=1, max_size=6)
FIELDS = st.sampled_from((*SCALARS[:-1], *LISTS, "Nope"))


@st.composite
def items(draw):
    name = draw(FIELDS)
    kind = draw(st.sampled_from(KINDS))
    value, modifiers = kind(draw)
    return {"|".join((name, *modifiers)): value}


def _listed(draw, strategy):
    return draw(st.one_of(strategy, st.lists(strategy, min_size=1, max_size=3)))


def _text(draw):
    modifiers = draw(st.sampled_from(((), ("contains",), ("startswith",), ("endswith",), ("cased",), ("contains", "all"), ("cased", "contains"), ("neq",), ("windash", "contains"))))  # fmt: skip
    return _listed(draw, patterns), modifiers


def _encoded(draw):
    return draw(plain_words), draw(st.sampled_from((("base64", "contains"), ("base64offset", "contains"))))


def _number(draw):
    kinds = ((), ("gt",), ("gte",), ("lt",), ("lte",))
    return draw(st.one_of(st.integers(-5, 1500), st.sampled_from((1.5, -1.5, 5)))), draw(st.sampled_from(kinds))


def _network(draw):
    return draw(st.sampled_from(("10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::/0", "0.0.0.0/0"))), ("cidr",)


def _regex(draw):
    flags = draw(st.sampled_from(((), ("i",), ("i", "s"))))
    return draw(st.sampled_from(("^new", "a.b", "[A-Z]{2}", "(x|é)", r"\d+\.\d+", "b$"))), ("re", *flags)


def _other(draw):
    return draw(st.sampled_from((None, True, False))), ()


def _exists(draw):
    return draw(st.booleans()), ("exists",)


def _reference(draw):
    modifiers = draw(st.sampled_from((("fieldref",), ("fieldref", "startswith"), ("fieldref", "contains"))))
    return draw(st.sampled_from(SCALARS[:-1])), modifiers


KINDS = (_text, _text, _text, _encoded, _number, _network, _regex, _other, _exists, _reference)


@st.composite
def detections(draw):
    one = st.lists(items(), min_size=1, max_size=2).map(lambda each: {k: v for item in each for k, v in item.items()})
    selection = st.one_of(one, st.lists(one, min_size=1, max_size=2), st.lists(plain_words, min_size=1, max_size=2))
    condition = draw(st.sampled_from(("sel_a", "not sel_a", "sel_a and not sel_b", "1 of sel_*", "all of them", "not (sel_a or sel_b)", "sel_a or not sel_b and sel_a")))  # fmt: skip
    return {"sel_a": draw(selection), "sel_b": draw(selection), "condition": condition}


values = st.one_of(st.none(), st.sampled_from(VALUES), st.text(alphabet="abABİé*?\\.- \n", max_size=6))
records = st.fixed_dictionaries(
    dict.fromkeys(SCALARS, values)
    | {name: st.one_of(st.none(), st.lists(values.filter(lambda each: each is not None), max_size=3)) for name in LISTS}
)


@settings(max_examples=30, deadline=None)
@given(detections(), st.lists(records, min_size=1, max_size=12))
def test_compiled_rules_agree_with_the_plain_evaluator(detection, rows):
    expected = [sigma_plain.matches(detection, record) for record in rows]
    try:
        found = verdicts(detection, rows)
    except NotSupportedError as err:
        found, reason = expected, str(err)
        if "several values" not in reason:
            raise

    assert found == expected
