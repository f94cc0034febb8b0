"""The script that writes and checks every output of a replay: it finds what is wrong with one, and says so."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from brokenseal.exchange.stix_bundle import stix_bytes
from brokenseal.reports.json_document import document_to_json
from brokenseal.wording import phrase, translations
from exchange.worlds import simple
from reports.documents import empty_document

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "replay_outputs.py"
DOCUMENT = replace(empty_document("cannot_tell"), simulated=True)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("replay_outputs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]
    # The script adds to the catalogue that everybody uses.
    translations.cache_clear()


def job_of(script, folder, document):
    folder.mkdir(parents=True)
    (folder / "document.json").write_bytes(document_to_json(document))
    return script.Job(epoch="2023", organisation="01", store=folder / "store", out=folder, again=True)


@pytest.fixture(scope="module")
def done(script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs") / "01"
    return folder, script.outputs_of(job_of(script, folder, DOCUMENT))


def test_every_format_language_and_reader_is_written_and_right(done):
    folder, outputs = done
    names = {each.name for each in outputs}

    assert {each.name: each.failure for each in outputs if each.failure} == {}
    assert names == {path.name for path in folder.iterdir()} - {"outputs.json"}
    readers = [f"report.{who}" for who in ("analyst", "management", "counsel")]
    assert {
        *(f"{who}.{lang}.{form}" for who in readers for lang in ("en", "fr") for form in ("html", "pdf", "docx", "md")),
        *(f"report.{lang}.{form}" for lang in ("en", "fr") for form in ("xlsx", "json", "csv")),
    } == {name for name in names if name.startswith("report.")}
    assert sum(name.startswith("share.") for name in names) == 18
    assert all(each.bytes == (folder / each.name).stat().st_size for each in outputs)


def test_what_an_earlier_run_finished_is_not_done_again(script, done):
    folder, outputs = done
    again = script.outputs_of(script.Job(epoch="2023", organisation="01", store=folder, out=folder, again=False))

    assert again == outputs == [script.Output(**each) for each in json.loads((folder / "outputs.json").read_text())]


def test_an_untranslated_sentence_and_a_format_that_fails_are_told_and_the_others_are_made(script, tmp_path):
    said = phrase("A sentence that nobody has translated")
    document = replace(DOCUMENT, verdict=replace(DOCUMENT.verdict, headline=said))
    outputs = {each.name: each.failure for each in script.outputs_of(job_of(script, tmp_path / "01", document))}

    assert "said in English" in outputs["report.management.fr.md"]
    assert outputs["report.management.en.md"] is None
    text = "\n".join(script.table(script.outputs_of(job_of(script, tmp_path / "02", document))))
    assert "| md management | 2 |" in text
    assert "FAILED 2023/01/report.management.fr.md: ValueError: said in English" in text


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("json", document_to_json(replace(DOCUMENT, product_version="x"))),
        ("pdf", b"%PDF-1.7 cut"),
        ("docx", b"PK"),
        ("csv", b'"a","b"\r\n"c"\r\n'),
        ("md", b"# A report"),
        ("html", b"<html>simulated"),
    ],
)
def test_a_file_that_is_wrong_is_found(script, form, content):
    with pytest.raises(Exception, match=r"."):
        script._check_report(form, content, "en", DOCUMENT)


def test_a_bundle_of_other_facts_or_with_a_fault_is_found(script):
    shared = script._shared(simple(simulated=True), "default")
    script._checked_bundle(shared)(stix_bytes(shared))
    with pytest.raises(ValueError, match="reads back to other facts"):
        script._checked_bundle(shared)(stix_bytes(replace(shared, indicators=())))
    broken = json.loads(stix_bytes(shared))
    next(each for each in broken["objects"] if each["type"] == "indicator").pop("pattern")
    with pytest.raises(ValueError, match="stix2-validator"):
        script._checked_bundle(shared)(json.dumps(broken).encode())
