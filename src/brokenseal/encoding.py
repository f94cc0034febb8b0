"""Bytes of any Unicode encoding to UTF-8 blocks, and blocks to lines, with flat memory.

Windows PowerShell 5.1 writes UTF-16 with a byte order mark by `>` and `Out-File`, UTF-8 with one by
`-Encoding UTF8`; downloads of message traces are UTF-16; some tools cut the mark off.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK_BYTES: Final = 1024 * 1024
SHOWN_CHARACTERS: Final = 64 * 1024
"""How much text is kept of a record that is too large to be kept: the quarantine keeps no more either."""

_SAMPLE_BYTES: Final = 64 * 1024
_CONTROLS: Final = bytes(set(range(32)) - {8, 9, 10, 12, 13, 27, 30}) + b"\x7f"
_CONTROL_SHARE: Final = 0.02
_NUL_SHARE: Final = 0.15
_NUL_CONTRAST: Final = 8

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def detect(head: bytes) -> tuple[str, int]:
    """Encoding of a stream by its first bytes, and the length of its byte order mark.

    Returns: `utf-8`, `utf-8-sig`, `utf-16-le` or `utf-16-be`. UTF-16 without a mark is known by the NULs, which
        stand at the odd offsets of little-endian text (every second byte of ASCII) and at the even ones of
        big-endian text. Everything else is taken as UTF-8, and what does not decode is rejected record by record.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    sample = head[:_SAMPLE_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    enough = max(1, len(sample) // 2 * _NUL_SHARE)
    # Every form of export begins with a character below U+0100: a bracket, a quote mark, a letter of a header.
    if sample[1:2] == b"\0" and odd >= enough and odd > even * _NUL_CONTRAST:
        return "utf-16-le", 0
    if sample[:1] == b"\0" and even >= enough and even > odd * _NUL_CONTRAST:
        return "utf-16-be", 0
    return "utf-8", 0


def is_binary(block: bytes) -> bool:
    """Whether UTF-8 bytes are no text at all: more than one in fifty is a control character that text has not."""
    sample = block[:_SAMPLE_BYTES]
    return len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) * _CONTROL_SHARE


def read_head(stream: BinaryIO, size: int) -> bytes:
    """The first `size` bytes, fewer only where the stream ends; streams may give less than they are asked for."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def utf8_blocks(head: bytes, stream: BinaryIO, encoding: str) -> Iterator[bytes]:
    """The stream as UTF-8: `head` (without its mark) first, then the rest, about a mebibyte at a time.

    What is no text stays recognisable: lone UTF-16 surrogates and half a character at the end come out as bytes
    that are no UTF-8, so that the record which holds them is rejected as such.
    """
    if not encoding.startswith("utf-16"):
        block = head
        while block:
            yield block
            block = stream.read(BLOCK_BYTES)
        return
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    block = head
    while block:
        if text := decoder.decode(block):
            yield text.encode("utf-8", "surrogatepass")
        block = stream.read(BLOCK_BYTES)
    if decoder.getstate()[0]:
        yield b"\xff"


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line above the limit, of which only the beginning was kept.

    Attributes:
        head: Its first bytes.
        quotes: Number of quote marks in the whole of it.
    """

    head: bytes
    quotes: int


def lines(blocks: Iterator[bytes], limit: int) -> Iterator[bytes | LongLine]:
    r"""Lines without their `\n`; a line that grows beyond `limit` bytes plus a block is dropped as it is read."""
    held: list[bytes] = []
    size = 0
    long: LongLine | None = None
    for block in blocks:
        parts = block.split(b"\n")
        first = parts[0]
        if long is None:
            held.append(first)
            size += len(first)
            if size > limit:
                long, held = _long_line(held), []
        else:
            long = LongLine(long.head, long.quotes + first.count(b'"'))
        if len(parts) == 1:
            continue
        yield long if long is not None else b"".join(held)
        yield from parts[1:-1]
        held, size, long = [parts[-1]], len(parts[-1]), None
    if long is not None:
        yield long
    elif size:
        yield b"".join(held)


def _long_line(held: list[bytes]) -> LongLine:
    whole = b"".join(held)
    return LongLine(whole[:SHOWN_CHARACTERS], whole.count(b'"'))


def text_of_bytes(line: bytes) -> tuple[str, bool]:
    """The text of UTF-8 bytes, and True; what does not decode is shown as Latin-1, and False."""
    try:
        return line.decode(), True
    except UnicodeDecodeError:
        return line.decode("latin-1"), False


def text_of_escaped(text: str) -> tuple[str, bool]:
    """As `text_of_bytes`, for text that was decoded with `surrogateescape`."""
    if text.isascii():
        return text, True
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1"), False
    return text, True
