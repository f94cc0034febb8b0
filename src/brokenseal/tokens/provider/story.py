"""The whole story of a forged token, on a simulated provider: forged, shown, read with, logged, found, and refused.

Every sentence is computed from what the servers answered, what stands in the logs, and what the product made of them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from brokenseal.store import Store
from brokenseal.tokens.provenance import subject_of
from brokenseal.tokens.provider.client import Line
from brokenseal.tokens.provider.days import Desk, agenda, desks_of
from brokenseal.tokens.provider.exports import make_room, write_exports, write_keys
from brokenseal.tokens.provider.gates import Build
from brokenseal.tokens.provider.identity import access_claims
from brokenseal.tokens.provider.keys import signed_token
from brokenseal.tokens.provider.server import serving
from brokenseal.tokens.provider.tenant import EXCHANGE, OWA, SYNC, drawn_guid, drawn_request_id
from brokenseal.tokens.provider.world import Clock, World, make_world
from brokenseal.tokens.trace import Trace, trace
from brokenseal.wording import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from brokenseal.ingest import IngestResult
    from brokenseal.model import CaseDocument, Finding
    from brokenseal.settings import Settings
    from brokenseal.tokens.provider.client import Reply
    from brokenseal.tokens.provider.tenant import Person

START: Final = dt.datetime(2025, 3, 3, tzinfo=dt.UTC)
"""A Monday. The story takes three working weeks; the intruder comes on the Wednesday of the third."""
DAYS: Final = 19
_INTRUSION: Final = START + dt.timedelta(days=16, hours=8, minutes=17)
_RETIRED: Final = START + dt.timedelta(days=18, hours=20)
_INTRUDER: Final = "203.0.113.77"
_INTRUDER_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/106.0.0.0 Safari/537.36 Edg/106.0.1370.52"
)
_FORGED_LIFETIME_S = 75 * 60
_VICTIM, _BY_WEB, _BY_SCRIPT = 2, 6, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the story: its name, what happened in words, and the facts that the words were made of."""

    name: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Stage:
    """What the steps share."""

    folder: Path
    build: Build
    settings: Settings
    investigate: Callable[[Sequence[Path], Settings], tuple[IngestResult, CaseDocument]]
    world: World
    clock: Clock
    rng: random.Random
    lines: Mapping[Build, Line]
    claims: dict[str, Any] = field(default_factory=dict)
    forged: str = ""
    taken: list[str] = field(default_factory=list)
    desks: tuple[Desk, ...] = ()

    @property
    def line(self) -> Line:
        """The connection to the build that the story is about."""
        return self.lines[self.build]

    @property
    def victim(self) -> Person:
        """Whose mail is read."""
        return self.world.tenant.people[_VICTIM]


def tell(
    folder: Path,
    *,
    build: Build,
    seed: int,
    settings: Settings,
    investigate: Callable[[Sequence[Path], Settings], tuple[IngestResult, CaseDocument]],
) -> Iterator[Step]:
    """Act the story out on real servers, step by step.

    Args:
        folder: Where exports, keys, the forged token and the store go; new or empty.
        build: The build that the tenant's mail stands behind; every token is shown to the other build too.
        seed: What people, mail and ids are drawn from. Keys are always new.
        settings: Settings of the store that the exports are read into.
        investigate: Reads exports into a store and gives the document, as `investigate.investigate` does.

    Raises:
        UsageError: The folder holds something already, or cannot be written.
    """
    make_room(folder)
    clock = Clock(START)
    world = make_world(seed, clock=clock)
    with contextlib.ExitStack() as stack:
        ports = {each: stack.enter_context(serving(world.providers[each])) for each in Build}
        stage = _Stage(
            folder=folder,
            build=build,
            settings=settings,
            investigate=investigate,
            world=world,
            clock=clock,
            rng=random.Random(f"story {seed}"),  # noqa: S311  a simulated story
            lines={each: stack.enter_context(Line(port)) for each, port in ports.items()},
        )
        stage.desks = desks_of(world.tenant)
        yield _opened(stage, ports)
        planned = list(agenda(stage.desks, stage.rng, start=START, days=DAYS))
        yield _lived(stage, [each for each in planned if each[0] < _INTRUSION], name="ordinary_days")
        yield _forged(stage)
        yield _shown(stage)
        yield _read(stage)
        yield _lived(stage, [each for each in planned if each[0] >= _INTRUSION], name="days_after")
        yield _logged(stage)
        result, document = investigate([folder / "exports"], settings)
        yield _ingested(result)
        with Store.open(settings) as store:
            tables = store.tables()
            forged = trace(tables, subject_of(stage.forged))
            session = trace(tables, subject_of(stage.claims["sid"]))
            control = trace(tables, subject_of(stage.desks[_VICTIM].tokens[0]))
        yield _found(document, session)
        yield _traced(forged, control)
        yield _listed(stage, session)
        yield _retired(stage)


