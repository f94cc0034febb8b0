"""Framing: every record of every encoding and form, counted; what cannot be read is rejected and the rest goes on."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from brokenseal.framing import Framed, frame
from brokenseal.settings import Settings
from support import SAMPLES, needs_samples

RECORDS = [
    {"Id": "1", "Operation": "MailItemsAccessed", "Folders": [{"Id": "f", "FolderItems": [{"Id": "i"}, {"Id": "j"}]}]},
    {"Id": "2", "Operation": "Ajout d’une règle", "UserId": "zoë@example.org", "Note": 'say "hi"\\ \n\t, ;'},
    {"Id": "3", "n": -1.5, "big": 12345678901234567890123, "none": None, "yes": True, "empty": {}, "list": []},
    {"Id": "4", "emoji": "\U0001f4e7", "brackets": '}],[{"'},
]


def settings(limit: int = 64 * 1024 * 1024) -> Settings:
    return Settings(store_dir=Path("unused"), record_limit_bytes=limit)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as packed streams may."""

    def __init__(self, data: bytes, step: int) -> None:
        self._inner = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        data = self._inner.read(min(self._step, len(buffer)))
        buffer[: len(data)] = data
        return len(data)


def framed(data: bytes | str, *, limit: int = 64 * 1024 * 1024, step: int | None = None) -> tuple[Framed, list]:
    raw = data.encode() if isinstance(data, str) else data
    it = frame(io.BytesIO(raw) if step is None else Trickle(raw, step), settings(limit))
    records = list(it)
    assert [record.record_no for record in records] == list(range(1, len(records) + 1))
    for record in records:
        record.text.encode()  # what is recorded can always be stored
        assert (record.value is None) == (record.reason is not None)
        assert bool(record.expected) == (record.reason is not None)
    return it, records


def outcome(data: bytes | str, **options) -> list:
    """Value of each record, or its reason."""
    return [record.value if record.reason is None else record.reason for record in framed(data, **options)[1]]


# ---------------------------------------------------------------- forms


