"""Log text is hostile: one function per place that it can be written to.

Every report but the JSON shows log text through `visible` first: what cannot be seen, or what turns the
direction of the text around, becomes a mark. Each sink then adds its own escaping. HTML has none here:
Jinja's autoescape does it, and `html.py` builds no markup from text in any other way.
"""

from __future__ import annotations

import hashlib
import re

MARK = "\N{REPLACEMENT CHARACTER}"
LINE_BREAK = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
CUT = "\N{HORIZONTAL ELLIPSIS}[cut]"

# Excel's limit for one cell, in UTF-16 units (Microsoft Support, Excel specifications and limits).
CELL_LIMIT = 32_767

_LINE_BREAKS = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
# Controls, the marks that set the direction of text (Unicode TR9), fillers without width, tag characters, the halves of
# surrogate pairs and code points that are no characters. Joiners (U+200C, U+200D) stay: real words need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
    "|[" + "".join(chr(plane * 0x10000 + 0xFFFE) + chr(plane * 0x10000 + 0xFFFF) for plane in range(1, 17)) + "]"
)

# What a spreadsheet takes for the start of a formula (OWASP, CSV Injection), with the full-width forms that
# East Asian versions accept.
_FORMULA = "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_STARTS_FORMULA = re.compile(rf'^[\s"]*[{re.escape(_FORMULA)}]|^[\t\r\n]')
# A spreadsheet whose list separator is another than the file's splits cells where we did not.
_SPLIT_FORMULA = re.compile(rf'([,;|][\s"]*)(?=[{re.escape(_FORMULA)}])')

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#>])")
_ANCHOR = re.compile(r"[a-z0-9:._-]{1,100}")
_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def visible(text: str) -> str:
    """The text on one line, with a mark in place of every character that would act unseen.

    Terminal escapes, NUL, direction overrides and lone surrogates become U+FFFD, line breaks an arrow, tabs a space.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(MARK, _LINE_BREAKS.sub(LINE_BREAK, text.replace("\t", " ")))


def cut(text: str, limit: int) -> str:
    """The text, cut to `limit` UTF-16 units with a mark at its end; a pair of surrogates is never split."""
    if len(text) * 2 <= limit or len(text.encode("utf-16-le", "surrogatepass")) // 2 <= limit:
        return text
    room = (limit - len(CUT)) * 2
    kept = text.encode("utf-16-le", "surrogatepass")[:room].decode("utf-16-le", "ignore")
    return kept + CUT


def short(text: str, limit: int) -> str:
    """The visible text, cut to `limit` UTF-16 units; of a megabyte only the beginning is looked at."""
    # A line break of two characters becomes one mark, so that twice the limit and one more are always too many.
    return cut(visible(text[: 2 * limit + 2]), limit)


def cell(text: str) -> str:
    """Text for a CSV or XLSX cell: nothing in it starts a formula, whatever the reader's list separator is."""
    text = text[: 2 * CELL_LIMIT + 2]
    risky = bool(_STARTS_FORMULA.match(text))
    shown = visible(text)
    neutral = _SPLIT_FORMULA.sub(r"\1'", shown)
    return cut(f"'{neutral}" if risky or _STARTS_FORMULA.match(shown) else neutral, CELL_LIMIT)


def markdown(text: str) -> str:
    """Our own words for Markdown: no character of them is markup, and no tag or entity begins in them."""
    escaped = visible(text).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\1", escaped)


def markdown_code(text: str) -> str:
    """Log text for Markdown, as a code span: neither links nor images nor HTML are read in it.

    The fence is longer than any run of backticks inside, and pipes are escaped so that tables keep their cells.
    """
    shown = visible(text).strip() or " "
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")


def terminal(text: str) -> str:
    """Text for a terminal: no escape sequence, no control character and no change of direction is left in it."""
    return visible(text)


def anchor(kind: str, key: str) -> str:
    """An id for a fragment link; a key that is no plain identifier is replaced by its digest."""
    if _ANCHOR.fullmatch(key):
        return f"{kind}-{key}"
    return f"{kind}x-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def file_name(text: str, *, limit: int = 80) -> str:
    """A name for a file that we write, made of letters, digits, dots, dashes and underscores alone.

    It never has a path in it, never begins with a dot or dash and is no reserved name of Windows.
    """
    name = _FILE_NAME.sub("_", text).strip("._-")[:limit].strip("._-") or "unnamed"
    return f"_{name}" if _RESERVED.match(name) else name
