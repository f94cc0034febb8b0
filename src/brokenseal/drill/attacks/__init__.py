"""The attack library: what intruders do to mailboxes, each with its declared traces.

Adding an attack is a module that exports `ATTACK` and a line in `ATTACKS`. An attack adds visits (and the changes made
in them) to the tables that honest people fill; clients, tokens, audit and delivery treat them alike.
"""

from __future__ import annotations

from brokenseal.drill.attacks import (
    a0g_ghost,
    a0n_null,
    a01_forged_token,
    a02_low_and_slow,
    a03_phishing_proxy,
    a04_stolen_cookie,
    a05_device_code,
    a06_consent,
    a07_app_credential,
    a08_delegate,
    a09_impersonation,
    a10_sync,
    a11_forwarding,
    a12_forged_assertion,
    a13_provider,
)
from brokenseal.drill.attacks._contract import Attack, Cluster, Deed, Plan, Scene, Visit
from brokenseal.drill.attacks._tells import TRACES, Trace

__all__ = ["ATTACKS", "TRACES", "Attack", "Cluster", "Deed", "Plan", "Scene", "Trace", "Visit"]

ATTACKS: tuple[Attack, ...] = (
    a01_forged_token.ATTACK,
    a02_low_and_slow.ATTACK,
    a03_phishing_proxy.ATTACK,
    a04_stolen_cookie.ATTACK,
    a05_device_code.ATTACK,
    a06_consent.ATTACK,
    a07_app_credential.ATTACK,
    a08_delegate.ATTACK,
    a09_impersonation.ATTACK,
    a10_sync.ATTACK,
    a11_forwarding.ATTACK,
    a12_forged_assertion.ATTACK,
    a13_provider.ATTACK,
    a0g_ghost.ATTACK,
    a0n_null.ATTACK,
)
