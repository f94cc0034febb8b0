"""Names of well-known public applications, so that a picture need not show bare ids.

For display only. A name proves nothing: tokens that an intruder forges or steals ride through exactly these
applications, so nothing that judges may read this list.
"""

from __future__ import annotations

from typing import NamedTuple

AS_OF = "2026-08"
"""Month to which the names were checked."""

_MERILL = "github.com/merill/microsoft-info"
_HUNTRESS = "github.com/huntresslabs/rogueapps"
_ELASTIC = "github.com/elastic/detection-rules"
_LETHAL = "github.com/LETHAL-FORENSICS/Microsoft-Analyzer-Suite"


class AppName(NamedTuple):
    """One application: its id in lower case, its public name, what it is, and where the name was read."""

    app_id: str
    name: str
    role: str
    source: str


APP_NAMES = (
    AppName("d3590ed6-52b3-4102-aeff-aad2292ab01c", "Microsoft Office", "Outlook desktop and Office", _MERILL),
    AppName("27922004-5251-4030-b22d-91ecd9a37ea4", "Outlook Mobile", "mail on iOS and Android", _MERILL),
    AppName("9199bf20-a13f-4107-85dc-02114787ef48", "Outlook Web App", "mail in the browser", _MERILL),
    AppName("5d661950-3475-41cd-a2c3-d671a3162bc1", "Microsoft Outlook (new)", "new Outlook", _MERILL),
    AppName("bc59ab01-8403-45c6-8796-ac3ef710b3e3", "Outlook Online Add-in App", "add-ins", _MERILL),
    AppName("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online", "resource", _MERILL),
    AppName("00000003-0000-0000-c000-000000000000", "Microsoft Graph", "resource", _MERILL),
    AppName("00000002-0000-0000-c000-000000000000", "Windows Azure Active Directory", "resource", _MERILL),
    AppName("00000003-0000-0ff1-ce00-000000000000", "Office 365 SharePoint Online", "resource", _MERILL),
    AppName("00000004-0000-0ff1-ce00-000000000000", "Skype for Business Online", "calendar", _MERILL),
    AppName("00000006-0000-0ff1-ce00-000000000000", "Microsoft Office 365 Portal", "portal", _MERILL),
    AppName("00000007-0000-0ff1-ce00-000000000000", "Exchange Online Protection", "mail filter", _MERILL),
    AppName("0000000c-0000-0000-c000-000000000000", "App Access Panel", "portal", _MERILL),
    AppName("47629505-c2b6-4a80-adb1-9b3a3d233b7b", "Exchange Web Services", "interface", _MERILL),
    AppName("a0c73c16-a7e3-4564-9a95-2bdf47383716", "Legacy Exchange Online PowerShell", "administration", _MERILL),
    AppName("fb78d390-0c51-40cd-8e17-fdbfab77341b", "Exchange REST API based PowerShell", "administration", _MERILL),
    AppName("497effe9-df71-4043-a8bb-14cf78c4b63b", "Exchange Admin Center", "administration", _MERILL),
    AppName("99b904fd-a1fe-455c-b86c-2f9fb1da7687", "Exchange ForwardSync", "directory synchronisation", _MERILL),
    AppName("51be292c-a17e-4f17-9a7e-4b661fb16dd2", "Exchange ProtectedServiceHost", "service", _MERILL),
    AppName("ec156f81-f23a-47bd-b16f-9fb2c66420f9", "Office 365 Exchange Microservices", "service", _MERILL),
    AppName("13d54852-ae25-4f0b-823a-b09eea89f431", "Outlook Service for Exchange", "service", _MERILL),
    AppName("7ae974c5-1af7-4923-af3a-fb1fd14dcb7e", "OutlookUserSettingsConsumer", "settings", _MERILL),
    AppName("b669c6ea-1adf-453f-b8bc-6d526592b419", "Focused Inbox", "classifier", _MERILL),
    AppName("0e90d0b8-039a-4936-a6f4-d25dd510be5d", "Message Recall app", "recalls", _MERILL),
    AppName("13937bba-652e-4c46-b222-3003f4d1ff97", "Substrate Context Service", "background", _MERILL),
    AppName("26abc9a8-24f0-4b11-8234-e86ede698878", "SubstrateDirectoryEventProcessor", "background", _MERILL),
    AppName("06dd8193-75af-46d0-84bb-9b9bcaa89e8b", "SubstrateActionsService", "background", _MERILL),
    AppName("98db8bd6-0cc0-4e67-9de5-f187f1cd1b41", "Microsoft Substrate Management", "background", _MERILL),
    AppName("a970bac6-63fe-4ec5-8884-8536862c42d4", "Substrate Search Settings Management", "search", _MERILL),
    AppName("66a88757-258c-4c72-893c-3e8bed4d6899", "Office 365 Search Service", "search", _MERILL),
    AppName("35d54a08-36c9-4847-9018-93934c62740c", "PeoplePredictions", "background", _MERILL),
    AppName("394866fc-eedb-4f01-8536-3ff84b16be2a", "People Cards Service", "background", _MERILL),
    AppName("3c896ded-22c5-450f-91f6-3d1ef0848f6e", "WeveEngine", "Viva insights, background", _MERILL),
    AppName("94c63fef-13a3-47bc-8074-75af8c65887a", "Office Delve", "background", _MERILL),
    AppName("2a486b53-dbd2-49c0-a2bc-278bdfc30833", "Cortana at Work", "background", _MERILL),
    AppName("20a11fe0-faa8-4df5-baf2-f965f8f9972e", "ContactsInferencingEmailProcessor", "background", _MERILL),
    AppName("2087bd82-7206-4c0a-b305-1321a39e5926", "Microsoft To-Do (service)", "tasks", _MERILL),
    AppName("c830ddb0-63e6-4f22-bd71-2ad47198a23e", "Microsoft To-Do (app)", "tasks", _MERILL),
    AppName("3ff8e6ba-7dc3-4e9e-ba40-ee12b60d6d48", "Microsoft To-Do (web)", "tasks", _MERILL),
    AppName("1fec8e78-bce4-4aaf-ab1b-5451cc387264", "Microsoft Teams", "calendar, few mail reads", _MERILL),
    AppName("5e3ce6c0-2b1f-4285-8d4b-75ee78787346", "Teams Web Client", "calendar, few mail reads", _MERILL),
    AppName("cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", "Teams Services", "service", _MERILL),
    AppName("51133ff5-8e0d-4078-bcca-84fb7f905b64", "Teams Mailhook", "channel mail", _MERILL),
    AppName("48af08dc-f6d2-435f-b2a7-069abd99c086", "Connectors", "group connectors", _MERILL),
    AppName("3138fe80-4087-4b04-80a6-8866c738028a", "SharePoint Notification Service", "notifications", _MERILL),
    AppName("80ccca67-54bd-44ab-8625-4b79c4dc7775", "M365 Security and Compliance Center", "eDiscovery", _MERILL),
    AppName("0d38933a-0bbd-41ca-9ebd-28c4b5ba7cb7", "Purview eDiscovery service", "content search", _MERILL),
    AppName("92876b03-76a3-4da8-ad6a-0511ffdf8647", "Purview eDiscovery infrastructure", "content search", _MERILL),
    AppName("b8d56525-1fd0-4121-a640-e0ede64f74b5", "M365CommunicationCompliance", "compliance", _MERILL),
    AppName("a150d169-7d37-47dd-9b20-156207b7b02f", "MIP Exchange Solutions", "labels", _MERILL),
    AppName("00b41c95-dab0-4487-9791-b9d2c32c80f2", "Office 365 Management", "sign-in client", _MERILL),
    AppName("4765445b-32c6-49b0-83e6-1d93765276ca", "OfficeHome", "portal", _MERILL),
    AppName("72782ba9-4490-4f03-8d82-562370ea3566", "Office 365", "portal", _MERILL),
    AppName("89bee1f7-5e6e-4d8a-9f3d-ecd601259da7", "Office365 Shell WCSS-Client", "header search", _MERILL),
    AppName("4345a7b9-9a63-4910-a426-35363201d503", "O365 Suite UX", "notifications", _MERILL),
    AppName("fb8d773d-7ef8-4ec0-a117-179f88add510", "Enterprise Copilot Platform", "Copilot", _MERILL),
    AppName("16b1878d-62c7-4009-aa25-68989d63bbad", "Work IQ Mail MCP", "mail access by agents", _MERILL),
    AppName("2d4d3d8e-2be3-4bef-9f87-7875a61c29de", "OneNote", "meeting details", _MERILL),
    AppName("ab9b8c07-8f02-4f72-87fa-80105867a763", "OneDrive SyncEngine", "files", _MERILL),
    AppName("29d9ed98-a469-4536-ade2-f981bc1d605e", "Authentication Broker", "sign-in", _MERILL),
    AppName("14d82eec-204b-4c2f-b7e8-296a70dab67e", "Graph Command Line Tools", "scripts", _MERILL),
    AppName("de8bc8b5-d9f9-48b1-a8ad-b748da725064", "Graph Explorer", "interactive queries", _MERILL),
    AppName("1950a258-227b-4e31-a9cf-717495945fc2", "Azure PowerShell", "scripts", _MERILL),
    AppName("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Azure CLI", "scripts", _MERILL),
    AppName("aebc6443-996d-45c2-90f0-388ff96faa56", "Visual Studio Code", "development", _MERILL),
    AppName("f8d98a96-0999-43f5-8af3-69971c7bb423", "Apple Internet Accounts", "third-party mail client", _ELASTIC),
    AppName("e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd", "eM Client", "third-party mail client", _HUNTRESS),
    AppName("ff8d92dc-3d82-41d6-bcbd-b9174d163620", "PERFECTDATA SOFTWARE", "third-party mail export", _HUNTRESS),
    AppName("2ef68ccc-8a4d-42ff-ae88-2d7bb89ad139", "Mail_Backup", "third-party mail export", _LETHAL),
    AppName("a245e8c0-b53c-4b67-9b45-751d1dff8e6b", "Newsletter Software Supermailer", "third-party", _HUNTRESS),
    AppName("b15665d9-eda6-4092-8539-0eec376afd59", "rclone", "third-party file copy", _HUNTRESS),
    AppName("4761b959-9780-4c2d-87a3-512b4638f767", "rclone", "third-party file copy", _LETHAL),
    AppName("a43e5392-f48b-46a4-a0f1-098b5eeb4757", "CloudSponge", "third-party contacts", _HUNTRESS),
    AppName("77468577-4f6e-40e7-b745-11d3d0c28095", "Fastmail", "third-party mail service", _LETHAL),
    AppName("179d5108-412b-4c95-8e34-06786784ab39", "PostBox", "third-party mail client", _LETHAL),
    AppName("caffae8c-0882-4c81-9a27-d1803af53a40", "SigParser", "third-party contacts", _LETHAL),
    AppName("946c777c-bc85-489e-b034-392389ae23d6", "Spike", "third-party mail client", _LETHAL),
    AppName("858d7e42-35f0-44b7-9033-df309239a47f", "ZoomInfo Login", "third-party contacts", _LETHAL),
    AppName("497ac034-5120-4c1a-929a-0351f5c09918", "ZoomInfo Communitiez Login", "third-party contacts", _LETHAL),
)

_NAMES = {app.app_id: app.name for app in APP_NAMES}


def client_label(client: str) -> str:
    """How a client is shown: `name (id)` for a well-known application, else the client as it is stored."""
    name = _NAMES.get(client)
    return client if name is None else f"{name} ({client})"
