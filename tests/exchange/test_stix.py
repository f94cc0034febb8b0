import datetime as dt
import json
from dataclasses import replace

import pytest
import stix2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stix2patterns.v21.pattern import Pattern
from stix2validator import ValidationOptions, validate_string

from brokenseal.errors import InputError
from brokenseal.exchange.indicators import share
from brokenseal.exchange.shared import Indicator, Shared, SharedCase, Terms, Tool, VictimMessage, Victims
from brokenseal.exchange.stix_bundle import bundle_of, stix_bytes, valid_until
from brokenseal.exchange.stix_import import read_bundle
from brokenseal.exchange.stix_objects import moment, observable_of, pattern_of, value_of
from brokenseal.exchange.tlp import Tlp, marking
from brokenseal.model import Severity
from exchange.worlds import simple
from reports.documents import empty_document, hostile_document, rich_document

DOCUMENTS = {
    "simple": simple(),
    "simulated": simple(simulated=True),
    "rich": rich_document(),
    "hostile": hostile_document(),
    "empty": empty_document("cannot_tell"),
}
TERMS = {"default": Terms(producer="ACME CERT"), "victim": Terms(tlp=Tlp.RED, profile="victim", producer="ACME CERT")}
UTC = dt.UTC


def warnings_of(content):
    """Everything that the validator has against a bundle; in strict mode recommendations are errors as well."""
    options = ValidationOptions(version="2.1", strict=True, enforce_refs=True)
    seen = validate_string(content.decode(), options)
    return [str(each) for each in (*seen.errors, *(seen.warnings or ()))]


@pytest.mark.parametrize("profile", TERMS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_bundle_validates_with_no_warning_and_reads_back_to_the_same_facts(name, profile):
    shared = share(DOCUMENTS[name], TERMS[profile]).shared
    content = stix_bytes(shared)
    assert warnings_of(content) == []
    imported = read_bundle(content, place="test")
    assert imported.shared == shared
    assert imported.unread == ()


def test_the_validator_of_these_tests_finds_a_fault():
    bundle = bundle_of(share(simple(), TERMS["default"]).shared)
    next(each for each in bundle["objects"] if each["type"] == "indicator").pop("description")
    assert len(warnings_of(json.dumps(bundle).encode())) == 1


@pytest.mark.parametrize("profile", TERMS)
def test_an_equal_document_gives_equal_bytes_and_other_terms_give_other_objects(profile):
    first, second = (share(simple(), TERMS[profile]).shared for _ in range(2))
    assert stix_bytes(first) == stix_bytes(second)
    ids = {each["id"] for each in bundle_of(first)["objects"] if each["type"] in {"indicator", "campaign", "report"}}
    other = share(simple(), replace(TERMS[profile], producer="Another")).shared
    assert ids.isdisjoint(each["id"] for each in bundle_of(other)["objects"])


def test_a_later_version_keeps_identifiers_and_creation_and_is_newer():
    first, later = (
        {
            each["id"]: each
            for each in bundle_of(share(simple(), replace(TERMS["default"], shared_at=at)).shared)["objects"]
        }
        for at in (dt.datetime(2024, 7, 1, tzinfo=UTC), dt.datetime(2024, 8, 1, tzinfo=UTC))
    )
    assert first.keys() == later.keys()
    indicator = next(each for each in first.values() if each["type"] == "indicator")
    assert later[indicator["id"]]["created"] == indicator["created"]
    assert later[indicator["id"]]["modified"] > indicator["modified"]


def test_every_object_is_read_by_the_stix_library_and_carries_the_marking():
    for document in DOCUMENTS.values():
        bundle = bundle_of(share(document, TERMS["default"]).shared)
        parsed = stix2.parse(json.dumps(bundle), allow_custom=False)
        assert len(parsed.objects) == len(bundle["objects"])
        for each in bundle["objects"]:
            if each["type"] != "marking-definition":
                assert each["object_marking_refs"] == [Tlp.AMBER.marking_id]


def test_the_bundle_holds_what_it_is_said_to_hold():
    bundle = bundle_of(share(simple(), TERMS["default"]).shared)
    kinds = {each["type"] for each in bundle["objects"]}
    assert kinds == {
        "marking-definition", "identity", "incident", "campaign", "infrastructure", "attack-pattern", "indicator",
        "observed-data", "sighting", "relationship", "report", "ipv4-addr", "user-account", "software",
    }  # fmt: skip
    by_id = {each["id"]: each for each in bundle["objects"]}
    links = {
        (by_id[each["source_ref"]]["type"], each["relationship_type"], by_id[each["target_ref"]]["type"])
        for each in bundle["objects"]
        if each["type"] == "relationship"
    }
    assert links == {
        ("incident", "related-to", "campaign"),
        ("campaign", "targets", "identity"),
        ("campaign", "uses", "attack-pattern"),
        ("campaign", "uses", "infrastructure"),
        ("infrastructure", "consists-of", "ipv4-addr"),
        ("indicator", "based-on", "observed-data"),
        ("indicator", "indicates", "campaign"),
        ("indicator", "indicates", "attack-pattern"),
    }
    sighting = next(each for each in bundle["objects"] if each["type"] == "sighting")
    assert (sighting["count"], sighting["first_seen"]) == (3, "2024-05-20T02:01:00.000Z")


def test_simulated_results_say_so_in_name_and_label():
    for each in bundle_of(share(simple(simulated=True), TERMS["default"]).shared)["objects"]:
        if each["type"] == "marking-definition" or "created" not in each:
            continue
        assert each["labels"][0] == "simulated"
        if "name" in each and each["type"] not in {"identity", "attack-pattern"}:
            assert each["name"].startswith("Simulated: ")


def test_the_markings_are_those_that_oasis_published():
    assert marking(Tlp.AMBER_STRICT) == {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        "created": "2022-10-01T00:00:00.000Z",
        "name": "TLP:AMBER+STRICT",
        "extensions": {
            "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
                "extension_type": "property-extension",
                "tlp_2_0": "amber+strict",
            }
        },
    }


