"""Rules tried without a store: each is carried out on one record, by either engine."""

from __future__ import annotations

import pytest

from brokenseal.sigma import OWN_RULES, load_rules, load_text
from brokenseal.sigma.trial import try_rules
from brokenseal.wording import say
from spark_session import needs_spark

ENGINES = ("duckdb", pytest.param("spark", marks=[needs_spark, pytest.mark.slow]))
RULE = "title: {}\nlogsource: {{product: {}, service: {}}}\ndetection:\n  s: {{{}}}\n  condition: s\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_rule_of_ours_is_carried_out(engine):
    rules = load_rules([OWN_RULES])
    verdicts, faults = try_rules(rules, engine)

    assert faults == ()
    assert [each.key for each in rules.rules] == [each.rule.key for each in verdicts]
    assert {"runnable"} == {each.state for each in verdicts}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_said_of_rules_without_a_store(engine):
    texts = (
        RULE.format("runs", "m365", "audit", "Parameters.ForwardTo|re: '^[a-z]+@'"),
        RULE.format("doubtful", "azure", "signinlogs", "Count: 5"),
        RULE.format("left", "azure", "signinlogs", "Username: UPN"),
        RULE.format("elsewhere", "azure", "pim", "a: b"),
        RULE.format("placeholder", "m365", "audit", "'UserId|endswith|expand': '%internal_domains%'"),
        RULE.format("unfilled", "m365", "audit", "'UserId|expand': '%vips%'"),
    )
    verdicts, faults = try_rules(load_text("---\n".join(texts)), engine)

    assert [(each.rule.title, each.state) for each in verdicts] == [
        ("runs", "runnable"),
        ("doubtful", "runnable"),
        ("left", "never"),
        ("elsewhere", "source_absent"),
        ("placeholder", "runnable"),
        ("unfilled", "unreadable"),
    ]
    assert say(verdicts[1].reason, "en") == (
        "No record of this log (Entra sign-in logs) is known to have the field Count, "
        "and without it the condition is never true"
    )
    assert [fault.reason for fault in faults] == ["it needs values for the placeholder %vips%"]
