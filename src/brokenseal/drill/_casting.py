"""Which tenants a drill has, and which attacks play in which of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.drill import priors, streams
from brokenseal.drill._pipeline import Cast, Stage, attack_of, set_stage
from brokenseal.drill.delivery import delivery_law
from brokenseal.drill.world import build_tenant

if TYPE_CHECKING:
    from brokenseal.drill.delivery import Law
    from brokenseal.drill.generate import DrillSettings
    from brokenseal.drill.world import Tenant

CAMPAIGN_TENANTS: Final = 20
"""Most tenants that one campaign plays in."""

HIGHEST_STEALTH: Final = 4


def casts_of(settings: DrillSettings) -> dict[int, tuple[Cast, ...]]:
    """The attack instances of each tenant.

    Instances go round the tenants in an order drawn by the seed; a campaign plays in up to twenty tenants, an instance
    in each.
    """
    rng = streams.stream(settings.seed, "casts")
    order = rng.permutation(settings.tenants).tolist()
    found: dict[int, list[Cast]] = {number: [] for number in range(settings.tenants)}
    instance, turn = 0, 0
    for wanted in settings.attacks:
        attack = attack_of(wanted.attack_id)
        for _ in range(wanted.instances):
            stealth = 0 if attack.is_control else wanted.stealth or int(rng.integers(1, HIGHEST_STEALTH + 1))
            places = order[:CAMPAIGN_TENANTS] if attack.is_campaign else [order[turn % len(order)]]
            turn += 1
            campaign = instance if attack.is_campaign else None
            for tenant_no in places:
                found[tenant_no].append(Cast(instance, attack.id, stealth, campaign))
                instance += 1
    return {number: tuple(casts) for number, casts in found.items()}


def tenant_of(settings: DrillSettings, tenant_no: int) -> tuple[Tenant, Law]:
    """One tenant of the drill and its delivery."""
    rng = streams.stream(settings.seed, "tenant", tenant_no, "parameters")
    parameters = priors.draw(settings.prior, rng, mailboxes=settings.mailboxes)
    tenant = build_tenant(parameters, seed=settings.seed, tenant_no=tenant_no, epoch=settings.epoch)
    law = delivery_law(
        parameters,
        seed=settings.seed,
        tenant_no=tenant_no,
        logs=settings.logs,
        shape=settings.shape,
        starts_us=tenant.epoch_us,
        days=settings.days,
    )
    return tenant, law


def stage_of(settings: DrillSettings, tenant_no: int) -> Stage:
    """One tenant of the drill with its attacks planned."""
    tenant, law = tenant_of(settings, tenant_no)
    casts = casts_of(settings)[tenant_no]
    return set_stage(tenant, law, casts, from_day=settings.scored_from_day, until_day=settings.days)
