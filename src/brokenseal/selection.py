"""Which mail accesses a question is about: all of them, one case, one application, one session and so on.

What a person types is brought to the form in which ingest stored it, so that any way of writing an
address, an application or a token id finds the same records.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from brokenseal.errors import UsageError
from brokenseal.fields import address, canonical_token_id, identifier

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

Identifier: TypeAlias = Literal["app", "session", "token", "ip", "mailbox"]
"""Kinds of selection that a person types as one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """A rule or setting that sent mail on, for as long as it stood.

    Attributes:
        event_ids: Records of its making and, where one shows it, of its end; sorted.
        mailboxes: Folded addresses whose mail it sent on; empty for a transport rule, which takes all of `domains`.
        domains: Domains of the organisation; empty where they are not known.
        destinations: Folded addresses that it sent to.
        first_at: When it was made.
        last_at: When it ended; None where no record shows that.
        conditions: (folded parameter, value) of each condition; all have to hold.
    """

    event_ids: tuple[str, ...]
    mailboxes: frozenset[str]
    domains: frozenset[str]
    destinations: frozenset[str]
    first_at: dt.datetime
    last_at: dt.datetime | None
    conditions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDoor:
    """A right by which mail can be read beside the sessions of a case, for as long as it stood.

    Attributes:
        kind: As in `config.open_door`, such as `app_mail_role`.
        event_ids: Records of its opening and, where one shows it, of its closing; sorted.
        mailbox: Folded address or key of the one mailbox that it opens; None where it opens any.
        holder: Application or account that holds the right, as the log names it; None where it names none.
        first_at: When it was opened.
        last_at: When it was closed; None where no record shows that.
    """

    kind: str
    event_ids: tuple[str, ...]
    mailbox: str | None
    holder: str | None
    first_at: dt.datetime
    last_at: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One choice of mail accesses; made by `everything`, `of_events` or `by`.

    Attributes:
        kind: `all`, `case`, or one of `Identifier`.
        value: The identifier in the form in which ingest stores it; for a case its id; empty for `all`.
        event_ids: Records of a case; empty for every other kind.
        sessions, apps: Sessions and applications of a case whose accesses all belong to it.
        mailboxes: Mailboxes that a case names (address, GUID or `upn:` key). They add no access; those for
            which the logs hold no MailItemsAccessed are stated as unknowable.
        doubtful: Records of a case that may be its victims' own: what they alone list is possible and not certain.
            None of them is in `event_ids`.
        forwardings: Rules of a case that sent mail on.
        doors: Rights of a case by which mail can be read.
        changes: Records of changes that a case cites; those that switch auditing off are stated, whoever read.
    """

    kind: Literal["all", "case"] | Identifier
    value: str = ""
    event_ids: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    mailboxes: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    forwardings: tuple[Forwarding, ...] = ()
    doors: tuple[OpenDoor, ...] = ()
    changes: frozenset[str] = frozenset()

    @classmethod
    def everything(cls) -> Selection:
        """Every mail access in the logs."""
        return cls(kind="all")

    @classmethod
    def of_events(
        cls,
        case_id: str,
        event_ids: Iterable[str],
        *,
        sessions: Iterable[str] = (),
        apps: Iterable[str] = (),
        mailboxes: Iterable[str] = (),
        doubtful: Iterable[str] = (),
        forwardings: Iterable[Forwarding] = (),
        doors: Iterable[OpenDoor] = (),
        changes: Iterable[str] = (),
    ) -> Selection:
        """The mail accesses of a case: those listed, and all under the sessions and applications given.

        A record that is listed and doubtful is listed.
        """
        listed = frozenset(event_ids)
        return cls(
            kind="case",
            value=case_id,
            event_ids=listed,
            sessions=frozenset(sessions),
            apps=frozenset(apps),
            mailboxes=frozenset(mailboxes),
            doubtful=frozenset(doubtful) - listed,
            forwardings=tuple(forwardings),
            doors=tuple(doors),
            changes=frozenset(changes),
        )

    @classmethod
    def by(cls, kind: str, value: str) -> Selection:
        """The mail accesses that carry one identifier, in whatever form it is written.

        Raises:
            UsageError: `kind` is no `Identifier`, or `value` is empty or cannot be one (an address that is none).
        """
        if kind not in get_args(Identifier):
            raise UsageError(place="selection", value=kind, expected=f"one of {', '.join(get_args(Identifier))}")
        stored = _stored_form(kind, value)
        if stored is None:
            raise UsageError(place=f"--{kind}", value=value, expected=_EXPECTED[kind])
        return cls(kind=cast("Identifier", kind), value=stored)

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".rstrip()


_EXPECTED = {
    "app": "an application id",
    "session": "a session id",
    "token": "a token id in any of its forms",
    "ip": "an IPv4 or IPv6 address",
    "mailbox": "the address or the GUID of a mailbox",
}


def _stored_form(kind: str, value: str) -> str | None:
    """The identifier as ingest stores it, or None where the text cannot be one."""
    if kind == "ip":
        found, ip_class = address(value)
        return None if ip_class == "invalid" else found
    if kind == "token":
        # An opaque token id has no GUID; it can only be found as it was written, where case matters.
        found, _ = canonical_token_id(value)
        return found or value.strip() or None
    if kind == "app":
        # `proto:` and a client type stand in `effective_app` in the case in which Exchange writes the type.
        return value.strip() if value.strip().startswith("proto:") else identifier(value)
    return identifier(value)


def selected(accesses: ir.Table, selections: Sequence[Selection]) -> ir.Table:
    """The rows that each selection means.

    Args:
        accesses: Rows of `schema.MAIL_ACCESS`, or of `schema.EVENT`, which has the same identifying columns.
        selections: What is asked for; at least one.
    Returns: Rows with the same columns and `selection_no`, the position of the selection from 0, and `is_doubtful`;
        each row at most once per selection that means it.
    """
    import ibis

    listing: dict[int, Selection] = {}
    parts = []
    for number, selection in enumerate(selections):
        if selection.kind == "all":
            found = accesses
        elif selection.kind == "case":
            listing[number] = selection
            if not selection.sessions and not selection.apps:
                continue
            found = _under(accesses, selection)
        else:
            found = accesses.filter(_carries(accesses, selection.kind, selection.value))
        parts.append(found.mutate(selection_no=ibis.literal(number, "int64"), is_doubtful=ibis.literal(value=False)))
    if listing:
        # A case can hold more ids than a query text should, so they travel as a table.
        listed = accesses.inner_join(_ids_by_selection(listing), "event_id")
        parts.append(listed.select(*accesses.columns, "selection_no", "is_doubtful"))
    return parts[0].union(*parts[1:]) if len(parts) > 1 else parts[0]


def _carries(accesses: ir.Table, kind: Identifier, value: str) -> ir.BooleanValue:
    if kind == "session":
        return accesses.session_id == value
    if kind == "ip":
        return accesses.client_ip == value
    if kind == "token":
        return (accesses.token_id == value) | (accesses.token_id_raw == value)
    if kind == "mailbox":
        return accesses.mailbox_key.isin([value, f"upn:{value}"]) | (accesses.mailbox_upn == value)
    return (accesses.effective_app == value) | (accesses.client_app_id == value) | (accesses.app_id == value)


def _under(accesses: ir.Table, selection: Selection) -> ir.Table:
    """The rows under the sessions and applications of a case that are not among those it lists, as doubtful or not."""
    import ibis

    false = ibis.literal(value=False)
    under = ibis.or_(
        accesses.session_id.isin(sorted(selection.sessions)) if selection.sessions else false,
        accesses.effective_app.isin(sorted(selection.apps)) if selection.apps else false,
    )
    return accesses.filter(under).anti_join(id_table(selection.event_ids | selection.doubtful), "event_id")


def id_table(event_ids: Iterable[str]) -> ir.Table:
    """Event ids as a one-column table (`event_id`, string), sorted, each once."""
    import ibis
    import pyarrow as pa

    return ibis.memtable(pa.table({"event_id": pa.array(sorted(set(event_ids)), pa.string())}))


def _ids_by_selection(listing: Mapping[int, Selection]) -> ir.Table:
    """Which event ids each selection lists: event_id, selection_no, is_doubtful."""
    import ibis
    import pyarrow as pa

    rows = sorted(
        (event_id, number, is_doubtful)
        for number, selection in listing.items()
        for is_doubtful, event_ids in ((False, selection.event_ids), (True, selection.doubtful - selection.event_ids))
        for event_id in event_ids
    )
    columns = {
        "event_id": pa.array([event_id for event_id, _, _ in rows], pa.string()),
        "selection_no": pa.array([number for _, number, _ in rows], pa.int64()),
        "is_doubtful": pa.array([is_doubtful for _, _, is_doubtful in rows], pa.bool_()),
    }
    return ibis.memtable(pa.table(columns))
