"""The hunting guide: queries that an organisation can paste, made of indicators from its own records alone.

Log text is hostile, and these queries are pasted into consoles: every value is quoted for the language it goes into,
and a value that cannot be quoted without changing it is left out and counted. Names of tables and fields are Microsoft
Learn's (CloudAppEvents, OfficeActivity, Search-UnifiedAuditLog, microsoft.graph.security.auditLogQuery).
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from typing import TYPE_CHECKING, TypeAlias

from brokenseal.notices.blocks import words
from brokenseal.reports import _words
from brokenseal.reports._escape import visible
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from brokenseal.notices.share_values import Indicator, Share

Values: TypeAlias = dict[str, tuple[str, ...]]
Span: TypeAlias = tuple[dt.datetime, dt.datetime]

_VALUES_LISTED = 100
_VALUE_LIMIT = 400
_MARGIN = dt.timedelta(days=1)
# Unicode's single quotation marks end a string in PowerShell as the straight one does (about_Quoting_Rules).
_POWERSHELL_QUOTES = "'\u2018\u2019\u201a\u201b"
_FENCE = "```"


def kql(text: str) -> str:
    """A KQL string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def powershell(text: str) -> str:
    """A PowerShell string in which nothing is expanded."""
    return "'" + "".join(mark * 2 if mark in _POWERSHELL_QUOTES else mark for mark in text) + "'"


def quotable(text: str) -> bool:
    """Whether the text can stand in a query unchanged: one line, nothing unseen, not too long, no fence of Markdown."""
    return bool(text) and visible(text) == text and len(text) <= _VALUE_LIMIT and _FENCE not in text


def values_of(share: Share) -> tuple[Values, int]:
    """The values that queries use, by kind, those of certain reading where there are any, and how many are left out."""
    found: dict[str, list[Indicator]] = {}
    for incident in share.incidents:
        for indicator in incident.indicators:
            found.setdefault(indicator.kind, []).append(indicator)
    chosen: Values = {}
    left_out = 0
    for kind, indicators in found.items():
        certain = [each for each in indicators if each.certain]
        # What is known from elsewhere is looked for whether or not our records show it.
        unseen = [each for each in indicators if not each.is_seen]
        values = sorted({each.value for each in ([*certain, *unseen] if certain else indicators)})
        usable = [value for value in values if quotable(value)][:_VALUES_LISTED]
        left_out += len(values) - len(usable)
        chosen[kind] = tuple(
            form for value in usable for form in (_token_forms(value) if kind == "token" else (value,))
        )
    return chosen, left_out


def _as_it_is(value: str) -> tuple[str, ...]:
    return (value,)


def _token_forms(value: str) -> tuple[str, ...]:
    """A token id as a GUID and as Exchange writes it: base64url of the GUID's bytes, little-endian, without padding."""
    try:
        raw = uuid.UUID(value).bytes_le
    except ValueError:
        return (value,)
    return value, base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def hunting_guide(share: Share, lang: str) -> str | None:
    """The guide as Markdown; None where no record shows anything to look for."""
    spans = [(each.first_at, each.last_at) for incident in share.incidents for each in incident.indicators]
    values, left_out = values_of(share)
    if not spans or not any(values.values()):
        return None
    start = min(first for first, _ in spans) - _MARGIN
    end = max(last for _, last in spans) + _MARGIN
    return "\n".join(_lines(share, values, left_out, (start, end), lang)) + "\n"


