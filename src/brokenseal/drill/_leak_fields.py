"""Trivial features of lines, and which of them an attack's declared tells excuse."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from brokenseal.drill._leak_lines import flatten
from brokenseal.drill.attacks import TRACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from brokenseal.drill._leak_lines import Line

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT|\d{1,2}/\d{1,2}/\d{4}")
_ADDRESS: Final = re.compile(r"\[?(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})\]?(?::\d+)?")
_DIGITS: Final = re.compile(r"(UserKey|puid|LogonUserSid|MailboxOwnerSid)$", re.IGNORECASE)
_OWN_ID: Final = ("Id", "id", "properties.id", "properties.requestId", "Identity", "MessageTraceId", "RecordId")
_LEAST_LINES: Final = 20
_MOST_PATHS: Final = 120

# The envelope that some shapes put around the fields of a record.
_ENVELOPE: Final = r"(?:AuditData\.|properties\.)?"


def excused(tells: Iterable[str]) -> re.Pattern[str] | None:
    """The paths that these tells may show in, None for no path; `attacks.TRACES` says which they are.

    A tell that it does not know excuses nothing.
    """
    paths = sorted({path for tell in tells if tell in TRACES for path in TRACES[tell].paths})
    return re.compile(f"{_ENVELOPE}(?:{'|'.join(map(re.escape, paths))})") if paths else None


def is_excused(path: str, pattern: re.Pattern[str] | None) -> bool:
    """Whether a tell excuses what this path shows."""
    return pattern is not None and pattern.match(path) is not None


# ---------------------------------------------------------------- trivial features (T1)


def trivial(lines: Sequence[Line], pattern: re.Pattern[str] | None) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
    """Features that carry no meaning: bytes of ids, lengths, nulls, order of keys and lines, clock digits, size.

    Returns: Names, and one row of numbers per line; a feature that a line does not have is -1.
    """
    flat = [
        {path: value for path, value in flatten(line.record).items() if not is_excused(path, pattern)} for line in lines
    ]
    orders = [tuple(one) for one in flat]
    frequency = Counter(orders)
    rows = [
        {**_leaves(one), **_form(line, order, frequency)} for line, one, order in zip(lines, flat, orders, strict=True)
    ]
    counts = Counter(name for row in rows for name in row)
    names = tuple(sorted(name for name, count in counts.items() if count >= min(_LEAST_LINES, len(lines))))
    return names, np.array([[row.get(name, -1.0) for name in names] for row in rows], dtype=np.float64)


def _leaves(flat: Mapping[str, object]) -> dict[str, float]:
    found: dict[str, float] = {}
    size = 2
    for path, value in flat.items():
        size += len(path) + len(str(value)) + 6
        if path.endswith("#"):
            found[f"entries {path}"] = float(value) if isinstance(value, int) else 0.0
        elif isinstance(value, str):
            found[f"length {path}"] = float(len(value))
            if _DIGITS.search(path):
                found[f"last digit {path}"] = float(int(value[-1], 36)) if value[-1:].isalnum() else 0.0
            if path in _OWN_ID and _GUID.fullmatch(value):
                raw = bytes.fromhex(value.replace("-", ""))
                found.update({f"byte {at} of {path}": float(byte) for at, byte in enumerate(raw)})
        elif value is None:
            found[f"length {path}"] = 0.0
        else:
            found[f"number {path}"] = float(value) if isinstance(value, (int, float)) else 0.0
    found["size of the record"] = float(size)
    return found


def _form(line: Line, order: tuple[str, ...], frequency: Counter[tuple[str, ...]]) -> dict[str, float]:
    # The place in a file is the time of day, which intent decides; only what departs from it is trivial.
    second_us = line.at_us % 60_000_000
    return {
        "keys": float(len(order)),
        "order of keys is common": float(np.log(frequency[order])),
        "descents in the order of keys": float(sum(a > b for a, b in itertools.pairwise(order))),
        "second of the minute": second_us // 1_000_000,
        "part of the second": second_us % 1_000_000 / 1e6,
        "minute of the hour": float(line.at_us // 60_000_000 % 60),
        "copies": float(line.copies),
        "lag": float(line.lag_s),
        "disorder in the file": line.disorder,
        "place among ties": line.tie,
    }


# ---------------------------------------------------------------- single fields (T2)


def fields(lines: Sequence[Line], pattern: re.Pattern[str] | None) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Each field as categories: absent, a value that several tenants have, or else the kind and length of the value.

    Values that one tenant alone has (names, ids) cannot generalise, so that only their form counts.

    Returns: Paths, and one row of codes per line.
    """
    flat = [
        {path: value for path, value in flatten(line.record).items() if not is_excused(path, pattern)} for line in lines
    ]
    counts = Counter(path for one in flat for path in one)
    names = tuple(sorted(path for path, count in counts.most_common(_MOST_PATHS) if count >= _LEAST_LINES))
    tenants: dict[tuple[str, str], set[str]] = {}
    for line, one in zip(lines, flat, strict=True):
        for path in names:
            if path in one:
                tenants.setdefault((path, str(one[path])), set()).add(line.tenant)
    columns = []
    for path in names:
        words: dict[str, int] = {}
        column = [words.setdefault(_category(path, one, tenants), len(words)) for one in flat]
        columns.append(column)
    codes = np.array(columns, dtype=np.int64).T if columns else np.zeros((len(lines), 0), dtype=np.int64)
    return names, codes


