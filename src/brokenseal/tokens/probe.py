"""Ask a verifier about every case of the corpus, at a limited rate, and judge its answers.

First a plainly valid and a plainly tampered token are tried: a target that does not tell these two apart cannot be
assessed, whatever else it says, and neither can one that answers otherwise at the end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from brokenseal.tokens.forgeries.valid import PLAIN, PLAIN_ELLIPTIC
from brokenseal.tokens.targets import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brokenseal.tokens.corpus import Case
    from brokenseal.tokens.targets import Reply, Target

    Watch = Callable[[int, int], None]

TAMPERED: Final = "claims_changed: user"
"""Name of the case that no verifier which verifies anything accepts."""

_REFUSES_ALL: Final = (
    "it does not accept a plainly valid token ({detail}): does it know the keys, audiences, issuers, tenants, scopes "
    "and roles of the corpus?"
)
_ACCEPTS_ALL: Final = (
    "it accepts a token whose claims were changed after it was signed: it does not verify signatures at all"
)
_BROKEN: Final = "it gives neither yes nor no to a plainly tampered token ({detail})"
_CHANGED: Final = "at the end it answered otherwise to the plainly valid token than at the beginning ({detail})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A case and what the target did with it."""

    case: Case
    answer: Answer
    detail: str

    @property
    def is_wrong(self) -> bool:
        """A forgery accepted, or a valid token refused."""
        return self.answer is (Answer.ACCEPTED if self.case.is_forgery else Answer.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a target did with the corpus.

    Attributes:
        target: The target as the user named it.
        judgements: One per case that was tried, in the order of the corpus; empty for a target that was not.
        passed_over: Names of cases that were not tried, by reason.
        why_not: Why the target cannot be assessed; None where it can.
    """

    target: str
    judgements: tuple[Judgement, ...]
    passed_over: dict[str, tuple[str, ...]]
    why_not: str | None = None

    @property
    def accepted_forgeries(self) -> tuple[Judgement, ...]:
        """Forgeries that the target took for valid."""
        return tuple(found for found in self.judgements if found.case.is_forgery and found.is_wrong)

    @property
    def rejected_valid(self) -> tuple[Judgement, ...]:
        """Valid tokens that the target refused."""
        return tuple(found for found in self.judgements if not found.case.is_forgery and found.is_wrong)

    @property
    def errors(self) -> tuple[Judgement, ...]:
        """Cases to which the target gave neither yes nor no."""
        return tuple(found for found in self.judgements if found.answer is Answer.ERROR)

    @property
    def forgeries(self) -> int:
        """Forged tokens that were tried."""
        return sum(found.case.is_forgery for found in self.judgements)

    @property
    def valid(self) -> int:
        """Valid tokens that were tried."""
        return len(self.judgements) - self.forgeries


def probe(target: Target, cases: tuple[Case, ...], *, watch: Watch | None = None) -> ProbeResult:
    """Ask the target about every case.

    Args:
        target: The verifier.
        cases: The corpus, with the plainly valid and the plainly tampered case in it.
        watch: Called with the number of cases tried and their total, for a display of progress.
    """
    by_name = {case.name: case for case in cases}
    ask = _paced(target)
    why_not = _first_look(ask, by_name[PLAIN], by_name[TAMPERED])
    if why_not is not None:
        return ProbeResult(target=target.name, judgements=(), passed_over={}, why_not=why_not)
    is_elliptic_taken = ask(by_name[PLAIN_ELLIPTIC]).answer is Answer.ACCEPTED
    judgements: list[Judgement] = []
    passed_over: dict[str, tuple[str, ...]] = {}
    for number, case in enumerate(cases, 1):
        reason = _passed_over(case, is_elliptic_taken=is_elliptic_taken)
        reply = None if reason else ask(case)
        if reply is not None and reply.answer is Answer.NOT_SENT:
            reason, reply = reply.detail, None
        if reply is None:
            passed_over[str(reason)] = (*passed_over.get(str(reason), ()), case.name)
        else:
            judgements.append(Judgement(case=case, answer=reply.answer, detail=reply.detail))
        if watch is not None:
            watch(number, len(cases))
    last = ask(by_name[PLAIN])
    return ProbeResult(
        target=target.name,
        judgements=tuple(judgements),
        passed_over=passed_over,
        why_not=None if last.answer is Answer.ACCEPTED else _CHANGED.format(detail=last.detail),
    )


def _first_look(ask: Callable[[Case], Reply], plain: Case, tampered: Case) -> str | None:
    valid = ask(plain)
    if valid.answer is not Answer.ACCEPTED:
        return _REFUSES_ALL.format(detail=valid.detail or valid.answer)
    changed = ask(tampered)
    if changed.answer is Answer.ACCEPTED:
        return _ACCEPTS_ALL
    return None if changed.answer is Answer.REFUSED else _BROKEN.format(detail=changed.detail)


def _passed_over(case: Case, *, is_elliptic_taken: bool) -> str | None:
    if case.is_forgery:
        return None
    if case.needs == "ES256" and not is_elliptic_taken:
        return "the target takes no ES256"
    if case.good_until is not None and time.time() > case.good_until:
        return "the token ended before its turn came"
    return None


def _paced(target: Target) -> Callable[[Case], Reply]:
    """Ask no faster than the target's rate."""
    turns = _turns(target.rate_per_s)

    def ask(case: Case) -> Reply:
        next(turns)
        return target.ask(case.token)

    return ask


def _turns(rate_per_s: float) -> Iterator[None]:
    due = time.monotonic()
    while True:
        if rate_per_s > 0:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due, time.monotonic()) + 1 / rate_per_s
        yield
