"""From single tokens to what a session cluster's tokens say: issued, an orphan, or not to be judged, with the bound.

A class of clients whose tokens seldom lack their sign-in makes a missing one telling; a class whose tokens often do
makes it worthless. The bound on that share comes from the other mailboxes of the same class, with a prior from the
other classes of the same protocol: Beta(s m, s (1 - m)), m their mean share and s how alike they are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from brokenseal.detectors._lateness import Lateness

CEILING: Final = 0.02
"""Above this bound a class is not assessable."""
TOKEN_JOINED_SHARE: Final = 0.99
"""Where so many episodes of a class join by token, one that joins by session alone is strange too."""
SESSION_JOINED_SHARE: Final = 0.05
"""Where more than this join by session alone, the log of silent sign-ins is missing, and that join counts as one."""
TOO_RECENT: Final = "too_recent"
"""Reason of a token whose sign-in may still come."""
_CONFIDENCE: Final = 0.95
_PRIOR_ORPHANS: Final = 0.5
_PRIOR_LEAST: Final = 50.0
_PRIOR_MOST: Final = 2000.0
_CLASSES_LEAST: Final = 3
_GAP_US: Final = 30 * 60 * 1_000_000
_GAP_MAILBOXES: Final = 3
_DAY_US: Final = 86_400_000_000
_BILLION: Final = 1e9
_HEAVIEST: Final = 6000


class Token(NamedTuple):
    """One token in one cluster.

    Attributes:
        unit: The cluster.
        tenant: Tenant.
        mailbox: Mailbox.
        provenance: Class of clients whose tokens come about alike.
        token: Token id.
        issued_at_us: When it was issued, microseconds since 1970; -1 where unknown.
        reason: Why a missing sign-in would say nothing; None where it would.
        is_issued: A successful sign-in names the token.
        is_session_known: A successful sign-in names its session.
    """

    unit: str
    tenant: str
    mailbox: str
    provenance: str
    token: str
    issued_at_us: int
    reason: str | None
    is_issued: bool
    is_session_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a cluster's tokens say.

    Attributes:
        state: fired, quiet or not_assessable.
        bin: orphan, orphan_again (on another day too) or session_only; None unless it fired.
        reason: Why not assessable; None otherwise.
        f0_upper: Upper 95 % bound of how often an authorised cluster of its class looks so; None unless it fired.
        n_reference: Episodes of other mailboxes behind the bound.
    """

    unit: str
    state: str
    bin: str | None = None
    reason: str | None = None
    f0_upper: float | None = None
    n_reference: int = 0

    @property
    def millibans(self) -> int | None:
        """1,000 times the decimal logarithm of 0.5 / bound + 0.5, whose mean over authorised clusters is at most 1."""
        if self.f0_upper is None:
            return None
        return min(round(1000 * math.log10(0.5 / self.f0_upper + 0.5)), _HEAVIEST)

    @property
    def f0_upper_ppb(self) -> int | None:
        """The bound in parts per billion, rounded up."""
        return None if self.f0_upper is None else math.ceil(self.f0_upper * _BILLION)


class Episode(NamedTuple):
    """The first token of a cluster that can be judged, and whether others of another day are orphans too."""

    token: Token
    outcome: str
    is_again: bool


class Count(NamedTuple):
    """Episodes of a class (or of one mailbox of it): all, orphans, joined by session alone."""

    episodes: int
    orphans: int
    session_only: int

    def without(self, other: Count) -> Count:
        return Count(
            self.episodes - other.episodes, self.orphans - other.orphans, self.session_only - other.session_only
        )


_NOTHING: Final = Count(0, 0, 0)


def judge(
    tokens: Iterable[Token], strange: Collection[str] | None = None, late: Lateness | None = None
) -> list[Judged]:
    """What the tokens of each cluster say.

    Args:
        tokens: In any order; each token of a cluster once.
        strange: Clusters whose client is strange; None where nothing is known of that. They are no reference, so that
            an intruder in many mailboxes does not make its own orphans usual; and orphans of usual clients in several
            mailboxes within half an hour are a gap in the log, and nothing is said of them.
        late: How late sign-ins arrive, where that is known: a token whose sign-in may still come is then judged by how
            many come sooner. Such tokens are no reference.

    Returns: One per cluster, by unit.
    """
    by_unit, episodes, bounds = reference(tokens, strange)
    alone = {unit: token for unit, held in by_unit.items() if (token := pending(held, late)) is not None}
    orphans = [e for e in episodes.values() if e is not None and e.outcome == "orphan"]
    gaps = _in_gaps([*orphans, *(Episode(token, "orphan", is_again=False) for token in alone.values())], strange)
    found = []
    for unit in sorted(by_unit):
        episode = episodes[unit]
        if unit in gaps and (episode is None or episode.outcome == "orphan"):
            judged = Judged(unit=unit, state="not_assessable", reason="suspected_gap")
        elif episode is None:
            judged = Judged(unit=unit, state="not_assessable", reason=_reason(by_unit[unit]))
        else:
            judged = _judged(unit, episode, bounds)
        if late is not None and unit in alone and unit not in gaps and judged.state != "fired":
            judged = _early(alone[unit], bounds, late) or judged
        found.append(judged)
    return found


