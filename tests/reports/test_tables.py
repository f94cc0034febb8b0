from dataclasses import replace

import pytest

from brokenseal.reports import _ledger_tables, _tables
from reports.documents import empty_document, hostile_document, rich_document

DOCUMENTS = {"rich": rich_document(), "hostile": hostile_document(), "empty": empty_document()}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_row_has_one_cell_per_column_and_names_differ(name):
    tables = _ledger_tables.workbook(DOCUMENTS[name])
    assert len({table.name for table in tables}) == len(tables)
    for table in tables:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert {len(row) for row in table.rows} <= {len(names)}


def test_a_message_of_two_cases_stands_once_with_both():
    document = rich_document()
    first, second, *_ = document.cases
    both = replace(second, exposure=replace(second.exposure, messages=first.exposure.messages[:1]))
    table = _tables.messages(replace(document, cases=(first, both)))
    row = next(row for row in table.rows if row[13] == "<000000.contoso@mail.example>")
    assert row[1] == (first.id, second.id)
    assert len(table.rows) == 107


def test_a_message_known_to_a_case_alone_is_listed():
    document = rich_document()
    table = _tables.messages(replace(document, exposure=replace(document.exposure, messages=())))
    assert len(table.rows) == 47


def test_exposure_is_by_mailbox_and_case_and_not_added_up():
    document = rich_document()
    rows = _tables.exposure_of(document.cases).rows
    assert [(row[0].split("@")[0], row[1], row[2], row[3], row[4], row[5]) for row in rows] == [
        ("anna.lindqvist", ("case-000000005ea1",), 13, 0, 0, 1),
        ("b.moreau", ("case-000000005ea1",), 13, 0, 0, 0),
        ("carla.diaz", ("case-000000005ea1",), 12, 0, 0, 0),
        ("d.okafor", ("case-000000005ea1",), 0, 214, 1, 0),
        ("finance", ("case-000000005ea2",), 9, 0, 0, 0),
    ]


def test_open_ended_spans_and_folders_name_their_cases_and_come_first():
    document = rich_document()
    spans = _tables.open_ended(document).rows
    assert [(row[0], row[1]) for row in spans] == [
        ("anna.lindqvist@contoso.example", ("case-000000005ea1",)),
        ("eva.novak@contoso.example", ()),
    ]
    assert [row[1] for row in _tables.folders(document).rows] == [("case-000000005ea1",)]


def test_records_can_be_narrowed_and_stand_by_time():
    document = rich_document()
    chosen = frozenset(list(document.cited)[5:9])
    rows = _ledger_tables.records(document, chosen).rows
    assert {row[0] for row in rows} == chosen
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert len(_ledger_tables.records(document).rows) == len(document.cited)
