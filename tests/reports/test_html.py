import functools
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from brokenseal.reports import _cells, html
from brokenseal.reports._columns import col
from brokenseal.wording import phrase
from reports.documents import HOSTILE, cited, empty_document, event, hostile_document, message, rich_document
from reports.golden_files import matches_golden

DOCUMENTS = {"rich": rich_document, "hostile": hostile_document, "empty": empty_document}
VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Elements, attributes and texts of a page, and whether every element is closed in order."""

    def __init__(self, content):
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.ids, self.texts, self.outline = [], [], [], [], []
        self.raw = {"script": "", "style": ""}
        self.feed(content.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self._start(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self._start(tag, attributes)

    def _start(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(set(names)) == len(names)
        self.elements.append((tag, dict(attributes)))
        if "id" in names:
            self.ids.append(dict(attributes)["id"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] in self.raw:
            self.raw[self.open[-1]] += text
        elif text.strip():
            self.texts.append(text.strip())
            if self.open[-1] in {"h1", "h2", "h3", "h4", "h5", "th", "summary", "figcaption"}:
                self.outline.append(f"{self.open[-1]} {text.strip()}")

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@functools.cache
def rendered(name, lang="en"):
    return html.render(DOCUMENTS[name](), lang)


@pytest.fixture(scope="module", params=[(name, lang) for name in DOCUMENTS for lang in ("en", "fr")], ids="-".join)
def page(request):
    name, lang = request.param
    return Page(rendered(name, lang))


def test_every_id_stands_once_and_every_link_leads_to_one(page):
    assert len(set(page.ids)) == len(page.ids)
    inside = {link.removeprefix("#") for link in page.attributes("href") if link.startswith("#")}
    assert inside <= set(page.ids)
    described = {target for ids in page.attributes("aria-labelledby") for target in ids.split()}
    assert described <= set(page.ids)


def test_nothing_is_fetched_and_nothing_runs_but_the_page_itself(page):
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"img", "iframe", "object", "embed", "link", "base", "form", "audio", "video", "foreignobject"}
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not [
        name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"
    ]
    outside = [link for link in page.attributes("href") if not link.startswith("#")]
    assert all(re.fullmatch(r"https://attack\.mitre\.org/techniques/T\d{4}/(\d{3}/)?", link) for link in outside)
    assert not page.attributes("src")


def test_the_policy_names_the_script_and_the_style_by_their_hashes(page):
    policy = next(attributes["content"] for _, attributes in page.elements if attributes.get("http-equiv"))
    assert policy == html.content_policy(page.raw["style"], page.raw["script"])
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_hostile_text_is_shown_as_text():
    content = rendered("hostile")
    page = Page(content)
    texts = " ".join(page.texts)
    for attack in (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{7*7}} {% raw %}",
        "%s %(x)s {0} {subject} {",
    ):
        assert attack in texts
    assert "invoice�fdp.exe" in texts
    assert not set(content.decode()) & set("\x00\x1b\u202e\u2066\ufffe")
    assert "49" not in re.findall(r"alert\((\d+)\)", texts)


def test_the_same_document_gives_the_same_bytes():
    assert rendered("rich") == html.render(rich_document(), "en")


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_outline_is_as_it_was_last_looked_at(lang):
    page = Page(rendered("rich", lang))
    assert matches_golden(f"report.{lang}.outline.txt", "\n".join(page.outline) + "\n")


def test_numbers_of_the_first_screen_have_their_kind():
    texts = " ".join(Page(rendered("rich")).texts)
    assert "Certain messages: 38" in texts
    assert "Possible messages: 214 (folders: 1 )" in texts
    assert "Unknowable spans: 1" in texts


def test_each_finding_links_to_all_records_that_show_it():
    page = Page(rendered("rich"))
    links = set(page.attributes("href"))
    evidence = {item.event_id for case in rich_document().cases for found in case.findings for item in found.evidence}
    assert {f"#rec-{event_id}" for event_id in evidence} <= links
    assert {f"rec-{event_id}" for event_id in evidence} <= set(page.ids)


def test_a_long_list_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(html, "ROWS_EMBEDDED", 40)
    page = Page(html.render(rich_document(), "en"))
    texts = " ".join(page.texts)
    assert "40 of 107 shown; all of them are in the XLSX and JSON reports." in texts


def test_only_records_that_stand_in_the_page_are_linked():
    document = rich_document()
    many = [message(number, "a@contoso.example") for number in range(9)]
    exposure = replace(document.exposure, messages=tuple(many))
    kept = html.embedded_records(replace(document, exposure=exposure), limit=30)
    assert len(kept) == 30
    assert kept <= {item.event_id for case in document.cases for found in case.findings for item in found.evidence}
    cells = _cells.Cells(lang="en", embedded=kept)
    assert "<a " not in cells.record("not-there")
    assert 'href="#rec-' in cells.record(event(1000))


def test_a_record_that_is_cited_and_unknown_is_no_dead_link():
    document = replace(rich_document(), cited={event(1000): cited(event(1000))})
    page = Page(html.render(document, "en"))
    inside = {link.removeprefix("#") for link in page.attributes("href") if link.startswith("#rec-")}
    assert inside == {f"rec-{event(1000)}"}


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ("T1114.002", "https://attack.mitre.org/techniques/T1114/002/"),
        ("T1528", "https://attack.mitre.org/techniques/T1528/"),
        ("T1114.x", None),
        ("javascript:alert(1)", None),
        ("T११११", None),
    ],
)
def test_only_technique_ids_become_links(technique, expected):
    assert html._attack_link(technique) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("number", 1234567, '<td class="c-number" data-v="1234567">1,234,567</td>'),
        ("share", 0.4125, '<td class="c-share" data-v="0.4125">41.2%</td>'),
        ("text", "<b>", '<td class="c-text"><bdi>&lt;b&gt;</bdi></td>'),
        ("text", None, '<td class="c-text" data-v=""><span class="quiet">–</span></td>'),
        ("texts", (), '<td class="c-texts" data-v=""><span class="quiet">–</span></td>'),
        ("word", phrase("yes"), '<td class="c-word">yes</td>'),
        ("cases", ("case-b",), '<td class="c-cases" data-v="2"><a href="#c-case-b" title="case-b">2</a></td>'),
    ],
)
def test_cells_show_their_kind_and_sort_by_their_value(kind, value, expected):
    cells = _cells.Cells(lang="en", embedded=frozenset(), case_numbers={"case-a": 1, "case-b": 2})
    assert cells.cell(col("x", phrase("Value"), kind), value) == expected


def test_long_text_is_cut_and_long_lists_are_counted():
    cells = _cells.Cells(lang="fr", embedded=frozenset())
    assert len(cells.cell(col("x", phrase("Value"), "text"), HOSTILE[-1])) < 3_000
    shown = cells.cell(col("x", phrase("Value"), "texts"), tuple("abcdefg"))
    assert shown.count("<li>") == 4
    assert '<li class="quiet">+3</li>' in shown


def test_getting_ready_draws_nothing_and_changes_nothing():
    before = html.render(rich_document(), "en")

    assert html.get_ready() is None
    assert html.render(rich_document(), "en") == before
