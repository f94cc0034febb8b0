"""What of a document may be shared as an indicator. Pure; looks at the document alone and analyses nothing anew.

    case ─ addresses ─ public, of no other mailbox, not the owner's ─▶ indicator, else withheld with its reason
         ─ applications ─ well-known: a tool · one that findings are about, and nobody else uses ─▶ indicator
         ─ user agents ─ a program with a version that no other record shows ─▶ indicator

An indicator that is somebody's own office makes the receiver hunt the victim, so that every doubt keeps a value back.
"""

from __future__ import annotations

import datetime as dt
import functools
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
from brokenseal.exchange.stix_objects import is_mail_address
from brokenseal.exchange.tlp import Tlp
from brokenseal.fields import address as read_address
from brokenseal.fields import parse_client_info
from brokenseal.reports._escape import cut, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from brokenseal.model import Case, CaseDocument, Cited, ExposedMessage, Finding

_READING: Final = "MailItemsAccessed"
_GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PRODUCT: Final = re.compile(r"[A-Za-z][\w .-]*/\d")
_CLIENT_STRING: Final = re.compile(r"(?i)^client=")
_TECHNIQUE: Final = re.compile(r"T\d{4}(\.\d{3})?")
_DETECTOR: Final = re.compile(r"[a-z_]{1,40}\.[a-z_]{1,60}")
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
        attack=technique_ids(case.attack),
        detectors=detector_ids(finding.detector_id for finding in case.findings),
        confidence=stix_confidence(case.assessment),
        statement=_text(statement(case.assessment)),
    )


def technique_ids(numbers: Iterable[str]) -> tuple[str, ...]:
    """Those that have the form of a technique of ATT&CK, sorted."""
    return tuple(sorted({number for number in numbers if _TECHNIQUE.fullmatch(number)}))


