"""The delivered lines of a drill as the leak tests see them: the raw record, where it stands, and who is behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq

from brokenseal.errors import RecordRejected, UsageError
from brokenseal.framing import frame
from brokenseal.settings import Settings
from brokenseal.sources import identify, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokenseal.model import Record

_DAY_US: Final = 86_400_000_000
_SETTINGS: Final = Settings(store_dir=Path("unused"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One delivered line.

    Attributes:
        tenant: Tenant id.
        attack_id: Attack of the library, or None for honest lines.
        instance: Number of the attack instance; -1 for honest lines.
        unit: Whose line it is: the mailbox, or the actor where there is none.
        day: Day of the event, whole days since 1970.
        stratum: What intent alone decides: shape, operation, kinds of user and logon, protocol. Lines are only
            compared with lines of their stratum.
        at_us: When it happened, microseconds since 1970.
        lag_s: Seconds until it could be read.
        copies: Times that it stands in the exports.
        place: Its place in its file, 0 first, 1 last.
        disorder: `place` less the place that its time would give it.
        tie: Its place among the lines of its file with the same second, 0.5 where it is alone.
        record: The raw record.
    """

    tenant: str
    attack_id: str | None = None
    instance: int = -1
    unit: str
    day: int
    stratum: str
    at_us: int
    lag_s: float = 0.0
    copies: int = 1
    place: float = 0.5
    disorder: float = 0.0
    tie: float = 0.5
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackInstance:
    """One row of the drill's manifest of attacks."""

    instance: int
    tenant: str
    attack_id: str
    tells: tuple[str, ...]
    first_at_us: int
    mailboxes: tuple[str, ...]


def attack_instances(drill: Path) -> tuple[AttackInstance, ...]:
    """The instances of `truth/attacks.parquet`; those without any action are left out.

    Raises:
        UsageError: The folder is no drill.
    """
    rows = _truth(drill, "attacks")
    return tuple(
        AttackInstance(
            instance=row["instance"],
            tenant=row["tenant_id"],
            attack_id=row["attack_id"],
            tells=tuple(row["tells"] or ()),
            first_at_us=_us(row["first_at"]),
            mailboxes=tuple(row["mailbox_keys"] or ()),
        )
        for row in rows
        if row["first_at"] is not None
    )


def _us(moment: Any) -> int:
    micros: int = round(moment.timestamp() * 1e6)
    return micros


def _truth(drill: Path, name: str) -> list[dict[str, Any]]:
    path = drill / "truth" / f"{name}.parquet"
    if not path.is_file():
        raise UsageError(place=str(path), expected="a folder that `drill generate` wrote")
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def lines_of_drill(drill: Path) -> Iterator[Line]:
    """Every delivered line of a drill with its truth, file by file; copies stand as often as they were delivered.

    A line whose id the truth does not know is left out: no test here can say anything about it.

    Raises:
        UsageError: The folder is no drill.
    """
    truth = {(row["tenant_id"], row["event_id"]): row for row in _truth(drill, "records")}
    exports = drill / "exports"
    for path in sorted(path for path in exports.rglob("*") if path.is_file()):
        yield from _lines_of_file(path, truth)


