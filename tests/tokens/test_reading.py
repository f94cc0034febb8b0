from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brokenseal.tokens.reading import bare, read, redact
from brokenseal.wording import say
from token_maker import b64, claims, mint

HEADER = b'{"alg":"RS256"}'
TOKEN = f"{b64(HEADER)}.{b64(b'{}')}.AAAA"


def codes(token: str) -> list[tuple[str, str]]:
    return [(anomaly.part, anomaly.code) for anomaly in read(token).anomalies]


def payload(text: str | bytes) -> str:
    return f"{b64(HEADER)}.{b64(text if isinstance(text, bytes) else text.encode())}.AAAA"


def test_a_canonical_token_is_read_whole_and_has_no_anomaly():
    token = mint({"name": "Zoë 😀"})
    reading = read(token)

    assert reading.header == {"typ": "JWT", "alg": "RS256", "kid": "home"}
    assert claims({"name": "Zoë 😀"}) == reading.claims
    assert reading.anomalies == ()
    assert token == f"{reading.signing_input.decode()}.{b64(reading.signature)}"
    assert len(token) == reading.characters


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        pytest.param(
            "",
            [("token", "not_compact"), *((part, "empty") for part in ("header", "payload", "signature"))],
            id="nothing",
        ),
        pytest.param("..", [(part, "empty") for part in ("header", "payload", "signature")], id="two points"),
        pytest.param(TOKEN.rsplit(".", 1)[0], [("token", "not_compact"), ("signature", "empty")], id="two parts"),
        pytest.param(f"{TOKEN}.", [("token", "not_compact"), ("signature", "empty")], id="four parts"),
        pytest.param(TOKEN.rsplit(".", 1)[0] + ".", [("signature", "empty")], id="no signature"),
        pytest.param(f"{b64(HEADER)}..AAAA", [("payload", "empty")], id="detached"),
        pytest.param(
            f"{b64(HEADER)}.a.b.c.d",
            [("token", "encrypted"), ("payload", "empty"), ("signature", "empty")],
            id="encrypted",
        ),
        pytest.param(f"{TOKEN}\n", [("signature", "alphabet")], id="line feed behind"),
        pytest.param(f" {TOKEN}", [("header", "alphabet")], id="space before"),
        pytest.param(TOKEN + "=", [("signature", "padding")], id="padding"),
        pytest.param(TOKEN[:-4] + "AA+/", [("signature", "alphabet")], id="standard alphabet"),
        pytest.param(TOKEN[:-4] + "AAAAA", [("signature", "length")], id="impossible length"),
        pytest.param(TOKEN[:-4] + "AB", [("signature", "unused_bits")], id="unused bits of two characters"),
        pytest.param(TOKEN[:-4] + "AAB", [("signature", "unused_bits")], id="unused bits of three characters"),
        pytest.param(TOKEN.replace("e", "е", 1), [("token", "alphabet")], id="Cyrillic letter"),
        pytest.param(payload('{"aud":1,"aud":2}'), [("payload", "duplicate_member")], id="duplicate"),
        pytest.param(payload('{"aud":1,"\\u0061ud":2}'), [("payload", "duplicate_member")], id="escaped duplicate"),
        pytest.param(payload('{"a":{"b":1,"b":2}}'), [("payload", "duplicate_member")], id="inner duplicate"),
        pytest.param(payload('{"exp":NaN}'), [("payload", "not_json")], id="NaN"),
        pytest.param(payload('{"exp":1e999}'), [("payload", "not_json")], id="infinite number"),
        pytest.param(payload('{"exp":' + "9" * 5000 + "}"), [("payload", "not_json")], id="number of 5000 digits"),
        pytest.param(payload("{} {}"), [("payload", "not_json")], id="two objects"),
        pytest.param(payload("{'a':1}"), [("payload", "not_json")], id="single quotes"),
        pytest.param(payload('{"a":"\t"}'), [("payload", "not_json")], id="raw control character"),
        pytest.param(payload("\ufeff{}"), [("payload", "not_json")], id="byte order mark"),
        pytest.param(payload(b'{"a":"\xff"}'), [("payload", "not_utf8")], id="no UTF-8"),
        pytest.param(payload(b'{"a":"\xc0\xaf"}'), [("payload", "not_utf8")], id="overlong UTF-8"),
        pytest.param(payload('{"a":"\\ud800"}'), [("payload", "lone_surrogate")], id="half a character"),
        pytest.param(payload("[]"), [("payload", "not_object")], id="array"),
        pytest.param(payload('"text"'), [("payload", "not_object")], id="text"),
        pytest.param(payload('{"a":' + "[" * 9000 + "]" * 9000 + "}"), [("payload", "too_deep")], id="very deep"),
        pytest.param(payload('{"a":' + "[" * 32 + "]" * 32 + "}"), [("payload", "too_deep")], id="one too deep"),
        pytest.param(payload('{"a":' + "[" * 31 + "]" * 31 + "}"), [], id="as deep as allowed"),
        pytest.param(payload(json.dumps({"a": [[]] * 99})), [], id="many brackets, not deep"),
        pytest.param(payload(' { "a" : 1 } '), [], id="spaces in JSON"),
        pytest.param(payload('{"a":"\\ud83d\\ude00"}'), [], id="escaped pair"),
    ],
)
def test_every_departure_from_the_canonical_form_is_an_anomaly(token, expected):
    assert expected == codes(token)


