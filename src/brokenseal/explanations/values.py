"""An explanation as values: the raw facts behind each piece of evidence, so that a person can check it by hand.

None means "not in the logs" everywhere; it never means no, zero or a mismatch. Lists are cut, and beside each stands
how many there are.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - msgspec reads the annotations at run time
from dataclasses import dataclass
from typing import Literal

from brokenseal.wording import Phrase  # noqa: TC001


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One field of one record.

    Attributes:
        event_id: The record; None where the fact is that no record says so.
        column: Name of the column that keeps it.
        log_fields: Names that the logs give the field, as `schema` lists them; "" for what is worked out.
        value: As the store keeps it; times in ISO 8601.
    """

    event_id: str | None
    column: str
    log_fields: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedRecord:
    """A record that the explanation rests on, and where its text is kept.

    Attributes:
        input_path: The input as it was given, archive members behind `!`.
        record_no: Its number in that input, and the line of `evidence_file`, from 1.
        evidence_file: File in the folder of the store that keeps the recorded text.
        fields: Column of `schema.EVENT` to value.
    """

    event_id: str
    occurred_at: dt.datetime | None
    source: str | None
    operation: str | None
    input_path: str | None
    record_no: int | None
    evidence_file: str | None
    fields: dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one detector says of the unit.

    Attributes:
        bin: The detector's own class of strangeness; None unless it fired.
        meaning: That class in the detector's words.
        reason: Code of why it is not assessable.
        f0_upper_ppb: Upper 95 % bound of the share of authorised units that look so, parts per billion.
        n_reference: Authorised units behind the bound.
        basis: `tenant`, `calibration` (simulated tenants) or `none`.
        is_assumed: Whether the bound leans on an assumed bound of dependence instead of a joint count.
    """

    detector_id: str
    title: Phrase
    state: Literal["fired", "quiet", "not_assessable"]
    bin: str | None
    meaning: str | None
    reason: str | None
    f0_upper_ppb: int | None
    n_reference: int
    basis: Literal["tenant", "calibration", "none"]
    is_assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A sign-in, seen from a token.

    Attributes:
        after_s: Seconds from the token's time of issue to the sign-in; negative before it.
        issued_id: Token id or request id, by which a token can be found.
    """

    event_id: str
    occurred_at: dt.datetime
    category: str | None
    succeeded: bool | None
    actor: str | None
    app_id: str | None
    app_name: str | None
    client_ip: str | None
    issued_id: str | None
    after_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedToken:
    """One token of a unit.

    Attributes:
        token_id_raw: As recorded (`uti`).
        token_id: The request id that it decodes to; None where it is opaque or absent.
        form: How it was written.
        outcome: `issued` (a successful sign-in names it), `session_only` (one names its session), `orphan` (none
            does), or `cannot_tell`.
        reason: Code of why a missing sign-in would say nothing.
        event_id: First record that carries it.
        named_by: Sign-ins of anybody that name it, failures too.
        near: Sign-ins of this user within half an hour of its issue.
        nearest: The token issued to this user that lies nearest in time.
    """

    token_id_raw: str | None
    token_id: str | None
    form: str | None
    issued_at: dt.datetime | None
    first_at: dt.datetime
    last_at: dt.datetime
    records: int
    outcome: Literal["issued", "session_only", "orphan", "cannot_tell"]
    reason: str | None
    event_id: str
    named_by: tuple[SignIn, ...]
    near: tuple[SignIn, ...]
    n_near: int
    nearest: SignIn | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClass:
    """How often clients of this kind have no sign-in for their token, in the other mailboxes of the tenant.

    Attributes:
        provenance: The kind: application, protocol, origin and sort of account.
        episodes: First tokens of session clusters that could be judged.
        joined, session_only, orphans: What became of them; their sum is `episodes`.
        upper_ppb: Upper 95 % bound of the share of orphans, parts per billion.
        ceiling_ppb: Above this bound nothing is said.
    """

    provenance: str
    episodes: int
    joined: int
    session_only: int
    orphans: int
    upper_ppb: int
    ceiling_ppb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How long a sign-in that may still come has been missed, and how many come later than that.

    Attributes:
        token_id: Of the token that was issued first.
        waited_s: Seconds for which both logs of sign-ins go on after its issue.
        lags: Sign-ins whose delay is known, of the log that has fewer.
        later_ppb: Seconds of delay, and the upper 95 % bound of the share of sign-ins with more, parts per billion.
    """

    token_id: str
    waited_s: int
    lags: int
    later_ppb: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSide:
    """The tokens of a unit, those without a sign-in first.

    Attributes:
        waiting: Where a sign-in is missed that may still come, and it is known how late they come.
    """

    tokens: tuple[UsedToken, ...]
    n_tokens: int
    of_class: TokenClass | None
    refutes: Phrase
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Facts that cannot all be true, or seldom are: two, and a third where the check compares three.

    Attributes:
        bin: The check that fails.
        meaning: It in the detector's words.
        between_s: Seconds from the first fact to the second where both are times.
        records: Records of the unit for which this is the gravest check that fails.
    """

    bin: str
    meaning: str
    facts: tuple[Fact, ...]
    between_s: int | None
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSide:
    """The contradictions of a unit's tokens, gravest first."""

    contradictions: tuple[Contradiction, ...]
    refutes: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualClient:
    """A client that the mailbox had before the unit; `days` are those on which a session cluster of it began."""

    app: str
    network: str
    agent: str
    clusters: int
    days: int
    first_at: dt.datetime
    last_at: dt.datetime
    is_this: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPart:
    """One part of the unit's client.

    Attributes:
        part: `app`, `network`, `agent`, or `client` for the three together.
        value: What it is; "" for the client as a whole.
        millinats: Its surprisal in the mailbox, a thousand to a nat; None where it was not worked out.
        mailbox_clusters: Session clusters of this mailbox before with it.
        peers: Other mailboxes of the tenant that had it before.
        tenant_since: First seen in the tenant before this unit; None where this is the first.
    """

    part: Literal["app", "network", "agent", "client"]
    value: str
    millinats: int | None
    mailbox_clusters: int
    peers: int
    tenant_since: dt.datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A text and how many records carry it."""

    text: str | None
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSide:
    """The unit's client beside those that the mailbox knew before.

    Attributes:
        history_days, tenant_days: Days that the logs show the mailbox and the tenant before the unit.
        since_days: Days since this client's first visit to this mailbox; None where this is it.
        first_millinats: Surprisal of that first visit.
        addresses, agents: As the unit's records write them, most frequent first.
    """

    parts: tuple[ClientPart, ...]
    history_days: int
    tenant_days: int
    since_days: int | None
    first_millinats: int | None
    usual: tuple[UsualClient, ...]
    n_usual: int
    addresses: tuple[Counted, ...]
    n_addresses: int
    agents: tuple[Counted, ...]
    n_agents: int
    refutes: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangeHistory:
    """What strange clients had read before the unit: session clusters, how many of each class of volume, most on a day.

    The last is None where it was not worked out.
    """

    units: int
    bins: dict[str, int]
    busiest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSide:
    """What the unit read.

    Attributes:
        certain: Distinct messages that its records name.
        busiest_new: Most messages on one day that no usual client had read before; None where its client is usual.
        binds, syncs: Records of each kind.
        folders: Folders whose items it named.
        synced: Folders that went to it as a whole: everything in them is possible.
        is_throttled: The service stopped recording reads: the count is open upwards.
        unnamed: Binds that name no message.
    """

    certain: int
    busiest_new: int | None
    binds: int
    syncs: int
    unnamed: int
    folders: tuple[str, ...]
    n_folders: int
    synced: tuple[str, ...]
    n_synced: int
    is_throttled: bool
    of_mailbox: StrangeHistory
    of_tenant: StrangeHistory
    refutes: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """All that one network did under the session.

    Attributes:
        letter: A for the network that the account has used longest; those of Microsoft and none come last.
        since: The account's first read of mail or own sign-in from this network, in all logs; None where there is none.
        in_unit: Whether records of the unit are of this hand.
        only_agents: Agents that no other hand shows.
    """

    letter: str
    network: str
    since: dt.datetime | None
    records: int
    in_unit: bool
    addresses: tuple[str, ...]
    agents: tuple[str, ...]
    only_agents: tuple[str, ...]
    token_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Records of one hand and kind that follow each other.

    Attributes:
        kind: `read`, `send`, `change`, or the category of a sign-in.
        gap_s: Seconds since the step before ended; None for the first.
        event_id: Its first record.
    """

    hand: str
    kind: str
    first_at: dt.datetime
    last_at: dt.datetime
    gap_s: int | None
    records: int
    address: str | None
    agent: str | None
    app: str | None
    device_id: str | None
    protocol: str | None
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSide:
    """A session by hands and in time.

    Attributes:
        session_id: What the hands share; None where it is only a token.
        shared_token_ids: Token ids that more than one hand used.
        steps: Those around the unit's beginning where there are too many.
        places: Networks on days at which the account had signed in before; None where nobody asked for devices.
        device_places: Those of them at which a sign-in named a device.
    """

    session_id: str | None
    account: str | None
    shared_token_ids: tuple[str, ...]
    hands: tuple[Hand, ...]
    n_hands: int
    steps: tuple[Step, ...]
    n_steps: int
    refutes: Phrase
    places: int | None = None
    device_places: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of a change, before and after."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorStep:
    """One step of a chain.

    Attributes:
        what: `opened`, `used` or `removed`.
        event_id: The record of the change, or the first of a session cluster; None where only Microsoft Graph's own
            log shows the use.
        after_s: Seconds since the door was opened.
        in_case: Whether the unit is one of the explained.
    """

    what: Literal["opened", "used", "removed"]
    at: dt.datetime
    last_at: dt.datetime | None
    event_id: str | None
    actor: str | None
    mailbox: str | None
    app: str | None
    network: str | None
    records: int
    after_s: int
    in_case: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A door of the unit, or one that the unit went through."""

    event_id: str
    kind: str
    bin: str | None
    meaning: str | None
    operation: str | None
    actor: str | None
    client_ip: str | None
    network: str | None
    target: str | None
    grantee: str | None
    app_id: str | None
    app_name: str | None
    rights: tuple[str, ...]
    before: tuple[Setting, ...]
    n_before: int
    chain: tuple[DoorStep, ...]
    n_uses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSide:
    """The doors of a unit, strongest first."""

    doors: tuple[Door, ...]
    n_doors: int
    refutes: Phrase


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitExplanation:
    """One unit of the case with everything that speaks for or against it.

    Attributes:
        unit: Event id of its first record.
        standing: `opens`, `joins`, `follows` or `cited`; see `judged.UnitWeight`.
        millibans: 1,000 times the decimal logarithm of its e-value.
        cited: The records that this rests on, most telling first.
    """

    unit: str
    is_door: bool
    standing: Literal["opens", "joins", "follows", "cited"]
    millibans: int
    mailbox: str | None
    actor: str | None
    app: str | None
    network: str | None
    agent: str | None
    first_at: dt.datetime
    last_at: dt.datetime
    records: int
    answers: tuple[Answer, ...]
    token: TokenSide | None
    claims: ClaimSide | None
    client: ClientSide | None
    volume: VolumeSide | None
    session: SessionSide | None
    door: DoorSide | None
    cited: tuple[CitedRecord, ...]
    n_cited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFinding:
    """A finding of the case that is about no unit: it stands by its rule, and its records are all there is to check."""

    detector_id: str
    variant: str
    title: Phrase
    first_at: dt.datetime
    last_at: dt.datetime
    cited: tuple[CitedRecord, ...]
    n_cited: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A case, unit by unit, heaviest first.

    Attributes:
        findings: Its findings that are about no unit.
        simulated: The logs are of a tenant that Brokenseal made up.
        n_units: Units of the case; only the first are explained.
        threshold_millibans: Weight from which a unit opens a case.
        calibration: What the bounds were counted on, in words.
    """

    case_id: str
    simulated: bool
    threshold_millibans: int
    calibration: str
    units: tuple[UnitExplanation, ...]
    n_units: int
    findings: tuple[RuleFinding, ...]
    n_findings: int
