"""Lines that do not fit the typed reader: found, set aside, and read one by one; their neighbours stay columns."""

from __future__ import annotations

import csv
import io
import json
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import brokenseal._ingest_segments
import columnar_runner
from brokenseal._ingest_fit import Fit
from brokenseal._ingest_segments import Segment
from brokenseal.ingest import ingest
from brokenseal.settings import Settings
from brokenseal.store import REFUSED, Store
from columnar_runner import NOW, assert_alike

COLUMNS = {
    "text": "string",
    "whole": "int64",
    "listed": "array<struct<text: string, whole: int64>>",
    "inner": "struct<text: string, listed: array<string>>",
}
FITS = [
    "{}",
    '{"text": "x", "other": {"text": 1, "text": 2}}',
    '{"text": {"a": [1]}, "whole": null, "listed": null, "inner": null}',
    '{"whole": 5, "listed": [], "inner": {}}',
    '{"whole": "5", "listed": [null, {"text": 5, "whole": -3}]}',
    '{"whole": 5.0, "inner": {"listed": ["x", null, 5, {}]}}',
    '{"whole": true, "text": "\\ud83d\\ude00"}',
    '{"whole": 9223372036854775807}',
    '{"text": 1e999}',
]
REFUSALS = [
    "",
    "{",
    '{"text": "x"',
    '{"text": "x',
    "}",
    "5",
    '"x"',
    '[{"text": "x"}]',
    "{'text': 1}",
    '{"text": 1}{"text": 2}',
    '{"text": 1} x',
    '{"text": 1},',
    '\ufeff{"text": 1}',
    '{"text": 01}',
    '{"text": "\t"}',
    '{"text": "\x00"}',
    '{"other": "\x01"}',
    '{"other": "\udcff"}',
    '{"text": "\udced\udca0\udc80"}',
    '{"other": "\\ud800"}',
    '{"whole": "x"}',
    '{"whole": ""}',
    '{"whole": []}',
    '{"whole": 99999999999999999999}',
    '{"listed": {}}',
    '{"listed": "[]"}',
    '{"listed": [1]}',
    '{"listed": [[]]}',
    '{"listed": [{"whole": "x"}]}',
    '{"inner": "x"}',
    '{"inner": []}',
    '{"inner": {"listed": {}}}',
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    store = Store.create(Settings(store_dir=tmp_path_factory.mktemp("fit") / "store", threads=1))
    yield store.workbench()
    store.close()


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    return next(tmp_path_factory.getbasetemp().glob("fit*")) / "store" / "tmp"


def segment_of(folder, lines: list[str]) -> Segment:
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    path.write_bytes(b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines))
    return Segment(path=path, first=1, lines=len(lines))


def is_taken(bench, segment) -> bool:
    try:
        return bench.load_json(segment.path, COLUMNS, first=1, longest=1000) == segment.lines
    except REFUSED:
        return False


def unfit(bench, folder, lines):
    segment = segment_of(folder, lines)
    try:
        return Fit(COLUMNS).unfit(bench, segment).tolist()
    finally:
        segment.discard()


KNOWN: dict[str, bool] = {}


def is_unfit(bench, folder, line) -> bool:
    """What is said of a line alone."""
    if line not in KNOWN:
        KNOWN[line] = unfit(bench, folder, [line])[0]
    return KNOWN[line]


@pytest.mark.parametrize("line", [*FITS, *REFUSALS])
def test_a_line_is_found_unfit_where_the_engine_refuses_it(bench, folder, line):
    """Behind another one, because at the beginning of a file a byte order mark is none of the text."""
    segment = segment_of(folder, ["{}", line])

    assert is_taken(bench, segment) is (line in FITS)
    assert unfit(bench, folder, ["{}", line]) == [False, line not in FITS]


