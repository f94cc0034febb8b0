"""The HTML report in a real browser: it opens from a disk, runs, sorts, filters, links and prints."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from brokenseal.reports import html
from reports.documents import hostile_document, message, rich_document

CHROMIUM = Path(os.environ.get("BROKENSEAL_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}; install Debian's chromium"),
]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    rich = rich_document()
    many = tuple(message(number, f"m{number % 7}@contoso.example") for number in range(6_000))
    documents = {
        "rich": rich,
        "hostile": hostile_document(),
        "many": replace(rich, cases=(), exposure=replace(rich.exposure, messages=many)),
    }
    written = {}
    for name, lang in (("rich", "en"), ("rich", "fr"), ("hostile", "en"), ("many", "en")):
        written[name, lang] = folder / f"{name}.{lang}.html"
        written[name, lang].write_bytes(html.render(documents[name], lang))
    return written


@pytest.fixture
def open_report(browser, files):
    pages = []

    def go(name, lang="en", **options):
        page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        page.trouble, page.requests = [], []
        page.on("console", lambda said: page.trouble.append(said.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.on("dialog", lambda dialog: (page.trouble.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(files[name, lang].as_uri())
        pages.append(page)
        return page

    yield go
    for page in pages:
        page.close()


def column(page, table, place, count=5):
    return page.evaluate(
        "([id, place, count]) => Array.from(document.getElementById(id).closest('.table').querySelectorAll('tbody tr'))"
        ".filter(row => !row.hidden).slice(0, count).map(row => row.cells[place].textContent.trim())",
        [table, place, count],
    )


def head(page, table, place):
    return page.locator(f"xpath=//*[@id='{table}']/ancestor::*[@class='table'][1]//thead//th").nth(place)


@pytest.mark.parametrize(("name", "lang"), [("rich", "en"), ("rich", "fr"), ("hostile", "en")])
def test_it_opens_from_disk_without_trouble_or_requests(open_report, files, name, lang):
    page = open_report(name, lang)
    assert page.trouble == []
    assert page.requests == [files[name, lang].as_uri()]
    assert page.evaluate("document.documentElement.lang") == lang
    assert page.locator("h1").inner_text()
    assert page.evaluate("document.querySelectorAll('th button').length") > 50


def test_injected_markup_is_not_run_even_past_the_escaping(browser, files):
    page = browser.new_page()
    page.goto(files["rich", "en"].as_uri())
    page.evaluate("window.hit = 0")
    page.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit=1\">');"
        "const s = document.createElement('script'); s.textContent = 'window.hit=2'; document.body.appendChild(s); }"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.hit") == 0
    page.close()


def test_tables_sort_by_number_and_by_text_and_back(open_report):
    page = open_report("rich")
    certain = head(page, "t-exposure", 2)
    certain.get_by_role("button").click()
    assert column(page, "t-exposure", 2) == ["0", "9", "12", "13", "13"]
    assert certain.get_attribute("aria-sort") == "ascending"
    certain.get_by_role("button").click()
    assert column(page, "t-exposure", 2) == ["13", "13", "12", "9", "0"]
    mailbox = head(page, "t-exposure", 0)
    mailbox.get_by_role("button").press("Enter")
    assert column(page, "t-exposure", 0)[0] == "anna.lindqvist@contoso.example"
    assert certain.get_attribute("aria-sort") is None
    assert page.trouble == []


def test_missing_values_sort_last_in_both_directions(open_report):
    page = open_report("rich")
    first = head(page, "t-exposure", 7).get_by_role("button")
    first.click()
    assert column(page, "t-exposure", 7)[-1] == "–"
    first.click()
    assert column(page, "t-exposure", 7)[-1] == "–"


def test_a_filter_keeps_the_rows_that_hold_every_word(open_report):
    page = open_report("rich")
    box = page.locator("xpath=//*[@id='t-messages']/ancestor::*[@class='table'][1]")
    box.locator("input").fill("BOARD anna")
    shown = column(page, "t-messages", 2, 99)
    assert set(shown) == {"Minutes of the board, confidential"}
    assert box.locator("output").inner_text() == f"{len(shown)} / 107"
    box.locator("input").fill("")
    assert len(column(page, "t-messages", 2, 999)) == 107


def test_thousands_of_rows_sort_and_filter(open_report):
    page = open_report("many")
    assert len(column(page, "t-messages", 0, 9999)) == 5_000
    page.evaluate(
        "() => { const box = document.getElementById('t-messages').closest('.table');"
        "box.querySelector('th button').click(); const input = box.querySelector('input'); input.value = 'm3@';"
        "input.dispatchEvent(new Event('input')); }"
    )
    assert {mailbox.split("@")[0] for mailbox in column(page, "t-messages", 0, 9999)} == {"m3"}
    assert "5,000 of 6,000 shown" in page.locator("#messages .note").first.inner_text()


def test_links_lead_to_records_and_open_what_hides_them(open_report):
    page = open_report("rich")
    ids = page.evaluate(
        "Array.from(document.querySelectorAll('a[href^=\"#\"]')).map(a => a.getAttribute('href').slice(1))"
    )
    assert page.evaluate("ids => ids.filter(id => !document.getElementById(decodeURIComponent(id)))", ids) == []
    page.locator(".finding details summary").first.click()
    link = page.locator(".finding a[href^='#rec-']").first
    target = link.get_attribute("href")[1:]
    record_filter = page.locator("#records input")
    record_filter.fill("no such record")
    link.click()
    page.wait_for_function("id => !document.getElementById(id).hidden", arg=target)
    page.wait_for_timeout(800)
    row = page.locator(f"[id='{target}']")
    box = row.bounding_box()
    assert 0 <= box["y"] <= 900
    finding = page.locator(".finding").nth(1).get_attribute("id")
    page.goto(page.url.split("#")[0] + f"#{finding}")
    assert page.trouble == []


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_it_prints_with_everything_open_and_nothing_cut_off(open_report, lang, tmp_path):
    page = open_report("rich", lang)
    content = page.pdf(path=str(tmp_path / "report.pdf"), prefer_css_page_size=True, print_background=True)
    assert content.startswith(b"%PDF-")
    assert 10 <= content.count(b"/Type /Page\n") <= 60
    page.set_viewport_size({"width": 690, "height": 980})
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    assert not page.locator(".tools").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details[open]').length") < 3


@pytest.mark.parametrize("width", [390, 820, 1600])
@pytest.mark.parametrize("name", ["rich", "hostile"])
def test_no_width_makes_the_page_scroll_sideways(open_report, name, width):
    page = open_report(name)
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_in_both_themes(open_report, scheme):
    page = open_report("rich", color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(item => { item.open = true; })")
    low = page.evaluate(CONTRAST)
    assert low == []


CONTRAST = """() => {
  const light = color => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map(part => {
      const c = part / 255; return c <= 0.03928 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = node => { for (let n = node; n; n = n.parentElement) {
    const c = getComputedStyle(n).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255, 255, 255)'; };
  const low = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.offsetParent || node.closest('svg, script, style')) continue;
    const a = light(getComputedStyle(node).color), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.add(node.className + ' ' + node.tagName + ' ' + ratio.toFixed(2));
  }
  return Array.from(low);
}"""


@pytest.mark.skipif(sys.platform == "win32", reason="file names of this kind do not exist there")
def test_a_folder_with_spaces_and_accents_opens_as_well(browser, files, tmp_path):
    target = tmp_path / "été 2024 #1 100%.html"
    target.write_bytes(files["rich", "fr"].read_bytes())
    page = browser.new_page()
    page.goto(target.as_uri())
    assert page.locator("h2").first.inner_text() == "Ce qui s’est passé"
    page.close()
