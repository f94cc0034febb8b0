"""Hits to findings: run the detectors, check what they give, group it, name it, sort it."""

from __future__ import annotations

import functools
import hashlib
import string
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from brokenseal.engines import begun
from brokenseal.model import Detector, DetectorState, Evidence, Finding, Variant, Weight
from brokenseal.schema import HIT
from brokenseal.tenancy import NO_TENANT, tenants_of
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

    from brokenseal.model import Coverage, Tables
    from brokenseal.wording import Value

NOTHING: Final[Mapping[str, Callable[[], pa.Table | None]]] = {}
"""No detector was asked elsewhere."""
SHOWN = 8
"""So many texts are named in a sentence; the rest is counted."""

_NEEDS = {
    "mail_access": phrase("The logs hold no record of mail accesses (MailItemsAccessed)."),
    "sign_in": phrase("The logs hold no sign-ins."),
    "non_interactive_sign_in": phrase("The logs hold no non-interactive sign-ins."),
    "configuration": phrase("The logs hold no configuration changes."),
    "token_ids": phrase("The mail accesses carry no token id."),
    "session_ids": phrase("The records carry no session id."),
}


def run_detectors(
    tables: Tables,
    detectors: Iterable[Detector],
    coverage: Coverage,
    *,
    idle: Collection[str] = (),
    given: Mapping[str, Callable[[], pa.Table | None]] = NOTHING,
) -> tuple[tuple[Finding, ...], tuple[DetectorState, ...]]:
    """What every detector says, and of each whether it could speak at all.

    A detector runs even where one of its needs is unmet: what it finds stands, and only its silence means nothing.
    Only where it can find nothing at all (`silent_without`) it is not run.

    Args:
        tables: The store's tables.
        detectors: In the order in which their states are given.
        coverage: `unmet_needs` names what the logs lack.
        idle: Ids of detectors of which it is known that they have nothing to say; they are not asked.
        given: Of some of them, what `hits_of` said elsewhere; they are asked here where it gives None.

    Returns: Findings by severity, then time; one state per detector.

    Raises:
        ValueError: A detector gives rows of another shape than `schema.HIT`, or of a variant it does not declare.
    """
    listed = tuple(detectors)
    hits = hits_of(listed, tables, coverage.unmet_needs, idle=idle, given=given)
    subjects = {
        detector.id: begun(detector.limit.subjects(tables))
        for detector in listed
        if detector.limit is not None and not set(detector.needs).intersection(coverage.unmet_needs)
    }
    cited = {event_id for rows in hits.values() for event_id in rows.column("event_id").to_pylist()}
    tenant_of = tenants_of(tables["events"], cited)
    findings = {detector.id: _findings_of(detector, hits[detector.id], tenant_of) for detector in listed}
    states = tuple(
        _state_of(detector, subjects.get(detector.id), len(findings[detector.id]), coverage.unmet_needs)
        for detector in listed
    )
    return tuple(sorted((each for found in findings.values() for each in found), key=by_weight)), states


def hits_of(
    detectors: Iterable[Detector],
    tables: Tables,
    unmet: Sequence[str],
    *,
    idle: Collection[str] = (),
    given: Mapping[str, Callable[[], pa.Table | None]] = NOTHING,
) -> dict[str, pa.Table]:
    """The hits of every detector by its id; those that join on others run last and are given what those found.

    Args: As for `run_detectors`.
    """
    import ibis

    found: dict[str, Callable[[], pa.Table]] = {}
    known = dict(tables)
    for detector in sorted(detectors, key=lambda each: bool(each.after)):
        if detector.id in idle or set(detector.silent_without).intersection(unmet):
            found[detector.id] = HIT.arrow_schema().empty_table
            continue
        if detector.id in given:
            found[detector.id] = functools.cache(
                functools.partial(_given_or_asked, given[detector.id], detector, tables)
            )
            continue
        for other in detector.after:
            if other in found:
                known[f"hits:{other}"] = ibis.memtable(found[other](), schema=HIT.ibis_schema())
        found[detector.id] = _asked(detector, known)
    return {detector_id: rows() for detector_id, rows in found.items()}


def _asked(detector: Detector, tables: Tables) -> Callable[[], pa.Table]:
    expression = detector.find(tables)
    check_hits(detector.id, expression)
    return begun(expression)


def _given_or_asked(said: Callable[[], pa.Table | None], detector: Detector, tables: Tables) -> pa.Table:
    rows = said()
    return _asked(detector, tables)() if rows is None else rows


def by_weight(finding: Finding) -> tuple[int, Any, str, str, str]:
    """The order in which findings are shown: gravest first, then earliest."""
    return (finding.severity.rank, finding.first_at, finding.detector_id, finding.variant, finding.group_key)


def check_hits(detector_id: str, hits: ir.Table) -> None:
    """Refuse hits of another shape than `schema.HIT`.

    Raises:
        ValueError: A column is missing, added, out of order or of another type.
    """
    found = {name: dtype.copy(nullable=True) for name, dtype in hits.schema().items()}
    declared = dict(HIT.ibis_schema().items())
    if list(found.items()) != list(declared.items()):
        msg = f"detector {detector_id}: hits have the columns {found}; expected {declared}"
        raise ValueError(msg)


