"""The rehearsal script on small simulated documents: killed in the middle, each told once, one silent, one escalated."""

import importlib.util
import sys
from pathlib import Path

import pytest

from brokenseal.reports.json_document import document_to_json
from notices.victims import many

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "notify_rehearsal.py"
COUNT = 25


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("notify_rehearsal", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
def test_25_notices_are_told_once_each_through_a_kill_and_the_silent_one_is_escalated(script, tmp_path):
    documents, parties = many(COUNT, simulated=True)
    arguments = []
    for number, each in enumerate(documents):
        (tmp_path / f"{number}.json").write_bytes(document_to_json(each))
        arguments += ["--document", str(tmp_path / f"{number}.json")]
    rows = [
        f"{party.name},{party.covers[0]},{each.address},{each.language},{each.order}"
        for party in parties
        for each in party.contacts
    ]
    (tmp_path / "contacts.csv").write_text(
        "\n".join(("organisation,covers,address,language,order", *rows)) + "\n", encoding="utf-8"
    )
    done = script.rehearse([*arguments, "--contacts", str(tmp_path / "contacts.csv")], tmp_path, silent=8)

    assert done == script.Rehearsal(
        planned=COUNT,
        taken_before_the_kill=12,
        sent_after_it=13,
        told_once=COUNT,
        told_twice=0,
        uncertain=0,
        acknowledged=24,
        escalated=1,
        waiting=1,
        over_tls=True,
    )
    assert done.is_as_it_should_be()
    escalated = script._parsed((tmp_path / f"{COUNT:02d}.eml").read_bytes())
    assert escalated["To"].addresses[0].addr_spec == "chief@org08.example"
    assert "SIMUL" in escalated["Subject"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"told_once": 24},
        {"told_twice": 1},
        {"uncertain": 1},
        {"acknowledged": 25},
        {"escalated": 0},
        {"over_tls": False},
        {"taken_before_the_kill": 25},
    ],
)
def test_anything_else_is_not_as_it_should_be(script, wrong):
    good = {
        "planned": 25, "taken_before_the_kill": 12, "sent_after_it": 13, "told_once": 25, "told_twice": 0,
        "uncertain": 0, "acknowledged": 24, "escalated": 1, "waiting": 1, "over_tls": True,
    }  # fmt: skip

    assert script.Rehearsal(**good).is_as_it_should_be()
    assert not script.Rehearsal(**(good | wrong)).is_as_it_should_be()
