"""Programs that open mailboxes: what they are called, what they tell of themselves, and how they hold their tokens.

Sources: Office 365 Management Activity API schema; Microsoft Entra, linkable token identifiers; client strings as
Exchange parses them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from brokenseal.drill.second_generator.clock import DAY

if TYPE_CHECKING:
    from brokenseal.drill.second_generator.dice import Dice

EXCHANGE: Final = ("00000002-0000-0ff1-ce00-000000000000", "Office 365 Exchange Online")
GRAPH: Final = ("00000003-0000-0000-c000-000000000000", "Microsoft Graph")
EWS_API: Final = "47629505-c2b6-4a80-adb1-9b3a3d233b7b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A class of programs.

    Attributes:
        name: Short name.
        app_id: The client that signs in.
        app_name: Its name in the sign-in log.
        resource: Id and name of what the token is for.
        record_app: AppId of its mail records; empty for none.
        record_client: ClientAppId of its mail records; empty for none.
        api: APIId of its mail records.
        tells_session: Its mail records carry SessionId.
        tells_token: Its mail records carry AppAccessContext with the token.
        protocol: modern, mapi, ews, eas, imap or graph: how its client string is written.
        is_long_lived: It understands continuous access evaluation, so that its tokens can live for a day.
        sign_in_days: Mean days between two sign-ins with a person in front of the screen.
        is_relayed: It may come to Exchange from the service's own addresses.
        syncs: It copies folders to its machine.
    """

    name: str
    app_id: str
    app_name: str
    resource: tuple[str, str] = EXCHANGE
    record_app: str = ""
    record_client: str = ""
    api: str = ""
    tells_session: bool = False
    tells_token: bool = True
    protocol: str
    is_long_lived: bool = True
    sign_in_days: float = 30.0
    is_relayed: bool = False
    syncs: bool = False


_OUTLOOK = "d3590ed6-52b3-4102-aeff-aad2292ab01c"
_MOBILE = "27922004-5251-4030-b22d-91ecd9a37ea4"
_OWA = "9199bf20-a13f-4107-85dc-02114787ef48"
_NEW = "5d661950-3475-41cd-a2c3-d671a3162bc1"
_APPLE = "f8d98a96-0999-43f5-8af3-69971c7bb423"
_TEAMS = "1fec8e78-bce4-4aaf-ab1b-5451cc387264"
_GRAPH_CLI = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
_BIRD = "b7c3a1d4-6a5e-4d8f-9c21-3f0e7d5a9b64"  # an invented mail program that everybody may download

OUTLOOK = Kind(
    name="outlook",
    app_id=_OUTLOOK,
    app_name="Microsoft Office",
    tells_session=True,
    tells_token=False,
    protocol="mapi",
    sign_in_days=60.0,
    syncs=True,
)
NEW_OUTLOOK = Kind(
    name="new_outlook",
    app_id=_NEW,
    app_name="Microsoft Outlook",
    record_app=_NEW,
    record_client=_NEW,
    api=EXCHANGE[0],
    protocol="proxy",
    sign_in_days=45.0,
)
OWA = Kind(
    name="owa",
    app_id=_OWA,
    app_name="One Outlook Web",
    record_app=_OWA,
    record_client=_OWA,
    api=EXCHANGE[0],
    protocol="owa",
    sign_in_days=6.0,
)
PHONE = Kind(
    name="phone",
    app_id=_MOBILE,
    app_name="Outlook Mobile",
    record_app=_MOBILE,
    record_client=_MOBILE,
    api=EXCHANGE[0],
    protocol="mobile",
    sign_in_days=80.0,
    is_relayed=True,
)
APPLE = Kind(
    name="apple",
    app_id=_APPLE,
    app_name="Apple Internet Accounts",
    record_app=_APPLE,
    record_client=_APPLE,
    api=EWS_API,
    protocol="ews",
    is_long_lived=False,
    sign_in_days=70.0,
)
ACTIVE_SYNC = Kind(
    name="active_sync",
    app_id=_APPLE,
    app_name="Apple Internet Accounts",
    tells_token=False,
    protocol="eas",
    is_long_lived=False,
    sign_in_days=80.0,
)
BIRD = Kind(
    name="bird",
    app_id=_BIRD,
    app_name="Kestrel Mail",
    record_app=_BIRD,
    record_client=_BIRD,
    api=EXCHANGE[0],
    protocol="imap",
    is_long_lived=False,
    sign_in_days=50.0,
)
TEAMS = Kind(
    name="teams",
    app_id=_TEAMS,
    app_name="Microsoft Teams",
    resource=GRAPH,
    record_app=GRAPH[0],
    record_client=_TEAMS,
    api=GRAPH[0],
    protocol="graph",
    sign_in_days=40.0,
)
SCRIPT = Kind(
    name="script",
    app_id=_GRAPH_CLI,
    app_name="Microsoft Graph Command Line Tools",
    resource=GRAPH,
    record_app=GRAPH[0],
    record_client=_GRAPH_CLI,
    api=GRAPH[0],
    protocol="graph_script",
    sign_in_days=5.0,
)

KINDS: Final = (OUTLOOK, NEW_OUTLOOK, OWA, PHONE, APPLE, ACTIVE_SYNC, BIRD, TEAMS, SCRIPT)