# ---------------------------------------------------------------- what happens


def _opened(stage: _Stage, ports: Mapping[Build, int]) -> Step:
    tenant = stage.world.tenant
    write_keys(stage.world.identity.cabinet, stage.folder / "keys")
    places = " and ".join(f"{build} at http://127.0.0.1:{port}" for build, port in ports.items())
    return Step(
        name="opened",
        sentence=f"A simulated tenant ({tenant.tenant_id}) with {len(tenant.people)} mailboxes; the mail service runs "
        f"in two builds, {places}.",
        facts={"tenant_id": tenant.tenant_id, "mailboxes": len(tenant.people), "build": str(stage.build)},
    )


def _lived(stage: _Stage, planned: Iterable[tuple[dt.datetime, Callable[[Line], None]]], *, name: str) -> Step:
    """Ordinary life on its way."""
    mail, identity = stage.world.providers[stage.build].mail, stage.world.identity
    served, sign_ins = len(mail.served), len(identity.sign_ins)
    days = set()
    for at, carried_out in planned:
        stage.clock.now = at
        carried_out(stage.line)
        days.add(at.date())
    facts = {
        "workdays": len(days),
        "tokens": len(identity.sign_ins) - sign_ins,
        "messages": len(mail.served) - served,
    }
    return Step(
        name=name,
        sentence=f"{'Ordinary life' if name == 'ordinary_days' else 'Life goes on'}: on {facts['workdays']} workdays "
        f"{facts['tokens']} tokens were issued and {facts['messages']} messages opened.",
        facts=facts,
    )


def _new_claims(stage: _Stage) -> dict[str, Any]:
    return access_claims(
        stage.world.tenant.tenant_id, person=stage.victim, app=OWA, resource=EXCHANGE,
        session_id=drawn_guid(stage.rng), request_id=drawn_request_id(stage.rng), at=stage.clock(),
        lifetime_s=_FORGED_LIFETIME_S,
    )  # fmt: skip


def _forged(stage: _Stage) -> Step:
    """A token about a person of the tenant, signed with the key that is for personal accounts."""
    stage.clock.now = _INTRUSION
    key = stage.world.consumer_key
    stage.claims = _new_claims(stage)
    stage.forged = signed_token(stage.claims, key)
    (stage.folder / "forged.jwt").write_text(f"{stage.forged}\n", encoding="ascii")
    facts = {
        "uti": stage.claims["uti"],
        "session_id": stage.claims["sid"],
        "kid": key.kid,
        "key_issuer": key.issuer,
        "token_issuer": stage.claims["iss"],
        "victim": stage.victim.upn,
        "at": f"{_INTRUSION:%Y-%m-%dT%H:%M:%SZ}",
    }
    return Step(
        name="forged",
        sentence=f"Whoever holds the consumer key {key.kid} signs a token for {stage.victim.upn}: its issuer is "
        f"{stage.claims['iss']}, the key is published for {key.issuer}. Its id {stage.claims['uti']} was never given "
        "out.",
        facts=facts,
    )


def _show(line: Line, token: str) -> Reply:
    path = "/owa/service.svc?action=FindItem"
    return line.call("POST", path, address=_INTRUDER, agent=_INTRUDER_AGENT, token=token)


def _judged(stage: _Stage, token: str) -> dict[str, dict[str, Any]]:
    replies = {build: _show(stage.lines[build], token) for build in Build}
    return {
        str(build): {
            "accepted": reply.is_ok,
            "status": reply.status,
            "refusals": [list(each) for each in reply.refusals],
        }
        for build, reply in replies.items()
    }


