"""What of a document may be shared as an indicator. Pure; looks at the document alone and analyses nothing anew.

    case ─ addresses ─ public, of no other mailbox, not the owner's ─▶ indicator, else withheld with its reason
         ─ applications ─ well-known: a tool · used by others too: withheld ─▶ indicator
         ─ user agents ─ a program with a version that no other record shows ─▶ indicator

An indicator that is somebody's own office makes the receiver hunt the victim, so that every doubt keeps a value back.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.app_names import APP_NAMES, client_label
from brokenseal.errors import UsageError
from brokenseal.exchange.confidence import statement, stix_confidence
from brokenseal.exchange.shared import (
    Indicator,
    IndicatorKind,
    Shared,
    SharedCase,
    Sharing,
    Terms,
    Tool,
    VictimMessage,
    Victims,
    Withheld,
    WithheldReason,
)
from brokenseal.exchange.tlp import Tlp
from brokenseal.fields import address as read_address
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from brokenseal.model import Case, CaseDocument, Cited

_READING: Final = "MailItemsAccessed"
_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PRODUCT: Final = re.compile(r"[A-Za-z][\w .-]*/\d")
_CLIENT_STRING: Final = re.compile(r"(?i)^client=")
_AGENT_LIMIT: Final = 512
_TEXT_LIMIT: Final = 2_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_KNOWN: Final = {app.app_id: app.name for app in APP_NAMES}
_SESSION: Final = "session"


def share(document: CaseDocument, terms: Terms) -> Sharing:
    """What of the document is shared under these terms, and what of its cases is kept back.

    Raises:
        UsageError: A case that does not exist, or victims' data under anything but TLP:RED.
    """
    if terms.profile == "victim" and terms.tlp is not Tlp.RED:
        raise UsageError(place="--tlp", value=terms.tlp.value, expected="red, which the profile victim is for alone")
    cases = _chosen(document, terms.cases)
    doubts = _Doubts.of(document)
    found = [_candidates(case, document, doubts) for case in cases]
    shared_cases = tuple(_shared_case(case) for case in cases)
    confidence = {case.id: case.confidence for case in shared_cases}
    last = max((case.last_at for case in cases), default=_EPOCH)
    shared = Shared(
        tlp=terms.tlp,
        profile=terms.profile,
        producer=cut(visible(terms.producer).strip(), _TEXT_LIMIT) or "Unnamed organisation",
        simulated=document.simulated,
        product_version=document.product_version,
        shared_at=max(terms.shared_at or document.coverage.last_at or last, last),
        cases=shared_cases,
        indicators=_together([each for group in found for each in group.indicators], confidence),
        tools=_tools(found),
        victims=_victims(cases, document) if terms.profile == "victim" else None,
    )
    return Sharing(shared=shared, withheld=tuple(each for group in found for each in group.withheld))


def _chosen(document: CaseDocument, wanted: tuple[str, ...] | None) -> tuple[Case, ...]:
    if wanted is None:
        return document.cases
    known = {case.id for case in document.cases}
    for case_id in wanted:
        if case_id not in known:
            expected = f"one of the document's cases ({', '.join(sorted(known)) or 'none: nothing was found'})"
            raise UsageError(place="--case", value=case_id, expected=expected)
    return tuple(case for case in document.cases if case.id in wanted)


def _shared_case(case: Case) -> SharedCase:
    return SharedCase(
        id=case.id,
        severity=case.severity,
        first_at=case.first_at,
        last_at=case.last_at,
        attack=tuple(sorted(set(case.attack))),
        detectors=tuple(sorted({finding.detector_id for finding in case.findings})),
        confidence=stix_confidence(case.assessment),
        statement=statement(case.assessment),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubts:
    """What the whole document says against sharing.

    Attributes:
        addresses: Addresses whose reads may be the victims' own.
        outside: Addresses that read mailboxes, or were used for reading by accounts, of no case.
        earlier: Address to when somebody first read mail from it, as far as the document lists it.
        clients: Labels of clients with accesses outside of every case.
        agents: Client strings of records of no case.
        names: Folded names of people and mailboxes.
    """

    addresses: frozenset[str]
    outside: frozenset[str]
    earlier: Mapping[str, dt.datetime]
    clients: frozenset[str]
    agents: frozenset[str]
    names: frozenset[str]

    @classmethod
    def of(cls, document: CaseDocument) -> _Doubts:
        cases = document.cases
        touched = {name for case in cases for name in case.mailboxes} | {box for case in cases for box in _boxes(case)}
        accounts = {name for case in cases for name in case.actors} | touched
        in_cases = {event_id for case in cases for event_id in case_event_ids(case)}
        outside = {ip for box in document.exposure.mailboxes if box.mailbox not in touched for ip in box.addresses}
        earlier: dict[str, dt.datetime] = {}
        agents: set[str] = set()
        for record in document.cited.values():
            if record.event_id not in in_cases and record.client is not None:
                agents.add(record.client)
            if record.client_ip is None or record.operation != _READING:
                continue
            earlier[record.client_ip] = min(earlier.get(record.client_ip, record.occurred_at), record.occurred_at)
            if record.actor is not None and "@" in record.actor and record.actor not in accounts:
                outside.add(record.client_ip)
        for message in document.exposure.messages:
            for ip in message.addresses:
                earlier[ip] = min(earlier.get(ip, message.first_at), message.first_at)
        return cls(
            addresses=frozenset(ip for case in cases for ip in _doubtful_addresses(case)),
            outside=frozenset(outside),
            earlier=earlier,
            clients=frozenset(cell.client for cell in document.activity.matrix if not cell.in_case),
            agents=frozenset(agents),
            names=frozenset(name.casefold() for name in accounts if name),
        )


def _boxes(case: Case) -> set[str]:
    return {box.mailbox for box in case.exposure.mailboxes}


def _doubtful_addresses(case: Case) -> set[str]:
    """Addresses of doubtful reads, and, where reads are in doubt, those that no certain message names."""
    doubtful = {
        ip for line in case.exposure.possible_messages if line.reason == "shared_address" for ip in line.addresses
    }
    certain = {ip for line in case.exposure.messages for ip in line.addresses}
    for box in case.exposure.mailboxes:
        if box.doubtful_accesses:
            doubtful |= set(box.addresses) - certain
    return doubtful


def case_event_ids(case: Case) -> frozenset[str]:
    """Records that count as the intruder's in a case: evidence of its findings and certain reads."""
    ids = {item.event_id for finding in case.findings for item in finding.evidence}
    ids.update(event_id for line in case.exposure.messages for event_id in line.event_ids)
    ids.update(event_id for folder in case.exposure.folders for event_id in folder.event_ids)
    doubtful = (line for line in case.exposure.possible_messages if line.reason == "shared_address")
    return frozenset(ids.difference(*(line.event_ids for line in doubtful)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    indicators: tuple[Indicator, ...]
    tools: tuple[Tool, ...]
    withheld: tuple[Withheld, ...]


def _candidates(case: Case, document: CaseDocument, doubts: _Doubts) -> _Found:
    records = [document.cited[event_id] for event_id in sorted(case_event_ids(case)) if event_id in document.cited]
    indicators: list[Indicator] = []
    tools: list[Tool] = []
    withheld: list[Withheld] = []

    def settle(kind: IndicatorKind, value: str, reason: WithheldReason | None, seen: list[Cited]) -> None:
        if reason is not None:
            kept = cut(visible(value), _AGENT_LIMIT)
            withheld.append(Withheld(kind=kind, value=kept, case=case.id, reason=reason))
        else:
            indicators.append(_indicator(kind, value, case, seen))

    for ip in _nominated(case):
        settle("address", ip, _against_address(ip, case, doubts), [row for row in records if row.client_ip == ip])
    for app in sorted({row.app for row in records if row.app and _GUID.fullmatch(row.app)}):
        if app in _KNOWN:
            tools.append(Tool(app_id=app, name=_KNOWN[app], cases=(case.id,)))
            continue
        reason: WithheldReason | None = "used_by_others" if client_label(app) in doubts.clients else None
        settle("application", app, reason, [row for row in records if row.app == app])
    for agent in sorted({row.client for row in records if row.client and not _CLIENT_STRING.match(row.client)}):
        settle("user_agent", agent, _against_agent(agent, doubts), [row for row in records if row.client == agent])
    return _Found(indicators=tuple(indicators), tools=tuple(tools), withheld=tuple(withheld))


def _nominated(case: Case) -> list[str]:
    """Addresses that findings name or certain messages were read from; of sessions in two hands, see `two_hands`."""
    named = {ip for finding in case.findings for ip in finding.addresses}
    return sorted(named | {ip for line in case.exposure.messages for ip in line.addresses})


def _against_address(ip: str, case: Case, doubts: _Doubts) -> WithheldReason | None:
    canonical, kind = read_address(ip)
    if kind != "public" or canonical != ip:
        return "not_public"
    if ip in doubts.addresses:
        return "shared_address"
    if ip in doubts.outside:
        return "read_other_mailboxes"
    if ip in doubts.earlier and doubts.earlier[ip] < case.first_at:
        return "used_before"
    families = {finding.family for finding in case.findings if ip in finding.addresses}
    # Such a finding shows both hands of a session, and one of them is the owner's.
    return "two_hands" if families == {_SESSION} else None


def _against_agent(agent: str, doubts: _Doubts) -> WithheldReason | None:
    if len(agent) > _AGENT_LIMIT or visible(agent) != agent:
        return "unprintable"
    folded = agent.casefold()
    if "@" in agent or any(name in folded for name in doubts.names):
        return "names_a_person"
    if agent in doubts.agents or agent in doubts.clients:
        return "used_by_others"
    return None if _PRODUCT.search(agent) else "no_product"


def _indicator(kind: IndicatorKind, value: str, case: Case, seen: list[Cited]) -> Indicator:
    ids = {row.event_id for row in seen}
    showing = [
        finding
        for finding in case.findings
        if (kind == "address" and value in finding.addresses) or any(item.event_id in ids for item in finding.evidence)
    ]
    times = [row.occurred_at for row in seen] or [at for each in showing for at in (each.first_at, each.last_at)]
    return Indicator(
        kind=kind,
        value=value,
        cases=(case.id,),
        attack=tuple(sorted({number for finding in showing for number in finding.attack})),
        first_at=min(times, default=case.first_at),
        last_at=max(times, default=case.last_at),
        records=max(len(seen), 1),
        confidence=None,
    )


def _together(found: Iterable[Indicator], confidence: Mapping[str, int | None]) -> tuple[Indicator, ...]:
    """One indicator for each value, however many cases show it."""
    by_value: dict[tuple[IndicatorKind, str], list[Indicator]] = defaultdict(list)
    for each in found:
        by_value[each.kind, each.value].append(each)
    return tuple(
        Indicator(
            kind=kind,
            value=value,
            cases=(cases := tuple(sorted(case for part in parts for case in part.cases))),
            attack=tuple(sorted({number for part in parts for number in part.attack})),
            first_at=min(part.first_at for part in parts),
            last_at=max(part.last_at for part in parts),
            records=sum(part.records for part in parts),
            confidence=max((known for case in cases if (known := confidence[case]) is not None), default=None),
        )
        for (kind, value), parts in sorted(by_value.items())
    )


def _tools(found: Iterable[_Found]) -> tuple[Tool, ...]:
    cases: dict[str, set[str]] = defaultdict(set)
    for group in found:
        for tool in group.tools:
            cases[tool.app_id].update(tool.cases)
    return tuple(
        Tool(app_id=app, name=_KNOWN[app], cases=tuple(sorted(seen_in))) for app, seen_in in sorted(cases.items())
    )


def _victims(cases: tuple[Case, ...], document: CaseDocument) -> Victims:
    records = [document.cited[one] for case in cases for one in case_event_ids(case) if one in document.cited]
    mailboxes = {(case.id, _text(name)) for case in cases for name in (*case.mailboxes, *_boxes(case))}
    return Victims(
        tenants=tuple(sorted(_text(tenant) for tenant in document.coverage.tenants)),
        mailboxes=tuple(sorted(mailboxes)),
        accounts=tuple(sorted({(case.id, _text(name)) for case in cases for name in case.actors})),
        sessions=tuple(sorted({_text(row.session_id) for row in records if row.session_id})),
        tokens=tuple(sorted({_text(row.token_id) for row in records if row.token_id})),
        messages=tuple(
            VictimMessage(
                case=case.id,
                mailbox=_text(line.mailbox),
                internet_message_id=_text(line.internet_message_id),
                subject=None if line.subject is None else _text(line.subject),
                sender=None if line.sender is None else _text(line.sender),
                recipients=tuple(sorted({_text(name) for name in line.recipients})),
            )
            for case in cases
            for line in case.exposure.messages
        ),
    )


def _text(value: str) -> str:
    """Log text as it is shared: on one line, nothing unseen, of bounded length."""
    return cut(visible(value), _TEXT_LIMIT)