def graph_kind(app_id: str, app_name: str) -> Kind:
    """A third-party application that reads mail through Microsoft Graph."""
    return Kind(
        name=f"app {app_id}",
        app_id=app_id,
        app_name=app_name,
        resource=GRAPH,
        record_app=GRAPH[0],
        record_client=app_id,
        api=GRAPH[0],
        protocol="graph",
        is_long_lived=False,
        sign_in_days=90.0,
    )


class Agent(NamedTuple):
    """What a program calls itself: its family, and how many versions it lags behind."""

    family: str
    lag: int


_BROWSERS: Final = (
    (("edge_windows", "Windows", "Edge"), 5.0),
    (("chrome_windows", "Windows", "Chrome"), 3.0),
    (("firefox_windows", "Windows", "Firefox"), 0.8),
    (("chrome_mac", "MacOs", "Chrome"), 0.9),
    (("safari_mac", "MacOs", "Safari"), 1.2),
    (("chrome_linux", "Linux", "Chrome"), 0.2),
)
_SYSTEMS: Final = {family: (system, browser) for (family, system, browser), _ in (entry for entry in _BROWSERS)} | {
    "iphone": ("Ios", "Mobile Safari"),
    "android": ("Android", "Chrome Mobile"),
    "office": ("Windows", "Rich Client"),
}
_SLOW: Final = 0.08
_VERSION_THEN: Final = 144
_RELEASE_DAYS: Final = 28


def browser(dice: Dice) -> Agent:
    """The browser of somebody: mostly up to date, and now and then of a machine that nobody looks after."""
    family = dice.weighted([(name, weight) for (name, _, _), weight in _BROWSERS])
    lag = 6 + dice.below(30) if dice.chance(_SLOW) else dice.weighted([(0, 7.0), (1, 2.0), (2, 0.6)])
    return Agent(family, lag)


def phone(dice: Dice) -> Agent:
    """A telephone."""
    return Agent(dice.weighted([("iphone", 3.0), ("android", 2.0)]), dice.below(3))


OFFICE: Final = Agent("office", 0)


def system_of(agent: Agent) -> tuple[str, str]:
    """Operating system and browser, as the sign-in log names them."""
    return _SYSTEMS[agent.family]


def agent_text(agent: Agent, at: int) -> str:
    """The user agent at a time; browsers have a new version every four weeks."""
    return _agent_text(agent.family, at // (_RELEASE_DAYS * DAY) - agent.lag)


_EPOCH_RELEASE: Final = 20_454 // _RELEASE_DAYS  # the release that was new at the start of 2026


@functools.lru_cache(maxsize=4096)
def _agent_text(family: str, release: int) -> str:
    version = _VERSION_THEN + release - _EPOCH_RELEASE
    chrome = f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0"
    windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"
    mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
    texts = {
        "edge_windows": f"{windows} {chrome} Safari/537.36 Edg/{version}.0.0.0",
        "chrome_windows": f"{windows} {chrome} Safari/537.36",
        "firefox_windows": f"{windows[:-1]}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0",
        "chrome_mac": f"{mac} {chrome} Safari/537.36",
        "safari_mac": f"{mac} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{18 + (version - 136) // 12}."
        f"{(version - 136) % 12 // 2} Safari/605.1.15",
        "chrome_linux": f"Mozilla/5.0 (X11; Linux x86_64) {chrome} Safari/537.36",
        "iphone": f"Outlook-iOS/{5 + version // 100}.{2500 + version}.0",
        "android": f"Outlook-Android/{4 + version // 100}.{2500 + version}.1",
        "office": f"Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.{18_000 + 9 * version}; Pro)",
    }
    return texts[family]


_STRINGS: Final = {
    "mapi": "Client=MSExchangeRPC",
    "proxy": "Client=OWA;Action=ViaProxy",
    "owa": "Client=OWA;{agent};",
    "graph": "Client=REST;;",
    "graph_script": "Client=REST;Client=RESTSystem;;",
    "imap": "Client=POP3/IMAP4;Protocol=IMAP4",
    "background": "Client=REST;Client=RESTSystem;;",
}


def client_string(kind: Kind, agent: Agent, at: int) -> str:
    """The ClientInfoString of the program."""
    fixed = _STRINGS.get(kind.protocol)
    if fixed is not None:
        return fixed.replace("{agent}", agent_text(agent, at))
    if kind.protocol == "mobile":
        maker = "iOS" if agent.family == "iphone" else "Android"
        return f"Client=OutlookService;Outlook-{maker}/2.0;"
    if kind.protocol == "ews":
        return f"Client=WebServices;Mac OS X/15.{agent.lag} (24A335) AppleExchangeWebServices/1062.3;"
    device = "Apple-iPhone15C2" if agent.family == "iphone" else "Android-SAMSUNG"
    return f"Client=ActiveSync;UserAgent={device}/2201.{40 + agent.lag};Action=/Microsoft-Server-ActiveSync/default.eas"


def actor_string(kind: Kind) -> str:
    """The ActorInfoString, where the program has one: it names the program behind the service's own hop."""
    if kind.protocol != "graph_script":
        return ""
    return f"Client=REST;PowerShell/7.5.1 Invoke-MgGraphRequest[AppId={kind.app_id}]"
