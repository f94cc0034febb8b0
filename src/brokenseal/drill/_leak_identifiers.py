"""T6: is there a GUID, address, network, agent or operation that attackers alone have, in more than one place?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from brokenseal.drill._leak_fields import identifiers
from brokenseal.drill._leak_report import FAIL, NOT_ASSESSABLE, PASS, Check
from brokenseal.drill.attacks import TRACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from brokenseal.drill._leak_lines import Line, Raw

_KINDS: Final = ("guid", "address", "network", "agent", "operation")
_NULLS: Final = frozenset({"00000000-0000-0000-0000-000000000000"})


@dataclass(slots=True)
class Seen:
    """Who showed each identifier, over one or more drills.

    Attributes:
        honest: Identifiers of honest lines.
        attackers: Per identifier of attack lines the (drill, tenant, attack, instance) that showed it.
        paths: Where it stood first.
    """

    honest: set[tuple[str, str]] = field(default_factory=set)
    attackers: dict[tuple[str, str], set[tuple[int, str, str, int]]] = field(default_factory=dict)
    paths: dict[tuple[str, str], str] = field(default_factory=dict)

    def watch(self, lines: Iterable[Line], drill: int) -> None:
        """Remember what these lines show; lines of the controls count as honest, for honest clients made them."""
        for line in lines:
            found = identifiers(line)
            attack_id = line.attack_id or "A0"
            if line.instance < 0 or attack_id.startswith("A0"):
                self.honest.update(found)
            else:
                for key, path in found.items():
                    self.attackers.setdefault(key, set()).add((drill, line.tenant, attack_id, line.instance))
                    self.paths.setdefault(key, path)

    @property
    def open_questions(self) -> dict[str, tuple[str, str]]:
        """Text to look for in honest lines, and the identifier that it would show to be theirs too."""
        shared = {key for key, holders in self.attackers.items() if len({one[:2] for one in holders}) > 1}
        return {_written(*key): key for key in shared - self.honest if key[1]}

    def confirm(self, raws: Iterable[Raw]) -> None:
        """Look for the open questions in every honest record, not only in those that were watched."""
        wanted = self.open_questions
        folded = {text.lower(): key for text, key in wanted.items()}
        for raw in raws:
            if not folded:
                return
            if raw.row["instance"] is not None and not str(raw.row["attack_id"]).startswith("A0"):
                continue
            text = repr(raw.record).lower()
            for one in [one for one in folded if one in text and _stands_alone(one, folded[one][0], text)]:
                self.honest.add(folded.pop(one))


def _stands_alone(one: str, kind: str, text: str) -> bool:
    """Whether an address is not only the beginning of a longer one."""
    return kind != "address" or re.search(rf"(?<![0-9a-f:.]){re.escape(one)}(?![0-9a-f])", text) is not None


def _written(kind: str, value: str) -> str:
    """How an identifier stands in the text of a record: a network is followed by the rest of the address."""
    if kind != "network":
        return value
    return f"{value}." if "." in value else f"{value}:"


def exclusive(seen: Seen, tells: Mapping[str, Sequence[str]]) -> list[Check]:
    """T6, one check per kind of identifier.

    An identifier counts where instances in at least two tenants (of one drill or of several) show it and no honest
    line does. Attacks whose tells declare that tenants share something, or that declare the value, are left out.
    """
    traces = {attack_id: [TRACES[one] for one in words if one in TRACES] for attack_id, words in tells.items()}
    shares = {attack_id for attack_id, own in traces.items() if any(one.is_shared for one in own)}
    declared = {attack_id: {value for one in own for value in one.values} for attack_id, own in traces.items()}
    checks = []
    for kind in _KINDS:
        shared, hits = 0, []
        for key, holders in seen.attackers.items():
            own = {one for one in holders if one[2] not in shares and key[1] not in declared.get(one[2], ())}
            if key[0] != kind or key[1] in _NULLS or len({one[:2] for one in own}) < 2:  # noqa: PLR2004 - tenants
                continue
            shared += 1
            if key not in seen.honest:
                attacks = ", ".join(sorted({one[2] for one in own}))
                hits.append((len(own), f"{key[1]} at {seen.paths[key]} ({attacks})"))
        checks.append(_check(kind, shared, [text for _, text in sorted(hits, reverse=True)], len(seen.attackers)))
    return checks


def _check(kind: str, shared: int, hits: list[str], all_of_attackers: int) -> Check:
    numbers = {"shared by attacks": float(shared), "of attackers alone": float(len(hits))}
    if hits:
        outcome, reason = FAIL, f"{len(hits)} values of this kind give attackers away in several tenants"
    elif shared:
        outcome, reason = PASS, "whatever several attacks share, honest lines have too"
    elif all_of_attackers and kind != "operation":
        outcome, reason = PASS, "no two attacks in different tenants share a value"
    else:
        outcome, reason = NOT_ASSESSABLE, "no attacks in two tenants to compare"
    return Check(test="T6", subject=kind, outcome=outcome, reason=reason, numbers=numbers, hits=tuple(hits[:10]))
