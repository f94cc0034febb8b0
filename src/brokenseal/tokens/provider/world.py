"""The simulated world in one piece: a tenant, its keys, one identity provider, and the mail service in both builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokenseal.tokens.provider.gates import Build
from brokenseal.tokens.provider.identity import IdentityProvider
from brokenseal.tokens.provider.keys import CONSUMER_ISSUER, ENTERPRISE_ISSUER, Cabinet, SigningKey, make_key
from brokenseal.tokens.provider.mail import MailService
from brokenseal.tokens.provider.service import Provider
from brokenseal.tokens.provider.tenant import make_tenant

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.provider.tenant import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What there is; the two providers share tenant, keys and sign-in log, and differ in their gate and mail logs."""

    tenant: Tenant
    enterprise_key: SigningKey
    consumer_key: SigningKey
    identity: IdentityProvider
    providers: Mapping[Build, Provider]


class Clock:
    """A clock that is set by hand, so that a story can span weeks."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        """The time, aware UTC."""
        return self.now


def make_world(
    seed: int, *, clock: Callable[[], dt.datetime], keys: tuple[SigningKey, SigningKey] | None = None
) -> World:
    """A world; all but its keys follows from the seed and the clock.

    Args:
        seed: What people, mail and ids are drawn from.
        clock: Says what time it is, aware UTC; mail was received before it.
        keys: The enterprise key and the consumer key; new ones where none are given.
    """
    tenant = make_tenant(seed, until=clock())
    enterprise, consumer = keys or (make_key(ENTERPRISE_ISSUER), make_key(CONSUMER_ISSUER))
    identity = IdentityProvider(tenant, Cabinet((enterprise, consumer)), clock=clock, seed=seed)
    return World(
        tenant=tenant,
        enterprise_key=enterprise,
        consumer_key=consumer,
        identity=identity,
        providers={build: Provider(identity, MailService(identity, build, seed=seed)) for build in Build},
    )
