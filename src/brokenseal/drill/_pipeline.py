"""One tenant's days through all layers, from what people want to the files and the truth.

What one day leaves to the next (the audit's memory) is bounded, so a span of days may begin anywhere: the days before
it are run through the layers once more, without being written.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from brokenseal.drill import calendar, clients, exchange_audit, exports, identity, intents, mailflow, tables, truth
from brokenseal.drill._mailboxes import build_mail
from brokenseal.drill.attacks import ATTACKS, Plan, Scene
from brokenseal.drill.changes import Planned
from brokenseal.drill.days import Day, lines_of
from brokenseal.drill.delivery import deliver
from brokenseal.drill.roster import roster_of
from brokenseal.drill.streams import stream
from brokenseal.drill.tables import CHANGE, INTENT, build, coded, numbers
from brokenseal.drill.truth_tables import TRUTH_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from brokenseal.drill._mailboxes import Mail
    from brokenseal.drill.attacks import Attack
    from brokenseal.drill.delivery import Law
    from brokenseal.drill.world import Tenant

_SENDS_ON: Final = frozenset({"inbox_rule", "transport_rule", "mailbox_forwarding"})
_SWITCHES: Final = frozenset({"audit_bypass", "audit_disabled", "mailbox_audit_disabled"})
_TRUTH: Final = tuple(column.name for column in TRUTH_COLUMNS)
_DAYS_KEPT: Final = 4


class Cast(NamedTuple):
    """One attack instance of a tenant, before it is planned; `campaign` is shared by those of other tenants."""

    instance: int
    attack_id: str
    stealth: int
    campaign: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Everything that the days of one tenant share.

    Attributes:
        tenant: The tenant.
        mail: Its mail.
        law: Its delivery.
        casts: Its attack instances.
        plans: What each of them does, in the same order.
        standing: Honest and other changes up to the end that send mail on or switch auditing off.
    """

    tenant: Tenant
    mail: Mail
    law: Law
    casts: tuple[Cast, ...]
    plans: tuple[Plan, ...]
    standing: pa.Table


def attack_of(attack_id: str) -> Attack:
    """The attack with this id."""
    return next(attack for attack in ATTACKS if attack.id == attack_id)


def set_stage(tenant: Tenant, law: Law, casts: Sequence[Cast], *, from_day: int, until_day: int) -> Stage:
    """Plan a tenant's attacks and gather what its days share.

    Args:
        tenant: The tenant.
        law: Its delivery.
        casts: Its attack instances.
        from_day: First day on which attacks may begin.
        until_day: End of the drill.
    """
    plans = tuple(
        attack_of(one.attack_id).plan(
            Scene(
                tenant=tenant,
                attack_id=one.attack_id,
                instance=one.instance,
                stealth=max(one.stealth, 1),
                rng=stream(tenant.seed, "tenant", tenant.tenant_no, "attack", one.attack_id, one.instance),
                campaign=stream(tenant.seed, "campaign", one.attack_id, one.campaign or 0),
                from_day=from_day,
                until_day=until_day,
            )
        )
        for one in casts
    )
    honest = intents.standing_changes(tenant, calendar.FIRST_DAY, until_day)
    theirs = [(deed.change, deed.visit) for plan in plans for deed in plan.deeds]
    rows = [one for one in honest if _stands(one)]
    standing = tables.concat(
        [
            _changes(rows, np.full(len(rows), -1), {}),
            *(_changes([change], np.array([-1]), visit) for change, visit in theirs if _stands(change)),
        ]
    )
    return Stage(tenant=tenant, mail=build_mail(tenant), law=law, casts=tuple(casts), plans=plans, standing=standing)


def _stands(change: Planned) -> bool:
    return bool(change.destinations and change.change in _SENDS_ON) or change.change in _SWITCHES


def _changes(made: Sequence[Planned], intent_id: Any, truth_of: dict[str, Any]) -> pa.Table:
    values: dict[str, Any] = {name: [getattr(one, name) for one in made] for name in Planned._fields}
    truths = {name: truth_of[name] for name in _TRUTH if name in truth_of}
    return build(CHANGE, len(made), {**values, "intent_id": intent_id, **truths})


# ---------------------------------------------------------------- visits of a day


class Visits(NamedTuple):
    """INTENT and CHANGE of one day, attacks included."""

    intents: pa.Table
    changes: pa.Table


@functools.lru_cache(maxsize=_DAYS_KEPT)
def visits_of(stage: Stage, day: int) -> Visits:
    """Everybody's visits of one day."""
    honest = intents.day_intents(stage.tenant, day)
    pieces, made = [honest], [intents.day_changes(stage.tenant, day)]
    plans = [plan.on(day, honest) for plan in stage.plans]
    for cast, plan in zip(stage.casts, plans, strict=True):
        deeds = [deed for deed in plan.deeds if deed.visit["day"] == day]
        rows = [one for one in plan.visits if one["day"] == day] + [deed.visit for deed in deeds]
        if rows:
            ids = intents.attack_ids(day, cast.instance, len(rows))
            pieces.append(_intents(rows, ids))
        if deeds:
            own = zip(deeds, ids[len(rows) - len(deeds) :], strict=True)
            made += [_changes([deed.change], np.array([number]), deed.visit) for deed, number in own]
    merged, changes = intents.merge(day, pieces, made)
    for cast, plan in zip(stage.casts, plans, strict=True):
        merged = _relabelled(merged, cast, plan, day)
    return Visits(merged, changes)