def _in_words(judged: Mapping[str, Mapping[str, Any]]) -> str:
    said = []
    for build, each in judged.items():
        if each["accepted"]:
            said.append(f"the {build} build accepts it (status {each['status']})")
        else:
            checks = ", ".join(check for check, _ in each["refusals"]) or "no reason given"
            said.append(f"the {build} build refuses it (status {each['status']}: {checks})")
    return " and ".join(said)


def _shown(stage: _Stage) -> Step:
    judged = _judged(stage, stage.forged)
    return Step(name="shown", sentence=f"Shown to both: {_in_words(judged)}.", facts=judged)


def _read(stage: _Stage) -> Step:
    """Mail is read with the forged token, then with a token that the web mail makes out of it."""
    by_web = _open_messages(stage, stage.forged, _BY_WEB, is_web=True)
    minted = _exchange_token(stage, stage.forged)
    token = minted.document["AccessToken"] if minted.is_ok else ""
    by_script = _open_messages(stage, token, _BY_SCRIPT, is_web=False) if token else 0
    renewed = _exchange_token(stage, token) if token else minted
    facts = {
        "build": str(stage.build),
        "opened_with_forged_token": by_web,
        "token_for_resource": minted.status,
        "opened_with_given_token": by_script,
        "renewal": renewed.status,
        "messages": sorted(set(stage.taken)),
    }
    if not stage.taken:
        sentence = f"On the {stage.build} build no message is read: each call is answered with status {minted.status}."
    else:
        renewal = "it is even renewed with itself" if renewed.is_ok else "it is not renewed with itself"
        sentence = (
            f"On the {stage.build} build {by_web} messages are opened with the forged token; the web mail makes a "
            f"token of its own out of it, with which a script opens {by_script} more; {renewal} (status "
            f"{renewed.status})."
        )
    return Step(name="read", sentence=sentence, facts=facts)


def _exchange_token(stage: _Stage, token: str) -> Reply:
    return stage.line.call(
        "POST", "/owa/service.svc?action=GetAccessTokenForResource", address=_INTRUDER, agent=_INTRUDER_AGENT,
        token=token, body=json.dumps({"ClientAppId": SYNC.app_id}).encode(),
    )  # fmt: skip


def _open_messages(stage: _Stage, token: str, wanted: int, *, is_web: bool) -> int:
    """Open messages that were not opened yet; gives how many were."""
    call = stage.line.call
    path = "/api/v2.0/me/messages"
    listed = _show(stage.line, token) if is_web else call(
        "GET", path, address=_INTRUDER, agent=_INTRUDER_AGENT, token=token
    )  # fmt: skip
    untaken = [each for each in listed.document.get("value", ()) if each["InternetMessageId"] not in stage.taken]
    opened = 0
    for each in untaken[:wanted]:
        stage.clock.now += dt.timedelta(seconds=stage.rng.randint(8, 70))
        if is_web:
            body = json.dumps({"ItemId": each["Id"]}).encode()
            reply = call("POST", "/owa/service.svc?action=GetItem", address=_INTRUDER, agent=_INTRUDER_AGENT,
                         token=token, body=body)  # fmt: skip
        else:
            reply = call("GET", f"{path}/{each['Id']}", address=_INTRUDER, agent=_INTRUDER_AGENT, token=token)
        if reply.is_ok:
            stage.taken.append(reply.document["InternetMessageId"])
            opened += 1
    return opened


# ---------------------------------------------------------------- what is left of it


def _logged(stage: _Stage) -> Step:
    """The logs are written as exports; how often the forged id stands in them is counted in the files."""
    counts = write_exports(stage.world.providers[stage.build], stage.folder / "exports")
    uti = stage.claims["uti"]
    lines = {name: (stage.folder / "exports" / name).read_text(encoding="utf-8").count(f'"{uti}"') for name in counts}
    sign_ins, audit, _ = lines.values()
    written = ", ".join(f"{records} records in {name}" for name, records in counts.items())
    return Step(
        name="logged",
        sentence=f"The logs are exported: {written}. The forged id stands {audit} times in the audit log and "
        f"{sign_ins} times in the sign-in log.",
        facts={"records": counts, "forged_id": lines},
    )