def _lines_of_file(path: Path, truth: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[Line]:
    found = []
    with path.open("rb") as stream:
        for framed in frame(stream, _SETTINGS):
            if not isinstance(framed.value, dict):
                continue
            for record in unwrap(framed.value):
                event = _event(record)
                if event is not None:
                    found.append((record, event))
    if not found:
        return
    places = _places([_us(event["occurred_at"]) // 1_000_000 for _, event, *_ in found])
    by_event = {event_id: row for (_, event_id), row in _of_tenants(found, truth)}
    for (record, event), (place, disorder, tie) in zip(found, places, strict=True):
        row = by_event.get(event["event_id"])
        if row is not None:
            yield _line(record, event, row, (place, disorder, tie))


def _of_tenants(
    found: Sequence[tuple[Any, dict[str, Any]]], truth: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    tenants = {event.get("tenant_id") for _, event in found} - {None}
    known = tenants or {tenant for tenant, _ in truth}
    for _, event in found:
        for tenant in known:
            row = truth.get((str(tenant), event["event_id"]))
            if row is not None:
                yield (str(tenant), event["event_id"]), row


def _event(record: Record) -> dict[str, Any] | None:
    known = identify(record)
    if known is None:
        return None
    source, shape = known
    try:
        rows = source.normalise(record)
    except RecordRejected:
        return None
    event = rows["events"][0]
    access = rows.get("mail_accesses") or [{}]
    sign_in = rows.get("sign_ins") or [{}]
    return {**event, "shape": shape, "access": access[0].get("access_type"), "category": sign_in[0].get("category")}


def _line(record: Record, event: Mapping[str, Any], row: Mapping[str, Any], where: tuple[float, float, float]) -> Line:
    at_us = _us(row["occurred_at"])
    parts = ("shape", "operation_key", "access", "category", "user_type", "logon_type", "protocol", "succeeded")
    return Line(
        tenant=row["tenant_id"],
        attack_id=row["attack_id"],
        instance=-1 if row["instance"] is None else row["instance"],
        unit=row["mailbox_key"] or row["actor"] or "",
        day=at_us // _DAY_US,
        stratum="|".join(str(event.get(part)) for part in parts),
        at_us=at_us,
        lag_s=(_us(row["available_at"]) - at_us) / 1e6,
        copies=row["copies"],
        place=where[0],
        disorder=where[1],
        tie=where[2],
        record=record,
    )


def _places(seconds: Sequence[int]) -> list[tuple[float, float, float]]:
    """Place, disorder and tie of each line of one file."""
    at = np.asarray(seconds)
    count = len(at)
    place = np.arange(count) / max(count - 1, 1)
    # Files list the newest first or the oldest first; disorder is against the nearer of the two.
    order = np.lexsort((np.arange(count), at))
    rank = np.empty(count)
    rank[order] = np.arange(count) / max(count - 1, 1)
    if at.std() and np.corrcoef(place, at)[0, 1] < 0:
        order = np.lexsort((np.arange(count), -at))
        rank[order] = np.arange(count) / max(count - 1, 1)
    _, group, size = np.unique(at, return_inverse=True, return_counts=True)
    by_group = np.lexsort((np.arange(count), group))
    starts = np.cumsum(size) - size
    within = np.empty(count)
    within[by_group] = np.arange(count) - starts[group[by_group]]
    tie = np.where(size[group] > 1, within / np.maximum(size[group] - 1, 1), 0.5)
    return list(zip(place.tolist(), (place - rank).tolist(), tie.tolist(), strict=True))


# ---------------------------------------------------------------- flat records


def flatten(record: Record) -> dict[str, object]:
    """The leaves of a record by path; lists show their length at `path#` and their first entry at `path[]`.

    Text that is JSON is read as such, and lists of name and value become one path per name. Order is kept.
    """
    found: dict[str, object] = {}
    _flatten("", record, found, 0)
    return found


_DEPTH: Final = 8


def _flatten(path: str, value: object, found: dict[str, object], depth: int) -> None:
    inner = _parsed(value) if depth < _DEPTH else str(value)
    if isinstance(inner, list):
        found[f"{path}#"] = len(inner)
    if isinstance(inner, (dict, list)):
        for part, below in _inside(path, inner):
            _flatten(part, below, found, depth + 1)
    else:
        found[path] = inner


def _parsed(value: object) -> object:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            parsed: object = json.loads(value)
        except ValueError:
            return value
        return parsed
    return value


def _is_named(values: Sequence[object]) -> bool:
    return bool(values) and all(isinstance(one, dict) and isinstance(one.get("Name"), str) for one in values)


def _inside(path: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield f"{path}.{key}" if path else str(key), below
    elif _is_named(value):
        for one in value:
            for key, below in one.items():
                if key != "Name":
                    yield f"{path}[{one['Name']}].{key}", below
    elif value:
        yield f"{path}[]", value[0]


def replaced(node: Any, path: str, value: object, *, at: str = "") -> Any:
    """The record with the leaf at a path of `flatten` replaced; one without this leaf is returned as it is."""
    if at == path:
        return value
    inner = _parsed(node)
    if not path.startswith(at) or not isinstance(inner, (dict, list)):
        return node
    changed: Any
    if isinstance(inner, dict):
        changed = {
            key: replaced(below, path, value, at=f"{at}.{key}" if at else str(key)) for key, below in inner.items()
        }
    elif _is_named(inner):
        changed = [
            {
                key: below if key == "Name" else replaced(below, path, value, at=f"{at}[{one['Name']}].{key}")
                for key, below in one.items()
            }
            for one in inner
        ]
    else:
        changed = [
            replaced(below, path, value, at=f"{at}[]") if not index else below for index, below in enumerate(inner)
        ]
    if isinstance(node, str):
        return node if changed == inner else json.dumps(changed, ensure_ascii=False, separators=(",", ":"))
    return changed
