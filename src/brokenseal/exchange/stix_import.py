"""From a STIX 2.1 bundle back to facts: ours to all of them, anybody else's to what can be understood.

Nothing of a bundle is believed to be well-formed: an object that lacks what it must have is listed as unread.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from brokenseal.errors import InputError
from brokenseal.exchange import stix_victims
from brokenseal.exchange.shared import Indicator, Shared, SharedCase, Tool, VictimMessage, Victims
from brokenseal.exchange.stix_bundle import APPLICATION, CASE, DETECTOR, PRODUCT
from brokenseal.exchange.stix_objects import Stix, value_of
from brokenseal.exchange.tlp import Tlp, level_of
from brokenseal.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NARROWEST: Final = list(Tlp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An object of a bundle that says something we cannot take over."""

    id: str
    reason: Literal["pattern", "incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a bundle says, and what of it was not understood."""

    shared: Shared
    unread: tuple[Unread, ...]


def read_bundle(content: bytes, *, place: str) -> Imported:
    """The facts of a bundle.

    Args:
        content: JSON text.
        place: Where it came from, for errors.

    Raises:
        InputError: The bytes are no STIX bundle.
    """
    import msgspec

    try:
        bundle = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as err:
        raise InputError(place=place, value=err, expected="a STIX 2.1 bundle in JSON") from err
    if not isinstance(bundle, dict) or bundle.get("type") != "bundle" or not isinstance(bundle.get("objects"), list):
        raise InputError(place=place, value=None, expected="a STIX 2.1 bundle: an object with type bundle and objects")
    return read_objects([each for each in bundle["objects"] if isinstance(each, dict)])


def read_objects(objects: list[Stix]) -> Imported:
    """The facts of a bundle's objects, or of an envelope's."""
    reader = _Reader(objects)
    cases = tuple(reader.cases())
    report = reader.report
    profile: Literal["default", "victim"] = "victim" if "profile:victim" in _texts(report, "labels") else "default"
    version = next(iter(_references(report, PRODUCT)), "")
    shared = Shared(
        tlp=reader.tlp(),
        profile=profile,
        producer=reader.producer(),
        simulated=any("simulated" in _texts(each, "labels") for each in objects),
        product_version=version,
        shared_at=_time(report.get("published")) or max((case.last_at for case in cases), default=_EPOCH),
        cases=cases,
        indicators=tuple(sorted(reader.indicators(), key=lambda each: (each.kind, each.value))),
        tools=tuple(sorted(reader.tools(), key=lambda each: each.app_id)),
        victims=reader.victims() if profile == "victim" else None,
    )
    return Imported(shared=shared, unread=tuple(reader.unread))


class _Reader:
    """The objects of one bundle by id, with what points where."""

    def __init__(self, objects: list[Stix]) -> None:
        self.objects = {each["id"]: each for each in objects if isinstance(each.get("id"), str)}
        self.unread: list[Unread] = []
        self._targets: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._sightings: dict[str, Stix] = {}
        for each in self._of("relationship"):
            key = (_text(each, "source_ref"), _text(each, "relationship_type"))
            self._targets[key].append(_text(each, "target_ref"))
        for each in self._of("sighting"):
            self._sightings[_text(each, "sighting_of_ref")] = each
        self.report: Stix = next(self._of("report"), {})

    def _of(self, kind: str) -> Iterator[Stix]:
        return (each for each in self.objects.values() if each.get("type") == kind)

    def _related(self, source: str, kind: str, wanted: str) -> list[Stix]:
        found = (self.objects.get(target, {}) for target in self._targets.get((source, kind), ()))
        return [each for each in found if each.get("type") == wanted]

    def tlp(self) -> Tlp:
        """The narrowest level of any marking; red where there is none, since nobody said that it may travel."""
        levels = {level_of(ref) for each in self.objects.values() for ref in _texts(each, "object_marking_refs")}
        known = [level for level in levels if level is not None]
        return max(known, key=_NARROWEST.index, default=Tlp.RED)

    def producer(self) -> str:
        """Name of who shares: the identity labelled so, else whoever made most objects."""
        named = next((each for each in self._of("identity") if "producer" in _texts(each, "labels")), None)
        if named is None:
            makers = [_text(each, "created_by_ref") for each in self.objects.values()]
            named = self.objects.get(max(sorted(set(makers)), key=makers.count, default=""), {})
        return _text(named, "name") or "Unnamed organisation"

    def cases(self) -> Iterator[SharedCase]:
        """Incidents with their campaigns."""
        for incident in self._of("incident"):
            campaign = next(iter(self._related(incident["id"], "related-to", "campaign")), {})
            first, last = _time(campaign.get("first_seen")), _time(campaign.get("last_seen"))
            if first is None or last is None:
                self.unread.append(Unread(id=incident["id"], reason="incomplete"))
                continue
            severity = next((name[9:] for name in _texts(incident, "labels") if name.startswith("severity:")), "")
            yield SharedCase(
                id=next(iter(_references(incident, CASE)), incident["id"]),
                severity=Severity(severity) if severity in set(Severity) else Severity.MEDIUM,
                first_at=first,
                last_at=last,
                attack=self._techniques(campaign["id"], "uses"),
                detectors=tuple(sorted(_references(campaign, DETECTOR))),
                confidence=_integer(incident.get("confidence")),
                statement=_text(incident, "description").split("\n\n")[0],
            )

    def _techniques(self, source: str, kind: str) -> tuple[str, ...]:
        found = self._related(source, kind, "attack-pattern")
        return tuple(sorted({number for each in found for number in _references(each, "mitre-attack")}))

    def indicators(self) -> Iterator[Indicator]:
        """Indicators whose patterns are in one of our forms."""
        for each in self._of("indicator"):
            found = value_of(_text(each, "pattern")) if each.get("pattern_type") == "stix" else None
            if found is None:
                self.unread.append(Unread(id=each["id"], reason="pattern"))
                continue
            sighting = self._sightings.get(each["id"], {})
            first = _time(sighting.get("first_seen")) or _time(each.get("valid_from"))
            if first is None:
                self.unread.append(Unread(id=each["id"], reason="incomplete"))
                continue
            campaigns = self._related(each["id"], "indicates", "campaign")
            yield Indicator(
                kind=found[0],
                value=found[1],
                cases=tuple(sorted({name for one in campaigns for name in _references(one, CASE)})),
                attack=self._techniques(each["id"], "indicates"),
                first_at=first,
                last_at=_time(sighting.get("last_seen")) or first,
                records=_integer(sighting.get("count")) or 1,
                confidence=_integer(each.get("confidence")),
            )

    def tools(self) -> Iterator[Tool]:
        """Tools that are applications."""
        users: dict[str, set[str]] = defaultdict(set)
        for campaign in self._of("campaign"):
            for tool in self._related(campaign["id"], "uses", "tool"):
                users[tool["id"]].update(_references(campaign, CASE))
        for each in self._of("tool"):
            for app in _references(each, APPLICATION)[:1]:
                yield Tool(app_id=app, name=_text(each, "name"), cases=tuple(sorted(users[each["id"]])))

    def victims(self) -> Victims:
        """What a bundle under the profile `victim` tells of the victims."""
        mailboxes, accounts, messages = [], [], []
        for each in self._of("observed-data"):
            labels, case = _texts(each, "labels"), next(iter(_references(each, CASE)), "")
            seen = [self.objects.get(ref, {}) for ref in _texts(each, "object_refs")]
            if "mailbox" in labels and seen:
                mailbox = _text(seen[0], "value") or _text(seen[0], "account_login")
                mailboxes.append((case, mailbox))
                messages += [self._message(case, mailbox, one) for one in seen if one.get("type") == "email-message"]
                messages += [_bare(case, mailbox, value) for value in _references(each, stix_victims.MESSAGE)]
            elif "account" in labels and seen:
                accounts.append((case, _text(seen[0], "account_login")))
        tenants = {name for each in self._of("identity") for name in _references(each, stix_victims.TENANT)}
        notes = list(self._of("note"))
        return Victims(
            tenants=tuple(sorted(tenants)),
            mailboxes=tuple(sorted(mailboxes)),
            accounts=tuple(sorted(accounts)),
            sessions=tuple(sorted(name for each in notes for name in _references(each, stix_victims.SESSION))),
            tokens=tuple(sorted(name for each in notes for name in _references(each, stix_victims.TOKEN))),
            messages=tuple(sorted(messages, key=lambda one: (one.case, one.mailbox, one.internet_message_id))),
        )

    def _message(self, case: str, mailbox: str, each: Stix) -> VictimMessage:
        def value(ref: str) -> str:
            return _text(self.objects.get(ref, {}), "value")

        sender, subject = each.get("from_ref"), each.get("subject")
        return VictimMessage(
            case=case,
            mailbox=mailbox,
            internet_message_id=_text(each, "message_id"),
            subject=subject if isinstance(subject, str) else None,
            sender=value(sender) if isinstance(sender, str) else None,
            recipients=tuple(sorted(value(ref) for ref in _texts(each, "to_refs"))),
        )


def _bare(case: str, mailbox: str, message_id: str) -> VictimMessage:
    return VictimMessage(
        case=case, mailbox=mailbox, internet_message_id=message_id, subject=None, sender=None, recipients=()
    )


def _text(each: Mapping[str, Any], name: str) -> str:
    value = each.get(name)
    return value if isinstance(value, str) else ""


def _texts(each: Mapping[str, Any], name: str) -> list[str]:
    value = each.get(name)
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _references(each: Mapping[str, Any], source: str) -> list[str]:
    found = each.get("external_references")
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [
        _text(one, "external_id") for one in listed if one.get("source_name") == source and _text(one, "external_id")
    ]


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _time(value: object) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        read = dt.datetime.fromisoformat(value)
        return read.astimezone(dt.UTC) if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
