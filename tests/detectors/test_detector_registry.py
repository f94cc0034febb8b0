"""What holds for every detector: its place in the registry, its declarations, and both engines."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

import ibis
import pytest

from brokenseal import schema
from brokenseal.detectors import DETECTORS, WEIGHED
from brokenseal.findings import check_hits
from brokenseal.wording import Phrase
from detector_runner import EXPRESSIONS, runner_of

CASES = Path(__file__).parent / "cases"
DECLARED = {table.name: table for table in schema.TABLES}
FIELDS = {
    "subject", "records", "actors", "mailboxes", "addresses", "sessions", "objects", "n_records", "n_actors",
    "n_mailboxes", "n_objects", "first_at", "last_at",
}  # fmt: skip
NEEDS = {"mail_access", "sign_in", "non_interactive_sign_in", "configuration", "token_ids", "session_ids"}

each = pytest.mark.parametrize("detector", EXPRESSIONS, ids=lambda detector: detector.id)


def unbound(reads=None):
    """Tables of the declared schemas that no engine holds, cut to the columns that a detector declares."""
    tables = {name: ibis.table(table.ibis_schema(), name=name) for name, table in DECLARED.items()}
    return tables if reads is None else {name: tables[name].select(*columns) for name, columns in reads.items()}


def test_ids_are_unique_and_say_what_log_they_are_about():
    ids = [detector.id for detector in (*DETECTORS, *WEIGHED)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"(config|mail_access|token|sign_in|session)\.[a-z_]+", name) for name in ids)


@each
def test_declared_columns_exist_and_suffice(detector):
    for name, columns in detector.reads.items():
        assert set(columns) <= set(DECLARED[name].names)
        assert len(set(columns)) == len(columns)
    check_hits(detector.id, detector.find(unbound(detector.reads)))


@each
def test_compiles_for_spark(detector):
    assert "SELECT" in ibis.to_sql(detector.find(unbound()), dialect="pyspark")


@each
def test_says_nothing_of_empty_tables(detector):
    assert not runner_of(detector.id)({})


@each
def test_variants_are_complete(detector):
    assert set(detector.needs) <= NEEDS
    assert detector.variants
    for variant in detector.variants.values():
        assert variant.attack
        assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in variant.attack)
        for sentence in (variant.title, variant.innocent, variant.settles):
            assert isinstance(sentence, Phrase)
            assert sentence.template
            assert {field for _, field, _, _ in string.Formatter().parse(sentence.template) if field} <= FIELDS


ELSEWHERE = {"token.provenance": frozenset(("not_issued_yet",))}
"""Variants that take ten thousand sign-ins to be shown: tests/detectors/test_lateness.py has them."""


@each
def test_every_variant_has_a_case_and_one_case_stays_quiet(detector):
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((CASES / detector.id).glob("*.json"))]
    found = {hit["variant"] for case in cases for hit in case["hits"]}
    assert found == set(detector.variants) - ELSEWHERE.get(detector.id, frozenset())
    assert any(not case["hits"] for case in cases)


def test_no_case_stands_without_its_detector():
    folders = {folder.name for folder in CASES.iterdir()}
    assert {detector.id for detector in EXPRESSIONS} <= folders <= {detector.id for detector in (*DETECTORS, *WEIGHED)}


def test_limits_name_each_subject_once():
    for detector in DETECTORS:
        if detector.limit is not None:
            subjects = detector.limit.subjects(unbound())
            assert dict(subjects.schema().items()) == {
                "subject": ibis.dtype("string"),
                "assessable": ibis.dtype("boolean"),
            }
            assert "SELECT" in ibis.to_sql(subjects, dialect="pyspark")
