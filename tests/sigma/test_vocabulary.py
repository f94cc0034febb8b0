"""Names that rule authors use lead to where records hold the thing."""

from __future__ import annotations

import pytest

from brokenseal.sigma.services import service_of
from brokenseal.sigma.vocabulary import DIRECTORY, LOGS, SIGN_INS, UNIFIED_AUDIT

NAMES = [
    (UNIFIED_AUDIT, "eventName", ["Operation", "Name"]),
    (UNIFIED_AUDIT, "eventSource", ["Workload"]),
    (UNIFIED_AUDIT, "status", ["ResultStatus"]),
    (UNIFIED_AUDIT, "o365.audit.MessageURLs", ["MessageURLs"]),
    (UNIFIED_AUDIT, "parameters.ForwardTo", ["Parameters.ForwardTo"]),
    (UNIFIED_AUDIT, "ModifiedProperties{}.NewValue", ["ModifiedProperties.[*].NewValue"]),
    (UNIFIED_AUDIT, "Parameters.Name", ["Parameters.Name"]),
    (UNIFIED_AUDIT, "RequestType", ["ExtendedProperties.RequestType"]),
    (SIGN_INS, "Status", ["ResultType", "ResultDescription", "StatusDetails"]),
    (SIGN_INS, "properties.message", ["AuthenticationProtocol"]),
    (SIGN_INS, "DeviceDetail.trusttype", ["DeviceDetail.trustType"]),
    (SIGN_INS, "Username", ["UserPrincipalName"]),
    (SIGN_INS, "riskEventType", ["RiskEventTypes_V2"]),
    (DIRECTORY, "properties.message", ["ActivityDisplayName"]),
    (DIRECTORY, "OperationName", ["ActivityDisplayName"]),
    (DIRECTORY, "properties.TargetResources", ["TargetResources"]),
    (DIRECTORY, "Status", ["Result", "ResultReason"]),
    (DIRECTORY, "failure_status_reason", ["ResultReason"]),
    (DIRECTORY, "properties.targetType", ["TargetResources.type"]),
    (DIRECTORY, "TargetResources.ModifiedProperties.DisplayName", ["TargetResources.modifiedProperties.displayName"]),
    (DIRECTORY, "additionalDetails.additionalInfo", ["AdditionalDetails.additionalInfo"]),
    (DIRECTORY, "ConsentContext.IsAdminConsent", ["ConsentContext.IsAdminConsent"]),
]


@pytest.mark.parametrize(("log", "name", "expected"), NAMES, ids=[f"{log.source} {name}" for log, name, _ in NAMES])
def test_a_name_leads_to_its_fields(log, name, expected):
    assert expected == [field.name for field in log.fields(name)]


def test_a_name_that_nobody_maps_is_looked_up_as_written():
    (field,) = SIGN_INS.fields("Some.New.Thing")

    assert (field.is_known, field.kind) == (False, "list")
    assert (field.places[0].head, field.places[0].tail) == (("Some.New.Thing",), "")
    assert (("properties", "some"), "New.Thing") in [(place.head, place.tail) for place in field.places]


def test_a_dot_behind_a_list_means_each_of_its_objects():
    (field,) = DIRECTORY.fields("TargetResources.modifiedProperties.newValue")

    assert {"[*].modifiedProperties[*].newValue"} == {place.tail for place in field.places}


def test_names_below_lists_of_directory_records_are_spelt_as_these_spell_them():
    (field,) = DIRECTORY.fields("TargetResources.ModifiedProperties.NEWVALUE")

    assert (field.kind, field.is_known) == ("list", True)
    assert {"[*].modifiedProperties[*].newValue"} == {place.tail for place in field.places}


def test_names_and_values_of_parameters_are_those_of_all_of_them():
    (names,) = UNIFIED_AUDIT.fields("Parameters.Name")
    (values,) = UNIFIED_AUDIT.fields("OperationProperties.Value")
    (own,) = UNIFIED_AUDIT.fields("Parameters.Identity")

    assert [place.tail for place in (*names.places, *values.places)][:1] == ["[*].Name"]
    assert {place.tail for place in values.places} == {"[*].Value"}
    assert (names.kind, own.kind) == ("list", "named")


def test_every_field_of_a_log_has_one_meaning():
    for log in LOGS:
        by_name = {}
        for fields in log.names.values():
            for field in fields:
                assert by_name.setdefault(field.name, field) == field


@pytest.mark.parametrize(
    ("product", "service", "source"),
    [
        ("m365", "exchange", "unified_audit"),
        ("M365", "Threat_Management", "unified_audit"),
        ("azure", "signinlogs", "entra_sign_in"),
        ("azure", "riskdetection", "entra_sign_in"),
        ("azure", "auditlogs", "entra_audit"),
        ("azure", "audit", "entra_audit"),
        ("azure", "activitylogs", None),
        ("azure", "pim", None),
    ],
)
def test_log_sources_lead_to_logs(product, service, source):
    found = service_of(product, service)

    assert source == (found.log.source if found.log else None)


def test_windows_is_no_log_source_of_ours():
    assert service_of("windows", "security") is None
