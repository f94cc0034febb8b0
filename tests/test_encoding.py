"""Encodings by content, UTF-8 blocks, and lines with a limit."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.encoding import (
    BLOCK_BYTES,
    LongLine,
    detect,
    is_binary,
    lines,
    read_head,
    text_of_bytes,
    text_of_escaped,
    utf8_blocks,
)

JSON = '{"a":"é 邮件"}\r\n'


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", ("utf-8", 0)),
        (b"\xef\xbb\xbfa", ("utf-8-sig", 3)),
        (b"\xff\xfea\0", ("utf-16-le", 2)),
        (b"\xfe\xff\0a", ("utf-16-be", 2)),
        (JSON.encode("utf-16-le"), ("utf-16-le", 0)),
        (JSON.encode("utf-16-be"), ("utf-16-be", 0)),
        (("邮" * 30 + '"').join(["{", '"a":', "}"]).encode("utf-16-le"), ("utf-8", 0)),  # too few NULs to say so
        (("{" + '"邮件":"x",' * 30).encode("utf-16-le"), ("utf-16-le", 0)),
        (JSON.encode(), ("utf-8", 0)),
        (b'{"a":"\0\0"}', ("utf-8", 0)),
        (b'{"": []}\n\0"": []}\n', ("utf-8", 0)),
        (bytes(range(256)), ("utf-8", 0)),
    ],
)
def test_the_encoding_is_known_by_its_mark_or_its_nuls(head, expected):
    assert detect(head) == expected


def test_binary_is_what_has_many_control_characters():
    assert is_binary(os.urandom(5_000))
    assert not is_binary(b"")
    assert not is_binary("Text\twith é and \x1b[31mcolour\r\n".encode() * 10)
    assert not is_binary(b"x" * 98 + b"\0\1")
    assert is_binary(b"x" * 97 + b"\0\1\2")


@given(st.text(max_size=60), st.sampled_from(["utf-16-le", "utf-16-be"]), st.integers(1, 9))
def test_utf_16_becomes_utf_8_wherever_it_is_cut(text, codec, cut):
    data = text.encode(codec)

    assert b"".join(utf8_blocks(data[:cut], io.BytesIO(data[cut:]), codec)) == text.encode()


@pytest.mark.parametrize(
    "data", [b"a\0b", "a\ud800".encode("utf-16-le", "surrogatepass"), "\udc00a".encode("utf-16-le", "surrogatepass")]
)
def test_what_is_no_utf_16_comes_out_as_what_is_no_utf_8(data):
    found = b"".join(utf8_blocks(data, io.BytesIO(), "utf-16-le"))

    assert text_of_bytes(found)[1] is False


@given(st.lists(st.binary(max_size=30)), st.integers(1, 40), st.integers(30, 60))
def test_lines_are_the_same_however_the_bytes_are_cut(parts, cut, limit):
    data = b"\n".join(parts)
    blocks = (data[at : at + cut] for at in range(0, len(data), cut))

    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert list(lines(blocks, limit)) == expected


@given(st.lists(st.text('x"', max_size=200)), st.integers(1, 40))
def test_long_lines_are_dropped_and_their_quotes_counted(parts, cut):
    data = "\n".join(parts).encode()
    limit = 60

    found = list(lines((data[at : at + cut] for at in range(0, len(data), cut)), limit))

    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert len(found) == len(expected)
    for line, whole in zip(found, expected, strict=True):
        if isinstance(line, LongLine):
            assert len(whole) > limit
            assert whole.startswith(line.head)
            assert line.quotes == whole.count(b'"')
        else:
            assert line == whole
            assert len(line) <= limit + cut


def test_the_head_is_read_in_full_from_a_stream_that_gives_little():
    class Trickle(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 3))

    stream = Trickle(b"abcdefghij")

    assert (read_head(stream, 7), read_head(stream, BLOCK_BYTES)) == (b"abcdefg", b"hij")


def test_text_that_does_not_decode_is_shown_as_latin_1():
    assert text_of_bytes(b"caf\xe9") == ("café", False)
    assert text_of_bytes("café".encode()) == ("café", True)
    assert text_of_escaped("caf\udce9") == ("café", False)
    assert text_of_escaped("café") == ("café", True)
