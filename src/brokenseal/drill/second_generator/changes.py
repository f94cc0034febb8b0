"""Changes of the configuration, as Exchange and Entra write them down.

Sources: Exchange PowerShell reference; Microsoft Entra audit activity reference; Microsoft Graph `directoryAudit`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.drill.second_generator.sign_in_lines import (
    encode,
    instant_text,
    second_text,
    whole_millisecond,
    whole_second,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokenseal.drill.second_generator.books import Books
    from brokenseal.drill.second_generator.company import App, Company, Mailbox, Person, Tag
    from brokenseal.drill.second_generator.dice import Dice
    from brokenseal.drill.second_generator.outbox import Outbox

ADMIN_SHELL: Final = "fb78d390-0c51-40cd-8e17-fdbfab77341b"
ADMIN_CENTRE: Final = "497effe9-df71-4043-a8bb-14cf78c4b63b"
GRAPH_RESOURCE: Final = "Microsoft Graph"


class Hand(NamedTuple):
    """Who makes a change, and from where; `person` is None for the service itself."""

    person: Person | None
    address: str
    actor_kind: str = "admin"
    tag: Tag | None = None


class Property(NamedTuple):
    """A property that a change of the directory modifies."""

    name: str
    new: str
    old: str = ""


class Changes:
    """Writes the changes of one tenant into the logs that show them."""

    def __init__(self, tenant: Company, dice: Dice, outbox: Outbox, books: Books) -> None:
        self._tenant = tenant
        self._dice = dice
        self._outbox = outbox
        self._books = books

    def _tell(self, hand: Hand, at: int, mailbox: str = "") -> None:
        if hand.tag is not None and hand.person is not None:
            self._books.stories[hand.tag.instance].happens(at, subject=hand.person.oid, mailbox=mailbox)

    def cmdlet(
        self, hand: Hand, operation: str, target: str, parameters: Mapping[str, str], at: int, *, mailbox: str = ""
    ) -> None:
        """A change in Exchange; `mailbox` is the GUID of the mailbox that it reroutes or opens, for the truth."""
        self._tell(hand, at, mailbox)
        record_id, person = self._dice.guid(), hand.person
        is_own = person is not None and not person.is_admin
        user = {
            "UserId": person.upn if person else "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)",
            "UserKey": person.puid if person else "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)",
            "UserType": 3 if person is None else 0 if is_own else 2,
        }
        body = encode(
            {
                "CreationTime": second_text(at),
                "Id": record_id,
                "Operation": operation,
                "OrganizationId": self._tenant.tenant_id,
                "RecordType": 1,
                "ResultStatus": "True",
                **user,
                "Version": 1,
                "Workload": "Exchange",
                "ClientIP": f"{hand.address}:{self._dice.below(50_000) + 2_000}" if hand.address else "",
                "ObjectId": target,
                "AppId": "" if person is None else ADMIN_CENTRE if is_own else ADMIN_SHELL,
                "ClientAppId": "",
                "ExternalAccess": person is None,
                "OrganizationName": f"{self._tenant.domain.removesuffix('.example')}.onmicrosoft.example",
                "OriginatingServer": "AM0PR07MB4711 (15.20.9150.019)\r\n",
                "Parameters": [{"Name": name, "Value": value} for name, value in parameters.items()],
            }
        )
        self._outbox.put(
            "ual_exchange",
            record_id,
            whole_second(at),
            body,
            actor=str(user["UserId"]),
            actor_kind=hand.actor_kind if person else "service",
            tag=hand.tag,
        )

    def directory(
        self,
        hand: Hand,
        operation: str,
        at: int,
        *,
        target: tuple[str, str, str],
        properties: Sequence[Property] = (),
        details: Mapping[str, str] | None = None,
        audit_object: str = "",
        full_stop: bool = True,
    ) -> None:
        """A change of the directory, in both of its logs.

        Args:
            hand: Who.
            operation: Its name as the directory's own log has it.
            at: When.
            target: Type (Application, ServicePrincipal, User, Role, Policy), id and name of what is changed.
            properties: What is modified.
            details: Further details.
            audit_object: ObjectId in the unified audit log; the target's id where empty.
            full_stop: The unified audit log ends the operation's name with one.
        """
        self._tell(hand, at)
        self._unified(hand, f"{operation}." if full_stop else operation, at, target, properties, details, audit_object)
        person, (kind, target_id, name) = hand.person, target
        assert person is not None
        audit_id = f"Directory_{self._dice.guid()}_{self._dice.hexadecimal(5)}_{self._dice.below(10**8)}"
        is_user = kind == "User"
        body = encode(
            {
                "id": audit_id,
                "category": "UserManagement" if is_user else "ApplicationManagement",
                "correlationId": self._dice.guid(),
                "result": "success",
                "resultReason": "",
                "activityDisplayName": operation.strip(),
                "activityDateTime": instant_text(at),
                "loggedByService": "Core Directory",
                "operationType": "Update",
                "initiatedBy": {
                    "app": None,
                    "user": {
                        "id": person.oid,
                        "displayName": None,
                        "userPrincipalName": person.upn,
                        "ipAddress": hand.address,
                    },
                },
                "targetResources": [
                    {
                        "id": target_id,
                        "displayName": name,
                        "type": kind,
                        "userPrincipalName": name if is_user else None,
                        "modifiedProperties": [
                            {
                                "displayName": entry.name,
                                "oldValue": entry.old or None,
                                "newValue": json.dumps(entry.new),
                            }
                            for entry in properties
                        ],
                    }
                ],
                "additionalDetails": [{"key": key, "value": value} for key, value in (details or {}).items()],
            }
        )
        self._outbox.put(
            "directory_audit",
            f"diraudit:{audit_id.lower()}",
            whole_millisecond(at),
            body,
            actor=person.upn,
            actor_kind=hand.actor_kind,
            tag=hand.tag,
        )

    def _unified(
        self,
        hand: Hand,
        operation: str,
        at: int,
        target: tuple[str, str, str],
        properties: Sequence[Property],
        details: Mapping[str, str] | None,
        audit_object: str,
    ) -> None:
        record_id, person = self._dice.guid(), hand.person
        assert person is not None
        kind, target_id, name = target
        body = encode(
            {
                "CreationTime": second_text(at),
                "Id": record_id,
                "Operation": operation,
                "OrganizationId": self._tenant.tenant_id,
                "RecordType": 8,
                "ResultStatus": "Success",
                "UserKey": f"{person.puid}@{self._tenant.domain}",
                "UserType": 0,
                "Version": 1,
                "Workload": "AzureActiveDirectory",
                "ClientIP": hand.address,
                "ObjectId": audit_object or target_id,
                "UserId": person.upn,
                "AzureActiveDirectoryEventType": 1,
                "ExtendedProperties": [{"Name": "additionalDetails", "Value": json.dumps(details or {})}],
                "ModifiedProperties": [
                    {"Name": entry.name, "NewValue": json.dumps([entry.new], indent=2), "OldValue": entry.old or "[]"}
                    for entry in properties
                ],
                "Actor": [{"ID": person.upn, "Type": 5}, {"ID": person.oid, "Type": 2}],
                "ActorContextId": self._tenant.tenant_id,
                "ActorIpAddress": hand.address,
                "InterSystemsId": self._dice.guid(),
                "IntraSystemId": self._dice.guid(),
                "Target": [
                    {"ID": f"{kind}_{target_id}", "Type": 2},
                    {"ID": target_id, "Type": 2},
                    {"ID": name, "Type": 5 if kind == "User" else 1},
                ],
                "TargetContextId": self._tenant.tenant_id,
            }
        )
        self._outbox.put(
            "ual_entra",
            record_id,
            whole_second(at),
            body,
            actor=person.upn,
            actor_kind=hand.actor_kind,
            tag=hand.tag,
        )

    # ------------------------------------------------------------ the usual sequences

    def full_access(self, hand: Hand, mailbox: Mailbox, delegate: Person, at: int, *, ends: bool = False) -> None:
        """Somebody may open a mailbox, or may no longer."""
        parameters = {"Identity": mailbox.upn, "User": delegate.upn, "AccessRights": "FullAccess"}
        parameters |= self._dice.pick(({}, {"InheritanceType": "All"}, {"AutoMapping": "False"}))
        verb = "Remove" if ends else "Add"
        self.cmdlet(hand, f"{verb}-MailboxPermission", mailbox.upn, parameters, at, mailbox=mailbox.guid)

    def send_on(self, hand: Hand, mailbox: Mailbox, goes_to: str, at: int, *, rule: str = "") -> None:
        """Mail is sent on: by a rule of this name, or by a setting of the mailbox; no longer, where to nobody."""
        if rule:
            parameters = {"Name": rule, "ForwardTo": goes_to}
            if self._dice.chance(0.5):
                parameters["SubjectContainsWords"] = self._dice.pick(("Invoice", "Order", "Rota"))
            if self._dice.chance(0.5):
                parameters["StopProcessingRules"] = "True"
            self.cmdlet(hand, "New-InboxRule", f"{mailbox.name}\\{rule}", parameters, at, mailbox=mailbox.guid)
            return
        parameters = {
            "Identity": mailbox.upn,
            "ForwardingSmtpAddress": f"smtp:{goes_to}" if goes_to else "",
            "DeliverToMailboxAndForward": str(bool(goes_to)),
        }
        self.cmdlet(hand, "Set-Mailbox", mailbox.upn, parameters, at, mailbox=mailbox.guid)

    def consent(self, hand: Hand, app: App, at: int, *, for_all: bool) -> None:
        """Somebody lets an application in; an administrator does so for everybody."""
        assert hand.person is not None
        principal = ("ServicePrincipal", app.sp_oid, app.name)
        kind = "AllPrincipals" if for_all else "Principal"
        grant = (
            f"[] => [[Id: {self._dice.hexadecimal(22)}, ClientId: {app.sp_oid}, PrincipalId: {hand.person.oid}, "
            f"ResourceId: {self._dice.guid()}, ConsentType: {kind}, Scope: {app.scope}]]"
        )
        details = {"AppId": app.app_id}
        step = 700_000
        self.directory(hand, "Add service principal", at, target=principal, details=details, audit_object=app.app_id)
        self.directory(
            hand,
            "Add delegated permission grant",
            at + step,
            target=("ServicePrincipal", self._dice.guid(), GRAPH_RESOURCE),
            properties=(
                Property("DelegatedPermissionGrant.Scope", app.scope),
                Property("DelegatedPermissionGrant.ConsentType", kind),
                Property("ServicePrincipal.ObjectID", app.sp_oid),
                Property("ServicePrincipal.AppId", app.app_id),
                Property("ServicePrincipal.DisplayName", app.name),
            ),
        )
        self.directory(
            hand,
            "Consent to application",
            at + 2 * step,
            target=principal,
            details=details,
            audit_object=app.app_id,
            properties=(
                Property("ConsentContext.IsAdminConsent", str(for_all)),
                Property("ConsentContext.IsAppOnly", "False"),
                Property("ConsentContext.OnBehalfOfAll", str(for_all)),
                Property("ConsentAction.Permissions", grant),
                Property("TargetId.ServicePrincipalNames", app.app_id),
            ),
        )

    def credential(self, hand: Hand, app: App, at: int) -> None:
        """A secret is added to an application."""
        name = f"secret {self._dice.below(30)}"
        key = f"[KeyIdentifier={self._dice.guid()},KeyType=Password,KeyUsage=Verify,DisplayName={name}]"
        self.directory(
            hand,
            "Update application – Certificates and secrets management ",
            at,
            target=("Application", app.app_id, app.name),
            properties=(Property("KeyDescription", key), Property("Included Updated Properties", "KeyDescription")),
            details={"AppId": app.app_id},
            full_stop=False,
        )
        self.directory(
            hand,
            "Update application",
            at + 300_000,
            target=("Application", app.app_id, app.name),
            properties=(Property("Included Updated Properties", "KeyDescription"),),
            details={"AppId": app.app_id},
        )
