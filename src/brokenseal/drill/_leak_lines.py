"""The delivered lines of a drill as the leak tests see them: the raw record, where it stands, and who is behind it."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from brokenseal.errors import RecordRejected, UsageError
from brokenseal.framing import frame
from brokenseal.settings import Settings
from brokenseal.sources import identify, unwrap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
        stratum: What intent alone decides: shape, operation, kinds of user and logon, protocol, outcome. Lines are only
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


class Raw(NamedTuple):
    """One delivered record with its row of the truth, before anybody has read what its fields mean."""

    record: Record
    row: Mapping[str, Any]
    place: float
    disorder: float
    tie: float


def raw_lines(drill: Path) -> Iterator[Raw]:
    """Every delivered record of a drill with its truth, file by file; copies stand as often as they were delivered.

    A record whose id the truth does not know is left out: no test here can say anything about it.

    Raises:
        UsageError: The folder is no drill.
    """
    truth: dict[str, list[Mapping[str, Any]]] = {}
    for row in _truth(drill, "records"):
        truth.setdefault(row["event_id"], []).append(row)
    exports = drill / "exports"
    for path in sorted(path for path in exports.rglob("*") if path.is_file()):
        found = list(_known(path, truth))
        if not found:
            continue
        places = _places([_us(row["occurred_at"]) // 1_000_000 for _, row in found])
        for (record, known), where in zip(found, places, strict=True):
            yield Raw(record, known, *where)


def _known(path: Path, truth: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[Record, Mapping[str, Any]]]:
    with path.open("rb") as stream:
        for framed in frame(stream, _SETTINGS):
            if not isinstance(framed.value, dict):
                continue
            whole = framed.value
            # Opening wrappers costs more than all the rest; a drill's records mostly stand by themselves.
            for record in [whole] if _plain_id(whole) in truth else unwrap(whole):
                row = _row_of(record, truth)
                if row is not None:
                    yield record, row


def _row_of(record: Record, truth: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Any] | None:
    rows = truth.get(_plain_id(record), ()) or truth.get((_event(record) or {}).get("event_id", ""), ())
    if len(rows) > 1:  # the same id in two tenants: the record says which
        tenant = (_event(record) or {}).get("tenant_id")
        rows = [row for row in rows if row["tenant_id"] == tenant] or rows
    return rows[0] if rows else None


def _plain_id(record: Record) -> str:
    """`schema.EVENT_ID` of the shapes that a drill writes, without reading the rest of the record."""
    if "AuditData" in record:
        return str(record.get("RecordId") or "").lower()
    if "Operation" in record:
        return str(record.get("Id") or "").lower()
    if "MessageTraceId" in record:
        return f"trace:{record['MessageTraceId']}:{record.get('RecipientAddress')}".lower()
    inner = record.get("properties")
    if isinstance(inner, dict):
        is_graph = "requestId" in inner
        return f"{'graph' if is_graph else 'signin'}:{inner.get('requestId' if is_graph else 'id')}".lower()
    if "activityDisplayName" in record:
        return f"diraudit:{record.get('id')}".lower()
    return f"signin:{record.get('id')}".lower()


def sampled(raws: Iterable[Raw], first_day: Mapping[str, float], *, most: int = 6) -> list[Line]:
    """At most this many lines per unit and operation, each of another day; which ones no label decides.

    Args:
        raws: Every record; it is read once, and what is not returned is not kept.
        first_day: By tenant the first day, whole days since 1970, that counts.
        most: Lines per attack instance or honest unit, operation and kinds of user and logon.
    """
    kept: dict[tuple[object, ...], dict[int, tuple[int, int, Raw]]] = {}
    for raw in raws:
        row, record = raw.row, raw.record
        at_us = _us(row["occurred_at"])
        day = at_us // _DAY_US
        if day < first_day.get(row["tenant_id"], math.inf):
            continue
        unit = row["mailbox_key"] or row["actor"] or ""
        kind = tuple(str(record.get(name)) for name in _KINDS)
        days = kept.setdefault((row["tenant_id"], row["instance"], unit, row["stream"], kind), {})
        key = f"{row['tenant_id']}{kind}{unit}{day}"
        line_rank = zlib.crc32(f"{row['event_id']}{raw.place}".encode())
        held = days.get(day)
        if held is not None and held[1] <= line_rank:
            continue
        days[day] = (zlib.crc32(key.encode()), line_rank, raw)
        if len(days) > most:
            del days[max(days, key=lambda one: days[one][:2])]
    chosen = (raw for days in kept.values() for _, _, raw in days.values())
    return [line for line in map(line_of, chosen) if line is not None]


_KINDS: Final = ("Operation", "UserType", "LogonType", "category", "activityDisplayName", "isInteractive", "AppId")


def line_of(raw: Raw) -> Line | None:
    """The line of a record; None where no source of the product knows it."""
    event = _event(raw.record)
    return None if event is None else _line(raw.record, event, raw.row, (raw.place, raw.disorder, raw.tie))


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
    return {
        **event,
        "shape": shape,
        "access": access[0].get("access_type"),
        "category": sign_in[0].get("category"),
        "error": sign_in[0].get("error_code"),
    }


def _line(record: Record, event: Mapping[str, Any], row: Mapping[str, Any], where: tuple[float, float, float]) -> Line:
    at_us = _us(row["occurred_at"])
    parts = (
        "shape",
        "operation_key",
        "access",
        "category",
        "user_type",
        "logon_type",
        "protocol",
        "succeeded",
        "error",
    )
    return Line(
        tenant=row["tenant_id"],
        attack_id=row["attack_id"],
        instance=-1 if row["instance"] is None else row["instance"],
        unit=row["mailbox_key"] or row["actor"] or "",
        day=at_us // _DAY_US,
        stratum="|".join([*(str(event.get(part)) for part in parts), _side(record, event)]),
        at_us=at_us,
        lag_s=(_us(row["available_at"]) - at_us) / 1e6,
        copies=row["copies"],
        place=where[0],
        disorder=where[1],
        tie=where[2],
        record=record,
    )


def _side(record: Record, event: Mapping[str, Any]) -> str:
    """Whether a guest acts, and of a line of the message trace, who writes to whom: the organisation or others."""
    if "MessageTraceId" not in record:
        return "guest" if "#ext#" in str(event.get("actor_key")).lower() else ""
    own = str(record.get("Organization")).partition(".")[0]
    sides = (
        str(record.get(name)).partition("@")[2].partition(".")[0] for name in ("SenderAddress", "RecipientAddress")
    )
    return " to ".join("inside" if side.replace("-", "") == own else "outside" for side in sides)


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
