"""What all parts of an explanation's screen are made of: lines, rows of facts, times and spans, log text made safe."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from brokenseal.app_names import client_label
from brokenseal.reports import _words
from brokenseal.reports._escape import terminal
from brokenseal.wording import Phrase, phrase, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

TEXT_LIMIT: Final = 300
_LABEL_WIDTH: Final = 22
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
ABSENT: Final = phrase("not in the logs")


def of_log(text: str | None) -> str:
    """Log text for the terminal, cut where nobody would read it."""
    shown = terminal(text or "")
    return shown if len(shown) <= TEXT_LIMIT else f"{shown[:TEXT_LIMIT]}…"


def log(text: str | None, lang: str) -> Text:
    """Log text, or that the logs do not say."""
    return Text(say(ABSENT, lang), style="dim italic") if text is None else Text(of_log(text))


def sentence(told: Phrase, lang: str) -> Text:
    """A phrase as text whose values stand out; nothing in it is markup."""
    return Text.assemble(
        *((of_log(text), "bold") if kind != "words" else (text, "") for text, kind in _words.pieces(told, lang))
    )


def line(told: Phrase, lang: str) -> Text:
    """A phrase on lines of its own."""
    return sentence(told, lang)


def title(told: Phrase, lang: str) -> Text:
    """The head of a part."""
    return Text.assemble("\n", Text(sentence(told, lang).plain, style="bold underline"))


def bullet(text: Text, *, mark: str = "–", style: str = "", width: int = 1) -> RenderableType:
    """One entry of a list, behind a mark of so many columns."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), text)
    return grid


def facts(rows: Iterable[tuple[str, Text]]) -> RenderableType:
    """Names of fields with their values."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=_LABEL_WIDTH, overflow="fold", style="dim")
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(of_log(name)), value)
    return grid


def minute(at: dt.datetime | None, *, seconds: bool = False) -> str:
    """A time, UTC."""
    if at is None:
        return "–"
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}" if seconds else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M}"


def from_to(first: dt.datetime, last: dt.datetime) -> str:
    """Two times to the second; the day is said once where it is one."""
    if first == last:
        return f"{minute(first, seconds=True)} UTC"
    start, end = minute(first, seconds=True), minute(last, seconds=True)
    day = len("2000-01-01 ")
    return f"{start} – {end[day:] if start[:day] == end[:day] else end} UTC"


def when(at: dt.datetime | None, lang: str) -> Text:
    """A time to the second, or that the logs do not say."""
    return log(None, lang) if at is None else Text(f"{minute(at, seconds=True)} UTC")


def span(length_s: int | None, *, signed: bool = False) -> str:
    """A span of time in the two largest units of it, such as `2 d 3 h` or `-4 min 10 s`."""
    if length_s is None:
        return "–"
    left, sign = abs(length_s), "-" if length_s < 0 else "+" if signed else ""
    for unit_s, name, next_s, next_name in (
        (_DAY_S, "d", _HOUR_S, "h"),
        (_HOUR_S, "h", _MINUTE_S, "min"),
        (_MINUTE_S, "min", 1, "s"),
    ):
        if left >= unit_s:
            whole, rest = divmod(left, unit_s)
            return f"{sign}{whole} {name} {rest // next_s} {next_name}"
    return f"{sign}{left} s"


def weight(millibans: int) -> str:
    """A weight as a power of ten."""
    return f"10^{millibans / 1000:.1f}"


def client(app: str | None) -> str | None:
    """A client with its public name where it has one; the protocol stays behind the id."""
    if app is None:
        return None
    found, bar, protocol = app.partition("|")
    return f"{client_label(found)}{bar}{protocol}"


def joined(*parts: Text | str, by: str = "  ") -> Text:
    """Parts on one line, those without text left out."""
    return Text(by).join([Text(part) if isinstance(part, str) else part for part in parts if part])


def more(shown: int, of: int, lang: str) -> tuple[Text, ...]:
    """How many entries of a list are left out."""
    return (line(phrase("… and {n} more", n=of - shown), lang),) if of > shown else ()


def reason_words(reason: str, lang: str) -> str:
    """Why something could not be assessed; a code that no table knows is shown as it is."""
    return _words.word(_REASONS if reason in _REASONS else _words.CANNOT_TELL, reason, lang)


_REASONS: Final = {
    "suspected_gap": phrase("several mailboxes lack the sign-in at that time: rather a gap in the log"),
    "placeholder": phrase("the token id stands under so many accounts that it is no id"),
    "no_session_id": phrase("the records name no session"),
    "no_own_address": phrase("the records hold no address but Microsoft's own"),
    "microsoft_address": phrase("the records hold no address but Microsoft's own"),
    "shared_session": phrase("the session id stands under too many accounts to be one"),
    "short_history": phrase("the logs show too little before it to know what is usual"),
    "no_sign_in_of_session": phrase("the sign-in that the session began with is in no log"),
    "usual_client": phrase("the client is a usual one: volume is judged of strange clients alone"),
    "items_unnamed": phrase("the records do not name what was read"),
    "no_actor": phrase("the record does not say who made the change"),
}
