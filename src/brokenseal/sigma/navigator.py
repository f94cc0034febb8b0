"""What rules see of ATT&CK, as a layer that the ATT&CK Navigator opens.

Source: ATT&CK Navigator layer format 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.wording import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from brokenseal.sigma.values import RuleVerdict, State

_WORDS: Final[Mapping[State, str]] = {
    "runnable": "runnable here",
    "source_absent": "needs what this store does not have",
    "never": "never fires by construction",
    "unreadable": "cannot be carried out",
}
_COLOURS: Final = ("#d9d9d9", "#9ecae1")


def layer(verdicts: Sequence[RuleVerdict], *, name: str = "Sigma rules on this store") -> dict[str, Any]:
    """One technique for each that some rule bears; its score is the share of its rules that are runnable here.

    Args:
        verdicts: As `check_rules` gives them.
        name: Title of the layer.
    """
    by_technique: dict[str, list[RuleVerdict]] = {}
    for verdict in verdicts:
        for technique in verdict.rule.techniques:
            by_technique.setdefault(technique, []).append(verdict)
    techniques = [_technique(technique, own) for technique, own in sorted(by_technique.items())]
    return {
        "name": name,
        "versions": {"layer": "4.5", "navigator": "5.1.0"},
        "domain": "enterprise-attack",
        "description": "Share of each technique's rules that this store can satisfy; comments say why others cannot.",
        "techniques": techniques,
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": 100},
        "legendItems": [
            {"label": "no rule is runnable here", "color": _COLOURS[0]},
            {"label": "every rule is runnable here", "color": _COLOURS[1]},
        ],
        "hideDisabled": False,
    }


def _technique(technique: str, verdicts: Sequence[RuleVerdict]) -> dict[str, Any]:
    runnable = sum(each.state == "runnable" for each in verdicts)
    lines = (
        " – ".join(
            filter(None, (f"{each.rule.title} ({each.rule.level}): {_WORDS[each.state]}", say(each.reason, "en")))
        )
        for each in sorted(verdicts, key=lambda each: (each.state != "runnable", each.rule.title, each.rule.key))
    )
    return {
        "techniqueID": technique,
        "score": round(100 * runnable / len(verdicts)),
        "comment": "\n".join(lines),
        "enabled": True,
    }
