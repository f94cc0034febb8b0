"""The same records give the same document, however they were packed, encoded, framed or ordered."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import io
import json
import random
import zipfile

import pytest

from brokenseal.demo import write_demo
from brokenseal.investigate import investigate
from brokenseal.model import Inputs
from brokenseal.reports.json_document import document_to_json
from brokenseal.settings import Settings
from support import SAMPLES, needs_samples

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NO_INPUTS = Inputs(records=0, kept=0, duplicates=0, rejected=0, ignored=0, files=(), quarantine=())
LAB = SAMPLES / "invictus-o365" / "auditrecords-1121.csv"


def rows_of(content: bytes) -> list[dict[str, str]]:
    limit = csv.field_size_limit(1 << 30)
    try:
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    finally:
        csv.field_size_limit(limit)


def as_csv(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def shuffled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    mixed = list(rows)
    random.Random(7).shuffle(mixed)
    return mixed


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a folder/export.csv", content)
    return packed.getvalue()


FORMS = {
    "array.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "lines.jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    "two-arrays.json": lambda rows: (json.dumps(rows[:99]) + "\n" + json.dumps(rows[99:])).encode(),
    "export.csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "export.zip": lambda rows: zipped(as_csv(rows)),
    "utf16.csv": lambda rows: as_csv(rows).decode().encode("utf-16"),
    "shuffled.csv": lambda rows: as_csv(shuffled(rows)),
    "shuffled.jsonl": lambda rows: "".join(json.dumps(row) + "\r\n" for row in shuffled(rows)).encode(),
}


def document_of(folder, name: str, content: bytes):
    """The document without what names or measures the file, and the totals of the inputs."""
    export = folder / name
    export.write_bytes(content)
    _, document = investigate([export], Settings(store_dir=folder / f"{name}.store"), now=NOW)
    inputs = document.inputs
    totals = (inputs.records, inputs.kept, inputs.duplicates, inputs.rejected, inputs.ignored)
    salvaged = sorted((item.salvaged_id or "", item.salvaged_operation or "") for item in inputs.quarantine)
    alarms = tuple(dataclasses.replace(alarm, place="") for alarm in document.coverage.alarms)
    coverage = dataclasses.replace(document.coverage, alarms=alarms)
    return document_to_json(dataclasses.replace(document, inputs=NO_INPUTS, coverage=coverage)), totals, salvaged


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    return LAB.read_bytes(), document_of(folder, "plain.csv", LAB.read_bytes())


@needs_samples
@pytest.mark.parametrize("name", FORMS)
def test_the_lab_tenant_reads_alike_in_every_form(lab, tmp_path, name):
    content, expected = lab

    assert document_of(tmp_path, name, FORMS[name](rows_of(content))) == expected


BARE_FORMS = {
    # The second is read record by record, the others in columns: both must mean the same.
    "array.json": lambda texts: ("[" + ",\n".join(texts) + "]").encode(),
    "wrapped.json": lambda texts: json.dumps({"value": [json.loads(text) for text in texts]}).encode(),
    "audit.csv": lambda texts: as_csv([{"AuditData": text} for text in texts]),
    "utf16.jsonl": lambda texts: "\n".join(texts).encode("utf-16"),
    "lines.jsonl.gz": lambda texts: gzip.compress("\r\n".join(texts).encode()),
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Audit records as the Management Activity API gives them, of the bundled tenant, with a copy among them."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder / "exports")
    blob = json.loads((folder / "exports" / "Audit.Exchange-2026-03-30.json").read_bytes())
    texts = [json.dumps(record) for record in (*blob, blob[5])]
    return texts, document_of(folder, "lines.jsonl", "\n".join(texts).encode())


@pytest.mark.parametrize("name", BARE_FORMS)
def test_bare_records_read_alike_in_every_form(bare, tmp_path, name):
    texts, expected = bare

    assert document_of(tmp_path, name, BARE_FORMS[name](texts)) == expected
