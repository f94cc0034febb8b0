"""Queries in Kusto for Microsoft Sentinel and Defender: who else was visited by the same addresses and applications.

Values stand in `dynamic` lists as JSON text, which Kusto reads with JSON's own escapes; nothing else of the document
is part of a query. Source: Microsoft, Kusto Query Language, scalar data types `string` and `dynamic`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from brokenseal.exchange.shared import IndicatorKind, Shared

_LISTS: Final[tuple[tuple[IndicatorKind, str], ...]] = (
    ("address", "addresses"),
    ("application", "applications"),
    ("user_agent", "user_agents"),
)

_QUERIES: Final = (
    """\
// Mail and configuration, as Sentinel keeps them
OfficeActivity
| where TimeGenerated >= first_seen
| extend Address = strcat(column_ifexists("ClientIP", ""), " ", column_ifexists("Client_IPAddress", ""), " ",
    column_ifexists("ActorIpAddress", ""))
| extend Application = strcat(column_ifexists("AppId", ""), " ", column_ifexists("ClientAppId", ""))
| extend Agent = strcat(column_ifexists("ClientInfoString", ""), " ", column_ifexists("UserAgent", ""))
| extend SameAddress = Address has_any (addresses), SameApplication = Application has_any (applications)
| extend SameAgent = Agent has_any (user_agents)
""",
    """\
// Sign-ins, those without a person among them
union isfuzzy=true SigninLogs, AADNonInteractiveUserSignInLogs, AADServicePrincipalSignInLogs
| where TimeGenerated >= first_seen
| extend SameAddress = IPAddress in (addresses), SameApplication = AppId in (applications)
| extend SameAgent = column_ifexists("UserAgent", "") in (user_agents)
""",
    """\
// Cloud app events, as Defender keeps them
CloudAppEvents
| where Timestamp >= first_seen
| extend Application = tostring(RawEventData.AppId), Agent = tostring(RawEventData.ClientInfoString)
| extend SameAddress = IPAddress in (addresses), SameApplication = Application in (applications)
| extend SameAgent = UserAgent in (user_agents) or Agent has_any (user_agents)
""",
)
_STRONG: Final = "| where SameAddress or SameApplication\n"
_WEAK: Final = "| where SameAgent\n"


def kql_text(shared: Shared) -> str:
    """One file with a query for each place where the records may be; every query stands by itself."""
    head = [
        f"// {shared.tlp.label}. Indicators shared by {shared.producer}; Brokenseal {shared.product_version}.",
        "// A hit is a reason to look, not a proof: addresses change hands.",
    ]
    if shared.simulated:
        head.insert(0, "// Simulated: these indicators are of an intruder that Brokenseal made up.")
    if not shared.indicators:
        return "\n".join([*head, "// Nothing is shared as an indicator."]) + "\n"
    # A program's name alone says little, so that it is looked for only where there is nothing else.
    wanted = _STRONG if any(each.kind != "user_agent" for each in shared.indicators) else _WEAK
    return "\n".join(["\n".join(head), "", *(f"{_lets(shared)}{query}{wanted}" for query in _QUERIES)])


def _lets(shared: Shared) -> str:
    first = min(each.first_at for each in shared.indicators)
    lines = [f"let first_seen = datetime({first:%Y-%m-%dT%H:%M:%SZ});"]
    for kind, name in _LISTS:
        values = [each.value for each in shared.indicators if each.kind == kind]
        lines.append(f"let {name} = dynamic({json.dumps(values)});")
    return "\n".join(lines) + "\n"
