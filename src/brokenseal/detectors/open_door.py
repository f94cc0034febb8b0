"""Did someone open a lasting door to the mail, who, from where, and did anybody go through it?

A door is a change of configuration that outlives the session in which it was made: a right, a role, a consent, a
credential, a forwarding. Doors are units of their own; session clusters that go through one within a week are marked
too, so that what was opened and what was read meet in one case.

Sources: ATT&CK T1098, T1114.003, T1528, T1484.002, T1556.006, T1562.008; Microsoft Purview, "Audit log activities".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import ibis

from brokenseal.clusters import members_of
from brokenseal.detectors import _door_openings, _door_uses
from brokenseal.detectors._door_kinds import BINS, KINDS, OF_APPLICATIONS, bin_of, rank_of, used
from brokenseal.detectors._hits import HOUR_S, as_hits
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import Phrase, phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

    from brokenseal.model import Parts, Tables

ID: Final = "config.open_door"
READS = {**_door_openings.READS, **_door_uses.READS}
FAST_S: Final = HOUR_S
"""A door that is used so soon was opened to be used."""

_CLOSABLE = tuple(name for name, kind in KINDS.items() if "closed" in kind.use)
_ABOUT_APPLICATIONS = (*OF_APPLICATIONS, "app_owner", "other_consent")


JUDGED: Final = "judged_doors"
"""Under this name a runner hands over what `_doors_with_use` gives."""


def parts(tables: Tables) -> Parts:
    """What `doors`, `uses`, `mark` and `find` share; see `model.Parts`.

    All of it is small: the changes that open a door, and the session clusters that went through one.
    """
    return {
        _door_openings.NAME: lambda: _door_openings.openings_of(tables),
        _door_uses.NAME: lambda: _reading(tables),
        JUDGED: lambda: _doors_with_use(tables),
    }


def _reading(tables: Tables) -> ir.Table:
    """All reading through any door; see `uses`."""
    return _door_uses.uses_of(_door_openings.openings_of(tables), tables)


def _judged(tables: Tables) -> tuple[ir.Table, ir.Table]:
    """All doors, one per record, and all reading through any; see `doors` and `uses`."""
    given = tables.get(JUDGED)
    return _doors_with_use(tables) if given is None else given, _reading(tables)


def _doors_with_use(tables: Tables) -> ir.Table:
    """All doors, one per record, with `use`, `rank`, `bin` and `use_cluster`."""
    opened, reading = _door_openings.openings_of(tables), _reading(tables)
    apps = _door_uses.door_apps(opened, tables)
    shut = _door_uses.closed(opened, reading, tables).select(shut_event="event_id", shut_kind="kind")
    firsts = reading.group_by(used_event="event_id", used_kind="kind").aggregate(used_at=reading.first_at.min())
    names = apps.group_by(app_event="event_id").aggregate(app=apps.app.min())
    rows = opened.left_join(firsts, [opened.event_id == firsts.used_event, opened.kind == firsts.used_kind])
    rows = rows.left_join(shut, [rows.event_id == shut.shut_event, rows.kind == shut.shut_kind])
    rows = rows.left_join(names, rows.event_id == names.app_event)
    rows = rows.left_join(_first_clusters(reading), ["event_id", "kind"])
    delay_s = rows.used_at.delta(rows.occurred_at, unit="second")
    use = ibis.cases(
        (rows.used_at.isnull(), "none"),
        (rows.kind.isin(_CLOSABLE) & rows.shut_event.notnull(), "closed"),
        (delay_s <= FAST_S, "fast"),
        else_="week",
    )
    rows = rows.mutate(use=use)
    rows = rows.mutate(rank=rank_of(rows), bin=ibis.ifelse(rows.actor_key.notnull(), bin_of(rows), ibis.null("string")))
    # One record may open several doors; its strongest speaks for it.
    of_record = ibis.window(group_by="event_id", order_by=[rows["rank"], rows.mailbox, rows.grantee_key, rows.about])
    rows = rows.mutate(place_in_record=ibis.row_number().over(of_record))
    return rows.filter(rows.place_in_record == 0)


def _first_clusters(reading: ir.Table) -> ir.Table:
    """The first session cluster that went through each door: event_id, kind, use_cluster."""
    reading = reading.filter(reading.cluster.notnull())
    in_order = ibis.window(group_by=["event_id", "kind"], order_by=[reading.first_at, reading.cluster])
    reading = reading.mutate(number=ibis.row_number().over(in_order))
    return reading.filter(reading.number == 0).select("event_id", "kind", use_cluster="cluster")


def doors(tables: Tables) -> ir.Table:
    """Every door, one row per record that opens any.

    Returns: unit (the event id of the change), tenant_id, actor_key, network (null where the record has no address),
        kind, target_key (folded name of what was changed), grantee_key, app (application id; the first of several that
        bear its name), occurred_at, bin (null where no actor is named), use_cluster (the first session cluster that
        went through it; `uses` names all).
    """
    rows, _ = _judged(tables)
    return rows.select(
        "tenant_id",
        "actor_key",
        "network",
        "kind",
        "target_key",
        "grantee_key",
        "app",
        "occurred_at",
        "bin",
        "use_cluster",
        unit=rows.event_id,
    ).relocate("unit")


def units(tables: Tables) -> pa.Table:
    """The doors as units that are weighed: unit, tenant_id, mailbox_key (who made the change), network."""
    rows = doors(tables)
    return rows.select("unit", "tenant_id", "network", mailbox_key=rows.actor_key).order_by("unit").to_pyarrow()


def uses(tables: Tables) -> ir.Table:
    """Every session cluster that went through a door within a week, with each such door.

    Returns: cluster, unit (of the door), bin and rank (of the door; 0 is the strongest), distinct.
    """
    rows, reading = _judged(tables)
    return _used(rows, reading)


def _used(rows: ir.Table, reading: ir.Table) -> ir.Table:
    reading = reading.filter(reading.cluster.notnull()).select("event_id", "kind", "cluster").distinct()
    linked = reading.inner_join(
        rows.filter(rows.bin.notnull()).select("event_id", "kind", "bin", "rank"), ["event_id", "kind"]
    )
    return linked.select("cluster", "bin", "rank", unit=linked.event_id)


def _strongest(linked: ir.Table) -> ir.Table:
    """The strongest door of each session cluster: cluster, unit, bin (of the door), rank."""
    in_order = ibis.window(group_by="cluster", order_by=[linked["rank"], linked.unit])
    linked = linked.mutate(number=ibis.row_number().over(in_order))
    return linked.filter(linked.number == 0).drop("number")


def mark(tables: Tables) -> ir.Table:
    """One row per door, and one per session cluster that went through one; see `schema.MARK`."""
    rows, reading = _judged(tables)
    named = rows.bin.notnull()
    of_doors = rows.select(
        unit=rows.event_id,
        state=ibis.ifelse(named, "fired", "not_assessable"),
        bin=rows.bin,
        reason=ibis.ifelse(named, ibis.null("string"), "no_actor"),
    )
    strongest = _strongest(_used(rows, reading))
    of_clusters = strongest.select(
        unit=strongest.cluster,
        state=ibis.literal("fired"),
        bin=used(strongest.bin),
        reason=ibis.null("string"),
    )
    return of_doors.union(of_clusters).mutate(
        weight_millibans=ibis.null("int64"), f0_upper_ppb=ibis.null("int64"), n_reference=ibis.null("int64")
    )


def find(tables: Tables) -> ir.Table:
    """The records of each door and of the reading through it, by unit."""
    rows, reading = _judged(tables)
    rows = rows.filter(rows.bin.notnull())
    of_doors = rows.select("event_id", unit=rows.event_id, unit_bin=rows.bin, cluster=rows.use_cluster)
    strongest = _strongest(_used(rows, reading))
    of_clusters = strongest.select(
        event_id=strongest.unit, unit=strongest.cluster, unit_bin=used(strongest.bin), cluster=strongest.cluster
    )
    units = of_doors.union(of_clusters)
    wanted = tables.get("wanted_units")
    if wanted is not None:
        units = units.semi_join(wanted, "unit")
    cited = rows.drop("bin").inner_join(units, "event_id")
    read = members_of(tables).select(
        "event_id", "occurred_at", "mailbox_upn", "actor_key", "client_ip", "ip_class", "session_id", cluster="cluster"
    )
    through = cited.select("unit", "unit_bin", "kind", "app", "app_name", "about", through="cluster")
    through = through.inner_join(read, through.through == read.cluster)
    return _hits(cited, "door", cited.mailbox).union(_hits(through, "use", through.mailbox_upn)).distinct()


def _hits(rows: ir.Table, role: str, mailbox: ir.StringValue) -> ir.Table:
    app = ibis.coalesce(rows.app, rows.app_name, rows.about, "").concat("|", rows.unit)
    return as_hits(
        rows,
        group_key=ibis.ifelse(rows.kind.isin(_ABOUT_APPLICATIONS), app, rows.unit),
        variant=rows.kind,
        role=role,
        about=rows.about,
        mailbox=mailbox,
        weight={"unit": rows.unit, "bin": rows.unit_bin},
    )


_ADMINISTRATION = phrase("Administrators do this every week; few do it from a strange place or use it at once.")
_APPLICATIONS = phrase("Applications that the house has bought are set up in just this way.")
_OWNERS = phrase("People do this with their own mail and accounts.")
_ASK = phrase("Ask the one who made the change for the reason, over another channel, and undo it where there is none.")
_VOUCH = phrase("Find somebody who can vouch for the application; where nobody can, take its rights and keys away.")


def _variant(severity: Severity, attack: tuple[str, ...], title: Phrase, innocent: Phrase) -> Variant:
    return Variant(title=title, severity=severity, attack=attack, innocent=innocent, settles=_ASK, is_notice=True)


def _application(severity: Severity, attack: tuple[str, ...], title: Phrase) -> Variant:
    return Variant(
        title=title,
        severity=severity,
        attack=attack,
        innocent=_APPLICATIONS,
        settles=_VOUCH,
        is_notice=True,
        about="application",
    )


DETECTOR = Detector(
    id=ID,
    title=phrase("Lasting doors to the mail"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    family="door",
    mark=mark,
    bins=BINS,
    variants={
        "federation": _variant(
            Severity.CRITICAL,
            ("T1484.002", "T1606.002"),
            phrase("{actors} handed the domain {objects} to another identity provider"),
            phrase("Moves to or from AD FS and yearly certificate renewals look the same."),
        ),
        "impersonation": _application(
            Severity.HIGH, ("T1098.002", "T1098.003"), phrase("The right to act as any mailbox was given to {objects}")
        ),
        "app_mail_role": _application(
            Severity.HIGH, ("T1098.003",), phrase("The application {objects} was given a role that opens mail")
        ),
        "credential": _application(
            Severity.HIGH, ("T1098.001",), phrase("The application {objects} was given a password or certificate")
        ),
        "mailbox_right": _variant(
            Severity.MEDIUM,
            ("T1098.002",),
            phrase("A right to the mail of {mailboxes} was given to {objects}"),
            phrase("Assistants, shared mailboxes and leavers' mailboxes are set up in just this way."),
        ),
        "mail_consent": _application(
            Severity.MEDIUM, ("T1528",), phrase("The application {objects} was allowed to read mail for somebody")
        ),
        "folder_right": _variant(
            Severity.LOW,
            ("T1098.002", "T1137.005"),
            phrase("A right to a mail folder of {mailboxes} was given to {objects}"),
            phrase("Colleagues who stand in for each other share folders."),
        ),
        "forward_out": _variant(
            Severity.HIGH,
            ("T1114.003",),
            phrase("{actors} made mail leave the organisation, to {objects}"),
            phrase("People on leave forward their mail, and archives and gateways work by such rules."),
        ),
        "hiding_rule": _variant(
            Severity.MEDIUM, ("T1564.008",), phrase("{actors} made a rule that hides mail: {objects}"), _OWNERS
        ),
        "role": _variant(
            Severity.HIGH, ("T1098.003",), phrase("{actors} gave an administrator's role: {objects}"), _ADMINISTRATION
        ),
        "audit_off": _variant(
            Severity.HIGH,
            ("T1562.008",),
            phrase("{actors} switched auditing off: {objects}"),
            phrase("Backup and migration accounts are exempted from auditing because of their volume."),
        ),
        "app_owner": _application(
            Severity.MEDIUM, ("T1098.001",), phrase("The application {objects} was given an owner")
        ),
        "strong_auth": _variant(
            Severity.LOW, ("T1556.006", "T1098.005"), phrase("{actors} changed a second factor of {objects}"), _OWNERS
        ),
        "other_consent": _application(
            Severity.LOW, ("T1528",), phrase("{actors} allowed the application {objects} to act for them")
        ),
    },
    find=find,
)
