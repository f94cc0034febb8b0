"""A campaign is written as a collector leaves it, with its truth, or not at all."""

import json
import math

import pytest
from typer.testing import CliRunner

from brokenseal.cli import app
from brokenseal.drill import _replay_collect as collecting
from brokenseal.drill import replay as replays
from brokenseal.errors import UsageError
from brokenseal.simulated import is_simulated
from drill.replay_cases import NOW, organisation, place_of, small, truth

TINY = small(organisation(victims=1, messages=100), history_days=1)


def write(output, **changed):
    values = {"now": NOW, "campaign": TINY, "seed": 3, "processes": 1}
    return replays.replay(replays.ReplaySettings(output=output, **{**values, **changed}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    output = tmp_path_factory.mktemp("replay") / "tiny"
    return output, write(output)


def lines(output, epoch, name):
    return [json.loads(line) for line in (place_of(output, 1, epoch).collected / name).read_bytes().splitlines()]


# ---------------------------------------------------------------- what is written


def test_lines_stand_in_order_of_arrival_and_can_be_read_from_the_next_full_hour(written):
    place = place_of(written[0], 1)
    available = {row["event_id"]: row["available_at"] for row in truth(place, "records")}
    for name, steps in collecting.arrivals_of(place.collected).items():
        records = lines(written[0], 2023, name)
        before = 0
        for hour, count in steps.tolist():
            for record in records[before:count]:
                own = record["Id"].lower() if name == collecting.AUDIT else f"signin:{record['id'].lower()}"
                assert math.ceil(available[own].timestamp() / 3600) == hour
            before = count
        assert before == len(records) > 100


def test_every_line_of_the_truth_stands_in_the_files_once(written):
    for epoch in (2023, 2026):
        own = [record["Id"].lower() for record in lines(written[0], epoch, collecting.AUDIT)]
        own += [f"signin:{record['id'].lower()}" for record in lines(written[0], epoch, collecting.SIGN_INS)]
        assert sorted(own) == sorted(row["event_id"] for row in truth(place_of(written[0], 1, epoch), "records"))


def test_the_intruder_reads_about_what_it_goes_for(written):
    messages = truth(place_of(written[0], 1), "messages")

    assert {row["how"] for row in messages} == {"bind"}
    # And some new messages, twice a visit.
    assert 95 <= len(messages) <= 150


def test_both_epochs_tell_of_the_same_reads(written):
    old, new = (
        {(row["mailbox_upn"], row["internet_message_id"]) for row in truth(place_of(written[0], 1, epoch), "messages")}
        for epoch in (2023, 2026)
    )

    assert old == new


def test_only_the_logs_of_2026_carry_token_ids_and_issuance_by_the_web_client(written):
    def marks(epoch):
        records = lines(written[0], epoch, collecting.AUDIT)
        context = [record.get("AppAccessContext") or {} for record in records if record["Operation"] != "UserLoggedIn"]
        return any("UniqueTokenId" in one for one in context), any(one["RecordType"] == 275 for one in records)

    assert (marks(2023), marks(2026)) == ((False, False), (True, True))


def test_tenants_carry_the_mark_of_simulated_ones(written):
    (tenant,) = truth(place_of(written[0], 1), "tenants")

    assert is_simulated([tenant["tenant_id"]])
    assert tenant["name"].endswith("(simulated)")


def test_any_number_of_processes_writes_the_same_bytes(written, tmp_path):
    write(tmp_path / "two", processes=2)
    first = written[0]
    files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]

    assert len(files) == 18
    assert all((first / each).read_bytes() == (tmp_path / "two" / each).read_bytes() for each in files)


def test_a_case_that_is_only_written_tells_no_story(written):
    output, result = written

    assert (result.story, result.epochs, result.simulated) == ("", (), True)
    assert sorted(path.name for path in output.iterdir()) == ["2023", "2026"]
    assert not output.with_name("tiny.part").exists()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"seed": -1}, "seed"),
        ({"processes": 0}, "processes"),
        ({"epochs": (2021,)}, "epoch"),
        ({"epochs": ()}, "epoch"),
    ],
)
def test_impossible_settings_are_refused_and_leave_nothing(changed, place, tmp_path):
    with pytest.raises(UsageError) as refused:
        write(tmp_path / "out", **changed)

    assert refused.value.place == place
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(collecting, "_write_lines", full)
    with pytest.raises(UsageError, match="the disk is full"):
        write(tmp_path / "out", epochs=(2023,))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobelium"], "storm-0558"),
        (["storm-0558", "--epoch", "2021"], "2023, 2026 or both"),
        (["storm-0558", "--seed", "-1"], "seed"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, tmp_path):
    result = CliRunner().invoke(app, ["drill", "replay", *arguments, "-o", str(tmp_path / "out")])

    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert "\n" not in str(result.exception)


def test_the_command_prints_one_json_object_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(replays, "CAMPAIGNS", (TINY,))
    options = ["--epoch", "2023", "--processes", "1", "--seed", "3", "--json", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["drill", "replay", "small", *options])

    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["simulated"], told["campaign"], told["organisations"], told["epochs"]) == (True, "small", 1, [])
    assert "small, simulated, 1 organisation(s)" in result.stderr


def test_the_command_leaves_a_folder_that_holds_something(tmp_path):
    (tmp_path / "kept").write_text("mine")
    result = CliRunner().invoke(app, ["drill", "replay", "storm-0558", "-o", str(tmp_path)])

    assert isinstance(result.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(("text", "epochs"), [("2023", (2023,)), ("2026", (2026,)), (" Both", (2023, 2026))])
def test_epochs_are_asked_for_by_year(text, epochs):
    assert replays.parse_epochs(text) == epochs
