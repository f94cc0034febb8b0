"""What the exports show of a tenant besides its events: names and identifiers of mailboxes, people, devices, networks.

Each column is an Arrow text array that runs parallel to the tenant's own arrays, so that a writer takes from it by
`mailbox_no`, `identity_no`, `device_no` or `network_no`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from brokenseal.drill import devices, internet, people
from brokenseal.drill.tables import Coded, numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from brokenseal.drill.world import Tenant


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Roster:
    """Names of one tenant on one day (user principal names change).

    Attributes:
        tenant_id: Tenant GUID.
        organisation: `OrganizationName`, the tenant's initial domain.
        key: Key for identifiers that only an export shows.
        mailbox_guid: `MailboxGuid` by mailbox.
        mailbox_upn: `MailboxOwnerUPN` by mailbox.
        mailbox_sid: `MailboxOwnerSid` by mailbox.
        identity_upn: User principal name, or display name of an application, by identity.
        identity_name: Display name by identity.
        identity_id: Object id by identity.
        identity_sid: `LogonUserSid` by identity.
        is_application: Application or service, by identity.
        device_id: Device id, null where the directory does not know it, by device.
        device_name: Display name by device.
        device_system: Operating system by device.
        device_browser: Browser by device.
        device_trust: Join type, null for none, by device.
        device_compliant: By device.
        network_country: Country code, null for none, by network.
        network_city: City, null for none, by network.
        network_asn: Autonomous system number by network.
    """

    tenant_id: str
    organisation: str
    key: int
    mailbox_guid: pa.Array
    mailbox_upn: pa.Array
    mailbox_sid: pa.Array
    identity_upn: pa.Array
    identity_name: pa.Array
    identity_id: pa.Array
    identity_sid: pa.Array
    is_application: npt.NDArray[np.bool_]
    device_id: pa.Array
    device_name: pa.Array
    device_system: pa.Array
    device_browser: pa.Array
    device_trust: pa.Array
    device_compliant: npt.NDArray[np.bool_]
    network_country: pa.Array
    network_city: pa.Array
    network_asn: npt.NDArray[np.int64]


def named(column: pa.Array, numbers: npt.NDArray[Any]) -> Coded:
    """The column's text for each number; null for -1."""
    return Coded(np.asarray(numbers, dtype=np.int32), column.to_pylist())


def find(table: pa.Table, column: str, wanted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Row of the table whose number in `column` is each wanted one; -1 where there is none."""
    keys = numbers(table, column)
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    rows: npt.NDArray[np.int64] = np.where(keys[order[place]] == wanted, order[place], -1)
    return rows


def roster_of(tenant: Tenant, day: int) -> Roster:
    """The names of a tenant on a day."""
    upns = tenant.upns_on(day)
    owners = tenant.mailboxes["owner_no"]
    mailbox_upns = [
        str(upns[owner]) if owner >= 0 else tenant.mailbox_upns[number] for number, owner in enumerate(owners.tolist())
    ]
    base = tenant.sids[0].rpartition("-")[0]
    sids = [
        tenant.sids[owner] if owner >= 0 else f"{base}-{900_000 + number}"
        for number, owner in enumerate(owners.tolist())
    ]
    machines = tenant.devices.devices
    trust = [devices.TRUST[code] or None for code in machines["trust"].tolist()]
    networks = tenant.internet.networks
    countries, cities = internet.COUNTRIES, internet.CITIES
    return Roster(
        tenant_id=tenant.tenant_id,
        organisation=tenant.onmicrosoft,
        key=tenant.key("exports"),
        mailbox_guid=pa.array(tenant.mailbox_guids, pa.string()),
        mailbox_upn=pa.array(mailbox_upns, pa.string()),
        mailbox_sid=pa.array(sids, pa.string()),
        identity_upn=pa.array(upns.tolist(), pa.string()),
        identity_name=pa.array(tenant.names, pa.string()),
        identity_id=pa.array(tenant.object_ids, pa.string()),
        identity_sid=pa.array(tenant.sids, pa.string()),
        is_application=np.isin(tenant.identities["kind"], (people.APP, people.SERVICE)),
        device_id=pa.array(
            [one if kind else None for one, kind in zip(tenant.device_ids, trust, strict=True)], pa.string()
        ),
        device_name=pa.array([f"DEV-{one[:8].upper()}" for one in tenant.device_ids], pa.string()),
        device_system=pa.array([devices.SYSTEMS[code] for code in machines["system"].tolist()], pa.string()),
        device_browser=pa.array([devices.BROWSERS[code] for code in machines["browser"].tolist()], pa.string()),
        device_trust=pa.array(trust, pa.string()),
        device_compliant=machines["is_compliant"].copy(),
        network_country=pa.array([countries[code] if code >= 0 else None for code in networks["country"].tolist()]),
        network_city=pa.array([cities[code][1] if code >= 0 else None for code in networks["city"].tolist()]),
        network_asn=networks["asn"].astype(np.int64),
    )
