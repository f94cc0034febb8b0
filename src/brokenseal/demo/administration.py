"""Changes of configuration in the sample tenant, honest ones and two that are not, as three logs write them.

Exchange cmdlets and Entra operations of the unified audit log (record types 1 and 8), and the directory audit log of
Microsoft Graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brokenseal.demo import intruder
from brokenseal.demo import world as w
from brokenseal.demo.exchange import Audited, access_context
from brokenseal.demo.identity import ARCHIVER_APP, ARCHIVER_NAME, OWA

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from brokenseal.demo.identity import Token
    from brokenseal.demo.world import Person, World

_EXCHANGE_ADMIN, _DIRECTORY = 1, 8
_DATACENTRE = 3
_SYSTEM = "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)"
_SYSTEM_CMDLETS = (
    "Set-TransportConfig",
    "Set-OwaMailboxPolicy",
    "Set-ExchangeAssistanceConfig",
    "Set-TenantObjectVersion",
)
_SCOPE = "Mail.Read Mail.ReadBasic offline_access openid profile User.Read"
_CONSENT = "Consent to application"
_GRANT = "Add delegated permission grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Audit records, directory audit records, and which of them belong to the story."""

    audit: tuple[Audited, ...]
    directory: tuple[dict[str, Any], ...]
    rule_id: str
    consent_ids: tuple[str, ...]