def _category(path: str, flat: Mapping[str, object], tenants: Mapping[tuple[str, str], set[str]]) -> str:
    if path not in flat:
        return "absent"
    value = flat[path]
    text = str(value)
    if _MOMENT.match(text):
        return f"moment of {len(text)}, {text.endswith(('00Z', ':00'))}"
    if len(tenants.get((path, text), ())) > 1:
        return f"={text}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number"
    return f"{'guid' if _GUID.fullmatch(text) else 'text'} of {len(text)}"


def bigrams(
    names: Sequence[str], codes: npt.NDArray[np.int64], *, most: int = 24, widest: int = 12
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Pairs of fields with few categories each, as columns of their own."""
    varied = [at for at in range(codes.shape[1]) if 1 < int(codes[:, at].max()) + 1 <= widest]
    spread = sorted(varied, key=lambda at: -_evenness(codes[:, at]))[:most]
    pairs = [(a, b) for index, a in enumerate(sorted(spread)) for b in sorted(spread)[index + 1 :]]
    if not pairs:
        return (), np.zeros((len(codes), 0), dtype=np.int64)
    columns = [codes[:, a] * (int(codes[:, b].max()) + 1) + codes[:, b] for a, b in pairs]
    return tuple(f"{names[a]} + {names[b]}" for a, b in pairs), np.stack(columns, axis=1)


def _evenness(column: npt.NDArray[np.int64]) -> float:
    share = np.bincount(column) / len(column)
    return float(-(share * np.log(np.maximum(share, 1e-12))).sum())


# ---------------------------------------------------------------- what a line can be recognised by: T6


def identifiers(line: Line) -> dict[tuple[str, str], str]:
    """What a line could be recognised by: (kind, value) to the path where it stands.

    Kinds are guid, address, network (/24 or /48 around the address), agent and operation.
    """
    found: dict[tuple[str, str], str] = {}
    for path, value in flatten(line.record).items():
        if not isinstance(value, str) or not value:
            continue
        for guid in _GUID.findall(value):
            found.setdefault(("guid", guid.lower()), path)
        if _ADDRESS.fullmatch(value):
            plain = _plain(value)
            found.setdefault(("address", plain), path)
            cut = ".".join(plain.split(".")[:3]) if "." in plain else ":".join(plain.split(":")[:3])
            found.setdefault(("network", cut), path)
        elif re.search(r"agent|clientinfostring", path, re.IGNORECASE):
            found.setdefault(("agent", value), path)
        elif path in {"Operation", "operationName", "activityDisplayName"}:
            found.setdefault(("operation", value), path)
    return found


def _plain(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def units_of(lines: Sequence[Line]) -> dict[tuple[str, str, Any], list[Line]]:
    """Lines by (tenant, stratum, who): the attack instance, or the mailbox or actor of honest lines."""
    found: dict[tuple[str, str, Any], list[Line]] = {}
    for line in lines:
        who = line.instance if line.instance >= 0 else line.unit
        found.setdefault((line.tenant, line.stratum, who), []).append(line)
    return found
