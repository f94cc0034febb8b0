"""Findings to cases: one story per intrusion, with the reasons why things belong together.

- Findings on one account make one case while no fourteen days lie between them; so do findings that share a session, or
  a unit of evidence.
- Findings on one application make one case, together with what the accounts did that let it in.
- Tries of passwords from one address belong to the account that they opened.
- What opens a case, what may join one and what is a mere notice was judged before (`judgement.Judgement`).
- A notice never opens a case. It joins one that its own account, application, address or session already has.
- Cases that touch (an account of one acted in the other, or was guessed from its address) are named in each other's
  links and stay apart, because different people must act on them.

- Findings from one public address make one case where the address is a stranger's: unseen in the first fourteen days
  of its tenant's logs, and used by a handful of accounts at most.
- Findings of two tenants make two cases, whatever they share: other people have to be told.

Nothing is ever joined through a Microsoft address, or through any other address: many people share those.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from brokenseal._case_group import (
    GUESSED,
    PASSWORDS,
    Group,
    admitters,
    by_time,
    is_account,
    strange_of,
    together,
)
from brokenseal._case_words import links_between, next_steps, own_links, summary_of, title_of
from brokenseal.detectors import open_door
from brokenseal.findings import by_weight
from brokenseal.selection import id_table
from brokenseal.tenancy import NO_TENANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokenseal._case_group import Place
    from brokenseal.judgement import Judgement, Standing
    from brokenseal.model import Finding, Severity, Tables
    from brokenseal.wording import Phrase


ACCOUNT_GAP = dt.timedelta(days=14)
"""Findings on one account that lie further apart are two stories."""
STRANGE_AFTER_S = 14 * 86_400
"""An address is a stranger's if the logs ran this long before it was first seen."""
SHARED_ACCOUNTS = 5
"""Above so many accounts an address is the exit of an office, an operator or a VPN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDraft:
    """A case without its exposure.

    Attributes:
        access_ids: Event ids of the mail accesses whose content counts as read in this case: those among the
            evidence, and those under the sessions and the application of its findings. Sorted.
        under_ids: Those of them that stand under these sessions and applications, cited or not.
        units: Units of evidence that its findings are about, and those that follow them; sorted.
    """

    id: str
    title: Phrase
    summary: tuple[Phrase, ...]
    severity: Severity
    mailboxes: tuple[str, ...]
    actors: tuple[str, ...]
    addresses: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime
    attack: tuple[str, ...]
    findings: tuple[Finding, ...]
    links: tuple[Phrase, ...]
    next_steps: tuple[Phrase, ...]
    access_ids: tuple[str, ...]
    units: tuple[str, ...] = ()
    under_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Cases, gravest first, and the notices that belong to none."""

    cases: tuple[CaseDraft, ...]
    notices: tuple[Finding, ...]


def cases_of(findings: Sequence[Finding], tables: Tables, judgement: Judgement | None = None) -> Grouping:
    """Group findings into cases.

    Args:
        findings: As `findings.run_detectors` gives them, in any order.
        tables: `mail_accesses` is read, to find the accesses under the sessions and applications of each case.
        judgement: Which findings open a case, which may join one that another opened by the same links, and which are
            notices; None where nothing was weighed: then everything opens that its detector does not call a notice.

    Returns: Every finding once, in one case or among the notices. The id of a case is that of its earliest finding's
        first record, so that later evidence does not change it.
    """
    standings = {finding.id: _standing(finding, judgement) for finding in findings}
    # From here on a notice is what does not open a case by itself, whatever its detector calls it.
    findings = [replace(finding, is_notice=standings[finding.id] != "opens") for finding in findings]
    moving = sorted((finding for finding in findings if standings[finding.id] != "notice"), key=by_time)
    strange = _strange_addresses(moving, tables)
    components = _components(moving, strange, judgement)
    groups = [
        Group(
            id=_case_id(members),
            opened=tuple(members),
            joined=(),
            strange=strange,
            units=frozenset(unit for member in members for unit in _units_of(member, judgement)),
        )
        for members in components
        if any(not member.is_notice for member in members)
    ]
    grouped = {member.id for group in groups for member in group.opened}
    notices = sorted((finding for finding in findings if finding.id not in grouped), key=by_time)
    joined: dict[str, list[Finding]] = defaultdict(list)
    left = []
    for notice in notices:
        units = _units_of(notice, judgement)
        home = next((group for group in groups if _joins(notice, group, units)), None)
        if home is None:
            left.append(notice)
        else:
            joined[home.id].append(notice)
    groups = [replace(group, joined=tuple(joined[group.id])) for group in groups]
    accesses = _accesses(groups, tables)
    drafts = [_draft(group, groups, accesses[group.id], judgement) for group in groups]
    # Of two cases equally grave, the one that more speaks for comes first.
    drafts.sort(key=lambda draft: (draft.severity.rank, -len(draft.findings), draft.first_at, draft.id))
    return Grouping(cases=tuple(drafts), notices=tuple(sorted(left, key=by_weight)))


