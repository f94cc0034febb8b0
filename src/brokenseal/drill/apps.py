"""Applications: Microsoft's own by their public ids, and an invented market of third-party ones.

Third-party applications are one market for all tenants of a drill, so that no application is an intruder's alone. The
abused-but-honest mail clients of public incident reports are in it, with ordinary people using them.
Sources of Microsoft ids: github.com/merill/microsoft-info; of the others: github.com/huntresslabs/rogueapps and
github.com/LETHAL-FORENSICS/Microsoft-Analyzer-Suite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from brokenseal.drill import streams

if TYPE_CHECKING:
    import numpy.typing as npt

EXCHANGE: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH: Final = "00000003-0000-0000-c000-000000000000"
SHAREPOINT: Final = "00000003-0000-0ff1-ce00-000000000000"
DIRECTORY: Final = "00000002-0000-0000-c000-000000000000"
EWS: Final = "47629505-c2b6-4a80-adb1-9b3a3d233b7b"
OFFICE: Final = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
OUTLOOK_MOBILE: Final = "27922004-5251-4030-b22d-91ecd9a37ea4"
OUTLOOK_WEB: Final = "9199bf20-a13f-4107-85dc-02114787ef48"
NEW_OUTLOOK: Final = "5d661950-3475-41cd-a2c3-d671a3162bc1"
OUTLOOK_EWS: Final = "fe93bfe1-7947-460a-a5e0-7a5906b51360"
TEAMS: Final = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"
TEAMS_WEB: Final = "5e3ce6c0-2b1f-4285-8d4b-75ee78787346"
APPLE_MAIL: Final = "f8d98a96-0999-43f5-8af3-69971c7bb423"
THUNDERBIRD: Final = "9e5f94bc-e8a4-4e73-b8be-63364c29d753"
GRAPH_SHELL: Final = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
GRAPH_EXPLORER: Final = "de8bc8b5-d9f9-48b1-a8ad-b748da725064"
EXCHANGE_SHELL: Final = "fb78d390-0c51-40cd-8e17-fdbfab77341b"
EXCHANGE_ADMIN: Final = "497effe9-df71-4043-a8bb-14cf78c4b63b"
COMPLIANCE: Final = "80ccca67-54bd-44ab-8625-4b79c4dc7775"
EDISCOVERY: Final = "0d38933a-0bbd-41ca-9ebd-28c4b5ba7cb7"
PORTAL: Final = "4765445b-32c6-49b0-83e6-1d93765276ca"
OFFICE_365: Final = "72782ba9-4490-4f03-8d82-562370ea3566"
ONEDRIVE: Final = "ab9b8c07-8f02-4f72-87fa-80105867a763"
BROKER: Final = "29d9ed98-a469-4536-ade2-f981bc1d605e"
AZURE_SHELL: Final = "1950a258-227b-4e31-a9cf-717495945fc2"
AZURE_CLI: Final = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

RESOURCE_NAMES: Final = {
    EXCHANGE: "Office 365 Exchange Online",
    GRAPH: "Microsoft Graph",
    SHAREPOINT: "Office 365 SharePoint Online",
    DIRECTORY: "Windows Azure Active Directory",
}


class Background(NamedTuple):
    """A Microsoft service that opens messages on its own.

    Attributes:
        weight: Share of background reading that is its work.
        pace_s: Median seconds between two reads.
        is_logged: Its token issuance appears in the microsoft_service_principal stream; else in none.
    """

    app_id: str
    name: str
    weight: float
    pace_s: float
    is_logged: bool


BACKGROUND: Final = (
    Background("13937bba-652e-4c46-b222-3003f4d1ff97", "Substrate Context Service", 24, 1500, is_logged=False),
    Background("66a88757-258c-4c72-893c-3e8bed4d6899", "Office 365 Search Service", 14, 1200, is_logged=False),
    Background("20a11fe0-faa8-4df5-baf2-f965f8f9972e", "ContactsInferencingEmailProcessor", 12, 2000, is_logged=False),
    Background("3c896ded-22c5-450f-91f6-3d1ef0848f6e", "WeveEngine", 10, 2400, is_logged=False),
    Background("2a486b53-dbd2-49c0-a2bc-278bdfc30833", "Cortana at Work", 6, 2400, is_logged=True),
    Background("35d54a08-36c9-4847-9018-93934c62740c", "PeoplePredictions", 6, 3000, is_logged=False),
    Background("2087bd82-7206-4c0a-b305-1321a39e5926", "Microsoft To-Do (service)", 6, 1800, is_logged=True),
    Background("cc15fd57-2c6c-4117-a88c-83b1d56b4bbe", "Teams Services", 9, 1200, is_logged=True),
    Background("fb8d773d-7ef8-4ec0-a117-179f88add510", "Enterprise Copilot Platform", 6, 300, is_logged=True),
    Background("b8d56525-1fd0-4121-a640-e0ede64f74b5", "M365CommunicationCompliance", 3, 1500, is_logged=True),
    Background("a150d169-7d37-47dd-9b20-156207b7b02f", "MIP Exchange Solutions", 4, 900, is_logged=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketApp:
    """One third-party application on the market.

    Attributes:
        kind: What it does: `crm`, `calendar`, `mail_client` and `sales` act for a person; `backup`, `archive`,
            `signature`, `helpdesk` and `security` act by themselves; `other` never opens mail.
        scopes: Scopes (of a person's application) or roles (of one that acts by itself).
        is_app_only: Acts by itself, with a secret or certificate.
        protocol: rest or ews.
        network_no: Cloud or hosting network it calls from.
        hosts: Distinct hosts it calls from.
        reads_per_day: Median messages it opens per mailbox-day; 0 for none.
        popularity: Weight with which tenants and people choose it.
        user_agent: As it writes it.
    """

    app_id: str
    name: str
    kind: str
    scopes: tuple[str, ...]
    is_app_only: bool
    protocol: str
    network_no: int
    hosts: int
    reads_per_day: float
    popularity: float
    user_agent: str


_WELL_KNOWN: Final = (
    ("e9a7fea1-1cc0-4cd9-a31b-9137ca5deedd", "eM Client", "ews", "eMClient/10.1.4828.0"),
    ("946c777c-bc85-489e-b034-392389ae23d6", "Spike", "rest", "axios/1.7.9"),
    ("caffae8c-0882-4c81-9a27-d1803af53a40", "SigParser", "rest", "Mozilla/5.0 (compatible; SigParser/2.0)"),
    ("77468577-4f6e-40e7-b745-11d3d0c28095", "Fastmail", "rest", "Go-http-client/2.0"),
    ("179d5108-412b-4c95-8e34-06786784ab39", "PostBox", "ews", "Postbox/7.0.60"),
    ("2ef68ccc-8a4d-42ff-ae88-2d7bb89ad139", "Mail_Backup", "rest", "python-requests/2.32.3"),
)
_WORDS: Final = ("Acorn", "Birch", "Cedar", "Delta", "Ember", "Fjord", "Grove", "Harbour", "Isle", "Juniper", "Kite")
# Kind, suffix of the name, whether it acts by itself, share of the market, reads per mailbox-day, scopes.
_MARKET: Final = (
    ("crm", "CRM", False, 16, 14.0, ("Mail.Read", "Contacts.Read", "offline_access")),
    ("sales", "Outreach", False, 10, 9.0, ("Mail.ReadWrite", "Mail.Send", "offline_access")),
    ("calendar", "Meetings", False, 16, 0.0, ("Calendars.ReadWrite", "User.Read")),
    ("mail_client", "Mail", False, 8, 25.0, ("Mail.ReadWrite", "Mail.Send", "offline_access")),
    ("other", "Boards", False, 30, 0.0, ("User.Read", "openid", "profile")),
    ("backup", "Backup", True, 8, 18.0, ("Mail.Read", "full_access_as_app")),
    ("archive", "Archive", True, 5, 12.0, ("Mail.Read",)),
    ("signature", "Signatures", True, 6, 0.5, ("Mail.ReadWrite",)),
    ("helpdesk", "Helpdesk", True, 8, 30.0, ("Mail.ReadWrite", "Mail.Send")),
    ("security", "Shield", True, 6, 20.0, ("Mail.ReadWrite", "User.Read.All")),
)
_AGENTS: Final = (
    "python-requests/2.32.3",
    "axios/1.7.9",
    "Go-http-client/1.1",
    "okhttp/4.12.0",
    "node-fetch/1.0",
    "Apache-HttpClient/4.5.14 (Java/17.0.12)",
    "GuzzleHttp/7",
    "Microsoft.Graph.Client/5.56",
)
SCRIPT_AGENTS: Final = ("python-requests/2.32.3", "axios/1.7.9", "Go-http-client/1.1")
"""User agents of scripts that people run against their own mailbox, as a few do in any organisation."""
EWS_AGENT: Final = "ExchangeServicesClient/15.00.0913.015"


def build_market(seed: int, networks: npt.NDArray[np.int32]) -> tuple[MarketApp, ...]:
    """The market of one drill: about 110 applications.

    Args:
        seed: Seed of the drill.
        networks: Numbers of the cloud and hosting networks that applications may call from.
    """
    rng = streams.stream(seed, "market")
    apps = []
    for app_id, name, protocol, agent in _WELL_KNOWN:
        apps.append(
            MarketApp(
                app_id=app_id,
                name=name,
                kind="mail_client",
                scopes=("EWS.AccessAsUser.All",) if protocol == "ews" else ("Mail.ReadWrite", "offline_access"),
                is_app_only=False,
                protocol=protocol,
                network_no=int(rng.choice(networks)),
                hosts=int(rng.integers(2, 12)),
                reads_per_day=float(rng.uniform(8, 40)),
                popularity=float(rng.lognormal(-0.5, 0.8)),
                user_agent=agent,
            )
        )
    for kind, suffix, is_app_only, share, reads, scopes in _MARKET:
        for number in range(share):
            is_ews = kind in {"backup", "archive"} and number % 2 == 1
            raw = streams.version4(streams.hashed_bytes(streams.hash_key(seed, "app", kind), np.array([number])))
            apps.append(
                MarketApp(
                    app_id=str(streams.guid_text(raw)[0]),
                    name=f"{_WORDS[number % len(_WORDS)]}{'' if number < len(_WORDS) else ' ' + str(number)} {suffix}",
                    kind=kind,
                    scopes=scopes,
                    is_app_only=is_app_only,
                    protocol="ews" if is_ews else "rest",
                    network_no=int(rng.choice(networks)),
                    hosts=int(rng.integers(1, 30)),
                    reads_per_day=float(reads * rng.lognormal(0, 0.4)),
                    popularity=float(rng.lognormal(0, 1)),
                    user_agent=EWS_AGENT if is_ews else str(_AGENTS[int(rng.integers(len(_AGENTS)))]),
                )
            )
    return tuple(apps)
