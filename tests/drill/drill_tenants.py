"""Small simulated tenants that several tests share."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

from brokenseal.drill import priors, streams, world

EPOCH = dt.date(2026, 1, 5)


@functools.lru_cache(maxsize=8)
def tenant(tenant_no: int = 0, *, seed: int = 11, mailboxes: int = 120, prior: str = "train", **changed: float):
    """A tenant drawn from a prior, with some parameters set by hand."""
    return fresh(tenant_no, seed=seed, mailboxes=mailboxes, prior=prior, **changed)


def fresh(tenant_no: int = 0, *, seed: int = 11, mailboxes: int = 120, prior: str = "train", **changed: float):
    """As `tenant`, built anew, so that nothing is remembered from other tests."""
    drawn = priors.draw(
        priors.load_prior(prior), streams.stream(seed, "tenant", tenant_no, "prior"), mailboxes=mailboxes
    )
    parameters = dataclasses.replace(drawn, **changed)
    return world.build_tenant(parameters, seed=seed, tenant_no=tenant_no, epoch=EPOCH)
