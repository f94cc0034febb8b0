"""Kinds of lasting doors, and the bins that say how strange one is.

A bin is the kind followed by those of these parts that say something for the kind, joined by colons: who opened it,
from where, to where mail goes, and how it was used. Benign administration opens a hundred times as many doors as
intruders do, so what counts is not that a door was opened but who did it, from where, and what came of it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import ibis

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir


class Part(NamedTuple):
    """One part of a bin: its levels in words, strongest first."""

    levels: dict[str, str]


class Kind(NamedTuple):
    """One kind of door: what it is, and the levels of each part that its bins have."""

    meaning: str
    who: tuple[str, ...] = ()
    goal: tuple[str, ...] = ()
    use: tuple[str, ...] = ()


WHO: Final = Part(
    {
        "self": "by the one who gains it",
        "new": "by somebody who never opened such a door before",
        "usual": "by somebody who opened such doors before",
    }
)
WHERE: Final = Part(
    {
        "strange": "from a network strange to them",
        "unsaid": "from where cannot be told",
        "known": "from a network that they had used before",
    }
)
GOAL: Final = Part(
    {
        "new_domain": "to a domain that no mail went to or came from",
        "unsaid_domain": "to a domain of which no message trace tells",
        "known_domain": "to a domain that mail went to or came from before",
    }
)
USE: Final = Part(
    {
        "fast": "used within an hour",
        "closed": "used within a week, and closed again within a week of that",
        "week": "used within a week",
        "none": "not used within a week, as far as the logs show",
    }
)

_ANYBODY = tuple(WHO.levels)
_OTHERS = ("new", "usual")
_GOALS = tuple(GOAL.levels)
_CLOSABLE = tuple(USE.levels)
_USABLE = ("fast", "week", "none")

KINDS: Final = {
    "federation": Kind("a domain was handed to another identity provider", who=_OTHERS),
    "impersonation": Kind("the right to act as any mailbox was given", who=_OTHERS, use=_USABLE),
    "app_mail_role": Kind("an application was given a role that opens mail", who=_OTHERS, use=_USABLE),
    "credential": Kind("an application was given a password or certificate", who=_OTHERS, use=_USABLE),
    "mailbox_right": Kind("a right to a mailbox was given", who=_ANYBODY, use=_CLOSABLE),
    "mail_consent": Kind("an application was allowed to read mail for somebody", use=_USABLE),
    "folder_right": Kind("a right to a mail folder was given", use=_CLOSABLE),
    "forward_out": Kind("mail was made to leave the organisation", goal=_GOALS),
    "hiding_rule": Kind("a rule hides mail"),
    "role": Kind("an administrator's role was given", who=_ANYBODY),
    "audit_off": Kind("auditing was switched off", who=_OTHERS),
    "app_owner": Kind("an application was given an owner", who=_OTHERS),
    "strong_auth": Kind("a second factor of an account was changed"),
    "other_consent": Kind("an application was allowed something else for somebody"),
}
"""Gravest first."""

OF_APPLICATIONS: Final = ("impersonation", "app_mail_role", "credential", "mail_consent")
"""Kinds whose use is an application's reading of mail."""
OF_GRANTEES: Final = ("mailbox_right", "folder_right", "impersonation")
"""Kinds whose use is the reading of another's mail by the account that was given the right."""

_USES: Final = "uses:"


def _bins() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, kind in KINDS.items():
        levels: tuple[tuple[str, ...], ...] = (
            kind.who or ("",),
            tuple(WHERE.levels),
            kind.goal or ("",),
            kind.use or ("",),
        )
        for who, where, goal, use in itertools.product(*levels):
            given = ((WHO, who), (WHERE, where), (GOAL, goal), (USE, use))
            words = [part.levels[level] for part, level in given if level]
            found[":".join(filter(None, (name, who, where, goal, use)))] = f"{kind.meaning}, {', '.join(words)}"
    return found


def _uses(bins: dict[str, str]) -> dict[str, str]:
    used = {
        name: words for name, words in bins.items() if KINDS[name.partition(":")[0]].use and not name.endswith(":none")
    }
    return {used_bin(name): f"the reading that used this door: {words}" for name, words in used.items()}


def used_bin(name: str) -> str:
    """The bin of a session cluster that uses a door of this bin."""
    return _USES + name


DOOR_BINS: Final = _bins()
"""Bins of doors, with what each means."""
BINS: Final = DOOR_BINS | _uses(DOOR_BINS)
"""All bins: those of doors, and those of the session clusters that use one."""


def bin_of(rows: ir.Table) -> ir.StringValue:
    """The bin of each door, from the columns `kind`, `who`, `place`, `goal` and `use`."""
    who = _only_for(rows, (name for name, kind in KINDS.items() if kind.who), rows.who)
    goal = _only_for(rows, (name for name, kind in KINDS.items() if kind.goal), rows.goal)
    use = _only_for(rows, (name for name, kind in KINDS.items() if kind.use), rows.use)
    return rows.kind.concat(who, ":", rows.place, goal, use)


def _only_for(rows: ir.Table, kinds: Iterable[str], level: ir.StringValue) -> ir.StringValue:
    return ibis.ifelse(rows.kind.isin(tuple(kinds)), ibis.literal(":").concat(level), "")


def used(name: ir.StringValue) -> ir.StringValue:
    """`used_bin` over a column."""
    return ibis.literal(_USES).concat(name)


def rank_of(rows: ir.Table) -> ir.IntegerValue:
    """How strong a door is, 0 for the strongest: by place, then use, who, goal and kind; equal only for equal bins."""
    place, use = _position(rows.place, tuple(WHERE.levels)), _position(rows.use, tuple(USE.levels))
    who, goal = _position(rows.who, tuple(WHO.levels)), _position(rows.goal, tuple(GOAL.levels))
    rank = (place * len(USE.levels) + use) * len(WHO.levels) + who
    return (rank * len(GOAL.levels) + goal) * len(KINDS) + _position(rows.kind, tuple(KINDS))


def _position(level: ir.StringValue, levels: tuple[str, ...]) -> ir.IntegerValue:
    return ibis.cases(*((level == name, number) for number, name in enumerate(levels)), else_=len(levels) - 1)
