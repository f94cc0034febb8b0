"""Audit records of contoso.example with invented values, for every test of the audit log."""

from __future__ import annotations

import datetime as dt

ID = "0f0e0d0c-0000-4000-8000-00000000000A"
TENANT = "11111111-1111-4111-8111-111111111111"
MAILBOX = "33333333-3333-4333-8333-333333333333"
APP = "22222222-2222-4222-8222-222222222222"
SESSION = "55555555-5555-4555-8555-555555555555"
GRAPH = "00000003-0000-0000-c000-000000000000"
TOKEN = "3kVZRE8tFkinHtPA7_EFAA"
TOKEN_GUID = "445945de-2d4f-4816-a71e-d3c0eff10500"
AT = dt.datetime(2025, 10, 27, 7, 9, 33, tzinfo=dt.UTC)


def audit(operation="MailItemsAccessed", **given):
    """An audit record of contoso.example; a field given as None is left out."""
    record = {
        "CreationTime": "2025-10-27T07:09:33",
        "Id": ID,
        "Operation": operation,
        "OrganizationId": TENANT,
        "RecordType": 50,
        "ResultStatus": "Succeeded",
        "UserKey": "10032001AAAAAAAA",
        "UserType": 0,
        "Version": 1,
        "Workload": "Exchange",
        "UserId": "Adele@Contoso.example",
    }
    return {name: value for name, value in (record | given).items() if value is not None}


def bind(**given):
    return audit(
        **{
            "AppId": GRAPH,
            "ClientAppId": APP.upper(),
            "ClientIPAddress": "203.0.113.7",
            "ClientInfoString": "Client=REST;;",
            "ExternalAccess": False,
            "LogonType": 0,
            "MailboxGuid": MAILBOX,
            "MailboxOwnerUPN": "Adele@Contoso.example",
            "OperationProperties": [
                {"Name": "MailAccessType", "Value": "Bind"},
                {"Name": "IsThrottled", "Value": "False"},
            ],
            "TokenObjectId": "44444444-4444-4444-8444-444444444444",
            "TokenTenantId": TENANT,
            "AppAccessContext": {
                "AADSessionId": SESSION,
                "APIId": GRAPH,
                "ClientAppId": APP,
                "IssuedAtTime": "2025-10-27T06:40:00",
                "UniqueTokenId": TOKEN,
            },
            "Folders": [
                {
                    "Id": "LgAA",
                    "Path": "\\Inbox",
                    "FolderItems": [
                        {"Id": "RgAA", "InternetMessageId": " <x@y.example> ", "SizeInBytes": 3476, "Subject": "Hi"},
                        {"InternetMessageId": "<x@y.example>"},
                    ],
                },
                {"Id": "LgBB", "Path": "Brouillons", "FolderItems": [{"InternetMessageId": "<Z@y.example>"}]},
            ],
            "OperationCount": 3,
        }
        | given
    )


def properties(*pairs):
    return [{"Name": name, "Value": value} for name, value in pairs]


def login(operation="UserLoggedIn", **given):
    return audit(
        operation,
        **{
            "Id": TOKEN_GUID,
            "RecordType": 15,
            "ResultStatus": "Success",
            "Workload": "AzureActiveDirectory",
            "UserKey": "44444444-4444-4444-8444-444444444444",
            "ClientIP": "198.51.100.9",
            "ObjectId": GRAPH,
            "ApplicationId": APP,
            "ExtendedProperties": properties(("UserAgent", "Mozilla/5.0"), ("RequestType", "OAuth2:Token")),
            "DeviceProperties": properties(("SessionId", SESSION), ("Id", "device-1")),
            "Actor": [
                {"ID": "44444444-4444-4444-8444-444444444444", "Type": 0},
                {"ID": "Adele@Contoso.example", "Type": 5},
            ],
            "ActorContextId": TENANT,
            "TargetContextId": TENANT,
            "InterSystemsId": "66666666-6666-4666-8666-666666666666",
            "IntraSystemId": TOKEN_GUID,
            "ErrorNumber": "0",
        }
        | given,
    )


PATH = "EUR.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/contoso.onmicrosoft.com/"


def cmdlet(operation, parameters, **given):
    return audit(
        operation,
        **{
            "RecordType": 1,
            "ResultStatus": "True",
            "UserType": 2,
            "OrganizationName": "contoso.onmicrosoft.com",
            "Parameters": properties(*parameters.items()),
        }
        | given,
    )


def directory(operation, *changed, **given):
    return audit(
        operation,
        **{
            "RecordType": 8,
            "ResultStatus": "Success",
            "Workload": "AzureActiveDirectory",
            "ModifiedProperties": [{"Name": n, "NewValue": v, "OldValue": ""} for n, v in changed],
        }
        | given,
    )
