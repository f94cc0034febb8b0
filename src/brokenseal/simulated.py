"""How a simulated tenant is known: by its tenant id, which rides in every record that it writes.

No file name and no flag is needed, so that results of simulated logs are called simulated however the logs came in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "51a1a7ed-"
"""First group of the GUID of every tenant that the product makes up; no tenant of Microsoft's is asked to avoid it."""


def simulated_tenant_id(drawn: str) -> str:
    """The GUID with its first group replaced by the mark of simulated tenants."""
    return PREFIX + drawn.lower()[len(PREFIX) :]


def is_simulated(tenants: Iterable[str]) -> bool:
    """True where any of the tenant ids is that of a simulated tenant."""
    return any(tenant.startswith(PREFIX) for tenant in tenants)
