"""Bad rules give file, line and reason, and stop no others."""

from __future__ import annotations

import pytest

from brokenseal.errors import UsageError
from brokenseal.sigma import OWN_RULES, load_rules, load_text
from brokenseal.sigma.loading import FILE_BYTES, placeholder_values

GOOD = """\
title: Good
id: 11111111-2222-4333-8444-555555555555
logsource: {product: m365, service: audit}
detection:
  s: {Operation: x}
  condition: s
"""


def rule(*, title="t", detection="  s:\n    Operation: x\n  condition: s\n", head=""):
    return f"title: {title}\n{head}logsource: {{product: m365}}\ndetection:\n{detection}"


BAD = {
    "unknown modifier": (rule(detection="  s:\n    A: x\n    B|nope: y\n  condition: s\n"), 6, "Unknown modifier 'nope'"),
    "lookahead": (rule(detection="  s:\n    A|re: (?=x)y\n  condition: s\n"), 5, "invalid perl operator: (?="),
    "back reference": (rule(detection="  s:\n    A|re: (x)\\1\n  condition: s\n"), 5, "invalid escape sequence"),
    "no network": (rule(detection="  s:\n    A|cidr: 10.0.0.0/40\n  condition: s\n"), 5, "Invalid CIDR expression"),
    "no number": (rule(detection="  s:\n    A|gt: x\n  condition: s\n"), 5, "incompatible to value type"),
    "missing selection": (rule(detection="  s:\n    A: x\n  condition: s and nope\n"), 6, "'nope' not defined"),
    "pattern of nothing": (rule(detection="  s:\n    A: x\n  condition: 1 of no*\n"), 6, "doesn't match any"),
    "broken condition": (rule(detection="  s:\n    A: x\n  condition: s and\n"), 6, "Expected"),
    "old aggregation": (rule(detection="  s:\n    A: x\n  condition: s | count() > 3\n"), 6, "pipe syntax"),
    "no detection": ("title: t\nlogsource: {product: m365}\n", 1, "no detection"),
    "no log source": ("title: t\ndetection:\n  s: {A: x}\n  condition: s\n", 1, "log source"),
    "a map for a value": (rule(detection="  s:\n    A: {b: c}\n  condition: s\n"), 5, "Unsupported type"),
    "a list": ("- a\n- b\n", 1, "a rule is a mapping"),
    "a date that is none": (rule(head="date: 2024-13-45\n"), 1, "month must be in 1..12"),
    "a tag that runs things": ("title: !!python/object/apply:os.system [ls]\n", 1, "could not determine a constructor"),
    "no YAML": ("title: x\n  foo: [\n", 2, "not YAML: mapping values are not allowed"),
    "a cycle": ("title: x\ndetection: &d\n  s: *d\n  condition: s\n", 2, "an alias that contains itself"),
    "deep": ("a: " + "[" * 5000 + "]" * 5000, 1, "nested more than 40 levels deep"),
    "an unknown kind of correlation": (
        "title: t\ncorrelation: {type: often, rules: [a], timespan: 1h, condition: {gte: 2}}\n", 2, "often",
    ),
    "no time": ("title: t\ncorrelation: {type: event_count, rules: [a], timespan: soon, condition: {gte: 2}}\n", 2, "soon"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_rule_gives_file_line_and_reason_and_stops_no_other(name, tmp_path, capfd):
    text, line, reason = BAD[name]
    (tmp_path / "a_bad.yml").write_text(text)
    (tmp_path / "b_good.yml").write_text(GOOD)
    found = load_rules([tmp_path])

    (fault,) = found.faults
    assert (str(tmp_path / "a_bad.yml"), line) == (fault.path, fault.line)
    assert reason in fault.reason
    assert [each.title for each in found.rules] == ["Good"]
    assert capfd.readouterr().err == ""


def test_other_documents_of_the_same_file_go_on():
    bad = rule(detection="  s: {A|nope: x}\n  condition: s\n")
    found = load_text(f"{bad}---\n{GOOD}---\n")

    assert [each.title for each in found.rules] == ["Good"]
    assert [fault.line for fault in found.faults] == [4]


def test_a_file_of_ten_mebibytes_is_not_even_read(tmp_path):
    (tmp_path / "big.yml").write_text("a: " + "b" * (10 << 20))
    (fault,) = load_rules([tmp_path]).faults

    assert f"a file of rules has at most {FILE_BYTES}" in fault.reason


def test_a_bomb_of_aliases_is_refused_before_it_is_built():
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (fault,) = load_text("\n".join(lines)).faults

    assert fault.reason == "aliases expand to more than 50000 values"


def test_rules_that_refer_to_each_other_in_a_circle_are_refused_and_named():
    text = "".join(
        f"title: {name}\nname: {name}\ncorrelation: {{type: event_count, rules: [{other}], timespan: 1h, condition: {{gte: 2}}}}\n---\n"
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    found = load_text(text + GOOD)

    assert [(each.line, each.reason) for each in found.faults][:1] == [
        (1, "its references lead in a circle: a → b → c → a")
    ]
    assert len(found.faults) == 3
    assert [each.title for each in found.rules] == ["Good"]


def test_a_long_chain_of_rules_is_a_fault_and_breaks_nothing():
    chain = "---\n".join(
        f"title: r{n}\nname: r{n}\ncorrelation: {{type: event_count, rules: [r{n + 1}], timespan: 1h, condition: {{gte: 2}}}}\n"
        for n in range(2000)
    )
    found = load_text(chain + "---\n" + GOOD.replace("title:", "name: r2000\ntitle:"))

    assert found.faults[0].reason == "its references go on for more than 40 rules"
    assert len(found.faults) == 1960
    assert len(found.rules) == 41


def test_a_reference_to_nothing_is_a_fault():
    (fault,) = load_text(
        "title: t\ncorrelation: {type: event_count, rules: [gone], timespan: 1h, condition: {gte: 2}}\n"
    ).faults

    assert fault.reason == "it refers to a rule that was not read: gone"


def test_of_two_rules_with_one_id_the_first_counts(tmp_path):
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(GOOD.replace("Good", "Other"))
    found = load_rules([tmp_path])

    assert [each.title for each in found.rules] == ["Good"]
    assert [f"the same id as {tmp_path / 'a.yml'}:1, which counts"] == [each.reason for each in found.faults]


def test_what_is_no_rule_in_a_folder_of_rules_is_passed_over(tmp_path):
    (tmp_path / "pipeline.yml").write_text("name: p\npriority: 10\ntransformations: []\n")

    assert (load_rules([tmp_path]).rules, load_rules([tmp_path]).faults) == ((), ())


def test_values_of_placeholders(tmp_path):
    path = tmp_path / "values.yml"
    path.write_text("internal_domains: [example.org, example.net]\nlimit: 5\n")

    assert placeholder_values(path) == {"internal_domains": ("example.org", "example.net"), "limit": ("5",)}
    path.write_text("- a\n")
    with pytest.raises(UsageError, match="internal_domains"):
        placeholder_values(path)


def test_our_own_rules_have_no_fault():
    found = load_rules([OWN_RULES])

    assert found.faults == ()
    assert found.rules