def detector_ids(names: Iterable[str]) -> tuple[str, ...]:
    """Those that have the form of a detector's id, sorted."""
    return tuple(sorted({name for name in names if _DETECTOR.fullmatch(name)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubts:
    """What the whole document says against sharing.

    Attributes:
        addresses: Addresses whose reads may be the victims' own.
        outside: Addresses that read mailboxes, or were used for reading by accounts, of no case.
        earlier: Address to when mail was first read from it by a record of no case, as far as the document cites it.
        clients: Labels of clients with accesses outside of every case.
        agents: User agents of records of no case.
        names: Folded names of people and mailboxes, and the domains of their addresses.
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
            if record.event_id not in in_cases and (agent := user_agent_of(record.client)):
                agents.add(agent)
            if record.client_ip is None or record.operation != _READING:
                continue
            if record.event_id not in in_cases:
                earlier[record.client_ip] = min(earlier.get(record.client_ip, record.occurred_at), record.occurred_at)
            if record.actor is not None and "@" in record.actor and record.actor not in accounts:
                outside.add(record.client_ip)
        return cls(
            addresses=frozenset(ip for case in cases for ip in _doubtful_addresses(case)),
            outside=frozenset(outside),
            earlier=earlier,
            clients=frozenset(cell.client for cell in document.activity.matrix if not cell.in_case),
            agents=frozenset(agents),
            names=frozenset(part for name in accounts for part in _names_in(name)),
        )


def _names_in(name: str) -> Iterator[str]:
    folded = name.strip().casefold()
    if folded:
        yield folded
    domain = folded.rpartition("@")[2]
    if "@" in folded and domain:
        yield domain


def _boxes(case: Case) -> set[str]:
    return {box.mailbox for box in case.exposure.mailboxes}


def _doubtful_addresses(case: Case) -> set[str]:
    """Addresses of doubtful reads, and, where reads are in doubt, those that no certain message names."""
    doubtful = {ip for line in case.exposure.possible_messages if line.reason == "may_be_own" for ip in line.addresses}
    certain = {ip for line in case.exposure.messages for ip in line.addresses}
    for box in case.exposure.mailboxes:
        if box.doubtful_accesses:
            doubtful |= set(box.addresses) - certain
    return doubtful


@functools.lru_cache(maxsize=4_096)
def user_agent_of(client: str | None) -> str | None:
    """The user agent in a client string such as `Client=OWA;Mozilla/5.0 …;`, or the text itself if it is one."""
    if not client:
        return None
    return parse_client_info(client).user_agent if _CLIENT_STRING.match(client) else client


def case_event_ids(case: Case) -> frozenset[str]:
    """Records that count as the intruder's in a case: evidence of its findings and certain reads."""
    ids = {item.event_id for finding in case.findings for item in finding.evidence}
    ids.update(event_id for line in case.exposure.messages for event_id in line.event_ids)
    ids.update(event_id for folder in case.exposure.folders for event_id in folder.event_ids)
    doubtful = (line for line in case.exposure.possible_messages if line.reason == "may_be_own")
    return frozenset(ids.difference(*(line.event_ids for line in doubtful)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    indicators: tuple[Indicator, ...]
    tools: tuple[Tool, ...]
    withheld: tuple[Withheld, ...]


def _candidates(case: Case, document: CaseDocument, doubts: _Doubts) -> _Found:
    seen = _Seen.of(case, document)
    indicators: list[Indicator] = []
    tools: list[Tool] = []
    withheld: list[Withheld] = []

    def settle(kind: IndicatorKind, value: str, reason: WithheldReason | None, rows: list[Cited]) -> None:
        if reason is not None:
            kept = cut(visible(value), _AGENT_LIMIT)
            withheld.append(Withheld(kind=kind, value=kept, case=case.id, reason=reason))
        else:
            indicators.append(_indicator(kind, value, case, rows, seen))

    for ip in _nominated(case):
        settle("address", ip, _against_address(ip, case, doubts), seen.by_address.get(ip, []))
    about = _applications_of(case.findings)
    for app, rows in sorted(seen.by_application.items()):
        if app in _KNOWN:
            tools.append(Tool(app_id=app, name=_KNOWN[app], cases=(case.id,)))
        else:
            settle("application", app, _against_application(app, about, doubts), rows)
    for agent, rows in sorted(seen.by_agent.items()):
        settle("user_agent", agent, _against_agent(agent, doubts), rows)
    return _Found(indicators=tuple(indicators), tools=tuple(tools), withheld=tuple(withheld))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The records of one case by what they show, and the techniques of the findings that show them."""

    by_address: Mapping[str, list[Cited]]
    by_application: Mapping[str, list[Cited]]
    by_agent: Mapping[str, list[Cited]]
    attack_of_event: Mapping[str, frozenset[str]]
    attack_of_address: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, case: Case, document: CaseDocument) -> _Seen:
        by_address, by_agent = (defaultdict[str, list["Cited"]](list) for _ in range(2))
        by_application: defaultdict[str, dict[str, Cited]] = defaultdict(dict)
        for event_id in sorted(case_event_ids(case) & document.cited.keys()):
            row = document.cited[event_id]
            if row.client_ip:
                by_address[row.client_ip].append(row)
            if row.app and _GUID.fullmatch(row.app):
                by_application[row.app][event_id] = row
            if agent := user_agent_of(row.client):
                by_agent[agent].append(row)
        of_event, of_address = (defaultdict[str, frozenset[str]](frozenset) for _ in range(2))
        for finding in case.findings:
            attack = frozenset(finding.attack)
            cited = (document.cited.get(item.event_id) for item in finding.evidence)
            evidence = {each.event_id: each for each in cited if each is not None}
            for app in _applications_of((finding,)):
                by_application[app] |= evidence
            for item in finding.evidence:
                of_event[item.event_id] |= attack
            for ip in finding.addresses:
                of_address[ip] |= attack
        return cls(
            by_address=by_address,
            by_application={app: list(rows.values()) for app, rows in by_application.items()},
            by_agent=by_agent,
            attack_of_event=of_event,
            attack_of_address=of_address,
        )


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


def _applications_of(findings: Iterable[Finding]) -> set[str]:
    """Applications that a finding is about: allowed, given a key, or new in the organisation."""
    keys = (key.partition(":") for finding in findings for key in finding.case_keys)
    return {name for kind, _, name in keys if kind == "application" and _GUID.fullmatch(name)}


def _against_application(app: str, about: set[str], doubts: _Doubts) -> WithheldReason | None:
    if client_label(app) in doubts.clients:
        return "used_by_others"
    # A sign-in passes through many services that no list names; being seen there says nothing.
    return None if app in about else "only_passed"


def _against_agent(agent: str, doubts: _Doubts) -> WithheldReason | None:
    if len(agent) > _AGENT_LIMIT or visible(agent) != agent:
        return "unprintable"
    folded = agent.casefold()
    if "@" in agent or any(name in folded for name in doubts.names):
        return "names_a_person"
    if agent in doubts.agents:
        return "used_by_others"
    return None if _PRODUCT.search(agent) else "no_product"


def _indicator(kind: IndicatorKind, value: str, case: Case, rows: list[Cited], seen: _Seen) -> Indicator:
    attack = {number for row in rows for number in seen.attack_of_event.get(row.event_id, ())}
    times = [row.occurred_at for row in rows]
    if kind == "address":
        attack |= seen.attack_of_address.get(value, frozenset())
        named = [finding for finding in case.findings if value in finding.addresses]
        times = times or [at for each in named for at in (each.first_at, each.last_at)]
    return Indicator(
        kind=kind,
        value=value,
        cases=(case.id,),
        attack=technique_ids(attack),
        first_at=min(times, default=case.first_at),
        last_at=max(times, default=case.last_at),
        records=max(len(rows), 1),
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
    messages = {
        (case.id, _text(line.mailbox), _text(line.internet_message_id)): line
        for case in cases
        for line in case.exposure.messages
    }
    return Victims(
        tenants=tuple(sorted({_text(tenant) for tenant in document.coverage.tenants})),
        mailboxes=tuple(sorted(mailboxes | {(case, mailbox) for case, mailbox, _ in messages})),
        accounts=tuple(sorted({(case.id, _text(name)) for case in cases for name in case.actors})),
        sessions=tuple(sorted({_text(row.session_id) for row in records if row.session_id})),
        tokens=tuple(sorted({_text(row.token_id) for row in records if row.token_id})),
        messages=tuple(_message(*key, line) for key, line in sorted(messages.items())),
    )


def _message(case: str, mailbox: str, message_id: str, line: ExposedMessage) -> VictimMessage:
    """A message with what the logs tell of it; recipients alone, without subject and sender, are no such thing."""
    subject = _text(line.subject) if line.subject else None
    sender = _text(line.sender) if line.sender and is_mail_address(line.sender) else None
    told = subject is not None or sender is not None
    return VictimMessage(
        case=case,
        mailbox=mailbox,
        internet_message_id=message_id,
        subject=subject,
        sender=sender,
        recipients=tuple(sorted({name for name in line.recipients if is_mail_address(name)})) if told else (),
    )


def _text(value: str) -> str:
    """Log text as it is shared: on one line, nothing unseen, of bounded length."""
    return cut(visible(value), _TEXT_LIMIT) or "–"
