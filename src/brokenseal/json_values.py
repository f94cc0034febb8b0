"""JSON arrays and values that follow each other: a stream to its elements, with flat memory.

An element of an array and a value at the top level are one record each. A broken one is rejected, and reading
goes on at the next place that looks like a beginning: the broken text's own closing bracket, an object with the
same first keys as the records before, or a bracket at the start of a line. Exports are appended page by page,
so one file may hold several arrays, and a page that was cut off may stand before a good one.
"""

from __future__ import annotations

import codecs
import functools
import json
import re
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from brokenseal.encoding import SHOWN_CHARACTERS, text_of_escaped
from brokenseal.json_text import TOO_DEEP, first_fault, is_too_deep, scan_value, well_formed
from brokenseal.model import FramedRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_JSON: Final = "one JSON value"
NOT_TEXT: Final = "text in UTF-8 or UTF-16"
NOT_OBJECT: Final = "a JSON object"

# Commas are blank here, and so are a byte order mark between appended pages and the record separator of RFC 7464.
_BLANK = re.compile("[\\s,\ufeff\x1e]*")
_BRACKET = re.compile(r'["{}\[\]]')
_BRACKET_OR_LINE = re.compile(r'["{}\[\]]|\n(?=[{\[])')
_QUOTE = re.compile(r'["\\]')
_QUOTE_OR_LINE = re.compile(r'["\\]|\n(?=[{\[])')
_LINE = re.compile(r"\n(?=[{\[])")
_NO_BRACKETS = re.compile(r'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NESTED_AT_MOST: Final = 100
_JUNK_END = re.compile(r"[\n{\[]")
_JUNK_ELEMENT_END = re.compile(r"[,\]\n{\[]")
_KEY = r'"([^"\\]{1,200})"'
_SCALAR = r'(?:"(?:[^"\\]|\\.)*+"|[^\s"{}\[\],]+)'
_FIRST_KEYS = re.compile(rf"\{{\s*{_KEY}\s*:\s*{_SCALAR}\s*,\s*{_KEY}\s*:", re.DOTALL)
_SIGNATURES: Final = 16
_TRIES: Final = 32
# A literal such as -Infinity or an escape such as \\ud83d may be cut by the end of what was read so far.
_CUT_CHARACTERS: Final = 12
_COMPACT_CHARACTERS: Final = 4 * 1024
_PIECE_CHARACTERS: Final = 64 * 1024
_LONG_CHARACTERS: Final = 1024 * 1024
_UNDECIDED: Final = -1


class _Outline:
    """Where a bracketed text ends, by brackets and quote marks alone; can be carried on from block to block."""

    def __init__(self, *, outside: re.Pattern[str] = _BRACKET, inside: re.Pattern[str] = _QUOTE) -> None:
        self.depth = 0
        self.in_string = False
        self._outside = outside
        self._inside = inside

    def end(self, text: str, start: int, stop: int) -> tuple[int | None, int]:
        """(position behind the end or None, position up to which was read) between `start` and `stop`."""
        position = start
        again_at = start
        while position < stop:
            if position >= again_at and not self.in_string and stop - position > _PIECE_CHARACTERS:
                if passed := self._pass(text, position):
                    position += passed
                    continue
                again_at = position + _PIECE_CHARACTERS
            found = (self._inside if self.in_string else self._outside).search(text, position, stop)
            if found is None:
                return None, stop
            position = found.end()
            character = text[position - 1]
            if character == "\\":
                if position >= stop:
                    return None, position - 1
                position += 1
            elif self._ends_with(character):
                return position, position
        return None, position

    def _ends_with(self, character: str) -> bool:
        if character == "\n":
            return True
        if character == '"':
            self.in_string = not self.in_string
        else:
            self.depth += 1 if character in "{[" else -1
        return self.depth <= 0 and not self.in_string

    def _pass(self, text: str, position: int) -> int:
        """Pass over a piece in which the text cannot end, outside of strings: how many characters, 0 where it might."""
        piece = text[position : position + _PIECE_CHARACTERS]
        if self._outside is _BRACKET_OR_LINE and _LINE.search(piece):
            return 0
        # What a last backslash or line feed means is decided by the character after it.
        piece = piece.rstrip("\\\n")
        # The added quote mark closes a string that goes on behind the piece; else it is left over.
        rest = _NO_BRACKETS.sub("", piece + '"').replace("{", "[").replace("}", "]")
        for _ in range(_NESTED_AT_MOST):
            if "[]" not in rest:
                break
            rest = rest.replace("[]", "")
        closing = rest.count("]")
        if closing >= self.depth or "[]" in rest:
            return 0
        self.depth += rest.count("[") - closing
        self.in_string = not rest.endswith('"')
        return len(piece)


class JsonValues:
    """The records of a stream of JSON arrays and values; iterate it once.

    Attributes:
        values: Arrays and values seen at the top level so far.
        is_open: True where the stream ended inside an array or a value.
    """

    def __init__(self, blocks: Iterator[bytes], *, limit: int) -> None:
        self.values = 0
        self.is_open = False
        self._blocks = blocks
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._limit = limit
        self._text = ""
        self._ahead: deque[str] = deque()
        self._at = 0
        self._eof = False
        self._in_array = False
        self._count = 0
        self._signatures: set[tuple[str, ...]] = set()

    def __iter__(self) -> Iterator[FramedRecord]:
        while self._find_value():
            start = self._at
            try:
                value, end = scan_value(self._text, start)
            except RecursionError:
                yield self._skip("too_deep", TOO_DEEP)
            except ValueError as error:
                record = self._unreadable(error)
                if record is not None:
                    yield record
            else:
                if end == len(self._text) and not self._eof and not isinstance(value, dict | list):
                    self._grow()  # a number may go on in the next block
                    continue
                self._at = end
                yield self._record(self._text[start:end], value)
        self.is_open = self.is_open or self._in_array

    def _grow(self) -> None:
        """Read as much again as is pending, up to the limit: reading a long value again costs twice at most."""
        pending = len(self._text) - self._at
        wanted = max(_PIECE_CHARACTERS, min(pending, self._limit - pending))
        parts = [self._text[self._at :]]
        self._text = ""
        while wanted > 0:
            parts.append(self._next_piece())
            wanted -= len(parts[-1])
            if self._eof:
                break
        self._text = "".join(parts)
        self._at = 0

    def _next_piece(self) -> str:
        if self._ahead:
            return self._ahead.popleft()
        block = next(self._blocks, None)
        if block is None:
            self._eof = True
            return self._decoder.decode(b"", final=True)
        return self._decoder.decode(block)

    def _compact(self) -> None:
        """Let the text begin where reading stands: the parser's errors take as long as the text before them."""
        if self._at > _COMPACT_CHARACTERS:
            rest = self._text[self._at :]
            if len(rest) > 2 * _PIECE_CHARACTERS:
                pieces = [rest[at : at + _PIECE_CHARACTERS] for at in range(0, len(rest), _PIECE_CHARACTERS)]
                self._ahead.extendleft(reversed(pieces[1:]))
                self._eof = False
                rest = pieces[0]
            self._text, self._at = rest, 0

    def _find_value(self) -> bool:
        """Go to the first character of the next value; False at the end of the stream."""
        while True:
            found = _BLANK.match(self._text, self._at)
            self._at = self._at if found is None else found.end()
            if self._at == len(self._text):
                if self._eof:
                    return False
                self._grow()
                continue
            character = self._text[self._at]
            if character == "]":
                self._in_array = False
            elif character == "[" and not self._in_array:
                self._in_array = True
                self.values += 1
            else:
                return True
            self._at += 1

    def _number(self) -> int:
        self._count += 1
        if not self._in_array:
            self.values += 1
        return self._count

    def _rejected(self, text: str, reason: str, expected: str) -> FramedRecord:
        shown, is_text = text_of_escaped(text)
        if not is_text:
            reason, expected = "not_text", NOT_TEXT
        return FramedRecord(record_no=self._number(), text=shown, value=None, reason=reason, expected=expected)

    def _record(self, text: str, value: Any) -> FramedRecord:
        if not text.isascii() and not text_of_escaped(text)[1]:
            return self._rejected(text, "not_text", NOT_TEXT)
        if is_too_large(text, self._limit):
            return self._rejected(text[:SHOWN_CHARACTERS], "too_large", at_most(self._limit))
        if is_too_deep(text, value):
            return self._rejected(text, "too_deep", TOO_DEEP)
        if not isinstance(value, dict):
            return self._rejected(text, "unknown_shape", NOT_OBJECT)
        if len(self._signatures) < _SIGNATURES:
            self._signatures.add(tuple(islice(value, 2)))
        return FramedRecord(record_no=self._number(), text=text, value=well_formed(text, value))

    def _unreadable(self, error: ValueError) -> FramedRecord | None:
        """A value that does not parse: None after more was read, where that may be all it lacks."""
        fault_at: int | None = self._at  # a number of thousands of digits
        if isinstance(error, json.JSONDecodeError):
            fault_at = None if error.msg.startswith("Unterminated string") else error.pos
        is_cut = fault_at is None or fault_at >= len(self._text) - _CUT_CHARACTERS
        if is_cut and not self._eof:
            if self._pending_too_large():
                return self._skip("too_large", at_most(self._limit))
            if len(self._text) - self._at > _LONG_CHARACTERS and self._text[self._at] in '{["':
                return self._long()
            self._grow()
            return None
        # A raw line feed inside a string often is where a page was cut off, and the string "ends" much later.
        strict = first_fault(self._text, self._at)
        return self._broken(min(self._at if at is None else at for at in (fault_at, strict)) - self._at)

    def _long(self) -> FramedRecord:
        """A long value: find its end by its outline first, because half of it as objects takes much memory."""
        outline = _Outline(outside=_BRACKET_OR_LINE, inside=_QUOTE_OR_LINE)
        read = 0
        while True:
            end, position = outline.end(self._text, self._at + read, len(self._text) - (0 if self._eof else 1))
            read = position - self._at
            if end is not None or self._eof:
                break
            if self._pending_too_large():
                return self._skip("too_large", at_most(self._limit), outline, read)
            self._grow()
        start = self._at
        try:
            value, self._at = scan_value(self._text, start)
        except RecursionError:
            return self._skip("too_deep", TOO_DEEP)
        except ValueError:
            return self._broken((first_fault(self._text, start) or start) - start)
        return self._record(self._text[start : self._at], value)

    def _pending_too_large(self) -> bool:
        return len(self._text) - self._at > self._limit

    def _broken(self, fault_offset: int) -> FramedRecord:
        while (end := self._resume(self._at + fault_offset)) is None:
            if self._eof:
                self.is_open = True
                end = len(self._text)
                break
            if self._pending_too_large():
                return self._skip("too_large", at_most(self._limit))
            self._grow()
        text = self._text[self._at : end].rstrip(", \t\r\n")
        if is_too_large(text, self._limit):
            record = self._rejected(text[:SHOWN_CHARACTERS], "too_large", at_most(self._limit))
        else:
            record = self._rejected(text, "not_json", NOT_JSON)
        if self._text[end : end + 1] == "[" and self._text[end - 1] == "\n":
            self._in_array = False
        self._at = end
        self._compact()
        return record

    def _resume(self, fault_at: int) -> int | None:
        """Where reading goes on after a broken value, or None where what was read so far does not show it."""
        text, start = self._text, self._at
        if text[start] not in "{[":
            found = (_JUNK_ELEMENT_END if self._in_array else _JUNK_END).search(text, start + 1)
            return None if found is None else found.start()
        # The string before the fault may have begun before the cut and "ended" with the next record's first quote.
        closing = text.rfind('"', start + 1, fault_at)
        opening = text.rfind('"', start + 1, closing) if closing > 0 else -1
        signatures = self._signatures or self._own_signature()
        pattern = _beginnings(frozenset(signature[0] for signature in signatures if signature))
        position = max(start + 1, fault_at if opening < 0 else opening)
        first = pattern.search(text, position)
        outline = _Outline()
        end, read = outline.end(text, start, len(text) if first is None else first.start())
        if end is not None or first is None:
            return end
        other = self._next_beginning(pattern, first.start(), signatures)
        if other == _UNDECIDED:
            return None
        end, _ = outline.end(text, read, len(text) if other is None else other)
        return other if end is None else end

    def _next_beginning(self, pattern: re.Pattern[str], position: int, signatures: set[tuple[str, ...]]) -> int | None:
        """The next object that begins like the records so far, or bracket that begins a line, if there is one."""
        for found in islice(pattern.finditer(self._text, position), _TRIES):
            begin = found.start()
            keys = _FIRST_KEYS.match(self._text, begin)
            if self._text[begin] == "[" or (keys is not None and (keys[1], keys[2]) in signatures):
                return begin
            try:
                value, _ = scan_value(self._text, begin)
            except RecursionError:
                continue
            except ValueError:
                fault_at = first_fault(self._text, begin)
                if not self._eof and (fault_at is None or fault_at >= len(self._text) - _CUT_CHARACTERS):
                    return _UNDECIDED
                continue
            if self._text[begin - 1] == "\n" or tuple(islice(value, 2)) in signatures:
                return begin
        return None

    def _own_signature(self) -> set[tuple[str, ...]]:
        """The first two keys of the broken value itself, where no record before it tells what to look for."""
        found = _FIRST_KEYS.match(self._text, self._at)
        return set() if found is None else {(found[1], found[2])}

    def _skip(self, reason: str, expected: str, outline: _Outline | None = None, read: int = 0) -> FramedRecord:
        """Pass over a value without keeping it: only its beginning is shown. `read` of it are in `outline` already."""
        shown = self._text[self._at : self._at + SHOWN_CHARACTERS]
        if outline is None:
            # A bracket at the start of a line begins the next value, however many brackets and quotes are still
            # open; only what is well-formed so far, and deep, may be written with every bracket on its own line.
            outline = _Outline(outside=_BRACKET if reason == "too_deep" else _BRACKET_OR_LINE, inside=_QUOTE_OR_LINE)
        is_bracketed = self._text[self._at] in '{["'
        junk_end = _JUNK_ELEMENT_END if self._in_array else _JUNK_END
        record = self._rejected(shown, reason, expected)
        self._at += read
        while True:
            # The last character may be the backslash or line feed whose meaning the next block decides.
            stop = len(self._text) - (0 if self._eof else 1)
            if is_bracketed:
                end, position = outline.end(self._text, self._at, stop)
            else:
                found = junk_end.search(self._text, self._at, stop)
                end, position = (None, stop) if found is None else (found.start(), found.start())
            self._at = position
            if end is not None:
                if self._text[position - 1] == "\n" and self._text[position : position + 1] == "[":
                    self._in_array = False
                return record
            if self._eof:
                self.is_open = True
                self._at = len(self._text)
                return record
            self._grow()


@functools.lru_cache(maxsize=64)
def _beginnings(keys: frozenset[str]) -> re.Pattern[str]:
    """Where an object with one of the first keys begins, or a bracket at the start of a line."""
    if not keys:
        return re.compile(r"(?<=\n)[{\[]")
    same = "|".join(sorted(re.escape(json.dumps(key, ensure_ascii=False)) for key in keys))
    return re.compile(rf"\{{\s*(?:{same})\s*:|(?<=\n)[{{\[]")


def is_too_large(text: str, limit: int) -> bool:
    """Whether the text is above the limit in UTF-8 bytes."""
    if len(text) * 4 <= limit:
        return False
    return len(text) > limit or (not text.isascii() and len(text.encode("utf-8", "surrogateescape")) > limit)


def at_most(limit: int) -> str:
    """What is expected of a record above the limit."""
    return f"a record of at most {limit} bytes"