def pending(held: Iterable[Token], late: Lateness | None) -> Token | None:
    """Of the tokens whose sign-in may still come and is missed by now, the one that was issued first."""
    if late is None:
        return None
    missed = (
        token
        for token in held
        if token.reason == TOO_RECENT
        and not token.is_issued
        and not token.is_session_known
        and late.is_of_age(token.issued_at_us)
    )
    return min(missed, key=lambda token: (token.issued_at_us, token.token), default=None)


def _early(token: Token, bounds: Bounds, late: Lateness) -> Judged | None:
    """What a sign-in says that has not come yet; None where as many come later as would have to."""
    share, episodes = bounds.bound(token, "orphan")
    bound = late.bound(share, token.issued_at_us)
    if max(share, bound) > CEILING:
        return None
    return Judged(unit=token.unit, state="fired", bin="orphan", f0_upper=bound, n_reference=episodes)


def reference(
    tokens: Iterable[Token], strange: Collection[str] | None = None
) -> tuple[Mapping[str, Sequence[Token]], Mapping[str, Episode | None], Bounds]:
    """Tokens and episode of each cluster, and what its class is judged by; see `judge`."""
    by_unit: dict[str, list[Token]] = defaultdict(list)
    for token in tokens:
        by_unit[token.unit].append(token)
    episodes = {unit: _episode(held) for unit, held in by_unit.items()}
    usual = (episode for unit, episode in episodes.items() if episode is not None and unit not in (strange or ()))
    return by_unit, episodes, Bounds(*_counts(usual))


def _reason(held: Sequence[Token]) -> str:
    """The reason of the token that was issued first; a cluster has no better one."""
    return min(held, key=lambda token: (token.issued_at_us, token.token)).reason or ""


def _outcome(token: Token) -> str:
    return "joined" if token.is_issued else "session_only" if token.is_session_known else "orphan"


