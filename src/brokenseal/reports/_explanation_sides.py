"""The parts of an explanation's screen, one per question that the evidence answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from brokenseal.reports._explanation_doors import door_parts
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
    reason_words,
    sentence,
    span,
    title,
    when,
)
from brokenseal.reports._explanation_sessions import session_parts
from brokenseal.wording import format_value, phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from brokenseal.explanations.values import (
        ClaimSide,
        ClientPart,
        ClientSide,
        Contradiction,
        Counted,
        Fact,
        SignIn,
        StrangeHistory,
        TokenClass,
        TokenSide,
        UnitExplanation,
        UsedToken,
        VolumeSide,
        Waiting,
    )
    from brokenseal.wording import Phrase

_BILLION: Final = 1_000_000_000


def side_parts(unit: UnitExplanation, lang: str) -> Iterator[RenderableType]:
    """Every question that the evidence of a unit answers."""
    if unit.token is not None:
        yield from _token_parts(unit.token, lang)
    if unit.claims is not None:
        yield from _claim_parts(unit.claims, lang)
    if unit.client is not None:
        yield from _client_parts(unit.client, lang)
    if unit.volume is not None:
        yield from _volume_parts(unit.volume, lang)
    if unit.session is not None:
        yield from session_parts(unit.session, lang)
    if unit.door is not None:
        yield from door_parts(unit.door, lang)


# ---------------------------------------------------------------- tokens


_OUTCOME: Final = {
    "issued": phrase("issued: a successful sign-in names it"),
    "session_only": phrase("no sign-in names it; one names its session"),
    "orphan": phrase("no sign-in names it, nor its session"),
    "cannot_tell": phrase("cannot be told"),
}


def _token_parts(side: TokenSide, lang: str) -> Iterator[RenderableType]:
    yield title(phrase("Was the token issued?"), lang)
    for token in side.tokens:
        yield from _token(token, lang)
    yield from more(len(side.tokens), side.n_tokens, lang)
    if side.waiting is not None:
        yield from _waiting(side.waiting, lang)
    if side.of_class is not None:
        yield from _token_class(side.of_class, lang)


def _waiting(found: Waiting, lang: str) -> Iterator[RenderableType]:
    """A sign-in that may still come: how long it has been missed, and how many come later."""
    yield line(
        phrase(
            "The sign-in of {token} may still come. Both logs of sign-ins go on for {waited} after its issue. Of {n} "
            "sign-ins, with this feed, at most so many came later (95 %): {later}.",
            token=of_log(found.token_id),
            waited=span(found.waited_s),
            n=found.lags,
            later=", ".join(f"{span(at)}: {_percent(share)}" for at, share in found.later_ppb),
        ),
        lang,
    )


def _token(token: UsedToken, lang: str) -> Iterator[RenderableType]:
    outcome = sentence(_OUTCOME[token.outcome], lang)
    if token.reason is not None:
        outcome.append(f" ({of_log(reason_words(token.reason, lang))})")
    decoded = log(token.token_id, lang)
    if token.form is not None:
        decoded.append(f"  [{of_log(token.form)}]")
    yield facts(
        (
            ("token_id_raw (uti)", log(token.token_id_raw, lang)),
            ("token_id", decoded),
            ("token_issued_at (iat)", when(token.issued_at, lang)),
            ("used", Text(from_to(token.first_at, token.last_at))),
            ("records", Text(format_value(token.records, lang))),
            ("sign-in", outcome),
        )
    )
    if token.named_by:
        yield line(phrase("Sign-ins that name it"), lang)
        yield from (_sign_in(row, lang) for row in token.named_by)
    if token.outcome != "issued" and token.issued_at is not None:
        yield from _around(token, lang)


def _around(token: UsedToken, lang: str) -> Iterator[RenderableType]:
    """Where its sign-in should have been."""
    yield line(phrase("Sign-ins of this user within 30 minutes of its issue: {n}", n=token.n_near), lang)
    yield from (_sign_in(row, lang) for row in token.near)
    yield from more(len(token.near), token.n_near, lang)
    if token.nearest is None:
        yield line(phrase("No token was issued to this user, as far as the logs show."), lang)
    else:
        yield line(phrase("The nearest token that was issued to this user"), lang)
        yield _sign_in(token.nearest, lang)


_RESULT: Final = {True: phrase("succeeded"), False: phrase("failed")}


def _sign_in(row: SignIn, lang: str) -> RenderableType:
    result = log(None, lang) if row.succeeded is None else sentence(_RESULT[row.succeeded], lang)
    # A display name is no proof of identity; the id stands beside it.
    app = row.app_id if row.app_name is None else f"{row.app_name} ({row.app_id or '–'})"
    told = joined(
        Text(span(row.after_s, signed=True), style="bold"),
        f"{minute(row.occurred_at, seconds=True)} UTC",
        Text.assemble(log(row.category, lang), ", ", result),
        log(row.client_ip, lang),
    )
    return bullet(Text("\n").join((told, log(app, lang), Text(of_log(row.event_id), style="dim"))))


def _token_class(found: TokenClass, lang: str) -> Iterator[RenderableType]:
    yield line(
        phrase(
            "Of {n} first tokens of clients of this kind in the other mailboxes, {joined} have a sign-in, "
            "{session_only} have one of their session alone, and {orphans} have none.",
            n=found.episodes,
            joined=found.joined,
            session_only=found.session_only,
            orphans=found.orphans,
        ),
        lang,
    )
    yield line(
        phrase(
            "So at most {upper} of them lack it (95 %); above {ceiling} a missing sign-in says nothing.",
            upper=_percent(found.upper_ppb),
            ceiling=_percent(found.ceiling_ppb),
        ),
        lang,
    )
    yield facts((("kind of client", log(found.provenance, lang)),))


def _percent(ppb: int) -> str:
    return f"{ppb / _BILLION * 100:.3g} %"


# ---------------------------------------------------------------- claims


def _claim_parts(side: ClaimSide, lang: str) -> Iterator[RenderableType]:
    yield title(phrase("Can the token's claims be true?"), lang)
    for found in side.contradictions:
        yield _contradiction(found, lang)


def _contradiction(found: Contradiction, lang: str) -> RenderableType:
    told = Text.assemble((of_log(found.bin), "bold"), ": ", of_log(found.meaning))
    told.append_text(Text.assemble("\n", sentence(phrase("records of this unit: {n}", n=found.records), lang)))
    for fact in found.facts:
        told.append_text(_fact(fact, lang))
    if found.between_s is not None:
        between = phrase("from the first to the second: {span}", span=span(found.between_s, signed=True))
        told.append_text(Text.assemble("\n", sentence(between, lang)))
    return bullet(told)


def _fact(fact: Fact, lang: str) -> Text:
    fields = f" ({fact.log_fields})" if fact.log_fields else ""
    return Text.assemble(
        "\n", (of_log(f"{fact.column}{fields}"), "dim"), "\n  ", log(fact.value, lang),
        *(() if fact.event_id is None else ("\n  ", (of_log(fact.event_id), "dim"))),
    )  # fmt: skip


# ---------------------------------------------------------------- clients


def _client_parts(side: ClientSide, lang: str) -> Iterator[RenderableType]:
    yield title(phrase("Is the client a stranger there?"), lang)
    yield from (_client_part(part, lang) for part in side.parts)
    yield line(
        phrase(
            "The logs show this mailbox for {history} day(s) and the tenant for {tenant} before it.",
            history=side.history_days,
            tenant=side.tenant_days,
        ),
        lang,
    )
    if side.since_days is not None:
        first = None if side.first_millinats is None else f"{side.first_millinats / 1000:.1f}"
        yield line(
            phrase(
                "This client's first visit was {days} day(s) before, with {nats} nats.",
                days=side.since_days,
                nats=first,
            ),
            lang,
        )
    yield from _counted(phrase("Addresses: {n}", n=side.n_addresses), side.addresses, side.n_addresses, lang)
    yield from _counted(phrase("Agents: {n}", n=side.n_agents), side.agents, side.n_agents, lang)
    yield line(
        phrase("Clients of this mailbox before, most used first and those of services last: {n}", n=side.n_usual), lang
    )
    for usual in side.usual:
        name = Text.assemble(of_log(client(usual.app)), "  ", of_log(usual.network), "  ", of_log(usual.agent))
        if usual.is_this:
            name.append_text(Text.assemble("  ", (say(phrase("(this one)"), lang), "bold")))
        counts = phrase(
            "session clusters: {clusters} on {days} day(s), {first_at} to {last_at}",
            clusters=usual.clusters,
            days=usual.days,
            first_at=minute(usual.first_at),
            last_at=minute(usual.last_at),
        )
        yield bullet(Text.assemble(name, "\n", sentence(counts, lang)))
    yield from more(len(side.usual), side.n_usual, lang)


_WHOLE: Final = phrase("together")


def _client_part(part: ClientPart, lang: str) -> RenderableType:
    name = Text.assemble((part.part, "dim"), "  ", of_log(client(part.value) if part.part == "app" else part.value))
    if part.part == "client":
        name = Text(say(_WHOLE, lang), style="bold")
    counts = phrase(
        "{nats} nats; before it, session clusters of this mailbox: {own}, other mailboxes: {peers}",
        nats=None if part.millinats is None else f"{part.millinats / 1000:.1f}",
        own=part.mailbox_clusters,
        peers=part.peers,
    )
    since = phrase("never before in the tenant")
    if part.tenant_since is not None:
        since = phrase("in the tenant since {since}", since=minute(part.tenant_since))
    return bullet(Text.assemble(name, "\n", sentence(counts, lang), "; ", sentence(since, lang)))


def _counted(head: Phrase, counted: Sequence[Counted], n: int, lang: str) -> Iterator[RenderableType]:
    yield line(head, lang)
    for each in counted:
        yield bullet(Text.assemble(log(each.text, lang), f"  × {format_value(each.records, lang)}"))
    yield from more(len(counted), n, lang)


# ---------------------------------------------------------------- volumes


def _volume_parts(side: VolumeSide, lang: str) -> Iterator[RenderableType]:
    yield title(phrase("How much left?"), lang)
    yield line(phrase("Certain messages: {certain}", certain=side.certain), lang)
    if side.busiest_new is not None:
        yield line(phrase("New to the mailbox's usual clients, on its busiest day: {n}", n=side.busiest_new), lang)
    yield line(
        phrase(
            "Records of single reads: {binds} ({unnamed} of them name no message); of folders fetched whole: {syncs}",
            binds=side.binds,
            unnamed=side.unnamed,
            syncs=side.syncs,
        ),
        lang,
    )
    yield from _folders(
        phrase("Folders whose messages it read: {n}", n=side.n_folders), side.folders, side.n_folders, lang
    )
    if side.syncs:
        head = phrase("Possible, everything in the folders fetched whole: {n}", n=side.n_synced)
        yield from _folders(head, side.synced, side.n_synced, lang)
    if side.is_throttled:
        yield line(phrase("The service stopped recording its reads: the count is open upwards."), lang)
    yield line(phrase("Strange clients of this mailbox before: {n}", n=side.of_mailbox.units), lang)
    yield from _history(side.of_mailbox, lang)
    yield line(phrase("Strange clients of the tenant's other mailboxes before: {n}", n=side.of_tenant.units), lang)
    yield from _history(side.of_tenant, lang)


def _folders(head: Phrase, folders: Sequence[str], n: int, lang: str) -> Iterator[RenderableType]:
    if n:
        yield line(head, lang)
        yield bullet(Text(" · ").join(Text(of_log(folder)) for folder in folders))
        yield from more(len(folders), n, lang)


def _history(found: StrangeHistory, lang: str) -> Iterator[RenderableType]:
    if not found.units:
        return
    bins = " · ".join(f"{name}: {count}" for name, count in found.bins.items())
    yield bullet(
        sentence(phrase("messages new to usual clients, by their busiest day: {bins}", bins=bins or "–"), lang)
    )
    if found.busiest is not None:
        yield bullet(sentence(phrase("most on one day: {n}", n=found.busiest), lang))
