"""The Traffic Light Protocol's marking of a page: what it says, in which colour on which ground.

Source: FIRST, Traffic Light Protocol (TLP) version 2.0, August 2022: the label stands in header and footer of each
page, in at least 12 points, to the right, in these colours on black.
"""

from __future__ import annotations

from typing import Final

from brokenseal.errors import UsageError

GROUND: Final = "#000000"
COLOURS: Final = {
    "red": "#FF2B2B",
    "amber+strict": "#FFC000",
    "amber": "#FFC000",
    "green": "#33FF00",
    "clear": "#FFFFFF",
}


def label(level: str) -> dict[str, str]:
    """The label of a level, such as `TLP:AMBER+STRICT`, with its colours.

    Raises:
        UsageError: No level of TLP 2.0.
    """
    if level not in COLOURS:
        raise UsageError(place="--tlp", value=level, expected=", ".join(COLOURS))
    return {"label": f"TLP:{level.upper()}", "ink": COLOURS[level], "ground": GROUND}
