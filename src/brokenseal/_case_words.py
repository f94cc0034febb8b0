"""What a case is called, why its findings belong together, and what to do now."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from brokenseal._case_group import APPLICATIONS, PASSWORDS, admitters, is_account, strange_of, together
from brokenseal.findings import by_weight, named
from brokenseal.wording import phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokenseal._case_group import Group
    from brokenseal.model import Finding
    from brokenseal.wording import Phrase

_FORGED = "T1606"
_TAKEN_OVER = frozenset(("T1078.004", "T1539", "T1550.004"))
_READ = "T1114.002"
_RULES = frozenset(("T1114.003", "T1564.008"))
_RIGHTS = frozenset(("T1098.002", "T1098.003", "T1136.003"))
_SWITCHES = frozenset(("T1562.008", "T1484.002"))


def summary_of(findings: Sequence[Finding]) -> tuple[Phrase, ...]:
    """One sentence for each thing that was found of the same mailboxes, the first of its kind."""
    firsts: dict[tuple[str, str, tuple[str, ...]], Phrase] = {}
    for finding in findings:
        # Of session clusters there are many alike; each stands among the findings.
        key = finding.mailboxes if finding.units else (finding.id,)
        firsts.setdefault((finding.detector_id, finding.variant, key), finding.title)
    return tuple(firsts.values())


def _taken_over(accounts: str, *, is_one: bool, is_read: bool) -> Phrase:
    if is_one and is_read:
        return phrase(
            "The account {account} seems to have been taken over, and mail was read with it", account=accounts
        )
    if is_one:
        return phrase("The account {account} seems to have been taken over", account=accounts)
    if is_read:
        return phrase(
            "The accounts {accounts} seem to have been taken over, and mail was read with them", accounts=accounts
        )
    return phrase("The accounts {accounts} seem to have been taken over", accounts=accounts)


def title_of(group: Group) -> Phrase:
    """The headline of a case."""
    gravest = min(group.opened, key=by_weight)
    attack = {technique for finding in group.opened for technique in finding.attack}
    accounts = named(group.names("account"))
    more = len(group.findings) - 1
    if group.names("account") and attack & _TAKEN_OVER:
        return _taken_over(accounts, is_one=len(set(group.names("account"))) == 1, is_read=_READ in attack)
    forged = [finding for finding in group.findings if _FORGED in finding.attack]
    if forged and _READ in attack:
        return phrase(
            "Mail of {mailboxes} was read with tokens that no sign-in explains",
            mailboxes=named(together(finding.mailboxes for finding in forged)),
        )
    if group.names("account") and more:
        return phrase("The account {account} did {number} suspicious things", account=accounts, number=more + 1)
    if group.names("address") and more:
        return phrase(
            "Passwords were tried on several accounts from {address}, {number} times over",
            address=named(group.names("address")),
            number=sum(1 for finding in group.opened if PASSWORDS.intersection(finding.attack)),
        )
    return gravest.title


def own_links(group: Group) -> list[Phrase]:
    """Why the findings of the case belong together."""
    numbers = {key: sum(1 for finding in group.opened if key in finding.case_keys) for key in sorted(group.keys)}
    links = [_about(key, number) for key, number in numbers.items() if number > 1]
    shared = _counted(finding.sessions for finding in group.opened if is_account(finding))
    links += [
        phrase("{number} findings share the session {session}.", number=number, session=session)
        for session, number in shared.items()
        if number > 1
    ]
    strangers = _counted(strange_of(finding, group.strange) for finding in group.opened)
    links += [
        phrase(
            "{number} findings come from {address}, which the logs did not know before and few accounts use.",
            number=number,
            address=address,
        )
        for address, number in strangers.items()
        if number > 1
    ]
    links += [
        phrase("{account} let the application {application} in.", account=account, application=application)
        for application, account in _admissions(group)
    ]
    if group.joined:
        links.append(
            phrase(
                "{number} finding(s) would be no more than a notice alone; they count here because the same account, "
                "application, address or session did it.",
                number=len(group.joined),
            )
        )
    return links


def _admissions(group: Group) -> list[tuple[str, str]]:
    """Applications of the case and the accounts that let them in, where the case is about more than one of these."""
    pairs = {
        (key.split(":", 1)[1], actor)
        for finding in group.opened
        for key in finding.case_keys
        for actor in admitters(finding)
    }
    return sorted(pairs) if len(group.keys) > 1 else []


def _about(key: str, number: int) -> Phrase:
    kind, _, name = key.partition(":")
    if kind == "account":
        return phrase("{number} findings are about the account {account}.", number=number, account=name)
    if kind == "application":
        return phrase("{number} findings are about the application {application}.", number=number, application=name)
    if kind == "address":
        return phrase("{number} bursts of tries came from {address}.", number=number, address=name)
    return phrase("{number} findings are about {subject}.", number=number, subject=name)


def _counted(texts: Iterable[tuple[str, ...]]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for part in texts:
        for text in part:
            counts[text] += 1
    return dict(sorted(counts.items()))


def links_between(group: Group, groups: Sequence[Group]) -> list[Phrase]:
    """How the case touches others: by an account that acted in both, or by an address that was guessed from."""
    links: list[Phrase] = []
    for other in groups:
        if other.id == group.id:
            continue
        accounts = sorted(_acting(group).intersection(_acting(other)))
        addresses = sorted(
            set(group.names("address")).intersection(together(finding.addresses for finding in other.opened))
            | set(other.names("address")).intersection(together(finding.addresses for finding in group.opened))
        )
        if addresses:
            links.append(
                phrase("See also {case}: the address {address} is in both.", case=other.id, address=named(addresses))
            )
        elif accounts:
            links.append(
                phrase("See also {case}: the account {account} is in both.", case=other.id, account=named(accounts))
            )
    return links


def _acting(group: Group) -> frozenset[str]:
    """Accounts that did something in the case; those on which passwords were tried did nothing."""
    acted = (finding for finding in group.opened if not any(key.startswith("address:") for key in finding.case_keys))
    return frozenset(together(finding.actors for finding in acted))


def next_steps(group: Group, attack: frozenset[str]) -> tuple[Phrase, ...]:
    """What to do now, most urgent first."""
    steps = [phrase("Keep the exports and this report before you change anything; they are the evidence.")]
    accounts = named(group.names("account"))
    if attack & _TAKEN_OVER and group.names("account"):
        steps.append(
            phrase(
                "Reset the password of {account}, revoke all its sessions, and check its sign-in methods and devices.",
                account=accounts,
            )
        )
    if attack & _RULES:
        steps.append(
            phrase("Export and then remove the rules and forwarding named here; look for the same in other mailboxes.")
        )
    if attack & _RIGHTS:
        steps.append(
            phrase("Take back the roles and mailbox rights named here, and disable the accounts that nobody knows.")
        )
    if attack & APPLICATIONS:
        steps.append(phrase("Disable the application, remove its grants and credentials, and find all who consented."))
    if attack & PASSWORDS:
        steps.append(
            phrase(
                "Block {address}, look at every success from it, and require a second factor.",
                address=named(together(finding.addresses for finding in group.opened)),
            )
        )
    if attack & _SWITCHES:
        steps.append(phrase("Put back what was switched, and treat the time between as not logged."))
    if _READ in attack:
        steps.append(phrase("Tell the owners which messages were read; the list stands under this case."))
    return tuple(steps)