def _intents(rows: list[dict[str, Any]], ids: Any) -> pa.Table:
    columns = {name: [row.get(name, _default(name)) for row in rows] for name in INTENT.names if name != "intent_id"}
    return build(INTENT, len(rows), {**columns, "intent_id": ids})


@functools.cache
def _default(name: str) -> object:
    default = next(column.default for column in INTENT.columns if column.name == name)
    return None if default is tables.REQUIRED else default


def _relabelled(visits: pa.Table, cast: Cast, plan: Plan, day: int) -> pa.Table:
    """The visits, with those that the null control claims called an attack."""
    claimed = np.zeros(visits.num_rows, dtype=bool)
    for cluster in plan.relabelled:
        if cluster.day == day:
            claimed |= (
                (numbers(visits, "identity_no") == cluster.identity_no)
                & (numbers(visits, "mailbox_no") == cluster.mailbox_no)
                & (numbers(visits, "session_no") == cluster.session_no)
                & (numbers(visits, "truth_instance") < 0)
            )
    if not claimed.any():
        return visits
    for name, value in (("truth_attack_id", cast.attack_id), ("truth_stage", "read")):
        old = coded(visits, name)
        column = tables.Coded(np.where(claimed, len(old.words), old.codes).astype(np.int32), [*old.words, value])
        visits = _replaced(visits, name, column)
    return _replaced(visits, "truth_instance", np.where(claimed, cast.instance, numbers(visits, "truth_instance")))


def _replaced(table: pa.Table, name: str, column: object) -> pa.Table:
    rest = {one: table.column(one) for one in table.column_names if one != name}
    return build(INTENT, table.num_rows, {**rest, name: column})


# ---------------------------------------------------------------- the layers


class _Audited(NamedTuple):
    visits: Visits
    issued: identity.Issued
    actions: pa.Table
    audited: exchange_audit.Audited


def _layers(stage: Stage, day: int, memory: exchange_audit.Memory) -> _Audited:
    tenant = stage.tenant
    visits = visits_of(stage, day)
    before = [
        visits_of(stage, one).intents for one in range(max(day - identity.LOOK_BACK_DAYS, calendar.FIRST_DAY), day)
    ]
    issued = identity.issue(tenant, day, visits.intents, before)
    actions = clients.act(tenant, day, visits.intents, issued.uses, stage.mail)
    audited = exchange_audit.audit(
        tenant,
        day,
        intents=visits.intents,
        tokens=issued.tokens,
        actions=actions,
        changes=visits.changes,
        mail=stage.mail,
        memory=memory,
        switches=_standing(stage, day),
    )
    return _Audited(visits, issued, actions, audited)


def _standing(stage: Stage, day: int) -> pa.Table:
    at = numbers(stage.standing, "at_us")
    return stage.standing.filter(pa.array(at < stage.tenant.day_starts_us(day + 1)))


class Written(NamedTuple):
    """What one tenant and day gave: lines written (copies included), and its truth."""

    day: int
    lines: int
    truth: truth.DayTruth


def run_days(stage: Stage, folder: Path, *, from_day: int, until_day: int, blob_minutes: int) -> Iterator[Written]:
    """Write the exports of a span of days, one after the other.

    Args:
        stage: The tenant's stage.
        folder: The tenant's folder of exports.
        from_day: First day.
        until_day: First day after the last.
        blob_minutes: Minutes that one blob of the Management Activity API spans.

    Raises:
        OSError: As writing files does.
    """
    memory = exchange_audit.forgetful()
    first = max(from_day - exchange_audit.LOOK_BACK_DAYS, calendar.FIRST_DAY + identity.LOOK_BACK_DAYS)
    for day in range(first, until_day):
        done = _layers(stage, day, memory)
        memory = done.audited.memory
        if day >= from_day:
            yield _written(stage, day, done, folder, blob_minutes)


def _written(stage: Stage, day: int, done: _Audited, folder: Path, blob_minutes: int) -> Written:
    tenant, audited = stage.tenant, done.audited
    roster = roster_of(tenant, day)
    trace = mailflow.trace_lines(stage.mail, day, actions=done.actions, rules=_standing(stage, day))
    fates = _attack_fates(audited.fates, done.actions, stage)
    named = np.unique(np.concatenate([numbers(audited.items, "message_no"), numbers(fates, "message_no")]))
    tables_of_day = Day(
        tenant_no=tenant.tenant_no,
        day=day,
        starts_us=tenant.day_starts_us(day),
        intents=done.visits.intents,
        changes=done.visits.changes,
        tokens=done.issued.tokens,
        sign_ins=done.issued.lines,
        folders=stage.mail.folders,
        messages=mailflow.messages(stage.mail, named[named >= 0]),
        trace=trace,
        records=audited.records,
        items=audited.items,
        settings=audited.settings,
        graph=audited.graph,
        fates=fates,
    )
    delivered = deliver(lines_of(tables_of_day), stage.law, day=day)
    place = exports.Place(folder, stage.law, roster, tenant.parameters.log_epoch, blob_minutes)
    lines = exports.write_day(tables_of_day, delivered, place)
    found = truth.day_truth(tables_of_day, delivered, done.actions, roster)
    return Written(day, lines, found)


def _attack_fates(fates: pa.Table, actions: pa.Table, stage: Stage) -> pa.Table:
    """The fates of what attacks read, a synchronised folder as the messages in it."""
    own = fates.filter(pa.array(numbers(fates, "truth_instance") >= 0))
    return exchange_audit.expand_syncs(stage.mail, actions, own) if own.num_rows else own
