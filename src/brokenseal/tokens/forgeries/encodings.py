"""The writing: base64 that is nearly right, text that is nearly JSON, characters that are nearly none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from brokenseal.tokens._sealing import b64, json_bytes, sign, unb64
from brokenseal.tokens.specimen import Gravity, Specimen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brokenseal.tokens.laboratory import Laboratory
    from brokenseal.tokens.specimen import Make

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MALLEABLE: Final = (
    "One token has many writings, with the same claims. Whoever keeps a list of used tokens by their text is deceived, "
    "and two readers may read two things."
)
_MALLEABLE_MEND: Final = (
    "Decode base64url strictly: its alphabet alone, no padding, no white space, unused bits zero; or encode again and "
    "compare."
)
_TEXT: Final = "What is no JSON is read as some; another reader of the same token stumbles or reads other claims."
_TEXT_MEND: Final = "Decode as UTF-8 without a byte order mark and read it with a strict JSON parser."
_BASE64: Final = ("RFC 7515 §2", "RFC 4648 §3.5", "RFC 8725 §2.4")
_JSON: Final = ("RFC 7519 §7.2", "RFC 8259 §2", "RFC 8259 §8.1", "RFC 8725 §3.7")


def _malleable(name: str, tests: str, make: Make) -> Specimen:
    return Specimen(
        name=name,
        family="encodings",
        gravity=Gravity.LAXITY,
        tests=tests,
        meaning=_MALLEABLE,
        mend=_MALLEABLE_MEND,
        sources=_BASE64,
        make=make,
    )


def _nearly_json(name: str, tests: str, make: Make) -> Specimen:
    return Specimen(
        name=name,
        family="encodings",
        gravity=Gravity.LAXITY,
        tests=tests,
        meaning=_TEXT,
        mend=_TEXT_MEND,
        sources=_JSON,
        make=make,
    )


def unused_bits(text: str) -> str:
    """The same bytes in base64 whose last character carries unused bits that are not zero."""
    return text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) + 1]


def _rewritten(lab: Laboratory, write: Callable[[str], str]) -> str:
    """A genuine token whose signature is written otherwise."""
    head, _, signature = lab.mint().rpartition(".")
    return f"{head}.{write(signature)}"


def _resigned(lab: Laboratory, header: str, payload: str) -> str:
    """A token of these two encoded parts, signed by the genuine key over them as they stand."""
    text = f"{header}.{payload}"
    return f"{text}.{b64(sign(lab.keys['enterprise'].private, 'RS256', text))}"


def _encoded(lab: Laboratory) -> tuple[str, str]:
    """Header and claims whose lengths leave unused bits, encoded."""
    header, body = json_bytes(lab.header()), json_bytes(lab.claims())
    while len(header) % 3 != 2:  # noqa: PLR2004  two bytes over: two unused bits
        header += b" "
    while len(body) % 3 != 2:  # noqa: PLR2004
        body += b" "
    return b64(header), b64(body)


def _in_signature(changed: Mapping[str, str], lab: Laboratory) -> dict[str, str]:
    """The signature of a genuine token with something put into its middle."""
    head, _, signature = lab.mint().rpartition(".")
    middle = len(signature) // 2
    return {label: f"{head}.{signature[:middle]}{text}{signature[middle:]}" for label, text in changed.items()}


def _standard_alphabet(lab: Laboratory) -> dict[str, str]:
    """Plus and slash for hyphen and underscore, in a token whose signature has both."""
    for number in range(64):
        token = lab.mint({"rh": f"draw {number}"})
        head, _, signature = token.rpartition(".")
        if "-" in signature and "_" in signature:
            break
    return {
        "both": f"{head}.{signature.replace('-', '+').replace('_', '/')}",
        "plus": f"{head}.{signature.replace('-', '+')}",
        "padded": f"{head}.{signature.replace('-', '+').replace('_', '/')}==",
    }


def _around(lab: Laboratory, **pairs: tuple[str, str]) -> dict[str, str]:
    return {label.replace("_", " "): f"{before}{lab.mint()}{behind}" for label, (before, behind) in pairs.items()}


def _bodies(lab: Laboratory, bodies: Mapping[str, bytes]) -> dict[str, str]:
    return {label: lab.seal(json_bytes(lab.header()), body) for label, body in bodies.items()}


def _added(lab: Laboratory, texts: Mapping[str, bytes]) -> dict[str, str]:
    """Genuine claims with a raw member before them."""
    return _bodies(lab, {label: b"{" + text + b"," + json_bytes(lab.claims())[1:] for label, text in texts.items()})


def _comments(lab: Laboratory) -> dict[str, str]:
    body = json_bytes(lab.claims())
    return _bodies(
        lab,
        {
            "block": b"{/* */" + body[1:],
            "line": b"{//\n" + body[1:],
            "hash": b"{#\n" + body[1:],
            "behind": body + b"// end",
        },
    )


def _commas(lab: Laboratory) -> dict[str, str]:
    body = json_bytes(lab.claims())
    return _bodies(lab, {"behind": body[:-1] + b",}", "two": body[:-1] + b",,}", "before": b"{," + body[1:]})


def _encodings(lab: Laboratory) -> dict[str, str]:
    text = json_bytes(lab.claims()).decode()
    return _bodies(
        lab,
        {
            name: text.encode(name)
            for name in ("utf-16", "utf-16-le", "utf-32-be", "utf-7")
            if text.encode(name) != text.encode()
        },
    )


def _two_documents(lab: Laboratory) -> dict[str, str]:
    body = json_bytes(lab.claims())
    return _bodies(
        lab,
        {
            "object": body + json_bytes(lab.claims({"oid": "x"})),
            "word": body + b"x",
            "zero": body + b"\0",
            "brace": body + b"}",
            "cut": body[:-1],
        },
    )


FORGERIES: Final = (
    _malleable(
        "signature_with_unused_bits",
        "The last character of the signature carries unused bits.",
        lambda lab: _rewritten(lab, unused_bits),
    ),
    _malleable(
        "parts_with_unused_bits",
        "The last character of header or claims carries unused bits; signed as it stands.",
        lambda lab: {
            "header": _resigned(lab, unused_bits(_encoded(lab)[0]), _encoded(lab)[1]),
            "claims": _resigned(lab, _encoded(lab)[0], unused_bits(_encoded(lab)[1])),
        },
    ),
    _malleable(
        "signature_padded",
        "The signature ends in padding.",
        lambda lab: {tail: f"{lab.mint()}{tail}" for tail in ("=", "==", "===", "%3D%3D")},
    ),
    _malleable(
        "parts_padded",
        "Header and claims end in padding; signed as they stand.",
        lambda lab: _resigned(lab, f"{_encoded(lab)[0]}=", f"{_encoded(lab)[1]}="),
    ),
    _malleable(
        "signature_with_white_space",
        "White space inside the signature.",
        lambda lab: _in_signature({"space": " ", "tab": "\t", "line feed": "\n", "CRLF": "\r\n"}, lab),
    ),
    _malleable(
        "parts_with_white_space",
        "White space inside header or claims; signed as they stand.",
        lambda lab: {
            "header": _resigned(lab, f"{_encoded(lab)[0][:8]}\n{_encoded(lab)[0][8:]}", _encoded(lab)[1]),
            "claims": _resigned(lab, _encoded(lab)[0], f"{_encoded(lab)[1][:8]} {_encoded(lab)[1][8:]}"),
        },
    ),
    _malleable(
        "signature_with_foreign_characters",
        "Characters inside the signature that are of no base64 alphabet.",
        lambda lab: _in_signature({"!": "!", "comma": ",", "zero": "\0", "letter": "é", "invisible": "\u200b"}, lab),
    ),
    _malleable(
        "signature_in_standard_alphabet",
        "Plus and slash for hyphen and underscore in the signature.",
        _standard_alphabet,
    ),
    _malleable(
        "signature_of_impossible_length",
        "A character behind the signature, to a length that base64 never has.",
        lambda lab: f"{lab.mint()}AAA",
    ),
    _malleable(
        "signature_as_hex",
        "The signature written in hexadecimal digits.",
        lambda lab: _rewritten(lab, lambda signature: unb64(signature).hex()),
    ),
    _malleable(
        "space_around",
        "White space before or behind the token.",
        lambda lab: _around(
            lab, before=(" ", ""), behind=("", " "), line_feed=("", "\n"), tab=("\t", ""), no_break=("\u00a0", "")
        ),
    ),
    _malleable(
        "something_around",
        "Quotation marks, a second `Bearer`, a byte order mark or brackets around the token.",
        lambda lab: _around(
            lab,
            quotes=('"', '"'),
            bearer=("Bearer ", ""),
            mark=("\ufeff", ""),
            brackets=("<", ">"),
            zero=("", "\0"),
            comma=("", ","),
        ),
    ),
    _malleable(
        "full_stops_of_other_scripts",
        "The parts are divided by other full stops, or by ones in percent signs.",
        lambda lab: {
            label: lab.mint().replace(".", stop)
            for label, stop in {"full width": "．", "ideographic": "。", "percent": "%2E"}.items()
        },
    ),
    _malleable(
        "letters_of_other_scripts",
        "Letters of the token in full width, which normalising turns into the right ones.",
        lambda lab: lab.mint().replace("e", "ｅ"),
    ),
    _nearly_json(
        "claims_with_byte_order_mark",
        "The claims, or the header, begin with a byte order mark.",
        lambda lab: {
            "claims": lab.seal(json_bytes(lab.header()), b"\xef\xbb\xbf" + json_bytes(lab.claims())),
            "header": lab.seal(b"\xef\xbb\xbf" + json_bytes(lab.header()), json_bytes(lab.claims())),
        },
    ),
    _nearly_json("claims_in_other_encoding", "The claims are written in UTF-16 or UTF-32.", _encodings),
    _nearly_json(
        "claims_with_broken_text",
        "The claims hold bytes that are no UTF-8.",
        lambda lab: _added(
            lab,
            {
                "Latin-1": b'"given_name":"Ren\xe9"',
                "overlong": b'"given_name":"\xc0\xaf"',
                "half a pair": b'"given_name":"\xed\xa0\x80"',
                "cut": b'"given_name":"\xe2\x82"',
            },
        ),
    ),
    _nearly_json(
        "claims_with_half_a_character",
        "An escape in the claims stands for half a character.",
        lambda lab: _added(
            lab, {"high": b'"given_name":"\\ud800"', "low": b'"given_name":"\\udc00x"', "name": b'"\\udfff":1'}
        ),
    ),
    _nearly_json("claims_with_comments", "The claims hold a comment.", _comments),
    _nearly_json("claims_with_comma_too_many", "The claims hold a comma too many.", _commas),
    _nearly_json(
        "claims_in_other_quotes",
        "The claims hold text in single quotation marks, or names without any.",
        lambda lab: _added(lab, {"single": b"'a':'b'", "none": b"a:1", "curly": "“a”:1".encode()}),
    ),
    _nearly_json(
        "claims_with_raw_control_characters",
        "The claims hold a raw line feed, tab or zero character inside text.",
        lambda lab: _added(lab, {"line feed": b'"a":"x\ny"', "tab": b'"a":"x\ty"', "zero": b'"a":"x\0y"'}),
    ),
    _nearly_json(
        "claims_with_foreign_white_space",
        "White space in the claims that JSON does not have.",
        lambda lab: _bodies(
            lab,
            {
                "no-break": "\u00a0".encode() + json_bytes(lab.claims()),
                "form feed": b"\x0c" + json_bytes(lab.claims()),
                "line separator": json_bytes(lab.claims()) + "\u2028".encode(),
            },
        ),
    ),
    _nearly_json(
        "claims_with_words_of_other_languages",
        "The claims hold a word that other languages have and JSON has not.",
        lambda lab: _added(
            lab, {"NaN": b'"a":NaN', "None": b'"a":None', "True": b'"a":True', "undefined": b'"a":undefined'}
        ),
    ),
    _nearly_json(
        "claims_with_wrong_escapes",
        "The claims hold an escape that JSON does not have.",
        lambda lab: _added(
            lab, {"hex": b'"a":"\\x41"', "unicode": b'"a":"\\u{41}"', "quote": b'"a":"\\\'"', "short": b'"a":"\\u41"'}
        ),
    ),
    _nearly_json("claims_and_something_behind", "The claims are followed by something, or cut off.", _two_documents),
)
