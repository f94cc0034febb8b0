"""A layer for the ATT&CK Navigator: which techniques the shared cases show, and how often.

Source: MITRE ATT&CK Navigator, layer file format 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.exchange.attack_names import VERSION, technique

if TYPE_CHECKING:
    from brokenseal.exchange.shared import Shared

LAYER: Final = "4.5"
_NAVIGATOR: Final = "5.2.0"
_LOW, _HIGH = "#ffe0b3", "#b34700"


def layer_of(shared: Shared) -> dict[str, Any]:
    """The layer; a technique's score is the number of shared cases that show it."""
    cases = {
        number: [case for case in shared.cases if number in case.attack]
        for number in sorted({number for case in shared.cases for number in case.attack})
    }
    name = f"Mail read without the right to: {len(shared.cases)} case(s), {shared.tlp.label}"
    return {
        "name": f"Simulated: {name}" if shared.simulated else name,
        "versions": {"attack": VERSION, "navigator": _NAVIGATOR, "layer": LAYER},
        "domain": "enterprise-attack",
        "description": f"Shared by {shared.producer}. Score: number of cases that show the technique.",
        "sorting": 3,
        "layout": {"layout": "side", "showID": True, "showName": True, "expandedSubtechniques": "annotated"},
        "techniques": [
            {
                "techniqueID": number,
                "score": len(seen),
                "comment": technique(number).name,
                "enabled": True,
                "metadata": [{"name": "case", "value": case.id} for case in seen],
            }
            for number, seen in cases.items()
        ],
        "gradient": {"colors": [_LOW, _HIGH], "minValue": 0, "maxValue": max(len(shared.cases), 1)},
        "metadata": [
            {"name": "marking", "value": shared.tlp.label},
            {"name": "product", "value": f"Brokenseal {shared.product_version}"},
            {"name": "simulated", "value": "yes" if shared.simulated else "no"},
        ],
    }
