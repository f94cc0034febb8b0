"""Passwords and certificates added to applications, with which anybody can act as the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from brokenseal.detectors import illicit_consent
from brokenseal.detectors._changes import WHO, done
from brokenseal.detectors._hits import as_hits, rows_of
from brokenseal.model import Detector, Severity, Variant
from brokenseal.wording import phrase

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from brokenseal.model import Tables

READS = {
    "config_changes": (*WHO, "rights", "object_id", "changed_app_id", "changed_app_name", "is_admin_consent"),
    "change_settings": ("event_id", "name_key", "new_value", "old_value"),
}


def find(tables: Tables) -> ir.Table:
    """Credentials added, by application; one that was only removed opens no door."""
    added = done(tables, READS, "app_credential").anti_join(_removals(tables), "event_id")
    names = _ids_by_name(tables)
    added = added.left_join(names, added.changed_app_name == names.known_name)
    app = ibis.coalesce(added.changed_app_id, added.known_id, added.changed_app_name, added.object_id, added.event_id)
    added = added.mutate(app=app)
    mail_apps = illicit_consent.mail_grants(tables)
    mail_apps = mail_apps.select(mail_app=mail_apps.app).distinct()
    added = added.left_join(mail_apps, added.app == mail_apps.mail_app)
    return as_hits(
        added,
        group_key=added.app,
        variant=ibis.ifelse(added.mail_app.notnull(), "on_mail_app", "added"),
        role="credential",
        about=added.changed_app_name,
    )


def _removals(tables: Tables) -> ir.Table:
    """Changes after which the application's list of credentials is shorter than before."""
    settings = rows_of(tables, READS, "change_settings")
    settings = settings.filter(settings.name_key == "keydescription")
    shorter = settings.new_value.fill_null("").length() < settings.old_value.fill_null("").length()
    return settings.filter(shorter).select("event_id").distinct()


def _ids_by_name(tables: Tables) -> ir.Table:
    """Names that stand for one application id only: the directory's own records often lack the id."""
    changes = rows_of(tables, READS, "config_changes")
    changes = changes.filter(changes.changed_app_id.notnull(), changes.changed_app_name.notnull())
    names = changes.group_by(known_name=changes.changed_app_name).aggregate(
        known_id=changes.changed_app_id.min(), ids=changes.changed_app_id.nunique()
    )
    return names.filter(names.ids == 1).drop("ids")


_SETTLES = phrase("Ask the owner of the application whether the password or certificate is theirs; if not, remove it.")
_INNOCENT = phrase("Passwords of applications run out and are renewed by their owners.")

DETECTOR = Detector(
    id="config.app_credential",
    title=phrase("Credentials added to applications"),
    reads=READS,
    needs=("configuration",),
    silent_without=("configuration",),
    variants={
        "on_mail_app": Variant(
            title=phrase("{actors} added a credential to the application {objects}, which may read mail ({subject})"),
            severity=Severity.HIGH,
            attack=("T1098.001",),
            innocent=_INNOCENT,
            settles=_SETTLES,
            about="application",
        ),
        "added": Variant(
            title=phrase("{actors} added a credential to the application {objects} ({subject})"),
            severity=Severity.MEDIUM,
            attack=("T1098.001",),
            innocent=_INNOCENT,
            settles=_SETTLES,
            about="application",
            is_notice=True,
        ),
    },
    find=find,
)
