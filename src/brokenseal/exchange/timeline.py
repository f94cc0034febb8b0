"""The records of shared cases in time, as far as the terms let them be told. Pure.

Under the profile `default` people and mailboxes stand under numbers (`account-1`, `mailbox-1`), and an address or an
application is told only where it is shared as an indicator or a tool.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - used in annotations of a value
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.exchange.indicators import case_event_ids, detector_ids, technique_ids, user_agent_of
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from brokenseal.exchange.shared import Shared
    from brokenseal.model import Case, CaseDocument, Finding

_TEXT_LIMIT = 2_000
_OPERATION = re.compile(r"[A-Za-z][A-Za-z0-9 ._()-]{0,79}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedEvent:
    """One record of a case; None where the log does not say, or where it is not shared.

    Attributes:
        event_id: Only under the profile `victim`: nobody else has the record.
        detectors: Ids of the detectors whose findings show it, sorted.
        attack: Techniques of those findings, sorted.
    """

    at: dt.datetime
    case: str
    operation: str
    account: str | None
    mailbox: str | None
    address: str | None
    application: str | None
    user_agent: str | None
    event_id: str | None
    detectors: tuple[str, ...]
    attack: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How people, mailboxes, addresses and applications are told under the terms."""

    account: Callable[[str | None], str | None]
    mailbox: Callable[[str | None], str | None]
    address: Callable[[str | None], str | None]
    application: Callable[[str | None], str | None]
    user_agent: Callable[[str | None], str | None]


def names_of(document: CaseDocument, shared: Shared) -> Names:
    """Numbers for names under `default`, the names themselves under `victim`."""
    if shared.profile == "victim":
        return Names(account=_plain, mailbox=_plain, address=_plain, application=_plain, user_agent=_plain)
    cases = _cases(document, shared)
    records = [document.cited[one] for case in cases for one in case_event_ids(case) if one in document.cited]
    accounts = {name for case in cases for name in case.actors} | {row.actor for row in records if row.actor}
    mailboxes = {name for case in cases for name in case.mailboxes} | {row.mailbox for row in records if row.mailbox}
    told = {kind: {each.value for each in shared.indicators if each.kind == kind} for kind in _KINDS}
    applications = told["application"] | {tool.app_id for tool in shared.tools}
    return Names(
        account=_numbered("account", accounts),
        mailbox=_numbered("mailbox", mailboxes),
        address=_only(told["address"]),
        application=_only(applications),
        user_agent=_only(told["user_agent"]),
    )


_KINDS = ("address", "application", "user_agent")


def _plain(value: str | None) -> str | None:
    return None if value is None else cut(visible(value), _TEXT_LIMIT)


def _operation(text: str | None) -> str:
    """The operation's name; what has not the form of one might say anything."""
    return text if text is not None and _OPERATION.fullmatch(text) else "record"


def _numbered(word: str, names: Iterable[str]) -> Callable[[str | None], str | None]:
    numbers = {name: f"{word}-{place}" for place, name in enumerate(sorted(names), start=1)}
    return lambda value: None if value is None else numbers.get(value)


def _only(values: Iterable[str]) -> Callable[[str | None], str | None]:
    told = frozenset(values)
    return lambda value: value if value in told else None


def timeline(document: CaseDocument, shared: Shared) -> tuple[SharedEvent, ...]:
    """The records of the shared cases by time, then case, then id."""
    names = names_of(document, shared)
    rows: list[tuple[dt.datetime, str, str, SharedEvent]] = []
    for case in _cases(document, shared):
        showing: dict[str, list[Finding]] = defaultdict(list)
        for finding in case.findings:
            for item in finding.evidence:
                showing[item.event_id].append(finding)
        for event_id in case_event_ids(case) & document.cited.keys():
            row, findings = document.cited[event_id], showing[event_id]
            event = SharedEvent(
                at=row.occurred_at,
                case=case.id,
                operation=_operation(row.operation),
                account=names.account(row.actor),
                mailbox=names.mailbox(row.mailbox),
                address=names.address(row.client_ip),
                application=names.application(row.app),
                user_agent=names.user_agent(user_agent_of(row.client)),
                event_id=_plain(event_id) if shared.profile == "victim" else None,
                detectors=detector_ids(finding.detector_id for finding in findings),
                attack=technique_ids(number for finding in findings for number in finding.attack),
            )
            rows.append((row.occurred_at, case.id, event_id, event))
    return tuple(event for *_, event in sorted(rows, key=lambda row: row[:3]))


def _cases(document: CaseDocument, shared: Shared) -> tuple[Case, ...]:
    wanted = {case.id for case in shared.cases}
    return tuple(case for case in document.cases if case.id in wanted)