FORMS = {
    "json lines": ("\n".join(json.dumps(r) for r in RECORDS), "json_lines"),
    "json lines, closed": ("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in RECORDS), "json_lines"),
    "json lines, crlf": ("\r\n".join(json.dumps(r) for r in RECORDS) + "\r\n", "json_lines"),
    "json lines, blank lines between": ("\n\n \n".join(json.dumps(r) for r in RECORDS), "json_lines"),
    "json lines, trailing commas": (",\n".join(json.dumps(r) for r in RECORDS), "json_values"),
    "array, minified": (json.dumps(RECORDS, separators=(",", ":")), "json_array"),
    "array, pretty": (json.dumps(RECORDS, indent=4, ensure_ascii=False), "json_array"),
    "array, indent 0": (json.dumps(RECORDS, indent=0), "json_array"),
    "array, one a line": ("[\n" + ",\n".join(json.dumps(r) for r in RECORDS) + "\n]\n", "json_array"),
    "arrays side by side": (json.dumps(RECORDS[:2]) + json.dumps(RECORDS[2:]), "json_values"),
    "arrays, pretty, one after the other": (
        json.dumps(RECORDS[:1], indent=2) + "\r\n" + json.dumps(RECORDS[1:], indent=2) + "\n[]\n",
        "json_values",
    ),
    "arrays, appended with a mark": (json.dumps(RECORDS[:1]) + "\n\ufeff" + json.dumps(RECORDS[1:]), "json_values"),
    "array a line": ("\n".join(json.dumps([r]) for r in RECORDS), "json_values"),
    "objects side by side": ("".join(json.dumps(r) for r in RECORDS), "json_values"),
    "objects, pretty": ("\n".join(json.dumps(r, indent=2) for r in RECORDS), "json_values"),
    "arrays and objects": (json.dumps(RECORDS[:3]) + "\n" + json.dumps(RECORDS[3], indent=1), "json_values"),
}
ENCODINGS = {
    "utf-8": ("utf-8", b"", "utf-8"),
    "utf-8 with mark": ("utf-8", b"\xef\xbb\xbf", "utf-8-sig"),
    "utf-16-le with mark": ("utf-16-le", b"\xff\xfe", "utf-16-le"),
    "utf-16-be with mark": ("utf-16-be", b"\xfe\xff", "utf-16-be"),
    "utf-16-le": ("utf-16-le", b"", "utf-16-le"),
    "utf-16-be": ("utf-16-be", b"", "utf-16-be"),
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_same_records_come_out_of_every_form_and_encoding(form, encoding):
    text, framing = form
    codec, mark, name = encoding

    it, records = framed(mark + text.encode(codec))

    assert [record.value for record in records] == RECORDS
    assert (it.encoding, it.framing, it.columns, it.is_truncated) == (name, framing, (), False)
    assert [json.loads(record.text) for record in records] == RECORDS


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_stream_that_gives_a_few_bytes_at_a_time_changes_nothing(form, step, monkeypatch):
    monkeypatch.setattr("brokenseal.framing.BLOCK_BYTES", 64)
    monkeypatch.setattr("brokenseal.encoding.BLOCK_BYTES", 64)
    monkeypatch.setattr("brokenseal.json_values._PIECE_CHARACTERS", 16)

    assert outcome(form[0], step=step) == RECORDS


def test_the_text_of_an_element_is_the_slice_of_the_array():
    _, records = framed('[ {"a" : 1} ,\n  {"a":\t"\\u00e9"} ]')

    assert [record.text for record in records] == ['{"a" : 1}', '{"a":\t"\\u00e9"}']


@pytest.mark.parametrize(
    ("data", "framing"),
    [(b"", "none"), (b"\xef\xbb\xbf", "none"), (b" \r\n\n", "none"), (b"[]", "json_array"), (b"\xff\xfe", "none")],
)
def test_an_input_without_records_has_none(data, framing):
    it, records = framed(data)

    assert (records, it.framing) == ([], framing)


def test_a_list_that_stands_one_element_a_line_inside_an_object_is_one_record():
    text = '{"value":[\n{"id":1},\n{"id":2}\n]}\n'

    assert outcome(text) == [{"value": [{"id": 1}, {"id": 2}]}]


def test_values_that_are_no_objects_are_records_of_unknown_shape():
    assert outcome('{"a":1}\n{"a":2}\n12\n"text"\nnull\n[{"a":3},[1,2],4]\n[]\n') == [
        {"a": 1},
        {"a": 2},
        *["unknown_shape"] * 3,
        {"a": 3},
        *["unknown_shape"] * 2,
    ]
    assert outcome('[1, "two", null, [3], {"a": 1}, true]5 6') == [
        *["unknown_shape"] * 4,
        {"a": 1},
        *["unknown_shape"] * 3,
    ]


# ---------------------------------------------------------------- broken JSON


def test_a_broken_line_is_rejected_and_the_next_goes_on():
    it, records = framed('{"a":1}\n{"a":2,"b":tru\n{"a":3}\nnonsense\n{"a":4}\n{"a":5,"b":"cut')

    assert [record.value or record.reason for record in records] == [
        {"a": 1},
        "not_json",
        {"a": 3},
        "not_json",
        {"a": 4},
        "not_json",
    ]
    assert (records[1].text, records[5].text) == ('{"a":2,"b":tru', '{"a":5,"b":"cut')
    assert it.framing == "json_lines"
    assert it.is_truncated


def test_a_first_line_that_is_broken_does_not_change_the_form():
    it, records = framed('{"a":1,"b":tru\n{"a":2}\n{"a":3}\n')

    assert [record.value or record.reason for record in records] == ["not_json", {"a": 2}, {"a": 3}]
    assert (it.framing, it.is_truncated) == ("json_lines", False)


def test_several_objects_on_one_line_are_several_records():
    text = '{"a":1}\n{"a":2}{"a":3} {"a":4}\n%s{"a":5}{"a":\n'
    expected = [*({"a": n} for n in (1, 2, 3, 4)), "not_json"]

    assert outcome(text % "") == [*expected[:-1], {"a": 5}, "not_json"]
    assert outcome(text % '{"a":0}\n{"a":0}\n') == [*expected[:-1], {"a": 0}, {"a": 0}, {"a": 5}, "not_json"]


BROKEN_ELEMENTS = {
    "a bad literal": '{"a":2,"b":nul,"c":[{"x":1},{"x":2}]}',
    "a missing colon": '{"a" 2,"b":[{"x":"}"}]}',
    "a missing quote": '{"a":2,"b":"never closed,"c":3}',
    "cut in a string": '{"a":2,"b":"cut he',
    "cut in a list": '{"a":2,"b":[{"x":1},{"x"',
    "cut after a key": '{"a":2,"b":',
    "a bad escape": r'{"a":2,"b":"\q"}',
    "a comma at the end": '{"a":2,"b":1,}',
    "no JSON at all": "undefined",
}


@pytest.mark.parametrize("broken", BROKEN_ELEMENTS.values(), ids=BROKEN_ELEMENTS)
@pytest.mark.parametrize("separator", [",", ",\n", " , "])
def test_a_broken_element_is_rejected_and_reading_goes_on_at_the_next(broken, separator):
    good = ['{"a":1,"b":0}', '{"a":3,"b":[1]}', '{"a":4,"b":{"a":5}}']
    text = "[" + separator.join([good[0], broken, *good[1:]]) + "]"

    found = outcome(text)

    assert [value for value in found if isinstance(value, dict)] == [json.loads(g) for g in good]
    assert [value for value in found if isinstance(value, str)] == ["not_json"]


def test_a_bracket_too_many_is_rejected_by_itself():
    assert outcome('[{"a":1}},{"a":2}]') == [{"a": 1}, "not_json", {"a": 2}]


def test_two_broken_elements_in_a_row_are_two_rejections():
    text = '[{"a":1,"b":1},{"a":2,"b":"x},{"a":3,"b":[},{"a":4,"b":1}]'

    assert outcome(text) == [{"a": 1, "b": 1}, "not_json", "not_json", {"a": 4, "b": 1}]


def test_a_page_that_was_cut_off_does_not_swallow_the_page_after_it():
    cut = json.dumps(RECORDS, indent=1)[:-40]
    whole = json.dumps(RECORDS, indent=1)

    it, records = framed(cut + "\n" + whole)

    assert [record.value or record.reason for record in records] == [*RECORDS[:3], "not_json", *RECORDS]
    assert (it.framing, it.is_truncated) == ("json_values", False)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_truncated_array_keeps_what_stands_before_the_cut(indent):
    text = json.dumps(RECORDS, indent=indent)
    seen = set()
    for cut in range(1, len(text)):
        it, records = framed(text[:cut])
        values = [record.value for record in records if record.reason is None]
        assert values == RECORDS[: len(values)]
        assert [record.reason for record in records[len(values) :]] in ([], ["not_json"])
        assert it.is_truncated
        seen.add(len(values))
    assert seen == {0, 1, 2, 3, 4}


def test_a_truncated_object_is_rejected():
    it, records = framed('{\n  "a": 1,\n  "b": {\n    "c": ')

    assert [record.reason for record in records] == ["not_json"]
    assert it.is_truncated


@pytest.mark.parametrize("template", ["{}\n{}\n{}\n", "[{},{},{}]", "[\n {},\n {},\n {}\n]"])
@pytest.mark.parametrize("depth", [150, 201, 250, 5_000, 100_000])
def test_deep_nesting_is_rejected_as_such(template, depth):
    deep = '{"a":' * depth + "1" + "}" * depth
    wide = '{"a":' + json.dumps([{"x": [n]} for n in range(500)]) + "}"

    found = outcome(template.replace("{}", "%s") % (deep, wide, '{"b":1}'))

    if depth <= 200:
        assert found[0] == json.loads(deep)
    else:
        assert found[0] == "too_deep"
    assert found[1:] == [json.loads(wide), {"b": 1}]


ODD_JSON = {
    "not a number": ('{"a":NaN,"b":Infinity}', None),
    "a number beyond floats": ('{"a":1e999}', {"a": float("inf")}),
    "an integer of thousands of digits": ('{"a":' + "9" * 5000 + "}", "not_json"),
    "a lone surrogate": (r'{"a":"x\ud800y","\udfff":1}', {"a": "x\ufffdy", "\ufffd": 1}),
    "a surrogate pair": (r'{"a":"\ud83d\udce7"}', {"a": "\U0001f4e7"}),
    "a NUL escape": (r'{"a":"x\u0000y"}', {"a": "x\0y"}),
    "a raw NUL": ('{"a":"x\0y"}', {"a": "x\0y"}),
    "a raw tab": ('{"a":"x\ty"}', {"a": "x\ty"}),
    "equal keys": ('{"a":1,"a":2}', {"a": 2}),
}


@pytest.mark.parametrize(("text", "value"), ODD_JSON.values(), ids=ODD_JSON)
@pytest.mark.parametrize("template", ['{"z":1}\n%s\n{"z":2}\n', '[{"z":1},%s,{"z":2}]'])
def test_odd_json_is_read_or_rejected_alike_in_lines_and_arrays(template, text, value):
    first, found, last = outcome(template % text)

    assert (first, last) == ({"z": 1}, {"z": 2})
    if value is None:
        assert [repr(item) for item in found.values()] == ["nan", "inf"]
    else:
        assert found == value


# ---------------------------------------------------------------- text and bytes


def test_bytes_that_do_not_decode_reject_their_own_record_only():
    for data in (
        b'{"a":1}\n{"a":"caf\xe9"}\n{"a":2}\n',
        b'[{"a":1},{"a":"caf\xe9"},{"a":2}]',
        b"a,b\n{0},1\ncaf\xe9,2\nx,3\n".replace(b"{0}", b"1"),
    ):
        _, records = framed(data)
        assert [record.reason for record in records] == [None, "not_text", None]
        assert "café" in records[1].text


def test_half_a_character_at_the_end_of_utf_16_is_a_rejected_record():
    data = b"\xff\xfe" + '{"a":1}\n'.encode("utf-16-le") + b"{"

    assert outcome(data) == [{"a": 1}, "not_text"]


def test_a_lone_surrogate_in_utf_16_rejects_its_record():
    data = b"\xff\xfe" + '{"a":1}\n{"a":"\ud800"}\n{"a":2}\n'.encode("utf-16-le", "surrogatepass")

    assert outcome(data) == [{"a": 1}, "not_text", {"a": 2}]


def test_binary_data_is_one_rejected_record():
    it, records = framed(bytes(range(256)) * 50_000)

    assert [record.reason for record in records] == ["not_text"]
    assert (it.encoding, it.framing) == ("binary", "none")
    assert len(records[0].text) == 1024


def test_prose_is_one_rejected_record_a_line():
    it, records = framed("Dear all, please find,\n\nattached: the logs.\nBest\n")

    assert [(record.reason, record.text) for record in records] == [
        ("not_json", "Dear all, please find,"),
        ("not_json", "attached: the logs."),
        ("not_json", "Best"),
    ]
    assert it.framing == "none"


def test_objects_after_lines_of_something_else_are_read():
    it, records = framed("x" * 100 + " !\n! 2\n! 3\n" + '{"a":1}\n' + '{"a":2}\n')

    assert [record.value or record.reason for record in records] == [*["not_json"] * 3, {"a": 1}, {"a": 2}]
    assert it.framing == "json_lines"


# ---------------------------------------------------------------- too large


@pytest.mark.parametrize(
    "template",
    ['{"a":1}\n%s\n{"a":2}\n', '[{"a":1},%s,{"a":2}]', '{\n"a":\n1\n}\n%s\n{"a":2}\n'],
    ids=["lines", "array", "values"],
)
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "cut"])
def test_a_record_above_the_limit_is_rejected_and_later_ones_are_read(template, closed):
    for size in (1_100, 300_000, 5_000_000):
        large = '{"a":0,"b":"' + 'x\\"é}[' * (size // 6) + ('"}' if closed else "")
        if not closed and template.startswith("["):
            continue  # inside an array nothing shows where a cut giant ends
        found = outcome(template % large, limit=1_000)
        assert found == [{"a": 1}, "too_large", {"a": 2}], size


def test_the_limit_counts_bytes_in_every_form():
    exact = '{"a":"' + "é" * 40 + '"}'
    size = len(exact.encode())
    for template in ("{0}\n{0}\n", "[{0},{0}]", "a\n{1}\n{1}\n"):
        text = template.format(exact, "é" * ((size - 0) // 2))
        assert [isinstance(item, dict) for item in outcome(text, limit=size)] == [True, True], template
        assert outcome(text, limit=size - 2) == ["too_large"] * 2, template


@pytest.mark.parametrize("start", [b'{"a":"', b"", b"[[[["], ids=["object", "text", "brackets"])
def test_a_giant_line_does_not_stay_in_memory(start):
    giant = 48 * 1024 * 1024
    limit = 1024 * 1024

    class Giant(io.RawIOBase):
        left = giant
        tail = b'\n{"a":1}\n{"a":2}\n'

        def readable(self):
            return True

        def readinto(self, buffer):
            if self.left == giant:
                data = start
                self.left -= max(len(data), 1)
                data = data or b"x"
            elif self.left > 0:
                data = b"x" * min(len(buffer), self.left)
                self.left -= len(data)
            else:
                data, self.tail = self.tail, b""
            buffer[: len(data)] = data
            return len(data)

    tracemalloc.start()
    found = [record.reason or record.value for record in frame(Giant(), settings(limit))]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found[-2:] == [{"a": 1}, {"a": 2}]
    assert found[0] in {"too_large", "not_json"}
    assert peak < 12 * limit


# ---------------------------------------------------------------- CSV


def csv_bytes(rows: list[list[str]], **options) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **options).writerows(rows)
    return text.getvalue().encode()


HEADER = ["RecordId", "CreationDate", "Operation", "AuditData"]
ROWS = [
    ["1", "5/18/2021 9:13:33 PM", "Add user.", '{"Id":"1","x":"a;b,c\td"}'],
    ["2", "", "line\nbreak\r\nand é \U0001f4e7", "x" * 300_000],
    ["3", " padded ", 'quote " and ""', ""],
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_csv_of_every_dialect_gives_its_rows(delimiter, quoting, end, encoding):
    codec, mark, name = encoding
    data = csv_bytes([HEADER, *ROWS], delimiter=delimiter, quoting=quoting, lineterminator=end)

    it, records = framed(mark + data.decode().encode(codec))

    assert [record.value for record in records] == [dict(zip(HEADER, row, strict=True)) for row in ROWS]
    assert [json.loads(record.text) for record in records] == [record.value for record in records]
    assert (it.encoding, it.framing, it.columns, it.is_truncated) == (name, "csv", tuple(HEADER), False)


def test_the_text_of_a_row_is_a_compact_object_in_the_order_of_the_header():
    _, records = framed('b,a\n1,"x""y é"\n')

    assert records[0].text == '{"b":"1","a":"x\\"y é"}'


@pytest.mark.parametrize("first", ["#TYPE Deserialized.Selected\r\n", "sep=,\r\n", "\r\n\r\n"])
def test_a_line_before_the_header_is_passed_over(first):
    it, records = framed(first.encode() + csv_bytes([HEADER, *ROWS]))

    assert it.columns == tuple(HEADER)
    assert len(records) == 3


def test_equal_names_are_told_apart_and_names_stay_as_written():
    it, records = framed("Application ID ,Incoming token type,X,Incoming token type,X (2),X\n1,2,3,4,5,6\n")

    assert it.columns == (
        "Application ID ",
        "Incoming token type",
        "X",
        "Incoming token type (2)",
        "X (2)",
        "X (3)",
    )
    assert list(records[0].value.values()) == list("123456")


def test_rows_with_another_number_of_cells_are_rejected_with_their_text():
    it, records = framed('a,b,c\n1,2,3\n1,2\n\n1,2,3,4\n"x\ny",2,3\n1,"2\n')

    assert [record.reason for record in records] == [None, "row_malformed", "row_malformed", None, "row_malformed"]
    assert [record.text for record in records if record.reason] == ["1,2", "1,2,3,4", '1,"2']
    assert it.is_truncated


def test_a_quote_that_is_never_closed_costs_one_row():
    rows = "".join(f'{n},"cell {n}",z\n' for n in range(50))
    data = "a,b,c\n" + rows + '50,"open,z\n' + rows

    found = outcome(data)

    assert [item for item in found if isinstance(item, str)] == ["row_malformed"]
    assert len(found) == 101


def test_a_quote_that_is_never_closed_costs_one_row_at_the_end_and_at_the_limit():
    rows = "".join(f"{n},b,c\n" for n in range(2_000))
    for limit in (64 * 1024 * 1024, 1_000):
        found = outcome("a,b,c\n" + '0,"open,z\n' + rows, limit=limit)
        assert found[0] == "row_malformed"
        assert [item["a"] for item in found[1:]] == [str(n) for n in range(2_000)]


def test_a_row_above_the_limit_is_rejected_and_later_rows_are_read():
    for cell in ("x" * 5_000_000, "x\ny\n" * 3_000, 'a""b\n' * 5_000):
        found = outcome(f'a,b\n1,2\n3,"{cell}"\n5,6\n', limit=10_000)
        assert found == [{"a": "1", "b": "2"}, "too_large", {"a": "5", "b": "6"}]


def test_a_row_with_careless_quotes_is_read():
    assert outcome('a,b\n"1" ,"x"y\n"3","4"\n') == [{"a": "1 ", "b": "xy"}, {"a": "3", "b": "4"}]


def test_a_last_cell_that_was_cut_off_is_kept_and_the_input_is_known_as_truncated():
    it, records = framed('Id,AuditData\n1,"{""Id"":""1""}"\n2,"{""Id"":""2"",""Ope')

    assert [record.value for record in records] == [
        {"Id": "1", "AuditData": '{"Id":"1"}'},
        {"Id": "2", "AuditData": '{"Id":"2","Ope'},
    ]
    assert it.is_truncated


def test_a_single_column_counts_under_a_name_without_blanks():
    it, records = framed('"AuditData"\r\n"{""Id"":""1""}"\r\n"{""Id"":""2""}"\r\n')

    assert (it.framing, it.columns) == ("csv", ("AuditData",))
    assert [json.loads(record.value["AuditData"]) for record in records] == [{"Id": "1"}, {"Id": "2"}]


def test_a_header_without_rows_is_csv_without_records():
    it, records = framed("RecordId,CreationDate,AuditData\r\n")

    assert (it.framing, records) == ("csv", [])


def test_json_objects_without_quotes_under_a_single_name_are_read_as_lines():
    assert outcome('AuditData\n{"Id":"1","x":[1,2]}\n{"Id":"2"}\n') == [
        "not_json",
        {"Id": "1", "x": [1, 2]},
        {"Id": "2"},
    ]


# ---------------------------------------------------------------- real samples


def _sample_files() -> list[Path]:
    return sorted(path for path in SAMPLES.rglob("*") if path.is_file()) if SAMPLES.is_dir() else []


def _counted_plainly(path: Path) -> int:
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".csv":
        return sum(1 for row in csv.reader(io.StringIO(text, newline="")) if row) - 1
    if path.suffix in {".json", ".raw"}:
        try:
            value = json.loads(text)
        except ValueError:
            return sum(1 for line in text.splitlines() if line.strip())
        return len(value) if isinstance(value, list) else 1
    return sum(1 for line in text.split("\n") if line.strip())


@needs_samples
@pytest.mark.parametrize("path", _sample_files(), ids=lambda path: path.name)
def test_real_files_have_as_many_records_as_pythons_own_readers_find(path):
    with path.open("rb") as stream:
        it = frame(stream, settings())
        records = list(it)

    assert len(records) == _counted_plainly(path)
    if path.suffix != ".md":
        assert [record.reason for record in records if record.reason] == []
        assert not it.is_truncated
