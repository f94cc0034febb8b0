"""Detectors: pure functions from the declared tables to hits, one file per technique.

To add one: a file that exports `DETECTOR`, its line here, its case file under `tests/detectors/cases`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenseal.detectors import (
    app_credential,
    audit_off,
    door_chain,
    federation,
    first_seen_client,
    illicit_consent,
    impossible_token,
    inbox_rule,
    mailbox_delegation,
    mailbox_forwarding,
    open_door,
    password_spray,
    privileged_role,
    session_handover,
    strange_volume,
    stranger_client,
    suspect_address,
    token_provenance,
    transport_rule,
    two_hands,
    unknown_device,
)

if TYPE_CHECKING:
    from brokenseal.model import Detector

DETECTORS: tuple[Detector, ...] = (
    password_spray.DETECTOR,
    two_hands.DETECTOR,
    suspect_address.DETECTOR,
    token_provenance.DETECTOR,
    impossible_token.DETECTOR,
    first_seen_client.DETECTOR,
    inbox_rule.DETECTOR,
    transport_rule.DETECTOR,
    mailbox_forwarding.DETECTOR,
    mailbox_delegation.DETECTOR,
    illicit_consent.DETECTOR,
    app_credential.DETECTOR,
    door_chain.DETECTOR,
    privileged_role.DETECTOR,
    federation.DETECTOR,
    audit_off.DETECTOR,
)

WEIGHED: tuple[Detector, ...] = (
    stranger_client.DETECTOR,
    strange_volume.DETECTOR,
    session_handover.DETECTOR,
    unknown_device.DETECTOR,
    open_door.DETECTOR,
)
"""Detectors whose every answer needs a weight: alone they name every new telephone and every change of an
administrator. They say something of heavy units alone."""

MARKING: tuple[Detector, ...] = tuple(detector for detector in (*WEIGHED, *DETECTORS) if detector.mark is not None)
"""Those that mark units, in order: each is handed the marks of those before it."""

MARKING_DOORS: tuple[Detector, ...] = (open_door.DETECTOR,)
"""Of those, the ones that mark changes of configuration; no other asks for what they say."""

PLAIN: tuple[Detector, ...] = tuple(detector for detector in DETECTORS if detector.mark is None and not detector.after)
"""Of `DETECTORS`, those that ask neither for marks nor for what others found."""
