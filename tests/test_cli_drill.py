"""`brokenseal drill`: what it writes, what it says, and that it leaves nothing by halves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from brokenseal import cli
from brokenseal.drill import generate
from brokenseal.drill.attacks import ATTACKS
from drill.small_drills import write_drill


@pytest.fixture
def run(monkeypatch, capsys):
    """The command in this process: exit code, standard output, lines of standard error."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["brokenseal", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err.splitlines()

    return call


@pytest.fixture(scope="module")
def drill(tmp_path_factory):
    """A drill that the library wrote, with what the command is asked for below."""
    folder = tmp_path_factory.mktemp("drill")
    return write_drill(folder / "d", folder / "quiet.toml")


@pytest.fixture
def prior(drill):
    return drill.parent / "quiet.toml"


def small(output, prior):
    sizes = ("--tenants", 1, "--mailboxes", 12, "--days", 8, "--seed", 4, "--warm-up-days", 3)
    return ("drill", "generate", *sizes, "--prior", prior, "-o", output)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- generate


def test_a_drill_is_written_with_all_options_and_its_sum_is_one_object(run, drill, prior, tmp_path):
    options = ("--attack", "A1:1*2", "--attack", "a0n", "--logs", "full", "--shape", "portal", "--processes", "1")
    code, out, err = run(*small(tmp_path / "d", prior), *options, "--json")
    assert (code, err) == (0, [])
    said = json.loads(out)
    assert said.pop("seconds") > 0
    truth = json.loads((drill / "manifest.json").read_text())["truth_rows"]
    assert said == {
        "simulated": True,
        "output": str(tmp_path / "d"),
        "tenants": 1,
        "lines": json.loads((drill / "manifest.json").read_text())["tenants"][0]["lines_written"],
        "records": truth["records"],
        "withheld": truth["withheld"],
        "messages": truth["messages"],
        "attacks": 3,
    }
    assert files(tmp_path / "d") == files(drill)


def test_the_second_generator_takes_the_same_options(run, tmp_path):
    sizes = ("--tenants", 1, "--mailboxes", 10, "--days", 7, "--processes", 1)
    code, out, err = run("drill", "generate", *sizes, "--generator", "plain", "-o", tmp_path / "d", "--json")
    assert (code, err) == (0, [])
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    assert (manifest["simulated"], manifest["generator"]) == (True, "plain")
    assert json.loads(out)["lines"] == manifest["tenants"][0]["lines_written"] > 0


def test_without_json_one_line_sums_it_up(run, prior, tmp_path):
    code, out, err = run(*small(tmp_path / "d", prior), "--logs", "ual-only", "--processes", "1")
    assert (code, out, len(err)) == (0, "", 1)
    counted = generate.summary_of(tmp_path / "d")
    assert err[0].startswith(f"{tmp_path / 'd'}: a simulated drill; tenants: 1, lines: {counted.lines:,}, records: ")
    assert ", messages read by attacks: 0, attacks: 0, seconds: " in err[0]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("--tenants", 0), "tenants"),
        (("--mailboxes", "many"), "mailboxes"),
        (("--mailboxes", 2), "mailboxes"),
        (("--days", 4), "days"),
        (("--seed", -1), "seed"),
        (("--attack", "A77"), "attack"),
        (("--attack", "A1:9"), "attack"),
        (("--logs", "none"), "logs"),
        (("--shape", "round"), "shape"),
        (("--processes", 0), "processes"),
        (("--warm-up-days", 400), "warm-up days"),
        (("--prior", "guess"), "prior"),
        (("--prior", "absent.toml"), "absent.toml"),
    ],
)
def test_a_bad_option_is_one_line_and_nothing_is_written(run, tmp_path, words, place):
    code, out, err = run("drill", "generate", "-o", tmp_path / "d", *words)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith(f"brokenseal: {place}:")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mailboxes = [500, 100]", "low not above high"),
        ("orphan_rate = 2", "values from 0 to 0.2"),
        ("moon_phase = 1", "one of the quantities"),
        ('base = "prod"', "train or test"),
        ("mailboxes = ", "well-formed TOML or JSON"),
    ],
)
def test_an_impossible_prior_file_is_one_line_that_says_where(run, tmp_path, text, words):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    code, out, err = run("drill", "generate", "-o", tmp_path / "d", "--prior", path)
    assert (code, out, len(err)) == (2, "", 1)
    assert str(path) in err[0]
    assert words in err[0]
    assert [one.name for one in tmp_path.iterdir()] == ["own.toml"]


def test_a_place_that_cannot_be_a_folder_is_one_line(run, prior, tmp_path):
    (tmp_path / "file").write_text("mine")
    code, _, err = run(*small(tmp_path / "file" / "d", prior))
    assert (code, len(err)) == (2, 1)
    assert "Not a directory" in err[0]
    assert (tmp_path / "file").read_text() == "mine"


LIMITED = """
import resource, sys
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
    sys.argv[:2] = ["brokenseal"]
    from brokenseal.cli import main
    main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit on the size of files")
@pytest.mark.parametrize(("limit", "processes"), [(40_000, 2), (300, 1)])
def test_a_file_that_the_system_refuses_to_let_grow_leaves_nothing(tmp_path, prior, limit, processes):
    script = tmp_path / "limited.py"
    script.write_text(LIMITED, encoding="utf-8")
    words = [str(word) for word in small(tmp_path / "d", prior)]
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", script, str(limit), *words, "--processes", str(processes)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"brokenseal: {tmp_path / 'd'}: found 'a file grew larger than is allowed here'; expected ")
    assert {path.name for path in tmp_path.iterdir()} == {"limited.py"}


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on Unix")
@pytest.mark.parametrize(("number", "processes"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_a_stopped_run_leaves_nothing(tmp_path, prior, number, processes):
    words = [str(word) for word in small(tmp_path / "d", prior)]
    words[words.index("--days") + 1] = "300"
    command = [sys.executable, "-W", "ignore", "-m", "brokenseal", *words, "--processes", str(processes)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as started:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("d.part/exports/*/purview/*")) and time.monotonic() < until:
            time.sleep(0.02)
        # As a terminal does: the keyboard reaches every process of the group, `kill` the one that is named.
        (os.killpg if number == signal.SIGINT else os.kill)(started.pid, number)
        _, errors = started.communicate(timeout=60)
    assert started.returncode == 128 + number
    assert errors.splitlines() == ["brokenseal: stopped; nothing was written"]
    assert not list(tmp_path.iterdir())
    assert has_ended(started.pid)


def has_ended(group):
    """Whether every process of the group ends within ten seconds."""
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


# ---------------------------------------------------------------- attacks


def test_the_library_is_listed_with_a_paragraph_and_technique_ids(run):
    code, out, _ = run("drill", "attacks")
    assert code == 0
    paragraphs = out.strip().split("\n\n")
    assert [paragraph.split()[0] for paragraph in paragraphs] == [attack.id for attack in ATTACKS]
    assert all("(simulated; " in paragraph for paragraph in paragraphs)
    assert "T1114.002" in paragraphs[0]
    assert max(map(len, out.splitlines())) <= 100


def test_the_library_as_an_object(run):
    code, out, err = run("drill", "attacks", "--json")
    said = json.loads(out)
    assert (code, err, said["simulated"]) == (0, [], True)
    assert {one["id"]: one["techniques"] for one in said["attacks"]} == {
        one.id: list(one.techniques) for one in ATTACKS
    }
    assert [one["id"] for one in said["attacks"] if one["is_campaign"]] == ["A13"]
