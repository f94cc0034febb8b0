"""A door on the screen of an explanation: what was changed, what was there before, and the chain in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from brokenseal.reports._explanation_parts import (
    bullet,
    client,
    facts,
    joined,
    line,
    log,
    minute,
    more,
    of_log,
    sentence,
    span,
    title,
)
from brokenseal.wording import phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from brokenseal.explanations.values import Door, DoorSide, DoorStep, Setting

_WHAT: Final = {"opened": phrase("opened"), "used": phrase("used"), "removed": phrase("removed")}


def door_parts(side: DoorSide, lang: str) -> Iterator[RenderableType]:
    """The doors of a unit, each with its chain."""
    yield title(phrase("Was a door opened?"), lang)
    for door in side.doors:
        yield from _door(door, lang)
    yield from more(len(side.doors), side.n_doors, lang)


def _door(door: Door, lang: str) -> Iterator[RenderableType]:
    yield Text.assemble((of_log(door.bin or door.kind), "bold"), ": ", of_log(door.meaning or ""))
    app = door.app_id if door.app_name is None else f"{door.app_name} ({door.app_id or '–'})"
    yield facts(
        (
            ("event_id", log(door.event_id, lang)),
            ("operation", log(door.operation, lang)),
            ("actor", log(door.actor, lang)),
            ("client_ip", log(door.client_ip, lang)),
            ("network", log(door.network, lang)),
            ("target", log(door.target, lang)),
            ("grantee", log(door.grantee, lang)),
            ("application", log(app, lang)),
            ("rights", log(", ".join(door.rights) or None, lang)),
        )
    )
    yield line(phrase("What was set, and what was there before: {n}", n=door.n_before), lang)
    for setting in door.before:
        yield _setting(setting, lang)
    yield from more(len(door.before), door.n_before, lang)
    yield line(phrase("Chain in time; session clusters that went through: {n}", n=door.n_uses), lang)
    yield from (_step(step, lang) for step in door.chain)
    if all(step.what != "removed" for step in door.chain):
        yield line(phrase("No record takes it away again."), lang)


def _setting(setting: Setting, lang: str) -> RenderableType:
    before = Text.assemble("  (", (say(phrase("before"), lang), "italic"), ": ", log(setting.old, lang), ")")
    return bullet(Text.assemble((of_log(setting.name), "dim"), "  ", log(setting.new, lang), before))


def _step(step: DoorStep, lang: str) -> RenderableType:
    told = joined(
        Text(say(_WHAT[step.what], lang), style="bold"),
        f"{minute(step.at, seconds=True)} UTC",
        Text("" if step.what == "opened" else span(step.after_s, signed=True), style="bold"),
        Text("") if step.event_id is None else log(step.actor, lang),
    )
    if step.what == "used" and step.event_id is not None:
        mailbox = phrase("mailbox {mailbox}; records: {n}", mailbox=step.mailbox, n=step.records)
        told.append_text(Text.assemble("\n", sentence(mailbox, lang), "\n"))
        told.append_text(joined(of_log(client(step.app)), of_log(step.network)))
    if step.event_id is None:
        told.append_text(Text.assemble("  ", say(phrase("a request in Microsoft Graph's own log"), lang)))
    else:
        told.append_text(Text.assemble("\n", (of_log(step.event_id), "dim")))
    if step.in_case:
        told.append_text(Text.assemble("  ", (say(phrase("(explained here)"), lang), "bold")))
    return bullet(told)
