"""STIX 2.1: a bundle that any platform reads, and that `stix_import` reads back to the same facts.

Facts stand in standard properties alone, so that no reader needs an extension of ours: the case in incident and
campaign, the technique in attack-pattern, the value in a pattern, how often and when in a sighting. The incident is the
core object; its extension is a draft of the committee and is left out. Equal documents give equal bytes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from brokenseal.exchange import stix_victims
from brokenseal.exchange.confidence import MAPPING
from brokenseal.exchange.defang import shown_value
from brokenseal.exchange.stix_objects import (
    Stix,
    attack_pattern,
    moment,
    object_id,
    observable_of,
    pattern_of,
    to_milliseconds,
)
from brokenseal.exchange.tlp import marking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from brokenseal.exchange.shared import Indicator, IndicatorKind, Shared, SharedCase

CASE: Final = "brokenseal-case"
DETECTOR: Final = "brokenseal-detector"
PRODUCT: Final = "brokenseal"
APPLICATION: Final = "entra-application"
"""Source names of external references that carry identifiers."""

VALID_DAYS: Final = {"address": 90, "application": 365, "user_agent": 30}
"""So long after the last record an indicator is offered: addresses change hands, applications keep their id."""

_TYPES: Final = {
    "address": "malicious-activity",
    "application": "malicious-activity",
    "user_agent": "anomalous-activity",
}
_MEANINGS: Final = {
    "address": "Mail was read from this address without the right to, as far as the records show.",
    "application": "This application read mail without the right to, as far as the records show.",
    "user_agent": "Mail was read by this client without the right to, as far as the records show. Others may use it.",
}
_KIND_NAMES: Final = {"address": "Address", "application": "Application", "user_agent": "User agent"}
_MOST: Final = 999_999_999
_SINCE: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """What all objects of one bundle have in common, and the objects so far by id, in the order of their making."""

    shared: Shared
    objects: dict[str, Stix] = field(default_factory=dict)

    @property
    def _scope(self) -> tuple[str, ...]:
        shared = self.shared
        return (shared.producer, shared.tlp.value, shared.profile, "simulated" if shared.simulated else "")

    @property
    def producer_id(self) -> str:
        """The identity that shares."""
        return object_id("identity", "producer", *self._scope)

    def common(self, *, labels: Iterable[str] = ()) -> Stix:
        """Marking, creator and labels, the same for every object but the marking itself."""
        named = (*(["simulated"] if self.shared.simulated else []), *labels)
        properties: Stix = {
            "spec_version": "2.1",
            "created": moment(_SINCE),
            "modified": moment(_SINCE),
            "created_by_ref": self.producer_id,
            "object_marking_refs": [self.shared.tlp.marking_id],
        }
        return {**properties, "labels": list(named)} if named else properties

    def add(
        self, kind: str, key: tuple[str, ...], since: dt.datetime, *, labels: Iterable[str] = (), **more: Any
    ) -> str:
        """Add a domain or relationship object and give its id; `since` is when its story began."""
        begun = to_milliseconds(since)
        made = object_id(kind, *key, moment(begun), *self._scope)
        self.objects[made] = {
            "type": kind,
            **self.common(labels=labels),
            "id": made,
            "created": moment(begun),
            "modified": moment(max(to_milliseconds(self.shared.shared_at), begun)),
            **{name: value for name, value in more.items() if value is not None},
        }
        return made

    def observe(self, observed: Stix) -> str:
        """Add an observable and give its id."""
        marked = {**observed, "object_marking_refs": [self.shared.tlp.marking_id]}
        return str(self.objects.setdefault(observed["id"], marked)["id"])

    def relate(self, source: str, kind: str, target: str, since: dt.datetime) -> None:
        """Add a relationship."""
        self.add(
            "relationship", (source, kind, target), since, relationship_type=kind, source_ref=source, target_ref=target
        )

    def technique(self, number: str) -> str:
        """Add a technique and give its id."""
        pattern = attack_pattern(number, self.common())
        pattern["id"] = object_id("attack-pattern", number, *self._scope)
        return str(self.objects.setdefault(pattern["id"], pattern)["id"])

    def named(self, text: str) -> str:
        """A name, which says where its thing is simulated."""
        return f"Simulated: {text}" if self.shared.simulated else text


def bundle_of(shared: Shared) -> Stix:
    """The bundle as a plain dictionary."""
    writer = Writer(shared=shared)
    identity = {"name": shared.producer, "identity_class": "organization"}
    writer.objects[writer.producer_id] = {
        "type": "identity",
        **writer.common(labels=("producer",)),
        "id": writer.producer_id,
        **identity,
    }
    victims = stix_victims.victim_identities(writer)
    campaigns = {case.id: _case(writer, case, victims) for case in shared.cases}
    for indicator in shared.indicators:
        _indicator(writer, indicator, campaigns, victims)
    for tool in shared.tools:
        since = min(case.first_at for case in shared.cases if case.id in tool.cases)
        made = writer.add(
            "tool",
            (tool.app_id,),
            since,
            name=tool.name,
            description=writer.named("A well-known application that was used. Its presence alone says nothing."),
            external_references=[{"source_name": APPLICATION, "external_id": tool.app_id}],
        )
        for case in tool.cases:
            writer.relate(campaigns[case], "uses", made, since)
    stix_victims.victim_data(writer)
    _report(writer)
    objects = [marking(shared.tlp), *writer.objects.values()]
    digest = hashlib.sha256(_bytes(objects)).hexdigest()
    return {"type": "bundle", "id": object_id("bundle", digest), "objects": objects}


def _case(writer: Writer, case: SharedCase, victims: tuple[str, ...]) -> str:
    incident = writer.add(
        "incident",
        (case.id,),
        case.first_at,
        labels=(f"severity:{case.severity.value}",),
        name=writer.named(f"Mail read without the right to, {case.id}"),
        description=f"{case.statement}\n\n{MAPPING}",
        confidence=case.confidence,
        external_references=[{"source_name": CASE, "external_id": case.id}],
    )
    campaign = writer.add(
        "campaign",
        (case.id,),
        case.first_at,
        name=writer.named(f"Reading of mail in the cloud, {case.id}"),
        first_seen=moment(case.first_at),
        last_seen=moment(case.last_at),
        confidence=case.confidence,
        external_references=[
            {"source_name": CASE, "external_id": case.id},
            *({"source_name": DETECTOR, "external_id": name} for name in case.detectors),
        ],
    )
    writer.relate(incident, "related-to", campaign, case.first_at)
    for victim in victims:
        writer.relate(campaign, "targets", victim, case.first_at)
    for number in case.attack:
        writer.relate(campaign, "uses", writer.technique(number), case.first_at)
    addresses = [each for each in writer.shared.indicators if each.kind == "address" and case.id in each.cases]
    if addresses:
        infrastructure = writer.add(
            "infrastructure",
            (case.id,),
            case.first_at,
            name=writer.named(f"Addresses that mail was read from, {case.id}"),
            infrastructure_types=["unknown"],
            first_seen=moment(min(each.first_at for each in addresses)),
            last_seen=moment(max(each.last_at for each in addresses)),
        )
        writer.relate(campaign, "uses", infrastructure, case.first_at)
        for each in addresses:
            seen = writer.observe(observable_of(each.kind, each.value))
            writer.relate(infrastructure, "consists-of", seen, case.first_at)
    return campaign


def _indicator(writer: Writer, indicator: Indicator, campaigns: dict[str, str], victims: tuple[str, ...]) -> None:
    since = min(case.first_at for case in writer.shared.cases if case.id in indicator.cases)
    first, last = moment(indicator.first_at), moment(indicator.last_at)
    records = min(indicator.records, _MOST)
    made = writer.add(
        "indicator",
        (indicator.kind, indicator.value),
        since,
        name=writer.named(name_of(indicator)),
        description=writer.named(_MEANINGS[indicator.kind]),
        indicator_types=[_TYPES[indicator.kind]],
        pattern=pattern_of(indicator.kind, indicator.value),
        pattern_type="stix",
        pattern_version="2.1",
        valid_from=first,
        valid_until=moment(valid_until(indicator.kind, indicator.last_at)),
        confidence=indicator.confidence,
    )
    observed = writer.add(
        "observed-data",
        (indicator.kind, indicator.value),
        since,
        first_observed=first,
        last_observed=last,
        number_observed=records,
        object_refs=[writer.observe(observable_of(indicator.kind, indicator.value))],
    )
    writer.add(
        "sighting",
        (indicator.kind, indicator.value),
        since,
        first_seen=first,
        last_seen=last,
        count=records,
        sighting_of_ref=made,
        observed_data_refs=[observed],
        where_sighted_refs=list(victims),
    )
    writer.relate(made, "based-on", observed, since)
    for case in indicator.cases:
        writer.relate(made, "indicates", campaigns[case], since)
    for number in indicator.attack:
        writer.relate(made, "indicates", writer.technique(number), since)


def name_of(indicator: Indicator) -> str:
    """What people call an indicator; they read it, so that it leads nowhere."""
    value = indicator.value if len(indicator.value) <= _SHOWN else f"{indicator.value[:_SHOWN]}…"
    return f"{_KIND_NAMES[indicator.kind]} {shown_value(indicator.kind, value)}"


def valid_until(kind: IndicatorKind, last_at: dt.datetime) -> dt.datetime:
    """Until when an indicator is offered."""
    limit = dt.datetime.max.replace(tzinfo=dt.UTC)
    days = dt.timedelta(days=VALID_DAYS[kind])
    return last_at + days if last_at < limit - days else limit


def _report(writer: Writer) -> None:
    shared = writer.shared
    writer.add(
        "report",
        ("report", *(case.id for case in shared.cases)),
        min((case.first_at for case in shared.cases), default=_SINCE),
        labels=(f"profile:{shared.profile}",),
        name=writer.named(f"Who read mail without the right to: {len(shared.cases)} case(s), {shared.tlp.label}"),
        report_types=["campaign", "indicator"],
        published=moment(shared.shared_at),
        external_references=[{"source_name": PRODUCT, "external_id": shared.product_version}],
        object_refs=list(writer.objects),
    )


def stix_bytes(shared: Shared) -> bytes:
    """The bundle as JSON with a final line feed."""
    import msgspec

    return msgspec.json.format(_bytes(bundle_of(shared)), indent=2) + b"\n"


def _bytes(value: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(value)