@pytest.mark.parametrize(
    ("kind", "value", "theirs"),
    [
        ("address", "203.0.113.5", stix2.IPv4Address(value="203.0.113.5")),
        ("address", "2001:db8::1", stix2.IPv6Address(value="2001:db8::1")),
        ("application", "a'\\é", stix2.UserAccount(user_id="a'\\é", is_service_account=True)),
        ("user_agent", 'x/1 "é"', stix2.Software(name='x/1 "é"')),
    ],
)
def test_observables_have_the_identifiers_that_the_standard_gives_them(kind, value, theirs):
    assert observable_of(kind, value)["id"] == theirs.id


PRINTABLE = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(kind=st.sampled_from(["application", "user_agent"]), value=PRINTABLE)
def test_any_value_is_one_string_of_a_pattern_and_comes_back(kind, value):
    pattern = pattern_of(kind, value)
    assert value_of(pattern) == (kind, value)
    compared = Pattern(pattern).inspect().comparisons
    # The parser of the STIX committee finds one string, and no second comparison that a quote let in.
    (listed,) = compared.values()
    strings = [each for each in listed if str(each[2]).startswith("'")]
    assert len(strings) == 1
    assert len(listed) == (2 if kind == "application" else 1)


@pytest.mark.parametrize(
    "pattern",
    [
        "[ipv4-addr:value = '1.2.3.4'] OR [ipv4-addr:value = '1.1.1.1']",
        "[ipv4-addr:value != '1.2.3.4']",
        "[domain-name:value = 'a.example']",
        "[ipv4-addr:value = '1.2.3.4'",
        "",
    ],
)
def test_other_patterns_are_not_guessed_at(pattern):
    assert value_of(pattern) is None