def _findings_of(detector: Detector, hits: pa.Table, tenant_of: Mapping[str, str]) -> list[Finding]:
    rows = hits.to_pylist()
    for row in rows:
        row["tenant"] = tenant_of.get(row["event_id"], NO_TENANT)
    rows.sort(key=_subject)
    return [_finding(detector, *subject, list(group)) for subject, group in groupby(rows, key=_subject)]


def _subject(row: dict[str, Any]) -> tuple[str, str, str]:
    return (row["variant"] or "", row["group_key"] or "", row["tenant"])


def _finding(
    detector: Detector, variant_name: str, group_key: str, tenant: str, rows: Sequence[dict[str, Any]]
) -> Finding:
    variant = detector.variants.get(variant_name)
    if variant is None or not group_key:
        msg = f"detector {detector.id}: hit of variant {variant_name!r} and group {group_key!r}; expected one of "
        raise ValueError(msg + ", ".join(detector.variants) + " and a group")
    evidence = tuple(
        Evidence(event_id=event_id, role=role, occurred_at=at)
        for at, event_id, role in sorted({(row["occurred_at"], row["event_id"], row["role"]) for row in rows})
    )
    seen = {
        "mailboxes": _texts(rows, "mailbox_upn"),
        "actors": _texts(rows, "actor_key"),
        "addresses": _texts([row for row in rows if row["ip_class"] == "public"], "client_ip"),
        "sessions": _texts(rows, "session_id"),
        "objects": _texts(rows, "object"),
    }
    event_ids = sorted({item.event_id for item in evidence})
    values: dict[str, Value] = {name: named(texts) for name, texts in seen.items()}
    values |= {f"n_{name}": len(texts) for name, texts in seen.items()}
    values |= {"subject": group_key, "records": named(event_ids), "n_records": len(event_ids)}
    values |= {"first_at": evidence[0].occurred_at, "last_at": evidence[-1].occurred_at}
    return Finding(
        id=_digest(detector.id, variant_name, group_key, *event_ids),
        detector_id=detector.id,
        variant=variant_name,
        group_key=group_key,
        title=filled(variant.title, values),
        severity=variant.severity,
        is_notice=variant.is_notice,
        attack=variant.attack,
        innocent=filled(variant.innocent, values),
        settles=filled(variant.settles, values),
        first_at=evidence[0].occurred_at,
        last_at=evidence[-1].occurred_at,
        evidence=evidence,
        case_keys=_case_keys(variant, group_key, seen),
        units=_texts(rows, "unit"),
        family=detector.family,
        weight=_weight(rows),
        tenant=tenant,
        **seen,
    )


def _weight(rows: Sequence[dict[str, Any]]) -> Weight | None:
    """The detector's own weight of a finding; None where it gives none."""
    weighed = [row for row in rows if row["weight_millibans"] is not None]
    if not weighed:
        return None
    heaviest = max(weighed, key=lambda row: (row["weight_millibans"], row["event_id"]))
    return Weight(
        bin=heaviest["bin"] or "",
        millibans=heaviest["weight_millibans"],
        f0_upper_ppb=heaviest["f0_upper_ppb"],
        n_reference=heaviest["n_reference"] or 0,
        basis="tenant",
    )


def _case_keys(variant: Variant, group_key: str, seen: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if variant.about == "application":
        return (f"application:{group_key.split('|', maxsplit=1)[0]}",)
    names = seen["addresses"] if variant.about == "address" else (seen["actors"] or seen["mailboxes"])
    return tuple(f"{variant.about}:{name}" for name in names) or (f"other:{group_key}",)


def _texts(rows: Sequence[dict[str, Any]], column: str) -> tuple[str, ...]:
    return tuple(sorted({row[column] for row in rows if row[column]}))


def named(texts: Sequence[str]) -> str:
    """Texts in one line: the first few by name, the rest as a number."""
    shown = ", ".join(texts[:SHOWN])
    return f"{shown} (+{len(texts) - SHOWN})" if len(texts) > SHOWN else shown or "–"


def filled(template: Phrase, values: dict[str, Value]) -> Phrase:
    """The phrase with those of the values that its template names."""
    fields = {field for _, field, _, _ in string.Formatter().parse(template.template) if field}
    return Phrase(template=template.template, values={name: values[name] for name in sorted(fields)})


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _state_of(
    detector: Detector, subjects: Callable[[], pa.Table] | None, found: int, unmet: tuple[str, ...]
) -> DetectorState:
    reason = next((_NEEDS[need] for need in detector.needs if need in unmet), None)
    blind = reason is not None
    if detector.limit is not None and subjects is not None:
        rows = subjects().to_pylist()
        without = sum(1 for row in rows if not row["assessable"])
        blind = bool(rows) and without == len(rows)
        if without:
            reason = filled(detector.limit.reason, {"n": without, "total": len(rows)})
    return DetectorState(
        detector_id=detector.id,
        title=detector.title,
        state="fired" if found else "not_assessable" if blind else "quiet",
        reason=reason,
        findings=found,
    )
