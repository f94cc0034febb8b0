"""Column names of every form fold to one, envelopes open, and cut nested values are still read."""

from __future__ import annotations

import time

import pytest

from brokenseal.errors import RecordRejected
from brokenseal.sources import (
    _folded_names,
    entra_audit,
    entra_sign_in,
    graph_activity,
    message_trace,
)


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("createdDateTime", "createddatetime"),
        ("CreatedDateTime [UTC]", "createddatetime"),
        ("CreatedDateTime [Local Time]", "createddatetime[localtime]"),
        ("DeviceDetail_dynamic", "devicedetail"),
        ("DeviceDetail_string", "devicedetail"),
        ("Application ID ", "applicationid"),
        ("Autonomous system  number", "autonomoussystemnumber"),
        ("Date (UTC)", "date(utc)"),
        ("origin_timestamp_utc", "origin_timestamp_utc"),
    ],
)
def test_names_fold_to_what_they_mean(name, folded):
    assert _folded_names.fold_name(name) == folded


def test_empty_values_give_way_to_the_column_that_holds_the_value():
    record = {"Status_dynamic": "", "Status_string": "x", "Id": None, "id": "1", 7: "no name", "Status": "later"}
    assert _folded_names.flatten(record) == {"status": "x", "id": "1"}


@pytest.mark.parametrize(
    "inner", [{"id": "1", "category": "UserManagement"}, '{"id": "1", "category": "UserManagement"}']
)
def test_an_envelope_is_opened_and_its_own_columns_are_kept_apart(inner):
    assert _folded_names.flatten({"time": "t", "category": "AuditLogs", "properties": inner}) == {
        "id": "1",
        "category": "UserManagement",
        "envelope.time": "t",
        "envelope.category": "AuditLogs",
    }


@pytest.mark.parametrize("inner", ["cut {", [1], "[1]", ""])
def test_properties_that_are_no_object_open_nothing(inner):
    flat = _folded_names.flatten({"category": "AuditLogs", "properties": inner})
    assert flat.keys() <= {"category", "properties"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"errorCode": 0}, 0),
        ({"ErrorCode": 7}, 7),
        ('{"errorCode": 50126}', 50126),
        ("{'errorCode': 50126, 'failureReason': 'x'}", "50126"),
        ("{'additionalDetails': None, 'errorCode': '5'", "5"),
        ("{'errorCode': None}", None),
        ("@{errorCode=16000; failureReason=Other.}", "16000"),
        ("@{failureReason=Other.; errorCode=16000}", "16000"),
        ("@{errorCode=; failureReason=Other.}", None),
        ("System.Object[]", None),
        ("errorCode", None),
        (["errorCode"], None),
        (3, None),
        (None, None),
    ],
)
def test_a_member_is_found_however_the_export_wrote_the_object(value, expected):
    assert _folded_names.member(value, "errorCode") == expected


@pytest.mark.parametrize(
    "piece", ["'errorCode':'", "'errorCode'", "'errorCode':\"", ";errorCode=", "@{errorCode=", "' "]
)
def test_hostile_nested_text_is_searched_in_short_time(piece):
    started = time.perf_counter()
    _folded_names.member(piece * 200_000, "errorCode")
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("source", [entra_sign_in, entra_audit, graph_activity, message_trace])
def test_a_record_nested_without_end_is_rejected_or_read_but_never_fails(source):
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    record = {
        "createdDateTime": "2025-10-27T06:40:00Z",
        "activityDateTime": "2025-10-27T06:40:00Z",
        "activityDisplayName": "Consent to application",
        "TimeGenerated": "2025-10-27T06:40:00Z",
        "Received": "2025-10-27T06:40:00Z",
        "status": deep,
        "targetResources": [{"modifiedProperties": [{"displayName": "x", "newValue": deep}]}],
        "additionalDetails": deep,
        "location": "[" * 100_000,
    }
    with pytest.raises(RecordRejected) as caught:
        source.normalise(record)
    assert (caught.value.column, caught.value.reason) == ("record", "too_deep")
    named = record | {"id": "1", "RequestId": "1", "MessageTraceId": "1"}
    assert len(source.normalise(named)["events"]) == 1


def test_equal_records_have_equal_digests_and_others_do_not():
    first = _folded_names.digest({"a": 1, "b": ["\ud800", None]})
    assert first == _folded_names.digest({"b": ["\ud800", None], "a": 1})
    assert first != _folded_names.digest({"a": 1, "b": ["\ud800"]})
