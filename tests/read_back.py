"""Outputs read back as their readers read them: texts, and the structure that nothing in a text may change."""

import csv
import functools
import io
import re
import zipfile
import zlib
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import docx
import openpyxl
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode


class _Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.texts, self.structure, self.raw = [], Counter(), False

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.structure[tag, tuple(sorted(named))] += 1
        for name in ("href", "src", "action", "formaction", "style"):
            # Where a link leads may differ; what kind of link it is may not.
            self.structure[name, re.match("#|[a-z]*", named.get(name) or "")[0]] += name in named
        self.texts += [text for name, text in attributes if text and name in {"title", "alt", "aria-label", "data-v"}]
        self.raw = tag in {"script", "style"}

    def handle_endtag(self, tag):
        self.raw = False

    def handle_data(self, text):
        if not self.raw:
            self.texts.append(text)


def page(text):
    """Texts of an HTML page outside of scripts, and how often which element has which attributes."""
    read = _Page()
    read.feed(text)
    read.close()
    return read.texts, read.structure


def markdown(content):
    """Texts of CommonMark with tables, and how often which kind of node is there."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(content.decode()))
    nodes = list(tree.walk())
    texts = [
        node.content for node in nodes if node.type in {"text", "code_inline", "code_block", "fence", "html_inline"}
    ]
    texts += [node.content for node in nodes if node.type == "html_block"]
    return texts, Counter(node.type for node in nodes if node.type not in {"text", "softbreak"})


def workbook(content):
    """Texts of an XLSX file, and its cells by kind; a formula, a link or anything that runs shows in them."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    kinds = Counter((cell.data_type, cell.hyperlink is not None) for cell in cells)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        kinds.update(name for name in archive.namelist() if not re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
    return [cell.value for cell in cells if isinstance(cell.value, str)], kinds


def comma_separated(text, separator=","):
    """Cells of a CSV file, and how many rows there are of each width."""
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=separator, strict=True))
    return [cell for row in rows for cell in row], Counter(len(row) for row in rows)


def word_document(content):
    """Texts of a DOCX file by paragraph, and how often which element is in which part."""
    assert docx.Document(io.BytesIO(content)).paragraphs
    texts, structure = [], Counter()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if not name.endswith((".xml", ".rels")):
                structure[name.rpartition(".")[2]] += 1
                continue
            for each in ET.fromstring(archive.read(name)).iter():
                structure[name, each.tag.rpartition("}")[2]] += 1
                if each.tag.endswith("}p"):
                    texts.append(
                        "".join(node.text or "" for node in each.iter() if node.tag.endswith(("}t", "}instrText")))
                    )
    return texts, structure


# ---------------------------------------------------------------- PDF

_OBJECT = re.compile(rb"(?s)(?<![0-9])(\d+) 0 obj\n(.*?)\nendobj")
# Brackets that are balanced need no backslash.
_LITERAL = functools.reduce(
    lambda inner, _: rb"\((?:[^()\\]|\\.|" + inner + rb")*\)", range(4), rb"\((?:[^()\\]|\\.)*\)"
)
_STRING = re.compile(_LITERAL + rb"|<[0-9A-Fa-f]*>", re.DOTALL)
_SHOWN = re.compile(
    rb"/(f\d+) [\d.]+ Tf|\[((?:" + _STRING.pattern + rb"|[-\d. \n])*)\]\s*TJ|(" + _STRING.pattern + rb")\s*Tj",
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def printed(content):
    """Text of a PDF as Typst writes it, in the order of drawing, and all names that stand in its objects."""
    objects = {int(number): body for number, body in _OBJECT.findall(content)}
    plain = b"".join(body.split(b"stream\n")[0] for body in objects.values())
    names = Counter(re.findall(rb"/[A-Za-z0-9#]+", re.sub(_STRING, b"", plain)))
    fonts = {}
    for number, body in objects.items():
        if b"/ToUnicode" in body:
            fonts[number] = _glyphs(_stream(objects[int(re.search(rb"/ToUnicode (\d+)", body)[1])]))
    texts = []
    for body in objects.values():
        if re.search(rb"/Type\s*/Page\b(?!s)", body):
            found = re.search(rb"/Font\s*<<(.*?)>>", _resources(body, objects), re.DOTALL)
            used = {
                name: fonts[int(number)]
                for name, number in re.findall(rb"/(f\d+) (\d+) 0 R", found[1] if found else b"")
            }
            drawn = re.findall(rb"/Contents (?:\[)?(\d+)", body)
            texts += [_text(_stream(objects[int(number)]), used) for number in drawn]
    return texts, names


def _resources(body, objects):
    linked = re.search(rb"/Resources (\d+) 0 R", body)
    return objects[int(linked[1])] if linked else body


def _stream(body):
    content = body.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0]
    return zlib.decompress(content) if b"/FlateDecode" in body else content


def _glyphs(cmap):
    codes = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(rb"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]*)>", block):
            codes[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be", "surrogatepass")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, text in re.findall(rb"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>", block):
            begin = int(text, 16)
            codes.update(
                {int(first, 16) + step: chr(begin + step) for step in range(int(last, 16) - int(first, 16) + 1)}
            )
    return codes


def _text(stream, fonts):
    shown, glyphs = [], {}
    for found in _SHOWN.finditer(stream):
        if found[1]:
            glyphs = fonts[found[1]]
        else:
            codes = b"".join(_bytes(each) for each in _STRING.findall(found[2] or found[3]))
            shown += [glyphs.get(int.from_bytes(codes[at : at + 2]), "") for at in range(0, len(codes), 2)]
    return "".join(shown)


def _bytes(literal):
    if literal.startswith(b"<"):
        return bytes.fromhex(literal[1:-1].decode())
    return _ESCAPED.sub(
        lambda found: bytes([int(found[1], 8)]) if found[1].isdigit() else _LETTERS.get(found[1], found[1]),
        literal[1:-1],
    )
