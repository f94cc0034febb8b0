"""A session on the screen of an explanation: its hands, and its steps in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from brokenseal.reports._explanation_parts import (
    bullet,
    client,
    facts,
    from_to,
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
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from brokenseal.explanations.values import Hand, SessionSide, Step


_MARK_WIDTH: Final = 3


def session_parts(side: SessionSide, lang: str) -> Iterator[RenderableType]:
    """The hands of a session by network, and what each did when."""
    agents = {agent: number for number, agent in enumerate(_agents(side), start=1)}
    yield title(phrase("Is the session in two hands?"), lang)
    yield facts((("session_id", log(side.session_id, lang)), ("account", log(side.account, lang))))
    if side.places is not None:
        said = phrase(
            "From the unit's network no sign-in names a device; before, sign-ins did at {named} of {places} places "
            "(networks on days)",
            named=side.device_places,
            places=side.places,
        )
        yield line(said, lang)
    for token_id in side.shared_token_ids:
        yield line(phrase("More than one hand used the token {token_id}", token_id=token_id), lang)
    for hand in side.hands:
        yield _hand(hand, agents, lang)
    yield from more(len(side.hands), side.n_hands, lang)
    yield line(phrase("Steps in time: {shown} of {n}", shown=len(side.steps), n=side.n_steps), lang)
    yield from (_step(step, agents, lang) for step in side.steps)


def _agents(side: SessionSide) -> Iterator[str]:
    """Every agent once, so that steps can name one by its number."""
    listed = (agent for hand in side.hands for agent in hand.agents)
    yield from dict.fromkeys((*listed, *(step.agent for step in side.steps if step.agent is not None)))


def _hand(hand: Hand, agents: Mapping[str, int], lang: str) -> RenderableType:
    told = Text.assemble((of_log(hand.network), "bold"), "  ", of_log(", ".join(hand.addresses)))
    since = phrase("this account's first use of it: {since}; records: {n}", since=minute(hand.since), n=hand.records)
    if hand.since is None:
        since = phrase("this account never read mail or signed in from it; records: {n}", n=hand.records)
    told.append_text(Text.assemble("\n", sentence(since, lang)))
    if hand.in_unit:
        told.append_text(Text.assemble("; ", (say(phrase("the unit is this hand's"), lang), "bold")))
    for agent in hand.agents:
        only = "  " + say(phrase("(no other hand)"), lang) if agent in hand.only_agents else ""
        told.append_text(Text.assemble("\n", (f"[{agents[agent]}] ", "dim"), of_log(agent), (only, "bold")))
    return bullet(told, mark=of_log(hand.letter)[:_MARK_WIDTH], style="bold", width=_MARK_WIDTH)


def _step(step: Step, agents: Mapping[str, int], lang: str) -> RenderableType:
    first = joined(
        from_to(step.first_at, step.last_at),
        Text("" if step.gap_s is None else span(step.gap_s, signed=True), style="bold"),
        Text.assemble((of_log(step.kind), "bold"), f" × {step.records}"),
        log(step.address, lang),
    )
    second = joined(
        log(client(step.app), lang),
        "" if step.agent is None else Text(f"[{agents[step.agent]}]", style="dim"),
        "" if step.device_id is None else Text.assemble(("device_id ", "dim"), of_log(step.device_id)),
        of_log(step.protocol),
    )
    return bullet(
        Text.assemble(first, "\n", second), mark=of_log(step.hand)[:_MARK_WIDTH], style="bold", width=_MARK_WIDTH
    )
