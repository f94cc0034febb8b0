import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from brokenseal.reports import _cells, _escape
from reports.documents import HOSTILE

ANY_TEXT = st.text(alphabet=st.characters(), max_size=60) | st.sampled_from(HOSTILE)
DIRECTION = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.lists(ANY_TEXT | ANY_TEXT.map(Markup) | st.integers() | st.none(), min_size=2, max_size=2))
def test_markup_is_filled_as_its_own_format_fills_it(values):
    template = '<b title="{}">{{}} {}</b>'
    assert _cells.filled(template, *values) == Markup(template).format(*values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße, 你好 🎉", "Grüße, 你好 🎉"),
        ("a\tb", "a b"),
        ("a\r\nb\nc\rd\u2028e\x85f", "a↵b↵c↵d↵e↵f"),
        ("\x1b]8;;http://evil.example\x07", "�]8;;http://evil.example�"),
        ("nul\x00", "nul�"),
        ("invoice\u202efdp.exe", "invoice�fdp.exe"),
        ("zero\u200bwidth\ufeff", "zero�width�"),
        ("half \ud800 pair", "half � pair"),
        ("\ufffe\U0001ffff\U000e0041", "���"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d💻", "👩\u200d💻"),
    ],
)
def test_what_cannot_be_seen_becomes_a_mark_and_the_rest_stays(text, expected):
    assert _escape.visible(text) == expected


@given(ANY_TEXT)
def test_visible_text_is_one_line_without_controls_and_can_be_encoded(text):
    shown = _escape.visible(text)
    shown.encode("utf-8")
    assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in shown)
    assert not set(shown) & set(DIRECTION)
    assert _escape.visible(shown) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+33 1 23", "'+33 1 23"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("  =1", "'  =1"),
        ('"=1', "'\"=1"),
        ("\t1", "' 1"),
        ("\r\n1", "'↵1"),
        ("a;=1+1", "a;'=1+1"),
        ('a,"=1', "a,\"'=1"),
        ("a - b, c", "a - b, c"),
        ("x=1", "x=1"),
        ("", ""),
    ],
)
def test_no_cell_starts_a_formula(text, expected):
    assert _escape.cell(text) == expected


@given(ANY_TEXT, st.sampled_from(",;|"))
def test_a_cell_starts_no_formula_whatever_the_separator_of_the_reader(text, separator):
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerow([_escape.cell(text)])
    for part in written.getvalue().split(separator):
        assert part.strip().strip('"').strip()[:1] not in {"=", "+", "-", "@", "＝", "＋", "－", "＠"}


def test_a_long_cell_is_cut_with_a_mark_within_the_limit_of_excel():
    cut = _escape.cell("😀" * 40_000)
    assert cut.endswith("…[cut]")
    assert len(cut.encode("utf-16-le")) // 2 <= 32_767
    assert set(cut.removesuffix("…[cut]")) == {"😀"}
    assert _escape.cell("x" * 32_767) == "x" * 32_767


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5 * 6 [a](b) <b> & _c_ | #d", "5 \\* 6 \\[a\\](b) &lt;b\\> &amp; \\_c\\_ \\| \\#d"),
        ("case(s), 1.5 - {x}!", "case(s), 1.5 - {x}!"),
    ],
)
def test_our_words_are_no_markup(text, expected):
    assert _escape.markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("a|b", "`a\\|b`"),
        ("a `b` c", "``a `b` c``"),
        ("```", "```` ``` ````"),
        ("<b>\n[x](y)", "`<b>↵[x](y)`"),
        ("", "` `"),
    ],
)
def test_log_text_stands_in_a_code_span(text, expected):
    assert _escape.markdown_code(text) == expected


@given(ANY_TEXT)
def test_a_code_span_cannot_be_left_from_inside(text):
    span = _escape.markdown_code(text)
    fence = span[: len(span) - len(span.lstrip("`"))]
    inside = span[len(fence) : -len(fence)]
    runs = {len(run) for run in "".join(char if char == "`" else " " for char in inside).split()}
    assert span.endswith(fence)
    assert len(fence) not in runs
    assert "\n" not in span


@given(ANY_TEXT)
def test_a_file_name_has_no_path_and_no_surprise(text):
    name = _escape.file_name(text)
    assert name.isascii()
    assert name
    assert not set(name) & set('/\\:*?"<>| \n\x00')
    assert not name.startswith((".", "-"))
    assert len(name) <= 81


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("..", "unnamed"),
        ("nul.txt", "_nul.txt"),
        ("a b\x00c", "a_b_c"),
        ("-rf", "rf"),
    ],
)
def test_file_names_are_made_harmless(text, expected):
    assert _escape.file_name(text) == expected


def test_anchors_of_different_keys_differ_and_hold_no_markup():
    keys = [*HOSTILE, "signin:0c1d", "0c1d", "x-0c1d", "A", "a"]
    anchors = [_escape.anchor("rec", key) for key in keys]
    assert len(set(anchors)) == len(keys)
    assert _escape.anchor("rec", "signin:0c1d") == "rec-signin:0c1d"
    assert all(set(anchor) <= set("abcdefghijklmnopqrstuvwxyz0123456789:._-") for anchor in anchors)
