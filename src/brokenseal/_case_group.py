"""Findings of one case together, and what they are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.detectors import app_credential, illicit_consent

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from brokenseal.model import Finding

Place = tuple[str, str]
"""A tenant and an address of its logs."""
APPLICATIONS = frozenset(("T1528", "T1098.001"))
PASSWORDS = frozenset(("T1110.001", "T1110.003"))
GUESSED = frozenset(("T1110", "T1078.004"))
ADMISSIONS = frozenset((illicit_consent.DETECTOR.id, app_credential.DETECTOR.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings of one case: those that opened it and the notices that joined it."""

    id: str
    opened: tuple[Finding, ...]
    joined: tuple[Finding, ...]
    strange: frozenset[Place]
    units: frozenset[str]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, by time."""
        return tuple(sorted((*self.opened, *self.joined), key=by_time))

    @property
    def keys(self) -> frozenset[str]:
        """What those that opened it are about."""
        return frozenset(key for finding in self.opened for key in finding.case_keys)

    @property
    def tenant(self) -> str:
        """The tenant of all its findings."""
        return self.opened[0].tenant

    def names(self, kind: str) -> tuple[str, ...]:
        """The accounts, addresses or applications that the case is about."""
        return tuple(sorted(key.split(":", 1)[1] for key in self.keys if key.startswith(f"{kind}:")))


def strange_of(finding: Finding, strange: frozenset[Place]) -> tuple[str, ...]:
    """Those addresses of the finding that are strangers to its tenant."""
    return tuple(address for address in finding.addresses if (finding.tenant, address) in strange)


def admitters(finding: Finding) -> tuple[str, ...]:
    """Who let the application in that a finding is about: the victim of the same story, or its author."""
    return finding.actors if finding.detector_id in ADMISSIONS and APPLICATIONS.intersection(finding.attack) else ()


def is_account(finding: Finding) -> bool:
    """Whether it is about an account."""
    return any(key.startswith("account:") for key in finding.case_keys)


def by_time(finding: Finding) -> tuple[dt.datetime, str, str, str, str]:
    """The order of time, the same for the same findings."""
    return (
        finding.first_at,
        finding.evidence[0].event_id,
        finding.detector_id,
        finding.group_key,
        finding.variant,
    )


def together(texts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Each text once, sorted."""
    return tuple(sorted({text for part in texts for text in part}))