def _lines(
    share: Share,
    values: Values,
    left_out: int,
    span: Span,
    lang: str,
) -> Iterator[str]:
    def said(sentence: Phrase) -> str:
        return words(sentence, lang)

    about = _KNOWN_AND_OWN if any(incident.is_indicated for incident in share.incidents) else _OWN
    yield "# " + said(phrase("Hunting guide for your own logs"))
    if share.simulated:
        yield from ("", f"**{said(_words.SIMULATED)}**")
    yield from (
        "",
        said(Phrase(template=about.template, values={"first_at": span[0], "last_at": span[1]})),
    )
    if left_out:
        sentence = phrase(
            "{n} value(s) are left out of the queries: too many, too long, or not to be typed.", n=left_out
        )
        yield from ("", said(sentence))
    for title, language, query in (
        (phrase("Defender XDR: the same addresses, sessions and tokens"), "kql", _defender(values, span)),
        (phrase("Defender XDR: the same programs, by mailbox"), "kql", _defender_programs(values, span)),
        (phrase("Microsoft Sentinel: the same addresses"), "kql", _sentinel(values, span)),
        (phrase("Microsoft Sentinel: the same programs, by mailbox"), "kql", _sentinel_programs(values, span)),
        (phrase("Sign-ins with the same addresses or sessions"), "kql", _sign_ins(values, span)),
        (phrase("Exchange Online PowerShell"), "powershell", _exchange(values, span)),
        (phrase("Microsoft Graph, audit log query"), "http", _graph(values, span)),
    ):
        if query:
            yield from ("", f"## {said(title)}", "", f"{_FENCE}{language}", query, _FENCE)
    yield from (
        "",
        "## " + said(phrase("What to look at")),
        "",
        "- "
        + said(
            phrase("Mailboxes that are not in our letter: they were read as well, and nobody has told their owners.")
        ),
        "- " + said(phrase("Reading before our first record: the logs we saw may begin too late.")),
        "- "
        + said(
            phrase(
                "Records with OperationProperties IsThrottled True: for 24 hours after them, reading of that mailbox "
                "was not recorded one by one."
            )
        ),
        "- " + said(phrase("Sign-ins with these sessions: none at all may mean that tokens were stolen or forged.")),
    )


_OWN = phrase(
    "The queries look for the same programs, addresses, sessions and tokens in your own logs, from {first_at} to "
    "{last_at}, a day more on either side than our records. Every value is from records of your own mailboxes. "
    "Addresses and programs may be used by your own people as well: a hit is a question, not an answer."
)
_KNOWN_AND_OWN = phrase(
    "The queries look for programs, addresses, sessions and tokens in your own logs, from {first_at} to {last_at}, a "
    "day more on either side than what we know. Every value is known of the intruder from elsewhere, or stands in "
    "records of your own mailboxes beside one that is. Addresses and programs may be used by your own people as well: "
    "a hit is a question, not an answer."
)


