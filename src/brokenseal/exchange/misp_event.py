"""A MISP event: objects and attributes with their times, TLP and ATT&CK tags. Equal documents give equal events.

Source: MISP core format, and the object templates that come with PyMISP.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from brokenseal.exchange.attack_names import TECHNIQUES, technique
from brokenseal.exchange.confidence import MAPPING
from brokenseal.exchange.stix_objects import object_id
from brokenseal.exchange.tlp import Tlp
from brokenseal.model import Severity

if TYPE_CHECKING:
    from pymisp import MISPEvent, MISPObject

    from brokenseal.exchange.shared import Indicator, Shared

_THREAT_LEVELS: Final = {Severity.CRITICAL: 1, Severity.HIGH: 1, Severity.MEDIUM: 2, Severity.LOW: 3}
_UNDEFINED: Final = 4
_ONGOING: Final = 1
_DISTRIBUTION: Final = {Tlp.CLEAR: 3, Tlp.GREEN: 1, Tlp.AMBER: 0, Tlp.AMBER_STRICT: 0, Tlp.RED: 0}
"""All communities for CLEAR, this community for GREEN, one's own organisation for all that is narrower."""
_NAMED: Final = {each.id for each in TECHNIQUES}


def misp_json(shared: Shared) -> bytes:
    """The event as JSON, in the envelope that MISP imports."""
    import msgspec

    event = event_of(shared)
    return msgspec.json.format(msgspec.json.encode({"Event": _plain(event)}), indent=2) + b"\n"


def event_of(shared: Shared) -> MISPEvent:
    """The event; its identifiers and times come from what is shared, not from the clock."""
    from pymisp import MISPEvent

    event: Any = MISPEvent()
    mark = "Simulated: " if shared.simulated else ""
    event.from_dict(
        uuid=_uuid(shared, "event", *(case.id for case in shared.cases)),
        info=f"{mark}Mail read without the right to, {len(shared.cases)} case(s)",
        date=f"{shared.shared_at:%Y-%m-%d}",
        threat_level_id=min((_THREAT_LEVELS[case.severity] for case in shared.cases), default=_UNDEFINED),
        analysis=_ONGOING,
        distribution=_DISTRIBUTION[shared.tlp],
        timestamp=_seconds(shared.shared_at),
        published=False,
    )
    for tag in _tags(shared):
        event.add_tag(tag)
    for case in shared.cases:
        comment = f"{mark}{case.severity.value}, {case.first_at:%Y-%m-%d} to {case.last_at:%Y-%m-%d}"
        _attribute(event, shared, "text", f"{case.id}: {case.statement} {MAPPING}", comment=comment)
    for indicator in shared.indicators:
        _add_indicator(event, shared, indicator)
    for tool in shared.tools:
        comment = f"{mark}A well-known application that was used; its presence alone says nothing."
        _attribute(event, shared, "text", f"{tool.name} ({tool.app_id})", comment=comment)
    _add_victims(event, shared)
    return event  # type: ignore[no-any-return]  # PyMISP's setters are not typed


def _tags(shared: Shared) -> list[str]:
    attack = sorted({number for case in shared.cases for number in case.attack} & _NAMED)
    galaxy = [f'misp-galaxy:mitre-attack-pattern="{technique(number).name} - {number}"' for number in attack]
    return [shared.tlp.tag, *(["simulated"] if shared.simulated else []), *galaxy]


def _add_indicator(event: Any, shared: Shared, indicator: Indicator) -> None:
    mark = "Simulated: " if shared.simulated else ""
    comment = f"{mark}{indicator.records} record(s) in {', '.join(indicator.cases)}"
    if indicator.confidence is not None:
        comment += f"; confidence {indicator.confidence} of 100"
    times = {"first_seen": indicator.first_at, "last_seen": indicator.last_at}
    if indicator.kind == "user_agent":
        _attribute(event, shared, "user-agent", indicator.value, to_ids=True, comment=comment, **times)
        return
    if indicator.kind == "address":
        made = _object(event, shared, "ip-port", indicator.value, comment=comment, **times)
        _member(made, shared, "ip-src", indicator.value, to_ids=True)
    else:
        made = _object(event, shared, "user-account", indicator.value, comment=comment, **times)
        _member(made, shared, "user-id", indicator.value, to_ids=True)
        _member(made, shared, "is_service_account", "1")


def _add_victims(event: Any, shared: Shared) -> None:
    victims = shared.victims
    if victims is None:
        return
    for tenant in victims.tenants:
        _member(_object(event, shared, "victim", tenant), shared, "name", tenant)
    for case, mailbox in victims.mailboxes:
        _attribute(event, shared, "target-email", mailbox, comment=case)
    for case, account in victims.accounts:
        _attribute(event, shared, "target-user", account, comment=case)
    for message in victims.messages:
        key = f"{message.case} {message.mailbox} {message.internet_message_id}"
        made = _object(event, shared, "email", key, comment=f"read in {message.mailbox}, {message.case}")
        _member(made, shared, "message-id", message.internet_message_id)
        for relation, value in (("subject", message.subject), ("from", message.sender)):
            if value is not None:
                _member(made, shared, relation, value)
        for recipient in message.recipients:
            _member(made, shared, "to", recipient)


def _attribute(event: Any, shared: Shared, kind: str, value: str, *, comment: str, **more: Any) -> None:
    event.add_attribute(
        kind,
        value,
        uuid=_uuid(shared, "attribute", kind, value, comment),
        timestamp=_seconds(shared.shared_at),
        comment=comment,
        **{"to_ids": False, "disable_correlation": False, **more},
    )


def _object(event: Any, shared: Shared, name: str, key: str, **more: Any) -> MISPObject:
    from pymisp import MISPObject

    made: Any = MISPObject(name, strict=True)
    made.from_dict(uuid=_uuid(shared, "object", name, key), timestamp=_seconds(shared.shared_at), **more)
    event.add_object(made)
    return made  # type: ignore[no-any-return]  # PyMISP's setters are not typed


def _member(made: Any, shared: Shared, relation: str, value: str, *, to_ids: bool = False) -> None:
    made.add_attribute(
        relation,
        value=value,
        to_ids=to_ids,
        uuid=_uuid(shared, "member", made.uuid, relation, value),
        timestamp=_seconds(shared.shared_at),
    )


def _uuid(shared: Shared, *key: str) -> str:
    return object_id("misp", *key, shared.producer, shared.tlp.value).removeprefix("misp--")


def _seconds(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(seconds=1)


def _plain(event: Any) -> Any:
    import json

    return json.loads(event.to_json(sort_keys=True))
