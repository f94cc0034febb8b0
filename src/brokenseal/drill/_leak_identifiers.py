"""T6: is there a GUID, address, network, agent or operation that attackers alone have, in more than one place?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from brokenseal.drill._leak_fields import identifiers
from brokenseal.drill._leak_report import FAIL, NOT_ASSESSABLE, PASS, Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokenseal.drill._leak_lines import Line

_KINDS: Final = ("guid", "address", "network", "agent", "operation")
_SHARED_BY_DESIGN: Final = re.compile(r"several tenants", re.IGNORECASE)
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

    def watch(self, lines: Iterator[Line], drill: int) -> Iterator[Line]:
        """The same lines, remembered; lines of the controls count as honest, for honest clients made them."""
        for line in lines:
            found = identifiers(line)
            attack_id = line.attack_id or "A0"
            if line.instance < 0 or attack_id.startswith("A0"):
                self.honest.update(found)
            else:
                for key, path in found.items():
                    self.attackers.setdefault(key, set()).add((drill, line.tenant, attack_id, line.instance))
                    self.paths.setdefault(key, path)
            yield line


def exclusive(seen: Seen, tells: Mapping[str, Sequence[str]]) -> list[Check]:
    """T6, one check per kind of identifier.

    An identifier counts where instances in at least two tenants (of one drill or of several) show it and no honest
    line does; attacks whose manifest declares that they share something between tenants are left out.
    """
    excused = {attack_id for attack_id, words in tells.items() if any(map(_SHARED_BY_DESIGN.search, words))}
    checks = []
    for kind in _KINDS:
        shared, hits = 0, []
        for key, holders in seen.attackers.items():
            own = {one for one in holders if one[2] not in excused}
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