def _time(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _list(values: tuple[str, ...]) -> str:
    return ", ".join(kql(value) for value in values)


def _between(span: Span) -> str:
    return f"between (datetime({_time(span[0])}) .. datetime({_time(span[1])}))"


def _kql(table: str, conditions: dict[str, str], values: Values, lines: tuple[str, ...]) -> str:
    """A query for any of the values; "" where there is none of these kinds."""
    if not any(values.get(kind) for kind in conditions):
        return ""
    parts = [condition.format(_list(values[kind])) for kind, condition in conditions.items() if values.get(kind)]
    wanted = "| where " + "\n    or ".join(parts)
    return "\n".join((table, *(wanted if line == _WANTED else line for line in lines)))


_WANTED = "| where …"


def _defender(values: Values, span: Span) -> str:
    conditions = {
        "address": "tostring(Raw.ClientIPAddress) in ({})",
        "session": "tostring(Raw.SessionId) in~ ({0}) or tostring(Raw.AppAccessContext.AADSessionId) in~ ({0})",
        "token": "tostring(Raw.AppAccessContext.UniqueTokenId) in ({})",
    }
    lines = (
        f"| where Timestamp {_between(span)}",
        '| where ActionType == "MailItemsAccessed"',
        "| extend Raw = parse_json(RawEventData)",
        _WANTED,
        "| project Timestamp, tostring(Raw.MailboxOwnerUPN), tostring(Raw.UserId), tostring(Raw.ClientIPAddress),",
        "    tostring(Raw.ClientInfoString), tostring(Raw.AppId), tostring(Raw.ClientAppId),",
        "    tostring(Raw.SessionId), tostring(Raw.AppAccessContext), tostring(Raw.OperationProperties)",
        "| order by Timestamp asc",
    )
    return _kql("CloudAppEvents", conditions, values, lines)


def _defender_programs(values: Values, span: Span) -> str:
    conditions = {
        "client": "tostring(Raw.ClientInfoString) in ({})",
        "application": "tostring(Raw.ClientAppId) in~ ({0}) or tostring(Raw.AppId) in~ ({0})",
    }
    lines = (
        f"| where Timestamp {_between(span)}",
        '| where ActionType == "MailItemsAccessed"',
        "| extend Raw = parse_json(RawEventData)",
        _WANTED,
        "| summarize Reads = count(), First = min(Timestamp), Last = max(Timestamp)",
        "    by Mailbox = tostring(Raw.MailboxOwnerUPN), Address = tostring(Raw.ClientIPAddress),",
        "    Client = tostring(Raw.ClientInfoString), Application = tostring(Raw.ClientAppId)",
        "| order by First asc",
    )
    return _kql("CloudAppEvents", conditions, values, lines)


def _sentinel(values: Values, span: Span) -> str:
    conditions = {"address": "Client_IPAddress in ({0}) or ClientIP in ({0})"}
    lines = (
        f"| where TimeGenerated {_between(span)}",
        '| where OfficeWorkload == "Exchange" and Operation == "MailItemsAccessed"',
        _WANTED,
        "| order by TimeGenerated asc",
    )
    return _kql("OfficeActivity", conditions, values, lines)


def _sentinel_programs(values: Values, span: Span) -> str:
    conditions = {"client": "ClientInfoString in ({})", "application": "ClientAppId in~ ({0}) or AppId in~ ({0})"}
    lines = (
        f"| where TimeGenerated {_between(span)}",
        '| where OfficeWorkload == "Exchange" and Operation == "MailItemsAccessed"',
        _WANTED,
        "| summarize Reads = count(), First = min(TimeGenerated), Last = max(TimeGenerated)",
        "    by MailboxOwnerUPN, Client_IPAddress, ClientInfoString, ClientAppId",
        "| order by First asc",
    )
    return _kql("OfficeActivity", conditions, values, lines)


def _sign_ins(values: Values, span: Span) -> str:
    conditions = {"address": "IPAddress in ({})", "session": "SessionId in~ ({})"}
    lines = (f"| where TimeGenerated {_between(span)}", _WANTED, "| order by TimeGenerated asc")
    return _kql("union isfuzzy=true SigninLogs, AADNonInteractiveUserSignInLogs", conditions, values, lines)


def _exchange(values: Values, span: Span) -> str:
    wanted = [
        value for kind in ("session", "token", "client", "address", "application") for value in values.get(kind, ())
    ]
    listed = ", ".join(powershell(value) for value in wanted)
    return "\n".join(
        (
            f"$wanted = @({listed})",
            "$found = do {",
            f"  $page = Search-UnifiedAuditLog -StartDate '{_time(span[0])}' -EndDate '{_time(span[1])}' `",
            "    -Operations MailItemsAccessed -SessionId 'brokenseal-hunt' -SessionCommand ReturnLargeSet `",
            "    -ResultSize 5000",
            "  $page",
            "} while ($page)",
            "$found | Where-Object {",
            "    $text = $_.AuditData",
            "    @($wanted | Where-Object { $text.Contains($_) -or $text.Contains((ConvertTo-Json $_).Trim('\"')) })",
            "  } |",
            "  Select-Object CreationDate, UserIds, Operations, AuditData | Export-Csv hunt.csv -NoTypeInformation",
        )
    )


def _graph(values: Values, span: Span) -> str:
    body = {
        "@odata.type": "#microsoft.graph.security.auditLogQuery",
        "displayName": "MailItemsAccessed, hunt",
        "filterStartDateTime": _time(span[0]),
        "filterEndDateTime": _time(span[1]),
        "operationFilters": ["MailItemsAccessed"],
    }
    if values.get("address"):
        body["ipAddressFilters"] = list(values["address"])
    return "\n".join(
        (
            "POST https://graph.microsoft.com/v1.0/security/auditLog/queries",
            "Content-Type: application/json",
            "",
            json.dumps(body, indent=2, ensure_ascii=True),
        )
    )
