"""The audience: for whom the token was issued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from brokenseal.tokens._sealing import ABSENT
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory

    Audiences = Callable[[Laboratory], Mapping[str, Any]]

GRAPH: Final = "00000003-0000-0000-c000-000000000000"
"""Client id of Microsoft Graph."""

_OTHER: Final = (
    "A token that a user gave to another application opens this one: whoever runs that application, or read its logs, "
    "acts here as the user."
)
_NEARLY: Final = (
    "The audience is compared nearly and not exactly; whoever can choose a similar name can use its tokens here."
)
_MEND: Final = (
    "Demand `aud`, and compare it for equality with the ids of this API: one text, or a list of one. Entra writes no "
    "more than that."
)
_SOURCES: Final = ("RFC 7519 §4.1.3", "RFC 8725 §3.9", "Microsoft identity platform, access token validation")


def _row(
    name: str,
    tests: str,
    audiences: Audiences,
    *,
    gravity: Gravity = Gravity.LAXITY,
    meaning: str = _NEARLY,
) -> Specimen:
    def make(lab: Laboratory) -> dict[str, str]:
        return {label: lab.mint({"aud": audience}) for label, audience in audiences(lab).items()}

    return Specimen(
        name=name,
        family="audiences",
        gravity=gravity,
        tests=tests,
        meaning=meaning,
        mend=_MEND,
        sources=_SOURCES,
        make=make,
    )


def _other(name: str, tests: str, audiences: Audiences) -> Specimen:
    return _row(name, tests, audiences, gravity=Gravity.MISUSE, meaning=_OTHER)


FORGERIES: Final = (
    _other(
        "audience_of_other_api",
        "A genuine token for another API.",
        lambda lab: {"client id": lab.client, "URI": "api://another-api", "tenant": lab.home},
    ),
    _other(
        "audience_of_graph",
        "A genuine token for Microsoft Graph, which many applications hold.",
        lambda _: {"id": GRAPH, "URI": "https://graph.microsoft.com", "Exchange": "https://outlook.office365.com"},
    ),
    _row(
        "audience_left_out",
        "There is no `aud`, or an empty one.",
        lambda _: {"absent": ABSENT, "empty": "", "null": None},
        meaning="A token that does not say for whom it was issued is taken as one for this API.",
    ),
    _row(
        "audience_empty_list",
        "`aud` is a list of nothing.",
        lambda _: {"list": [], "of empty": [""], "of null": [None]},
        meaning="A token that does not say for whom it was issued is taken as one for this API.",
    ),
    _other(
        "audience_list_without_ours",
        "`aud` is a list of other APIs.",
        lambda lab: {"two": [GRAPH, lab.client], "one": [GRAPH]},
    ),
    _row(
        "audience_list_with_decoys",
        "`aud` is a list of this API and others. RFC 7519 allows it; Entra never issues it.",
        lambda lab: {"first": [lab.api, GRAPH], "last": [GRAPH, lab.api], "many": [*map(str, range(50)), lab.api]},
        meaning="Whoever receives the token for one of the others can use it here.",
    ),
    _row(
        "audience_list_of_other_things",
        "`aud` is a list that holds this API and what is no text.",
        lambda lab: {
            "null": [lab.api, None],
            "number": [0, lab.api],
            "nested": [[lab.api]],
            "object": [{"id": lab.api}],
        },
    ),
    _row(
        "audience_of_wrong_type",
        "`aud` is neither text nor list.",
        lambda lab: {"object": {lab.api: True}, "number": 0, "true": True, "false": False},
    ),
    _row(
        "audience_in_other_case",
        "The audience in capitals.",
        lambda lab: {"id": lab.api.upper(), "URI": lab.api_uri.upper(), "scheme": f"API://{lab.api}"},
    ),
    _row(
        "audience_with_slash",
        "The audience with a slash, a version or a scope behind it.",
        lambda lab: {tail: f"{lab.api_uri}{tail}" for tail in ("/", "/v1", "/.default", "/Mail.Read", "?x", "#x")},
    ),
    _row(
        "audience_with_space",
        "The audience with white space or a zero character at an end.",
        lambda lab: (
            {ascii(tail): f"{lab.api}{tail}" for tail in (" ", "\n", "\t", "\0", "\u200b")} | {"before": f" {lab.api}"}
        ),
    ),
    _row(
        "audience_begins_right",
        "A longer audience that begins or ends with the right one.",
        lambda lab: {"longer": f"{lab.api}0", "before": f"x{lab.api}", "host": f"{lab.api_uri}.attacker.example"},
    ),
    _row(
        "audience_is_piece_of_right_one",
        "A shorter audience that stands inside the right one.",
        lambda lab: {"first group": lab.api[:8], "scheme": "api://", "one letter": lab.api[0]},
    ),
    _row(
        "audience_of_several_in_one_text",
        "The right audience in a text with others.",
        lambda lab: {
            "space": f"{GRAPH} {lab.api}",
            "comma": f"{GRAPH},{lab.api}",
            "JSON": f'["{lab.api}"]',
        },
    ),
    _row(
        "audience_of_look_alikes",
        "The audience with look-alikes of other scripts.",
        lambda lab: {
            "full width": lab.api.replace("-", "－"),
            "Cyrillic": lab.api_uri.replace("a", "а", 1),
            "other hyphen": lab.api.replace("-", "‑"),
        },
    ),
    _row(
        "audience_pattern", "The audience is a pattern.", lambda _: {name: name for name in ("*", "%", ".*", "api://*")}
    ),
)
