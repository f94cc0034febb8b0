import itertools
import re
from dataclasses import replace
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenseal.model import Activity, HourCell
from brokenseal.reports import _figures, _marks, _svg
from reports.documents import HOSTILE, empty_document, hostile_document, rich_document

FIGURES = {
    "timeline": lambda document, lang: _figures.timeline(document.activity, lang),
    "hours": lambda document, lang: _figures.hours(document.activity, lang),
    "matrix": lambda document, lang: _figures.matrix(document.activity, lang),
    "coverage": lambda document, lang: _figures.coverage_bars(document.coverage, lang),
}


def drawn(figure):
    root = fromstring(figure.svg)
    return [(node.tag.rpartition("}")[2], node.attrib, node.text) for node in root.iter()]


@pytest.mark.parametrize(("make", "lang"), [(rich_document, "fr"), (hostile_document, "en")])
@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_is_shapes_and_texts_alone(name, make, lang):
    figure = FIGURES[name](make(), lang)
    elements = drawn(figure)
    assert {tag for tag, _, _ in elements} <= {"svg", "g", "path", "line", "rect", "text", "title", "defs", "clipPath"}
    names = {attribute for _, attributes, _ in elements for attribute in attributes}
    assert not [
        attribute for attribute in names if attribute.startswith("on") or "href" in attribute or attribute == "style"
    ]
    assert not re.search(r"url\((?!#)", figure.svg)


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_to_draw_is_no_picture(name):
    assert FIGURES[name](empty_document(), "en") is None


def test_the_timeline_names_every_mailbox_and_outlines_what_belongs_to_a_case():
    document = rich_document()
    elements = drawn(_figures.timeline(document.activity, "en"))
    texts = {text for tag, _, text in elements if tag == "text"}
    assert {cell.mailbox for cell in document.activity.days} <= texts
    assert "Client=REST;Client=RESTSystem;;" in texts
    outlined = [
        attributes for tag, attributes, _ in elements if tag == "path" and attributes.get("stroke") == _marks.INK
    ]
    assert len(outlined) == sum(cell.in_case for cell in document.activity.days) == 24
    titles = [text for tag, _, text in elements if tag == "title"]
    assert len(titles) == len(document.activity.days)
    assert "2024-05-26 · anna.lindqvist@contoso.example · Client=REST;Client=RESTSystem;;: 6" in titles


def test_the_heat_map_has_all_hours_and_a_dot_for_those_of_cases():
    document = rich_document()
    elements = drawn(_figures.hours(document.activity, "fr"))
    titles = [text for tag, _, text in elements if tag == "title"]
    dots = sum(cell.in_case > 0 for cell in document.activity.hours)
    assert len(titles) == 7 * 24 + dots
    texts = {text for tag, _, text in elements if tag == "text"}
    assert {"lun.", "dim.", "00", "23"} <= texts


def test_the_matrix_shows_the_messages_of_each_cell():
    document = rich_document()
    texts = [text for tag, _, text in drawn(_figures.matrix(document.activity, "en")) if tag == "text"]
    assert {str(cell.messages) for cell in document.activity.matrix} <= set(texts)


def test_coverage_shows_the_absent_log_as_a_dashed_line_and_the_gap_as_a_box():
    elements = drawn(_figures.coverage_bars(rich_document().coverage, "en"))
    dashed = [attributes for _, attributes, _ in elements if "stroke-dasharray" in attributes]
    assert [attributes["stroke"] for attributes in dashed] == [_marks.SOFT, _marks.IN_CASE[3]]
    texts = {text for tag, _, text in elements if tag == "text"}
    assert {"Unified audit log", "Non-interactive sign-ins", "07 May"} <= texts


def test_rows_without_room_are_counted_and_those_of_cases_are_drawn():
    activity = rich_document().activity
    cells = tuple(
        replace(cell, client=f"client {number:03}", in_case=number == 77)
        for number, cell in enumerate(activity.days[:80])
    )
    figure = _figures.timeline(replace(activity, days=cells), "en")
    assert figure.left_out == 80 - _figures.TIMELINE_ROWS
    assert "client 077" in figure.svg


def test_a_day_that_is_no_day_is_left_out():
    activity = rich_document().activity
    assert _figures.timeline(replace(activity, days=(replace(activity.days[0], day="yesterday"),)), "en") is None


def test_hostile_names_are_texts_of_the_picture():
    texts = [text for tag, _, text in drawn(FIGURES["timeline"](hostile_document(), "en")) if tag == "text"]
    assert "<script>alert(1)</script>" in texts
    assert "invoice�fdp.exe" in texts
    assert max(len(text) for text in texts if text) <= 38
    assert len(HOSTILE) == 24


@given(st.integers(1, 10**9))
def test_classes_cover_every_count_once(largest):
    classes = _marks.classes_of(largest)
    assert classes[0][0] == 1
    assert classes[-1][1] == largest
    assert len(classes) <= 4
    assert all(low <= high for low, high in classes)
    assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(classes))


def test_one_hour_alone_can_be_drawn():
    activity = Activity(days=(), hours=(HourCell(weekday=6, hour=23, accesses=1, in_case=0),), matrix=())
    assert _figures.hours(activity, "en").classes == ((1, 1),)


def test_a_drawing_keeps_no_script_no_link_and_no_foreign_id():
    svg = _svg.cleaned(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" viewBox="0 0 9 9" onload="x()">'
        '<script>x()</script><defs><clipPath id="a"><rect width="1.00000001" height="2"/></clipPath></defs>'
        '<a href="http://evil.example"><text>x</text></a>'
        '<g clip-path="url(#a)" style="fill:red"><path d="M0.333333,1" fill="#fff" role="graphics-symbol" aria-label="a &lt; b"/></g></svg>',
        "p-",
    )
    assert svg == (
        '<svg width="9" viewBox="0 0 9 9" aria-hidden="true" xmlns="http://www.w3.org/2000/svg">'
        '<defs><clipPath id="p-a"><rect width="1" height="2" /></clipPath></defs>'
        '<g clip-path="url(#p-a)"><path d="M0.33,1" fill="#fff"><title>a &lt; b</title></path></g></svg>'
    )
