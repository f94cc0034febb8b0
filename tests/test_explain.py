"""The whole explanation of a case of the sample tenant: cut, cited, and leading back to the recorded text."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from brokenseal import cli, investigate
from brokenseal.cli.options import settings_of
from brokenseal.demo import write_demo
from brokenseal.detectors import strange_volume, stranger_client
from brokenseal.evidence import line_at
from brokenseal.explain import CITED_SHOWN, UNITS_SHOWN, explain
from brokenseal.judgement import clustered, run_marks
from brokenseal.model import Evidence, Finding, Severity
from brokenseal.reports.json_document import to_json
from brokenseal.store import Store
from brokenseal.wording import phrase
from explain_world import START, assessment, weight

SHOWN = 12
LIGHT = 20


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Store folder, explanation, clusters and marks of the strangest units of the sample tenant."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder / "exports")
    settings = settings_of(folder / "store")
    investigate.add_exports([folder / "exports"], settings, now=START)
    with Store.open(settings) as store, clustered(store.tables()) as known:
        marks = run_marks(known, (stranger_client.DETECTOR, strange_volume.DETECTOR), ())
        clusters = {row["cluster"]: row for row in known["clusters"].to_pyarrow().to_pylist()}
        fired = [row["unit"] for row in marks[stranger_client.ID].to_pylist() if row["state"] == "fired"]
        units = sorted(fired, key=lambda unit: (-clusters[unit]["records"], unit))[:SHOWN]
        found = explain(
            known, marks, assessment([weight(clusters[unit], marks) for unit in units], n_units=LIGHT),
            case_id="case-0123456789ab", calibration="a test", simulated=True,
        )  # fmt: skip
    return folder / "store", found, clusters, units


def test_the_first_ten_units_are_explained_and_the_rest_counted(told):
    _, found, _, units = told
    assert [unit.unit for unit in found.units] == units[:UNITS_SHOWN]
    assert (len(found.units), found.n_units) == (UNITS_SHOWN, LIGHT)
    assert (found.case_id, found.threshold_millibans, found.simulated) == ("case-0123456789ab", 5500, True)


def test_detectors_that_found_something_come_first_with_what_their_bin_means(told):
    _, found, _, _ = told
    for unit in found.units:
        states = [answer.state for answer in unit.answers]
        assert states == sorted(states, key=("fired", "not_assessable", "quiet").index)
        assert {answer.detector_id for answer in unit.answers} == {stranger_client.ID, strange_volume.ID}
        first = next(answer for answer in unit.answers if answer.detector_id == stranger_client.ID)
        assert first.meaning == stranger_client.BINS[first.bin]


def test_every_cited_record_is_the_line_of_the_evidence_that_is_named(told):
    store, found, _, _ = told
    cited = [record for unit in found.units for record in unit.cited]
    assert len({record.event_id for record in cited}) > UNITS_SHOWN
    for record in cited:
        line = line_at(store / record.evidence_file, record.record_no)
        assert record.event_id.rpartition(":")[2] in line.lower()
        assert record.input_path is not None


def test_first_and_last_record_of_a_cluster_are_cited(told):
    _, found, clusters, _ = told
    for unit in found.units:
        row = clusters[unit.unit]
        assert unit.cited[0].event_id == unit.unit
        assert unit.cited[0].occurred_at == row["first_at"] == unit.first_at
        assert len(unit.cited) == min(unit.n_cited, CITED_SHOWN)
        if unit.n_cited <= CITED_SHOWN:
            assert (
                max(record.occurred_at for record in unit.cited if record.operation == "MailItemsAccessed")
                == row["last_at"]
            )


def finding(number, event_ids, units=()):
    return Finding(
        id=f"f{number}", detector_id="password_spray", variant="success", group_key="g", title=phrase("x"),
        severity=Severity.HIGH, is_notice=False, attack=(), innocent=phrase("x"), settles=phrase("x"), first_at=START,
        last_at=START, mailboxes=(), actors=(), addresses=(), sessions=(), objects=(), units=units,
        evidence=tuple(Evidence(event_id=event_id, role="read", occurred_at=START) for event_id in event_ids),
    )  # fmt: skip


def test_findings_about_no_unit_stand_with_their_records(told):
    store, _, clusters, units = told
    given = [
        finding(1, units[:6]),
        finding(2, units[:1], units=units[:1]),
        *(finding(n, units[1:2]) for n in range(3, 15)),
    ]
    with Store.open(settings_of(store)) as opened, clustered(opened.tables()) as known:
        found = explain(
            known, {}, assessment([]), case_id="case-x", findings=given, calibration="a test", simulated=False
        )
        of_door = explain(
            known, {}, assessment([weight(clusters[units[0]], {})]), case_id="case-x", findings=[finding(1, units[:1])],
            calibration="a test", simulated=False,
        )  # fmt: skip
    assert (found.units, found.n_units) == ((), 0)
    assert (len(found.findings), found.n_findings) == (10, 13)
    first = found.findings[0]
    assert ([record.event_id for record in first.cited], first.n_cited) == (units[:4], 6)
    # A finding whose record is a unit of the case is told with that unit.
    assert of_door.n_findings == 0


def test_the_json_is_one_object_with_what_the_screen_shows(told, monkeypatch):
    store, found, _, units = told
    monkeypatch.setattr(investigate, "explanation_of", lambda *_: found, raising=False)
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["detect", "--store", str(store), "--explain", "case-x", "--json"])
    document = json.loads(shown.stdout)
    assert shown.stdout.encode() == to_json(found)
    assert [unit["unit"] for unit in document["units"]] == units[:UNITS_SHOWN]
    assert document["units"][0]["client"]["parts"][0]["millinats"] == found.units[0].client.parts[0].millinats
    screen = runner.invoke(cli.app, ["detect", "--store", str(store), "--explain", "case-x"])
    assert screen.exit_code == 0
    assert units[0] in screen.stdout
    assert "Simulated" in screen.stdout


def test_a_case_that_is_not_there_is_refused_with_those_that_are(told, monkeypatch, capsys):
    store, _, _, _ = told
    monkeypatch.setattr("sys.argv", ["brokenseal", "detect", "--store", str(store), "--explain", "case-nowhere"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "one of the store's cases" in capsys.readouterr().err