def _episode(held: Sequence[Token]) -> Episode | None:
    # A token with its sign-in can be judged whatever else is missing.
    judged = sorted(
        (token for token in held if token.reason is None or token.is_issued),
        key=lambda token: (token.issued_at_us, token.token),
    )
    if not judged:
        return None
    first = judged[0]
    days = {token.issued_at_us // _DAY_US for token in judged if _outcome(token) == "orphan"}
    outcomes = {_outcome(token) for token in judged}
    # One lost line orphans all later tokens of a session, so that the first token decides; but a later orphan of a
    # cluster that began well is a new episode.
    outcome = _outcome(first) if _outcome(first) != "joined" or "orphan" not in outcomes else "orphan"
    return Episode(first, outcome, is_again=len(days) > 1)


Classes = tuple[str, str]


def _class_of(token: Token) -> Classes:
    return (token.tenant, token.provenance)


def _counts(episodes: Iterable[Episode]) -> tuple[Mapping[Classes, Count], Mapping[tuple[Classes, str], Count]]:
    whole: dict[Classes, Count] = defaultdict(lambda: _NOTHING)
    mailbox: dict[tuple[Classes, str], Count] = defaultdict(lambda: _NOTHING)
    for episode in episodes:
        token, key = episode.token, _class_of(episode.token)
        one = Count(1, int(episode.outcome == "orphan"), int(episode.outcome == "session_only"))
        whole[key] = Count(*(a + b for a, b in zip(whole[key], one, strict=True)))
        place = (key, token.mailbox)
        mailbox[place] = Count(*(a + b for a, b in zip(mailbox[place], one, strict=True)))
    return whole, mailbox


class Bounds:
    """Upper bounds of the share of orphans, by class, without the mailbox that is judged."""

    def __init__(self, counts: Mapping[Classes, Count], of_mailbox: Mapping[tuple[Classes, str], Count]) -> None:
        self._counts, self._of_mailbox = counts, of_mailbox
        self._priors: dict[tuple[str, str], tuple[float, float]] = {}
        self._found: dict[tuple[Classes, str, str], tuple[float, int]] = {}

    def bound(self, token: Token, outcome: str) -> tuple[float, int]:
        """Upper 95 % bound of the share of the outcome among authorised episodes, and the episodes behind it."""
        key = (_class_of(token), token.mailbox, outcome)
        if key not in self._found:
            rest = self.rest(token)
            count = rest.orphans if outcome == "orphan" else rest.session_only
            self._found[key] = (self._upper(token, count, rest.episodes), rest.episodes)
        return self._found[key]

    def is_joined_by_session(self, token: Token) -> bool:
        """Whether a join by session alone counts as a join in this class."""
        rest = self.rest(token)
        return not rest.episodes or rest.session_only > SESSION_JOINED_SHARE * rest.episodes

    def is_joined_by_token(self, token: Token) -> bool:
        """Whether nearly all episodes of this class join by token."""
        rest = self.rest(token)
        joined = rest.episodes - rest.orphans - rest.session_only
        return bool(rest.episodes) and joined >= TOKEN_JOINED_SHARE * rest.episodes

    def rest(self, token: Token) -> Count:
        """Episodes of the class in other mailboxes."""
        key = _class_of(token)
        return self._counts.get(key, _NOTHING).without(self._of_mailbox.get((key, token.mailbox), _NOTHING))

    def _upper(self, token: Token, count: int, of: int) -> float:
        from scipy.special import betaincinv

        first, second = self._prior(token)
        return float(betaincinv(first + count, second + of - count, _CONFIDENCE))

    def _prior(self, token: Token) -> tuple[float, float]:
        """The Beta prior from the other classes of the protocol in the tenant."""
        key = (token.tenant, token.provenance)
        if key not in self._priors:
            others = [
                count
                for (tenant, provenance), count in self._counts.items()
                if tenant == token.tenant
                and provenance != token.provenance
                and _protocol(provenance) == _protocol(token.provenance)
            ]
            self._priors[key] = _beta(others)
        return self._priors[key]


def _protocol(provenance: str) -> str:
    """Protocol, origin and kind of actor of a class: all but its application."""
    return provenance.partition("|")[2]


def _beta(others: Sequence[Count]) -> tuple[float, float]:
    """Moments of the shares of other classes; the weaker and the worse, the less they say."""
    episodes = sum(count.episodes for count in others)
    orphans = sum(count.orphans for count in others)
    mean = (orphans + _PRIOR_ORPHANS) / (episodes + _PRIOR_LEAST)
    large = [count for count in others if count.episodes >= _PRIOR_LEAST]
    if len(large) < _CLASSES_LEAST:
        return _PRIOR_LEAST * mean, _PRIOR_LEAST * (1 - mean)
    spread = sum((count.orphans / count.episodes - mean) ** 2 for count in large) / (len(large) - 1)
    sampling = sum(mean * (1 - mean) / count.episodes for count in large) / len(large)
    between = max(spread - sampling, 0.0)
    strength = _PRIOR_MOST if between == 0 else mean * (1 - mean) / between - 1
    strength = min(max(strength, _PRIOR_LEAST), _PRIOR_MOST, float(episodes))
    return strength * mean, strength * (1 - mean)


def _judged(unit: str, episode: Episode, bounds: Bounds) -> Judged:
    token, outcome = episode.token, episode.outcome
    if outcome == "joined":
        return Judged(unit=unit, state="quiet")
    if outcome == "session_only":
        if bounds.is_joined_by_session(token):
            return Judged(unit=unit, state="quiet")
        if not bounds.is_joined_by_token(token):
            return Judged(unit=unit, state="not_assessable", reason="low_match_rate")
    share, episodes = bounds.bound(token, outcome)
    if share > CEILING:
        return Judged(unit=unit, state="not_assessable", reason="low_match_rate")
    name = outcome if outcome == "session_only" else "orphan_again" if episode.is_again else "orphan"
    return Judged(unit=unit, state="fired", bin=name, f0_upper=share, n_reference=episodes)


def _in_gaps(orphans: Sequence[Episode], strange: Collection[str] | None) -> frozenset[str]:
    """Orphans of usual clients, with those of two other mailboxes of the class issued within half an hour."""
    if strange is None:
        return frozenset()
    by_class: dict[Classes, list[Token]] = defaultdict(list)
    for episode in orphans:
        if episode.token.unit not in strange:
            by_class[_class_of(episode.token)].append(episode.token)
    found: set[str] = set()
    for held in by_class.values():
        held.sort(key=lambda token: (token.issued_at_us, token.unit))
        start = 0
        for end, token in enumerate(held):
            while token.issued_at_us - held[start].issued_at_us > _GAP_US:
                start += 1
            window = held[start : end + 1]
            if len({one.mailbox for one in window}) >= _GAP_MAILBOXES:
                found.update(one.unit for one in window)
    return frozenset(found)