def test_an_indicator_never_ends_before_it_begins():
    last = dt.datetime.max.replace(tzinfo=UTC)
    assert valid_until("address", last) == last
    assert valid_until("address", dt.datetime(2024, 1, 1, tzinfo=UTC)) == dt.datetime(2024, 3, 31, tzinfo=UTC)


# ---------------------------------------------------------------- round trip

TIMES = st.integers(0, 10**15).map(lambda us: dt.datetime(2020, 1, 2, tzinfo=UTC) + dt.timedelta(microseconds=us // 4))
IDS = st.integers(0, 999).map(lambda number: f"case-{number:012x}")
NUMBERS = st.frozensets(st.sampled_from(["T1114.002", "T1606", "T1078.004", "T9999"])).map(lambda s: tuple(sorted(s)))
MAIL = st.integers(0, 9).map(lambda number: f"p{number}@contoso.example")
TEXT = PRINTABLE.map(str.strip).filter(bool)


@st.composite
def shared_values(draw):
    cases = draw(st.lists(st.builds(
        SharedCase,
        id=IDS, severity=st.sampled_from(Severity), first_at=TIMES, last_at=TIMES, attack=NUMBERS,
        detectors=st.frozensets(st.sampled_from(["token.provenance", "a.b"])).map(lambda s: tuple(sorted(s))),
        confidence=st.none() | st.integers(0, 100), statement=TEXT,
    ), max_size=3, unique_by=lambda each: each.id))  # fmt: skip
    cases = [replace(each, last_at=max(each.first_at, each.last_at)) for each in cases]
    known = [each.id for each in cases]
    some = st.frozensets(st.sampled_from(known), min_size=1).map(lambda s: tuple(sorted(s))) if known else st.nothing()
    values = st.one_of(
        st.tuples(st.just("address"), st.ip_addresses().map(str)),
        st.tuples(st.just("application"), st.uuids().map(str)),
        st.tuples(st.just("user_agent"), TEXT),
    )
    indicators = draw(st.lists(st.builds(
        lambda kind, **more: Indicator(kind=kind[0], value=kind[1], **more),
        values, cases=some, attack=NUMBERS, first_at=TIMES, last_at=TIMES, records=st.integers(1, 999_999_999),
        confidence=st.none() | st.integers(0, 100),
    ), max_size=4, unique_by=lambda each: (each.kind, each.value))) if known else []  # fmt: skip
    indicators = [replace(each, last_at=max(each.first_at, each.last_at)) for each in indicators]
    tools = (
        draw(st.lists(st.builds(Tool, app_id=st.uuids().map(str), name=TEXT, cases=some), max_size=2)) if known else []
    )
    is_victim = draw(st.booleans())
    ends = [each.last_at for each in cases]
    return Shared(
        tlp=Tlp.RED if is_victim else draw(st.sampled_from(Tlp)),
        profile="victim" if is_victim else "default",
        producer=draw(TEXT),
        simulated=draw(st.booleans()),
        product_version="0.1.0",
        shared_at=max([draw(TIMES), *ends]),
        cases=tuple(cases),
        indicators=tuple(sorted(indicators, key=lambda each: (each.kind, each.value))),
        tools=tuple(sorted(tools, key=lambda each: each.app_id)),
        victims=draw(victims(known)) if is_victim else None,
    )


@st.composite
def victims(draw, known):
    if not known:
        return Victims(tenants=(), mailboxes=(), accounts=(), sessions=(), tokens=(), messages=())
    case = st.sampled_from(known)
    names = MAIL | TEXT
    messages = draw(st.lists(st.builds(
        VictimMessage,
        case=case, mailbox=names, internet_message_id=TEXT, subject=st.none() | TEXT, sender=st.none() | MAIL,
        recipients=st.frozensets(MAIL).map(lambda s: tuple(sorted(s))),
    ), max_size=4, unique_by=lambda each: (each.case, each.mailbox, each.internet_message_id)))  # fmt: skip
    messages = [each if each.subject or each.sender else replace(each, recipients=()) for each in messages]
    mailboxes = {*draw(st.lists(st.tuples(case, names), max_size=2)), *((one.case, one.mailbox) for one in messages)}
    listed = st.frozensets(TEXT, max_size=2).map(lambda s: tuple(sorted(s)))
    return Victims(
        tenants=tuple(sorted({str(each) for each in draw(st.lists(st.uuids(), max_size=2))})),
        mailboxes=tuple(sorted(mailboxes)),
        accounts=tuple(sorted(set(draw(st.lists(st.tuples(case, names), max_size=2))))),
        sessions=draw(listed),
        tokens=draw(listed),
        messages=tuple(sorted(messages, key=lambda each: (each.case, each.mailbox, each.internet_message_id))),
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(shared=shared_values())
def test_whatever_is_shared_reads_back_to_the_same_facts(shared):
    imported = read_bundle(stix_bytes(shared), place="test")
    assert imported.shared == shared
    assert imported.unread == ()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(shared=shared_values())
def test_whatever_is_shared_validates_with_no_warning(shared):
    assert warnings_of(stix_bytes(shared)) == []


# ---------------------------------------------------------------- bundles of others

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(data=st.data())
def test_a_mangled_bundle_is_read_as_far_as_it_goes(data):
    """Any property of any object may be anything; nothing but facts or an input error comes out."""
    bundle = bundle_of(share(simple(), TERMS["victim"]).shared)
    for _ in range(data.draw(st.integers(1, 4))):
        each = data.draw(st.sampled_from(bundle["objects"]))
        name = data.draw(st.sampled_from(sorted(each)))
        each[name] = data.draw(ANY_JSON)
    imported = read_bundle(json.dumps(bundle).encode(), place="test")
    assert isinstance(imported.shared, Shared)


@given(content=st.binary(max_size=60) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_bundle_is_an_input_error(content):
    with pytest.raises(InputError, match=r"STIX 2\.1 bundle"):
        read_bundle(content, place="bundle.json")


def test_a_bundle_nested_too_deeply_is_an_input_error():
    with pytest.raises(InputError):
        read_bundle(b'{"type":"bundle","objects":' + b"[" * 100_000, place="deep.json")


def test_an_indicator_of_somebody_else_is_read_and_an_unknown_pattern_is_listed():
    common = {"spec_version": "2.1", "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z"}
    bundle = {
        "type": "bundle",
        "id": "bundle--1",
        "objects": [
            {"type": "identity", **common, "id": "identity--1", "name": "Somebody"},
            *(
                {
                    "type": "indicator", **common, "id": f"indicator--{number}", "pattern_type": "stix",
                    "pattern": pattern, "valid_from": "2024-01-02T00:00:00Z", "created_by_ref": "identity--1",
                    "object_marking_refs": [Tlp.GREEN.marking_id],
                }
                for number, pattern in enumerate(["[ipv4-addr:value = '203.0.113.9']", "[url:value = 'http://x']"])
            ),
        ],
    }  # fmt: skip
    imported = read_bundle(json.dumps(bundle).encode(), place="theirs.json")
    assert [(each.kind, each.value, each.records) for each in imported.shared.indicators] == [
        ("address", "203.0.113.9", 1)
    ]
    assert [(each.id, each.reason) for each in imported.unread] == [("indicator--1", "pattern")]
    assert (imported.shared.producer, imported.shared.tlp) == ("Somebody", Tlp.GREEN)


def test_what_nobody_marked_may_travel_nowhere():
    assert read_bundle(b'{"type":"bundle","objects":[]}', place="x").shared.tlp is Tlp.RED


def test_times_keep_their_microseconds():
    assert moment(dt.datetime(2024, 1, 1, 1, 2, 3, 456_789, tzinfo=UTC)) == "2024-01-01T01:02:03.456789Z"
    assert moment(dt.datetime(2024, 1, 1, 1, 2, 3, tzinfo=UTC)) == "2024-01-01T01:02:03.000Z"
