"""A small campaign read as it arrived, judged by the hour, and told from its results."""

import math
from pathlib import Path

import msgspec
import pytest

from brokenseal import investigate
from brokenseal.calibration import shipped
from brokenseal.drill import _replay_collect as collecting
from brokenseal.drill import replay as replays
from brokenseal.drill._replay_watch import Desk
from brokenseal.settings import Settings
from brokenseal.store import Store
from drill.replay_cases import NOW, organisation, place_of, readable, small, truth

CASE = small(organisation(1), organisation(2, has_reads_2023=False))


@pytest.fixture(scope="module", autouse=True)
def quick_to_judge():
    """A calibration by which a client that is new in the tenant opens a case: what is tested is when, not whether."""
    known = shipped()
    rules = {**known.rules, "mail_access.first_seen_client/new_in_tenant": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(investigate, "shipped", lambda: msgspec.structs.replace(known, rules=rules))
        yield


@pytest.fixture(scope="module")
def done(quick_to_judge, tmp_path_factory):
    output = tmp_path_factory.mktemp("replay") / "small"
    result = replays.replay(
        replays.ReplaySettings(output=output, now=NOW, campaign=CASE, epochs=(2023,), is_run=True, seed=3, processes=1)
    )
    return output, result


def test_without_audited_reads_nothing_of_the_intruder_is_logged(done):
    (attack,) = truth(place_of(done[0], 2), "attacks")

    assert (attack["records"], attack["is_observable"], attack["messages_read"] > 0) == (0, False, True)


def test_the_organisation_with_audited_reads_is_found_and_the_other_is_not(done):
    (told,) = done[1].epochs
    first, second = told.organisations

    assert first.opened_at is not None
    assert first.first_read_at < first.opened_at <= first.watched_until
    assert 0 < first.messages_before <= first.messages_read
    assert 0 < first.certain_right <= first.certain
    assert first.mailboxes_found == 2
    assert (second.opened_at, second.messages_before, second.true_cases, second.mailboxes_found) == (None, None, 0, 0)
    assert "Not found, without a trace: Organisation 2." in done[1].story
    assert "**a case stands at Organisation 1**" in done[1].story


def test_losses_are_what_was_read_before_the_hour(done):
    (told,) = done[1].epochs
    found = told.organisations[0]
    before = [row for row in truth(place_of(done[0], 1), "messages") if row["first_read_at"] < found.opened_at]

    assert found.messages_before == len(before)


def cited(cases):
    return {case.id: {item.event_id for each in case.findings for item in each.evidence} for case in cases}


def intruder(place):
    return {row["event_id"] for row in truth(place, "records") if row["instance"] is not None}


def test_the_hour_is_the_one_that_a_store_filled_hour_by_hour_gives(done, tmp_path):
    """Every hour from the first record of the intruder on, each ingested into a store as it came."""
    place = place_of(done[0], 1)
    found = done[1].epochs[0].organisations[0]
    own = intruder(place)
    arrived = min(row["available_at"] for row in truth(place, "records") if row["event_id"] in own)
    first = math.ceil(arrived.timestamp() / 3600)
    last = int(found.opened_at.timestamp() // 3600)
    desk = Desk(place, now=NOW)
    settings = Settings(store_dir=tmp_path / "store", threads=1)
    read = dict.fromkeys(collecting.arrivals_of(place.collected), 0)
    judged = {}
    for hour in range(first - 1, last + 1):
        fresh = []
        for name, lines in readable(place, hour):
            if len(lines) > read[name]:
                fresh.append(tmp_path / f"{hour}-{name}")
                fresh[-1].write_bytes(b"".join(lines[read[name] :]))
                read[name] = len(lines)
        if fresh:
            investigate.add_exports(fresh, settings, now=NOW)
        with Store.open(settings) as store:
            tables = store.tables()
            cases = cited(investigate.detect(tables, investigate.coverage_of(tables)).cases)
        if hour == last:
            as_of = desk.at(hour)
            assert cited(investigate.detect(as_of, investigate.coverage_of(as_of)).cases) == cases
        judged[hour] = any(records & own for records in cases.values())
    desk.close()

    assert [hour for hour, stands in judged.items() if stands][:1] == [last]


def test_results_stand_in_the_folder_as_they_were_returned(done):
    output, result = done

    assert (output / "story.en.md").read_text(encoding="utf-8") == result.story
    assert msgspec.json.decode((output / "story.json").read_bytes(), type=replays.Replay) == result
    assert (output / "story.json").read_bytes() == replays.to_json(result)
    assert result.simulated
    assert sorted(path.name for path in output.iterdir()) == ["2023", "story.en.md", "story.json"]
    assert not output.with_name("small.part").exists()


def test_inputs_stand_in_the_ledger_under_names_that_outlast_the_working_folder(done):
    """Reports print them as the chain of custody; the folder is renamed when the replay is complete."""
    place = place_of(done[0], 1)
    with Store.open(Settings(store_dir=place.store)) as store:
        paths = store.tables()["ledger"].select("path").to_pyarrow().column("path").to_pylist()

    assert sorted(Path(each).as_posix() for each in paths) == ["collected/audit.jsonl", "collected/sign-ins.jsonl"]
    assert all((place.root / each).exists() for each in paths)