def test_json_serialisation_is_named():
    assert codes('{"payload":"e30","signature":"AA"}')[0] == ("token", "json_form")


def test_what_is_damaged_is_still_read_as_far_as_it_goes():
    assert read(payload('{"aud":1,"aud":2,"x":"\\ud800"}')).claims == {"aud": 2, "x": "?"}
    assert read(payload('{"a":"\\udfff"}')).claims == {"a": "?"}
    assert read(TOKEN.replace(".", "==.", 1)).header == {"alg": "RS256"}
    assert read(f"{b64(HEADER)}.a.b.c.d").header == {"alg": "RS256"}


def test_a_text_above_the_limit_is_not_looked_into():
    reading = read(TOKEN, largest_bytes=len(TOKEN) - 1)

    assert [(anomaly.part, anomaly.code) for anomaly in reading.anomalies] == [("token", "too_large")]
    assert (reading.header, reading.claims, reading.signature) == ({}, {}, b"")
    assert read(TOKEN, largest_bytes=len(TOKEN)).anomalies == ()


def test_a_header_that_is_read_again_is_not_shared():
    """Headers are remembered; what one caller does with its copy must not reach another."""
    first = read(TOKEN)
    first.header["alg"] = "none"  # type: ignore[index]

    assert read(TOKEN).header == {"alg": "RS256"}


def test_the_redacted_text_holds_header_and_claims_and_no_signature():
    token = mint()
    header, body, signature = token.split(".")

    assert f"{header}.{body}.[signature of {len(signature)} characters left out]" == redact(token)
    assert redact("abcd.efgh") == "[9 characters left out]"


@pytest.mark.parametrize(
    "text", ["{0}", " {0}\r\n", "Bearer {0}", "bearer  {0}", "Authorization: Bearer {0}\n", '"{0}"', "PoP {0}"]
)
def test_a_token_is_freed_of_what_it_is_copied_with(text):
    assert bare(text.format(TOKEN)) == TOKEN


@given(st.text())
@example("é.é.é")
@example("\ud800..")
def test_any_text_is_read_without_a_crash(text):
    reading = read(text)

    assert len(text) == reading.characters
    assert all(say(anomaly.reason, "en") for anomaly in reading.anomalies)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_in_header_and_payload_are_read_without_a_crash(header, body):
    reading = read(seal_unsigned(header, body))

    json.dumps([reading.header, reading.claims], ensure_ascii=False).encode()
    assert bool(reading.anomalies) or reading.claims == json.loads(body)


def seal_unsigned(header: bytes, body: bytes) -> str:
    return f"{b64(header)}.{b64(body)}.AAAA"


@given(
    st.dictionaries(
        st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5)
    )
)
def test_any_object_that_json_can_write_is_read_back(value):
    try:
        written = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    reading = read(seal_unsigned(HEADER, written))

    assert value == reading.claims or reading.anomalies