def _standing(finding: Finding, judgement: Judgement | None) -> Standing:
    if judgement is None:
        return "notice" if finding.is_notice else "opens"
    return judgement.standing(finding)


def _case_id(members: Sequence[Finding]) -> str:
    first = min((member for member in members if not member.is_notice), key=by_time)
    # Neither the variant nor the number of records may enter: both change when later evidence joins the finding.
    text = f"{first.detector_id}\n{first.group_key}\n{first.evidence[0].event_id}"
    return f"case-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _strange_addresses(opening: Sequence[Finding], tables: Tables) -> frozenset[Place]:
    """Tenant and address of the findings where that tenant's logs did not know it at first, and few accounts use it."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for finding in opening:
        wanted[finding.tenant].update(finding.addresses)
    return frozenset(
        (tenant, address)
        for tenant, addresses in sorted(wanted.items())
        if addresses
        for address in _strange_in(tenant, sorted(addresses), tables)
    )


def _strange_in(tenant: str, wanted: list[str], tables: Tables) -> list[str]:
    events = tables["events"]
    if tenant != NO_TENANT:
        events = events.filter(events.tenant_id == tenant)
    began = events.aggregate(began=events.occurred_at.min())
    seen = events.filter(events.client_ip.isin(wanted)).select("client_ip", "occurred_at", "actor_key")
    by_address = seen.group_by("client_ip").aggregate(since=seen.occurred_at.min(), accounts=seen.actor_key.nunique())
    strange = by_address.cross_join(began).filter(
        lambda rows: (
            (rows.accounts <= SHARED_ACCOUNTS) & (rows.since.delta(rows.began, unit="second") >= STRANGE_AFTER_S)
        )
    )
    found: list[str] = strange.select("client_ip").to_pyarrow().column("client_ip").to_pylist()
    return found


def _components(
    opening: Sequence[Finding], strange: frozenset[Place], judgement: Judgement | None
) -> list[list[Finding]]:
    """Findings joined by what they are about, by a session, a unit or a stranger's address, in order of time."""
    parents = list(range(len(opening)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for run in _joined_runs(opening, strange, judgement):
        for index in run[1:]:
            parents[root(index)] = root(run[0])
    components: dict[int, list[Finding]] = defaultdict(list)
    for index, finding in enumerate(opening):
        components[root(index)].append(finding)
    return list(components.values())


def _joined_runs(opening: Sequence[Finding], strange: frozenset[Place], judgement: Judgement | None) -> list[list[int]]:
    """Indices of findings that share an account without a long gap, an application, an address, a session or a unit."""
    by_key: dict[tuple[str, str], list[int]] = defaultdict(list)
    guessed = _guessed_accounts(opening)
    for index, finding in enumerate(opening):
        sessions = finding.sessions if is_account(finding) else ()
        addresses = strange_of(finding, strange)
        keys = {*finding.case_keys, *(f"session:{name}" for name in sessions), *(f"address:{ip}" for ip in addresses)}
        keys |= {f"unit:{unit}" for unit in _units_of(finding, judgement)}
        keys |= {f"account:{name}" for name in admitters(finding)}
        keys |= {f"campaign:{number}" for number in _campaigns_of(finding, judgement)}
        if PASSWORDS.intersection(finding.attack) or GUESSED.issubset(finding.attack):
            keys |= {f"guess:{name} {ip}" for name, ip in guessed if name in finding.actors and ip in finding.addresses}
        for key in sorted(keys):
            by_key[finding.tenant, key].append(index)
    runs: list[list[int]] = []
    for (_, key), indices in by_key.items():
        runs += _runs(indices, opening) if key.startswith("account:") else [indices]
    return runs


def _campaigns_of(finding: Finding, judgement: Judgement | None) -> frozenset[int]:
    if judgement is None:
        return frozenset()
    found = (judgement.campaign_of.get(unit) for unit in judgement.units_of(finding))
    return frozenset(number for number in found if number is not None)


def _guessed_accounts(findings: Sequence[Finding]) -> frozenset[tuple[str, str]]:
    """Accounts whose password was guessed, with the address that it was guessed from."""
    return frozenset(
        (name, address)
        for finding in findings
        if GUESSED.issubset(finding.attack)
        for name in finding.actors
        for address in finding.addresses
    )


def _units_of(finding: Finding, judgement: Judgement | None) -> tuple[str, ...]:
    """The units that a finding is about; one that follows counts as the one that it follows."""
    if judgement is None:
        return finding.units
    return tuple(judgement.followed.get(unit, unit) for unit in judgement.units_of(finding))


def _runs(indices: Sequence[int], findings: Sequence[Finding]) -> list[list[int]]:
    """Indices of findings in order of time, split where no finding reaches over more than `ACCOUNT_GAP`."""
    runs: list[list[int]] = []
    reached: dt.datetime | None = None
    for index in indices:
        if reached is None or findings[index].first_at - reached > ACCOUNT_GAP:
            runs.append([])
        runs[-1].append(index)
        reached = max(reached or findings[index].last_at, findings[index].last_at)
    return runs


def _joins(notice: Finding, group: Group, units: tuple[str, ...]) -> bool:
    if notice.tenant != group.tenant:
        return False
    if group.units.intersection(units) or _has_guessed(notice, group):
        return True
    if is_account(notice):
        first = min(finding.first_at for finding in group.opened) - ACCOUNT_GAP
        last = max(finding.last_at for finding in group.opened) + ACCOUNT_GAP
        near = notice.first_at <= last and notice.last_at >= first
        sessions = {session for finding in group.opened if is_account(finding) for session in finding.sessions}
        return near and bool(group.keys.intersection(notice.case_keys) or sessions.intersection(notice.sessions))
    return bool(group.keys.intersection(notice.case_keys))


def _has_guessed(notice: Finding, group: Group) -> bool:
    """Whether tries of passwords are those by which the case's account was opened."""
    if not PASSWORDS.intersection(notice.attack):
        return False
    guessed = _guessed_accounts(group.opened)
    return any(name in notice.actors and address in notice.addresses for name, address in guessed)


class _Accesses(NamedTuple):
    """Event ids of mail accesses: cited by findings of a case, and under its sessions and applications."""

    cited: frozenset[str]
    under: frozenset[str]


def _accesses(groups: Iterable[Group], tables: Tables) -> dict[str, _Accesses]:
    """The mail accesses of each case."""
    groups = list(groups)
    ids = {group.id: {item.event_id for finding in group.findings for item in finding.evidence} for group in groups}
    # A notice's session may be the owner's own: only sessions of findings that opened the case count; and a finding
    # about session clusters cites all that it means, where the session may be its owner's in other hands.
    sessions = {
        group.id: {name for finding in group.opened if not finding.units for name in finding.sessions}
        for group in groups
    }
    # Where it is known which session clusters went through a door, these count, and not all that an application that
    # was there before reads every day.
    apps = {group.id: set() if _has_uses(group) else set(group.names("application")) for group in groups}
    wanted_ids = sorted(set().union(*ids.values()))
    wanted_sessions = sorted(set().union(*sessions.values()))
    wanted_apps = sorted(set().union(*apps.values()))
    if not groups:
        return {}
    table = tables["mail_accesses"]
    table = table.filter(
        table.event_id.isin(id_table(wanted_ids).event_id)
        | table.session_id.isin(wanted_sessions)
        | table.effective_app.isin(wanted_apps)
        | table.client_app_id.isin(wanted_apps)
    )
    columns = ("event_id", "tenant_id", "session_id", "effective_app", "client_app_id")
    rows = table.select(*columns).distinct().to_pyarrow().to_pylist()
    return {
        group.id: _Accesses(
            cited=frozenset(row["event_id"] for row in rows if row["event_id"] in ids[group.id]),
            under=frozenset(
                row["event_id"]
                for row in rows
                if group.tenant in {NO_TENANT, row["tenant_id"]}
                and (
                    row["session_id"] in sessions[group.id]
                    or row["effective_app"] in apps[group.id]
                    or row["client_app_id"] in apps[group.id]
                )
            ),
        )
        for group in groups
    }


def _has_uses(group: Group) -> bool:
    return any(
        finding.detector_id == open_door.ID and item.role == "use"
        for finding in group.findings
        for item in finding.evidence
    )


def _draft(group: Group, groups: Sequence[Group], accesses: _Accesses, judgement: Judgement | None) -> CaseDraft:
    findings = group.findings
    units = {unit for finding in findings for unit in _units_of(finding, judgement)}
    if judgement is not None:
        units |= {unit for unit, first in judgement.followed.items() if first in units}
    attack = tuple(sorted({technique for finding in findings for technique in finding.attack}))
    return CaseDraft(
        id=group.id,
        title=title_of(group),
        summary=summary_of(findings),
        severity=min((finding.severity for finding in group.opened), key=lambda severity: severity.rank),
        mailboxes=together(finding.mailboxes for finding in findings),
        actors=together(finding.actors for finding in findings),
        addresses=together(finding.addresses for finding in findings),
        first_at=min(finding.first_at for finding in findings),
        last_at=max(finding.last_at for finding in findings),
        attack=attack,
        findings=findings,
        links=(*own_links(group), *links_between(group, groups)),
        next_steps=next_steps(group, frozenset(attack)),
        access_ids=tuple(sorted(accesses.cited | accesses.under)),
        under_ids=accesses.under,
        units=tuple(sorted(units)),
    )
