"""What an attack is to the drill: a planner of visits, and a declaration of the traces that it may leave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pyarrow as pa

    from brokenseal.drill.changes import Planned
    from brokenseal.drill.world import Tenant

Visit = dict[str, Any]
"""Columns of one row of `tables.INTENT`, without its id."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Where and when one instance of an attack plays.

    Attributes:
        tenant: The tenant.
        attack_id: The attack.
        instance: Number of the instance in the drill.
        stealth: 1 careless, 2 professional, 3 careful, 4 best known.
        rng: The instance's generator.
        campaign: Generator of what all tenants of a campaign have in common.
        from_day: First day on which it may begin.
        until_day: First day after its last.
    """

    tenant: Tenant
    attack_id: str
    instance: int
    stealth: int
    rng: np.random.Generator
    campaign: np.random.Generator
    from_day: int
    until_day: int


class Deed(NamedTuple):
    """A change of configuration and the visit in which it is made."""

    visit: Visit
    change: Planned


class Cluster(NamedTuple):
    """Honest visits that the null control calls an attack: whose, where, in which session, on which day."""

    day: int
    identity_no: int
    mailbox_no: int
    session_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one instance does.

    Attributes:
        visits: Visits that it adds.
        deeds: Changes that it makes.
        relabelled: Honest visits that it claims (the null control alone).
        knobs: What was drawn, for the manifest.
        by_day: For the controls: from a day and its honest visits to what they do then. A day's visits need not be
            made for the plan alone.
    """

    visits: tuple[Visit, ...] = ()
    deeds: tuple[Deed, ...] = ()
    relabelled: tuple[Cluster, ...] = ()
    knobs: Mapping[str, object] = field(default_factory=dict)
    by_day: Callable[[int, pa.Table], Plan] | None = None

    def on(self, day: int, honest: pa.Table) -> Plan:
        """The plan of one day, with what depends on that day's honest visits."""
        return self if self.by_day is None else self.by_day(day, honest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack of the library.

    Attributes:
        id: `A1` to `A13`, or a control.
        title: A few words.
        description: One paragraph: what the intruder does, and what the stealth levels change.
        techniques: ATT&CK ids.
        tells: Causal traces that it is allowed to leave, words of `_tells`; everything else is drawn from what honest
            people do.
        plan: From a scene to what happens.
        is_control: No attack that should be found, but a test of the drill and of the detectors.
        is_campaign: Plays in several tenants at once.
    """

    id: str
    title: str
    description: str
    techniques: tuple[str, ...]
    tells: tuple[str, ...]
    plan: Callable[[Scene], Plan]
    is_control: bool = False
    is_campaign: bool = False