def _ingested(result: IngestResult) -> Step:
    return Step(
        name="ingested",
        sentence=f"The product reads them: {result.records} records, {result.kept} kept, {result.duplicates} "
        f"duplicates, {result.rejected} rejected.",
        facts={"records": result.records, "kept": result.kept, "rejected": result.rejected},
    )


def _found(document: CaseDocument, session: Trace) -> Step:
    """Which findings rest on records of the forged token's session."""
    ours = set(session.event_ids)
    findings = [found for case in document.cases for found in case.findings] + list(document.notices)
    hits = [found for found in findings if ours & {item.event_id for item in found.evidence}]
    facts = {
        "verdict": document.verdict.kind,
        "cases": len(document.cases),
        "findings": sorted(f"{found.detector_id}.{found.variant}" for found in hits),
    }
    return Step(
        name="found",
        sentence=f"It says: {say(document.verdict.headline, 'en')} {_titles(hits)}",
        facts=facts,
    )


def _titles(hits: Sequence[Finding]) -> str:
    if not hits:
        return "No finding rests on a record of the forged token or its session."
    said = "; ".join(say(found.title, "en") for found in hits)
    return f"On records of the forged token or its session rest {len(hits)} finding(s): {said}."


def _traced(forged: Trace, control: Trace) -> Step:
    """Was the forged token issued, as far as the logs show, and an ordinary one?"""
    facts = {name: _issued(each) for name, each in (("forged", forged), ("control", control))}
    return Step(
        name="traced",
        sentence=f"Was the forged token ever issued, as far as the logs show? {_yes_no(facts['forged'])}. An ordinary "
        f"token of the same person's: {_yes_no(facts['control'])}.",
        facts=facts,
    )


def _issued(found: Trace) -> dict[str, Any]:
    (one,) = found.issuances
    return {
        "verdict": one.verdict,
        "reason": one.reason,
        "records": found.records,
        "certain": found.mail.certain if found.mail else 0,
        "addresses": [each.value for each in found.addresses],
    }


def _yes_no(facts: Mapping[str, Any]) -> str:
    answer = {"issued": "yes", "not_issued": "no", "cannot_tell": f"cannot tell ({facts['reason']})"}[facts["verdict"]]
    return (
        f"{answer}; {facts['records']} records carry it, under which {facts['certain']} messages were read for certain"
    )


def _listed(stage: _Stage, session: Trace) -> Step:
    """What the logs list as read in the forged session, beside what the servers truly handed out."""
    listed = {message.internet_message_id for message in session.mail.messages} if session.mail else set()
    served = set(stage.taken)
    missed, wrong = sorted(served - listed), sorted(listed - served)
    facts = {
        "served": len(served),
        "listed": len(listed),
        "missed": missed,
        "wrong": wrong,
        "tokens": {one.token_id: one.verdict for one in session.issuances},
    }
    return Step(
        name="listed",
        sentence=f"Under its session the logs list {len(listed)} messages as read; the service had handed out "
        f"{len(served)}, of which {len(missed)} are missed and {len(wrong)} listed wrongly.",
        facts=facts,
    )


def _retired(stage: _Stage) -> Step:
    """The key goes out of the published documents, and a fresh token signed with it is shown to both builds."""
    stage.clock.now = _RETIRED
    fresh = signed_token(_new_claims(stage), stage.world.consumer_key)
    before = _judged(stage, fresh)
    stage.world.identity.cabinet.retire(stage.world.consumer_key.kid, at=_RETIRED)
    after = _judged(stage, fresh)
    desk: Desk = stage.desks[_VICTIM]
    desk.sit_down(stage.line, _RETIRED)
    control = {build: line.call("POST", "/owa/service.svc?action=FindItem", address=desk.address, agent=desk.agent,
                                token=desk.token).status for build, line in stage.lines.items()}  # fmt: skip
    ordinary = ", ".join(f"{status} from the {build} build" for build, status in control.items())
    return Step(
        name="retired",
        sentence=f"A fresh forgery before the key is retired: {_in_words(before)}. After it: {_in_words(after)}. An "
        f"ordinary token gets {ordinary}.",
        facts={"before": before, "after": after, "control": {str(build): status for build, status in control.items()}},
    )