class Administration:
    """Writes the records of changes."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self._rng = rng
        self._world = world
        self._client_object = w.guid(rng)
        self._graph_object = w.guid(rng)

    def changes(self, *, rule_at: int, forged: Token) -> Changes:
        """Everything, sorted by time. `forged` is the token in the intruder's hand when the rule is made."""
        rule = self._hidden_rule(rule_at, forged)
        consent = self._consent_audit()
        directory = (*self._consent_directory(), *self._honest_directory())
        audit = (rule, *consent, *self._honest_cmdlets(), *self._service_noise(), *self._honest_entra())
        consent_ids = [entry.record["Id"] for entry in consent]
        consent_ids += [f"diraudit:{record['id']}" for record in directory if record["operationType"] == "Consent"]
        return Changes(
            audit=tuple(sorted(audit, key=lambda entry: (entry.at, entry.record["Id"]))),
            directory=tuple(sorted(directory, key=lambda record: (record["activityDateTime"], record["id"]))),
            rule_id=rule.record["Id"],
            consent_ids=tuple(sorted(consent_ids)),
        )

    def _cmdlet(
        self,
        at: int,
        person: Person | None,
        operation: str,
        object_id: str,
        parameters: Mapping[str, str],
        address: str,
    ) -> Audited:
        record = {
            "CreationTime": w.iso(at),
            "Id": w.guid(self._rng),
            "Operation": operation,
            "OrganizationId": self._world.tenant_id,
            "RecordType": _EXCHANGE_ADMIN,
            "ResultStatus": "True",
            "UserKey": person.puid if person else _SYSTEM,
            "UserType": 0 if person else _DATACENTRE,
            "Version": 1,
            "Workload": "Exchange",
            "ClientIP": f"{address}:{self._rng.randint(40_000, 60_000)}" if address else "",
            "ObjectId": object_id,
            "UserId": person.upn if person else _SYSTEM,
            "AppId": "",
            "ClientAppId": "",
            "ExternalAccess": person is None,
            "OrganizationName": w.ONMICROSOFT,
            "OriginatingServer": "AM0PR07MB0001 (15.20.8534.000)\r\n",
            "Parameters": [{"Name": name, "Value": value} for name, value in parameters.items()],
        }
        return Audited(at, record, None)

    def _hidden_rule(self, at: int, forged: Token) -> Audited:
        director = self._world.person(w.DIRECTOR)
        parameters = {
            "AlwaysDeleteOutlookRulesBlob": "False",
            "Force": "False",
            "SubjectOrBodyContainsWords": "security alert;unusual sign-in;unfamiliar",
            "MoveToFolder": "RSS Feeds",
            "MarkAsRead": "True",
            "StopProcessingRules": "True",
            "Name": ".",
        }
        entry = self._cmdlet(at, director, "New-InboxRule", f"{director.alias}\\.", parameters, intruder.ADDRESS)
        entry.record["SessionId"] = forged.session_id
        entry.record["AppAccessContext"] = access_context("", OWA.app_id, forged)
        return entry

    def _honest_cmdlets(self) -> list[Audited]:
        """A newsletter rule, a shared mailbox opened to a colleague, an out-of-office setting."""
        world = self._world
        reader, admin, assistant = (
            world.person("lucas.moreau"),
            world.person(w.ADMIN),
            world.person(w.ASSISTANT),
        )
        day = w.DAY
        morning = w.START + 9 * w.HOUR
        return [
            self._cmdlet(
                morning + 3 * day,
                reader,
                "New-InboxRule",
                f"{reader.alias}\\Newsletters",
                {"From": "news@ferrybridge.example", "MoveToFolder": "Newsletters", "Name": "Newsletters"},
                reader.office_address,
            ),
            self._cmdlet(
                morning + 4 * day + 1234,
                admin,
                "Add-MailboxPermission",
                w.SHARED,
                {
                    "Identity": f"{w.SHARED}@{w.DOMAIN}",
                    "User": assistant.upn,
                    "AccessRights": "FullAccess",
                    "InheritanceType": "All",
                },
                admin.office_address,
            ),
            self._cmdlet(
                morning + 13 * day,
                self._world.person(w.TRAVELLER),
                "Set-MailboxAutoReplyConfiguration",
                w.TRAVELLER,
                {"AutoReplyState": "Scheduled", "Identity": w.TRAVELLER},
                self._world.person(w.TRAVELLER).home_address,
            ),
        ]

    def _service_noise(self) -> list[Audited]:
        noise = []
        for day in range(w.DAYS):
            at = w.START + day * w.DAY + self._rng.randint(0, 20 * w.HOUR)
            operation = self._rng.choice(_SYSTEM_CMDLETS)
            noise.append(self._cmdlet(at, None, operation, w.ONMICROSOFT, {"Identity": w.ONMICROSOFT}, ""))
        return noise

    def _entra(
        self, at: int, person: Person, operation: str, object_id: str, target: str, modified: Mapping[str, str]
    ) -> Audited:
        record = {
            "CreationTime": w.iso(at),
            "Id": w.guid(self._rng),
            "Operation": f"{operation}.",
            "OrganizationId": self._world.tenant_id,
            "RecordType": _DIRECTORY,
            "ResultStatus": "Success",
            "UserKey": f"{person.puid}@{w.DOMAIN}",
            "UserType": 0,
            "Version": 1,
            "Workload": "AzureActiveDirectory",
            "ObjectId": object_id,
            "UserId": person.upn,
            "AzureActiveDirectoryEventType": 1,
            "ExtendedProperties": [],
            "ModifiedProperties": [
                {"Name": name, "NewValue": value, "OldValue": ""} for name, value in modified.items()
            ],
            "Actor": [{"ID": person.upn, "Type": 5}, {"ID": person.object_id, "Type": 0}],
            "ActorContextId": self._world.tenant_id,
            "InterSystemsId": w.guid(self._rng),
            "IntraSystemId": w.guid(self._rng),
            "SupportTicketId": "",
            "Target": [{"ID": target, "Type": 1}, {"ID": object_id, "Type": 2}],
            "TargetContextId": self._world.tenant_id,
        }
        return Audited(at, record, None)

    def _consent_audit(self) -> list[Audited]:
        person = self._world.person(w.FINANCE)
        permission = (
            f"[] => [[Id: {w.guid(self._rng)}, ClientId: {self._client_object}, PrincipalId: {person.object_id}, "
            f"ResourceId: {self._graph_object}, ConsentType: Principal, Scope: {_SCOPE}, CreatedDateTime: , "
            "LastModifiedDateTime ]]; "
        )
        grant = {
            "DelegatedPermissionGrant.Scope": f'"{_SCOPE}"',
            "DelegatedPermissionGrant.ConsentType": '"Principal"',
            "ServicePrincipal.ObjectID": f'"{self._client_object}"',
            "ServicePrincipal.AppId": f'"{ARCHIVER_APP}"',
            "ServicePrincipal.Name": f'"{ARCHIVER_NAME}"',
        }
        consent = {
            "ConsentContext.IsAdminConsent": '"False"',
            "ConsentContext.IsAppOnly": '"False"',
            "ConsentContext.OnBehalfOfAll": '"False"',
            "ConsentContext.Tags": '"WindowsAzureActiveDirectoryIntegratedApp"',
            "ConsentAction.Permissions": f'"{permission}"',
            "TargetId.ServicePrincipalNames": f'"{ARCHIVER_APP}"',
        }
        app = {"AppId": f'["{ARCHIVER_APP}"]'}
        at = intruder.CONSENT_AT
        return [
            self._entra(at, person, "Add service principal", ARCHIVER_APP, ARCHIVER_NAME, app),
            self._entra(at + 1, person, _GRANT, w.GRAPH, "Microsoft Graph", grant),
            self._entra(at + 1, person, _CONSENT, ARCHIVER_APP, ARCHIVER_NAME, consent),
        ]

    def _honest_entra(self) -> list[Audited]:
        admin = self._world.person(w.ADMIN)
        changed = self._world.person(w.UNAUDITED)
        noon = w.START + 12 * w.HOUR
        modified = {"JobTitle": '["Facilities"]', "Included Updated Properties": '"JobTitle"'}
        return [
            self._entra(noon + 10 * w.DAY, admin, "Update user", changed.upn, changed.upn, modified),
            self._entra(noon + 12 * w.DAY, admin, "Update user", changed.upn, changed.upn, modified),
        ]

    def _directory(
        self, at: int, person: Person, activity: str, kind: str, target: Mapping[str, Any], category: str
    ) -> dict[str, Any]:
        return {
            "id": f"Directory_{w.guid(self._rng)}_{self._rng.getrandbits(24)}",
            "category": category,
            "correlationId": w.guid(self._rng),
            "result": "success",
            "resultReason": "",
            "activityDisplayName": activity,
            "activityDateTime": f"{w.iso(at)}Z",
            "loggedByService": "Core Directory",
            "operationType": kind,
            "initiatedBy": {
                "app": None,
                "user": {
                    "id": person.object_id,
                    "displayName": None,
                    "userPrincipalName": person.upn,
                    "ipAddress": w.address_of(person, at, on_phone=False),
                },
            },
            "targetResources": [dict(target)],
            "additionalDetails": [{"key": "User-Agent", "value": "EvoSTS"}],
        }

    def _consent_directory(self) -> list[dict[str, Any]]:
        person = self._world.person(w.FINANCE)
        modified = [
            ("ConsentContext.IsAdminConsent", '"False"'),
            ("ConsentContext.OnBehalfOfAll", '"False"'),
            ("ConsentAction.Permissions", f'"[] => [[ConsentType: Principal, Scope: {_SCOPE}]]"'),
            ("TargetId.ServicePrincipalNames", f'"{ARCHIVER_APP}"'),
        ]
        target = {
            "id": self._client_object,
            "displayName": ARCHIVER_NAME,
            "type": "ServicePrincipal",
            "userPrincipalName": None,
            "groupType": None,
            "modifiedProperties": [
                {"displayName": name, "oldValue": None, "newValue": value} for name, value in modified
            ],
        }
        return [self._directory(intruder.CONSENT_AT + 1, person, _CONSENT, "Consent", target, "ApplicationManagement")]

    def _honest_directory(self) -> list[dict[str, Any]]:
        """A new phone, a password that the help desk reset, a group."""
        world = self._world
        owner, admin, changed = world.person(w.NEW_PHONE), world.person(w.ADMIN), world.person(w.UNAUDITED)
        phone = {"id": w.guid(self._rng), "displayName": "Android phone", "type": "Device", "modifiedProperties": []}
        user = {
            "id": changed.object_id,
            "displayName": changed.name,
            "type": "User",
            "userPrincipalName": changed.upn,
            "modifiedProperties": [],
        }
        morning = w.START + 8 * w.HOUR
        device_at = morning + w.NEW_PHONE_DAY * w.DAY
        return [
            self._directory(device_at, owner, "Register device", "Add", phone, "Device"),
            self._directory(device_at + 2, owner, "Add registered owner to device", "Assign", phone, "Device"),
            self._directory(morning + 10 * w.DAY, admin, "Reset password (by admin)", "Update", user, "UserManagement"),
            self._directory(morning + 6 * w.DAY, admin, "Add member to group", "Assign", user, "GroupManagement"),
        ]
