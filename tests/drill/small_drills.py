"""A drill of a quiet tenant that tests of commands share."""

from __future__ import annotations

from brokenseal.drill import generate, priors
from brokenseal.drill.generate import DrillSettings, Order

PRIOR = 'base = "train"\nrecords_per_day = 3\nrecords_sigma = 0.2\nspray_per_day = 2\n'


def write_drill(output, prior):
    """One tenant with two attacks and a control, its prior read from a file."""
    prior.write_text(PRIOR, encoding="utf-8")
    settings = DrillSettings(
        output=output,
        tenants=1,
        mailboxes=12,
        days=8,
        seed=4,
        prior=priors.load_prior(prior),
        attacks=(Order("A1", 1, 2), Order("A0n")),
        shape="portal",
        warm_up_days=3,
    )
    generate.generate(settings)
    return output