def test_a_key_given_twice_is_left_to_the_search_by_halves(bench, folder):
    """What the engine refuses and no parser tells; a line like it is rare."""
    line = '{"text": 1, "text": 2}'

    assert not is_taken(bench, segment_of(folder, [line]))
    assert unfit(bench, folder, [line]) == [False]


@given(
    lines=st.lists(
        st.sampled_from([*FITS, *REFUSALS]) | st.text('{}[]":,x0\\u \t', max_size=12), min_size=1, max_size=40
    ),
    scan=st.sampled_from([1, 30, 1 << 20]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_with_what_is_unfit_set_aside_the_engine_takes_the_rest_and_every_text_is_had_back(
    bench, folder, monkeypatch, lines, scan
):
    """However the file is cut into blocks for it."""
    monkeypatch.setattr(brokenseal._ingest_segments, "_SCAN_BYTES", scan)
    segment = segment_of(folder, lines)
    texts = [line.encode("utf-8", "surrogateescape") + b"\n" for line in lines]
    found = Fit(COLUMNS).unfit(bench, segment)
    assert [
        line for line, flag in zip(lines, found.tolist(), strict=True) if flag != is_unfit(bench, folder, line)
    ] == []

    segment.set_aside(found)

    assert is_taken(bench, segment)
    assert list(segment.recorded()) == list(enumerate(texts, start=1))
    assert list(segment.recorded(found)) == [(at + 1, texts[at]) for at in np.flatnonzero(found).tolist()]
    expected = [b"{}\n" if flag else text for flag, text in zip(found.tolist(), texts, strict=True)]
    assert segment.path.read_bytes() == b"".join(expected)
    segment.discard()
    assert list(folder.glob(f"{segment.path.name.partition('.')[0]}*")) == []


# ---------------------------------------------------------------- a whole ingest


def record(number: int, **changes) -> dict:
    return {
        "CreationTime": f"2025-10-27T07:{number % 60:02}:33",
        "Id": f"6b0e63a5-0000-4000-8000-{number:012x}",
        "Operation": "MailItemsAccessed",
        "RecordType": 50,
        "UserId": "ada@contoso.example",
        "UserType": 0,
        "Workload": "Exchange",
        "OperationProperties": [{"Name": "MailAccessType", "Value": "Bind"}],
        "Folders": [{"Path": "\\Inbox", "FolderItems": [{"InternetMessageId": f"<{number}@x>", "SizeInBytes": 7}]}],
        **changes,
    }


def cut(number: int) -> str:
    """Without blanks at its end, which the one way records and the other does not."""
    return json.dumps(record(number))[: 40 + number].rstrip()


# Lines that hold one record at most: of several, the fast way gives all the number of their line.
HOLES = {
    "cut": cut,
    "cut at a comma": lambda number: json.dumps(record(number)).partition('"UserId"')[0].rstrip(),
    "no json": lambda number: f"-- {number} --",
    "a row": lambda number: f"{number},ada@contoso.example",
    "text": lambda number: f'"{number}"',
    "a lone surrogate": lambda number: json.dumps(record(number, UserAgent="a\ud800b")),
    "a list that is text": lambda number: json.dumps(record(number, Folders="[]")),
    "a list that is an object": lambda number: json.dumps(record(number, OperationProperties={"Name": "x"})),
    "a number that is none": lambda number: json.dumps(record(number, OperationCount="many")),
    "a scalar": str,
    "a key twice": lambda number: json.dumps(record(number)).replace('"UserType": 0', '"UserType": 1, "UserType": 0'),
}


def test_one_hole_sends_one_line_the_slow_way(tmp_path, monkeypatch):
    """Each of them in a segment of its own."""
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 1)
    holes = [name for name in HOLES if name != "a key twice"]
    texts = []
    for start, hole in enumerate(holes):
        lines = [json.dumps(record(start * 1000 + number)) for number in range(100)]
        lines[57] = HOLES[hole](57)
        texts.append("\n".join(lines) + "\n")

    assert assert_alike(tmp_path, texts, monkeypatch) == len(holes)


def test_a_key_given_twice_sends_few_lines_the_slow_way(tmp_path, monkeypatch):
    lines = [json.dumps(record(number)) for number in range(300)]
    lines[11], lines[207] = HOLES["cut"](11), HOLES["a key twice"](207)

    assert 2 <= assert_alike(tmp_path, ["\n".join(lines) + "\n"], monkeypatch) <= 65


def test_holes_in_a_column_of_csv_are_found_alike(tmp_path, monkeypatch):
    """There the recorded text is another thing than the line that the engine reads."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(["CreationDate", "UserIds", "Operations", "AuditData"])
    for number in range(300):
        text = HOLES["cut"](number) if number % 50 == 7 else json.dumps(record(number))
        table.writerow([f"2025-10-27T07:{number % 60:02}:33", "ada@contoso.example", "MailItemsAccessed", text])

    assert assert_alike(tmp_path, [out.getvalue()], monkeypatch) == 6


KINDS = st.sampled_from(["usual"] * 20 + sorted(HOLES))


@given(files=st.lists(st.lists(KINDS, min_size=1, max_size=120), min_size=1, max_size=3), start=st.integers(0, 300))
@settings(
    max_examples=3,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@pytest.mark.parametrize("segment_bytes", [128 << 20, 20_000])
def test_columns_with_holes_are_what_reading_record_by_record_gives(tmp_path, monkeypatch, segment_bytes, files, start):
    """Property: rows, quarantine with its text, numbers, counts, digests; copies of records between files too."""
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", segment_bytes)
    texts = []
    for shift, kinds in enumerate(files):
        numbered = enumerate(kinds, start=start + shift * 40)
        lines = [HOLES.get(kind, lambda n: json.dumps(record(n)))(number) for number, kind in numbered]
        texts.append("\n".join([json.dumps(record(9000 + shift)), *lines]) + "\n")
    name = uuid.uuid4().hex
    plain, _ = columnar_runner.stored(tmp_path / f"{name}-plain", texts, fast=False, monkeypatch=monkeypatch)
    fast, _ = columnar_runner.stored(tmp_path / f"{name}-fast", texts, fast=True, monkeypatch=monkeypatch)

    assert fast == plain
    quarantined = [quarantine(tmp_path / f"{name}-{way}" / "store") for way in ("plain", "fast")]
    assert quarantined[0] == quarantined[1]
    evidence = [
        {path.name: path.read_bytes() for path in (tmp_path / f"{name}-{way}" / "store" / "evidence").iterdir()}
        for way in ("plain", "fast")
    ]
    assert evidence[0] == evidence[1]


def quarantine(folder):
    with Store.open(Settings(store_dir=folder)) as store:
        rows = store.tables()["quarantine"].drop("path").to_pyarrow().to_pylist()
    return sorted(rows, key=lambda row: (row["input_sha256"], row["record_no"], row["raw_text"]))


def test_the_number_of_lanes_changes_nothing_that_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(brokenseal._ingest_segments, "SEGMENT_BYTES", 30_000)
    monkeypatch.setattr(brokenseal._ingest_reading, "FAST_BYTES", 0)
    export = tmp_path / "a.jsonl"
    kinds = sorted(HOLES)
    export.write_text(
        "".join(
            (HOLES[kinds[number // 20 % len(kinds)]](number) if number % 20 == 3 else json.dumps(record(number))) + "\n"
            for number in range(600)
        )
    )
    parts = []
    for threads in (1, 3):
        store = tmp_path / f"store-{threads}"
        ingest([export], Settings(store_dir=store, threads=threads), now=NOW)
        tables = store / "tables"
        parts.append(
            sorted(path.name for path in tables.rglob("*.parquet") if path.parent.parent.name != "tables/ledger")
        )

    assert parts[0] == parts[1]
    assert len(parts[0]) > 20
