"""What holds for every source, so that a new one cannot forget it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import brokenseal.sources
from brokenseal.sources import SOURCES, identify, unwrap

AUDIT = {
    "Id": "0f0e0d0c-0000-4000-8000-00000000000a",
    "CreationTime": "2025-10-27T07:09:33",
    "Operation": "Send",
    "RecordType": 2,
    "Workload": "Exchange",
}
KNOWN = {
    ("unified_audit", "bare_record"): AUDIT,
    ("unified_audit", "search_ual"): {"ResultIndex": "1", "Identity": "x", "AuditData": ""},
    ("cloud_app_events", "cloud_app_events"): {"ActionType": "Send", "RawEventData": AUDIT},
    ("office_activity", "office_activity"): {"OfficeWorkload": "Exchange", "Operation": "Send", "RecordType": "2"},
}


def test_sources_are_tried_in_this_order():
    assert [source.name for source in SOURCES] == [
        "unified_audit",
        "cloud_app_events",
        "office_activity",
        "entra_sign_in",
        "entra_audit",
        "graph_activity",
        "message_trace",
    ]


def test_every_public_module_of_the_room_is_a_registered_source():
    folder = Path(brokenseal.sources.__file__).parent
    modules = sorted(path.stem for path in folder.glob("[!_]*.py"))

    assert modules == sorted(source.name for source in SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_explains_itself(source):
    assert source.title
    assert source.shapes
    assert all(source.shapes.values())
    assert source.lossy_shapes <= set(source.shapes)
    assert source.fidelity >= 0


def test_a_shape_belongs_to_one_source():
    shapes = [shape for source in SOURCES for shape in source.shapes]

    assert len(shapes) == len(set(shapes))


def test_the_whole_copy_of_an_audit_record_is_read_before_the_poorer_ones():
    by_name = {source.name: source.fidelity for source in SOURCES}

    assert by_name["unified_audit"] < by_name["cloud_app_events"] < by_name["office_activity"]


@pytest.mark.parametrize(("expected", "record"), KNOWN.items(), ids=["/".join(key) for key in KNOWN])
def test_records_are_recognised_by_what_they_hold(expected, record):
    source, shape = identify(record)

    assert (source.name, shape) == expected
    assert list(unwrap(record)) == [record]


@pytest.mark.parametrize("record", [{}, {"a": 1}, [], None, "text", 7, {"AuditLog": 1}])
def test_other_things_are_not_known(record):
    assert identify(record) is None


NAMES = sorted(
    {
        node.value
        for path in Path(brokenseal.sources.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 2 <= len(node.value) <= 40
    }
)


@given(
    st.dictionaries(
        st.sampled_from(NAMES) | st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
            max_leaves=4,
        ),
    )
)
def test_identifying_and_unwrapping_never_raise(record):
    found = identify(record)

    assert found is None or found[1] in found[0].shapes
    inner = list(unwrap(record))
    assert found is None or inner == [record]
