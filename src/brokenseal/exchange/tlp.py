"""The Traffic Light Protocol 2.0: how far a shared document may travel.

Sources: FIRST, Traffic Light Protocol (TLP) version 2.0, August 2022. The marking definitions are those that the OASIS
CTI committee published for STIX 2.1 (cti-stix-common-objects, extension-definition--60a3c5c5…); an identifier of
theirs is never made anew, so that every reader knows the marking.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
"""The published definition of the property `tlp_2_0` of marking definitions."""

_PUBLISHED: Final = "2022-10-01T00:00:00.000Z"


class Tlp(StrEnum):
    """Levels from the widest to the narrowest; values are those of the published extension."""

    CLEAR = "clear"
    GREEN = "green"
    AMBER = "amber"
    AMBER_STRICT = "amber+strict"
    RED = "red"

    @property
    def label(self) -> str:
        """As people write it, such as `TLP:AMBER+STRICT`."""
        return f"TLP:{self.value.upper()}"

    @property
    def tag(self) -> str:
        """The tag of the MISP taxonomy `tlp`."""
        return f"tlp:{self.value}"

    @property
    def sigma_tag(self) -> str:
        """The tag of Sigma's `tlp` namespace."""
        return f"tlp.{self.value.replace('+', '-')}"

    @property
    def marking_id(self) -> str:
        """Identifier of the published STIX marking definition."""
        return _MARKING_IDS[self]


_MARKING_IDS: Final = {
    Tlp.CLEAR: "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    Tlp.GREEN: "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    Tlp.AMBER: "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    Tlp.AMBER_STRICT: "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    Tlp.RED: "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}


def marking(level: Tlp) -> dict[str, Any]:
    """The published marking definition, as a STIX 2.1 object."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": level.marking_id,
        "created": _PUBLISHED,
        "name": level.label,
        "extensions": {EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level.value}},
    }


def level_of(marking_id: str) -> Tlp | None:
    """The level of a published marking definition of TLP 2.0, or None."""
    return next((level for level, known in _MARKING_IDS.items() if known == marking_id), None)
